/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories of one changeset X, its verdict, and a change that its author makes behind it before the
 * verdict comes: on the same record, on its children, on what it made, on other records, or taking
 * it away. What the device shows meanwhile and in the end, what is in the inbox, that all replicas
 * are equal, and that no value is lost. Real engines, the real server, real TLS. Told by the
 * programs that include this.
 */
#ifndef DAYBOOK_TESTS_FLOW_VERDICT_STORIES_H
#define DAYBOOK_TESTS_FLOW_VERDICT_STORIES_H

#include "tests/support/company.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LATER_MS 3000 /* a clock that is ahead for one commit */

/* How the changeset X is judged: what makes it so, and whether X takes effect. */
enum outcome {
    ACCEPTED,
    LOST, /* merged: somebody's later value stands */
    WON,  /* merged: somebody's earlier value has lost */
    MISSING,
    RULE,
    AUTH,
    DEPENDS,
    RELEASED,
    TURNED_DOWN,
    DUPLICATE,
    HELD,
    OUTCOMES
};

static const struct {
    const char *name;
    const char *code; /* of the rejection; NULL: X takes effect */
} outcomes[OUTCOMES] = {
    [ACCEPTED] = {"accepted", NULL},
    [LOST] = {"merged, lost", NULL},
    [WON] = {"merged, won", NULL},
    [MISSING] = {"rejected REF_MISSING", "REF_MISSING"},
    [RULE] = {"rejected RULE", "RULE"},
    [AUTH] = {"rejected AUTH", "AUTH"},
    [DEPENDS] = {"rejected DEPENDS", "REF_MISSING"}, /* the code of what came first */
    [RELEASED] = {"quarantined, released", NULL},
    [TURNED_DOWN] = {"quarantined, turned down", "AUTH"},
    [DUPLICATE] = {"duplicate", NULL},
    [HELD] = {"held", NULL},
};

/* What its author does behind X. */
enum later { NOTHING, SAME_FIELD, OTHER_FIELD, CHILD, MADE, OTHER, DELETE, LATERS };

static const char *const laters[LATERS] = {"nothing",   "the same field", "another field",
                                           "a child",   "what it made",   "another record",
                                           "its delete"};

struct story {
    enum outcome outcome;
    enum later later;
    char shop[DAYBOOK_ID_SIZE], quote[DAYBOOK_ID_SIZE], line[DAYBOOK_ID_SIZE];
    char contact[DAYBOOK_ID_SIZE]; /* made by X */
    char other[DAYBOOK_ID_SIZE], closed[DAYBOOK_ID_SIZE], chance[DAYBOOK_ID_SIZE];
    char order[DAYBOOK_ID_SIZE], twins[DAYBOOK_ID_SIZE]; /* orders; twins is held */
    char hold[DAYBOOK_ID_SIZE], missing[DAYBOOK_ID_SIZE];
    bool done; /* the later change */
};

static struct company company;
static struct rep *wang, *li;
static char li_user[DAYBOOK_ID_SIZE];

static int set_up(void **state)
{
    (void)state;
    company_open(&company);
    wang = company_hire(&company, "wang", "rep", "East");
    li = company_hire(&company, "li", "rep", "East");
    (void)snprintf(li_user, sizeof li_user, "%s",
                   device_text(&li->device, "SELECT id FROM app_user WHERE login = 'li'"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    company_close(&company);
    return 0;
}

static void clean_inbox(struct rep *rep)
{
    int64_t item;
    while ((item = device_int(&rep->device, "SELECT item FROM inbox LIMIT 1")) >= 0) {
        device_must(daybook_inbox_discard(rep->device.engine, item), NULL);
    }
}

static void set_disabled(const char *login, bool disabled)
{
    char line[120];
    (void)snprintf(line, sizeof line, "{\"entity\":\"app_user\",\"key\":\"%s\",\"disabled\":%s}\n",
                   login, disabled ? "true" : "false");
    server_import(&company.server, line);
}

static void add_order_line(struct rep *rep, const char *order, const char *product)
{
    rep_putf(rep, "order_line", NULL,
             "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"price_e4\":10000}", order,
             product);
}

/* Whether X takes effect. */
static bool applies(const struct story *story)
{
    return outcomes[story->outcome].code == NULL;
}

/* ---- given */

/* What both have before. */
static void prepare(struct story *story)
{
    rep_quote(wang, "shop", story->shop, story->quote, story->line);
    rep_patch(wang, "quote", story->quote, "{\"note\":\"base\"}");
    rep_put(wang, "customer", "{\"name\":\"other\"}", story->other);
    rep_put(wang, "customer", "{\"name\":\"closed\"}", story->closed);
    rep_putf(wang, "opportunity", story->chance,
             "{\"customer_id\":\"%s\",\"subject\":\"s\",\"lost_reason\":\"price\"}", story->shop);
    rep_putf(wang, "sales_order", story->order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             story->shop);
    rep_putf(wang, "sales_order", story->twins, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             story->shop);
    if (story->outcome == AUTH) {
        add_order_line(wang, story->twins, TEA);
        add_order_line(wang, story->twins, TEA);
    }
    company_settle(&company);
    (void)snprintf(
        story->hold, sizeof story->hold, "%s",
        device_text_of(&li->device, "SELECT id FROM hold WHERE record_id = ?1", story->twins));
    clean_inbox(wang);
    clean_inbox(li);
}

/* What others do meanwhile, so that X is judged as the story says. */
static void meanwhile(struct story *story)
{
    if (story->outcome == LOST || story->outcome == WON) {
        tap_set_ahead(&wang->tap, story->outcome == LOST ? LATER_MS : 0);
        rep_patch(wang, "quote", story->quote, "{\"note\":\"wang\"}");
        tap_set_ahead(&wang->tap, 0);
    } else if (story->outcome == RULE) {
        rep_patch(wang, "opportunity", story->chance, "{\"lost_reason\":null}");
    } else if (story->outcome == MISSING || story->outcome == DEPENDS) {
        rep_delete(wang, "customer", story->closed);
    }
    rep_sync(wang);
    if (story->outcome == RELEASED || story->outcome == TURNED_DOWN) {
        set_disabled("li", true);
    }
}

static void put_in(daybook_transaction *transaction, const char *entity, char *id,
                   const char *format, const char *a, const char *b)
{
    char json[400];
    (void)snprintf(json, sizeof json, format, a, b);
    device_must(
        daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id, &li->device.error),
        &li->device.error);
}

static void patch_in(daybook_transaction *transaction, const char *entity, const char *id,
                     const char *json)
{
    device_must(daybook_patch_json(transaction, entity, id, device_version(&li->device, entity, id),
                                   json, &li->device.error),
                &li->device.error);
}

/* What X has in it beside what every X has. */
static void add_trigger(struct story *story, daybook_transaction *transaction)
{
    static const char line[] =
        "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"price_e4\":10000}";
    char json[200];
    if (story->outcome == MISSING) {
        put_in(transaction, "visit", NULL, "{\"customer_id\":\"%s\"}", story->closed, "");
    } else if (story->outcome == DEPENDS) {
        put_in(transaction, "visit", NULL, "{\"customer_id\":\"%s\"}", story->missing, "");
    } else if (story->outcome == RULE) {
        patch_in(transaction, "opportunity", story->chance, "{\"status\":\"lost\"}");
    } else if (story->outcome == AUTH) {
        (void)snprintf(json, sizeof json,
                       "{\"cleared\":true,\"cleared_by\":\"%s\",\"cleared_ts\":\"1\"}", li_user);
        patch_in(transaction, "hold", story->hold, json);
    } else if (story->outcome == HELD) {
        put_in(transaction, "order_line", NULL, line, story->order, TEA);
        put_in(transaction, "order_line", NULL, line, story->order, TEA);
    }
}

/* X: changes the quote and makes a contact. Where it is to depend on something refused, that is
 * committed before it. */
static void commit_x(struct story *story)
{
    daybook_transaction *transaction = NULL;
    if (story->outcome == DEPENDS) {
        device_must(daybook_begin(li->device.engine, &transaction), NULL);
        put_in(transaction, "customer", story->missing, "{\"name\":\"missing\"}", "", "");
        put_in(transaction, "visit", NULL, "{\"customer_id\":\"%s\"}", story->closed, "");
        device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
        daybook_end(&transaction);
    }
    tap_set_ahead(&li->tap, story->outcome == WON ? LATER_MS : 0);
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    patch_in(transaction, "quote", story->quote, "{\"note\":\"x\"}");
    put_in(transaction, "contact", story->contact,
           "{\"customer_id\":\"%s\",\"name\":\"made by X\"}", story->shop, "");
    add_trigger(story, transaction);
    device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
    daybook_end(&transaction);
    tap_set_ahead(&li->tap, 0);
}

/* The change behind X, while the request that carries X is under way. */
static void commit_later(void *context, int number)
{
    struct story *story = context;
    (void)number;
    if (story->done) {
        return;
    }
    story->done = true;
    switch (story->later) {
    case SAME_FIELD: rep_patch(li, "quote", story->quote, "{\"note\":\"later\"}"); break;
    case OTHER_FIELD: rep_patch(li, "quote", story->quote, "{\"valid_to\":20271231}"); break;
    case CHILD:
        rep_putf(li, "quote_line", NULL,
                 "{\"quote_id\":\"%s\",\"product_id\":\"" COOKIE "\",\"qty\":1000,"
                 "\"price_e4\":50000}",
                 story->quote);
        break;
    case MADE: rep_patch(li, "contact", story->contact, "{\"name\":\"edited\"}"); break;
    case OTHER: rep_patch(li, "customer", story->other, "{\"prefs\":\"later\"}"); break;
    case DELETE: rep_delete(li, "quote", story->quote); break;
    default: break;
    }
}

/* ---- then */

/* A field of a record on li's device, with the story where it is another than expected. */
static void expect(const struct story *story, const char *when, const char *entity, const char *id,
                   const char *field, const char *value)
{
    const char *shown = rep_field(li, entity, id, field);
    if (strcmp(shown, value) != 0) {
        fail_msg("%s, then %s; %s: %s.%s is \"%s\", not \"%s\"", outcomes[story->outcome].name,
                 laters[story->later], when, entity, field, shown, value);
    }
}

static void expect_count(const struct story *story, const char *when, struct rep *rep,
                         const char *sql, int64_t count)
{
    int64_t found = device_int(&rep->device, sql);
    if (found != count) {
        fail_msg("%s, then %s; %s: %s is %lld, not %lld", outcomes[story->outcome].name,
                 laters[story->later], when, sql, (long long)found, (long long)count);
    }
}

/* The contact that X made, with the later change where there is one. */
static const char *contact_name(const struct story *story)
{
    return story->later == MADE ? "edited" : "made by X";
}

/* When X's verdict is known and what is behind X is not sent. */
static void check_meanwhile(const struct story *story)
{
    static const char when[] = "with the verdict";
    bool applied = applies(story);
    const char *note = !applied ? "base" : story->outcome == LOST ? "wang" : "x";
    note = story->later == SAME_FIELD ? "later" : story->later == DELETE ? "" : note;
    expect(story, when, "quote", story->quote, "note", note);
    expect(story, when, "contact", story->contact, "name", applied ? contact_name(story) : "");
    expect(story, when, "quote", story->quote, "valid_to",
           story->later == OTHER_FIELD ? "20271231" : "");
    expect(story, when, "customer", story->other, "prefs", story->later == OTHER ? "later" : "");
    expect_count(story, when, li, "SELECT count(*) FROM inbox WHERE kind = 'rejected'",
                 applied ? 0 : 1);
}

/* While X waits for an operator: li is let in again, and what is behind X goes up. */
static void wait_for_operator(struct story *story)
{
    char out[2000], changeset[DAYBOOK_ID_SIZE];
    set_disabled("li", false);
    rep_sync(li);
    expect(story, "in quarantine", "contact", story->contact, "name", contact_name(story));
    expect(story, "in quarantine", "quote", story->quote, "note",
           story->later == SAME_FIELD ? "later"
           : story->later == DELETE   ? ""
                                      : "x");
    assert_string_equal(
        device_text_of(&li->device, "SELECT state FROM sync_state WHERE id = ?1", story->contact),
        "quarantined");
    (void)snprintf(changeset, sizeof changeset, "%s",
                   server_text(&company.server,
                               "SELECT lower(substr(h,1,8)||'-'||substr(h,9,4)||'-'||"
                               "substr(h,13,4)||'-'||substr(h,17,4)||'-'||substr(h,21)) FROM"
                               " (SELECT hex(changeset) AS h FROM quarantine WHERE ended = 0"
                               " ORDER BY seq LIMIT 1)"));
    assert_int_equal(
        server_run(&company.server, out, sizeof out,
                   (const char *[]){"quarantine", story->outcome == RELEASED ? "release" : "reject",
                                    changeset, NULL}),
        0);
    assert_int_equal(server_int(&company.server, "SELECT count(*) FROM quarantine WHERE ended = 0"),
                     0);
}

/* The quote in the end. */
static void check_quote(const struct story *story)
{
    static const char when[] = "in the end";
    const char *note = !applies(story) ? "base" : story->outcome == LOST ? "wang" : "x";
    /* Where wang has edited it, unseen, the edit wins against the delete, whichever value stands.
     */
    bool gone = story->later == DELETE && story->outcome != LOST && story->outcome != WON;
    if (story->later == SAME_FIELD && story->outcome != LOST) {
        note = "later";
    }
    expect(story, when, "quote", story->quote, "note", gone ? "" : note);
    expect(story, when, "quote", story->quote, "valid_to",
           story->later == OTHER_FIELD ? "20271231" : "");
    assert_int_equal(
        rep_count(li, "SELECT count(*) FROM quote_line WHERE quote_id = ?1", story->quote),
        gone                    ? 0
        : story->later == CHILD ? 2
                                : 1);
    /* Nothing that was typed is lost: what is not in the record is in the conflict log or in the
     * inbox, unless its author has replaced it. */
    if (story->later != SAME_FIELD && !gone) {
        const char *found = device_text_of(
            &li->device,
            "SELECT 'found' FROM quote WHERE id = ?1 AND note = 'x' UNION ALL"
            " SELECT 'found' FROM field_conflict WHERE record_id = ?1 AND lost = '\"x\"' UNION ALL"
            " SELECT 'found' FROM inbox WHERE body LIKE '%\"x\"%' UNION ALL"
            " SELECT 'found' FROM inbox WHERE chain > 0",
            story->quote);
        assert_string_equal(found, "found");
    }
}

/* Everything in the end, when all replicas are equal. */
static void check_end(const struct story *story)
{
    static const char when[] = "in the end";
    bool applied = applies(story);
    int chain = (story->outcome == DEPENDS ? 1 : 0) + (story->later == MADE ? 1 : 0);
    bool undeleted = story->outcome == WON && story->later == DELETE;
    int superseded = story->outcome != LOST                                 ? undeleted
                     : story->later == SAME_FIELD || story->later == DELETE ? 2
                                                                            : 1;
    check_quote(story);
    expect(story, when, "contact", story->contact, "name", applied ? contact_name(story) : "");
    expect(story, when, "customer", story->other, "prefs", story->later == OTHER ? "later" : "");
    expect_count(story, when, li, "SELECT count(*) FROM inbox WHERE kind = 'rejected'",
                 applied ? 0 : 1);
    if (!applied) {
        assert_string_equal(device_text(&li->device, "SELECT code FROM inbox"),
                            outcomes[story->outcome].code);
        expect_count(story, when, li, "SELECT chain FROM inbox", chain);
    }
    expect_count(story, when, li, "SELECT count(*) FROM inbox WHERE kind = 'superseded'",
                 superseded);
    expect_count(story, when, wang, "SELECT count(*) FROM inbox", story->outcome == WON ? 1 : 0);
    expect_count(story, when, li, "SELECT count(*) FROM inbox WHERE kind = 'held'",
                 story->outcome == HELD ? 1 : 0);
    assert_string_equal(
        device_text_of(&wang->device, "SELECT state FROM sync_state WHERE id = ?1", story->order),
        story->outcome == HELD ? "held" : "");
    assert_int_equal(device_status(&li->device).pending + device_status(&li->device).unsettled, 0);
}

/* What was turned down is sent anew as it was, with what came back with it. */
static void send_anew(const struct story *story)
{
    bool fits = story->later == NOTHING || story->later == OTHER || story->later == MADE;
    if (story->outcome != TURNED_DOWN || !fits) {
        return;
    }
    device_must(daybook_inbox_keep_mine(li->device.engine,
                                        device_int(&li->device, "SELECT item FROM inbox"),
                                        &li->device.error),
                &li->device.error);
    company_settle(&company);
    expect(story, "sent anew", "quote", story->quote, "note", "x");
    expect(story, "sent anew", "contact", story->contact, "name", contact_name(story));
    expect_count(story, "sent anew", li, "SELECT count(*) FROM inbox", 0);
}

static void tell(enum outcome outcome, enum later later)
{
    struct story story = {.outcome = outcome, .later = later};
    prepare(&story);
    meanwhile(&story);
    commit_x(&story);
    li->tap.before = commit_later;
    li->tap.context = &story;
    tap_allow(&li->tap, 1);
    tap_lose_replies(&li->tap, outcome == DUPLICATE ? 1 : 0);
    (void)daybook_sync(li->device.engine, 0, &li->device.error);
    li->tap.before = NULL;
    tap_lose_replies(&li->tap, 0);
    tap_allow(&li->tap, -1);
    assert_true(story.done);
    if (outcome == RELEASED || outcome == TURNED_DOWN) {
        wait_for_operator(&story);
    } else if (outcome != DUPLICATE) {
        check_meanwhile(&story);
    }
    company_settle(&company);
    check_end(&story);
    send_anew(&story);
    clean_inbox(li);
    clean_inbox(wang);
}

static void tell_all(enum outcome outcome)
{
    for (enum later later = NOTHING; later < LATERS; later++) {
        tell(outcome, later);
    }
}

/* One test: all stories of an outcome. */
#define STORIES(name, outcome)                                                                     \
    static void test_verdicts__##name(void **state)                                                \
    {                                                                                              \
        (void)state;                                                                               \
        tell_all(outcome);                                                                         \
    }

#endif
