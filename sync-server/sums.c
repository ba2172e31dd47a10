/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums of a reply, by which a device finds out whether it has what the server has. Called by
 * workers within the snapshot that a reply is read in. Invariant: a sum covers the device's scope
 * and nothing else, at the position of the reply.
 */
#include "sync-server/inside.h"

#include "engine/protocol/sum.h"

/* Appends [bucket,"sum"] to the array under way, whose bracket stands. */
static void append_row(struct buffer *out, int64_t bucket, uint64_t sum)
{
    dk_buffer_append_text(out, out->length == 1 ? "[" : ",[");
    dk_buffer_append_int(out, bucket);
    dk_buffer_append_char(out, ',');
    dk_json_write_int64(out, (int64_t)sum);
    dk_buffer_append_char(out, ']');
}

/* What a walk over a bucket's records gathers. */
struct content {
    struct buffer *scratch;
    uint64_t sum;
};

/* srv_each_record: adds one record's values. */
static daybook_status add_content(void *context, const struct record *record, bool *stop)
{
    struct content *content = context;
    (void)stop;
    return dk_sum_content(record, content->scratch, &content->sum);
}

/* The content sum of a bucket, out of its rows. */
static daybook_status read_content(struct worker *worker, int64_t org, int64_t bucket,
                                   uint64_t *sum)
{
    static const struct id from_the_start = {{0}};
    struct content content = {&worker->json, 0};
    daybook_status status = DAYBOOK_OK;
    for (int kind = 0; kind < ENTITY_COUNT && status == DAYBOOK_OK; kind++) {
        status = srv_store_bucket_records(worker->reader, org, bucket, dk_entity(kind),
                                          &from_the_start, add_content, &content);
    }
    *sum = content.sum;
    return status;
}

/* The sums of one bucket, as far as they are wanted; its version sum joins the scope's. */
static daybook_status read_bucket(struct worker *worker, const struct sync_request *request,
                                  int64_t org, int64_t bucket, struct sync_reply *reply)
{
    uint64_t sum;
    daybook_status status = srv_store_get_sum(worker->reader, org, bucket, &sum);
    if (status != DAYBOOK_OK) {
        return status;
    }
    reply->sum = dk_sum_add(reply->sum, dk_sum_bucket(bucket, sum));
    if (request->sums) {
        append_row(&worker->sums, bucket, sum);
    }
    if (request->contents) {
        status = read_content(worker, org, bucket, &sum);
        append_row(&worker->contents, bucket, sum);
    }
    return status;
}

/* See inside.h. */
daybook_status srv_sums_read(struct worker *worker, const struct sync_request *request, int64_t org,
                             const struct scope *scope, struct sync_reply *reply)
{
    daybook_status status = DAYBOOK_OK;
    dk_buffer_append_text(&worker->sums, request->sums ? "[" : "");
    dk_buffer_append_text(&worker->contents, request->contents ? "[" : "");
    for (int i = 0; i < scope->count && status == DAYBOOK_OK; i++) {
        status = read_bucket(worker, request, org, scope->buckets[i].bucket, reply);
    }
    dk_buffer_append_text(&worker->sums, request->sums ? "]" : "");
    dk_buffer_append_text(&worker->contents, request->contents ? "]" : "");
    if (status == DAYBOOK_OK) {
        status = worker->sums.status != DAYBOOK_OK ? worker->sums.status : worker->contents.status;
    }
    return status;
}
