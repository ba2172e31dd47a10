#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a profile went, by process and stage.

    profile.py PERF_DATA PROGRAM...

Reads what `perf record -g` wrote. A sample is in the kernel for the system call under way, or else
where it was found: in one of the libraries, or in a folder of our own, which the debug information
of the PROGRAMs tells. Waiting is not in it: what sleeps for the disk or the other side takes no
samples.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from typing import Iterator

CALLS = (  # of the kernel, by the name of the system call
    (re.compile(r"sync"), "fsync"),
    (re.compile(r"pwrite|pread|openat|close|fallocate|truncate|fstat|unlink|fcntl|lseek"), "files"),
    (re.compile(r"send|recv|poll|accept|connect|writev|sys_write|sys_read|socket"), "sockets"),
    (re.compile(r"futex|nanosleep|clone|exit|yield"), "threads"),
    (re.compile(r"mmap|munmap|brk|madvise|mprotect"), "memory"),
)
LIBRARIES = (
    (re.compile(r"libsqlite3"), "SQL"),
    (re.compile(r"libcrypto|libssl"), "TLS, hashes"),
    (re.compile(r"libzstd"), "zstd"),
    (re.compile(r"libcurl|libevent|libnghttp2"), "HTTP"),
    (re.compile(r"libcjson"), "JSON"),
    (re.compile(r"libc\.so|libc-|ld-linux|libm\.so|\[vdso\]"), "libc: copies, malloc"),
)
OWN = re.compile(r"/((?:engine|sync-server|platform|tests)/(?:[a-z]+/)?)[\w-]+\.[ch]:\d+$")


def folders(programs: list[str]) -> dict[str, str]:
    """Which folder a function of ours comes from."""
    found = {}
    for program in programs:
        lines = subprocess.run(["nm", "-l", "--defined-only", program], stdout=subprocess.PIPE,
                               text=True, check=True).stdout.splitlines()
        for line in lines:
            words = line.split()
            match = OWN.search(line)
            if match and len(words) >= 4:
                found[words[2].split(".")[0]] = match[1].rstrip("/")
    return found


def samples(data: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each sample's process and its stack, from the inside: function and library."""
    with subprocess.Popen(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as script:
        assert script.stdout
        name, stack = "", []
        for line in script.stdout:
            if not line.strip():
                if stack:
                    yield name, stack
                stack = []
            elif not line[:1].isspace():
                name = line.strip()
            else:
                match = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
                if match:
                    stack.append((match[1].split("+")[0], match[2]))
        if stack:
            yield name, stack


def first(patterns: tuple, text: str) -> str:
    return next((name for pattern, name in patterns if pattern.search(text)), "")


def stage_of(stack: list[tuple[str, str]], places: dict[str, str]) -> str:
    function, library = stack[0]
    if "kernel" in library:
        calls = (name for name, where in stack if "kernel" in where and "_sys_" in name)
        return "kernel: " + (first(CALLS, next(calls, "")) or "other")
    return first(LIBRARIES, library) or places.get(function.split(".")[0], "other")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", metavar="PERF_DATA")
    parser.add_argument("programs", metavar="PROGRAM", nargs="+")
    options = parser.parse_args()
    places = folders(options.programs)
    stages: dict[str, Counter[str]] = {}
    for name, stack in samples(options.data):
        stages.setdefault(name, Counter())[stage_of(stack, places)] += 1
    total = sum(sum(one.values()) for one in stages.values())
    print("share of all samples, process, stage:")
    for name, one in sorted(stages.items(), key=lambda item: -sum(item[1].values())):
        for stage, count in one.most_common():
            if count * 200 >= total:
                print(f"{100 * count / total:6.2f} %  {name:<16} {stage}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
