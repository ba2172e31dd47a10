/* SPDX-License-Identifier: Apache-2.0
 *
 * Pulling in the smallest pages, one changeset each, with older work of others still to come: what
 * a device recorded itself and the server accepted is never overwritten by it, in no state between,
 * also when the store is closed there. Every commit of the engine is such a state: the views are
 * read before each exchange and after each page.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LATER_MS 3000

static struct company company;
static struct rep *wang, *li; /* li pulls page by page */

static struct rep *hire_with_small_pages(const char *login)
{
    struct rep *rep = company_add(&company, login, "rep", "East");
    rep->device.options.page_bytes = 1;
    rep_begin(rep);
    return rep;
}

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = hire_with_small_pages("li");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void new_shop(char shop[DAYBOOK_ID_SIZE])
{
    rep_put(wang, "customer", "{\"name\":\"shop\",\"kind\":\"k0\"}", shop);
    company_settle(&company);
}

/* What the hook expects of a device's view at any time. */
struct watch {
    struct rep *rep;
    const char *id;
    const char *field;
    const char *value;
    int looks;
};

static void look(void *context, int number)
{
    struct watch *watch = context;
    (void)number;
    assert_field(watch->rep, "customer", watch->id, watch->field, watch->value);
    watch->looks++;
}

static void test_pages__own_accepted_value_is_never_overwritten(void **state)
{
    char shop[DAYBOOK_ID_SIZE], text[64];
    (void)state;
    new_shop(shop);
    /* Wang's older values, each a changeset of its own, which Li does not have. */
    for (int i = 1; i <= 8; i++) {
        rep_patchf(wang, "customer", shop, "{\"kind\":\"wang %d\",\"phone_e164\":\"+86%d\"}", i, i);
        rep_sync(wang);
    }
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "customer", shop, "{\"kind\":\"li\"}");
    tap_set_ahead(&li->tap, 0);

    struct watch watch = {li, shop, "kind", "li", 0};
    li->tap.context = &watch;
    li->tap.before = look;
    int exchanges = tap_exchanges(&li->tap);
    rep_sync(li);
    li->tap.before = NULL;
    /* Page by page: so the states between were really there. */
    assert_true(tap_exchanges(&li->tap) - exchanges >= 9);
    assert_true(watch.looks >= 9);
    assert_field(li, "customer", shop, "kind", "li");
    (void)snprintf(text, sizeof text, "+86%d", 8);
    assert_field(li, "customer", shop, "phone_e164", text);
    company_settle(&company);
    assert_field(wang, "customer", shop, "kind", "li");
}

static void test_pages__also_when_the_store_is_closed_in_between(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    int pages = 0;
    (void)state;
    new_shop(shop);
    for (int i = 1; i <= 6; i++) {
        rep_patchf(wang, "customer", shop, "{\"kind\":\"wang %d\"}", i);
        rep_sync(wang);
    }
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "customer", shop, "{\"kind\":\"li 1\"}");
    tap_set_ahead(&li->tap, 0);
    bool end = false;
    while (!end) {
        assert_true(pages++ < 50);
        end = rep_exchange(li);
        assert_field(li, "customer", shop, "kind", "li 1");
        device_close(&li->device);
        device_open(&li->device);
        assert_field(li, "customer", shop, "kind", "li 1");
    }
    assert_true(pages >= 6);
    company_settle(&company);
}

/* The verdict is lost, and work of others comes between the device's own. */
static void test_pages__also_when_verdicts_are_lost_and_others_come_between(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    int pages = 0;
    (void)state;
    new_shop(shop);
    rep_patch(wang, "customer", shop, "{\"kind\":\"wang 1\"}");
    rep_sync(wang);
    rep_patch(wang, "customer", shop, "{\"kind\":\"wang 2\"}"); /* goes up after Li's first */
    tap_set_ahead(&li->tap, LATER_MS);
    rep_patch(li, "customer", shop, "{\"kind\":\"li 1\"}");
    tap_lose_replies(&li->tap, 1);
    device_sync_expect(&li->device, DAYBOOK_OFFLINE);
    assert_string_equal(company_field(&company, "customer", shop, "kind"), "li 1");
    rep_sync(wang);
    rep_patch(li, "customer", shop, "{\"kind\":\"li 2\"}");
    tap_set_ahead(&li->tap, 0);
    bool end = false;
    while (!end) {
        assert_true(pages++ < 50);
        assert_field(li, "customer", shop, "kind", "li 2");
        end = rep_exchange(li);
        assert_field(li, "customer", shop, "kind", "li 2");
    }
    company_settle(&company);
    assert_field(wang, "customer", shop, "kind", "li 2");
}

static void test_pages__page_never_splits_a_changeset(void **state)
{
    char shop[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error *error = &wang->device.error;
    (void)state;
    new_shop(shop);
    for (int round = 0; round < 3; round++) {
        device_must(daybook_begin(wang->device.engine, &transaction), NULL);
        for (int i = 0; i < 5; i++) {
            char json[200];
            (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"row %d\"}", shop,
                           round);
            device_must(
                daybook_put_json(transaction, "contact", NULL, DAYBOOK_NEW, json, NULL, error),
                error);
        }
        device_must(daybook_commit(transaction, error), error);
        daybook_end(&transaction);
    }
    rep_sync(wang);
    int64_t seen = 0;
    bool end = false;
    for (int pages = 0; !end && pages < 50; pages++) {
        end = rep_exchange(li);
        int64_t rows = rep_count(li, "SELECT count(*) FROM contact WHERE customer_id = ?1", shop);
        assert_int_equal(rows % 5, 0);
        assert_in_range(rows - seen, 0, 5);
        seen = rows;
    }
    assert_int_equal(seen, 15);
    company_settle(&company);
}

/* ---- by chance */

#define SHOPS 3
#define STEPS 200

/* Values are numbers that grow with each write of either device, in the order of the stamps. So no
 * view may ever show a lower one than it showed before. */
struct chance {
    struct rep *reps[2];
    char shops[SHOPS][DAYBOOK_ID_SIZE];
    int64_t shown[2][SHOPS][2];
    int64_t counter;
    uint64_t seed;
};

static const char *const chance_fields[] = {"potential_bp", "lat_e7"};

static uint64_t next(struct chance *chance, uint64_t below)
{
    chance->seed ^= chance->seed << 13;
    chance->seed ^= chance->seed >> 7;
    chance->seed ^= chance->seed << 17;
    return chance->seed % below;
}

static void look_at_all(void *context, int number)
{
    struct chance *chance = context;
    (void)number;
    for (int device = 0; device < 2; device++) {
        for (int shop = 0; shop < SHOPS; shop++) {
            for (int field = 0; field < 2; field++) {
                int64_t *shown = &chance->shown[device][shop][field];
                int64_t now = strtoll(rep_field(chance->reps[device], "customer",
                                                chance->shops[shop], chance_fields[field]),
                                      NULL, 10);
                if (now < *shown) {
                    print_error("device %d, shop %d, %s: %lld after %lld\n", device, shop,
                                chance_fields[field], (long long)now, (long long)*shown);
                    fail();
                }
                *shown = now;
            }
        }
    }
}

static void chance_step(struct chance *chance)
{
    struct rep *rep = chance->reps[next(chance, 2)];
    const char *shop = chance->shops[next(chance, SHOPS)];
    switch (next(chance, 10)) {
    case 0:
        tap_lose_replies(&rep->tap, 1);
        (void)daybook_sync(rep->device.engine, 0, &rep->device.error);
        tap_lose_replies(&rep->tap, 0);
        break;
    case 1:
    case 2:
    case 3: (void)rep_exchange(rep); break;
    case 4: rep_sync(rep); break;
    default:
        chance->counter++;
        /* Each write is 250 ms later than the one before by the clocks. */
        tap_set_ahead(&rep->tap, chance->counter * 250);
        if (next(chance, 2) == 0) {
            rep_patchf(rep, "customer", shop, "{\"potential_bp\":%lld}",
                       (long long)chance->counter);
        } else {
            rep_patchf(rep, "customer", shop, "{\"lat_e7\":%lld,\"lon_e7\":1}",
                       (long long)chance->counter);
        }
        tap_set_ahead(&rep->tap, 0);
        break;
    }
    look_at_all(chance, 0);
}

static void test_pages__no_view_ever_goes_back(void **state)
{
    const char *given = getenv("DAYBOOK_FLOW_SEED");
    struct chance chance = {.seed = 1795226400001};
    (void)state;
    chance.seed = given == NULL ? chance.seed : strtoull(given, NULL, 10);
    print_message("replay: DAYBOOK_FLOW_SEED=%llu flow_pages\n", (unsigned long long)chance.seed);
    chance.reps[0] = li;
    chance.reps[1] = hire_with_small_pages("zhao");
    for (int i = 0; i < SHOPS; i++) {
        rep_put(li, "customer",
                "{\"name\":\"by chance\",\"potential_bp\":0,\"lat_e7\":0,\"lon_e7\":0}",
                chance.shops[i]);
    }
    company_settle(&company);
    for (int i = 0; i < 2; i++) {
        chance.reps[i]->tap.context = &chance;
        chance.reps[i]->tap.before = look_at_all;
    }
    for (int i = 0; i < STEPS; i++) {
        chance_step(&chance);
    }
    company_settle(&company);
    look_at_all(&chance, 0);
    for (int i = 0; i < 2; i++) {
        chance.reps[i]->tap.before = NULL;
    }
    assert_true(chance.counter > STEPS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages__own_accepted_value_is_never_overwritten),
        cmocka_unit_test(test_pages__also_when_the_store_is_closed_in_between),
        cmocka_unit_test(test_pages__also_when_verdicts_are_lost_and_others_come_between),
        cmocka_unit_test(test_pages__page_never_splits_a_changeset),
        cmocka_unit_test(test_pages__no_view_ever_goes_back),
    };
    return cmocka_run_group_tests_name("pages", tests, set_up, tear_down);
}
