/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of snapshots that were made for one device, or ahead of it, and serve others too. A set is
 * the pages of one bucket in their order, each read at a head of its own, none below the set's, at
 * which the first was read. Any worker calls in, under one lock. Invariants: 1. The pages of a set
 * follow each other by their keys. 2. All of them together take at most bytes_max; sets that only
 * one device asks for go first, of these the ones not used for longest.
 */
#include "sync-server/inside.h"

#include <string.h>

struct cached_page {
    struct snapshot_key after, next; /* next of no kind: the last page */
    int64_t head;
    char *rows;
    size_t length;
};

struct snapshot_set {
    int64_t org, bucket;
    int64_t head; /* of the first page; 0: no page yet */
    int asked;    /* first pages asked for; counted to 2 */
    bool shared;
    uint64_t used;
    size_t bytes;
    struct cached_page *pages;
    int count, capacity;
};

/* See the header. */
void srv_snapshot_cache_open(struct snapshot_cache *cache, size_t bytes_max)
{
    memset(cache, 0, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    cache->bytes_max = bytes_max;
}

/* Frees the set's pages; the set stays, and may get others. */
static void empty(struct snapshot_cache *cache, struct snapshot_set *set)
{
    for (int i = 0; i < set->count; i++) {
        dk_memory_free(set->pages[i].rows);
    }
    cache->bytes -= set->bytes;
    set->bytes = 0;
    set->count = 0;
    set->head = 0;
}

/* See the header. */
void srv_snapshot_cache_close(struct snapshot_cache *cache)
{
    for (int i = 0; i < cache->count; i++) {
        empty(cache, &cache->sets[i]);
        dk_memory_free(cache->sets[i].pages);
    }
    dk_memory_free(cache->sets);
    pthread_mutex_destroy(&cache->lock);
}

/* The bucket's set, or NULL. The lock is held, as in all that follows. */
static struct snapshot_set *find_set(struct snapshot_cache *cache, int64_t org, int64_t bucket)
{
    for (int i = 0; i < cache->count; i++) {
        if (cache->sets[i].bucket == bucket && cache->sets[i].org == org) {
            return &cache->sets[i];
        }
    }
    return NULL;
}

/* The bucket's set, made where it is missing, in the place of the one not used for longest where
 * there are many. NULL: no memory. */
static struct snapshot_set *need_set(struct snapshot_cache *cache, int64_t org, int64_t bucket)
{
    struct snapshot_set *set = find_set(cache, org, bucket);
    if (set != NULL) {
        return set;
    }
    if (cache->sets == NULL) {
        cache->sets = dk_memory_new(SNAPSHOT_SETS_MAX, sizeof *cache->sets);
    }
    if (cache->sets == NULL) {
        return NULL;
    }
    if (cache->count < SNAPSHOT_SETS_MAX) {
        set = &cache->sets[cache->count++];
    } else {
        set = &cache->sets[0];
        for (int i = 1; i < cache->count; i++) {
            set = cache->sets[i].used < set->used ? &cache->sets[i] : set;
        }
        empty(cache, set);
        dk_memory_free(set->pages);
    }
    *set = (struct snapshot_set){.org = org, .bucket = bucket};
    return set;
}

/* See the header. */
int64_t srv_snapshot_cache_head(struct snapshot_cache *cache, int64_t org, int64_t bucket)
{
    pthread_mutex_lock(&cache->lock);
    struct snapshot_set *set = find_set(cache, org, bucket);
    int64_t head = set == NULL ? 0 : set->head;
    pthread_mutex_unlock(&cache->lock);
    return head;
}

/* See the header. */
bool srv_snapshot_cache_ask(struct snapshot_cache *cache, int64_t org, int64_t bucket, bool shared)
{
    pthread_mutex_lock(&cache->lock);
    struct snapshot_set *set = cache->bytes_max == 0 ? NULL : need_set(cache, org, bucket);
    if (set != NULL) {
        set->used = ++cache->clock;
        set->asked += set->asked < 2 ? 1 : 0;
        set->shared = shared || set->asked > 1;
    }
    pthread_mutex_unlock(&cache->lock);
    return set != NULL;
}

/* The place of the page behind this key, or -1. */
static int find_page(const struct snapshot_set *set, const struct snapshot_key *after)
{
    for (int i = 0; i < set->count; i++) {
        const struct snapshot_key *key = &set->pages[i].after;
        if (key->kind == after->kind &&
            (key->kind == SNAPSHOT_NO_KEY || dk_id_compare(&key->id, &after->id) == 0)) {
            return i;
        }
    }
    return -1;
}

/* See the header. */
bool srv_snapshot_cache_get(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, int64_t position, size_t size_max,
                            struct buffer *rows, struct snapshot_key *next, int64_t *head)
{
    bool found = false;
    pthread_mutex_lock(&cache->lock);
    struct snapshot_set *set = find_set(cache, org, bucket);
    int at = set == NULL ? -1 : find_page(set, after);
    if (at >= 0 && set->pages[at].head >= position && set->pages[at].length <= size_max) {
        const struct cached_page *page = &set->pages[at];
        dk_buffer_append(rows, page->rows, page->length);
        *next = page->next;
        *head = page->head;
        set->used = ++cache->clock;
        cache->served++;
        found = true;
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

/* See the header. */
bool srv_snapshot_cache_has(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, int64_t position)
{
    pthread_mutex_lock(&cache->lock);
    const struct snapshot_set *set = find_set(cache, org, bucket);
    int at = set == NULL ? -1 : find_page(set, after);
    bool has = at >= 0 && set->pages[at].head >= position;
    pthread_mutex_unlock(&cache->lock);
    return has;
}

/* See the header. A page that cannot serve the reader breaks the chain. */
int64_t srv_snapshot_cache_least(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                                 const struct snapshot_key *after, int64_t position)
{
    int64_t least = INT64_MAX;
    pthread_mutex_lock(&cache->lock);
    const struct snapshot_set *set = find_set(cache, org, bucket);
    int at = set == NULL ? -1 : find_page(set, after);
    if (at >= 0 && set->pages[at].head >= position) {
        for (at++; at < set->count && set->pages[at].head >= position; at++) {
            least = set->pages[at].head < least ? set->pages[at].head : least;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return least;
}

/* Whether the first set is to go before the second one. */
static bool goes_before(const struct snapshot_set *set, const struct snapshot_set *other)
{
    return set->shared != other->shared ? other->shared : set->used < other->used;
}

/* Empties other sets until so many bytes more have room. A set that only one device asks for takes
 * nothing from those that serve several. False: there is no room. */
static bool make_room(struct snapshot_cache *cache, const struct snapshot_set *keep, size_t bytes)
{
    while (cache->bytes + bytes > cache->bytes_max) {
        struct snapshot_set *first = NULL;
        for (int i = 0; i < cache->count; i++) {
            struct snapshot_set *set = &cache->sets[i];
            bool may_go = set != keep && set->bytes > 0 && (keep->shared || !set->shared);
            if (may_go && (first == NULL || goes_before(set, first))) {
                first = set;
            }
        }
        if (first == NULL) {
            return false;
        }
        empty(cache, first);
    }
    return true;
}

/* Room for one page more in the set's array. */
static bool grow(struct snapshot_set *set)
{
    if (set->count < set->capacity) {
        return true;
    }
    int capacity = set->capacity == 0 ? 8 : set->capacity * 2;
    struct cached_page *pages = dk_memory_resize(set->pages, (size_t)capacity * sizeof *set->pages);
    if (pages == NULL) {
        return false;
    }
    set->pages = pages;
    set->capacity = capacity;
    return true;
}

/* See the header. A first page begins the set anew; another one has to follow the last. */
void srv_snapshot_cache_put(struct snapshot_cache *cache, int64_t org, int64_t bucket,
                            const struct snapshot_key *after, const struct snapshot_key *next,
                            int64_t head, const char *rows, size_t length)
{
    pthread_mutex_lock(&cache->lock);
    struct snapshot_set *set = find_set(cache, org, bucket);
    if (set != NULL && after->kind == SNAPSHOT_NO_KEY && head > set->head) {
        empty(cache, set);
        set->head = head;
    }
    const struct cached_page *last =
        set == NULL || set->count == 0 ? NULL : &set->pages[set->count - 1];
    bool follows =
        set != NULL &&
        (last == NULL ? after->kind == SNAPSHOT_NO_KEY
                      : last->next.kind == after->kind && after->kind != SNAPSHOT_NO_KEY &&
                            dk_id_compare(&last->next.id, &after->id) == 0);
    if (follows && head >= set->head && make_room(cache, set, length) && grow(set)) {
        char *copy = dk_memory_copy_text(rows, length);
        if (copy != NULL) {
            set->pages[set->count++] = (struct cached_page){*after, *next, head, copy, length};
            set->bytes += length;
            cache->bytes += length;
            cache->made++;
        }
    }
    pthread_mutex_unlock(&cache->lock);
}

/* See the header. */
void srv_snapshot_cache_drop(struct snapshot_cache *cache, int64_t org, int64_t bucket)
{
    pthread_mutex_lock(&cache->lock);
    struct snapshot_set *set = find_set(cache, org, bucket);
    if (set != NULL) {
        empty(cache, set);
    }
    pthread_mutex_unlock(&cache->lock);
}
