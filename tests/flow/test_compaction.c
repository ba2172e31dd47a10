/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction never changes what a device ends up with, whatever its cursor: one history, a device's
 * file as it was at each position of it, the log cut at every other position; each pair of these
 * ends in the same records as without a cut. With work of its own on the device, too.
 */
#include "sync-server/service.h"
#include "tests/support/lab.h"

#include "engine/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS 9      /* of the history; each is a position or several */
#define CUT_STRIDE 2 /* positions between two cuts */

int64_t lab_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lab_set_now_ms(int64_t now_ms)
{
    (void)now_ms;
}

void lab_set_chance(uint64_t seed)
{
    (void)seed;
}

/* A file as it was. */
struct file {
    char *bytes;
    size_t size;
};

static struct file read_file(const char *path)
{
    struct file file = {malloc((size_t)64 << 20), 0};
    FILE *stream = fopen(path, "rb");
    assert_non_null(file.bytes);
    assert_non_null(stream);
    file.size = fread(file.bytes, 1, (size_t)64 << 20, stream);
    (void)fclose(stream);
    file.bytes = realloc(file.bytes, file.size + 1);
    assert_non_null(file.bytes);
    return file;
}

struct history {
    struct lab lab;
    int64_t counts[LAB_FAULT_COUNT];
    struct lab_device *writer, *reader;
    char shops[2][DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
    struct file files[STEPS]; /* of the reader, behind each step */
    int64_t positions[STEPS];
    struct file server;
    int64_t head;
};

/* One transaction; `id` NULL: a new record, whose id is put out. */
static void write_json(struct lab_device *device, const char *entity, const char *id,
                       const char *json, char *made)
{
    daybook_transaction *transaction = NULL;
    daybook_status status = daybook_begin(device->engine, &transaction);
    if (status == DAYBOOK_OK && json == NULL) {
        status = daybook_delete(transaction, entity, id, DAYBOOK_ANY_VERSION);
    } else if (status == DAYBOOK_OK && id == NULL) {
        status =
            daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, made, &device->error);
    } else if (status == DAYBOOK_OK) {
        status =
            daybook_patch_json(transaction, entity, id, DAYBOOK_ANY_VERSION, json, &device->error);
    }
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, &device->error);
    }
    daybook_end(&transaction);
    if (status != DAYBOOK_OK) {
        fail_msg("%s %s: %s", entity, json == NULL ? "deleted" : json, device->error.text);
    }
}

/* The history: records that are made, changed, deleted, revived and moved. */
static void step(struct history *history, int number)
{
    char json[300], *shop = history->shops[number % 2];
    struct lab_device *writer = history->writer;
    switch (number % 8) {
    case 0:
    case 1:
        write_json(writer, "customer", NULL, "{\"name\":\"shop\",\"kind\":\"k\"}",
                   history->shops[number % 2]);
        break;
    case 2:
        (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"%d\"}", shop,
                       number);
        write_json(writer, "visit", NULL, json, history->visit);
        break;
    case 3: write_json(writer, "customer", shop, "{\"kind\":\"changed\"}", NULL); break;
    case 6:
        (void)snprintf(
            json, sizeof json,
            "{\"entity\":\"customer\",\"id\":\"%s\",\"territory_id\":{\"key\":\"%s\"}}\n", shop,
            lab_territories[2]);
        assert_int_equal(lab_import(&history->lab, json), DAYBOOK_OK);
        break;
    case 4: write_json(writer, "visit", history->visit, NULL, NULL); break;
    case 5:
        (void)snprintf(json, sizeof json,
                       "{\"entity\":\"product\",\"id\":\"0193f000-0000-7000-8000-000000000001\","
                       "\"name\":\"Tea %d\"}\n",
                       number);
        assert_int_equal(lab_import(&history->lab, json), DAYBOOK_OK);
        break;
    default: write_json(writer, "customer", shop, "{\"channel\":\"web\"}", NULL); break;
    }
    assert_int_equal(lab_sync(writer, 0), DAYBOOK_OK);
}

static int64_t server_head(struct history *history)
{
    return strtoll(lab_server_text(&history->lab, "SELECT head FROM org"), NULL, 10);
}

/* Makes the history; behind each step the reader syncs, records something of its own where it shall
 * have work, and its file is kept. */
static void make_history(struct history *history, bool works)
{
    lab_open(&history->lab, 7, history->counts);
    history->lab.page_bytes = 300;
    lab_restart(&history->lab);
    history->writer = lab_hire(&history->lab, 1);
    history->reader = lab_hire(&history->lab, 2);
    history->writer->ahead_ms = history->reader->ahead_ms = 0;
    lab_enrol(history->writer);
    lab_enrol(history->reader);
    struct lab_device *reader = history->reader;
    for (int i = 0; i < STEPS; i++) {
        step(history, i);
        assert_int_equal(lab_sync(reader, 0), DAYBOOK_OK);
        struct file clean = {NULL, 0};
        lab_save(reader);
        clean = (struct file){reader->saved, reader->saved_size};
        reader->saved = NULL;
        if (works && i > 0) {
            char json[200];
            write_json(reader, "customer", history->shops[1], "{\"industry\":\"reader\"}", NULL);
            (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"name\":\"reader\"}",
                           history->shops[1]);
            write_json(reader, "contact", NULL, json, NULL);
        }
        lab_save(reader);
        history->files[i] = (struct file){reader->saved, reader->saved_size};
        history->positions[i] = server_head(history);
        reader->saved = clean.bytes; /* goes on without that */
        reader->saved_size = clean.size;
        lab_restore(reader);
        free(reader->saved);
        reader->saved = NULL;
    }
    history->head = server_head(history);
    lab_stop(&history->lab);
    history->server = read_file(history->lab.database);
}

/* The server as it was at the end of the history, its log cut at this position. */
static void open_server(struct history *history, int64_t floor)
{
    char keep[24], *text = NULL;
    const char *const argv[] = {"compact", "--positions", keep};
    lab_stop(&history->lab);
    FILE *stream = fopen(history->lab.database, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(history->server.bytes, 1, history->server.size, stream),
                     history->server.size);
    assert_int_equal(fclose(stream), 0);
    lab_restart(&history->lab);
    (void)snprintf(keep, sizeof keep, "%lld", (long long)(history->head - floor));
    assert_int_equal(srv_service_command(history->lab.service, 3, argv, false, &text), DAYBOOK_OK);
    dk_memory_free(text);
    assert_int_equal(strtoll(lab_server_text(&history->lab, "SELECT floor FROM org"), NULL, 10),
                     floor);
}

/* What a device shows, and what it was told. */
static const char *shown(struct lab_device *device)
{
    static const char sql[] =
        "SELECT coalesce(group_concat(x, '|'), '') FROM ("
        "SELECT id || name || coalesce(kind,'') || coalesce(channel,'') || coalesce(industry,'')"
        " || version AS x FROM customer"
        " UNION ALL SELECT id || feedback || version FROM visit"
        " UNION ALL SELECT customer_id || name FROM contact"
        " UNION ALL SELECT id || name || version FROM product"
        " UNION ALL SELECT kind || code || count(*) FROM inbox GROUP BY kind, code"
        " ORDER BY x)";
    return lab_device_text(device, sql);
}

/* The reader with the file of one step, synced with the server as it is now. */
static const char *end_of(struct history *history, int number)
{
    struct lab_device *reader = history->reader;
    reader->saved = history->files[number].bytes;
    reader->saved_size = history->files[number].size;
    lab_restore(reader);
    reader->saved = NULL;
    assert_int_equal(lab_sync(reader, 0), DAYBOOK_OK);
    lab_check(reader);
    lab_compare(reader);
    return shown(reader);
}

static void compare_all(bool works)
{
    static struct history history;
    char *expected[STEPS];
    int snapshots = 0;
    memset(&history, 0, sizeof history);
    make_history(&history, works);
    for (int64_t floor = 0; floor <= history.head;
         floor = floor == 0 ? history.positions[0] + 1 : floor + CUT_STRIDE) {
        for (int i = 0; i < STEPS; i++) {
            if (works || i == 0) {
                open_server(&history, floor);
            }
            const char *end = end_of(&history, i);
            snapshots += history.positions[i] < floor;
            if (floor == 0) {
                expected[i] = strdup(end);
                assert_non_null(expected[i]);
                assert_true(strlen(end) > 100);
            } else if (strcmp(end, expected[i]) != 0) {
                fail_msg("cursor %lld, cut at %lld:\n%s\ninstead of\n%s",
                         (long long)history.positions[i], (long long)floor, end, expected[i]);
            }
        }
    }
    assert_true(snapshots > STEPS);
    for (int i = 0; i < STEPS; i++) {
        free(expected[i]);
        free(history.files[i].bytes);
    }
    free(history.server.bytes);
    lab_close(&history.lab);
}

static void test_compaction__no_cut_changes_what_a_device_ends_with(void **state)
{
    (void)state;
    compare_all(false);
}

static void test_compaction__nor_what_becomes_of_its_own_work(void **state)
{
    (void)state;
    compare_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compaction__no_cut_changes_what_a_device_ends_with),
        cmocka_unit_test(test_compaction__nor_what_becomes_of_its_own_work),
    };
    return cmocka_run_group_tests_name("compaction", tests, NULL, NULL);
}
