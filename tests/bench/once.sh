#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# once.sh BENCH SERVER: every kind of figure once, to see that the bench runs with the product as it
# is.
set -eu
folder=$(mktemp -d ./bench_once.XXXXXX)
trap 'rm -rf "$folder"' EXIT
"$1" --once --only-daybook --folder "$folder" --server "$2" local_update_1000 pull one_change_ms \
    decide_batch
