/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk of this process that takes as long as it is told to make a write durable.
 */
#ifndef DAYBOOK_TESTS_BENCH_DISK_H
#define DAYBOOK_TESTS_BENCH_DISK_H

/* From now on each fsync takes so much longer, in all of the process; 0: as the disk has it. */
void disk_slow(int ms);

#endif
