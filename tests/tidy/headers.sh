#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# headers.sh COMPILER STANDARD HEADER SOURCE_FOLDER: compiles one public header alone, twice
# included, with all warnings as errors. Exit code 77: the compiler is not there.
set -eu
compiler=$1 standard=$2 header=$3 root=$4
if ! command -v "$compiler" >/dev/null 2>&1; then
    echo "$compiler is not installed"
    exit 77
fi
case $standard in
c++*) language=c++ ;;
*) language=c ;;
esac
# The warnings are those of a strict app; a header has no say in them.
printf '#include <daybook/%s>\n#include <daybook/%s>\nint main(void) { return 0; }\n' \
    "$header" "$header" |
    "$compiler" -x "$language" "-std=$standard" -fsyntax-only -Wall -Wextra -Wpedantic \
        -Wconversion -Wshadow -Werror -I "$root/engine/include" -
