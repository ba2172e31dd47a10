/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a laboratory need of each other; see lab.h. For lab*.c only.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LAB_INSIDE_H
#define DAYBOOK_TESTS_SUPPORT_LAB_INSIDE_H

#include "tests/support/lab.h"

#define LAB_HASH UINT64_C(0xCBF29CE484222325) /* of nothing */

/* FNV-1a, on from what came before. */
static inline uint64_t lab_hash(uint64_t hash, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001B3);
    }
    return hash;
}

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
/* The whole file; the caller frees it. */
char *lab_read_file(struct lab *lab, const char *path, size_t *size);
void lab_remove_folder(const char *path);
void lab_write_file(struct lab *lab, const char *path, const void *bytes, size_t size);

#endif
