#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py BUILD_FOLDER: after a run of the coverage build, the share of lines run, by gcov."""
import gzip
import json
import pathlib
import subprocess
import sys


def lines_of(build):
    """{source path: {line number: times run}} of our own sources, over all objects built."""
    source_root = pathlib.Path(__file__).resolve().parent.parent
    files = {}
    for data in sorted(pathlib.Path(build).rglob("*.gcda")):
        answer = subprocess.run(["gcov", "--json-format", "--stdout", data.name], cwd=data.parent,
                                capture_output=True, check=False).stdout
        if answer[:2] == b"\x1f\x8b":
            answer = gzip.decompress(answer)
        for line in answer.splitlines():
            for file in json.loads(line).get("files", []):
                path = pathlib.Path(file["file"])
                path = path if path.is_absolute() else (pathlib.Path(build) / path).resolve()
                if not path.is_relative_to(source_root):
                    continue
                name = str(path.relative_to(source_root))
                if name.split("/")[0] not in ("engine", "platform", "sync-server"):
                    continue
                counts = files.setdefault(name, {})
                for one in file["lines"]:
                    number = one["line_number"]
                    counts[number] = counts.get(number, 0) + one["count"]
    return files


def main(build):
    total_run = total = 0
    for name, counts in sorted(lines_of(build).items()):
        run = sum(1 for count in counts.values() if count)
        total_run, total = total_run + run, total + len(counts)
        print(f"{100 * run / max(len(counts), 1):6.1f} %  {run:5} of {len(counts):5}  {name}")
    print(f"{100 * total_run / max(total, 1):6.1f} %  {total_run:5} of {total:5}  all")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
