/* SPDX-License-Identifier: Apache-2.0
 *
 * Organisations, accounts, enrolment codes, devices and their instances in the server's store.
 */
#include "tests/unit/server_store_world.h"

/* ---- organisations */

static void test_server_store_accounts__organisations_are_listed_with_their_heads(void **state)
{
    struct world *world = *state;
    struct srv_organisation *rows = NULL;
    int count = 0;
    int64_t second = 0;
    int64_t head = 0;
    struct id known = id_of(1);
    struct id id = id_of(2);
    ok(srv_store_begin(world->store));
    assert_int_equal(srv_store_add_organisation(world->store, &known, &second), DAYBOOK_EXISTS);
    ok(srv_store_add_organisation(world->store, &id, &second));
    assert_int_not_equal(second, world->org);
    ok(srv_store_set_head(world->store, second, 12));
    assert_int_equal(srv_store_set_head(world->store, second + 1, 1), DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
    assert_int_equal(srv_store_get_head(world->store, second + 1, &head), DAYBOOK_NOT_FOUND);
    ok(srv_store_organisations(world_reader(world), &world->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].org, world->org);
    assert_memory_equal(&rows[0].id, &known, sizeof known);
    assert_int_equal(rows[0].head, 0);
    assert_int_equal(rows[1].org, second);
    assert_memory_equal(&rows[1].id, &id, sizeof id);
    assert_int_equal(rows[1].head, 12);
}

/* ---- accounts */

static void assert_account(struct srv_store *store, const struct srv_account *expected)
{
    struct srv_account account;
    bool found = false;
    ok(srv_store_get_account(store, &expected->user, &account, &found));
    assert_true(found);
    assert_memory_equal(&account.user, &expected->user, sizeof account.user);
    assert_int_equal(account.org, expected->org);
    assert_string_equal(account.role, expected->role);
    assert_memory_equal(&account.territory, &expected->territory, sizeof account.territory);
    assert_int_equal(account.disabled, expected->disabled);
}

static void test_server_store_accounts__an_account_is_replaced_as_a_whole(void **state)
{
    struct world *world = *state;
    struct srv_account account = {
        .user = id_of(9), .org = world->org, .role = "rep", .territory = id_of(5)};
    struct srv_account changed = {
        .user = id_of(9), .org = world->org, .role = "back_office", .disabled = true};
    struct id nobody = id_of(10);
    bool found = true;
    ok(srv_store_begin(world->store));
    ok(srv_store_put_account(world->store, &account));
    assert_account(world->store, &account);
    ok(srv_store_put_account(world->store, &changed));
    ok(srv_store_commit(world->store));
    assert_account(world_reader(world), &changed);
    ok(srv_store_get_account(world->store, &nobody, &account, &found));
    assert_false(found);
}

/* Puts an app_user record with this login. */
static void put_user(struct world *world, int64_t org, uint64_t number, const char *login,
                     bool deleted)
{
    static struct srv_record record;
    memset(&record, 0, sizeof record);
    record.record.entity = dk_entity(ENTITY_USER);
    record.record.id = id_of(number);
    record.record.version = 1;
    record.bucket = 1;
    record.deleted = deleted;
    record.record.values[USER_LOGIN] =
        (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(login), .text = login};
    ok(srv_store_put(world->store, org, &record, false));
}

/* The user number found by login, 0 for none. */
static uint64_t login_of(struct srv_store *store, int64_t org, const char *login)
{
    struct id user = {{0}};
    bool found = false;
    ok(srv_store_find_login(store, org, login, &user, &found));
    return found ? user.bytes[7] : 0;
}

static void test_server_store_accounts__a_login_is_found_where_it_is_one(void **state)
{
    struct world *world = *state;
    int64_t other = 0;
    struct id id = id_of(2);
    ok(srv_store_begin(world->store));
    ok(srv_store_add_organisation(world->store, &id, &other));
    put_user(world, world->org, 21, "li", false);
    put_user(world, world->org, 22, "wang", false);
    put_user(world, other, 23, "wang", false);
    put_user(world, other, 24, "zhao", true);
    put_user(world, other, 25, "twin", false);
    put_user(world, other, 26, "twin", false);
    ok(srv_store_commit(world->store));
    struct srv_store *reader = world_reader(world);
    assert_int_equal(login_of(reader, world->org, "li"), 21);
    assert_int_equal(login_of(reader, 0, "li"), 21);
    assert_int_equal(login_of(reader, other, "li"), 0);
    assert_int_equal(login_of(reader, world->org, "wang"), 22);
    assert_int_equal(login_of(reader, other, "wang"), 23);
    assert_int_equal(login_of(reader, 0, "wang"), 0); /* two: which one is meant? */
    assert_int_equal(login_of(reader, other, "zhao"), 0);
    assert_int_equal(login_of(reader, other, "twin"), 0);
    assert_int_equal(login_of(reader, other, "Li"), 0);
}

/* ---- enrolment codes */

/* The user number that the code gives, 0 for none. */
static uint64_t take(struct world *world, uint8_t code, int64_t now_ms)
{
    uint8_t hash[SRV_HASH_SIZE];
    int64_t org = 0;
    struct id user = {{0}};
    bool found = false;
    ok(srv_store_begin(world->store));
    ok(srv_store_take_code(world->store, hash_of(code, hash), now_ms, &org, &user, &found));
    ok(srv_store_commit(world->store));
    assert_int_equal(org, found ? world->org : 0);
    return user.bytes[7];
}

static void test_server_store_accounts__a_code_is_good_once_and_in_time(void **state)
{
    struct world *world = *state;
    uint8_t hash[SRV_HASH_SIZE];
    struct id user = id_of(33);
    ok(srv_store_begin(world->store));
    for (uint8_t code = 1; code <= 4; code++) {
        ok(srv_store_add_code(world->store, hash_of(code, hash), world->org, &user, 1000 * code));
    }
    assert_int_equal(srv_store_add_code(world->store, hash_of(4, hash), world->org, &user, 1),
                     DAYBOOK_EXISTS);
    ok(srv_store_commit(world->store));
    assert_int_equal(take(world, 9, 0), 0);
    assert_int_equal(take(world, 1, 999), 33);
    assert_int_equal(take(world, 1, 999), 0);
    assert_int_equal(take(world, 2, 2000), 0); /* its last moment has passed */
    assert_int_equal(take(world, 2, 1999), 0); /* and it is gone, also for a clock set back */
    assert_int_equal(take(world, 3, 2999), 33);
    world_reopen(world);
    assert_int_equal(take(world, 3, 2999), 0);
    assert_int_equal(take(world, 4, 3000), 33);
}

static void test_server_store_accounts__many_expired_codes_are_not_good(void **state)
{
    struct world *world = *state;
    uint8_t hash[SRV_HASH_SIZE];
    struct id user = id_of(33);
    ok(srv_store_begin(world->store));
    for (int code = 1; code <= 250; code++) { /* more than one use clears away */
        ok(srv_store_add_code(world->store, hash_of((uint8_t)code, hash), world->org, &user, 5));
    }
    ok(srv_store_commit(world->store));
    assert_int_equal(take(world, 250, 5), 0);
    assert_int_equal(take(world, 249, 5), 0);
    assert_int_equal(take(world, 1, 5), 0);
}

static void test_server_store_accounts__a_code_taken_in_what_is_undone_is_good_still(void **state)
{
    struct world *world = *state;
    uint8_t hash[SRV_HASH_SIZE];
    int64_t org = 0;
    struct id user = id_of(33);
    bool found = false;
    ok(srv_store_begin(world->store));
    ok(srv_store_add_code(world->store, hash_of(1, hash), world->org, &user, 1000));
    ok(srv_store_commit(world->store));
    ok(srv_store_begin(world->store));
    ok(srv_store_take_code(world->store, hash, 1, &org, &user, &found));
    assert_true(found);
    srv_store_rollback(world->store);
    assert_int_equal(take(world, 1, 2), 33);
}

/* ---- devices */

/* Enrols a device with the first instance `instance`. */
static struct srv_device enrol(struct world *world, uint8_t token, uint64_t instance)
{
    uint8_t hash[SRV_HASH_SIZE];
    struct srv_device device = {.org = world->org,
                                .user = id_of(7),
                                .name = "王's phone",
                                .enrolled_ms = 100,
                                .seen_ms = 110,
                                .instance = id_of(instance),
                                .decided = 77,
                                .settled = 77};
    ok(srv_store_begin(world->store));
    ok(srv_store_add_device(world->store, &device, hash_of(token, hash)));
    ok(srv_store_commit(world->store));
    return device;
}

static void assert_device(const struct srv_device *device, const struct srv_device *expected)
{
    assert_int_equal(device->device, expected->device);
    assert_int_equal(device->org, expected->org);
    assert_memory_equal(&device->user, &expected->user, sizeof device->user);
    assert_string_equal(device->name, expected->name);
    assert_int_equal(device->revoked, expected->revoked);
    assert_int_equal(device->enrolled_ms, expected->enrolled_ms);
    assert_int_equal(device->seen_ms, expected->seen_ms);
    assert_memory_equal(&device->instance, &expected->instance, sizeof device->instance);
    assert_int_equal(device->device_no, expected->device_no);
    assert_int_equal(device->decided, expected->decided);
    assert_int_equal(device->settled, expected->settled);
}

/* Finds by token what is expected. */
static void assert_found(struct srv_store *store, uint8_t token, const struct srv_device *expected)
{
    uint8_t hash[SRV_HASH_SIZE];
    struct srv_device device;
    bool found = false;
    ok(srv_store_find_device(store, hash_of(token, hash), &device, &found));
    assert_true(found);
    assert_device(&device, expected);
}

static void test_server_store_accounts__a_device_is_found_by_its_token(void **state)
{
    struct world *world = *state;
    uint8_t hash[SRV_HASH_SIZE];
    struct srv_device first = enrol(world, 1, 501);
    struct srv_device second = enrol(world, 2, 502);
    struct srv_device other;
    bool found = true;
    assert_int_equal(first.device_no, 1);
    assert_int_equal(second.device_no, 2);
    assert_int_equal(first.decided, 0); /* marks start anew */
    assert_int_equal(first.settled, 0);
    assert_int_not_equal(first.device, second.device);
    assert_found(world_reader(world), 1, &first);
    assert_found(world_reader(world), 2, &second);
    ok(srv_store_find_device(world->store, hash_of(3, hash), &other, &found));
    assert_false(found);
    ok(srv_store_begin(world->store));
    other = first;
    assert_int_equal(srv_store_add_device(world->store, &other, hash_of(2, hash)), DAYBOOK_EXISTS);
    ok(srv_store_commit(world->store));
}

static void test_server_store_accounts__marks_are_kept_per_instance(void **state)
{
    struct world *world = *state;
    struct srv_device first = enrol(world, 1, 501);
    struct srv_device second = enrol(world, 2, 502);
    ok(srv_store_begin(world->store));
    ok(srv_store_mark_device(world->store, first.device_no, 30, 20, 5000));
    assert_int_equal(srv_store_mark_device(world->store, 99, 30, 20, 5000), DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
    first.decided = 30;
    first.settled = 20;
    first.seen_ms = 5000;
    world_reopen(world);
    assert_found(world->store, 1, &first);
    assert_found(world->store, 2, &second);
}

static void test_server_store_accounts__a_lease_starts_anew_and_repeats_itself(void **state)
{
    struct world *world = *state;
    struct srv_device device = enrol(world, 1, 501);
    struct srv_device other = enrol(world, 2, 502);
    struct id copy = id_of(503);
    struct id original = id_of(501);
    uint32_t number = 0;
    uint32_t again = 0;
    ok(srv_store_begin(world->store));
    ok(srv_store_mark_device(world->store, device.device_no, 30, 20, 5000));
    ok(srv_store_lease(world->store, device.device, &copy, &number));
    assert_int_equal(number, 3);
    ok(srv_store_commit(world->store));
    device.instance = copy;
    device.device_no = number;
    device.seen_ms = 5000; /* the device's, not the instance's */
    assert_found(world->store, 1, &device);

    ok(srv_store_begin(world->store)); /* the reply was lost: asked for again */
    ok(srv_store_mark_device(world->store, number, 4, 3, 6000));
    ok(srv_store_lease(world->store, device.device, &copy, &again));
    assert_int_equal(again, number);
    ok(srv_store_commit(world->store));
    device.decided = 4;
    device.settled = 3;
    device.seen_ms = 6000;
    assert_found(world->store, 1, &device);

    ok(srv_store_begin(world->store)); /* an instance that it had before */
    ok(srv_store_lease(world->store, device.device, &original, &again));
    assert_int_equal(again, 1);
    /* the same instance of another device is another one */
    ok(srv_store_lease(world->store, other.device, &copy, &again));
    assert_int_equal(again, 4);
    assert_int_equal(srv_store_lease(world->store, 99, &copy, &again), DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
    device.instance = original;
    device.device_no = 1;
    device.decided = 30;
    device.settled = 20;
    device.seen_ms = 5000;
    assert_found(world_reader(world), 1, &device);
}

static void test_server_store_accounts__numbers_grow_across_reopening(void **state)
{
    struct world *world = *state;
    for (uint8_t i = 1; i <= 5; i++) {
        assert_int_equal(enrol(world, i, 500u + i).device_no, i);
        world_reopen(world);
    }
}

static void test_server_store_accounts__devices_are_listed_and_revoked(void **state)
{
    struct world *world = *state;
    struct srv_device devices[20];
    struct srv_device *rows = NULL;
    int count = 0;
    for (uint8_t i = 0; i < COUNT(devices); i++) {
        devices[i] = enrol(world, (uint8_t)(i + 1), 500u + i);
    }
    ok(srv_store_begin(world->store));
    ok(srv_store_revoke(world->store, devices[3].device));
    ok(srv_store_revoke(world->store, devices[3].device));
    assert_int_equal(srv_store_revoke(world->store, 99), DAYBOOK_NOT_FOUND);
    ok(srv_store_commit(world->store));
    devices[3].revoked = true;
    assert_found(world->store, 4, &devices[3]);
    for (int64_t org = 0; org <= world->org; org += world->org) {
        ok(srv_store_list_devices(world_reader(world), org, &world->arena, &rows, &count));
        assert_int_equal(count, COUNT(devices));
        for (size_t i = 0; i < COUNT(devices); i++) {
            assert_device(&rows[i], &devices[i]);
        }
    }
    ok(srv_store_list_devices(world->store, world->org + 1, &world->arena, &rows, &count));
    assert_int_equal(count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        store_test(test_server_store_accounts__organisations_are_listed_with_their_heads),
        store_test(test_server_store_accounts__an_account_is_replaced_as_a_whole),
        store_test(test_server_store_accounts__a_login_is_found_where_it_is_one),
        store_test(test_server_store_accounts__a_code_is_good_once_and_in_time),
        store_test(test_server_store_accounts__many_expired_codes_are_not_good),
        store_test(test_server_store_accounts__a_code_taken_in_what_is_undone_is_good_still),
        store_test(test_server_store_accounts__a_device_is_found_by_its_token),
        store_test(test_server_store_accounts__marks_are_kept_per_instance),
        store_test(test_server_store_accounts__a_lease_starts_anew_and_repeats_itself),
        store_test(test_server_store_accounts__numbers_grow_across_reopening),
        store_test(test_server_store_accounts__devices_are_listed_and_revoked),
    };
    return run_store_tests("server_store_accounts", tests, COUNT(tests));
}
