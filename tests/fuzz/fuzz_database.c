/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's file, damaged: the bytes say where and how, in the pages of the file or in the cells
 * of its tables. The engine opens it or names an error, and whatever an app then does with it works
 * or names an error.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/protocol/limits.h"
#include "tests/fuzz/pool.h"
#include "tests/fuzz/template.h"

#include <sqlite3.h>

#include <assert.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAMAGES_MAX 8
#define PAGE 4096
#define TEXT_MAX 200

/* ---- damage */

/* One byte of the file, or from a page on nothing, or a page that stands in another's place. */
static void damage_file(const struct template *template, struct input *input, unsigned kind)
{
    uint8_t page[PAGE];
    FILE *file = fopen(template->device.path, "r+b");
    assert(file != NULL);
    long pages = (long)(template->used_size / PAGE);
    long at = (long)input_short(input) % pages * PAGE;
    if (kind == 0) {
        (void)fseek(file, at + (long)input_short(input) % PAGE, SEEK_SET);
        (void)fputc((int)input_byte(input), file);
    } else if (kind == 1) {
        assert(ftruncate(fileno(file), at) == 0);
    } else {
        (void)fseek(file, (long)input_short(input) % pages * PAGE, SEEK_SET);
        size_t length = fread(page, 1, PAGE, file);
        (void)fseek(file, at, SEEK_SET);
        (void)fwrite(page, 1, length, file);
    }
    (void)fclose(file);
}

/* The text of the n-th row of a query, counted around; "" where there is none. Frees the query. */
static void nth_text(sqlite3 *database, char *sql, unsigned n, char out[TEXT_MAX])
{
    char *counted = sqlite3_mprintf("WITH q(t) AS (%s) SELECT t FROM q"
                                    " LIMIT 1 OFFSET %u %% max(1, (SELECT count(*) FROM q))",
                                    sql, n);
    sqlite3_stmt *statement = NULL;
    out[0] = '\0';
    if (sqlite3_prepare_v2(database, counted, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        (void)snprintf(out, TEXT_MAX, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(counted);
    sqlite3_free(sql);
}

static void nth_column(sqlite3 *database, const char *table, unsigned n, char out[TEXT_MAX])
{
    nth_text(database, sqlite3_mprintf("SELECT name FROM pragma_table_info(%Q)", table), n, out);
}

/* Binds a value of any type: NULL, a number, or the next bytes of the input. */
static void bind(sqlite3_stmt *statement, struct input *input)
{
    unsigned kind = input_byte(input) % 6;
    unsigned size = kind < 2 ? input_byte(input) : 0;
    size = size < input->size ? size : (unsigned)input->size;
    const char *bytes = (const char *)input->bytes;
    switch (kind) {
    case 0: (void)sqlite3_bind_text(statement, 1, bytes, (int)size, SQLITE_TRANSIENT); break;
    case 1: (void)sqlite3_bind_blob(statement, 1, bytes, (int)size, SQLITE_TRANSIENT); break;
    case 2: (void)sqlite3_bind_null(statement, 1); break;
    case 3: (void)sqlite3_bind_int64(statement, 1, (int8_t)input_byte(input)); break;
    case 4: (void)sqlite3_bind_int64(statement, 1, INT64_MIN + input_byte(input)); break;
    default: (void)sqlite3_bind_int64(statement, 1, INT64_MAX - input_byte(input));
    }
    input->bytes += size;
    input->size -= size;
}

/* One cell of a table, or a row that is gone. Rows are told apart by their first column, since not
 * every table has a rowid. */
static void damage_cell(sqlite3 *database, struct input *input, bool remove)
{
    char table[TEXT_MAX], column[TEXT_MAX], first[TEXT_MAX];
    sqlite3_stmt *statement = NULL;
    nth_text(database, sqlite3_mprintf("SELECT name FROM sqlite_schema WHERE type = 'table'"),
             input_byte(input), table);
    nth_column(database, table, 0, first);
    nth_column(database, table, input_byte(input), column);
    char *what = remove ? sqlite3_mprintf("DELETE FROM \"%w\"", table)
                        : sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = ?1", table, column);
    char *sql = sqlite3_mprintf("%s WHERE \"%w\" = (SELECT \"%w\" FROM \"%w\" LIMIT 1"
                                " OFFSET %u %% max(1, (SELECT count(*) FROM \"%w\")))",
                                what, first, first, table, input_byte(input), table);
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK) {
        bind(statement, input);
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    sqlite3_free(what);
}

/* Cells in a row share a connection: to read the schema takes longer than all the rest. */
static void damage(const struct template *template, struct input *input)
{
    sqlite3 *database = NULL;
    for (int i = 0; i < DAMAGES_MAX && input->size > 0; i++) {
        unsigned kind = input_byte(input) % 8;
        if (kind < 3) {
            (void)sqlite3_close(database);
            database = NULL;
            damage_file(template, input, kind);
            continue;
        }
        if (database == NULL) {
            (void)sqlite3_open(template->device.path, &database);
        }
        damage_cell(database, input, kind == 3);
    }
    (void)sqlite3_close(database);
}

/* ---- use */

/* No server answers; but what goes up has been put together. */
static daybook_status exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    (void)context;
    (void)connection;
    assert(request->body_size <= LIMIT_REQUEST_BYTES);
    reply->http_status = 503;
    return DAYBOOK_OK;
}

static void expect_named(daybook_status status)
{
    assert(strcmp(daybook_status_name(status), daybook_status_name((daybook_status)-1)) != 0);
}

static void query(daybook *engine, const char *sql)
{
    char *json = NULL;
    expect_named(daybook_query_json(engine, sql, NULL, &json, NULL));
    daybook_free(json);
}

static void write_visit(daybook *engine, const char *customer)
{
    daybook_transaction *transaction = NULL;
    daybook_record *record = NULL;
    expect_named(daybook_begin(engine, &transaction));
    expect_named(daybook_put(transaction, "visit", NULL, DAYBOOK_NEW, &record));
    if (record != NULL) {
        expect_named(daybook_set_id(record, "customer_id", customer));
    }
    expect_named(daybook_patch(transaction, "customer", customer, DAYBOOK_ANY_VERSION, &record));
    if (record != NULL) {
        expect_named(daybook_set_text(record, "name", "Ho"));
    }
    expect_named(daybook_commit(transaction, NULL));
    daybook_end(&transaction);
}

static void use(daybook *engine, const char *customer)
{
    static const char *const queries[] = {"SELECT * FROM customer",   "SELECT * FROM visit",
                                          "SELECT * FROM quote",      "SELECT * FROM inbox",
                                          "SELECT * FROM sync_state", "SELECT * FROM quote_line",
                                          "SELECT * FROM buckets",    "SELECT * FROM fetched"};
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        query(engine, queries[i]);
    }
    write_visit(engine, customer);
    expect_named(daybook_inbox_keep_mine(engine, 1, NULL));
    expect_named(daybook_inbox_discard(engine, 1));
    expect_named(daybook_sync(engine, 0, NULL));
    expect_named(daybook_get_status(engine, &status));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct template *template;
    struct input input = {bytes, size};
    if (template == NULL) {
        pool_install();
        template = template_make();
    }
    template_reset(template, exchange, NULL);
    template_write(template, true);
    damage(template, &input);
    daybook *engine = NULL;
    daybook_status status = daybook_open(&template->options, &engine, NULL);
    expect_named(status);
    assert((status == DAYBOOK_OK) == (engine != NULL));
    if (engine != NULL) {
        use(engine, template->customer);
    }
    daybook_close(&engine);
    return 0;
}
