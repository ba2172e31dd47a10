/* SPDX-License-Identifier: Apache-2.0
 *
 * What was decided: decisions with their verdicts, and records that wait for a changeset or were
 * not made by one. Written by the decider in the transaction of the effect. Invariant: a changeset
 * id and an (instance, seq) are decided at most once, and id and digest stay known when the verdict
 * of an acknowledged decision is dropped.
 */
#include "sync-server/store/sqlite.h"

#include <stdlib.h>
#include <string.h>

/* EXISTS: the changeset, or this seq of the instance, was decided before. */
daybook_status srv_sqlite_add_decision(struct srv_store *store, int64_t org,
                                       const struct srv_decision *decision)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_decision,
                             "INSERT INTO decision(device_no, seq, org, changeset, digest,"
                             " position, verdict) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, decision->device_no);
    dk_bind_int(statement, 2, decision->seq);
    dk_bind_int(statement, 3, org);
    dk_bind_id(statement, 4, &decision->changeset);
    dk_bind_blob(statement, 5, decision->digest, SRV_HASH_SIZE);
    dk_bind_int(statement, 6, decision->position);
    dk_bind_text(statement, 7, decision->verdict, decision->verdict_length);
    return srv_sqlite_run(sqlite, statement);
}

/* Notes under which instance the changeset was decided: the row's own, unless that has inherited
 * it, too. */
static daybook_status inherit(struct sqlite_store *sqlite, int64_t org, const struct id *changeset,
                              uint32_t device_no)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.inherit_decision,
        "INSERT OR IGNORE INTO inherited(device_no, position, former)"
        " SELECT ?3, d.position, coalesce((SELECT former FROM inherited i"
        " WHERE i.device_no = d.device_no AND i.position = d.position), d.device_no)"
        " FROM decision d WHERE d.org = ?1 AND d.changeset = ?2 AND d.position > 0",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    dk_bind_int(statement, 3, device_no);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. */
daybook_status srv_sqlite_find_inherited(struct srv_store *store, uint32_t device_no,
                                         int64_t position, uint32_t *former)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.find_inherited,
        "SELECT former FROM inherited WHERE device_no = ?1 AND position = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, position);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *former = (uint32_t)dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

/* Runs a statement that gives what is a changeset's to another instance and seq. */
static daybook_status move_rows(struct sqlite_store *sqlite, struct statement **slot,
                                const char *sql, int64_t org, const struct id *changeset,
                                uint32_t device_no, int64_t seq)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(sqlite, slot, sql, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    dk_bind_int(statement, 3, device_no);
    dk_bind_int(statement, 4, seq);
    return srv_sqlite_run(sqlite, statement);
}

/* See store.h. The row's key moves, and those of its text where it waits and of its claims. */
daybook_status srv_sqlite_adopt_decision(struct srv_store *store, int64_t org,
                                         const struct id *changeset, uint32_t device_no,
                                         int64_t seq)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status = inherit(sqlite, org, changeset, device_no);
    if (status == DAYBOOK_OK) {
        status = move_rows(sqlite, &sqlite->statements.adopt_decision,
                           "UPDATE decision SET device_no = ?3, seq = ?4"
                           " WHERE org = ?1 AND changeset = ?2",
                           org, changeset, device_no, seq);
    }
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    if (status == DAYBOOK_OK) {
        status = move_rows(sqlite, &sqlite->statements.move_quarantine,
                           "UPDATE quarantine SET device_no = ?3, seq = ?4"
                           " WHERE org = ?1 AND changeset = ?2",
                           org, changeset, device_no, seq);
    }
    if (status == DAYBOOK_OK) {
        status = move_rows(sqlite, &sqlite->statements.move_claims,
                           "UPDATE OR REPLACE claim SET device_no = ?3,"
                           " seq = CASE WHEN kind = 0 THEN 0 ELSE ?4 END"
                           " WHERE org = ?1 AND changeset = ?2",
                           org, changeset, device_no, seq);
    }
    return status;
}

/* See store.h. The digest stays: it is of the text, not of the answer. */
daybook_status srv_sqlite_replace_verdict(struct srv_store *store, int64_t org,
                                          const struct srv_decision *decision)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.replace_verdict,
                             "UPDATE decision SET position = ?3, verdict = ?4"
                             " WHERE org = ?1 AND changeset = ?2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, &decision->changeset);
    dk_bind_int(statement, 3, decision->position);
    dk_bind_text(statement, 4, decision->verdict, decision->verdict_length);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* Reads what find_decision selects; the verdict is copied into the arena. */
static daybook_status read_decision(struct statement *statement, struct arena *arena,
                                    struct srv_decision *decision)
{
    size_t length = 0;
    const void *digest = dk_column_blob(statement, 2, &length);
    if (digest == NULL || length != SRV_HASH_SIZE) {
        return DAYBOOK_CORRUPT;
    }
    memcpy(decision->digest, digest, SRV_HASH_SIZE);
    decision->device_no = (uint32_t)dk_column_int(statement, 0);
    decision->seq = dk_column_int(statement, 1);
    decision->position = dk_column_int(statement, 3);
    const char *verdict = dk_column_text(statement, 4, &length);
    if (verdict != NULL) {
        decision->verdict = dk_arena_copy(arena, verdict, length);
        decision->verdict_length = length;
        return decision->verdict == NULL ? DAYBOOK_NO_MEMORY : DAYBOOK_OK;
    }
    return DAYBOOK_OK;
}

/* See store.h. */
daybook_status srv_sqlite_find_decision(struct srv_store *store, int64_t org,
                                        const struct id *changeset, struct arena *arena,
                                        struct srv_decision *decision, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_decision,
                             "SELECT device_no, seq, digest, position, verdict FROM decision"
                             " WHERE org = ?1 AND changeset = ?2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        memset(decision, 0, sizeof *decision);
        decision->changeset = *changeset;
        status = read_decision(statement, arena, decision);
        *found = status == DAYBOOK_OK;
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_has_seq(struct srv_store *store, uint32_t device_no, int64_t seq,
                                  bool *has)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.has_seq,
                             "SELECT 1 FROM decision WHERE device_no = ?1 AND seq = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, seq);
    status = srv_sqlite_step(sqlite, statement, has);
    dk_reset(statement);
    return status;
}

/* By position. */
static int compare_positions(const void *a, const void *b)
{
    const struct srv_decision *first = a, *second = b;
    return first->position < second->position ? -1 : first->position > second->position;
}

/* What a marker needs: number, seq, changeset and position; and its verdict, where that has
 * details. Rejections have no position and are never among them. What has left the quarantine
 * stands behind later ones. */
daybook_status srv_sqlite_markers(struct srv_store *store, uint32_t device_no, int64_t settled,
                                  int64_t after, int64_t upto, struct arena *arena,
                                  struct srv_decision **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_decision *list = NULL;
    int used = 0;
    int capacity = 0;
    bool sorted = true;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.markers,
        "SELECT seq, changeset, position, verdict FROM decision WHERE device_no = ?1 AND seq > ?2"
        " AND position > max(?3, 0) AND position <= ?4 ORDER BY seq",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, settled);
    dk_bind_int(statement, 3, after);
    dk_bind_int(statement, 4, upto);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        if (list == NULL) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        memset(&list[used], 0, sizeof list[used]);
        list[used].device_no = device_no;
        list[used].seq = dk_column_int(statement, 0);
        list[used].position = dk_column_int(statement, 2);
        if (!dk_column_id(statement, 1, &list[used].changeset)) {
            status = DAYBOOK_CORRUPT;
            break;
        }
        const char *verdict = dk_column_text(statement, 3, &list[used].verdict_length);
        if (verdict != NULL && memchr(verdict, '{', list[used].verdict_length) != NULL) {
            list[used].verdict = dk_arena_copy(arena, verdict, list[used].verdict_length);
        }
        sorted = sorted && (used == 0 || list[used - 1].position < list[used].position);
        used++;
        status = srv_sqlite_step(sqlite, statement, &row);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK && !sorted) {
        qsort(list, (size_t)used, sizeof *list, compare_positions);
    }
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* See sqlite.h. */
daybook_status srv_sqlite_drop_verdicts(struct sqlite_store *sqlite, uint32_t device_no,
                                        int64_t after, int64_t upto)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.drop_verdicts,
                             "UPDATE decision SET verdict = NULL"
                             " WHERE device_no = ?1 AND seq > ?2 AND seq <= ?3",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, after);
    dk_bind_int(statement, 3, upto);
    return srv_sqlite_run(sqlite, statement);
}

/* ---- claims ---- */

/* What a claim is of; the order of the key, so that each way of asking is one step into it. */
enum claim_kind {
    CLAIM_REJECTED, /* of the last that was rejected of an instance: seq 0 */
    CLAIM_TOUCHES,  /* of one that waits and touches the record */
    CLAIM_MAKES     /* of one that waits and would make it */
};

/* See store.h. */
daybook_status srv_sqlite_add_claim(struct srv_store *store, int64_t org, const struct id *record,
                                    const struct id *changeset, uint32_t device_no, int64_t seq,
                                    bool makes)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_claim,
                             "INSERT OR REPLACE INTO claim(org, record, kind, device_no, seq,"
                             " changeset) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, record);
    dk_bind_int(statement, 3, seq == 0 ? CLAIM_REJECTED : makes ? CLAIM_MAKES : CLAIM_TOUCHES);
    dk_bind_int(statement, 4, device_no);
    dk_bind_int(statement, 5, seq);
    dk_bind_id(statement, 6, changeset);
    return srv_sqlite_run(sqlite, statement);
}

/* The first claim on the record of a kind, with what else is asked of it. */
#define CLAIM(kind, rest)                                                                          \
    "(SELECT changeset FROM claim WHERE org = ?1 AND record = ?2 AND kind = " kind " AND " rest    \
    " LIMIT 1)"
#define CLAIM_BEFORE(kind) CLAIM(kind, "device_no = ?3 AND seq < ?4 ORDER BY seq DESC")
#define CLAIM_OWN(kind) CLAIM(kind, "device_no = ?3")
#define CLAIM_OTHER(kind)                                                                          \
    "coalesce(" CLAIM(kind, "device_no > ?3") ", " CLAIM(kind, "device_no < ?3") ")"

/* See store.h. Each part is a step or two into the key, however many claims there are: what waits
 * before, what else waits, what was rejected. */
daybook_status srv_sqlite_find_claim(struct srv_store *store, int64_t org, const struct id *record,
                                     uint32_t device_no, int64_t seq, struct srv_claim *claim,
                                     bool *found)
{
    static const char sql[] = "SELECT coalesce(" CLAIM_BEFORE("2") ", " CLAIM_BEFORE(
        "1") "), " CLAIM_OTHER("2") ", coalesce(" CLAIM_OWN("0") ", " CLAIM_OTHER("0") ")";
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    size_t length;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_claim, sql, &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, record);
    dk_bind_int(statement, 3, device_no);
    dk_bind_int(statement, 4, seq);
    status = srv_sqlite_step(sqlite, statement, &row);
    for (int part = 0; part < 3 && status == DAYBOOK_OK && row && !*found; part++) {
        *found = dk_column_blob(statement, part, &length) != NULL;
        claim->waits = part < 2;
        claim->before = part == 0;
        bool fine = !*found || dk_column_id(statement, part, &claim->changeset);
        status = fine ? DAYBOOK_OK : DAYBOOK_CORRUPT;
    }
    dk_reset(statement);
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_remove_claims(struct srv_store *store, int64_t org,
                                        const struct id *changeset)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.remove_claims,
                             "DELETE FROM claim WHERE org = ?1 AND changeset = ?2", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    dk_bind_id(statement, 2, changeset);
    return srv_sqlite_run(sqlite, statement);
}
