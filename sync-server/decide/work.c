/* SPDX-License-Identifier: Apache-2.0
 *
 * The records that one decision concerns: found by id and by parent, loaded once, and shown to the
 * domain rules as they will be. Used by all steps of the decision. Invariant: one work per record.
 */
#include "sync-server/decide/work.h"

#include "engine/base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* See the header. The bound is reached as well while the store is read into the arena. */
bool srv_decision_fail(struct decision *decision, daybook_status status)
{
    bool bound = status == DAYBOOK_NO_MEMORY && decision->arena->full;
    assert(status != DAYBOOK_OK);
    decision->status = bound ? DAYBOOK_TOO_LARGE : status;
    return false;
}

/* See the header. */
bool srv_decision_out_of_memory(struct decision *decision)
{
    return srv_decision_fail(decision, DAYBOOK_NO_MEMORY);
}

/* Copies a static word; longer ones than the verdict holds are cut. */
static void copy_word(char *out, size_t size, const char *word)
{
    if (word != NULL) {
        (void)dk_text_format(out, size, "%s", word);
    }
}

/* See the header. */
void srv_verdict_name(struct verdict *verdict, const struct entity *entity, const struct id *record)
{
    verdict->entity[0] = '\0';
    memset(&verdict->record, 0, sizeof verdict->record);
    copy_word(verdict->entity, sizeof verdict->entity, entity == NULL ? NULL : entity->name);
    if (record != NULL) {
        verdict->record = *record;
    }
}

/* See the header. */
bool srv_decision_reject(struct decision *decision, enum reject_code code,
                         const struct entity *entity, const struct id *record, const char *field,
                         const char *rule)
{
    struct verdict *verdict = decision->verdict;
    verdict->kind = VERDICT_REJECTED;
    verdict->code = code;
    verdict->moved_ms = 0;
    verdict->remapped = false;
    srv_verdict_name(verdict, entity, record);
    copy_word(verdict->field, sizeof verdict->field, field);
    copy_word(verdict->rule, sizeof verdict->rule, rule);
    return false;
}

/* See the header. */
bool srv_works_init(struct decision *decision)
{
    size_t wanted = (size_t)decision->input->changeset.change_count * 2;
    decision->slot_count = 16;
    while (decision->slot_count < wanted && decision->slot_count < 32768) {
        decision->slot_count *= 2;
    }
    decision->works = NULL;
    decision->works_end = &decision->works;
    decision->work_count = 0;
    decision->late = NULL;
    decision->by_id = dk_arena_new(decision->arena, decision->slot_count * sizeof *decision->by_id);
    decision->by_parent =
        dk_arena_new(decision->arena, decision->slot_count * sizeof *decision->by_parent);
    decision->by_name =
        dk_arena_new(decision->arena, decision->slot_count * sizeof *decision->by_name);
    return !decision->arena->failed || srv_decision_out_of_memory(decision);
}

/* The slot of an id. A sender chooses ids, so the process mixes in a secret of its own, and every
 * bit of an id reaches the slot: nobody outside can fill one slot. */
static size_t slot_of(const struct decision *decision, const struct id *id)
{
    const uint64_t *seeds = decision->decide->seeds;
    uint64_t halves[2];
    memcpy(halves, id->bytes, sizeof halves);
    uint64_t hash = dk_sum_mix(seeds[0], halves[0]);
    return (size_t)dk_sum_mix(hash ^ seeds[1], halves[1]) & (decision->slot_count - 1);
}

/* See the header. */
struct work *srv_work_find(const struct decision *decision, const struct entity *entity,
                           const struct id *id)
{
    struct work *work = decision->by_id[slot_of(decision, id)];
    while (work != NULL &&
           (work->row.record.entity != entity || dk_id_compare(&work->row.record.id, id) != 0)) {
        work = work->same_slot;
    }
    return work;
}

/* Enters a work whose row has entity and id. */
static bool enter(struct decision *decision, struct work *work)
{
    if (decision->work_count == DECIDE_WORKS_MAX) {
        return srv_decision_reject(decision, REJECT_LIMIT, work->row.record.entity, NULL, NULL,
                                   "records");
    }
    size_t slot = slot_of(decision, &work->row.record.id);
    work->same_slot = decision->by_id[slot];
    decision->by_id[slot] = work;
    *decision->works_end = work;
    decision->works_end = &work->next;
    decision->work_count++;
    return true;
}

/* See the header. */
const struct id *srv_work_parent(const struct work *work)
{
    int field = work->row.record.entity->parent_field;
    if (field < 0 || work->row.record.values[field].kind != VALUE_ID) {
        return NULL;
    }
    return &work->row.record.values[field].id;
}

/* See the header. */
void srv_work_link_parent(struct decision *decision, struct work *work)
{
    const struct id *parent = srv_work_parent(work);
    if (parent != NULL) {
        size_t slot = slot_of(decision, parent);
        work->same_parent_slot = decision->by_parent[slot];
        decision->by_parent[slot] = work;
    }
}

/* See the header. */
void srv_work_move(struct decision *decision, struct work *work, const struct id *parent)
{
    struct value *value = &work->row.record.values[work->row.record.entity->parent_field];
    struct work **at = &decision->by_parent[slot_of(decision, &value->id)];
    assert(value->kind == VALUE_ID);
    while (*at != work) {
        at = &(*at)->same_parent_slot;
    }
    *at = work->same_parent_slot;
    value->id = *parent;
    srv_work_link_parent(decision, work);
}

/* See the header. */
struct work *srv_work_children(const struct decision *decision, const struct id *parent)
{
    return decision->by_parent[slot_of(decision, parent)];
}

/* ---- works by what they name */

/* See the header. */
bool srv_work_name(struct decision *decision, struct work *work, const struct id *id)
{
    struct named *named = dk_arena_new(decision->arena, sizeof *named);
    if (named == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    struct named **slot = &decision->by_name[slot_of(decision, id)];
    *named = (struct named){*id, work, *slot};
    *slot = named;
    return true;
}

/* See the header. */
bool srv_work_name_fields(struct decision *decision, struct work *work, uint64_t mask)
{
    static const struct {
        int entity, field;
    } names[] = {{ENTITY_HOLD, HOLD_RECORD},
                 {ENTITY_QUOTE, QUOTE_OPPORTUNITY_ID},
                 {ENTITY_QUOTE, QUOTE_REVISION_OF},
                 {ENTITY_SALES_ORDER, SALES_ORDER_QUOTE_ID},
                 {ENTITY_CUSTOMER, CUSTOMER_REDIRECT_TO},
                 {ENTITY_VISIT, VISIT_REDIRECT_TO}};
    const struct record *record = &work->row.record;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct value *value = &record->values[names[i].field];
        if ((int)record->entity->kind == names[i].entity && (mask >> names[i].field & 1) != 0 &&
            value->kind == VALUE_ID && !srv_work_name(decision, work, &value->id)) {
            return false;
        }
    }
    return true;
}

/* The first of a slot's, from here on, that is under the id. */
static const struct named *seek(const struct named *named, const struct id *id)
{
    while (named != NULL && dk_id_compare(&named->id, id) != 0) {
        named = named->next;
    }
    return named;
}

/* See the header. */
const struct named *srv_works_named(const struct decision *decision, const struct id *id)
{
    return seek(decision->by_name[slot_of(decision, id)], id);
}

/* See the header. */
const struct named *srv_named_next(const struct named *named)
{
    return seek(named->next, &named->id);
}

/* ---- loading */

/* True where the author's instance sent the changeset at this position behind the one that is
 * decided, which has waited. */
static bool is_later(const struct decision *decision, int64_t position)
{
    int low = 0, high = decision->later_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (decision->later[middle].position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < decision->later_count && decision->later[low].position == position;
}

/* What the decision knows of the changeset at this position, if it is one that the author has
 * inherited. */
static const struct inherited *find_inherited(const struct decision *decision, int64_t position)
{
    const struct inherited *inherited = decision->inherited;
    while (inherited != NULL && inherited->position != position) {
        inherited = inherited->next;
    }
    return inherited;
}

/* Asks the store whether the author has inherited what another device wrote at this position. */
static bool inherit(struct decision *decision, int64_t position, uint32_t device_no)
{
    const struct stamp *stranger = &decision->stranger;
    uint32_t former;
    if (find_inherited(decision, position) != NULL ||
        (stranger->position == position && stranger->device_no == device_no)) {
        return true;
    }
    daybook_status status =
        srv_store_find_inherited(decision->store, decision->author->device_no, position, &former);
    if (status != DAYBOOK_OK) {
        return srv_decision_fail(decision, status);
    }
    if (former == 0) {
        decision->stranger = (struct stamp){.position = position, .device_no = device_no};
        return true;
    }
    struct inherited *inherited = dk_arena_new(decision->arena, sizeof *inherited);
    if (inherited == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *inherited = (struct inherited){position, former, decision->inherited};
    decision->inherited = inherited;
    return true;
}

/* Turns one stamp. */
static bool turn(struct decision *decision, int64_t position, uint32_t *device_no)
{
    const uint32_t mine = decision->author->device_no;
    if (is_later(decision, position)) {
        *device_no ^= *device_no == mine ? DECIDE_LATER_SELF : 0;
        return true;
    }
    if (position == 0 || *device_no == 0 || *device_no == mine || decision->author->is_server) {
        return true;
    }
    if (!inherit(decision, position, *device_no)) {
        return false;
    }
    const struct inherited *inherited = find_inherited(decision, position);
    if (inherited != NULL && inherited->former == *device_no) {
        *device_no = mine;
    }
    return true;
}

/* Turns one stamp back. */
static bool turn_back(struct decision *decision, int64_t position, uint32_t *device_no)
{
    const uint32_t mine = decision->author->device_no;
    const struct inherited *inherited = find_inherited(decision, position);
    if (*device_no == (mine | DECIDE_LATER_SELF) && is_later(decision, position)) {
        *device_no = mine;
    } else if (*device_no == mine && inherited != NULL) {
        *device_no = inherited->former;
    }
    return true;
}

/* All stamps of a row. */
static bool turn_all(struct decision *decision, struct srv_record *row,
                     bool (*turn_one)(struct decision *, int64_t position, uint32_t *device_no))
{
    bool fine = turn_one(decision, row->deletion.position, &row->deletion.device_no);
    for (int i = 0; i < row->record.entity->field_count && fine; i++) {
        fine = turn_one(decision, row->stamps[i].position, &row->stamps[i].device_no);
    }
    for (int i = 0; i < row->key_stamp_count && fine; i++) {
        struct stamp *stamp = &row->key_stamps[i].stamp;
        fine = turn_one(decision, stamp->position, &stamp->device_no);
    }
    for (int i = 0; i < row->state_op_count && fine; i++) {
        fine = turn_one(decision, row->state_ops[i].position, &row->state_ops[i].device_no);
    }
    return fine;
}

/* See the header. */
void srv_work_turn_back(struct decision *decision, struct srv_record *row)
{
    if (decision->later_count > 0 || decision->inherited != NULL) {
        (void)turn_all(decision, row, turn_back);
    }
}

/* What is known of a work whose row came from the store. */
static bool enter_found(struct decision *decision, struct work *work)
{
    if (!turn_all(decision, &work->row, turn)) {
        return false;
    }
    work->found = true;
    work->old_bucket = work->row.bucket;
    work->old_version = work->row.deleted ? 0 : work->row.record.version;
    srv_work_link_parent(decision, work);
    return srv_work_name_fields(decision, work, UINT64_MAX) && enter(decision, work);
}

/* The work of a record, read from the store where it may be there and is not concerned yet. */
static struct work *load(struct decision *decision, const struct entity *entity,
                         const struct id *id, bool absent)
{
    struct work *work = srv_work_find(decision, entity, id);
    bool found = false;
    if (work != NULL) {
        return work;
    }
    work = dk_arena_new(decision->arena, sizeof *work);
    if (work == NULL) {
        (void)srv_decision_out_of_memory(decision);
        return NULL;
    }
    daybook_status status = absent ? DAYBOOK_OK
                                   : srv_store_get(decision->store, decision->org->org, entity, id,
                                                   decision->arena, &work->row, &found);
    if (status != DAYBOOK_OK) {
        (void)srv_decision_fail(decision, status);
        return NULL;
    }
    if (!found) {
        memset(&work->row, 0, sizeof work->row);
        work->row.record.entity = entity;
        work->row.record.id = *id;
    }
    bool entered = found ? enter_found(decision, work) : enter(decision, work);
    return entered ? work : NULL;
}

/* See the header. */
struct work *srv_work_load(struct decision *decision, const struct entity *entity,
                           const struct id *id)
{
    return load(decision, entity, id, false);
}

/* See the header. */
struct work *srv_work_make(struct decision *decision, const struct entity *entity,
                           const struct id *id)
{
    return load(decision, entity, id, true);
}

/* See the header. */
struct work *srv_work_adopt(struct decision *decision, const struct srv_record *row)
{
    struct work *work = srv_work_find(decision, row->record.entity, &row->record.id);
    if (work != NULL) {
        return work;
    }
    work = dk_arena_new(decision->arena, sizeof *work);
    if (work == NULL) {
        (void)srv_decision_out_of_memory(decision);
        return NULL;
    }
    work->row = *row;
    return enter_found(decision, work) ? work : NULL;
}

/* See the header. */
bool srv_work_is_live(const struct work *work)
{
    return srv_work_exists(work) && !work->row.deleted;
}

/* See the header. */
int64_t srv_work_seen(const struct decision *decision, const struct change *change)
{
    return change->seen < decision->seen_max ? change->seen : decision->seen_max;
}

/* ---- what the domain rules see */

/* One record as it will be, or as it is stored; a tombstone is not there. */
static daybook_status reader_get(void *context, int entity, const struct id *id,
                                 struct arena *arena, struct record *record, bool *found)
{
    struct decision *decision = context;
    struct srv_record row;
    const struct work *work = srv_work_find(decision, dk_entity(entity), id);
    if (work != NULL) {
        *found = srv_work_is_live(work);
        *record = work->row.record;
        return DAYBOOK_OK;
    }
    daybook_status status = srv_store_get(decision->store, decision->org->org, dk_entity(entity),
                                          id, arena, &row, found);
    *found = status == DAYBOOK_OK && *found && !row.deleted;
    if (*found) {
        *record = row.record;
    }
    return status;
}

/* True where a work, which may be another parent's in the same slot, is a live child of this
 * entity. */
static bool is_child(const struct work *work, const struct entity *entity, const struct id *parent)
{
    return work->row.record.entity == entity && srv_work_is_live(work) &&
           dk_id_compare(srv_work_parent(work), parent) == 0;
}

/* Two pointers to records by id. */
static int compare_ids(const void *a, const void *b)
{
    return dk_id_compare(&(*(struct record *const *)a)->id, &(*(struct record *const *)b)->id);
}

/* Stored children that are no works, and live works, as pointers ordered by id. */
static int collect_children(struct decision *decision, const struct entity *entity,
                            const struct id *parent, struct srv_record *rows, int row_count,
                            struct record **list)
{
    int count = 0;
    for (int i = 0; i < row_count; i++) {
        if (srv_work_find(decision, entity, &rows[i].record.id) == NULL) {
            list[count++] = &rows[i].record;
        }
    }
    for (struct work *work = srv_work_children(decision, parent); work != NULL;
         work = work->same_parent_slot) {
        if (is_child(work, entity, parent)) {
            list[count++] = &work->row.record;
        }
    }
    qsort(list, (size_t)count, sizeof *list, compare_ids);
    return count;
}

/* A parent's rows as they will be, ordered by id. */
static daybook_status reader_children(void *context, int entity, const struct id *parent,
                                      struct arena *arena, struct record **records, int *count)
{
    struct decision *decision = context;
    struct srv_record *rows;
    int row_count, work_count = 0;
    daybook_status status = srv_store_children(decision->store, decision->org->org,
                                               dk_entity(entity), parent, arena, &rows, &row_count);
    if (status != DAYBOOK_OK) {
        return status;
    }
    for (const struct work *work = srv_work_children(decision, parent); work != NULL;
         work = work->same_parent_slot) {
        work_count += is_child(work, dk_entity(entity), parent);
    }
    size_t room = (size_t)row_count + (size_t)work_count + 1;
    struct record **list = dk_arena_new(arena, room * sizeof *list);
    *count = list == NULL
                 ? 0
                 : collect_children(decision, dk_entity(entity), parent, rows, row_count, list);
    *records = dk_arena_new(arena, ((size_t)*count + 1) * sizeof **records);
    if (*records == NULL || list == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < *count; i++) {
        (*records)[i] = *list[i];
    }
    return DAYBOOK_OK;
}

/* See the header. */
struct sales_reader srv_work_reader(struct decision *decision)
{
    return (struct sales_reader){
        .context = decision, .get = reader_get, .children = reader_children};
}
