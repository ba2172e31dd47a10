/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories: the examples of docs/deciding.md, fenced blocks of plain sentences, one per line, that
 * tests run with real engines and the real server. The page says what the sentences mean; the table
 * STORY_FORMS is the whole grammar. Reading a page (story.c) finds what is misspelt and touches no
 * engine; telling a story (story_stage.c) does what it says and finds what is not true.
 *
 * In a form, a word stands for itself or for itself with an s behind ("sync" is also "syncs"), a|b
 * for either, ?word opens a part that may be left out, up to the next ? or the end. In capitals:
 *   WHO       people: wang, li … or everybody, which is all whom the story names
 *   ENTITY    an entity's name                         NEW   a name in capitals, bound from here on
 *   NAME      a name that is bound, or a person        VALUE "text", number, [list], a name, a word
 *   FIELD     a field of the entity that NAME is of; custom.KEY is a key of one's own
 *   FIELDS    FIELD VALUE, FIELD VALUE …               COLUMNS the same with any word for FIELD
 *   WORD      any word                                 REST  the line to its end
 */
#ifndef DAYBOOK_TESTS_SUPPORT_STORY_H
#define DAYBOOK_TESTS_SUPPORT_STORY_H

#include "engine/protocol/entities.h"
#include "engine/protocol/verdict.h"

#include <stdbool.h>
#include <stddef.h>

#define STORY_WHO_MAX 6
#define STORY_FIELDS_MAX 8
#define STORY_NAMES_MAX 16
#define STORY_STEPS_MAX 40
#define STORY_PROBLEM_SIZE 1000

/* X(KIND, whether it states what must be true, form) */
#define STORY_FORMS(X)                                                                             \
    X(HAVE, false, "WHO have|has ENTITY NEW ?of NAME ?with FIELDS")                                \
    X(MAKE, false, "WHO make ENTITY NEW ?of NAME ?with FIELDS")                                    \
    X(CANNOT, true, "WHO cannot set NAME FIELD VALUE : WORD")                                      \
    X(OPEN, false, "WHO open NAME")                                                                \
    X(SET, false, "WHO set NAME FIELDS")                                                           \
    X(ADD, false, "WHO add VALUE to NAME FIELD")                                                   \
    X(REMOVE, false, "WHO remove VALUE from NAME FIELD")                                           \
    X(DELETE, false, "WHO delete NAME")                                                            \
    X(CLOCK, false, "WHO 's clock is VALUE WORD WORD")                                             \
    X(ANY_ORDER, false, "WHO sync in any order")                                                   \
    X(LOST_ANSWER, false, "WHO sync , the answer is lost")                                         \
    X(SYNC, false, "WHO sync")                                                                     \
    X(IMPORT, false, "the operator set NAME FIELDS")                                               \
    X(RUN, false, "the operator run : REST")                                                       \
    X(MEND, false, "WHO mend NAME with FIELDS")                                                    \
    X(DISCARD, false, "WHO discard NAME")                                                          \
    X(KEEP_MINE, false, "WHO keep mine of NAME")                                                   \
    X(USE_THEIRS, false, "WHO use theirs of NAME")                                                 \
    X(CLEAR, false, "WHO clear NAME")                                                              \
    X(TOLD, true, "WHO is|are told : REST")                                                        \
    X(SEE_ONE, true, "WHO see one ENTITY NEW ?about NAME ?with FIELDS")                            \
    X(SEE_NOT, true, "WHO do|does not see NAME")                                                   \
    X(SEE_FIELDS, true, "WHO see NAME FIELDS")                                                     \
    X(SEE, true, "WHO see NAME")                                                                   \
    X(EMPTY, true, "WHO 's inbox is empty")                                                        \
    X(INBOX, true, "WHO 's inbox : WORD NAME ?, COLUMNS")                                          \
    X(COUNTS, true, "WHO 's NAME counts")                                                          \
    X(COUNTS_SO_FAR, true, "WHO 's NAME counts so far")                                            \
    X(COUNTS_NOT, true, "WHO 's NAME does not count : WORD")                                       \
    X(COUNTS_NOT_SO_FAR, true, "WHO 's NAME does not count so far : WORD")                         \
    X(STATE, true, "WHO 's NAME is WORD")

#define STORY_KIND(kind, states, form) STORY_##kind,
enum story_kind { STORY_FORMS(STORY_KIND) STORY_KIND_COUNT };
#undef STORY_KIND

/* The people of all stories; who is not named in one does not come. */
#define STORY_PEOPLE 6
struct story_role {
    const char *name;
    const char *role;
    const char *territory; /* NULL: none */
    int device_of;         /* another device of this person, by number; -1: a user of their own */
};
extern const struct story_role story_people[STORY_PEOPLE];

enum story_value_kind { VALUE_IS_TEXT, VALUE_IS_NUMBER, VALUE_IS_LIST, VALUE_IS_WORD };
struct story_value {
    enum story_value_kind kind;
    char text[200]; /* of a text, without the quotes */
};

struct story_field {
    char name[64]; /* custom.KEY: a key of the app's own */
    struct story_value value;
};

/* One sentence. What a form does not have is 0. Names are numbers within the story. */
struct story_step {
    enum story_kind kind;
    int line;           /* of the page */
    const char *source; /* the sentence; ends at the line's end */
    int who[STORY_WHO_MAX];
    int who_count;
    const struct entity *entity;
    int names[2]; /* in the order of the form; -1 in the place of a part that was left out */
    int name_count;
    struct story_field fields[STORY_FIELDS_MAX];
    int field_count;
    struct story_value value;
    char words[2][40];
    int word_count;
    const char *rest;
};

struct story {
    char title[100]; /* the heading above it */
    int line;        /* of the page, where it begins */
    bool people[STORY_PEOPLE];
    struct {
        char name[32];
        const struct entity *entity;
    } names[STORY_NAMES_MAX]; /* people first, under their numbers, as records of app_user */
    int name_count;
    struct story_step steps[STORY_STEPS_MAX];
    int step_count;
};

struct story_page {
    char *text;
    struct story *stories;
    int count;
};

/* Reads all stories of a page. False: `problem` says what is wrong, with the line. The text must be
 * NUL-terminated and outlive the page. */
bool story_page_read(struct story_page *page, const char *text, char problem[STORY_PROBLEM_SIZE]);
/* The same from a file, whose text the page then owns. */
bool story_page_load(struct story_page *page, const char *path, char problem[STORY_PROBLEM_SIZE]);
void story_page_clear(struct story_page *page);
/* How many times the story is to be told: once per order of arrival. */
int story_orders(const struct story *story);

/* Words beside a verdict, as the wire spells them: its flags, and that something has moved. */
#define STORY_FLAG(member, name) STORY_FLAG_##member,
enum story_flag { VERDICT_FLAG_LIST(STORY_FLAG) STORY_FLAG_MOVED, STORY_FLAGS };
#undef STORY_FLAG
extern const char *const story_flags[STORY_FLAGS];

/* What all stories told so far have shown to be true. */
struct story_shown {
    bool policies[POLICY_DERIVED + 1]; /* a field of it, below a heading that names it */
    bool verdicts[VERDICT_QUARANTINED + 1];
    bool flags[STORY_FLAGS];
    int told;       /* stories, each order counted */
    int statements; /* that were found to be true */
};

struct story_stage;
struct story_stage *story_stage_new(void);
void story_stage_free(struct story_stage *stage);
/* Tells a story; `order` counts from 0. False: `problem` says what is not true, with the line of
 * the page. Whatever fails in engine or server ends the test there. */
bool story_tell(struct story_stage *stage, const struct story *story, int order,
                char problem[STORY_PROBLEM_SIZE]);
const struct story_shown *story_shown(const struct story_stage *stage);

#endif
