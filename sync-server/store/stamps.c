/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the stored form of a record's stamps (described in stamps.h). Called by each backend when it
 * writes or reads a record. Invariant: what is read back equals what was written, and bytes that
 * were not written here are refused and never read past.
 */
#include "sync-server/store/stamps.h"

#include "engine/base/memory.h"
#include "sync-server/store/varint.h"

#include <assert.h>
#include <string.h>

#define FORM_VERSION 1
/* Distinct stamps that fit without another allocation: the deletion, the fields, some keys. */
#define DISTINCT_NEAR (LIMIT_FIELDS + 1 + 64)

/* The distinct stamps met so far. */
struct list {
    struct stamp *stamps;
    size_t count;
    size_t last; /* index + 1 that was given last: neighbours mostly have equal stamps */
};

/* All members alike. */
static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->position == b->position && a->time == b->time && a->device_no == b->device_no;
}

/* A stamp of a field that was never written. */
static bool stamp_is_empty(const struct stamp *stamp)
{
    return stamp->position == 0 && stamp->time == 0 && stamp->device_no == 0;
}

/* The index of the stamp: 0 for none, else 1 + its place in the list, where it is put if it is new.
 * The list has room for all. */
static size_t index_of(struct list *list, const struct stamp *stamp)
{
    if (stamp_is_empty(stamp)) {
        return 0;
    }
    if (list->last > 0 && stamp_equal(&list->stamps[list->last - 1], stamp)) {
        return list->last;
    }
    size_t at = 0;
    while (at < list->count && !stamp_equal(&list->stamps[at], stamp)) {
        at++;
    }
    if (at == list->count) {
        list->stamps[list->count++] = *stamp;
    }
    list->last = at + 1;
    return at + 1;
}

/* Appends one varint. */
static void append_number(struct buffer *out, uint64_t number)
{
    uint8_t bytes[VARINT_MAX];
    dk_buffer_append(out, bytes, srv_varint_write(bytes, number));
}

/* Appends version and the list. */
static void append_list(struct buffer *out, const struct list *list)
{
    dk_buffer_append_char(out, FORM_VERSION);
    append_number(out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        append_number(out, (uint64_t)list->stamps[i].position);
        append_number(out, list->stamps[i].time);
        append_number(out, list->stamps[i].device_no);
    }
}

/* Appends the state register. */
static void append_state(struct buffer *out, const struct srv_record *record)
{
    append_number(out, (uint64_t)record->state_op_count);
    for (int i = 0; i < record->state_op_count; i++) {
        const struct state_op *op = &record->state_ops[i];
        append_number(out, (uint64_t)op->position);
        append_number(out, op->device_no);
        append_number(out, op->epoch);
        dk_buffer_append_char(out, (char)op->rank);
        dk_buffer_append_char(out, (char)(op->peak + 1));
    }
}

/* Walks the stamps twice in the same order: first to list them, then to write list and indexes. */
daybook_status srv_stamps_write(struct buffer *out, const struct srv_record *record)
{
    struct stamp near[DISTINCT_NEAR];
    struct list list = {.stamps = near};
    size_t key_count = (size_t)record->key_stamp_count;
    int field_count = record->record.entity->field_count;
    assert(record->key_stamp_count >= 0);
    if (key_count > STAMPS_KEYS_MAX) {
        return DAYBOOK_TOO_LARGE;
    }
    if (1 + (size_t)field_count + key_count > DISTINCT_NEAR) {
        list.stamps = dk_memory_new(1 + (size_t)field_count + key_count, sizeof *list.stamps);
        if (list.stamps == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
    }
    uint8_t indexes[1 + LIMIT_FIELDS + 1]; /* deletion, count of fields, fields */
    indexes[0] = (uint8_t)index_of(&list, &record->deletion);
    int used = 0;
    for (int field = 0; field < field_count; field++) {
        indexes[2 + field] = (uint8_t)index_of(&list, &record->stamps[field]);
        used = indexes[2 + field] != 0 ? field + 1 : used;
    }
    indexes[1] = (uint8_t)used;
    for (size_t i = 0; i < key_count; i++) {
        (void)index_of(&list, &record->key_stamps[i].stamp);
    }

    append_list(out, &list);
    dk_buffer_append(out, indexes, 2 + (size_t)used);
    append_number(out, key_count);
    for (size_t i = 0; i < key_count; i++) {
        const struct srv_key_stamp *key = &record->key_stamps[i];
        append_number(out, key->key_length);
        dk_buffer_append(out, key->key, key->key_length);
        append_number(out, index_of(&list, &key->stamp));
    }
    append_state(out, record);
    if (list.stamps != near) {
        dk_memory_free(list.stamps);
    }
    return out->status;
}
_Static_assert(LIMIT_FIELDS + 1 < 0x80, "an index of a field or a count of fields takes one byte");

/* A reader of the form; `ok` is sticky. */
struct form {
    const uint8_t *bytes;
    size_t length;
    size_t cursor;
    bool ok;
    const struct stamp *stamps;
    size_t stamp_count;
};

/* The next number, at most `max`; 0 and not ok otherwise. */
static uint64_t read_number(struct form *form, uint64_t max)
{
    uint64_t number = 0;
    if (form->ok && srv_varint_read(form->bytes, form->length, &form->cursor, &number) &&
        number <= max) {
        return number;
    }
    form->ok = false;
    return 0;
}

/* The stamp that the next index names; the empty one for index 0. */
static struct stamp read_stamp(struct form *form)
{
    uint64_t index = read_number(form, form->stamp_count);
    return index == 0 ? (struct stamp){0} : form->stamps[index - 1];
}

/* Reads the list of distinct stamps into `near` or, where it is longer, the arena. A count that the
 * remaining bytes cannot hold is damage, so no form makes the reader allocate much. */
static daybook_status read_list(struct form *form, struct stamp near[DISTINCT_NEAR],
                                struct arena *arena)
{
    size_t count = (size_t)read_number(form, (form->length - form->cursor) / 3);
    struct stamp *stamps = near;
    if (count > DISTINCT_NEAR) {
        stamps = dk_arena_new(arena, count * sizeof *stamps);
        if (stamps == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < count; i++) {
        stamps[i].position = (int64_t)read_number(form, INT64_MAX);
        stamps[i].time = read_number(form, UINT64_MAX);
        stamps[i].device_no = (uint32_t)read_number(form, UINT32_MAX);
    }
    form->stamps = stamps;
    form->stamp_count = count;
    return DAYBOOK_OK;
}

/* Reads the keys, copied into the arena. */
static daybook_status read_keys(struct form *form, struct arena *arena, struct srv_record *record)
{
    size_t left = form->length - form->cursor;
    uint64_t most = left / 2 < STAMPS_KEYS_MAX ? left / 2 : STAMPS_KEYS_MAX;
    size_t count = (size_t)read_number(form, most);
    if (count == 0) {
        return DAYBOOK_OK;
    }
    struct srv_key_stamp *keys = dk_arena_new(arena, count * sizeof *keys);
    if (keys == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (size_t i = 0; i < count && form->ok; i++) {
        size_t length = (size_t)read_number(form, form->length - form->cursor);
        if (length > form->length - form->cursor) {
            form->ok = false;
            break;
        }
        keys[i].key = dk_arena_copy(arena, (const char *)form->bytes + form->cursor, length);
        if (keys[i].key == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        keys[i].key_length = (uint32_t)length;
        form->cursor += length;
        keys[i].stamp = read_stamp(form);
    }
    record->key_stamps = keys;
    record->key_stamp_count = (int)count;
    return DAYBOOK_OK;
}

/* Reads the state register into the arena. */
static daybook_status read_state(struct form *form, struct arena *arena, struct srv_record *record)
{
    size_t left = form->length - form->cursor;
    uint64_t most = left / 5 < STATE_OPS_MAX ? left / 5 : STATE_OPS_MAX;
    size_t count = (size_t)read_number(form, most);
    if (count == 0) {
        return DAYBOOK_OK;
    }
    struct state_op *ops = dk_arena_new(arena, count * sizeof *ops);
    if (ops == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        ops[i].position = (int64_t)read_number(form, INT64_MAX);
        ops[i].device_no = (uint32_t)read_number(form, UINT32_MAX);
        ops[i].epoch = (uint16_t)read_number(form, STATE_EPOCH_MAX);
        ops[i].rank = (uint8_t)read_number(form, STATE_RANK_MAX);
        ops[i].peak = (int8_t)((int)read_number(form, STATE_RANK_MAX + 1) - 1);
    }
    record->state_ops = ops;
    record->state_op_count = (int)count;
    return DAYBOOK_OK;
}
_Static_assert(STATE_RANK_MAX + 1 < 0x80, "a rank and a peak take one byte each");

/* Strict: every byte is used, every number fits. */
daybook_status srv_stamps_read(const void *bytes, size_t length, struct arena *arena,
                               struct srv_record *record)
{
    struct form form = {.bytes = bytes, .length = length, .ok = true};
    struct stamp near[DISTINCT_NEAR];
    int field_count = record->record.entity->field_count;
    memset(record->stamps, 0, (size_t)field_count * sizeof record->stamps[0]);
    record->key_stamps = NULL;
    record->key_stamp_count = 0;
    record->state_ops = NULL;
    record->state_op_count = 0;
    if (read_number(&form, UINT64_MAX) != FORM_VERSION) {
        return DAYBOOK_CORRUPT;
    }
    daybook_status status = read_list(&form, near, arena);
    if (status != DAYBOOK_OK) {
        return status;
    }
    record->deletion = read_stamp(&form);
    int used = (int)read_number(&form, (uint64_t)field_count);
    for (int field = 0; field < used; field++) {
        record->stamps[field] = read_stamp(&form);
    }
    status = read_keys(&form, arena, record);
    if (status == DAYBOOK_OK) {
        status = read_state(&form, arena, record);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    return form.ok && form.cursor == length ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}
