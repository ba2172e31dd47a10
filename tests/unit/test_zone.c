/* SPDX-License-Identifier: Apache-2.0
 *
 * The organisation's zone on the server: time-zone files, made here or the system's, which are held
 * against the C library; the list of offsets, who writes it anew and when; the night's hour on days
 * when the clocks change; names and data that are no use.
 */
#include "tests/unit/service_world.h"

#include "sync-server/inside.h"
#include "sync-server/tzif.h"

#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SYSTEM_ZONES "/usr/share/zoneinfo"
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NOW_MS INT64_C(1795000000000) /* in November 2026 */
#define BERLIN_2025                                                                                \
    "[[1735689600000,60],[1743296400000,120],[1761440400000,60],[1774746000000,120],"              \
    "[1792890000000,60],[1806195600000,120],[1824944400000,60],[1837645200000,120],"               \
    "[1856394000000,60],[1869094800000,120],[1887843600000,60]]"
#define BERLIN_2026                                                                                \
    "[[1767225600000,60],[1774746000000,120],[1792890000000,60]]" /* of that year only */

/* A change of the clocks, and the type that it begins. */
struct change_at {
    int64_t moment_s;
    uint8_t type;
};

/* A file that is put together. */
struct made {
    uint8_t bytes[1024];
    size_t length;
};

static void add(struct made *made, const void *bytes, size_t length)
{
    assert_true(made->length + length <= sizeof made->bytes);
    memcpy(made->bytes + made->length, bytes, length);
    made->length += length;
}

/* A big-endian number of so many bytes. */
static void add_number(struct made *made, int64_t number, int size)
{
    for (int i = size - 1; i >= 0; i--) {
        uint8_t byte = (uint8_t)((uint64_t)number >> 8 * i);
        add(made, &byte, 1);
    }
}

static void add_header(struct made *made, size_t times, size_t types)
{
    static const char reserved[15];
    add(made, "TZif2", 5);
    add(made, reserved, sizeof reserved);
    add_number(made, 1, 4); /* marks of UTC, of standard time, and a leap second */
    add_number(made, 1, 4);
    add_number(made, 1, 4);
    add_number(made, (int64_t)times, 4);
    add_number(made, (int64_t)types, 4);
    add_number(made, 4, 4);
}

/* The file of these changes, offsets of types in seconds, and rule. Its first block has nothing to
 * do with it. */
static struct made make_file(const struct change_at *changes, size_t count, const int *offsets,
                             size_t types, const char *rule)
{
    struct made made = {.length = 0};
    add_header(&made, 0, 1);
    add_number(&made, 777, 4);
    add(&made, "\0\0LMT\0", 6);
    add_number(&made, 0, 8);
    add_number(&made, 0, 2);
    add_header(&made, count, types);
    for (size_t i = 0; i < count; i++) {
        add_number(&made, changes[i].moment_s, 8);
    }
    for (size_t i = 0; i < count; i++) {
        add(&made, &changes[i].type, 1);
    }
    for (size_t i = 0; i < types; i++) {
        add_number(&made, offsets[i], 4);
        add_number(&made, 0, 2);
    }
    add(&made, "LMT\0", 4);
    add_number(&made, 0, 8); /* the leap second: when, and how many by then */
    add_number(&made, 0, 4);
    add_number(&made, 0, 2);
    add(&made, "\n", 1);
    add(&made, rule, strlen(rule));
    add(&made, "\n", 1);
    return made;
}

/* A file with a rule alone. */
static struct made make_rule(const char *rule)
{
    static const int offsets[] = {0};
    return make_file(NULL, 0, offsets, 1, rule);
}

/* ---- files */

/* Given rules of each form, when offsets are asked for about their changes, then they are those of
 * the rule. */
static void test_zone__rules(void **state)
{
    (void)state;
    static const char *const rules[] = {
        BERLIN,
        "IST-1GMT0,M10.5.0,M3.5.0/1", /* Dublin: winter is the exception */
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "EST5EDT,0/0,J365/25", /* summer all year */
        "AAA0BBB,J60/0,J61/0",
        "AAA0BBB,59/0,60/0",
        "CST-8",
    };
    static const struct {
        int rule;
        int64_t moment_s, offset_s;
    } cases[] = {
        {0, 1774745999, 3600},   {0, 1774746000, 7200},   {0, 1792889999, 7200},
        {0, 1792890000, 3600},   {1, 1774745999, 0},      {1, 1774746000, 3600},
        {1, 1792889999, 3600},   {1, 1792890000, 0},      {2, 1775314799, 39600},
        {2, 1775314800, 37800},  {2, 1791041399, 37800},  {2, 1791041400, 39600},
        {3, 1774745999, -7200},  {3, 1774746000, -3600},  {3, 1792889999, -3600},
        {3, 1792890000, -7200},  {4, 1767225600, -14400}, {4, 1782864000, -14400},
        {4, 1798761599, -14400}, {5, 1772323199, 0},      {5, 1772323200, 3600},
        {5, 1772409600, 0},      {5, 1709251200, 3600},   {5, 1709250000, 0},
        {6, 1772323200, 3600},   {6, 1709164800, 3600},   {6, 1709251200, 0},
        {7, 1774746000, 28800},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct made made = make_rule(rules[cases[i].rule]);
        struct tzif tzif;
        assert_true(srv_tzif_open(made.bytes, made.length, &tzif));
        if (srv_tzif_offset_s(&tzif, cases[i].moment_s) != cases[i].offset_s) {
            fail_msg("%s at %lld", rules[cases[i].rule], (long long)cases[i].moment_s);
        }
    }
}

/* Given listed changes, when offsets are asked for, then each holds up to the next, the first type
 * before all, and behind them the rule or, without one, the last. */
static void test_zone__listed_changes(void **state)
{
    (void)state;
    static const struct change_at changes[] = {{-1000, 1}, {500, 2}, {1792890000, 0}};
    static const int offsets[] = {600, -7200, 5400};
    static const struct {
        int64_t moment_s, offset_s;
    } cases[] = {{INT64_MIN, 600}, {-1001, 600},       {-1000, -7200},     {499, -7200},
                 {500, 5400},      {1792889999, 5400}, {1792890000, 3600}, {1806195600, 7200}};
    for (int with_rule = 0; with_rule < 2; with_rule++) {
        struct made made = make_file(changes, 3, offsets, 3, with_rule == 1 ? BERLIN : "");
        struct tzif tzif;
        assert_true(srv_tzif_open(made.bytes, made.length, &tzif));
        for (size_t i = 0; i < COUNT(cases); i++) {
            bool behind = cases[i].moment_s >= changes[2].moment_s;
            assert_int_equal(srv_tzif_offset_s(&tzif, cases[i].moment_s),
                             behind && with_rule == 0 ? 600 : cases[i].offset_s);
        }
    }
}

/* Given the system's data, when the C library and the reader are asked for the same moments, then
 * they say the same. */
static void test_zone__as_the_c_library_says(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Berlin",    "Europe/Dublin",     "America/New_York",
        "America/Santiago", "America/St_Johns",  "America/Nuuk",
        "Asia/Shanghai",    "Asia/Kathmandu",    "Australia/Lord_Howe",
        "Australia/Sydney", "Africa/Casablanca", "Africa/Cairo",
        "Asia/Gaza",        "Pacific/Chatham",   "UTC"};
    struct stat there;
    if (stat(SYSTEM_ZONES "/Europe/Berlin", &there) != 0) {
        print_message("there is no time-zone data here\n");
        skip();
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        static uint8_t bytes[65536];
        char path[200];
        struct tzif tzif;
        (void)snprintf(path, sizeof path, ":" SYSTEM_ZONES "/%s", names[i]);
        FILE *file = fopen(path + 1, "rb");
        assert_non_null(file);
        size_t length = fread(bytes, 1, sizeof bytes, file);
        assert_int_equal(fclose(file), 0);
        assert_true(srv_tzif_open(bytes, length, &tzif));
        assert_int_equal(setenv("TZ", path, 1), 0);
        tzset();
        for (time_t s = srv_tzif_year_s(2010); s < srv_tzif_year_s(2045); s += 7201) {
            struct tm civil;
            assert_non_null(localtime_r(&s, &civil));
            int64_t local_s = srv_tzif_year_s(civil.tm_year + 1900) + civil.tm_yday * 86400 +
                              civil.tm_hour * 3600 + civil.tm_min * 60 + civil.tm_sec;
            if (srv_tzif_offset_s(&tzif, (int64_t)s) != local_s - (int64_t)s) {
                fail_msg("%s at %lld", names[i], (long long)s);
            }
        }
    }
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

/* Given a file that is cut anywhere, or has one byte changed, when it is read, then it is refused
 * or read to the end, and nothing outside of it is looked at. */
static void test_zone__damaged_files(void **state)
{
    (void)state;
    static const struct change_at changes[] = {{-1000, 1}, {500, 0}};
    static const struct change_at backwards[] = {{500, 1}, {500, 0}};
    static const struct change_at no_type[] = {{500, 2}};
    static const int offsets[] = {600, -7200};
    static const char *const no_rules[] = {"C-1",
                                           "CET",
                                           "CET-x",
                                           "CET-168",
                                           "CET-1CEST",
                                           "CET-1CE,M3.5.0,M10.5.0",
                                           BERLIN "x",
                                           "CET-1CEST,M13.5.0,M10.5.0",
                                           "CET-1CEST,M3.6.0,M10.5.0",
                                           "CET-1CEST,M3.5.7,M10.5.0",
                                           "CET-1CEST,M0.5.0,M10.5.0",
                                           "CET-1CEST,J0,J5",
                                           "CET-1CEST,366,J5",
                                           "CET-1CEST,M3.5.0/,M10.5.0",
                                           "<CET-1",
                                           "CET-1:60",
                                           "CET-1CEST,M3.5.0,M10.5.0/1:2:60"};
    struct made made = make_file(changes, 2, offsets, 2, BERLIN);
    struct tzif tzif;
    for (size_t length = 0; length < made.length; length++) {
        uint8_t *cut = malloc(length + 1); /* of just this size, for the sanitizer */
        assert_non_null(cut);
        cut = realloc(cut, length == 0 ? 1 : length);
        assert_non_null(cut);
        memcpy(cut, made.bytes, length);
        assert_false(srv_tzif_open(cut, length, &tzif));
        free(cut);
    }
    for (size_t at = 0; at < made.length; at++) {
        for (int change = 1; change < 256; change++) {
            uint8_t *other = malloc(made.length);
            assert_non_null(other);
            memcpy(other, made.bytes, made.length);
            other[at] ^= (uint8_t)change;
            if (srv_tzif_open(other, made.length, &tzif)) {
                (void)srv_tzif_offset_s(&tzif, 400);
                (void)srv_tzif_offset_s(&tzif, 1792890000);
            }
            free(other);
        }
    }
    for (size_t i = 0; i < COUNT(no_rules); i++) {
        made = make_rule(no_rules[i]);
        if (srv_tzif_open(made.bytes, made.length, &tzif)) {
            fail_msg("%s", no_rules[i]);
        }
    }
    made = make_file(backwards, 2, offsets, 2, "");
    assert_false(srv_tzif_open(made.bytes, made.length, &tzif));
    made = make_file(no_type, 1, offsets, 2, "");
    assert_false(srv_tzif_open(made.bytes, made.length, &tzif));
    made = make_file(NULL, 0, offsets, 0, "");
    assert_false(srv_tzif_open(made.bytes, made.length, &tzif));
    made = make_file(changes, 2, offsets, 2, "");
    made.bytes[4] = '\0'; /* a first version has no second block */
    assert_false(srv_tzif_open(made.bytes, made.length, &tzif));
}

/* ---- the list */

/* The folder of the data that this process uses; files lie in Europe. */
static char zones[256];

static void write_zone(const char *name, const void *bytes, size_t length)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", zones, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_rule(const char *name, const char *rule)
{
    struct made made = make_rule(rule);
    write_zone(name, made.bytes, made.length);
}

static void remove_zone(const char *name)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", zones, name);
    assert_int_equal(remove(path), 0);
}

/* Given zones, when their lists are made, then they go from last year three years beyond this one,
 * and change only with the year. */
static void test_zone__the_list(void **state)
{
    (void)state;
    char list[DAY_OFFSETS_BYTES_MAX + 1];
    char again[DAY_OFFSETS_BYTES_MAX + 1];
    char problem[300] = "";
    write_rule("Europe/Berlin", BERLIN);
    write_rule("Europe/Plain", "CST-8");
    assert_int_equal(srv_zone_offsets("Europe/Berlin", NOW_MS, list, problem, sizeof problem),
                     DAYBOOK_OK);
    assert_string_equal(list, BERLIN_2025);
    assert_true(dk_day_offsets_valid(list, strlen(list)));
    int64_t begin_ms = srv_tzif_year_s(2026) * 1000, end_ms = srv_tzif_year_s(2027) * 1000;
    for (int i = 0; i < 3; i++) {
        int64_t now_ms = i == 0 ? begin_ms : i == 1 ? end_ms - 1 : end_ms;
        assert_int_equal(srv_zone_offsets("Europe/Berlin", now_ms, again, problem, sizeof problem),
                         DAYBOOK_OK);
        assert_int_equal(strcmp(list, again) == 0, i < 2);
    }
    expect_in(again, "[[1767225600000,60],[1774746000000,120]");
    assert_int_equal(srv_zone_offsets("Europe/Plain", NOW_MS, list, problem, sizeof problem),
                     DAYBOOK_OK);
    assert_string_equal(list, "[[1735689600000,480]]");
}

/* Given names that lead nowhere, or elsewhere, and data that is no use, when init is told them,
 * then it says what is wrong. */
static void test_zone__what_init_refuses(void **state)
{
    struct world *world = *state;
    static const struct {
        daybook_status status;
        const char *words, *text;
    } cases[] = {
        {DAYBOOK_NOT_FOUND, "init --zone Europe/Nowhere",
         "there is no time zone Europe/Nowhere in"},
        {DAYBOOK_INVALID, "init --zone ../etc/passwd", "../etc/passwd is no name of a time zone"},
        {DAYBOOK_INVALID, "init --zone Europe/../Europe/Berlin", "is no name of a time zone"},
        {DAYBOOK_INVALID, "init --zone /etc/localtime", "is no name of a time zone"},
        {DAYBOOK_INVALID, "init --zone Europe/", "is no name of a time zone"},
        {DAYBOOK_INVALID, "init --zone=", "is no name of a time zone"},
        {DAYBOOK_INVALID,
         "init --zone A2345678901234567890123456789012345678901234567890123456789012345",
         "is no name of a time zone"},
        {DAYBOOK_CANNOT_OPEN, "init --zone Europe", "Europe"},
        {DAYBOOK_INVALID, "init --zone Europe/Damaged", "time zone Europe/Damaged in"},
        {DAYBOOK_INVALID, "init --zone Europe/Far", "is no use"},
        {DAYBOOK_INVALID, "init --zone Europe/Berlin --tz-min 60", "not both"},
        {DAYBOOK_INVALID, "init --tz-min 901", "--tz-min is -900 to 900"},
        {DAYBOOK_EXISTS, "init --zone Europe/Berlin", "there is an organisation already"},
    };
    write_rule("Europe/Berlin", BERLIN);
    write_rule("Europe/Far", "FAR-16");
    write_zone("Europe/Damaged", "TZif2", 5);
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_in(command(world, cases[i].status, cases[i].words), cases[i].text);
    }
}

/* ---- the record */

/* Imports members of the organisation's record. */
static const char *change_organisation(struct world *world, daybook_status expected,
                                       const char *members)
{
    char id[ID_TEXT_SIZE];
    const char *path = format(world, "%s/import.jsonl", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    dk_id_to_text(&world->service->decider.orgs[0].id, id);
    assert_true(fprintf(file, "{\"entity\":\"organisation\",\"id\":\"%s\",%s}\n", id, members) > 0);
    assert_int_equal(fclose(file), 0);
    return command(world, expected, format(world, "import %s", path));
}

/* The list in the record, "" for none. No task runs. */
static const char *stored(struct world *world)
{
    struct decider *decider = &world->service->decider;
    struct srv_record row;
    bool found;
    assert_int_equal(srv_store_get(decider->store, decider->orgs[0].org,
                                   dk_entity(ENTITY_ORGANISATION), &decider->orgs[0].id,
                                   &world->arena, &row, &found),
                     DAYBOOK_OK);
    assert_true(found);
    const struct value *list = &row.record.values[ORGANISATION_ZONE_OFFSETS];
    return list->kind == VALUE_TEXT ? dk_arena_copy(&world->arena, list->text, list->length) : "";
}

static int64_t head(struct world *world)
{
    return world->service->decider.orgs[0].head;
}

/* Given a zone, when nights pass, then its offsets are written once, and again when the data, the
 * zone or the year is another; what is no use changes nothing and is said. */
static void test_zone__a_night_renews_the_list(void **state)
{
    struct world *world = *state;
    char problem[300];
    char now[DAY_OFFSETS_BYTES_MAX + 1];
    write_rule("Europe/Berlin", BERLIN);
    write_rule("Europe/Other", "EET-2EEST,M3.5.0/3,M10.5.0/4");
    int64_t before = head(world);
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_OK);
    assert_int_equal(head(world), before);
    (void)change_organisation(world, DAYBOOK_OK, "\"zone\":\"Europe/Berlin\"");
    before = head(world);
    assert_int_equal(srv_zone_offsets("Europe/Berlin", srv_now_ms(), now, problem, sizeof problem),
                     DAYBOOK_OK);
    assert_string_equal(stored(world), now); /* they came with it */
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_OK);
    assert_int_equal(head(world), before);
    struct phone li = enrol(world, "li");
    expect_in(load_phone(world, &li), now);

    write_rule("Europe/Berlin", "CET-1");
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_OK);
    assert_null(strstr(stored(world), "120"));
    assert_int_equal(head(world), before + 1);
    expect_in(sync_phone(world, &li, NULL), stored(world)); /* the device learns of it */

    assert_int_equal(srv_zone_renew(world->service, NOW_MS, problem, sizeof problem), DAYBOOK_OK);
    assert_string_equal(stored(world), "[[1735689600000,60]]");
    assert_int_equal(
        srv_zone_renew(world->service, NOW_MS + 366 * CLASS_DAY_MS, problem, sizeof problem),
        DAYBOOK_OK);
    assert_string_equal(stored(world), "[[1767225600000,60]]");

    (void)change_organisation(world, DAYBOOK_OK, "\"zone\":\"Europe/Other\"");
    expect_in(command(world, DAYBOOK_OK, "classify"), "0 documents");
    expect_in(stored(world), ",180]");
    expect_in(change_organisation(world, DAYBOOK_NOT_FOUND, "\"zone\":\"Europe/Gone\""),
              "there is no time zone Europe/Gone");
    before = head(world);
    remove_zone("Europe/Other");
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_NOT_FOUND);
    expect_in(command(world, DAYBOOK_NOT_FOUND, "classify"), "there is no time zone Europe/Other");
    assert_int_equal(head(world), before);
    expect_in(stored(world), ",180]");
}

/* Given an import with offsets that are none, or of no zone, when it is decided, then it is refused
 * by name. */
static void test_zone__offsets_are_checked(void **state)
{
    struct world *world = *state;
    expect_in(change_organisation(world, DAYBOOK_RULE,
                                  "\"zone\":\"X\",\"zone_offsets\":\"[[5,60],[5,120]]\""),
              "zone_offsets, rule offsets");
    expect_in(change_organisation(world, DAYBOOK_RULE, "\"zone_offsets\":\"[[5,60]]\""),
              "zone, rule pair");
    assert_string_equal(stored(world), "");
}

/* Given Berlin's offsets, when the next night is asked for about both changes of the clocks, then
 * it is ahead, at most a day and an hour, and at two o'clock there, or, where that hour does not
 * exist, when the clocks skip it or an hour before. */
static void test_zone__the_night_on_days_when_clocks_change(void **state)
{
    struct world *world = *state;
    static const int64_t changes_ms[] = {INT64_C(1774746000000), INT64_C(1792890000000)};
    (void)change_organisation(world, DAYBOOK_OK,
                              "\"zone\":\"Europe/Berlin\",\"zone_offsets\":\"" BERLIN_2026 "\"");
    for (size_t i = 0; i < COUNT(changes_ms); i++) {
        int64_t summer_before = i == 0 ? 0 : 1;
        for (int64_t now_ms = changes_ms[i] - 2 * CLASS_DAY_MS;
             now_ms < changes_ms[i] + 2 * CLASS_DAY_MS; now_ms += 20 * 60000) {
            int64_t night_ms = srv_service_next_night(world->service, 2, now_ms);
            bool summer = (night_ms >= changes_ms[i]) != (summer_before == 1);
            int64_t hour = (night_ms / 3600000 + (summer ? 2 : 1)) % 24;
            bool skipped =
                i == 0 && night_ms >= changes_ms[i] - 3600000 && night_ms <= changes_ms[i];
            assert_in_range(night_ms - now_ms, 1, CLASS_DAY_MS + 3600000);
            assert_int_equal(night_ms % 3600000, 0);
            if (!skipped) {
                assert_int_equal(hour, 2);
            }
        }
    }
}

static void remove_zones(void)
{
    static const char *const names[] = {"Europe/Berlin",
                                        "Europe/Plain",
                                        "Europe/Far",
                                        "Europe/Damaged",
                                        "Europe/Other",
                                        "Europe",
                                        ""};
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", zones, names[i]);
        (void)remove(path);
    }
}

int main(void)
{
#define SERVICE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_service, teardown_service)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zone__rules),
        cmocka_unit_test(test_zone__listed_changes),
        cmocka_unit_test(test_zone__as_the_c_library_says),
        cmocka_unit_test(test_zone__damaged_files),
        cmocka_unit_test(test_zone__the_list),
        SERVICE_TEST(test_zone__what_init_refuses),
        SERVICE_TEST(test_zone__a_night_renews_the_list),
        SERVICE_TEST(test_zone__offsets_are_checked),
        SERVICE_TEST(test_zone__the_night_on_days_when_clocks_change),
    };
    char path[300];
    const char *base = getenv("TMPDIR");
    (void)snprintf(zones, sizeof zones, "%s/test_zone.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(zones) == NULL || setenv("TZDIR", zones, 1) != 0) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/Europe", zones);
    (void)mkdir(path, 0700);
    int failed = cmocka_run_group_tests_name("zone", tests, NULL, NULL);
    remove_zones();
    return failed;
}
