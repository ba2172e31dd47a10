/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: levels, silence without a sink, and one line that stays one line.
 */
#include "engine/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What a sink has heard. */
struct heard {
    int count;
    int level;
    char line[1000];
};

/* A sink that keeps the last line. */
static void keep(void *context, int level, const char *line)
{
    struct heard *heard = context;
    heard->count++;
    heard->level = level;
    (void)snprintf(heard->line, sizeof heard->line, "%s", line);
}

static void test_log__lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct log log = {.sink = keep, .context = &heard, .level = LOG_INFO};
    dk_log(&log, LOG_INFO, "push: %d changes in %d ms", 12, 34);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, LOG_INFO);
    assert_string_equal(heard.line, "push: 12 changes in 34 ms");
    dk_log(&log, LOG_DEBUG, "not heard");
    assert_int_equal(heard.count, 1);
    dk_log(&log, LOG_ERROR, "heard");
    assert_int_equal(heard.count, 2);
}

static void test_log__without_a_sink_nothing_happens(void **state)
{
    (void)state;
    struct log silent = {.level = LOG_DEBUG};
    dk_log(&silent, LOG_ERROR, "%s", "nobody");
    dk_log(NULL, LOG_ERROR, "%s", "nothing");
    assert_null(silent.sink);
}

static void test_log__a_line_stays_one_line(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct log log = {.sink = keep, .context = &heard, .level = LOG_DEBUG};
    dk_log(&log, LOG_WARN, "a\r\nb%sd", "\x1b\x7f");
    assert_string_equal(heard.line, "a  b  d");
    /* and is cut rather than passed on without an end */
    char text[900];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    dk_log(&log, LOG_WARN, "%s", text);
    assert_int_equal(strlen(heard.line), 511);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__lines_above_the_level_are_dropped),
        cmocka_unit_test(test_log__without_a_sink_nothing_happens),
        cmocka_unit_test(test_log__a_line_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
