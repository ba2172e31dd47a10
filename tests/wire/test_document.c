/* SPDX-License-Identifier: Apache-2.0
 *
 * PROTOCOL.md tells the truth: its examples are the golden files, its tables of limits, refusal
 * codes, verdicts and errors are those of the headers.
 */
#include "engine/protocol/limits.h"
#include "engine/protocol/verdict.h"
#include "tests/support/messages.h"
#include "tests/wire/golden.h"

#include <ctype.h>
#include <dirent.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define DOCUMENT "engine/protocol/PROTOCOL.md"

/* The document as NUL-terminated text; the caller clears the buffer. */
static const char *load(struct buffer *document, const char *path)
{
    dk_buffer_init(document, GOLDEN_SIZE_MAX);
    if (!golden_read(path, document)) {
        fail_msg("%s is missing", path);
    }
    return dk_buffer_text(document);
}

/* Appends JSON without the white space between its tokens. */
static void append_compact(struct buffer *out, const char *json, size_t length)
{
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (in_string && json[i] == '\\') {
            dk_buffer_append_char(out, json[i++]);
        } else if (json[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && isspace((unsigned char)json[i])) {
            continue;
        }
        dk_buffer_append_char(out, json[i]);
    }
}

/* The document's example of this name, compact. */
static void read_example(const char *document, const char *name, struct buffer *out)
{
    char head[200];
    assert_true(snprintf(head, sizeof head, "<!-- golden: %s -->\n```json\n", name) > 0);
    const char *begin = strstr(document, head);
    if (begin == NULL) {
        fail_msg("%s has no example %s", DOCUMENT, name);
    }
    begin += strlen(head);
    const char *end = strstr(begin, "\n```\n");
    assert_non_null(end);
    append_compact(out, begin, (size_t)(end - begin));
}

static void test_document__each_golden_file_is_an_example(void **state)
{
    (void)state;
    struct buffer document;
    const char *text = load(&document, DOCUMENT);
    int examples = 0;
    DIR *folder = opendir(DAYBOOK_SOURCE_DIR "/tests/wire");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[sizeof entry->d_name];
        struct buffer example;
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".json") != 0) {
            continue;
        }
        memcpy(name, entry->d_name, length - 5);
        name[length - 5] = '\0';
        dk_buffer_init(&example, GOLDEN_SIZE_MAX);
        read_example(text, name, &example);
        golden_compare(name, &example);
        dk_buffer_clear(&example);
        examples++;
    }
    assert_int_equal(closedir(folder), 0);
    assert_true(examples >= 16);
    dk_buffer_clear(&document);
}

/* How often a text occurs. */
static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

#define LIMIT(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

static void test_document__limits_are_those_of_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        long long value;
    } limits[] = {
        LIMIT(LIMIT_REQUEST_BYTES),
        LIMIT(LIMIT_REQUEST_EXPANDED),
        LIMIT(LIMIT_REPLY_BYTES),
        LIMIT(LIMIT_REPLY_EXPANDED),
        LIMIT(LIMIT_PAGE_BYTES),
        LIMIT(LIMIT_CHANGESET_BYTES),
        LIMIT(LIMIT_CHANGESET_CHANGES),
        LIMIT(LIMIT_CHANGESETS),
        LIMIT(LIMIT_FIELDS),
        LIMIT(LIMIT_TEXT_BYTES),
        LIMIT(LIMIT_CUSTOM_KEYS),
        LIMIT(LIMIT_CUSTOM_KEY_BYTES),
        LIMIT(LIMIT_CUSTOM_BYTES),
        LIMIT(LIMIT_SET_ELEMENTS),
        LIMIT(LIMIT_SET_ELEMENT_BYTES),
        LIMIT(LIMIT_CHILDREN),
        LIMIT(LIMIT_REDIRECTS),
        LIMIT(LIMIT_NUMBER),
        LIMIT(LIMIT_EPOCH),
        LIMIT(LIMIT_LABEL_BYTES),
        LIMIT(LIMIT_BUCKETS),
        LIMIT(LIMIT_QUARANTINED),
        LIMIT(LIMIT_QUARANTINE_BYTES),
    };
    struct buffer document, header;
    const char *text = load(&document, DOCUMENT);
    const char *defined = load(&header, "engine/protocol/limits.h");
    /* given every limit of the header */
    assert_int_equal(occurrences(defined, "#define LIMIT_"), COUNT(limits));
    for (int i = 0; i < COUNT(limits); i++) {
        char row[200];
        assert_true(snprintf(row, sizeof row, "\n| %s | %lld |", limits[i].name, limits[i].value) >
                    0);
        if (occurrences(text, row) != 1) {
            fail_msg("%s lacks the row%s", DOCUMENT, row);
        }
    }
    /* then the table has no others */
    assert_int_equal(occurrences(text, "\n| LIMIT_"), COUNT(limits));
    dk_buffer_clear(&header);
    dk_buffer_clear(&document);
}

/* The document has this row once. */
static void assert_row(const char *document, const char *row)
{
    if (occurrences(document, row) != 1) {
        fail_msg("%s lacks the row %s", DOCUMENT, row);
    }
}

static void test_document__codes_are_those_of_the_headers(void **state)
{
    (void)state;
    struct buffer document;
    const char *text = load(&document, DOCUMENT);
    char row[300];
    for (int code = REJECT_NONE + 1; code < REJECT_COUNT; code++) {
        assert_true(snprintf(row, sizeof row, "\n| `%s` | %s |\n",
                             dk_reject_name((enum reject_code)code),
                             dk_reject_text((enum reject_code)code)) > 0);
        assert_row(text, row);
    }
    for (int kind = VERDICT_ACCEPTED; kind <= VERDICT_QUARANTINED; kind++) {
        assert_true(
            snprintf(row, sizeof row, "\n| `%s` | ", dk_verdict_name((enum verdict_kind)kind)) > 0);
        assert_row(text, row);
    }
#define ERROR_ROW(name, status, meaning)                                                           \
    assert_row(text, "\n| `" #name "` | " #status " | " meaning " |\n");
    ERROR_CODE_LIST(ERROR_ROW)
#undef ERROR_ROW
    dk_buffer_clear(&document);
}

static void test_document__members_are_those_of_the_tables(void **state)
{
    (void)state;
    static const struct message_table *const tables[] = {MESSAGES(MESSAGE_TABLE)};
    struct buffer document;
    const char *text = load(&document, DOCUMENT);
    for (int i = 0; i < COUNT(tables); i++) {
        for (int j = 0; j < tables[i]->member_count; j++) {
            char member[100];
            assert_true(snprintf(member, sizeof member, "`%s`", tables[i]->members[j].name) > 0);
            if (strstr(text, member) == NULL) {
                fail_msg("%s does not name %s of %s", DOCUMENT, member, tables[i]->name);
            }
        }
    }
    dk_buffer_clear(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document__each_golden_file_is_an_example),
        cmocka_unit_test(test_document__limits_are_those_of_the_header),
        cmocka_unit_test(test_document__codes_are_those_of_the_headers),
        cmocka_unit_test(test_document__members_are_those_of_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
