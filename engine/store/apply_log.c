/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what rows of the log, and whole records of a snapshot's page, do. Called by apply, between
 * verdicts and position. Invariants: rows are applied in the order of the log; where changes of
 * this device are pending, a row moves the base underneath and the record goes on showing base plus
 * changes.
 *
 * The hot path, a first sync, is one INSERT per row, bound from the reply's bytes: whether the
 * record is there already the INSERT itself finds out.
 */
#include "engine/store/visits.h"

#include <string.h>

struct page {
    struct apply *apply;
    struct block_reader reader;
    struct row row;
    int64_t last;     /* log: position of the row before */
    int64_t bucket;   /* snapshot: of all rows; 0: these are rows of the log */
    int64_t head;     /* snapshot: the position at which it was read */
    bool has_unknown; /* the block has columns of a newer schema */
    bool has_changes; /* of this row: a map, or a set, given as a difference */
};

/* ---- rows beside pending changes */

/* What the row says becomes the base: everything of it, or some fields. */
static daybook_status move_base(struct page *page, const struct holding *holding, struct base *base,
                                bool *moved)
{
    struct store *store = page->apply->store;
    const struct row *row = &page->row;
    bool whole = page->reader.block.op == BLOCK_NEW;
    bool stale = base->state != BASE_ABSENT && base->bucket < 0;
    daybook_status status = DAYBOOK_OK;
    *moved = false;
    if (base->state != BASE_ABSENT && !stale &&
        !dk_apply_is_news(page->apply, row->number, base->version)) {
        return DAYBOOK_OK;
    }
    if (!whole && (stale || base->state != BASE_HELD)) {
        return DAYBOOK_OK; /* what is not held takes no part */
    }
    if (whole) {
        dk_records_empty(&base->record, holding->entity, &holding->id);
        base->bucket = 0;
    }
    for (int i = 0; i < row->value_count && status == DAYBOOK_OK; i++) {
        status = dk_records_assign(&base->record, &row->values[i], &store->work);
    }
    if (status == DAYBOOK_OK && page->has_unknown) {
        struct value extra = base->record.extra;
        status = dk_records_extra(&extra, row->values, row->value_count, &store->work,
                                  &base->record.extra);
    }
    base->state = BASE_HELD;
    base->version = row->number;
    base->bucket = page->reader.block.bucket > 0 ? page->reader.block.bucket : base->bucket;
    *moved = true;
    return status;
}

/* The usual case beside a pending change: single fields move, none of them a set or map that
 * pending changes touch. Fields that they touch go to the base values, the others to the row; no
 * changeset has to be decoded. */
static bool is_plain(const struct page *page, const struct holding *holding)
{
    uint64_t gathered = page->apply->store->facts[holding->entity->kind].gathered;
    uint64_t mask = dk_records_mask(page->row.values, page->row.value_count);
    return page->reader.block.op == BLOCK_SET && holding->has_row && !holding->is_implied &&
           !page->has_unknown && (mask & gathered & holding->touched) == 0;
}

/* Writes what is_plain allows: new base values beside the record, and the row's own columns. */
static daybook_status write_plain(struct page *page, const struct holding *holding,
                                  const struct base *base)
{
    struct store *store = page->apply->store;
    struct holding new = *holding;
    struct record row = holding->row.record;
    uint64_t derived = store->facts[holding->entity->kind].derived;
    uint64_t mask =
        dk_records_mask(page->row.values, page->row.value_count) & ~holding->touched & ~derived;
    for (int i = 0; i < row.entity->field_count; i++) {
        if ((mask >> i & 1) != 0) {
            row.values[i] = base->record.values[i];
        }
    }
    dk_sums_base(store, holding, base->version, base->bucket);
    daybook_status status = dk_pending_base_text(store, &base->record, holding->touched, false);
    new.base_version = base->version;
    new.base_bucket = base->bucket;
    new.base_text = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)store->text.length};
    new.base_text.text = store->text.bytes;
    if (status == DAYBOOK_OK) {
        status = dk_pending_write(store, &new, true);
    }
    if (status == DAYBOOK_OK && (mask != 0 || base->bucket != holding->row.bucket)) {
        status = dk_records_update(store, &row, mask | COLUMN_BUCKET, holding->row.version,
                                   base->bucket);
    }
    return status;
}

/* Moves the base underneath pending changes, by the short way where there is one. */
static daybook_status apply_beside(struct page *page, const struct holding *holding)
{
    struct store *store = page->apply->store;
    struct base base;
    bool moved;
    daybook_status status = dk_pending_base(holding, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = move_base(page, holding, &base, &moved);
    }
    if (status != DAYBOOK_OK || !moved) {
        return status;
    }
    if (!is_plain(page, holding)) {
        return dk_pending_rebuild(store, holding, &base, &page->apply->touched);
    }
    status = dk_touch_record(store, &page->apply->touched, &holding->row.record);
    return status == DAYBOOK_OK ? write_plain(page, holding, &base) : status;
}

/* Whether something is pending for the row's record though it has no row; then *holding is whole.
 * Where it has one, the row's version tells. */
static daybook_status find_hidden(struct page *page, struct holding *holding, bool *pending)
{
    struct store *store = page->apply->store;
    *pending = false;
    if (store->memory.hidden_rows == 0) {
        return DAYBOOK_OK;
    }
    holding->entity = page->reader.block.entity;
    holding->id = page->row.id;
    holding->has_row = false;
    daybook_status status = dk_pending_load_beside(store, &store->work, holding);
    *pending = status == DAYBOOK_OK && holding->is_pending;
    return status;
}

/* ---- new */

/* The whole row as a record, derived where that needs no other record. */
static daybook_status row_to_record(struct page *page, struct record *record)
{
    struct store *store = page->apply->store;
    const struct entity *entity = page->reader.block.entity;
    struct sales_reader reader = dk_records_reader(store);
    uint64_t changed;
    daybook_status status = DAYBOOK_OK;
    dk_records_empty(record, entity, &page->row.id);
    for (int i = 0; i < page->row.value_count && status == DAYBOOK_OK; i++) {
        status = dk_records_assign(record, &page->row.values[i], &store->work);
    }
    if (status == DAYBOOK_OK && page->has_unknown) {
        status = dk_records_extra(NULL, page->row.values, page->row.value_count, &store->work,
                                  &record->extra);
    }
    if (status == DAYBOOK_OK && store->facts[entity->kind].derives_alone) {
        status = dk_sales_derive(&reader, record, &store->work, &changed);
        status = status == DAYBOOK_OUT_OF_RANGE ? DAYBOOK_OK : status;
    }
    return status;
}

/* The INSERT, by the shortest way that the entity allows. */
static daybook_status insert(struct page *page, bool *inserted)
{
    struct store *store = page->apply->store;
    const struct entity *entity = page->reader.block.entity;
    struct record record;
    bool direct =
        !page->has_unknown && !store->facts[entity->kind].derives_alone && !dk_apply_tells(entity);
    daybook_status status = DAYBOOK_OK;
    *inserted = false;
    if (direct) {
        status =
            dk_records_insert_row(store, entity, &page->row, page->reader.block.bucket, inserted);
    } else if ((status = row_to_record(page, &record)) == DAYBOOK_OK) {
        status = dk_records_insert(store, &record, page->row.number, page->reader.block.bucket,
                                   inserted);
    }
    if (status == DAYBOOK_OK && *inserted) {
        struct sum_key key = {entity->name, strlen(entity->name), &page->row.id};
        dk_sums_move(store, &key, 0, 0, page->row.number, page->reader.block.bucket);
    }
    return status == DAYBOOK_OK && *inserted && dk_apply_tells(entity)
               ? dk_apply_tell(page->apply, &record, true)
               : status;
}

/* The record is there: one that was made here, or an older or stale state of it. */
static daybook_status replace(struct page *page)
{
    struct store *store = page->apply->store;
    struct holding holding;
    struct record record;
    daybook_status status =
        dk_pending_load(store, page->reader.block.entity, &page->row.id, &store->work, &holding);
    if (status != DAYBOOK_OK || !holding.has_row) {
        return status == DAYBOOK_OK ? DAYBOOK_INTERNAL : status;
    }
    if (holding.is_pending) {
        return apply_beside(page, &holding);
    }
    bool stale = holding.row.bucket < 0;
    if (!stale && !dk_apply_is_news(page->apply, page->row.number, holding.row.version)) {
        return DAYBOOK_OK;
    }
    status = row_to_record(page, &record);
    if (status == DAYBOOK_OK) {
        status = dk_touch_record(store, &page->apply->touched, &holding.row.record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_sums_base(store, &holding, page->row.number, page->reader.block.bucket);
    return dk_records_replace(store, &record, page->row.number, page->reader.block.bucket);
}

/* The check-in that a row says of a visit; 0: none. */
static int64_t checkin_of(const struct row *row)
{
    int64_t time_ms = 0;
    for (int i = 0; i < row->value_count; i++) {
        if (row->values[i].field == VISIT_CHECKIN_TS && row->values[i].value.kind == VALUE_INT) {
            time_ms = row->values[i].value.integer;
        }
    }
    return time_ms;
}

/* A whole record: inserted, or put in the place of what is held. */
static daybook_status apply_new(struct page *page)
{
    struct store *store = page->apply->store;
    struct touched *touched = &page->apply->touched;
    const struct entity *entity = page->reader.block.entity;
    struct holding holding;
    bool pending, inserted;
    daybook_status status = find_hidden(page, &holding, &pending);
    if (status != DAYBOOK_OK || pending) {
        return status != DAYBOOK_OK ? status : apply_beside(page, &holding);
    }
    status = insert(page, &inserted);
    if (status == DAYBOOK_OK && !inserted) {
        status = replace(page);
        status = status == DAYBOOK_OK && dk_apply_tells(entity)
                     ? dk_apply_tell_stored(page->apply, entity, &page->row.id)
                     : status;
    }
    if (status != DAYBOOK_OK || store->facts[entity->kind].derives_alone) {
        return status;
    }
    return entity->kind == ENTITY_VISIT && inserted
               ? dk_visits_note_time(store, touched, checkin_of(&page->row), &page->row.id)
               : dk_touch(store, touched, entity, &page->row.id);
}

/* ---- set */

/* Some set or map comes as a difference, or fields are unknown: the row is needed to put them in.
 */
static daybook_status set_by_row(struct page *page)
{
    struct store *store = page->apply->store;
    struct holding holding;
    struct base base;
    bool moved;
    daybook_status status =
        dk_pending_load(store, page->reader.block.entity, &page->row.id, &store->work, &holding);
    if (status != DAYBOOK_OK || !holding.has_row || holding.is_pending) {
        return status != DAYBOOK_OK || !holding.has_row ? status : apply_beside(page, &holding);
    }
    status = dk_pending_base(&holding, &store->work, &base);
    if (status == DAYBOOK_OK) {
        status = move_base(page, &holding, &base, &moved);
    }
    if (status != DAYBOOK_OK || !moved) {
        return status;
    }
    status = dk_touch_record(store, &page->apply->touched, &holding.row.record);
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_sums_base(store, &holding, base.version, base.bucket);
    return dk_records_replace(store, &base.record, base.version, base.bucket);
}

/* The columns of the row alone, where the record is held, decided, not stale and older; *done
 * tells. */
static daybook_status set_columns(struct page *page, bool *done)
{
    struct apply *apply = page->apply;
    const struct row *row = &page->row;
    struct record record;
    record.entity = page->reader.block.entity;
    record.id = row->id;
    for (int i = 0; i < row->value_count; i++) {
        record.values[row->values[i].field] = row->values[i].value;
    }
    int64_t bucket = page->reader.block.bucket;
    uint64_t columns =
        dk_records_mask(row->values, row->value_count) | (bucket > 0 ? COLUMN_BUCKET : 0);
    int64_t upto = row->number == apply->own_position ? row->number : row->number - 1;
    return dk_records_update_guarded(apply->store, &record, columns, row->number, upto, bucket,
                                     done);
}

/* Columns were set, of a visit perhaps such as others are judged by: then they are looked at from
 * its check-in on, the old one as well where it is another now. */
static daybook_status touch_set(struct page *page)
{
    struct apply *apply = page->apply;
    struct store *store = apply->store;
    const struct row *row = &page->row;
    const struct entity *entity = page->reader.block.entity;
    if (entity->kind != ENTITY_VISIT) {
        return dk_touch(store, &apply->touched, entity, &row->id);
    }
    uint64_t set = dk_records_mask(row->values, row->value_count);
    bool moves = (set >> VISIT_CHECKIN_TS & 1) != 0;
    if ((set & dk_visits_judge()) == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = dk_visits_note_time(store, &apply->touched, store->sums.old_time_ms,
                                                moves ? NULL : &row->id);
    return status == DAYBOOK_OK && moves
               ? dk_visits_note_time(store, &apply->touched, checkin_of(row), &row->id)
               : status;
}

/* Some fields of a record: one UPDATE where nothing is pending and values are results. */
static daybook_status apply_set(struct page *page)
{
    struct store *store = page->apply->store;
    const struct entity *entity = page->reader.block.entity;
    struct holding holding;
    bool pending, done = false;
    daybook_status status = find_hidden(page, &holding, &pending);
    if (status != DAYBOOK_OK || pending) {
        return status != DAYBOOK_OK ? status : apply_beside(page, &holding);
    }
    if (!page->has_unknown && !page->has_changes) {
        status = set_columns(page, &done);
    }
    if (status == DAYBOOK_OK && !done) {
        status = set_by_row(page);
    }
    if (status == DAYBOOK_OK && dk_apply_tells(entity)) {
        status = dk_apply_tell_stored(page->apply, entity, &page->row.id);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    return done ? touch_set(page) : dk_touch(store, &page->apply->touched, entity, &page->row.id);
}

/* ---- delete and evict */

/* A delete beside pending changes leaves the base's values for them to revive. */
static daybook_status apply_delete(struct page *page)
{
    struct store *store = page->apply->store;
    const struct entity *entity = page->reader.block.entity;
    struct holding holding;
    struct base base;
    daybook_status status = dk_pending_load(store, entity, &page->row.id, &store->work, &holding);
    if (status != DAYBOOK_OK || (!holding.has_row && !holding.is_pending)) {
        return status;
    }
    bool stale = holding.base_bucket < 0;
    if (!stale && !dk_apply_is_news(page->apply, page->row.number, holding.base_version)) {
        return DAYBOOK_OK;
    }
    if (!holding.is_pending) {
        dk_sums_base(store, &holding, 0, 0);
        status = dk_touch_record(store, &page->apply->touched, &holding.row.record);
        return status == DAYBOOK_OK ? dk_records_remove(store, entity, &page->row.id) : status;
    }
    status = dk_pending_base(&holding, &store->work, &base);
    base.state = base.state == BASE_HELD ? BASE_DELETED : base.state;
    base.version = page->row.number;
    base.bucket = stale ? ~base.bucket : base.bucket;
    return status == DAYBOOK_OK ? dk_pending_rebuild(store, &holding, &base, &page->apply->touched)
                                : status;
}

/* A record that moved between two buckets of the scope stands in the other one: the old one's
 * eviction is not about it. */
static daybook_status apply_evict(struct page *page)
{
    struct store *store = page->apply->store;
    const struct entity *entity = page->reader.block.entity;
    struct holding holding;
    int64_t bucket = page->reader.block.bucket;
    daybook_status status = dk_pending_load(store, entity, &page->row.id, &store->work, &holding);
    if (status != DAYBOOK_OK || holding.base_state == BASE_ABSENT) {
        return status;
    }
    bool stale = holding.base_bucket < 0;
    int64_t held = stale ? ~holding.base_bucket : holding.base_bucket;
    if (bucket > 0 && held > 0 && bucket != held) {
        return DAYBOOK_OK;
    }
    if (!stale && !dk_apply_is_news(page->apply, page->row.number, holding.base_version)) {
        return DAYBOOK_OK;
    }
    return dk_apply_evict(page->apply, entity, &page->row.id, page->row.number);
}

/* ---- all rows */

/* One row by its op. Marks the entity as changed for the observer. */
static daybook_status apply_row(struct page *page)
{
    const struct block *block = &page->reader.block;
    if (block->op == BLOCK_OWN) {
        return dk_apply_own(page->apply, &page->row);
    }
    if (block->entity == NULL) {
        return dk_raw_apply(page->apply, block, &page->row);
    }
    page->apply->store->changed |= dk_store_bit((int)block->entity->kind);
    switch (block->op) {
    case BLOCK_NEW: return apply_new(page);
    case BLOCK_SET: return apply_set(page);
    case BLOCK_DELETE: return apply_delete(page);
    default: return apply_evict(page);
    }
}

/* Order and range of positions in the log. */
static daybook_status check_position(struct page *page)
{
    const struct row *row = &page->row;
    if (row->number <= page->apply->start || row->number < page->last) {
        return dk_apply_bad(page->apply, "the log's rows are out of order");
    }
    if (row->number > page->apply->reply->position) {
        return dk_apply_bad(page->apply, "a row stands behind the new position");
    }
    page->last = row->number;
    return DAYBOOK_OK;
}

/* What a row of a snapshot may be: a whole record as it was at the page's head. */
static daybook_status check_whole(struct page *page)
{
    if (page->reader.block.op != BLOCK_NEW) {
        return dk_apply_bad(page->apply, "a page has a row that is no whole record");
    }
    if (page->row.number < 1 || page->row.number > page->head) {
        return dk_apply_bad(page->apply, "a page has a version above its head");
    }
    page->reader.block.bucket = page->bucket;
    return DAYBOOK_OK;
}

/* Whether the row may stand here; what it is made of. */
static daybook_status check_row(struct page *page, bool new_block)
{
    const struct block *block = &page->reader.block;
    const struct row *row = &page->row;
    daybook_status status = page->bucket > 0 ? check_whole(page) : check_position(page);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (new_block) {
        page->has_unknown = false;
        for (int i = 0; i < block->column_count; i++) {
            page->has_unknown = page->has_unknown || block->columns[i].field < 0;
        }
    }
    page->has_changes = false;
    for (int i = 0; block->op == BLOCK_SET && i < row->value_count; i++) {
        const struct field_value *value = &row->values[i];
        bool gathered =
            value->field >= 0 && block->entity != NULL &&
            (page->apply->store->facts[block->entity->kind].gathered >> value->field & 1) != 0;
        page->has_changes = page->has_changes || (gathered && value->value.kind == VALUE_TEXT &&
                                                  value->value.text[0] == '{');
    }
    return DAYBOOK_OK;
}

/* Applies all rows of the array of blocks that the page's reader was opened for. */
static daybook_status apply_blocks(struct page *page)
{
    struct apply *apply = page->apply;
    struct store *store = apply->store;
    bool new_block;
    int result;
    daybook_status status = DAYBOOK_OK;
    page->reader.decided = true;
    while (status == DAYBOOK_OK &&
           (result = dk_block_next(&page->reader, &page->row, &new_block)) != 0) {
        if (result < 0) {
            return store->row_arena.failed ? DAYBOOK_NO_MEMORY
                   : result == -2          ? dk_apply_bad(apply, "a value does not fit its field")
                                           : dk_apply_bad(apply, page->reader.json.problem);
        }
        apply->applied->rows++;
        status = check_row(page, new_block);
        if (status == DAYBOOK_OK) {
            dk_arena_reset(&store->work);
            status = apply_row(page);
        }
        dk_arena_reset(&store->row_arena);
    }
    return status;
}

daybook_status dk_apply_log(struct apply *apply)
{
    struct page page = {.apply = apply};
    const struct span *log = &apply->reply->log;
    if (log->bytes == NULL) {
        return DAYBOOK_OK;
    }
    dk_block_open(&page.reader, log->bytes, log->length, &apply->store->row_arena);
    return apply_blocks(&page);
}

daybook_status dk_apply_rows(struct apply *apply, struct json_reader *json, int64_t bucket,
                             int64_t head)
{
    struct page page = {.apply = apply, .bucket = bucket, .head = head};
    dk_block_open(&page.reader, json->next, (size_t)(json->end - json->next),
                  &apply->store->row_arena);
    page.reader.inner = true;
    daybook_status status = apply_blocks(&page);
    json->next = page.reader.json.next;
    return status;
}
