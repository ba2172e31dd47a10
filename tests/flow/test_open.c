/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores and data folders that cannot be opened: owned by another process, of a newer version, of
 * another program, damaged, or where nothing may be written. Each has its own word, and the file is
 * left as it was.
 */
#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <sqlite3.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A device with one customer, closed. */
static void closed_device(struct device *device)
{
    device_init(device, NULL, NULL, NULL);
    device_open(device);
    device_customer(device, "kept", NULL);
    device_close(device);
}

/* Whether the store is as closed_device left it. */
static void still_there(struct device *device)
{
    device_open(device);
    assert_string_equal(device_text(device, "SELECT name FROM customer"), "kept");
    assert_int_equal(device_status(device).pending, 1);
    device_close(device);
}

static daybook_status try_open(struct device *device)
{
    daybook *engine = NULL;
    daybook_status status = daybook_open(&device->options, &engine, &device->error);
    assert_true((status == DAYBOOK_OK) == (engine != NULL));
    daybook_close(&engine);
    return status;
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void test_open__store_of_another_process_is_busy(void **state)
{
    struct device device;
    int ready[2];
    char byte, pid[32];
    (void)state;
    closed_device(&device);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        daybook *engine = NULL;
        daybook_status status = daybook_open(&device.options, &engine, NULL);
        (void)!write(ready[1], status == DAYBOOK_OK ? "y" : "n", 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(try_open(&device), DAYBOOK_BUSY);
    (void)snprintf(pid, sizeof pid, "%ld", (long)child);
    assert_non_null(strstr(device.error.text, pid));
    /* It ends as processes on phones end, and the store is free. */
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
    still_there(&device);
    device_clear(&device);
}

static void test_open__newer_store_asks_for_an_upgrade(void **state)
{
    struct device device;
    (void)state;
    closed_device(&device);
    run_sql(device.path, "PRAGMA user_version = 2000000000");
    assert_int_equal(try_open(&device), DAYBOOK_NEWER_STORE);
    assert_int_equal(daybook_status_class(DAYBOOK_NEWER_STORE), DAYBOOK_CLASS_UPGRADE);
    device_clear(&device);
}

/* Puts a file where the store belongs, and expects that it is neither taken nor changed. */
static void not_a_store(const char *bytes, size_t length)
{
    struct device device;
    char found[256];
    device_init(&device, NULL, NULL, NULL);
    FILE *file = fopen(device.path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(try_open(&device), DAYBOOK_NOT_A_STORE);
    assert_true(strlen(device.error.text) > 0);
    file = fopen(device.path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(found, 1, sizeof found, file), length);
    assert_memory_equal(found, bytes, length);
    assert_int_equal(fclose(file), 0);
    device_clear(&device);
}

static void test_open__other_files_are_no_store(void **state)
{
    struct device device;
    (void)state;
    static const char text[] = "Dear diary, this is no database at all, though it is long enough.";
    static const char html[] = "<html><body>Please sign in to the airport network</body></html>";
    not_a_store(text, sizeof text);
    not_a_store(html, sizeof html);
    not_a_store("SQLite format 3", 16);

    device_init(&device, NULL, NULL, NULL);
    run_sql(device.path, "CREATE TABLE photos(id INTEGER PRIMARY KEY); "
                         "INSERT INTO photos VALUES(1)");
    assert_int_equal(try_open(&device), DAYBOOK_NOT_A_STORE);
    run_sql(device.path, "INSERT INTO photos VALUES(2)");
    device_clear(&device);
}

static void test_open__damaged_store_says_so(void **state)
{
    struct device device;
    char garbage[4096];
    (void)state;
    closed_device(&device);
    memset(garbage, 0x5a, sizeof garbage);
    int file = open(device.path, O_WRONLY);
    assert_true(file >= 0);
    /* All pages but the first one. */
    off_t size = lseek(file, 0, SEEK_END);
    for (off_t offset = 4096; offset < size; offset += (off_t)sizeof garbage) {
        assert_int_equal(pwrite(file, garbage, sizeof garbage, offset), sizeof garbage);
    }
    assert_int_equal(close(file), 0);
    daybook_status status = try_open(&device);
    assert_true(status == DAYBOOK_CORRUPT || status == DAYBOOK_NOT_A_STORE);
    assert_int_equal(daybook_status_class(status), DAYBOOK_CLASS_BROKEN);
    device_clear(&device);
}

/* Opens in a child that is nobody: root may write everywhere. */
static daybook_status open_as_nobody(struct device *device)
{
    int result = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        daybook *engine = NULL;
        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(255);
        }
        _exit((int)daybook_open(&device->options, &engine, NULL));
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return (daybook_status)WEXITSTATUS(result);
}

static void test_open__folder_that_may_not_be_written(void **state)
{
    struct device device;
    (void)state;
    device_init(&device, NULL, NULL, NULL);
    assert_int_equal(chmod(device.folder, 0555), 0);
    assert_int_equal(open_as_nobody(&device), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(chmod(device.folder, 0755), 0);
    device_clear(&device);

    /* The same with a store in it, which stays as it is. */
    closed_device(&device);
    assert_int_equal(chmod(device.folder, 0555), 0);
    assert_int_equal(chmod(device.path, 0444), 0);
    assert_int_equal(open_as_nobody(&device), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(chmod(device.folder, 0755), 0);
    assert_int_equal(chmod(device.path, 0644), 0);
    still_there(&device);
    device_clear(&device);
}

static void test_open__paths_that_lead_nowhere(void **state)
{
    struct device device;
    char path[400];
    (void)state;
    device_init(&device, NULL, NULL, NULL);
    (void)snprintf(path, sizeof path, "%s/missing/store", device.folder);
    device.options.path = path;
    assert_int_equal(try_open(&device), DAYBOOK_CANNOT_OPEN);
    (void)snprintf(path, sizeof path, "%s/folder", device.folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(try_open(&device), DAYBOOK_CANNOT_OPEN);
    assert_int_equal(rmdir(path), 0);
    device.options.path = "/dev/null/store";
    assert_int_equal(try_open(&device), DAYBOOK_CANNOT_OPEN);
    device_clear(&device);
}

/* ---- the server's side */

/* Starts a second server on the same folder, port or file, and expects that it says why not. */
static void server_refuses(struct server *server, const char *listen, const char *word)
{
    char out[4096];
    const char *const arguments[] = {"serve", "--listen", listen, NULL};
    int result = server_run(server, out, sizeof out, arguments);
    if (result != 1 || strstr(out, word) == NULL) {
        print_error("exit status %d: %s (wanted: %s)\n", result, out, word);
    }
    assert_int_equal(result, 1);
    assert_non_null(strstr(out, word));
}

static void test_open__server_says_why_it_does_not_start(void **state)
{
    struct server server, other;
    char listen[64], out[4096];
    (void)state;
    server_init(&server);
    server_init(&other);
    server_start(&server);
    server_refuses(&server, "127.0.0.1:0", "running");
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%d", server.port);
    server_refuses(&other, listen, "in use");
    assert_true(server_is_running(&server));
    server_stop(&server);

    run_sql(server.database, "PRAGMA user_version = 2000000000");
    server_refuses(&server, "127.0.0.1:0", "schema");
    FILE *file = fopen(server.database, "wb");
    assert_non_null(file);
    assert_true(fputs("this is no database, though it is longer than nothing at all\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    server_refuses(&server, "127.0.0.1:0", "server.db");

    const char *const wrong[][4] = {{"serve", "--listen", "nonsense", NULL},
                                    {"serve", "--listen", "127.0.0.1:99999", NULL},
                                    {"serve", "--nonsense", NULL, NULL},
                                    {"nonsense", NULL, NULL, NULL},
                                    {"user", "add", NULL, NULL}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(server_run(&other, out, sizeof out, wrong[i]), 2);
        assert_true(strlen(out) > 0);
    }
    server_clear(&server);
    server_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open__store_of_another_process_is_busy),
        cmocka_unit_test(test_open__newer_store_asks_for_an_upgrade),
        cmocka_unit_test(test_open__other_files_are_no_store),
        cmocka_unit_test(test_open__damaged_store_says_so),
        cmocka_unit_test(test_open__folder_that_may_not_be_written),
        cmocka_unit_test(test_open__paths_that_lead_nowhere),
        cmocka_unit_test(test_open__server_says_why_it_does_not_start),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
