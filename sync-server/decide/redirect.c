/* SPDX-License-Identifier: Apache-2.0
 *
 * Customers that were found to be one: redirect_to of the one names the other. What names the first
 * is about the other from then on, and what changes it changes the other. Part of the second and
 * third step of the decision. Invariants: 1. The values of both merge by their stamps, field by
 * field, so that it does not matter whether a change comes before or after the two become one. 2.
 * What loses is noted. 3. A reference that follows a redirect is the same reference as before: it
 * takes no new stamp.
 */
#include "sync-server/decide/work.h"

#include <string.h>

static const char custom_prefix[] = "custom."; /* of the names of the app's own keys */

#define REDIRECTS_MAX 8 /* steps from one customer to the next */

/* See the header. */
struct work *srv_redirect_target(struct decision *decision, struct work *work)
{
    bool redirects = work->row.record.entity->kind == ENTITY_CUSTOMER;
    for (int steps = 0; redirects && steps < REDIRECTS_MAX && work->found; steps++) {
        const struct value *next = &work->row.record.values[CUSTOMER_REDIRECT_TO];
        if (next->kind != VALUE_ID) {
            break;
        }
        work = srv_work_load(decision, work->row.record.entity, &next->id);
        if (work == NULL) {
            return NULL;
        }
    }
    return work;
}

/* Whoever may change or name the one customer, or might then, may do so to the one that it has
 * become, though they never saw that. */
static bool lead_on(struct decision *decision, struct work *named, struct work *target)
{
    bool saw = srv_decide_sees(decision, named->row.bucket);
    if (srv_decide_sees(decision, target->row.bucket)) {
        return true;
    }
    if (!saw && !srv_decide_saw(decision, named, &saw)) {
        return false;
    }
    if (saw && !target->past) {
        target->past = true;
        target->past_as = named;
    }
    return true;
}

/* Whether a field names customers, and follows their redirects. */
static bool follows(const struct entity *entity, int field)
{
    return field >= 0 && entity->fields[field].target == ENTITY_CUSTOMER &&
           !(entity->kind == ENTITY_CUSTOMER && field == CUSTOMER_REDIRECT_TO);
}

/* See the header. The first such one is named. */
void srv_redirect_tell(struct decision *decision, const struct work *from)
{
    struct verdict *verdict = decision->verdict;
    if (!verdict->remapped && verdict->moved_ms == 0) {
        srv_verdict_name(verdict, from->row.record.entity, &from->row.record.id);
    }
    verdict->remapped = true;
}

/* A copy that can be changed: the input may be decided once more, after a rollback. */
static struct change *copy_change(struct decision *decision, const struct change *change)
{
    struct change *copy = dk_arena_new(decision->arena, sizeof *copy);
    size_t size = (size_t)change->value_count * sizeof *change->values;
    if (copy != NULL) {
        *copy = *change;
        copy->values = dk_arena_new(decision->arena, size + 1);
    }
    if (copy == NULL || copy->values == NULL) {
        (void)srv_decision_out_of_memory(decision);
        return NULL;
    }
    if (size > 0) {
        memcpy(copy->values, change->values, size);
    }
    return copy;
}

/* See the header. */
bool srv_redirect_references(struct decision *decision, const struct change **change)
{
    struct change *copy = NULL;
    for (int i = 0; i < (*change)->value_count; i++) {
        const struct field_value *value = &(*change)->values[i];
        if (!follows((*change)->entity, value->field) || value->value.kind != VALUE_ID) {
            continue;
        }
        struct work *named = srv_work_load(decision, dk_entity(ENTITY_CUSTOMER), &value->value.id);
        struct work *target = named == NULL ? NULL : srv_redirect_target(decision, named);
        if (target == NULL) {
            return false;
        }
        if (target == named) {
            continue;
        }
        copy = copy != NULL ? copy : copy_change(decision, *change);
        if (copy == NULL || !lead_on(decision, named, target)) {
            return false;
        }
        copy->values[i].value.id = target->row.record.id;
        copy->added |= (uint64_t)1 << value->field; /* the author learns it behind the marker */
        srv_redirect_tell(decision, named);
    }
    *change = copy != NULL ? copy : *change;
    return true;
}

/* A change of a record beside the one that its work has. */
struct work_change {
    struct work *work;
    const struct work *from; /* the customer that its author had before the eyes */
    const struct change *change;
    struct work_change *next;
};

/* Keeps a change for srv_redirect_merge. */
static bool add_late(struct decision *decision, struct work *work, const struct work *from,
                     const struct change *change)
{
    struct work_change *late = dk_arena_new(decision->arena, sizeof *late);
    if (late == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *late = (struct work_change){work, from, change, decision->late};
    decision->late = late;
    return true;
}

/* See the header. Nothing of the other customer was before the author's eyes but what has come to
 * it from this one, so its own values are compared by their stamps. The author gets both whole. */
bool srv_redirect_change(struct decision *decision, struct work *work)
{
    if (work->row.record.entity->kind != ENTITY_CUSTOMER || work->change->op != BLOCK_SET ||
        decision->author->is_server) {
        return true;
    }
    struct work *target = srv_redirect_target(decision, work);
    if (target == NULL || target == work) {
        return target != NULL;
    }
    struct change *copy = copy_change(decision, work->change);
    if (copy == NULL) {
        return false;
    }
    copy->id = target->row.record.id;
    copy->seen = 0;
    if (!lead_on(decision, work, target)) {
        return false;
    }
    work->remapped = true;
    work->own_whole = true;
    work->effect = EFFECT_SET;
    target->own_whole = true;
    target->effect = EFFECT_SET;
    srv_redirect_tell(decision, work);
    return add_late(decision, target, work, copy);
}

/* See the header. */
void srv_redirect_seen(const struct decision *decision, const struct stamp *base,
                       const struct stamp *stored, hlc *time, int64_t *seen)
{
    uint32_t mine = decision->author->device_no;
    if (!dk_merge_known(base, mine, srv_work_seen(decision, decision->from->change))) {
        return;
    }
    *time = srv_merge_stamp(decision, base, true).time;
    if (base->time == stored->time && base->device_no == stored->device_no) {
        *seen = stored->position;
    }
}

/* See the header. */
bool srv_redirect_late(struct decision *decision)
{
    for (struct work_change *late = decision->late; late != NULL; late = late->next) {
        const struct change *own = late->work->change;
        late->work->change = late->change;
        decision->from = late->from;
        bool merged = (!late->work->row.deleted || srv_decide_revive(decision, late->work)) &&
                      srv_merge_set(decision, late->work);
        late->work->change = own != NULL ? own : late->change;
        decision->from = NULL;
        if (!merged) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_redirect_renames(struct decision *decision, struct work *work, int field,
                          const struct value *sent, bool *renames)
{
    const struct value *stored = &work->row.record.values[field];
    *renames = false;
    if (!follows(work->row.record.entity, field) || stored->kind != VALUE_ID ||
        sent->kind != VALUE_ID || dk_value_equal(stored, sent)) {
        return true;
    }
    struct work *named = srv_work_load(decision, dk_entity(ENTITY_CUSTOMER), &stored->id);
    struct work *target = named == NULL ? NULL : srv_redirect_target(decision, named);
    if (target == NULL) {
        return false;
    }
    *renames = dk_id_compare(&target->row.record.id, &sent->id) == 0;
    if (*renames) {
        work->row.record.values[field] = *sent;
        work->changed |= (uint64_t)1 << field;
    }
    return true;
}

/* ---- two customers become one */

/* Notes a value of the customer that goes, or of the one that stays, which lost. */
static bool note_lost(struct decision *decision, const struct work *into, int field,
                      const struct value *kept, const struct stamp *kept_stamp,
                      const struct value *lost, const struct stamp *lost_stamp)
{
    const struct field *info = &into->row.record.entity->fields[field];
    struct value kept_text, lost_text;
    return srv_value_text(decision, info, kept, &kept_text) &&
           srv_value_text(decision, info, lost, &lost_text) &&
           srv_decide_note(decision, into, info->name, strlen(info->name), &kept_text,
                           kept_stamp->device_no, &lost_text, lost_stamp->device_no);
}

/* The latest stamp of a group's fields. */
static struct stamp latest_of(const struct srv_record *row, uint64_t mask)
{
    struct stamp latest = {0, 0, 0};
    for (int field = 0; field < row->record.entity->field_count; field++) {
        const struct stamp *stamp = &row->stamps[field];
        if ((mask >> field & 1) != 0 &&
            dk_stamp_compare(stamp->time, stamp->device_no, latest.time, latest.device_no) > 0) {
            latest = *stamp;
        }
    }
    return latest;
}

/* One field or group: the later side stands. Its stamp stays, at this position. */
static bool join_unit(struct decision *decision, const struct work *from, struct work *into,
                      uint64_t mask)
{
    struct stamp theirs = latest_of(&from->row, mask), mine = latest_of(&into->row, mask);
    bool wins = dk_stamp_compare(theirs.time, theirs.device_no, mine.time, mine.device_no) > 0;
    for (int field = 0; field < into->row.record.entity->field_count; field++) {
        struct value *value = &into->row.record.values[field];
        const struct value *other = &from->row.record.values[field];
        if ((mask >> field & 1) == 0) {
            continue;
        }
        const struct value *lost = wins ? value : other;
        bool differs = !dk_value_equal(value, other);
        if (differs && lost->kind != VALUE_NULL &&
            !note_lost(decision, into, field, wins ? other : value, wins ? &theirs : &mine, lost,
                       wins ? &mine : &theirs)) {
            return false;
        }
        if (wins) {
            into->row.stamps[field] =
                (struct stamp){decision->position, theirs.time, theirs.device_no};
        }
        if (wins && differs) {
            *value = *other;
            into->changed |= (uint64_t)1 << field;
        }
    }
    return true;
}

/* One set into another. */
struct set_join {
    struct decision *decision;
    const struct work *from;
    struct work *into;
    int field;
};

/* An element that the customer who stays does not have comes with the stamps that it had. */
static bool join_element(void *context, const struct element *element, bool there, bool add,
                         bool *applies)
{
    const struct set_join *join = context;
    const struct srv_record *from = &join->from->row;
    const char *name = from->record.entity->fields[join->field].name;
    char key[LIMIT_LABEL_BYTES + LIMIT_SET_ELEMENT_BYTES + 1];
    struct stamp stamps[MERGE_ADDITIONS_MAX] = {from->stamps[join->field]};
    size_t length = srv_element_key(key, name, element);
    int count = 0;
    *applies = add && !there;
    if (there) {
        return true;
    }
    for (int i = 0; i < from->key_stamp_count && count < MERGE_ADDITIONS_MAX; i++) {
        if (srv_key_stamp_is(&from->key_stamps[i], key, length)) {
            stamps[count++] = from->key_stamps[i].stamp;
        }
    }
    count = count > 0 ? count : 1;
    for (int i = 0; i < count; i++) {
        stamps[i].position = join->decision->position;
    }
    return srv_key_stamps_put(join->decision, &join->into->row, key, length, stamps, count);
}

/* The union of two sets. */
static bool join_set(struct decision *decision, const struct work *from, struct work *into,
                     int field)
{
    const struct value *other = &from->row.record.values[field];
    struct value *value = &into->row.record.values[field], joined, change;
    if (other->kind != VALUE_TEXT) {
        return true;
    }
    struct buffer *text = &decision->decide->text;
    dk_buffer_reset(text);
    dk_buffer_append_text(text, "{\"add\":");
    dk_buffer_append(text, other->text, other->length);
    dk_buffer_append_char(text, '}');
    change = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)text->length};
    change.text = dk_arena_copy(decision->arena, text->bytes, text->length);
    if (text->status != DAYBOOK_OK || change.text == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    struct set_join join = {decision, from, into, field};
    if (!dk_set_merge(value, &change, join_element, &join, decision->arena, &joined)) {
        const struct record *record = &into->row.record;
        return decision->status != DAYBOOK_OK ? false
               : decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         record->entity->fields[field].name, "elements");
    }
    into->changed |= dk_value_equal(value, &joined) ? 0 : (uint64_t)1 << field;
    *value = joined;
    return true;
}

/* One key of the app's own, there or removed: the later side stands, and against a key that has no
 * stamp any more one that is there. What changes is added to *changes. */
static bool join_key(struct decision *decision, const struct work *from, struct work *into,
                     const char *name, size_t length, struct value *changes)
{
    static const struct value removed = {.kind = VALUE_TEXT, .length = 4, .text = "null"};
    const char *key = name + sizeof custom_prefix - 1;
    size_t key_length = length - (sizeof custom_prefix - 1);
    struct value other = srv_extra_get(&from->row.record.values[FIELD_CUSTOM], key, key_length);
    struct value value = srv_extra_get(&into->row.record.values[FIELD_CUSTOM], key, key_length);
    struct stamp theirs = srv_key_stamp_get(&from->row, name, length);
    struct stamp mine = srv_key_stamp_get(&into->row, name, length);
    int order = dk_stamp_compare(theirs.time, theirs.device_no, mine.time, mine.device_no);
    bool wins = order > 0 || (order == 0 && value.kind == VALUE_NULL);
    const struct value *lost = wins ? &value : &other;
    bool differs = !dk_value_equal(&value, &other);
    if (differs && lost->kind != VALUE_NULL &&
        !srv_decide_note(decision, into, name, length, wins ? &other : &value,
                         wins ? theirs.device_no : mine.device_no, lost,
                         wins ? mine.device_no : theirs.device_no)) {
        return false;
    }
    theirs.position = decision->position;
    if (wins && !srv_key_stamp_put(decision, &into->row, name, length, &theirs)) {
        return false;
    }
    const struct value *put = other.kind == VALUE_NULL ? &removed : &other;
    return !wins || !differs || srv_extra_put(changes, key, key_length, put, decision->arena) ||
           srv_decision_out_of_memory(decision);
}

/* Decides each key that the customer that goes has, or had. */
static bool join_keys(struct decision *decision, const struct work *from, struct work *into,
                      struct value *changes)
{
    const struct value *other = &from->row.record.values[FIELD_CUSTOM];
    const size_t head = sizeof custom_prefix - 1;
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(other, &cursor, &key, &key_length, &raw, &raw_length)) {
        char name[sizeof custom_prefix + LIMIT_CUSTOM_KEY_BYTES];
        if (key_length > LIMIT_CUSTOM_KEY_BYTES) {
            continue;
        }
        memcpy(name, custom_prefix, head);
        memcpy(name + head, key, key_length);
        if (!join_key(decision, from, into, name, head + key_length, changes)) {
            return false;
        }
    }
    for (int i = 0; i < from->row.key_stamp_count; i++) {
        const struct srv_key_stamp *stamp = &from->row.key_stamps[i];
        bool removed =
            stamp->key_length > head && memcmp(stamp->key, custom_prefix, head) == 0 &&
            srv_extra_get(other, stamp->key + head, stamp->key_length - head).kind == VALUE_NULL;
        if (removed && !join_key(decision, from, into, stamp->key, stamp->key_length, changes)) {
            return false;
        }
    }
    return true;
}

/* The app's own keys, one by one. The log gets those that changed: a key that went is not in the
 * map any more. */
static bool join_custom(struct decision *decision, const struct work *from, struct work *into)
{
    struct value *value = &into->row.record.values[FIELD_CUSTOM];
    struct value changes = {.kind = VALUE_NULL};
    struct work_map *map = into->map;
    if (!join_keys(decision, from, into, &changes)) {
        return false;
    }
    if (changes.kind == VALUE_NULL) {
        return true;
    }
    if (!dk_map_apply(value, &changes, decision->arena, value)) {
        const struct record *record = &into->row.record;
        return decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         record->entity->fields[FIELD_CUSTOM].name, "keys");
    }
    while (map != NULL && map->field != FIELD_CUSTOM) {
        map = map->next;
    }
    if (map == NULL) {
        map = dk_arena_new(decision->arena, sizeof *map);
        if (map == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        *map = (struct work_map){.field = FIELD_CUSTOM, .next = into->map};
        into->map = map;
    }
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(&changes, &cursor, &key, &key_length, &raw, &raw_length)) {
        struct value put = {.kind = VALUE_TEXT, .length = (uint32_t)raw_length, .text = raw};
        if (!srv_extra_put(&map->changed, key, key_length, &put, decision->arena)) {
            return srv_decision_out_of_memory(decision);
        }
    }
    into->changed |= (uint64_t)1 << FIELD_CUSTOM;
    return true;
}

/* A field that neither stamps nor elements decide: what is missing is taken over. */
static void join_missing(const struct decision *decision, const struct work *from,
                         struct work *into, int field)
{
    struct value *value = &into->row.record.values[field];
    const struct value *other = &from->row.record.values[field];
    if (value->kind == VALUE_NULL && other->kind != VALUE_NULL) {
        *value = *other;
        into->row.stamps[field] = from->row.stamps[field];
        into->row.stamps[field].position = decision->position;
        into->changed |= (uint64_t)1 << field;
    }
}

/* All fields of one customer into another. */
static bool join(struct decision *decision, const struct work *from, struct work *into)
{
    const struct entity *entity = into->row.record.entity;
    uint64_t done = 0;
    bool fine = join_custom(decision, from, into);
    for (int field = FIELD_COMMON_COUNT; field < entity->field_count && fine; field++) {
        uint64_t mask = dk_field_group_mask(entity, field);
        if ((done >> field & 1) != 0) {
            continue;
        }
        done |= mask;
        switch (entity->fields[field].policy) {
        case POLICY_LATEST: fine = join_unit(decision, from, into, mask); break;
        case POLICY_SET: fine = join_set(decision, from, into, field); break;
        case POLICY_PROPOSE: join_missing(decision, from, into, field); break;
        default: break;
        }
    }
    into->effect = into->effect == EFFECT_NONE ? EFFECT_SET : into->effect;
    return fine;
}

/* Refuses a redirect that leads nowhere, back to where it began, or over too many steps. */
static bool check_redirect(struct decision *decision, struct work *from, struct work **into)
{
    const struct record *record = &from->row.record;
    struct work *next = from;
    for (int steps = 0; steps <= REDIRECTS_MAX; steps++) {
        const struct value *to = &next->row.record.values[CUSTOMER_REDIRECT_TO];
        if (to->kind != VALUE_ID) {
            *into = next;
            return true;
        }
        next = srv_work_load(decision, record->entity, &to->id);
        if (next == NULL) {
            return false;
        }
        if (next == from) {
            break;
        }
        if (!srv_work_is_live(next)) {
            return srv_decide_missing(decision, from, "redirect_to", next);
        }
    }
    return srv_decision_reject(decision, REJECT_RULE, record->entity, &record->id, "redirect_to",
                               "cycle");
}

/* See the header. */
void srv_redirect_along(struct decision *decision, struct work *from, const struct work *into)
{
    static const int fields[] = {CUSTOMER_OWNER_ID, CUSTOMER_TERRITORY_ID};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        int field = fields[i];
        struct value *value = &from->row.record.values[field];
        if (!dk_value_equal(value, &into->row.record.values[field])) {
            *value = into->row.record.values[field];
            from->row.stamps[field] = srv_merge_stamp(decision, &from->row.stamps[field], true);
            from->changed |= (uint64_t)1 << field;
        }
    }
}

/* See the header. */
bool srv_redirect_join(struct decision *decision)
{
    if (!decision->author->is_server) {
        return true;
    }
    for (struct work *work = decision->works; work != NULL; work = work->next) {
        static const uint64_t moving = (uint64_t)1 << CUSTOMER_REDIRECT_TO |
                                       (uint64_t)1 << CUSTOMER_OWNER_ID |
                                       (uint64_t)1 << CUSTOMER_TERRITORY_ID;
        struct work *into = NULL;
        bool redirected = work->row.record.entity->kind == ENTITY_CUSTOMER && work->found &&
                          (work->changed & moving) != 0 &&
                          work->row.record.values[CUSTOMER_REDIRECT_TO].kind == VALUE_ID;
        bool now = (work->changed >> CUSTOMER_REDIRECT_TO & 1) != 0;
        if (!redirected) {
            continue;
        }
        if (!check_redirect(decision, work, &into) || (now && !join(decision, work, into))) {
            return false;
        }
        srv_redirect_along(decision, work, into);
    }
    return true;
}
