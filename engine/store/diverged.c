/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the search for buckets that are not what the server has, and their repair. Called by apply
 * where a reply brings the sums of the buckets. Invariant: what is repaired is loaded anew from the
 * server; nothing that is pending is touched.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

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

/* The version sum of a bucket held; *found false: it is not in scope. */
static daybook_status load_sum(struct store *store, int64_t bucket, uint64_t *sum, bool *found)
{
    daybook_status status;
    struct statement *load = dk_statement(&store->database, &store->slots.scope_bucket,
                                          "SELECT sum FROM scope WHERE bucket=?", &status);
    if (load == NULL) {
        return status;
    }
    dk_bind_int(load, 1, bucket);
    status = dk_step(load, found);
    if (status == DAYBOOK_OK && *found) {
        *sum = (uint64_t)dk_column_int(load, 0);
        dk_reset(load);
    }
    return status;
}

/* Repairs the bucket where its sum is another. */
static daybook_status compare_bucket(struct apply *apply, int64_t bucket, uint64_t theirs)
{
    struct store *store = apply->store;
    uint64_t mine = 0;
    bool found = false;
    daybook_status status = load_sum(store, bucket, &mine, &found);
    if (status != DAYBOOK_OK || !found || mine == theirs) {
        return status;
    }
    dk_log(&store->options.log, LOG_ERROR, "store: bucket %lld differs from the server's at %lld",
           (long long)bucket, (long long)apply->reply->position);
    apply->applied->diverged++;
    return dk_loading_begin(store, bucket);
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
