/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures, one function each; a function that measures several at once prints them all. What
 * each means is in README.md.
 */
#ifndef DAYBOOK_TESTS_BENCH_FIGURES_H
#define DAYBOOK_TESTS_BENCH_FIGURES_H

#include "tests/bench/harness.h"

/* local.c */
void figure_local_insert_1000(struct bench *bench);
void figure_local_insert_1(struct bench *bench);
void figure_local_insert_1_full(struct bench *bench);
void figure_local_insert_1_full_2ms(struct bench *bench);
void figure_local_update_1000(struct bench *bench);
void figure_db_unsent(struct bench *bench);
void figure_db_acked(struct bench *bench);
/* network.c */
void figure_push_1000(struct bench *bench);
void figure_push_bulk_1000(struct bench *bench);
void figure_pull(struct bench *bench);
void figure_wire_insert(struct bench *bench);
void figure_wire_update(struct bench *bench);
/* first.c */
void figure_first_sync_100k(struct bench *bench);
void figure_rss_first_sync_mib(struct bench *bench);
#define CHILD_FIRST_SYNC "--child-first-sync"
/* The work of the process that figure_rss_first_sync_mib starts: STORE URL CA_FILE CODE. Prints the
 * growth in MiB. */
int child_first_sync(char **arguments);
/* conflict.c */
void figure_apply_conflicts(struct bench *bench);
/* count.c */
#define CHILD_COUNT "--count"
/* The workload of count.py: FOLDER. Prints PHASE, name and rows at the end of each phase. */
int child_count(char **arguments);
/* one.c */
void figure_one_change_ms(struct bench *bench);
/* single.c */
void figure_decide_single(struct bench *bench);
/* growth.c */
void figure_growth(struct bench *bench);
/* log.c */
void figure_growth_log(struct bench *bench);
/* phone.c */
void figure_phone(struct bench *bench);
#define CHILD_PHONE "--child-phone"
/* The phone that figure_phone starts: STORE URL CA_FILE FIRST. */
int child_phone(char **arguments);
/* idle.c */
void figure_idle_connection_kib(struct bench *bench);
/* batch.c */
void figure_decide_batch(struct bench *bench);

#endif
