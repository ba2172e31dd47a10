/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the texts and two hash tables over them. Called by a backend, one per kind of text and
 * connection. Invariant: in each chain newer entries stand before older ones, so the newest entry
 * is the head of both of its chains and is taken away without a search.
 */
#include "sync-server/store/intern.h"

#include "engine/base/memory.h"

#include <assert.h>
#include <string.h>

#define CAPACITY_FIRST 64
#define CAPACITY_MAX (1 << 24)

struct srv_intern_entry {
    char *text; /* owned */
    int64_t scope, number;
    uint64_t hash; /* of scope and text */
    uint32_t length;
    int next_by_text, next_by_number; /* older entry of the same chain, or -1 */
};

/* Folds one word into a hash. Multiplying spreads low bits upwards, the shift brings them back. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 32);
}

/* Of scope and text; eight bytes at a time. */
static uint64_t hash_text(const struct srv_intern *intern, int64_t scope, const char *text,
                          size_t length)
{
    uint64_t hash = mix(mix(intern->seed, (uint64_t)scope), length);
    uint64_t word;
    size_t at = 0;
    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text + at, length - at);
    return mix(hash, word ^ intern->seed);
}

/* Where the chain of a text's hash begins. */
static int text_slot(const struct srv_intern *intern, uint64_t hash)
{
    return (int)(hash & (uint64_t)(intern->slot_count - 1));
}

/* Where the chain of a number begins. */
static int number_slot(const struct srv_intern *intern, int64_t scope, int64_t number)
{
    uint64_t hash = mix(mix(intern->seed, (uint64_t)scope), (uint64_t)number);
    return (int)(hash & (uint64_t)(intern->slot_count - 1));
}

/* Empty, without memory. */
void srv_intern_init(struct srv_intern *intern, uint64_t seed)
{
    memset(intern, 0, sizeof *intern);
    intern->seed = seed;
}

/* Frees everything; the seed stays, and the intern may be used again. */
void srv_intern_clear(struct srv_intern *intern)
{
    uint64_t seed = intern->seed;
    for (int i = 0; i < intern->count; i++) {
        dk_memory_free(intern->entries[i].text);
    }
    dk_memory_free(intern->entries);
    dk_memory_free(intern->by_text);
    dk_memory_free(intern->by_number);
    srv_intern_init(intern, seed);
}

/* See the header. */
bool srv_intern_number(const struct srv_intern *intern, int64_t scope, const char *text,
                       size_t length, int64_t *number)
{
    if (intern->count == 0) {
        return false;
    }
    uint64_t hash = hash_text(intern, scope, text, length);
    int at = intern->by_text[text_slot(intern, hash)];
    for (; at >= 0; at = intern->entries[at].next_by_text) {
        const struct srv_intern_entry *entry = &intern->entries[at];
        if (entry->hash == hash && entry->scope == scope && entry->length == length &&
            memcmp(entry->text, text, length) == 0) {
            *number = entry->number;
            return true;
        }
    }
    return false;
}

/* See the header. */
bool srv_intern_text(const struct srv_intern *intern, int64_t scope, int64_t number,
                     const char **text, size_t *length)
{
    if (intern->count == 0) {
        return false;
    }
    int at = intern->by_number[number_slot(intern, scope, number)];
    for (; at >= 0; at = intern->entries[at].next_by_number) {
        const struct srv_intern_entry *entry = &intern->entries[at];
        if (entry->number == number && entry->scope == scope) {
            *text = entry->text;
            *length = entry->length;
            return true;
        }
    }
    return false;
}

/* Puts entry `at` at the head of its two chains. */
static void link_entry(struct srv_intern *intern, int at)
{
    struct srv_intern_entry *entry = &intern->entries[at];
    int *by_text = &intern->by_text[text_slot(intern, entry->hash)];
    int *by_number = &intern->by_number[number_slot(intern, entry->scope, entry->number)];
    entry->next_by_text = *by_text;
    entry->next_by_number = *by_number;
    *by_text = at;
    *by_number = at;
}

/* Doubles the room and links all entries anew, oldest first, which keeps the invariant. */
static daybook_status grow(struct srv_intern *intern)
{
    int capacity = intern->capacity == 0 ? CAPACITY_FIRST : intern->capacity * 2;
    if (capacity > CAPACITY_MAX) {
        return DAYBOOK_NO_MEMORY;
    }
    size_t slots_size = (size_t)capacity * sizeof(int);
    int *by_text = dk_memory_new((size_t)capacity, sizeof *by_text);
    int *by_number = dk_memory_new((size_t)capacity, sizeof *by_number);
    struct srv_intern_entry *entries =
        dk_memory_resize(intern->entries, (size_t)capacity * sizeof *entries);
    if (entries != NULL) {
        intern->entries = entries; /* larger than it says, should the others be missing */
    }
    if (by_text == NULL || by_number == NULL || entries == NULL) {
        dk_memory_free(by_text);
        dk_memory_free(by_number);
        return DAYBOOK_NO_MEMORY;
    }
    dk_memory_free(intern->by_text);
    dk_memory_free(intern->by_number);
    memset(by_text, 0xFF, slots_size); /* -1 */
    memset(by_number, 0xFF, slots_size);
    intern->by_text = by_text;
    intern->by_number = by_number;
    intern->slot_count = capacity;
    intern->capacity = capacity;
    for (int at = 0; at < intern->count; at++) {
        link_entry(intern, at);
    }
    return DAYBOOK_OK;
}

/* On failure nothing is added. */
daybook_status srv_intern_add(struct srv_intern *intern, int64_t scope, int64_t number,
                              const char *text, size_t length)
{
    assert(length <= UINT32_MAX);
    if (intern->count == intern->capacity) {
        daybook_status status = grow(intern);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    char *copy = dk_memory_copy_text(text, length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    intern->entries[intern->count] = (struct srv_intern_entry){
        .text = copy,
        .scope = scope,
        .number = number,
        .hash = hash_text(intern, scope, text, length),
        .length = (uint32_t)length,
    };
    link_entry(intern, intern->count);
    intern->count++;
    intern->bytes += length;
    return DAYBOOK_OK;
}

/* See the header. */
int srv_intern_mark(const struct srv_intern *intern)
{
    return intern->count;
}

/* Newest first: each is the head of its chains. */
void srv_intern_undo(struct srv_intern *intern, int mark)
{
    assert(mark >= 0 && mark <= intern->count);
    while (intern->count > mark) {
        int at = --intern->count;
        struct srv_intern_entry *entry = &intern->entries[at];
        int *by_text = &intern->by_text[text_slot(intern, entry->hash)];
        int *by_number = &intern->by_number[number_slot(intern, entry->scope, entry->number)];
        assert(*by_text == at && *by_number == at);
        *by_text = entry->next_by_text;
        *by_number = entry->next_by_number;
        intern->bytes -= entry->length;
        dk_memory_free(entry->text);
    }
}

/* See the header. */
bool srv_intern_is_full(const struct srv_intern *intern)
{
    return intern->count >= INTERN_ENTRIES_MAX || intern->bytes >= INTERN_BYTES_MAX;
}

/* See the header. */
void srv_intern_trim(struct srv_intern *intern)
{
    if (srv_intern_is_full(intern)) {
        srv_intern_clear(intern);
    }
}
