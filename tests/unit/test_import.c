/* SPDX-License-Identifier: Apache-2.0
 *
 * Importing: lines in the app's form, names of their own, what is wrong with a line, all or nothing
 * per changeset, and the same file again.
 */
#include "tests/unit/service_world.h"

#include "sync-server/inside.h"

/* Imports these lines; the command's text. */
static const char *import(struct world *world, daybook_status expected, const char *lines)
{
    const char *path = format(world, "%s/import.jsonl", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(lines, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return command(world, expected, format(world, "import %s", path));
}

/* Given lines with ids and keys, references by key and all kinds of values, when they are imported,
 * then they are there; the same file again changes nothing, another value one record. */
static void test_import__keys_references_and_repeats(void **state)
{
    struct world *world = *state;
    static const char lines[] =
        "{\"entity\":\"product\",\"key\":\"TEA\",\"code\":\"TEA\",\"name\":\"茶 \\u8336\","
        "\"uom\":\"box\",\"tax_bp\":1300,\"active\":true,\"pack_qty\":12000}\n"
        "\r\n"
        "{\"product_id\":{\"key\":\"TEA\"},\"list_ver\":7,\"cur\":\"CNY\",\"entity\":\"price\","
        "\"price_e4\":\"123456\",\"valid_from\":20260101,\"key\":\"TEA-7\"}\n"
        "{\"entity\":\"customer\",\"key\":\"C1\",\"name\":\"C\",\"tags\":[\"b\",\"a\"],"
        "\"custom\":{\"z\":1,\"a\":\"x\"},\"owner_id\":{\"key\":\"li\"},"
        "\"territory_id\":{\"key\":\"East\"},\"lat_e7\":1,\"lon_e7\":null}";
    expect_in(import(world, DAYBOOK_RULE, lines), "lon_e7");
    const char *text =
        import(world, DAYBOOK_OK, format(world, "%.*s2}\n", (int)strlen(lines) - 5, lines));
    assert_string_equal(text, "3 new, 0 changed, 0 the same\n");
    text = import(world, DAYBOOK_OK, format(world, "%.*s2}\n", (int)strlen(lines) - 5, lines));
    assert_string_equal(text, "0 new, 0 changed, 3 the same\n");
    text = import(world, DAYBOOK_OK,
                  "{\"entity\":\"customer\",\"key\":\"C1\",\"tags\":[\"c\"],\"custom\":{\"z\":1},"
                  "\"lat_e7\":5}\n");
    assert_string_equal(text, "0 new, 1 changed, 0 the same\n");
    struct phone li = enrol(world, "li");
    const char *reply = load_phone(world, &li);
    expect_in(reply, "茶 茶");
    expect_in(reply, "[\"c\"]");
    expect_in(reply, "{\"z\":1}");
    struct phone tom = enrol(world, "tom");
    reply = load_phone(world, &tom);
    expect_in(reply, "\"TEA\"");
    expect_not_in(reply, "[\"c\"]");
}

/* Given a line with one thing wrong, when it is imported, then the line and the fault are named. */
static void test_import__what_is_wrong_with_a_line(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *line, *part;
        daybook_status status;
    } cases[] = {
        {"x", "not strict JSON", DAYBOOK_BAD_JSON},
        {"[]", "no JSON object", DAYBOOK_BAD_JSON},
        {"{\"name\":\"x\"}", "has no entity", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"spaceship\"}", "entity \"spaceship\"", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"entity\":\"product\"}", "not strict JSON", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"colour\":\"x\"}", "field colour", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"name\":7}", "field name: the value has", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"tax_bp\":\"13\"}", "field tax_bp", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"tax_bp\":10001}", "field tax_bp: range", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"pack_qty\":\"1.5\"}", "field pack_qty", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"product\",\"active\":1}", "field active", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"price\",\"valid_from\":20260230}", "valid_from: day", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"price\",\"cur\":\"cny\"}", "field cur: currency", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"price\",\"product_id\":\"x\"}", "field product_id", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"norm_name\":\"x\"}", "it is computed", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"tags\":\"x\"}", "field tags: type", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"custom\":[1]}", "field custom: map", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"id\":\"x\"}", "member id", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"key\":\"\"}", "member key", DAYBOOK_BAD_JSON},
        {"{\"entity\":\"customer\",\"key\":\"k\"}", "REQUIRED name", DAYBOOK_RULE},
        {"{\"entity\":\"organisation\",\"zone\":\"../UTC\"}", "is no name of a time zone",
         DAYBOOK_INVALID},
        {"{\"entity\":\"contact\",\"name\":\"x\",\"customer_id\":{\"key\":\"none\"}}",
         "REF_MISSING customer_id", DAYBOOK_RULE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = import(world, cases[i].status, format(world, "\n\n%s\n", cases[i].line));
        expect_in(text, "line 3: ");
        expect_in(text, cases[i].part);
    }
    (void)command(world, DAYBOOK_CANNOT_OPEN, "import no/such/file");
}

/* Given more lines than a changeset takes and a bad one in the second, when they are imported, then
 * the first is in, the second not at all, and the text says so; records named twice go into
 * two changesets. */
static void test_import__a_changeset_takes_all_or_nothing(void **state)
{
    struct world *world = *state;
    struct buffer lines;
    dk_buffer_init(&lines, (size_t)1024 * 1024);
    for (int i = 0; i < 1500; i++) {
        dk_buffer_append_text(&lines,
                              format(world,
                                     "{\"entity\":\"product\",\"key\":\"P%d\",\"code\":"
                                     "\"P%d\",\"name\":\"P\",\"uom\":\"%s\",\"tax_bp\":0}\n",
                                     i, i, i == 1200 ? "" : "box"));
    }
    const char *text = import(world, DAYBOOK_RULE, dk_buffer_text(&lines));
    expect_in(text, "line 1201: ");
    expect_in(text, "1000 records of lines before are in");
    struct phone li = enrol(world, "li");
    const char *reply = load_phone(world, &li);
    expect_in(reply, "\"P999\"");
    expect_not_in(reply, "\"P1000\"");
    text = import(world, DAYBOOK_OK,
                  "{\"entity\":\"product\",\"key\":\"P0\",\"name\":\"one\"}\n"
                  "{\"entity\":\"product\",\"key\":\"P0\",\"name\":\"two\"}\n"
                  "{\"entity\":\"product\",\"key\":\"P1\",\"name\":\"P\"}\n");
    assert_string_equal(text, "0 new, 2 changed, 1 the same\n");
    expect_in(sync_phone(world, &li, NULL), "\"two\"");
    dk_buffer_clear(&lines);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_import__##name, setup_service, teardown_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_references_and_repeats),
        TEST(what_is_wrong_with_a_line),
        TEST(a_changeset_takes_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
