/* SPDX-License-Identifier: Apache-2.0
 *
 * Verdicts: exact undo, chains in the inbox, quarantine, and what is taken out of the inbox to be
 * mended.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static struct id known_customer(struct desk *desk, int64_t position, const char *name)
{
    struct id id = desk_id(desk);
    desk_row(desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, position, &id);
    desk_text(desk, CUSTOMER_NAME, name);
    desk_apply(desk, position);
    return id;
}

static void patch(struct desk *desk, const struct id *id, int64_t seen, int field, const char *text)
{
    desk_set(desk, ENTITY_CUSTOMER, id, seen);
    desk_text(desk, field, text);
    desk_commit(desk);
}

static struct id visit(struct desk *desk, const struct id *customer, const char *feedback)
{
    struct id id = desk_id(desk);
    desk_new(desk, ENTITY_VISIT, &id);
    desk_ref(desk, VISIT_CUSTOMER_ID, customer);
    desk_text(desk, VISIT_FEEDBACK, feedback);
    desk_commit(desk);
    return id;
}

/* The whole of a table as text, to compare with later. */
static const char *dump(struct desk *desk, const char *table)
{
    char sql[400];
    (void)dk_text_format(
        sql, sizeof sql,
        "SELECT group_concat(hex(id)||version||'/'||bucket||'/'||coalesce(name,'')||"
        "coalesce(industry,'')||coalesce(tags,'')||coalesce(custom,''),';') FROM %s",
        table);
    return desk_sql(desk, sql);
}

static void test_store_verdict__a_rejection_is_undone_exactly(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id a = known_customer(&desk, 3, "A"), b = known_customer(&desk, 4, "B");
    const char *before = dump(&desk, "r_customer");
    /* given one changeset that changes, deletes and makes */
    struct id fresh = desk_id(&desk);
    desk_set(&desk, ENTITY_CUSTOMER, &a, 3);
    desk_text(&desk, CUSTOMER_NAME, "Aa");
    desk_text(&desk, CUSTOMER_TAGS, "[\"gold\"]");
    desk_text(&desk, FIELD_CUSTOM, "{\"k\":1}");
    desk_delete(&desk, ENTITY_CUSTOMER, &b, 4);
    desk_new(&desk, ENTITY_CUSTOMER, &fresh);
    desk_text(&desk, CUSTOMER_NAME, "C");
    desk_commit(&desk);
    desk_check(&desk);
    desk_send(&desk);
    /* when it is rejected */
    struct verdict verdict = {.seq = 1,
                              .kind = VERDICT_REJECTED,
                              .code = REJECT_REF_MISSING,
                              .field = "name",
                              .rule = "gone",
                              .entity = "customer",
                              .record = a};
    desk_verdict(&desk, &verdict);
    desk_apply(&desk, 4);
    /* then all is as before, and the inbox has the whole */
    assert_string_equal(dump(&desk, "r_customer"), before);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending"), 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM outbox"), 0);
    assert_string_equal(desk_sql(&desk, "SELECT kind||code||entity||field||rule||chain FROM inbox"),
                        "rejectedREF_MISSINGcustomernamegone0");
    assert_non_null(strstr(desk_sql(&desk, "SELECT body FROM inbox"), "\"Aa\""));
    assert_int_equal(
        desk_number(&desk, "SELECT record_id=(SELECT id FROM customer WHERE name='A') FROM inbox"),
        1);
    struct store_state now = desk_state(&desk);
    assert_int_equal(now.inbox, 1);
    assert_int_equal(now.pending, 0);
    assert_int_equal(now.settled, 1);
    assert_int_equal(desk.applied.rejected, 1);
    desk_clear(&desk);
}

static void test_store_verdict__later_changes_stay_on_top_of_an_undone_one(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A");
    patch(&desk, &id, 2, CUSTOMER_NAME, "B");
    patch(&desk, &id, 2, CUSTOMER_INDUSTRY, "bakery");
    patch(&desk, &id, 2, CUSTOMER_NAME, "C");
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 3);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "C");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY, "bakery");
    assert_string_equal(desk_sql(&desk, "SELECT seq_first||'-'||seq_last||base FROM pending"),
                        "2-3{\"name\":\"A\",\"industry\":null}");
    desk_rejected(&desk, 3, REJECT_RULE, NULL);
    desk_apply(&desk, 3);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_INDUSTRY, "bakery");
    /* settled goes only as far as nothing is open */
    assert_int_equal(desk_state(&desk).settled, 1);
    desk_clear(&desk);
}

static void
test_store_verdict__what_depends_on_a_rejected_creation_comes_back_as_one_item(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id cause = desk_changeset(&desk, 1);
    patch(&desk, &customer, 0, CUSTOMER_INDUSTRY, "bakery");
    struct id call = visit(&desk, &customer, "nice");
    struct id other = desk_customer(&desk, "B");
    desk_send(&desk);
    /* when the creation is rejected, the record and the change on it are gone from view at once */
    desk_rejected(&desk, 1, REJECT_SCOPE, NULL);
    desk_apply(&desk, 0);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &customer));
    assert_true(desk_has(&desk, ENTITY_VISIT, &call));
    /* when the others follow, they hang from the first */
    desk_rejected(&desk, 2, REJECT_DEPENDS, &cause);
    desk_rejected(&desk, 3, REJECT_DEPENDS, &cause);
    desk_accepted(&desk, 4, 1);
    desk_own(&desk, 1, 4, 2);
    desk_apply(&desk, 1);
    assert_false(desk_has(&desk, ENTITY_VISIT, &call));
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &other));
    assert_int_equal(desk_state(&desk).inbox, 1);
    assert_string_equal(desk_sql(&desk, "SELECT code||chain FROM inbox"), "SCOPE2");
    assert_int_equal(desk_state(&desk).settled, 4);
    /* and are mended as one transaction, with one change per record */
    struct change *changes;
    int64_t *items;
    int count, item_count;
    int64_t item = desk_number(&desk, "SELECT item FROM inbox");
    assert_int_equal(dk_store_inbox_changes(desk.store, item, &desk.arena, &changes, &count, &items,
                                            &item_count),
                     DAYBOOK_OK);
    assert_int_equal(count, 2);
    assert_int_equal(item_count, 3);
    assert_int_equal(dk_store_commit(desk.store, changes, count, dk_store_epoch(desk.store), items,
                                     item_count, &desk.failure),
                     DAYBOOK_OK);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &customer, CUSTOMER_NAME, "A");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &customer, CUSTOMER_INDUSTRY, "bakery");
    desk_expect_text(&desk, ENTITY_VISIT, &call, VISIT_FEEDBACK, "nice");
    assert_int_equal(desk_state(&desk).inbox, 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM inbox_item"), 0);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_verdict__mended_changes_are_what_the_single_ones_did(void **state)
{
    struct desk desk;
    struct change *changes;
    int64_t *items;
    int count, item_count;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A"), gone = known_customer(&desk, 4, "D");
    struct id made = desk_id(&desk);
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_TAGS, "{\"add\":[\"a\",\"b\"],\"remove\":[\"x\"]}");
    desk_text(&desk, FIELD_CUSTOM, "{\"k\":1,\"m\":null}");
    desk_text(&desk, CUSTOMER_NAME, "B");
    desk_set(&desk, ENTITY_CUSTOMER, &gone, 4);
    desk_text(&desk, CUSTOMER_NAME, "never mind");
    desk_new(&desk, ENTITY_CUSTOMER, &made);
    desk_text(&desk, CUSTOMER_NAME, "short-lived");
    desk_commit(&desk);
    struct id cause = desk_changeset(&desk, 1);
    desk_set(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_text(&desk, CUSTOMER_TAGS, "{\"add\":[\"x\"],\"remove\":[\"a\",\"q\"]}");
    desk_text(&desk, FIELD_CUSTOM, "{\"k\":null,\"n\":2}");
    desk_text(&desk, CUSTOMER_INDUSTRY, "bakery");
    desk_delete(&desk, ENTITY_CUSTOMER, &gone, 4);
    desk_delete(&desk, ENTITY_CUSTOMER, &made, 0);
    desk_commit(&desk);
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_rejected(&desk, 2, REJECT_DEPENDS, &cause);
    desk_apply(&desk, 4);
    int64_t item = desk_number(&desk, "SELECT item FROM inbox");
    assert_int_equal(dk_store_inbox_changes(desk.store, item, &desk.arena, &changes, &count, &items,
                                            &item_count),
                     DAYBOOK_OK);
    assert_int_equal(count, 2);
    assert_int_equal(changes[0].op, BLOCK_SET);
    assert_int_equal(changes[0].seen, 3);
    for (int i = 0; i < changes[0].value_count; i++) {
        const struct field_value *value = &changes[0].values[i];
        const char *want = value->field == CUSTOMER_TAGS
                               ? "{\"add\":[\"b\",\"x\"],\"remove\":[\"a\",\"q\"]}"
                           : value->field == FIELD_CUSTOM  ? "{\"k\":null,\"m\":null,\"n\":2}"
                           : value->field == CUSTOMER_NAME ? "B"
                                                           : "bakery";
        assert_int_equal(value->value.length, strlen(want));
        assert_memory_equal(value->value.text, want, strlen(want));
    }
    assert_int_equal(changes[1].op, BLOCK_DELETE);
    desk_clear(&desk);
}

static void test_store_verdict__inbox_items_are_discarded_with_their_chain(void **state)
{
    struct desk desk;
    struct change *changes;
    int64_t *items;
    int count, item_count;
    (void)state;
    desk_begin(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id cause = desk_changeset(&desk, 1);
    (void)visit(&desk, &customer, "nice");
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_rejected(&desk, 2, REJECT_DEPENDS, &cause);
    desk_apply(&desk, 0);
    int64_t item = desk_number(&desk, "SELECT item FROM inbox");
    assert_int_equal(dk_store_inbox_discard(desk.store, item + 1), DAYBOOK_NOT_FOUND);
    assert_int_equal(dk_store_inbox_discard(desk.store, item), DAYBOOK_OK);
    assert_int_equal(dk_store_inbox_discard(desk.store, item), DAYBOOK_NOT_FOUND);
    assert_int_equal(dk_store_inbox_changes(desk.store, item, &desk.arena, &changes, &count, &items,
                                            &item_count),
                     DAYBOOK_NOT_FOUND);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM inbox_item"), 0);
    assert_int_equal(desk_state(&desk).inbox, 0);
    desk_close(&desk);
    desk_open(&desk);
    assert_int_equal(desk_state(&desk).inbox, 0);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_verdict__a_quarantine_keeps_what_is_seen_until_it_is_decided(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = known_customer(&desk, 3, "A"), other = known_customer(&desk, 4, "B");
    patch(&desk, &id, 3, CUSTOMER_NAME, "Aa");
    patch(&desk, &other, 4, CUSTOMER_NAME, "Bb");
    desk_send(&desk);
    for (int round = 0; round < 2; round++) { /* told twice */
        struct verdict verdict = {.seq = 1, .kind = VERDICT_QUARANTINED, .code = REJECT_INTERNAL};
        desk_verdict(&desk, &verdict);
        desk_apply(&desk, 4);
        assert_int_equal(desk_state(&desk).unsettled, 1);
        assert_int_equal(desk_state(&desk).pending, 1);
    }
    assert_string_equal(
        desk_sql(&desk,
                 "SELECT group_concat(state) FROM (SELECT state FROM sync_state ORDER BY seq)"),
        "quarantined,sending");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "Aa");
    /* the others go on, and it is not sent again */
    struct buffer out;
    struct store_batch batch;
    dk_buffer_init(&out, 100000);
    assert_int_equal(dk_store_collect(desk.store, 0, 100000, 10, &out, &batch), DAYBOOK_OK);
    assert_int_equal(batch.first_seq, 2);
    /* but when it is asked for again, in its place, and waits on */
    assert_int_equal(dk_store_ask_again(desk.store), DAYBOOK_OK);
    desk_check(&desk);
    assert_int_equal(desk_state(&desk).pending, 2);
    dk_buffer_reset(&out);
    assert_int_equal(dk_store_collect(desk.store, 0, 100000, 10, &out, &batch), DAYBOOK_OK);
    assert_int_equal(batch.first_seq, 1);
    assert_int_equal(batch.last_seq, 2);
    dk_buffer_clear(&out);
    struct verdict verdict = {.seq = 1, .kind = VERDICT_QUARANTINED, .code = REJECT_INTERNAL};
    desk_verdict(&desk, &verdict);
    desk_apply(&desk, 4);
    assert_int_equal(desk_state(&desk).unsettled, 1);
    desk_own(&desk, 5, 2, 2);
    desk_apply(&desk, 5);
    assert_int_equal(desk_state(&desk).settled, 0);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 5);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
    assert_int_equal(desk_state(&desk).settled, 2);
    desk_clear(&desk);
}

/* Given a verdict that tells what became of a changeset, when the store takes a new instance and
 * hears it again, then its person does not. */
static void test_store_verdict__what_became_of_a_changeset_is_told_once(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id customer = known_customer(&desk, 3, "A"), instance = desk_fixed_id(0x99);
    patch(&desk, &customer, 3, CUSTOMER_NAME, "B");
    for (int round = 0; round < 2; round++) {
        struct verdict verdict = {.seq = 1,
                                  .kind = VERDICT_ACCEPTED,
                                  .position = 4,
                                  .remapped = true,
                                  .entity = "customer",
                                  .record = customer,
                                  .moved_ms = 1000};
        desk_send(&desk);
        desk_verdict(&desk, &verdict);
        desk.reply.safe_position = -1;
        desk_apply(&desk, 4);
        assert_string_equal(desk_sql(&desk, "SELECT group_concat(kind) FROM inbox"),
                            "remapped,moved");
        assert_int_equal(desk_state(&desk).inbox, 2);
        assert_int_equal(dk_store_new_instance(desk.store, &instance, 8), DAYBOOK_OK);
        assert_int_equal(desk_state(&desk).pending, 1);
    }
    desk_clear(&desk);
}

static void test_store_verdict__verdicts_that_cannot_be_are_refused(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    struct id id = desk_customer(&desk, "A");
    /* not sent yet, or never made: a copy of this file has sent it */
    for (int64_t seq = 1; seq <= 2; seq++) {
        desk_accepted(&desk, seq, 1);
        assert_int_equal(desk_try_apply(&desk, 0, 5), DAYBOOK_OK);
        assert_true(desk.applied.copy_detected);
        assert_int_equal(desk_state(&desk).head, 0);
        desk_send(&desk);
    }
    desk_accepted(&desk, 0, 1);
    assert_int_equal(desk_try_apply(&desk, 0, 5), DAYBOOK_BAD_REPLY);
    desk_accepted(&desk, 1, 6);
    assert_int_equal(desk_try_apply(&desk, 0, 5), DAYBOOK_BAD_REPLY);
    desk_accepted(&desk, 1, 0);
    assert_int_equal(desk_try_apply(&desk, 0, 5), DAYBOOK_BAD_REPLY);
    desk_accepted(&desk, 1, 3);
    desk_apply_upto(&desk, 1, 5);
    /* decided once, so not otherwise later */
    for (int otherwise = 0; otherwise < 2; otherwise++) {
        /* it is that of a copy, which had the number, too */
        if (otherwise == 0) {
            desk_rejected(&desk, 1, REJECT_RULE, NULL);
        } else {
            desk_accepted(&desk, 1, 4);
        }
        assert_int_equal(desk_try_apply(&desk, 1, 5), DAYBOOK_OK);
        assert_true(desk.applied.copy_detected);
        assert_int_equal(desk_state(&desk).inbox, 0);
    }
    desk_own(&desk, 4, 1, 2);
    assert_int_equal(desk_try_apply(&desk, 4, 5), DAYBOOK_BAD_REPLY);
    desk_check(&desk);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &id, CUSTOMER_NAME, "A");
    desk_accepted(&desk, 1, 3);
    desk_own(&desk, 3, 1, 2);
    desk_apply(&desk, 5);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &id, 3);
    desk_clear(&desk);
}

static void test_store_verdict__many_rejections_of_large_changesets_stay_affordable(void **state)
{
    struct desk desk;
    struct id ids[1000];
    (void)state;
    /* given two changesets over the same thousand records */
    desk_begin(&desk);
    for (int i = 0; i < 1000; i++) {
        ids[i] = desk_id(&desk);
        desk_row(&desk, BLOCK_NEW, ENTITY_CUSTOMER, 2, 1, &ids[i]);
        desk_text(&desk, CUSTOMER_NAME, "A");
    }
    desk_apply(&desk, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            desk_set(&desk, ENTITY_CUSTOMER, &ids[i], 1);
            desk_text(&desk, round == 0 ? CUSTOMER_NAME : CUSTOMER_INDUSTRY, "x");
        }
        desk_commit(&desk);
    }
    desk_send(&desk);
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 1);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &ids[500], CUSTOMER_NAME, "A");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &ids[500], CUSTOMER_INDUSTRY, "x");
    desk_own(&desk, 2, 2, 2);
    desk_apply(&desk, 2);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM r_customer WHERE version=2"), 1000);
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_verdict__a_rejection_is_undone_exactly),
        cmocka_unit_test(test_store_verdict__later_changes_stay_on_top_of_an_undone_one),
        cmocka_unit_test(
            test_store_verdict__what_depends_on_a_rejected_creation_comes_back_as_one_item),
        cmocka_unit_test(test_store_verdict__mended_changes_are_what_the_single_ones_did),
        cmocka_unit_test(test_store_verdict__inbox_items_are_discarded_with_their_chain),
        cmocka_unit_test(test_store_verdict__a_quarantine_keeps_what_is_seen_until_it_is_decided),
        cmocka_unit_test(test_store_verdict__what_became_of_a_changeset_is_told_once),
        cmocka_unit_test(test_store_verdict__verdicts_that_cannot_be_are_refused),
        cmocka_unit_test(test_store_verdict__many_rejections_of_large_changesets_stay_affordable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
