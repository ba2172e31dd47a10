/* SPDX-License-Identifier: Apache-2.0
 *
 * model_run [--all] [--configs NAME,...] [--every N] [--jobs N] [--list] FILE: plays the scenarios
 * of the daily configurations (of all, of those named; one of N) and writes one line of JSON for
 * each to FILE, which reference.py judges. --jobs says how many companies play at a time (2),
 * --list only counts. See model.h.
 */
#include "tests/model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Scenarios at a time. With more of them the changes of one record lie far apart in the outbox,
 * which is walked through for each that is settled. */
#define TOGETHER 250
#define JOBS_MAX 8

struct run_options {
    bool all, list;
    const char *configs; /* NULL: not said */
    int every;           /* of so many scenarios one */
    int jobs;
    const char *path;
};

static int usage(void)
{
    (void)fputs("usage: model_run [--all] [--configs NAME,...] [--every N] [--jobs N]"
                " [--list] FILE\n",
                stderr);
    return 2;
}

/* Adds the words of the configurations that are wanted; false where one does not exist. */
static bool add_words(const struct run_options *options, struct model_words *words)
{
    for (const char *at = options->configs; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        const struct model_config *config = model_config_named(at, length);
        if (config == NULL) {
            (void)fprintf(stderr, "model_run: no configuration %.*s\n", (int)length, at);
            return false;
        }
        model_words_add(words, config);
        at += length + (at[length] == ',' ? 1 : 0);
    }
    for (size_t i = 0; options->configs == NULL && i < model_config_count(); i++) {
        if (options->all || model_config_at(i)->daily) {
            model_words_add(words, model_config_at(i));
        }
    }
    return true;
}

static void thin(struct model_words *words, int every)
{
    size_t kept = 0;
    for (size_t i = 0; i < words->count; i++) {
        if (words->list[i].id % every == 0) {
            words->list[kept++] = words->list[i];
        }
    }
    words->count = kept;
}

static void print_counts(const struct model_words *words)
{
    for (size_t i = 0; i < model_config_count(); i++) {
        size_t count = 0;
        for (size_t j = 0; j < words->count; j++) {
            count += words->list[j].config == model_config_at(i) ? 1 : 0;
        }
        if (count > 0) {
            (void)printf("%-16s %zu scenarios\n", model_config_at(i)->name, count);
        }
    }
}

/* How many words from here on have the same order of syncs and the same role. */
static size_t alike(const struct model_words *words, size_t first)
{
    const struct model_word *word = &words->list[first];
    size_t count = 1;
    while (first + count < words->count && count < TOGETHER &&
           words->list[first + count].syncs == word->syncs &&
           strcmp(words->list[first + count].config->role, word->config->role) == 0) {
        count++;
    }
    return count;
}

/* Plays a batch of words and writes their lines. */
static void run_batch(struct model_stage *stage, const struct model_word *words, size_t count,
                      FILE *file)
{
    struct model_scenario *scenarios = calloc(count, sizeof *scenarios);
    assert_non_null(scenarios);
    for (size_t i = 0; i < count; i++) {
        scenarios[i].word = &words[i];
    }
    model_play(stage, scenarios, count);
    model_tell(stage, scenarios, count, file);
    free(scenarios);
}

/* Plays each batch whose turn it is: number `turn` of `jobs`. */
static void run_turns(const struct model_words *words, int turn, int jobs, FILE *file)
{
    static struct model_stage stage; /* a failure ends in exit: the stage is cleared from there */
    const char *role = NULL;
    int batch = 0;
    for (size_t i = 0, count; i < words->count; i += count) {
        count = alike(words, i);
        if (batch++ % jobs != turn) {
            continue;
        }
        if (role == NULL || strcmp(role, words->list[i].config->role) != 0) {
            if (role != NULL) {
                model_close(&stage);
            }
            role = words->list[i].config->role;
            model_open(&stage, role);
        }
        run_batch(&stage, &words->list[i], count, file);
    }
    if (role != NULL) {
        model_close(&stage);
    }
}

static void append(FILE *from, FILE *to)
{
    char block[65536];
    size_t length;
    rewind(from);
    while ((length = fread(block, 1, sizeof block, from)) > 0) {
        assert_int_equal(fwrite(block, 1, length, to), length);
    }
    assert_int_equal(ferror(from), 0);
}

/* Shares the batches among processes, each with a company of its own; false where one has failed.
 */
static bool run_all(const struct model_words *words, int jobs, FILE *file)
{
    pid_t children[JOBS_MAX];
    FILE *parts[JOBS_MAX];
    bool good = true;
    (void)fflush(NULL);
    for (int i = 0; i < jobs; i++) {
        parts[i] = tmpfile();
        assert_non_null(parts[i]);
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            run_turns(words, i, jobs, parts[i]);
            exit(fflush(parts[i]) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
    for (int i = 0; i < jobs; i++) {
        int result = 0;
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        good = good && WIFEXITED(result) && WEXITSTATUS(result) == EXIT_SUCCESS;
        append(parts[i], file);
        (void)fclose(parts[i]);
    }
    return good;
}

static bool read_options(int count, char **arguments, struct run_options *options)
{
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i];
        bool last = i + 1 == count;
        if (strcmp(word, "--all") == 0) {
            options->all = true;
        } else if (strcmp(word, "--list") == 0) {
            options->list = true;
        } else if (strcmp(word, "--configs") == 0 && !last) {
            options->configs = arguments[++i];
        } else if (strcmp(word, "--every") == 0 && !last) {
            options->every = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(word, "--jobs") == 0 && !last) {
            options->jobs = (int)strtol(arguments[++i], NULL, 10);
        } else if (word[0] != '-' && options->path == NULL) {
            options->path = word;
        } else {
            return false;
        }
    }
    return options->every > 0 && options->jobs > 0 && options->jobs <= JOBS_MAX &&
           (options->list || options->path != NULL);
}

int main(int count, char **arguments)
{
    struct run_options options = {.every = 1, .jobs = 2};
    struct model_words words = {.list = NULL};
    bool good = true;
    if (!read_options(count, arguments, &options) || !add_words(&options, &words)) {
        return usage();
    }
    thin(&words, options.every);
    model_words_sort(&words);
    print_counts(&words);
    if (!options.list) {
        time_t begin = time(NULL);
        FILE *file = fopen(options.path, "w");
        assert_non_null(file);
        good = run_all(&words, options.jobs, file);
        assert_int_equal(fclose(file), 0);
        (void)printf("%zu scenarios in %d s\n", words.count, (int)(time(NULL) - begin));
    }
    model_words_clear(&words);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
