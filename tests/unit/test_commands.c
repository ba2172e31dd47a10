/* SPDX-License-Identifier: Apache-2.0
 *
 * The command table and its parser, and the help made from it.
 */
#include "sync-server/commands.h"
#include "sync-server/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PARSE(line, problem, ...)                                                                  \
    parse(line, problem, (const char *const[]){__VA_ARGS__},                                       \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static daybook_status parse(struct command_line *line, char problem[256], const char *const *words,
                            size_t count)
{
    return srv_command_parse((int)count, words, line, problem, 256);
}

static void test_commands__options_may_stand_anywhere(void **state)
{
    (void)state;
    struct command_line line;
    char problem[256];
    assert_int_equal(PARSE(&line, problem, "--json", "user", "--role", "rep", "add", "--name=Ada L",
                           "ada", "--data", "folder"),
                     DAYBOOK_OK);
    assert_string_equal(line.command->name, "user add");
    assert_int_equal(line.argument_count, 1);
    assert_string_equal(line.arguments[0], "ada");
    assert_string_equal(srv_command_value(&line, "role"), "rep");
    assert_string_equal(srv_command_value(&line, "name"), "Ada L");
    assert_null(srv_command_value(&line, "territory"));
    assert_string_equal(line.data, "folder");
    assert_true(line.json);
    assert_false(line.help);
    /* values and arguments may look like options */
    assert_int_equal(
        PARSE(&line, problem, "user", "add", "--name", "--role", "--territory=", "--", "--x"),
        DAYBOOK_OK);
    assert_string_equal(srv_command_value(&line, "name"), "--role");
    assert_string_equal(srv_command_value(&line, "territory"), "");
    assert_string_equal(line.arguments[0], "--x");
    assert_int_equal(PARSE(&line, problem, "import", "-"), DAYBOOK_OK);
}

static void test_commands__nothing_and_help_need_no_arguments(void **state)
{
    (void)state;
    struct command_line line;
    char problem[256];
    assert_int_equal(srv_command_parse(0, NULL, &line, problem, sizeof(problem)), DAYBOOK_OK);
    assert_null(line.command);
    assert_int_equal(PARSE(&line, problem, "user", "add", "--help"), DAYBOOK_OK);
    assert_true(line.help);
    assert_int_equal(PARSE(&line, problem, "help", "user", "add"), DAYBOOK_OK);
    assert_string_equal(line.command->name, "help");
    assert_int_equal(line.argument_count, 2);
}

static void test_commands__wrong_words_are_named(void **state)
{
    (void)state;
    struct command_line line;
    char problem[256];
    assert_int_equal(PARSE(&line, problem, "bogus"), DAYBOOK_INVALID);
    assert_string_equal(problem, "unknown command bogus");
    assert_int_equal(PARSE(&line, problem, "user", "bogus"), DAYBOOK_INVALID);
    assert_string_equal(problem, "unknown command user bogus");
    assert_int_equal(PARSE(&line, problem, "user"), DAYBOOK_INVALID);
    assert_int_equal(PARSE(&line, problem, "user", "add"), DAYBOOK_INVALID);
    assert_string_equal(problem, "user add needs LOGIN");
    assert_int_equal(PARSE(&line, problem, "user", "add", "a", "b"), DAYBOOK_INVALID);
    assert_string_equal(problem, "unexpected argument b");
    assert_int_equal(PARSE(&line, problem, "serve", "--role", "rep"), DAYBOOK_INVALID);
    assert_string_equal(problem, "unknown option --role");
    assert_int_equal(PARSE(&line, problem, "serve", "--list", "a:1"), DAYBOOK_INVALID);
    assert_int_equal(PARSE(&line, problem, "serve", "-l", "a:1"), DAYBOOK_INVALID);
    assert_string_equal(problem, "unknown option -l");
    assert_int_equal(PARSE(&line, problem, "serve", "--listen"), DAYBOOK_INVALID);
    assert_string_equal(problem, "option --listen needs HOST:PORT");
    assert_int_equal(PARSE(&line, problem, "serve", "--json=yes"), DAYBOOK_INVALID);
    assert_string_equal(problem, "option --json takes no value");
    assert_int_equal(PARSE(&line, problem, "serve", "--data", "a", "--data", "b"), DAYBOOK_INVALID);
    assert_string_equal(problem, "option --data is given twice");
    const char *many[COMMAND_WORDS_MAX + 1];
    for (int i = 0; i <= COMMAND_WORDS_MAX; i++) {
        many[i] = "--json";
    }
    assert_int_equal(
        srv_command_parse(COMMAND_WORDS_MAX + 1, many, &line, problem, sizeof(problem)),
        DAYBOOK_INVALID);
    assert_int_equal(srv_command_parse(COMMAND_WORDS_MAX, many, &line, problem, sizeof(problem)),
                     DAYBOOK_OK);
}

static void test_commands__the_table_is_sound(void **state)
{
    (void)state;
    struct buffer out;
    dk_buffer_init(&out, 65536);
    srv_help_all(&out);
    for (const struct command *command = srv_commands(); command->name != NULL; command++) {
        assert_true(command->arguments_min <= command->arguments_max);
        assert_true(command->arguments_max <= COMMAND_ARGUMENTS_MAX);
        assert_non_null(strstr(dk_buffer_text(&out), command->help));
        struct buffer one;
        dk_buffer_init(&one, 65536);
        srv_help_command(command, &one);
        int count = 0;
        for (; command->options[count].name != NULL; count++) {
            assert_true(count < COMMAND_OPTIONS_MAX - 1); /* the last row ends the list */
            assert_true(strlen(command->options[count].name) < 30);
            assert_non_null(strstr(dk_buffer_text(&one), command->options[count].help));
            for (const struct command_option *option = srv_global_options(); option->name != NULL;
                 option++) {
                assert_string_not_equal(option->name, command->options[count].name);
            }
        }
        dk_buffer_clear(&one);
    }
    dk_buffer_clear(&out);
}

static void test_commands__completions_know_every_command(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh"};
    for (size_t i = 0; i < 2; i++) {
        struct buffer out;
        dk_buffer_init(&out, 65536);
        assert_true(srv_help_completion(shells[i], &out));
        for (const struct command *command = srv_commands(); command->name != NULL; command++) {
            assert_non_null(strstr(dk_buffer_text(&out), command->name));
        }
        assert_non_null(strstr(dk_buffer_text(&out), "\"user\") words=\"add change \""));
        dk_buffer_clear(&out);
    }
    struct buffer out;
    dk_buffer_init(&out, 65536);
    assert_false(srv_help_completion("fish", &out));
    dk_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands__options_may_stand_anywhere),
        cmocka_unit_test(test_commands__nothing_and_help_need_no_arguments),
        cmocka_unit_test(test_commands__wrong_words_are_named),
        cmocka_unit_test(test_commands__the_table_is_sound),
        cmocka_unit_test(test_commands__completions_know_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
