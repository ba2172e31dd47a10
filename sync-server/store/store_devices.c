/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations on devices, as store.c has the others: the caller is checked, and the backend does
 * it. Called by accounts, workers, commands and the decider. Invariant: what writes is within a
 * transaction of the writer.
 */
#include "sync-server/store/store_operations.h"

#include <assert.h>
#include <string.h>

/* See the header. */
daybook_status srv_store_add_device(struct srv_store *store, struct srv_device *device,
                                    const uint8_t token_hash[SRV_HASH_SIZE])
{
    assert(srv_store_is_writing(store) && memchr(device->name, '\0', sizeof device->name) != NULL);
    return store->operations->add_device(store, device, token_hash);
}

/* See the header. */
daybook_status srv_store_find_device(struct srv_store *store,
                                     const uint8_t token_hash[SRV_HASH_SIZE],
                                     struct srv_device *device, bool *found)
{
    *found = false;
    return store->operations->find_device(store, token_hash, device, found);
}

/* See the header. */
daybook_status srv_store_find_instance(struct srv_store *store, const struct id *instance,
                                       struct srv_device *device, bool *found)
{
    *found = false;
    return store->operations->find_instance(store, instance, device, found);
}

/* See the header. */
daybook_status srv_store_lease(struct srv_store *store, int64_t device, const struct id *instance,
                               uint32_t *device_no)
{
    assert(srv_store_is_writing(store));
    return store->operations->lease(store, device, instance, device_no);
}

/* See the header. */
daybook_status srv_store_list_devices(struct srv_store *store, int64_t org, struct arena *arena,
                                      struct srv_device **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->list_devices(store, org, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_revoke(struct srv_store *store, int64_t device)
{
    assert(srv_store_is_writing(store));
    return store->operations->revoke(store, device);
}

/* See the header. */
daybook_status srv_store_mark_device(struct srv_store *store, uint32_t device_no, int64_t decided,
                                     int64_t settled, int64_t seen_ms)
{
    assert(srv_store_is_writing(store));
    return store->operations->mark_device(store, device_no, decided, settled, seen_ms);
}

/* See the header. */
daybook_status srv_store_add_divergences(struct srv_store *store, uint32_t device_no,
                                         int64_t buckets)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_divergences(store, device_no, buckets);
}

/* See the header. */
daybook_status srv_store_owns_number(struct srv_store *store, uint32_t mine, uint32_t number,
                                     bool *owns)
{
    *owns = false;
    return store->operations->owns_number(store, mine, number, owns);
}

/* See the header. */
daybook_status srv_store_other_numbers(struct srv_store *store, const struct id *user,
                                       uint32_t device_no, struct arena *arena, uint32_t **numbers,
                                       int *count)
{
    *numbers = NULL;
    *count = 0;
    return store->operations->other_numbers(store, user, device_no, arena, numbers, count);
}
