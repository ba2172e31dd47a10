#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# add_an_entity.sh SOURCE_FOLDER: does what examples/add_an_entity.md says to a copy of the tree,
# builds it, and syncs a record of the new entity from a device that had a store before, through the
# server, to another device.
set -eu
root=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/daybook-entity.XXXXXX")
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT INT TERM
page=$root/examples/add_an_entity.md

built=$folder/tree/build/release
# What ccache has of this tree's release build is that of the copy's, too: all paths within them are
# the same.
export CCACHE_BASEDIR="$folder/tree" CCACHE_NOHASHDIR=1

build() {
    (cd "$folder/tree" && cmake --preset release -DDAYBOOK_BUILD_TESTS=OFF &&
        cmake --build --preset release -j 2 --target daybook-server example_device) \
        >"$folder/log" 2>&1 || { tail -n 30 "$folder/log" && exit 1; }
}

start() {
    : >"$folder/out" # else the address of the server before may be read
    "$built/daybook-server" serve --data "$folder/data" --listen 127.0.0.1:0 \
        >"$folder/out" 2>"$folder/err" &
    server=$!
    tries=0
    until url=$(sed -n 's/^listening on \(https:.*\)$/\1/p' "$folder/out") && [ -n "$url" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { cat "$folder/err" && exit 1; }
        sleep 0.1
    done
}

on() {
    "$built/examples/device" "$folder/$1.db" "$url" "$folder/data/ca.crt"
}

mkdir "$folder/tree"
(cd "$root" && tar -cf - --exclude=./build --exclude=./.git .) | tar -xf - -C "$folder/tree"

# Before: a device with work that has not been sent, a server with data.
build
start
for login in wang li; do
    "$built/daybook-server" user add $login --territory East --data "$folder/data" \
        >"$folder/user"
    code=$("$built/daybook-server" enrol $login --data "$folder/data" | tail -n 1)
    printf 'enrol %s\nsync\n' "$code" | on $login
done
printf 'put customer {"name":"Shop"}\n' | on wang
kill "$server" && wait "$server" || true

# The page's blocks: C rows go to entities.def, the define replaces the one in limits.h.
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$page" >"$folder/blocks"
grep -v '^#define' "$folder/blocks" >>"$folder/tree/engine/protocol/entities.def"
define=$(grep '^#define SCHEMA_VERSION' "$folder/blocks")
sed -i "s|^#define SCHEMA_VERSION .*|$define|" "$folder/tree/engine/protocol/limits.h"
build
start

{
    echo "let shop SELECT id FROM customer"
    awk '/^```text$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$page"
    echo sync
    echo status
} | on wang | tee "$folder/wang.out"
printf 'sync\nsql SELECT score, remark FROM survey\n' | on li | tee "$folder/li.out"
grep -q '4 | friendly staff' "$folder/wang.out"
grep -q '4 | friendly staff' "$folder/li.out"
grep -q 'pending 0, unsettled 0, inbox 0' "$folder/wang.out"
