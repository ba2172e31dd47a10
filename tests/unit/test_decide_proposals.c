/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields under PROPOSE: who proposes and who decides, what a proposal says, and what becomes of the
 * record when it is accepted, declined or withdrawn, with others at the same field.
 */
#include "tests/unit/decide_world.h"

/* A customer of li's with this tax number. */
static struct id make_taxed(struct world *world, const char *tax_no)
{
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, CUSTOMER_TAX_NO, tax_no);
    (void)accept(world, &world->li);
    return id;
}

static void put_tax(struct world *world, const struct id *customer, int64_t seen, const char *tax)
{
    edit_record(world, ENTITY_CUSTOMER, customer, seen);
    if (tax == NULL) {
        put_null(world, CUSTOMER_TAX_NO);
    } else {
        put_text(world, CUSTOMER_TAX_NO, tax);
    }
}

/* Up to `most` proposals in the rows that the office is sent after a position. */
static int proposals_after(struct world *world, int64_t after, struct id *ids, int most)
{
    struct block_reader reader;
    struct row row;
    bool new_block;
    int count = 0;
    const char *page = pull_all(world, &world->office, after);
    size_t length = strlen(page);
    dk_block_open(&reader, dk_arena_copy(&world->arena, page, length), length, &world->arena);
    while (count < most && dk_block_next(&reader, &row, &new_block) == 1) {
        if (reader.block.entity->kind == ENTITY_PROPOSAL && reader.block.op == BLOCK_NEW) {
            ids[count++] = row.id;
        }
    }
    return count;
}

/* The first of them. */
static struct id proposal_after(struct world *world, int64_t after)
{
    struct id id;
    assert_int_equal(proposals_after(world, after, &id, 1), 1);
    return id;
}

/* What a rep proposes: the customer keeps its value. */
static struct id propose(struct world *world, struct device *rep, const struct id *customer,
                         int64_t seen, const char *tax)
{
    put_tax(world, customer, seen, tax);
    return proposal_after(world, merge(world, rep) - 1);
}

static void answer(struct world *world, const struct id *proposal, int64_t seen, const char *status)
{
    edit_record(world, ENTITY_PROPOSAL, proposal, seen);
    put_text(world, PROPOSAL_STATUS, status);
}

/* Given a customer, when its rep changes what only others decide, then the customer stays, and the
 * rep gets back what stands and a record of the proposal. */
static void test_decide_proposals__a_rep_proposes(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    int64_t before = world->org.head;
    struct id proposal = propose(world, &world->li, &customer, before, "2");
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "1");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_ENTITY, "customer");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_FIELD, "tax_no");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_BASE, "\"1\"");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_PROPOSED, "\"2\"");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "open");
    expect_int(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_DEVICE, world->li.author.device_no);
    const char *page = pull_all(world, &world->li, before);
    expect_in(page, "\"fields\":[\"tax_no\"]");
    expect_in(page, "\"proposal\",\"op\":\"new\"");
    expect_in(pull_all(world, &world->wang, before), "\"proposal\",\"op\":\"new\"");
    assert_string_equal(pull_all(world, &world->tom, before), "");
    /* What stands already is no proposal. */
    put_tax(world, &customer, before, "1");
    (void)accept(world, &world->wang);
}

/* Given a customer, when the back office changes such a field, then it is changed; against each
 * other they go by LATEST. */
static void test_decide_proposals__who_may_decide_does_not_propose(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    int64_t base = world->org.head;
    put_tax(world, &customer, base, "2");
    world->hlc_ms = world->now_ms + 1000;
    (void)accept(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "2");
    put_tax(world, &customer, base, "3");
    (void)merge(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "2");
}

/* Given proposals, when they are accepted, declined and withdrawn, then only the accepted one takes
 * effect, in the same changeset, and each is signed. */
static void test_decide_proposals__an_acceptance_takes_effect(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    struct id first = propose(world, &world->li, &customer, world->org.head, "2");
    struct id second = propose(world, &world->wang, &customer, world->org.head, NULL);
    struct id third = propose(world, &world->wang, &customer, world->org.head, "4");
    answer(world, &second, world->org.head, "declined");
    (void)accept(world, &world->office);
    answer(world, &third, world->org.head, "withdrawn");
    (void)accept(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "1");
    answer(world, &first, world->org.head, "accepted");
    put_text(world, PROPOSAL_NOTE, "seen the paper");
    int64_t position = accept(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "2");
    expect_text(world, ENTITY_PROPOSAL, &first, PROPOSAL_STATUS, "accepted");
    assert_int_equal(version_of(world, ENTITY_CUSTOMER, &customer), position);
    struct value by = value_of(world, ENTITY_PROPOSAL, &first, PROPOSAL_DECIDED_BY);
    assert_int_equal(dk_id_compare(&by.id, &world->office.author.account.user), 0);
    const char *page = pull_all(world, &world->li, position - 1);
    expect_in(page, "\"fields\":[\"tax_no\"]");
    expect_in(page, "\"decided_by\"");
    expect_in(pull_all(world, &world->office, position - 1), "\"tax_no\"");
    /* What is decided stays decided. */
    answer(world, &second, world->org.head, "accepted");
    struct verdict verdict = send_changeset(world, &world->office);
    assert_int_equal(verdict.code, REJECT_TRANSITION);
}

/* Given a proposal, when somebody answers it who may not, then that is refused. */
static void test_decide_proposals__only_those_with_the_right_decide(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
    answer(world, &proposal, world->org.head, "accepted");
    reject(world, &world->li, REJECT_TRANSITION, "status", "role");
    answer(world, &proposal, world->org.head, "withdrawn");
    reject(world, &world->wang, REJECT_TRANSITION, "status", "author");
    answer(world, &proposal, world->org.head, "withdrawn");
    reject(world, &world->tom, REJECT_REF_MISSING, "", "");
    delete_record(world, ENTITY_PROPOSAL, &proposal, world->org.head);
    reject(world, &world->li, REJECT_READONLY, "", "entity");
    (void)make_record(world, ENTITY_PROPOSAL);
    reject(world, &world->li, REJECT_READONLY, "", "entity");
}

/* Given a proposal and a change of the field by the office, when one of them is accepted without
 * having been seen by the other, then the later one stands and the other is in the conflict log, in
 * either order of arrival. */
static void test_decide_proposals__a_value_given_meanwhile_is_not_lost(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 4; i++) {
        bool accepted_later = (i & 1) != 0, accepted_first = (i & 2) != 0;
        struct id customer = make_taxed(world, "1");
        struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
        int64_t base = world->org.head;
        for (int turn = 0; turn < 2; turn++) {
            bool accepts = (turn == 0) == accepted_first;
            if (accepts) {
                answer(world, &proposal, base, "accepted");
            } else {
                put_tax(world, &customer, base, "3");
            }
            world->hlc_ms = world->now_ms + (accepts == accepted_later ? 2000 : 1000);
            struct verdict verdict =
                send_changeset(world, accepts ? &world->office : &world->server);
            assert_int_equal(verdict.kind, turn == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            world->now_ms += 10000;
        }
        expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "accepted");
        const char *page = pull_all(world, &world->li, world->org.head - 1);
        expect_in(page, "\"field_conflict\",\"op\":\"new\"");
        /* the server's own changes are stamped with the time of receipt */
        struct value value = value_of(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO);
        assert_true(value.text[0] == '2' || value.text[0] == '3');
        expect_in(page, value.text[0] == '2' ? "\"\\\"3\\\"\"" : "\"\\\"2\\\"\"");
    }
}

/* Given a proposal, when it is accepted by one and declined by another who had not seen it, then it
 * is accepted, in either order of arrival. */
static void test_decide_proposals__an_acceptance_stands_against_a_refusal(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct id customer = make_taxed(world, "1");
        struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
        int64_t base = world->org.head;
        for (int turn = 0; turn < 2; turn++) {
            bool accepts = turn == order;
            answer(world, &proposal, base, accepts ? "accepted" : "declined");
            struct verdict verdict =
                send_changeset(world, accepts ? &world->office : &world->server);
            assert_int_equal(verdict.kind, turn == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
        }
        expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "accepted");
        expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "2");
    }
}

/* Given a proposal about a record that is deleted, when it is accepted, then that is refused. */
static void test_decide_proposals__nothing_is_accepted_for_what_is_gone(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
    delete_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    (void)accept(world, &world->li);
    answer(world, &proposal, world->org.head, "accepted");
    reject(world, &world->office, REJECT_REF_MISSING, "record_id", "");
}

/* Given a customer, when a rep says what stands and the office deletes the customer unseen, then it
 * stays, whoever comes first. */
static void test_decide_proposals__to_say_what_stands_is_work(void **state)
{
    struct world *world = *state;
    for (int rep_first = 0; rep_first < 2; rep_first++) {
        struct id customer = make_taxed(world, "1");
        int64_t base = world->org.head;
        for (int turn = 0; turn < 2; turn++) {
            bool rep = (turn == 0) == (rep_first == 1);
            if (rep) {
                put_tax(world, &customer, base, "1");
            } else {
                delete_record(world, ENTITY_CUSTOMER, &customer, base);
            }
            struct device *who = rep ? &world->li : &world->office;
            (void)(turn == 0 ? accept(world, who) : merge(world, who));
        }
        expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "1");
        assert_true(is_live(world, ENTITY_CUSTOMER, &customer));
    }
}

/* Given a proposal, when one changeset accepts it and changes the customer elsewhere, then its
 * author gets the accepted value, too, which it has not sent. */
static void test_decide_proposals__accepted_and_changed_at_once(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
    int64_t seen = world->org.head;
    answer(world, &proposal, seen, "accepted");
    edit_record(world, ENTITY_CUSTOMER, &customer, seen);
    put_text(world, CUSTOMER_NAME, "renamed");
    int64_t before = accept(world, &world->office) - 1;
    expect_in(pull_all(world, &world->office, before), "\"fields\":[\"tax_no\"]");
}

/* Given a proposal, when one changeset accepts it and gives the field yet another value, then that
 * one stands: it is what its author wanted, and nothing of it may go without a trace. */
static void test_decide_proposals__accepted_and_given_at_once(void **state)
{
    struct world *world = *state;
    struct id customer = make_taxed(world, "1");
    struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
    int64_t seen = world->org.head;
    answer(world, &proposal, seen, "accepted");
    put_tax(world, &customer, seen, "3");
    (void)accept(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "3");
    expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "accepted");
}

/* Given a customer, when a rep gives the value that stands, later by the clock than the office
 * another one, then the office's stands, in either order of arrival. */
static void test_decide_proposals__what_stands_stays_whose_it_is(void **state)
{
    struct world *world = *state;
    for (int rep_first = 0; rep_first < 2; rep_first++) {
        struct id customer = make_taxed(world, "1");
        int64_t base = world->org.head;
        for (int turn = 0; turn < 2; turn++) {
            bool rep = (turn == 0) == (rep_first == 1);
            put_tax(world, &customer, base, rep ? "1" : "5");
            world->hlc_ms = world->now_ms + (rep ? 2000 : 1000);
            (void)(rep && turn == 1 ? merge(world, &world->li)
                                    : accept(world, rep ? &world->li : &world->office));
        }
        expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "5");
    }
}

/* Given a proposal, when one changeset accepts it and deletes the customer, then the customer is
 * deleted; against an edit that its author had not seen it stands, and the author gets it whole. */
static void test_decide_proposals__accepted_and_deleted_at_once(void **state)
{
    struct world *world = *state;
    for (int edited = 0; edited < 2; edited++) {
        struct id customer = make_taxed(world, "1");
        struct id proposal = propose(world, &world->li, &customer, world->org.head, "2");
        int64_t seen = world->org.head;
        if (edited) {
            edit_record(world, ENTITY_CUSTOMER, &customer, seen);
            put_text(world, CUSTOMER_NAME, "edited");
            (void)accept(world, &world->li);
        }
        answer(world, &proposal, seen, "accepted");
        delete_record(world, ENTITY_CUSTOMER, &customer, seen);
        int64_t before =
            edited ? merge(world, &world->office) - 1 : accept(world, &world->office) - 1;
        expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "accepted");
        const char *own = pull_all(world, &world->office, before);
        if (edited) {
            expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "2");
            expect_in(own, "\"customer\",\"op\":\"new\"");
        } else {
            expect_not_in(own, "\"customer\",\"op\":\"new\"");
            expect_in(pull_all(world, &world->wang, before), "\"customer\",\"op\":\"delete\"");
        }
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_proposals__##name, setup_world, teardown_world)

/* Given a proposal about a customer that was found to be another since, when it is accepted, then
 * the other has the value, and who accepted is told; what was given to the other later stands. */
static void test_decide_proposals__an_acceptance_follows_the_redirect(void **state)
{
    struct world *world = *state;
    for (int later = 0; later < 2; later++) {
        struct id from = make_taxed(world, "1"), into = make_taxed(world, "9");
        struct id proposal = propose(world, &world->li, &from, world->org.head, "2");
        edit_record(world, ENTITY_CUSTOMER, &from, world->org.head);
        put_id(world, CUSTOMER_REDIRECT_TO, &into);
        (void)accept(world, &world->server);
        world->now_ms += 2000;
        if (later == 1) {
            put_tax(world, &into, world->org.head, "10");
            (void)accept(world, &world->server);
        }
        answer(world, &proposal, world->org.head, "accepted");
        world->hlc_ms = world->now_ms - 1000;
        struct verdict verdict = send_changeset(world, &world->office);
        assert_int_equal(verdict.kind, VERDICT_MERGED);
        assert_true(verdict.remapped);
        assert_memory_equal(&verdict.record, &from, sizeof from);
        expect_text(world, ENTITY_CUSTOMER, &from, CUSTOMER_TAX_NO, "1");
        expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_TAX_NO, later == 1 ? "10" : "2");
        expect_text(world, ENTITY_PROPOSAL, &proposal, PROPOSAL_STATUS, "accepted");
    }
}

/* Given a proposal that a manager accepts, when its customer becomes another, which goes to another
 * territory before that arrives, then the other one has the value, whichever came first. */
static void test_decide_proposals__an_acceptance_of_before_a_move_stands(void **state)
{
    struct world *world = *state;
    struct device boss;
    make_user(world, &boss, "boss", "manager", &world->territories[EAST]);
    for (int order = 0; order < 2; order++) {
        struct id from = make_taxed(world, "1");
        struct id into = make_customer(world, &world->li, "into");
        struct id proposal = propose(world, &world->li, &from, world->org.head, "2");
        int64_t seen = world->org.head, start_ms = world->now_ms;
        for (int step = 0; step < 2; step++) {
            world->now_ms = start_ms + 2000;
            if (step == order) {
                edit_record(world, ENTITY_CUSTOMER, &from, world->org.head);
                put_id(world, CUSTOMER_REDIRECT_TO, &into);
                (void)accept(world, &world->server);
                edit_record(world, ENTITY_CUSTOMER, &into, world->org.head);
                put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[WEST]);
                (void)accept(world, &world->server);
            } else {
                world->now_ms = start_ms + 5000;
                answer(world, &proposal, seen, "accepted");
                world->hlc_ms = start_ms + 1000;
                struct verdict verdict = send_changeset(world, &boss);
                assert_int_equal(verdict.code, REJECT_NONE);
            }
        }
        expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_TAX_NO, "2");
    }
}

/* Given customers that became one, when one changeset of a rep's proposes a value for each of them,
 * then there is a proposal for each, and any of them can be accepted. */
static void test_decide_proposals__one_changeset_proposes_for_each(void **state)
{
    struct world *world = *state;
    struct id from[2] = {make_taxed(world, "1"), make_taxed(world, "2")};
    struct id into = make_taxed(world, "3");
    int64_t seen = world->org.head;
    for (int i = 0; i < 2; i++) {
        edit_record(world, ENTITY_CUSTOMER, &from[i], world->org.head);
        put_id(world, CUSTOMER_REDIRECT_TO, &into);
        (void)send_changeset(world, &world->server);
    }
    put_tax(world, &from[0], seen, "4");
    put_tax(world, &into, seen, "5");
    put_tax(world, &from[1], seen, "6");
    int64_t before = merge(world, &world->li) - 1;
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_TAX_NO, "3");
    struct id ids[4];
    assert_int_equal(proposals_after(world, before, ids, 4), 3);
    unsigned proposed = 0;
    for (int i = 0; i < 3; i++) {
        struct value value = value_of(world, ENTITY_PROPOSAL, &ids[i], PROPOSAL_PROPOSED);
        assert_int_equal(value.length, 3);
        proposed |= 1U << (value.text[1] - '0');
        answer(world, &ids[i], world->org.head, "accepted");
        (void)accept(world, &world->office);
        expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_TAX_NO, (char[]){value.text[1], '\0'});
    }
    assert_int_equal(proposed, 1U << 4 | 1U << 5 | 1U << 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rep_proposes),
        TEST(who_may_decide_does_not_propose),
        TEST(an_acceptance_takes_effect),
        TEST(only_those_with_the_right_decide),
        TEST(a_value_given_meanwhile_is_not_lost),
        TEST(an_acceptance_stands_against_a_refusal),
        TEST(nothing_is_accepted_for_what_is_gone),
        TEST(what_stands_stays_whose_it_is),
        TEST(accepted_and_changed_at_once),
        TEST(accepted_and_given_at_once),
        TEST(accepted_and_deleted_at_once),
        TEST(to_say_what_stands_is_work),
        TEST(an_acceptance_follows_the_redirect),
        TEST(an_acceptance_of_before_a_move_stands),
        TEST(one_changeset_proposes_for_each),
    };
    return cmocka_run_group_tests_name("decide_proposals", tests, NULL, NULL);
}
