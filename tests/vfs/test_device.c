/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's disk goes wrong at every point of what a device does; see tests/support/points.h.
 */
#include "tests/support/lab_system.h"

#include "tests/support/points.h"
#include "tests/support/power.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nothing(struct scene *scene)
{
    (void)scene;
}

static void sync_target(struct scene *scene)
{
    (void)scene_sync(scene, scene->target);
}

/* ---- writing and reading */

static void write_one(struct scene *scene)
{
    scene_write(scene, scene->wang);
}

/* New records, changed and deleted ones. */
static void write_many(struct scene *scene)
{
    for (int i = 0; i < 3; i++) {
        scene_write(scene, scene->wang);
    }
    scene_patch(scene, scene->wang, "customer", scene->shop, "{\"name\":\"renamed\"}");
    scene_delete(scene, scene->wang, "visit", scene->other);
    scene_write(scene, scene->wang);
}

static void with_visit(struct scene *scene)
{
    char json[200];
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", scene->shop);
    scene_put(scene, scene->wang, "visit", json, scene->other);
    scene_sync_both(scene);
}

/* The same where a commit does not wait for the disk. */
static void relax(struct scene *scene)
{
    with_visit(scene);
    scene->wang->options.relaxed = true;
}

static void write_and_sync(struct scene *scene)
{
    scene_write(scene, scene->wang);
    scene_write(scene, scene->wang);
    (void)scene_sync(scene, scene->wang);
    scene_write(scene, scene->wang);
}

/* Opened, closed and opened again, with work in between. */
static void open_and_close(struct scene *scene)
{
    for (int i = 0; i < 2; i++) {
        if (scene_start(scene)) {
            scene_write(scene, scene->wang);
            scene_write(scene, scene->wang);
        }
        scene_stop(scene);
    }
    (void)scene_start(scene);
}

static void ten_deeds(struct scene *scene)
{
    for (int i = 0; i < 10; i++) {
        scene_write(scene, scene->wang);
    }
    scene_sync_both(scene);
}

/* A query gives all that there is, or says why not. */
static void read_all(struct scene *scene)
{
    static const char *const queries[] = {
        "SELECT count(*) FROM visit JOIN customer ON customer.id = visit.customer_id",
        "SELECT count(*) FROM quote_line JOIN quote ON quote.id = quote_line.quote_id",
        "SELECT 10 + count(*) FROM inbox"};
    if (!scene_start(scene)) {
        return;
    }
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        daybook_query *query = NULL;
        bool row = false;
        if (scene_call(scene, "query",
                       daybook_query_open(scene->wang->engine, queries[i], &query, NULL)) &&
            scene_call(scene, "step", daybook_step(query, &row))) {
            assert_true(row);
            assert_int_equal(daybook_column_int(query, 0), 10);
        }
        daybook_query_close(&query);
    }
}

/* ---- syncing */

/* A device that was never opened. */
static void new_device(struct scene *scene)
{
    struct lab_device *device = lab_hire(&scene->lab, scene->wang->user);
    assert_non_null(device);
    lab_let_go(device);
    assert_int_equal(remove(device->path), 0);
    device->options.page_bytes = 400;
    device->options.relaxed = false;
    device->ahead_ms = 0;
    scene->target = device;
    scene->may_number = true;
    for (int i = 0; i < 4; i++) {
        scene_write(scene, scene->wang);
    }
    scene_sync_both(scene);
}

static void enrol_and_sync(struct scene *scene)
{
    char code[400];
    struct lab_device *device = scene->target;
    const char *const words[] = {"enrol", scene->lab.users[device->user].login};
    assert_int_equal(lab_command(&scene->lab, code, sizeof code, 2, words), DAYBOOK_OK);
    code[strcspn(code, "\n")] = '\0';
    if (scene_start(scene) &&
        scene_call(scene, "enrol", daybook_enrol(device->engine, code, "second", &device->error))) {
        (void)scene_sync(scene, device);
    }
}

/* A device that is enrolled and has nothing yet, and a log that begins behind its position. */
static void empty_device(struct scene *scene)
{
    static const char *const compact[] = {"compact", "--positions", "0", NULL};
    new_device(scene);
    assert_int_equal(lab_try_open(scene->target), DAYBOOK_OK);
    lab_enrol(scene->target);
    scene_must(scene, compact);
}

static void four_unsent(struct scene *scene)
{
    for (int i = 0; i < 4; i++) {
        scene_write(scene, scene->wang);
    }
}

static int64_t item_of(struct scene *scene, const char *field)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql,
                   "SELECT item FROM inbox WHERE kind = 'superseded' AND field = '%s'", field);
    return strtoll(lab_device_text(scene->wang, sql), NULL, 10);
}

static struct {
    int64_t name, kind, prefs, visit; /* items */
    bool kept, dropped, taken;
} answers;

static void look_at_inbox(struct scene *scene)
{
    scene_quarrel(scene);
    scene_sync_both(scene);
    scene_quarrel_has_ended(scene);
    answers.name = item_of(scene, "name");
    answers.kind = item_of(scene, "kind");
    answers.prefs = item_of(scene, "prefs");
    answers.visit = strtoll(
        lab_device_text(scene->wang, "SELECT item FROM inbox WHERE kind = 'rejected'"), NULL, 10);
}

/* Whether the call was OK, and the power on. */
static bool done(struct scene *scene, const char *what, daybook_status status)
{
    return scene_call(scene, what, status) && scene_is_powered(scene);
}

static void answer_inbox(struct scene *scene)
{
    daybook *engine = scene->wang->engine;
    answers.kept = done(scene, "keep", daybook_inbox_keep_mine(engine, answers.name, NULL));
    answers.taken = done(scene, "take", daybook_inbox_use_theirs(engine, answers.kind));
    answers.dropped = done(scene, "drop", daybook_inbox_discard(engine, answers.visit));
    (void)scene_sync(scene, scene->wang);
}

static void inbox_is_answered(struct scene *scene)
{
    bool there = item_of(scene, "name") != 0;
    assert_string_equal(scene_shop(scene, "name"), there ? "theirs" : "mine");
    assert_true(!answers.kept || !there);
    assert_true(!answers.taken || item_of(scene, "kind") == 0);
    assert_true(!answers.dropped || scene_inbox(scene, "rejected") == 0);
    assert_int_equal(item_of(scene, "prefs"), answers.prefs);
    assert_string_equal(scene_shop(scene, "kind||prefs"), "theirstheirs");
}

/* Wang goes to another territory. */
static void move_away(struct scene *scene)
{
    static const char *const move[] = {"user", "change", "wang", "--territory", "West", NULL};
    scene_write(scene, scene->wang);
    scene_write(scene, scene->wang);
    scene_sync_both(scene);
    scene_must(scene, move);
}

static void has_nothing(struct scene *scene)
{
    assert_string_equal(lab_device_text(scene->wang, "SELECT count(*) FROM visit"), "0");
}

/* ---- repairs */

/* A copy of a device's file, which has work of its own under numbers that the first has used. */
static void copy_device(struct scene *scene)
{
    scene_write(scene, scene->wang);
    assert_true(scene_sync(scene, scene->wang));
    scene->target = lab_clone(scene->wang);
    assert_non_null(scene->target);
    scene_write(scene, scene->target);
    scene_write(scene, scene->target);
    scene_write(scene, scene->wang);
    assert_true(scene_sync(scene, scene->wang));
    scene->may_number = true;
}

/* A device that believes to have read entries that it has not. */
static void skip_entries(struct scene *scene)
{
    char sql[200];
    sqlite3 *database = NULL;
    four_unsent(scene);
    assert_true(scene_sync(scene, scene->wang));
    scene_write(scene, scene->li);
    assert_true(scene_sync(scene, scene->li));
    const char *head = lab_server_text(&scene->lab, "SELECT head FROM org");
    (void)snprintf(sql, sizeof sql, "UPDATE meta SET position = %s, head = %s", head, head);
    lab_let_go(scene->wang);
    assert_int_equal(sqlite3_open(scene->wang->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(lab_try_open(scene->wang), DAYBOOK_OK);
    scene_write(scene, scene->wang);
    scene->mends = true;
}

static void verify_and_sync(struct scene *scene)
{
    (void)scene_call(scene, "verify", daybook_verify(scene->wang->engine));
    (void)scene_sync(scene, scene->wang);
    (void)scene_sync(scene, scene->wang);
}

/* An order in the archive, that nobody holds. */
static void archive(struct scene *scene)
{
    static const char *const classify[] = {"classify", "--open-days", "0", "--recent-days",
                                           "0",        "--last",      "0", NULL};
    char json[200];
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", scene->shop);
    scene_put(scene, scene->wang, "sales_order", json, scene->other);
    scene_patch(scene, scene->wang, "sales_order", scene->other, "{\"status\":\"cancelled\"}");
    scene_sync_both(scene);
    scene_must(scene, classify);
    scene_sync_both(scene);
    assert_string_equal(lab_device_text(scene->wang, "SELECT count(*) FROM sales_order"), "0");
}

static void fetch_and_forget(struct scene *scene)
{
    daybook *engine = scene->wang->engine;
    for (int i = 0; i < 2; i++) {
        if (scene_call(scene, "fetch",
                       daybook_fetch(engine, "sales_order", scene->other, &scene->wang->error)) &&
            i == 0) {
            (void)scene_call(scene, "forget", daybook_forget(engine, scene->other));
        }
    }
}

static const struct flow flows[] = {
    {"write", false, false, nothing, write_one, NULL, NULL},
    {"writes", false, false, with_visit, write_many, NULL, NULL},
    {"relaxed", false, false, relax, write_and_sync, NULL, NULL},
    {"close", false, true, nothing, open_and_close, NULL, NULL},
    {"read", false, true, ten_deeds, read_all, NULL, NULL},
    {"enrol", false, true, new_device, enrol_and_sync, NULL, NULL},
    {"load", false, false, empty_device, sync_target, NULL, NULL},
    {"push", false, false, four_unsent, sync_target, NULL, NULL},
    {"pull", false, false, scene_quarrel, sync_target, NULL, scene_quarrel_has_ended},
    {"inbox", false, false, look_at_inbox, answer_inbox, NULL, inbox_is_answered},
    {"evict", false, false, move_away, sync_target, NULL, has_nothing},
    {"copy", false, false, copy_device, sync_target, NULL, NULL},
    {"repair", false, false, skip_entries, verify_and_sync, NULL, NULL},
    {"fetch", false, false, archive, fetch_and_forget, NULL, NULL},
    {.name = NULL},
};

static void test_device__goes_on_after_a_fault_at_any_point(void **state)
{
    (void)state;
    points_play(flows, "vfs_device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device__goes_on_after_a_fault_at_any_point),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
