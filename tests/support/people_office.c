/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h: what the office and the operator do on the server, by commands and imports.
 */
#include "tests/support/people.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- master data */

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

/* A command that the server may refuse by its rules. */
static bool run(struct lab *lab, int argc, const char *const *argv)
{
    char text[4000];
    daybook_status status = lab_command(lab, text, sizeof text, argc, argv);
    lab_trace(lab, "  %s %s %s %s  -> %d %s", argv[0], argv[1], argc > 2 ? argv[2] : "",
              argc > 3 ? argv[3] : "", (int)status, text);
    if (status != DAYBOOK_OK && status != DAYBOOK_RULE && status != DAYBOOK_NOT_FOUND &&
        status != DAYBOOK_EXISTS) {
        lab_fail(lab, "%s %s: status %d: %s", argv[0], argv[1], (int)status, text);
    }
    lab_look(lab);
    return status == DAYBOOK_OK;
}

/* Another territory, role or manager for somebody. */
static void change_user(struct people *people)
{
    static const char *const roles[] = {"rep", "rep", "manager", "office"};
    struct lab *lab = people->lab;
    int user = 1 + lab_random(lab, 3);
    const char *argv[] = {"user", "change", lab->users[user].login, NULL, NULL};
    int what = lab_random(lab, 100);
    if (what < 60) {
        argv[3] = "--territory";
        argv[4] = lab_territories[lab_random(lab, 3)];
        lab->counts[LAB_SCOPE] += run(lab, 5, argv);
    } else if (what < 85) {
        argv[3] = "--role";
        argv[4] = roles[lab_random(lab, 4)];
        lab->counts[LAB_ROLE] += run(lab, 5, argv);
    } else {
        argv[3] = "--manager";
        argv[4] = lab_chance(lab, 60) ? "boss" : "";
        (void)run(lab, 5, argv);
    }
}

/* The office changes a customer's name: a value like others, and it sees all. One whose tombstone
 * is gone is passed over, since the import would make another of that id, without the values that
 * went with the first. */
static void rename_customer(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300];
    if (lab->customer_count == 0) {
        return;
    }
    int number = lab_random(lab, lab->customer_count);
    const struct lab_customer *customer = &lab->customers[number];
    (void)snprintf(line, sizeof line,
                   "SELECT count(*) FROM s_customer WHERE hex(id) = upper(replace('%s', '-', ''))",
                   customer->id);
    if (customer->territory >= 0 && strcmp(lab_server_text(lab, line), "0") != 0) {
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

/* Two customers of one territory become one. What the first one has goes over to the other, so it
 * needs no entry of its own. */
static void merge_customers(struct people *people)
{
    struct lab *lab = people->lab;
    if (lab->customer_count < 2) {
        return;
    }
    int from = lab_random(lab, lab->customer_count), into = lab_random(lab, lab->customer_count);
    const char *const argv[] = {"customer", "merge", lab->customers[from].id,
                                lab->customers[into].id};
    if (from != into && lab->customers[from].territory == lab->customers[into].territory) {
        lab->counts[LAB_JOINED] += run(lab, 4, argv);
    }
}

void people_office(struct people *people)
{
    struct lab *lab = people->lab;
    char line[300];
    int what = lab_random(lab, 100);
    if (what < 35) {
        move_customer(people);
    } else if (what < 55) {
        change_user(people);
    } else if (what < 70) {
        rename_customer(people);
    } else if (what < 80) {
        merge_customers(people);
    } else {
        (void)snprintf(line, sizeof line,
                       "{\"entity\":\"product\",\"id\":\"%s\",\"tax_bp\":%d,\"name\":\"P%d\"}\n",
                       lab_chance(lab, 50) ? PEOPLE_TEA : PEOPLE_RICE, lab_random(lab, 3000),
                       lab_random(lab, 1000));
        (void)lab_import(lab, line);
    }
}

/* ---- the operator */

static void set_disabled(struct lab *lab, int user, bool disabled)
{
    const char *const argv[] = {"user", "change", lab->users[user].login, "--disabled",
                                disabled ? "yes" : "no"};
    if (lab->users[user].disabled != disabled && run(lab, 5, argv) && disabled) {
        lab->counts[LAB_DISABLED]++;
    }
}

/* Lets the first changeset that waits of some device go, or turns it down; perhaps with all others
 * of that device. One that builds on another device's goes on waiting. False: none waits. */
static bool answer_waiting(struct people *people, bool reject, bool all)
{
    struct lab *lab = people->lab;
    char sql[400], id[DAYBOOK_ID_SIZE];
    int devices = (int)strtol(
        lab_server_text(lab, "SELECT count(DISTINCT device_no) FROM quarantine WHERE ended = 0"),
        NULL, 10);
    (void)snprintf(sql, sizeof sql,
                   "SELECT lower(substr(h,1,8)||'-'||substr(h,9,4)||'-'||substr(h,13,4)||'-'||"
                   "substr(h,17,4)||'-'||substr(h,21)) FROM (SELECT hex(changeset) AS h, min(seq)"
                   " FROM quarantine WHERE ended = 0 GROUP BY device_no ORDER BY device_no"
                   " LIMIT 1 OFFSET %d)",
                   devices == 0 ? 0 : lab_random(lab, devices));
    (void)snprintf(id, sizeof id, "%s", lab_server_text(lab, sql));
    if (id[0] == '\0') {
        return false;
    }
    const char *const argv[] = {"quarantine", reject ? "reject" : "release", id, "--all"};
    lab->counts[reject ? LAB_TURNED_DOWN : LAB_RELEASED] += run(lab, all ? 4 : 3, argv);
    return true;
}

/* Old documents go to their classes, by a rule that knows hours instead of weeks. */
static void classify(struct people *people)
{
    struct lab *lab = people->lab;
    const char *const recent = lab_chance(lab, 50) ? "0" : "1";
    const char *const argv[] = {"classify", "--open-days", "0", "--recent-days",
                                recent,     "--last",      "1"};
    lab->counts[LAB_CLASSED] += run(lab, 7, argv);
}

static void compact(struct people *people)
{
    struct lab *lab = people->lab;
    char positions[20];
    (void)snprintf(positions, sizeof positions, "%d", lab_random(lab, 40));
    const char *const argv[] = {"compact", "--positions", positions};
    ledger_keep(&people->ledger);
    lab->counts[LAB_COMPACTED] += run(lab, 3, argv);
}

static void recover(struct people *people)
{
    if (lab_recover(people->lab)) {
        ledger_lose(&people->ledger, -1, people->backup_order + 1, INT64_MAX);
        people->ledger.restored_at = people->ledger.order;
    }
}

void people_operate(struct people *people)
{
    struct lab *lab = people->lab;
    int what = lab_random(lab, 100);
    if (what < 20) {
        int user = lab_random(lab, LAB_USERS);
        set_disabled(lab, user, lab_chance(lab, 40));
    } else if (what < 40) {
        (void)answer_waiting(people, lab_chance(lab, 35), lab_chance(lab, 30));
    } else if (what < 58) {
        classify(people);
    } else if (what < 76) {
        compact(people);
    } else if (what < 90) {
        lab_backup(lab);
        people->backup_order = people->ledger.order;
    } else {
        recover(people);
    }
}

void people_calm(struct people *people)
{
    struct lab *lab = people->lab;
    for (int i = 0; i < LAB_USERS; i++) {
        set_disabled(lab, i, false);
    }
    for (int i = 0; answer_waiting(people, i > PEOPLE_WAITING_MAX / 2, true); i++) {
        if (i == PEOPLE_WAITING_MAX) {
            lab_fail(lab, "the quarantine does not get empty");
        }
    }
}
