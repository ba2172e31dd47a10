/* SPDX-License-Identifier: Apache-2.0
 *
 * See day.h.
 */
#include "tests/support/day.h"

#include "tests/support/release.h"

#include <stdlib.h>

#define DAYS_MAX 400 /* that pass at once */
#define ROUNDS 3     /* in which everything must come to rest */

static struct lab_device *some_device(struct lab *lab)
{
    return &lab->devices[lab_random(lab, lab->device_count)];
}

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
    device->strayed = false;
    daybook_status status = lab_sync(device, budget_ms);
    if (!lab_may_end(device, status) && !lab_is_disk_trouble(device, status)) {
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

/* The device or the server gets the newer release, once, in whichever order. */
static void update(struct day *day, struct lab_device *device)
{
    struct lab *lab = &day->lab;
    if (lab->newer == NULL) {
        return;
    }
    if (lab->release != lab->newer && lab_chance(lab, 40)) {
        lab_update_server(lab);
    } else if (device->release != lab->newer) {
        lab_update(device);
        if (lab_rises(device)) {
            people_lose_power(&day->people, device);
        }
    }
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

void day_step(struct day *day, struct lab_device *device, int what)
{
    struct lab *lab = &day->lab;
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
    } else if (what < 980) {
        spoil_disk(day, device);
    } else if (what < 984) {
        lab_part(device);
    } else if (what < DAY_UPDATES) {
        lab_part_all(lab);
    } else if (what < 990) {
        update(day, device);
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
    bool newer = false;
    lab->faults = false;
    lab_trace(lab, "faults stop");
    for (int i = 0; i < lab->device_count; i++) {
        newer = newer || lab->devices[i].release == lab->newer;
    }
    if (newer && lab->release != lab->newer) { /* what it did not understand waits for that */
        lab_update_server(lab);
    }
    if (lab->release == lab->newer) { /* it has converted all that it had */
        lab_restart(lab);
    }
    people_calm(&day->people);
    for (int i = 0; i < lab->device_count; i++) {
        if (!lab->devices[i].enrolled) {
            lab_enrol(&lab->devices[i]);
        }
    }
    for (int i = 0; i < lab->device_count; i++) { /* as each does once a day */
        (void)lab->devices[i].release->verify(lab->devices[i].engine);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < lab->device_count; i++) {
            struct lab_device *device = &lab->devices[i];
            lab_must_sync(device);
            lab_check(device);
        }
    }
}

static void check_end(struct day *day)
{
    struct lab *lab = &day->lab;
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        lab_check_rest(device);
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

void day_begin(struct day *day, uint64_t seed, int64_t *counts, const struct release *newer)
{
    lab_seed_sqlite(seed);
    lab_open(&day->lab, seed, counts);
    day->lab.newer = newer;
    people_open(&day->people, &day->lab);
    day->lab.between = between;
    day->lab.context = day;
}

void day_end(struct day *day)
{
    settle(day);
    check_end(day);
    people_close(&day->people);
    lab_close(&day->lab);
}
