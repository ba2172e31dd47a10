/* SPDX-License-Identifier: Apache-2.0
 *
 * See ledger.h.
 */
#include "tests/support/ledger.h"

#include "engine/base/id.h"

#include <sqlite3.h>

#include <ctype.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AMOUNT_BASE INT64_C(9900000000)
#define QTY_BASE INT64_C(8800000000)
#define PRICE_BASE INT64_C(77000000)

/* In which a new one may be made. */
static const char opportunity_states[] = "tracking suspended invalid won";
static const char visit_states[] = "planned cancelled in_progress completed";
static const char quote_states[] = "draft sent declined accepted";
static const char order_states[] = "draft submitted cancelled";

const struct kind ledger_kinds[] = {
    {"customer",
     NULL,
     NULL,
     1,
     {{FEATURE_TEXT, "name", NULL, 1, 1},
      {FEATURE_TEXT, "prefs", NULL, 1, 1},
      {FEATURE_TEXT, "tax_no", NULL, 0, 1},
      {FEATURE_ADDRESS, "address_", NULL, 0, 1},
      {FEATURE_KEY, "k1", NULL, 0, 1},
      {FEATURE_KEY, "k2", NULL, 0, 1},
      {FEATURE_INT, "potential_bp", NULL, 10000, 1},
      {FEATURE_WORD, "channel", NULL, 0, 1},
      {FEATURE_PLACE, "lat_e7", NULL, 0, 1},
      {FEATURE_CHOICE, "status", "prospect active archived", 0, 1},
      {FEATURE_SET, "tags", NULL, 0, 1},
      {FEATURE_TEXT, "website", NULL, 1, 2},
      {FEATURE_TEXT, "credit_class", NULL, 0, 2},
      {FEATURE_SET, "segments", NULL, 0, 2}}},
    {"contact",
     "customer",
     "customer_id",
     1,
     {{FEATURE_TEXT, "name", NULL, 0, 1},
      {FEATURE_TEXT, "title", NULL, 0, 1},
      {FEATURE_TEXT, "email", NULL, 0, 1},
      {FEATURE_KEY, "k1", NULL, 0, 1},
      {FEATURE_DAY, "birthday", NULL, 0, 1},
      {FEATURE_STATE, "stage", "met trusted gone", 0, 2},
      {FEATURE_REF, "customer_id", "customer", 0, 1}}},
    {"opportunity",
     "customer",
     "customer_id",
     1,
     {{FEATURE_TEXT, "subject", NULL, 0, 1},
      {FEATURE_TEXT, "lost_reason", NULL, 0, 1},
      {FEATURE_AMOUNT, "amount", NULL, 0, 1},
      {FEATURE_INT, "priority", NULL, 9, 1},
      {FEATURE_SIGN, "expected_sign", NULL, 0, 1},
      {FEATURE_STATE, "status", opportunity_states, 0, 1},
      {FEATURE_SET, "competitors", NULL, 0, 1},
      {FEATURE_REF, "customer_id", "customer", 0, 1},
      {FEATURE_TEXT, "source", NULL, 0, 2}}},
    {"visit",
     "customer",
     "customer_id",
     1,
     {{FEATURE_TEXT, "feedback", NULL, 1, 1},
      {FEATURE_TEXT, "verified", NULL, 0, 1},
      {FEATURE_KEY, "k1", NULL, 0, 1},
      {FEATURE_DAY, "plan_day", NULL, 0, 1},
      {FEATURE_STATE, "status", visit_states, 0, 1},
      {FEATURE_CHECKIN, "checkin_ts", NULL, 0, 1},
      {FEATURE_SET, "outcome", NULL, 0, 1}}},
    {"visit_action", "visit", "visit_id", 1, {{FEATURE_TEXT, "note", NULL, 0, 1}}},
    {"quote",
     "customer",
     "customer_id",
     1,
     {{FEATURE_TEXT, "note", NULL, 1, 1},
      {FEATURE_WORD, "sent_hash", NULL, 0, 1},
      {FEATURE_INT, "header_disc_bp", NULL, 3000, 1},
      {FEATURE_DAY, "valid_to", NULL, 0, 1},
      {FEATURE_STATE, "status", quote_states, 0, 1},
      {FEATURE_REF, "opportunity_id", "opportunity", 0, 1}}},
    {"quote_line",
     "quote",
     "quote_id",
     1,
     {{FEATURE_TEXT, "sort_key", NULL, 0, 1},
      {FEATURE_QTY, "qty", NULL, 0, 1},
      {FEATURE_PRICE, "price_e4", NULL, 0, 1}}},
    {"sales_order",
     "customer",
     "customer_id",
     1,
     {{FEATURE_TEXT, "note", NULL, 1, 1},
      {FEATURE_TEXT, "terms", NULL, 0, 1},
      {FEATURE_ADDRESS, "ship_to_", NULL, 0, 1},
      {FEATURE_DAY, "deliver_by", NULL, 0, 1},
      {FEATURE_STATE, "status", order_states, 0, 1},
      {FEATURE_SET, "cancel_req", NULL, 1, 1}}},
    {"order_line",
     "sales_order",
     "order_id",
     1,
     {{FEATURE_TEXT, "sort_key", NULL, 0, 1},
      {FEATURE_QTY, "qty", NULL, 0, 1},
      {FEATURE_PRICE, "price_e4", NULL, 0, 1}}},
    {"survey",
     "customer",
     "customer_id",
     2,
     {{FEATURE_TEXT, "remark", NULL, 1, 2}, {FEATURE_INT, "score", NULL, 5, 2}}},
    {"proposal", NULL, NULL, 1, {{FEATURE_TEXT, "note", NULL, 0, 1}}},
    {"hold", NULL, NULL, 1, {{FEATURE_TEXT, "note", NULL, 0, 1}}},
    {NULL, NULL, NULL, 0, {{FEATURE_NONE, NULL, NULL, 0, 0}}},
};

const struct kind *ledger_kind(const char *name)
{
    const struct kind *kind = ledger_kinds;
    while (kind->name != NULL && strcmp(kind->name, name) != 0) {
        kind++;
    }
    assert_non_null(kind->name);
    return kind;
}

const struct feature *ledger_state(int kind)
{
    for (int i = 0; i < LEDGER_FEATURES; i++) {
        const struct feature *feature = &ledger_kinds[kind].features[i];
        if (feature->kind == FEATURE_STATE) {
            return feature;
        }
    }
    return NULL;
}

/* Whether a field is of this feature's. */
static bool has_field(const struct feature *feature, const char *field)
{
    static const char *const of_price[] = {"disc_bp", "list_ver", "promo_id"};
    bool same = strcmp(field, feature->field) == 0;
    switch (feature->kind) {
    case FEATURE_ADDRESS: return strncmp(field, feature->field, strlen(feature->field)) == 0;
    case FEATURE_QTY: return same || strcmp(field, "uom") == 0;
    case FEATURE_AMOUNT: return same || strcmp(field, "cur") == 0;
    case FEATURE_PRICE:
        return same || strcmp(field, of_price[0]) == 0 || strcmp(field, of_price[1]) == 0 ||
               strcmp(field, of_price[2]) == 0;
    default: return same;
    }
}

int ledger_feature(const struct kind *kind, const char *field)
{
    static const char custom[] = "custom.";
    bool is_key = strncmp(field, custom, sizeof custom - 1) == 0;
    const char *name = is_key ? field + sizeof custom - 1 : field;
    for (int i = 0; i < LEDGER_FEATURES; i++) {
        const struct feature *feature = &kind->features[i];
        if (feature->kind != FEATURE_NONE && (feature->kind == FEATURE_KEY) == is_key &&
            has_field(feature, name)) {
            return i;
        }
    }
    return -1;
}

/* ---- numbers in values */

int ledger_number(const struct feature *feature, const char *text)
{
    int64_t number = 0;
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    switch (feature->kind) {
    case FEATURE_TEXT:
    case FEATURE_KEY: number = text[0] == 't' ? strtoll(text + 1, NULL, 10) : 0; break;
    case FEATURE_SET: number = text[0] == 'e' ? strtoll(text + 1, NULL, 10) : 0; break;
    case FEATURE_ADDRESS: number = text[0] == 'a' ? strtoll(text + 1, NULL, 10) : 0; break;
    case FEATURE_AMOUNT: number = strtoll(text, NULL, 10) - AMOUNT_BASE; break;
    case FEATURE_QTY: number = strtoll(text, NULL, 10) - QTY_BASE; break;
    case FEATURE_PRICE: number = strtoll(text, NULL, 10) - PRICE_BASE; break;
    default: break;
    }
    return number > 0 && number < LEDGER_ENTRIES ? (int)number : 0;
}

/* How the number stands in texts such as an inbox item's. */
static void number_text(const struct feature *feature, int number, char out[40])
{
    switch (feature->kind) {
    case FEATURE_AMOUNT: (void)snprintf(out, 40, "%lld", (long long)(AMOUNT_BASE + number)); break;
    case FEATURE_QTY: (void)snprintf(out, 40, "%lld", (long long)(QTY_BASE + number)); break;
    case FEATURE_PRICE: (void)snprintf(out, 40, "%lld", (long long)(PRICE_BASE + number)); break;
    case FEATURE_ADDRESS: (void)snprintf(out, 40, "a%d~", number); break;
    case FEATURE_SET: (void)snprintf(out, 40, "e%d~", number); break;
    default: (void)snprintf(out, 40, "t%d~", number); break;
    }
}

bool ledger_has_number(const struct entry *entry, const char *text)
{
    char form[40];
    number_text(&ledger_kinds[entry->kind].features[entry->feature], entry->number, form);
    size_t length = strlen(form);
    for (const char *at = text; entry->number != 0 && (at = strstr(at, form)) != NULL; at++) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        if (at - text > 1 && at[-1] == '"' && at[-2] == '\\') {
            continue; /* of a sent_copy: how the quote looked */
        }
        if (begins && !isdigit((unsigned char)at[length])) {
            return true;
        }
    }
    return false;
}

/* ---- writing the book */

bool ledger_same_place(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && a->feature == b->feature && strcmp(a->id, b->id) == 0;
}

void ledger_open(struct ledger *ledger, struct lab *lab)
{
    memset(ledger, 0, sizeof *ledger);
    ledger->lab = lab;
    ledger->entries = calloc(LEDGER_ENTRIES, sizeof *ledger->entries);
    ledger->removals = calloc(LEDGER_ENTRIES, sizeof *ledger->removals);
    assert_non_null(ledger->entries);
    ledger->steps = calloc(LEDGER_ENTRIES, sizeof *ledger->steps);
    assert_non_null(ledger->removals);
    assert_non_null(ledger->steps);
}

void ledger_clone(struct ledger *ledger, int from, int to)
{
    ledger->origins[to] = 1 + from;
    ledger->cloned_at[to] = ledger->order;
}

bool ledger_is_own(const struct ledger *ledger, int later_device, int device, int64_t order)
{
    while (later_device >= 0 && later_device != device) {
        if (order > ledger->cloned_at[later_device]) {
            return false;
        }
        later_device = ledger->origins[later_device] - 1;
    }
    return later_device == device;
}

void ledger_close(struct ledger *ledger)
{
    free(ledger->entries);
    free(ledger->removals);
    free(ledger->steps);
    free(ledger->log.text);
}

struct entry *ledger_stage_number(struct ledger *ledger, int kind, const char *id, int feature,
                                  int device, int number)
{
    assert_in_range(ledger->staged_count, 0, LEDGER_STAGED - 1);
    struct entry *entry = &ledger->staged[ledger->staged_count++];
    bool one_of_many = ledger_kinds[kind].features[feature].kind == FEATURE_SET;
    *entry = (struct entry){.number = number, .kind = kind, .feature = feature, .device = device};
    (void)snprintf(entry->id, sizeof entry->id, "%s", id);
    for (int i = 0; i < ledger->staged_count - 1 && !one_of_many; i++) {
        ledger->staged[i].lost =
            ledger->staged[i].lost || ledger_same_place(&ledger->staged[i], entry);
    }
    return entry;
}

struct entry *ledger_stage(struct ledger *ledger, int kind, const char *id, int feature, int device)
{
    assert_in_range(ledger->last_number, 0, LEDGER_ENTRIES - 2);
    return ledger_stage_number(ledger, kind, id, feature, device, ++ledger->last_number);
}

void ledger_stage_taking(struct ledger *ledger, int number)
{
    assert_in_range(ledger->staged_taking_count, 0, LEDGER_STAGED - 1);
    ledger->staged_takings[ledger->staged_taking_count++] = number;
}

/* An id as changesets have it. */
static void write_wire(const char *text, char wire[LEDGER_WIRE_SIZE])
{
    struct id id;
    assert_true(dk_id_from_text(text, strlen(text), &id));
    dk_id_to_wire(&id, wire);
    wire[ID_WIRE_LENGTH] = '\0';
}

void ledger_stage_step(struct ledger *ledger, const struct step *step)
{
    assert_in_range(ledger->staged_step_count, 0, LEDGER_STAGED - 1);
    for (int i = 0; i < ledger->staged_step_count; i++) { /* of one transaction the last counts */
        struct step *earlier = &ledger->staged_steps[i];
        earlier->lost = earlier->lost || strcmp(earlier->id, step->id) == 0;
    }
    ledger->staged_steps[ledger->staged_step_count] = *step;
    write_wire(step->id, ledger->staged_steps[ledger->staged_step_count++].wire);
}

struct removal *ledger_stage_removal(struct ledger *ledger, int kind, const char *id, int device)
{
    assert_in_range(ledger->staged_removal_count, 0, LEDGER_STAGED - 1);
    struct removal *removal = &ledger->staged_removals[ledger->staged_removal_count++];
    *removal = (struct removal){.kind = kind, .device = device};
    (void)snprintf(removal->id, sizeof removal->id, "%s", id);
    write_wire(id, removal->wire);
    return removal;
}

static struct entry *add_entry(struct ledger *ledger, const struct entry *entry)
{
    assert_in_range(ledger->count, 0, LEDGER_ENTRIES - 1);
    struct entry *added = &ledger->entries[ledger->count++];
    *added = *entry;
    added->order = ledger->order;
    return added;
}

/* Elements are taken out of sets by those who see them. */
static void take(struct ledger *ledger, int number)
{
    for (int i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        bool is_element = ledger_kinds[entry->kind].features[entry->feature].kind == FEATURE_SET;
        entry->discarded = entry->discarded || (is_element && entry->number == number);
    }
}

void ledger_commit(struct ledger *ledger)
{
    ledger->order++;
    for (int i = 0; i < ledger->staged_count; i++) {
        (void)add_entry(ledger, &ledger->staged[i]);
    }
    for (int i = 0; i < ledger->staged_removal_count; i++) {
        assert_in_range(ledger->removal_count, 0, LEDGER_ENTRIES - 1);
        struct removal *removal = &ledger->removals[ledger->removal_count++];
        *removal = ledger->staged_removals[i];
        removal->order = ledger->order;
    }
    for (int i = 0; i < ledger->staged_taking_count; i++) {
        take(ledger, ledger->staged_takings[i]);
    }
    for (int i = 0; i < ledger->staged_step_count; i++) {
        assert_in_range(ledger->step_count, 0, LEDGER_ENTRIES - 1);
        ledger->steps[ledger->step_count] = ledger->staged_steps[i];
        ledger->steps[ledger->step_count++].order = ledger->order;
    }
    ledger_drop(ledger);
}

void ledger_drop(struct ledger *ledger)
{
    ledger->staged_count = 0;
    ledger->staged_removal_count = 0;
    ledger->staged_taking_count = 0;
    ledger->staged_step_count = 0;
}

/* A later value in the same place of the same chain has taken the entry's, or its author has taken
 * it away again. */
static bool is_joined(const struct ledger *ledger, const struct entry *entry, const char *text)
{
    for (int i = 0; i < ledger->count; i++) {
        const struct entry *later = &ledger->entries[i];
        bool empties = later > entry && later->number == 0 && later->device == entry->device;
        bool takes = later->number > entry->number && ledger_has_number(later, text);
        if (ledger_same_place(entry, later) && (takes || empties)) {
            return true;
        }
    }
    return false;
}

/* Whether the step is in the text of an inbox item: both ends say the record's id and the state. */
static bool has_step(const struct step *step, const char *text)
{
    char state[40];
    (void)snprintf(state, sizeof state, "\"%s\"", step->to);
    return strstr(text, step->wire) != NULL && strstr(text, state) != NULL;
}

/* A later step of the same record in the same chain has taken the step's place. */
static bool is_passed(const struct ledger *ledger, const struct step *step, const char *text)
{
    for (const struct step *later = step + 1; later < ledger->steps + ledger->step_count; later++) {
        if (strcmp(later->id, step->id) == 0 && strcmp(later->to, step->to) != 0 &&
            has_step(later, text)) {
            return true;
        }
    }
    return false;
}

/* Whether the last that the text says of an element is that it is taken out of the set. */
static bool is_taken(const struct entry *entry, const char *text)
{
    static const char taken[] = "\"remove\":";
    char name[20];
    const char *last = NULL;
    (void)snprintf(name, sizeof name, "\"e%d~", entry->number);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        last = at;
    }
    while (last != NULL && last > text && *last != '[') {
        last--;
    }
    const size_t length = sizeof taken - 1;
    return last != NULL && (size_t)(last - text) >= length &&
           memcmp(last - length, taken, length) == 0;
}

void ledger_again(struct ledger *ledger, const char *text, int device)
{
    int count = ledger->count, steps = ledger->step_count, removals = ledger->removal_count;
    ledger->order++;
    for (int i = 0; i < count; i++) {
        struct entry *entry = &ledger->entries[i];
        if (ledger_has_number(entry, text)) {
            entry->lost = entry->lost || is_joined(ledger, entry, text);
            struct entry *again = add_entry(ledger, entry);
            again->device = device;
            again->discarded = is_taken(entry, text);
        }
    }
    ledger->order++; /* nothing is entered into what is deleted */
    for (int i = 0; i < removals; i++) {
        if (strstr(text, ledger->removals[i].wire) != NULL && strstr(text, "\"delete\"") != NULL) {
            assert_in_range(ledger->removal_count, 0, LEDGER_ENTRIES - 1);
            struct removal *again = &ledger->removals[ledger->removal_count++];
            *again = ledger->removals[i];
            again->device = device;
            again->order = ledger->order;
        }
    }
    for (int i = 0; i < steps; i++) {
        if (has_step(&ledger->steps[i], text)) {
            assert_in_range(ledger->step_count, 0, LEDGER_ENTRIES - 1);
            ledger->steps[i].lost = true; /* the one that is taken anew stands for it */
            if (is_passed(ledger, &ledger->steps[i], text)) {
                continue;
            }
            struct step *again = &ledger->steps[ledger->step_count++];
            *again = ledger->steps[i];
            again->device = device;
            again->order = ledger->order;
            again->lost = false;
        }
    }
}

void ledger_discard(struct ledger *ledger, const char *text)
{
    for (int i = 0; i < ledger->count; i++) {
        ledger->entries[i].discarded =
            ledger->entries[i].discarded || ledger_has_number(&ledger->entries[i], text);
    }
    for (int i = 0; i < ledger->step_count; i++) {
        ledger->steps[i].lost = ledger->steps[i].lost || has_step(&ledger->steps[i], text);
    }
}

void ledger_lose(struct ledger *ledger, int device, int64_t from, int64_t to)
{
    for (int i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        bool gone = entry->device == device && entry->order >= from && entry->order <= to;
        entry->lost = entry->lost || gone;
    }
    for (int i = 0; i < ledger->step_count; i++) {
        struct step *step = &ledger->steps[i];
        bool gone = step->device == device && step->order >= from && step->order <= to;
        step->lost = step->lost || gone;
    }
}
