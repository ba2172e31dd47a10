/* SPDX-License-Identifier: Apache-2.0
 *
 * A store for tests: on a real file in a folder of its own, with a clock and random numbers that
 * the test owns. Drafts of local transactions and replies of the server are put together value by
 * value. What is expected and does not happen ends the test with the store's own words.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_DESK_H
#define DAYBOOK_TESTS_SUPPORT_DESK_H

#include "engine/store/store.h"

#define DESK_VALUES 24    /* of one change or row */
#define DESK_CHANGES 1200 /* of one draft */
#define DESK_EPOCH 4711

struct desk {
    char folder[256];
    char path[300];
    struct store *store;
    struct store_options options;
    daybook_platform platform;
    int64_t now_ms;
    uint64_t random;
    char problem[300];
    struct arena arena; /* for what lives until the test ends */
    bool whole;         /* nothing is broken off first */
    uint64_t changed;   /* what the observer was told since the last look */
    int told;           /* how often */
    /* the draft */
    struct change changes[DESK_CHANGES];
    int change_count;
    struct store_failure failure;
    /* the row or change whose values are being added */
    struct field_value *values;
    int *value_count;
    struct field_value row_values[DESK_VALUES];
    int row_value_count;
    const struct entity *entity;
    /* the reply */
    struct sync_reply reply;
    struct buffer log, verdicts, scope, pages;
    struct block_writer log_writer;
    bool log_open;
    struct store_applied applied;
    const char *reply_problem;
};

/* A folder, a clock at a fixed time, nothing open. */
void desk_init(struct desk *desk);
void desk_open(struct desk *desk);
void desk_open_expect(struct desk *desk, daybook_status status);
void desk_close(struct desk *desk);
/* Closes and removes the folder. */
void desk_clear(struct desk *desk);
/* desk_init, desk_open and enrolment as device 5. */
void desk_begin(struct desk *desk);
void desk_enrol(struct desk *desk, int64_t device_no);
struct id desk_id(struct desk *desk);
/* An id that is the same in every run: 16 times this byte. */
struct id desk_fixed_id(uint8_t byte);
uint64_t desk_random(struct desk *desk);

/* ---- a local transaction */
void desk_new(struct desk *desk, int entity, const struct id *id);
void desk_set(struct desk *desk, int entity, const struct id *id, int64_t seen);
void desk_delete(struct desk *desk, int entity, const struct id *id, int64_t seen);
/* Values of the change or row begun last; text is copied. */
void desk_text(struct desk *desk, int field, const char *text); /* NULL: no value */
void desk_int(struct desk *desk, int field, int64_t number);
void desk_ref(struct desk *desk, int field, const struct id *id);
/* A text in those of eight fields of a customer that the mask has: with 200 masks come more kinds
 * of updates than an engine keeps statements for. */
static inline void desk_shape(struct desk *desk, int mask, const char *text)
{
    static const int fields[] = {CUSTOMER_TYPE,   CUSTOMER_CHANNEL, CUSTOMER_INDUSTRY,
                                 CUSTOMER_TAX_NO, CUSTOMER_PREFS,   CUSTOMER_PHONE,
                                 CUSTOMER_NAME,   CUSTOMER_REGION};
    for (int i = 0; i < 8; i++) {
        if ((mask >> i & 1) != 0) {
            desk_text(desk, fields[i], text);
        }
    }
}
/* A field that the schema does not know, with its raw JSON. Rows of the log only. */
void desk_unknown(struct desk *desk, const char *name, const char *raw);
daybook_status desk_try_commit(struct desk *desk);
void desk_commit(struct desk *desk);
void desk_commit_expect(struct desk *desk, daybook_status status);
/* A customer of this name, committed. */
struct id desk_customer(struct desk *desk, const char *name);

/* ---- a reply */
/* Rows of the log page; values follow. */
void desk_row(struct desk *desk, enum block_op op, int entity, int64_t bucket, int64_t position,
              const struct id *id);
void desk_own(struct desk *desk, int64_t position, int64_t seq, int64_t bucket);
void desk_own_id(struct desk *desk, int64_t position, int64_t seq, const struct id *changeset,
                 int64_t bucket);
/* Blocks as they are, with their commas. */
void desk_raw_log(struct desk *desk, const char *blocks);
void desk_accepted(struct desk *desk, int64_t seq, int64_t position);
void desk_verdict(struct desk *desk, const struct verdict *verdict);
void desk_rejected(struct desk *desk, int64_t seq, enum reject_code code, const struct id *cause);
/* The rows begun so far, of op new and bucket 0, become a page of this bucket that was read at
 * `head`, behind customer `after` (NULL: the first) and up to customer `next` (NULL: the last). */
void desk_page(struct desk *desk, int64_t bucket, int64_t head, const struct id *after,
               const struct id *next);
/* Begins a snapshot of the whole scope, at this position of this epoch's log. */
void desk_reset(struct desk *desk, uint64_t epoch, int64_t position);
/* [[1,"a"],[2,"b"]] */
void desk_scope(struct desk *desk, const char *json);
/* Applies what was put together; position = head. */
daybook_status desk_try_apply(struct desk *desk, int64_t position, int64_t head);
void desk_apply(struct desk *desk, int64_t position);
void desk_apply_upto(struct desk *desk, int64_t position, int64_t head);
void desk_apply_expect(struct desk *desk, int64_t position, daybook_status status);
/* Collects everything, as a request would. */
void desk_send(struct desk *desk);

/* ---- looking */
void desk_check(struct desk *desk);
bool desk_has(struct desk *desk, int entity, const struct id *id);
void desk_expect_text(struct desk *desk, int entity, const struct id *id, int field,
                      const char *text);
void desk_expect_int(struct desk *desk, int entity, const struct id *id, int field, int64_t number);
void desk_expect_null(struct desk *desk, int entity, const struct id *id, int field);
void desk_expect_version(struct desk *desk, int entity, const struct id *id, int64_t version);
int64_t desk_version(struct desk *desk, int entity, const struct id *id);
struct store_state desk_state(struct desk *desk);
/* One value out of the file, by a connection of its own. */
int64_t desk_number(struct desk *desk, const char *sql);
/* The same as text, in the desk's arena; "" for NULL. */
const char *desk_sql(struct desk *desk, const char *sql);
struct id desk_changeset(struct desk *desk, int64_t seq);

/* The draft is committed, the reply applied: broken off once, then made (desk_break.c). */
daybook_status desk_call_commit(struct desk *desk);
daybook_status desk_call_apply(struct desk *desk);

#endif
