#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--list | --check] [NAME...]: plants the known bugs of bugs/ one at a time into a copy of
the tree, builds it, and shows which machine catches each, and how fast. Exit code 0: all were
caught by every machine that a bug names. --check: only that each bug can still be planted.

A bug is a file: what a user would meet, in lines that begin with #; `file: PATH`; `by: MACHINE...`;
and pairs of texts, each a line `<<<<`, the text as it stands, once in the file, `====`, the text
with the bug, `>>>>`. A machine is a label of ctest, or one test's name.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LABELS = ("unit", "wire", "flow", "proxy", "sim", "model", "vfs", "kill", "history", "fuzz")
# Longer than by default: a machine of chance has the time that it has before a release.
SECONDS = {"sim": "600", "kill": "600", "history": "600", "vfs": "900"}
ENVIRONMENT = {
    "sim": {"DAYBOOK_SIM_SECONDS": "600", "DAYBOOK_SIM_SEEDS": "2000"},
    "history": {"DAYBOOK_HISTORY_SECONDS": "60", "DAYBOOK_HISTORY_RUNS": "5",
                "DAYBOOK_HISTORY_STOP": "1"},
    "vfs": {"DAYBOOK_VFS_PLAYS": "6"},
}


class Bug:
    """One planted bug, read from its file."""

    def __init__(self, path):
        self.name = path.stem
        self.about, self.changes, self.by, self.file = [], [], [], ""
        lines = path.read_text(encoding="utf-8").split("\n")
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if line.startswith("#"):
                self.about.append(line[1:].strip())
            elif line.startswith("file: "):
                self.file = line[len("file: "):]
            elif line.startswith("by: "):
                self.by = line[len("by: "):].split()
            elif line == "<<<<":
                middle, end = lines.index("====", at), lines.index(">>>>", at)
                self.changes.append((self.file, "\n".join(lines[at:middle]),
                                     "\n".join(lines[middle + 1:end])))
                at = end + 1
            elif line:
                raise ValueError(f"{path}: what is {line!r}?")

    def problems(self, root):
        """Why it cannot be planted there; none where it can."""
        found = [] if self.about and self.by and self.changes else ["says too little"]
        for file, old, _ in self.changes:
            path = root / file
            count = path.read_text(encoding="utf-8").count(old) if path.is_file() else 0
            if count != 1:
                found.append(f"{file} has the text {count} times: {old.strip().splitlines()[0]}")
        return found

    def plant(self, root):
        """Writes the bug into a tree; what stood there before, by path."""
        before = {}
        for file, old, new in self.changes:
            path = root / file
            text = path.read_text(encoding="utf-8")
            before.setdefault(path, text)
            path.write_text(text.replace(old, new), encoding="utf-8")
        return before


def copy_tree():
    """The tree as git knows it, with what is changed and not committed, in build/drill/tree. A file
    that is the same keeps its time, so that it is not built again."""
    tree = ROOT / "build" / "drill" / "tree"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.splitlines()
    for name in listed:
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    for path in sorted(tree.rglob("*"), reverse=True):
        name = path.relative_to(tree)
        if path.is_file() and name.parts[0] != "build" and not (ROOT / name).is_file():
            path.unlink()
    return tree


def build(tree):
    """Builds the release preset; the last lines of what was said where that fails, else None."""
    jobs = str(os.cpu_count() or 1)
    linker = [f"-DCMAKE_{kind}_LINKER_FLAGS=-fuse-ld=mold" for kind in ("EXE", "SHARED")
              if shutil.which("mold")]
    for command in (["cmake", "--preset", "release", "-DDAYBOOK_WARNINGS_AS_ERRORS=OFF", *linker],
                    ["cmake", "--build", "--preset", "release", "-j", jobs]):
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return (done.stdout + done.stderr)[-2000:]
    return None


def catches(tree, machine):
    """Whether the machine fails, which is what is wanted, and what it said first."""
    select = ["-L", f"^{machine}$"] if machine in LABELS else ["-R", f"^{machine}$"]
    environment = {**os.environ, **ENVIRONMENT.get(machine, {})}
    command = ["ctest", "--test-dir", "build/release", *select, "--stop-on-failure",
               "--output-on-failure", "--no-tests=error", "-j", str(os.cpu_count() or 1)]
    if machine in SECONDS:
        command += ["--timeout", SECONDS[machine]]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True,
                          errors="replace", check=False)
    if "No tests were found" in done.stdout + done.stderr:
        raise ValueError(f"there is no machine {machine}")
    said = [line for line in done.stdout.splitlines()
            if "***" in line or line.startswith(("seed ", "[  FAILED  ]"))]
    return done.returncode != 0, said[0].strip()[:100] if said else ""


def drill(bug, tree):
    """Plants one bug and runs its machines; True where all of them caught it."""
    before = bug.plant(tree)
    try:
        wrong = build(tree)
        if wrong:
            print(f"{bug.name}: does not build\n{wrong}", flush=True)
            return False
        good = True
        for machine in bug.by:
            began = time.monotonic()
            caught, said = catches(tree, machine)
            good = good and caught
            print(f"{bug.name}\t{machine}\t{'caught' if caught else 'NOT CAUGHT'}"
                  f"\t{time.monotonic() - began:.1f} s\t{said}", flush=True)
        return good
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")


def main(arguments):
    """See the head of the file."""
    names = [name for name in arguments if not name.startswith("--")]
    bugs = [Bug(path) for path in sorted((HERE / "bugs").glob("*.bug"))]
    unknown = set(names) - {bug.name for bug in bugs}
    options = set(arguments) - set(names)
    if unknown or options - {"--list", "--check"}:
        print(f"unknown: {' '.join(unknown) or ' '.join(arguments)}\n\n{__doc__}", file=sys.stderr)
        return 2
    bugs = [bug for bug in bugs if not names or bug.name in names]
    problems = [f"{bug.name}: {problem}" for bug in bugs for problem in bug.problems(ROOT)]
    if problems or "--check" in arguments:
        print("\n".join(problems) or f"{len(bugs)} bugs can be planted")
        return 1 if problems else 0
    if "--list" in arguments:
        for bug in bugs:
            print(f"{bug.name} ({bug.file}; by {', '.join(bug.by)})\n    {' '.join(bug.about)}")
        return 0
    tree = copy_tree()
    failed = [bug.name for bug in bugs if not drill(bug, tree)]
    print(f"{len(bugs) - len(failed)} of {len(bugs)} bugs caught" +
          (f"; not: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
