/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations on the quarantine and on what waits for it, as store.c has the others: the caller
 * is checked, and the backend does it. Called by the decider, the commands and the workers.
 * Invariant: what writes is within a transaction of the writer.
 */
#include "sync-server/store/store_operations.h"

#include <assert.h>

/* See the header. */
daybook_status srv_store_add_quarantine(struct srv_store *store, int64_t org,
                                        const struct srv_quarantined *row)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_quarantine(store, org, row);
}

/* See the header. */
daybook_status srv_store_measure_quarantine(struct srv_store *store, int64_t org,
                                            const struct id *user, int64_t *count, int64_t *size)
{
    *count = 0;
    *size = 0;
    return store->operations->measure_quarantine(store, org, user, count, size);
}

/* See the header. */
daybook_status srv_store_list_quarantine(struct srv_store *store, int64_t org, uint32_t device_no,
                                         int64_t seq, int limit, struct arena *arena,
                                         struct srv_quarantined **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->list_quarantine(store, org, device_no, seq, limit, arena, rows,
                                              count);
}

/* See the header. */
daybook_status srv_store_find_quarantine(struct srv_store *store, int64_t org,
                                         const struct id *changeset, struct arena *arena,
                                         struct srv_quarantined *row, bool *found)
{
    *found = false;
    return store->operations->find_quarantine(store, org, changeset, arena, row, found);
}

/* See the header. */
daybook_status srv_store_end_quarantine(struct srv_store *store, int64_t org,
                                        const struct id *changeset, const char *why)
{
    assert(srv_store_is_writing(store));
    return store->operations->end_quarantine(store, org, changeset, why);
}

/* See the header. */
daybook_status srv_store_ended_quarantine(struct srv_store *store, uint32_t device_no,
                                          int64_t settled, int limit, struct arena *arena,
                                          struct srv_decision **rows, int *count)
{
    *rows = NULL;
    *count = 0;
    return store->operations->ended_quarantine(store, device_no, settled, limit, arena, rows,
                                               count);
}

/* See the header. */
daybook_status srv_store_has_quarantine(struct srv_store *store, uint32_t device_no, bool *has)
{
    *has = false;
    return store->operations->has_quarantine(store, device_no, has);
}

/* See the header. */
daybook_status srv_store_add_claim(struct srv_store *store, int64_t org, const struct id *record,
                                   const struct id *changeset, uint32_t device_no, int64_t seq,
                                   bool makes)
{
    assert(srv_store_is_writing(store));
    return store->operations->add_claim(store, org, record, changeset, device_no, seq, makes);
}

/* See the header. */
daybook_status srv_store_find_claim(struct srv_store *store, int64_t org, const struct id *record,
                                    uint32_t device_no, int64_t seq, struct srv_claim *claim,
                                    bool *found)
{
    *found = false;
    return store->operations->find_claim(store, org, record, device_no, seq, claim, found);
}

/* See the header. */
daybook_status srv_store_remove_claims(struct srv_store *store, int64_t org,
                                       const struct id *changeset)
{
    assert(srv_store_is_writing(store));
    return store->operations->remove_claims(store, org, changeset);
}

/* See the header. */
daybook_status srv_store_replace_verdict(struct srv_store *store, int64_t org,
                                         const struct srv_decision *decision)
{
    assert(srv_store_is_writing(store));
    return store->operations->replace_verdict(store, org, decision);
}
