/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's disk goes wrong at every point of what a server does; see tests/support/points.h.
 */
#include "tests/support/lab_system.h"

#include "sync-server/backup.h"
#include "sync-server/service.h"
#include "tests/support/points.h"
#include "tests/support/power.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a flow's commands said, with the power on. */
static struct {
    bool first, second;
    char code[100];
} answers;

static bool done(struct scene *scene, bool said)
{
    return said && scene_is_powered(scene);
}

static int64_t server_int(struct scene *scene, const char *sql)
{
    return strtoll(lab_server_text(&scene->lab, sql), NULL, 10);
}

/* ---- what devices do */

static void both_unsent(struct scene *scene)
{
    for (int i = 0; i < 3; i++) {
        scene_write(scene, scene->wang);
        scene_write(scene, scene->li);
    }
}

static void both_settled(struct scene *scene)
{
    both_unsent(scene);
    scene_sync_both(scene);
}

static void both_sync(struct scene *scene)
{
    (void)scene_sync(scene, scene->wang);
    (void)scene_sync(scene, scene->li);
}

static void start_and_stop(struct scene *scene)
{
    for (int i = 0; i < 2; i++) {
        if (scene_start(scene)) {
            both_sync(scene);
        }
        scene_stop(scene);
    }
    (void)scene_start(scene);
}

/* A device that has nothing yet, and a log that begins behind its position. */
static void one_more_device(struct scene *scene)
{
    static const char *const compact[] = {"compact", "--positions", "0", NULL};
    struct lab_device *device = lab_hire(&scene->lab, scene->wang->user);
    assert_non_null(device);
    lab_let_go(device);
    device->options.page_bytes = 400;
    device->ahead_ms = 0;
    assert_int_equal(lab_try_open(device), DAYBOOK_OK);
    lab_enrol(device);
    both_settled(scene);
    scene_must(scene, compact);
    scene->lab.cache_mib = 4;
}

static void it_loads(struct scene *scene)
{
    struct lab_device *device = &scene->lab.devices[scene->lab.device_count - 1];
    (void)scene_sync(scene, device);
    (void)scene_sync(scene, device);
}

static void not_enrolled(struct scene *scene)
{
    struct lab_device *device = lab_hire(&scene->lab, scene->wang->user);
    assert_non_null(device);
    device->ahead_ms = 0;
    scene->may_number = true;
}

static void enrol(struct scene *scene)
{
    char text[400];
    struct lab_device *device = &scene->lab.devices[scene->lab.device_count - 1];
    const char *const words[] = {"enrol", scene->lab.users[device->user].login};
    if (!scene_call(scene, "code", lab_command(&scene->lab, text, sizeof text, 2, words))) {
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    if (scene_call(scene, "enrol", daybook_enrol(device->engine, text, "new", &device->error))) {
        (void)scene_sync(scene, device);
    }
}

/* A copy of Wang's device: the server gives it a number of its own. */
static void copy_device(struct scene *scene)
{
    scene_write(scene, scene->wang);
    assert_true(scene_sync(scene, scene->wang));
    struct lab_device *clone = lab_clone(scene->wang);
    assert_non_null(clone);
    scene_write(scene, clone);
    scene_write(scene, scene->wang);
    assert_true(scene_sync(scene, scene->wang));
    scene->may_number = true;
}

/* ---- what operators do */

static void hand_over(struct scene *scene)
{
    const char *const shop[] = {"customer", "reassign", scene->shop, "--territory", "West", NULL};
    static const char *const rep[] = {"user", "change", "li", "--territory", "West", NULL};
    answers.first = done(scene, scene_command(scene, shop));
    answers.second = done(scene, scene_command(scene, rep));
    both_sync(scene);
}

static void unsent_for_long(struct scene *scene)
{
    both_unsent(scene);
    lab_set_now_ms(lab_now_ms() + 3600000);
}

/* What a command has said is done, before it is said again. */
static void finish_hand_over(struct scene *scene)
{
    int64_t there = server_int(scene, "SELECT count(*) FROM customer c JOIN territory t"
                                      " ON t.id = c.territory_id WHERE t.name = 'West'");
    int64_t gone = server_int(scene, "SELECT count(*) FROM app_user u JOIN territory t"
                                     " ON t.id = u.territory_id"
                                     " WHERE t.name = 'West' AND u.login = 'li'");
    assert_true(!answers.first || there == 1);
    assert_true(!answers.second || gone == 1);
    hand_over(scene);
    assert_true(answers.first && answers.second);
}

static void old_order(struct scene *scene)
{
    char json[200];
    both_unsent(scene);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}", scene->shop);
    scene_put(scene, scene->wang, "sales_order", json, scene->other);
    scene_patch(scene, scene->wang, "sales_order", scene->other, "{\"status\":\"cancelled\"}");
    scene_sync_both(scene);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void work_at_night(struct scene *scene)
{
    static const char *const words[] = {"classify", "--open-days", "0", "--recent-days",
                                        "0",        "--last",      "0", NULL};
    answers.first = done(scene, scene_command(scene, words));
    answers.second =
        scene->lab.service != NULL &&
        done(scene, scene_call(scene, "night", srv_service_night(scene->lab.service, never, NULL)));
    both_sync(scene);
}

/* Nobody holds the order any more. */
static void night_is_over(struct scene *scene)
{
    assert_string_equal(lab_device_text(scene->wang, "SELECT count(*) FROM sales_order"), "0");
    assert_int_equal(server_int(scene, "SELECT count(*) FROM sales_order"), 1);
}

static void finish_night(struct scene *scene)
{
    work_at_night(scene);
    assert_true(answers.first && answers.second);
}

static const char *const compact_words[] = {"compact", "--positions", "0", NULL};

static void compact(struct scene *scene)
{
    (void)scene_command(scene, compact_words);
    both_sync(scene);
}

static void finish_compact(struct scene *scene)
{
    scene_must(scene, compact_words);
    assert_int_equal(server_int(scene, "SELECT count(*) FROM log"), 0);
}

/* Li is behind, so that there is something to load after the log was cut. */
static void li_is_behind(struct scene *scene)
{
    both_unsent(scene);
    assert_true(scene_sync(scene, scene->wang) && scene_sync(scene, scene->wang));
}

static void two_customers(struct scene *scene)
{
    char id[DAYBOOK_ID_SIZE], json[200];
    both_unsent(scene);
    scene_put(scene, scene->wang, "customer", "{\"name\":\"shop too\"}", scene->other);
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", scene->other);
    scene_put(scene, scene->wang, "visit", json, id);
    scene_sync_both(scene);
}

static void import_and_merge(struct scene *scene)
{
    const char *const merge[] = {"customer", "merge", scene->other, scene->shop, NULL};
    char line[200];
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"customer\",\"id\":\"%s\",\"prefs\":\"imported\"}\n", scene->shop);
    answers.first = done(scene, scene_import(scene, line));
    answers.second = done(scene, scene_command(scene, merge));
    both_sync(scene);
}

static void import_is_kept(struct scene *scene)
{
    bool imported = strcmp(scene_shop(scene, "prefs"), "imported") == 0;
    char sql[120];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE customer_id = '%s'",
                   scene->other);
    int64_t visits = server_int(scene, sql);
    assert_true(!answers.first || imported);
    assert_true(!answers.second || visits == 0);
}

/* Changesets of a user who was disabled wait for an operator. */
static void quarantine(struct scene *scene)
{
    static const char *const off[] = {"user", "change", "wang", "--disabled", "yes", NULL};
    static const char *const on[] = {"user", "change", "wang", "--disabled", "no", NULL};
    scene_must(scene, off);
    lab_set_now_ms(lab_now_ms() + 1000);
    for (int i = 0; i < 3; i++) {
        scene_write(scene, scene->wang);
    }
    (void)daybook_sync(scene->wang->engine, 0, &scene->wang->error);
    scene_must(scene, on);
    assert_true(scene_sync(scene, scene->wang)); /* who is disabled has lost all else */
    assert_int_equal(server_int(scene, "SELECT count(*) FROM quarantine WHERE ended = 0"), 3);
    (void)snprintf(scene->other, sizeof scene->other, "%s",
                   lab_server_text(&scene->lab,
                                   "SELECT lower(substr(h,1,8)||'-'||substr(h,9,4)||'-'||"
                                   "substr(h,13,4)||'-'||substr(h,17,4)||'-'||substr(h,21)) FROM"
                                   " (SELECT hex(changeset) AS h FROM quarantine ORDER BY seq)"));
}

static void release(struct scene *scene)
{
    const char *const words[] = {"quarantine", "release", scene->other, "--all", NULL};
    answers.first = done(scene, scene_command(scene, words));
    both_sync(scene);
}

static void finish_release(struct scene *scene)
{
    int64_t waiting = server_int(scene, "SELECT count(*) FROM quarantine WHERE ended = 0");
    assert_true(!answers.first || waiting == 0);
    if (waiting > 0) {
        release(scene);
        assert_true(answers.first);
    }
}

/* ---- backups */

static const char *backup_path(struct scene *scene)
{
    static char path[400];
    (void)snprintf(path, sizeof path, "%s/copy", scene->lab.folder);
    return path;
}

static void back_up(struct scene *scene)
{
    const char *const words[] = {"backup", backup_path(scene), NULL};
    answers.first = done(scene, scene_command(scene, words));
    both_sync(scene);
}

/* A backup is there and whole, or it is not there. */
static void check_backup(struct scene *scene)
{
    char path[500];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof path, "%s/server.db", backup_path(scene));
    bool there = access(path, F_OK) == 0;
    assert_true(there || !answers.first);
    if (there && answers.first) {
        assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(
            sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, NULL),
            SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
        (void)sqlite3_finalize(statement);
        (void)sqlite3_close(database);
    }
}

static void backed_up(struct scene *scene)
{
    both_settled(scene);
    lab_backup(&scene->lab);
    both_settled(scene);
    scene->restores = true;
}

static void restore(struct scene *scene)
{
    char problem[400] = "";
    int64_t position;
    daybook_status status =
        srv_restore(scene->lab.backup, scene->lab.data, &position, problem, sizeof problem);
    bool restored = scene_call(scene, "restore", status);
    if (scene_is_powered(scene)) {
        power_return(scene->lab.disk); /* which has another file by now */
        answers.first = restored;
    }
    if (scene_start(scene)) {
        both_sync(scene);
    }
}

static const struct flow flows[] = {
    {"start", true, true, both_unsent, start_and_stop, NULL, NULL},
    {"accept", true, false, both_unsent, both_sync, NULL, NULL},
    {"reject", true, false, scene_quarrel, both_sync, NULL, scene_quarrel_has_ended},
    {"load", true, false, one_more_device, it_loads, NULL, NULL},
    {"enrol", true, false, not_enrolled, enrol, NULL, NULL},
    {"copy", true, false, copy_device, it_loads, NULL, NULL},
    {"handover", true, false, unsent_for_long, hand_over, finish_hand_over, NULL},
    {"night", true, false, old_order, work_at_night, finish_night, night_is_over},
    {"compact", true, false, li_is_behind, compact, finish_compact, NULL},
    {"merge", true, false, two_customers, import_and_merge, NULL, import_is_kept},
    {"quarantine", true, false, quarantine, release, finish_release, NULL},
    {"backup", true, false, both_unsent, back_up, check_backup, NULL},
    {"restore", true, true, backed_up, restore, NULL, NULL},
    {.name = NULL},
};

static void test_server__goes_on_after_a_fault_at_any_point(void **state)
{
    (void)state;
    points_play(flows, "vfs_server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server__goes_on_after_a_fault_at_any_point),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
