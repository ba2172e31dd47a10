/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages that are kept of snapshots: sets that follow their keys, what a reader may get, bounded
 * memory.
 */
#include "sync-server/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct snapshot_key none = {.kind = SNAPSHOT_NO_KEY};

static struct snapshot_key key(int number)
{
    struct snapshot_key result = {.kind = ENTITY_VISIT};
    result.id.bytes[0] = (uint8_t)number;
    return result;
}

static void put(struct snapshot_cache *cache, int64_t bucket, const struct snapshot_key *after,
                const struct snapshot_key *next, int64_t head, const char *rows)
{
    srv_snapshot_cache_put(cache, 1, bucket, after, next, head, rows, strlen(rows));
}

/* The rows of the page behind a key for a reader at a position; "" for none. */
static const char *get(struct snapshot_cache *cache, int64_t bucket,
                       const struct snapshot_key *after, int64_t position, size_t size_max)
{
    static char text[100];
    struct buffer rows;
    struct snapshot_key next;
    int64_t head;
    dk_buffer_init(&rows, 1000);
    bool found =
        srv_snapshot_cache_get(cache, 1, bucket, after, position, size_max, &rows, &next, &head);
    assert_int_equal(found, rows.length > 0);
    assert_true(!found || head >= position);
    (void)snprintf(text, sizeof text, "%s", dk_buffer_text(&rows));
    dk_buffer_clear(&rows);
    return text;
}

static void test_snapshot_cache__who_gets_a_page(void **state)
{
    struct snapshot_cache cache;
    struct snapshot_key first = key(1), second = key(2);
    (void)state;
    srv_snapshot_cache_open(&cache, 1000);
    put(&cache, 7, &none, &first, 100, "not asked for");
    assert_string_equal(get(&cache, 7, &none, 1, 100), "");
    assert_true(srv_snapshot_cache_ask(&cache, 1, 7, true));
    put(&cache, 7, &first, &second, 100, "no first page");
    put(&cache, 7, &none, &first, 100, "page 1");
    put(&cache, 7, &second, &none, 101, "not the next");
    put(&cache, 7, &first, &second, 105, "page 2");
    put(&cache, 7, &first, &second, 106, "page 2 again");
    put(&cache, 7, &second, &none, 103, "page 3");
    assert_int_equal(srv_snapshot_cache_head(&cache, 1, 7), 100);
    assert_int_equal(srv_snapshot_cache_head(&cache, 2, 7), 0);
    assert_int_equal(cache.made, 3);
    /* only who stands at or before the head at which it was read */
    assert_string_equal(get(&cache, 7, &none, 100, 100), "page 1");
    assert_string_equal(get(&cache, 7, &none, 101, 100), "");
    assert_string_equal(get(&cache, 7, &first, 105, 100), "page 2");
    assert_string_equal(get(&cache, 7, &first, 106, 100), "");
    assert_string_equal(get(&cache, 7, &second, 100, 100), "page 3");
    assert_string_equal(get(&cache, 7, &second, 100, 3), "");
    assert_true(srv_snapshot_cache_has(&cache, 1, 7, &second, 103));
    assert_false(srv_snapshot_cache_has(&cache, 1, 7, &second, 104));
    /* who gets them in turn must not pass the heads of those that follow */
    assert_true(srv_snapshot_cache_least(&cache, 1, 7, &none, 100) == 103);
    assert_true(srv_snapshot_cache_least(&cache, 1, 7, &first, 104) == INT64_MAX);
    assert_true(srv_snapshot_cache_least(&cache, 1, 7, &second, 100) == INT64_MAX);
    assert_true(srv_snapshot_cache_least(&cache, 1, 7, &none, 101) == INT64_MAX);
    /* a first page that was read later begins anew; an older one does not */
    put(&cache, 7, &none, &none, 90, "older");
    assert_string_equal(get(&cache, 7, &none, 90, 100), "page 1");
    put(&cache, 7, &none, &second, 120, "anew");
    assert_string_equal(get(&cache, 7, &none, 110, 100), "anew");
    assert_string_equal(get(&cache, 7, &first, 100, 100), "");
    srv_snapshot_cache_drop(&cache, 1, 7);
    assert_int_equal(srv_snapshot_cache_head(&cache, 1, 7), 0);
    assert_int_equal(cache.bytes, 0);
    srv_snapshot_cache_close(&cache);
}

static void test_snapshot_cache__what_is_kept(void **state)
{
    struct snapshot_cache cache;
    (void)state;
    srv_snapshot_cache_open(&cache, 20);
    assert_true(srv_snapshot_cache_ask(&cache, 1, 1, true));
    assert_true(srv_snapshot_cache_ask(&cache, 1, 2, false));
    put(&cache, 1, &none, &none, 10, "0123456789");
    put(&cache, 2, &none, &none, 10, "0123456789");
    assert_int_equal(cache.bytes, 20);
    /* one that only one device asks for makes room, and takes none from those that serve several */
    assert_true(srv_snapshot_cache_ask(&cache, 1, 3, true));
    put(&cache, 3, &none, &none, 10, "0123456789");
    assert_int_equal(srv_snapshot_cache_head(&cache, 1, 2), 0);
    put(&cache, 2, &none, &none, 11, "abc");
    assert_string_equal(get(&cache, 2, &none, 11, 100), "");
    assert_string_equal(get(&cache, 1, &none, 10, 100), "0123456789");
    /* asked for by a second device it is as good as they, and the one not used for longest goes */
    assert_true(srv_snapshot_cache_ask(&cache, 1, 2, false));
    put(&cache, 2, &none, &none, 12, "abc");
    assert_string_equal(get(&cache, 2, &none, 12, 100), "abc");
    assert_string_equal(get(&cache, 1, &none, 10, 100), "0123456789");
    assert_string_equal(get(&cache, 3, &none, 10, 100), "");
    /* what has no room at all is not kept */
    put(&cache, 3, &none, &none, 11, "more bytes than there may be");
    assert_string_equal(get(&cache, 3, &none, 10, 100), "");
    assert_true(cache.bytes <= 20);
    /* many buckets */
    for (int64_t bucket = 4; bucket < 3 * SNAPSHOT_SETS_MAX; bucket++) {
        assert_true(srv_snapshot_cache_ask(&cache, 1, bucket, true));
        put(&cache, bucket, &none, &none, 10, "x");
        assert_true(cache.count <= SNAPSHOT_SETS_MAX && cache.bytes <= 20);
    }
    srv_snapshot_cache_close(&cache);
    srv_snapshot_cache_open(&cache, 0);
    assert_false(srv_snapshot_cache_ask(&cache, 1, 1, true));
    srv_snapshot_cache_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_cache__who_gets_a_page),
        cmocka_unit_test(test_snapshot_cache__what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
