#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# consume.sh WAY SOURCE_FOLDER BUILD_FOLDER: installs the build into a fresh prefix, moves that
# elsewhere, builds the app of this folder against it in the named way and runs it: it opens a
# store, commits a record and reads it back.
set -eu
way=$1 root=$2 build=$3
here=$root/tests/install
folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-install.XXXXXX")
trap 'rm -rf "$folder"' EXIT INT TERM

# An installed tree must not depend on where it was first put.
cmake --install "$build" --prefix "$folder/first" >"$folder/log"
mv "$folder/first" "$folder/prefix"
prefix=$folder/prefix
library=$(dirname "$(find "$prefix" -name 'libdaybook.so.0')")

# Builds a folder of this one by CMake. Arguments: folder, further arguments.
by_cmake() {
    source=$1
    shift
    {
        cmake -S "$here/$source" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" &&
            cmake --build "$folder/build" -j 2
    } >>"$folder/log" 2>&1 || {
        cat "$folder/log"
        exit 1
    }
    cp "$folder/build/app" "$folder/app"
}

# Builds the app by one line with cc. Argument: name of the package.
by_line() {
    PKG_CONFIG_PATH=$library/pkgconfig
    export PKG_CONFIG_PATH
    pkg-config --exists --print-errors "$1"
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror -o "$folder/app" "$here/app.c" \
        $(pkg-config --cflags --libs "$1")
}

case $way in
find_package) by_cmake find_package -DCMAKE_PREFIX_PATH="$prefix" ;;
find_package_static) by_cmake find_package -DCMAKE_PREFIX_PATH="$prefix" -DSTATIC=ON ;;
pkg_config) by_line daybook ;;
pkg_config_static) by_line daybook-static ;;
add_subdirectory) by_cmake add_subdirectory -DDAYBOOK_SOURCE="$root" ;;
server)
    server=$(find "$prefix" -name daybook-server -type f)
    test -x "$server"
    "$server" --version
    exit 0
    ;;
*) echo "unknown way: $way" && exit 2 ;;
esac

mkdir "$folder/data"
LD_LIBRARY_PATH=$library "$folder/app" "$folder/data/store.db"
case $way in
*static)
    if readelf -d "$folder/app" | grep -q 'NEEDED.*libdaybook'; then
        echo "the app needs the shared library although it was linked with the archive"
        exit 1
    fi
    ;;
find_package | pkg_config) readelf -d "$folder/app" | grep -q 'NEEDED.*\[libdaybook\.so\.0\]' ;;
esac
