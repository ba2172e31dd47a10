#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference model's command line.

It reads scenarios as JSON lines (steps of two devices, and what came out of the real engines and
the real server), works out from the written semantics what must come out, and compares.

    reference.py [--show N] FILE...        compare; prints the first N scenarios that differ
    reference.py --explain ID FILE...      how the model decides one scenario, step by step
    reference.py --self-test               worked examples of the documents, against the model

Exit code 1 if any scenario differs, 2 if a file cannot be read. FILE `-` is the standard input.
The model is in reference_model/.
"""

from __future__ import annotations

import argparse
import sys

from reference_model.compare import check_files, explain
from reference_model.self_test import self_test


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", type=int, default=10, metavar="N", help="print N that differ")
    parser.add_argument("--explain", metavar="ID", help="how one scenario is decided")
    parser.add_argument("--self-test", action="store_true", help="check the model by examples")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if not options.files:
        parser.error("no FILE")
    try:
        if options.explain is not None:
            return explain(options.files, options.explain)
        return check_files(options.files, options.show)
    except (OSError, ValueError) as error:
        print(f"reference.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
