/* SPDX-License-Identifier: Apache-2.0
 *
 * Two records of one customer become one while reps work offline on both: what names the one is
 * about the other, what changes it changes the other, in every order of arrival; those whose work
 * went elsewhere are told.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LATER_MS 3000

static struct company company;
static struct rep *wang, *li, *eva;

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    eva = company_hire(&company, "eva", "rep", "East");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void clean_inboxes(void)
{
    for (int i = 0; i < company.count; i++) {
        struct device *device = &company.reps[i].device;
        int64_t item;
        while ((item = device_int(device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
            device_must(daybook_inbox_discard(device->engine, item), NULL);
        }
    }
}

static int customer_merge(const char *from, const char *into)
{
    char out[1000];
    return server_run(&company.server, out, sizeof out,
                      (const char *[]){"customer", "merge", from, into, NULL});
}

/* Two customers with a contact and a quote at the first. */
struct twins {
    char from[DAYBOOK_ID_SIZE], into[DAYBOOK_ID_SIZE];
    char contact[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
};

static void make_twins(struct twins *twins)
{
    rep_put(wang, "customer",
            "{\"name\":\"Wu\",\"industry\":\"tea\",\"custom\":{\"a\":1,\"b\":1},\"tags\":[\"x\"]}",
            twins->from);
    rep_put(wang, "customer",
            "{\"name\":\"Wu\",\"channel\":\"shop\",\"custom\":{\"b\":2},\"tags\":[\"y\"]}",
            twins->into);
    rep_putf(wang, "contact", twins->contact, "{\"customer_id\":\"%s\",\"name\":\"Anna\"}",
             twins->from);
    rep_putf(wang, "quote", twins->quote, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", twins->from);
    company_settle(&company);
    clean_inboxes();
}

/* What reps do offline, with clocks that say in which order: wang changes what goes, li what stays,
 * eva visits what goes. */
static void work_offline(struct twins *twins)
{
    rep_patch(wang, "customer", twins->from, "{\"prefs\":\"wang\",\"phone_e164\":\"+861\"}");
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "customer", twins->into, "{\"prefs\":\"li\",\"kind\":\"store\"}");
    tap_set_ahead(&li->tap, 0);
    rep_putf(eva, "visit", twins->visit, "{\"customer_id\":\"%s\",\"feedback\":\"eva\"}",
             twins->from);
}

/* The same in the end, whoever came first. */
static void check(const struct twins *twins)
{
    static const struct {
        const char *field, *value;
    } expected[] = {
        {"prefs", "li"},           {"phone_e164", "+861"},
        {"kind", "store"},         {"industry", "tea"},
        {"channel", "shop"},       {"name", "Wu"},
        {"tags", "[\"x\",\"y\"]"}, {"custom", "{\"a\":1,\"b\":2}"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_field(eva, "customer", twins->into, expected[i].field, expected[i].value);
    }
    assert_field(eva, "customer", twins->from, "redirect_to", twins->into);
    assert_field(li, "visit", twins->visit, "customer_id", twins->into);
    assert_field(eva, "visit", twins->visit, "customer_id", twins->into);
    assert_field(li, "contact", twins->contact, "customer_id", twins->into);
    assert_field(wang, "quote", twins->quote, "customer_id", twins->into);
    /* What lost is in the log of conflicts: prefs, by whichever way. */
    assert_int_equal(rep_count(eva,
                               "SELECT count(*) > 0 FROM field_conflict WHERE record_id = ?1"
                               " AND field_name = 'prefs' AND lost = '\"wang\"'",
                               twins->into),
                     1);
}

enum act { WANG, LI, EVA, MERGE, ACTS };

static void act(enum act which, const struct twins *twins)
{
    switch (which) {
    case WANG: rep_sync(wang); break;
    case LI: rep_sync(li); break;
    case EVA: rep_sync(eva); break;
    default: assert_int_equal(customer_merge(twins->from, twins->into), 0); break;
    }
}

/* Given two customers and work offline on both, when they become one before, between or behind the
 * reps' syncs, then every order ends the same, and those who came behind are told. */
static void test_redirect__every_order_of_arrival(void **state)
{
    (void)state;
    for (int order = 0; order < ACTS * ACTS * ACTS * ACTS; order++) {
        int acts[ACTS], digits = order, seen = 0, merged = -1;
        struct twins twins;
        for (int i = 0; i < ACTS; i++) {
            acts[i] = digits % ACTS;
            digits /= ACTS;
            seen |= 1 << acts[i];
        }
        if (seen != (1 << ACTS) - 1) {
            continue;
        }
        make_twins(&twins);
        work_offline(&twins);
        for (int i = 0; i < ACTS; i++) {
            act((enum act)acts[i], &twins);
            merged = acts[i] == MERGE ? i : merged;
        }
        company_settle(&company);
        check(&twins);
        for (int i = 0; i < ACTS; i++) {
            struct rep *rep = acts[i] == WANG ? wang : acts[i] == EVA ? eva : li;
            bool told = i > merged && (acts[i] == WANG || acts[i] == EVA);
            assert_int_equal(acts[i] == MERGE
                                 ? 0
                                 : device_int(&rep->device, "SELECT count(*) FROM inbox"
                                                            " WHERE kind = 'remapped'"),
                             told ? 1 : 0);
            if (told) {
                assert_string_equal(
                    device_text(&rep->device,
                                "SELECT record_id FROM inbox WHERE kind = 'remapped'"),
                    twins.from);
            }
        }
    }
}

/* A chain: what names the first goes to the last; no circle, no merge twice, none into another
 * territory; what is pending meanwhile stays on top. */
static void test_redirect__chains_and_what_is_refused(void **state)
{
    struct twins first, second;
    char west[DAYBOOK_ID_SIZE], both[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    (void)state;
    make_twins(&first);
    make_twins(&second);
    struct rep *tom = company_hire(&company, "tom", "rep", "South");
    rep_put(tom, "customer", "{\"name\":\"elsewhere\"}", west);
    rep_sync(tom);
    assert_int_equal(customer_merge(first.from, first.into), 0);
    assert_int_not_equal(customer_merge(first.from, second.into), 0);
    assert_int_not_equal(customer_merge(first.into, first.from), 0);
    assert_int_not_equal(customer_merge(first.into, west), 0);
    assert_int_not_equal(customer_merge(first.into, "01929f6c-3a00-7000-8000-00000000ffff"), 0);
    assert_int_equal(customer_merge(first.into, second.into), 0);
    /* A customer that became another goes where that goes, and nowhere by itself. */
    char out[400];
    const char *const reassign[] = {"customer",    "reassign", first.from,
                                    "--territory", "South",    NULL};
    assert_int_not_equal(server_run(&company.server, out, sizeof out, reassign), 0);
    assert_non_null(strstr(out, first.from));
    assert_non_null(strstr(out, first.into));
    /* eva knows nothing of it: one transaction that changes first and last, and names the first. */
    device_must(daybook_begin(eva->device.engine, &transaction), NULL);
    device_must(daybook_patch_json(transaction, "customer", first.from,
                                   device_version(&eva->device, "customer", first.from),
                                   "{\"prefs\":\"first\",\"kind\":\"k\"}", NULL),
                NULL);
    device_must(daybook_patch_json(transaction, "customer", second.into,
                                   device_version(&eva->device, "customer", second.into),
                                   "{\"prefs\":\"last\"}", NULL),
                NULL);
    char json[120];
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", first.from);
    device_must(daybook_put_json(transaction, "visit", NULL, DAYBOOK_NEW, json, both, NULL), NULL);
    device_must(daybook_commit(transaction, &eva->device.error), &eva->device.error);
    daybook_end(&transaction);
    company_settle(&company);
    assert_field(li, "visit", both, "customer_id", second.into);
    assert_field(li, "customer", second.into, "kind", "k");
    assert_field(eva, "customer", first.from, "kind", "");
    assert_int_equal(device_int(&eva->device, "SELECT count(*) FROM inbox WHERE kind='remapped'"),
                     1);
    clean_inboxes();
}

/* The one that goes is deleted, too, before what somebody changed of it unseen arrives: the change
 * is in the other, and the one stays deleted, for who changed it as well. */
static void test_redirect__what_went_and_was_deleted_stays_so(void **state)
{
    struct twins twins;
    (void)state;
    make_twins(&twins);
    rep_patch(li, "customer", twins.from, "{\"phone_e164\":\"+862\"}");
    assert_int_equal(customer_merge(twins.from, twins.into), 0);
    rep_sync(wang);
    rep_delete(wang, "customer", twins.from);
    rep_sync(wang);
    rep_sync(li);
    company_settle(&company); /* compares, and expects no divergence */
    assert_field(li, "customer", twins.into, "phone_e164", "+862");
    assert_int_equal(rep_count(li, "SELECT count(*) FROM customer WHERE id = ?1", twins.from), 0);
    clean_inboxes();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redirect__every_order_of_arrival),
        cmocka_unit_test(test_redirect__what_went_and_was_deleted_stays_so),
        cmocka_unit_test(test_redirect__chains_and_what_is_refused),
    };
    return cmocka_run_group_tests_name("redirect", tests, set_up, tear_down);
}
