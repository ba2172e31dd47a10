/* SPDX-License-Identifier: Apache-2.0
 *
 * daybook-bench [--only-daybook] [--once] --folder FOLDER [--server PROGRAM] [NAME...]: measures
 * the named figures, or all, and prints their lines. Started by run.sh. --once: one run of each,
 * which says that they work, not how fast. Exit status 0: all were measured.
 */
#include "tests/bench/figures.h"

#include "tests/bench/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 64

/* A name, and the function that prints it; several names may share one. */
struct entry {
    const char *name;
    void (*measure)(struct bench *bench);
};

static const struct entry entries[] = {
    {"local_insert_1000", figure_local_insert_1000},
    {"local_insert_1", figure_local_insert_1},
    {"local_insert_1_full", figure_local_insert_1_full},
    {"local_insert_1_full_2ms", figure_local_insert_1_full_2ms},
    {"local_update_1000", figure_local_update_1000},
    {"push_1000", figure_push_1000},
    {"push_bulk_1000", figure_push_bulk_1000},
    {"pull", figure_pull},
    {"first_sync_100k", figure_first_sync_100k},
    {"one_change_ms", figure_one_change_ms},
    {"apply_conflicts", figure_apply_conflicts},
    {"decide_batch", figure_decide_batch},
    {"decide_single", figure_decide_single},
    {"decide_single_p99_ms", figure_decide_single},
    {"wire_insert", figure_wire_insert},
    {"wire_update", figure_wire_update},
    {"db_unsent", figure_db_unsent},
    {"db_acked", figure_db_acked},
    {"rss_first_sync_mib", figure_rss_first_sync_mib},
    {"idle_connection_kib", figure_idle_connection_kib},
    {"phone_act_ms", figure_phone},
    {"phone_list_ms", figure_phone},
    {"phone_day_s", figure_phone},
    {"growth_apply", figure_growth},
    {"growth_open", figure_growth},
    {"growth_query", figure_growth},
    {"growth_log_decide", figure_growth_log},
    {"growth_log_pull", figure_growth_log},
    {"growth_log_page", figure_growth_log},
    {"growth_log_open", figure_growth_log},
    {"growth_log_memory", figure_growth_log},
    {"growth_log_file", figure_growth_log},
};
#define ENTRY_COUNT ((int)(sizeof entries / sizeof entries[0]))

/* What the command line asks for. */
struct asked {
    struct bench bench;
    const char *names[NAMES_MAX];
    int name_count;
};

static void read_arguments(int argc, char **argv, struct asked *asked)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--only-daybook") == 0) {
            asked->bench.only_daybook = true;
        } else if (strcmp(argv[i], "--once") == 0) {
            asked->bench.runs = 1;
        } else if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc) {
            asked->bench.folder = argv[++i];
        } else if (strcmp(argv[i], "--server") == 0 && i + 1 < argc) {
            asked->bench.server = argv[++i];
        } else if (argv[i][0] == '-' || asked->name_count == NAMES_MAX) {
            bench_fail("unknown option %s", argv[i]);
        } else {
            asked->names[asked->name_count++] = argv[i];
        }
    }
    for (int i = 0; i < asked->name_count; i++) {
        bool known = false;
        for (int n = 0; n < ENTRY_COUNT && !known; n++) {
            known = strcmp(entries[n].name, asked->names[i]) == 0;
        }
        if (!known) {
            bench_fail("there is no figure %s", asked->names[i]);
        }
    }
    if (asked->bench.folder == NULL) {
        bench_fail("--folder FOLDER is missing");
    }
}

/* Whether the command line names this entry. */
static bool is_wanted(const struct asked *asked, int number)
{
    const struct entry *entry = &entries[number];
    bool wanted = asked->name_count == 0;
    for (int i = 0; i < asked->name_count && !wanted; i++) {
        wanted = strcmp(entry->name, asked->names[i]) == 0;
    }
    return wanted;
}

/* Runs each function once, in the order of the table. */
static void measure_all(struct asked *asked)
{
    for (int i = 0; i < ENTRY_COUNT; i++) {
        bool done = false;
        for (int n = 0; n < i && !done; n++) {
            done = entries[n].measure == entries[i].measure && is_wanted(asked, n);
        }
        if (!done && is_wanted(asked, i)) {
            entries[i].measure(&asked->bench);
        }
    }
}

int main(int argc, char **argv)
{
    struct asked asked = {.bench.runs = BENCH_RUNS};
    char self[BENCH_PATH_MAX];
    if (argc == 6 && strcmp(argv[1], CHILD_FIRST_SYNC) == 0) {
        return child_first_sync(argv + 2);
    }
    if (argc == 6 && strcmp(argv[1], CHILD_PHONE) == 0) {
        return child_phone(argv + 2);
    }
    if (argc == 3 && strcmp(argv[1], CHILD_COUNT) == 0) {
        return child_count(argv + 2);
    }
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        bench_fail("this program does not find itself");
    }
    self[length] = '\0';
    asked.bench.self = self;
    read_arguments(argc, argv, &asked);
    bench_refuse_memory_disk(asked.bench.folder);
    measure_all(&asked);
    /* Whether the machine was quiet enough is known by the raw side, so that it is always run. */
    (void)raw_median(&asked.bench, RAW_INSERT_1000);
    raw_print(&asked.bench);
    raw_judge(&asked.bench);
    world_end(&asked.bench);
    return EXIT_SUCCESS;
}
