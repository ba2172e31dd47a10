#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/bench/run.sh [--profile] [--no-install] [--build FOLDER] [NAME...]: builds the release
# preset and prints the named figures, or all, as README.md says. --profile runs them without the
# raw side under perf and prints where the time went. --build takes the programs of a build folder
# as they are. DAYBOOK_BENCH_FOLDER: where to write, on a disk; build/bench if not set.
# sh tests/bench/run.sh --count: instructions instead of time, beside those of counts.txt;
# --count-store writes them there. --size: bytes of library and server and their parts.
set -eu
cd "$(dirname "$0")/../.."
. tests/support/setup.sh

usage() {
    sed -n '4,9s/^# //p' tests/bench/run.sh
}

profile=no
count=""
size=no
install=yes
build=""
names=""
while [ $# -gt 0 ]; do
    case "$1" in
    --profile) profile=yes ;;
    --count) count=--against ;;
    --count-store) count=--store ;;
    --size) size=yes ;;
    --no-install) install=no ;;
    --build) [ $# -gt 1 ] || { usage >&2 && exit 2; }; shift && build=$1 ;;
    -h | --help) usage && exit 0 ;;
    -*) echo "tests/bench/run.sh: unknown option '$1'" >&2 && usage >&2 && exit 2 ;;
    *) names="$names $1" ;;
    esac
    shift
done

mkdir -p build
if [ -z "$build" ]; then
    build=build/release
    install_packages "$build_packages libcmocka-dev" "$install"
    if ! { cmake --preset release && cmake --build --preset release --target daybook-server \
        --target daybook-bench --target daybook; } >build/bench.log 2>&1; then
        grep -E 'error|FAILED|undefined reference' build/bench.log | head -n 20 >&2 || true
        echo "tests/bench/run.sh: the build failed; see build/bench.log" >&2
        exit 1
    fi
fi

[ $size = no ] || exec sh tests/bench/size.sh "$build"
if [ -n "$count" ]; then
    install_packages "valgrind python3" "$install"
    exec python3 -B tests/bench/count.py "$build/tests/bench/daybook-bench" \
        "$count" tests/bench/counts.txt
fi

place=${DAYBOOK_BENCH_FOLDER:-build/bench}
mkdir -p "$place"
folder=$(mktemp -d "$place/run.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

bench=$build/tests/bench/daybook-bench
server=$build/daybook-server
if [ $profile = no ]; then
    # shellcheck disable=SC2086
    "$bench" --folder "$folder" --server "$server" $names
    exit
fi
if ! command -v perf >/dev/null 2>&1; then
    echo "tests/bench/run.sh: --profile needs perf (package linux-perf)" >&2
    exit 1
fi
# shellcheck disable=SC2086
perf record -q -g -F 1999 -o "$folder/perf.data" -- \
    "$bench" --only-daybook --folder "$folder" --server "$server" $names
python3 -B tests/bench/profile.py "$folder/perf.data" "$bench" "$server"
echo "share, process, library, function (where it was found running):"
perf report -i "$folder/perf.data" --stdio --no-children -g none --sort comm,dso,symbol \
    --percent-limit 0.5 2>/dev/null |
    grep -vE '^(#|$)' | sed 's/  *-  *-  *$//'
