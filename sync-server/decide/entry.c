/* SPDX-License-Identifier: Apache-2.0
 *
 * The log rows of one accepted changeset, one per bucket: `body` for everybody else, `own` for the
 * author. Part of the last step of the decision. Invariants: 1. `body` names every record of the
 * changeset that is there afterwards, if need be without a field. 2. `own` alone, put on what the
 * author sent, gives the same as `body`. 3. Nothing in a row of one bucket tells of a record in
 * another.
 */
#include "sync-server/decide/work.h"

/* Columns of one part. */
struct columns {
    struct field_value values[LIMIT_FIELDS];
    int count;
};

/* The entry of a bucket, made where missing. NULL: the decision has failed. */
static struct entry *entry_of(struct decision *decision, int64_t bucket)
{
    struct decide *decide = decision->decide;
    for (int i = 0; i < decide->entry_count; i++) {
        if (decide->entries[i].bucket == bucket) {
            return &decide->entries[i];
        }
    }
    if (decide->entry_count == decide->entry_capacity) {
        int capacity = decide->entry_capacity == 0 ? 4 : decide->entry_capacity * 2;
        struct entry *entries =
            dk_memory_resize(decide->entries, (size_t)capacity * sizeof *entries);
        if (entries == NULL) {
            (void)srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
            return NULL;
        }
        for (int i = decide->entry_capacity; i < capacity; i++) {
            dk_buffer_init(&entries[i].body, DECIDE_ENTRY_BYTES_MAX);
            dk_buffer_init(&entries[i].own, DECIDE_ENTRY_BYTES_MAX);
        }
        decide->entries = entries;
        decide->entry_capacity = capacity;
    }
    struct entry *entry = &decide->entries[decide->entry_count++];
    entry->bucket = bucket;
    entry->last_header[false] = entry->last_header[true] = 0;
    dk_buffer_reset(&entry->body);
    dk_buffer_reset(&entry->own);
    return entry;
}

/* A column without its bound being passed: a changeset has no more columns than a block. */
static bool add_column(struct decision *decision, const struct work *work, struct columns *columns,
                       const struct field_value *value)
{
    if (columns->count == LIMIT_FIELDS) {
        const struct record *record = &work->row.record;
        return srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id, NULL,
                                   "newer");
    }
    columns->values[columns->count++] = *value;
    return true;
}

/* One field of a newer schema as it is stored now; null where it is gone. */
static struct field_value extra_column(const struct work *work, const char *name, uint32_t length)
{
    static const char null_text[] = "null";
    struct field_value column = {.field = -1, .name = name, .name_length = length};
    column.value = srv_extra_get(&work->row.record.extra, name, length);
    if (column.value.kind == VALUE_NULL) {
        column.value =
            (struct value){.kind = VALUE_TEXT, .length = sizeof null_text - 1, .text = null_text};
    }
    return column;
}

/* DERIVED fields stay at home. */
static bool is_sent(const struct work *work, int field)
{
    return work->row.record.entity->fields[field].policy != POLICY_DERIVED;
}

/* The whole record: all that is not null. */
static bool whole_columns(struct decision *decision, const struct work *work,
                          struct columns *columns)
{
    const struct record *record = &work->row.record;
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    columns->count = 0;
    for (int i = 0; i < record->entity->field_count; i++) {
        struct field_value column = {.field = i, .value = record->values[i]};
        if (is_sent(work, i) && column.value.kind != VALUE_NULL &&
            !add_column(decision, work, columns, &column)) {
            return false;
        }
    }
    while (dk_map_next(&record->extra, &cursor, &key, &key_length, &raw, &raw_length)) {
        struct field_value column = extra_column(work, key, (uint32_t)key_length);
        if (!add_column(decision, work, columns, &column)) {
            return false;
        }
    }
    return true;
}

/* Of a map only the keys that a reader does not have. */
static struct value map_column(const struct work *work, int field, bool own)
{
    for (const struct work_map *map = work->map; map != NULL; map = map->next) {
        if (map->field == field) {
            return own ? map->own : map->changed;
        }
    }
    return work->row.record.values[field];
}

/* Some fields: those of a mask, and of the newer ones those that changed, or that are not as the
 * author sent them. */
static bool some_columns(struct decision *decision, const struct work *work, uint64_t mask,
                         bool own, struct columns *columns)
{
    const struct record *record = &work->row.record;
    columns->count = 0;
    for (int i = 0; i < record->entity->field_count; i++) {
        struct field_value column = {.field = i, .value = record->values[i]};
        bool wanted = (mask >> i & 1) != 0 && is_sent(work, i);
        if (wanted && record->entity->fields[i].type == FIELD_MAP) {
            column.value = map_column(work, i, own);
        }
        if (wanted && !add_column(decision, work, columns, &column)) {
            return false;
        }
    }
    for (const struct work_extra *extra = work->extra; extra != NULL; extra = extra->next) {
        struct field_value column = extra_column(work, extra->name, extra->length);
        if ((own ? extra->own : extra->changed) && !add_column(decision, work, columns, &column)) {
            return false;
        }
    }
    return true;
}

/* A changeset whose rows no reply could carry is refused, not failed on. */
static bool too_large(struct decision *decision)
{
    return srv_decision_reject(decision, REJECT_LIMIT, NULL, NULL, NULL, "bytes");
}

/* Counts what a part takes in a page: its row, and its header where that is another than the one
 * before. Own rows and bodies together, because a later instance of the author gets both. */
static bool count_part(struct decision *decision, struct entry *entry, bool own)
{
    struct decide *decide = decision->decide;
    const struct part_header *header = &decide->last[own];
    decide->page_bytes += decide->tail.length + 24;
    if (entry->last_header[own] != header->number) {
        decide->page_bytes += header->length + 16;
        entry->last_header[own] = header->number;
    }
    return decide->page_bytes <= DECIDE_ENTRY_BYTES_MAX || too_large(decision);
}

/* The fields of columns that stand in the entity's order; *known false: there are newer ones. */
static uint64_t fields_of(const struct columns *columns, bool *known)
{
    uint64_t fields = 0;
    *known = true;
    for (int i = 0; i < columns->count; i++) {
        int field = columns->values[i].field;
        *known = *known && field >= 0;
        fields |= field < 0 ? 0 : (uint64_t)1 << field;
    }
    return fields;
}

/* Makes decide->last[own] the header of a part. */
static daybook_status number_header(struct decision *decision, bool own, enum block_op op,
                                    const struct entity *entity, int64_t bucket,
                                    const struct columns *columns)
{
    struct decide *decide = decision->decide;
    struct part_header *last = &decide->last[own];
    struct buffer *text = &decide->header;
    bool known;
    uint64_t fields = fields_of(columns, &known);
    if (known && last->entity == entity && last->op == op && last->bucket == bucket &&
        last->fields == fields) {
        return DAYBOOK_OK;
    }
    dk_buffer_reset(text);
    dk_block_header(text, op, entity, bucket, columns->values, columns->count);
    *last = (struct part_header){known ? entity : NULL, op, bucket, fields, 0, text->length};
    return text->status == DAYBOOK_OK
               ? srv_store_header(decision->store, text->bytes, text->length, &last->number)
               : text->status;
}

/* Appends one part to an entry's body or own rows. bucket 0: none in the header. */
static bool add_part(struct decision *decision, struct entry *entry, bool own, enum block_op op,
                     const struct work *work, int64_t bucket, const struct columns *columns)
{
    struct decide *decide = decision->decide;
    struct buffer *out = own ? &entry->own : &entry->body;
    const struct record *record = &work->row.record;
    dk_buffer_reset(&decide->tail);
    dk_block_row_tail(&decide->tail, record->entity, &record->id, columns->values, columns->count);
    daybook_status status = decide->tail.status;
    if (status == DAYBOOK_OK) {
        status = number_header(decision, own, op, record->entity, bucket, columns);
    }
    if (status == DAYBOOK_OK) {
        srv_log_part_append(out, decide->last[own].number, decide->tail.bytes, decide->tail.length);
        status = out->status;
    }
    if (status != DAYBOOK_OK) {
        return status == DAYBOOK_TOO_LARGE ? too_large(decision)
                                           : srv_decision_fail(decision, status);
    }
    return count_part(decision, entry, own);
}

/* A part without columns. */
static bool add_bare(struct decision *decision, struct entry *entry, bool own, enum block_op op,
                     const struct work *work, int64_t bucket)
{
    struct columns none = {.count = 0};
    return add_part(decision, entry, own, op, work, bucket, &none);
}

/* The whole record under a header with its bucket. */
static bool add_whole(struct decision *decision, struct entry *entry, bool own,
                      const struct work *work)
{
    struct columns columns;
    return whole_columns(decision, work, &columns) &&
           add_part(decision, entry, own, BLOCK_NEW, work, work->row.bucket, &columns);
}

/* True where readers of the old bucket lose sight of the record. A tombstone that comes back was
 * not seen by anybody. */
static bool leaves(const struct work *work)
{
    return work->effect == EFFECT_WHOLE && work->found && !work->revived &&
           work->old_bucket != work->row.bucket;
}

/* What the log of the old bucket says of the record is not shown any more to those who see that
 * bucket only. */
static bool hide_past(struct decision *decision, const struct work *work)
{
    daybook_status status =
        srv_store_add_eviction(decision->store, decision->org->org, work->old_bucket,
                               &work->row.record.id, decision->position);
    return status == DAYBOOK_OK || srv_decision_fail(decision, status);
}

/* Those who see the old bucket only lose the record. */
static bool add_eviction(struct decision *decision, const struct work *work)
{
    struct entry *entry = entry_of(decision, work->old_bucket);
    return entry != NULL && add_bare(decision, entry, false, BLOCK_EVICT, work, work->old_bucket) &&
           hide_past(decision, work);
}

/* What everybody else gets of one record. */
static bool add_body(struct decision *decision, const struct work *work)
{
    struct columns columns;
    int64_t bucket = work->effect == EFFECT_DELETE ? work->old_bucket : work->row.bucket;
    struct entry *entry = entry_of(decision, bucket);
    if (entry == NULL) {
        return false;
    }
    if (work->effect == EFFECT_DELETE) {
        return add_bare(decision, entry, false, BLOCK_DELETE, work, 0);
    }
    if (work->effect == EFFECT_SET) {
        return some_columns(decision, work, work->changed, false, &columns) &&
               add_part(decision, entry, false, BLOCK_SET, work, 0, &columns);
    }
    if (!add_whole(decision, entry, false, work)) {
        return false;
    }
    return !leaves(work) || add_eviction(decision, work);
}

/* What the author gets of one record beside what it sent. */
static bool add_own(struct decision *decision, const struct work *work)
{
    struct columns columns;
    int64_t bucket = work->effect == EFFECT_DELETE ? work->old_bucket : work->row.bucket;
    struct entry *entry = entry_of(decision, bucket);
    if (entry == NULL) {
        return false;
    }
    if (work->effect == EFFECT_DELETE) {
        /* A delete that was led here, to a revision, the author has not made on this record. */
        bool sent = work->change != NULL && !work->own_whole;
        return sent || add_bare(decision, entry, true, BLOCK_DELETE, work, 0);
    }
    if (leaves(work)) {
        struct entry *old = entry_of(decision, work->old_bucket);
        if (old == NULL || !add_bare(decision, old, true, BLOCK_EVICT, work, work->old_bucket)) {
            return false;
        }
        entry = entry_of(decision, bucket); /* the array may have moved */
    }
    if (work->own_whole || work->change == NULL) {
        return entry != NULL && add_whole(decision, entry, true, work);
    }
    if (!some_columns(decision, work, work->own, true, &columns)) {
        return false;
    }
    return columns.count == 0 || add_part(decision, entry, true, BLOCK_SET, work, 0, &columns);
}

/* Deletes that were deletes already, and what is only stored, are nothing to anybody. */
static bool is_logged(const struct work *work)
{
    return work->effect != EFFECT_NONE && work->effect != EFFECT_STORED;
}

/* See the header. */
bool srv_decide_entries(struct decision *decision)
{
    struct decide *decide = decision->decide;
    decide->entry_count = 0;
    decide->page_bytes = 0;
    decide->last[false].entity = decide->last[true].entity = NULL;
    for (const struct work *work = decision->works; work != NULL; work = work->next) {
        bool dead_moved = work->found && work->row.deleted && work->row.bucket != work->old_bucket;
        if ((is_logged(work) && !add_body(decision, work)) ||
            (dead_moved && !hide_past(decision, work))) {
            return false;
        }
    }
    /* Nobody pulls in the server's own name. */
    for (const struct work *work = decision->works; work != NULL && !decision->author->is_server;
         work = work->next) {
        if (is_logged(work) && !add_own(decision, work)) {
            return false;
        }
    }
    return true;
}
