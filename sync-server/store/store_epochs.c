/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's functions about epochs, backups and what its records are converted to or wait for,
 * for all backends; see store.c.
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

/* See the header. */
daybook_status srv_store_add_given(struct srv_store *store, int64_t org,
                                   const struct entity *entity, const struct id *record,
                                   const struct srv_given *given)
{
    assert(srv_store_is_writing(store) && given->name_length > 0);
    return store->operations->add_given(store, org, entity, record, given);
}

/* See the header. */
daybook_status srv_store_given(struct srv_store *store, int64_t org, const struct entity *entity,
                               const struct id *record, struct arena *arena,
                               struct srv_given **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->given(store, org, entity, record, arena, rows, count);
}

/* See the header. */
daybook_status srv_store_remove_given(struct srv_store *store, int64_t org,
                                      const struct entity *entity, const struct id *record,
                                      const char *name)
{
    assert(srv_store_is_writing(store) && name != NULL);
    return store->operations->remove_given(store, org, entity, record, name);
}

/* See the header. */
daybook_status srv_store_list_given(struct srv_store *store, int64_t org,
                                    const struct entity *entity, const struct id *after, int limit,
                                    struct arena *arena, struct id **ids, int *count)
{
    assert(limit > 0);
    *ids = NULL;
    *count = 0;
    return store->operations->list_given(store, org, entity, after, limit, arena, ids, count);
}
