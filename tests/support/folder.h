/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresh folders for the files of a test. They lie in memory where there is room for them and TMPDIR
 * says nothing else: tests end processes, but cut the power only of disks of their own (power.h),
 * and hundreds of commits that wait for a real one take most of their time.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_FOLDER_H
#define DAYBOOK_TESTS_SUPPORT_FOLDER_H

#include <stddef.h>

/* Makes a folder whose name begins so, and gives its path; the test fails where it cannot. Whoever
 * made it removes it. */
void folder_make(char *path, size_t size, const char *name);

#endif
