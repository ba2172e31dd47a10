/* SPDX-License-Identifier: Apache-2.0
 *
 * Redirects of customers in the decision: chains and circles, references that follow without a new
 * stamp.
 */
#include "tests/unit/decide_world.h"

static void put_redirect(struct world *world, const struct id *from, const struct id *into)
{
    edit_record(world, ENTITY_CUSTOMER, from, world->org.head);
    put_id(world, CUSTOMER_REDIRECT_TO, into);
}

static void expect_customer(struct world *world, int entity, const struct id *id, int field,
                            const struct id *customer)
{
    struct value value = value_of(world, entity, id, field);
    assert_int_equal(value.kind, VALUE_ID);
    assert_memory_equal(&value.id, customer, sizeof value.id);
}

/* Given a row of as many redirects as there may be, when a visit names the first, then it is the
 * last one's, and the author is told; a circle, and a row that is longer at either end, is refused.
 */
static void test_decide_redirect__chains_end_and_circles_are_refused(void **state)
{
    struct world *world = *state;
    struct id row[LIMIT_REDIRECTS + 4];
    const struct id *last = &row[LIMIT_REDIRECTS];
    for (int i = 0; i < LIMIT_REDIRECTS + 4; i++) {
        row[i] = make_customer(world, &world->li, "one of many");
    }
    for (int i = 0; i < LIMIT_REDIRECTS; i++) {
        put_redirect(world, &row[i], &row[i + 1]);
        (void)accept(world, &world->server);
    }
    struct id visit = make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &row[0]);
    struct verdict verdict = send_changeset(world, &world->wang);
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_true(verdict.remapped);
    assert_memory_equal(&verdict.record, &row[0], sizeof row[0]);
    expect_customer(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID, last);
    put_redirect(world, last, &row[3]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, last, &row[0]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, &last[1], &last[1]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
    put_redirect(world, &last[3], &row[0]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "steps");
    put_redirect(world, last, &last[1]);
    reject(world, &world->server, REJECT_RULE, "redirect_to", "steps");
    put_redirect(world, &last[1], last);
    (void)accept(world, &world->server);
    /* Devices cannot redirect. */
    put_redirect(world, &last[2], &last[1]);
    reject(world, &world->li, REJECT_READONLY, "redirect_to", "server");
}

/* Given customers that become one another in a row of the greatest length, when the redirects come
 * in whatever order, in changesets of their own or in one, then all are the last one, and one more
 * is refused, wherever it would be. */
static void test_decide_redirect__a_row_is_as_long_in_any_order(void **state)
{
    struct world *world = *state;
    static const int orders[][LIMIT_REDIRECTS] = {{0, 1, 2, 3, 4, 5, 6, 7},
                                                  {7, 6, 5, 4, 3, 2, 1, 0},
                                                  {0, 1, 2, 5, 6, 7, 4, 3},
                                                  {3, 1, 7, 5, 0, 2, 6, 4},
                                                  {4, 5, 6, 7, 3, 2, 1, 0}};
    for (size_t n = 0; n < 2 * sizeof orders / sizeof orders[0]; n++) {
        const int *order = orders[n / 2];
        bool at_once = n % 2 == 1;
        struct id row[LIMIT_REDIRECTS + 1];
        for (int i = 0; i <= LIMIT_REDIRECTS; i++) {
            row[i] = make_customer(world, &world->li, "one of many");
        }
        struct id before = make_customer(world, &world->li, "before");
        struct id behind = make_customer(world, &world->li, "behind");
        for (int i = 0; i < LIMIT_REDIRECTS; i++) {
            put_redirect(world, &row[order[i]], &row[order[i] + 1]);
            if (!at_once || i == LIMIT_REDIRECTS - 1) {
                (void)accept(world, &world->server);
            }
        }
        put_redirect(world, &before, &row[0]);
        reject(world, &world->server, REJECT_RULE, "redirect_to", "steps");
        put_redirect(world, &row[LIMIT_REDIRECTS], &behind);
        reject(world, &world->server, REJECT_RULE, "redirect_to", "steps");
        for (int i = 0; i <= LIMIT_REDIRECTS; i++) {
            struct id visit = make_record(world, ENTITY_VISIT);
            put_id(world, VISIT_CUSTOMER_ID, &row[i]);
            (void)accept(world, &world->li);
            expect_customer(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID, &row[LIMIT_REDIRECTS]);
        }
    }
}

/* Given two rows of redirects that are too long together, when the end of the one is to become the
 * beginning of the other, then that is refused, whichever of them was made first; the end of the
 * other it may become. */
static void test_decide_redirect__two_rows_join_where_they_are_short_enough(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct id rows[2][5];
        for (int i = 0; i < 10; i++) {
            rows[i / 5][i % 5] = make_customer(world, &world->li, "one of ten");
        }
        for (int n = 0; n < 2; n++) {
            struct id *row = rows[n == first];
            for (int i = 0; i < 4; i++) {
                put_redirect(world, &row[i], &row[i + 1]);
                (void)accept(world, &world->server);
            }
        }
        put_redirect(world, &rows[0][4], &rows[1][0]);
        reject(world, &world->server, REJECT_RULE, "redirect_to", "steps");
        put_redirect(world, &rows[0][4], &rows[1][1]);
        (void)accept(world, &world->server);
        struct id visit = make_record(world, ENTITY_VISIT);
        put_id(world, VISIT_CUSTOMER_ID, &rows[0][0]);
        (void)accept(world, &world->li);
        expect_customer(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID, &rows[1][4]);
    }
}

/* Given two operators who both look at two customers, when each makes the other one of the two the
 * one that stays, then the first is obeyed and the second is refused: nobody is led in a circle. */
static void test_decide_redirect__two_operators_make_no_circle(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct id pair[2] = {make_customer(world, &world->li, "one"),
                             make_customer(world, &world->li, "other")};
        int64_t seen = world->org.head;
        for (int n = 0; n < 2; n++) {
            int from = n == 0 ? first : 1 - first;
            edit_record(world, ENTITY_CUSTOMER, &pair[from], seen);
            put_id(world, CUSTOMER_REDIRECT_TO, &pair[1 - from]);
            if (n == 0) {
                (void)accept(world, &world->server);
            } else {
                reject(world, &world->server, REJECT_RULE, "redirect_to", "cycle");
            }
        }
        expect_customer(world, ENTITY_CUSTOMER, &pair[first], CUSTOMER_REDIRECT_TO,
                        &pair[1 - first]);
    }
}

/* Given customers that became one another in a row, when the last one moves, then all move with
 * it. */
static void test_decide_redirect__a_long_row_moves_with_its_last(void **state)
{
    struct world *world = *state;
    struct id row[9];
    for (int i = 0; i < 9; i++) {
        row[i] = make_customer(world, &world->li, "one of many");
    }
    for (int i = 0; i < 8; i++) {
        put_redirect(world, &row[i], &row[i + 1]);
        (void)accept(world, &world->server);
    }
    struct id contact = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &row[8]);
    put_text(world, CONTACT_NAME, "Anna");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &row[8], world->org.head);
    put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[WEST]);
    (void)accept(world, &world->server);
    struct srv_record moved, first;
    assert_true(read_row(world, ENTITY_CONTACT, &contact, &moved));
    for (int i = 0; i < 9; i++) {
        assert_true(read_row(world, ENTITY_CUSTOMER, &row[i], &first));
        assert_int_equal(first.bucket, moved.bucket);
        expect_customer(world, ENTITY_CUSTOMER, &row[i], CUSTOMER_TERRITORY_ID,
                        &world->territories[WEST]);
    }
}

/* Given a contact of a customer that becomes another, when its rep has given it to a third one
 * meanwhile, then the third one has it, whichever came first. */
static void test_decide_redirect__a_reference_keeps_its_stamp(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct id from = make_customer(world, &world->li, "from");
        struct id into = make_customer(world, &world->li, "into");
        struct id third = make_customer(world, &world->li, "third");
        struct id contact = make_record(world, ENTITY_CONTACT);
        put_id(world, CONTACT_CUSTOMER_ID, &from);
        put_text(world, CONTACT_NAME, "Anna");
        int64_t seen = accept(world, &world->li);
        int64_t then = world->now_ms + 1000;
        put_redirect(world, &from, &into);
        world->now_ms += 5000;
        (void)accept(world, &world->server);
        for (int i = 0; i < 2; i++) {
            if ((i == 0) == (first == 0)) {
                struct srv_record row;
                assert_true(read_row(world, ENTITY_CONTACT, &contact, &row));
                if (dk_id_compare(&row.record.values[CONTACT_CUSTOMER_ID].id, &from) == 0) {
                    edit_record(world, ENTITY_CONTACT, &contact, world->org.head);
                    put_id(world, CONTACT_CUSTOMER_ID, &into);
                    (void)accept(world, &world->server);
                }
            } else {
                edit_record(world, ENTITY_CONTACT, &contact, seen);
                put_id(world, CONTACT_CUSTOMER_ID, &third);
                world->hlc_ms = then;
                (void)accept(world, &world->wang);
            }
        }
        expect_customer(world, ENTITY_CONTACT, &contact, CONTACT_CUSTOMER_ID, &third);
    }
}

/* What names a customer that becomes another: a quote or a contact. */
struct reference {
    int entity, field, text_field;
    struct id id, from, into;
    int64_t seen;
};

/* One act of three: 0 a delete, 1 the redirect, with what is there led on as the command does it, 2
 * an edit that had not seen either. */
static void act(struct world *world, const struct reference *what, int act)
{
    struct srv_record row;
    if (act == 1) {
        put_redirect(world, &what->from, &what->into);
        (void)accept(world, &world->server);
        assert_true(read_row(world, what->entity, &what->id, &row));
        if (!row.deleted) {
            edit_record(world, what->entity, &what->id, world->org.head);
            put_id(world, what->field, &what->into);
            (void)accept(world, &world->server);
        }
        return;
    }
    if (act == 0) {
        delete_record(world, what->entity, &what->id, what->seen);
    } else {
        edit_record(world, what->entity, &what->id, what->seen);
        put_text(world, what->text_field, "mended");
    }
    struct verdict verdict = send_changeset(world, act == 0 ? &world->li : &world->wang);
    assert_true(verdict.kind == VERDICT_ACCEPTED || verdict.kind == VERDICT_MERGED);
}

/* Given a quote, or a contact, that one deletes and another edits, unseen, when its customer
 * becomes another, then it is there and names that one, whatever came first. */
static void test_decide_redirect__what_comes_back_names_the_other(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *world = *state;
    for (int round = 0; round < 2 * 6; round++) {
        struct reference what = {.from = make_customer(world, &world->li, "from"),
                                 .into = make_customer(world, &world->li, "into"),
                                 .entity = round % 2 == 0 ? ENTITY_QUOTE : ENTITY_CONTACT};
        if (what.entity == ENTITY_QUOTE) {
            what.field = QUOTE_CUSTOMER_ID;
            what.text_field = QUOTE_NOTE;
            what.id = add_quote(world, &what.from);
        } else {
            what.field = CONTACT_CUSTOMER_ID;
            what.text_field = CONTACT_NAME;
            what.id = make_record(world, ENTITY_CONTACT);
            put_id(world, CONTACT_CUSTOMER_ID, &what.from);
            put_text(world, CONTACT_NAME, "Anna");
        }
        what.seen = accept(world, &world->li);
        for (int i = 0; i < 3; i++) {
            act(world, &what, orders[round / 2][i]);
        }
        expect_customer(world, what.entity, &what.id, what.field, &what.into);
        expect_text(world, what.entity, &what.id, what.text_field, "mended");
    }
}

/* Given two customers that became one, when a changeset that had not seen later names of either
 * names both, then both names that lost are kept, each in an entry of its own. */
static void test_decide_redirect__what_loses_twice_is_kept_twice(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    int64_t seen = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_text(world, CUSTOMER_NAME, "the one");
    world->hlc_ms = world->now_ms + 5000;
    (void)accept(world, &world->li);
    put_redirect(world, &from, &into);
    world->now_ms += 9000;
    int64_t before = accept(world, &world->server);
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_text(world, CUSTOMER_NAME, "one name");
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_text(world, CUSTOMER_NAME, "other name");
    world->hlc_ms = WORLD_NOW_MS + 1000;
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_NAME, "the one");
    const char *page = pull_all(world, &world->office, before);
    expect_in(page, "one name");
    expect_in(page, "other name");
}

/* A customer's own keys at a time, by a rep. */
static void set_custom(struct world *world, const struct id *id, int64_t ms, const char *keys)
{
    edit_record(world, ENTITY_CUSTOMER, id, world->org.head);
    put_text(world, FIELD_CUSTOM, keys);
    world->hlc_ms = world->now_ms + ms;
    (void)accept(world, &world->li);
}

/* Given two customers whose own keys differ, when they become one, then of each key the later side
 * stands, a removal, too; what loses is kept, and who sees the customer is sent what changed. */
static void test_decide_redirect__keys_join_by_their_stamps(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    set_custom(world, &from, 1000, "{\"door\":\"left\",\"gone\":\"x\",\"only\":\"f\"}");
    set_custom(world, &into, 2000, "{\"door\":\"right\",\"floor\":5,\"gone\":\"y\"}");
    set_custom(world, &from, 3000, "{\"floor\":3,\"gone\":null}");
    put_redirect(world, &from, &into);
    world->now_ms += 9000;
    int64_t before = world->org.head;
    (void)send_changeset(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &into, FIELD_CUSTOM,
                "{\"door\":\"right\",\"floor\":3,\"only\":\"f\"}");
    const char *page = pull_all(world, &world->wang, before);
    expect_in(page, "\"custom.floor\",\"3\",\"5\"");
    expect_in(page, "\"custom.door\",\"\\\"right\\\"\",\"\\\"left\\\"\"");
    expect_in(page, "\"custom.gone\",\"\\\"y\\\"\"");
    expect_in(page, "{\"floor\":3,\"gone\":null,\"only\":\"f\"}");
}

/* Reassigns a customer, as an import does. */
static void reassign(struct world *world, const struct id *customer, int territory)
{
    edit_record(world, ENTITY_CUSTOMER, customer, world->org.head);
    put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[territory]);
    (void)accept(world, &world->server);
}

/* Given customers that became one, in a row, when the last one goes to another territory, then the
 * others go with it, and come back with it; by themselves they go nowhere. */
static void test_decide_redirect__who_became_one_moves_as_one(void **state)
{
    struct world *world = *state;
    struct id row[3];
    for (int i = 0; i < 3; i++) {
        row[i] = make_customer(world, &world->li, "one of three");
    }
    for (int i = 0; i < 2; i++) {
        put_redirect(world, &row[i], &row[i + 1]);
        (void)accept(world, &world->server);
    }
    for (int territory = WEST; territory >= EAST; territory--) {
        int64_t before = world->org.head;
        reassign(world, &row[2], territory);
        reassign(world, &row[0], 1 - territory);
        for (int i = 0; i < 3; i++) {
            struct device *reader = territory == WEST ? &world->tom : &world->li;
            struct device *other = territory == WEST ? &world->li : &world->tom;
            struct value value = value_of(world, ENTITY_CUSTOMER, &row[i], CUSTOMER_TERRITORY_ID);
            assert_memory_equal(&value.id, &world->territories[territory], sizeof value.id);
            expect_in(pull_all(world, reader, before), wire(world, &row[i]));
            const char *page = pull_all(world, other, before);
            expect_in(page, "evict");
            expect_not_in(page, "one of three");
        }
    }
}

/* Given a customer that became another and was reassigned, when work on it comes that its rep had
 * recorded before, then it is the other one's, and said to have moved; also where the rep never had
 * the other one; what was recorded later is missing. */
static void test_decide_redirect__work_of_before_is_kept_over_both(void **state)
{
    struct world *world = *state;
    for (int first = EAST; first <= WEST; first++) {
        /* The first customer may have come from the west, where nobody saw the other one. */
        struct device *rep = first == EAST ? &world->li : &world->tom;
        struct id from = make_customer(world, rep, "from");
        struct id into = make_customer(world, &world->li, "into");
        int64_t base = world->org.head, then_ms = world->now_ms + 1000;
        world->now_ms += 2000;
        if (first == WEST) {
            reassign(world, &from, EAST);
        }
        put_redirect(world, &from, &into);
        (void)accept(world, &world->server);
        if (first == EAST) {
            reassign(world, &into, WEST);
        }
        world->now_ms += 5000;
        struct id visit;
        for (int late = 1; late >= 0; late--) {
            for (int kind = 0; kind < 2; kind++) {
                if (kind == 0) {
                    edit_record(world, ENTITY_CUSTOMER, &from, base);
                    put_text(world, CUSTOMER_PREFS, "tea");
                } else {
                    visit = make_record(world, ENTITY_VISIT);
                    put_id(world, VISIT_CUSTOMER_ID, &from);
                }
                world->hlc_ms = late ? world->now_ms : then_ms;
                struct verdict verdict = send_changeset(world, rep);
                assert_int_equal(verdict.kind, late ? VERDICT_REJECTED : VERDICT_ACCEPTED);
                assert_int_equal(verdict.code, late ? REJECT_REF_MISSING : REJECT_NONE);
                assert_int_equal(verdict.remapped, !late);
                assert_int_equal(verdict.moved_ms != 0, !late);
            }
        }
        expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_PREFS, "tea");
        expect_customer(world, ENTITY_VISIT, &visit, VISIT_CUSTOMER_ID, &into);
        expect_not_in(pull_all(world, rep, base), "tea");
    }
}

/* A customer and another one that it becomes; what a phone whose clock is ahead gave to the first.
 */
struct pair {
    struct id from, into;
    int64_t seen;
};

static struct pair make_pair(struct world *world)
{
    struct pair pair = {make_customer(world, &world->li, "from"),
                        make_customer(world, &world->li, "into"), 0};
    edit_record(world, ENTITY_CUSTOMER, &pair.into, world->org.head);
    put_text(world, CUSTOMER_PREFS, "into's");
    put_text(world, FIELD_CUSTOM, "{\"floor\":1}");
    world->hlc_ms = world->now_ms + 1000;
    (void)accept(world, &world->wang);
    edit_record(world, ENTITY_CUSTOMER, &pair.from, world->org.head);
    put_text(world, CUSTOMER_PREFS, "ahead");
    put_text(world, FIELD_CUSTOM, "{\"floor\":2}");
    put_text(world, CUSTOMER_TAGS, "{\"add\":[\"gold\"]}");
    world->hlc_ms = world->now_ms + 200000;
    pair.seen = accept(world, &world->wang);
    return pair;
}

/* Given an edit by somebody who had seen what a clock that was ahead had given to a customer, when
 * the customer becomes another before the edit comes or after it, then the edit stands, as it is
 * later than what it was based on. */
static void test_decide_redirect__an_edit_is_later_than_what_it_was_based_on(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct pair pair = make_pair(world);
        int64_t before = world->org.head;
        for (int step = 0; step < 2; step++) {
            if (step == order) {
                put_redirect(world, &pair.from, &pair.into);
                (void)send_changeset(world, &world->server);
            } else {
                edit_record(world, ENTITY_CUSTOMER, &pair.from, pair.seen);
                put_text(world, CUSTOMER_PREFS, "edited");
                put_text(world, FIELD_CUSTOM, "{\"floor\":3}");
                put_text(world, CUSTOMER_TAGS, "{\"remove\":[\"gold\"]}");
                world->hlc_ms = world->now_ms + 5000;
                (void)accept(world, &world->li);
            }
        }
        expect_text(world, ENTITY_CUSTOMER, &pair.into, CUSTOMER_PREFS, "edited");
        expect_text(world, ENTITY_CUSTOMER, &pair.into, FIELD_CUSTOM, "{\"floor\":3}");
        expect_text(world, ENTITY_CUSTOMER, &pair.into, CUSTOMER_TAGS, NULL);
        expect_in(pull_all(world, &world->office, before), "into's");
    }
}

/* Given customers that became one, when one changeset gives each of them a key of its own, then all
 * keys are the one's, and who sees it is sent all of them. */
static void test_decide_redirect__the_keys_of_one_changeset_travel_together(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    int64_t seen = world->org.head;
    put_redirect(world, &from, &into);
    int64_t before = accept(world, &world->server);
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_text(world, FIELD_CUSTOM, "{\"door\":\"left\"}");
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_text(world, FIELD_CUSTOM, "{\"floor\":3}");
    (void)accept(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &into, FIELD_CUSTOM, "{\"door\":\"left\",\"floor\":3}");
    expect_in(pull_all(world, &world->li, before), "{\"door\":\"left\",\"floor\":3}");
}

/* A map of 100 keys, as many as there may be; all removed where `value` says so. */
static void put_full_map(struct world *world, char first, const char *value)
{
    char text[4096] = "{";
    size_t at = 1;
    for (int i = 0; i < LIMIT_CUSTOM_KEYS; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s\"%c%d\":%s", i == 0 ? "" : ",",
                               first, i, value);
    }
    (void)snprintf(text + at, sizeof text - at, "}");
    put_text(world, FIELD_CUSTOM, dk_arena_copy(&world->arena, text, strlen(text)));
}

/* Given customers that became one, when one changeset takes away all keys by the one id and gives
 * as many others by the other, then readers get the whole record, as no change names so many keys.
 */
static void test_decide_redirect__more_keys_than_a_change_names(void **state)
{
    struct world *world = *state;
    struct id from = make_customer(world, &world->li, "from");
    struct id into = make_customer(world, &world->li, "into");
    put_redirect(world, &from, &into);
    (void)accept(world, &world->server);
    edit_record(world, ENTITY_CUSTOMER, &into, world->org.head);
    put_full_map(world, 'a', "1");
    int64_t seen = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &into, seen);
    put_full_map(world, 'a', "null");
    edit_record(world, ENTITY_CUSTOMER, &from, seen);
    put_full_map(world, 'b', "2");
    (void)accept(world, &world->li);
    const char *page = pull_all(world, &world->wang, seen);
    expect_in(page, "\"customer\",\"op\":\"new\"");
    expect_in(page, "\"b99\":2");
    expect_not_in(page, "null");
}

/* Given customers that became one, when one changeset gives each of them a value of the same field,
 * then the last one stands, and the others are kept as what lost. */
static void test_decide_redirect__one_changeset_against_itself(void **state)
{
    struct world *world = *state;
    struct id from[2] = {make_customer(world, &world->li, "from"),
                         make_customer(world, &world->li, "from too")};
    struct id into = make_customer(world, &world->li, "into");
    int64_t seen = world->org.head;
    for (int i = 0; i < 2; i++) {
        put_redirect(world, &from[i], &into);
        (void)send_changeset(world, &world->server);
    }
    int64_t before = world->org.head;
    const struct id *const customers[] = {&from[0], &into, &from[1]};
    static const char *const prefs[] = {"first tea", "second tea", "third tea"};
    static const char *const keys[] = {"{\"door\":\"one\"}", "{\"door\":\"two\"}",
                                       "{\"door\":\"three\"}"};
    for (int i = 0; i < 3; i++) {
        edit_record(world, ENTITY_CUSTOMER, customers[i], seen);
        put_text(world, CUSTOMER_PREFS, prefs[i]);
        put_text(world, FIELD_CUSTOM, keys[i]);
    }
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_CUSTOMER, &into, CUSTOMER_PREFS, "third tea");
    expect_text(world, ENTITY_CUSTOMER, &into, FIELD_CUSTOM, keys[2]);
    const char *page = pull_all(world, &world->li, before);
    expect_in(page, "\"prefs\",\"\\\"first tea\\\"\",\"\\\"second tea\\\"\"");
    expect_in(page, "\"prefs\",\"\\\"third tea\\\"\",\"\\\"first tea\\\"\"");
    expect_in(page, "\"custom.door\",\"\\\"one\\\"\",\"\\\"two\\\"\"");
    expect_in(page, "\"custom.door\",\"\\\"three\\\"\",\"\\\"one\\\"\"");
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_redirect__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chains_end_and_circles_are_refused),
        TEST(a_row_is_as_long_in_any_order),
        TEST(two_rows_join_where_they_are_short_enough),
        TEST(two_operators_make_no_circle),
        TEST(a_reference_keeps_its_stamp),
        TEST(what_comes_back_names_the_other),
        TEST(what_loses_twice_is_kept_twice),
        TEST(keys_join_by_their_stamps),
        TEST(who_became_one_moves_as_one),
        TEST(work_of_before_is_kept_over_both),
        TEST(an_edit_is_later_than_what_it_was_based_on),
        TEST(the_keys_of_one_changeset_travel_together),
        TEST(more_keys_than_a_change_names),
        TEST(one_changeset_against_itself),
        TEST(a_long_row_moves_with_its_last),
    };
    return cmocka_run_group_tests_name("decide_redirect", tests, NULL, NULL);
}
