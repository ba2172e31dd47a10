/* SPDX-License-Identifier: Apache-2.0
 *
 * Changesets that wait in the quarantine: what waits behind them, and what they do once they are
 * let go, when others, and their own author, have gone on meanwhile.
 */
#include "tests/unit/decide_world.h"

/* A changeset that waits, as it came. */
struct waiting {
    char *text;
    size_t length;
};

/* Sends what was built as from a user who is disabled, and keeps the text. */
static struct waiting send_waiting(struct world *world, struct device *device)
{
    device->author.account.disabled = true;
    struct verdict verdict = send_changeset(world, device);
    device->author.account.disabled = false;
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    struct waiting waiting = {strdup(world->last_text), world->last_length};
    assert_non_null(waiting.text);
    return waiting;
}

/* Lets it go, as an operator does. */
static struct verdict release(struct world *world, struct device *device, struct waiting *waiting)
{
    struct decide_input input;
    struct verdict verdict;
    struct decide_author author = device->author;
    decode_text(world, waiting->text, waiting->length, &input);
    author.decided = input.changeset.seq;
    hold_transaction(world);
    assert_int_equal(srv_decide_waiting(world->decide, &world->org, &author, &input, REJECT_NONE,
                                        world->now_ms, &verdict),
                     DAYBOOK_OK);
    let_go(world);
    free(waiting->text);
    return verdict;
}

static void build_prefs(struct world *world, const struct id *customer, int64_t seen,
                        const char *text)
{
    edit_record(world, ENTITY_CUSTOMER, customer, seen);
    put_text(world, CUSTOMER_PREFS, text);
    world->hlc_ms = world->now_ms;
}

/* Given a disabled user, when their device sends work, then it is kept in the quarantine, and what
 * touches its records waits behind it. */
static void test_decide_waiting__work_of_a_disabled_user_is_kept(void **state)
{
    struct world *world = *state;
    struct id known = make_customer(world, &world->li, "K");
    world->li.author.account.disabled = true;
    struct id customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    edit_record(world, ENTITY_CUSTOMER, &known, world->org.head);
    put_text(world, CUSTOMER_PREFS, "x");
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_AUTH);
    struct id cause = world->last_changeset;
    world->li.author.account.disabled = false;
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_DEPENDS);
    assert_memory_equal(&verdict.cause, &cause, sizeof cause);
    edit_record(world, ENTITY_CUSTOMER, &known, world->org.head);
    put_text(world, CUSTOMER_PREFS, "y");
    verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    edit_record(world, ENTITY_CUSTOMER, &known, world->org.head);
    put_text(world, CUSTOMER_PREFS, "z");
    (void)accept(world, &world->wang); /* others need not wait */
    (void)make_customer(world, &world->li, "other");
}

/* Given a user who is disabled, when work comes that was recorded before, or so shortly after that
 * clocks may differ, then it waits for an operator; what was surely recorded later is refused, and
 * so it is where the record is changed again meanwhile. */
static void test_decide_waiting__what_is_recorded_after_the_disabling_is_refused(void **state)
{
    struct world *world = *state;
    const struct id user = world->li.author.account.user;
    int64_t since_ms = WORLD_NOW_MS + 1000;
    for (int i = 0; i < 2; i++) {
        bool found;
        world->now_ms = since_ms + i * STAMP_AHEAD_MAX_MS * 4;
        edit_record(world, ENTITY_USER, &user, world->org.head);
        put_int(world, USER_DISABLED, 1);
        if (i == 1) {
            put_id(world, USER_TERRITORY_ID, &world->territories[WEST]);
        }
        (void)accept(world, &world->server);
        assert_int_equal(
            srv_store_get_account(world->store, &user, &world->li.author.account, &found),
            DAYBOOK_OK);
        const int64_t acts_ms[] = {since_ms - 1, since_ms + STAMP_AHEAD_MAX_MS - 1,
                                   since_ms + STAMP_AHEAD_MAX_MS};
        world->now_ms = since_ms + 10 * STAMP_AHEAD_MAX_MS;
        for (int act = 0; act < 3; act++) {
            (void)make_record(world, ENTITY_CUSTOMER);
            put_text(world, CUSTOMER_NAME, "C");
            world->hlc_ms = acts_ms[act];
            struct verdict verdict = send_changeset(world, &world->li);
            assert_int_equal(verdict.kind, act < 2 ? VERDICT_QUARANTINED : VERDICT_REJECTED);
            assert_int_equal(verdict.code, REJECT_AUTH);
            assert_string_equal(verdict.rule, "disabled");
        }
    }
}

/* Given a changeset that waits, when another device's on the same record waits, too, or is refused
 * for it, then what the first device sends later still waits behind its own. */
static void test_decide_waiting__each_device_waits_for_its_own(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    build_prefs(world, &customer, base, "li's first");
    struct waiting first = send_waiting(world, &world->li);
    struct id cause = world->last_changeset;
    build_prefs(world, &customer, base, "wang's");
    struct waiting other = send_waiting(world, &world->wang);
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &customer, 0);
    put_text(world, CUSTOMER_NAME, "once more");
    reject(world, &world->office, REJECT_EXISTS, "", "");
    build_prefs(world, &customer, base, "li's second");
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_DEPENDS);
    assert_memory_equal(&verdict.cause, &cause, sizeof cause);
    free(first.text);
    free(other.text);
}

/* Given an edit that waits, when its customer has become another, whom its author has edited since,
 * and the first is let go, then the later value stands and the earlier one is kept. */
static void test_decide_waiting__what_came_later_from_its_own_author_stands(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    int64_t base = world->org.head;
    build_prefs(world, &from, base, "earlier");
    put_text(world, FIELD_CUSTOM, "{\"floor\":1}");
    struct waiting waiting = send_waiting(world, &world->li);
    world->now_ms += 1000;
    edit_record(world, ENTITY_CUSTOMER, &from, world->org.head);
    put_id(world, CUSTOMER_REDIRECT_TO, &into);
    (void)accept(world, &world->server);
    world->now_ms += 1000;
    build_prefs(world, &into, world->org.head, "later");
    put_text(world, FIELD_CUSTOM, "{\"floor\":2}");
    int64_t before = accept(world, &world->li);
    world->now_ms += 1000;
    struct verdict verdict = release(world, &world->li, &waiting);
    assert_int_equal(verdict.kind, VERDICT_MERGED);
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_PREFS, "later");
    expect_text(world, ENTITY_CUSTOMER, &into, FIELD_CUSTOM, "{\"floor\":2}");
    const char *page = pull_all(world, &world->wang, before);
    expect_in(page, "\"prefs\",\"\\\"later\\\"\",\"\\\"earlier\\\"\"");
    expect_in(page, "\"custom.floor\",\"2\",\"1\"");
    /* Whose they are is as it was: the author goes on without a conflict. */
    build_prefs(world, &into, base, "last");
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_PREFS, "last");
}

/* Given a line that waits, when its author has sent the quote since, and the line is let go, then
 * what was sent stays and the line goes to the next revision. */
static void test_decide_waiting__a_quote_that_was_sent_since_stays(void **state)
{
    struct world *world = *state;
    struct id product = make_product(world, "TEA");
    struct id customer = make_customer(world, &world->li, "C");
    struct id quote = add_quote(world, &customer);
    int64_t base = accept(world, &world->li);
    struct id line = add_line(world, &quote, &product, 1000);
    struct waiting waiting = send_waiting(world, &world->li);
    edit_record(world, ENTITY_QUOTE, &quote, base);
    put_text(world, QUOTE_STATUS, "sent");
    int64_t before = accept(world, &world->li);
    struct verdict verdict = release(world, &world->li, &waiting);
    assert_int_equal(verdict.kind, VERDICT_MERGED);
    assert_false(is_live(world, ENTITY_QUOTE_LINE, &line));
    expect_in(pull_all(world, &world->wang, before), "\"revision\"");
}

/* A large record for the quarantine. */
static void build_large(struct world *world, const char *text)
{
    for (int i = 0; i < 800; i++) {
        (void)make_record(world, ENTITY_VISIT);
        put_text(world, VISIT_FEEDBACK, text);
    }
}

/* Given a user of whom as much waits as may, when more comes, from whichever device, then it is not
 * decided and can be sent again; others go on, and what need not wait is decided; once something
 * has been let go, there is room again. */
static void test_decide_waiting__the_quarantine_has_bounds(void **state)
{
    struct world *world = *state;
    struct decide_input input;
    struct verdict verdict;
    struct waiting first = {NULL, 0};
    char text[4001];
    struct device other;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int64_t size = 0; size + (int64_t)first.length <= LIMIT_QUARANTINE_BYTES;
         size += (int64_t)first.length) {
        free(first.text);
        build_large(world, text);
        first = send_waiting(world, &world->li);
    }
    make_device(world, &other, &world->li.author.account.user);
    other.author.account.disabled = true;
    for (int i = 0; i < 2; i++) {
        struct id id = new_id(world);
        int64_t head = world->org.head;
        build_large(world, text);
        encode_changeset(world, 1, &id);
        decode_text(world, world->last_text, world->last_length, &input);
        assert_int_equal(decide_input(world, &other, &input, &verdict), DECIDE_FULL);
        assert_int_equal(other.author.decided, 0);
        assert_int_equal(world->org.head, head);
    }
    build_large(world, text);
    struct waiting wangs = send_waiting(world, &world->wang);
    (void)make_customer(world, &world->li, "need not wait");
    (void)release(world, &world->li, &first);
    struct id id = new_id(world);
    other.author.measured = false; /* by another request */
    build_large(world, text);
    encode_changeset(world, 1, &id);
    assert_int_equal(resend(world, &other, &verdict), DECIDE_VERDICT);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    free(wangs.text);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_waiting__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(work_of_a_disabled_user_is_kept),
        TEST(what_is_recorded_after_the_disabling_is_refused),
        TEST(each_device_waits_for_its_own),
        TEST(what_came_later_from_its_own_author_stands),
        TEST(a_quote_that_was_sent_since_stays),
        TEST(the_quarantine_has_bounds),
    };
    return cmocka_run_group_tests_name("decide_waiting", tests, NULL, NULL);
}
