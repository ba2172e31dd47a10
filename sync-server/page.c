/* SPDX-License-Identifier: Apache-2.0
 *
 * One page of the log for one reader: the entries of its buckets and its own markers, in position
 * order. Called by the workers inside a snapshot. Invariants: 1. All rows of a position are in one
 * page. 2. Nothing is read from a bucket that is not in the scope, and nothing told of a record
 * that has left the scope since, but that it did. 3. The page makes progress, whatever size was
 * asked for.
 */
#include "sync-server/inside.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_MAX ((size_t)16 * 1024 * 1024) /* one record takes less */

/* One log row of the position under way; its parts are copied behind each other into the scratch
 * buffer. */
struct page_row {
    int64_t marked;     /* the bucket that a marker names; 0: everybody's part stands here */
    size_t begin, size; /* body, own, or both */
};

/* The walk over log rows and markers. */
struct walk {
    const struct page *page;
    struct block_writer writer;
    struct srv_log_cursor *cursor; /* NULL: no bucket in scope */
    struct srv_log_row row;        /* the next one */
    bool has_row;
    struct srv_decision *markers;
    int marker_count, marker_next;
    struct page_row *rows; /* of the position under way */
    int row_count;
    struct id *whole; /* records that come whole in it, sorted */
    int whole_count;
    bool any_left;        /* some record leaves a bucket of the scope behind the page's beginning */
    struct arena scratch; /* of one look-up */
};

/* Moves to the next log row. */
static daybook_status next_row(struct walk *walk)
{
    walk->has_row = false;
    return walk->cursor == NULL ? DAYBOOK_OK
                                : srv_store_log_next(walk->cursor, &walk->row, &walk->has_row);
}

/* Opens cursor and markers. */
static daybook_status open_walk(struct walk *walk)
{
    const struct page *page = walk->page;
    int count = page->scope->count;
    int64_t *buckets = dk_arena_new(page->arena, ((size_t)count + 1) * sizeof *buckets);
    walk->rows = dk_arena_new(page->arena, ((size_t)count + 1) * sizeof *walk->rows);
    if (buckets == NULL || walk->rows == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < count; i++) {
        buckets[i] = page->scope->buckets[i].bucket;
    }
    daybook_status status =
        srv_store_markers(page->reader, page->device_no, page->settled, page->after, page->upto,
                          page->arena, &walk->markers, &walk->marker_count);
    if (status == DAYBOOK_OK) {
        status = srv_store_any_left(page->reader, page->org, buckets, count, page->after,
                                    page->head, &walk->any_left);
    }
    if (status == DAYBOOK_OK && count > 0) {
        status = srv_store_log_open(page->reader, page->org, buckets, count, page->after,
                                    page->upto, &walk->cursor);
    }
    return status == DAYBOOK_OK ? next_row(walk) : status;
}

/* Copies the parts of a row that the reader gets; the result is for page_row.marked. Of an own
 * changeset only what differs from what was sent. Everybody's part stands behind that where the
 * reader cannot know the rest: the changeset was decided under an earlier instance of the device,
 * and other numbers follow from its header; or it lies in several buckets, and some of these may be
 * out of scope by now. */
static int64_t copy_parts(const struct walk *walk, const struct srv_log_row *row, bool own)
{
    struct buffer *bytes = walk->page->rows;
    if (own && row->own_size > 0) {
        dk_buffer_append(bytes, row->own, row->own_size);
    }
    if (own && row->device_no == walk->page->device_no) {
        return row->bucket;
    }
    dk_buffer_append(bytes, row->body, row->body_size);
    return 0;
}

/* Collects all rows of a position. `own`: it is the reader's own changeset. */
static daybook_status collect(struct walk *walk, int64_t position, bool own)
{
    daybook_status status = DAYBOOK_OK;
    struct buffer *bytes = walk->page->rows;
    walk->row_count = 0;
    dk_buffer_reset(bytes);
    while (status == DAYBOOK_OK && walk->has_row && walk->row.position == position) {
        size_t begin = bytes->length;
        if (walk->row_count >= walk->page->scope->count) {
            return DAYBOOK_CORRUPT; /* a bucket twice */
        }
        int64_t marked = copy_parts(walk, &walk->row, own);
        walk->rows[walk->row_count++] = (struct page_row){marked, begin, bytes->length - begin};
        status = bytes->status == DAYBOOK_OK ? next_row(walk) : bytes->status;
    }
    return status;
}

/* What a header's op is, as far as the page has to know. Names of fields are escaped in it, so the
 * text cannot stand elsewhere. */
static bool header_has(const char *text, size_t length, const char *op)
{
    size_t op_length = strlen(op);
    for (size_t i = 0; i + op_length <= length; i++) {
        if (text[i] == op[0] && memcmp(text + i, op, op_length) == 0) {
            return true;
        }
    }
    return false;
}

/* The record's id at the beginning of a row's tail: ,"<id>" */
static bool tail_id(const char *tail, size_t length, struct id *id)
{
    return length > ID_WIRE_LENGTH + 2 && dk_id_from_wire(tail + 2, ID_WIRE_LENGTH, id);
}

/* For qsort and bsearch. */
static int compare_ids(const void *a, const void *b)
{
    return dk_id_compare(a, b);
}

/* One part of the position's rows. */
struct part {
    const char *header, *tail;
    size_t header_length, tail_length;
};

/* The next part of a row; false at its end or on failure (*status). */
static bool next_part(const struct walk *walk, const struct page_row *row, size_t *cursor,
                      struct part *part, daybook_status *status)
{
    int64_t number;
    if (*status != DAYBOOK_OK || row->size == 0) {
        return false; /* a position without rows may have no bytes at all */
    }
    const char *bytes = walk->page->rows->bytes + row->begin;
    if (!srv_log_part_next(bytes, row->size, cursor, &number, &part->tail, &part->tail_length)) {
        return false;
    }
    *status =
        srv_store_header_text(walk->page->reader, number, &part->header, &part->header_length);
    return *status == DAYBOOK_OK;
}

/* A record that moved between two buckets of the scope comes whole; it is not evicted. Collects
 * what comes whole, where the position has several rows. */
static daybook_status collect_whole(struct walk *walk)
{
    daybook_status status = DAYBOOK_OK;
    int capacity = 0;
    walk->whole_count = 0;
    for (int i = 0; walk->row_count > 1 && i < walk->row_count; i++) {
        struct part part;
        size_t cursor = 0;
        while (next_part(walk, &walk->rows[i], &cursor, &part, &status)) {
            if (!header_has(part.header, part.header_length, "\"op\":\"new\"")) {
                continue;
            }
            if (walk->whole_count == capacity) {
                int larger = capacity == 0 ? 64 : capacity * 2;
                struct id *ids = dk_arena_new(walk->page->arena, (size_t)larger * sizeof *ids);
                if (ids == NULL) {
                    return DAYBOOK_NO_MEMORY;
                }
                if (capacity > 0) {
                    memcpy(ids, walk->whole, (size_t)capacity * sizeof *ids);
                }
                walk->whole = ids;
                capacity = larger;
            }
            if (tail_id(part.tail, part.tail_length, &walk->whole[walk->whole_count])) {
                walk->whole_count++;
            }
        }
    }
    if (walk->whole_count > 1) {
        qsort(walk->whole, (size_t)walk->whole_count, sizeof *walk->whole, compare_ids);
    }
    return status;
}

/* True where the record of an eviction comes whole beside it. */
static bool is_spared(const struct walk *walk, const struct part *part)
{
    struct id id;
    return walk->whole_count > 0 && tail_id(part->tail, part->tail_length, &id) &&
           bsearch(&id, walk->whole, (size_t)walk->whole_count, sizeof id, compare_ids) != NULL;
}

/* Looks whether the record of a part is in the scope now. */
static daybook_status look_up(struct walk *walk, const struct part *part, const struct id *id,
                              bool *shown)
{
    static const char lead[] = "{\"entity\":\"";
    const struct page *page = walk->page;
    struct srv_record row;
    bool found = false;
    size_t begin = sizeof lead - 1;
    size_t end = begin;
    while (end < part->header_length && part->header[end] != '"') {
        end++;
    }
    const struct entity *entity =
        begin < end ? dk_entity_by_name(part->header + begin, end - begin) : NULL;
    if (entity == NULL || memcmp(part->header, lead, begin) != 0) {
        return DAYBOOK_CORRUPT;
    }
    dk_arena_reset(&walk->scratch);
    daybook_status status =
        srv_store_get(page->reader, page->org, entity, id, &walk->scratch, &row, &found);
    *shown = status == DAYBOOK_OK && found && srv_scope_has(page->scope, row.bucket);
    return status;
}

/* True where the part is about a record that has left the scope since. */
static bool is_hidden(struct walk *walk, const struct part *part, daybook_status *status)
{
    const struct page *page = walk->page;
    struct id id;
    bool left = false, shown = true;
    if (!walk->any_left || !tail_id(part->tail, part->tail_length, &id)) {
        return false;
    }
    *status = srv_store_has_left(page->reader, page->org, &id, page->after, page->head, &left);
    if (*status == DAYBOOK_OK && left) {
        *status = look_up(walk, part, &id, &shown);
    }
    return left && !shown;
}

/* True where the reader is not told the part. Of a record that has left the scope since only is
 * told that it went: its evictions, from each bucket, and its delete, for the reader may hold it.
 */
static bool is_passed_over(struct walk *walk, const struct part *part, daybook_status *status)
{
    if (header_has(part->header, part->header_length, "\"op\":\"delete\"")) {
        return false;
    }
    if (header_has(part->header, part->header_length, "\"op\":\"evict\"")) {
        return is_spared(walk, part) && !is_hidden(walk, part, status);
    }
    return is_hidden(walk, part, status);
}

/* Writes the parts of all rows of the position. */
static daybook_status write_parts(struct walk *walk, int64_t position)
{
    daybook_status status = collect_whole(walk);
    struct buffer *out = walk->page->out;
    for (int i = 0; status == DAYBOOK_OK && i < walk->row_count; i++) {
        struct part part;
        size_t cursor = 0;
        while (next_part(walk, &walk->rows[i], &cursor, &part, &status)) {
            if (is_passed_over(walk, &part, &status)) {
                continue;
            }
            dk_block_row(&walk->writer, part.header, part.header_length);
            dk_buffer_append_char(out, '[');
            dk_buffer_append_int(out, position);
            dk_buffer_append(out, part.tail, part.tail_length);
        }
    }
    return status == DAYBOOK_OK ? out->status : status;
}

/* Writes a marker's row. */
static void write_marker(struct walk *walk, const struct srv_decision *marker, int64_t bucket)
{
    static const char header[] = "{\"op\":\"own\"";
    struct buffer *out = walk->page->out;
    char id[ID_WIRE_LENGTH];
    dk_id_to_wire(&marker->changeset, id);
    dk_block_row(&walk->writer, header, sizeof header - 1);
    dk_buffer_append_char(out, '[');
    dk_buffer_append_int(out, marker->position);
    dk_buffer_append_text(out, ",\"");
    dk_buffer_append(out, id, sizeof id);
    dk_buffer_append_text(out, "\",");
    dk_buffer_append_int(out, marker->seq);
    dk_buffer_append_char(out, ',');
    dk_buffer_append_int(out, bucket);
    dk_buffer_append_char(out, ']');
}

/* See the header. A decision may have gone over to another instance since its verdict was written.
 */
daybook_status srv_page_verdict(struct buffer *verdicts, const struct srv_decision *decision)
{
    struct json_reader json;
    struct verdict verdict;
    dk_json_open(&json, (char *)decision->verdict, decision->verdict_length);
    if (dk_verdict_read(&json, &verdict) != 1) {
        return DAYBOOK_CORRUPT;
    }
    verdict.seq = decision->seq;
    dk_buffer_append_text(verdicts, verdicts->length == 0 ? "" : ",");
    dk_verdict_write(verdicts, &verdict);
    return verdicts->status;
}

/* A marker settles a changeset whose verdict was lost, and the device does not ask for that again:
 * what the verdict has to say comes with it. */
static daybook_status add_verdict(struct walk *walk, const struct srv_decision *marker)
{
    const struct page *page = walk->page;
    bool answered =
        marker->seq >= page->answered_first && marker->seq < page->answered_first + page->answered;
    bool wanted = marker->verdict != NULL && page->verdicts != NULL && !answered;
    return wanted ? srv_page_verdict(page->verdicts, marker) : DAYBOOK_OK;
}

/* Writes all of the next position, which is there; *position is that one. */
static daybook_status write_position(struct walk *walk, int64_t *position)
{
    const struct srv_decision *marker =
        walk->marker_next < walk->marker_count ? &walk->markers[walk->marker_next] : NULL;
    bool own = marker != NULL && (!walk->has_row || marker->position <= walk->row.position);
    *position = own ? marker->position : walk->row.position;
    daybook_status status = collect(walk, *position, own);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (own) {
        walk->marker_next++;
        write_marker(walk, marker, walk->row_count == 1 ? walk->rows[0].marked : 0);
        status = add_verdict(walk, marker);
    }
    return status == DAYBOOK_OK ? write_parts(walk, *position) : status;
}

/* See the header. */
daybook_status srv_page_build(const struct page *page, int64_t *position)
{
    struct walk walk = {.page = page};
    size_t begin = page->out->length;
    bool full = false;
    *position = page->after;
    dk_arena_init(&walk.scratch, SCRATCH_MAX);
    dk_block_begin(&walk.writer, page->out);
    daybook_status status = open_walk(&walk);
    while (status == DAYBOOK_OK && !full &&
           (walk.has_row || walk.marker_next < walk.marker_count)) {
        status = write_position(&walk, position);
        full = page->out->length - begin >= (size_t)page->page_bytes;
    }
    if (walk.cursor != NULL) {
        srv_store_log_close(walk.cursor);
    }
    dk_arena_clear(&walk.scratch);
    if (status == DAYBOOK_OK && !full) {
        *position = page->upto;
    }
    if (!walk.writer.any_block) {
        page->out->length = begin; /* nothing to say */
        return status;
    }
    dk_block_end(&walk.writer);
    return status == DAYBOOK_OK ? page->out->status : status;
}
