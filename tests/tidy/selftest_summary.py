#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that tests/summary.py counts what failed as failed, and takes silence for a failure."""
import contextlib
import io
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import summary  # noqa: E402 (found by the line above)

TWO_OK = "[ RUN      ] test_a__x\n[       OK ] test_a__x\n[       OK ] test_a__y\n"
ONE_BAD = "[       OK ] test_a__x\n[  FAILED  ] test_a__y\n[  FAILED  ] 1 test(s), listed below:\n"
SKIP = '<skipped message="SKIP_RETURN_CODE=77"/>'
NOT_RUN = '<skipped message="Unable to find executable"/>'

# status, element within the test case, output; then passed, failed, skipped
CASES = [
    (("run", "", "hello"), (1, 0, 0)),
    (("run", "", TWO_OK), (2, 0, 0)),
    (("run", "", TWO_OK + "[  SKIPPED ] test_a__z\n"), (2, 0, 1)),
    (("run", "", "[  SKIPPED ] test_a__z\n"), (0, 0, 1)),
    (("fail", "<failure/>", ONE_BAD), (1, 1, 0)),
    (("fail", "<failure/>", TWO_OK), (2, 1, 0)),
    (("fail", "<failure/>", ""), (0, 1, 0)),
    (("notrun", SKIP, "no such file system\n"), (0, 0, 1)),
    (("notrun", NOT_RUN, ""), (0, 1, 0)),
]


def run(cases):
    """The table's counts and the exit code for these test cases; None: ctest left no report."""
    with tempfile.TemporaryDirectory() as folder:
        junit, results = f"{folder}/junit.xml", f"{folder}/results"
        if cases is not None:
            elements = "".join(f'<testcase name="t" status="{status}">{inner}'
                               f"<system-out>{output}</system-out></testcase>"
                               for status, inner, output in cases)
            pathlib.Path(junit).write_text(f"<testsuite>{elements}</testsuite>", encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            summary.summarize("unit", junit, results)
            code = summary.table(results)
        row = pathlib.Path(results).read_text(encoding="utf-8").split("\t")
        return tuple(int(number) for number in row[1:4]), code


def named():
    """The counts of two labels that share a report, and of one whose test is not in it."""
    with tempfile.TemporaryDirectory() as folder:
        junit, results, names = f"{folder}/junit.xml", f"{folder}/results", f"{folder}/names"
        elements = "".join(f'<testcase name="{name}" status="run"><system-out>{output}</system-out>'
                           "</testcase>" for name, output in (("a", TWO_OK), ("b", "hello")))
        pathlib.Path(junit).write_text(f"<testsuite>{elements}</testsuite>", encoding="utf-8")
        for wanted in ("a\n", "b\n", "b\nc\n", ""):
            pathlib.Path(names).write_text(wanted, encoding="utf-8")
            summary.summarize("unit", junit, results, names)
        rows = pathlib.Path(results).read_text(encoding="utf-8").splitlines()
        return [tuple(int(number) for number in row.split("\t")[1:4]) for row in rows]


def main():
    """Exit code 1 when a count or an exit code is not the expected one."""
    expected = [([case], counts) for case, counts in CASES]
    expected.append(([case for case, _ in CASES], (8, 4, 3)))
    expected += [([], (0, 1, 0)), (None, (0, 1, 0))]
    wrong = 0
    for cases, counts in expected:
        code = 0 if counts[1] == 0 and counts[0] > 0 else 1
        if run(cases) != (counts, code):
            print(f"expected {counts} and {code}, got {run(cases)}: {cases}")
            wrong += 1
    counts = named()
    if counts != [(2, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]:
        print(f"of named tests: {counts}")
        wrong += 1
    print(f"{len(expected) + 1} reports, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
