/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as whatever travels: every message of both directions, changesets, blocks of log and pages,
 * verdicts. The first byte says as what the rest is read: a digit is a message.
 * What a decoder took is the same when it
 * has been encoded and is decoded again, and what a message holds raw is decoded, too.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/protocol/changeset.h"
#include "engine/protocol/convert.h"
#include "engine/protocol/message.h"

#include <assert.h>

#define ARENA_MAX ((size_t)64 << 20)

/* What is decoded, and the encodings that are compared. */
struct round {
    struct arena arena;
    struct buffer once, twice;
};

static void begin_round(struct round *round)
{
    dk_arena_init(&round->arena, ARENA_MAX);
    dk_buffer_init(&round->once, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&round->twice, LIMIT_REPLY_EXPANDED);
}

/* Both encodings are the same. */
static void end_round(struct round *round)
{
    assert(round->once.status == DAYBOOK_OK && round->twice.status == DAYBOOK_OK);
    assert(round->once.length == round->twice.length);
    assert(round->once.length == 0 ||
           memcmp(round->once.bytes, round->twice.bytes, round->once.length) == 0);
    dk_arena_clear(&round->arena);
    dk_buffer_clear(&round->once);
    dk_buffer_clear(&round->twice);
}

/* ---- verdicts */

/* False: damaged. */
static bool rewrite_verdicts(char *bytes, size_t size, struct buffer *out)
{
    struct json_reader json;
    struct verdict verdict;
    int result;
    dk_json_open(&json, bytes, size);
    if (dk_json_next(&json) != JSON_ARRAY) {
        return false;
    }
    dk_buffer_append_char(out, '[');
    while ((result = dk_verdict_read(&json, &verdict)) == 1) {
        dk_buffer_append_text(out, out->length > 1 ? "," : "");
        dk_verdict_write(out, &verdict);
    }
    dk_buffer_append_char(out, ']');
    return result == 0 && dk_json_finish(&json);
}

static void read_verdicts(const char *bytes, size_t size)
{
    struct round round;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size);
    bool good = rewrite_verdicts(copy, size, &round.once);
    free(copy);
    dk_buffer_reset(good ? &round.twice : &round.once);
    if (good) {
        copy = fuzz_copy(round.once.bytes, round.once.length);
        assert(rewrite_verdicts(copy, round.once.length, &round.twice));
        free(copy);
    }
    end_round(&round);
}

/* ---- blocks */

/* Writes a row that was read as it would be in a log page. */
static void write_row(struct block_writer *writer, const struct block *block, const struct row *row)
{
    struct buffer header;
    dk_buffer_init(&header, LIMIT_REPLY_EXPANDED);
    dk_block_header(&header, block->op, block->entity, block->bucket, row->values,
                    row->value_count);
    dk_block_row(writer, header.bytes, header.length);
    dk_buffer_append_char(writer->out, '[');
    dk_buffer_append_int(writer->out, row->number);
    dk_block_row_tail(writer->out, block->entity, &row->id, row->values, row->value_count);
    dk_buffer_clear(&header);
}

/* Rows of unknown entities, markers and what is refused are left out. False: damaged. */
static bool rewrite_blocks(char *bytes, size_t size, bool decided, struct arena *arena,
                           struct buffer *out)
{
    struct block_reader reader;
    struct block_writer writer;
    struct row row;
    bool new_block;
    int result;
    dk_block_open(&reader, bytes, size, arena);
    reader.decided = decided;
    dk_block_begin(&writer, out);
    while ((result = dk_block_next(&reader, &row, &new_block)) == 1 || result == -2) {
        assert(row.value_count >= 0 && row.value_count <= LIMIT_FIELDS);
        if (result == 1 && reader.block.entity != NULL) {
            write_row(&writer, &reader.block, &row);
        }
        assert(result == 1 || reader.refusal.code != 0);
    }
    dk_block_end(&writer);
    return result == 0;
}

static void read_blocks(const char *bytes, size_t size, bool decided)
{
    struct round round;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size);
    bool good = rewrite_blocks(copy, size, decided, &round.arena, &round.once);
    free(copy);
    dk_buffer_reset(good ? &round.twice : &round.once);
    if (good) {
        copy = fuzz_copy(round.once.bytes, round.once.length);
        assert(rewrite_blocks(copy, round.once.length, decided, &round.arena, &round.twice));
        free(copy);
    }
    end_round(&round);
}

/* ---- changesets */

/* What peeking says is what decoding finds. */
static void compare_header(const struct changeset *peeked, const struct changeset *decoded)
{
    assert(memcmp(&peeked->id, &decoded->id, sizeof peeked->id) == 0);
    assert(peeked->seq == decoded->seq && peeked->epoch == decoded->epoch);
    assert(peeked->time == decoded->time && peeked->boot == decoded->boot);
    assert(peeked->steady_ms == decoded->steady_ms && peeked->schema == decoded->schema);
    assert(peeked->change_count == decoded->change_count);
}

/* False: it is damaged or refused. */
static bool rewrite_changeset(const char *bytes, size_t size, struct arena *arena,
                              struct buffer *out)
{
    struct changeset changeset, header;
    struct refusal refusal;
    struct change refused;
    const char *problem;
    char *copy = fuzz_copy(bytes, size);
    bool peeked = dk_changeset_peek(copy, size, &header);
    assert(size == 0 || memcmp(copy, bytes, size) == 0);
    bool good = dk_changeset_decode(copy, size, arena, &changeset, &refusal, &refused, &problem);
    if (good) {
        assert(peeked && refusal.code == 0);
        compare_header(&header, &changeset);
        dk_changeset_encode(out, &changeset);
        assert(dk_convert(&changeset, arena)); /* as the server does with each */
    } else {
        assert(problem != NULL || refusal.code != 0);
    }
    free(copy);
    return good;
}

static void read_changeset(const char *bytes, size_t size)
{
    struct round round;
    begin_round(&round);
    if (rewrite_changeset(bytes, size, &round.arena, &round.once)) {
        assert(rewrite_changeset(round.once.bytes, round.once.length, &round.arena, &round.twice));
        char *copy = fuzz_copy(round.once.bytes, round.once.length);
        struct changeset changeset;
        assert(dk_changeset_read(copy, round.once.length, &round.arena, &changeset));
        free(copy);
    }
    end_round(&round);
}

static void read_changesets(const struct span *span)
{
    struct json_reader json;
    dk_json_open(&json, span->bytes, span->length);
    json.any_number = true;
    const char *raw;
    size_t length;
    enum json_type type = dk_json_next(&json);
    while (type == JSON_ARRAY && json.next < json.end && *json.next != ']' &&
           dk_json_skip(&json, &raw, &length)) {
        read_changeset(raw, length);
    }
}

/* ---- messages */

union any_message {
    struct sync_request sync_request;
    struct sync_reply sync_reply;
    struct enrol_request enrol_request;
    struct enrol_reply enrol_reply;
    struct lease_request lease_request;
    struct lease_reply lease_reply;
    struct fetch_request fetch_request;
    struct fetch_reply fetch_reply;
    struct error_reply error_reply;
};

static const struct message_table *const tables[] = {
    &dk_sync_request_table,  &dk_sync_reply_table,    &dk_enrol_request_table,
    &dk_enrol_reply_table,   &dk_lease_request_table, &dk_lease_reply_table,
    &dk_fetch_request_table, &dk_fetch_reply_table,   &dk_error_reply_table,
};
#define TABLES (sizeof tables / sizeof tables[0])

static void read_spans(const struct message_table *table, const union any_message *message)
{
    if (table == &dk_sync_request_table && message->sync_request.changesets.bytes != NULL) {
        read_changesets(&message->sync_request.changesets);
    } else if (table == &dk_sync_reply_table) {
        const struct sync_reply *reply = &message->sync_reply;
        read_verdicts(reply->verdicts.bytes, reply->verdicts.length);
        read_blocks(reply->log.bytes, reply->log.length, true);
    } else if (table == &dk_fetch_reply_table) {
        read_blocks(message->fetch_reply.rows.bytes, message->fetch_reply.rows.length, true);
    }
}

static void read_message(const struct message_table *table, const char *bytes, size_t size)
{
    struct round round;
    union any_message message;
    const char *problem;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size), *again = NULL;
    if (dk_message_decode(table, copy, size, &message, &round.arena, &problem)) {
        dk_message_encode(&round.once, table, &message);
        read_spans(table, &message);
        again = fuzz_copy(round.once.bytes, round.once.length);
        assert(
            dk_message_decode(table, again, round.once.length, &message, &round.arena, &problem));
        dk_message_encode(&round.twice, table, &message);
    } else {
        assert(problem != NULL);
    }
    end_round(&round);
    free(copy);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    unsigned choice = input_byte(&input);
    const char *text = (const char *)input.bytes;
    switch (choice) {
    case 'c': read_changeset(text, input.size); break;
    case 'l': read_blocks(text, input.size, true); break;
    case 'b': read_blocks(text, input.size, false); break;
    case 'v': read_verdicts(text, input.size); break;
    default: read_message(tables[(choice - '0') % TABLES], text, input.size);
    }
    return 0;
}
