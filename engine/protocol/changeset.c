/* SPDX-License-Identifier: Apache-2.0
 *
 * Changesets to text and back. Encoded once, at the commit on the device; decoded by the decider
 * and, to undo or re-send, by the device. Invariant: what is decoded without a refusal has known
 * entities, checked values, one change per record, and no DERIVED field. Who may write what is the
 * decider's question: SERVER fields pass.
 */
#include "engine/protocol/changeset.h"

#include "engine/base/text.h"
#include "engine/protocol/verdict.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* See the header. */
const struct value *dk_change_value(const struct change *change, int field)
{
    for (int i = 0; i < change->value_count; i++) {
        if (change->values[i].field == field) {
            return &change->values[i].value;
        }
    }
    return NULL;
}

/* ---- encoding */

/* ,"name":"number" */
static void write_long(struct buffer *out, const char *name, uint64_t number)
{
    assert(number <= INT64_MAX);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":");
    dk_json_write_int64(out, (int64_t)number);
}

/* Whether two changes have the same header, as far as it shows without making both. */
static bool share_header(const struct change *a, const struct change *b)
{
    bool same = a->op == b->op && a->entity == b->entity && a->value_count == b->value_count;
    for (int i = 0; same && i < a->value_count; i++) {
        same = a->values[i].field >= 0 && a->values[i].field == b->values[i].field;
    }
    return same;
}

/* The changes as blocks: neighbours with the same entity, op and fields share a header. */
static void write_changes(struct buffer *out, const struct changeset *changeset)
{
    struct block_writer writer;
    struct buffer header;
    dk_buffer_init(&header, LIMIT_CHANGESET_BYTES);
    dk_block_begin(&writer, out);
    for (int i = 0; i < changeset->change_count; i++) {
        const struct change *change = &changeset->changes[i];
        if (i == 0 || !share_header(&change[-1], change)) {
            dk_buffer_reset(&header);
            dk_block_header(&header, change->op, change->entity, 0, change->values,
                            change->value_count);
        }
        if (header.status != DAYBOOK_OK) {
            out->status = header.status;
            break;
        }
        dk_block_row(&writer, header.bytes, header.length);
        dk_buffer_append_char(out, '[');
        dk_buffer_append_int(out, change->seen);
        dk_block_row_tail(out, change->entity, &change->id, change->values, change->value_count);
    }
    dk_block_end(&writer);
    dk_buffer_clear(&header);
}

void dk_changeset_encode(struct buffer *out, const struct changeset *changeset)
{
    char id[ID_WIRE_LENGTH];
    assert(changeset->steady_ms >= 0);
    dk_id_to_wire(&changeset->id, id);
    dk_buffer_append_text(out, "{\"id\":\"");
    dk_buffer_append(out, id, sizeof id);
    dk_buffer_append_text(out, "\",\"seq\":");
    dk_buffer_append_int(out, changeset->seq);
    write_long(out, "epoch", changeset->epoch);
    write_long(out, "hlc", changeset->time);
    write_long(out, "boot", changeset->boot);
    write_long(out, "steady", (uint64_t)changeset->steady_ms);
    dk_buffer_append_text(out, ",\"schema\":");
    dk_buffer_append_int(out, changeset->schema);
    dk_buffer_append_text(out, ",\"changes\":");
    write_changes(out, changeset);
    dk_buffer_append_char(out, '}');
}

/* ---- the header */

enum {
    HAD_ID = 1,
    HAD_SEQ = 2,
    HAD_EPOCH = 4,
    HAD_TIME = 8,
    HAD_BOOT = 16,
    HAD_STEADY = 32,
    HAD_SCHEMA = 64,
    HAD_CHANGES = 128,
    HAD_ALL = 255
};

/* What the header members are called; the bit is 1 << index. */
static const char *const member_names[] = {"id",   "seq",    "epoch",  "hlc",
                                           "boot", "steady", "schema", "changes"};

/* The header members and the raw rows of one changeset, as found in its text. */
struct outline {
    struct changeset *changeset;
    const char *changes; /* raw array */
    size_t changes_length;
};

/* A raw JSON string of decimals (as found by dk_json_skip) as a number from 0 on. */
static bool raw_long(const char *raw, size_t length, int64_t *number)
{
    return length > 2 && raw[0] == '"' && dk_text_to_int64(raw + 1, length - 2, number) &&
           *number >= 0;
}

/* A raw JSON number as a counter, from `least` to 2^53 - 1. */
static bool raw_counter(const char *raw, size_t length, int64_t least, int64_t *number)
{
    return dk_text_to_int64(raw, length, number) && *number >= least && *number <= LIMIT_NUMBER;
}

/* One header member from its raw text. False: it does not fit. */
static bool take_member(unsigned bit, const char *raw, size_t length, struct outline *outline)
{
    struct changeset *changeset = outline->changeset;
    int64_t number = 0;
    bool fits = true;
    switch (bit) {
    case HAD_ID:
        fits = length == ID_WIRE_LENGTH + 2 && raw[0] == '"' &&
               dk_id_from_wire(raw + 1, ID_WIRE_LENGTH, &changeset->id) &&
               !dk_id_is_zero(&changeset->id);
        break;
    case HAD_SEQ: fits = raw_counter(raw, length, 1, &changeset->seq); break;
    case HAD_EPOCH:
        fits = raw_long(raw, length, &number);
        changeset->epoch = (uint64_t)number;
        break;
    case HAD_TIME:
        fits = raw_long(raw, length, &number);
        changeset->time = (hlc)number;
        break;
    case HAD_BOOT:
        fits = raw_long(raw, length, &number);
        changeset->boot = (uint64_t)number;
        break;
    case HAD_STEADY: fits = raw_long(raw, length, &changeset->steady_ms); break;
    case HAD_SCHEMA:
        fits = raw_counter(raw, length, 1, &number) && number <= INT32_MAX;
        changeset->schema = (int)number;
        break;
    default:
        outline->changes = raw;
        outline->changes_length = length;
        fits = raw[0] == '[';
    }
    return fits;
}

/* Reading a key unescapes it in place; a key with a backslash is therefore left alone. False: it
 * has one. The text of the reader is not changed. */
static bool key_is_plain(const struct json_reader *json)
{
    const char *next = json->next;
    while (next < json->end && *next != '"' && *next != '}') {
        next++;
    }
    if (next == json->end || *next == '}') {
        return true;
    }
    for (next++; next < json->end && *next != '"'; next++) {
        if (*next == '\\') {
            return false;
        }
    }
    return true;
}

/* The first byte of the value that comes next in an array, or at the top; NUL: there is none. Where
 * it opens a container, reading the value changes no byte. */
static char next_byte(const struct json_reader *json)
{
    const char *next = json->next;
    while (next < json->end && *next != '\0' && strchr(" \t\r\n,", *next) != NULL) {
        next++;
    }
    return next < json->end ? *next : '\0';
}

/* Walks the members of the changeset without changing a byte; the first damage is noted as the
 * reader's problem. */
static bool read_outline(struct json_reader *json, struct outline *outline)
{
    unsigned had = 0;
    enum json_type type = JSON_ERROR;
    if (next_byte(json) != '{' || dk_json_next(json) != JSON_OBJECT) {
        return dk_json_fail(json, "a changeset is no object");
    }
    while (key_is_plain(json) && (type = dk_json_key(json)) == JSON_STRING) {
        const char *raw;
        size_t length;
        unsigned bit = 0;
        for (unsigned i = 0; i < sizeof member_names / sizeof member_names[0]; i++) {
            if (dk_text_equal(json->text, json->length, member_names[i])) {
                bit = 1U << i;
            }
        }
        if ((had & bit) != 0) {
            return dk_json_fail(json, "a changeset has a member twice");
        }
        had |= bit;
        if (!dk_json_skip(json, &raw, &length)) {
            return false;
        }
        if (bit != 0 && !take_member(bit, raw, length, outline)) {
            return dk_json_fail(json, "a member of a changeset has a wrong type or size");
        }
    }
    if (type != JSON_END) {
        return dk_json_fail(json, "a changeset's member names are not plain");
    }
    return (had == HAD_ALL || dk_json_fail(json, "a changeset lacks a member")) &&
           dk_json_finish(json);
}

/* ---- decoding the rows */

struct decoder {
    struct changeset *changeset;
    struct arena *arena;
    struct refusal *refusal;
    struct change *refused;
    const char **problem;
    int capacity; /* of changeset->changes */
    bool decided; /* of values only the type is checked */
};

/* Notes damage or want of memory; returns false. */
static bool damage(struct decoder *decoder, const char *problem)
{
    *decoder->problem = problem;
    return false;
}

/* Notes a refusal and the change that it is about; returns false, with no problem set. */
static bool refuse(struct decoder *decoder, enum reject_code code, const char *field,
                   const char *rule, const struct change *change)
{
    *decoder->refusal = (struct refusal){(int)code, field, rule};
    *decoder->refused = *change;
    return false;
}

/* The next free change; the array doubles in the arena. NULL: a limit or memory. */
static struct change *add_change(struct decoder *decoder)
{
    struct changeset *changeset = decoder->changeset;
    if (changeset->change_count == decoder->capacity) {
        int capacity = decoder->capacity == 0 ? 8 : decoder->capacity * 2;
        struct change *changes = dk_arena_new(decoder->arena, (size_t)capacity * sizeof *changes);
        if (changes == NULL) {
            return NULL;
        }
        if (changeset->change_count > 0) {
            memcpy(changes, changeset->changes, (size_t)changeset->change_count * sizeof *changes);
        }
        changeset->changes = changes;
        decoder->capacity = capacity;
    }
    return &changeset->changes[changeset->change_count++];
}

/* The name of a field that this schema does not know, for the refusal; NULL: too long for one. */
static const char *unknown_name(struct decoder *decoder, const struct field_value *value)
{
    return value->name_length < sizeof((struct verdict *)0)->field
               ? dk_arena_copy(decoder->arena, value->name, value->name_length)
               : NULL;
}

/* One value: known to this schema, or from a newer one; not DERIVED; collections in the form that
 * the op wants. */
static bool check_value(struct decoder *decoder, const struct change *change,
                        const struct field_value *value)
{
    if (value->field < 0) {
        return decoder->changeset->schema > SCHEMA_VERSION ||
               refuse(decoder, REJECT_SCHEMA, unknown_name(decoder, value), "field", change);
    }
    const struct field *field = &change->entity->fields[value->field];
    if (field->policy == POLICY_DERIVED) {
        return refuse(decoder, REJECT_READONLY, field->name, "derived", change);
    }
    if (change->op != BLOCK_SET || (field->type != FIELD_SET && field->type != FIELD_MAP)) {
        return true;
    }
    return (value->value.kind == VALUE_TEXT && value->value.text[0] == '{') ||
           refuse(decoder, REJECT_SCHEMA, field->name, "change", change);
}

/* Copies the row into the changeset's changes, checked. */
static bool take_row(struct decoder *decoder, const struct block *block, const struct row *row)
{
    if (decoder->changeset->change_count == LIMIT_CHANGESET_CHANGES) {
        struct change change = {.op = block->op, .entity = block->entity, .id = row->id};
        return refuse(decoder, REJECT_LIMIT, NULL, "changes", &change);
    }
    struct change *change = add_change(decoder);
    if (change == NULL) {
        return damage(decoder, "out of memory");
    }
    change->op = block->op;
    change->entity = block->entity;
    change->id = row->id;
    change->seen = row->number;
    change->added = 0;
    change->value_count = row->value_count;
    if (row->value_count > 0) {
        size_t size = (size_t)row->value_count * sizeof *change->values;
        change->values = dk_arena_new(decoder->arena, size);
        if (change->values == NULL) {
            return damage(decoder, "out of memory");
        }
        memcpy(change->values, row->values, size);
    }
    for (int i = 0; i < row->value_count; i++) {
        if (!check_value(decoder, change, &row->values[i])) {
            return false;
        }
    }
    return true;
}

/* The row under way could not be taken: of an unknown entity, or with a value that does not fit. */
static bool refuse_row(struct decoder *decoder, const struct block_reader *reader,
                       const struct row *row)
{
    struct change change = {
        .op = reader->block.op, .entity = reader->block.entity, .id = row->id, .seen = row->number};
    if (reader->block.entity == NULL) {
        return refuse(decoder, REJECT_SCHEMA, NULL, "entity", &change);
    }
    return refuse(decoder, (enum reject_code)reader->refusal.code, reader->refusal.field,
                  reader->refusal.rule, &change);
}

/* By entity and id, for qsort over pointers. */
static int compare_changes(const void *a, const void *b)
{
    const struct change *const *left = a;
    const struct change *const *right = b;
    if ((*left)->entity != (*right)->entity) {
        return (*left)->entity->kind < (*right)->entity->kind ? -1 : 1;
    }
    return dk_id_compare(&(*left)->id, &(*right)->id);
}

/* True where the changes ascend by id within runs of one entity, which shows without sorting that
 * there are no twins. The usual case: ids are made in order, and each entity has one run. */
static bool ascends(const struct changeset *changeset)
{
    uint64_t entities = 0;
    for (int i = 0; i < changeset->change_count; i++) {
        const struct change *change = &changeset->changes[i];
        bool same = i > 0 && change[-1].entity == change->entity;
        if (same && dk_id_compare(&change[-1].id, &change->id) >= 0) {
            return false;
        }
        if (!same && (entities >> change->entity->kind & 1) != 0) {
            return false;
        }
        entities |= (uint64_t)1 << change->entity->kind;
    }
    return true;
}

/* One change per record. */
static bool check_twins(struct decoder *decoder)
{
    struct changeset *changeset = decoder->changeset;
    if (ascends(changeset)) {
        return true;
    }
    size_t count = (size_t)changeset->change_count;
    const struct change **sorted = dk_arena_new(decoder->arena, count * sizeof *sorted);
    if (sorted == NULL) {
        return damage(decoder, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &changeset->changes[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_changes);
    for (size_t i = 1; i < count; i++) {
        if (compare_changes(&sorted[i - 1], &sorted[i]) == 0) {
            return refuse(decoder, REJECT_SCHEMA, NULL, "twice", sorted[i]);
        }
    }
    return true;
}

/* All rows of the blocks. A refusal ends the walk, so damage behind it must not have been promised
 * away: the outline has shown that the whole is valid JSON. */
static bool read_changes(struct decoder *decoder, char *bytes, size_t length)
{
    struct block_reader reader;
    struct row row;
    bool new_block;
    int result;
    dk_block_open(&reader, bytes, length, decoder->arena);
    reader.decided = decoder->decided;
    while ((result = dk_block_next(&reader, &row, &new_block)) != 0) {
        if (result == -1) {
            return damage(decoder, reader.json.problem);
        }
        if (new_block && (reader.block.op == BLOCK_EVICT || reader.block.op == BLOCK_OWN)) {
            return damage(decoder, "a changeset has a block that only logs have");
        }
        if (result == -2 || reader.block.entity == NULL) {
            return refuse_row(decoder, &reader, &row);
        }
        if (!take_row(decoder, &reader.block, &row)) {
            return false;
        }
    }
    return check_twins(decoder);
}

/* The whole text; the decoder says where its parts go. */
static bool decode(struct decoder *decoder, char *bytes, size_t length)
{
    struct json_reader json;
    struct outline outline = {.changeset = decoder->changeset};
    memset(decoder->changeset, 0, sizeof *decoder->changeset);
    memset(decoder->refused, 0, sizeof *decoder->refused);
    *decoder->refusal = (struct refusal){REJECT_NONE, NULL, NULL};
    *decoder->problem = NULL;
    dk_json_open(&json, bytes, length);
    if (!read_outline(&json, &outline)) {
        return damage(decoder, json.problem);
    }
    if (length > LIMIT_CHANGESET_BYTES) {
        return refuse(decoder, REJECT_LIMIT, NULL, "bytes", decoder->refused);
    }
    char *changes = bytes + (outline.changes - bytes);
    return read_changes(decoder, changes, outline.changes_length);
}

bool dk_changeset_decode(char *bytes, size_t length, struct arena *arena,
                         struct changeset *changeset, struct refusal *refusal,
                         struct change *refused, const char **problem)
{
    struct decoder decoder = {changeset, arena, refusal, refused, problem, 0, false};
    return decode(&decoder, bytes, length);
}

bool dk_changeset_read(char *bytes, size_t length, struct arena *arena, struct changeset *changeset)
{
    struct refusal refusal;
    struct change refused;
    const char *problem;
    struct decoder decoder = {changeset, arena, &refusal, &refused, &problem, 0, true};
    return decode(&decoder, bytes, length);
}

/* ---- peeking */

/* Counts the rows of one block, whose brace was entered. */
static bool count_rows(struct json_reader *json, int *count)
{
    enum json_type type = JSON_ERROR;
    while (key_is_plain(json) && (type = dk_json_key(json)) == JSON_STRING) {
        const char *raw;
        size_t length;
        struct json_reader rows;
        bool counted = dk_text_equal(json->text, json->length, "rows");
        if (!dk_json_skip(json, &raw, &length)) {
            return false;
        }
        if (!counted) {
            continue;
        }
        dk_json_open(&rows, json->next - length, length);
        if (next_byte(&rows) != '[' || dk_json_next(&rows) != JSON_ARRAY) {
            return false;
        }
        while (next_byte(&rows) != ']') {
            if (!dk_json_skip(&rows, NULL, NULL) || *count == LIMIT_CHANGESET_CHANGES) {
                return false;
            }
            (*count)++;
        }
    }
    return type == JSON_END;
}

bool dk_changeset_peek(const char *bytes, size_t length, struct changeset *header)
{
    struct json_reader json;
    struct outline outline = {.changeset = header};
    memset(header, 0, sizeof *header);
    /* The readers below read nothing but containers and plain keys, and skip the rest, which
     * changes nothing, so the const may go. */
    dk_json_open(&json, (char *)bytes, length);
    if (!read_outline(&json, &outline)) {
        return false;
    }
    dk_json_open(&json, (char *)outline.changes, outline.changes_length);
    if (dk_json_next(&json) != JSON_ARRAY) {
        return false;
    }
    while (next_byte(&json) == '{') {
        if (dk_json_next(&json) != JSON_OBJECT || !count_rows(&json, &header->change_count)) {
            return false;
        }
    }
    return next_byte(&json) == ']' && dk_json_next(&json) == JSON_END;
}
