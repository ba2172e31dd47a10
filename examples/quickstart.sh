#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sh examples/quickstart.sh [--keep] [--no-install] [--build FOLDER]
#
# A day with Daybook, end to end, on this machine: the real server over TLS, five devices as
# processes of their own, work while the server is down, conflicts and each verdict, a customer that
# changes hands, and the proof that all replicas agree. Exit code 0 = all of it is right. --keep
# leaves the server running and prints how to connect. --no-install only prints the apt line where
# something is missing. --build takes the programs of a build folder as they are.
set -eu
cd "$(dirname "$0")/.."
. tests/support/setup.sh

keep=no
install=yes
build=""
usage="usage: sh examples/quickstart.sh [--keep] [--no-install] [--build FOLDER]"
while [ $# -gt 0 ]; do
    case "$1" in
    --keep) keep=yes ;;
    --no-install) install=no ;;
    --build) [ $# -gt 1 ] || { echo "$usage" >&2 && exit 2; }; shift && build=$1 ;;
    *) echo "$usage" >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p build

step() { printf '\n== %s\n' "$*"; }
fail() { echo "quickstart: $*" >&2 && exit 1; }

if [ -z "$build" ]; then
    step "build"
    build=build/release
    install_packages "$build_packages sqlite3" "$install"
    if ! { cmake --preset release -DDAYBOOK_BUILD_TESTS=OFF && cmake --build --preset release \
        --target daybook-server --target example_device; } >build/quickstart.log 2>&1; then
        tail -n 20 build/quickstart.log >&2
        fail "the build failed; see build/quickstart.log"
    fi
fi
server=$build/daybook-server
device=$build/examples/device
home=$(mktemp -d "${TMPDIR:-/tmp}/daybook-quickstart.XXXXXX")
data=$home/server
server_pid=""

finish() {
    code=$?
    if [ "$keep" = yes ] && [ $code -eq 0 ]; then
        echo
        echo "The server goes on at $url (process $server_pid, data in $data)."
        echo "A code:    $server enrol li --data $data"
        echo "A device:  $device $home/my.db $url $data/ca.crt"
        echo "Stop it:   kill $server_pid"
    else
        [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
        [ -z "$server_pid" ] || wait "$server_pid" 2>/dev/null || true
        rm -rf "$home"
    fi
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

start_server() {
    : >"$home/server.out"
    "$server" serve --data "$data" --listen "127.0.0.1:${port:-0}" \
        >"$home/server.out" 2>"$home/server.err" &
    server_pid=$!
    tries=0
    until url=$(sed -n 's/^listening on \(https:.*\)$/\1/p' "$home/server.out") && [ -n "$url" ]; do
        kill -0 "$server_pid" 2>/dev/null ||
            { cat "$home/server.err" >&2 && fail "the server did not start"; }
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "the server did not start within 10 s"
        sleep 0.1
    done
    port=${url##*:}
    echo "server $url (process $server_pid)"
}

stop_server() {
    kill "$server_pid"
    wait "$server_pid" 2>/dev/null || true
    server_pid=""
}

# Runs a device's script, which is standard input. Argument: the device's name.
on() {
    "$device" "$home/$1.db" "$url" "$data/ca.crt"
}

# All five devices at once, as separate processes; the script is the argument.
everybody() {
    pids=""
    for name in wang li tom chen office; do
        printf '%s\n' "$1" | on "$name" >"$home/$name.out" 2>&1 &
        pids="$pids $!"
    done
    for pid in $pids; do
        wait "$pid" || { cat "$home"/*.out >&2; fail "a device failed"; }
    done
}

step "a server with its own CA, three reps in two territories, a manager, an office, a catalogue"
"$server" init --data "$data" --name "晨光食品 Morning Foods" --currency CNY
start_server
"$server" user add wang --name "王芳" --role rep --territory "华东 East" --data "$data"
"$server" user add li --name "李雷" --role rep --territory "华东 East" --data "$data"
"$server" user add tom --name "Tom Becker" --role rep --territory "Süd" --data "$data"
"$server" user add chen --name "陈静" --role manager --territory "华东 East" --data "$data"
"$server" user add office --name "Back office" --role back_office --data "$data"
"$server" import examples/sample/catalogue.jsonl --data "$data"
for name in wang li tom chen office; do
    code=$("$server" enrol "$name" --data "$data" | tail -n 1)
    printf 'enrol %s\nsync\n' "$code" | on "$name"
done

step "morning, online: customers, a quote, an opportunity"
on wang <<'SCRIPT'
let tea SELECT id FROM product WHERE code = 'TEA-250'
let cookie SELECT id FROM product WHERE code = 'COOKIE-12'
put customer {"name":"好邻居便利店（人民路）","channel":"convenience","phone_e164":"+862155501234",\
"address_city":"上海","address_street":"人民路 18 号","tags":["key","cold drinks"]}
let shop SELECT id FROM customer WHERE name LIKE '好邻居%'
put customer {"name":"Sunrise Hotel Shanghai","channel":"hotel","address_city":"上海"}
put contact {"customer_id":"$last","name":"Anna Chen","decision_role":"finance"}
begin
put quote {"customer_id":"$shop","cur":"CNY","valid_to":20261231,\
"note":"first offer"}
put quote_line {"quote_id":"$last","product_id":"$tea","qty":24000,"uom":"box",\
"price_e4":123456,"disc_bp":500}
commit
begin
put quote {"customer_id":"$shop","cur":"CNY","note":"second offer"}
put quote_line {"quote_id":"$last","product_id":"$cookie","qty":1000,"uom":"carton",\
"price_e4":360000}
commit
put opportunity {"subject":"Shelf for the new season","customer_id":"$shop","amount":1300000,\
"cur":"CNY","priority":2}
sync
SCRIPT
everybody sync
echo "Wang's quote, 24 boxes at 12.3456 less 5 %, in fen, as Li sees it:"
on li <<'SCRIPT'
sql SELECT doc_no, subtotal, tax, total, note FROM quote ORDER BY doc_no
SCRIPT

step "the server stops; the day goes on in basements and lifts"
stop_server
on wang <<'SCRIPT'
let shop SELECT id FROM customer WHERE name LIKE '好邻居%'
let quote SELECT id FROM quote WHERE doc_no LIKE 'QU-%-000001'
let second SELECT id FROM quote WHERE doc_no LIKE 'QU-%-000002'
let opp SELECT id FROM opportunity
let line SELECT id FROM quote_line WHERE quote_id = '$quote'
let cookie SELECT id FROM product WHERE code = 'COOKIE-12'
begin
put visit {"customer_id":"$shop","kind":"routine",\
"checkin_ts":"1795226400000","checkin_lat_e7":312304000,"checkin_lon_e7":1214737000,\
"checkin_acc_m":12,"feedback":"货架缺货一半，店主要二十箱。","outcome":["order","stock count"]}
put visit_action {"visit_id":"$last","kind":"stock_count","qty":7000,"note":"7 boxes left"}
commit
begin
put sales_order {"customer_id":"$shop","cur":"CNY","deliver_by":20261201}
let cookie SELECT id FROM product WHERE code = 'COOKIE-12'
put order_line {"order_id":"$last","product_id":"$cookie","qty":20000,"uom":"carton",\
"price_e4":360000}
commit
patch quote $quote {"valid_to":20261215}
patch quote $quote {"note":"Wang: price agreed by phone"}
patch opportunity $opp {"amount":9000,"cur":"EUR"}
put quote_line {"quote_id":"$quote","product_id":"$cookie","qty":5000,"uom":"carton",\
"price_e4":380000}
delete quote_line $line
delete quote $second
patch customer $shop {"tags":["cold drinks","key","tea corner"]}
SCRIPT
if echo sync | on wang >"$home/offline.out" 2>&1; then
    fail "a sync without a server succeeded"
fi
echo "sync says: $(tail -n 1 "$home/offline.out")"
on wang <<'SCRIPT'
echo Wang keeps working:
status
SCRIPT
on li <<'SCRIPT'
let shop SELECT id FROM customer WHERE name LIKE '好邻居%'
let quote SELECT id FROM quote WHERE doc_no LIKE 'QU-%-000001'
let second SELECT id FROM quote WHERE doc_no LIKE 'QU-%-000002'
let opp SELECT id FROM opportunity
let line SELECT id FROM quote_line WHERE quote_id = '$quote'
let tea SELECT id FROM product WHERE code = 'TEA-250'
patch quote $quote {"header_disc_bp":200}
patch quote $quote {"note":"Li: customer asks for two weeks more"}
patch opportunity $opp {"amount":14500}
patch quote_line $line {"qty":30000}
put quote_line {"quote_id":"$second","product_id":"$tea","qty":2000,"uom":"box","price_e4":120000}
put quote_line {"quote_id":"$quote","product_id":"$tea","qty":1000,"uom":"box","price_e4":123456}
patch customer $shop {"custom":{"delivery":"back door"}}
patch customer $shop {"tags":["key","night shift"]}
let hotel SELECT id FROM customer WHERE name = 'Sunrise Hotel Shanghai'
put visit {"customer_id":"$hotel","kind":"care","feedback":"New manager, wants a tasting."}
put visit_action {"visit_id":"$last","kind":"photo","note":"lobby shelf"}
SCRIPT
on office <<'SCRIPT'
let hotel SELECT id FROM customer WHERE name = 'Sunrise Hotel Shanghai'
let shop SELECT id FROM customer WHERE name LIKE '好邻居%'
patch customer $shop {"custom":{"contract":"2027"}}
delete customer $hotel
SCRIPT
on tom <<'SCRIPT'
put customer {"name":"Bäckerei Huber","channel":"bakery","address_city":"München"}
put visit {"customer_id":"$last","kind":"first visit","feedback":"Möchte Muster."}
SCRIPT

step "the server is back; all devices reconcile at the same time"
start_server
echo sync | on office
everybody sync
everybody sync
everybody sync

step "what the two reps of the East now see"
for name in wang li; do
    echo "$name:"
    on "$name" <<'SCRIPT'
sql SELECT 'quote', valid_to, header_disc_bp, note, subtotal, total FROM quote
sql SELECT 'quote line', qty, price_e4, amount FROM quote_line ORDER BY id
sql SELECT 'opportunity', amount, cur, priority FROM opportunity
sql SELECT 'customer', name, tags, custom FROM customer WHERE channel = 'convenience'
sql SELECT 'inbox', kind, code, entity, field, mine, theirs FROM inbox
status
SCRIPT
done
echo "tom, in another territory:"
on tom <<'SCRIPT'
sql SELECT 'customer', name FROM customer
sql SELECT 'quotes', count(*) FROM quote
SCRIPT

step "mended: Li's visit was at the convenience store, and a form that was open too long"
on li <<'SCRIPT'
let item SELECT item FROM inbox WHERE kind = 'rejected' AND code = 'REF_MISSING'
let visit SELECT record_id FROM inbox WHERE item = $item
let shop SELECT id FROM customer WHERE channel = 'convenience'
reopen $item visit $visit {"customer_id":"$shop"}
let opp SELECT id FROM opportunity
let seen SELECT version FROM opportunity
echo Li opens a form at version $seen of the opportunity; meanwhile Wang changes it:
SCRIPT
seen=$(sqlite3 -readonly "$home/li.db" "SELECT version FROM opportunity")
on wang <<'SCRIPT'
let opp SELECT id FROM opportunity
patch opportunity $opp {"subject":"Shelf for the new season, 3 metres"}
sync
SCRIPT
on li <<SCRIPT
sync
let opp SELECT id FROM opportunity
patch opportunity \$opp @$seen {"subject":"Shelf for spring"}
sync
SCRIPT
everybody sync
on wang <<'SCRIPT'
sql SELECT 'opportunity', subject FROM opportunity
sql SELECT 'inbox', kind, entity, field, mine, theirs FROM inbox WHERE field = 'subject'
SCRIPT

step "the decisions, checked"
expect() { # what, device, SQL, wanted
    got=$(sqlite3 -readonly "$home/$2.db" "$3")
    [ "$got" = "$4" ] || fail "$1: expected \"$4\", got \"$got\""
    printf '  %-66s %s\n' "$1" "$got"
}
for name in wang li; do
    expect "$name: different fields of one quote, both kept" $name \
        "SELECT valid_to || ' ' || header_disc_bp FROM quote WHERE doc_no LIKE '%1'" "20261215 200"
    expect "$name: the same field, the later edit stands" $name \
        "SELECT note FROM quote WHERE doc_no LIKE '%1'" "Li: customer asks for two weeks more"
    expect "$name: amount and currency as one unit" $name \
        "SELECT amount || ' ' || cur FROM opportunity" "14500 CNY"
    expect "$name: line edited here and deleted there, the edit wins" $name \
        "SELECT count(*) FROM quote_line WHERE qty = 30000" 1
    expect "$name: lines added on both sides, all kept" $name \
        "SELECT count(*) FROM quote_line l JOIN quote q ON q.id = l.quote_id
         WHERE doc_no LIKE '%1'" 3
    expect "$name: quote deleted here, line added there, it comes back whole" $name \
        "SELECT count(*) FROM quote_line l JOIN quote q ON q.id = l.quote_id
         WHERE doc_no LIKE '%2'" 2
    expect "$name: keys of one custom map, merged one by one" $name \
        "SELECT custom FROM customer WHERE channel = 'convenience'" \
        '{"contract":"2027","delivery":"back door"}'
    expect "$name: elements of one set, merged one by one" $name \
        "SELECT tags FROM customer WHERE channel = 'convenience'" \
        '["key","night shift","tea corner"]'
    expect "$name: a form saved over what it did not show, both known" $name \
        "SELECT subject || ' / ' || (SELECT lost FROM field_conflict WHERE field_name = 'subject')
         FROM opportunity" 'Shelf for spring / "Shelf for the new season, 3 metres"'
    expect "$name: nothing pending" $name "SELECT count(*) FROM sync_state" 0
done
expect "wang: the earlier note is in the inbox" wang \
    "SELECT mine FROM inbox WHERE kind = 'superseded' AND field = 'note'" \
    '"Wang: price agreed by phone"'
expect "rejected, and mended: Li's visit at a deleted customer" li \
    "SELECT (SELECT count(*) FROM inbox WHERE code = 'REF_MISSING') || ' ' || count(*) FROM visit
     WHERE kind = 'care'
     AND customer_id IN (SELECT id FROM customer WHERE channel = 'convenience')" "0 1"
expect "li: its action came back with it" li \
    "SELECT count(*) FROM visit_action WHERE note = 'lobby shelf'" 1
expect "tom: sees nothing of the East" tom \
    "SELECT (SELECT count(*) FROM quote) || ' ' || (SELECT count(*) FROM visit)" "0 1"

step "the other verdicts: accepted and held, merged in other ways, quarantined"
# Both give one order the same product; Chen cancels a visit that Li has begun; Wang wants another
# tax number, which is not his to decide.
on wang <<'SCRIPT'
let shop SELECT id FROM customer WHERE channel = 'convenience'
put sales_order {"customer_id":"$shop","cur":"CNY","note":"for Friday"}
put visit {"customer_id":"$shop","kind":"delivery"}
sync
SCRIPT
everybody sync
on wang <<'SCRIPT'
let shop SELECT id FROM customer WHERE channel = 'convenience'
let order SELECT id FROM sales_order WHERE note = 'for Friday'
let tea SELECT id FROM product WHERE code = 'TEA-250'
put order_line {"order_id":"$order","product_id":"$tea","qty":4000,"uom":"box","price_e4":123456}
patch customer $shop {"tax_no":"91310000A"}
sync
SCRIPT
on li <<'SCRIPT'
let visit SELECT id FROM visit WHERE kind = 'delivery'
let order SELECT id FROM sales_order WHERE note = 'for Friday'
let tea SELECT id FROM product WHERE code = 'TEA-250'
put order_line {"order_id":"$order","product_id":"$tea","qty":4000,"uom":"box","price_e4":123456}
patch visit $visit {"status":"in_progress"}
sync
SCRIPT
on chen <<'SCRIPT'
let visit SELECT id FROM visit WHERE kind = 'delivery'
patch visit $visit {"status":"cancelled"}
sync
SCRIPT
everybody sync
for name in li chen; do
    echo "$name:"
    on "$name" <<'SCRIPT'
sql SELECT 'order', note, state FROM sales_order o JOIN sync_state s ON s.id = o.id
sql SELECT 'visit', status FROM visit WHERE kind = 'delivery'
sql SELECT 'inbox', kind, code, entity, field, mine, theirs FROM inbox WHERE kind <> 'rejected'
sql SELECT 'proposal', field_name, base_value, proposed_value, status FROM proposal
SCRIPT
done
expect "accepted, and held: a product stands on two lines" wang \
    "SELECT code || ' ' || user_role FROM hold WHERE cleared IS NULL" "DUP_LINE back_office"
expect "merged: the visit has begun, so it is not cancelled" chen \
    "SELECT mine || ' ' || theirs FROM inbox WHERE field = 'status'" '"cancelled" "in_progress"'
expect "merged: what is not a rep's to decide is proposed" chen \
    "SELECT proposed_value || ' ' || status FROM proposal" '"91310000A" open'

echo "the back office lets the order go, Chen accepts the tax number:"
on office <<'SCRIPT'
let hold SELECT id FROM hold WHERE cleared IS NULL
clear $hold both are meant
sync
SCRIPT
on chen <<'SCRIPT'
let proposal SELECT id FROM proposal WHERE status = 'open'
patch proposal $proposal {"status":"accepted"}
sync
SCRIPT
everybody sync
expect "wang: the order is free" wang "SELECT count(*) FROM sync_state" 0
expect "wang: the customer has the tax number" wang \
    "SELECT tax_no FROM customer WHERE channel = 'convenience'" 91310000A

echo "quarantined: Li's account is shut while work is still on the device; an operator lets it in:"
"$server" user change li --disabled yes --data "$data"
on li <<'SCRIPT'
let shop SELECT id FROM customer WHERE channel = 'convenience'
put visit {"customer_id":"$shop","kind":"farewell","feedback":"All handed over."}
sync
sql SELECT entity, state FROM sync_state
SCRIPT
"$server" quarantine list --data "$data"
waiting=$("$server" quarantine list --data "$data" | sed -n '2s/ .*//p')
"$server" quarantine release "$waiting" --data "$data"
"$server" user change li --disabled no --data "$data"
everybody sync
expect "quarantined: decided after all, and on the device again" li \
    "SELECT feedback FROM visit WHERE kind = 'farewell'
     AND NOT EXISTS (SELECT 1 FROM sync_state)" "All handed over."
echo "Wang wants her subject all the same, and writes it as somebody who knows the other:"
on wang <<'SCRIPT'
let item SELECT item FROM inbox WHERE field = 'subject'
keep $item
sync
SCRIPT
everybody sync
expect "li: sees it, and nothing of his was overlooked" li \
    "SELECT subject || (SELECT count(*) FROM inbox WHERE field = 'subject') FROM opportunity" \
    "Shelf for the new season, 3 metres0"

step "a customer changes hands while its rep is offline with a draft order"
on wang <<'SCRIPT'
put customer {"name":"Old Town Kiosk","channel":"kiosk"}
let kiosk SELECT id FROM customer WHERE channel = 'kiosk'
put sales_order {"customer_id":"$kiosk","cur":"CNY","note":"draft"}
sync
let order SELECT id FROM sales_order WHERE note = 'draft'
let tea SELECT id FROM product WHERE code = 'TEA-250'
patch sales_order $order {"note":"draft, agreed with the owner"}
put order_line {"order_id":"$order","product_id":"$tea","qty":6000,"uom":"box","price_e4":123456}
put visit {"customer_id":"$kiosk","kind":"kiosk","feedback":"wants it by Friday"}
SCRIPT
kiosk=$(sqlite3 -readonly "$home/wang.db" "SELECT id FROM customer WHERE channel = 'kiosk'")
sleep 1
"$server" customer reassign "$kiosk" --territory "Süd" --owner tom --data "$data"
sleep 1
on wang <<'SCRIPT'
let kiosk SELECT id FROM customer WHERE channel = 'kiosk'
put visit {"customer_id":"$kiosk","kind":"kiosk","feedback":"was there again"}
sync
SCRIPT
everybody sync
echo "tom, who has it now:"
on tom <<'SCRIPT'
sql SELECT 'customer', name FROM customer WHERE channel = 'kiosk'
sql SELECT 'order', note, total FROM sales_order
sql SELECT 'visit', feedback, u.login FROM visit v JOIN app_user u ON u.id = v.created_by
SCRIPT
echo "wang, who had it:"
on wang <<'SCRIPT'
sql SELECT 'customer', count(*) FROM customer WHERE channel = 'kiosk'
sql SELECT 'inbox', kind, code, entity FROM inbox WHERE kind IN ('moved', 'rejected')
SCRIPT
expect "tom: has the draft, with what Wang did before the handover" tom \
    "SELECT note || ' ' || total FROM sales_order" "draft, agreed with the owner 7407"
expect "tom: and Wang's visit of before, not the one of after" tom \
    "SELECT group_concat(feedback) FROM visit WHERE kind = 'kiosk'" "wants it by Friday"
expect "wang: has nothing of it any more" wang \
    "SELECT (SELECT count(*) FROM customer WHERE channel = 'kiosk')
     + (SELECT count(*) FROM visit WHERE kind = 'kiosk')" 0
expect "rejected: what Wang did too late is in the inbox, whole" wang \
    "SELECT count(*) FROM inbox WHERE kind = 'rejected' AND body LIKE '%was there again%'" 1

step "proof: each replica equals the server restricted to its scope, entity by entity"
sh examples/compare.sh "$data/server.db" "$home" wang li tom chen office ||
    fail "the replicas differ"

step "done"
