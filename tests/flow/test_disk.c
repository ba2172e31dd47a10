/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that fail: power that goes with writes not yet on the disk, with the relaxed option and
 * with the default; a disk that is full, on the device and on the server. What was acknowledged
 * stays, no number that was sent is used again, errors are typed, and everything goes on after.
 */
#include "tests/support/company.h"
#include "tests/support/power.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

int prlimit(pid_t process, int resource, const struct rlimit *wanted, struct rlimit *present);

static struct company company;
static struct power *power;
static struct rep *wang;
static char shop[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    company.server.ignore_file_size = true;
    server_stop(&company.server);
    server_start(&company.server);
    power = power_new();
    wang = company_hire(&company, "wang", "rep", "East");
    rep_put(wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(&company);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    power_free(power);
    return 0;
}

/* A device of Wang's user on the disk that can fail. */
static struct rep *on_bad_disk(bool relaxed)
{
    struct rep *rep = company_add_device(&company, "wang");
    rep->device.options.vfs = power_name(power);
    rep->device.options.relaxed = relaxed;
    rep_begin(rep);
    return rep;
}

/* The device is not needed any more; its place is used again. */
static void retire(struct rep *rep)
{
    assert_ptr_equal(rep, &company.reps[company.count - 1]);
    device_clear(&rep->device);
    tap_clear(&rep->tap);
    company.count--;
    power_return(power);
}

static void visit(struct rep *rep, const char *feedback, int number)
{
    rep_putf(rep, "visit", NULL, "{\"customer_id\":\"%s\",\"feedback\":\"%s %d\"}", shop, feedback,
             number);
}

static int64_t visits(const char *begin)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback LIKE '%s %%'",
                   begin);
    return server_int(&company.server, sql);
}

/* Power goes, and comes back with what the disk has of it. */
static void lose_power(struct rep *rep, uint64_t seed)
{
    power_cut(power, seed);
    device_close(&rep->device);
    power_return(power);
    device_open(&rep->device);
}

/* With the relaxed option a commit does not wait for the disk, so it may be gone after a power
 * loss, unless it was sent. */
static void test_disk__no_number_that_was_sent_is_used_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        char sent[40], unsent[40], after[40];
        struct rep *rep = on_bad_disk(true);
        (void)snprintf(sent, sizeof sent, "sent%d", (int)seed);
        (void)snprintf(unsent, sizeof unsent, "unsent%d", (int)seed);
        (void)snprintf(after, sizeof after, "after%d", (int)seed);
        for (int i = 0; i < 3; i++) {
            visit(rep, sent, i);
        }
        /* The server gets them; the device does not learn of it, and then the power goes. */
        if (seed % 2 == 0) {
            tap_lose_replies(&rep->tap, 1);
            device_sync_expect(&rep->device, DAYBOOK_OFFLINE);
        } else {
            device_sync(&rep->device);
        }
        for (int i = 0; i < 3; i++) {
            visit(rep, unsent, i);
        }
        lose_power(rep, seed / 2);
        for (int i = 0; i < 3; i++) {
            visit(rep, after, i);
        }
        int exchanges = tap_exchanges(&rep->tap);
        device_sync(&rep->device);
        /* No DIVERGED and no lease: at most the rounds of a usual sync. */
        assert_true(tap_exchanges(&rep->tap) - exchanges <= 2);
        company_settle(&company);
        assert_int_equal(visits(sent), 3);
        assert_int_equal(visits(after), 3);
        assert_in_range(visits(unsent), 0, 3);
        if (seed / 2 == 0) {
            assert_int_equal(visits(unsent), 0); /* so the power loss was one */
        }
        assert_int_equal(server_int(&company.server, "SELECT count(*) FROM device_instance"),
                         server_int(&company.server, "SELECT count(*) FROM device"));
        retire(rep);
    }
}

/* A code is good for one enrolment: who has enrolled stays so, also with the relaxed option. */
static void test_disk__an_enrolment_is_on_the_disk(void **state)
{
    (void)state;
    struct rep *rep = on_bad_disk(true);
    lose_power(rep, 0);
    device_sync(&rep->device);
    visit(rep, "enrolled", 0);
    device_sync(&rep->device);
    assert_int_equal(visits("enrolled"), 1);
    retire(rep);
}

/* By default a commit that returned is on the disk. */
static void test_disk__default_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        char mark[40];
        struct rep *rep = on_bad_disk(false);
        (void)snprintf(mark, sizeof mark, "full%d", (int)seed);
        for (int i = 0; i < 6; i++) {
            visit(rep, mark, i);
            if (i % 2 == 0) {
                lose_power(rep, seed);
            }
            if (i == 3) {
                device_sync(&rep->device);
            }
        }
        lose_power(rep, seed);
        assert_int_equal(device_status(&rep->device).pending, 2);
        company_settle(&company);
        assert_int_equal(visits(mark), 6);
        retire(rep);
    }
}

/* Fills the device's disk so that so many more bytes fit, and works on until it is full. */
static void full_device(int64_t bytes_left)
{
    struct rep *rep = on_bad_disk(false);
    char note[3000], json[4000], mark[40];
    int written = 0;
    (void)snprintf(mark, sizeof mark, "room%lld", (long long)bytes_left);
    memset(note, 'x', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    power_fill(power, bytes_left);
    daybook_status status = DAYBOOK_OK;
    while (status == DAYBOOK_OK && written < 2000) {
        (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"%s %d %s\"}",
                       shop, mark, written, note);
        status = rep_try_put(rep, "visit", json);
        written += status == DAYBOOK_OK ? 1 : 0;
    }
    assert_int_equal(status, DAYBOOK_DISK_FULL);
    assert_int_equal(daybook_status_class(status), DAYBOOK_CLASS_FULL);
    assert_int_equal(device_status(&rep->device).pending, written);
    /* Again, with a sync that cannot write either, and after opening it on the full disk. */
    assert_int_equal(rep_try_put(rep, "visit", json), DAYBOOK_DISK_FULL);
    daybook_status synced = daybook_sync(rep->device.engine, 0, &rep->device.error);
    assert_true(synced == DAYBOOK_DISK_FULL || synced == DAYBOOK_OK);
    power_fill(power, -1);
    rep_put(rep, "visit", json, NULL);
    written++;
    company_settle(&company);
    assert_int_equal(visits(mark), written);
    assert_int_equal(rep_count(rep, "SELECT count(*) FROM inbox", NULL), 0);
    retire(rep);
}

static void test_disk__device_that_is_full_says_so_and_goes_on_after(void **state)
{
    (void)state;
    for (int64_t left = 0; left <= 120000; left += 30000) {
        full_device(left);
    }
}

/* Sets the size up to which the server's files may grow; RLIM_INFINITY takes the limit away. */
static void limit_server(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(prlimit(company.server.process, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(prlimit(company.server.process, RLIMIT_FSIZE, &limit, NULL), 0);
}

/* The server cannot write: it says so to the device and lives on, and when there is room again all
 * goes through. */
static void test_disk__server_that_cannot_write_lives_on(void **state)
{
    char note[3000];
    (void)state;
    memset(note, 'y', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    int64_t before = visits("server");
    for (int round = 0; round < 3; round++) {
        limit_server(round == 0 ? 1 : 64 * 1024);
        for (int i = 0; i < 40; i++) {
            rep_putf(wang, "visit", NULL,
                     "{\"customer_id\":\"%s\",\"feedback\":\"server %d %d %s\"}", shop, round, i,
                     note);
        }
        daybook_status status = daybook_sync(wang->device.engine, 0, &wang->device.error);
        if (status != DAYBOOK_SERVER_ERROR && status != DAYBOOK_SERVER_BUSY) {
            print_error("%s: %s\n", daybook_status_name(status), wang->device.error.text);
        }
        assert_true(status == DAYBOOK_SERVER_ERROR || status == DAYBOOK_SERVER_BUSY);
        assert_int_equal(daybook_status_class(status), DAYBOOK_CLASS_RETRY);
        assert_true(device_status(&wang->device).pending > 0);
        assert_true(server_is_running(&company.server));
        if (round == 1) {
            server_kill(&company.server);
            server_start(&company.server);
        } else {
            limit_server(RLIM_INFINITY);
        }
        rep_sync(wang);
        assert_int_equal(device_status(&wang->device).pending, 0);
        assert_int_equal(visits("server") - before, 40 * (round + 1));
    }
    company_settle(&company);
    assert_int_equal(rep_count(wang, "SELECT count(*) FROM inbox", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk__no_number_that_was_sent_is_used_again),
        cmocka_unit_test(test_disk__an_enrolment_is_on_the_disk),
        cmocka_unit_test(test_disk__default_loses_nothing),
        cmocka_unit_test(test_disk__device_that_is_full_says_so_and_goes_on_after),
        cmocka_unit_test(test_disk__server_that_cannot_write_lives_on),
    };
    return cmocka_run_group_tests_name("disk", tests, set_up, tear_down);
}
