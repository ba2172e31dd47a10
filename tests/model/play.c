/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays scenarios side by side: what they do between two syncs goes in slots, one letter of each
 * scenario at a time, and all letters of a slot are later than all of the one before. Both devices'
 * clocks are made right by what they have measured, since the time that a large exchange takes
 * would set them off. See model.h.
 */
#include "tests/model/model.h"

#include "engine/base/buffer.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SETUP_MS 1000 /* of the line: the setup, its syncs, the first slot, each slot and sync */
#define STEP_MS 1000
#define TIME_LAST 179522 /* in 10,000 seconds: before now */
#define TIMES 19000      /* of different scenarios */
#define TIME_APART 9
#define SLOT_APART_MS 5   /* by the real clock */
#define SETUP_TOGETHER 50 /* scenarios whose setup is one changeset */

static const char *const logins[2] = {"wang", "boss"};

/* ---- verdicts ---- */

/* Behind a JSON value of this text, strings with their escapes. */
static const char *skip_value(const char *at)
{
    int depth = 0;
    bool quoted = false;
    for (; *at != '\0'; at++) {
        if (quoted) {
            at += *at == '\\' ? 1 : 0;
            quoted = *at != '"';
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if ((*at == ']' || *at == '}') && --depth == 0) {
            return at + 1;
        }
    }
    return at;
}

static void note_verdict(struct model_told *told, int64_t seq, char kind)
{
    while (seq >= told->room) {
        int64_t room = told->room == 0 ? 65536 : told->room * 2;
        told->verdicts = realloc(told->verdicts, (size_t)room);
        assert_non_null(told->verdicts);
        memset(told->verdicts + told->room, 0, (size_t)(room - told->room));
        told->room = room;
    }
    told->told += told->verdicts[seq] == 0 ? 1 : 0;
    told->verdicts[seq] = kind;
}

/* Notes the verdicts [seq,"kind",…] that the replies so far have. */
static void take_verdicts(struct tap *tap, struct model_told *told)
{
    static const char member[] = "\"verdicts\":[";
    const char *at = dk_buffer_text(&tap->down);
    assert_int_equal(tap->down.status, DAYBOOK_OK);
    while ((at = strstr(at, member)) != NULL) {
        at += sizeof member - 1;
        while (*at == '[') {
            char *end;
            int64_t seq = strtoll(at + 1, &end, 10);
            assert_true(end[0] == ',' && end[1] == '"');
            note_verdict(told, seq, end[2]);
            at = skip_value(at);
            at += *at == ',' ? 1 : 0;
        }
    }
    tap_forget(tap);
}

/* ---- the stage ---- */

static void sleep_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL);
}

static void sync_one(struct model_stage *stage, int who)
{
    struct rep *rep = stage->reps[who];
    tap_set_ahead(&rep->tap, 0);
    rep_sync(rep);
    take_verdicts(&rep->tap, &stage->told[who]);
    tap_set_ahead(&rep->tap, -device_status(&rep->device).clock_offset_ms);
}

/* The stage that a failure would leave behind, with a server that runs. */
static struct model_stage *open_stage;

static void abandon(void)
{
    struct model_stage *stage = open_stage;
    open_stage = NULL;
    if (stage != NULL) {
        server_kill(&stage->company.server);
        company_close(&stage->company);
    }
}

void model_open(struct model_stage *stage, const char *role)
{
    memset(stage, 0, sizeof *stage);
    assert_int_equal(atexit(abandon), 0);
    open_stage = stage;
    company_open(&stage->company);
    for (int who = 0; who < 2; who++) {
        char sql[300];
        const char *own = who == 0 ? "rep" : role;
        struct rep *rep = company_add(&stage->company, logins[who], own,
                                      strcmp(own, "back_office") == 0 ? NULL : "East");
        rep->device.options.relaxed = true; /* no power is lost here */
        rep_begin(rep);
        stage->reps[who] = rep;
        (void)snprintf(sql, sizeof sql,
                       "SELECT i.device_no FROM device_instance i JOIN device d ON d.device ="
                       " i.device JOIN app_user u ON u.id_key = d.user_id WHERE u.login = '%s'",
                       logins[who]);
        stage->device_no[who] = server_int(&stage->company.server, sql);
        assert_true(stage->device_no[who] > 0);
        tap_forget(&rep->tap);
    }
    rep_put(stage->reps[0], "customer", "{\"name\":\"shop\"}", stage->shop);
    stage->told[0].made++;
    sync_one(stage, 0);
    sync_one(stage, 1);
}

void model_close(struct model_stage *stage)
{
    for (int who = 0; who < 2; who++) {
        assert_int_equal(stage->told[who].told, stage->told[who].made);
        tap_set_ahead(&stage->reps[who]->tap, 0);
    }
    company_settle(&stage->company);
    for (int who = 0; who < 2; who++) {
        assert_int_equal(device_status(&stage->reps[who]->device).divergences, 0);
        free(stage->told[who].verdicts);
    }
    open_stage = NULL;
    company_close(&stage->company);
}

/* ---- operations ---- */

/* What stands for the sign behind a $. */
static const char *meaning(const struct model_stage *stage, const struct model_scenario *scenario,
                           bool line, char sign, int letter, char own[16])
{
    const struct model_made *made = &scenario->made[sign >= '1' && sign <= '3' ? sign - '1' : 0];
    int who = letter < 0 ? 0 : MODEL_WHO(scenario->word->letters[letter]);
    switch (sign) {
    case 's': return line ? "shop" : stage->shop;
    case 't': return line ? "tea" : TEA;
    case 'k': return line ? "cookie" : COOKIE;
    case 'v': (void)snprintf(own, 16, "%c%d", 'a' + who, letter + 1); return own;
    case 'n': (void)snprintf(own, 16, "%d", 1000 + 10 * letter + who); return own;
    case 'd':
        (void)snprintf(own, 16, "%d", TIME_LAST - scenario->word->id % TIMES * TIME_APART);
        return own;
    default: return line ? made->name : made->id;
    }
}

void model_fill(const struct model_stage *stage, const struct model_scenario *scenario, bool line,
                const char *template, int letter, char out[MODEL_TEXT])
{
    size_t length = 0;
    for (const char *at = template; *at != '\0'; at++) {
        char own[16] = {*at, '\0'};
        const char *text = own;
        if (*at == '$') {
            text = meaning(stage, scenario, line, *++at, letter, own);
        }
        size_t more = strlen(text);
        assert_true(length + more < MODEL_TEXT);
        memcpy(out + length, text, more);
        length += more;
    }
    out[length] = '\0';
}

/* Stages one operation; the status of what refuses it. */
static daybook_status stage_op(struct model_stage *stage, struct model_scenario *scenario,
                               daybook_transaction *transaction, const struct model_op *op,
                               int letter)
{
    char json[MODEL_TEXT];
    const struct model_made *made = &scenario->made[op->record];
    daybook_record *record = NULL;
    daybook_status status = DAYBOOK_OK;
    int64_t version = DAYBOOK_NEW;
    if (op->verb != MODEL_NEW) {
        status = daybook_read(transaction, made->entity, made->id, &record);
        version = status == DAYBOOK_OK ? daybook_record_version(record) : 0;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (op->verb == MODEL_DELETE) {
        return daybook_delete(transaction, made->entity, made->id, version);
    }
    if (op->verb == MODEL_ADD || op->verb == MODEL_REMOVE) {
        status = daybook_patch(transaction, made->entity, made->id, version, &record);
        return status != DAYBOOK_OK    ? status
               : op->verb == MODEL_ADD ? daybook_set_add(record, op->field, op->values)
                                       : daybook_set_remove(record, op->field, op->values);
    }
    model_fill(stage, scenario, false, op->values, letter, json);
    if (op->verb == MODEL_SET) {
        return daybook_patch_json(transaction, made->entity, made->id, version, json, NULL);
    }
    struct model_made *fresh = &scenario->made[scenario->made_count];
    fresh->entity = op->entity;
    (void)snprintf(fresh->name, sizeof fresh->name, "l%c%d",
                   'a' + MODEL_WHO(scenario->word->letters[letter]), letter + 1);
    return daybook_put_json(transaction, op->entity, NULL, DAYBOOK_NEW, json, fresh->id, NULL);
}

static int64_t pending(const struct rep *rep)
{
    int64_t count = 0;
    device_must(daybook_pending_count(rep->device.engine, &count), NULL);
    return count;
}

/* Ends the test where an operation fails that no device may refuse. */
static void check_refusal(const struct model_scenario *scenario, daybook_status status, int letter)
{
    if (status != DAYBOOK_NOT_FOUND && status != DAYBOOK_RULE) {
        fail_msg("%s: letter %d of scenario %d: %s", scenario->word->config->name, letter + 1,
                 scenario->word->id, daybook_status_name(status));
    }
}

/* Does a letter of the word; what the device refuses, or what changes nothing there, is left out.
 */
static void do_letter(struct model_stage *stage, struct model_scenario *scenario, int letter,
                      int32_t ms)
{
    int who = MODEL_WHO(scenario->word->letters[letter]);
    const struct model_op *op =
        &scenario->word->config->ops[who][MODEL_OP(scenario->word->letters[letter])];
    struct rep *rep = stage->reps[who];
    struct model_told *told = &stage->told[who];
    daybook_transaction *transaction = NULL;
    int64_t before = pending(rep);
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    daybook_status status = stage_op(stage, scenario, transaction, op, letter);
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, NULL);
    }
    daybook_end(&transaction);
    if (status == DAYBOOK_OK && pending(rep) > before) {
        scenario->ms[letter] = ms;
        scenario->seq[letter] = ++told->made;
        scenario->made_count += op->verb == MODEL_NEW ? 1 : 0;
        stage->ops++;
    } else {
        stage->refused++;
        if (status != DAYBOOK_OK) {
            check_refusal(scenario, status, letter);
        }
    }
}

/* ---- all of them ---- */

/* Makes the records that some scenarios begin with, all in one changeset. */
static void set_up(struct model_stage *stage, struct model_scenario *scenarios, size_t count)
{
    struct rep *rep = stage->reps[0];
    daybook_error error = DAYBOOK_ERROR_INIT;
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(rep->device.engine, &transaction), NULL);
    stage->told[0].made++;
    for (size_t i = 0; i < count; i++) {
        struct model_scenario *scenario = &scenarios[i];
        const struct model_record *records = scenario->word->config->records;
        scenario->setup_seq = stage->told[0].made;
        for (int j = 0; j < MODEL_SETUP && records[j].name != NULL; j++) {
            char json[MODEL_TEXT];
            struct model_made *made = &scenario->made[scenario->made_count++];
            made->entity = records[j].entity;
            (void)snprintf(made->name, sizeof made->name, "%s", records[j].name);
            model_fill(stage, scenario, false, records[j].values, -1, json);
            device_must(daybook_put_json(transaction, made->entity, NULL, DAYBOOK_NEW, json,
                                         made->id, &error),
                        &error);
        }
    }
    device_must(daybook_commit(transaction, &error), &error);
    daybook_end(&transaction);
}

/* Plays all up to their next sync; the time of the line behind it, which does not depend on what
 * else is played beside a scenario. */
static int32_t play_slots(struct model_stage *stage, struct model_scenario *scenarios, size_t count,
                          int sync, int32_t ms)
{
    int32_t behind = ms + MODEL_LETTERS * STEP_MS;
    for (bool again = true; again;) {
        again = false;
        sleep_ms(SLOT_APART_MS);
        for (size_t i = 0; i < count; i++) {
            struct model_scenario *scenario = &scenarios[i];
            if (scenario->at < model_word_sync(scenario->word, sync)) {
                do_letter(stage, scenario, scenario->at++, ms);
                again = true;
            }
        }
        ms += STEP_MS;
    }
    sleep_ms(SLOT_APART_MS);
    return behind;
}

void model_play(struct model_stage *stage, struct model_scenario *scenarios, size_t count)
{
    const struct model_word *word = scenarios[0].word;
    int32_t ms = SETUP_MS + 4 * STEP_MS;
    stage->since = server_int(&stage->company.server, "SELECT head FROM org");
    for (size_t i = 0; i < count; i += SETUP_TOGETHER) {
        size_t left = count - i;
        set_up(stage, &scenarios[i], left < SETUP_TOGETHER ? left : SETUP_TOGETHER);
    }
    for (int i = 0; i < 3; i++) {
        sync_one(stage, i % 2);
    }
    for (int sync = 0;; sync++) {
        ms = play_slots(stage, scenarios, count, sync, ms);
        int at = model_word_sync(word, sync);
        if (at == word->length) {
            break;
        }
        sync_one(stage, MODEL_WHO(word->letters[at]));
        for (size_t i = 0; i < count; i++) {
            scenarios[i].ms[scenarios[i].at++] = ms;
        }
        ms += STEP_MS;
    }
    for (int i = 0; i < 4; i++) {
        sync_one(stage, i % 2);
    }
    for (size_t i = 0; i < count; i++) {
        scenarios[i].end_ms = ms;
    }
}
