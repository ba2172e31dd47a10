/* SPDX-License-Identifier: Apache-2.0
 *
 * A slow line on loopback: what goes in comes out later, by what the line passes in a second and by
 * how far away the other end is. Nothing is lost on it.
 */
#ifndef DAYBOOK_TESTS_BENCH_LINE_H
#define DAYBOOK_TESTS_BENCH_LINE_H

struct line;

/* Listens on a free port of 127.0.0.1 and passes everything to this port there: so many bytes a
 * second in each direction, each byte `delay_ms` later than it went in. To connect takes a round
 * trip, too. */
struct line *line_start(int server_port, int bytes_per_s, int delay_ms);
int line_port(const struct line *line);
/* Bytes that went in since the last call, both directions. */
long long line_bytes(struct line *line);
/* The connections must have been closed. */
void line_stop(struct line *line);

#endif
