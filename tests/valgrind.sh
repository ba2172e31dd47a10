#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh tests/valgrind.sh BUILD TEST...: runs programs of a build under valgrind, the servers that they
# start too, as many at a time as there are processors. A line for each; what valgrind found is in
# BUILD/valgrind. Exit code 0: nothing, and all passed.
set -u
check="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"

if [ "${1:-}" = --one ]; then
    folder=$2/valgrind
    export DAYBOOK_BUILD_DIR="$2" DAYBOOK_SERVER="$folder/server"
    began=$(date +%s)
    $check --log-file="$folder/$3.%p" "$(find "$2/tests" -name "$3" -type f)" \
        >"$folder/$3.out" 2>&1
    result=$?
    # Processes that ended as they should have left nothing.
    find "$folder" -name "$3.[0-9]*" -size 0 -exec rm {} +
    echo "$3: $([ $result = 0 ] && echo passed || echo FAILED), $(($(date +%s) - began)) s"
    grep 'SKIPPED' "$folder/$3.out"
    [ $result = 0 ] || tail -n 20 "$folder/$3.out"
    exit $result
fi
build=$(cd "${1:?usage: sh tests/valgrind.sh BUILD TEST...}" && pwd)
shift
[ $# -gt 0 ] || { echo "valgrind.sh: no test is named" >&2 && exit 2; }
DAYBOOK_SOURCE_DIR=$(cd "$(dirname "$0")/.." && pwd)
export DAYBOOK_SOURCE_DIR
rm -rf "$build/valgrind"
mkdir "$build/valgrind"
printf '#!/bin/sh\nexec %s --log-file="%s/valgrind/server.%%p" %s/daybook-server "$@"\n' \
    "$check" "$build" "$build" >"$build/valgrind/server"
chmod +x "$build/valgrind/server"
for name in "$@"; do
    echo "$name"
done | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" \
    sh "$0" --one "$build"
result=$?
# A server's exit code is not always looked at, its log is.
find "$build/valgrind" -name 'server.[0-9]*' -size 0 -exec rm {} +
found=$(find "$build/valgrind" -name '*.[0-9]*' | head -n 5)
for log in $found; do
    echo "---- $log" && head -n 40 "$log"
done
[ $result = 0 ] && [ -z "$found" ]
