/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of a bucket's snapshot: which buckets a device still loads, and the whole records of these
 * in the order of (entity, id), read in the snapshot of the reply. Called by the workers, beside
 * the log. Invariants: 1. A page is read at the head that it names, which no position of its reader
 * is above. 2. Only buckets of the scope are read. 3. A page makes progress, whatever size was
 * asked for.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"

#include <string.h>

/* Columns without a value that a row may carry before a block of its own is shorter. */
#define SPARE_COLUMNS_MAX 6

/* ---- what the device asks for */

/* One [bucket] or [bucket,"entity","id"], whose bracket was entered. */
static bool read_place(struct json_reader *json, struct snapshot_place *place)
{
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
        return false;
    }
    place->bucket = json->integer;
    place->after = (struct snapshot_key){.kind = SNAPSHOT_NO_KEY};
    enum json_type type = dk_json_next(json);
    if (type != JSON_STRING) {
        return type == JSON_END;
    }
    const struct entity *entity = dk_entity_by_name(json->text, json->length);
    if (entity == NULL) {
        return false;
    }
    place->after.kind = (int)entity->kind;
    return dk_json_next(json) == JSON_STRING &&
           dk_id_from_wire(json->text, json->length, &place->after.id) &&
           dk_json_next(json) == JSON_END;
}

/* See the header. */
bool srv_snapshot_read_places(const struct span *raw, struct arena *arena,
                              struct snapshot_place **places, int *count, const char **problem)
{
    struct json_reader json;
    enum json_type type;
    *count = 0;
    *places = NULL;
    if (raw->bytes == NULL) {
        return true;
    }
    *places = dk_arena_new(arena, LIMIT_BUCKETS * sizeof **places);
    if (*places == NULL) {
        *problem = "out of memory";
        return false;
    }
    dk_json_open(&json, raw->bytes, raw->length);
    type = dk_json_next(&json) == JSON_ARRAY ? dk_json_next(&json) : JSON_ERROR;
    while (type == JSON_ARRAY && *count < LIMIT_BUCKETS && read_place(&json, &(*places)[*count])) {
        (*count)++;
        type = dk_json_next(&json);
    }
    if (type != JSON_END) {
        *problem = "loading has an element that names no place, or too many";
        return false;
    }
    return true;
}

/* ---- one page */

/* The fields of the record that travel: those with a value, except DERIVED ones. */
static uint64_t filled_columns(const struct record *record)
{
    uint64_t columns = 0;
    for (int i = 0; i < record->entity->field_count; i++) {
        bool sent = record->entity->fields[i].policy != POLICY_DERIVED &&
                    record->values[i].kind != VALUE_NULL;
        columns |= sent ? (uint64_t)1 << i : 0;
    }
    return columns;
}

/* The record's values under these columns, and its fields of newer schemas. */
static int collect_columns(const struct record *record, uint64_t columns,
                           struct field_value values[LIMIT_FIELDS])
{
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    int count = 0;
    for (int i = 0; i < record->entity->field_count; i++) {
        if ((columns >> i & 1) != 0) {
            values[count++] = (struct field_value){.field = i, .value = record->values[i]};
        }
    }
    while (count < LIMIT_FIELDS &&
           dk_map_next(&record->extra, &cursor, &key, &key_length, &raw, &raw_length)) {
        struct field_value *value = &values[count++];
        *value =
            (struct field_value){.field = -1, .name = key, .name_length = (uint32_t)key_length};
        value->value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)raw_length};
        value->value.text = raw;
    }
    return count;
}

/* Whether the record goes into the block under way. */
static bool fits_block(const struct snapshot_rows *rows, const struct record *record,
                       uint64_t columns)
{
    return rows->kind == (int)record->entity->kind && record->extra.kind == VALUE_NULL &&
           (columns & ~rows->columns) == 0 &&
           __builtin_popcountll(rows->columns & ~columns) <= SPARE_COLUMNS_MAX;
}

/* See the header. */
void srv_snapshot_begin(struct snapshot_rows *rows, struct buffer *out)
{
    *rows = (struct snapshot_rows){.out = out, .begin = out->length, .kind = -1};
    dk_buffer_init(&rows->header, LIMIT_REPLY_EXPANDED);
    dk_block_begin(&rows->writer, out);
}

/* See the header. A record with fields of newer schemas has a block of its own. */
daybook_status srv_snapshot_row(struct snapshot_rows *rows, const struct record *record)
{
    struct field_value values[LIMIT_FIELDS];
    uint64_t columns = filled_columns(record);
    bool fits = fits_block(rows, record, columns);
    int count = collect_columns(record, fits ? rows->columns : columns, values);
    if (!fits) {
        dk_buffer_reset(&rows->header);
        dk_block_header(&rows->header, BLOCK_NEW, record->entity, 0, values, count);
        rows->columns = columns;
        rows->kind = record->extra.kind == VALUE_NULL ? (int)record->entity->kind : -1;
    }
    dk_block_row(&rows->writer, rows->header.bytes, rows->header.length);
    dk_buffer_append_char(rows->out, '[');
    dk_buffer_append_int(rows->out, record->version);
    dk_block_row_tail(rows->out, record->entity, &record->id, values, count);
    rows->last = (struct snapshot_key){(int)record->entity->kind, record->id};
    return rows->header.status != DAYBOOK_OK ? rows->header.status : rows->out->status;
}

/* See the header. */
void srv_snapshot_end(struct snapshot_rows *rows)
{
    dk_block_end(&rows->writer);
    dk_buffer_clear(&rows->header);
}

/* srv_each_record: writes a row, up to the size that is wanted. */
static daybook_status write_record(void *context, const struct record *record, bool *stop)
{
    struct snapshot_rows *rows = context;
    daybook_status status = srv_snapshot_row(rows, record);
    *stop = rows->out->length - rows->begin >= rows->size_max;
    return status;
}

/* See the header. */
daybook_status srv_snapshot_rows(struct srv_store *reader, int64_t org, int64_t bucket,
                                 const struct snapshot_key *after, size_t size_max,
                                 struct buffer *out, struct snapshot_key *next)
{
    struct snapshot_rows rows;
    struct id id = {{0}};
    bool full = false;
    daybook_status status = DAYBOOK_OK;
    int kind = 0;
    if (after->kind != SNAPSHOT_NO_KEY) {
        kind = after->kind;
        id = after->id;
    }
    srv_snapshot_begin(&rows, out);
    rows.size_max = size_max;
    for (; kind < ENTITY_COUNT && status == DAYBOOK_OK && !full; kind++) {
        status = srv_store_bucket_records(reader, org, bucket, dk_entity(kind), &id, write_record,
                                          &rows);
        full = out->length - rows.begin >= size_max && rows.writer.any_block;
        memset(&id, 0, sizeof id);
    }
    srv_snapshot_end(&rows);
    *next = (struct snapshot_key){.kind = SNAPSHOT_NO_KEY};
    if (full) {
        *next = rows.last;
    }
    return status == DAYBOOK_OK ? out->status : status;
}

/* ---- all pages of a reply */

/* ,"name":["entity","id"]; nothing where there is no key. */
static void write_key(struct buffer *out, const char *name, const struct snapshot_key *key)
{
    char id[ID_WIRE_LENGTH];
    if (key->kind == SNAPSHOT_NO_KEY) {
        return;
    }
    dk_id_to_wire(&key->id, id);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":[\"");
    dk_buffer_append_text(out, dk_entity(key->kind)->name);
    dk_buffer_append_text(out, "\",\"");
    dk_buffer_append(out, id, sizeof id);
    dk_buffer_append_text(out, "\"]");
}

/* Appends the next page of one bucket; *next is where that one ends. */
static daybook_status write_page(const struct page *page, const struct snapshot_place *place,
                                 size_t size_max, struct buffer *out, struct snapshot_key *next)
{
    dk_buffer_reset(page->rows);
    daybook_status status = srv_snapshot_rows(page->reader, page->org, place->bucket, &place->after,
                                              size_max, page->rows, next);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_buffer_append_text(out, "{\"bucket\":");
    dk_buffer_append_int(out, place->bucket);
    dk_buffer_append_text(out, ",\"head\":");
    dk_buffer_append_int(out, page->head);
    write_key(out, "after", &place->after);
    write_key(out, "next", next);
    dk_buffer_append_text(out, ",\"rows\":");
    dk_buffer_append(out, page->rows->bytes, page->rows->length);
    dk_buffer_append_char(out, '}');
    return out->status;
}

/* See the header. What the log leaves of the wanted size is the pages', and at least a quarter, so
 * that a log which never ends does not keep them from coming. */
daybook_status srv_snapshot_write(const struct page *page, const struct snapshot_place *places,
                                  int count, struct buffer *out, bool *more)
{
    size_t wanted = (size_t)page->page_bytes;
    size_t room = page->out->length < wanted ? wanted - page->out->length : 0;
    room = room > wanted / 4 ? room : wanted / 4;
    const char *separator = "[";
    daybook_status status = DAYBOOK_OK;
    *more = false;
    for (int i = 0; i < count && status == DAYBOOK_OK; i++) {
        struct snapshot_key next;
        if (!srv_scope_has(page->scope, places[i].bucket)) {
            continue;
        }
        if (out->length > 0 && out->length >= room) {
            *more = true;
            break;
        }
        dk_buffer_append_text(out, separator);
        separator = ",";
        status =
            write_page(page, &places[i], room > out->length ? room - out->length : 1, out, &next);
        *more = *more || next.kind != SNAPSHOT_NO_KEY;
    }
    if (out->length > 0) {
        dk_buffer_append_char(out, ']');
    }
    return status == DAYBOOK_OK ? out->status : status;
}
