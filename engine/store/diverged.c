/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the search for buckets that are not what the server has, and their repair. Called by apply
 * where a reply brings the sums of the buckets, and where contents were compared. Invariants: what
 * is repaired is loaded anew from the server, and nothing that is pending is touched; a bucket that
 * does not agree after its repair is not loaded again before a day has passed, and keeps no other
 * from being repaired.
 *
 * scope.repaired_ms: when the bucket was begun anew; 0: its sum has agreed since.
 * memory.repaired counts those that are not 0.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#define REPAIR_AGAIN_MS (INT64_C(24) * 3600 * 1000)

/* See inside.h. */
bool dk_sums_read_row(struct json_reader *json, int64_t *bucket, uint64_t *sum)
{
    int64_t number;
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
        return false;
    }
    *bucket = json->integer;
    if (dk_json_next(json) != JSON_STRING || !dk_text_to_int64(json->text, json->length, &number) ||
        number < 0) {
        return false;
    }
    *sum = (uint64_t)number;
    return dk_json_next(json) == JSON_END;
}

/* What is known of a bucket held; *found false: it is not in scope. */
static daybook_status load_bucket(struct store *store, int64_t bucket, uint64_t *sum,
                                  int64_t *repaired_ms, bool *found)
{
    daybook_status status;
    struct statement *load =
        dk_statement(&store->database, &store->slots.scope_bucket,
                     "SELECT sum,repaired_ms FROM scope WHERE bucket=?", &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, bucket);
    status = dk_step(load, found);
    if (status == DAYBOOK_OK && *found) {
        *sum = (uint64_t)dk_column_int(load, 0);
        *repaired_ms = dk_column_int(load, 1);
        dk_reset(load);
    }
    return status;
}

/* Notes since when the bucket has been under repair; 0: it agrees. */
static daybook_status note_repair(struct store *store, int64_t bucket, int64_t repaired_ms)
{
    char sql[120];
    (void)dk_text_format(sql, sizeof sql, "UPDATE scope SET repaired_ms=%lld WHERE bucket=%lld",
                         (long long)repaired_ms, (long long)bucket);
    daybook_status status = dk_database_run(&store->database, sql);
    return status == DAYBOOK_OK ? dk_loading_count(store) : status;
}

daybook_status dk_diverged_repair(struct store *store, int64_t bucket)
{
    int64_t now_ms = dk_store_wall_ms(store);
    daybook_status status = note_repair(store, bucket, now_ms != 0 ? now_ms : 1);
    return status == DAYBOOK_OK ? dk_loading_begin(store, bucket) : status;
}

daybook_status dk_diverged_none(struct apply *apply)
{
    struct store *store = apply->store;
    if (store->memory.repaired == 0) {
        return DAYBOOK_OK;
    }
    apply->applied->repaired += (int)store->memory.repaired;
    store->memory.repaired = 0;
    return dk_database_run(&store->database, "UPDATE scope SET repaired_ms=0");
}

/* Repairs the bucket where its sum is another, and it was not just repaired for that. */
static daybook_status compare_bucket(struct apply *apply, int64_t bucket, uint64_t theirs)
{
    struct store *store = apply->store;
    uint64_t mine = 0;
    int64_t repaired_ms = 0;
    bool found = false;
    daybook_status status = load_bucket(store, bucket, &mine, &repaired_ms, &found);
    if (status != DAYBOOK_OK || !found) {
        return status;
    }
    if (mine == theirs) {
        apply->applied->repaired += repaired_ms != 0;
        return repaired_ms != 0 ? note_repair(store, bucket, 0) : DAYBOOK_OK;
    }
    int64_t since_ms = dk_store_wall_ms(store) - repaired_ms;
    if (repaired_ms != 0 && since_ms >= 0 && since_ms < REPAIR_AGAIN_MS) {
        return DAYBOOK_OK;
    }
    dk_log(&store->options.log, LOG_ERROR, "store: bucket %lld differs from the server's at %lld",
           (long long)bucket, (long long)apply->reply->position);
    apply->applied->diverged++;
    return dk_diverged_repair(store, bucket);
}

daybook_status dk_apply_divergence(struct apply *apply)
{
    struct json_reader json;
    enum json_type type;
    daybook_status status = DAYBOOK_OK;
    dk_json_open(&json, apply->reply->sums.bytes, apply->reply->sums.length);
    type = dk_json_next(&json) == JSON_ARRAY ? dk_json_next(&json) : JSON_ERROR;
    for (; type == JSON_ARRAY && status == DAYBOOK_OK; type = dk_json_next(&json)) {
        int64_t bucket;
        uint64_t sum;
        if (!dk_sums_read_row(&json, &bucket, &sum)) {
            return dk_apply_bad(apply, "sums has a row that is none");
        }
        status = compare_bucket(apply, bucket, sum);
    }
    return status == DAYBOOK_OK && type != JSON_END ? dk_apply_bad(apply, "sums are damaged")
                                                    : status;
}
