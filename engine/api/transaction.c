/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions: begin, put, patch, delete, commit, end. Called by apps; one thread at a time per
 * transaction. Invariants: nothing reaches the store before the commit, which takes it all or
 * nothing; a record is staged once; a call that fails stages nothing.
 */
#include "engine/api/staged.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

/* See staged.h. */
daybook_status dk_stage_fail(struct daybook_transaction *transaction, daybook_status status,
                             const struct entity *entity, const char *field, const char *rule,
                             const char *text)
{
    return dk_error_set(&transaction->error, status, entity == NULL ? NULL : entity->name, field,
                        rule, text);
}

/* See staged.h. The bound counts as met where the largest value would pass it. */
daybook_status dk_stage_no_memory(struct daybook_transaction *transaction)
{
    bool full = transaction->arena.used + LIMIT_CHANGESET_BYTES > transaction->arena.size_max;
    transaction->arena.failed = false;
    return dk_stage_fail(transaction, full ? DAYBOOK_TOO_LARGE : DAYBOOK_NO_MEMORY, NULL, NULL,
                         NULL, full ? "the transaction holds too much" : NULL);
}

/* See staged.h. */
daybook_status dk_stage_check_open(struct daybook_transaction *transaction)
{
    if (transaction->ended) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL,
                             "the transaction has been committed");
    }
    if (dk_engine_is_closed(transaction->engine)) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL, "the engine is closed");
    }
    return DAYBOOK_OK;
}

/* See daybook.h. */
daybook_status daybook_begin(daybook *engine, daybook_transaction **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (engine == NULL || out == NULL || !dk_engine_enter(engine)) {
        return DAYBOOK_MISUSE;
    }
    uint64_t epoch = dk_store_epoch(engine->store);
    dk_engine_leave(engine);
    struct daybook_transaction *transaction = dk_memory_new(1, sizeof *transaction);
    if (transaction == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    transaction->engine = engine;
    transaction->epoch = epoch;
    dk_arena_init(&transaction->arena, TRANSACTION_BYTES_MAX);
    dk_error_clear(&transaction->error);
    dk_engine_hold(engine);
    *out = transaction;
    return DAYBOOK_OK;
}

/* See daybook.h. */
void daybook_end(daybook_transaction **handle)
{
    if (handle == NULL || *handle == NULL) {
        return;
    }
    struct daybook_transaction *transaction = *handle;
    struct daybook *engine = transaction->engine;
    *handle = NULL;
    dk_memory_free(transaction->table);
    dk_arena_clear(&transaction->arena);
    dk_memory_free(transaction);
    dk_engine_release(engine);
}

/* See daybook.h. */
void daybook_transaction_error(const daybook_transaction *transaction, daybook_error *error)
{
    if (transaction == NULL) {
        (void)dk_error_text(error, DAYBOOK_MISUSE, NULL);
        return;
    }
    dk_error_copy(error, &transaction->error);
}

/* ---- staging records */

/* What put, patch and delete are told, checked. */
struct target {
    const struct entity *entity;
    struct id id;
    bool has_id;
    int64_t version;
};

/* Checks transaction, entity, id and version. */
static daybook_status read_target(struct daybook_transaction *transaction, const char *name,
                                  const char *id, int64_t version, struct target *target)
{
    daybook_status status = dk_stage_check_open(transaction);
    if (status != DAYBOOK_OK) {
        return status;
    }
    target->entity = name == NULL ? NULL : dk_entity_by_name(name, strlen(name));
    target->version = version;
    target->has_id = id != NULL;
    if (target->entity == NULL) {
        (void)dk_error_set(&transaction->error, DAYBOOK_UNKNOWN_ENTITY, name, NULL, NULL, NULL);
        return DAYBOOK_UNKNOWN_ENTITY;
    }
    bool makes = target->entity->writer == WRITER_BOTH && version == DAYBOOK_NEW;
    if (target->entity->writer == WRITER_SERVER || makes) {
        return dk_stage_fail(transaction, DAYBOOK_READONLY, target->entity, NULL, "server", NULL);
    }
    if (id != NULL && (!dk_id_from_text(id, strnlen(id, ID_TEXT_SIZE), &target->id) ||
                       dk_id_is_zero(&target->id))) {
        return dk_stage_fail(transaction, DAYBOOK_INVALID, target->entity, NULL, "id",
                             "the id is no UUID");
    }
    if (version < DAYBOOK_ANY_VERSION || version > LIMIT_NUMBER) {
        return dk_stage_fail(transaction, DAYBOOK_BAD_VERSION, target->entity, NULL, NULL, NULL);
    }
    return DAYBOOK_OK;
}

/* A record that exists is changed or deleted: it needs an id, and its entity must allow it. */
static daybook_status check_changeable(struct daybook_transaction *transaction,
                                       const struct target *target)
{
    if (!target->has_id) {
        return dk_stage_fail(transaction, DAYBOOK_MISUSE, target->entity, NULL, "id",
                             "the id is missing");
    }
    if (target->entity->growth == GROWTH_APPEND) {
        return dk_stage_fail(transaction, DAYBOOK_READONLY, target->entity, NULL, "append", NULL);
    }
    return DAYBOOK_OK;
}

/* The smaller of two versions named; a version that was seen says more than a blind write. */
static int64_t older(int64_t a, int64_t b)
{
    if (a == DAYBOOK_ANY_VERSION || b == DAYBOOK_ANY_VERSION) {
        return a == DAYBOOK_ANY_VERSION ? b : a;
    }
    return a < b ? a : b;
}

/* Loads the record; NOT_FOUND where the store has none, READONLY where it is a fetched one. */
static daybook_status load_existing(struct daybook_transaction *transaction,
                                    const struct target *target, const struct record **base)
{
    daybook_status status = dk_stage_load(transaction, target->entity, &target->id, base);
    return status == DAYBOOK_OK && *base == NULL
               ? dk_stage_missing(transaction, target->entity, &target->id)
               : status;
}

/* Stages a record that is made. With an id of the caller's it must be a new one, and none of those
 * that only the server makes. */
static daybook_status put_new(struct daybook_transaction *transaction, struct target *target,
                              struct daybook_record **record)
{
    struct daybook *engine = transaction->engine;
    const struct record *base = NULL;
    daybook_status status = DAYBOOK_OK;
    if (!target->has_id) {
        if (!dk_engine_enter(engine)) {
            return dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL,
                                 "the engine is closed");
        }
        status = dk_store_new_id(engine->store, &target->id);
        dk_engine_leave(engine);
        if (status != DAYBOOK_OK) {
            return dk_stage_fail(transaction, status, target->entity, NULL, NULL, NULL);
        }
    } else if (dk_stage_find(transaction, target->entity, &target->id) != NULL) {
        return dk_stage_fail(transaction, DAYBOOK_EXISTS, target->entity, NULL, NULL, NULL);
    } else if (dk_id_is_derived(&target->id)) {
        return dk_stage_fail(transaction, DAYBOOK_INVALID, target->entity, NULL, "id",
                             "new ids of version 8 are the server's");
    } else {
        status = dk_stage_load(transaction, target->entity, &target->id, &base);
        if (status == DAYBOOK_OK && base != NULL) {
            status = dk_stage_fail(transaction, DAYBOOK_EXISTS, target->entity, NULL, NULL, NULL);
        }
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    return dk_stage_add(transaction, target->entity, &target->id, STAGE_NEW, record);
}

/* Forgets all staged values. */
static void clear_values(struct daybook_record *record)
{
    memset(record->slots, 0, sizeof record->slots);
    record->value_count = 0;
    record->has_collections = false;
    record->texts = NULL;
}

/* Stages that all fields of a record are replaced. */
static daybook_status put_existing(struct daybook_transaction *transaction,
                                   const struct target *target, struct daybook_record **record)
{
    const struct record *base = NULL;
    daybook_status status = check_changeable(transaction, target);
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct daybook_record *staged = dk_stage_find(transaction, target->entity, &target->id);
    if (staged != NULL && staged->kind == STAGE_DELETE) {
        return dk_stage_fail(transaction, DAYBOOK_NOT_FOUND, target->entity, NULL, NULL, NULL);
    }
    status = staged != NULL ? dk_stage_need_base(staged) : DAYBOOK_OK;
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (staged != NULL) {
        clear_values(staged);
        if (staged->kind != STAGE_NEW) {
            staged->kind = STAGE_REPLACE;
            staged->seen = older(staged->seen, target->version);
        }
        *record = staged;
        return DAYBOOK_OK;
    }
    status = load_existing(transaction, target, &base);
    if (status == DAYBOOK_OK) {
        status = dk_stage_add(transaction, target->entity, &target->id, STAGE_REPLACE, record);
    }
    if (status == DAYBOOK_OK) {
        (*record)->base = base;
        (*record)->seen = target->version;
    }
    return status;
}

/* See daybook.h. */
daybook_status daybook_put(daybook_transaction *transaction, const char *entity, const char *id,
                           int64_t version, daybook_record **record)
{
    struct target target;
    if (record != NULL) {
        *record = NULL;
    }
    if (transaction == NULL || record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = read_target(transaction, entity, id, version, &target);
    if (status != DAYBOOK_OK) {
        return status;
    }
    return version == DAYBOOK_NEW ? put_new(transaction, &target, record)
                                  : put_existing(transaction, &target, record);
}

/* See daybook.h. */
daybook_status daybook_patch(daybook_transaction *transaction, const char *entity, const char *id,
                             int64_t version, daybook_record **record)
{
    struct target target;
    if (record != NULL) {
        *record = NULL;
    }
    if (transaction == NULL || record == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = read_target(transaction, entity, id, version, &target);
    if (status == DAYBOOK_OK) {
        status = check_changeable(transaction, &target);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct daybook_record *staged = dk_stage_find(transaction, target.entity, &target.id);
    if (staged != NULL && staged->kind == STAGE_DELETE) {
        return dk_stage_fail(transaction, DAYBOOK_NOT_FOUND, target.entity, NULL, NULL, NULL);
    }
    if (staged != NULL) {
        if (staged->kind != STAGE_NEW) {
            staged->seen = older(staged->seen, version);
        }
        *record = staged;
        return DAYBOOK_OK;
    }
    status = dk_stage_add(transaction, target.entity, &target.id, STAGE_SET, record);
    if (status == DAYBOOK_OK) {
        (*record)->unread = true;
        (*record)->seen = version;
    }
    return status;
}

/* Reads what is there now of a record for which something is staged. Where nothing is, what was
 * staged, as in an item of the inbox whose record has gone, is taken back: NOT_FOUND. */
static daybook_status reread(struct daybook_record *staged)
{
    struct daybook_transaction *transaction = staged->transaction;
    daybook_status status = dk_stage_load(transaction, staged->entity, &staged->id, &staged->base);
    staged->unread = false;
    if (status == DAYBOOK_OK && staged->base == NULL) {
        status = dk_stage_missing(transaction, staged->entity, &staged->id);
        dk_stage_drop(staged);
    }
    return status;
}

/* See daybook.h. What was only staged goes without a trace, also a change of what is not there;
 * lines that were staged go with their document. */
daybook_status daybook_delete(daybook_transaction *transaction, const char *entity, const char *id,
                              int64_t version)
{
    struct target target;
    const struct record *base = NULL;
    if (transaction == NULL) {
        return DAYBOOK_MISUSE;
    }
    daybook_status status = read_target(transaction, entity, id, version, &target);
    if (status == DAYBOOK_OK) {
        status = check_changeable(transaction, &target);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    struct daybook_record *staged = dk_stage_find(transaction, target.entity, &target.id);
    if (staged != NULL && staged->kind == STAGE_NEW) {
        dk_stage_drop(staged);
    } else if (staged != NULL) {
        status = reread(staged);
        if (status == DAYBOOK_OK && staged->kind == STAGE_DELETE) {
            status = dk_stage_fail(transaction, DAYBOOK_NOT_FOUND, target.entity, NULL, NULL, NULL);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
        clear_values(staged);
        staged->kind = STAGE_DELETE;
        staged->seen = older(staged->seen, version);
    } else {
        status = load_existing(transaction, &target, &base);
        if (status == DAYBOOK_OK) {
            status = dk_stage_add(transaction, target.entity, &target.id, STAGE_DELETE, &staged);
        }
        if (status != DAYBOOK_OK) {
            return status;
        }
        staged->base = base;
        staged->seen = version;
    }
    return dk_stage_drop_children(transaction, target.entity, &target.id);
}

/* ---- committing */

/* All staged records as changes, in order. */
static daybook_status make_changes(struct daybook_transaction *transaction, struct change **changes,
                                   int *count)
{
    *count = 0;
    *changes = dk_arena_new(&transaction->arena, (size_t)transaction->count * sizeof **changes);
    if (*changes == NULL) {
        return dk_stage_no_memory(transaction);
    }
    for (struct daybook_record *record = transaction->first; record != NULL;
         record = record->next) {
        bool empty;
        daybook_status status = dk_stage_to_change(record, &(*changes)[*count], &empty);
        if (status != DAYBOOK_OK) {
            return status;
        }
        *count += empty ? 0 : 1;
    }
    return DAYBOOK_OK;
}

/* Notes why the store refused: the record's id is in the text, since one transaction has many. */
static daybook_status fail_commit(struct daybook_transaction *transaction, daybook_status status,
                                  const struct store_failure *failure)
{
    char text[256];
    char id[ID_TEXT_SIZE];
    if (failure->entity == NULL) {
        return dk_stage_fail(transaction, status, NULL, NULL, failure->refusal.rule, NULL);
    }
    dk_id_to_text(&failure->id, id);
    (void)dk_text_format(text, sizeof text, "%s %s: %s", failure->entity->name, id,
                         daybook_status_text(status));
    return dk_stage_fail(transaction, status, failure->entity, failure->refusal.field,
                         failure->refusal.rule, text);
}

/* The commit, inside the gate. */
static daybook_status commit(struct daybook_transaction *transaction)
{
    struct store_failure failure = {0};
    struct change *changes = NULL;
    int count = 0;
    daybook_status status = make_changes(transaction, &changes, &count);
    if (status != DAYBOOK_OK) {
        return status;
    }
    status = dk_store_commit(transaction->engine->store, changes, count, transaction->epoch,
                             transaction->items, transaction->item_count, &failure);
    if (status != DAYBOOK_OK) {
        return fail_commit(transaction, status, &failure);
    }
    transaction->ended = true;
    return DAYBOOK_OK;
}

/* See daybook.h. Watches are called back on this thread, after everything is done and off all
 * locks. */
daybook_status daybook_commit(daybook_transaction *transaction, daybook_error *error)
{
    if (transaction == NULL) {
        return dk_error_text(error, DAYBOOK_MISUSE, NULL);
    }
    struct daybook *engine = transaction->engine;
    daybook_status status = dk_stage_check_open(transaction);
    if (status == DAYBOOK_OK && !dk_engine_enter(engine)) {
        status =
            dk_stage_fail(transaction, DAYBOOK_MISUSE, NULL, NULL, NULL, "the engine is closed");
    }
    if (status != DAYBOOK_OK) {
        dk_error_copy(error, &transaction->error);
        return status;
    }
    status = commit(transaction);
    if (status == DAYBOOK_OK) {
        dk_engine_committed(engine);
    } else {
        dk_error_copy(error, &transaction->error);
    }
    dk_engine_leave(engine);
    return status;
}
