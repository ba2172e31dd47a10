/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h: what is done at a desk, with an inbox or on the server.
 */
#include "tests/support/people.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the inbox */

static void must(struct lab *lab, daybook_status status, const char *what)
{
    if (status != DAYBOOK_OK) {
        lab_fail(lab, "%s gives %s", what, daybook_status_name(status));
    }
}

void people_read_inbox(struct people *people, struct lab_device *device)
{
    struct lab *lab = people->lab;
    daybook_transaction *transaction = NULL;
    char sql[300];
    static char bodies[60000];
    int64_t item = strtoll(lab_device_text(device, "SELECT min(item) FROM inbox"), NULL, 10);
    if (item == 0) {
        return;
    }
    (void)snprintf(sql, sizeof sql,
                   "SELECT group_concat(coalesce(mine,'')||' '||coalesce(theirs,'')||' '||"
                   "coalesce(body,'')) FROM inbox_item WHERE item=%lld OR root=%lld",
                   (long long)item, (long long)item);
    (void)snprintf(bodies, sizeof bodies, "%s", lab_device_text(device, sql));
    (void)snprintf(sql, sizeof sql, "SELECT kind='rejected' FROM inbox WHERE item=%lld",
                   (long long)item);
    bool rejected = strcmp(lab_device_text(device, sql), "1") == 0;
    if (!rejected || lab_chance(lab, 50)) {
        lab_trace(lab, "  %d discards inbox item %lld", device->number, (long long)item);
        must(lab, daybook_inbox_discard(device->engine, item), "discard");
        ledger_discard(&people->ledger, bodies);
        return;
    }
    lab_trace(lab, "  %d opens inbox item %lld again: %s", device->number, (long long)item, bodies);
    daybook_status status =
        daybook_inbox_reopen(device->engine, item, &transaction, &device->error);
    must(lab, status, "inbox_reopen");
    status = daybook_commit(transaction, &device->error);
    people_check_status(lab, status, "commit again");
    lab_trace(lab, "  %s %s %s", daybook_status_name(status), device->error.field,
              device->error.rule);
    daybook_end(&transaction);
    if (status == DAYBOOK_OK) {
        ledger_again(&people->ledger, bodies, device->number);
    }
}

/* ---- the office */

static const char *territory_id(struct lab *lab, int territory)
{
    char sql[100];
    (void)snprintf(sql, sizeof sql, "SELECT id FROM territory WHERE name = '%s'",
                   lab_territories[territory]);
    return lab_server_text(lab, sql);
}

static void move_customer(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300];
    if (lab->customer_count == 0) {
        return;
    }
    const struct lab_customer *customer = &lab->customers[lab_random(lab, lab->customer_count)];
    if (customer->territory >= 0) {
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"customer\",\"id\":\"%s\",\"territory_id\":\"%s\"}\n",
                       customer->id, territory_id(lab, lab_random(lab, 3)));
        lab->counts[LAB_MOVED] += lab_import(lab, line) == DAYBOOK_OK;
    }
}

static void move_user(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300], id[DAYBOOK_ID_SIZE], sql[100];
    int user = 1 + lab_random(lab, 3), territory = lab_random(lab, 3);
    (void)snprintf(sql, sizeof sql, "SELECT id FROM app_user WHERE login = '%s'",
                   lab->users[user].login);
    (void)snprintf(id, sizeof id, "%s", lab_server_text(lab, sql));
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"app_user\",\"id\":\"%s\",\"territory_id\":\"%s\"}\n", id,
                   territory_id(lab, territory));
    if (lab_import(lab, line) == DAYBOOK_OK) {
        lab->users[user].territory = territory;
        lab->counts[LAB_SCOPE]++;
    }
}

/* The office changes a customer's name: a value like others, and it sees all. */
static void rename_customer(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300];
    if (lab->customer_count == 0) {
        return;
    }
    int number = lab_random(lab, lab->customer_count);
    const struct lab_customer *customer = &lab->customers[number];
    if (customer->territory >= 0) {
        struct entry *entry = ledger_stage(&people->ledger, 0, customer->id, 0, -1);
        entry->blind = true;
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"customer\",\"id\":\"%s\",\"name\":\"t%d~c%d!\"}\n",
                       customer->id, entry->number, number);
        if (lab_import(lab, line) == DAYBOOK_OK) {
            ledger_commit(&people->ledger);
        } else {
            ledger_drop(&people->ledger);
        }
    }
}

void people_import(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300];
    int what = lab_random(lab, 100);
    if (what < 40) {
        move_customer(people);
    } else if (what < 60) {
        move_user(people);
    } else if (what < 80) {
        rename_customer(people);
    } else {
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"product\",\"id\":\"%s\",\"tax_bp\":%d,\"name\":\"P%d\"}\n",
                       lab_chance(lab, 50) ? PEOPLE_TEA : PEOPLE_RICE, lab_random(lab, 3000),
                       lab_random(lab, 1000));
        (void)lab_import(lab, line);
    }
}
