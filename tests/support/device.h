/* SPDX-License-Identifier: Apache-2.0
 *
 * A device for tests: an engine on a real file in a folder of its own, and the few lines that a
 * test needs to enrol it, record something on it and look into it. Whatever fails ends the test
 * with the engine's own words.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_DEVICE_H
#define DAYBOOK_TESTS_SUPPORT_DEVICE_H

#include <daybook/daybook.h>

struct device {
    char folder[256];
    char path[300];
    daybook_options options; /* as it was opened; change it before device_open */
    daybook *engine;
    daybook_error error; /* of the call that was expected to fail last */
};

/* A folder of its own, and options for it. `platform` NULL: the library's; `server_url` and
 * `ca_file` may be NULL. The texts must outlive the device. Nothing is opened yet. */
void device_init(struct device *device, const daybook_platform *platform, const char *server_url,
                 const char *ca_file);
/* Opens the engine. */
void device_open(struct device *device);
/* Closes the engine and keeps the files: device_open goes on with them. */
void device_close(struct device *device);
/* Closes the engine and removes the folder. */
void device_clear(struct device *device);
/* Copies the files of a closed device into another folder: a clone, as a phone's backup makes it.
 */
void device_copy(const struct device *from, struct device *to);

void device_enrol(struct device *device, const char *code);
/* Syncs until nothing is left, and expects this status; device->error then has the text. */
void device_sync_expect(struct device *device, daybook_status status);
void device_sync(struct device *device);

/* Each is one transaction, from any thread. `id` gets DAYBOOK_ID_SIZE bytes and may be NULL. */
void device_customer(struct device *device, const char *name, char *id);
void device_visit(struct device *device, const char *customer, const char *feedback, char *id);
/* A quote in CNY with `lines` lines of one product each, named by `product`. */
void device_quote(struct device *device, const char *customer, const char *product, int lines,
                  char *id);
/* Changes one text field, based on the version that the device shows now. */
void device_patch_text(struct device *device, const char *entity, const char *id, const char *field,
                       const char *text);
void device_delete(struct device *device, const char *entity, const char *id);

/* The version that the device shows of a record; the test fails where there is none. */
int64_t device_version(struct device *device, const char *entity, const char *id);
/* The first column of the first row; -1 and "" where there is no row or it is NULL. */
int64_t device_int(struct device *device, const char *sql);
/* Text is valid until the next call on the same device. */
const char *device_text(struct device *device, const char *sql);
/* The same with one UUID text bound as parameter 1. */
const char *device_text_of(struct device *device, const char *sql, const char *id);
/* The first text of a query on a store's file, by a connection of its own; "" for none. `out` holds
 * it. */
const char *device_file_text(const char *path, const char *sql, char *out, size_t size);
daybook_sync_status device_status(struct device *device);

/* Ends the test where a call did not end as it should. */
#define device_must(status, error) device_check((status), (error), __FILE__, __LINE__)
void device_check(daybook_status status, const daybook_error *error, const char *file, int line);

#endif
