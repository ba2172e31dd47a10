/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks: the reader that walks rows under their headers, and the writer that opens and closes
 * blocks as headers change. Called for changesets (both ends), log pages (device) and log rows
 * (server). Invariants: a row is read without an allocation except sets and maps; what the writer
 * wrote the reader reads.
 */
#include "engine/protocol/block.h"

#include "engine/base/text.h"
#include "engine/protocol/collection.h"

#include <assert.h>
#include <string.h>

static const char *const op_names[] = {
    [BLOCK_NEW] = "new",     [BLOCK_SET] = "set", [BLOCK_DELETE] = "delete",
    [BLOCK_EVICT] = "evict", [BLOCK_OWN] = "own",
};

/* Members of a block, as bits of what a header has had. */
enum { HAD_ENTITY = 1, HAD_OP = 2, HAD_BUCKET = 4, HAD_FIELDS = 8, HAD_ROWS = 16 };

/* ---- reading */

void dk_block_open(struct block_reader *reader, char *bytes, size_t length, struct arena *arena)
{
    dk_json_open(&reader->json, bytes, length);
    reader->arena = arena;
    reader->in_rows = false;
    reader->decided = false;
    reader->inner = false;
    reader->block.column_count = 0;
    reader->refusal = (struct refusal){0, NULL, NULL};
}

/* The op of the string just read, or damage. */
static bool read_op(struct block_reader *reader)
{
    struct json_reader *json = &reader->json;
    if (dk_json_next(json) == JSON_STRING) {
        for (int op = BLOCK_NEW; op <= BLOCK_OWN; op++) {
            if (dk_text_equal(json->text, json->length, op_names[op])) {
                reader->block.op = (enum block_op)op;
                return true;
            }
        }
    }
    return dk_json_fail(json, "a block's op is unknown");
}

/* The name of the entity and what it stands for here; an unknown one is no damage. */
static bool read_entity(struct block_reader *reader)
{
    struct json_reader *json = &reader->json;
    if (dk_json_next(json) != JSON_STRING || json->length == 0 ||
        json->length > LIMIT_LABEL_BYTES) {
        return dk_json_fail(json, "a block's entity is no name");
    }
    reader->block.entity_name = json->text;
    reader->block.entity_name_length = (uint32_t)json->length;
    reader->block.entity = dk_entity_by_name(json->text, json->length);
    return true;
}

/* The names of the columns; their numbers follow when the entity is known. */
static bool read_fields(struct block_reader *reader)
{
    struct json_reader *json = &reader->json;
    struct block *block = &reader->block;
    if (dk_json_next(json) != JSON_ARRAY) {
        return dk_json_fail(json, "a block's fields are no array");
    }
    for (;;) {
        enum json_type type = dk_json_next(json);
        if (type == JSON_END) {
            return true;
        }
        if (type != JSON_STRING || json->length == 0 || json->length > LIMIT_LABEL_BYTES ||
            block->column_count == LIMIT_FIELDS) {
            return dk_json_fail(json, "a block's fields are not names, or too many");
        }
        block->columns[block->column_count].name = json->text;
        block->columns[block->column_count].name_length = (uint32_t)json->length;
        block->column_count++;
    }
}

/* True where two columns have the same name. */
static bool same_name(const struct block *block, int a, int b)
{
    return block->columns[a].name_length == block->columns[b].name_length &&
           memcmp(block->columns[a].name, block->columns[b].name, block->columns[a].name_length) ==
               0;
}

/* Finds the columns' field numbers. Twins are damage: two values for one field say nothing. */
static bool resolve_columns(struct block_reader *reader)
{
    struct block *block = &reader->block;
    uint64_t seen = 0;
    int field = -1;
    for (int i = 0; i < block->column_count; i++) {
        int found = block->entity == NULL ? -1
                                          : dk_entity_field(block->entity, block->columns[i].name,
                                                            block->columns[i].name_length, field);
        block->columns[i].field = found;
        bool twin = found >= 0 && (seen >> found & 1) != 0;
        for (int j = 0; found < 0 && j < i && !twin; j++) {
            twin = same_name(block, i, j);
        }
        if (twin) {
            return dk_json_fail(&reader->json, "a block names a field twice");
        }
        if (found >= 0) {
            seen |= (uint64_t)1 << found;
            field = found;
        }
    }
    return true;
}

/* What a header must have and must not have, by its op, when its rows begin. */
static bool check_header(struct block_reader *reader, unsigned had)
{
    const struct block *block = &reader->block;
    bool with_fields = block->op == BLOCK_NEW || block->op == BLOCK_SET;
    if ((had & HAD_OP) == 0) {
        return dk_json_fail(&reader->json, "a block has no op before its rows");
    }
    if (((had & HAD_ENTITY) != 0) == (block->op == BLOCK_OWN)) {
        return dk_json_fail(&reader->json, "a block's entity is missing, or not expected");
    }
    if (((had & HAD_FIELDS) != 0) != with_fields) {
        return dk_json_fail(&reader->json, "a block's fields are missing, or not expected");
    }
    return resolve_columns(reader);
}

/* Reads one member of a header whose key was just read. "rows" enters the rows. */
static bool read_member(struct block_reader *reader, unsigned *had)
{
    struct json_reader *json = &reader->json;
    static const struct {
        const char *name;
        unsigned bit;
    } members[] = {{"entity", HAD_ENTITY},
                   {"op", HAD_OP},
                   {"bucket", HAD_BUCKET},
                   {"fields", HAD_FIELDS},
                   {"rows", HAD_ROWS}};
    unsigned bit = 0;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (dk_text_equal(json->text, json->length, members[i].name)) {
            bit = members[i].bit;
        }
    }
    if ((*had & bit) != 0) {
        return dk_json_fail(json, "a block has a member twice");
    }
    if ((*had & HAD_ROWS) != 0 && bit != 0) {
        return dk_json_fail(json, "a block has a member behind its rows");
    }
    *had |= bit;
    switch (bit) {
    case HAD_ENTITY: return read_entity(reader);
    case HAD_OP: return read_op(reader);
    case HAD_FIELDS: return read_fields(reader);
    case HAD_BUCKET:
        if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
            return dk_json_fail(json, "a block's bucket is no positive number");
        }
        reader->block.bucket = json->integer;
        return true;
    case HAD_ROWS:
        if (dk_json_next(json) != JSON_ARRAY) {
            return dk_json_fail(json, "a block's rows are no array");
        }
        return check_header(reader, *had);
    default: return dk_json_skip(json, NULL, NULL);
    }
}

/* From behind a brace to the first row: reads the header. */
static bool enter_block(struct block_reader *reader)
{
    struct block *block = &reader->block;
    unsigned had = 0;
    block->entity = NULL;
    block->entity_name = NULL;
    block->entity_name_length = 0;
    block->bucket = 0;
    block->column_count = 0;
    while ((had & HAD_ROWS) == 0) {
        enum json_type type = dk_json_key(&reader->json);
        if (type != JSON_STRING) {
            return dk_json_fail(&reader->json, "a block has no rows");
        }
        if (!read_member(reader, &had)) {
            return false;
        }
    }
    reader->in_rows = true;
    return true;
}

/* From behind the last row to the end of the block; only members of newer versions may stand here.
 */
static bool leave_block(struct block_reader *reader)
{
    unsigned had = HAD_ROWS;
    enum json_type type;
    reader->in_rows = false;
    while ((type = dk_json_key(&reader->json)) == JSON_STRING) {
        if (!read_member(reader, &had)) {
            return false;
        }
    }
    return type == JSON_END;
}

/* The row's number and id. */
static bool read_row_head(struct json_reader *json, struct row *row)
{
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 0) {
        return dk_json_fail(json, "a row does not begin with a number");
    }
    row->number = json->integer;
    if (dk_json_next(json) != JSON_STRING || !dk_id_from_wire(json->text, json->length, &row->id) ||
        dk_id_is_zero(&row->id)) {
        return dk_json_fail(json, "a row has no id");
    }
    return true;
}

/* A row of an unknown entity is kept as it is: the number and id are read from a copy of its
 * beginning, because reading may write. */
static bool read_raw_row(struct block_reader *reader, struct row *row)
{
    char head[64];
    struct json_reader peek;
    if (!dk_json_skip(&reader->json, &row->raw, &row->raw_length)) {
        return false;
    }
    size_t length = row->raw_length < sizeof head ? row->raw_length : sizeof head;
    memcpy(head, row->raw, length);
    dk_json_open(&peek, head, length);
    if (dk_json_next(&peek) != JSON_ARRAY || !read_row_head(&peek, row)) {
        return dk_json_fail(&reader->json, "a row does not begin with a number and an id");
    }
    return true;
}

/* The values of the row under way, by the block's columns. False: damage, or a refusal with the
 * reader still in the row. */
static bool read_values(struct block_reader *reader, struct row *row)
{
    const struct block *block = &reader->block;
    struct json_reader *json = &reader->json;
    bool fine = true;
    for (int i = 0; i < block->column_count; i++) {
        struct field_value *value = &row->values[i];
        struct refusal refusal = {0, NULL, NULL};
        int number = block->columns[i].field;
        value->field = number;
        value->name = block->columns[i].name;
        value->name_length = block->columns[i].name_length;
        if (number < 0) {
            const char *raw;
            size_t length;
            if (!dk_json_skip(json, &raw, &length)) {
                return false;
            }
            value->value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)length};
            value->value.text = raw;
            continue;
        }
        const struct field *field = &block->entity->fields[number];
        enum collection_form form = block->op == BLOCK_SET ? COLLECTION_CHANGE : COLLECTION_WHOLE;
        bool read = dk_value_read_form(json, field, form, reader->decided, reader->arena,
                                       &value->value, &refusal);
        if (!read && refusal.code == 0) {
            return false;
        }
        if (!read && fine) {
            reader->refusal = refusal;
            fine = false;
        }
    }
    row->value_count = block->column_count;
    return fine;
}

/* What a marker has behind its id. */
static bool read_own(struct json_reader *json, struct row *row)
{
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 0) {
        return dk_json_fail(json, "a marker has no seq");
    }
    row->seq = json->integer;
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 0) {
        return dk_json_fail(json, "a marker has no bucket");
    }
    row->bucket = json->integer;
    return true;
}

/* Reads the row whose bracket was entered. 1, -1 or -2 as dk_block_next; on -2 the row is behind
 * the reader. */
static int read_row(struct block_reader *reader, struct row *row)
{
    const struct block *block = &reader->block;
    struct json_reader *json = &reader->json;
    if (!read_row_head(json, row)) {
        return -1;
    }
    int result = 1;
    if (block->op == BLOCK_OWN) {
        result = read_own(json, row) ? 1 : -1;
    } else if (!read_values(reader, row)) {
        result = reader->refusal.code != 0 && json->problem == NULL ? -2 : -1;
    }
    if (result != -1 && dk_json_next(json) != JSON_END) {
        (void)dk_json_fail(json, "a row has more values than its block has fields");
        return -1;
    }
    return result;
}

/* True where the array under way has no further element. */
static bool at_close(const struct json_reader *json)
{
    const char *next = json->next;
    while (next < json->end && (*next == ' ' || *next == '\n' || *next == '\r' || *next == '\t')) {
        next++;
    }
    return next < json->end && *next == ']';
}

/* Enters blocks until one has a row left: 1, or 0 at the end of the array, or -1 damage. */
static int find_row(struct block_reader *reader, bool *new_block)
{
    struct json_reader *json = &reader->json;
    while (!reader->in_rows || at_close(json)) {
        if (reader->in_rows && (dk_json_next(json) != JSON_END || !leave_block(reader))) {
            return -1;
        }
        enum json_type type = dk_json_next(json);
        if (type == JSON_END) {
            return reader->inner || dk_json_finish(json) ? 0 : -1;
        }
        if (type != JSON_OBJECT || !enter_block(reader)) {
            (void)dk_json_fail(json, "a block is no object");
            return -1;
        }
        *new_block = true;
    }
    return 1;
}

/* See the header. A row of an unknown entity is passed over raw, all others are entered. */
int dk_block_next(struct block_reader *reader, struct row *row, bool *new_block)
{
    struct json_reader *json = &reader->json;
    *new_block = false;
    reader->refusal.code = 0;
    row->value_count = 0;
    row->raw = NULL;
    row->raw_length = 0;
    if (json->problem != NULL) {
        return -1;
    }
    if (json->depth == 0) {
        if (json->next != json->begin) {
            return 0;
        }
        if (dk_json_next(json) != JSON_ARRAY) {
            (void)dk_json_fail(json, "blocks are no array");
            return -1;
        }
    }
    int found = find_row(reader, new_block);
    if (found <= 0) {
        return found;
    }
    if (reader->block.entity == NULL && reader->block.op != BLOCK_OWN) {
        return read_raw_row(reader, row) ? 1 : -1;
    }
    if (dk_json_next(json) != JSON_ARRAY) {
        (void)dk_json_fail(json, "a row is no array");
        return -1;
    }
    return read_row(reader, row);
}

/* ---- writing */

void dk_block_begin(struct block_writer *writer, struct buffer *out)
{
    writer->out = out;
    writer->header_length = 0;
    writer->any_block = false;
    writer->any_row = false;
    dk_buffer_append_char(out, '[');
}

/* A header too long to be remembered begins a block each time. NULL is that of a buffer that has
 * failed, which its owner finds. */
void dk_block_row(struct block_writer *writer, const char *header, size_t header_length)
{
    if (header == NULL) {
        return;
    }
    bool same = writer->any_block && header_length == writer->header_length &&
                memcmp(writer->header, header, header_length) == 0;
    if (same) {
        dk_buffer_append_char(writer->out, ',');
        return;
    }
    dk_buffer_append_text(writer->out, writer->any_block ? "]}," : "");
    dk_buffer_append(writer->out, header, header_length);
    dk_buffer_append_text(writer->out, ",\"rows\":[");
    writer->any_block = true;
    writer->any_row = true;
    writer->header_length = 0;
    if (header_length <= sizeof writer->header) {
        memcpy(writer->header, header, header_length);
        writer->header_length = header_length;
    }
}

void dk_block_end(struct block_writer *writer)
{
    dk_buffer_append_text(writer->out, writer->any_block ? "]}]" : "]");
}

/* See the header. Values of known fields come first, those of unknown ones behind, each in the
 * order given. */
void dk_block_header(struct buffer *out, enum block_op op, const struct entity *entity,
                     int64_t bucket, const struct field_value *values, int count)
{
    assert((entity == NULL) == (op == BLOCK_OWN));
    dk_buffer_append_char(out, '{');
    if (entity != NULL) {
        dk_buffer_append_text(out, "\"entity\":\"");
        dk_buffer_append_text(out, entity->name);
        dk_buffer_append_text(out, "\",");
    }
    dk_buffer_append_text(out, "\"op\":\"");
    dk_buffer_append_text(out, op_names[op]);
    dk_buffer_append_char(out, '"');
    if (bucket != 0) {
        dk_buffer_append_text(out, ",\"bucket\":");
        dk_buffer_append_int(out, bucket);
    }
    if (op != BLOCK_NEW && op != BLOCK_SET) {
        return;
    }
    dk_buffer_append_text(out, ",\"fields\":[");
    const char *comma = "";
    for (int i = 0; i < count; i++) {
        if (values[i].field >= 0) {
            dk_buffer_append_text(out, comma);
            dk_buffer_append_char(out, '"');
            dk_buffer_append_text(out, entity->fields[values[i].field].name);
            dk_buffer_append_char(out, '"');
            comma = ",";
        }
    }
    for (int i = 0; i < count; i++) {
        if (values[i].field < 0) {
            dk_buffer_append_text(out, comma);
            dk_json_write_string(out, values[i].name, values[i].name_length);
            comma = ",";
        }
    }
    dk_buffer_append_char(out, ']');
}

/* See the header. The order is that of dk_block_header. */
void dk_block_row_tail(struct buffer *out, const struct entity *entity, const struct id *id,
                       const struct field_value *values, int count)
{
    char text[ID_WIRE_LENGTH + 3] = ",\"";
    int extra = 0;
    dk_id_to_wire(id, text + 2);
    text[ID_WIRE_LENGTH + 2] = '"';
    dk_buffer_append(out, text, sizeof text);
    for (int i = 0; i < count; i++) {
        if (values[i].field < 0) {
            extra++;
            continue;
        }
        dk_buffer_append_char(out, ',');
        dk_value_write(out, &entity->fields[values[i].field], &values[i].value);
    }
    for (int i = 0; extra > 0 && i < count; i++) {
        if (values[i].field < 0) {
            dk_buffer_append_char(out, ',');
            dk_buffer_append(out, values[i].value.text, values[i].value.length);
        }
    }
    dk_buffer_append_char(out, ']');
}
