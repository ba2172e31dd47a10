/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files about people need of each other; see people.h. For people*.c only.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_PEOPLE_INSIDE_H
#define DAYBOOK_TESTS_SUPPORT_PEOPLE_INSIDE_H

#include "tests/support/people.h"
#include "tests/support/release.h"

#define PEOPLE_JSON_SIZE 4000

/* A transaction under way. */
struct act {
    struct people *people;
    struct lab *lab;
    struct lab_device *device;
    const struct release *use; /* the device's */
    daybook_transaction *transaction;
};

/* Nothing is done yet. */
static inline struct act people_acts(struct people *people, struct lab_device *device)
{
    return (struct act){
        .people = people, .lab = people->lab, .device = device, .use = device->release};
}

/* What a device has to send and to read, in words. */
struct mark {
    char text[80];
};

/* A JSON object being written. */
struct json {
    char text[PEOPLE_JSON_SIZE];
    int length;
};

void people_add(struct json *json, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The device has committed what is staged in the ledger, or what the ledger did anew. */
void people_note_commit(struct people *people, struct lab_device *device);
const char *people_finish(struct json *json);

/* The mark before a call; and the test fails where a call that was refused has changed it. */
void people_mark(struct lab_device *device, struct mark *mark);
void people_check_mark(struct lab_device *device, const struct mark *mark, daybook_status status);

/* A random record of this kind that the device shows; false where there is none. */
bool people_pick(struct act *act, const char *entity, char id[DAYBOOK_ID_SIZE]);
/* Reads a record into a form, whose own id may be the one given; false where there is none. */
bool people_look(struct act *act, int kind, const char *name, struct form *form);
/* Opens a form, or takes one that has been open for long. */
bool people_open_form(struct act *act, struct form *form);
/* Stages an entry in the ledger and gives its number. */
int people_number(struct act *act, const struct form *form, int feature, bool blind);
/* Notes what the author of a delete saw, lines included. */
void people_see_removed(struct act *act, const struct form *form, bool blind);

/* Acts of a transaction; false where the engine refused one. */
bool people_change_sets(struct act *act, const struct form *form, int64_t version);
bool people_step(struct act *act);
bool people_decide(struct act *act);
/* Notes in the ledger that the form's document is brought to this state. */
void people_note_step(struct act *act, const struct form *form, const char *to, bool blind);

#endif
