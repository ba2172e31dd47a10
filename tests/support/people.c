/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h.
 */
#include "tests/support/people_inside.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void people_add(struct json *json, const char *format, ...)
{
    va_list list;
    json->length += snprintf(json->text + json->length, (size_t)(PEOPLE_JSON_SIZE - json->length),
                             "%s", json->length == 0 ? "{" : ",");
    va_start(list, format);
    json->length += vsnprintf(json->text + json->length, (size_t)(PEOPLE_JSON_SIZE - json->length),
                              format, list);
    va_end(list);
    assert_in_range(json->length, 1, PEOPLE_JSON_SIZE - 3);
}

const char *people_finish(struct json *json)
{
    (void)snprintf(json->text + json->length, (size_t)(PEOPLE_JSON_SIZE - json->length), "%s",
                   json->length == 0 ? "{}" : "}");
    return json->text;
}

/* ---- looking */

/* A random record of this kind that the device shows; false where there is none. */
bool people_pick(struct act *act, const char *entity, char id[DAYBOOK_ID_SIZE])
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", entity);
    int count = (int)strtol(lab_device_text(act->device, sql), NULL, 10);
    id[0] = '\0';
    if (count > 0) {
        (void)snprintf(sql, sizeof sql, "SELECT id FROM %s ORDER BY id_key LIMIT 1 OFFSET %d",
                       entity, lab_random(act->lab, count));
        (void)snprintf(id, DAYBOOK_ID_SIZE, "%s", lab_device_text(act->device, sql));
    }
    return id[0] != '\0';
}

/* The key's value in a custom map; "" for none. No key's name is in a value. */
static const char *key_value(const char *custom, const char *key)
{
    char name[20];
    (void)snprintf(name, sizeof name, "\"%s\":\"", key);
    const char *at = custom == NULL ? NULL : strstr(custom, name);
    return at == NULL ? "" : at + strlen(name);
}

static int shown_number(struct act *act, daybook_record *record, const struct feature *feature)
{
    char name[100];
    const char *text = NULL;
    char number[40];
    int64_t value = 0;
    bool is_null = true;
    switch (feature->kind) {
    case FEATURE_TEXT: (void)act->use->get_text(record, feature->field, &text); break;
    case FEATURE_ADDRESS:
        (void)snprintf(name, sizeof name, "%sregion", feature->field);
        (void)act->use->get_text(record, name, &text);
        break;
    case FEATURE_KEY:
        (void)act->use->get_text(record, "custom", &text);
        text = key_value(text, feature->field);
        break;
    case FEATURE_AMOUNT:
    case FEATURE_QTY:
    case FEATURE_PRICE:
        people_check_status(act->device,
                            act->use->get_int(record, feature->field, &value, &is_null), "get_int");
        (void)snprintf(number, sizeof number, "%lld", (long long)value);
        text = is_null ? NULL : number;
        break;
    default: break;
    }
    return ledger_number(feature, text);
}

/* Reads a record into a form, whose own id may be the one given; false where there is none. */
bool people_look(struct act *act, int kind, const char *name, struct form *form)
{
    char id[DAYBOOK_ID_SIZE];
    const struct kind *what = &ledger_kinds[kind];
    (void)snprintf(id, sizeof id, "%s", name);
    daybook_record *record = NULL;
    const char *text = NULL;
    daybook_status status = act->use->read(act->transaction, what->name, id, &record);
    people_check_status(act->device, status, "read");
    if (status != DAYBOOK_OK) {
        return false;
    }
    struct store_state state;
    act->use->state(act->device->engine, &state);
    memset(form, 0, sizeof *form);
    form->epoch = state.epoch;
    form->kind = kind;
    (void)snprintf(form->id, sizeof form->id, "%s", id);
    form->version = act->use->record_version(record);
    form->customer = kind == 0 ? lab_find_customer(act->lab, id) : -1;
    if (what->parent != NULL && strcmp(what->parent, "customer") == 0) {
        (void)act->use->get_text(record, what->parent_field, &text);
        form->customer = lab_find_customer(act->lab, text);
    }
    for (int i = 0; i < LEDGER_FEATURES; i++) {
        form->shown[i] = shown_number(act, record, &what->features[i]);
        if (what->features[i].kind == FEATURE_STATE) {
            text = NULL;
            (void)act->use->get_text(record, what->features[i].field, &text);
            (void)snprintf(form->state, sizeof form->state, "%s", text == NULL ? "" : text);
        }
    }
    return true;
}

/* ---- values */

/* Stages an entry in the ledger and gives its number. */
int people_number(struct act *act, const struct form *form, int feature, bool blind)
{
    struct entry *entry = ledger_stage(&act->people->ledger, form->kind, form->id, feature,
                                       act->device == NULL ? -1 : act->device->number);
    entry->shown = form->shown[feature];
    entry->blind = blind;
    return entry->number;
}

static void add_reference(struct act *act, struct json *json, const struct feature *feature)
{
    char id[DAYBOOK_ID_SIZE];
    if (people_pick(act, feature->words, id)) {
        people_add(json, "\"%s\":\"%s\"", feature->field, id);
    }
}

/* A new document may be made in another state than its first; an old one is brought there by
 * people_step. */
static void add_choice(struct act *act, struct json *json, const struct form *form,
                       const struct feature *feature)
{
    char words[200];
    char *all[12];
    int count = 0;
    (void)snprintf(words, sizeof words, "%s", feature->words);
    for (char *at = words; at != NULL && count < 12; count++) {
        all[count] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    const char *word = all[lab_random(act->lab, count)];
    people_add(json, "\"%s\":\"%s\"", feature->field, word);
    if (feature->kind == FEATURE_STATE) {
        people_note_step(act, form, word, false);
    }
}

static void add_text(struct act *act, struct json *json, const struct feature *feature, int number,
                     int customer)
{
    static const char *const tails[] = {"", " \\\"q\\\"", "\\n龙井", "\\\\", "😀", "\\u0001"};
    const char *tail = tails[lab_random(act->lab, 6)];
    if (feature->bound == 1 && customer >= 0) {
        people_add(json, "\"%s\":\"t%d~c%d!%s\"", feature->field, number, customer, tail);
    } else {
        people_add(json, "\"%s\":\"t%d~%s\"", feature->field, number, tail);
    }
}

/* The value that is shown is taken away, and nothing comes in its place. */
static void take_away(struct act *act, struct json *json, const struct form *form, int index,
                      bool blind)
{
    const struct feature *feature = &ledger_kinds[form->kind].features[index];
    struct entry *entry = ledger_stage_number(&act->people->ledger, form->kind, form->id, index,
                                              act->device->number, 0);
    entry->shown = form->shown[index];
    entry->blind = blind;
    people_add(json, feature->kind == FEATURE_KEY ? "\"custom\":{\"%s\":null}" : "\"%s\":null",
               feature->field);
}

/* Features whose values have numbers. */
static void add_numbered(struct act *act, struct json *json, const struct form *form, int index,
                         bool blind)
{
    const struct feature *feature = &ledger_kinds[form->kind].features[index];
    bool empties = (feature->kind == FEATURE_KEY || feature->kind == FEATURE_TEXT) && index > 0 &&
                   form->shown[index] != 0 && lab_chance(act->lab, 10);
    if (empties) {
        take_away(act, json, form, index, blind);
        return;
    }
    int n = people_number(act, form, index, blind);
    static const char *const currencies[] = {"CNY", "USD", "JPY"};
    const char *f = feature->field;
    switch (feature->kind) {
    case FEATURE_TEXT: add_text(act, json, feature, n, form->customer); break;
    case FEATURE_KEY: people_add(json, "\"custom\":{\"%s\":\"t%d~\"}", f, n); break;
    case FEATURE_AMOUNT:
        people_add(json, "\"amount\":%lld,\"cur\":\"%s\"", 9900000000LL + n,
                   currencies[(9900000000LL + n) % 3]);
        break;
    case FEATURE_QTY: people_add(json, "\"qty\":%lld,\"uom\":\"u%d\"", 8800000000LL + n, n); break;
    case FEATURE_PRICE:
        people_add(json, "\"price_e4\":%d,\"disc_bp\":%d,\"list_ver\":%d,\"promo_id\":\"p%d\"",
                   77000000 + n, n % 10001, n, n);
        break;
    default:
        people_add(json,
                   "\"%sregion\":\"a%d~\",\"%scity\":\"a%d~\",\"%sstreet\":\"a%d~\","
                   "\"%spostcode\":\"a%d~\"",
                   f, n, f, n, f, n, f, n);
        break;
    }
}

static void add_plain(struct act *act, struct json *json, const struct form *form,
                      const struct feature *feature)
{
    struct lab *lab = act->lab;
    const char *f = feature->field;
    int n = lab_random(lab, 9000);
    bool empty = lab_chance(lab, 25);
    switch (feature->kind) {
    case FEATURE_INT:
        people_add(json, empty ? "\"%s\":null" : "\"%s\":%d", f,
                   lab_random(lab, feature->bound + 1));
        break;
    case FEATURE_DAY:
        people_add(json, empty ? "\"%s\":null" : "\"%s\":%d", f, 20260101 + lab_random(lab, 28));
        break;
    case FEATURE_WORD: people_add(json, empty ? "\"%s\":null" : "\"%s\":\"w%d\"", f, n); break;
    case FEATURE_CHOICE:
    case FEATURE_STATE: add_choice(act, json, form, feature); break;
    case FEATURE_PLACE: people_add(json, "\"lat_e7\":%d,\"lon_e7\":%d", n, n + 1); break;
    case FEATURE_SIGN: {
        int day = 20260101 + lab_random(lab, 28);
        people_add(json, "\"expected_sign\":%d,\"win_override_bp\":%d", day, day % 9000);
        break;
    }
    case FEATURE_CHECKIN:
        people_add(json, "\"checkin_ts\":%lld,\"checkin_tz_min\":%d", 1795000000000LL + n % 900,
                   n % 900);
        break;
    case FEATURE_REF: add_reference(act, json, feature); break;
    default: break;
    }
}

/* Features that a new record must have. */
static unsigned required_features(const struct act *act, int kind)
{
    const struct kind *what = &ledger_kinds[kind];
    const char *name = what->name;
    bool line = strcmp(name, "quote_line") == 0 || strcmp(name, "order_line") == 0;
    bool chance = strcmp(name, "opportunity") == 0;
    bool named = kind == 0 || strcmp(name, "contact") == 0 || chance;
    unsigned source = chance && act->use->schema > 1 ? 1U << ledger_feature(what, "source") : 0;
    return line ? 6 : strcmp(name, "survey") == 0 ? 3 : named ? 1 | source : 0;
}

/* One to three features of a record, none twice; a new one has those that it must have. */
static void add_features(struct act *act, struct json *json, const struct form *form, bool is_new,
                         bool blind)
{
    unsigned wanted = is_new ? required_features(act, form->kind) : 0;
    const struct kind *kind = &ledger_kinds[form->kind];
    int count = 0;
    bool custom = false;
    while (count < LEDGER_FEATURES && kind->features[count].kind != FEATURE_NONE) {
        count++;
    }
    for (int i = 1 + lab_random(act->lab, 3); i > 0; i--) {
        wanted |= 1U << lab_random(act->lab, count);
    }
    for (int i = 0; i < count; i++) {
        enum feature_kind what = kind->features[i].kind;
        bool given = is_new && kind->parent_field != NULL &&
                     strcmp(kind->features[i].field, kind->parent_field) == 0;
        bool twice = custom && what == FEATURE_KEY;
        bool other = what == FEATURE_SET || (what == FEATURE_STATE && !is_new);
        bool later = kind->features[i].since > act->use->schema;
        if ((wanted >> i & 1) == 0 || other || given || twice || later) {
            continue;
        }
        custom = custom || what == FEATURE_KEY;
        if (what < FEATURE_INT) {
            add_numbered(act, json, form, i, blind);
        } else {
            add_plain(act, json, form, &kind->features[i]);
        }
    }
}

/* ---- acts */

static bool make(struct act *act, int kind, const char *parent, char id[DAYBOOK_ID_SIZE]);

/* The new record's own fields beside its features. */
static void add_parent(struct act *act, struct json *json, int kind, const char *parent)
{
    const struct kind *what = &ledger_kinds[kind];
    if (what->parent != NULL) {
        people_add(json, "\"%s\":\"%s\"", what->parent_field, parent);
    }
    if (strcmp(what->name, "quote_line") == 0 || strcmp(what->name, "order_line") == 0) {
        people_add(json, "\"product_id\":\"%s\"",
                   lab_chance(act->lab, 50) ? PEOPLE_TEA : PEOPLE_RICE);
    }
    if (strcmp(what->name, "quote") == 0 || strcmp(what->name, "sales_order") == 0) {
        people_add(json, "\"cur\":\"%s\"", lab_chance(act->lab, 50) ? "CNY" : "JPY");
    }
    bool numbered = strcmp(what->name, "visit") == 0 || strcmp(what->name, "sales_order") == 0;
    if (numbered && lab_chance(act->lab, 3)) {
        people_add(json, "\"doc_no\":\"H-%d\"", lab_random(act->lab, 20)); /* by hand */
    }
    if (strcmp(what->name, "visit_action") == 0) {
        people_add(json, "\"kind\":\"stock\"");
    }
}

/* Lines for a new document. */
static bool make_lines(struct act *act, int kind, const char *id)
{
    char line[DAYBOOK_ID_SIZE];
    bool fine = true;
    for (int child = 0; child < LEDGER_KINDS; child++) {
        const char *parent = ledger_kinds[child].parent;
        bool is_line = child >= 4 && parent != NULL && strcmp(parent, "customer") != 0;
        if (!is_line || strcmp(parent, ledger_kinds[kind].name) != 0) {
            continue;
        }
        for (int i = lab_random(act->lab, 4); i > 0 && fine; i--) {
            fine = make(act, child, id, line);
        }
    }
    return fine;
}

/* Makes a record; its id is known beforehand, so that a customer's number can be in its name. */
static bool make(struct act *act, int kind, const char *parent, char id[DAYBOOK_ID_SIZE])
{
    struct lab *lab = act->lab;
    const struct kind *what = &ledger_kinds[kind];
    struct form form = {.kind = kind, .customer = lab_find_customer(lab, parent)};
    struct json json = {.length = 0};
    daybook_record *record = NULL;
    daybook_status status = act->use->put(act->transaction, what->name, NULL, DAYBOOK_NEW, &record);
    people_check_status(act->device, status, "put");
    if (status != DAYBOOK_OK) {
        return false;
    }
    (void)snprintf(form.id, sizeof form.id, "%s", act->use->record_id(record));
    (void)snprintf(id, DAYBOOK_ID_SIZE, "%s", form.id);
    if (kind == 0 && lab->customer_count < LAB_CUSTOMERS) {
        form.customer = lab->customer_count++;
        lab->customers[form.customer] =
            (struct lab_customer){.territory = -1, .into = -1, .kin = form.customer};
        (void)snprintf(lab->customers[form.customer].id, DAYBOOK_ID_SIZE, "%s", form.id);
    }
    add_parent(act, &json, kind, parent);
    add_features(act, &json, &form, true, false);
    lab_trace(lab, "  %d makes %s %s %s", act->device->number, what->name, form.id, json.text);
    status = act->use->patch_json(act->transaction, what->name, form.id, DAYBOOK_NEW,
                                  people_finish(&json), &act->device->error);
    people_check_status(act->device, status, "patch_json");
    return status == DAYBOOK_OK && make_lines(act, kind, form.id);
}

static bool act_make(struct act *act)
{
    int kind = lab_random(act->lab, LEDGER_KINDS);
    char parent[DAYBOOK_ID_SIZE] = "", id[DAYBOOK_ID_SIZE];
    const char *above = ledger_kinds[kind].parent;
    if (ledger_kinds[kind].since > act->use->schema ||
        (above != NULL && !people_pick(act, above, parent))) {
        kind = 0;
    }
    return make(act, kind, kind == 0 ? NULL : parent, id);
}

/* Opens a form, or takes one that has been open for long. */
bool people_open_form(struct act *act, struct form *form)
{
    struct people *people = act->people;
    char id[DAYBOOK_ID_SIZE];
    struct form *kept = &people->forms[act->device->number][lab_random(act->lab, PEOPLE_FORMS)];
    int kind = lab_random(act->lab, LEDGER_KINDS);
    if (kept->kind >= 0 && lab_chance(act->lab, 50)) {
        struct store_state state;
        act->use->state(act->device->engine, &state);
        *form = *kept;
        kept->kind = -1;
        return form->epoch == state.epoch; /* a version of another epoch is another's number */
    }
    if (ledger_kinds[kind].since > act->use->schema ||
        !people_pick(act, ledger_kinds[kind].name, id) || !people_look(act, kind, id, form)) {
        return false;
    }
    if (kept->kind < 0 && lab_chance(act->lab, 40)) {
        *kept = *form;
    }
    return true;
}

static bool act_patch(struct act *act)
{
    struct form form, now;
    struct json json = {.length = 0};
    bool blind = lab_chance(act->lab, 8);
    if (!people_open_form(act, &form)) {
        return true;
    }
    if (blind && !people_look(act, form.kind, form.id, &form)) {
        return true;
    }
    int64_t version = blind ? DAYBOOK_ANY_VERSION : form.version;
    const char *name = ledger_kinds[form.kind].name;
    add_features(act, &json, &form, false, blind);
    if (json.length == 0) {
        return people_change_sets(act, &form, version);
    }
    lab_trace(act->lab, "  %d patches %s %s at %lld%s %s%s", act->device->number, name, form.id,
              (long long)version, !people_look(act, form.kind, form.id, &now) ? " (gone)" : "",
              json.text, "}");
    daybook_status status = act->use->patch_json(act->transaction, name, form.id, version,
                                                 people_finish(&json), &act->device->error);
    people_check_status(act->device, status, "patch_json");
    return status == DAYBOOK_OK && people_change_sets(act, &form, version);
}

/* Notes what the author of a delete saw, lines included. */
void people_see_removed(struct act *act, const struct form *form, bool blind)
{
    const struct kind *what = &ledger_kinds[form->kind];
    struct removal *removal =
        ledger_stage_removal(&act->people->ledger, form->kind, form->id, act->device->number);
    memcpy(removal->shown, form->shown, sizeof removal->shown);
    removal->schema = act->use->schema;
    removal->blind = blind;
    for (int child = 0; child < LEDGER_KINDS; child++) {
        const struct kind *line = &ledger_kinds[child];
        if (line->parent == NULL || strcmp(line->parent, what->name) != 0 ||
            strcmp(what->name, "customer") == 0) {
            continue;
        }
        for (int i = 0;; i++) {
            char sql[300], id[DAYBOOK_ID_SIZE];
            struct form seen;
            (void)snprintf(sql, sizeof sql, "SELECT id FROM %s WHERE %s = '%s' LIMIT 1 OFFSET %d",
                           line->name, line->parent_field, form->id, i);
            (void)snprintf(id, sizeof id, "%s", lab_device_text(act->device, sql));
            if (id[0] == '\0') {
                break;
            }
            struct removal *also =
                ledger_stage_removal(&act->people->ledger, child, id, act->device->number);
            also->schema = act->use->schema;
            also->blind = true; /* lines go as the store has them, seen or not */
            if (people_look(act, child, id, &seen)) { /* not while the disk fails */
                memcpy(also->shown, seen.shown, sizeof also->shown);
            }
        }
    }
}

static bool act_delete(struct act *act)
{
    struct form form;
    bool blind = lab_chance(act->lab, 8);
    if (!people_open_form(act, &form) || (form.kind == 0 && !lab_chance(act->lab, 25))) {
        return true;
    }
    if (blind && !people_look(act, form.kind, form.id, &form)) {
        return true;
    }
    int64_t version = blind ? DAYBOOK_ANY_VERSION : form.version;
    people_see_removed(act, &form, blind);
    lab_trace(act->lab, "  %d deletes %s %s at %lld", act->device->number,
              ledger_kinds[form.kind].name, form.id, (long long)version);
    daybook_status status =
        act->use->delete (act->transaction, ledger_kinds[form.kind].name, form.id, version);
    people_check_status(act->device, status, "delete");
    return status == DAYBOOK_OK;
}

/* ---- transactions */

/* What was written and deleted again in this transaction was never there. */
static void forget_deleted(struct act *act)
{
    struct ledger *ledger = &act->people->ledger;
    for (int i = 0; i < ledger->staged_count; i++) {
        struct entry *entry = &ledger->staged[i];
        daybook_record *record = NULL;
        const char *name = ledger_kinds[entry->kind].name;
        entry->lost =
            entry->lost || act->use->read(act->transaction, name, entry->id, &record) != DAYBOOK_OK;
    }
    for (int i = 0; i < ledger->staged_step_count; i++) {
        struct step *step = &ledger->staged_steps[i];
        daybook_record *record = NULL;
        const char *name = ledger_kinds[step->kind].name;
        step->lost =
            step->lost || act->use->read(act->transaction, name, step->id, &record) != DAYBOOK_OK;
    }
}

/* False where the transaction is refused. */
static bool end_act(struct act *act, bool fine)
{
    struct people *people = act->people;
    struct mark mark = {""};
    daybook_status status = DAYBOOK_RULE;
    if (fine) {
        forget_deleted(act);
        people_mark(act->device, &mark);
        status = act->use->commit(act->transaction, &act->device->error);
        people_check_status(act->device, status, "commit");
    }
    if (status == DAYBOOK_OK) {
        ledger_commit(&people->ledger);
        people_note_commit(people, act->device);
        people->committed++;
    } else {
        lab_trace(act->lab, "  refused: %s %s %s %s", daybook_status_name(status),
                  act->device->error.entity, act->device->error.field, act->device->error.rule);
        ledger_drop(&people->ledger);
        people->refused++;
    }
    act->use->end(&act->transaction);
    if (fine && status != DAYBOOK_OK) {
        people_check_mark(act->device, &mark, status);
    }
    return status == DAYBOOK_OK;
}

void people_act(struct people *people, struct lab_device *device)
{
    struct lab *lab = people->lab;
    struct act act = people_acts(people, device);
    bool fine = true;
    struct form forms[PEOPLE_FORMS];
    memcpy(forms, people->forms[device->number], sizeof forms);
    daybook_status status = device->release->begin(device->engine, &act.transaction);
    people_check_status(device, status, "begin");
    if (status != DAYBOOK_OK) {
        return;
    }
    for (int i = lab_chance(lab, 60) ? 1 : 1 + lab_random(lab, 3); i > 0 && fine; i--) {
        int what = lab_random(lab, 100);
        fine = what < 35   ? act_make(&act)
               : what < 70 ? act_patch(&act)
               : what < 85 ? people_step(&act)
               : what < 90 ? people_decide(&act)
                           : act_delete(&act);
    }
    if (!end_act(&act, fine)) { /* what was looked at in it may have shown what never was */
        memcpy(people->forms[device->number], forms, sizeof forms);
    }
}

/* ---- life */

void people_open(struct people *people, struct lab *lab)
{
    memset(people, 0, sizeof *people);
    people->lab = lab;
    ledger_open(&people->ledger, lab);
    people->commits = calloc(PEOPLE_COMMITS_MAX, sizeof *people->commits);
    assert_non_null(people->commits);
    memset(people->forms, -1, sizeof people->forms);
}

void people_close(struct people *people)
{
    ledger_close(&people->ledger);
    free(people->commits);
}

void people_forget(struct people *people, const struct lab_device *device)
{
    memset(people->forms[device->number], -1, sizeof people->forms[0]);
}
