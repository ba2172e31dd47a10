/* SPDX-License-Identifier: Apache-2.0
 *
 * See device.h.
 */
#include "tests/support/device.h"

#include "tests/support/folder.h"

#include <sqlite3.h>

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void device_check(daybook_status status, const daybook_error *error, const char *file, int line)
{
    if (status != DAYBOOK_OK) {
        print_error("%s:%d: %s: %s [%s.%s %s]\n", file, line, daybook_status_name(status),
                    error == NULL ? "" : error->text, error == NULL ? "" : error->entity,
                    error == NULL ? "" : error->field, error == NULL ? "" : error->rule);
        _fail(file, line);
    }
}

/* ---- life */

void device_init(struct device *device, const daybook_platform *platform, const char *server_url,
                 const char *ca_file)
{
    memset(device, 0, sizeof *device);
    folder_make(device->folder, sizeof device->folder, "daybook_device");
    (void)snprintf(device->path, sizeof device->path, "%s/store", device->folder);
    device->options = (daybook_options)DAYBOOK_OPTIONS_INIT;
    device->options.path = device->path;
    device->options.platform = platform;
    device->options.server_url = server_url;
    device->options.ca_file = ca_file;
    device->error = (daybook_error)DAYBOOK_ERROR_INIT;
}

void device_open(struct device *device)
{
    assert_null(device->engine);
    device_must(daybook_open(&device->options, &device->engine, &device->error), &device->error);
}

void device_close(struct device *device)
{
    daybook_close(&device->engine);
}

void device_clear(struct device *device)
{
    char path[600];
    daybook_close(&device->engine);
    DIR *folder = opendir(device->folder);
    if (folder == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", device->folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(folder);
    (void)rmdir(device->folder);
}

void device_copy(const struct device *from, struct device *to)
{
    char buffer[65536];
    size_t length;
    assert_null(from->engine);
    assert_null(to->engine);
    FILE *in = fopen(from->path, "rb");
    FILE *out = fopen(to->path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((length = fread(buffer, 1, sizeof buffer, in)) > 0) {
        assert_int_equal(fwrite(buffer, 1, length, out), length);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

/* ---- syncing */

void device_enrol(struct device *device, const char *code)
{
    device_must(daybook_enrol(device->engine, code, "a test", &device->error), &device->error);
}

void device_sync_expect(struct device *device, daybook_status status)
{
    daybook_status result = daybook_sync(device->engine, 0, &device->error);
    if (result != status) {
        print_error("sync: %s, expected %s: %s\n", daybook_status_name(result),
                    daybook_status_name(status), device->error.text);
    }
    assert_int_equal(result, status);
}

void device_sync(struct device *device)
{
    device_must(daybook_sync(device->engine, 0, &device->error), &device->error);
}

/* ---- recording */

static daybook_transaction *begin(struct device *device)
{
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(device->engine, &transaction), NULL);
    return transaction;
}

static void commit(struct device *device, daybook_transaction *transaction)
{
    daybook_error error = DAYBOOK_ERROR_INIT;
    (void)device;
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
}

/* Puts a record and keeps its id. */
static daybook_record *put(daybook_transaction *transaction, const char *entity, char *id)
{
    daybook_record *record = NULL;
    device_must(daybook_put(transaction, entity, NULL, DAYBOOK_NEW, &record), NULL);
    if (id != NULL) {
        memcpy(id, daybook_record_id(record), DAYBOOK_ID_SIZE);
    }
    return record;
}

void device_customer(struct device *device, const char *name, char *id)
{
    daybook_transaction *transaction = begin(device);
    daybook_record *record = put(transaction, "customer", id);
    device_must(daybook_set_text(record, "name", name), NULL);
    commit(device, transaction);
}

void device_visit(struct device *device, const char *customer, const char *feedback, char *id)
{
    daybook_transaction *transaction = begin(device);
    daybook_record *record = put(transaction, "visit", id);
    device_must(daybook_set_id(record, "customer_id", customer), NULL);
    if (feedback != NULL) {
        device_must(daybook_set_text(record, "feedback", feedback), NULL);
    }
    commit(device, transaction);
}

void device_quote(struct device *device, const char *customer, const char *product, int lines,
                  char *id)
{
    char own[DAYBOOK_ID_SIZE];
    daybook_transaction *transaction = begin(device);
    daybook_record *quote = put(transaction, "quote", own);
    device_must(daybook_set_id(quote, "customer_id", customer), NULL);
    device_must(daybook_set_text(quote, "cur", "CNY"), NULL);
    for (int i = 0; i < lines; i++) {
        daybook_record *line = put(transaction, "quote_line", NULL);
        device_must(daybook_set_id(line, "quote_id", own), NULL);
        device_must(daybook_set_id(line, "product_id", product), NULL);
        device_must(daybook_set_int(line, "qty", 1000 * (i + 1)), NULL);
        device_must(daybook_set_int(line, "price_e4", 123456), NULL);
    }
    commit(device, transaction);
    if (id != NULL) {
        memcpy(id, own, DAYBOOK_ID_SIZE);
    }
}

int64_t device_version(struct device *device, const char *entity, const char *id)
{
    daybook_transaction *transaction = begin(device);
    daybook_record *record = NULL;
    device_must(daybook_read(transaction, entity, id, &record), NULL);
    int64_t version = daybook_record_version(record);
    daybook_end(&transaction);
    return version;
}

void device_patch_text(struct device *device, const char *entity, const char *id, const char *field,
                       const char *text)
{
    int64_t version = device_version(device, entity, id);
    daybook_transaction *transaction = begin(device);
    daybook_record *record = NULL;
    device_must(daybook_patch(transaction, entity, id, version, &record), NULL);
    device_must(daybook_set_text(record, field, text), NULL);
    commit(device, transaction);
}

void device_delete(struct device *device, const char *entity, const char *id)
{
    int64_t version = device_version(device, entity, id);
    daybook_transaction *transaction = begin(device);
    device_must(daybook_delete(transaction, entity, id, version), NULL);
    commit(device, transaction);
}

/* ---- looking */

/* Runs the query and keeps the first value in device->error.text, which is at hand. */
static bool first_value(struct device *device, const char *sql, const char *id, int64_t *number)
{
    daybook_query *query = NULL;
    bool row = false;
    device_must(daybook_query_open(device->engine, sql, &query, &device->error), &device->error);
    if (id != NULL) {
        device_must(daybook_bind_text(query, 1, id), NULL);
    }
    device_must(daybook_step(query, &row), NULL);
    bool found = row && !daybook_column_is_null(query, 0);
    device->error.text[0] = '\0';
    *number = -1;
    if (found) {
        *number = daybook_column_int(query, 0);
        (void)snprintf(device->error.text, sizeof device->error.text, "%s",
                       daybook_column_text(query, 0));
    }
    daybook_query_close(&query);
    return found;
}

int64_t device_int(struct device *device, const char *sql)
{
    int64_t number;
    (void)first_value(device, sql, NULL, &number);
    return number;
}

const char *device_text(struct device *device, const char *sql)
{
    return device_text_of(device, sql, NULL);
}

const char *device_text_of(struct device *device, const char *sql, const char *id)
{
    int64_t number;
    (void)first_value(device, sql, id, &number);
    return device->error.text;
}

daybook_sync_status device_status(struct device *device)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    device_must(daybook_get_status(device->engine, &status), NULL);
    return status;
}

const char *device_file_text(const char *path, const char *sql, char *out, size_t size)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    out[0] = '\0';
    int result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    }
    if (result != SQLITE_OK) {
        print_error("%s: %s: %s\n", path, sql, sqlite3_errmsg(database));
        fail();
    }
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return out;
}
