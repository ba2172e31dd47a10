/* SPDX-License-Identifier: Apache-2.0
 *
 * MAP values: an app's own keys with scalars, and changes that put or remove keys. Called by
 * collection.c for what arrives and by store and decider to apply and to find changes. Invariant:
 * what leaves is canonical and within its limits; input is never changed.
 */
#include "engine/protocol/collection.h"

#include <string.h>

#define MAP_TEXT_MAX ((size_t)LIMIT_CUSTOM_BYTES)
#define MAP_CHANGE_MAX (MAP_TEXT_MAX + (size_t)LIMIT_CUSTOM_KEYS * (LIMIT_CUSTOM_KEY_BYTES + 8))

struct entry {
    struct element key;
    enum json_type type; /* JSON_NULL: the key goes away */
    struct element text; /* JSON_STRING */
    int64_t integer;     /* JSON_INTEGER */
};

struct map { /* sorted by the bytes of the keys, no twins */
    int count;
    struct entry entries[LIMIT_CUSTOM_KEYS];
};

/* A key is 1 to 64 bytes without control characters, quotation mark and backslash, so it stands on
 * the wire as it is. */
static bool check_key(const struct element *key, struct fault *fault)
{
    if (key->length == 0 || key->length > LIMIT_CUSTOM_KEY_BYTES) {
        return dk_fault(fault, REJECT_SCHEMA, "key");
    }
    for (size_t i = 0; i < key->length; i++) {
        unsigned char c = (unsigned char)key->text[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            return dk_fault(fault, REJECT_SCHEMA, "key");
        }
    }
    return true;
}

/* Where the key stands or belongs. */
static int map_place(const struct map *map, const struct element *key, bool *found)
{
    int place = map->count;
    while (place > 0) {
        int order = dk_element_compare(&map->entries[place - 1].key, key);
        if (order <= 0) {
            *found = order == 0;
            return order == 0 ? place - 1 : place;
        }
        place--;
    }
    *found = false;
    return 0;
}

/* The entry of this key, or NULL. */
static const struct entry *map_find(const struct map *map, const struct element *key)
{
    bool found;
    int place = map_place(map, key, &found);
    return found ? &map->entries[place] : NULL;
}

/* Puts an entry in its place; one of the same key is replaced. */
static bool map_put(struct map *map, const struct entry *entry, struct fault *fault)
{
    bool found;
    int place = map_place(map, &entry->key, &found);
    if (!found) {
        if (map->count == LIMIT_CUSTOM_KEYS) {
            return dk_fault(fault, REJECT_LIMIT, "keys");
        }
        memmove(&map->entries[place + 1], &map->entries[place],
                (size_t)(map->count - place) * sizeof map->entries[0]);
        map->count++;
    }
    map->entries[place] = *entry;
    return true;
}

/* Takes the key away where it is there. */
static void map_remove(struct map *map, const struct element *key)
{
    bool found;
    int place = map_place(map, key, &found);
    if (found) {
        map->count--;
        memmove(&map->entries[place], &map->entries[place + 1],
                (size_t)(map->count - place) * sizeof map->entries[0]);
    }
}

/* Reads one entry, whose key the reader has just given. Numbers with a fraction are no stored data
 * and end here. */
static bool read_entry(struct json_reader *reader, bool null_allowed, struct map *map,
                       struct fault *fault)
{
    struct entry entry = {.key = {reader->text, reader->length}};
    bool twin;
    (void)map_place(map, &entry.key, &twin);
    if (twin) {
        return dk_fault(fault, REJECT_SCHEMA, "map");
    }
    if (!check_key(&entry.key, fault)) {
        return false;
    }
    entry.type = dk_json_next(reader);
    switch (entry.type) {
    case JSON_TRUE:
    case JSON_FALSE: break;
    case JSON_INTEGER: entry.integer = reader->integer; break;
    case JSON_STRING: entry.text = (struct element){reader->text, reader->length}; break;
    case JSON_NULL:
        if (null_allowed) {
            break;
        }
        return dk_fault(fault, REJECT_SCHEMA, "map");
    default: return dk_fault(fault, REJECT_SCHEMA, "map");
    }
    return map_put(map, &entry, fault);
}

/* A map, or with null_allowed a change of one, from raw JSON; NULL is the empty map. */
static bool read_map(struct arena *arena, const char *raw, size_t length, bool null_allowed,
                     struct map *map, struct fault *fault)
{
    struct json_reader reader;
    enum json_type type;
    map->count = 0;
    if (raw == NULL) {
        return true;
    }
    if (!dk_collection_open(&reader, arena, raw, length, fault)) {
        return false;
    }
    if (dk_json_next(&reader) != JSON_OBJECT) {
        return dk_fault(fault, REJECT_SCHEMA, "map");
    }
    while ((type = dk_json_key(&reader)) == JSON_STRING) {
        if (!read_entry(&reader, null_allowed, map, fault)) {
            return false;
        }
    }
    return type == JSON_END || dk_fault(fault, REJECT_SCHEMA, "map");
}

/* The canonical text; null for keys that go away; {} where empty. */
static void write_map(struct buffer *out, const struct map *map)
{
    for (int i = 0; i < map->count; i++) {
        const struct entry *entry = &map->entries[i];
        dk_buffer_append_char(out, i == 0 ? '{' : ',');
        dk_json_write_string(out, entry->key.text, entry->key.length);
        dk_buffer_append_char(out, ':');
        switch (entry->type) {
        case JSON_TRUE: dk_buffer_append_text(out, "true"); break;
        case JSON_FALSE: dk_buffer_append_text(out, "false"); break;
        case JSON_INTEGER: dk_buffer_append_int(out, entry->integer); break;
        case JSON_STRING: dk_json_write_string(out, entry->text.text, entry->text.length); break;
        default: dk_buffer_append_text(out, "null"); break;
        }
    }
    dk_buffer_append_text(out, map->count == 0 ? "{}" : "}");
}

/* The map as a value: empty is NULL. */
static bool map_to_value(const struct map *map, struct arena *arena, struct value *value,
                         struct fault *fault)
{
    struct buffer out;
    memset(value, 0, sizeof *value);
    if (map->count == 0) {
        return true;
    }
    dk_buffer_init(&out, MAP_TEXT_MAX);
    write_map(&out, map);
    return dk_collection_finish(&out, arena, value, fault);
}

/* A change of a map as a value, also where it is empty. */
static bool map_change_to_value(const struct map *change, struct arena *arena, struct value *value,
                                struct fault *fault)
{
    struct buffer out;
    dk_buffer_init(&out, MAP_CHANGE_MAX);
    write_map(&out, change);
    return dk_collection_finish(&out, arena, value, fault);
}

/* See collection.h. */
bool dk_map_read(const char *raw, size_t length, bool is_change, struct arena *arena,
                 struct value *value, struct fault *fault)
{
    struct map map;
    if (!read_map(arena, raw, length, is_change, &map, fault)) {
        return false;
    }
    return is_change ? map_change_to_value(&map, arena, value, fault)
                     : map_to_value(&map, arena, value, fault);
}

/* stored with the change's keys put or, where null, taken away. A NULL change changes nothing. */
bool dk_map_apply(const struct value *stored, const struct value *change, struct arena *arena,
                  struct value *result)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct map map;
    struct map step;
    if (!read_map(arena, dk_collection_text(stored), stored->length, false, &map, &fault) ||
        !read_map(arena, dk_collection_text(change), change->length, true, &step, &fault)) {
        return false;
    }
    for (int i = 0; i < step.count; i++) {
        if (step.entries[i].type == JSON_NULL) {
            map_remove(&map, &step.entries[i].key);
        }
    }
    for (int i = 0; i < step.count; i++) {
        if (step.entries[i].type != JSON_NULL && !map_put(&map, &step.entries[i], &fault)) {
            return false;
        }
    }
    return map_to_value(&map, arena, result, &fault);
}

/* True where both entries hold the same scalar, whatever their keys. */
static bool same_scalar(const struct entry *a, const struct entry *b)
{
    return a->type == b->type && a->integer == b->integer &&
           dk_element_compare(&a->text, &b->text) == 0;
}

/* Keys with another value, and null for keys that `to` has not. More than LIMIT_CUSTOM_KEYS in one
 * change: false. */
bool dk_map_difference(const struct value *from, const struct value *to, struct arena *arena,
                       struct value *change)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct map old, wanted, step;
    step.count = 0;
    if (!read_map(arena, dk_collection_text(from), from->length, false, &old, &fault) ||
        !read_map(arena, dk_collection_text(to), to->length, false, &wanted, &fault)) {
        return false;
    }
    for (int i = 0; i < wanted.count; i++) {
        const struct entry *before = map_find(&old, &wanted.entries[i].key);
        if ((before == NULL || !same_scalar(before, &wanted.entries[i])) &&
            !map_put(&step, &wanted.entries[i], &fault)) {
            return false;
        }
    }
    for (int i = 0; i < old.count; i++) {
        struct entry gone = {.key = old.entries[i].key, .type = JSON_NULL};
        if (map_find(&wanted, &gone.key) == NULL && !map_put(&step, &gone, &fault)) {
            return false;
        }
    }
    return map_change_to_value(&step, arena, change, &fault);
}

/* See value.h. */
bool dk_map_insist(const struct value *change, const struct value *said, const struct value *to,
                   struct arena *arena, struct value *result)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct map wanted, step, named;
    bool fine = read_map(arena, dk_collection_text(to), to->length, false, &wanted, &fault) &&
                read_map(arena, change->text, change->length, true, &step, &fault) &&
                read_map(arena, said->text, said->length, true, &named, &fault);
    for (int i = 0; fine && i < named.count; i++) {
        const struct entry gone = {.key = named.entries[i].key, .type = JSON_NULL};
        const struct entry *is = map_find(&wanted, &gone.key);
        struct fault full = {REJECT_NONE, NULL};
        (void)map_put(&step, is == NULL ? &gone : is, &full); /* if there is room */
    }
    return fine && map_change_to_value(&step, arena, result, &fault);
}

/* See value.h. */
bool dk_map_join(const struct value *first, const struct value *second, struct arena *arena,
                 struct value *joined)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct map step, later;
    bool fine = read_map(arena, first->text, first->length, true, &step, &fault) &&
                read_map(arena, second->text, second->length, true, &later, &fault);
    for (int i = 0; fine && i < later.count; i++) {
        fine = map_put(&step, &later.entries[i], &fault);
    }
    return fine && map_change_to_value(&step, arena, joined, &fault);
}

/* Moves behind one JSON value in valid compact or spaced text: strings whole, brackets balanced. */
static size_t skip_value(const struct value *map, size_t at)
{
    int depth = 0;
    bool in_string = false;
    for (; at < map->length; at++) {
        char c = map->text[at];
        if (in_string) {
            at += c == '\\';
            in_string = c != '"';
        } else if (depth == 0 && (c == ',' || c == '}')) {
            break;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return at;
}

/* Keys stand between quotation marks as they are, because canonical keys need no escape. */
bool dk_map_next(const struct value *map, size_t *cursor, const char **key, size_t *key_length,
                 const char **raw, size_t *raw_length)
{
    size_t at = *cursor + 1; /* behind the brace or the comma */
    if (map->kind != VALUE_TEXT || at + 1 >= map->length || map->text[at] != '"') {
        return false;
    }
    const char *begin = map->text + at + 1;
    const char *close = memchr(begin, '"', map->length - at - 1);
    if (close == NULL) {
        return false;
    }
    size_t value_at = (size_t)(close - map->text) + 2; /* behind the colon */
    size_t end = skip_value(map, value_at);
    if (end >= map->length) {
        return false;
    }
    *key = begin;
    *key_length = (size_t)(close - begin);
    *raw = map->text + value_at;
    *raw_length = end - value_at;
    *cursor = end;
    return true;
}
