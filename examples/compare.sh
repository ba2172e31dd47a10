#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh examples/compare.sh SERVER_DB FOLDER DEVICE...
#
# Proves with nothing but the sqlite3 shell and the documented views that each store
# FOLDER/DEVICE.db equals the server's database restricted to the buckets that the device holds:
# for each entity the number of rows and the SHA-3 of all values and versions. Exit code 0 = equal.
set -eu
server=$1
folder=$2
shift 2
different=0

# Every entity's view, and no other, has the common fields.
entities="SELECT v.name FROM sqlite_master v WHERE v.type = 'view' AND EXISTS
          (SELECT 1 FROM pragma_table_info(v.name) WHERE name = 'created_ts') ORDER BY v.name"

# "rows digest" of a view. Arguments: database, view, columns, condition.
digest() {
    sqlite3 -readonly "$1" "SELECT count(*) || ' ' || lower(hex(sha3(group_concat(line, char(30)))))
        FROM (SELECT $3 AS line FROM $2 WHERE $4 ORDER BY id)" 2>&1 || true
}

printf '  %-8s %-15s %6s %6s  %s\n' device entity rows server digest
for device in "$@"; do
    store=$folder/$device.db
    total=0
    buckets=$(sqlite3 -readonly "$store" "SELECT group_concat(bucket) FROM buckets")
    for entity in $(sqlite3 -readonly "$store" "$entities"); do
        # The same columns on both sides: all but the binary search keys and the bucket.
        columns=$(sqlite3 -readonly "$store" "
            SELECT group_concat('quote(' || name || ')', '||char(31)||')
            FROM pragma_table_info('$entity')
            WHERE name NOT LIKE '%\_key' ESCAPE '\' AND name <> 'bucket'")
        mine=$(digest "$store" "$entity" "$columns" 1)
        theirs=$(digest "$server" "$entity" "$columns" "bucket IN ($buckets)")
        verdict=$(printf '%s' "${mine#* }" | cut -c1-32)
        case $mine in *[!0-9a-f\ ]*) theirs=error ;; esac # a message of the shell's is no digest
        if [ "$mine" != "$theirs" ]; then
            verdict="DIFFERENT: $mine <> $theirs"
            different=1
        fi
        [ "${mine%% *}${theirs%% *}" != 00 ] || continue
        total=$((total + ${mine%% *}))
        printf '  %-8s %-15s %6s %6s  %s\n' "$device" "$entity" "${mine%% *}" "${theirs%% *}" \
            "$verdict"
    done
    if [ "$total" -eq 0 ]; then
        echo "$device holds nothing" >&2
        different=1
    fi
done
exit $different
