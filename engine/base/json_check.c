/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns, for the length of one call, a copy of a text and the keys of its open objects. Called
 * before cJSON sees anything. Invariant: keys holds the keys of all open objects, the outer ones
 * first, and those of a closed one are gone.
 */
#include "engine/base/json.h"

#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_LENGTH_MAX 63 /* bytes: what cJSON can read */

const char dk_json_no_memory[] = "memory is used up";

struct key {
    const char *text; /* unescaped, in the gate's copy */
    size_t length;
};

struct check {
    struct json_reader reader;
    char *copy;       /* owned: the text, which unescaping changes */
    struct key *keys; /* owned: the keys so far of all open objects, outer ones first */
    size_t key_count;
    size_t key_capacity;
    size_t nodes;                     /* values so far */
    size_t first_key[JSON_DEPTH_MAX]; /* at each depth: where its object's keys begin */
};

/* Keeps the key that was read last until its object closes. */
static bool push_key(struct check *check)
{
    if (check->key_count == check->key_capacity) {
        size_t capacity = check->key_capacity == 0 ? 64 : check->key_capacity * 2;
        struct key *keys = dk_memory_resize(check->keys, capacity * sizeof *keys);
        if (keys == NULL) {
            return dk_json_fail(&check->reader, dk_json_no_memory);
        }
        check->keys = keys;
        check->key_capacity = capacity;
    }
    struct json_reader *reader = &check->reader;
    check->keys[check->key_count].text = reader->text;
    check->keys[check->key_count].length = reader->length;
    check->key_count++;
    return true;
}

/* Orders keys so that equal ones are neighbours, the one that comes first in the text first. */
static int compare_keys(const void *a_key, const void *b_key)
{
    const struct key *a = a_key;
    const struct key *b = b_key;
    if (a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    int order = memcmp(a->text, b->text, a->length);
    return order != 0 ? order : (a->text > b->text) - (a->text < b->text);
}

/* The object at this depth has closed: fails at the second of two equal keys, else forgets its
 * keys. */
static bool pop_keys(struct check *check, int depth)
{
    size_t first = check->first_key[depth - 1];
    size_t count = check->key_count - first;
    if (count == 0) {
        return true;
    }
    struct key *keys = check->keys + first;
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (keys[i].length == keys[i - 1].length &&
            memcmp(keys[i].text, keys[i - 1].text, keys[i].length) == 0) {
            check->reader.next = check->copy + (keys[i].text - check->copy);
            return dk_json_fail(&check->reader, "a key that its object has already");
        }
    }
    check->key_count = first;
    return true;
}

/* A number that may be too long: begin is where the search for it began, perhaps at a comma or
 * space. */
static bool check_number(struct json_reader *reader, char *begin)
{
    while (strchr(" \t\r\n,", *begin) != NULL) {
        begin++;
    }
    if (reader->next - begin <= NUMBER_LENGTH_MAX) {
        return true;
    }
    reader->next = begin;
    return dk_json_fail(reader, "a number of more than 63 characters");
}

/* Reads one value, for which the nodes are counted. */
static bool check_value(struct check *check, int depth_max, size_t nodes_max)
{
    struct json_reader *reader = &check->reader;
    int depth = reader->depth;
    char *begin = reader->next;
    enum json_type type = dk_json_next(reader);
    if (type == JSON_ERROR) {
        return false;
    }
    if (type == JSON_END) {
        return true;
    }
    if (++check->nodes > nodes_max) {
        return dk_json_fail(reader, "too many values");
    }
    if (reader->depth > depth_max) {
        return dk_json_fail(reader, "nested too deeply");
    }
    if (type == JSON_INTEGER && reader->next - begin > NUMBER_LENGTH_MAX) {
        return check_number(reader, begin);
    }
    if (type == JSON_OBJECT) {
        check->first_key[depth] = check->key_count;
    }
    return true;
}

/* Reads one key and its value, or one value, or the end of a container. */
static bool check_step(struct check *check, int depth_max, size_t nodes_max)
{
    struct json_reader *reader = &check->reader;
    int depth = reader->depth;
    if (depth > 0 && (reader->is_object >> (depth - 1) & 1) != 0) {
        enum json_type type = dk_json_key(reader);
        if (type != JSON_STRING) {
            return type == JSON_END && pop_keys(check, depth);
        }
        if (!push_key(check)) {
            return false;
        }
    }
    return check_value(check, depth_max, nodes_max);
}

/* Reads a copy, because keys must be compared as they read without escapes. Numbers may have any
 * form, but not more characters than cJSON reads. *problem is dk_json_no_memory where the text
 * could not be checked. */
bool dk_json_check(const char *bytes, size_t length, int depth_max, size_t nodes_max,
                   const char **problem, size_t *offset)
{
    struct check check = {0};
    check.copy = dk_memory_copy_text(bytes, length);
    if (check.copy == NULL) {
        *problem = dk_json_no_memory;
        *offset = 0;
        return false;
    }
    dk_json_open(&check.reader, check.copy, length);
    check.reader.any_number = true;
    bool valid = true;
    do {
        valid = check_step(&check, depth_max, nodes_max);
    } while (valid && check.reader.depth > 0);
    valid = valid && dk_json_finish(&check.reader);
    *problem = check.reader.problem;
    *offset = dk_json_offset(&check.reader);
    dk_memory_free(check.keys);
    dk_memory_free(check.copy);
    return valid;
}
