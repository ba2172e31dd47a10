/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h: what is done at a desk: reading the inbox, fetching what is not there.
 */
#include "tests/support/people_inside.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODIES_SIZE 60000

/* Only a disk that has trouble excuses a failure. */
static daybook_status must(struct lab_device *device, daybook_status status, const char *what)
{
    if (status != DAYBOOK_OK && !lab_is_disk_trouble(device, status)) {
        lab_fail(device->lab, "%s gives %s", what, daybook_status_name(status));
    }
    return status;
}

/* ---- the inbox */

/* An item as it is read. */
struct item {
    int64_t number;
    char kind[20], entity[30], id[DAYBOOK_ID_SIZE], field[60];
    char text[BODIES_SIZE]; /* what it holds of the reader's: bodies of the chain, or the value */
};

/* One column of an item; of bodies those of the chain too, a line each. */
static void read_column(struct lab_device *device, int64_t item, const char *column, char *out,
                        size_t size)
{
    char sql[300];
    (void)snprintf(sql, sizeof sql,
                   "SELECT coalesce(group_concat(%s, char(10)),'') FROM inbox_item"
                   " WHERE item=%lld OR root=%lld AND '%s'='body'",
                   column, (long long)item, (long long)item, column);
    (void)snprintf(out, size, "%s", lab_device_text(device, sql));
}

static void read_item(struct lab_device *device, struct item *item)
{
    read_column(device, item->number, "kind", item->kind, sizeof item->kind);
    read_column(device, item->number, "entity", item->entity, sizeof item->entity);
    read_column(device, item->number, "record_id", item->id, sizeof item->id);
    read_column(device, item->number, "field", item->field, sizeof item->field);
    bool rejected = strcmp(item->kind, "rejected") == 0;
    read_column(device, item->number, rejected ? "body" : "mine", item->text, BODIES_SIZE);
}

/* What the reader sees in the place of what the item says was lost. */
static bool look_at_item(struct people *people, struct lab_device *device, const struct item *item,
                         struct form *form)
{
    struct act act = people_acts(people, device);
    const struct kind *kind = ledger_kind(item->entity);
    if (must(device, device->release->begin(device->engine, &act.transaction), "begin") !=
        DAYBOOK_OK) {
        return false;
    }
    bool found = people_look(&act, (int)(kind - ledger_kinds), item->id, form);
    if (found && strcmp(item->field, "*") == 0) {
        people_see_removed(&act, form, false);
    }
    device->release->end(&act.transaction);
    return found;
}

/* Whether it is one of several fields that merge as one. */
static bool is_grouped(const struct feature *feature)
{
    return feature->kind == FEATURE_QTY || feature->kind == FEATURE_AMOUNT ||
           feature->kind == FEATURE_PRICE;
}

/* The number of the value that lost; in a group the first field has it. */
static int lost_number(struct lab_device *device, const struct item *item,
                       const struct feature *feature)
{
    char sql[400];
    const char *mine = item->text;
    if (is_grouped(feature)) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT CASE WHEN field='%s' THEN mine ELSE coalesce(json_extract(rest,"
                       "'$.%s'),'') END FROM inbox_item WHERE item=%lld",
                       feature->field, feature->field, (long long)item->number);
        mine = lab_device_text(device, sql);
    }
    return ledger_number(feature, mine + (mine[0] == '"'));
}

/* A state that lost is taken anew, from what stands. */
static void note_state(struct people *people, struct lab_device *device, const struct item *item,
                       const struct form *form)
{
    struct act act = people_acts(people, device);
    char state[40];
    (void)snprintf(state, sizeof state, "%.*s", (int)strcspn(item->text + 1, "\""), item->text + 1);
    people_note_step(&act, form, state, false);
}

/* A value that lost is written anew over what stands: the reader has seen that. */
static daybook_status keep_value(struct people *people, struct lab_device *device,
                                 const struct item *item)
{
    struct lab *lab = people->lab;
    struct form form;
    bool found = look_at_item(people, device, item, &form);
    int feature = found ? ledger_feature(&ledger_kinds[form.kind], item->field) : -1;
    const struct feature *what = feature < 0 ? NULL : &ledger_kinds[form.kind].features[feature];
    if (what != NULL && what->kind == FEATURE_STATE) {
        note_state(people, device, item, &form);
    } else if (what != NULL) {
        int number = lost_number(device, item, what);
        struct entry *entry = ledger_stage_number(&people->ledger, form.kind, form.id, feature,
                                                  device->number, number);
        entry->shown = form.shown[feature];
        entry->lost = what->kind == FEATURE_SET || what->kind >= FEATURE_INT;
        if (what->kind == FEATURE_SET && strstr(item->text, "remove") != NULL) {
            const char *at = strstr(item->text, "[\"");
            for (; at != NULL; at = strstr(at + 1, ",\"")) {
                ledger_stage_taking(&people->ledger, ledger_number(what, at + 2));
            }
        }
    }
    daybook_status status =
        device->release->inbox_keep_mine(device->engine, item->number, &device->error);
    lab_trace(lab, "  %d keeps %s of %s %s %s: %s", device->number, item->text, item->entity,
              item->id, item->field, daybook_status_name(status));
    bool grouped = what != NULL && is_grouped(what);
    /* INVALID: a newer number of a document, a revision, a line that went */
    if (status != DAYBOOK_INVALID || grouped) {
        people_check_status(device, status, "keep_mine");
    }
    if (status == DAYBOOK_OK) {
        ledger_commit(&people->ledger);
        people_note_commit(people, device);
        lab->counts[LAB_KEPT]++;
    } else {
        ledger_drop(&people->ledger);
    }
    return status;
}

/* What was rejected goes up once more, as it was. */
static daybook_status send_anew(struct people *people, struct lab_device *device,
                                const struct item *item)
{
    struct lab *lab = people->lab;
    daybook_transaction *transaction = NULL;
    daybook_status status;
    lab_trace(lab, "  %d opens inbox item %lld again: %s", device->number, (long long)item->number,
              item->text);
    if (lab_chance(lab, 50)) {
        status = device->release->inbox_keep_mine(device->engine, item->number, &device->error);
    } else {
        status = must(device,
                      device->release->inbox_reopen(device->engine, item->number, &transaction,
                                                    &device->error),
                      "inbox_reopen");
        if (status != DAYBOOK_OK) {
            return status;
        }
        status = device->release->commit(transaction, &device->error);
        device->release->end(&transaction);
    }
    people_check_status(device, status, "commit again");
    lab_trace(lab, "  %s %s %s", daybook_status_name(status), device->error.field,
              device->error.rule);
    if (status == DAYBOOK_OK) {
        ledger_again(&people->ledger, item->text, device->number);
        people_note_commit(people, device);
    }
    return status;
}

void people_read_inbox(struct people *people, struct lab_device *device)
{
    struct lab *lab = people->lab;
    static struct item item;
    int count = (int)strtol(lab_device_text(device, "SELECT count(*) FROM inbox"), NULL, 10);
    char sql[100];
    if (count == 0) {
        return;
    }
    (void)snprintf(sql, sizeof sql, "SELECT item FROM inbox ORDER BY item LIMIT 1 OFFSET %d",
                   lab_random(lab, count));
    item.number = strtoll(lab_device_text(device, sql), NULL, 10);
    read_item(device, &item);
    bool rejected = strcmp(item.kind, "rejected") == 0;
    int what = lab_random(lab, 100);
    struct mark mark;
    daybook_status status;
    people_mark(device, &mark);
    if (what < 50 && rejected) {
        status = send_anew(people, device, &item);
    } else if (what < 50 && strcmp(item.kind, "superseded") == 0) {
        status = keep_value(people, device, &item);
    } else if (rejected || what < 75) {
        lab_trace(lab, "  %d discards inbox item %lld", device->number, (long long)item.number);
        status =
            must(device, device->release->inbox_discard(device->engine, item.number), "discard");
        if (status == DAYBOOK_OK && rejected) { /* all else is on the server too */
            ledger_discard(&people->ledger, item.text);
        }
    } else {
        lab_trace(lab, "  %d uses theirs of item %lld", device->number, (long long)item.number);
        status = must(device, device->release->inbox_use_theirs(device->engine, item.number),
                      "use_theirs");
    }
    if (status != DAYBOOK_OK) {
        people_check_mark(device, &mark, status);
    }
}

/* ---- what is not there */

void people_fetch(struct people *people, struct lab_device *device)
{
    static const char *const documents[] = {"visit", "quote", "sales_order", "opportunity"};
    struct lab *lab = people->lab;
    const char *entity = documents[lab_random(lab, 4)];
    char sql[200], id[DAYBOOK_ID_SIZE];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", entity);
    int count = (int)strtol(lab_server_text(lab, sql), NULL, 10);
    if (count == 0 || !device->enrolled) {
        return;
    }
    (void)snprintf(sql, sizeof sql, "SELECT id FROM %s ORDER BY id_key LIMIT 1 OFFSET %d", entity,
                   lab_random(lab, count));
    (void)snprintf(id, sizeof id, "%s", lab_server_text(lab, sql));
    device->strayed = false;
    daybook_status status = device->release->fetch(device->engine, entity, id, &device->error);
    lab_trace(lab, "  %d fetches %s %s: %s", device->number, entity, id,
              daybook_status_name(status));
    if (status != DAYBOOK_NOT_FOUND && !lab_may_end(device, status)) {
        lab_fail(lab, "device %d: fetch gives %s: %s", device->number, daybook_status_name(status),
                 device->error.text);
    }
    lab->counts[LAB_FETCHED] += status == DAYBOOK_OK;
}
