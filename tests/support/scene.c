/* SPDX-License-Identifier: Apache-2.0
 *
 * See scene.h.
 */
#include "tests/support/scene.h"

#include "tests/support/lab_inside.h"
#include "tests/support/power.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCENE_SEED 1
#define ROUNDS 2 /* in which everything must come to rest */
#define LI 1     /* places in lab_users */
#define WANG 2

/* ---- its life */

static struct lab_device *hire(struct scene *scene, int user)
{
    struct lab_device *device = lab_hire(&scene->lab, user);
    assert_non_null(device);
    device->ahead_ms = 0;
    lab_let_go(device);
    device->options.relaxed = false;
    device->options.page_bytes = 0;
    assert_int_equal(lab_try_open(device), DAYBOOK_OK);
    lab_enrol(device);
    return device;
}

static int64_t server_int(struct scene *scene, const char *sql)
{
    return strtoll(lab_server_text(&scene->lab, sql), NULL, 10);
}

void scene_open(struct scene *scene, const struct flow *flow)
{
    static int64_t counts[LAB_FAULT_COUNT];
    memset(scene, 0, sizeof *scene);
    scene->flow = flow;
    lab_seed_sqlite(SCENE_SEED);
    lab_open(&scene->lab, SCENE_SEED, counts);
    scene->lab.bare = true;
    scene->lab.page_bytes = 0;
    scene->wang = hire(scene, WANG);
    scene->li = hire(scene, LI);
    scene_put(scene, scene->wang, "customer", "{\"name\":\"shop\"}", scene->shop);
    scene->target = flow->server ? NULL : scene->wang;
    for (int i = 0; i < 2; i++) {
        assert_true(scene_sync(scene, scene->wang) && scene_sync(scene, scene->li));
    }
    flow->prepare(scene);
    scene->numbers = (int)server_int(scene, "SELECT count(*) FROM device_instance");
    lab_rest(&scene->lab);
}

void scene_close(struct scene *scene)
{
    lab_close(&scene->lab);
}

void scene_wake(struct scene *scene)
{
    struct lab *lab = &scene->lab;
    if (!scene->flow->server || !scene->flow->opens) {
        lab_open_server(lab);
    }
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        if (device != scene->target || !scene->flow->opens) {
            assert_int_equal(lab_try_open(device), DAYBOOK_OK);
        }
    }
}

struct power *scene_disk(struct scene *scene)
{
    return scene->target == NULL ? scene->lab.disk : scene->target->disk;
}

bool scene_is_powered(struct scene *scene)
{
    return !power_is_cut(scene_disk(scene));
}

/* ---- calls */

static bool is_of_disk(daybook_status status)
{
    return status == DAYBOOK_IO || status == DAYBOOK_DISK_FULL || status == DAYBOOK_CANNOT_OPEN;
}

bool scene_call(struct scene *scene, const char *what, daybook_status status)
{
    bool far = status == DAYBOOK_SERVER_ERROR || status == DAYBOOK_SERVER_BUSY ||
               status == DAYBOOK_OFFLINE;
    lab_trace(&scene->lab, "%s: %s", what, daybook_status_name(status));
    if (status != DAYBOOK_OK && !is_of_disk(status) && !far) {
        lab_fail(&scene->lab, "%s gives %s%s%s", what, daybook_status_name(status),
                 scene->target == NULL ? "" : ": ",
                 scene->target == NULL ? "" : scene->target->error.text);
    }
    scene->refused += status != DAYBOOK_OK;
    return status == DAYBOOK_OK;
}

static bool commit(struct scene *scene, struct lab_device *device,
                   daybook_transaction **transaction, bool staged)
{
    bool done = staged &&
                scene_call(scene, "commit", daybook_commit(*transaction, &device->error)) &&
                scene_is_powered(scene);
    daybook_end(transaction);
    return done;
}

/* Stages a new record; `id_out` (may be NULL) gets its id. */
static bool stage(struct scene *scene, daybook_transaction *transaction, const char *entity,
                  const char *json, char *id_out)
{
    return scene_call(scene, entity,
                      daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id_out, NULL));
}

/* Stages a visit, a quote with a line, and a change of the shop, all with the mark. */
static bool stage_deed(struct scene *scene, daybook_transaction *transaction, const char *mark)
{
    char json[300], quote[DAYBOOK_ID_SIZE];
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"feedback\":\"%s\"}", scene->shop,
                   mark);
    if (!stage(scene, transaction, "visit", json, NULL)) {
        return false;
    }
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\",\"note\":\"%s\",\"cur\":\"CNY\"}",
                   scene->shop, mark);
    if (!stage(scene, transaction, "quote", json, quote)) {
        return false;
    }
    (void)snprintf(json, sizeof json,
                   "{\"quote_id\":\"%s\",\"product_id\":\"" SCENE_TEA
                   "\",\"qty\":1000,\"price_e4\":20000}",
                   quote);
    if (!stage(scene, transaction, "quote_line", json, NULL)) {
        return false;
    }
    (void)snprintf(json, sizeof json, "{\"custom\":{\"%s\":1}}", mark);
    return scene_call(
        scene, "patch",
        daybook_patch_json(transaction, "customer", scene->shop, DAYBOOK_ANY_VERSION, json, NULL));
}

void scene_write(struct scene *scene, struct lab_device *device)
{
    daybook_transaction *transaction = NULL;
    struct deed *deed = &scene->deeds[scene->deed_count];
    if (device->engine == NULL ||
        !scene_call(scene, "begin", daybook_begin(device->engine, &transaction))) {
        return;
    }
    assert_in_range(scene->deed_count, 0, SCENE_DEEDS - 1);
    scene->deed_count++;
    deed->device = device;
    (void)snprintf(deed->mark, sizeof deed->mark, "m%d.", scene->deed_count);
    bool staged = stage_deed(scene, transaction, deed->mark);
    deed->sure = commit(scene, device, &transaction, staged);
}

/* Stages a patch of a record that is there, or with `json` NULL its delete. */
static bool stage_change(struct scene *scene, struct lab_device *device,
                         daybook_transaction *transaction, const char *entity, const char *id,
                         const char *json)
{
    daybook_record *record = NULL;
    if (!scene_call(scene, "read", daybook_read(transaction, entity, id, &record))) {
        return false;
    }
    int64_t seen = daybook_record_version(record);
    return json == NULL ? scene_call(scene, "delete", daybook_delete(transaction, entity, id, seen))
                        : scene_call(scene, "patch",
                                     daybook_patch_json(transaction, entity, id, seen, json,
                                                        &device->error));
}

void scene_patch(struct scene *scene, struct lab_device *device, const char *entity, const char *id,
                 const char *json)
{
    daybook_transaction *transaction = NULL;
    if (device->engine != NULL &&
        scene_call(scene, "begin", daybook_begin(device->engine, &transaction))) {
        bool staged = stage_change(scene, device, transaction, entity, id, json);
        (void)commit(scene, device, &transaction, staged);
    }
}

void scene_delete(struct scene *scene, struct lab_device *device, const char *entity,
                  const char *id)
{
    scene_patch(scene, device, entity, id, NULL);
}

void scene_put(struct scene *scene, struct lab_device *device, const char *entity, const char *json,
               char id[DAYBOOK_ID_SIZE])
{
    daybook_transaction *transaction = NULL;
    daybook_status status = daybook_begin(device->engine, &transaction);
    if (status == DAYBOOK_OK) {
        status = daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id, &device->error);
    }
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, &device->error);
    }
    daybook_end(&transaction);
    if (status != DAYBOOK_OK) {
        lab_fail(&scene->lab, "%s %s: %s", entity, json, device->error.text);
    }
}

bool scene_sync(struct scene *scene, struct lab_device *device)
{
    bool done = device->engine != NULL &&
                scene_call(scene, "sync", daybook_sync(device->engine, 0, &device->error)) &&
                scene_is_powered(scene);
    for (int i = 0; done && i < scene->deed_count; i++) {
        scene->deeds[i].synced |= scene->deeds[i].device == device;
    }
    return done;
}

void scene_lost(struct scene *scene)
{
    for (int i = 0; i < scene->deed_count; i++) {
        struct deed *deed = &scene->deeds[i];
        deed->sure = deed->sure && (deed->synced || !deed->device->options.relaxed);
    }
}

bool scene_start(struct scene *scene)
{
    char problem[400] = "";
    if (!scene_is_powered(scene)) {
        return false;
    }
    daybook_status status = scene->target == NULL
                                ? lab_try_server(&scene->lab, problem, sizeof problem)
                                : lab_try_open(scene->target);
    return scene_call(scene, "open", status);
}

void scene_stop(struct scene *scene)
{
    if (scene->target == NULL) {
        lab_end(&scene->lab);
    } else {
        daybook_close(&scene->target->engine);
    }
}

bool scene_command(struct scene *scene, const char *const *words)
{
    char text[1000];
    int count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return scene->lab.service != NULL &&
           scene_call(scene, words[0], lab_command(&scene->lab, text, sizeof text, count, words));
}

bool scene_import(struct scene *scene, const char *line)
{
    char path[400];
    const char *const words[] = {"import", path, NULL};
    (void)snprintf(path, sizeof path, "%s/import", scene->lab.folder);
    lab_write_file(&scene->lab, path, line, strlen(line));
    return scene_command(scene, words);
}

void scene_must(struct scene *scene, const char *const *words)
{
    if (!scene_command(scene, words)) {
        lab_fail(&scene->lab, "%s is not done", words[0]);
    }
}

/* ---- a quarrel */

void scene_sync_both(struct scene *scene)
{
    for (int i = 0; i < 2; i++) {
        assert_true(scene_sync(scene, scene->wang) && scene_sync(scene, scene->li));
    }
}

int64_t scene_inbox(struct scene *scene, const char *kind)
{
    char sql[100];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM inbox WHERE kind = '%s'", kind);
    return strtoll(lab_device_text(scene->wang, sql), NULL, 10);
}

const char *scene_shop(struct scene *scene, const char *field)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM customer WHERE id = '%s'", field, scene->shop);
    return lab_server_text(&scene->lab, sql);
}

void scene_quarrel(struct scene *scene)
{
    char json[200];
    scene_put(scene, scene->wang, "customer", "{\"name\":\"closed\"}", scene->other);
    scene_sync_both(scene);
    scene_patch(scene, scene->wang, "customer", scene->shop, "{\"name\":\"mine\"}");
    scene_patch(scene, scene->wang, "customer", scene->shop, "{\"kind\":\"mine\"}");
    scene_patch(scene, scene->wang, "customer", scene->shop, "{\"prefs\":\"mine\"}");
    (void)snprintf(json, sizeof json, "{\"customer_id\":\"%s\"}", scene->other);
    scene_put(scene, scene->wang, "visit", json, NULL);
    scene_write(scene, scene->wang);
    lab_set_now_ms(lab_now_ms() + 5000);
    scene_delete(scene, scene->li, "customer", scene->other);
    scene_patch(scene, scene->li, "customer", scene->shop,
                "{\"name\":\"theirs\",\"kind\":\"theirs\",\"prefs\":\"theirs\"}");
    for (int i = 0; i < 3; i++) {
        scene_write(scene, scene->li);
    }
    assert_true(scene_sync(scene, scene->li));
}

void scene_quarrel_has_ended(struct scene *scene)
{
    assert_int_equal(scene_inbox(scene, "superseded"), 3);
    assert_int_equal(scene_inbox(scene, "rejected"), 1);
    assert_string_equal(scene_shop(scene, "name||kind||prefs"), "theirstheirstheirs");
}

/* ---- the account */

#define DEED_PARTS                                                                                 \
    "SELECT (SELECT count(*) FROM visit WHERE feedback='%s')"                                      \
    "||(SELECT count(*) FROM quote WHERE note='%s')"                                               \
    "||(SELECT count(*) FROM quote_line l JOIN quote q ON q.id=l.quote_id WHERE q.note='%s')"      \
    "||(SELECT count(*) FROM customer WHERE custom LIKE '%%\"%s\":%%')"

/* Whether a deed is where these words look; the test fails where a part of it is. */
static bool is_whole(struct scene *scene, const struct deed *deed, bool on_server)
{
    char sql[600];
    const char *mark = deed->mark;
    (void)snprintf(sql, sizeof sql, DEED_PARTS, mark, mark, mark, mark);
    const char *parts =
        on_server ? lab_server_text(&scene->lab, sql) : lab_device_text(deed->device, sql);
    if (strcmp(parts, "1111") != 0 && strcmp(parts, "0000") != 0) {
        lab_fail(&scene->lab, "deed %s is in parts on %s: %s", mark,
                 on_server ? "the server" : "the device", parts);
    }
    return parts[0] == '1';
}

/* What a device was told the server has, the server has, if only in quarantine. */
static void check_acknowledged(struct scene *scene, struct lab_device *device)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    int64_t there = 0, left = 0;
    assert_int_equal(daybook_get_status(device->engine, &status), DAYBOOK_OK);
    for (int i = 0; i < scene->deed_count; i++) {
        there += scene->deeds[i].device == device && is_whole(scene, &scene->deeds[i], true);
        left += scene->deeds[i].device == device && is_whole(scene, &scene->deeds[i], false);
    }
    there += server_int(scene, "SELECT count(*) FROM quarantine WHERE ended = 0");
    if (left - status.pending > there) {
        lab_fail(&scene->lab, "device %d has %lld deeds, %lld of them pending; the server has %lld",
                 device->number, (long long)left, (long long)status.pending, (long long)there);
    }
}

/* Nothing is wrong with the pages of the file whose disk failed. */
static void check_pages(struct scene *scene)
{
    static const char sql[] = "PRAGMA integrity_check";
    const char *text = scene->target == NULL ? lab_server_text(&scene->lab, sql)
                                             : lab_device_text(scene->target, sql);
    if (strcmp(text, "ok") != 0) {
        lab_fail(&scene->lab, "integrity_check: %s", text);
    }
}

/* Everybody syncs and compares all, until nothing is left. */
static void settle(struct scene *scene)
{
    struct lab *lab = &scene->lab;
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
        (void)daybook_get_status(device->engine, &status);
        if (!status.enrolled) {
            lab_enrol(device);
            scene->may_number = true;
        }
        assert_int_equal(daybook_verify(device->engine), DAYBOOK_OK);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < lab->device_count; i++) {
            struct lab_device *device = &lab->devices[i];
            lab_must_sync(device);
            if (scene->mends) {
                lab_reopen(device); /* which begins to count anew */
            }
        }
    }
}

static void check_rest(struct scene *scene)
{
    struct lab *lab = &scene->lab;
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        lab_check_rest(device);
        lab_check(device); /* also that its contents are the server's, as both reckon them */
    }
    lab_compare(scene->target == NULL ? scene->wang : scene->target);
    lab_check_server(lab);
    check_pages(scene);
    int numbers = (int)server_int(scene, "SELECT count(*) FROM device_instance");
    if (!scene->may_number && numbers != scene->numbers) {
        lab_fail(lab, "%d instances have numbers instead of %d: a number was used twice", numbers,
                 scene->numbers);
    }
}

void scene_end(struct scene *scene)
{
    struct lab *lab = &scene->lab;
    bool there[SCENE_DEEDS];
    lab->errors[0] = '\0'; /* those were the disk's */
    check_pages(scene);
    for (int i = 0; i < scene->deed_count; i++) {
        const struct deed *deed = &scene->deeds[i];
        bool on_server = is_whole(scene, deed, true);
        there[i] = is_whole(scene, deed, false) || on_server;
        if (deed->sure && !there[i]) {
            lab_fail(lab, "deed %s was done, and is not there", deed->mark);
        }
    }
    for (int i = 0; i < lab->device_count && !scene->restores; i++) {
        check_acknowledged(scene, &lab->devices[i]);
    }
    if (scene->flow->finish != NULL) {
        scene->flow->finish(scene);
    }
    settle(scene);
    check_rest(scene);
    for (int i = 0; i < scene->deed_count; i++) {
        if (is_whole(scene, &scene->deeds[i], true) != there[i]) {
            lab_fail(lab, "deed %s was %s before", scene->deeds[i].mark,
                     there[i] ? "there" : "not there");
        }
    }
    if (scene->flow->check != NULL) {
        scene->flow->check(scene);
    }
}
