/* SPDX-License-Identifier: Apache-2.0
 *
 * Records as wholes: edits against deletes in both orders of arrival, documents with their lines,
 * and what each side is sent.
 */
#include "tests/unit/decide_world.h"

#include "engine/sales/machines.h"

/* A quote of li's with two lines, known to everybody. */
struct quote {
    struct id customer, product, id, lines[2];
    int64_t base;
};

static struct quote make_quote(struct world *world)
{
    struct quote quote = {.customer = make_customer(world, &world->li, "C")};
    quote.product = make_product(world, "TEA");
    quote.id = add_quote(world, &quote.customer);
    quote.lines[0] = add_line(world, &quote.id, &quote.product, 1000);
    quote.lines[1] = add_line(world, &quote.id, &quote.product, 2000);
    quote.base = accept(world, &world->li);
    return quote;
}

/* Adds the deletes of the quote and its lines to the changeset being built, as seen at the base. */
static void delete_quote(struct world *world, const struct quote *quote)
{
    delete_record(world, ENTITY_QUOTE, &quote->id, quote->base);
    delete_record(world, ENTITY_QUOTE_LINE, &quote->lines[0], quote->base);
    delete_record(world, ENTITY_QUOTE_LINE, &quote->lines[1], quote->base);
}

/* How many of the quote and its two lines are there. */
static int live(struct world *world, const struct quote *quote)
{
    return is_live(world, ENTITY_QUOTE, &quote->id) +
           is_live(world, ENTITY_QUOTE_LINE, &quote->lines[0]) +
           is_live(world, ENTITY_QUOTE_LINE, &quote->lines[1]);
}

/* Given a contact, when one deletes it and the other does too, then it is gone, both are told yes,
 * and the second takes nothing with it. */
static void test_decide_deletion__two_deletes_are_one(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    struct id id = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &customer);
    put_text(world, CONTACT_NAME, "Anna");
    int64_t base = accept(world, &world->li);
    delete_record(world, ENTITY_CONTACT, &id, base);
    int64_t first = accept(world, &world->li);
    delete_record(world, ENTITY_CONTACT, &id, base);
    int64_t second = accept(world, &world->wang);
    assert_false(is_live(world, ENTITY_CONTACT, &id));
    assert_int_equal(version_of(world, ENTITY_CONTACT, &id), first);
    expect_in(pull_all(world, &world->wang, base), "\"contact\",\"op\":\"delete\"");
    assert_string_equal(pull_all(world, &world->li, first), "");
    const char *page = pull_all(world, &world->wang, first);
    expect_in(page, "\"op\":\"own\"");
    expect_in(page, ",0]]");
    assert_int_equal(second, first + 1);
}

/* Given a customer that wang edits, when li deletes it without having seen that, then the edit
 * wins: the record stays, li gets it back whole, the conflict log has "*". */
static void test_decide_deletion__an_edit_that_came_first_wins(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "wang's");
    (void)accept(world, &world->wang);
    delete_record(world, ENTITY_CUSTOMER, &id, base);
    int64_t position = merge(world, &world->li);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "wang's");
    assert_int_equal(version_of(world, ENTITY_CUSTOMER, &id), position);
    const char *page = pull_all(world, &world->li, position - 1);
    expect_in(page, "\"customer\",\"op\":\"new\"");
    expect_in(page, "wang's");
    expect_in(page, "\"*\"");
    page = pull_all(world, &world->wang, position - 1);
    expect_in(page, "\"customer\",\"op\":\"set\",\"fields\":[]");
    expect_not_in(page, "\"op\":\"delete\"");
}

/* Given a customer that li deleted, when wang's edit arrives that had not seen it, then the edit
 * wins all the same: the record is back with it, for everybody whole. One that had seen the delete
 * is refused. */
static void test_decide_deletion__an_edit_that_comes_second_revives(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    delete_record(world, ENTITY_CUSTOMER, &id, base);
    int64_t deleted = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &id, deleted);
    put_text(world, CUSTOMER_PREFS, "too late");
    reject(world, &world->wang, REJECT_REF_MISSING, "", "");
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "own delete");
    reject(world, &world->li, REJECT_REF_MISSING, "", "");
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, "wang's");
    int64_t position = merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_PREFS, "wang's");
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "C");
    for (int i = 0; i < 2; i++) {
        const char *page = pull_all(world, i == 0 ? &world->li : &world->wang, position - 1);
        expect_in(page, "\"customer\",\"op\":\"new\"");
        expect_in(page, "wang's");
    }
}

/* Given a quote with lines, when it is deleted with them, then all is gone. */
static void test_decide_deletion__a_document_takes_its_lines_along(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    delete_quote(world, &quote);
    int64_t position = accept(world, &world->wang);
    assert_int_equal(live(world, &quote), 0);
    expect_not_in(pull_all(world, &world->wang, position - 1), wire(world, &quote.lines[0]));
    const char *page = pull_all(world, &world->li, position - 1);
    expect_in(page, wire(world, &quote.lines[0]));
    expect_in(page, wire(world, &quote.lines[1]));
    expect_in(page, wire(world, &quote.id));
}

/* Given a quote with lines, when a device deletes it that names one of them only, then it did not
 * show the other, although it has seen the quote as it is since that was made: a page of the line
 * was still on the way. The quote stays with both. */
static void test_decide_deletion__a_line_that_was_not_shown_keeps_the_document(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    delete_record(world, ENTITY_QUOTE, &quote.id, quote.base);
    delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    int64_t position = merge(world, &world->wang);
    assert_int_equal(live(world, &quote), 3);
    const char *page = pull_all(world, &world->wang, position - 1);
    expect_in(page, wire(world, &quote.lines[0]));
    expect_in(page, "\"*\"");
}

/* Given a line that wang adds, or edits, when li deletes the quote without having seen it, then the
 * quote stays with all its lines. */
static void test_decide_deletion__a_concurrent_line_keeps_the_document(void **state)
{
    struct world *world = *state;
    for (int added = 0; added < 2; added++) {
        struct quote quote = make_quote(world);
        if (added == 1) {
            (void)add_line(world, &quote.id, &quote.product, 5000);
        } else {
            edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
            put_qty(world, 7000);
        }
        (void)accept(world, &world->wang);
        delete_quote(world, &quote);
        int64_t position = merge(world, &world->li);
        assert_int_equal(live(world, &quote), 3);
        const char *page = pull_all(world, &world->li, position - 1);
        expect_in(page, "\"quote\",\"op\":\"new\"");
        expect_in(page, "\"quote_line\",\"op\":\"new\"");
        expect_in(page, wire(world, &quote.lines[1]));
        expect_in(page, "\"*\"");
        assert_int_equal(version_of(world, ENTITY_QUOTE_LINE, &quote.lines[1]), position);
        expect_not_in(pull_all(world, &world->wang, position - 1), "\"op\":\"delete\"");
    }
}

/* Given a quote that li deleted, and before that one line on its own, when wang's line, or his edit
 * of a line, or of the quote, arrives that had not seen it, then the quote is back with all lines
 * but that one. */
static void test_decide_deletion__a_late_line_revives_the_document(void **state)
{
    struct world *world = *state;
    for (int kind = 0; kind < 3; kind++) {
        struct quote quote = make_quote(world);
        struct id own = add_line(world, &quote.id, &quote.product, 9000);
        int64_t added = accept(world, &world->li);
        delete_record(world, ENTITY_QUOTE_LINE, &own, added);
        (void)accept(world, &world->li);
        delete_quote(world, &quote);
        (void)accept(world, &world->li);
        assert_int_equal(live(world, &quote), 0);
        struct id late = {{0}};
        if (kind == 0) {
            late = add_line(world, &quote.id, &quote.product, 5000);
        } else if (kind == 1) {
            edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
            put_qty(world, 7000);
        } else {
            edit_record(world, ENTITY_QUOTE, &quote.id, quote.base);
            put_text(world, QUOTE_NOTE, "wait");
        }
        int64_t position = merge(world, &world->wang);
        assert_int_equal(live(world, &quote), 3);
        assert_false(is_live(world, ENTITY_QUOTE_LINE, &own));
        if (kind == 0) {
            assert_true(is_live(world, ENTITY_QUOTE_LINE, &late));
        }
        int64_t wanted[] = {10000 * (1 + 2 + 5), 10000 * (7 + 2), 10000 * (1 + 2)};
        expect_int(world, ENTITY_QUOTE, &quote.id, QUOTE_SUBTOTAL, wanted[kind] / 10);
        for (int i = 0; i < 2; i++) {
            const char *page = pull_all(world, i == 0 ? &world->li : &world->wang, position - 1);
            expect_in(page, "\"quote\",\"op\":\"new\"");
            expect_in(page, wire(world, &quote.lines[1]));
            expect_not_in(page, wire(world, &own));
        }
    }
}

/* Given a quote that wang himself deleted, when he adds a line to it, then the line has no
 * document. */
static void test_decide_deletion__no_line_for_a_document_that_one_deleted(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    delete_quote(world, &quote);
    (void)accept(world, &world->wang);
    (void)add_line(world, &quote.id, &quote.product, 5000);
    reject(world, &world->wang, REJECT_REF_MISSING, "quote_id", "");
}

/* Given a line edited by wang, when li deletes it alone, then the edit wins for the line; a line
 * that nobody touched goes. */
static void test_decide_deletion__a_line_alone(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    put_qty(world, 7000);
    (void)accept(world, &world->wang);
    delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[1], quote.base);
    (void)merge(world, &world->li);
    assert_true(is_live(world, ENTITY_QUOTE_LINE, &quote.lines[0]));
    assert_false(is_live(world, ENTITY_QUOTE_LINE, &quote.lines[1]));
    expect_int(world, ENTITY_QUOTE, &quote.id, QUOTE_SUBTOTAL, 7000);
}

/* Given a line that wang edited, when one deletes the quote with it and another, who had not seen
 * the edit, deletes the line alone and edits the quote, then both are there in either order of
 * arrival, and the line's delete is kept as what lost. */
static void test_decide_deletion__a_line_deleted_twice_unseen(void **state)
{
    struct world *world = *state;
    struct device tablet;
    make_device(world, &tablet, &world->li.author.account.user);
    for (int order = 0; order < 2; order++) {
        struct quote quote = make_quote(world);
        edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
        put_qty(world, 7000);
        int64_t edited = accept(world, &world->wang);
        for (int step = 0; step < 2; step++) {
            if (step == order) {
                delete_record(world, ENTITY_QUOTE, &quote.id, edited);
                delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], edited);
                delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[1], edited);
                (void)send_changeset(world, &tablet);
            } else {
                edit_record(world, ENTITY_QUOTE, &quote.id, quote.base);
                put_int(world, QUOTE_HEADER_DISC_BP, 500);
                delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
                (void)merge(world, &world->li);
            }
        }
        assert_int_equal(live(world, &quote), 3);
        expect_int(world, ENTITY_QUOTE_LINE, &quote.lines[0], QUOTE_LINE_QTY, 7000);
        const char *page = pull_all(world, &world->wang, edited);
        char noted[200];
        (void)snprintf(noted, sizeof noted, "\"quote_line\",\"%s\",\"*\"",
                       wire(world, &quote.lines[0]));
        expect_in(page, noted);
    }
}

/* Given a quote that was deleted, when a changeset only says that its author had seen a line of it,
 * then quote and line stay away. */
static void test_decide_deletion__to_have_seen_is_no_edit(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    delete_quote(world, &quote);
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    edit_record(world, ENTITY_CUSTOMER, &quote.customer, quote.base);
    put_text(world, CUSTOMER_PREFS, "tea");
    (void)accept(world, &world->wang);
    assert_int_equal(live(world, &quote), 0);
}

/* A quote that one rep deletes while another, who sees it no more when the change arrives, works on
 * a line of it. */
struct move {
    struct quote quote;
    struct device rep; /* the other */
    bool adds, rep_moves;
    int64_t start_ms;
};

/* One act of three: 0 the delete, 1 the move to the west, 2 the work on a line. */
static void act(struct world *world, struct move *move, int what)
{
    const struct quote *quote = &move->quote;
    world->now_ms = move->start_ms + (what == 1 ? 2000 : 5000);
    if (what == 1) {
        const struct id *moved =
            move->rep_moves ? &move->rep.author.account.user : &quote->customer;
        bool found;
        edit_record(world, move->rep_moves ? ENTITY_USER : ENTITY_CUSTOMER, moved, world->org.head);
        put_id(world, move->rep_moves ? USER_TERRITORY_ID : CUSTOMER_TERRITORY_ID,
               &world->territories[WEST]);
        (void)accept(world, &world->server);
        struct decide_author *author = &move->rep.author;
        assert_int_equal(
            srv_store_get_account(world->store, &author->account.user, &author->account, &found),
            DAYBOOK_OK);
        assert_int_equal(
            srv_scope_of(world->store, &author->account, SCOPE_NOW, &world->scopes, &author->scope),
            DAYBOOK_OK);
        return;
    }
    if (what == 0) {
        delete_quote(world, quote);
    } else if (move->adds) {
        (void)add_line(world, &quote->id, &quote->product, 5000);
    } else {
        edit_record(world, ENTITY_QUOTE_LINE, &quote->lines[0], quote->base);
        put_qty(world, 3000);
    }
    world->hlc_ms = move->start_ms + 1000;
    struct verdict verdict = send_changeset(world, what == 0 ? &world->wang : &move->rep);
    assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
}

/* Given a quote that one rep deletes, when another, unseen, adds a line or edits one, and before
 * that arrives the customer, or that rep, has gone to another territory, then the quote is there
 * with all its lines, in every order of arrival. */
static void test_decide_deletion__work_of_before_a_move_brings_a_document_back(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    for (int round = 0; round < 4 * 6; round++) {
        char login[20];
        const int *order = orders[round / 4];
        struct move move = {.adds = round % 2 == 1, .rep_moves = round / 2 % 2 == 1};
        (void)snprintf(login, sizeof login, "rep%d", round);
        make_user(world, &move.rep, login, "rep", &world->territories[EAST]);
        move.quote = make_quote(world);
        move.start_ms = world->now_ms;
        for (int i = 0; i < 3; i++) {
            act(world, &move, order[i]);
        }
        assert_int_equal(live(world, &move.quote), 3);
        expect_int(world, ENTITY_QUOTE, &move.quote.id, QUOTE_SUBTOTAL, move.adds ? 8000 : 5000);
    }
}

/* Given a quote of a customer that has left its rep, when somebody who never saw it adds a line to
 * it after it was deleted, then nothing comes back. */
static void test_decide_deletion__a_stranger_brings_nothing_back(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    delete_quote(world, &quote);
    (void)accept(world, &world->wang);
    (void)add_line(world, &quote.id, &quote.product, 5000);
    reject(world, &world->tom, REJECT_REF_MISSING, "quote_id", "");
    assert_int_equal(live(world, &quote), 0);
}

/* Given a document, when a change of a line or its header changes the sums, then the stored columns
 * follow, and nobody is sent them. */
static void test_decide_deletion__sums_follow_and_do_not_travel(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    expect_int(world, ENTITY_QUOTE, &quote.id, QUOTE_SUBTOTAL, 3000);
    edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    put_qty(world, 3000);
    int64_t position = accept(world, &world->li);
    expect_int(world, ENTITY_QUOTE, &quote.id, QUOTE_SUBTOTAL, 5000);
    expect_int(world, ENTITY_QUOTE_LINE, &quote.lines[0], QUOTE_LINE_AMOUNT, 3000);
    assert_int_equal(version_of(world, ENTITY_QUOTE, &quote.id), quote.base);
    const char *page = pull_all(world, &world->wang, quote.base - 1);
    expect_not_in(page, "subtotal");
    expect_not_in(page, "\"amount\"");
    edit_record(world, ENTITY_QUOTE, &quote.id, position);
    put_int(world, QUOTE_HEADER_DISC_BP, 1000);
    (void)accept(world, &world->li);
    expect_int(world, ENTITY_QUOTE, &quote.id, QUOTE_TOTAL, 4500);
}

/* Given a quote, when one edits a line and then deletes it, and another who has not seen either
 * deletes the quote, then the quote stays without the line, whoever comes first. */
static void test_decide_deletion__work_on_a_line_that_is_gone_counts(void **state)
{
    struct world *world = *state;
    for (int edit_first = 0; edit_first < 2; edit_first++) {
        struct quote quote = make_quote(world);
        for (int turn = 0; turn < 2; turn++) {
            if ((turn == 0) == (edit_first == 1)) {
                edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
                put_int(world, QUOTE_LINE_QTY, 5000);
                (void)(turn == 0 ? accept(world, &world->wang) : merge(world, &world->wang));
                delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
                (void)accept(world, &world->wang);
            } else {
                delete_quote(world, &quote);
                (void)(turn == 0 ? accept(world, &world->li) : merge(world, &world->li));
            }
        }
        assert_true(is_live(world, ENTITY_QUOTE, &quote.id));
        assert_false(is_live(world, ENTITY_QUOTE_LINE, &quote.lines[0]));
        assert_true(is_live(world, ENTITY_QUOTE_LINE, &quote.lines[1]));
    }
}

/* Given a quote whose line one has edited and deleted, when another who has seen that deletes the
 * quote, then it is deleted: the version of the quote is as old as ever, and does not tell. */
static void test_decide_deletion__a_line_that_was_seen_to_go_holds_nothing(void **state)
{
    struct world *world = *state;
    struct quote quote = make_quote(world);
    edit_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], quote.base);
    put_int(world, QUOTE_LINE_QTY, 5000);
    (void)accept(world, &world->wang);
    delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[0], world->org.head);
    (void)accept(world, &world->wang);
    delete_record(world, ENTITY_QUOTE, &quote.id, quote.base);
    delete_record(world, ENTITY_QUOTE_LINE, &quote.lines[1], quote.base);
    (void)accept(world, &world->li);
    assert_int_equal(live(world, &quote), 0);
}

/* Given a deal, when one says the state that it is in and another deletes it unseen, then it stays,
 * whoever comes first, and the conflict log says by whose work. */
static void test_decide_deletion__a_state_said_again_is_an_edit(void **state)
{
    struct world *world = *state;
    for (int edit_first = 0; edit_first < 2; edit_first++) {
        char entry[60];
        struct id customer = make_customer(world, &world->li, "shop");
        struct id id = make_record(world, ENTITY_OPPORTUNITY);
        put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
        put_text(world, OPPORTUNITY_SUBJECT, "deal");
        int64_t base = accept(world, &world->li);
        for (int turn = 0; turn < 2; turn++) {
            bool edits = (turn == 0) == (edit_first == 1);
            if (edits) {
                edit_record(world, ENTITY_OPPORTUNITY, &id, base);
                put_text(world, dk_machine_field(dk_entity(ENTITY_OPPORTUNITY)), "tracking");
            } else {
                delete_record(world, ENTITY_OPPORTUNITY, &id, base);
            }
            struct device *who = edits ? &world->wang : &world->li;
            (void)(turn == 0 ? accept(world, who) : merge(world, who));
        }
        assert_true(is_live(world, ENTITY_OPPORTUNITY, &id));
        (void)snprintf(entry, sizeof entry, "\"\\\"edit\\\"\",\"\\\"delete\\\"\",%u,%u,",
                       world->wang.author.device_no, world->li.author.device_no);
        expect_in(pull_all(world, &world->office, base), entry);
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_deletion__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_deletes_are_one),
        TEST(an_edit_that_came_first_wins),
        TEST(an_edit_that_comes_second_revives),
        TEST(a_document_takes_its_lines_along),
        TEST(a_line_that_was_not_shown_keeps_the_document),
        TEST(a_concurrent_line_keeps_the_document),
        TEST(a_late_line_revives_the_document),
        TEST(no_line_for_a_document_that_one_deleted),
        TEST(a_line_alone),
        TEST(a_line_deleted_twice_unseen),
        TEST(to_have_seen_is_no_edit),
        TEST(work_of_before_a_move_brings_a_document_back),
        TEST(a_stranger_brings_nothing_back),
        TEST(sums_follow_and_do_not_travel),
        TEST(work_on_a_line_that_is_gone_counts),
        TEST(a_line_that_was_seen_to_go_holds_nothing),
        TEST(a_state_said_again_is_an_edit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
