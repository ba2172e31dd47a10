/* SPDX-License-Identifier: Apache-2.0
 *
 * The model check: scenarios of two devices and a server, all there are of small alphabets, played
 * by real engines and the real server. One line of JSON for each says what was done and what came
 * out; reference.py reads it. A scenario is a word: its letters are operations of device a (a
 * rep's) and device b (a manager's or the back office's), and their syncs.
 */
#ifndef DAYBOOK_TESTS_MODEL_MODEL_H
#define DAYBOOK_TESTS_MODEL_MODEL_H

#include "engine/base/id.h"
#include "tests/support/company.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MODEL_EACH 3                   /* operations of each device in a word, syncs included */
#define MODEL_LETTERS (MODEL_EACH * 2) /* of a word */
#define MODEL_ALPHABET 6               /* operations of one device in a configuration */
#define MODEL_SETUP 3                  /* records that are there at the beginning */
#define MODEL_RECORDS (MODEL_SETUP + MODEL_LETTERS)
#define MODEL_NAME 16 /* "r1", "la3" and NUL */
#define MODEL_TEXT 1024

/* ---- configurations ---- */

enum model_verb { MODEL_NONE, MODEL_NEW, MODEL_SET, MODEL_ADD, MODEL_REMOVE, MODEL_DELETE };

/* What a device does. `values` is JSON in which stand, with a $ in front: 1, 2, 3 for the records
 * of the setup, s for a customer that is always there, t and k for products, v for a text and n for
 * a number that no other letter of the word gives, d for the beginning of a time that is far from
 * those of other scenarios, so that visits do not come near each other. */
struct model_op {
    enum model_verb verb;
    int record;         /* of the setup */
    const char *entity; /* NEW */
    const char *values; /* NEW, SET; ADD, REMOVE: an element */
    const char *field;  /* ADD, REMOVE: of a set */
};

struct model_record {
    const char *name, *entity, *values;
};

struct model_config {
    const char *name;
    const char *role;   /* of b */
    bool daily;         /* played where nothing else is said */
    const char *fields; /* of the outcome, a comma before and behind each */
    struct model_record records[MODEL_SETUP];
    struct model_op ops[2][MODEL_ALPHABET]; /* of a and b, up to the first NONE */
};

size_t model_config_count(void);
const struct model_config *model_config_at(size_t number);
/* NULL: there is none of this name. */
const struct model_config *model_config_named(const char *name, size_t length);

/* ---- words ---- */

#define MODEL_SYNC 7 /* as a letter's operation */
#define MODEL_LETTER(who, op) ((uint8_t)((who)*8 + (op)))
#define MODEL_WHO(letter) ((letter) / 8)
#define MODEL_OP(letter) ((letter) % 8)

struct model_word {
    const struct model_config *config;
    int id;
    uint8_t length;
    uint8_t letters[MODEL_LETTERS];
    uint16_t syncs; /* who syncs in what order: the same number, the same order */
};

struct model_words {
    struct model_word *list;
    size_t count, room;
};

/* Adds all words of a configuration. Left out are those in which a sync could exchange nothing, and
 * those that end with a sync of a, by which every scenario goes on anyway: each of them is another
 * word with a letter more. A word's id does not depend on what else is there. */
void model_words_add(struct model_words *words, const struct model_config *config);
/* Brings words with the same order of syncs together. */
void model_words_sort(struct model_words *words);
void model_words_clear(struct model_words *words);
/* The place in the word of its sync number n = 0, 1 …; its length where there are no more. */
int model_word_sync(const struct model_word *word, int n);

/* ---- playing ---- */

/* The two devices, the server and what they were told. */
struct model_stage {
    struct company company;
    struct rep *reps[2];
    char shop[DAYBOOK_ID_SIZE];
    int64_t device_no[2];
    /* By seq, from 1: the first letter of the verdict on each changeset of a device, 0: none yet.
     */
    struct model_told {
        char *verdicts;
        int64_t room, made, told;
    } told[2];
    int64_t since;        /* the head of the server's log before the scenarios of now */
    int64_t refused, ops; /* of all scenarios */
};

struct model_made {
    char name[MODEL_NAME];
    char id[DAYBOOK_ID_SIZE];
    const char *entity;
};

/* A word as it is being played. */
struct model_scenario {
    const struct model_word *word;
    int at; /* letters that are done */
    struct model_made made[MODEL_RECORDS];
    int made_count;
    int64_t setup_seq;          /* of a */
    int64_t seq[MODEL_LETTERS]; /* of the letter's changeset; 0: there is none */
    int32_t ms[MODEL_LETTERS];  /* of letters that were done; 0: refused */
    int32_t end_ms;             /* of the syncs at the end */
};

/* A company with both devices in it, in step. */
void model_open(struct model_stage *stage, const char *role);
/* Compares both devices with the server and ends the company. */
void model_close(struct model_stage *stage);
/* Plays scenarios of one order of syncs side by side, to the end. */
void model_play(struct model_stage *stage, struct model_scenario *scenarios, size_t count);

/* ---- telling ---- */

/* Writes `template` with what stands for each $: as the line has it, or else as the engine.
 * `letter` is the place of the letter in the word; -1: the setup. */
void model_fill(const struct model_stage *stage, const struct model_scenario *scenario, bool line,
                const char *template, int letter, char out[MODEL_TEXT]);
/* Writes the lines of scenarios that were played. */
void model_tell(struct model_stage *stage, const struct model_scenario *scenarios, size_t count,
                FILE *file);

#endif
