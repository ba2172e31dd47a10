#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/fuzz/fuzz.sh BUILD [TARGET...]: runs libFuzzer for DAYBOOK_FUZZ_SECONDS (5) on each
# target of a build of the preset fuzz, as many at a time as there are processors; without a name on
# all. What it finds worth keeping goes into BUILD/found/TARGET and is where the next run begins. An
# input that fails is kept in BUILD/failed. Ends with a table: target, executions, seconds. Exit
# code 0: no input failed.
#
# To take what was found into the repository, the fewest inputs that reach all of it:
#   mkdir new && build/fuzz/tests/fuzz/fuzz_TARGET -merge=1 new build/fuzz/found/TARGET
set -u
seconds=${DAYBOOK_FUZZ_SECONDS:-5}
here=$(dirname "$0")

# What libFuzzer must know of a target.
options_of() {
    case "$1" in
    days) echo "-max_len=304 -timeout=0" ;; # its clock is the laboratory's
    database) echo "-max_len=256 -len_control=0" ;;
    frame) echo "-max_len=4096 -malloc_limit_mb=16" ;; # no frame takes more
    reply | service) echo "-max_len=4096 -len_control=0" ;;
    request) echo "-max_len=9000" ;;
    *) echo "-max_len=4096 -malloc_limit_mb=128" ;;
    esac
}

# Arguments: folder of the build, target. One line of the table; false where an input failed.
run_one() {
    program=$1/tests/fuzz/fuzz_$2
    found=$1/found/$2
    log=$1/fuzz_$2.log
    files=$(mktemp -d "$(test -w /dev/shm && echo /dev/shm || echo /tmp)/daybook_fuzz.XXXXXX")
    mkdir -p "$found" "$1/failed"
    begin=$(date +%s)
    # shellcheck disable=SC2046
    TMPDIR=$files "$program" $(options_of "$2") -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix="$1/failed/$2-" "$found" "$here/corpus/$2" >"$log" 2>&1
    result=$?
    rm -rf "$files"
    done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$2 $result ${done:-?} $(($(date +%s) - begin))" >"$log.line"
    [ $result = 0 ] && return
    echo "---- fuzz_$2"
    grep -vE '^#[0-9]|NEW_FUNC' "$log" | tail -n 40
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "again: $program ${input:-(no input was written)}"
    false
}

if [ "${1:-}" = --one ]; then
    run_one "$2" "$3"
    exit
fi
build=${1:?usage: sh tests/fuzz/fuzz.sh BUILD [TARGET...]}
shift
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
for target in "$@"; do
    echo "$target"
done | xargs -n 1 -P "$jobs" sh "$0" --one "$build"
result=$?
printf '%-10s %14s %8s\n' target executions seconds
for target in "$@"; do
    read -r name status done seconds <"$build/fuzz_$target.log.line"
    printf '%-10s %14s %8s %s\n' "$name" "$done" "$seconds" \
        "$([ "$status" = 0 ] || echo FAILED)"
done
[ $result = 0 ]
