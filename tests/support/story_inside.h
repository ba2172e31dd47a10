/* SPDX-License-Identifier: Apache-2.0
 *
 * A story being told: what story_stage.c, which does what the sentences say, shares with
 * story_check.c, which finds out whether their statements are true.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_STORY_INSIDE_H
#define DAYBOOK_TESTS_SUPPORT_STORY_INSIDE_H

#include "tests/support/company.h"
#include "tests/support/story.h"

#define STORY_TEXT_SIZE 1024
#define STORY_JSON_SIZE 4096

struct story_stage {
    struct company company;
    bool is_open;
    bool is_spent;                  /* the operator changed it: the next story gets another */
    struct rep *reps[STORY_PEOPLE]; /* NULL: not there yet */
    struct story_shown shown;

    /* of the story under way */
    const struct story *story;
    int order;
    const struct story_step *step;
    char ids[STORY_NAMES_MAX][DAYBOOK_ID_SIZE];    /* UUID text, by the number of the name */
    char shop[DAYBOOK_ID_SIZE];                    /* whose documents those are that say no more */
    int64_t opened[STORY_PEOPLE][STORY_NAMES_MAX]; /* versions that forms show; -1: none open */
    int64_t ahead_ms[STORY_PEOPLE];                /* of each clock */
    int writes;                                    /* that were made so far */
    char *problem;
};

/* Says what is not true of the present sentence, or cannot be done. Always false. */
bool story_untrue(struct story_stage *stage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The entity of a name. */
const struct entity *story_entity(const struct story_stage *stage, int name);
/* The field, or NULL for custom.KEY. */
const struct field *story_field(const struct entity *entity, const char *name);
/* A value as the documented views show it, "" for nothing. `field` NULL: as it is written. False: a
 * problem. */
bool story_value_text(struct story_stage *stage, const struct field *field,
                      const struct story_value *value, char out[STORY_TEXT_SIZE]);
/* The id of the record of the server that a unique column names; "" for none. */
void story_server_id(struct story_stage *stage, const char *entity, const char *column,
                     const char *value, char out[STORY_TEXT_SIZE]);
/* Appends to a JSON object that is under way. */
void story_append(char json[STORY_JSON_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends the present sentence's fields as members of a JSON object that is open. */
bool story_fields_json(struct story_stage *stage, const struct entity *entity,
                       char json[STORY_JSON_SIZE]);

/* What the present sentence writes, as one transaction of this person. The record made gets the
 * name with this number; a change is of the record that the sentence names, and what it says that
 * cannot be done must be refused. */
bool story_make(struct story_stage *stage, int person, int name);
bool story_change(struct story_stage *stage, int person);
/* Sends what was rejected anew, with the sentence's fields in the record that it names. */
bool story_mend(struct story_stage *stage, int person);
/* Takes the item about the record that the sentence names out of the inbox, as it says. */
bool story_deal(struct story_stage *stage, int person);

/* Finds out whether the present sentence, which states something, is true. */
bool story_check(struct story_stage *stage);

#endif
