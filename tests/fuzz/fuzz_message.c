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
#include "tests/support/messages.h"

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

static void compare_value(const struct field_value *a, const struct field_value *b)
{
    assert(a->field == b->field && a->value.kind == b->value.kind);
    if (a->field < 0) {
        assert(a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0);
    }
    assert(dk_value_equal(&a->value, &b->value));
}

/* What was decoded again is what was decoded first; fields that are unknown here stand behind the
 * others by then. */
static void compare_values(const struct field_value *first, const struct field_value *again,
                           int count)
{
    for (int i = 0; i < count; i++) {
        if (first[i].field >= 0) {
            compare_value(&first[i], again++);
        }
    }
    for (int i = 0; i < count; i++) {
        if (first[i].field < 0) {
            compare_value(&first[i], again++);
        }
    }
}

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

/* Rows of unknown entities, markers and what is refused are left out; *values counts those of the
 * others. False: damaged. */
static bool rewrite_blocks(char *bytes, size_t size, bool decided, struct arena *arena,
                           struct buffer *out, int64_t *values)
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
            *values += row.value_count;
        }
        assert(result == 1 || reader.refusal.code != 0);
    }
    dk_block_end(&writer);
    return result == 0;
}

static void read_blocks(const char *bytes, size_t size, bool decided)
{
    struct round round;
    int64_t values = 0, values_again = 0;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size);
    bool good = rewrite_blocks(copy, size, decided, &round.arena, &round.once, &values);
    free(copy);
    dk_buffer_reset(good ? &round.twice : &round.once);
    if (good) {
        copy = fuzz_copy(round.once.bytes, round.once.length);
        assert(rewrite_blocks(copy, round.once.length, decided, &round.arena, &round.twice,
                              &values_again));
        assert(values == values_again);
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

static void compare_changes(const struct changeset *a, const struct changeset *b)
{
    compare_header(a, b);
    for (int i = 0; i < a->change_count; i++) {
        const struct change *left = &a->changes[i], *right = &b->changes[i];
        assert(left->op == right->op && left->entity == right->entity);
        assert(dk_id_compare(&left->id, &right->id) == 0 && left->seen == right->seen);
        assert(left->value_count == right->value_count);
        compare_values(left->values, right->values, left->value_count);
    }
}

/* The texts of the changeset stay in `copy`. False: it is damaged or refused. */
static bool decode_changeset(const char *bytes, size_t size, struct arena *arena, char *copy,
                             struct changeset *changeset)
{
    struct changeset header;
    struct refusal refusal;
    struct change refused;
    const char *problem;
    bool peeked = dk_changeset_peek(copy, size, &header);
    assert(size == 0 || memcmp(copy, bytes, size) == 0);
    bool good = dk_changeset_decode(copy, size, arena, changeset, &refusal, &refused, &problem);
    if (good) {
        /* Peeking changes nothing, so it reads no name that has an escape. */
        assert(refusal.code == 0 && (peeked || memchr(bytes, '\\', size) != NULL));
        if (peeked) {
            compare_header(&header, changeset);
        }
    } else {
        assert(problem != NULL || refusal.code != 0);
    }
    return good;
}

static void read_changeset(const char *bytes, size_t size)
{
    struct round round;
    struct changeset first, again;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size);
    if (decode_changeset(bytes, size, &round.arena, copy, &first)) {
        dk_changeset_encode(&round.once, &first);
        assert(round.once.status == DAYBOOK_OK);
        char *other = fuzz_copy(round.once.bytes, round.once.length);
        assert(decode_changeset(round.once.bytes, round.once.length, &round.arena, other, &again));
        dk_changeset_encode(&round.twice, &again);
        compare_changes(&first, &again);
        memcpy(other, round.once.bytes, round.once.length);
        assert(dk_changeset_read(other, round.once.length, &round.arena, &again));
        compare_changes(&first, &again);
        assert(dk_convert(&first, &round.arena)); /* as the server does with each */
        free(other);
    }
    free(copy);
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

static const struct message_table *const tables[] = {MESSAGES(MESSAGE_TABLE)};
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

static void compare_members(const struct message_table *table, const void *a, const void *b)
{
    for (int i = 0; i < table->member_count; i++) {
        const struct message_member *member = &table->members[i];
        const void *left = (const char *)a + member->offset;
        const void *right = (const char *)b + member->offset;
        const char *const *text = left, *const *text_again = right;
        const struct span *span = left, *span_again = right;
        switch (member->type) {
        case MESSAGE_INT:
        case MESSAGE_LONG: assert(*(const int64_t *)left == *(const int64_t *)right); break;
        case MESSAGE_BOOL: assert(*(const bool *)left == *(const bool *)right); break;
        case MESSAGE_ID: assert(dk_id_compare(left, right) == 0); break;
        case MESSAGE_TEXT:
            assert((*text == NULL) == (*text_again == NULL));
            assert(*text == NULL || strcmp(*text, *text_again) == 0);
            break;
        case MESSAGE_RAW:
            assert((span->bytes == NULL) == (span_again->bytes == NULL));
            assert(span->length == span_again->length);
            break;
        }
    }
}

static void read_message(const struct message_table *table, const char *bytes, size_t size)
{
    struct round round;
    union any_message message, message_again;
    const char *problem;
    begin_round(&round);
    char *copy = fuzz_copy(bytes, size), *again = NULL;
    if (dk_message_decode(table, copy, size, &message, &round.arena, &problem)) {
        dk_message_encode(&round.once, table, &message);
        again = fuzz_copy(round.once.bytes, round.once.length);
        assert(dk_message_decode(table, again, round.once.length, &message_again, &round.arena,
                                 &problem));
        dk_message_encode(&round.twice, table, &message_again);
        compare_members(table, &message, &message_again);
        read_spans(table, &message);
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
