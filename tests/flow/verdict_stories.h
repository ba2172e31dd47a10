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
#include <time.h>

#include <cmocka.h>

#define LATER_MS 3000      /* a clock that is ahead for one commit */
#define DOUBTFUL_MS 900000 /* one that is so far ahead that the server does not believe it */
#define AGO_MS 1000        /* before what others do meanwhile; longer than a request travels */

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
    CLOCK,
    REMAPPED,
    MOVED,
    TRANSITION,
    LIMIT,
    SCOPE,
    EXISTS,
    OUTCOMES
};

static const struct {
    const char *name;
    const char *code; /* of the rejection; NULL: X takes effect */
    const char *word; /* comes down with the verdict */
    const char *kind; /* of the item in its author's inbox that says so; NULL: none */
} outcomes[OUTCOMES] = {
    [ACCEPTED] = {"accepted", NULL, "\"accepted\"", NULL},
    [LOST] = {"merged, lost", NULL, "\"merged\"", NULL},
    [WON] = {"merged, won", NULL, "\"merged\"", NULL},
    [MISSING] = {"rejected REF_MISSING", "REF_MISSING", "\"rejected\"", NULL},
    [RULE] = {"rejected RULE", "RULE", "\"rejected\"", NULL},
    [AUTH] = {"rejected AUTH", "AUTH", "\"rejected\"", NULL},
    /* the code of what came first */
    [DEPENDS] = {"rejected DEPENDS", "REF_MISSING", "\"code\":\"DEPENDS\"", NULL},
    [RELEASED] = {"quarantined, released", NULL, "\"quarantined\"", NULL},
    [TURNED_DOWN] = {"quarantined, turned down", "AUTH", "\"quarantined\"", NULL},
    [DUPLICATE] = {"duplicate", NULL, "\"duplicate\":true", NULL},
    [HELD] = {"held", NULL, "\"DUP_LINE\"", "held"},
    [CLOCK] = {"clamped", NULL, "\"clock\":true", NULL},
    [REMAPPED] = {"remapped", NULL, "\"remapped\":true", "remapped"},
    [MOVED] = {"moved", NULL, "\"moved\":", "moved"},
    [TRANSITION] = {"rejected TRANSITION", "TRANSITION", "\"rejected\"", NULL},
    [LIMIT] = {"rejected LIMIT", "LIMIT", "\"rejected\"", NULL},
    [SCOPE] = {"rejected SCOPE", "SCOPE", "\"rejected\"", NULL},
    [EXISTS] = {"rejected EXISTS", "EXISTS", "\"rejected\"", NULL},
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
    char hold[DAYBOOK_ID_SIZE], missing[DAYBOOK_ID_SIZE], visit[DAYBOOK_ID_SIZE];
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

/* The operator changes something of a record, or, with a login for its id, of a user. */
static void change(const char *entity, const char *id, const char *fields)
{
    char line[300];
    (void)snprintf(line, sizeof line, "{\"entity\":\"%s\",\"%s\":\"%s\",%s}\n", entity,
                   strcmp(entity, "app_user") == 0 ? "key" : "id", id, fields);
    server_import(&company.server, line);
}

/* A patch that gives a record so many tags. */
static void set_tags(struct rep *rep, const char *customer, int count)
{
    char json[4000] = "{\"tags\":[";
    size_t length = strlen(json);
    for (int i = 0; i < count; i++) {
        length +=
            (size_t)snprintf(json + length, sizeof json - length, "%s\"%d\"", i == 0 ? "" : ",", i);
    }
    (void)snprintf(json + length, sizeof json - length, "]}");
    rep_patch(rep, "customer", customer, json);
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

/* What both have before; and then they sync. */
static void prepare(struct story *story)
{
    rep_quote(wang, "shop", story->shop, story->quote, story->line);
    rep_patch(wang, "quote", story->quote, "{\"note\":\"base\"}");
    rep_put(wang, "customer", "{\"name\":\"other\"}", story->other);
    rep_put(wang, "customer", "{\"name\":\"other\"}", story->closed);
    rep_putf(wang, "opportunity", story->chance,
             "{\"customer_id\":\"%s\",\"subject\":\"s\",\"lost_reason\":\"price\"}", story->shop);
    rep_putf(wang, "sales_order", story->order, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             story->shop);
    rep_putf(wang, "sales_order", story->twins, "{\"customer_id\":\"%s\",\"cur\":\"CNY\"}",
             story->shop);
    rep_putf(wang, "visit", story->visit,
             "{\"customer_id\":\"%s\",\"plan_day\":20261121,\"status\":\"cancelled\"}",
             story->shop);
    if (story->outcome == AUTH) {
        add_order_line(wang, story->twins, TEA);
        add_order_line(wang, story->twins, TEA);
    } else if (story->outcome == LIMIT) {
        set_tags(wang, story->closed, 150);
    }
}

/* What has come of it at the server. */
static void look_up(struct story *story)
{
    (void)snprintf(
        story->hold, sizeof story->hold, "%s",
        device_text_of(&li->device, "SELECT id FROM hold WHERE record_id = ?1", story->twins));
}

/* What others do that X's author does not know, so that X is judged as the story says. */
static void meanwhile(struct story *story)
{
    switch (story->outcome) {
    case LOST:
    case WON:
        tap_set_ahead(&wang->tap, story->outcome == LOST ? LATER_MS : 0);
        rep_patch(wang, "quote", story->quote, "{\"note\":\"wang\"}");
        tap_set_ahead(&wang->tap, 0);
        break;
    case RULE: rep_patch(wang, "opportunity", story->chance, "{\"lost_reason\":null}"); break;
    case MISSING:
    case DEPENDS: rep_delete(wang, "customer", story->closed); break;
    case TRANSITION: rep_patch(wang, "visit", story->visit, "{\"plan_day\":20261123}"); break;
    case LIMIT: set_tags(wang, story->closed, 200); break;
    case EXISTS:
        rep_putf(wang, "quote", NULL,
                 "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"doc_no\":\"Q %.20s\"}", story->shop,
                 story->shop + 14);
        break;
    default: break;
    }
    rep_sync(wang);
    if (story->outcome == RELEASED || story->outcome == TURNED_DOWN) {
        change("app_user", "li", "\"disabled\":true");
    } else if (story->outcome == REMAPPED) {
        server_must(&company.server,
                    (const char *[]){"customer", "merge", story->closed, story->other, NULL});
    } else if (story->outcome == MOVED) {
        change("customer", story->closed, "\"territory_id\":{\"key\":\"South\"}");
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

static void add_tag_in(daybook_transaction *transaction, const char *customer)
{
    daybook_record *record = NULL;
    device_must(daybook_patch(transaction, "customer", customer,
                              device_version(&li->device, "customer", customer), &record),
                NULL);
    device_must(daybook_set_add(record, "tags", "li"), NULL);
}

/* What X has in it beside what every X has. */
static void add_trigger(struct story *story, daybook_transaction *transaction)
{
    static const char line[] =
        "{\"order_id\":\"%s\",\"product_id\":\"%s\",\"qty\":1000,\"price_e4\":10000}";
    char json[200];
    char number[32];
    (void)snprintf(number, sizeof number, "Q %.20s", story->shop + 14);
    if (story->outcome == MISSING || story->outcome == REMAPPED || story->outcome == MOVED) {
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
    } else if (story->outcome == TRANSITION) {
        patch_in(transaction, "visit", story->visit,
                 "{\"status\":\"in_progress\",\"checkin_ts\":1795226400000,\"checkin_tz_min\":0}");
    } else if (story->outcome == LIMIT) {
        add_tag_in(transaction, story->closed);
    } else if (story->outcome == SCOPE) {
        put_in(transaction, "customer", NULL, "{\"name\":\"nobody's\"}", "", "");
    } else if (story->outcome == EXISTS) {
        put_in(transaction, "quote", NULL,
               "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"doc_no\":\"%s\"}", story->shop, number);
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
    tap_set_ahead(&li->tap, story->outcome == WON     ? LATER_MS
                            : story->outcome == CLOCK ? DOUBTFUL_MS
                                                      : 0);
    tap_set_ago(&li->tap, story->outcome == MOVED ? AGO_MS : 0);
    device_must(daybook_begin(li->device.engine, &transaction), NULL);
    patch_in(transaction, "quote", story->quote, "{\"note\":\"x\"}");
    put_in(transaction, "contact", story->contact,
           "{\"customer_id\":\"%s\",\"name\":\"made by X\"}", story->shop, "");
    add_trigger(story, transaction);
    device_must(daybook_commit(transaction, &li->device.error), &li->device.error);
    daybook_end(&transaction);
    tap_set_ahead(&li->tap, 0);
    tap_set_ago(&li->tap, 0);
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
    change("app_user", "li", "\"disabled\":false");
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
    expect_count(story, when, li,
                 "SELECT count(*) FROM inbox WHERE kind NOT IN ('rejected', 'superseded')",
                 outcomes[story->outcome].kind == NULL ? 0 : 1);
    if (outcomes[story->outcome].kind != NULL) {
        assert_string_equal(
            device_text(&li->device, "SELECT kind FROM inbox WHERE kind <> 'superseded'"),
            outcomes[story->outcome].kind);
    }
    assert_true(tap_has_received(&li->tap, outcomes[story->outcome].word));
    if (story->outcome == REMAPPED || story->outcome == MOVED) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE customer_id = '%s'",
                       story->outcome == REMAPPED ? story->other : story->closed);
        assert_int_equal(server_int(&company.server, sql), 1);
    }
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

static void tell(struct story *story)
{
    enum outcome outcome = story->outcome;
    meanwhile(story);
    commit_x(story);
    tap_forget(&li->tap);
    li->tap.before = commit_later;
    li->tap.context = story;
    tap_allow(&li->tap, 1);
    tap_lose_replies(&li->tap, outcome == DUPLICATE ? 1 : 0);
    (void)daybook_sync(li->device.engine, 0, &li->device.error);
    li->tap.before = NULL;
    tap_lose_replies(&li->tap, 0);
    tap_allow(&li->tap, -1);
    assert_true(story->done);
    if (outcome == RELEASED || outcome == TURNED_DOWN) {
        wait_for_operator(story);
    } else if (outcome != DUPLICATE) {
        check_meanwhile(story);
    }
    company_settle(&company);
    check_end(story);
    send_anew(story);
    clean_inbox(li);
    clean_inbox(wang);
}

static void tell_all(enum outcome outcome)
{
    static struct story stories[LATERS];
    memset(stories, 0, sizeof stories);
    if (outcome == SCOPE) { /* whose customers are in no territory, and who sees Wang's */
        change("app_user", "li", "\"user_role\":\"manager\",\"territory_id\":null");
        change("app_user", "wang", "\"manager_id\":{\"key\":\"li\"}");
    }
    for (enum later later = NOTHING; later < LATERS; later++) {
        stories[later] = (struct story){.outcome = outcome, .later = later};
        prepare(&stories[later]);
    }
    company_settle(&company);
    clean_inbox(wang);
    clean_inbox(li);
    if (outcome == MOVED) { /* what is recorded was there to be seen then */
        server_add_user(&company.server, "tom", "rep", "South");
        const struct timespec pause = {.tv_sec = 1, .tv_nsec = 200000000};
        (void)nanosleep(&pause, NULL);
    }
    for (enum later later = NOTHING; later < LATERS; later++) {
        look_up(&stories[later]);
        tell(&stories[later]);
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
