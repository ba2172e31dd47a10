#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh examples/compare.sh SERVER_DB FOLDER DEVICE...
#
# Proves with nothing but the sqlite3 shell and the documented views that each store FOLDER/DEVICE.db equals the server's database restricted
# to the buckets that the device holds: for each entity the number of rows and the SHA-3 of all values. Exit code 0 = all are equal.
set -eu
server=$1
folder=$2
shift 2
different=0
printf '  %-10s %-15s %8s %8s  %s\n' device entity rows server digest
for device in "$@"; do
    store=$folder/$device.db
    total=0
    buckets=$(sqlite3 -readonly "$store" "SELECT group_concat(bucket) FROM buckets")
    for entity in $(sqlite3 -readonly "$store" "SELECT name FROM entities ORDER BY name"); do
        # Same columns on both sides: all but the search keys and the server's own bookkeeping.
        columns=$(sqlite3 -readonly "$store" "SELECT group_concat('quote(' || name || ')', '||char(31)||') FROM pragma_table_info('$entity')
                  WHERE name NOT LIKE '%\_key' ESCAPE '\' AND name NOT IN ('bucket')")
        mine=$(sqlite3 -readonly "$store" "SELECT count(*) || ' ' || hex(sha3_query('SELECT $columns FROM $entity ORDER BY id')) FROM $entity" 2>&1) || mine="error $mine"
        query="SELECT $columns FROM $entity WHERE bucket IN ($buckets) ORDER BY id"
        theirs=$(sqlite3 -readonly "$server" "SELECT count(*) || ' ' || hex(sha3_query('$query')) FROM $entity WHERE bucket IN ($buckets)" 2>&1) || theirs="error $theirs"
        verdict=$(printf '%s' "${mine#* }" | cut -c1-16)
        if [ "$mine" != "$theirs" ]; then
            verdict="DIFFERENT: $mine <> $theirs"
            different=1
        fi
        [ "${mine%% *}" = 0 ] && [ "${theirs%% *}" = 0 ] && continue
        total=$((total + ${mine%% *}))
        printf '  %-10s %-15s %8s %8s  %s\n' "$device" "$entity" "${mine%% *}" "${theirs%% *}" "$verdict"
    done
    [ "$total" -gt 0 ] || { echo "$device holds nothing" >&2; different=1; }
done
exit $different
