#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/run.sh [--no-install] [full] [LABEL...]: everything that can be tested on this machine,
# or the named labels. Installs what is missing by apt (shows the line first), builds with the CMake
# presets into build/, runs ctest per label, ends with a table and the line "N passed, N failed".
# Exit code 0 = all passed.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/support/setup.sh

# Those of the release build run as one, side by side; the others each have a build of their own.
release_labels="unit wire flow proxy sim model vfs kill history fuzz tidy install"
all_labels="$release_labels libfuzzer clang asan tsan"

usage() {
    cat <<EOF
usage: sh tests/run.sh [--no-install] [full] [LABEL...]
Without a label all of these run: $all_labels
  unit wire flow model tidy install  tests of the release build (gcc)
  proxy                              the same through a proxy that cuts, stalls and slows the line
  sim                                random days on a simulated clock, network and disk
  vfs                                a disk that goes wrong at each of its operations
  kill                               processes killed while they write: at random, and at each third
                                     write (full: at each)
  history                            ten devices and a server under faults; what they saw is judged
  fuzz                               the corpora of the fuzzers, each input once
  libfuzzer                          libFuzzer with ASan and UBSan, DAYBOOK_FUZZ_SECONDS (5) for
                                     each target
  clang                              the whole tree compiles without a warning with clang
  asan                               unit, sim and a share of the flows under AddressSanitizer,
                                     LeakSanitizer and UndefinedBehaviorSanitizer
  tsan                               what has threads under ThreadSanitizer, with the same flows
  coverage                           unit, wire, flow, proxy, sim, fuzz: the share of lines run, and
                                     the branches of merge, decide, apply and codec that no test
                                     takes, with the reason of each
  valgrind                           a share of the flows under valgrind, their servers too
  drill                              known bugs, planted one at a time: which label catches each
full gives unit, sim, vfs, kill, history and libfuzzer the shares for a release, and the sanitizers
and valgrind all flows; it takes hours. Any range:
  DAYBOOK_SIM_FIRST=n DAYBOOK_SIM_SEEDS=m sh tests/run.sh sim
  DAYBOOK_HISTORY_RUNS=100 DAYBOOK_HISTORY_SECONDS=100 sh tests/run.sh history
  DAYBOOK_DECIDE_FAULTS=30 DAYBOOK_STORE_FAULTS=50 sh tests/run.sh unit
                                       failures in the middle of each decision, reply and commit
  DAYBOOK_RANDOM_FIRST=n DAYBOOK_RANDOM_WORLDS=400 sh tests/run.sh unit   random decisions
  DAYBOOK_VFS_PLAYS=0 sh tests/run.sh vfs          every point of every flow
  DAYBOOK_KILLS=10000 sh tests/run.sh kill
--no-install prints the apt line and stops if a package is missing.
EOF
}

# What is not set yet is set to the share for a release.
take_full_shares() {
    full=yes
    asan_seeds=${DAYBOOK_SIM_SEEDS:-100}
    tsan_seeds=${DAYBOOK_SIM_SEEDS:-20}
    export DAYBOOK_SIM_SEEDS="${DAYBOOK_SIM_SEEDS:-2000}"
    export DAYBOOK_VFS_PLAYS="${DAYBOOK_VFS_PLAYS:-20}"
    export DAYBOOK_DECIDE_FAULTS="${DAYBOOK_DECIDE_FAULTS:-5}"
    export DAYBOOK_STORE_FAULTS="${DAYBOOK_STORE_FAULTS:-20}"
    export DAYBOOK_RANDOM_WORLDS="${DAYBOOK_RANDOM_WORLDS:-400}"
    export DAYBOOK_KILLS="${DAYBOOK_KILLS:-500}"
    export DAYBOOK_KILL_STEP="${DAYBOOK_KILL_STEP:-1}"
    export DAYBOOK_HISTORY_SECONDS="${DAYBOOK_HISTORY_SECONDS:-120}"
    export DAYBOOK_FUZZ_SECONDS="${DAYBOOK_FUZZ_SECONDS:-30}"
}

install=yes
full=no
labels=""
for argument in "$@"; do
    case "$argument" in
    --no-install) install=no ;;
    -h | --help) usage && exit 0 ;;
    full) take_full_shares ;;
    *)
        case " $all_labels coverage valgrind drill " in
        *" $argument "*) labels="$labels $argument" ;;
        *) echo "tests/run.sh: unknown label or option '$argument'" >&2 && usage >&2 && exit 2 ;;
        esac
        ;;
    esac
done
[ -n "$labels" ] || labels=$all_labels
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# Half of the time a test waits, for a disk, a server or the clock.
test_jobs=$((2 * jobs))

# A copy of the tree that a test builds finds in ccache what has been built here.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

# ---- build and run -------------------------------------------------------------------------------
# Builds one preset once; says so in built_<preset>. Arguments: preset, target (all).
build() {
    state_name=built_$(echo "$1" | tr - _)
    eval "state=\${$state_name:-}"
    if [ -z "$state" ]; then
        echo "== build $1"
        linker=""
        if command -v mold >/dev/null 2>&1; then
            linker="-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold"
            linker="$linker -DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=mold"
        fi
        # shellcheck disable=SC2086
        if { cmake --preset "$1" $linker &&
            cmake --build --preset "$1" -j "$jobs" ${2:+--target "$2"}; } >"build/$1.log" 2>&1; then
            state=good
        else
            state=bad
            grep -nE 'error|warning|FAILED|undefined reference' "build/$1.log" | head -n 40
            tail -n 15 "build/$1.log"
            echo "(the whole log: build/$1.log)"
        fi
        eval "$state_name=$state"
    fi
    [ "$state" = good ]
}

# Adds a line to the table. Arguments: label, passed, failed, skipped, why.
note() {
    printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>build/results
}

# Runs the tests of a build whose ctest labels match, and leaves a report of that name. Arguments:
# report, preset, expression.
run_tests() {
    echo "== $1"
    rm -f "build/$1.xml"
    $no_aslr ctest --test-dir "build/$2" -L "$3" -j "$test_jobs" --output-on-failure \
        --no-tests=ignore \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$PWD/build/$1.xml" >"build/$1.ctest.log" 2>&1
    grep -E '^ *[0-9]+/[0-9]+ ' "build/$1.ctest.log"
}

# The names of the tests of a build whose labels match. Arguments: preset, expression.
test_names() {
    ctest --test-dir "build/$1" -N -L "$2" | sed -n 's/^ *Test *#[0-9]*: //p'
}

# All of the labels that the release build has, one line of the table for each.
run_release_labels() {
    if ! build release; then
        for label in "$@"; do
            note "$label" 0 1 0 "the release build failed"
        done
        return
    fi
    run_tests release release "^($(echo "$*" | tr ' ' '|'))\$"
    for label in "$@"; do
        test_names release "^$label\$" >"build/$label.names"
        python3 tests/summary.py "$label" build/release.xml build/results "build/$label.names"
        # What the runs were like: a fault that never struck proves nothing.
        if [ "$label" = history ]; then
            sed -n '/<testcase name="history_/,/<\/testcase>/{
                s/^.*<system-out>//; /^replay: /p; /^  [0-9a-z]/p; }' build/release.xml
        fi
    done
}

# The tests of a sanitizer's build. Arguments: label, preset, expression, target of the build (all).
run_sanitized() {
    if build "$2" "${4:-}"; then
        run_tests "$1" "$2" "$3"
        python3 tests/summary.py "$1" "build/$1.xml" build/results
    else
        note "$1" 0 1 0 "the $2 build failed"
    fi
}

# ThreadSanitizer of gcc 12 cannot place its memory under some kernels' address randomisation: finds
# out, and whether it helps to switch that off for the tests. Sets no_aslr; false when
# ThreadSanitizer cannot run at all.
tsan_works() {
    echo 'int main(void) { return 0; }' >build/probe.c
    gcc -fsanitize=thread build/probe.c -o build/probe 2>build/probe.log || return 1
    i=0
    while [ $i -lt 5 ]; do
        build/probe 2>/dev/null || break
        i=$((i + 1))
    done
    [ $i -lt 5 ] || return 0
    no_aslr="setarch $(uname -m) -R"
    $no_aslr build/probe 2>/dev/null
}

run_label() {
    no_aslr=""
    case "$1" in
    libfuzzer)
        if ! build fuzz; then
            note libfuzzer 0 1 0 "the fuzz build failed"
        elif sh tests/fuzz/fuzz.sh build/fuzz; then
            note libfuzzer 1 0 0 ""
        else
            note libfuzzer 0 1 0 "an input failed"
        fi
        ;;
    clang)
        preset=clang-asan # which asan needs anyway; what optimising makes clang see is full's
        [ $full = no ] || preset=clang-release
        if build $preset; then
            note clang 1 0 0 ""
        else
            note clang 0 1 0 "the $preset build failed"
        fi
        ;;
    asan)
        expression='^(unit|share|sim)$'
        [ $full = no ] || expression='^(unit|flow|proxy|sim|model)$' DAYBOOK_SIM_SEEDS=$asan_seeds
        run_sanitized asan clang-asan "$expression"
        ;;
    tsan)
        expression='^(threads|share|sim)$'
        [ $full = no ] || expression='^(threads|flow|proxy|sim)$' DAYBOOK_SIM_SEEDS=$tsan_seeds
        if tsan_works; then
            run_sanitized tsan tsan "$expression" threaded
        else
            note tsan 0 0 1 "ThreadSanitizer does not run under this kernel"
        fi
        ;;
    coverage)
        export DAYBOOK_SIM_SEEDS="${DAYBOOK_SIM_SEEDS:-300}"
        export DAYBOOK_DECIDE_FAULTS="${DAYBOOK_DECIDE_FAULTS:-20}"
        export DAYBOOK_STORE_FAULTS="${DAYBOOK_STORE_FAULTS:-20}"
        run_sanitized coverage coverage '^(unit|wire|flow|proxy|sim|fuzz)$'
        python3 tests/coverage.py build/coverage || note coverage 0 1 0 "a branch has no reason"
        ;;
    valgrind)
        expression='^share$'
        [ $full = no ] || expression='^flow$'
        if ! build release; then
            note valgrind 0 1 0 "the release build failed"
            return
        fi
        names=$(test_names release "$expression")
        # shellcheck disable=SC2086
        if sh tests/valgrind.sh build/release $names; then
            note valgrind "$(echo "$names" | wc -l)" 0 0 ""
        else
            note valgrind 0 1 0 "valgrind found something, or a flow failed"
        fi
        ;;
    drill)
        if python3 -B tests/drill/run.py; then
            note drill 1 0 0 ""
        else
            note drill 0 1 0 "a planted bug was not caught"
        fi
        ;;
    esac
}

mkdir -p build
case " $labels " in
*" valgrind "*) test_packages="$test_packages valgrind" ;;
esac
install_packages "$build_packages $test_packages" "$install"
: >build/results
released=""
for label in $labels; do
    case " $release_labels " in
    *" $label "*) released="$released $label" ;;
    esac
done
no_aslr=""
# shellcheck disable=SC2086
[ -z "$released" ] || run_release_labels $released
for label in $labels; do
    run_label "$label"
done

python3 tests/summary.py --table build/results
