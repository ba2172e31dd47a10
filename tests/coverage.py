#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py BUILD_FOLDER: after a run of the coverage build, the share of lines run, by gcov; and
where merge, decide, apply and codec have branches that no test takes, each with its reason out of
untaken.txt. Exit code 1: one of them has none there."""
import gzip
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = ("engine", "platform", "sync-server")
# Whose branches count.
EXPLAINED = re.compile(r"sync-server/decide/\w+\.c|engine/store/apply\w*\.c"
                       r"|engine/protocol/(block|changeset|map|merge|message|set|state|value"
                       r"|verdict_row)\.c|engine/base/(frame|json)\.c")


def files_of(build):
    """The answers of gcov about our own sources, over all objects built."""
    for data in sorted(pathlib.Path(build).rglob("*.gcda")):
        answer = subprocess.run(["gcov", "-b", "--json-format", "--stdout", data.name],
                                cwd=data.parent, capture_output=True, check=False).stdout
        if answer[:2] == b"\x1f\x8b":
            answer = gzip.decompress(answer)
        for line in answer.splitlines():
            for file in json.loads(line).get("files", []):
                path = pathlib.Path(file["file"])
                path = path if path.is_absolute() else (pathlib.Path(build) / path).resolve()
                if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
                    yield str(path.relative_to(ROOT)), file["lines"]


def read(build):
    """({path: {line: times run}}, {path: {line: [times taken, branch by branch]}})."""
    runs, branches = {}, {}
    for name, lines in files_of(build):
        for line in lines:
            number = line["line_number"]
            counts = runs.setdefault(name, {})
            counts[number] = counts.get(number, 0) + line["count"]
            taken = [branch["count"] for branch in line.get("branches", [])]
            if taken and EXPLAINED.fullmatch(name):
                # An object in which the line has other branches (an inlined copy) counts apart.
                known = branches.setdefault(name, {}).setdefault((number, len(taken)), taken)
                if known is not taken:
                    known[:] = [a + b for a, b in zip(known, taken)]
    return runs, branches


def rules():
    """[(reason, compiled pattern of "path: line")] of untaken.txt."""
    found, reason = [], ""
    for line in (HERE / "untaken.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            reason = line[2:]
        elif line and not line.startswith("#"):
            found.append((reason, re.compile(line)))
    return found


def explain(branches):
    """Prints each line with a branch that is not taken, by reason; how many have none."""
    known, by_reason, total, untaken = rules(), {}, 0, 0
    for name in sorted(branches):
        source = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for (number, _), taken in sorted(branches[name].items()):
            total += len(taken)
            missing = taken.count(0)
            untaken += missing
            if missing and number <= len(source):
                text = source[number - 1].strip()
                reason = next((why for why, pattern in known
                               if pattern.search(f"{name}: {text}")), "")
                by_reason.setdefault(reason, []).append(
                    f"{name}:{number}: {missing} of {len(taken)}: {text}")
    for reason in sorted(by_reason):
        print(f"\n{reason or 'NO REASON IS KNOWN'}:")
        print("\n".join(f"    {line}" for line in by_reason[reason]))
    print(f"\n{total - untaken} of {total} branches of merge, decide, apply and codec are taken")
    return len(by_reason.get("", []))


def main(build):
    """See the head of the file."""
    runs, branches = read(build)
    total_run = total = 0
    for name, counts in sorted(runs.items()):
        run = sum(1 for count in counts.values() if count)
        total_run, total = total_run + run, total + len(counts)
        print(f"{100 * run / max(len(counts), 1):6.1f} %  {run:5} of {len(counts):5}  {name}")
    unexplained = explain(branches)
    print(f"{100 * total_run / max(total, 1):6.1f} %  {total_run:5} of {total:5}  all lines")
    return 1 if unexplained or not total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
