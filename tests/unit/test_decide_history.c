/* SPDX-License-Identifier: Apache-2.0
 *
 * The history rule: what was recorded while its author saw the record stays valid when the record,
 * or the author, has moved since; what was done later is refused as if nothing were there. The
 * order of arrival changes nothing, and a changeset in scope reads no history.
 */
#include "tests/unit/history_world.h"

#include "sync-server/store/sqlite.h"

#define CANARY "canary-in-a-coal-mine"

/* Sends what was built as made at this time, and expects it to be applied with "moved". */
static void kept(struct world *world, struct device *device, int64_t time_ms,
                 const struct id *moved, int64_t since_ms)
{
    world->hlc_ms = time_ms;
    struct verdict verdict = send_changeset(world, device);
    if (verdict.kind != VERDICT_ACCEPTED && verdict.kind != VERDICT_MERGED) {
        fail_msg("%s %s %s %s %s", dk_verdict_name(verdict.kind), dk_reject_name(verdict.code),
                 verdict.entity, verdict.field, verdict.rule);
    }
    assert_int_equal(verdict.moved_ms, since_ms);
    assert_memory_equal(&verdict.record, moved, sizeof *moved);
}

/* The same where it is refused. */
static void refused(struct world *world, struct device *device, int64_t time_ms, const char *field)
{
    world->hlc_ms = time_ms;
    reject(world, device, REJECT_REF_MISSING, field, "");
}

/* All that the verdict says, as it goes over the wire, without its number. */
static const char *verdict_text(struct world *world, const struct verdict *verdict)
{
    struct buffer out;
    struct verdict copy = *verdict;
    copy.seq = 1;
    dk_buffer_init(&out, 4096);
    dk_verdict_write(&out, &copy);
    const char *text = dk_arena_copy(&world->arena, out.bytes, out.length);
    dk_buffer_clear(&out);
    return text;
}

/* Sends what was built as made before the move, which is refused as if nothing were there: all that
 * its author is told, but for the record's id. */
static const char *refusal_of_before(struct world *world, struct device *device)
{
    world->hlc_ms = BEFORE_MS;
    struct verdict verdict = send_changeset(world, device);
    assert_int_equal(verdict.code, REJECT_REF_MISSING);
    verdict.record = (struct id){{1}};
    return verdict_text(world, &verdict);
}

static void build_visit(struct world *world, const struct id *customer)
{
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, customer);
    put_text(world, VISIT_FEEDBACK, "met");
}

/* Into the changeset being built. */
static struct id add_opportunity(struct world *world, const struct id *customer)
{
    struct id opportunity = make_record(world, ENTITY_OPPORTUNITY);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, customer);
    put_text(world, OPPORTUNITY_SUBJECT, "deal");
    return opportunity;
}

static void build_prefs(struct world *world, const struct id *customer, int64_t seen,
                        const char *text)
{
    edit_record(world, ENTITY_CUSTOMER, customer, seen);
    put_text(world, CUSTOMER_PREFS, text);
}

/* Given a customer with a quote that goes to another territory, when work of before the move comes
 * from the old rep, then it is applied and said to have moved; the same of after it is missing. */
static void test_decide_history__work_of_before_a_reassignment_is_kept(void **state)
{
    struct world *world = *state;
    struct id product = make_product(world, "TEA");
    struct id customer = make_customer(world, &world->li, "C");
    struct id contact = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &customer);
    put_text(world, CONTACT_NAME, "Anna");
    struct id quote = add_quote(world, &customer);
    struct id line = add_line(world, &quote, &product, 1000);
    int64_t base = accept(world, &world->li);
    (void)move_customer(world, &customer, WEST, MOVE_MS);
    for (int late = 1; late >= 0; late--) {
        int64_t time_ms = late ? AFTER_MS : BEFORE_MS;
        for (int kind = 0; kind < 5; kind++) {
            const struct id *moved = kind == 0 || kind == 1 ? &customer : &quote;
            const char *field = "";
            switch (kind) {
            case 0:
                build_visit(world, &customer);
                field = "customer_id";
                break;
            case 1: build_prefs(world, &customer, base, "from li"); break;
            case 2:
                edit_record(world, ENTITY_QUOTE, &quote, base);
                put_text(world, QUOTE_NOTE, "li's");
                break;
            case 3:
                edit_record(world, ENTITY_QUOTE_LINE, &line, base);
                put_qty(world, 2000);
                moved = &line;
                break;
            default:
                (void)add_line(world, &quote, &product, 3000);
                field = "quote_id";
                break;
            }
            if (late) {
                refused(world, &world->li, time_ms, field);
            } else {
                kept(world, &world->li, time_ms, moved, MOVE_MS);
            }
        }
    }
    delete_record(world, ENTITY_CONTACT, &contact, base);
    kept(world, &world->li, BEFORE_MS, &contact, MOVE_MS);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_PREFS, "from li");
    expect_text(world, ENTITY_QUOTE, &quote, QUOTE_NOTE, "li's");
    expect_int(world, ENTITY_QUOTE, &quote, QUOTE_SUBTOTAL, 5000);
    assert_false(is_live(world, ENTITY_CONTACT, &contact));
    struct value territory = value_of(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TERRITORY_ID);
    assert_memory_equal(&territory.id, &world->territories[WEST], sizeof territory.id);
    /* The new rep has all of it, the old one nothing but markers. */
    expect_in(pull_all(world, &world->tom, base), "met");
    const char *page = pull_all(world, &world->li, base);
    expect_not_in(page, "met");
    expect_not_in(page, "from li");
    expect_in(page, "\"own\"");
}

/* Given work of before a move in several changesets, each on what the one before it made, when it
 * comes, then the chain holds up to the move. */
static void test_decide_history__a_chain_holds_up_to_the_move(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    (void)move_customer(world, &customer, WEST, MOVE_MS);
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    kept(world, &world->li, BEFORE_MS, &customer, MOVE_MS);
    struct id action = make_record(world, ENTITY_VISIT_ACTION);
    put_id(world, VISIT_ACTION_VISIT_ID, &visit);
    put_text(world, VISIT_ACTION_KIND, "photo");
    kept(world, &world->li, BEFORE_MS + 1, &visit, MOVE_MS);
    edit_record(world, ENTITY_VISIT_ACTION, &action, 0);
    put_text(world, VISIT_ACTION_NOTE, "sharp");
    kept(world, &world->li, BEFORE_MS + 2, &action, MOVE_MS);
    edit_record(world, ENTITY_VISIT, &visit, 0);
    put_text(world, VISIT_FEEDBACK, "good");
    kept(world, &world->li, BEFORE_MS + 3, &visit, MOVE_MS);
    edit_record(world, ENTITY_VISIT, &visit, 0);
    put_text(world, VISIT_FEEDBACK, "too late");
    refused(world, &world->li, MOVE_MS, "");
    expect_text(world, ENTITY_VISIT, &visit, VISIT_FEEDBACK, "good");
    expect_text(world, ENTITY_VISIT_ACTION, &action, VISIT_ACTION_NOTE, "sharp");
}

/* Given a customer that went west and came back, when work of the time between comes, then the west
 * may have done it and the east may not; of before, the east may. */
static void test_decide_history__each_time_has_its_owner(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    (void)move_customer(world, &customer, WEST, MOVE_MS);
    (void)move_customer(world, &customer, EAST, MOVE_MS + 1000);
    build_visit(world, &customer);
    kept(world, &world->tom, MOVE_MS + 500, &customer, MOVE_MS + 1000);
    build_visit(world, &customer);
    refused(world, &world->tom, BEFORE_MS, "customer_id");
    build_visit(world, &customer);
    refused(world, &world->tom, MOVE_MS + 1000, "customer_id");
    /* What the author sees now needs no history, whenever it was made. */
    build_visit(world, &customer);
    world->hlc_ms = MOVE_MS + 500;
    (void)accept(world, &world->li);
}

/* Given a rep who is sent to another territory, when work of before comes, then it stands where the
 * rep was then, new customers too; what comes after stands in the new territory. */
static void test_decide_history__a_rep_who_moves_leaves_the_work_where_it_was_done(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    change_user(world, &world->li, &world->territories[WEST], NULL, NULL, MOVE_MS);
    build_prefs(world, &customer, base, "before");
    kept(world, &world->li, BEFORE_MS, &customer, MOVE_MS);
    build_prefs(world, &customer, base, "after");
    refused(world, &world->li, AFTER_MS, "");
    struct id early = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "early");
    kept(world, &world->li, BEFORE_MS, &early, MOVE_MS);
    build_visit(world, &early);
    kept(world, &world->li, BEFORE_MS + 1, &early, MOVE_MS);
    struct id late = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "late");
    world->hlc_ms = AFTER_MS;
    (void)accept(world, &world->li);
    struct value territory = value_of(world, ENTITY_CUSTOMER, &early, CUSTOMER_TERRITORY_ID);
    assert_memory_equal(&territory.id, &world->territories[EAST], sizeof territory.id);
    territory = value_of(world, ENTITY_CUSTOMER, &late, CUSTOMER_TERRITORY_ID);
    assert_memory_equal(&territory.id, &world->territories[WEST], sizeof territory.id);
    expect_in(pull_all(world, &world->wang, base), "early");
    expect_not_in(pull_all(world, &world->wang, base), "\"late\"");
}

/* Given a manager who loses a team member, a member's member, or the role, and one of the back
 * office who becomes a rep, when their work of before comes, then it is kept; of after it is
 * missing. */
static void test_decide_history__teams_and_roles_have_a_history(void **state)
{
    struct world *world = *state;
    struct device boss, manager;
    struct id none = {{0}};
    make_user(world, &boss, "boss", "manager", NULL);
    make_user(world, &manager, "manager", "manager", NULL);
    const struct id *above = &boss.author.account.user;
    change_user(world, &manager, NULL, NULL, above, WORLD_NOW_MS);
    change_user(world, &world->tom, NULL, NULL, &manager.author.account.user, WORLD_NOW_MS);
    struct id customer = make_customer(world, &world->tom, "W");
    int64_t base = world->org.head;
    struct device *all[] = {&manager, &boss, &world->office};
    for (int i = 0; i < 3; i++) {
        sign_in(world, all[i]);
        build_prefs(world, &customer, base, "seen");
        world->hlc_ms = WORLD_NOW_MS + 1 + i;
        struct verdict verdict = send_changeset(world, all[i]);
        assert_int_equal(verdict.position, world->org.head);
        assert_int_equal(verdict.moved_ms, 0);
    }
    change_user(world, &world->tom, NULL, NULL, &none, MOVE_MS);
    change_user(world, &world->office, &world->territories[EAST], "rep", NULL, MOVE_MS);
    for (int i = 0; i < 3; i++) {
        sign_in(world, all[i]);
        build_visit(world, &customer);
        kept(world, all[i], BEFORE_MS, &customer, i == 2 ? MOVE_MS : LATE_MS);
        build_visit(world, &customer);
        refused(world, all[i], AFTER_MS, "customer_id");
    }
    change_user(world, &world->tom, NULL, NULL, &manager.author.account.user, AFTER_MS);
    change_user(world, &manager, NULL, "rep", NULL, AFTER_MS + 1000);
    build_visit(world, &customer);
    kept(world, &manager, AFTER_MS + 500, &customer, AFTER_MS + 1000);
    build_visit(world, &customer);
    refused(world, &manager, MOVE_MS + 500, "customer_id");
    build_visit(world, &customer);
    refused(world, &manager, AFTER_MS + 1000, "customer_id");
}

/* An order that a rep has submitted. */
static struct id submit_order(struct world *world, const struct id *customer, int64_t *base)
{
    struct id order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    int64_t made = accept(world, &world->wang);
    edit_record(world, ENTITY_SALES_ORDER, &order, made);
    put_text(world, SALES_ORDER_STATUS, "submitted");
    *base = accept(world, &world->wang);
    return order;
}

/* Given one of the back office who becomes a rep of the territory, and a rep who becomes one of
 * the back office, when a step that only the office may take has a date of before the change or of
 * after it, then only who has the role then and now may take it; a rep's step is good always. */
static void test_decide_history__a_right_needs_the_role_then_and_now(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    struct id orders[2], own = make_record(world, ENTITY_SALES_ORDER);
    int64_t base;
    put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    (void)accept(world, &world->li);
    for (int i = 0; i < 2; i++) {
        orders[i] = submit_order(world, &customer, &base);
    }
    change_user(world, &world->office, &world->territories[EAST], "rep", NULL, MOVE_MS);
    change_user(world, &world->li, NULL, "back_office", NULL, MOVE_MS);
    for (int i = 0; i < 4; i++) {
        bool late = i % 2 == 1, good = i == 3;
        struct device *device = i < 2 ? &world->office : &world->li;
        edit_record(world, ENTITY_SALES_ORDER, &orders[i / 2], base);
        put_text(world, SALES_ORDER_STATUS, "confirmed");
        world->hlc_ms = late ? AFTER_MS : BEFORE_MS;
        if (good) {
            (void)accept(world, device);
        } else {
            reject(world, device, REJECT_TRANSITION, "status", "role");
        }
        expect_text(world, ENTITY_SALES_ORDER, &orders[i / 2], SALES_ORDER_STATUS,
                    good ? "confirmed" : "submitted");
    }
    edit_record(world, ENTITY_SALES_ORDER, &own, base);
    put_text(world, SALES_ORDER_STATUS, "submitted");
    world->hlc_ms = BEFORE_MS;
    (void)accept(world, &world->li);
}

/* Given one of the back office who becomes a rep, when they change a field under PROPOSE with a
 * date of before, then that is a proposal. */
static void test_decide_history__who_lost_the_role_only_proposes(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_text(world, CUSTOMER_TAX_NO, "1");
    int64_t base = accept(world, &world->office);
    change_user(world, &world->office, &world->territories[EAST], "rep", NULL, MOVE_MS);
    edit_record(world, ENTITY_CUSTOMER, &customer, base);
    put_text(world, CUSTOMER_TAX_NO, "2");
    world->hlc_ms = BEFORE_MS;
    (void)merge(world, &world->office);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_TAX_NO, "1");
}

/* Given a rep who went to another territory, when an edit with a date of before would take what was
 * left there along, below a customer of the new one, then the answer is that for what does not
 * exist, and nothing of the record comes to the rep; an edit that leaves it there is kept, and what
 * is in scope may go below a customer that is not. */
static void test_decide_history__nothing_is_drawn_out_of_a_past_scope(void **state)
{
    struct world *world = *state;
    struct id there = make_customer(world, &world->li, "C");
    struct id other = make_customer(world, &world->li, "D");
    struct id here = make_customer(world, &world->tom, "E");
    struct id opportunity = add_opportunity(world, &there);
    (void)accept(world, &world->li);
    struct id mine = add_opportunity(world, &here);
    int64_t base = accept(world, &world->tom);
    change_user(world, &world->li, &world->territories[WEST], NULL, NULL, MOVE_MS);
    edit_record(world, ENTITY_OPPORTUNITY, &opportunity, world->org.head);
    put_text(world, OPPORTUNITY_SUBJECT, CANARY);
    world->hlc_ms = AFTER_MS;
    (void)accept(world, &world->wang);
    const char *texts[2];
    for (int i = 0; i < 2; i++) {
        struct id id = i == 0 ? opportunity : new_id(world);
        edit_record(world, ENTITY_OPPORTUNITY, &id, base);
        put_id(world, OPPORTUNITY_CUSTOMER_ID, &here);
        texts[i] = refusal_of_before(world, &world->li);
    }
    assert_string_equal(texts[0], texts[1]);
    edit_record(world, ENTITY_OPPORTUNITY, &opportunity, base);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &other);
    kept(world, &world->li, BEFORE_MS, &opportunity, MOVE_MS);
    expect_not_in(pull_all(world, &world->li, base), CANARY);
    edit_record(world, ENTITY_OPPORTUNITY, &mine, base);
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &there);
    kept(world, &world->li, BEFORE_MS, &there, MOVE_MS);
}

/* Given values of the new owner on what an old rep edits late, when the edit of before loses or
 * wins, then nothing of the new owner's comes to the old rep, and refusals of later acts are byte
 * for byte those for what does not exist. */
static void test_decide_history__nothing_leaks_to_the_old_rep(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    int64_t base = world->org.head;
    (void)move_customer(world, &customer, WEST, MOVE_MS);
    build_prefs(world, &customer, world->org.head, CANARY);
    put_text(world, CUSTOMER_NAME, CANARY);
    world->hlc_ms = AFTER_MS;
    (void)accept(world, &world->tom);
    build_prefs(world, &customer, base, "li's");
    kept(world, &world->li, BEFORE_MS, &customer, MOVE_MS);
    expect_text(world, ENTITY_CUSTOMER, &customer, CUSTOMER_PREFS, CANARY);
    const char *page = pull_all(world, &world->li, base);
    expect_not_in(page, CANARY);
    expect_not_in(page, "field_conflict");
    expect_in(pull_all(world, &world->tom, base), "field_conflict");

    const char *texts[2];
    for (int i = 0; i < 2; i++) {
        struct id id = i == 0 ? customer : new_id(world);
        build_prefs(world, &id, base, "later");
        world->hlc_ms = AFTER_MS;
        struct verdict verdict = send_changeset(world, &world->li);
        verdict.record = (struct id){{1}};
        texts[i] = verdict_text(world, &verdict);
    }
    assert_string_equal(texts[0], texts[1]);
}

/* Given a move and two reps' work, when they arrive in each order that there can be, then the
 * records are the same. */
static void test_decide_history__the_order_of_arrival_changes_nothing(void **state)
{
    struct world *world = *state;
    static const int orders[][4] = {{0, 1, 2, 3}, {1, 0, 2, 3}, {1, 2, 0, 3}, {1, 2, 3, 0}};
    for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
        struct id product = make_product(world, order == 0 ? "A" : "B");
        struct id customer = make_customer(world, &world->li, "C");
        struct id quote = add_quote(world, &customer);
        struct id mine = {{0}};
        int64_t base = accept(world, &world->li);
        int64_t shift = (int64_t)(order + 1) * 100000, seen = base;
        for (int step = 0; step < 4; step++) {
            switch (orders[order][step]) {
            case 0:
                edit_record(world, ENTITY_QUOTE, &quote, base);
                put_text(world, QUOTE_NOTE, "li's");
                put_int(world, QUOTE_VALID_TO, 20270101);
                mine = add_line(world, &quote, &product, 1000);
                world->now_ms = LATE_MS + shift;
                world->hlc_ms = BEFORE_MS + shift;
                (void)send_changeset(world, &world->li);
                break;
            case 1: seen = move_customer(world, &customer, WEST, MOVE_MS + shift); break;
            case 2:
                edit_record(world, ENTITY_QUOTE, &quote, seen);
                put_text(world, QUOTE_NOTE, "tom's");
                (void)add_line(world, &quote, &product, 2000);
                world->now_ms = LATE_MS + shift;
                world->hlc_ms = AFTER_MS + shift;
                (void)send_changeset(world, &world->tom);
                break;
            default:
                edit_record(world, ENTITY_QUOTE, &quote, world->org.head);
                put_int(world, QUOTE_HEADER_DISC_BP, 1000);
                world->hlc_ms = AFTER_MS + shift + 1;
                (void)accept(world, &world->tom);
                break;
            }
        }
        expect_text(world, ENTITY_QUOTE, &quote, QUOTE_NOTE, "tom's");
        expect_int(world, ENTITY_QUOTE, &quote, QUOTE_VALID_TO, 20270101);
        expect_int(world, ENTITY_QUOTE, &quote, QUOTE_TOTAL, 2700);
        struct value by = value_of(world, ENTITY_QUOTE_LINE, &mine, FIELD_CREATED_BY);
        assert_memory_equal(&by.id, &world->li.author.account.user, sizeof by.id);
    }
}

/* Given a customer whom others made in a territory that a rep had left by then, when an edit of it
 * comes from the rep with a date of before, then the answer is that for what never was; the rep's
 * own of that time may be edited. */
static void test_decide_history__nobody_saw_what_was_not_there_yet(void **state)
{
    struct world *world = *state;
    int64_t base = world->org.head, later_ms = LATE_MS + 2 * STAMP_AHEAD_MAX_MS;
    change_user(world, &world->li, &world->territories[WEST], NULL, NULL, MOVE_MS);
    world->now_ms = later_ms;
    struct id customer = make_customer(world, &world->wang, "younger");
    const char *texts[2];
    for (int i = 0; i < 2; i++) {
        struct id id = i == 0 ? customer : new_id(world);
        build_prefs(world, &id, base, "back-dated");
        texts[i] = refusal_of_before(world, &world->li);
    }
    assert_string_equal(texts[0], texts[1]);
    build_visit(world, &customer);
    refused(world, &world->li, BEFORE_MS, "customer_id");
    struct id own = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "own");
    kept(world, &world->li, BEFORE_MS, &own, MOVE_MS);
    build_visit(world, &own);
    kept(world, &world->li, BEFORE_MS + 1, &own, MOVE_MS);
}

/* Given changesets in the present scope, when they are decided, then no history is read. */
static void test_decide_history__what_is_in_scope_reads_none(void **state)
{
    struct world *world = *state;
    struct sqlite_store *sqlite = srv_sqlite(world->store);
    struct id customer = make_customer(world, &world->li, "C");
    build_visit(world, &customer);
    build_prefs(world, &customer, world->org.head, "x");
    (void)accept(world, &world->wang);
    assert_null(sqlite->statements.placed_at);
    assert_null(sqlite->statements.account_at);
    build_prefs(world, &customer, world->org.head, "x");
    reject(world, &world->tom, REJECT_REF_MISSING, "", "");
    assert_non_null(sqlite->statements.placed_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decide_history__work_of_before_a_reassignment_is_kept,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__a_chain_holds_up_to_the_move,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__each_time_has_its_owner, setup_world,
                                        teardown_world),
        cmocka_unit_test_setup_teardown(
            test_decide_history__a_rep_who_moves_leaves_the_work_where_it_was_done, setup_world,
            teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__teams_and_roles_have_a_history,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__a_right_needs_the_role_then_and_now,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__who_lost_the_role_only_proposes,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__nothing_is_drawn_out_of_a_past_scope,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__nothing_leaks_to_the_old_rep,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__the_order_of_arrival_changes_nothing,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__nobody_saw_what_was_not_there_yet,
                                        setup_world, teardown_world),
        cmocka_unit_test_setup_teardown(test_decide_history__what_is_in_scope_reads_none,
                                        setup_world, teardown_world),
    };
    return cmocka_run_group_tests_name("decide_history", tests, NULL, NULL);
}
