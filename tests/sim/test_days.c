/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator. Random days of a few people with a bad network: two to twelve engines and the
 * server's inner half in one process, with clocks, disks, network and chance of the test's, every
 * fault that the laboratory knows, and in the end everybody has the same and nothing that somebody
 * entered is lost. One seed is one day, always the same.
 *
 *   DAYBOOK_SIM_FIRST=n    the first seed; 1
 *   DAYBOOK_SIM_SEEDS=n    how many; without it, as many as fit into the time
 *   DAYBOOK_SIM_SECONDS=n  the time; 12
 *   DAYBOOK_SIM_TRACE=1    tells each step
 *   DAYBOOK_SIM_SQL=query  with that also what the query gives on a device after each sync
 *   DAYBOOK_SIM_REPLIES=1  with that also what the server says
 *   DAYBOOK_SIM_SKIP=a-b,c leaves these steps out; shrink.py finds the fewest that fail
 */
#include "tests/support/lab_system.h"
#include "tests/support/people.h"

#include <daybook/daybook.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DEFAULT_SECONDS 12
#define DEFAULT_LEAST 5  /* seeds, however slow the machine */
#define SEEDS_OF_ALL 300 /* in so many everything happens */
#define STEPS_LEAST 40
#define STEPS_MORE 160
#define DAYS_MAX 400 /* that pass at once */
#define TWICE 3      /* days that are run a second time */
#define ROUNDS 3     /* in which everything must come to rest */

struct day {
    struct lab lab;
    struct people people;
};

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text) text,
    LAB_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

static int64_t elapsed_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct lab_device *some_device(struct lab *lab)
{
    return &lab->devices[lab_random(lab, lab->device_count)];
}

/* ---- a day */

/* In the middle of an exchange people go on working, and others sync. */
static void between(void *context, struct lab_device *device)
{
    struct day *day = context;
    struct lab_device *other = some_device(&day->lab);
    lab_trace(&day->lab, "  in between:");
    if (lab_chance(&day->lab, 60)) {
        people_act(&day->people, device);
    } else if (other->depth == 0 && other->enrolled) {
        (void)lab_sync(other, 0);
    } else if (other->depth == 0) {
        people_act(&day->people, other);
    }
}

static void sync_badly(struct day *day, struct lab_device *device)
{
    struct lab *lab = &day->lab;
    if (!device->enrolled) {
        if (!lab->users[device->user].disabled) { /* whose codes are not good */
            lab_enrol(device);
        }
        return;
    }
    int64_t budget_ms = lab_chance(lab, 25) ? 1 + lab_random(lab, 1000) : 0;
    daybook_status status = lab_sync(device, budget_ms);
    enum daybook_class kind = daybook_status_class(status);
    if (kind != DAYBOOK_CLASS_OK && kind != DAYBOOK_CLASS_OFFLINE && kind != DAYBOOK_CLASS_RETRY &&
        !lab_is_disk_trouble(lab, status)) {
        lab_fail(lab, "device %d: sync gives %s: %s", device->number, daybook_status_name(status),
                 device->error.text);
    }
}

static void trouble_file(struct day *day, struct lab_device *device)
{
    struct lab *lab = &day->lab;
    struct people *people = &day->people;
    int what = lab_random(lab, 4);
    if (what == 0 && device->enrolled) {
        struct lab_device *clone = lab_clone(device);
        if (clone != NULL) {
            people_forget(people, clone);
            ledger_clone(&people->ledger, device->number, clone->number);
        }
    } else if (what == 1 && device->saved != NULL) {
        lab_restore(device);
        people_forget(people, device);
        ledger_lose(&people->ledger, device->number, people->saved_order[device->number] + 1,
                    INT64_MAX);
    } else if (device->enrolled) {
        lab_save(device);
        people->saved_order[device->number] = people->ledger.order;
    }
}

/* The device loses power while somebody works on it or it syncs. */
static void lose_power(struct day *day, struct lab_device *device)
{
    lab_threaten(device);
    if (!device->enrolled || lab_chance(&day->lab, 40)) {
        people_act(&day->people, device);
    } else {
        sync_badly(day, device);
    }
    if (lab_rises(device)) {
        people_lose_power(&day->people, device);
    }
}

/* The device's disk has trouble while somebody works on it, reads the inbox or syncs. */
static void spoil_disk(struct day *day, struct lab_device *device)
{
    int what = lab_random(&day->lab, 100);
    lab_spoil_disk(device);
    if (!device->enrolled || what < 40) {
        people_act(&day->people, device);
    } else if (what < 50) {
        people_read_inbox(&day->people, device);
    } else {
        sync_badly(day, device);
    }
    lab_mend_disk(device);
}

/* The device's wall clock is set: by minutes, or by years. */
static void jump(struct lab_device *device)
{
    struct lab *lab = device->lab;
    const int64_t day_ms = 86400000;
    device->ahead_ms += lab_chance(lab, 50) ? lab_random(lab, 600000) - 300000
                                            : (lab_random(lab, 20000) - 10000) * day_ms;
    lab->counts[LAB_CLOCK]++;
}

static void step(struct day *day)
{
    struct lab *lab = &day->lab;
    struct lab_device *device = some_device(lab);
    int what = lab_random(lab, 1000);
    if (what < 510) {
        people_act(&day->people, device);
    } else if (what < 770) {
        sync_badly(day, device);
    } else if (what < 820) {
        people_office(&day->people);
    } else if (what < 850) {
        people_operate(&day->people);
    } else if (what < 890) {
        people_read_inbox(&day->people, device);
    } else if (what < 900) {
        people_fetch(&day->people, device);
    } else if (what < 910) {
        people_clear_hold(&day->people, device);
    } else if (what < 920) {
        lab_reopen(device);
    } else if (what < 930) {
        lose_power(day, device);
    } else if (what < 940) {
        lab_restart(lab);
    } else if (what < 960) {
        trouble_file(day, device);
    } else if (what < 970) {
        jump(device);
    } else if (what < 982) {
        spoil_disk(day, device);
    } else if (what < 988) {
        lab_part(device);
    } else if (what < 990) {
        lab_part_all(lab);
    } else if (what < 999) {
        lab_set_now_ms(lab_now_ms() + (lab_chance(lab, 50) ? 1000 : lab_random(lab, 36000000)));
    } else {
        lab_set_now_ms(lab_now_ms() + (1 + lab_random(lab, DAYS_MAX)) * (int64_t)86400000);
        lab->counts[LAB_LEAPT]++;
    }
    if (lab_chance(lab, 30)) {
        device = some_device(lab);
        lab_check(device);
        ledger_check_groups(&day->people.ledger, device->path);
    }
}

/* ---- its end */

static void settle(struct day *day)
{
    struct lab *lab = &day->lab;
    lab->faults = false;
    lab_trace(lab, "faults stop");
    people_calm(&day->people);
    for (int i = 0; i < lab->device_count; i++) {
        if (!lab->devices[i].enrolled) {
            lab_enrol(&lab->devices[i]);
        }
    }
    for (int i = 0; i < lab->device_count; i++) { /* as each does once a day */
        (void)daybook_verify(lab->devices[i].engine);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < lab->device_count; i++) {
            struct lab_device *device = &lab->devices[i];
            daybook_status status = lab_sync(device, 0);
            if (status != DAYBOOK_OK) {
                lab_fail(lab, "device %d: sync gives %s: %s", i, daybook_status_name(status),
                         device->error.text);
            }
            lab_check(device);
        }
    }
}

static void check_end(struct day *day)
{
    struct lab *lab = &day->lab;
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
        (void)daybook_get_status(device->engine, &status);
        if (status.pending + status.unsettled > 0) {
            lab_fail(lab, "device %d: %lld changesets pending, %lld unsettled", i,
                     (long long)status.pending, (long long)status.unsettled);
        }
        lab_compare(device);
        ledger_check_groups(&day->people.ledger, device->path);
        lab->counts[LAB_REJECTED] += strtoll(
            lab_device_text(device, "SELECT count(*) FROM inbox WHERE kind='rejected'"), NULL, 10);
        lab->counts[LAB_SUPERSEDED] += strtoll(
            lab_device_text(device, "SELECT count(*) FROM inbox WHERE kind<>'rejected'"), NULL, 10);
    }
    lab_check_server(lab);
    ledger_check_groups(&day->people.ledger, lab->database);
    ledger_check(&day->people.ledger);
}

/* See DAYBOOK_SIM_SKIP. Each step draws its own numbers, so that the others stay as they are. */
static bool is_left_out(int number)
{
    const char *skip = getenv("DAYBOOK_SIM_SKIP");
    while (skip != NULL && *skip != '\0') {
        char *end;
        long from = strtol(skip, &end, 10);
        long to = *end == '-' ? strtol(end + 1, &end, 10) : from;
        if (number >= from && number <= to) {
            return true;
        }
        skip = *end == ',' ? end + 1 : NULL;
    }
    return false;
}

/* Returns the hash of the day's trace. */
static uint64_t run_day(struct day *day, uint64_t seed, int64_t *counts)
{
    struct lab *lab = &day->lab;
    lab_seed_sqlite(seed);
    lab_open(lab, seed, counts);
    people_open(&day->people, lab);
    lab->between = between;
    lab->context = day;
    int devices = lab_chance(lab, 80) ? 2 + lab_random(lab, 3) : 5 + lab_random(lab, 7);
    for (int i = 0; i < devices; i++) {
        struct lab_device *device = lab_hire(lab, lab_random(lab, LAB_USERS));
        if (lab_chance(lab, 80)) {
            lab_enrol(device);
        }
    }
    lab->faults = true;
    for (int i = STEPS_LEAST + lab_random(lab, STEPS_MORE); i > 0; i--) {
        lab_begin_step(lab, i);
        if (!is_left_out(i)) {
            step(day);
        }
    }
    lab_begin_step(lab, 0);
    settle(day);
    check_end(day);
    people_close(&day->people);
    lab_close(lab);
    return lab->hash;
}

/* ---- many days */

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtol(text, NULL, 10);
}

static void test_days__a_seed_is_one_run(void **state)
{
    int64_t counts[LAB_FAULT_COUNT] = {0};
    uint64_t first = (uint64_t)number_from("DAYBOOK_SIM_FIRST", 1);
    struct day *day = calloc(1, sizeof *day);
    (void)state;
    assert_non_null(day);
    for (uint64_t seed = first; seed < first + TWICE; seed++) {
        uint64_t hash = run_day(day, seed, counts);
        if (run_day(day, seed, counts) != hash) {
            lab_fail(&day->lab, "another run of it had another trace");
        }
    }
    free(day);
}

static void test_days__everybody_ends_with_the_same(void **state)
{
    int64_t counts[LAB_FAULT_COUNT] = {0};
    int64_t committed = 0, refused = 0;
    long first = number_from("DAYBOOK_SIM_FIRST", 1);
    long wanted = number_from("DAYBOOK_SIM_SEEDS", 0);
    int64_t time_ms = (int64_t)number_from("DAYBOOK_SIM_SECONDS", DEFAULT_SECONDS) * 1000;
    int64_t begin_ms = elapsed_ms();
    long done = 0;
    struct day *day = calloc(1, sizeof *day);
    (void)state;
    assert_non_null(day);
    while (wanted > 0 ? done < wanted : done < DEFAULT_LEAST || elapsed_ms() - begin_ms < time_ms) {
        if (wanted != 1) {
            print_message("\rseed %ld ", first + done);
        }
        (void)run_day(day, (uint64_t)(first + done), counts);
        committed += day->people.committed;
        refused += day->people.refused;
        done++;
    }
    free(day);
    print_message("\r%ld seeds from %ld, %lld transactions, %lld refused by the engine\n", done,
                  first, (long long)committed, (long long)refused);
    for (int i = 0; i < LAB_FAULT_COUNT; i++) {
        print_message("%8lld %s\n", (long long)counts[i], fault_texts[i]);
        if (done >= SEEDS_OF_ALL) {
            assert_true(counts[i] > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days__a_seed_is_one_run),
        cmocka_unit_test(test_days__everybody_ends_with_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
