/* SPDX-License-Identifier: Apache-2.0
 *
 * A day of a few people with a bad network, step by step: what each step may be, and what must hold
 * in the end, when everybody has the same and nothing that somebody entered is lost. Who makes the
 * steps is the test: a seed (sim) or bytes (fuzz).
 */
#ifndef DAYBOOK_TESTS_SUPPORT_DAY_H
#define DAYBOOK_TESTS_SUPPORT_DAY_H

#include "tests/support/people.h"

#define DAY_CHOICES 1000
#define DAY_UPDATES 986 /* the choice by which the device or the server is updated */

struct day {
    struct lab lab;
    struct people people;
};

/* A laboratory without devices and faults; what is updated in it becomes `newer`. NULL: nothing. */
void day_begin(struct day *day, uint64_t seed, int64_t *counts, const struct release *newer);
/* One thing happens to a device, the server or the clocks: `what`, below DAY_CHOICES, says which;
 * how it goes is drawn. */
void day_step(struct day *day, struct lab_device *device, int what);
/* Faults stop, all devices sync, everything is checked, and the laboratory is closed. */
void day_end(struct day *day);

#endif
