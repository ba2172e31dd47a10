/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator. Random days of a few people with a bad network: two to twelve engines and the
 * server's inner half in one process, with clocks, disks, network and chance of the test's, every
 * fault that the laboratory knows, and in the end everybody has the same and nothing that somebody
 * entered is lost. Some devices have a newer release, with more fields, entities and states, from
 * the morning on; others, and the server, get it in the middle of the day, or not at all. One seed
 * is one day, always the same.
 *
 *   DAYBOOK_SIM_FIRST=n    the first seed; 1
 *   DAYBOOK_SIM_SEEDS=n    how many; without it, as many as fit into the time
 *   DAYBOOK_SIM_SECONDS=n  the time; 12
 *   DAYBOOK_SIM_TRACE=1    tells each step
 *   DAYBOOK_SIM_SQL=query  with that also what the query gives on a device after each sync
 *   DAYBOOK_SIM_REPLIES=1  with that also what the server says
 *   DAYBOOK_SIM_SKIP=a-b,c leaves these steps out; shrink.py finds the fewest that fail
 */
#include "tests/support/lab_system.h"

#include "tests/support/day.h"
#include "tests/support/release.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define DEFAULT_SECONDS 12
#define DEFAULT_LEAST 5  /* seeds, however slow the machine */
#define SEEDS_OF_ALL 300 /* in so many everything happens */
#define STEPS_LEAST 40
#define STEPS_MORE 160
#define TWICE 3 /* days that are run a second time */

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text) text,
    LAB_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

static int64_t elapsed_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* See DAYBOOK_SIM_SKIP. Each step draws its own numbers, so that the others stay as they are. */
static bool is_left_out(int number)
{
    const char *skip = getenv("DAYBOOK_SIM_SKIP");
    while (skip != NULL && *skip != '\0') {
        char *end;
        long from = strtol(skip, &end, 10);
        long to = *end == '-' ? strtol(end + 1, &end, 10) : from;
        if (number >= from && number <= to) {
            return true;
        }
        skip = *end == ',' ? end + 1 : NULL;
    }
    return false;
}

/* The release with the schema of tomorrow (tests/versions). */
static const struct release *newer_release(void)
{
    static const struct release *release;
    void *module = release != NULL ? NULL : dlopen(NEWER_RELEASE, RTLD_NOW | RTLD_LOCAL);
    if (module != NULL) {
        release = dlsym(module, "daybook_release");
    }
    if (release == NULL) {
        fail_msg("%s", dlerror());
    }
    assert_true(release->schema > daybook_release.schema);
    return release;
}

/* Returns the hash of the day's trace. */
static uint64_t run_day(struct day *day, uint64_t seed, int64_t *counts)
{
    struct lab *lab = &day->lab;
    day_begin(day, seed, counts, newer_release());
    int devices = lab_chance(lab, 80) ? 2 + lab_random(lab, 3) : 5 + lab_random(lab, 7);
    for (int i = 0; i < devices; i++) {
        struct lab_device *device = lab_hire(lab, lab_random(lab, LAB_USERS));
        if (lab_chance(lab, 80)) {
            lab_enrol(device);
        }
        if (lab_chance(lab, 8)) { /* some have the newer release from the morning on */
            day_step(day, device, DAY_UPDATES);
        }
    }
    lab->faults = true;
    for (int i = STEPS_LEAST + lab_random(lab, STEPS_MORE); i > 0; i--) {
        lab_begin_step(lab, i);
        if (!is_left_out(i)) {
            struct lab_device *device = &lab->devices[lab_random(lab, lab->device_count)];
            day_step(day, device, lab_random(lab, DAY_CHOICES));
        }
    }
    lab_begin_step(lab, 0);
    day_end(day);
    return lab->hash;
}

/* ---- many days */

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtol(text, NULL, 10);
}

static void test_days__a_seed_is_one_run(void **state)
{
    int64_t counts[LAB_FAULT_COUNT] = {0};
    uint64_t first = (uint64_t)number_from("DAYBOOK_SIM_FIRST", 1);
    struct day *day = calloc(1, sizeof *day);
    (void)state;
    assert_non_null(day);
    for (uint64_t seed = first; seed < first + TWICE; seed++) {
        uint64_t hash = run_day(day, seed, counts);
        if (run_day(day, seed, counts) != hash) {
            lab_fail(&day->lab, "another run of it had another trace");
        }
    }
    free(day);
}

static void test_days__everybody_ends_with_the_same(void **state)
{
    int64_t counts[LAB_FAULT_COUNT] = {0};
    int64_t committed = 0, refused = 0;
    long first = number_from("DAYBOOK_SIM_FIRST", 1);
    long wanted = number_from("DAYBOOK_SIM_SEEDS", 0);
    int64_t time_ms = (int64_t)number_from("DAYBOOK_SIM_SECONDS", DEFAULT_SECONDS) * 1000;
    int64_t begin_ms = elapsed_ms();
    long done = 0;
    struct day *day = calloc(1, sizeof *day);
    (void)state;
    assert_non_null(day);
    while (wanted > 0 ? done < wanted : done < DEFAULT_LEAST || elapsed_ms() - begin_ms < time_ms) {
        if (wanted != 1) {
            print_message("\rseed %ld ", first + done);
        }
        (void)run_day(day, (uint64_t)(first + done), counts);
        committed += day->people.committed;
        refused += day->people.refused;
        done++;
    }
    free(day);
    print_message("\r%ld seeds from %ld, %lld transactions, %lld refused by the engine\n", done,
                  first, (long long)committed, (long long)refused);
    for (int i = 0; i < LAB_FAULT_COUNT; i++) {
        print_message("%8lld %s\n", (long long)counts[i], fault_texts[i]);
        if (done >= SEEDS_OF_ALL) {
            assert_true(counts[i] > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days__a_seed_is_one_run),
        cmocka_unit_test(test_days__everybody_ends_with_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
