#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test results for tests/run.sh.

summary.py LABEL JUNIT RESULTS [NAMES]
                                 appends "label passed failed skipped why", tab-separated; of the
                                 tests in the file NAMES, a line each, where it is given
summary.py --table RESULTS       prints the table and the last line; exit code 0: nothing failed

A cmocka executable counts once per test function; anything else counts once. A program that crashed
counts one failure besides those it reported. A label without any test is a failure: silence is not
success.
"""
import re
import sys
import xml.etree.ElementTree

OUTPUT_LINES = 60  # of a test that failed, the last ones are shown

OK = re.compile(r"^\[ +OK \] (\S+)", re.M)
FAILED = re.compile(r"^\[ +FAILED +\] ([A-Za-z_]\w*)", re.M)
SKIPPED = re.compile(r"^\[ +SKIPPED \] ([A-Za-z_]\w*)", re.M)


def count_case(case):
    """Passed, failed, skipped, reasons of one ctest test (an XML element)."""
    name = case.get("name")
    output = case.findtext("system-out") or ""
    passed = set(OK.findall(output))
    failed = set(FAILED.findall(output))
    skipped = set(SKIPPED.findall(output)) - failed - passed
    reasons = [f"{name}: {one}" for one in sorted(skipped)]
    status = case.get("status")
    if case.find("skipped") is not None and status != "fail":
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        if "SKIP_RETURN_CODE" in (case.find("skipped").get("message") or ""):
            return 0, 0, 1, [f"{name}: {lines[-1] if lines else 'no reason given'}"]
        return 0, 1, 0, [f"{name}: could not be run"]
    if status == "run":
        return len(passed) or (0 if skipped else 1), len(failed), len(skipped), reasons
    if failed:
        reasons.insert(0, f"{name}: {', '.join(sorted(failed))}")
        return len(passed), len(failed), len(skipped), reasons
    return len(passed), 1, len(skipped), [f"{name}: failed"] + reasons


def summarize(label, junit, results, names=None):
    """Appends the line of one label."""
    total = [0, 0, 0]
    reasons = []
    try:
        cases = list(xml.etree.ElementTree.parse(junit).getroot().iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        cases = []
        reasons.append(f"no report: {error.__class__.__name__}")
    if names is not None:
        with open(names, encoding="utf-8") as file:
            wanted = set(file.read().split())
        cases = [case for case in cases if case.get("name") in wanted]
        missing = wanted - {case.get("name") for case in cases}
        total[1] += len(missing)
        reasons += [f"{name}: not in the report" for name in sorted(missing)]
    for case in cases:
        counts = count_case(case)
        if counts[1]:
            output = (case.findtext("system-out") or "").rstrip().splitlines()
            print("\n".join([f"---- {case.get('name')}"] + output[-OUTPUT_LINES:]))
        total = [a + b for a, b in zip(total, counts)]
        reasons += counts[3]
    if sum(total) == 0:
        total[1] = 1
        reasons.append("no tests")
    with open(results, "a", encoding="utf-8") as file:
        file.write("\t".join([label] + [str(n) for n in total] + ["; ".join(reasons)]) + "\n")


def table(results):
    """Prints all lines and the sum."""
    with open(results, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    print(f"\n{'label':<10} {'passed':>7} {'failed':>7} {'skipped':>8}  why")
    for label, passed, failed, skipped, why in rows:
        print(f"{label:<10} {passed:>7} {failed:>7} {skipped:>8}  {why}".rstrip())
    passed, failed, skipped = (sum(int(row[i]) for row in rows) for i in (1, 2, 3))
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--table":
        sys.exit(table(sys.argv[2]))
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    summarize(*sys.argv[1:])
