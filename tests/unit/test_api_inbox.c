/* SPDX-License-Identifier: Apache-2.0
 *
 * The inbox: rejected work is undone, shown, mended and sent anew, or dropped.
 */
#include "tests/unit/api_world.h"

/* Enrolled, with a customer "Wu" that is synced; `*id` is its. */
static void prepare(struct world *world, char *id)
{
    device_enrol(&world->device, SCRIPT_CODE);
    device_customer(&world->device, "Wu", id);
    device_sync(&world->device);
}

static int64_t only_item(struct world *world)
{
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM inbox"), 1);
    return device_int(&world->device, "SELECT item FROM inbox");
}

static void test_api_inbox__a_rejected_record_is_mended_and_sent_anew(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE], refused[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    const char *text;
    prepare(world, wu);
    device_customer(&world->device, "refused", refused);
    script_reject(&world->script, 2, REJECT_RULE, "name", "forbidden");
    device_sync(&world->device);
    int64_t item = only_item(world);
    assert_int_equal(device_status(&world->device).inbox, 1);
    /* when: it is opened again, mended and committed */
    device_must(daybook_inbox_reopen(world->engine, item, &transaction, &error), &error);
    device_must(daybook_read(transaction, "customer", refused, &record), NULL);
    device_must(daybook_get_text(record, "name", &text), NULL);
    assert_string_equal(text, "refused");
    device_must(daybook_patch(transaction, "customer", refused, DAYBOOK_ANY_VERSION, &record),
                NULL);
    device_must(daybook_set_text(record, "name", "mended"), NULL);
    device_must(daybook_set_add(record, "tags", "gold"), NULL);
    /* then: the item stays until the commit, and goes with it */
    assert_int_equal(device_status(&world->device).inbox, 1);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_int_equal(device_status(&world->device).pending, 1);
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_string_equal(
        device_text_of(&world->device, "SELECT name || tags FROM customer WHERE id = ?1", refused),
        "mended[\"gold\"]");
}

static void test_api_inbox__a_rejected_change_keeps_its_sets(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    /* given: a change of a text, a set and the custom map that was rejected */
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_patch(transaction, "customer", wu,
                              device_version(&world->device, "customer", wu), &record),
                NULL);
    device_must(daybook_set_text(record, "kind", "shop"), NULL);
    device_must(daybook_set_add(record, "tags", "gold"), NULL);
    device_must(daybook_set_custom(record, "vip", "true"), NULL);
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
    script_reject(&world->script, 2, REJECT_POLICY, "kind", "test");
    device_sync(&world->device);
    assert_string_equal(device_text(&world->device, "SELECT ifnull(kind, 'undone') FROM customer"),
                        "undone");
    /* when: it is committed again as it was */
    device_must(daybook_inbox_reopen(world->engine, only_item(world), &transaction, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_string_equal(device_text(&world->device, "SELECT kind || tags || custom FROM customer"),
                        "shop[\"gold\"]{\"vip\":true}");
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_string_equal(device_text(&world->device, "SELECT kind || tags || custom FROM customer"),
                        "shop[\"gold\"]{\"vip\":true}");
}

/* A tag and a key of the custom map, as one change. */
static void mark_gold(struct world *world, const char *id)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_patch(transaction, "customer", id,
                              device_version(&world->device, "customer", id), &record),
                NULL);
    device_must(daybook_set_add(record, "tags", "gold"), NULL);
    device_must(daybook_set_custom(record, "vip", "true"), NULL);
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
}

/* What shows can be a state that the server has lost and will not bring. */
static void test_api_inbox__sets_go_up_again_though_they_show(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    mark_gold(world, wu);
    script_reject(&world->script, 2, REJECT_POLICY, "tags", "test");
    device_sync(&world->device);
    /* given: the record shows by now what the item says */
    mark_gold(world, wu);
    device_sync(&world->device);
    assert_string_equal(device_text(&world->device, "SELECT tags || custom FROM customer"),
                        "[\"gold\"]{\"vip\":true}");
    /* when: the item goes up again, with one tag more and without the key */
    device_must(daybook_inbox_reopen(world->engine, only_item(world), &transaction, &error),
                &error);
    device_must(daybook_patch(transaction, "customer", wu, DAYBOOK_ANY_VERSION, &record), NULL);
    device_must(daybook_set_add(record, "tags", "new"), NULL);
    device_must(daybook_set_custom(record, "vip", "null"), NULL);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    device_sync(&world->device);
    /* then: all of it was said */
    const struct script_entry *sent = &world->script.log[world->script.head];
    char body[600];
    assert_true(sent->body_size < sizeof body);
    memcpy(body, sent->body, sent->body_size);
    body[sent->body_size] = '\0';
    assert_non_null(strstr(body, "{\"add\":[\"gold\",\"new\"]}"));
    assert_non_null(strstr(body, "{\"vip\":null}"));
}

/* One change of the custom map: keys `out` from one number to below another go, keys `in` come.
 * Returns how many changesets that makes. */
static int change_keys(struct world *world, const char *id, const int out[2], const int in[2])
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    char key[16];
    if (out[0] == out[1] && in[0] == in[1]) {
        return 0;
    }
    device_must(daybook_begin(world->engine, &transaction), NULL);
    device_must(daybook_patch(transaction, "customer", id, DAYBOOK_ANY_VERSION, &record), NULL);
    for (int i = out[0]; i < out[1]; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        device_must(daybook_set_custom(record, key, "null"), NULL);
    }
    for (int i = in[0]; i < in[1]; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        device_must(daybook_set_custom(record, key, "1"), NULL);
    }
    device_must(daybook_commit(transaction, NULL), NULL);
    daybook_end(&transaction);
    return 1;
}

/* Rejected chains of two changes of a map that can name 100 keys and have as many: what differs in
 * the end goes up, or the error says what there is too much of. */
static void test_api_inbox__a_chain_of_more_keys_than_fit(void **state)
{
    static const struct {
        int base[2], first_out[2], first_in[2], second_out[2], second_in[2], other[2];
        daybook_status ends;
        int keys;
    } cases[] = {
        /* more keys are named than one change can; fewer differ */
        {{0, 0}, {0, 0}, {0, 60}, {0, 50}, {60, 110}, {0, 0}, DAYBOOK_OK, 60},
        /* what came and went again needs no room, which others have taken */
        {{0, 90}, {0, 0}, {100, 110}, {100, 110}, {0, 0}, {200, 210}, DAYBOOK_OK, 100},
        /* more keys differ than one change can name */
        {{0, 60}, {0, 60}, {0, 0}, {0, 0}, {100, 160}, {0, 0}, DAYBOOK_TOO_LARGE, 60},
    };
    static const int none[2];
    struct world *world = *state;
    daybook_transaction *transaction = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    char id[DAYBOOK_ID_SIZE];
    int64_t seq = 1;
    prepare(world, id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        device_customer(&world->device, "Li", id);
        seq += 1 + change_keys(world, id, none, cases[i].base);
        device_sync(&world->device);
        seq += change_keys(world, id, cases[i].first_out, cases[i].first_in);
        script_reject(&world->script, seq, REJECT_POLICY, "custom", "test");
        seq += change_keys(world, id, cases[i].second_out, cases[i].second_in);
        script_reject(&world->script, seq, REJECT_DEPENDS, "", "");
        device_sync(&world->device);
        seq += change_keys(world, id, none, cases[i].other);
        int64_t item = device_int(&world->device, "SELECT item FROM inbox WHERE kind='rejected'");
        device_must(daybook_inbox_reopen(world->engine, item, &transaction, &error), &error);
        assert_int_equal(daybook_commit(transaction, &error), cases[i].ends);
        daybook_end(&transaction);
        seq += cases[i].ends == DAYBOOK_OK;
        assert_string_equal(cases[i].ends == DAYBOOK_OK ? "custom" : error.field, "custom");
        (void)daybook_inbox_discard(world->engine, item);
        assert_int_equal(strtol(device_text_of(&world->device,
                                               "SELECT count(*) FROM customer, json_each(custom)"
                                               " WHERE customer.id=?1",
                                               id),
                                NULL, 10),
                         cases[i].keys);
        device_sync(&world->device);
    }
}

static void test_api_inbox__what_depends_comes_back_as_one(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE], customer[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    device_customer(&world->device, "refused", customer);
    device_visit(&world->device, customer, "a visit of it", visit);
    device_patch_text(&world->device, "visit", visit, "feedback", "changed later");
    script_reject(&world->script, 2, REJECT_RULE, "name", "forbidden");
    script_reject(&world->script, 3, REJECT_DEPENDS, "", "");
    script_reject(&world->script, 4, REJECT_DEPENDS, "", "");
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).inbox, 1);
    int64_t item = device_int(&world->device, "SELECT item FROM inbox WHERE kind = 'rejected'");
    assert_int_equal(device_int(&world->device, "SELECT chain FROM inbox"), 2);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM visit"), 0);
    device_must(daybook_inbox_reopen(world->engine, item, &transaction, &error), &error);
    device_must(daybook_patch(transaction, "customer", customer, DAYBOOK_ANY_VERSION, &record),
                NULL);
    device_must(daybook_set_text(record, "name", "mended"), NULL);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_int_equal(device_status(&world->device).pending, 1);
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_string_equal(device_text(&world->device, "SELECT feedback FROM visit"), "changed later");
}

static void test_api_inbox__a_rejected_delete_of_a_document_is_made_again(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    device_quote(&world->device, wu, "0192d5a0-0000-7000-8000-000000000009", 3, quote);
    device_sync(&world->device);
    device_delete(&world->device, "quote", quote);
    script_reject(&world->script, 3, REJECT_AUTH, "", "");
    device_sync(&world->device);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote"), 1);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote_line"), 3);
    device_must(daybook_inbox_reopen(world->engine, only_item(world), &transaction, &error),
                &error);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote"), 0);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote_line"), 0);
    device_sync(&world->device);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_int_equal(device_status(&world->device).pending, 0);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM quote_line"), 0);
}

static void test_api_inbox__discarding_drops_it_for_good(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE], refused[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    device_customer(&world->device, "refused", refused);
    script_reject(&world->script, 2, REJECT_RULE, "name", "forbidden");
    device_sync(&world->device);
    int64_t item = only_item(world);
    assert_int_equal(daybook_inbox_discard(world->engine, item), DAYBOOK_OK);
    assert_int_equal(daybook_inbox_discard(world->engine, item), DAYBOOK_NOT_FOUND);
    assert_int_equal(daybook_inbox_reopen(world->engine, item, &transaction, &error),
                     DAYBOOK_NOT_FOUND);
    assert_null(transaction);
    assert_int_equal(error.status, DAYBOOK_NOT_FOUND);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_int_equal(device_int(&world->device, "SELECT count(*) FROM customer"), 1);
}

static void test_api_inbox__reopened_and_emptied_is_discarded_by_the_commit(void **state)
{
    struct world *world = *state;
    char wu[DAYBOOK_ID_SIZE], refused[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = NULL;
    daybook_error error = DAYBOOK_ERROR_INIT;
    prepare(world, wu);
    device_customer(&world->device, "refused", refused);
    script_reject(&world->script, 2, REJECT_RULE, "name", "forbidden");
    device_sync(&world->device);
    device_must(daybook_inbox_reopen(world->engine, only_item(world), &transaction, &error),
                &error);
    device_must(daybook_delete(transaction, "customer", refused, DAYBOOK_ANY_VERSION), NULL);
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
    assert_int_equal(device_status(&world->device).inbox, 0);
    assert_int_equal(device_status(&world->device).pending, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_inbox__a_rejected_record_is_mended_and_sent_anew),
        API_TEST(test_api_inbox__a_rejected_change_keeps_its_sets),
        API_TEST(test_api_inbox__sets_go_up_again_though_they_show),
        API_TEST(test_api_inbox__a_chain_of_more_keys_than_fit),
        API_TEST(test_api_inbox__what_depends_comes_back_as_one),
        API_TEST(test_api_inbox__a_rejected_delete_of_a_document_is_made_again),
        API_TEST(test_api_inbox__discarding_drops_it_for_good),
        API_TEST(test_api_inbox__reopened_and_emptied_is_discarded_by_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
