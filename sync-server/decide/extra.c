/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields that this schema does not know, kept with a record as one JSON object {name: value}, names
 * sorted by bytes. Used by merge, freeze and write. Invariant: the text is compact and has no
 * twins; names stand in it as dk_json_write_string writes them without an escape.
 */
#include "sync-server/decide/work.h"

#include <string.h>

/* See the header. */
struct value srv_extra_get(const struct value *extra, const char *name, size_t length)
{
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    while (dk_map_next(extra, &cursor, &key, &key_length, &raw, &raw_length)) {
        if (key_length == length && memcmp(key, name, length) == 0) {
            return (struct value){.kind = VALUE_TEXT, .length = (uint32_t)raw_length, .text = raw};
        }
    }
    return (struct value){.kind = VALUE_NULL};
}

/* See the header. */
int srv_extra_count(const struct value *extra)
{
    const char *key, *raw;
    size_t cursor = 0, key_length, raw_length;
    int count = 0;
    while (dk_map_next(extra, &cursor, &key, &key_length, &raw, &raw_length)) {
        count++;
    }
    return count;
}

/* Appends ,"name":raw to a text that begins with an opening brace. */
static char *append(char *at, const char *begin, const char *name, size_t length, const char *raw,
                    size_t raw_length)
{
    if (at > begin + 1) {
        *at++ = ',';
    }
    *at++ = '"';
    memcpy(at, name, length);
    at += length;
    *at++ = '"';
    *at++ = ':';
    memcpy(at, raw, raw_length);
    return at + raw_length;
}

/* < 0, 0, > 0 by bytes, the shorter first. */
static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t common = a_length < b_length ? a_length : b_length;
    int order = memcmp(a, b, common);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* See the header. */
bool srv_extra_put(struct value *extra, const char *name, size_t length, const struct value *raw,
                   struct arena *arena)
{
    const char *key, *old;
    size_t cursor = 0, key_length, old_length;
    size_t before = extra->kind == VALUE_TEXT ? extra->length : 2;
    char *text =
        dk_arena_new(arena, before + length + (raw->kind == VALUE_TEXT ? raw->length : 0) + 8);
    bool pending = raw->kind == VALUE_TEXT;
    if (text == NULL) {
        return false;
    }
    char *at = text;
    *at++ = '{';
    while (dk_map_next(extra, &cursor, &key, &key_length, &old, &old_length)) {
        int order = compare(name, length, key, key_length);
        if (pending && order <= 0) {
            at = append(at, text, name, length, raw->text, raw->length);
            pending = false;
        }
        if (order != 0) {
            at = append(at, text, key, key_length, old, old_length);
        }
    }
    if (pending) {
        at = append(at, text, name, length, raw->text, raw->length);
    }
    *at++ = '}';
    *extra = (struct value){.kind = VALUE_NULL};
    if (at - text > 2) {
        *extra = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)(at - text), .text = text};
    }
    return true;
}

/* See the header. What a changeset gives itself is no other's. */
bool srv_extra_next_unseen(const struct decision *decision, const struct work *work, int64_t seen,
                           int *cursor, struct field_value *value)
{
    static const char prefix[] = SRV_EXTRA ".", null_text[] = "null";
    const size_t skip = sizeof prefix - 1;
    while (*cursor < work->row.key_stamp_count) {
        const struct srv_key_stamp *key = &work->row.key_stamps[(*cursor)++];
        bool other =
            key->stamp.position > seen && key->stamp.device_no != decision->author->device_no;
        if (!other || key->key_length <= skip || memcmp(key->key, prefix, skip) != 0) {
            continue;
        }
        *value = (struct field_value){
            .field = -1, .name = key->key + skip, .name_length = key->key_length - (uint32_t)skip};
        value->value = srv_extra_get(&work->row.record.extra, value->name, value->name_length);
        if (value->value.kind == VALUE_NULL) {
            value->value = (struct value){
                .kind = VALUE_TEXT, .length = sizeof null_text - 1, .text = null_text};
        }
        return true;
    }
    return false;
}

/* See the header. */
bool srv_extra_put_back(struct decision *decision, struct work *work, const char *name,
                        size_t length, const struct value *raw)
{
    char key[KEY_BYTES_MAX];
    size_t key_length = srv_key_join(key, SRV_EXTRA, name, length);
    struct stamp stored = srv_key_stamp_get(&work->row, key, key_length);
    struct stamp stamp = srv_merge_stamp(decision, &stored, true);
    return srv_key_stamp_put(decision, &work->row, key, key_length, &stamp) &&
           (srv_extra_put(&work->row.record.extra, name, length, raw, decision->arena) ||
            srv_decision_out_of_memory(decision));
}
