/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's functions about epochs, backups and what its records are converted to, for all
 * backends; see store.c.
 */
#include "sync-server/store/store_operations.h"

#include <assert.h>

/* See the header. */
uint64_t srv_store_epoch(struct srv_store *store)
{
    return store->operations->epoch(store);
}

/* See the header. */
daybook_status srv_store_new_epoch(struct srv_store *store, int64_t number)
{
    assert(srv_store_is_writing(store));
    return store->operations->new_epoch(store, number);
}

/* See the header. */
daybook_status srv_store_get_converted(struct srv_store *store, int64_t *schema)
{
    *schema = 0;
    return store->operations->get_converted(store, schema);
}

/* See the header. */
daybook_status srv_store_set_converted(struct srv_store *store, int64_t schema)
{
    assert(srv_store_is_writing(store));
    return store->operations->set_converted(store, schema);
}

/* See the header. */
daybook_status srv_store_epoch_end(struct srv_store *store, int64_t org, uint64_t epoch,
                                   int64_t *head)
{
    *head = 0;
    return store->operations->epoch_end(store, org, epoch, head);
}

/* See the header. */
daybook_status srv_store_set_backup(struct srv_store *store, int64_t org, int64_t head)
{
    assert(srv_store_is_writing(store) && head >= 0);
    return store->operations->set_backup(store, org, head);
}

/* See the header. */
daybook_status srv_store_get_backup(struct srv_store *store, int64_t org, int64_t *head, bool *any)
{
    *head = 0;
    *any = false;
    return store->operations->get_backup(store, org, head, any);
}
