/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings: where each value comes from, what is refused and how it is said.
 */
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "sync-server/folder.h"
#include "sync-server/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* An environment of pairs: name, value, name, value, NULL. */
static const char *pairs(void *context, const char *name)
{
    const char *const *each = context;
    for (; each != NULL && each[0] != NULL; each += 2) {
        if (strcmp(each[0], name) == 0) {
            return each[1];
        }
    }
    return NULL;
}

static int make_folder(void **state)
{
    char pattern[] = "test_options-XXXXXX";
    if (mkdtemp(pattern) == NULL) {
        return -1;
    }
    *state = strdup(pattern);
    return 0;
}

static int remove_folder(void **state)
{
    char path[FOLDER_PATH_BYTES_MAX];
    (void)srv_folder_path(*state, OPTIONS_FILE, path);
    (void)unlink(path);
    int result = rmdir(*state);
    free(*state);
    return result;
}

static void write_file(const char *folder, const char *bytes, size_t length)
{
    char problem[512];
    assert_int_equal(
        srv_folder_write(folder, OPTIONS_FILE, bytes, length, 0600, problem, sizeof(problem)),
        DAYBOOK_OK);
}

static void test_options__defaults_stand_without_file_and_environment(void **state)
{
    static struct server_options options;
    char problem[512];
    assert_int_equal(srv_options_load(*state, pairs, NULL, &options, problem, sizeof(problem)),
                     DAYBOOK_OK);
    assert_string_equal(problem, "");
    assert_string_equal(options.listen_host, "127.0.0.1");
    assert_int_equal(options.listen_port, 8443);
    assert_int_equal(srv_options_number(&options, OPTION_tls12), 0);
    assert_int_equal(srv_options_number(&options, OPTION_log_level), LOG_INFO);
    for (int i = 0; i < OPTION_COUNT; i++) {
        assert_int_equal(options.values[i].source, OPTION_DEFAULT);
        assert_string_equal(options.values[i].problem, "");
    }
    /* a folder that does not exist yet is fine too */
    assert_int_equal(
        srv_options_load("no-such-folder", pairs, NULL, &options, problem, sizeof(problem)),
        DAYBOOK_OK);
}

static void test_options__command_line_wins_over_environment_over_file_over_default(void **state)
{
    static struct server_options options;
    char problem[512];
    static const char file[] = "# Daybook\r\n\r\n  loops=3 \nworkers =\t5\r\nlisten = [::1]:1\n"
                               "log_level = debug\npage_bytes = 1";
    const char *environment[] = {"DAYBOOK_LISTEN",
                                 "0.0.0.0:9",
                                 "DAYBOOK_WORKERS",
                                 "6",
                                 "DAYBOOK_TLS12",
                                 "yes",
                                 "DAYBOOK_DATA",
                                 "ignored",
                                 "LOOPS",
                                 "not of ours",
                                 NULL};
    /* given the same settings in several places */
    write_file(*state, file, sizeof(file) - 1);
    assert_int_equal(
        srv_options_load(*state, pairs, environment, &options, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_int_equal(srv_options_number(&options, OPTION_loops), 3);
    assert_int_equal(options.values[OPTION_loops].source, OPTION_FILE);
    assert_int_equal(options.values[OPTION_loops].line, 3);
    assert_int_equal(srv_options_number(&options, OPTION_page_bytes), 1);
    assert_int_equal(srv_options_number(&options, OPTION_log_level), LOG_DEBUG);
    assert_int_equal(srv_options_number(&options, OPTION_workers), 6);
    assert_int_equal(options.values[OPTION_workers].source, OPTION_ENVIRONMENT);
    assert_int_equal(srv_options_number(&options, OPTION_tls12), 1);
    assert_string_equal(options.listen_host, "0.0.0.0");
    assert_int_equal(options.listen_port, 9);
    /* when the command line gives one of them */
    assert_int_equal(
        srv_options_set(&options, OPTION_listen, "[2001:db8::7]:0", problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_string_equal(options.listen_host, "2001:db8::7");
    assert_int_equal(options.listen_port, 0);
    assert_int_equal(options.values[OPTION_listen].source, OPTION_ARGUMENT);
}

static void test_options__wrong_values_are_named_with_their_source(void **state)
{
    static struct server_options options;
    char problem[512];
    static const struct {
        const char *name;
        const char *value;
        const char *said; /* in the problem */
    } wrong[] = {
        {"DAYBOOK_LISTEN", "8443", "HOST:PORT"},
        {"DAYBOOK_LISTEN", "127.0.0.1:65536", "65535"},
        {"DAYBOOK_LISTEN", "127.0.0.1:-1", "HOST:PORT"},
        {"DAYBOOK_LISTEN", "127.0.0.1:", "HOST:PORT"},
        {"DAYBOOK_LISTEN", "127.0.0.1:08443", "HOST:PORT"},
        {"DAYBOOK_LISTEN", ":8443", "HOST:PORT"},
        {"DAYBOOK_LISTEN", "::1:8443", "brackets"},
        {"DAYBOOK_LISTEN", "[localhost]:8443", "brackets"},
        {"DAYBOOK_HOSTS", "shop.example, b_d", "b_d"},
        {"DAYBOOK_PUBLIC_URL", "http://shop.example", "https://"},
        {"DAYBOOK_PUBLIC_URL", "https://", "https://"},
        {"DAYBOOK_PUBLIC_URL", "https://shop.example/v1", "https://"},
        {"DAYBOOK_TLS12", "1", "yes or no"},
        {"DAYBOOK_TLS12", "", "yes or no"},
        {"DAYBOOK_LOOPS", "65", "from 0 to 64"},
        {"DAYBOOK_LOOPS", "1e1", "from 0 to 64"},
        {"DAYBOOK_LOOPS", " 1", "from 0 to 64"},
        {"DAYBOOK_PAGE_BYTES", "0", "from 1 to 8388608"},
        {"DAYBOOK_PAGE_BYTES", "99999999999999999999", "from 1 to 8388608"},
        {"DAYBOOK_LOG_LEVEL", "loud", "debug"},
        {"DAYBOOK_LOG_LEVEL", "\xff", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *environment[] = {wrong[i].name, wrong[i].value, NULL};
        assert_int_equal(
            srv_options_load(*state, pairs, environment, &options, problem, sizeof(problem)),
            DAYBOOK_INVALID);
        if (strstr(problem, wrong[i].said) == NULL || strstr(problem, "environment") == NULL) {
            print_error("%s=%s: %s\n", wrong[i].name, wrong[i].value, problem);
            fail();
        }
    }
    /* a value over the limit is kept in part and refused */
    static char longest[OPTION_VALUE_BYTES_MAX + 2];
    memset(longest, 'a', sizeof(longest) - 1);
    const char *environment[] = {"DAYBOOK_HOSTS", longest, NULL};
    assert_int_equal(
        srv_options_load(*state, pairs, environment, &options, problem, sizeof(problem)),
        DAYBOOK_INVALID);
    assert_non_null(strstr(problem, "longer than 1023"));
    /* the environment's good value makes the file's wrong one harmless */
    write_file(*state, "loops = many", 12);
    const char *good[] = {"DAYBOOK_LOOPS", "2", NULL};
    assert_int_equal(srv_options_load(*state, pairs, good, &options, problem, sizeof(problem)),
                     DAYBOOK_OK);
}

static void test_options__the_file_is_read_strictly(void **state)
{
    static struct server_options options;
    char problem[512];
    static const struct {
        const char *bytes;
        const char *said;
    } wrong[] = {
        {"loops 3", "line 1: has to be name = value"},
        {"\n\nloop = 3\n", "line 3: there is no setting of this name"},
        {"Loops = 3", "line 1: there is no setting of this name"},
        {"loops = 3\nloops = 3\n", "line 2: this setting is given twice"},
        {"= 3", "line 1: there is no setting of this name"},
        {"loops = 3 # three", "from 0 to 64"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file(*state, wrong[i].bytes, strlen(wrong[i].bytes));
        assert_int_equal(srv_options_load(*state, pairs, NULL, &options, problem, sizeof(problem)),
                         DAYBOOK_INVALID);
        if (strstr(problem, wrong[i].said) == NULL) {
            print_error("%s: %s\n", wrong[i].bytes, problem);
            fail();
        }
    }
    write_file(*state, "loops = 3\0\nworkers = 2\n", 23);
    assert_int_equal(srv_options_load(*state, pairs, NULL, &options, problem, sizeof(problem)),
                     DAYBOOK_INVALID);
    /* a file beyond any reason */
    char *large = calloc(1, FOLDER_FILE_BYTES_MAX + 1);
    memset(large, '\n', FOLDER_FILE_BYTES_MAX + 1);
    write_file(*state, large, FOLDER_FILE_BYTES_MAX);
    assert_int_equal(srv_options_load(*state, pairs, NULL, &options, problem, sizeof(problem)),
                     DAYBOOK_OK);
    write_file(*state, large, FOLDER_FILE_BYTES_MAX + 1);
    assert_int_equal(srv_options_load(*state, pairs, NULL, &options, problem, sizeof(problem)),
                     DAYBOOK_INVALID);
    assert_non_null(strstr(problem, "larger than"));
    free(large);
}

static void test_options__check_and_help_show_every_setting(void **state)
{
    static struct server_options options;
    char problem[512];
    static const char *const names[] = {
#define NAME(name, kind, fallback, minimum, maximum, help) #name,
        OPTION_LIST(NAME)
#undef NAME
    };
    const char *environment[] = {"DAYBOOK_LOOPS", "\xff\"", NULL};
    struct buffer text;
    struct buffer json;
    struct buffer help;
    dk_buffer_init(&text, 65536);
    dk_buffer_init(&json, 65536);
    dk_buffer_init(&help, 65536);
    write_file(*state, "hosts = \"quoted\"\nnonsense\n", 26);
    assert_int_equal(
        srv_options_load(*state, pairs, environment, &options, problem, sizeof(problem)),
        DAYBOOK_INVALID);
    srv_options_print(&options, false, &text);
    srv_options_print(&options, true, &json);
    srv_options_help(&help);
    for (int i = 0; i < OPTION_COUNT; i++) {
        assert_non_null(strstr(dk_buffer_text(&text), names[i]));
        assert_non_null(strstr(dk_buffer_text(&json), names[i]));
        assert_non_null(strstr(dk_buffer_text(&help), names[i]));
    }
    /* the wrong ones are marked, and the JSON is strict JSON whatever the values are */
    assert_non_null(strstr(dk_buffer_text(&text), "environment  WRONG: is not UTF-8"));
    assert_non_null(strstr(dk_buffer_text(&text), "file line 1  WRONG: "));
    assert_non_null(strstr(dk_buffer_text(&text), "WRONG: daybook.conf line 2"));
    const char *reason = NULL;
    size_t offset = 0;
    assert_true(dk_json_check(json.bytes, json.length, 8, 1000, &reason, &offset));
    assert_non_null(strstr(dk_buffer_text(&json), "{\"ok\":false,"));
    dk_buffer_clear(&text);
    dk_buffer_clear(&json);
    dk_buffer_clear(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_options__defaults_stand_without_file_and_environment,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_options__command_line_wins_over_environment_over_file_over_default, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(test_options__wrong_values_are_named_with_their_source,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_options__the_file_is_read_strictly, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_options__check_and_help_show_every_setting,
                                        make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
