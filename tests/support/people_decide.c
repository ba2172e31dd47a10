/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h: what people do to more than a value: elements of sets, steps of documents from
 * state to state, answers to proposals, holds that they clear.
 */
#include "tests/support/people_inside.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CANDIDATES_MAX 40

static const char *role_of(const struct act *act)
{
    return act->lab->users[act->device->user].role;
}

/* ---- sets */

/* A random element of a JSON array of strings, with its number; false: it is empty. */
static bool pick_element(struct lab *lab, const char *array, char out[20])
{
    int count = 0;
    for (const char *at = array; at != NULL && (at = strchr(at, '~')) != NULL; at++) {
        count++;
    }
    const char *at = array;
    for (int i = count == 0 ? -1 : lab_random(lab, count); i >= 0; i--) {
        at = strchr(at, '"') + 1;
        (void)snprintf(out, 20, "%.*s", (int)strcspn(at, "\""), at);
        at = strchr(at, '"') + 1;
    }
    return count > 0;
}

/* One element more, or one of those that are shown less. */
static daybook_status change_set(struct act *act, const struct form *form, daybook_record *record,
                                 int index)
{
    const struct feature *feature = &ledger_kinds[form->kind].features[index];
    const char *array = NULL;
    char element[20];
    (void)act->use->get_text(record, feature->field, &array);
    bool grows = feature->bound == 1;
    bool takes = !grows && lab_chance(act->lab, 40) && pick_element(act->lab, array, element);
    if (!takes) {
        (void)snprintf(element, sizeof element, "e%d~", people_number(act, form, index, false));
    }
    lab_trace(act->lab, "  %d changes %s %s: %s %s %s", act->device->number,
              ledger_kinds[form->kind].name, form->id, feature->field, takes ? "without" : "with",
              element);
    daybook_status status = takes ? act->use->set_remove(record, feature->field, element)
                                  : act->use->set_add(record, feature->field, element);
    people_check_status(act->device, status, "set_add");
    if (takes && status == DAYBOOK_OK) {
        ledger_stage_taking(&act->people->ledger, ledger_number(feature, element));
    }
    return status;
}

bool people_change_sets(struct act *act, const struct form *form, int64_t version)
{
    const struct kind *kind = &ledger_kinds[form->kind];
    daybook_status status = DAYBOOK_OK;
    for (int i = 0; i < LEDGER_FEATURES && status == DAYBOOK_OK; i++) {
        daybook_record *record = NULL;
        if (kind->features[i].kind != FEATURE_SET || kind->features[i].since > act->use->schema ||
            !lab_chance(act->lab, 30)) {
            continue;
        }
        status = act->use->patch(act->transaction, kind->name, form->id, version, &record);
        people_check_status(act->device, status, "patch");
        if (status == DAYBOOK_OK) {
            status = change_set(act, form, record, i);
        }
    }
    return status == DAYBOOK_OK;
}

/* ---- steps */

void people_note_step(struct act *act, const struct form *form, const char *to, bool blind)
{
    struct step step = {.kind = form->kind, .device = act->device->number, .blind = blind};
    (void)snprintf(step.id, sizeof step.id, "%s", form->id);
    (void)snprintf(step.from, sizeof step.from, "%s", form->state);
    (void)snprintf(step.to, sizeof step.to, "%s", to);
    ledger_stage_step(&act->people->ledger, &step);
}

/* A step out of the state that the form shows; mostly one that the device's user may take. */
static const char *choose_step(struct act *act, const struct form *form)
{
    const char *found[CANDIDATES_MAX];
    const char *role = lab_chance(act->lab, 15) ? NULL : role_of(act);
    int count =
        act->use->steps(ledger_kinds[form->kind].name, form->state, role, found, CANDIDATES_MAX);
    return count == 0 ? NULL : found[lab_random(act->lab, count)];
}

/* What a step needs besides. */
static void add_needs(struct act *act, struct json *json, const struct form *form, const char *to)
{
    int n = lab_random(act->lab, 900);
    const struct kind *kind = &ledger_kinds[form->kind];
    if (strcmp(to, "lost") == 0) {
        int reason = ledger_feature(kind, "lost_reason");
        people_add(json, "\"lost_reason\":\"t%d~\"", people_number(act, form, reason, false));
    }
    if (strcmp(to, "in_progress") == 0 && lab_chance(act->lab, 80)) {
        people_add(json, "\"checkin_ts\":%lld,\"checkin_tz_min\":%d", 1795000000000LL + n, n);
    }
}

bool people_step(struct act *act)
{
    struct form form;
    struct json json = {.length = 0};
    if (!people_open_form(act, &form)) {
        return true;
    }
    const struct feature *state = ledger_state(form.kind);
    if (state == NULL || state->since > act->use->schema) {
        return true;
    }
    const char *to = choose_step(act, &form);
    if (to == NULL) {
        return true;
    }
    const char *name = ledger_kinds[form.kind].name;
    people_add(&json, "\"%s\":\"%s\"", state->field, to);
    add_needs(act, &json, &form, to);
    people_note_step(act, &form, to, false);
    lab_trace(act->lab, "  %d brings %s %s at %lld from %s to %s", act->device->number, name,
              form.id, (long long)form.version, form.state, to);
    daybook_status status = act->use->patch_json(act->transaction, name, form.id, form.version,
                                                 people_finish(&json), &act->device->error);
    people_check_status(act->device, status, "patch_json");
    return status == DAYBOOK_OK;
}

/* ---- proposals */

/* Notes that an accepted value comes to stand in the place of what its acceptor sees there. False:
 * it is of a field that is not seen. */
static bool note_accepted(struct act *act, daybook_record *proposal)
{
    const char *entity = NULL, *id = NULL, *field = NULL, *value = NULL;
    struct form target;
    (void)act->use->get_text(proposal, "entity_name", &entity);
    (void)act->use->get_text(proposal, "record_id", &id);
    (void)act->use->get_text(proposal, "field_name", &field);
    (void)act->use->get_text(proposal, "proposed_value", &value);
    const struct kind *kind = ledger_kind(entity);
    int feature = ledger_feature(kind, field);
    if (feature < 0 || kind->features[feature].since > act->use->schema ||
        !people_look(act, (int)(kind - ledger_kinds), id, &target)) {
        return feature < 0 || kind->features[feature].since <= act->use->schema;
    }
    int number =
        value == NULL ? 0 : ledger_number(&kind->features[feature], value + (value[0] == '"'));
    struct entry *entry = ledger_stage_number(&act->people->ledger, target.kind, target.id, feature,
                                              act->device->number, number);
    entry->shown = target.shown[feature];
    return true;
}

bool people_decide(struct act *act)
{
    char id[DAYBOOK_ID_SIZE];
    daybook_record *proposal = NULL;
    struct json json = {.length = 0};
    struct form form;
    if (!people_pick(act, "proposal", id) || !people_look(act, LEDGER_PROPOSAL, id, &form)) {
        return true;
    }
    daybook_status status = act->use->read(act->transaction, "proposal", id, &proposal);
    people_check_status(act->device, status, "read");
    bool decides = strcmp(role_of(act), "rep") != 0;
    const char *to = !decides ? "withdrawn" : lab_chance(act->lab, 60) ? "accepted" : "declined";
    if (strcmp(to, "accepted") == 0 && !note_accepted(act, proposal)) {
        return true;
    }
    people_add(&json, "\"status\":\"%s\",\"note\":\"t%d~\"", to,
               people_number(act, &form, 0, false));
    lab_trace(act->lab, "  %d answers proposal %s: %s", act->device->number, id, to);
    status = act->use->patch_json(act->transaction, "proposal", id, form.version,
                                  people_finish(&json), &act->device->error);
    people_check_status(act->device, status, "patch_json");
    return status == DAYBOOK_OK;
}

/* ---- holds */

void people_clear_hold(struct people *people, struct lab_device *device)
{
    struct lab *lab = people->lab;
    struct act act = people_acts(people, device);
    char id[DAYBOOK_ID_SIZE], note[20];
    struct form form;
    people_check_status(device, device->release->begin(device->engine, &act.transaction), "begin");
    bool found = people_pick(&act, "hold", id) && people_look(&act, LEDGER_HOLD, id, &form);
    device->release->end(&act.transaction);
    if (!found) {
        return;
    }
    (void)snprintf(note, sizeof note, "t%d~", people_number(&act, &form, 0, false));
    daybook_status status = device->release->clear_hold(device->engine, id, note, &device->error);
    people_check_status(device, status, "clear_hold");
    lab_trace(lab, "  %d clears hold %s: %s", device->number, id, daybook_status_name(status));
    if (status == DAYBOOK_OK) {
        ledger_commit(&people->ledger);
        people_note_commit(people, device);
        lab->counts[LAB_CLEARED]++;
    } else {
        ledger_drop(&people->ledger);
    }
}
