/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from steps where two records, or two people, have their part in it: the same in both
 * orders of arrival.
 */
#include "tests/unit/paper_world.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

static struct device boss;

static int set_up(void **state)
{
    (void)setup_world(state);
    make_user(*state, &boss, "boss", "manager", &((struct world *)*state)->territories[EAST]);
    return 0;
}

/* An opportunity with a quote that was sent. */
struct deal {
    struct id customer, id, quote;
    int64_t seen;
};

static struct deal make_deal(struct world *world)
{
    struct deal deal = {.customer = make_customer(world, &world->li, "shop")};
    deal.id = make_record(world, ENTITY_OPPORTUNITY);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &deal.customer);
    put_text(world, OPPORTUNITY_SUBJECT, "deal");
    (void)accept(world, &world->li);
    deal.quote = add_quote(world, &deal.customer);
    put_id(world, QUOTE_OPPORTUNITY_ID, &deal.id);
    put_text(world, QUOTE_STATUS, "sent");
    deal.seen = accept(world, &world->li);
    return deal;
}

/* The holds with this code that stand on a record. */
static int standing(struct world *world, const struct id *record, const char *code)
{
    struct srv_record *rows;
    struct id none = {{0}};
    int count, standing = 0;
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_HOLD),
                                       HOLD_RECORD, record, &none, 10, false, &world->arena, &rows,
                                       &count),
                     DAYBOOK_OK);
    for (int i = 0; i < count; i++) {
        const struct value *values = rows[i].record.values;
        standing += values[HOLD_CLEARED].kind == VALUE_NULL &&
                    values[HOLD_CODE].length == strlen(code) &&
                    memcmp(values[HOLD_CODE].text, code, strlen(code)) == 0;
    }
    return standing;
}

static void step_deal(struct world *world, struct device *device, const struct deal *deal,
                      int64_t seen, const char *status)
{
    edit_record(world, ENTITY_OPPORTUNITY, &deal->id, seen);
    put_text(world, OPPORTUNITY_STATUS, status);
    (void)accept(world, device);
}

static void accept_quote(struct world *world, const struct deal *deal)
{
    edit_record(world, ENTITY_QUOTE, &deal->quote, deal->seen);
    put_text(world, QUOTE_STATUS, "accepted");
    (void)accept(world, &world->wang);
}

/* Given an opportunity that one wins, while another has its quote accepted, when both have come,
 * then it waits for nobody, and everybody is told; until the quote comes, it does. */
static void test_decide_follow__evidence_lifts_the_hold_in_both_orders(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct deal deal = make_deal(world);
        int64_t won = 0;
        for (int i = 0; i < 2; i++) {
            if (i == order) {
                step_deal(world, &world->li, &deal, deal.seen, "won");
                won = world->org.head;
                assert_int_equal(standing(world, &deal.id, "REQUIRED"), order == 0);
            } else {
                accept_quote(world, &deal);
            }
        }
        assert_int_equal(standing(world, &deal.id, "REQUIRED"), 0);
        if (order == 0) {
            expect_in(pull_all(world, &world->office, won), "\"cleared\"");
        }
    }
}

/* Given an opportunity that is held, when it is reopened, then it waits for nobody any more; when
 * it is won once more, it does again. */
static void test_decide_follow__what_is_not_won_waits_for_nobody(void **state)
{
    struct world *world = *state;
    struct deal deal = make_deal(world);
    step_deal(world, &world->li, &deal, deal.seen, "won");
    assert_int_equal(standing(world, &deal.id, "REQUIRED"), 1);
    step_deal(world, &boss, &deal, world->org.head, "tracking");
    assert_int_equal(standing(world, &deal.id, "REQUIRED"), 0);
    step_deal(world, &world->li, &deal, world->org.head, "won");
    assert_int_equal(standing(world, &deal.id, "REQUIRED"), 1);
}

/* Given an opportunity that is held, when one deletes it, another edits it and a third has its
 * quote accepted, in any order, then it is there and waits for nobody. */
static void test_decide_follow__a_deal_that_comes_back_waits_for_nobody(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    for (size_t round = 0; round < sizeof orders / sizeof orders[0]; round++) {
        struct deal deal = make_deal(world);
        step_deal(world, &world->li, &deal, deal.seen, "won");
        int64_t won = world->org.head;
        for (int i = 0; i < 3; i++) {
            switch (orders[round][i]) {
            case 0:
                delete_record(world, ENTITY_OPPORTUNITY, &deal.id, won);
                (void)send_changeset(world, &boss);
                break;
            case 1:
                edit_record(world, ENTITY_OPPORTUNITY, &deal.id, won);
                put_text(world, OPPORTUNITY_STAGE, "signing");
                (void)send_changeset(world, &world->li);
                break;
            default: accept_quote(world, &deal); break;
            }
        }
        expect_text(world, ENTITY_OPPORTUNITY, &deal.id, OPPORTUNITY_STATUS, "won");
        assert_int_equal(standing(world, &deal.id, "REQUIRED"), 0);
    }
}

/* Given a quote that is good up to yesterday, when two accept it, neither knowing of the other,
 * then it is held where both are late, and not where one was in time, whoever comes first. */
static void test_decide_follow__accepted_in_time_by_one_is_in_time(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 4; round++) {
        struct paper paper = make_paper(world);
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_int(world, QUOTE_VALID_TO, 20261117); /* today is the 18th */
        put_text(world, QUOTE_STATUS, "sent");
        int64_t sent = accept(world, &world->wang);
        for (int i = 0; i < 2; i++) {
            bool in_time = (round >> i & 1) != 0;
            edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
            put_text(world, QUOTE_STATUS, i == 0 ? "accepted" : "converted");
            world->hlc_ms = world->now_ms - (in_time ? DAY_MS : 0);
            (void)send_changeset(world, i == 0 ? &world->wang : &world->li);
        }
        assert_int_equal(standing(world, &paper.quote, "LATE"), round == 0);
    }
}

/* Given a quote that was sent, when two make a revision of it under the same number and send that,
 * then the one that came first is superseded like the quote; also where the second names the first
 * as what it is a revision of. */
static void test_decide_follow__revisions_are_compared_by_the_numbers_they_get(void **state)
{
    struct world *world = *state;
    for (int chain = 0; chain < 2; chain++) {
        struct paper paper = make_paper(world);
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_text(world, QUOTE_STATUS, "sent");
        (void)accept(world, &world->wang);
        struct id revisions[2];
        for (int i = 0; i < 2; i++) {
            bool names_first = i == 1 && chain == 1;
            revisions[i] = add_quote(world, &paper.customer);
            put_id(world, QUOTE_REVISION_OF, names_first ? &revisions[0] : &paper.quote);
            put_int(world, QUOTE_REV, 2);
            put_text(world, QUOTE_STATUS, i == 0 && chain == 1 ? "draft" : "sent");
            (void)send_changeset(world, i == 0 ? &world->li : &world->wang);
        }
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "superseded");
        expect_text(world, ENTITY_QUOTE, &revisions[0], QUOTE_STATUS,
                    chain == 1 ? "draft" : "superseded");
        expect_text(world, ENTITY_QUOTE, &revisions[1], QUOTE_STATUS, "sent");
        expect_int(world, ENTITY_QUOTE, &revisions[1], QUOTE_REV, 3);
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_follow__##name, set_up, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(evidence_lifts_the_hold_in_both_orders),
        TEST(what_is_not_won_waits_for_nobody),
        TEST(a_deal_that_comes_back_waits_for_nobody),
        TEST(accepted_in_time_by_one_is_in_time),
        TEST(revisions_are_compared_by_the_numbers_they_get),
    };
    return cmocka_run_group_tests_name("decide_follow", tests, NULL, NULL);
}
