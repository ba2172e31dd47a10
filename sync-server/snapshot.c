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
/* Positions that pages which are kept may be behind the head when a device begins with them: its
 * log then begins there. */
#define SNAPSHOT_LAG_MAX 10000

/* ---- what the device asks for */

/* One [bucket] or [bucket,"entity","id"], whose bracket was entered. A key of an entity that this
 * server does not know, since it had a newer schema when it gave that out, is nowhere in its order:
 * the bucket begins again, in the device's place. */
static bool read_place(struct json_reader *json, struct snapshot_place *place)
{
    struct id id;
    if (dk_json_next(json) != JSON_INTEGER || json->integer < 1) {
        return false;
    }
    *place = (struct snapshot_place){.bucket = json->integer, .after = {.kind = SNAPSHOT_NO_KEY}};
    enum json_type type = dk_json_next(json);
    if (type != JSON_STRING || json->length > LIMIT_LABEL_BYTES) {
        return type == JSON_END;
    }
    const char *name = json->text;
    size_t length = json->length;
    const struct entity *entity = dk_entity_by_name(name, length);
    if (dk_json_next(json) != JSON_STRING || !dk_id_from_wire(json->text, json->length, &id)) {
        return false;
    }
    if (entity != NULL) {
        place->after = (struct snapshot_key){(int)entity->kind, id};
    } else {
        place->unknown = name;
        place->unknown_length = length;
        place->unknown_id = id;
    }
    return dk_json_next(json) == JSON_END;
}

/* See the header. */
bool srv_snapshot_read_places(const struct span *raw, struct arena *arena,
                              struct snapshot_place **places, int *count, const char **problem)
{
    struct json_reader json;
    enum json_type type;
    size_t room = raw->length / 4 + 1; /* brackets, a digit and a comma each */
    room = room < LIMIT_BUCKETS ? room : LIMIT_BUCKETS;
    *count = 0;
    *places = NULL;
    if (raw->bytes == NULL) {
        return true;
    }
    *places = dk_arena_new(arena, room * sizeof **places);
    if (*places == NULL) {
        *problem = "out of memory";
        return false;
    }
    dk_json_open(&json, raw->bytes, raw->length);
    type = dk_json_next(&json) == JSON_ARRAY ? dk_json_next(&json) : JSON_ERROR;
    while (type == JSON_ARRAY && (size_t)*count < room && read_place(&json, &(*places)[*count])) {
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

/* ,"name":["entity","id"] */
static void write_raw_key(struct buffer *out, const char *name, const char *entity, size_t length,
                          const struct id *id)
{
    char wire[ID_WIRE_LENGTH];
    dk_id_to_wire(id, wire);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append_text(out, name);
    dk_buffer_append_text(out, "\":[");
    dk_json_write_string(out, entity, length);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append(out, wire, sizeof wire);
    dk_buffer_append_text(out, "\"]");
}

/* The same for a key of this server's; nothing where there is none. */
static void write_key(struct buffer *out, const char *name, const struct snapshot_key *key)
{
    if (key->kind != SNAPSHOT_NO_KEY) {
        const char *entity = dk_entity(key->kind)->name;
        write_raw_key(out, name, entity, strlen(entity), &key->id);
    }
}

/* Whether a record has left the bucket behind this position, so that a page read there shows more
 * than its reader may see by now. */
static daybook_status has_left(const struct page *page, int64_t bucket, int64_t position,
                               bool *left)
{
    *left = false;
    return position < page->head
               ? srv_store_any_left(page->reader, page->org, &bucket, 1, position, page->head, left)
               : DAYBOOK_OK;
}

/* The label of a bucket of the scope is the organisation's. */
static bool is_shared(const struct page *page, int64_t bucket)
{
    for (int i = 0; i < page->scope->count; i++) {
        if (page->scope->buckets[i].bucket == bucket) {
            return strcmp(page->scope->buckets[i].label, SCOPE_ORGANISATION) == 0;
        }
    }
    return false;
}

/* See the header. */
daybook_status srv_snapshot_start(const struct page *page, int64_t floor, int64_t *position)
{
    bool left = false;
    *position = page->head;
    for (int i = 0; i < page->scope->count; i++) {
        int64_t bucket = page->scope->buckets[i].bucket;
        int64_t head = srv_snapshot_cache_head(page->cache, page->org, bucket);
        if (!is_shared(page, bucket) || head < 1 || head < floor || head > page->head ||
            page->head - head > SNAPSHOT_LAG_MAX) {
            continue;
        }
        daybook_status status = has_left(page, bucket, head, &left);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (left) {
            srv_snapshot_cache_drop(page->cache, page->org, bucket);
        } else {
            *position = head < *position ? head : *position;
        }
    }
    return DAYBOOK_OK;
}

/* See the header. */
int64_t srv_snapshot_upto(const struct page *page, const struct snapshot_place *places, int count)
{
    int64_t upto = page->head;
    for (int i = 0; i < count && page->full_size; i++) {
        if (!srv_scope_has(page->scope, places[i].bucket)) {
            continue;
        }
        int64_t least = srv_snapshot_cache_least(page->cache, page->org, places[i].bucket,
                                                 &places[i].after, page->after);
        upto = least < upto ? least : upto;
    }
    return upto;
}

/* A page under way: of which place, and what it came to. */
struct made_page {
    const struct snapshot_place *place;
    struct snapshot_key next;
    int64_t head;
    bool kept; /* its bucket's pages are put into the cache */
};

/* Looks for a page that was made before and that this reader may have. */
static daybook_status find_page(const struct page *page, struct made_page *made, bool *found)
{
    const struct snapshot_place *place = made->place;
    bool left = false;
    size_t size_max = (size_t)page->page_bytes + (size_t)page->page_bytes / 2;
    *found = page->full_size &&
             srv_snapshot_cache_get(page->cache, page->org, place->bucket, &place->after,
                                    page->after, size_max, page->rows, &made->next, &made->head);
    if (!*found) {
        return page->rows->status;
    }
    daybook_status status = has_left(page, place->bucket, made->head, &left);
    if (status == DAYBOOK_OK && left) {
        srv_snapshot_cache_drop(page->cache, page->org, place->bucket);
        dk_buffer_reset(page->rows);
        *found = false;
    }
    return status == DAYBOOK_OK ? page->rows->status : status;
}

/* Finds or reads the next page of a bucket, into page->rows. */
static daybook_status make_page(const struct page *page, size_t room, struct made_page *made)
{
    const struct snapshot_place *place = made->place;
    bool found = false;
    dk_buffer_reset(page->rows);
    daybook_status status = find_page(page, made, &found);
    if (status != DAYBOOK_OK || found) {
        return status;
    }
    bool keep = made->kept && page->full_size;
    made->head = page->head;
    status = srv_snapshot_rows(page->reader, page->org, place->bucket, &place->after,
                               keep ? (size_t)page->page_bytes : room, page->rows, &made->next);
    if (status == DAYBOOK_OK && keep) {
        srv_snapshot_cache_put(page->cache, page->org, place->bucket, &place->after, &made->next,
                               made->head, page->rows->bytes, page->rows->length);
    }
    return status;
}

/* Appends a page as it stands in a reply. */
static void write_page(const struct page *page, const struct made_page *made, struct buffer *out)
{
    dk_buffer_append_text(out, "{\"bucket\":");
    dk_buffer_append_int(out, made->place->bucket);
    dk_buffer_append_text(out, ",\"head\":");
    dk_buffer_append_int(out, made->head);
    if (made->place->unknown != NULL) {
        write_raw_key(out, "after", made->place->unknown, made->place->unknown_length,
                      &made->place->unknown_id);
    } else {
        write_key(out, "after", &made->place->after);
    }
    write_key(out, "next", &made->next);
    dk_buffer_append_text(out, ",\"rows\":");
    dk_buffer_append(out, page->rows->bytes, page->rows->length);
    dk_buffer_append_char(out, '}');
}

/* Whether a page of this place is to be kept. */
static bool is_kept(const struct page *page, const struct snapshot_place *place)
{
    if (place->after.kind == SNAPSHOT_NO_KEY) {
        return srv_snapshot_cache_ask(page->cache, page->org, place->bucket,
                                      is_shared(page, place->bucket));
    }
    return srv_snapshot_cache_head(page->cache, page->org, place->bucket) > 0;
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
        struct made_page made = {.place = &places[i]};
        if (!srv_scope_has(page->scope, places[i].bucket)) {
            continue;
        }
        if (out->length > 0 && out->length >= room) {
            *more = true;
            break;
        }
        made.kept = is_kept(page, &places[i]);
        status = make_page(page, room > out->length ? room - out->length : 1, &made);
        dk_buffer_append_text(out, separator);
        separator = ",";
        write_page(page, &made, out);
        *more = *more || made.next.kind != SNAPSHOT_NO_KEY;
        if (made.next.kind != SNAPSHOT_NO_KEY && made.kept && page->full_size) {
            *page->ahead = (struct snapshot_ahead){
                page->org, {.bucket = places[i].bucket, .after = made.next}};
        }
    }
    if (out->length > 0) {
        dk_buffer_append_char(out, ']');
    }
    return status == DAYBOOK_OK ? out->status : status;
}

/* Whether calls wait for a worker. */
static bool is_busy(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    bool busy = service->work_queue.count > 0 || service->closing;
    pthread_mutex_unlock(&service->lock);
    return busy;
}

/* See the header. */
void srv_snapshot_read_ahead(struct worker *worker)
{
    struct service *service = worker->service;
    const struct snapshot_ahead *ahead = &worker->ahead;
    struct snapshot_cache *cache = &service->snapshots;
    struct snapshot_key next;
    int64_t head = 0;
    if (is_busy(service) ||
        srv_snapshot_cache_has(cache, ahead->org, ahead->place.bucket, &ahead->place.after, 0)) {
        return;
    }
    dk_buffer_reset(&worker->rows);
    daybook_status status = srv_store_begin_read(worker->reader);
    if (status == DAYBOOK_OK) {
        status = srv_store_get_head(worker->reader, ahead->org, &head);
    }
    if (status == DAYBOOK_OK) {
        status =
            srv_snapshot_rows(worker->reader, ahead->org, ahead->place.bucket, &ahead->place.after,
                              (size_t)service->page_bytes, &worker->rows, &next);
    }
    srv_store_end_read(worker->reader);
    if (status == DAYBOOK_OK) {
        srv_snapshot_cache_put(cache, ahead->org, ahead->place.bucket, &ahead->place.after, &next,
                               head, worker->rows.bytes, worker->rows.length);
    }
}
