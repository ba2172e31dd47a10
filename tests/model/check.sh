#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh check.sh MODEL_RUN [OPTION...]: plays scenarios and lets the reference model judge them.
# Options are model_run's.
set -u
run=$1
shift
lines=$(mktemp) || exit 2
trap 'rm -f "$lines"' EXIT
"$run" "$@" "$lines" && python3 -B "$(dirname "$0")/reference.py" "$lines"
