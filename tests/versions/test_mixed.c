/* SPDX-License-Identifier: Apache-2.0
 *
 * Random days of a company in which the server learns a schema at some moment, and one device is
 * updated at another: people with older and newer apps write what the older server knows, what it
 * keeps without knowing it, and what has to wait, each offline for a while. In the end nothing
 * waits, everybody has the same, and every value is in its record, in the conflict log, in a
 * proposal, or was replaced by somebody who had seen it.
 *
 *   DAYBOOK_MIXED_FIRST=n  the first seed; 1
 *   DAYBOOK_MIXED_SEEDS=n  how many; 2
 */
#include "tests/versions/version_world.h"

#define STEPS 50
#define ENTRIES_MAX 400
#define DEFAULT_SEEDS 2

enum { WANG, LI, ZHAO, BOSS, PEOPLE }; /* Wang's app stays the older one, Zhao's is updated */

/* A value that somebody entered: a text "t<number>~". */
struct entry {
    int shown;     /* the number that its author saw in this place; 0: none */
    char row[100]; /* entity and id */
};

struct day {
    struct company company;
    struct pocket people[PEOPLE];
    uint64_t random;
    struct entry entries[ENTRIES_MAX];
    int count;
    char script[POCKET_TEXT];
};

/* A field that people write, and for whom. */
static const struct {
    const char *entity, *field;
    bool newer; /* only newer apps have it */
    bool waits; /* what an older server cannot read */
    int length; /* of the text; 0: short */
} fields[] = {
    {"customer", "name", false, false, 0},        {"customer", "kind", false, false, 0},
    {"customer", "channel", false, false, 0},     {"customer", "website", true, false, 0},
    {"customer", "credit_class", true, false, 0}, {"contact", "name", false, false, 0},
    {"contact", "phone", false, false, 0},        {"contact", "email", false, false, 0},
    {"contact", "title", true, true, 200},        {"survey", "remark", true, true, 0},
};
#define FIELDS ((int)(sizeof fields / sizeof fields[0]))

static int pick(struct day *day, int below)
{
    day->random = day->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((day->random >> 33) % (uint64_t)below);
}

static bool is_newer(const struct pocket *pocket)
{
    return strcmp(pocket->program, NEWER_DEVICE) == 0;
}

/* The number in a text; 0: none. */
static int number_of(const char *text)
{
    return text[0] == 't' ? (int)strtol(text + 1, NULL, 10) : 0;
}

/* A random record that the device shows; false where there is none. */
static bool some_record(struct day *day, const struct pocket *pocket, const char *entity, char *id)
{
    char sql[200], count[20];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", entity);
    int rows = (int)strtol(device_file_text(pocket->store, sql, count, sizeof count), NULL, 10);
    if (rows == 0) {
        return false;
    }
    (void)snprintf(sql, sizeof sql, "SELECT id FROM %s ORDER BY id_key LIMIT 1 OFFSET %d", entity,
                   pick(day, rows));
    (void)device_file_text(pocket->store, sql, id, DAYBOOK_ID_SIZE);
    return true;
}

/* A new value, with what its author sees in its place. */
static const char *enter(struct day *day, const char *entity, const char *id, const char *shown,
                         int length)
{
    static char text[400];
    assert_true(day->count + 1 < ENTRIES_MAX);
    struct entry *entry = &day->entries[++day->count];
    entry->shown = number_of(shown);
    (void)snprintf(entry->row, sizeof entry->row, "%s %s", entity, id);
    (void)snprintf(text, sizeof text, "t%d~%*s", day->count, length, "");
    return text;
}

/* Runs what was written on a device, and sees that it was taken. */
static void run(struct day *day, struct pocket *pocket)
{
    if (getenv("DAYBOOK_MIXED_TRACE") != NULL) {
        print_message("%s: %s\n", pocket->login, day->script);
    }
    (void)pocket_run(pocket, day->script);
}

/* Makes a customer, or a contact or survey of one. */
static void make(struct day *day, struct pocket *pocket)
{
    char customer[DAYBOOK_ID_SIZE];
    int what = pick(day, is_newer(pocket) ? 3 : 2);
    if (what == 0 || !some_record(day, pocket, "customer", customer)) {
        (void)snprintf(day->script, sizeof day->script, "put customer {\"name\":\"%s\"}",
                       enter(day, "customer", "", "", 0));
    } else if (what == 1) {
        (void)snprintf(day->script, sizeof day->script,
                       "put contact {\"customer_id\":\"%s\",\"name\":\"%s\"}", customer,
                       enter(day, "contact", "", "", 0));
    } else {
        (void)snprintf(day->script, sizeof day->script,
                       "put survey {\"customer_id\":\"%s\",\"score\":4,\"remark\":\"%s\"}",
                       customer, enter(day, "survey", "", "", 0));
    }
    run(day, pocket);
}

/* Gives a field of a record another value. */
static void patch(struct day *day, struct pocket *pocket)
{
    char id[DAYBOOK_ID_SIZE], shown[POCKET_TEXT];
    int i = pick(day, FIELDS);
    while ((fields[i].newer && !is_newer(pocket)) ||
           !some_record(day, pocket, fields[i].entity, id)) {
        i = i > 0 ? i - 1
                  : 0; /* the first one everybody has, of the customer that all began with */
    }
    (void)snprintf(shown, sizeof shown, "%s",
                   store_field(pocket->store, fields[i].entity, id, fields[i].field));
    (void)snprintf(day->script, sizeof day->script, "patch %s %s {\"%s\":\"%s\"}", fields[i].entity,
                   id, fields[i].field, enter(day, fields[i].entity, id, shown, fields[i].length));
    run(day, pocket);
}

/* What carries no number: steps of a machine, an element of a set, a choice, that a server of the
 * older schema keeps or has to leave waiting. The engine may refuse a step that is none. */
static void change(struct day *day, struct pocket *pocket)
{
    static const char *const changes[][2] = {{"contact", "{\"stage\":\"trusted\"}"},
                                             {"contact", "{\"stage\":\"gone\"}"},
                                             {"customer", "{\"segments\":{\"add\":[\"gold\"]}}"},
                                             {"customer", "{\"status\":\"dormant\"}"}};
    char id[DAYBOOK_ID_SIZE];
    int i = pick(day, 4);
    if (is_newer(pocket) && some_record(day, pocket, changes[i][0], id)) {
        (void)snprintf(day->script, sizeof day->script, "patch %s %s %s", changes[i][0], id,
                       changes[i][1]);
        (void)pocket_try(pocket, day->script);
    }
}

/* One step of a day. */
static void step(struct day *day)
{
    struct pocket *pocket = &day->people[pick(day, PEOPLE)];
    switch (pick(day, 8)) {
    case 0:
    case 1: make(day, pocket); break;
    case 2:
    case 3: patch(day, pocket); break;
    case 4:
    case 5: change(day, pocket); break;
    default: (void)pocket_run(pocket, "sync"); break;
    }
}

/* Whether the server has a value anywhere. */
static bool is_kept(struct day *day, int number)
{
    static const char *const columns[][2] = {
        {"customer", "name"},       {"customer", "kind"},          {"customer", "channel"},
        {"customer", "website"},    {"customer", "credit_class"},  {"contact", "name"},
        {"contact", "phone"},       {"contact", "email"},          {"contact", "title"},
        {"survey", "remark"},       {"field_conflict", "kept"},    {"field_conflict", "lost"},
        {"proposal", "base_value"}, {"proposal", "proposed_value"}};
    static char sql[2000];
    sql[0] = '\0';
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        (void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql), "%s SELECT %s v FROM %s",
                       i == 0 ? "SELECT count(*) FROM (" : " UNION ALL", columns[i][1],
                       columns[i][0]);
    }
    (void)snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ") WHERE instr(v, 't%d~') > 0",
                   number);
    return server_int(&day->company.server, sql) > 0;
}

/* Accounts for every value. */
static void check_values(struct day *day)
{
    bool replaced[ENTRIES_MAX] = {false};
    for (int i = 1; i <= day->count; i++) {
        replaced[day->entries[i].shown] = true;
    }
    for (int i = 1; i <= day->count; i++) {
        if (!replaced[i] && !is_kept(day, i)) {
            fail_msg("t%d of %s is lost", i, day->entries[i].row);
        }
    }
}

/* All have a customer. */
static void open_day(struct day *day, uint64_t seed)
{
    static const struct {
        const char *login, *role, *program;
    } people[PEOPLE] = {{"wang", "rep", OLDER_DEVICE},
                        {"li", "rep", NEWER_DEVICE},
                        {"zhao", "rep", OLDER_DEVICE},
                        {"boss", "manager", NEWER_DEVICE}};
    memset(day, 0, sizeof *day);
    day->random = seed;
    company_open(&day->company);
    for (int i = 0; i < PEOPLE; i++) {
        server_add_user(&day->company.server, people[i].login, people[i].role, "East");
        pocket_begin(&day->people[i], &day->company, people[i].program, people[i].login);
        (void)pocket_run(&day->people[i],
                         i == 0 ? "put customer {\"name\":\"Shop\"}\nsync" : "sync");
    }
}

/* One day; returns how many changesets waited when the server learned the schema. */
static int64_t run_day(struct day *day, uint64_t seed)
{
    struct pocket *pockets[PEOPLE + 1] = {NULL};
    int64_t waited = 0;
    open_day(day, seed);
    int learns = STEPS / 2 + pick(day, STEPS / 3), updated = pick(day, STEPS);
    for (int i = 0; i < STEPS; i++) {
        if (i == learns) {
            waited = server_int(&day->company.server, "SELECT count(*) FROM quarantine");
            server_become(&day->company.server, NEWER_SERVER);
        }
        if (i == updated) {
            day->people[ZHAO].program = NEWER_DEVICE;
            (void)pocket_run(&day->people[ZHAO], "status");
        }
        step(day);
    }
    for (int i = 0; i < PEOPLE; i++) {
        pockets[i] = &day->people[i];
    }
    world_settle(&day->company, pockets);
    assert_int_equal(
        server_int(&day->company.server, "SELECT count(*) FROM quarantine WHERE ended = 0"), 0);
    assert_int_equal(server_int(&day->company.server, "SELECT count(*) FROM given"), 0);
    check_values(day);
    for (int i = 0; i < PEOPLE; i++) {
        pocket_end(&day->people[i]);
    }
    company_close(&day->company);
    return waited;
}

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtol(text, NULL, 10);
}

static void test_mixed__everybody_ends_with_the_same(void **state)
{
    static struct day day;
    long first = number_from("DAYBOOK_MIXED_FIRST", 1);
    long seeds = number_from("DAYBOOK_MIXED_SEEDS", DEFAULT_SEEDS);
    int64_t waited = 0;
    int values = 0;
    (void)state;
    for (long seed = first; seed < first + seeds; seed++) {
        print_message("\rseed %ld ", seed);
        waited += run_day(&day, (uint64_t)seed);
        values += day.count;
    }
    print_message("\r%ld seeds from %ld, %d values, %lld changesets waited\n", seeds, first, values,
                  (long long)waited);
    assert_true(seeds < DEFAULT_SEEDS || waited > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed__everybody_ends_with_the_same),
    };
    return cmocka_run_group_tests_name("mixed", tests, NULL, NULL);
}
