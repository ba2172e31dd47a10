#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# doxygen.sh SOURCE_FOLDER BUILD_FOLDER: makes the API reference in BUILD_FOLDER/docs; a warning is
# an error.
set -eu
root=$1 build=$2
if ! command -v doxygen >/dev/null 2>&1; then
    echo "doxygen is not installed"
    exit 77
fi
cd "$root"
mkdir -p "$build/docs"
{
    cat docs/Doxyfile
    echo "OUTPUT_DIRECTORY = \"$build/docs\""
} | doxygen - >"$build/docs/doxygen.log" 2>"$build/docs/doxygen.err" || {
    cat "$build/docs/doxygen.err"
    exit 1
}
cat "$build/docs/doxygen.err"
test ! -s "$build/docs/doxygen.err"
test -s "$build/docs/html/index.html"
