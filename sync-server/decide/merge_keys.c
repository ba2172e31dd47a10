/* SPDX-License-Identifier: Apache-2.0
 *
 * What merges key by key: maps (`custom`) and the fields of newer schemas; and the stamps of keys
 * and elements. Called by merge.c and merge_set.c. Invariant: each key has a stamp of its own, also
 * after it was taken away, so that a concurrent removal is seen.
 */
#include "sync-server/decide/redirect.h"
#include "sync-server/decide/work.h"

#include <string.h>

#define NEWER_NAME_BYTES_MAX 90 /* of a field that this schema does not know */

/* See the header. */
bool srv_key_stamp_is(const struct srv_key_stamp *stamp, const char *key, size_t length)
{
    return stamp->key_length == length && memcmp(stamp->key, key, length) == 0;
}

/* See the header. */
struct stamp srv_key_stamp_get(const struct srv_record *row, const char *key, size_t length)
{
    for (int i = 0; i < row->key_stamp_count; i++) {
        if (srv_key_stamp_is(&row->key_stamps[i], key, length)) {
            return row->key_stamps[i].stamp;
        }
    }
    return (struct stamp){0, 0, 0};
}

/* The key stamp that was written longest ago: the one to give up when there are too many. */
static int oldest_key_stamp(const struct srv_record *row)
{
    int oldest = 0;
    for (int i = 1; i < row->key_stamp_count; i++) {
        if (row->key_stamps[i].stamp.position < row->key_stamps[oldest].stamp.position) {
            oldest = i;
        }
    }
    return oldest;
}

/* Room for one more key stamp; the array moves to a larger one. NULL: arena. */
static struct srv_key_stamp *new_key_stamp(struct decision *decision, struct srv_record *row)
{
    if (row->key_stamp_count >= DECIDE_KEY_STAMPS_MAX) {
        return &row->key_stamps[oldest_key_stamp(row)];
    }
    size_t count = (size_t)row->key_stamp_count;
    struct srv_key_stamp *stamps = dk_arena_new(decision->arena, (count + 1) * sizeof *stamps);
    if (stamps == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(stamps, row->key_stamps, count * sizeof *stamps);
    }
    row->key_stamps = stamps;
    row->key_stamp_count++;
    return &stamps[count];
}

/* See the header. The key's own places are taken first, then new ones; those left over go. */
bool srv_key_stamps_put(struct decision *decision, struct srv_record *row, const char *key,
                        size_t length, const struct stamp *stamps, int count)
{
    const char *copy = NULL;
    int put = 0;
    for (int i = 0; i < row->key_stamp_count; i++) {
        struct srv_key_stamp *slot = &row->key_stamps[i];
        if (!srv_key_stamp_is(slot, key, length)) {
            continue;
        }
        copy = slot->key;
        if (put < count) {
            slot->stamp = stamps[put++];
        } else {
            *slot = row->key_stamps[--row->key_stamp_count];
            i--;
        }
    }
    while (put < count) {
        struct srv_key_stamp *slot = new_key_stamp(decision, row);
        copy = copy != NULL || slot == NULL ? copy : dk_arena_copy(decision->arena, key, length);
        if (slot == NULL || copy == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        *slot = (struct srv_key_stamp){copy, (uint32_t)length, stamps[put++]};
    }
    return true;
}

/* See the header. */
bool srv_key_stamp_put(struct decision *decision, struct srv_record *row, const char *key,
                       size_t length, const struct stamp *stamp)
{
    return srv_key_stamps_put(decision, row, key, length, stamp, 1);
}

/* Takes a trace in where it is later than what is there: the latest of all, and the latest of
 * another device than that one. */
static void take_trace(struct stamp latest[2], const struct stamp *trace)
{
    if (latest[0].position == 0 || trace->device_no == latest[0].device_no) {
        latest[0] = trace->position > latest[0].position ? *trace : latest[0];
    } else if (trace->position > latest[0].position) {
        latest[1] = latest[0];
        latest[0] = *trace;
    } else if (trace->position > latest[1].position) {
        latest[1] = *trace;
    }
}

/* See the header. They are kept under the empty key, two of them, so that the latest of somebody
 * else is known whoever asks. */
bool srv_merge_trace(struct decision *decision, struct work *work, const struct stamp *stamp)
{
    struct stamp latest[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int i = 0; i < work->row.key_stamp_count; i++) {
        const struct srv_key_stamp *slot = &work->row.key_stamps[i];
        if (srv_key_stamp_is(slot, "", 0)) {
            take_trace(latest, &slot->stamp);
        }
    }
    take_trace(latest, stamp);
    int count = latest[1].position > 0 ? 2 : 1;
    return latest[0].position == 0 ||
           srv_key_stamps_put(decision, &work->row, "", 0, latest, count);
}

/* See the header. */
size_t srv_key_join(char out[KEY_BYTES_MAX], const char *map, const char *key, size_t length)
{
    size_t head = strlen(map);
    if (head + 1 + length > KEY_BYTES_MAX) {
        return 0;
    }
    memcpy(out, map, head);
    out[head] = '.';
    memcpy(out + head + 1, key, length);
    return head + 1 + length;
}

/* Decides one key under LATEST: *applies, *loses. Stored and incoming are raw JSON or VALUE_NULL;
 * sets the key's stamp and notes the loser. */
static bool merge_key(struct decision *decision, struct work *work, const char *name,
                      size_t name_length, const struct value *stored, const struct value *incoming,
                      bool *applies, bool *loses)
{
    struct merge_side there = {.stamp = srv_key_stamp_get(&work->row, name, name_length),
                               .values = stored};
    struct merge_side here = {
        .stamp = {decision->position, decision->time, decision->author->device_no},
        .values = incoming};
    int64_t seen = srv_work_seen(decision, work->change);
    if (decision->from != NULL) {
        struct stamp base = srv_key_stamp_get(&decision->from->row, name, name_length);
        srv_redirect_seen(decision, &base, &there.stamp, &here.stamp.time, &seen);
    }
    enum merge_result result = dk_merge(POLICY_LATEST, &there, &here, 1, seen);
    result = srv_redirect_result(decision, &there.stamp, result);
    bool known = dk_merge_known(&there.stamp, here.stamp.device_no, seen);
    struct stamp stamp = srv_merge_stamp_at(decision, here.stamp.time, &there.stamp, known);
    *applies = result == MERGE_APPLY || result == MERGE_WINS;
    *loses = result == MERGE_LOSES;
    bool later =
        dk_stamp_compare(stamp.time, stamp.device_no, there.stamp.time, there.stamp.device_no) > 0;
    bool stands = *applies || (result == MERGE_SAME && later);
    if ((stands && !srv_key_stamp_put(decision, &work->row, name, name_length, &stamp)) ||
        (!known && !srv_merge_trace(decision, work, stands ? &there.stamp : &stamp))) {
        return false;
    }
    if (result != MERGE_WINS && result != MERGE_LOSES) {
        return true;
    }
    decision->merged = true;
    const struct merge_side *winner = *applies ? &here : &there;
    const struct merge_side *loser = *applies ? &there : &here;
    return srv_decide_note(decision, work, name, name_length, winner->values,
                           winner->stamp.device_no, loser->values, loser->stamp.device_no);
}

/* Stamps those keys of `map` that are other in `than`, or not there. */
static bool stamp_other_keys(struct decision *decision, struct work *work, int field,
                             const struct value *map, const struct value *than)
{
    const char *head = work->row.record.entity->fields[field].name;
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(map, &cursor, &key, &key_length, &raw, &raw_length)) {
        char name[KEY_BYTES_MAX];
        struct value here = {.kind = VALUE_TEXT, .length = (uint32_t)raw_length, .text = raw};
        struct value there = srv_extra_get(than, key, key_length);
        size_t length = srv_key_join(name, head, key, key_length);
        struct stamp stored = srv_key_stamp_get(&work->row, name, length);
        struct stamp stamp = srv_merge_stamp(decision, &stored, true);
        if (length > 0 && !dk_value_equal(&here, &there) &&
            !srv_key_stamp_put(decision, &work->row, name, length, &stamp)) {
            return false;
        }
    }
    return true;
}

/* See the header. */
bool srv_stamp_keys(struct decision *decision, struct work *work, int field,
                    const struct value *wanted)
{
    const struct value *stored = &work->row.record.values[field];
    return stamp_other_keys(decision, work, field, stored, wanted) &&
           stamp_other_keys(decision, work, field, wanted, stored);
}

/* Two objects being built from the keys of one change. */
struct key_lists {
    struct buffer applied; /* {key: incoming} */
    struct buffer lost;    /* {key: stored} */
};

/* Appends "key":raw to an object that is being built; null for VALUE_NULL. */
static void append_key(struct buffer *object, const char *key, size_t key_length,
                       const struct value *raw)
{
    dk_buffer_append_text(object, object->length == 0 ? "{\"" : ",\"");
    dk_buffer_append(object, key, key_length);
    dk_buffer_append_text(object, "\":");
    if (raw->kind == VALUE_NULL) {
        dk_buffer_append_text(object, "null");
    } else {
        dk_buffer_append(object, raw->text, raw->length);
    }
}

/* Closes an object and takes it into the arena; VALUE_NULL where it has no keys. */
static bool finish_keys(struct decision *decision, struct buffer *object, struct value *value)
{
    *value = (struct value){.kind = VALUE_NULL};
    if (object->length > 0) {
        dk_buffer_append_char(object, '}');
    }
    if (object->status != DAYBOOK_OK) {
        return srv_decision_fail(decision, object->status);
    }
    if (object->length == 0) {
        return true;
    }
    *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)object->length};
    value->text = dk_arena_copy(decision->arena, object->bytes, object->length);
    return value->text != NULL || srv_decision_out_of_memory(decision);
}

/* Decides each key of a change and sorts it into the lists. */
static bool sort_keys(struct decision *decision, struct work *work, int field,
                      const struct value *change, struct key_lists *lists)
{
    const struct field *definition = &work->row.record.entity->fields[field];
    const struct value *stored = &work->row.record.values[field];
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(change, &cursor, &key, &key_length, &raw, &raw_length)) {
        char name[KEY_BYTES_MAX];
        bool applies, loses;
        bool remove = raw_length == 4 && memcmp(raw, "null", 4) == 0;
        struct value incoming = {
            .kind = remove ? VALUE_NULL : VALUE_TEXT, .length = (uint32_t)raw_length, .text = raw};
        struct value there = srv_extra_get(stored, key, key_length); /* the two have one form */
        size_t length = srv_key_join(name, definition->name, key, key_length);
        if (length == 0) {
            return srv_decision_reject(decision, REJECT_SCHEMA, work->row.record.entity,
                                       &work->row.record.id, definition->name, "key");
        }
        if (!merge_key(decision, work, name, length, &there, &incoming, &applies, &loses)) {
            return false;
        }
        if (applies) {
            append_key(&lists->applied, key, key_length, &incoming);
        }
        if (loses) {
            append_key(&lists->lost, key, key_length, &there);
        }
    }
    return true;
}

/* The map with the keys that apply. */
static bool apply_keys(struct decision *decision, struct work *work, int field,
                       const struct value *changed)
{
    struct record *record = &work->row.record;
    struct value result;
    if (changed->kind == VALUE_NULL) {
        return true;
    }
    if (!dk_map_apply(&record->values[field], changed, decision->arena, &result)) {
        return decision->arena->failed
                   ? srv_decision_out_of_memory(decision)
                   : srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id,
                                         record->entity->fields[field].name, "keys");
    }
    if (!dk_value_equal(&record->values[field], &result)) {
        record->values[field] = result;
        work->changed |= (uint64_t)1 << field;
    }
    work->row.stamps[field] = srv_merge_stamp(decision, &work->row.stamps[field], true);
    return true;
}

/* Puts the keys of one object into another one; VALUE_NULL is one without keys. */
static bool put_keys(struct decision *decision, struct value *into, const struct value *keys)
{
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    if (into->kind == VALUE_NULL) {
        *into = *keys;
        return true;
    }
    while (dk_map_next(keys, &cursor, &key, &key_length, &raw, &raw_length)) {
        struct value put = {.kind = VALUE_TEXT, .length = (uint32_t)raw_length, .text = raw};
        if (!srv_extra_put(into, key, key_length, &put, decision->arena)) {
            return srv_decision_out_of_memory(decision);
        }
    }
    return true;
}

/* See the header. */
bool srv_map_remember(struct decision *decision, struct work *work, int field,
                      const struct value *changed, const struct value *own)
{
    struct work_map *map = work->map;
    while (map != NULL && map->field != field) {
        map = map->next;
    }
    if (map == NULL) {
        map = dk_arena_new(decision->arena, sizeof *map);
        if (map == NULL) {
            return srv_decision_out_of_memory(decision);
        }
        *map = (struct work_map){.field = field, .next = work->map};
        work->map = map;
    }
    if (own->kind != VALUE_NULL) {
        work->own |= (uint64_t)1 << field;
    }
    if (!put_keys(decision, &map->changed, changed) || !put_keys(decision, &map->own, own)) {
        return false;
    }
    if (srv_extra_count(&map->changed) > LIMIT_CUSTOM_KEYS) {
        /* more than one change of a map can name */
        work->effect = work->effect == EFFECT_NEW ? EFFECT_NEW : EFFECT_WHOLE;
        work->own_whole = true;
    }
    return true;
}

/* See the header. */
bool srv_merge_map(struct decision *decision, struct work *work, int field,
                   const struct value *change)
{
    struct key_lists lists;
    struct value changed, own;
    dk_buffer_init(&lists.applied, LIMIT_TEXT_BYTES);
    dk_buffer_init(&lists.lost, LIMIT_TEXT_BYTES);
    bool fine = sort_keys(decision, work, field, change, &lists) &&
                finish_keys(decision, &lists.applied, &changed) &&
                finish_keys(decision, &lists.lost, &own);
    dk_buffer_clear(&lists.applied);
    dk_buffer_clear(&lists.lost);
    return fine && apply_keys(decision, work, field, &changed) &&
           srv_map_remember(decision, work, field, &changed, &own);
}

/* Whether this schema can keep the value: a change of a collection would have to be understood
 * first. */
static bool check_extra(struct decision *decision, const struct work *work,
                        const struct field_value *value)
{
    const struct record *record = &work->row.record;
    for (uint32_t i = 0; i < value->name_length; i++) {
        unsigned char c = (unsigned char)value->name[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            return srv_decision_reject(decision, REJECT_SCHEMA, record->entity, &record->id, NULL,
                                       "name");
        }
    }
    if (value->name_length == 0 || value->name_length > NEWER_NAME_BYTES_MAX) {
        return srv_decision_reject(decision, REJECT_SCHEMA, record->entity, &record->id, NULL,
                                   "name");
    }
    if (work->change->op == BLOCK_SET && value->value.length > 0 && value->value.text[0] == '{') {
        return srv_decision_reject(decision, REJECT_SCHEMA, record->entity, &record->id, NULL,
                                   "newer");
    }
    return true;
}

/* The whole of the record's fields, known and new, must fit into the columns of one block. */
static bool check_extra_size(struct decision *decision, const struct work *work)
{
    const struct record *record = &work->row.record;
    bool fits = record->extra.kind != VALUE_TEXT || record->extra.length <= DECIDE_EXTRA_BYTES_MAX;
    fits = fits && srv_extra_count(&record->extra) + record->entity->field_count <= LIMIT_FIELDS;
    return fits ||
           srv_decision_reject(decision, REJECT_LIMIT, record->entity, &record->id, NULL, "newer");
}

/* See the header. */
bool srv_merge_extra(struct decision *decision, struct work *work, const struct field_value *value)
{
    char name[KEY_BYTES_MAX];
    bool applies, loses;
    struct record *record = &work->row.record;
    if (!check_extra(decision, work, value)) {
        return false;
    }
    bool remove = value->value.length == 4 && memcmp(value->value.text, "null", 4) == 0;
    struct value incoming = remove ? (struct value){.kind = VALUE_NULL} : value->value;
    struct value stored = srv_extra_get(&record->extra, value->name, value->name_length);
    size_t length = srv_key_join(name, SRV_EXTRA, value->name, value->name_length);
    if (!merge_key(decision, work, name, length, &stored, &incoming, &applies, &loses)) {
        return false;
    }
    struct work_extra *extra = dk_arena_new(decision->arena, sizeof *extra);
    if (extra == NULL) {
        return srv_decision_out_of_memory(decision);
    }
    *extra = (struct work_extra){.name = value->name,
                                 .length = value->name_length,
                                 .changed = applies,
                                 .own = loses,
                                 .given = true,
                                 .seen = srv_work_seen(decision, work->change),
                                 .value = incoming,
                                 .next = work->extra};
    work->extra = extra;
    if (applies && !srv_extra_put(&record->extra, value->name, value->name_length, &incoming,
                                  decision->arena)) {
        return srv_decision_out_of_memory(decision);
    }
    return check_extra_size(decision, work);
}
