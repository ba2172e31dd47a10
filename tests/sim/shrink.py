#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the fewest steps of a simulated day that still fail.

shrink.py SEED [PROGRAM]    PROGRAM: build/release/tests/sim_days

Leaves out blocks of steps, halved until they are single ones, as long as the day fails with the
same kind of message; then prints the line that runs what is left.
"""

import os
import re
import subprocess
import sys

STEPS_MAX = 200


def ranges(steps):
    """Step numbers as "a-b,c"."""
    out, steps = [], sorted(steps)
    while steps:
        last = 0
        while last + 1 < len(steps) and steps[last + 1] == steps[last] + 1:
            last += 1
        out.append(str(steps[0]) if last == 0 else f"{steps[0]}-{steps[last]}")
        steps = steps[last + 1 :]
    return ",".join(out)


def failure(program, seed, skipped):
    """The message of the failed day without what names a value; None: it passes."""
    environment = dict(os.environ, DAYBOOK_SIM_FIRST=seed, DAYBOOK_SIM_SEEDS="1")
    environment["DAYBOOK_SIM_SKIP"] = ranges(skipped)
    run = subprocess.run([program], env=environment, capture_output=True, text=True)
    found = re.search(r"^seed \d+: (.*)$", run.stderr + run.stdout, re.MULTILINE)
    if run.returncode == 0:
        return None
    text = found.group(1) if found else "crash"
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|/\S+", "#", text)[:40]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    seed = sys.argv[1]
    program = sys.argv[2] if len(sys.argv) > 2 else "build/release/tests/sim_days"
    wanted = failure(program, seed, [])
    if wanted is None:
        sys.exit(f"seed {seed} passes")
    skipped = set()
    size = STEPS_MAX // 2
    while size >= 1:
        for first in range(1, STEPS_MAX + 1, size):
            more = skipped | set(range(first, min(first + size, STEPS_MAX + 1)))
            if more != skipped and failure(program, seed, more) == wanted:
                skipped = more
        print(f"blocks of {size}: {STEPS_MAX - len(skipped)} steps left", file=sys.stderr)
        size //= 2
    print(
        f"DAYBOOK_SIM_FIRST={seed} DAYBOOK_SIM_SEEDS=1 DAYBOOK_SIM_TRACE=1"
        f" DAYBOOK_SIM_SKIP={ranges(skipped)} {program}"
    )


main()
