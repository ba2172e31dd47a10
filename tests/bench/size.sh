#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# size.sh BUILD: bytes of a release build's library and server, stripped, with their parts: code and
# data of our own by folder, and of each library that they are linked with, as they are on this
# machine. SIZE program part bytes, tab-separated.
set -eu
build=${1:?usage: size.sh BUILD}
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT

# Code and data in memory of some objects or libraries, summed.
memory_of() {
    size "$@" | awk 'NR > 1 { sum += $1 + $2 + $3 } END { print sum + 0 }'
}

# Program, its file, its folders of code.
tell() {
    name=$1
    file=$2
    shift 2
    strip -o "$stripped" "$file"
    printf 'SIZE\t%s\tfile\t%s\n' "$name" "$(wc -c <"$stripped" | tr -d ' ')"
    total=0
    for folder in "$@"; do
        # The same source is compiled for several targets; each counts once.
        objects=$(find "$build" -path "*/$folder/*.c.o" -not -path '*/tests/*' |
            awk -v folder="$folder/" '{
                at = index($0, "/" folder)
                name = substr($0, at)
                if (!seen[name]++) print
            }')
        # shellcheck disable=SC2086
        bytes=$(memory_of $objects)
        total=$((total + bytes))
        printf 'SIZE\t%s\t%s\t%s\n' "$name" "$folder" "$bytes"
    done
    printf 'SIZE\t%s\town\t%s\n' "$name" "$total"
    readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
        path=$(ldd "$file" | awk -v name="$library" '$1 == name { print $3 }')
        case "$library" in
        libc.so* | libm.so* | ld-linux*) ;;
        *) printf 'SIZE\t%s\t%s\t%s\n' "$name" "$library" "$(memory_of "$path")" ;;
        esac
    done
}

engine="engine/api engine/sync engine/store engine/sales engine/protocol engine/base"
# shellcheck disable=SC2086
tell libdaybook "$build/libdaybook.so" $engine platform
# shellcheck disable=SC2086
tell daybook-server "$build/daybook-server" sync-server engine/sales engine/protocol engine/base
