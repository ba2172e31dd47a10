/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a device that has synced, has work pending and an item in its inbox: made once, put
 * back for each input. Its bytes and all ids are the same in each run, so that an input means the
 * same: clock, chance and server are those of tests/support/script.h.
 */
#ifndef DAYBOOK_TESTS_FUZZ_TEMPLATE_H
#define DAYBOOK_TESTS_FUZZ_TEMPLATE_H

#include "tests/support/device.h"
#include "tests/support/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEMPLATE_VISIT "01930000-0000-7000-8000-000000000001" /* on the server only */
#define TEMPLATE_PRODUCT "01930000-0000-7000-8000-000000000002"
#define TEMPLATE_SIZE_MAX ((size_t)16 << 20)

struct template
{
    struct device device;
    struct script script;
    daybook_platform platform; /* of inputs */
    daybook_options options;
    uint8_t *fresh, *used; /* the file before and after it enrolled and all that */
    size_t fresh_size, used_size;
    char customer[DAYBOOK_ID_SIZE]; /* one of its own */
};

typedef daybook_status (*template_exchange)(void *context, void *connection,
                                            const struct daybook_request *request,
                                            struct daybook_reply *reply);

static inline uint8_t *template_read(const char *path, size_t *size)
{
    uint8_t *bytes = malloc(TEMPLATE_SIZE_MAX);
    FILE *file = fopen(path, "rb");
    assert_non_null(bytes);
    assert_non_null(file);
    *size = fread(bytes, 1, TEMPLATE_SIZE_MAX, file);
    (void)fclose(file);
    return bytes;
}

/* Records that are settled, rejected, pending, and settled with pending changes. */
static inline void template_work(struct template *template)
{
    struct device *device = &template->device;
    char *customer = template->customer;
    device_enrol(device, SCRIPT_CODE);
    (void)script_add_customer(&template->script, "Wu");
    device_customer(device, "He", customer);
    device_visit(device, customer, "shelf is half empty", NULL);
    device_quote(device, customer, TEMPLATE_PRODUCT, 2, NULL);
    script_reject(&template->script, 2, REJECT_RULE, "feedback", "required");
    device_sync(device);
    device_visit(device, customer, "more", NULL);
    device_patch_text(device, "customer", customer, "name", "He & Co");
    device_quote(device, customer, TEMPLATE_PRODUCT, 1, NULL);
}

static inline struct template *template_make(void)
{
    struct template *template = calloc(1, sizeof *template);
    assert_non_null(template);
    struct device *device = &template->device;
    script_init(&template->script);
    device_init(device, &template->script.platform, "https://server.invalid", NULL);
    device_open(device);
    device_close(device);
    template->fresh = template_read(device->path, &template->fresh_size);
    device_open(device);
    template_work(template);
    device_close(device);
    template->used = template_read(device->path, &template->used_size);
    template->options = device->options;
    template->options.platform = &template->platform;
    return template;
}

static inline void *template_connection(void *context)
{
    return context;
}

static inline void template_no_connection(void *context, void *connection)
{
    (void)context;
    (void)connection;
}

static inline int64_t template_wall_ms(void *context)
{
    (void)context;
    return INT64_C(1730968900000);
}

static inline int64_t template_steady_ms(void *context)
{
    (void)context;
    return 5000000;
}

static inline uint64_t template_boot_id(void *context)
{
    (void)context;
    return 42;
}

static inline bool template_random(void *context, void *bytes, size_t length)
{
    (void)context;
    memset(bytes, 0x5A, length);
    return true;
}

/* A platform with this transport and its context; clock and chance stand still. */
static inline void template_reset(struct template *template, template_exchange exchange,
                                  void *context)
{
    template->platform = (daybook_platform){.size = sizeof template->platform,
                                            .context = context,
                                            .wall_ms = template_wall_ms,
                                            .steady_ms = template_steady_ms,
                                            .boot_id = template_boot_id,
                                            .random = template_random,
                                            .transport_open = template_connection,
                                            .transport_exchange = exchange,
                                            .transport_interrupt = template_no_connection,
                                            .transport_close = template_no_connection};
}

/* Puts the file back, as it was before it enrolled or with all that it has. */
static inline void template_write(const struct template *template, bool used)
{
    char path[400];
    const uint8_t *bytes = used ? template->used : template->fresh;
    size_t size = used ? template->used_size : template->fresh_size;
    (void)snprintf(path, sizeof path, "%s-wal", template->device.path);
    (void)remove(path);
    (void)snprintf(path, sizeof path, "%s-shm", template->device.path);
    (void)remove(path);
    FILE *file = fopen(template->device.path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

#endif
