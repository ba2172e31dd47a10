#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Histories of ten devices under faults.

    run.py --worker PROGRAM     play runs and judge them
    run.py --self-test          histories that are wrong in one way each must be found

The environment says how: DAYBOOK_HISTORY_RUNS (1), DAYBOOK_HISTORY_SECONDS of load each (30),
DAYBOOK_HISTORY_SEED of the first run (by the clock), DAYBOOK_HISTORY_RATE transactions per second
(40), DAYBOOK_HISTORY_STOP to end at the first run that is wrong; DAYBOOK_SERVER is the server
program. A run that fails keeps its folder and says how to play
it again, as far as chance is ours. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter

from histories.nemesis import CLASSES
from histories.play import Result, play
from histories.self_test import self_test

ALL_CLASSES_S = 100  # whoever plays for so long meets every class of faults


def setting(name: str, fallback: str) -> str:
    return os.environ.get(f"DAYBOOK_HISTORY_{name}") or fallback


def run_one(worker: str, seed: int, seconds: float, rate: float) -> Result:
    """Plays one run and prints what came of it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="daybook_history."))
    print(f"replay: DAYBOOK_HISTORY_SEED={seed} DAYBOOK_HISTORY_SECONDS={seconds:g} "
          "sh tests/run.sh history", flush=True)
    result = play(folder, worker, seed, seconds, rate)
    print("".join(f"  {line}\n" for line in result.lines + result.wrong), end="", flush=True)
    if result.wrong:
        print(f"  FAILED; everything is in {folder}", flush=True)
    else:
        shutil.rmtree(folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true", help="check the judge")
    parser.add_argument("--worker", metavar="PROGRAM", help="the device program")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if not options.worker:
        parser.error("no --worker")
    if not os.environ.get("DAYBOOK_SERVER"):
        print("DAYBOOK_SERVER does not name a daybook-server")
        return 77
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends all it began
    runs = int(setting("RUNS", "1"))
    seconds = float(setting("SECONDS", "30"))
    rate = float(setting("RATE", "40"))
    seed = int(setting("SEED", str(time.time_ns() // 1000000 % 1000000000)))
    failed, struck = 0, Counter()
    for i in range(runs):
        result = run_one(options.worker, seed + i, seconds, rate)
        failed += bool(result.wrong)
        struck += result.struck
        if failed and setting("STOP", ""):
            return 1
    missing = [name for name in CLASSES if not struck[name]]
    if missing and runs * seconds >= ALL_CLASSES_S:
        print(f"no fault of these classes has struck: {', '.join(missing)}")
        failed = max(failed, 1)
    print(f"{runs - failed} of {runs} runs passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
