#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exports.sh LIBRARY SOURCE_FOLDER: the shared library exports the functions that the public headers
# declare with DAYBOOK_API, all of them and nothing else, and has the SONAME libdaybook.so.0.
set -eu
library=$1 root=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-exports.XXXXXX")
trap 'rm -rf "$folder"' EXIT INT TERM

nm -D --defined-only "$library" | awk '$2 ~ /[TDBRW]/ { sub(/@.*/, "", $3); print $3 }' |
    LC_ALL=C sort -u >"$folder/exported"
# Found in another way than the build does: by the preprocessor, which also drops the comments.
for header in "$root"/engine/include/daybook/*.h; do
    cc -E -P -I "$root/engine/include" -include "$header" -x c /dev/null
done | tr '\n' ' ' | tr ';' '\n' | grep -v 'typedef' | grep -oE '\bdaybook_[a-z0-9_]+\(' |
    tr -d '(' | LC_ALL=C sort -u >"$folder/declared"
test -s "$folder/declared"
diff "$folder/declared" "$folder/exported" || {
    echo "< declared in the headers, > exported by the library"
    exit 1
}
readelf -d "$library" | grep -q 'SONAME.*\[libdaybook\.so\.0\]'
echo "$(wc -l <"$folder/exported") functions"
