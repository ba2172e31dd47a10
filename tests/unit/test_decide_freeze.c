/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents whose content stands, in the decider: a quote that is sent while others edit it, in all
 * orders of arrival; what had seen that is refused; revisions, holds, and what other records say
 * against a step.
 */
#include "tests/unit/paper_world.h"

static struct device boss;

static int set_up(void **state)
{
    (void)setup_world(state);
    struct world *world = *state;
    make_user(world, &boss, "boss", "manager", NULL);
    boss.author.scope = world->office.author.scope;
    return 0;
}

/* ---- X4: sent while others edit */

enum { SENDS, EDITS, ADDS, DELETES, ACTS };

static struct verdict act(struct world *world, const struct paper *paper, const char *copy,
                          int what)
{
    switch (what) {
    case SENDS: send_quote(world, paper, copy); return send_changeset(world, &world->wang);
    case EDITS:
        edit_record(world, ENTITY_QUOTE, &paper->quote, paper->seen);
        put_text(world, QUOTE_NOTE, "by li");
        edit_record(world, ENTITY_QUOTE_LINE, &paper->lines[0], paper->seen);
        put_qty(world, 5000);
        return send_changeset(world, &world->li);
    case ADDS: {
        struct id line = add_line(world, &paper->quote, &paper->product, 7000);
        (void)send_changeset(world, &boss);
        edit_record(world, ENTITY_QUOTE_LINE, &line, 0);
        put_qty(world, 8000);
        return send_changeset(world, &boss);
    }
    default:
        delete_record(world, ENTITY_QUOTE_LINE, &paper->lines[1], paper->seen);
        return send_changeset(world, &world->office);
    }
}

/* The acts in this order: what was sent is as it was, all else is in one draft. */
static void run_order(struct world *world, const int order[ACTS])
{
    struct paper paper = make_paper(world);
    struct srv_record fork;
    const char *copy = copy_text(world, &paper);
    for (int i = 0; i < ACTS; i++) {
        struct verdict verdict = act(world, &paper, copy, order[i]);
        if (verdict.kind != VERDICT_ACCEPTED && verdict.kind != VERDICT_MERGED) {
            fail_msg("act %d: %s %s %s", order[i], dk_reject_name(verdict.code), verdict.field,
                     verdict.rule);
        }
    }
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "sent");
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_NOTE, "first");
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_SENT_COPY, NULL);
    assert_string_equal(quantities(world, &paper.quote), "1000 2000");
    expect_int(world, ENTITY_QUOTE, &paper.quote, QUOTE_TOTAL, 3000);
    assert_true(find_fork(world, &paper, &fork));
    expect_text(world, ENTITY_QUOTE, &fork.record.id, QUOTE_STATUS, "draft");
    expect_text(world, ENTITY_QUOTE, &fork.record.id, QUOTE_NOTE, "by li");
    expect_int(world, ENTITY_QUOTE, &fork.record.id, QUOTE_REV, 2);
    assert_string_equal(quantities(world, &fork.record.id), "5000 8000");
    expect_int(world, ENTITY_QUOTE, &fork.record.id, QUOTE_TOTAL, 13000);
    expect_in(pull_all(world, &world->office, paper.seen), "\"revision\"");
}

static void permute(struct world *world, int order[ACTS], int at)
{
    if (at == ACTS) {
        run_order(world, order);
        return;
    }
    for (int i = at; i < ACTS; i++) {
        int kept = order[at];
        order[at] = order[i];
        order[i] = kept;
        permute(world, order, at + 1);
        order[i] = order[at];
        order[at] = kept;
    }
}

static void test_decide_freeze__sent_while_others_edit_in_every_order(void **state)
{
    int order[ACTS] = {SENDS, EDITS, ADDS, DELETES};
    permute(*state, order, 0);
}

/* Nobody else did anything: sent, and that is all. */
static void test_decide_freeze__sending_alone_makes_no_revision(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->wang);
    assert_false(find_fork(world, &paper, &fork));
    assert_string_equal(quantities(world, &paper.quote), "1000 2000");
}

/* An edit that says what is there anyway is none. */
static void test_decide_freeze__equal_values_are_no_edit(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->wang);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "first");
    (void)accept(world, &world->li);
    assert_false(find_fork(world, &paper, &fork));
}

/* Who had seen that it was sent may not change it: also the sender, also the server. */
static void test_decide_freeze__who_saw_it_sent_is_refused(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    send_quote(world, &paper, copy_text(world, &paper));
    int64_t sent = accept(world, &world->wang);
    edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
    put_text(world, QUOTE_NOTE, "late");
    reject(world, &world->li, REJECT_RULE, "note", "frozen");
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "my own");
    reject(world, &world->wang, REJECT_RULE, "note", "frozen");
    edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
    put_text(world, QUOTE_NOTE, "import");
    reject(world, &world->server, REJECT_RULE, "note", "frozen");
    delete_record(world, ENTITY_QUOTE, &paper.quote, sent);
    reject(world, &world->li, REJECT_RULE, "", "frozen");
    (void)add_line(world, &paper.quote, &paper.product, 1);
    reject(world, &world->wang, REJECT_RULE, "", "frozen");
    /* Its state goes on. */
    edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
    put_text(world, QUOTE_STATUS, "accepted");
    (void)accept(world, &world->li);
}

/* A delete that had not seen the sending loses against it, in both orders. */
static void test_decide_freeze__delete_loses_against_the_sending(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct paper paper = make_paper(world);
        struct srv_record fork;
        const char *copy = copy_text(world, &paper);
        for (int i = 0; i < 2; i++) {
            if (i == first) {
                send_quote(world, &paper, copy);
                (void)send_changeset(world, &world->wang);
            } else {
                delete_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
                delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[0], paper.seen);
                delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
                (void)send_changeset(world, &world->li);
            }
        }
        assert_true(is_live(world, ENTITY_QUOTE, &paper.quote));
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "sent");
        assert_string_equal(quantities(world, &paper.quote), "1000 2000");
        assert_false(find_fork(world, &paper, &fork));
    }
}

/* The draft that was made of an edit is edited on, and sent: then the older one is superseded. An
 * edit of the first that comes only now becomes a third. */
static void test_decide_freeze__revision_goes_on(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork, third;
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->wang);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "by li");
    (void)merge(world, &world->li);
    assert_true(find_fork(world, &paper, &fork));
    edit_record(world, ENTITY_QUOTE, &fork.record.id, world->org.head);
    put_text(world, QUOTE_NOTE, "by li, better");
    put_text(world, QUOTE_STATUS, "sent");
    (void)accept(world, &world->li);
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "superseded");
    int64_t before = world->org.head;
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "by the boss");
    (void)merge(world, &boss);
    expect_text(world, ENTITY_QUOTE, &fork.record.id, QUOTE_NOTE, "by li, better");
    struct srv_record *rows;
    int count;
    struct id none = {{0}};
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_QUOTE),
                                       QUOTE_REVISION_OF, &paper.quote, &none, 10, false,
                                       &world->arena, &rows, &count),
                     DAYBOOK_OK);
    assert_int_equal(count, 2);
    third = dk_id_compare(&rows[0].record.id, &fork.record.id) == 0 ? rows[1] : rows[0];
    expect_int(world, ENTITY_QUOTE, &third.record.id, QUOTE_REV, 3);
    expect_text(world, ENTITY_QUOTE, &third.record.id, QUOTE_STATUS, "draft");
    expect_in(pull_all(world, &world->office, before), "by the boss");
}

/* Accepted here, while a newer revision goes out there: held, in both orders. */
static void test_decide_freeze__accepting_a_stale_revision_is_held_in_both_orders(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct paper paper = make_paper(world);
        send_quote(world, &paper, copy_text(world, &paper));
        int64_t seen = accept(world, &world->wang);
        struct id newer = add_quote(world, &paper.customer);
        put_int(world, QUOTE_REV, 2);
        put_id(world, QUOTE_REVISION_OF, &paper.quote);
        int64_t made = accept(world, &world->wang);
        for (int i = 0; i < 2; i++) {
            if (i == first) {
                edit_record(world, ENTITY_QUOTE, &newer, made);
                put_text(world, QUOTE_STATUS, "sent");
                (void)send_changeset(world, &world->wang);
            } else {
                edit_record(world, ENTITY_QUOTE, &paper.quote, seen);
                put_text(world, QUOTE_STATUS, "accepted");
                (void)send_changeset(world, &world->li);
            }
        }
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "accepted");
        expect_in(pull_all(world, &world->office, made), "\"REV_STALE\"");
    }
}

static void test_decide_freeze__accepted_too_late_is_held(void **state)
{
    struct world *world = *state;
    for (int late = 0; late < 2; late++) {
        struct paper paper = make_paper(world);
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_int(world, QUOTE_VALID_TO, late == 1 ? 20261117 : 20261119); /* today is the 18th */
        put_text(world, QUOTE_STATUS, "sent");
        int64_t sent = accept(world, &world->wang);
        edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
        put_text(world, QUOTE_STATUS, "accepted");
        (void)accept(world, &world->wang);
        const char *page = pull_all(world, &world->office, sent);
        assert_int_equal(strstr(page, "\"LATE\"") != NULL, late == 1);
    }
}

static void step_quote(struct world *world, const struct id *quote, const char *state)
{
    edit_record(world, ENTITY_QUOTE, quote, world->org.head);
    put_text(world, QUOTE_STATUS, state);
    (void)accept(world, &world->wang);
}

/* Given an organisation whose clocks go back an hour in the night to the 20th, when quotes are
 * accepted about midnight before and after, then the day is that of its clocks at that moment. */
static void test_decide_freeze__the_last_day_is_the_organisations(void **state)
{
    struct world *world = *state;
    static const struct {
        int64_t now_ms;
        int64_t valid_to;
        bool late;
    } cases[] = {
        {INT64_C(1795125540000), 20261119, false}, /* 21:59 UTC of the 19th: 23:59 */
        {INT64_C(1795125600000), 20261119, true},  /* 22:00 UTC: 0:00 */
        {INT64_C(1795213800000), 20261120, false}, /* 22:30 UTC of the 20th: 23:30 */
        {INT64_C(1795215600000), 20261120, true},  /* 23:00 UTC: 0:00 */
    };
    change_record(world, BLOCK_NEW, ENTITY_ORGANISATION, &world->org.id, 0);
    put_text(world, ORGANISATION_NAME, "Morning Foods");
    put_text(world, ORGANISATION_CUR, "EUR");
    put_text(world, ORGANISATION_ZONE, "Europe/Berlin");
    put_text(world, ORGANISATION_ZONE_OFFSETS, "[[0,120],[1795136400000,60]]");
    put_int(world, ORGANISATION_TZ_MIN, -600);
    (void)accept(world, &world->server);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world->now_ms = cases[i].now_ms;
        struct paper paper = make_paper(world);
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_int(world, QUOTE_VALID_TO, cases[i].valid_to);
        put_text(world, QUOTE_STATUS, "sent");
        int64_t sent = accept(world, &world->wang);
        step_quote(world, &paper.quote, "accepted");
        assert_int_equal(strstr(pull_all(world, &world->office, sent), "\"LATE\"") != NULL,
                         cases[i].late);
    }
}

/* The holds on a quote, cleared ones included. */
static struct srv_record *holds_on(struct world *world, const struct id *quote, int *count)
{
    struct srv_record *rows;
    struct id none = {{0}};
    assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_HOLD),
                                       HOLD_RECORD, quote, &none, 10, false, &world->arena, &rows,
                                       count),
                     DAYBOOK_OK);
    return rows;
}

/* Given a quote that is past its day, or that a newer revision follows, which goes out before it or
 * behind it, when it goes from sent to converted in one change, then it is held like one that was
 * accepted on the way; when it was accepted and the manager has cleared that, then once. */
static void test_decide_freeze__converted_at_once_is_held(void **state)
{
    struct world *world = *state;
    enum { LATE, NEWER_BEFORE, NEWER_BEHIND, CASES };
    for (int round = 0; round < CASES * 2; round++) {
        int what = round / 2, cleared = round % 2, count;
        struct paper paper = make_paper(world);
        if (what == LATE) {
            edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
            put_int(world, QUOTE_VALID_TO, 20261117);
            (void)accept(world, &world->wang);
        }
        paper.seen = world->org.head;
        step_quote(world, &paper.quote, "sent");
        int64_t sent = world->org.head;
        struct id newer = add_quote(world, &paper.customer);
        put_int(world, QUOTE_REV, 2);
        put_id(world, QUOTE_REVISION_OF, &paper.quote);
        (void)accept(world, &world->wang);
        if (what == NEWER_BEFORE) {
            step_quote(world, &newer, "sent");
        }
        edit_record(world, ENTITY_QUOTE, &paper.quote, sent);
        put_text(world, QUOTE_STATUS, cleared ? "accepted" : "converted");
        (void)send_changeset(world, &world->li);
        if (what == NEWER_BEHIND) {
            step_quote(world, &newer, "sent");
        }
        const struct srv_record *rows = holds_on(world, &paper.quote, &count);
        assert_int_equal(count, 1);
        const struct value *code = &rows[0].record.values[HOLD_CODE];
        assert_memory_equal(code->text, what == LATE ? "LATE" : "REV_STALE", code->length);
        if (cleared) {
            edit_record(world, ENTITY_HOLD, &rows[0].record.id, world->org.head);
            put_int(world, HOLD_CLEARED, 1);
            put_id(world, HOLD_CLEARED_BY, &boss.author.account.user);
            put_int(world, HOLD_CLEARED_TS, world->now_ms);
            (void)accept(world, &boss);
            step_quote(world, &paper.quote, "converted");
            (void)holds_on(world, &paper.quote, &count);
            assert_int_equal(count, 1);
        }
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "converted");
    }
}

/* ---- opportunities */

static struct id make_deal(struct world *world, const struct id *customer)
{
    struct id id = make_record(world, ENTITY_OPPORTUNITY);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, customer);
    put_text(world, OPPORTUNITY_SUBJECT, "deal");
    return id;
}

/* Given a quote, when somebody gives it a field of a newer schema, then it has it as long as it is
 * a draft; once it was sent, the change waits for a server that knows whether that is content. */
static void test_decide_freeze__unknown_fields_wait_where_content_stands(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    for (int sent = 0; sent < 2; sent++) {
        struct id quote = add_quote(world, &customer);
        put_text(world, QUOTE_STATUS, sent == 1 ? "sent" : "draft");
        int64_t made = accept(world, &world->li);
        for (int seen = 0; seen < 2; seen++) {
            edit_record(world, ENTITY_QUOTE, &quote, seen == 1 ? made : 0);
            put_extra(world, "colour", seen == 1 ? "\"red\"" : "\"blue\"");
            struct verdict verdict = send_changeset(world, &world->wang);
            assert_int_equal(verdict.kind, sent == 1 ? VERDICT_QUARANTINED : VERDICT_ACCEPTED);
            assert_int_equal(verdict.code, sent == 1 && seen == 0   ? REJECT_SCHEMA
                                           : sent == 1 && seen == 1 ? REJECT_DEPENDS
                                                                    : REJECT_NONE);
        }
        struct srv_record row;
        assert_true(read_row(world, ENTITY_QUOTE, &quote, &row));
        assert_int_equal(row.record.extra.kind, sent == 1 ? VALUE_NULL : VALUE_TEXT);
    }
}

/* The fields of newer schemas that a record has. */
static const char *extra_of(struct world *world, const struct srv_record *row)
{
    return row->record.extra.kind == VALUE_NULL
               ? ""
               : dk_arena_copy(&world->arena, row->record.extra.text, row->record.extra.length);
}

/* Given a quote and a line that got fields of a newer schema before the quote was sent, when the
 * sender had not seen them, then they are in the next revision and not in what was sent; those that
 * the sender had seen stay, and one that was replaced unseen is again what the copy says. */
static void test_decide_freeze__unknown_fields_are_parted_from_what_was_sent(void **state)
{
    struct world *world = *state;
    for (int seen = 0; seen < 2; seen++) {
        struct paper paper = make_paper(world);
        struct srv_record row, fork = {0};
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_extra(world, "shape", "\"round\"");
        paper.seen = accept(world, &world->li);
        const char *copy = copy_text(world, &paper);
        edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
        put_extra(world, "colour", "[\"red\"]");
        put_extra(world, "shape", "\"square\"");
        edit_record(world, ENTITY_QUOTE_LINE, &paper.lines[0], paper.seen);
        put_extra(world, "shade", "1");
        int64_t edited = accept(world, &world->li);
        paper.seen = seen == 1 ? edited : paper.seen;
        send_quote(world, &paper, seen == 1 ? copy_text(world, &paper) : copy);
        int64_t sent = send_changeset(world, &world->wang).position;
        assert_true(sent > 0);
        assert_int_equal(find_fork(world, &paper, &fork), seen == 0);
        assert_true(read_row(world, ENTITY_QUOTE, &paper.quote, &row));
        assert_string_equal(extra_of(world, &row),
                            seen == 0 ? "{\"shape\":\"round\"}"
                                      : "{\"colour\":[\"red\"],\"shape\":\"square\"}");
        assert_true(read_row(world, ENTITY_QUOTE_LINE, &paper.lines[0], &row));
        assert_string_equal(extra_of(world, &row), seen == 0 ? "" : "{\"shade\":1}");
        const char *page = pull_all(world, &world->office, sent - 1);
        if (seen == 0) {
            assert_string_equal(extra_of(world, &fork),
                                "{\"colour\":[\"red\"],\"shape\":\"square\"}");
            expect_in(page, "\"revision\"");
            expect_in(page, "\"shade\"");
        } else {
            expect_not_in(page, "\"colour\"");
        }
    }
}

/* Given two who send a quote, the second without having seen the first nor a field of a newer
 * schema that somebody had given it before, then that the second had it without is noted. */
static void test_decide_freeze__unknown_fields_of_a_second_sending_are_noted(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    const char *copy = copy_text(world, &paper);
    struct paper later = paper;
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_extra(world, "colour", "\"red\"");
    later.seen = accept(world, &boss);
    send_quote(world, &later, copy_text(world, &paper));
    (void)accept(world, &world->li);
    send_quote(world, &paper, copy);
    int64_t second = send_changeset(world, &world->wang).position;
    const char *page = pull_all(world, &world->office, second - 1);
    expect_in(page, "{\\\"colour\\\":null}");
}

/* Gives the deal to another customer, whom its quotes and orders do not name. */
static void move_deal(struct world *world, const struct id *deal)
{
    struct id other = make_customer(world, &world->li, "other");
    edit_record(world, ENTITY_OPPORTUNITY, deal, world->org.head);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &other);
    (void)accept(world, &world->li);
}

static void test_decide_freeze__win_needs_evidence_or_is_held(void **state)
{
    struct world *world = *state;
    for (int evidence = 0; evidence < 3; evidence++) {
        struct id customer = make_customer(world, &world->li, "shop");
        struct id deal = make_deal(world, &customer);
        (void)accept(world, &world->li);
        (void)add_quote(world, &customer);
        put_id(world, QUOTE_OPPORTUNITY_ID, &deal);
        put_text(world, QUOTE_STATUS, evidence > 0 ? "accepted" : "sent");
        int64_t before = accept(world, &world->li);
        if (evidence == 2) {
            move_deal(world, &deal);
        }
        edit_record(world, ENTITY_OPPORTUNITY, &deal, world->org.head);
        put_text(world, OPPORTUNITY_STATUS, "won");
        (void)accept(world, &world->li);
        const char *page = pull_all(world, &world->office, before);
        assert_int_equal(strstr(page, "\"REQUIRED\"") == NULL, evidence > 0);
    }
}

static void test_decide_freeze__won_is_reopened_when_its_order_is_cancelled(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "shop");
    struct id deal = make_deal(world, &customer);
    put_text(world, OPPORTUNITY_STATUS, "won");
    (void)accept(world, &world->li);
    struct id quote = add_quote(world, &customer);
    put_id(world, QUOTE_OPPORTUNITY_ID, &deal);
    put_text(world, QUOTE_STATUS, "converted");
    struct id order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
    put_id(world, SALES_ORDER_QUOTE_ID, &quote);
    put_text(world, SALES_ORDER_CUR, "CNY");
    put_text(world, SALES_ORDER_STATUS, "submitted");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_OPPORTUNITY, &deal, world->org.head);
    put_text(world, OPPORTUNITY_STATUS, "tracking");
    reject(world, &boss, REJECT_TRANSITION, "status", "order");
    move_deal(world, &deal);
    edit_record(world, ENTITY_OPPORTUNITY, &deal, world->org.head);
    put_text(world, OPPORTUNITY_STATUS, "tracking");
    reject(world, &boss, REJECT_TRANSITION, "status", "order");
    edit_record(world, ENTITY_SALES_ORDER, &order, world->org.head);
    put_text(world, SALES_ORDER_STATUS, "cancelled");
    (void)accept(world, &boss);
    edit_record(world, ENTITY_OPPORTUNITY, &deal, world->org.head);
    put_text(world, OPPORTUNITY_STATUS, "tracking");
    (void)accept(world, &boss);
    expect_text(world, ENTITY_OPPORTUNITY, &deal, OPPORTUNITY_STATUS, "tracking");
}

/* ---- hostile copies */

static void test_decide_freeze__bad_copies_are_refused(void **state)
{
    static const char *const texts[] = {"", "x", "{}", "[]", "{\"id\":1}"};
    struct world *world = *state;
    struct paper paper = make_paper(world), other = make_paper(world);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        send_quote(world, &paper, texts[i]);
        reject(world, &world->wang, REJECT_SCHEMA, "sent_copy", "copy");
    }
    /* Another quote's. */
    send_quote(world, &paper, copy_text(world, &other));
    reject(world, &world->wang, REJECT_SCHEMA, "sent_copy", "copy");
    /* Another quote's lines are as such that do not exist. */
    struct paper mixed = paper;
    mixed.lines[1] = other.lines[1];
    send_quote(world, &paper, copy_text(world, &mixed));
    reject(world, &world->wang, REJECT_REF_MISSING, "sent_copy", "");
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "draft");
}

int main(void)
{
#define FREEZE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, teardown_world)
    const struct CMUnitTest tests[] = {
        FREEZE_TEST(test_decide_freeze__sent_while_others_edit_in_every_order),
        FREEZE_TEST(test_decide_freeze__sending_alone_makes_no_revision),
        FREEZE_TEST(test_decide_freeze__equal_values_are_no_edit),
        FREEZE_TEST(test_decide_freeze__who_saw_it_sent_is_refused),
        FREEZE_TEST(test_decide_freeze__delete_loses_against_the_sending),
        FREEZE_TEST(test_decide_freeze__revision_goes_on),
        FREEZE_TEST(test_decide_freeze__accepting_a_stale_revision_is_held_in_both_orders),
        FREEZE_TEST(test_decide_freeze__accepted_too_late_is_held),
        FREEZE_TEST(test_decide_freeze__the_last_day_is_the_organisations),
        FREEZE_TEST(test_decide_freeze__converted_at_once_is_held),
        FREEZE_TEST(test_decide_freeze__unknown_fields_wait_where_content_stands),
        FREEZE_TEST(test_decide_freeze__unknown_fields_are_parted_from_what_was_sent),
        FREEZE_TEST(test_decide_freeze__unknown_fields_of_a_second_sending_are_noted),
        FREEZE_TEST(test_decide_freeze__win_needs_evidence_or_is_held),
        FREEZE_TEST(test_decide_freeze__won_is_reopened_when_its_order_is_cancelled),
        FREEZE_TEST(test_decide_freeze__bad_copies_are_refused),
    };
    return cmocka_run_group_tests_name("decide_freeze", tests, NULL, NULL);
}
