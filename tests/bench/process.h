/* SPDX-License-Identifier: Apache-2.0
 *
 * Other programs, started with a pipe to read their standard output from.
 */
#ifndef DAYBOOK_TESTS_BENCH_PROCESS_H
#define DAYBOOK_TESTS_BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Starts argv[0] with these words (NULL at the end); *output reads what it prints. The child is
 * terminated when this process ends. */
pid_t process_start(const char *const *argv, int *output);
/* Reads up to the end of the next line, without it; false at the end of the output. A longer line
 * is cut. */
bool process_line(int output, char *line, size_t size);
/* Waits for the end; ends the run where the exit status is not 0. */
void process_wait(pid_t process, const char *what);
/* Runs to the end and keeps the last line that is not empty. */
void process_run(const char *const *argv, char *line, size_t size);

#endif
