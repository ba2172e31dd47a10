/* SPDX-License-Identifier: Apache-2.0
 *
 * Table, rows and seed of the bench, all in this file. Called by both sides, so that they write the
 * same bytes. Invariants: row n is a pure function of the seed and n; a note has at least five
 * words of 2,000, so that of some million notes no two are the same.
 */
#include "tests/bench/rows.h"

#include "tests/bench/harness.h"

#include "engine/base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(20260114)
#define WORDS 2000
#define WORD_MAX 12     /* bytes with NUL */
#define NOTE_MAX 320    /* bytes with NUL */
#define NOTE_WANTED 215 /* sentences are added until a note has about as many bytes */
#define ROWS_PER_MS 100 /* ids of one millisecond, as when an app writes as fast as it can */
#define VISITS_A_DAY 288
#define VISIT_EVERY_MS (86400000 / VISITS_A_DAY) /* between two check-ins */
#define FIRST_MS INT64_C(946684800000)           /* 2000-01-01: no visit lies in the future */

const char rows_ddl[] =
    "CREATE TABLE visit(id BLOB PRIMARY KEY NOT NULL, customer_id BLOB NOT NULL, plan_day INTEGER,"
    " kind TEXT, status TEXT, checkin_ts INTEGER, checkin_tz_min INTEGER, checkin_lat_e7 INTEGER,"
    " checkin_lon_e7 INTEGER, checkin_acc_m INTEGER, feedback TEXT) WITHOUT ROWID;"
    "CREATE INDEX visit_by_customer_id ON visit(customer_id);"
    "CREATE INDEX visit_by_time ON visit(checkin_ts) WHERE checkin_ts IS NOT NULL;";

struct rows {
    int count;
    struct visit *visits;         /* or NULL */
    struct visit_update *updates; /* or NULL */
    char *text;                   /* all notes, one behind the other */
    char words[WORDS][WORD_MAX];
    uint8_t word_lengths[WORDS];
};

/* ---- chance ---- */

/* A step of a 64-bit mixing generator: adds an odd constant, then mixes by shifts and products. */
static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* 0 to below - 1; the tiny bias of the remainder does not matter here. */
static int below(uint64_t *state, int limit)
{
    return (int)(next_random(state) % (uint64_t)limit);
}

/* The generator of row n of a stream, independent of all others. */
static uint64_t state_of(uint64_t stream, int64_t number)
{
    uint64_t state = SEED ^ (stream << 56) ^ ((uint64_t)number * UINT64_C(0xD1342543DE82EF95));
    (void)next_random(&state);
    return state;
}

/* ---- words and notes ---- */

/* Words of two or three syllables, no two the same. */
static void make_words(struct rows *rows)
{
    static const char *const starts[] = {"b", "d", "f", "g", "h", "k", "l",  "m",  "n",
                                         "p", "r", "s", "t", "v", "w", "st", "tr", "ch"};
    static const char *const middles[] = {"a", "e", "i", "o", "u", "ai", "ea", "ou"};
    static const char *const ends[] = {"", "", "n", "r", "s", "l", "t"};
    uint64_t state = state_of(1, 0);
    for (int count = 0; count < WORDS;) {
        char word[32] = "";
        size_t length = 0;
        int syllables = 2 + below(&state, 5) / 3;
        for (int i = 0; i < syllables; i++) {
            bool fits = dk_text_format(word + length, sizeof word - length, "%s%s%s",
                                       starts[below(&state, 18)], middles[below(&state, 8)],
                                       i == syllables - 1 ? ends[below(&state, 7)] : "");
            assert(fits);
            (void)fits;
            length = strlen(word);
        }
        bool twin = length >= WORD_MAX;
        for (int i = 0; i < count && !twin; i++) {
            twin = strcmp(rows->words[i], word) == 0;
        }
        if (!twin) {
            memcpy(rows->words[count], word, length + 1);
            rows->word_lengths[count++] = (uint8_t)length;
        }
    }
}

/* Appends one sentence of `count` words: a capital, blanks, a full stop. Returns its length. */
static int write_sentence(const struct rows *rows, uint64_t *state, int count, char *out)
{
    int length = 0;
    for (int i = 0; i < count; i++) {
        int word = below(state, WORDS);
        if (i > 0) {
            out[length++] = ' ';
        }
        memcpy(out + length, rows->words[word], rows->word_lengths[word]);
        if (i == 0) {
            out[0] = (char)(out[0] - 'a' + 'A');
        }
        length += rows->word_lengths[word];
    }
    out[length++] = '.';
    out[length] = '\0';
    return length;
}

/* Sentences of 6 to 11 words, all words equally frequent, until the note is as long as a
 * visit's. */
static int write_note(const struct rows *rows, uint64_t *state, char out[NOTE_MAX])
{
    int length = 0;
    while (length < NOTE_WANTED - 40) {
        if (length > 0) {
            out[length++] = ' ';
        }
        length += write_sentence(rows, state, 6 + below(state, 6), out + length);
        assert(length < NOTE_MAX);
    }
    return length;
}

/* ---- rows ---- */

/* The day of visit `number`, in years of 12 months of 28 days. */
static int make_day(int64_t number)
{
    int day = (int)(number / VISITS_A_DAY % (12 * 28));
    return 20000101 + day / 28 * 100 + day % 28;
}

/* The visit with this number, without id and note. Check-ins follow each other in time, at the
 * customer's door within the accuracy of the receiver. */
static void make_visit(struct visit *visit, int64_t number, uint64_t *state)
{
    static const char *const kinds[] = {"routine", "sales", "care", "complaint", "stock check"};
    visit->customer = below(state, ROWS_CUSTOMERS);
    visit->plan_day = make_day(number);
    visit->kind = kinds[below(state, 5)];
    visit->status = "in_progress"; /* updates then end it, as people may */
    visit->checkin_ts = FIRST_MS + number * VISIT_EVERY_MS + below(state, VISIT_EVERY_MS);
    visit->checkin_tz_min = 480;
    uint64_t door = state_of(6, visit->customer);
    visit->checkin_lat_e7 = 312000000 + below(&door, 2000000) + below(state, 2000);
    visit->checkin_lon_e7 = 1214000000 + below(&door, 2000000) + below(state, 2000);
    visit->checkin_acc_m = 3 + below(state, 40);
}

struct rows *rows_new(int64_t first, int count)
{
    struct rows *rows = bench_new(1, sizeof *rows);
    struct id_maker maker = {0};
    rows->count = count;
    rows->visits = bench_new((size_t)count, sizeof *rows->visits);
    rows->text = bench_new((size_t)count, NOTE_MAX);
    make_words(rows);
    char *text = rows->text;
    for (int i = 0; i < count; i++) {
        struct visit *visit = &rows->visits[i];
        uint64_t state = state_of(2, first + i);
        uint64_t random[2] = {next_random(&state), next_random(&state)};
        visit->id = dk_id_make(&maker, FIRST_MS + (first + i) / ROWS_PER_MS, (uint8_t *)random);
        make_visit(visit, first + i, &state);
        visit->note = text;
        visit->note_length = write_note(rows, &state, text);
        text += visit->note_length + 1;
    }
    return rows;
}

struct rows *rows_new_updates(int64_t first, int count)
{
    struct rows *rows = bench_new(1, sizeof *rows);
    rows->count = count;
    rows->updates = bench_new((size_t)count, sizeof *rows->updates);
    rows->text = bench_new((size_t)count, NOTE_MAX);
    make_words(rows);
    char *text = rows->text;
    for (int i = 0; i < count; i++) {
        struct visit_update *update = &rows->updates[i];
        uint64_t state = state_of(3, first + i);
        update->plan_day = make_day(below(&state, ROWS_MANY));
        update->status = below(&state, 4) == 0 ? "abandoned" : "completed";
        update->note = text;
        update->note_length = write_sentence(rows, &state, 5 + below(&state, 3), text);
        text += update->note_length + 1;
    }
    return rows;
}

void rows_free(struct rows *rows)
{
    if (rows != NULL) {
        free(rows->visits);
        free(rows->updates);
        free(rows->text);
        free(rows);
    }
}

const struct visit *rows_visits(const struct rows *rows)
{
    assert(rows->visits != NULL);
    return rows->visits;
}

const struct visit_update *rows_updates(const struct rows *rows)
{
    assert(rows->updates != NULL);
    return rows->updates;
}

int rows_count(const struct rows *rows)
{
    return rows->count;
}

struct id rows_customer(int customer)
{
    struct id_maker maker = {0};
    uint64_t state = state_of(4, customer);
    uint64_t random[2] = {next_random(&state), next_random(&state)};
    return dk_id_make(&maker, FIRST_MS - 86400000 + customer, (uint8_t *)random);
}

int *rows_shuffled(int count, uint64_t seed)
{
    int *order = bench_new((size_t)count, sizeof *order);
    uint64_t state = state_of(5, (int64_t)seed);
    for (int i = 0; i < count; i++) {
        int other = below(&state, i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    return order;
}
