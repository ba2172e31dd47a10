/* SPDX-License-Identifier: Apache-2.0
 *
 * See ledger.h: what has become of everything in the book, when the day is over.
 */
#include "tests/support/ledger.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what has become of it */

static void add_text(struct ledger_text *found, const char *text)
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

/* All values of all columns of a query, a line for each row. */
static void add_query(struct ledger *ledger, struct ledger_text *found, const char *path,
                      const char *sql)
{
    sqlite3_stmt *statement = lab_query(ledger->lab, path, sql);
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            add_text(found, text == NULL ? "" : text);
        }
        add_text(found, "\n");
    }
    if (result != SQLITE_DONE) {
        lab_fail(ledger->lab, "%s: %s", sql, sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
    (void)sqlite3_reset(statement);
}

/* The hex digits of an id. */
static const char *hex(const char *id, char out[33])
{
    (void)snprintf(out, 33, "%.8s%.4s%.4s%.4s%s", id, id + 9, id + 14, id + 19, id + 24);
    return out;
}

/* The server's value in the entry's place of this record, tombstones included. An element of a set
 * stands where the set has it. */
static int stands_in(struct ledger *ledger, const struct entry *entry, const char *id,
                     bool *deleted)
{
    const struct kind *kind = &ledger_kinds[entry->kind];
    const struct feature *feature = &kind->features[entry->feature];
    char column[100], sql[400], digits[33];
    (void)snprintf(column, sizeof column,
                   feature->kind == FEATURE_KEY       ? "json_extract(custom,'$.%s')"
                   : feature->kind == FEATURE_ADDRESS ? "%sregion"
                                                      : "%s",
                   feature->field);
    (void)snprintf(sql, sizeof sql, "SELECT deleted || coalesce(%s,'') FROM s_%s WHERE id = x'%s'",
                   column, kind->name, hex(id, digits));
    const char *text = lab_server_text(ledger->lab, sql);
    *deleted = text[0] == '1';
    if (text[0] != '\0' && feature->kind == FEATURE_SET) {
        return ledger_has_number(entry, text) ? entry->number : 0;
    }
    return text[0] == '\0' ? -1 : ledger_number(feature, text + 1);
}

/* The same of the record and, where it has become another, of what it was before. */
static int stands(struct ledger *ledger, const struct entry *entry, bool *deleted)
{
    int number = stands_in(ledger, entry, entry->id, deleted);
    bool before_deleted;
    if (number != entry->number && entry->before[0] != '\0' &&
        stands_in(ledger, entry, entry->before, &before_deleted) == entry->number) {
        *deleted = before_deleted;
        return entry->number;
    }
    return number;
}

/* Whether the number seen in the entry's place is the entry's, or of a value whose author saw that
 * when he replaced it, and so on. */
static bool was_seen(const struct ledger *ledger, const struct entry *entry, int shown)
{
    for (int i = ledger->count - 1; i >= 0 && shown != 0 && shown != entry->number; i--) {
        const struct entry *before = &ledger->entries[i];
        if (before->number == shown && ledger_same_place(before, entry)) {
            shown = before->shown;
        }
    }
    return shown == entry->number;
}

/* Whether the record's delete was by somebody who had seen the value; of sets no more is known than
 * that they were seen. */
static bool removal_saw(const struct ledger *ledger, const struct entry *entry)
{
    const struct feature *feature = &ledger_kinds[entry->kind].features[entry->feature];
    bool is_element = feature->kind == FEATURE_SET;
    for (int i = 0; i < ledger->removal_count; i++) {
        const struct removal *removal = &ledger->removals[i];
        bool whole = removal->blind || feature->since > removal->schema;
        int shown = removal->shown[entry->feature];
        bool same =
            removal->kind == entry->kind &&
            (strcmp(removal->id, entry->id) == 0 || strcmp(removal->id, entry->before) == 0 ||
             (entry->number != 0 && shown == entry->number));
        if (same && (is_element || whole || was_seen(ledger, entry, shown) ||
                     (removal->order > entry->order &&
                      ledger_is_own(ledger, removal->device, entry->device, entry->order)))) {
            return true;
        }
    }
    return false;
}

/* Whether it stood on a quote's line that its own author deleted afterwards: somebody who sends the
 * quote unseen brings the line back as it was before. */
static bool left_a_quote(const struct ledger *ledger, const struct entry *entry)
{
    for (int i = 0; i < ledger->removal_count; i++) {
        const struct removal *removal = &ledger->removals[i];
        if (strcmp(ledger_kinds[entry->kind].name, "quote_line") == 0 &&
            strcmp(removal->id, entry->id) == 0 && removal->order > entry->order &&
            ledger_is_own(ledger, removal->device, entry->device, entry->order)) {
            return true;
        }
    }
    return false;
}

/* Whether a value that somebody was shown had been in the same place as the entry's before. */
static bool was_in_place(const struct ledger *ledger, const struct entry *entry, int shown)
{
    for (int i = 0; i < ledger->count; i++) {
        const struct entry *before = &ledger->entries[i];
        if (shown > 0 && before->number == shown && ledger_same_place(before, entry)) {
            return true;
        }
    }
    return false;
}

/* Whether it stands on a line that is gone with its document, which its own author deleted: perhaps
 * while the line hung from another one, a state that a restored server has lost. */
static bool went_along(struct ledger *ledger, const struct entry *entry)
{
    const struct kind *kind = &ledger_kinds[entry->kind];
    char sql[200], digits[33], parent[33];
    if (kind->parent == NULL) {
        return false;
    }
    (void)snprintf(sql, sizeof sql, "SELECT lower(hex(%s)) FROM s_%s WHERE id = x'%s' AND deleted",
                   kind->parent_field, kind->name, hex(entry->id, digits));
    (void)snprintf(parent, sizeof parent, "%s", lab_server_text(ledger->lab, sql));
    for (int i = 0; i < ledger->removal_count; i++) {
        const struct removal *removal = &ledger->removals[i];
        if (removal->order > entry->order && strcmp(parent, hex(removal->id, digits)) == 0 &&
            ledger_is_own(ledger, removal->device, entry->device, entry->order)) {
            return true;
        }
    }
    return false;
}

/* All that the account is made of. */
struct account {
    struct ledger *ledger;
    struct ledger_text inbox, log, revisions;
};

/* Whether a line of the text has both. */
static bool has_line(const char *text, const char *one, const char *other)
{
    for (const char *line = text; line != NULL; line = strchr(line + 1, '\n')) {
        const char *end = strchr(line + 1, '\n');
        const char *first = strstr(line, one), *second = strstr(line, other);
        if (first == NULL || second == NULL) {
            return false;
        }
        if (end == NULL || (first < end && second < end)) {
            return true;
        }
    }
    return false;
}

/* Whether it went to another record, a revision of its quote, that was deleted by somebody who saw
 * it there, or by its own author. */
static bool went_elsewhere(const struct account *account, const struct entry *entry)
{
    const struct ledger *ledger = account->ledger;
    for (int i = 0; i < ledger->removal_count; i++) {
        const struct removal *removal = &ledger->removals[i];
        bool own = removal->order > entry->order &&
                   ledger_is_own(ledger, removal->device, entry->device, entry->order);
        if (removal->kind == entry->kind &&
            (removal->shown[entry->feature] == entry->number ||
             (own && has_line(account->log.text, entry->id, removal->id)))) {
            return true;
        }
    }
    return false;
}

/* Whether the server has the value: it stands, or is in the conflict log, or what replaced it by
 * right is there in turn; or it never came there, because its author deleted the record before. */
static bool on_server(const struct account *account, const struct entry *entry, int depth)
{
    struct ledger *ledger = account->ledger;
    bool deleted;
    int number = stands(ledger, entry, &deleted);
    if (left_a_quote(ledger, entry) || ledger_has_number(entry, account->revisions.text)) {
        return true; /* it came when the quote had been sent, and went to the next revision */
    }
    if (entry->kind >= LEDGER_KINDS && (deleted || number < 0)) {
        return true; /* a note goes with the record that it is about */
    }
    if (number >= 0 && number == entry->number &&
        (!deleted || entry->device < 0 || removal_saw(ledger, entry) ||
         went_along(ledger, entry))) {
        return true;
    }
    if (ledger_has_number(entry, account->log.text) || went_elsewhere(account, entry) ||
        (number < 0 && removal_saw(ledger, entry))) {
        return true;
    }
    for (int i = 0; depth < 60 && i < ledger->count; i++) {
        const struct entry *later = &ledger->entries[i];
        bool is_later =
            later->order > entry->order || (later->order == entry->order && later > entry);
        /* The revision of a quote is another record; a number is the value's own. Who has entered
         * something into the quote knows that, also where the revision showed what was before. */
        bool moved = entry->kind == later->kind && entry->feature == later->feature &&
                     (later->shown == entry->number || was_in_place(ledger, entry, later->shown));
        bool by_right = (ledger_same_place(entry, later) || moved) && is_later &&
                        later->number != entry->number &&
                        (later->blind || later->shown == entry->number ||
                         ledger_is_own(ledger, later->device, entry->device, entry->order));
        if (by_right && (later->number == 0 || on_server(account, later, depth + 1))) {
            return true;
        }
    }
    return false;
}

/* Whether the record has this state; *deleted where it is not there, or not any more. */
static bool is_in_state(struct ledger *ledger, const struct step *step, const char *id,
                        bool *deleted)
{
    char sql[200], digits[33];
    (void)snprintf(sql, sizeof sql, "SELECT deleted || coalesce(%s, '') FROM s_%s WHERE id = x'%s'",
                   ledger_state(step->kind)->field, ledger_kinds[step->kind].name, hex(id, digits));
    const char *state = lab_server_text(ledger->lab, sql);
    *deleted = state[0] != '0';
    return state[0] != '\0' && strcmp(state + 1, step->to) == 0;
}

/* Whether the server has taken the step: its state stands, or lost and is in the log, or was left
 * by somebody who knew of it; or it became a request. */
static bool step_on_server(const struct account *account, const struct step *step, int depth)
{
    struct ledger *ledger = account->ledger;
    const struct kind *kind = &ledger_kinds[step->kind];
    char sql[200], digits[33];
    bool deleted, before_deleted;
    bool stands =
        is_in_state(ledger, step, step->id, &deleted) ||
        (step->before[0] != '\0' && is_in_state(ledger, step, step->before, &before_deleted));
    if (deleted) {
        for (int i = 0; i < ledger->removal_count; i++) {
            if (strcmp(ledger->removals[i].id, step->id) == 0) {
                return true;
            }
        }
    }
    if (stands) {
        return true;
    }
    (void)snprintf(sql, sizeof sql, "\"%s\"", step->to);
    if (has_line(account->log.text, step->id, sql) ||
        (step->before[0] != '\0' && has_line(account->log.text, step->before, sql))) {
        return true;
    }
    if (strcmp(kind->name, "sales_order") == 0 && strcmp(step->to, "cancelled") == 0) {
        (void)snprintf(
            sql, sizeof sql,
            "SELECT count(*) FROM s_sales_order o, json_each(o.cancel_req) WHERE o.id = x'%s'"
            " AND length(value) = 73",
            hex(step->id, digits));
        if (lab_server_text(ledger->lab, sql)[0] != '0') {
            return true; /* "user changeset": two ids */
        }
    }
    for (int i = 0; depth < 60 && i < ledger->step_count; i++) {
        const struct step *later = &ledger->steps[i];
        bool by_right = later > step && strcmp(later->id, step->id) == 0 &&
                        (later->blind || strcmp(later->from, step->to) == 0 ||
                         ledger_is_own(ledger, later->device, step->device, step->order));
        /* Two who do the same need no entry, whoever comes first. */
        bool twin = depth == 0 && later != step && strcmp(later->id, step->id) == 0 &&
                    strcmp(later->to, step->to) == 0;
        /* A restored server gets steps again in another order: one that leads to where the record
         * is by then is none any more, and nobody is told where the record goes on from there. */
        bool resumed = step->order <= ledger->restored_at && later != step &&
                       strcmp(later->id, step->id) == 0 && strcmp(later->from, step->to) == 0;
        if ((by_right || twin || resumed) && step_on_server(account, later, depth + 1)) {
            return true;
        }
    }
    return false;
}

static void check_steps(const struct account *account)
{
    struct ledger *ledger = account->ledger;
    for (int i = 0; i < ledger->step_count; i++) {
        const struct step *step = &ledger->steps[i];
        char state[40];
        (void)snprintf(state, sizeof state, "\"%s\"", step->to);
        if (!step->lost && !has_line(account->inbox.text, step->wire, state) &&
            !step_on_server(account, step, 0)) {
            lab_fail(ledger->lab, "the step of device %d from %s to %s is lost: %s %s",
                     step->device, step->from, step->to, ledger_kinds[step->kind].name, step->id);
        }
    }
}

static void check_entries(const struct account *account)
{
    struct ledger *ledger = account->ledger;
    for (int i = 0; i < ledger->count; i++) {
        const struct entry *entry = &ledger->entries[i];
        bool deleted;
        if (entry->number == 0 || entry->discarded || entry->lost ||
            ledger_has_number(entry, account->inbox.text) || on_server(account, entry, 0)) {
            continue;
        }
        lab_fail(ledger->lab,
                 "value %d of device %d is lost: %s %s %s, the server has %d (-1: no record)",
                 entry->number, entry->device, ledger_kinds[entry->kind].name, entry->id,
                 ledger_kinds[entry->kind].features[entry->feature].field,
                 stands(ledger, entry, &deleted));
    }
}

/* Where the visit has become another: `id` is that one's, and `before` its own. */
static void follow_twin(struct ledger *ledger, char id[DAYBOOK_ID_SIZE],
                        char before[DAYBOOK_ID_SIZE])
{
    char sql[200], digits[33];
    (void)snprintf(sql, sizeof sql, "SELECT lower(hex(redirect_to)) FROM s_visit WHERE id = x'%s'",
                   hex(id, digits));
    const char *into = lab_server_text(ledger->lab, sql);
    if (into[0] != '\0') {
        memcpy(before, id, DAYBOOK_ID_SIZE);
        (void)snprintf(id, DAYBOOK_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", into, into + 8, into + 12,
                       into + 16, into + 20);
    }
}

/* What was entered into a record that has become another, a customer that was merged or a visit
 * that was recorded twice, counts as entered into what it is by now. */
static void follow_merges(struct ledger *ledger)
{
    struct lab *lab = ledger->lab;
    lab_look(lab);
    for (int i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        int customer = entry->kind == 0 ? lab_find_customer(lab, entry->id) : -1;
        if (customer >= 0 && lab_root(lab, customer) != customer) {
            memcpy(entry->before, entry->id, sizeof entry->before);
            memcpy(entry->id, lab->customers[lab_root(lab, customer)].id, sizeof entry->id);
        }
        if (entry->kind < LEDGER_KINDS && strcmp(ledger_kinds[entry->kind].name, "visit") == 0) {
            follow_twin(ledger, entry->id, entry->before);
        }
    }
    for (int i = 0; i < ledger->step_count; i++) {
        struct step *step = &ledger->steps[i];
        if (strcmp(ledger_kinds[step->kind].name, "visit") == 0) {
            follow_twin(ledger, step->id, step->before);
        }
    }
}

/* What the server has beside the records: values that lost, and those that were proposed. */
static void add_log(struct ledger *ledger, struct ledger_text *log)
{
    static const char id[] = "lower(substr(h,1,8)||'-'||substr(h,9,4)||'-'||substr(h,13,4)||'-'||"
                             "substr(h,17,4)||'-'||substr(h,21))";
    char sql[500];
    (void)snprintf(sql, sizeof sql,
                   "SELECT %s, field_name, kept, lost FROM"
                   " (SELECT hex(record_id) AS h, * FROM s_field_conflict)",
                   id);
    add_query(ledger, log, ledger->lab->database, sql);
    add_query(ledger, log, ledger->lab->database,
              "SELECT base_value, proposed_value FROM s_proposal");
}

void ledger_keep(struct ledger *ledger)
{
    add_log(ledger, &ledger->log);
}

void ledger_check(struct ledger *ledger)
{
    struct account account = {.ledger = ledger};
    struct lab *lab = ledger->lab;
    follow_merges(ledger);
    add_text(&account.inbox, " ");
    add_text(&account.log, ledger->log.text == NULL ? " " : ledger->log.text);
    add_log(ledger, &account.log);
    add_text(&account.revisions, " ");
    add_query(ledger, &account.revisions, lab->database,
              "SELECT note FROM s_quote WHERE revision_of IS NOT NULL");
    add_query(ledger, &account.revisions, lab->database,
              "SELECT l.sort_key, l.qty, l.price_e4 FROM s_quote_line AS l JOIN s_quote AS q"
              " ON q.id = l.quote_id WHERE q.revision_of IS NOT NULL");
    for (int i = 0; i < lab->device_count; i++) {
        add_query(ledger, &account.inbox, lab->devices[i].path,
                  "SELECT mine, body FROM inbox_item");
    }
    check_entries(&account);
    check_steps(&account);
    free(account.inbox.text);
    free(account.log.text);
    free(account.revisions.text);
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
        struct ledger_text found = {NULL, 0, 0};
        add_query(ledger, &found, path, mixed[i]);
        if (found.length > 0) {
            lab_fail(ledger->lab, "%s: a mixed group: %s gives %s", path, mixed[i], found.text);
        }
    }
}
