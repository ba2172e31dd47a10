/* SPDX-License-Identifier: Apache-2.0
 *
 * Exactly once: repeats, gaps, copies of a device's store, and what is sent again under a new
 * instance.
 */
#include "tests/unit/decide_world.h"

/* Builds the changeset that most tests send: one customer. */
static struct id build(struct world *world, const char *name)
{
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, name);
    return id;
}

/* Given decided changesets of each kind, when they are sent again, then the stored verdict comes,
 * flagged, and nothing happens. */
static void test_decide_seen__a_repeat_gets_the_stored_verdict(void **state)
{
    struct world *world = *state;
    struct id id = build(world, "C");
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 1) { /* rejected */
            (void)make_record(world, ENTITY_CUSTOMER);
            put_text(world, CUSTOMER_PREFS, "no name");
        } else if (kind == 2) { /* merged */
            edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
            put_text(world, CUSTOMER_PREFS, "wang");
            int64_t base = world->org.head;
            (void)accept(world, &world->wang);
            edit_record(world, ENTITY_CUSTOMER, &id, base);
            put_text(world, CUSTOMER_PREFS, "li");
        }
        struct verdict first = send_changeset(world, &world->li);
        int64_t head = world->org.head;
        for (int i = 0; i < 2; i++) {
            struct verdict again;
            assert_int_equal(resend(world, &world->li, &again), DECIDE_VERDICT);
            assert_true(again.duplicate);
            assert_int_equal(again.kind, first.kind);
            assert_int_equal(again.position, first.position);
            assert_int_equal(again.code, first.code);
            assert_string_equal(again.field, first.field);
        }
        assert_int_equal(world->org.head, head);
    }
    assert_true(is_live(world, ENTITY_CUSTOMER, &id));
}

/* Given seq n decided, when n + 2 comes, then GAP and nothing is decided. */
static void test_decide_seen__a_gap_is_refused(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct id id = new_id(world);
    (void)build(world, "C");
    encode_changeset(world, 2, &id);
    assert_int_equal(resend(world, &world->li, &verdict), DECIDE_GAP);
    assert_int_equal(world->li.author.decided, 0);
}

/* Given a decided changeset, when another comes under its seq, or it comes under another seq, or
 * with another content, then the store is a copy. */
static void test_decide_seen__a_copy_is_found_out(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct id id = build(world, "C");
    (void)accept(world, &world->li);
    struct id changeset = world->last_changeset;
    struct id other = new_id(world);
    (void)build(world, "D");
    encode_changeset(world, 1, &other);
    assert_int_equal(resend(world, &world->li, &verdict), DECIDE_DIVERGED);
    (void)build(world, "E");
    encode_changeset(world, 1, &changeset);
    assert_int_equal(resend(world, &world->li, &verdict), DECIDE_DIVERGED);
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_text(world, CUSTOMER_PREFS, "x");
    encode_changeset(world, 2, &changeset);
    assert_int_equal(resend(world, &world->li, &verdict), DECIDE_DIVERGED);
    assert_int_equal(world->li.author.decided, 1);
}

/* Given a store that was restored, worked on, and copied: when one of the two has sent its work
 * under a new instance, and the other comes with the same under the old one, where another
 * changeset had one of the numbers before it was restored, then it is a copy, too. What has not
 * that number is repeated. */
static void test_decide_seen__a_copy_of_a_restored_store(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct device restored;
    char *texts[2];
    (void)build(world, "kept");
    (void)accept(world, &world->li);
    texts[0] = strdup(world->last_text);
    (void)build(world, "not in the backup");
    (void)accept(world, &world->li);
    make_device(world, &restored, &world->li.author.account.user);
    for (int i = 0; i < 2; i++) {
        struct id changeset = new_id(world);
        if (i == 0) {
            free(world->last_text);
            world->last_text = strdup(texts[0]);
            world->last_length = strlen(texts[0]);
        } else {
            (void)build(world, "after it");
            encode_changeset(world, 2, &changeset);
            texts[1] = strdup(world->last_text);
        }
        assert_int_equal(resend(world, &restored, &verdict), DECIDE_VERDICT);
        assert_int_equal(verdict.duplicate, i == 0);
    }
    for (int i = 0; i < 2; i++) {
        free(world->last_text);
        world->last_text = texts[i];
        world->last_length = strlen(texts[i]);
        assert_int_equal(resend(world, &world->li, &verdict),
                         i == 0 ? DECIDE_VERDICT : DECIDE_DIVERGED);
    }
}

/* Given accepted and rejected changesets, when the device sends them again under a new instance and
 * other numbers, then each has its old verdict, flagged, no second effect, and a marker for the new
 * instance; again the same when that reply was lost too. */
static void test_decide_seen__sent_again_under_a_new_instance(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct device again = world->li;
    (void)build(world, "first, settled long ago");
    (void)accept(world, &world->li);
    struct id id = build(world, "C");
    int64_t position = accept(world, &world->li);
    struct id changeset = world->last_changeset;
    char *accepted = strdup(world->last_text);
    make_device(world, &again, &world->li.author.account.user);
    int64_t head = world->org.head;
    /* The text with seq 1 in the place of 2. */
    char *seq = strstr(accepted, "\"seq\":2");
    assert_non_null(seq);
    seq[6] = '1';
    free(world->last_text);
    world->last_text = accepted;
    world->last_length = strlen(accepted);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(resend(world, &again, &verdict), DECIDE_VERDICT);
        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        assert_true(verdict.duplicate);
        assert_int_equal(verdict.position, position);
        assert_int_equal(verdict.seq, 1);
        assert_int_equal(again.author.decided, 1);
    }
    assert_int_equal(world->org.head, head);
    assert_int_equal(version_of(world, ENTITY_CUSTOMER, &id), position);
    const char *page = pull_all(world, &again, 0);
    expect_in(page, wire(world, &changeset));
    expect_in(page, "settled long ago"); /* what it no longer has comes as everybody's */
    /* It would take itself for the maker; the row behind the marker says who was. */
    page = pull_all(world, &again, position - 1);
    expect_in(page, "\"op\":\"own\"");
    expect_in(page, "\"customer\",\"op\":\"new\"");
    expect_in(page, "created_dev");
    /* Somebody else's content under an id that was decided is refused, and does not stop the
     * device. */
    (void)build(world, "impostor");
    encode_changeset(world, 2, &changeset);
    world->last_changeset = changeset;
    assert_int_equal(resend(world, &again, &verdict), DECIDE_DIVERGED);
    (void)build(world, "impostor");
    encode_changeset(world, 1, &changeset);
    assert_int_equal(resend(world, &world->wang, &verdict), DECIDE_VERDICT);
    assert_int_equal(verdict.code, REJECT_EXISTS);
    assert_string_equal(verdict.rule, "changeset_id");
    (void)make_customer(world, &world->wang, "goes on");
}

/* Given verdicts that were acknowledged and dropped, when the changeset comes again under a new
 * instance, then it still is known. */
static void test_decide_seen__an_id_is_known_for_ever(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct device again;
    (void)build(world, "C");
    int64_t position = accept(world, &world->li);
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(
        srv_store_mark_device(world->store, world->li.author.device_no, 1, 1, world->now_ms),
        DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    make_device(world, &again, &world->li.author.account.user);
    assert_int_equal(resend(world, &again, &verdict), DECIDE_VERDICT);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_true(verdict.duplicate);
    assert_int_equal(verdict.position, position);
}

/* Given a changeset whose verdict was acknowledged and dropped, when another content comes under
 * its id, then from the same instance it is a copy's, and from another it is refused. */
static void test_decide_seen__a_content_is_known_for_ever(void **state)
{
    struct world *world = *state;
    struct verdict verdict;
    struct device again;
    (void)build(world, "C");
    (void)accept(world, &world->li);
    struct id changeset = world->last_changeset;
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(
        srv_store_mark_device(world->store, world->li.author.device_no, 1, 1, world->now_ms),
        DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    make_device(world, &again, &world->li.author.account.user);
    (void)build(world, "typed on a copy");
    encode_changeset(world, 1, &changeset);
    assert_int_equal(resend(world, &world->li, &verdict), DECIDE_DIVERGED);
    assert_int_equal(resend(world, &again, &verdict), DECIDE_VERDICT);
    assert_int_equal(verdict.code, REJECT_EXISTS);
    assert_string_equal(verdict.rule, "changeset_id");
}

/* Given a text, when its seq changes, then the digest is the same; when anything behind it changes,
 * another. */
static void test_decide_seen__the_digest_is_of_the_changes(void **state)
{
    (void)state;
    static const char a[] = "{\"id\":\"x\",\"seq\":1,\"changes\":[1]}";
    static const char b[] = "{\"id\":\"x\",\"seq\":22,\"changes\":[1]}";
    static const char c[] = "{\"id\":\"x\",\"seq\":1,\"changes\":[2]}";
    uint8_t digests[3][HASH_SIZE];
    assert_true(srv_decide_digest(a, sizeof a - 1, digests[0]));
    assert_true(srv_decide_digest(b, sizeof b - 1, digests[1]));
    assert_true(srv_decide_digest(c, sizeof c - 1, digests[2]));
    assert_memory_equal(digests[0], digests[1], HASH_SIZE);
    assert_memory_not_equal(digests[0], digests[2], HASH_SIZE);
}

/* Given many entries of several buckets, when they are pulled one byte at a time, then each page
 * has one whole position, and together they are what one page would have been. */
static void test_decide_seen__pages_of_one_position(void **state)
{
    struct world *world = *state;
    struct id east = make_customer(world, &world->li, "E");
    struct id west = make_customer(world, &world->tom, "W");
    for (int i = 0; i < 5; i++) {
        edit_record(world, ENTITY_CUSTOMER, &east, world->org.head);
        put_text(world, CUSTOMER_PREFS, i % 2 == 0 ? "a" : "b");
        edit_record(world, ENTITY_CUSTOMER, &west, world->org.head);
        put_text(world, CUSTOMER_PREFS, i % 2 == 0 ? "a" : "b");
        (void)accept(world, &world->office);
        (void)make_customer(world, i % 2 == 0 ? &world->tom : &world->wang, "more");
    }
    struct device *readers[] = {&world->li, &world->tom, &world->office};
    for (int r = 0; r < 3; r++) {
        int64_t position = 0;
        int pages = 0;
        while (position < world->org.head) {
            int64_t before = position;
            const char *page = pull(world, readers[r], position, 1);
            assert_true(world->position > before);
            position = world->position;
            char number[32];
            (void)snprintf(number, sizeof number, "[%lld,\"", (long long)position);
            if (page[0] != '\0') {
                expect_in(page, number);
                pages++;
            }
            assert_true(pages <= world->org.head);
        }
        assert_true(pages > 5);
    }
}

/* Given own entries, rejected ones and those of others, when a device pulls with its settled mark
 * moving on, then markers come for what is not settled only. */
static void test_decide_seen__markers_of_what_is_not_settled(void **state)
{
    struct world *world = *state;
    (void)build(world, "first");
    (void)accept(world, &world->li);
    struct id first = world->last_changeset;
    (void)make_record(world, ENTITY_CUSTOMER);
    reject(world, &world->li, REJECT_REQUIRED, "name", "required");
    struct id rejected = world->last_changeset;
    (void)build(world, "third");
    (void)accept(world, &world->li);
    struct id third = world->last_changeset;
    const char *page = pull_all(world, &world->li, 0);
    expect_in(page, wire(world, &first));
    expect_in(page, wire(world, &third));
    expect_not_in(page, wire(world, &rejected));
    expect_not_in(page, "\"third\"");
    world->li.settled = 2;
    page = pull_all(world, &world->li, 0);
    expect_not_in(page, wire(world, &first));
    expect_in(page, "\"first\"");
    expect_in(page, wire(world, &third));
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_seen__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeat_gets_the_stored_verdict),
        TEST(a_gap_is_refused),
        TEST(a_copy_is_found_out),
        TEST(a_copy_of_a_restored_store),
        TEST(sent_again_under_a_new_instance),
        TEST(an_id_is_known_for_ever),
        TEST(a_content_is_known_for_ever),
        TEST(the_digest_is_of_the_changes),
        TEST(pages_of_one_position),
        TEST(markers_of_what_is_not_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
