/* SPDX-License-Identifier: Apache-2.0
 *
 * See ledger.h.
 */
#include "tests/support/ledger.h"

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

static const char opportunity_states[] = "tracking suspended invalid won";
static const char visit_states[] = "planned cancelled in_progress completed";
static const char quote_states[] = "draft sent declined accepted";
static const char order_states[] = "draft submitted cancelled";

const struct kind ledger_kinds[] = {
    {"customer",
     NULL,
     NULL,
     {{FEATURE_TEXT, "name", NULL, 1},
      {FEATURE_TEXT, "prefs", NULL, 1},
      {FEATURE_TEXT, "tax_no", NULL, 0},
      {FEATURE_ADDRESS, "address_", NULL, 0},
      {FEATURE_KEY, "k1", NULL, 0},
      {FEATURE_KEY, "k2", NULL, 0},
      {FEATURE_INT, "potential_bp", NULL, 10000},
      {FEATURE_WORD, "channel", NULL, 0},
      {FEATURE_PLACE, "lat_e7", NULL, 0},
      {FEATURE_CHOICE, "status", "prospect active archived", 0},
      {FEATURE_SET, "tags", NULL, 0}}},
    {"contact",
     "customer",
     "customer_id",
     {{FEATURE_TEXT, "name", NULL, 0},
      {FEATURE_TEXT, "title", NULL, 0},
      {FEATURE_TEXT, "email", NULL, 0},
      {FEATURE_KEY, "k1", NULL, 0},
      {FEATURE_DAY, "birthday", NULL, 0},
      {FEATURE_REF, "customer_id", "customer", 0}}},
    {"opportunity",
     "customer",
     "customer_id",
     {{FEATURE_TEXT, "subject", NULL, 0},
      {FEATURE_TEXT, "lost_reason", NULL, 0},
      {FEATURE_AMOUNT, "amount", NULL, 0},
      {FEATURE_INT, "priority", NULL, 9},
      {FEATURE_SIGN, "expected_sign", NULL, 0},
      {FEATURE_CHOICE, "status", opportunity_states, 0},
      {FEATURE_SET, "competitors", NULL, 0},
      {FEATURE_REF, "customer_id", "customer", 0}}},
    {"visit",
     "customer",
     "customer_id",
     {{FEATURE_TEXT, "feedback", NULL, 1},
      {FEATURE_TEXT, "verified", NULL, 0},
      {FEATURE_KEY, "k1", NULL, 0},
      {FEATURE_DAY, "plan_day", NULL, 0},
      {FEATURE_CHOICE, "status", visit_states, 0},
      {FEATURE_CHECKIN, "checkin_ts", NULL, 0},
      {FEATURE_SET, "outcome", NULL, 0}}},
    {"visit_action", "visit", "visit_id", {{FEATURE_TEXT, "note", NULL, 0}}},
    {"quote",
     "customer",
     "customer_id",
     {{FEATURE_TEXT, "note", NULL, 1},
      {FEATURE_TEXT, "sent_hash", NULL, 0},
      {FEATURE_INT, "header_disc_bp", NULL, 3000},
      {FEATURE_DAY, "valid_to", NULL, 0},
      {FEATURE_CHOICE, "status", quote_states, 0},
      {FEATURE_REF, "opportunity_id", "opportunity", 0}}},
    {"quote_line",
     "quote",
     "quote_id",
     {{FEATURE_TEXT, "sort_key", NULL, 0},
      {FEATURE_QTY, "qty", NULL, 0},
      {FEATURE_PRICE, "price_e4", NULL, 0}}},
    {"sales_order",
     "customer",
     "customer_id",
     {{FEATURE_TEXT, "note", NULL, 1},
      {FEATURE_TEXT, "terms", NULL, 0},
      {FEATURE_ADDRESS, "ship_to_", NULL, 0},
      {FEATURE_DAY, "deliver_by", NULL, 0},
      {FEATURE_CHOICE, "status", order_states, 0},
      {FEATURE_SET, "cancel_req", NULL, 1}}},
    {"order_line",
     "sales_order",
     "order_id",
     {{FEATURE_TEXT, "sort_key", NULL, 0},
      {FEATURE_QTY, "qty", NULL, 0},
      {FEATURE_PRICE, "price_e4", NULL, 0}}},
    {NULL, NULL, NULL, {{FEATURE_NONE, NULL, NULL, 0}}},
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
    default: (void)snprintf(out, 40, "t%d~", number); break;
    }
}

static bool has_number(const struct entry *entry, const char *text)
{
    char form[40];
    number_text(&ledger_kinds[entry->kind].features[entry->feature], entry->number, form);
    size_t length = strlen(form);
    for (const char *at = text; entry->number != 0 && (at = strstr(at, form)) != NULL; at++) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        if (begins && !isdigit((unsigned char)at[length])) {
            return true;
        }
    }
    return false;
}

/* ---- writing the book */

static bool same_place(const struct entry *a, const struct entry *b)
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
    assert_non_null(ledger->removals);
}

void ledger_close(struct ledger *ledger)
{
    free(ledger->entries);
    free(ledger->removals);
}

struct entry *ledger_stage(struct ledger *ledger, int kind, const char *id, int feature, int device)
{
    assert_in_range(ledger->staged_count, 0, LEDGER_STAGED - 1);
    assert_in_range(ledger->last_number, 0, LEDGER_ENTRIES - 2);
    struct entry *entry = &ledger->staged[ledger->staged_count++];
    *entry = (struct entry){
        .number = ++ledger->last_number, .kind = kind, .feature = feature, .device = device};
    (void)snprintf(entry->id, sizeof entry->id, "%s", id);
    for (int i = 0; i < ledger->staged_count - 1; i++) {
        ledger->staged[i].lost = ledger->staged[i].lost || same_place(&ledger->staged[i], entry);
    }
    return entry;
}

struct removal *ledger_stage_removal(struct ledger *ledger, int kind, const char *id, int device)
{
    assert_in_range(ledger->staged_removal_count, 0, LEDGER_STAGED - 1);
    struct removal *removal = &ledger->staged_removals[ledger->staged_removal_count++];
    *removal = (struct removal){.kind = kind, .device = device};
    (void)snprintf(removal->id, sizeof removal->id, "%s", id);
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
    ledger_drop(ledger);
}

void ledger_drop(struct ledger *ledger)
{
    ledger->staged_count = 0;
    ledger->staged_removal_count = 0;
}

/* A later value in the same place of the same chain has taken the entry's. */
static bool is_joined(const struct ledger *ledger, const struct entry *entry, const char *text)
{
    for (int i = 0; i < ledger->count; i++) {
        const struct entry *later = &ledger->entries[i];
        if (same_place(entry, later) && later->number > entry->number && has_number(later, text)) {
            return true;
        }
    }
    return false;
}

void ledger_again(struct ledger *ledger, const char *text, int device)
{
    int count = ledger->count;
    ledger->order++;
    for (int i = 0; i < count; i++) {
        struct entry *entry = &ledger->entries[i];
        if (has_number(entry, text)) {
            entry->lost = entry->lost || is_joined(ledger, entry, text);
            struct entry *again = add_entry(ledger, entry);
            again->device = device;
            again->discarded = false;
        }
    }
}

void ledger_discard(struct ledger *ledger, const char *text)
{
    for (int i = 0; i < ledger->count; i++) {
        ledger->entries[i].discarded =
            ledger->entries[i].discarded || has_number(&ledger->entries[i], text);
    }
}

void ledger_lose(struct ledger *ledger, int device, int64_t after)
{
    for (int i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        entry->lost = entry->lost || (entry->device == device && entry->order > after);
    }
}

/* ---- what has become of it */

struct found { /* of all places outside of records */
    char *text;
    size_t length, capacity;
};

static void add_text(struct found *found, const char *text)
{
    size_t length = strlen(text);
    if (found->length + length + 2 > found->capacity) {
        found->capacity = (found->length + length + 2) * 2;
        found->text = realloc(found->text, found->capacity);
        assert_non_null(found->text);
    }
    memcpy(found->text + found->length, text, length);
    found->length += length;
    found->text[found->length++] = ' ';
    found->text[found->length] = '\0';
}

/* All values of all columns of a query. */
static void add_query(struct ledger *ledger, struct found *found, const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) {
        lab_fail(ledger->lab, "%s: %s", sql, sqlite3_errmsg(database));
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            add_text(found, text == NULL ? "" : text);
        }
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
}

/* The server's value in the entry's place, tombstones included. */
static int stands(struct ledger *ledger, const struct entry *entry, bool *deleted)
{
    const struct kind *kind = &ledger_kinds[entry->kind];
    const struct feature *feature = &kind->features[entry->feature];
    const char *id = entry->id;
    char column[100], sql[400];
    (void)snprintf(column, sizeof column,
                   feature->kind == FEATURE_KEY       ? "json_extract(custom,'$.%s')"
                   : feature->kind == FEATURE_ADDRESS ? "%sregion"
                                                      : "%s",
                   feature->field);
    (void)snprintf(sql, sizeof sql,
                   "SELECT deleted || coalesce(%s,'') FROM s_%s WHERE id = x'%.8s%.4s%.4s%.4s%s'",
                   column, kind->name, id, id + 9, id + 14, id + 19, id + 24);
    const char *text = lab_server_text(ledger->lab, sql);
    *deleted = text[0] == '1';
    return text[0] == '\0' ? -1 : ledger_number(feature, text + 1);
}

/* Whether the number seen in the entry's place is the entry's, or of a value whose author saw that
 * when he replaced it, and so on. */
static bool was_seen(const struct ledger *ledger, const struct entry *entry, int shown)
{
    for (int i = ledger->count - 1; i >= 0 && shown != 0 && shown != entry->number; i--) {
        const struct entry *before = &ledger->entries[i];
        if (before->number == shown && same_place(before, entry)) {
            shown = before->shown;
        }
    }
    return shown == entry->number;
}

/* Whether the record's delete was by somebody who had seen the value. */
static bool removal_saw(const struct ledger *ledger, const struct entry *entry)
{
    for (int i = 0; i < ledger->removal_count; i++) {
        const struct removal *removal = &ledger->removals[i];
        bool same = removal->kind == entry->kind &&
                    (strcmp(removal->id, entry->id) == 0 ||
                     (entry->number != 0 && removal->shown[entry->feature] == entry->number));
        if (same && (removal->blind || was_seen(ledger, entry, removal->shown[entry->feature]) ||
                     (removal->device == entry->device && removal->order > entry->order))) {
            return true;
        }
    }
    return false;
}

/* Whether the server has the value: it stands, or is in the conflict log, or what replaced it by
 * right is there in turn; or it never came there, because its author deleted the record before. */
static bool on_server(struct ledger *ledger, const struct entry *entry, const struct found *log,
                      const struct found *revisions, int depth)
{
    bool deleted;
    int number = stands(ledger, entry, &deleted);
    if (has_number(entry, revisions->text)) {
        return true; /* it came when the quote had been sent, and went to the next revision */
    }
    if (number >= 0 && number == entry->number) {
        return !deleted || entry->device < 0 || removal_saw(ledger, entry);
    }
    if (number < 0 ? removal_saw(ledger, entry) : has_number(entry, log->text)) {
        return true;
    }
    for (int i = 0; number >= 0 && depth < 60 && i < ledger->count; i++) {
        const struct entry *later = &ledger->entries[i];
        bool is_later = later->order > entry->order ||
                        (later->order == entry->order && later->number > entry->number);
        /* The revision of a quote is another record; a number is the value's own. */
        bool moved = entry->kind == later->kind && entry->feature == later->feature &&
                     later->shown == entry->number;
        bool by_right =
            (same_place(entry, later) || moved) && is_later && later->number != entry->number &&
            (later->blind || later->shown == entry->number || later->device == entry->device);
        if (by_right && on_server(ledger, later, log, revisions, depth + 1)) {
            return true;
        }
    }
    return false;
}

void ledger_check(struct ledger *ledger)
{
    struct found inbox = {NULL, 0, 0}, log = {NULL, 0, 0}, revisions = {NULL, 0, 0};
    struct lab *lab = ledger->lab;
    add_text(&inbox, " ");
    add_text(&log, " ");
    add_query(ledger, &log, lab->database, "SELECT kept, lost FROM field_conflict");
    add_text(&revisions, " ");
    add_query(ledger, &revisions, lab->database,
              "SELECT note, sent_hash FROM s_quote WHERE revision_of IS NOT NULL");
    add_query(ledger, &revisions, lab->database,
              "SELECT l.sort_key, l.qty, l.price_e4 FROM s_quote_line AS l JOIN s_quote AS q"
              " ON q.id = l.quote_id WHERE q.revision_of IS NOT NULL");
    for (int i = 0; i < lab->device_count; i++) {
        add_query(ledger, &inbox, lab->devices[i].path,
                  "SELECT mine, theirs, body FROM inbox_item");
    }
    for (int i = 0; i < ledger->count; i++) {
        const struct entry *entry = &ledger->entries[i];
        if (entry->number == 0 || entry->discarded || entry->lost ||
            has_number(entry, inbox.text) || on_server(ledger, entry, &log, &revisions, 0)) {
            continue;
        }
        bool deleted;
        lab_fail(lab, "value %d of device %d is lost: %s %s %s, the server has %d (-1: no record)",
                 entry->number, entry->device, ledger_kinds[entry->kind].name, entry->id,
                 ledger_kinds[entry->kind].features[entry->feature].field,
                 stands(ledger, entry, &deleted));
    }
    free(inbox.text);
    free(log.text);
    free(revisions.text);
}

void ledger_check_groups(struct ledger *ledger, const char *path)
{
    static const char *const mixed[] = {
        "SELECT id FROM opportunity WHERE amount IS NOT NULL AND cur IS NOT"
        " substr('CNYUSDJPY', amount % 3 * 3 + 1, 3)",
        "SELECT id FROM opportunity WHERE expected_sign % 9000 IS NOT win_override_bp",
        "SELECT id FROM quote_line WHERE list_ver IS NOT price_e4 - 77000000"
        " OR promo_id IS NOT 'p' || list_ver OR disc_bp IS NOT list_ver % 10001",
        "SELECT id FROM order_line WHERE list_ver IS NOT price_e4 - 77000000"
        " OR promo_id IS NOT 'p' || list_ver OR disc_bp IS NOT list_ver % 10001",
        "SELECT id FROM quote_line WHERE uom IS NOT 'u' || (qty - 8800000000)",
        "SELECT id FROM order_line WHERE uom IS NOT 'u' || (qty - 8800000000)",
        "SELECT id FROM customer WHERE lon_e7 IS NOT lat_e7 + 1",
        "SELECT id FROM customer WHERE address_city IS NOT address_region"
        " OR address_street IS NOT address_region OR address_postcode IS NOT address_region",
        "SELECT id FROM sales_order WHERE ship_to_city IS NOT ship_to_region"
        " OR ship_to_street IS NOT ship_to_region OR ship_to_postcode IS NOT ship_to_region",
        "SELECT id FROM visit WHERE checkin_ts % 1000 IS NOT checkin_tz_min",
    };
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        struct found found = {NULL, 0, 0};
        add_query(ledger, &found, path, mixed[i]);
        if (found.length > 0) {
            lab_fail(ledger->lab, "%s: a mixed group: %s gives %s", path, mixed[i], found.text);
        }
    }
}
