/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a laboratory need of each other; see lab.h. For lab*.c only.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LAB_INSIDE_H
#define DAYBOOK_TESTS_SUPPORT_LAB_INSIDE_H

#include "tests/support/lab.h"

/* Fills in the hooks of the device. */
void lab_platform(struct lab_device *device);

/* Starts the server; the data folder is there. */
void lab_open_server(struct lab *lab);
/* The other organisation's server, which begins here. */
struct service *lab_other(struct lab *lab);
/* An organisation, its users and its catalogue. */
void lab_make_organisation(struct lab *lab);

/* Lets go of a file that is about to be closed or replaced. */
void lab_close_reader(struct lab *lab, const char *path);
void lab_remove_folder(const char *path);
void lab_write_file(struct lab *lab, const char *path, const void *bytes, size_t size);

#endif
