/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/deciding.md is true: each of its stories is told with real engines and the real server, in
 * every order of arrival that it names, and together they show every policy and every verdict there
 * is. And the teller of stories can fail: at words that it does not know, at statements that are
 * not true.
 */
#include "tests/support/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TESTS_MAX 100

static struct story_page page;
static struct story_stage *stage;

static int set_up(void **state)
{
    (void)state;
    stage = story_stage_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    story_stage_free(stage);
    return 0;
}

/* ---- the teller can fail */

/* What is wrong with a page of one story, or "". */
static const char *problem_of(const char *sentences)
{
    static char problem[STORY_PROBLEM_SIZE];
    char text[2000];
    struct story_page one = {.count = 0};
    (void)snprintf(text, sizeof text, "# Title\n\n```story\n%s\n```\n", sentences);
    problem[0] = '\0';
    bool read = story_page_read(&one, text, problem);
    assert_int_equal(read, problem[0] == '\0');
    for (int i = 0; read && i < one.count && problem[0] == '\0'; i++) {
        (void)story_tell(stage, &one.stories[i], 0, problem);
    }
    story_page_clear(&one);
    return problem;
}

#define assert_problem(sentences, part) assert_non_null(strstr(problem_of(sentences), part))

static void test_deciding__what_is_misspelt_is_named_with_its_line(void **state)
{
    (void)state;
    assert_problem("wang and li have quote Q\nwang dances", "line 5: not understood from \"dance");
    assert_problem("wong has quote Q\nwang sees Q", "line 4: not understood from \"wong\"");
    assert_problem("wang has quotation Q\nwang sees Q", "\"quotation\" is no entity");
    assert_problem("wang has quote Q with colour \"red\"\nwang sees Q", "\"colour\" is no field");
    assert_problem("wang has quote Q\nwang sees R", "\"R\" is no name that the story knows");
    assert_problem("wang has quote Q\nwang has quote Q\nwang sees Q", "\"Q\" is a name already");
    assert_problem("wang has quote Q\nwang sets Q note red\nwang sees Q", "\"red\" is no value");
    assert_problem("wang has quote Q\nwang sees Q note \"a\" today", "from \"today\"");
    assert_problem("wang has quote Q\nwang sets Q note \"red", "not closed");
    assert_problem("wang has quote Q\nwang syncs", "line 3: the story states nothing");
    assert_problem("wang has quote Q\nwang sees Q\n```\n```story\nwang has quote Q",
                   "line 7: the story states nothing");
}

static void test_deciding__what_is_not_true_is_named_with_its_line(void **state)
{
    (void)state;
    assert_string_equal(problem_of("wang and li have quote Q with note \"a\"\n"
                                   "wang sets Q note \"b\"\neverybody syncs\n"
                                   "everybody sees Q note \"b\"\nli's inbox is empty\n"
                                   "wang is told: accepted"),
                        "");
    assert_problem("wang has quote Q with note \"a\"\nwang sees Q note \"b\"",
                   "wang sees note \"a\", not \"b\"");
    assert_problem("wang has quote Q with note \"a\"\nwang does not see Q", "line 5");
    assert_problem("wang and li have quote Q\nwang deletes Q\neverybody syncs\nli sees Q",
                   "li does not see it");
    assert_problem("wang has quote Q\nwang's inbox: superseded Q, field note", "wang has []");
    assert_problem("wang has quote Q\nwang is told: accepted", "wang was told: nothing");
    assert_problem("wang has quote Q\nwang sets Q note \"b\"\nwang syncs\nwang's inbox is empty\n"
                   "wang is told: merged",
                   "line 8, order 0: wang is told: merged\n    wang was told: accepted");
    assert_problem("wang has quote Q\nwang cannot set Q note \"b\": READONLY", "OK");
    assert_problem("wang has quote Q\nwang cannot set Q cur \"EUR\": INVALID", "READONLY");
    assert_problem("wang has quote Q\nwang sees one quote R with note \"zebra\"", "wang has [");
    assert_problem("wang has quote Q\nwang's Q is local", "it is settled");
}

/* ---- the page */

static void tell(void **state)
{
    const struct story *story = *state;
    char problem[STORY_PROBLEM_SIZE];
    for (int order = 0; order < story_orders(story); order++) {
        if (!story_tell(stage, story, order, problem)) {
            print_error("docs/deciding.md, %s\n", problem);
            fail();
        }
    }
}

/* Policies, verdicts and flags that are not shown, one behind the other. */
static void list_missing(const struct story_shown *shown, char out[1000])
{
    size_t used = 0;
    out[0] = '\0';
    for (int policy = 0; policy <= POLICY_DERIVED; policy++) {
        if (!shown->policies[policy]) {
            used += (size_t)snprintf(out + used, 1000 - used, " %s",
                                     dk_policy_name((enum merge_policy)policy));
        }
    }
    for (int flag = 0; flag < STORY_FLAGS; flag++) {
        if (!shown->flags[flag]) {
            used += (size_t)snprintf(out + used, 1000 - used, " %s", story_flags[flag]);
        }
    }
    for (int kind = VERDICT_ACCEPTED; kind <= VERDICT_QUARANTINED; kind++) {
        if (!shown->verdicts[kind]) {
            used += (size_t)snprintf(out + used, 1000 - used, " %s",
                                     dk_verdict_name((enum verdict_kind)kind));
        }
    }
}

/* The last test: what the stories before it have shown. */
static void test_deciding__every_policy_and_verdict_is_shown(void **state)
{
    const struct story_shown *shown = story_shown(stage);
    char missing[1000];
    (void)state;
    list_missing(shown, missing);
    print_message("%d stories, told %d times, %d statements true\n", page.count, shown->told,
                  shown->statements);
    assert_string_equal(missing, "");
    for (int code = REJECT_NONE + 1; code < REJECT_COUNT; code++) {
        char name[64];
        (void)snprintf(name, sizeof name, "`%s`", dk_reject_name((enum reject_code)code));
        if (strstr(page.text, name) == NULL) {
            print_error("docs/deciding.md does not explain %s\n", name);
            fail();
        }
    }
}

int main(void)
{
    static char names[TESTS_MAX][160];
    struct CMUnitTest tests[TESTS_MAX] = {
        cmocka_unit_test(test_deciding__what_is_misspelt_is_named_with_its_line),
        cmocka_unit_test(test_deciding__what_is_not_true_is_named_with_its_line),
    };
    const struct CMUnitTest last =
        cmocka_unit_test(test_deciding__every_policy_and_verdict_is_shown);
    char problem[STORY_PROBLEM_SIZE];
    size_t count = 2;
    if (!story_page_load(&page, DAYBOOK_SOURCE_DIR "/docs/deciding.md", problem)) {
        print_error("docs/deciding.md, %s\n", problem);
        return 1;
    }
    for (int i = 0; i < page.count && count < TESTS_MAX - 1; i++) {
        struct story *story = &page.stories[i];
        (void)snprintf(names[count], sizeof names[0], "test_deciding__line_%d: %s", story->line,
                       story->title);
        tests[count] =
            (struct CMUnitTest){.name = names[count], .test_func = tell, .initial_state = story};
        count++;
    }
    tests[count++] = last;
    int failed = _cmocka_run_group_tests("deciding", tests, count, set_up, tear_down);
    story_page_clear(&page);
    return failed;
}
