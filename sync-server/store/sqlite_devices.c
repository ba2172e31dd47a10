/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices and their instances. A device is one enrolment with its token; an instance is one
 * database file of it, with a device number that stamps and decisions are kept under. Invariant: a
 * device number names one instance for ever, and numbers are never given twice, whatever is
 * deleted. Instances of one device, which copies of its file are, live beside each other.
 */
#include "sync-server/store/sqlite.h"

#include <string.h>

#define DEVICE_NO_MAX INT32_MAX /* conflict records keep it as an int32 field */
#define DROP_VERDICTS_MAX 2000  /* acknowledged verdicts that one call drops */

/* ---- instances ---- */

/* Gives an instance of the device the next number; when the device was seen goes over to it.
 * TOO_LARGE when numbers are used up. */
static daybook_status add_instance(struct sqlite_store *sqlite, int64_t device,
                                   const struct id *instance, int64_t seen_ms, uint32_t *device_no)
{
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_instance,
        "INSERT INTO device_instance(device, instance, decided, settled,"
        " dropped, divergences, seen_ms) SELECT ?1, ?2, 0, 0, 0, 0, max(?3, coalesce("
        "(SELECT i.seen_ms FROM device d JOIN device_instance i"
        " USING(device_no) WHERE d.device = ?1), 0))",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device);
    dk_bind_id(statement, 2, instance);
    dk_bind_int(statement, 3, seen_ms);
    status = srv_sqlite_run(sqlite, statement);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t number = sqlite3_last_insert_rowid(sqlite->database.handle);
    if (number > DEVICE_NO_MAX) {
        return DAYBOOK_TOO_LARGE;
    }
    *device_no = (uint32_t)number;
    return DAYBOOK_OK;
}

/* Makes the numbered instance the device's present one. NOT_FOUND: no such device. */
static daybook_status set_instance(struct sqlite_store *sqlite, int64_t device, uint32_t device_no)
{
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.set_instance,
                             "UPDATE device SET device_no = ?2 WHERE device = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device);
    dk_bind_int(statement, 2, device_no);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* The number that an instance of the device has, or 0. */
static daybook_status find_instance(struct sqlite_store *sqlite, int64_t device,
                                    const struct id *instance, uint32_t *device_no)
{
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.find_instance,
        "SELECT device_no FROM device_instance WHERE device = ?1 AND instance = ?2", &status);
    *device_no = 0;
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device);
    dk_bind_id(statement, 2, instance);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *device_no = (uint32_t)dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status;
}

/* A lease that is asked for again, because its reply was lost, finds the number it was given. */
daybook_status srv_sqlite_lease(struct srv_store *store, int64_t device, const struct id *instance,
                                uint32_t *device_no)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    uint32_t number = 0;
    daybook_status status = find_instance(sqlite, device, instance, &number);
    if (status == DAYBOOK_OK && number == 0) {
        status = add_instance(sqlite, device, instance, 0, &number);
    }
    if (status == DAYBOOK_OK) {
        status = set_instance(sqlite, device, number);
    }
    if (status == DAYBOOK_OK) {
        *device_no = number;
    }
    return status;
}

/* ---- devices ---- */

/* The device row first, without an instance, then its first instance. EXISTS: the token is known.
 */
daybook_status srv_sqlite_add_device(struct srv_store *store, struct srv_device *device,
                                     const uint8_t token_hash[SRV_HASH_SIZE])
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.add_device,
                             "INSERT INTO device(org, user_id, name, revoked, enrolled_ms,"
                             " token_hash, device_no) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0)",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device->org);
    dk_bind_id(statement, 2, &device->user);
    dk_bind_text(statement, 3, device->name, strlen(device->name));
    dk_bind_int(statement, 4, device->revoked ? 1 : 0);
    dk_bind_int(statement, 5, device->enrolled_ms);
    dk_bind_blob(statement, 6, token_hash, SRV_HASH_SIZE);
    status = srv_sqlite_run(sqlite, statement);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t number = sqlite3_last_insert_rowid(sqlite->database.handle);
    uint32_t device_no = 0;
    status = add_instance(sqlite, number, &device->instance, device->seen_ms, &device_no);
    if (status == DAYBOOK_OK) {
        status = set_instance(sqlite, number, device_no);
    }
    if (status == DAYBOOK_OK) {
        device->device = number;
        device->device_no = device_no;
        device->decided = 0;
        device->settled = 0;
    }
    return status;
}

#define DEVICE_COLUMNS                                                                             \
    "d.device, d.org, d.user_id, d.name, d.revoked, d.enrolled_ms, i.seen_ms, i.instance,"         \
    " i.device_no, i.decided, i.settled, i.divergences"

/* Reads DEVICE_COLUMNS. */
static daybook_status read_device(struct statement *statement, struct srv_device *device)
{
    size_t length = 0;
    const char *name = dk_column_text(statement, 3, &length);
    memset(device, 0, sizeof *device);
    device->device = dk_column_int(statement, 0);
    device->org = dk_column_int(statement, 1);
    device->revoked = dk_column_int(statement, 4) != 0;
    device->enrolled_ms = dk_column_int(statement, 5);
    device->seen_ms = dk_column_int(statement, 6);
    device->device_no = (uint32_t)dk_column_int(statement, 8);
    device->decided = dk_column_int(statement, 9);
    device->settled = dk_column_int(statement, 10);
    device->divergences = dk_column_int(statement, 11);
    if (name == NULL || length >= sizeof device->name ||
        !dk_column_id(statement, 2, &device->user) ||
        !dk_column_id(statement, 7, &device->instance)) {
        return DAYBOOK_CORRUPT;
    }
    memcpy(device->name, name, length);
    return DAYBOOK_OK;
}

/* Revoked devices are found too: what to answer them is the caller's. */
daybook_status srv_sqlite_find_device(struct srv_store *store,
                                      const uint8_t token_hash[SRV_HASH_SIZE],
                                      struct srv_device *device, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.find_device,
        "SELECT " DEVICE_COLUMNS " FROM device d JOIN device_instance i USING(device_no)"
        " WHERE d.token_hash = ?1",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_blob(statement, 1, token_hash, SRV_HASH_SIZE);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        status = read_device(statement, device);
        *found = status == DAYBOOK_OK;
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_find_instance(struct srv_store *store, const struct id *instance,
                                        struct srv_device *device, bool *found)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.take_instance,
                             "SELECT " DEVICE_COLUMNS " FROM device d JOIN device_instance i"
                             " USING(device) WHERE d.device = ?1 AND i.instance = ?2",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device->device);
    dk_bind_id(statement, 2, instance);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        status = read_device(statement, device);
        *found = status == DAYBOOK_OK;
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_owns_number(struct srv_store *store, uint32_t mine, uint32_t number,
                                      bool *owns)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    bool row;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.owns_number,
        "WITH holder(device_no, user_id) AS (SELECT i.device_no, d.user_id FROM device_instance i"
        " JOIN device d USING(device)) SELECT coalesce((SELECT user_id FROM holder"
        " WHERE device_no = ?2) = (SELECT user_id FROM holder WHERE device_no = ?1),"
        " ?2 <= (SELECT seq FROM sqlite_sequence WHERE name = 'device_instance'), 0)",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, mine);
    dk_bind_int(statement, 2, number);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *owns = dk_column_int(statement, 0) != 0;
        dk_reset(statement);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_other_numbers(struct srv_store *store, const struct id *user,
                                        uint32_t device_no, struct arena *arena, uint32_t **numbers,
                                        int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    uint32_t *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.other_numbers,
        "SELECT i.device_no FROM device mine JOIN device d ON d.user_id = mine.user_id"
        " JOIN device_instance i ON i.device = d.device"
        " WHERE mine.device = (SELECT device FROM device_instance WHERE device_no = ?2)"
        " AND mine.user_id = ?1 AND d.device <> mine.device",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_id(statement, 1, user);
    dk_bind_int(statement, 2, device_no);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        if (list == NULL) {
            status = DAYBOOK_NO_MEMORY;
            break;
        }
        list[used++] = (uint32_t)dk_column_int(statement, 0);
        status = srv_sqlite_step(sqlite, statement, &row);
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *numbers = list;
        *count = used;
    }
    return status;
}

/* By device number of the row; org 0: of all organisations. Of copies that share the device, the
 * one seen last. */
daybook_status srv_sqlite_list_devices(struct srv_store *store, int64_t org, struct arena *arena,
                                       struct srv_device **rows, int *count)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    struct srv_device *list = NULL;
    int used = 0;
    int capacity = 0;
    bool row = false;
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.list_devices,
        "SELECT " DEVICE_COLUMNS " FROM device d JOIN device_instance i"
        " ON i.device_no = (SELECT device_no FROM device_instance WHERE device = d.device"
        " ORDER BY seen_ms DESC, device_no DESC LIMIT 1)"
        " WHERE ?1 = 0 OR d.org = ?1 ORDER BY d.device",
        &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, org);
    status = srv_sqlite_step(sqlite, statement, &row);
    while (status == DAYBOOK_OK && row) {
        list = dk_arena_grow(arena, list, used, &capacity, sizeof *list);
        status = list == NULL ? DAYBOOK_NO_MEMORY : read_device(statement, &list[used]);
        if (status == DAYBOOK_OK) {
            used++;
            status = srv_sqlite_step(sqlite, statement, &row);
        }
    }
    dk_reset(statement);
    if (status == DAYBOOK_OK) {
        *rows = list;
        *count = used;
    }
    return status;
}

/* NOT_FOUND: no such device. */
daybook_status srv_sqlite_revoke(struct srv_store *store, int64_t device)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.revoke,
                             "UPDATE device SET revoked = 1 WHERE device = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && dk_database_changes(&sqlite->database) == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    return status;
}

/* ---- marks ---- */

/* Up to where the instance's verdicts are gone. NOT_FOUND: no such number. */
static daybook_status find_dropped(struct sqlite_store *sqlite, uint32_t device_no,
                                   int64_t *dropped)
{
    bool row = false;
    daybook_status status;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.find_dropped,
                             "SELECT dropped FROM device_instance WHERE device_no = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    status = srv_sqlite_step(sqlite, statement, &row);
    if (status == DAYBOOK_OK && row) {
        *dropped = dk_column_int(statement, 0);
        dk_reset(statement);
    }
    return status == DAYBOOK_OK && !row ? DAYBOOK_NOT_FOUND : status;
}

/* Seqs of an instance are dense, so a range of seqs bounds the verdicts that one call drops; what
 * is left is dropped by the calls that follow. */
daybook_status srv_sqlite_mark_device(struct srv_store *store, uint32_t device_no, int64_t decided,
                                      int64_t settled, int64_t seen_ms)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    int64_t after = 0;
    daybook_status status = find_dropped(sqlite, device_no, &after);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int64_t upto = settled > after + DROP_VERDICTS_MAX ? after + DROP_VERDICTS_MAX : settled;
    upto = upto < after ? after : upto;
    struct statement *statement =
        srv_sqlite_statement(sqlite, &sqlite->statements.mark_device,
                             "UPDATE device_instance SET decided = ?2, settled = ?3, seen_ms = ?4,"
                             " dropped = ?5 WHERE device_no = ?1",
                             &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, decided);
    dk_bind_int(statement, 3, settled);
    dk_bind_int(statement, 4, seen_ms);
    dk_bind_int(statement, 5, upto);
    status = srv_sqlite_run(sqlite, statement);
    if (status == DAYBOOK_OK && upto > after) {
        status = srv_sqlite_drop_verdicts(sqlite, device_no, after, upto);
    }
    if (status == DAYBOOK_OK && upto > after) {
        status = srv_sqlite_drop_ended(sqlite, device_no, upto);
    }
    return status;
}

/* See store.h. */
daybook_status srv_sqlite_add_divergences(struct srv_store *store, uint32_t device_no,
                                          int64_t buckets)
{
    struct sqlite_store *sqlite = srv_sqlite(store);
    daybook_status status;
    struct statement *statement = srv_sqlite_statement(
        sqlite, &sqlite->statements.add_divergences,
        "UPDATE device_instance SET divergences = divergences + ?2 WHERE device_no = ?1", &status);
    if (statement == NULL) {
        return status;
    }
    dk_bind_int(statement, 1, device_no);
    dk_bind_int(statement, 2, buckets);
    return srv_sqlite_run(sqlite, statement);
}
