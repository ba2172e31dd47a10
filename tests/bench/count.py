#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of the bench's counting workload, by phase and stage.

    count.py BENCH [--store FILE] [--against FILE]

Runs `BENCH --count` under callgrind and prints, for each phase of count.c, how many instructions
one row takes: all, and those within the functions of STAGES, what they call included. --against
prints what FILE has beside it and the change in percent; --store writes FILE. See README.md.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict

# What one row goes through; the functions of a stage do not call one another.
STAGES = {
    "collect": ("dk_push_collect",),                       # device: changesets out of the outbox
    "encode": ("dk_message_encode",),                      # messages to JSON, on both sides
    "compress": ("dk_frame_compress",),                    # zstd and checksum, on both sides
    "expand": ("dk_frame_expand",),
    "decode": ("dk_message_decode", "dk_changeset_decode"),
    "decide": ("srv_decider_run",),                        # server: merge and write, to the commit
    "page": ("srv_page_build", "srv_snapshot_write"),      # server: log or snapshot to blocks
    "apply": ("dk_pull_apply",),                           # device: blocks and markers to rows
    "sqlite": ("sqlite3_step",),                           # SQL that runs in all of them
}
PHASE = re.compile(r"PHASE\t(\w*)\t(\d+)$")
NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


def inclusive(path: pathlib.Path) -> dict[str, int]:
    """Instructions within each function and all that it calls; "all" is the whole file."""
    names: dict[str, str] = {}
    costs: dict[str, int] = defaultdict(int)
    function, called, calling = "", "", False
    for line in path.read_text(errors="replace").splitlines():
        key, equals, rest = line.partition("=")
        if equals and key in ("fn", "cfn"):
            match = NAME.match(rest)
            assert match, line
            if match[2]:
                names[match[1]] = match[2].split("'")[0]
            if key == "fn":
                function = names[match[1]]
            else:
                called = names[match[1]]
        elif equals and key == "calls":
            calling = True
        elif line[:1] in "+-*0123456789" and line:
            cost = int(line.split()[1])
            if not calling:
                costs["all"] += cost
            if not calling or called != function:
                costs[function] += cost
            calling = False
    return costs


def count(bench: str) -> dict[tuple[str, str], int]:
    """Plays the workload; instructions per row by phase and stage."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="daybook_count.") as folder:
        out = pathlib.Path(folder) / "out"
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", "-q", "--dump-before=count_phase_ends",
             f"--callgrind-out-file={out}", bench, "--count", folder],
            stdout=subprocess.PIPE, text=True, check=True)
        phases = [PHASE.match(line) for line in result.stdout.splitlines()]
        for number, phase in enumerate((one for one in phases if one), 1):
            if not phase[1]:
                continue
            costs = inclusive(pathlib.Path(f"{out}.{number}"))
            for stage, functions in {"all": ("all",), **STAGES}.items():
                cost = sum(costs.get(one, 0) for one in functions) // int(phase[2])
                if cost >= 100 or stage == "all":
                    found[phase[1], stage] = cost
    return found


def read(path: str) -> dict[tuple[str, str], int]:
    lines = (line.split() for line in pathlib.Path(path).read_text().splitlines())
    return {(words[0], words[1]): int(words[2]) for words in lines if words and words[0] != "#"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", metavar="BENCH")
    parser.add_argument("--store", metavar="FILE")
    parser.add_argument("--against", metavar="FILE")
    options = parser.parse_args()
    found = count(options.bench)
    before = read(options.against) if options.against else {}
    for (phase, stage), cost in found.items():
        was = before.get((phase, stage))
        change = f"\t{was}\t{100 * (cost - was) / was:+.1f} %" if was else ""
        print(f"COUNT\t{phase}\t{stage}\t{cost}{change}")
    if options.store:
        text = "".join(f"{phase} {stage} {cost}\n" for (phase, stage), cost in found.items())
        pathlib.Path(options.store).write_text(
            "# phase, stage, instructions per row: sh tests/bench/run.sh --count-store\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
