/* SPDX-License-Identifier: Apache-2.0
 *
 * Daybook: an offline-first sync engine for field sales. This is all that an app may call.
 *
 * Conventions
 *  - Every function returns a daybook_status (0 = OK) unless its result cannot fail. An optional
 * daybook_error says more.
 *  - All text is UTF-8 and NUL-terminated, in and out. Ids are UUID text (36 characters) in and
 * out.
 *  - Handles are opaque. Whatever is opened or begun has one close or end function, which takes the
 * handle's address, sets it to NULL and does nothing for NULL. Calling any function with a NULL
 * handle gives DAYBOOK_MISUSE.
 *  - Any thread may call any function on an engine. A transaction, a record, a query is used by one
 * thread at a time.
 *  - Callbacks (of watches) run on a thread of the engine's choice, never while a lock is held.
 * After the matching close, end or stop has returned none runs. A callback may call any function,
 * and none of them waits for what waits for the callback: daybook_enrol and daybook_fetch give BUSY
 * there, daybook_close and daybook_stop do nothing. The platform's hooks call none.
 *  - Structs that begin with `size` are filled with their _INIT macro first, so that they can grow.
 *
 * Numbers: money is int64 in minor units (fen, cents) with a currency beside it; prices int64 in
 * major units x 10^4; quantities int64 x 10^3; rates int32 in basis points; times int64 in
 * milliseconds UTC; days int32 YYYYMMDD; coordinates int32 in degrees x 10^7.
 */
#ifndef DAYBOOK_DAYBOOK_H
#define DAYBOOK_DAYBOOK_H

#include <daybook/platform.h>
#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers, "major.minor.patch"; daybook_version() gives the library's. */
#define DAYBOOK_VERSION "0.1.0"
#define DAYBOOK_ID_SIZE 37 /* UUID text and NUL */

/* An open store with its sync; from daybook_open to daybook_close. */
typedef struct daybook daybook;
/* Changes staged in memory; from daybook_begin to daybook_end. */
typedef struct daybook_transaction daybook_transaction;
/* One record within a transaction, and as long as it. */
typedef struct daybook_record daybook_record;
/* A prepared query; from daybook_query_open to daybook_query_close. */
typedef struct daybook_query daybook_query;
/* A query whose changes are told; from daybook_watch_open to daybook_watch_close. */
typedef struct daybook_watch daybook_watch;

/* ---- results --------------------------------------------------------------------------------- */

/* More about a failure. Codes and arguments, not sentences for end users; `text` is English for
 * developers. */
typedef struct daybook_error {
    size_t size;           /* sizeof(daybook_error) */
    daybook_status status; /* the same that the function returned */
    bool retryable;        /* class OFFLINE or RETRY: the same call may succeed later */
    char entity[64];       /* the entity concerned, or "" */
    char field[64];        /* the field concerned, or "" */
    char rule[32];         /* the rule broken: a stable word such as "range", or "" */
    char text[256];        /* one English sentence for developers, or "" */
} daybook_error;
/* An error struct that says nothing yet. */
#define DAYBOOK_ERROR_INIT                                                                         \
    {                                                                                              \
        sizeof(daybook_error), DAYBOOK_OK, false, "", "", "", ""                                   \
    }

/* The library's version, "major.minor.patch". */
DAYBOOK_API const char *daybook_version(void);
/* The code's name, such as "DISK_FULL". Any number is fine. */
DAYBOOK_API const char *daybook_status_name(daybook_status status);
/* One English sentence for developers. Any number is fine. */
DAYBOOK_API const char *daybook_status_text(daybook_status status);
/* What to do about the code. Any number is fine. */
DAYBOOK_API enum daybook_class daybook_status_class(daybook_status status);

/* ---- opening --------------------------------------------------------------------------------- */

/* How to open a store. Begin with DAYBOOK_OPTIONS_INIT and set `path`. */
typedef struct daybook_options {
    size_t size; /* sizeof(daybook_options) */
    /* The store's file; created where missing. Keep it out of the phone's backups. */
    const char *path;
    /* NULL: daybook_posix_platform(), where the library was built with it. */
    const daybook_platform *platform;
    const char *server_url; /* "https://host[:port]"; NULL: works offline only */
    const char *ca_file; /* PEM with the CAs to trust instead of the system's; NULL: the system's */
    const char *const *pins; /* NULL-terminated "sha256//<base64>" pins; NULL: none */
    /* True: a power loss may take the last transactions that were never sent (synchronous=NORMAL).
     */
    bool relaxed;
    int cache_kib;      /* page cache of the writer; 0: 4,096 */
    int64_t page_bytes; /* wanted size of a page of the server's log; 0: the server's default */
    int64_t timeout_ms; /* of one exchange; 0: 60,000 */
    const char *vfs;    /* name of a registered SQLite VFS; NULL: the default */
    /* True: documents that have been closed for some weeks are not kept on this device, which is
     * not told either what becomes of its work on them from then on. */
    bool leave_recent;
} daybook_options;
/* Options with nothing set. */
#define DAYBOOK_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(daybook_options), NULL, NULL, NULL, NULL, NULL, false, 0, 0, 0, NULL, false         \
    }

/* Opens the store, creating it where missing. One process owns a store: DAYBOOK_BUSY names the
 * other one in error->text. Also NOT_A_STORE, NEWER_STORE, CANNOT_OPEN, DISK_FULL, INVALID (names
 * the option). */
DAYBOOK_API daybook_status daybook_open(const daybook_options *options, daybook **engine,
                                        daybook_error *error);
/* Stops syncing, ends watches, and closes. Transactions and queries that are still open stay valid
 * handles whose calls give MISUSE; end them as usual. Not from within a callback: there it does
 * nothing. */
DAYBOOK_API void daybook_close(daybook **engine);

/* ---- writing --------------------------------------------------------------------------------- */

/* The version to name for a record that is new. */
#define DAYBOOK_NEW ((int64_t)0)
/* The version to name for a blind write: whatever is there now. It may overwrite what the user has
 * not seen; prefer the version that was read. */
#define DAYBOOK_ANY_VERSION ((int64_t)-1)

/* A transaction is staged in memory and takes no lock; any number may be open. */
DAYBOOK_API daybook_status daybook_begin(daybook *engine, daybook_transaction **transaction);

/* Makes a record (version DAYBOOK_NEW; `id` NULL: a new id is made; else a new UUID of any version
 * but 8) or replaces all its fields (version as read). The fields are set afterwards through
 * *record, which lives as long as the transaction. Fields that are not set are empty, except in a
 * record that exists those that are set at creation and never again, and the state. A record that
 * the server has not decided yet reads as version DAYBOOK_NEW: patch it, or replace it with
 * DAYBOOK_ANY_VERSION. A document whose `doc_no` is left empty gets a number at the commit,
 * "SO-0002K-000123", once the device has enrolled. UNKNOWN_ENTITY, READONLY (the server's entity),
 * EXISTS, NOT_FOUND, BAD_VERSION, INVALID (id), TOO_LARGE. */
DAYBOOK_API daybook_status daybook_put(daybook_transaction *transaction, const char *entity,
                                       const char *id, int64_t version, daybook_record **record);
/* Changes single fields of a record. `version` is the one that was read with what the user saw.
 * Errors as for daybook_put, but the store is asked only when it has to be: NOT_FOUND may come from
 * a setter, a getter or the commit; daybook_delete takes such a patch back. A record that this
 * transaction has staged already is given again, with what was staged. */
DAYBOOK_API daybook_status daybook_patch(daybook_transaction *transaction, const char *entity,
                                         const char *id, int64_t version, daybook_record **record);
/* Deletes a record; deleting a document deletes its lines in the same transaction, staged ones too.
 * A record that was only staged goes without a trace. Its id is not used again: a later put in this
 * transaction gives EXISTS or NOT_FOUND. NOT_FOUND: there is no such record (any more); what this
 * transaction had staged for it is taken back. */
DAYBOOK_API daybook_status daybook_delete(daybook_transaction *transaction, const char *entity,
                                          const char *id, int64_t version);

/* Sets a text field. Like each setter it checks name, type, range and length at once and stages
 * nothing when it fails: UNKNOWN_FIELD, WRONG_TYPE, OUT_OF_RANGE, TOO_LONG, TOO_LARGE (elements,
 * keys), NOT_UTF8, INVALID (choice, currency, id, key), READONLY (SERVER and DERIVED fields;
 * IMMUTABLE ones of a record that exists, unless they have this value already), MISUSE (a record
 * that was read or deleted, or whose transaction has ended). daybook_transaction_error says more.
 * Text is copied. */
DAYBOOK_API daybook_status daybook_set_text(daybook_record *record, const char *field,
                                            const char *text);
/* Sets a field of a whole number: int32, int64, money, price, quantity, rate, time or day. */
DAYBOOK_API daybook_status daybook_set_int(daybook_record *record, const char *field,
                                           int64_t number);
/* Sets a truth value. */
DAYBOOK_API daybook_status daybook_set_bool(daybook_record *record, const char *field, bool truth);
/* Sets an id field to the UUID text of another record. */
DAYBOOK_API daybook_status daybook_set_id(daybook_record *record, const char *field,
                                          const char *id);
/* Empties a field of any type. */
DAYBOOK_API daybook_status daybook_set_null(daybook_record *record, const char *field);
/* Puts one element into a set field. In a set that only grows (policy GROW) the server puts its
 * author's id and a space in front, for which 37 of the 200 bytes of an element are needed. */
DAYBOOK_API daybook_status daybook_set_add(daybook_record *record, const char *field,
                                           const char *element);
/* Takes one element out of a set field. */
DAYBOOK_API daybook_status daybook_set_remove(daybook_record *record, const char *field,
                                              const char *element);
/* One key of the custom map. `json` is a scalar: "text" in quotes, a number, true, false, or null
 * to remove the key. */
DAYBOOK_API daybook_status daybook_set_custom(daybook_record *record, const char *key,
                                              const char *json);

/* daybook_put with a JSON object {"field": value, …}: int64 fields may be strings or whole numbers
 * up to 2^53 - 1; ids are UUID text; a set is an array; "custom" an object. All members are staged
 * or none. `id_out` (DAYBOOK_ID_SIZE bytes) may be NULL. BAD_JSON says where. */
DAYBOOK_API daybook_status daybook_put_json(daybook_transaction *transaction, const char *entity,
                                            const char *id, int64_t version, const char *json,
                                            char *id_out, daybook_error *error);
/* daybook_patch with a JSON object of the fields to change, as for daybook_put_json; null empties a
 * field. "custom" names the keys to change only; null removes a key. */
DAYBOOK_API daybook_status daybook_patch_json(daybook_transaction *transaction, const char *entity,
                                              const char *id, int64_t version, const char *json,
                                              daybook_error *error);

/* Reads one record as this transaction sees it: the store with what is staged on top. Fields that
 * Daybook computes follow at the commit. *record is for getters only, keeps what it shows, and
 * lives as long as the transaction. NOT_FOUND. */
DAYBOOK_API daybook_status daybook_read(daybook_transaction *transaction, const char *entity,
                                        const char *id, daybook_record **record);
/* The record's UUID text, borrowed until the transaction ends. */
DAYBOOK_API const char *daybook_record_id(const daybook_record *record);
/* The version that a later patch or delete names as the one it is based on. */
DAYBOOK_API int64_t daybook_record_version(const daybook_record *record);
/* A text or id field, or NULL for an empty one; a set as a JSON array, custom as a JSON object.
 * Borrowed from the record until it is set again or the transaction ends. */
DAYBOOK_API daybook_status daybook_get_text(daybook_record *record, const char *field,
                                            const char **text);
/* A number or truth value; *is_null is true, and *number 0, for an empty field. */
DAYBOOK_API daybook_status daybook_get_int(daybook_record *record, const char *field,
                                           int64_t *number, bool *is_null);

/* What the last failing call on this transaction found: entity, field, rule. */
DAYBOOK_API void daybook_transaction_error(const daybook_transaction *transaction,
                                           daybook_error *error);
/* Checks the domain rules and writes records and outbox entry together, durably (see
 * options.relaxed). After OK the transaction is ended; after a failure nothing was written and it
 * can be mended and committed again. An empty transaction is OK. REQUIRED, RULE, BAD_VERSION,
 * NOT_FOUND, EXISTS, READONLY, TOO_LARGE (error->text names the record), DISK_FULL … */
DAYBOOK_API daybook_status daybook_commit(daybook_transaction *transaction, daybook_error *error);
/* Frees the transaction and its records; what was not committed is dropped. */
DAYBOOK_API void daybook_end(daybook_transaction **transaction);

/* ---- reading --------------------------------------------------------------------------------- */

/* SQL over the documented views, read-only: one view per entity with `id`, `version`, all fields by
 * name, `custom`, and for every id column x a column x_key (16 bytes) that is fast to search and
 * join by; sync_state(entity, id, id_key, state, seq); inbox(…); buckets(…); fetched(…). A record's
 * state is local, sending, accepted (it waits for its place in the log), quarantined, or held: a
 * row of `hold` stands on it; records that are settled and free have no row. BAD_SQL names what is
 * wrong in error->text. A query has a connection of its own until it is closed: BUSY where 64 are
 * open. */
DAYBOOK_API daybook_status daybook_query_open(daybook *engine, const char *sql,
                                              daybook_query **query, daybook_error *error);
/* Binds a parameter; positions count from 1. Like each binding it comes before the first step or
 * after a reset. INVALID: no such position. Text is copied. */
DAYBOOK_API daybook_status daybook_bind_text(daybook_query *query, int position, const char *text);
/* Binds a whole number. */
DAYBOOK_API daybook_status daybook_bind_int(daybook_query *query, int position, int64_t number);
/* Binds the 16 bytes of a UUID text, for the _key columns. */
DAYBOOK_API daybook_status daybook_bind_id(daybook_query *query, int position, const char *id);
/* Binds SQL NULL. */
DAYBOOK_API daybook_status daybook_bind_null(daybook_query *query, int position);
/* The next row; *row false at the end, and another step begins anew. The rows of one query come
 * from one snapshot; INTERRUPTED when it was held too long (10 s), until the next reset: a snapshot
 * keeps the store's files from shrinking. */
DAYBOOK_API daybook_status daybook_step(daybook_query *query, bool *row);
/* What the last failing call on this query found. */
DAYBOOK_API void daybook_query_error(const daybook_query *query, daybook_error *error);
/* Runs again from the start, bindings kept. */
DAYBOOK_API daybook_status daybook_query_reset(daybook_query *query);
/* The number of columns. */
DAYBOOK_API int daybook_column_count(const daybook_query *query);
/* The name of a column, valid as long as the query. Columns count from 0. */
DAYBOOK_API const char *daybook_column_name(const daybook_query *query, int column);
/* True for SQL NULL. */
DAYBOOK_API bool daybook_column_is_null(const daybook_query *query, int column);
/* The value as a whole number. */
DAYBOOK_API int64_t daybook_column_int(const daybook_query *query, int column);
/* The value as text, valid until the next step; NULL for SQL NULL. A blob is given as UUID text
 * where it has 16 bytes, else as hex. */
DAYBOOK_API const char *daybook_column_text(const daybook_query *query, int column);
/* Ends the query. */
DAYBOOK_API void daybook_query_close(daybook_query **query);
/* All rows as a JSON array of objects, for bridging; `parameters` is a JSON array of strings, whole
 * numbers and nulls, or NULL. Whole numbers beyond 2^53 - 1 come as strings. TOO_LARGE past 64 MiB.
 * Free with daybook_free. */
DAYBOOK_API daybook_status daybook_query_json(daybook *engine, const char *sql,
                                              const char *parameters, char **json,
                                              daybook_error *error);
/* Frees what a function said to free with it. */
DAYBOOK_API void daybook_free(void *block);

/* Calls `changed` soon after each commit, own or synced, that touched a table the query reads;
 * several commits may make one call. It runs on the thread that committed or synced, one callback
 * at a time. */
DAYBOOK_API daybook_status daybook_watch_open(daybook *engine, const char *sql,
                                              void (*changed)(void *context), void *context,
                                              daybook_watch **watch, daybook_error *error);
/* Ends the watch. After it has returned the callback does not run. May be called from within the
 * callback. */
DAYBOOK_API void daybook_watch_close(daybook_watch **watch);

/* ---- syncing --------------------------------------------------------------------------------- */

/* Signs the device in with a one-time code from the company. Needs the network. BAD_CODE, OFFLINE,
 * UNTRUSTED, MISUSE (enrolled already, and the server's last word on the token was no refusal),
 * INVALID (the code belongs to another user than the store), BUSY (within a callback). */
DAYBOOK_API daybook_status daybook_enrol(daybook *engine, const char *code, const char *device_name,
                                         daybook_error *error);
/* Pushes what is pending and pulls until the log's head or until budget_ms is used up (INTERRUPTED:
 * call again; what was done stays; 0: no bound). BUSY while the sync thread runs. OFFLINE, TIMEOUT,
 * SIGN_IN, UPGRADE_NEEDED … change nothing. SERVER_BUSY comes at once, too: it does not wait for
 * the time that the server asks for, with whatever budget; the sync thread does. */
DAYBOOK_API daybook_status daybook_sync(daybook *engine, int64_t budget_ms, daybook_error *error);
/* Makes the next sync compare what every record says with the server, and ask again what became of
 * changesets in quarantine; it does both by itself once a day. What differs is counted in the
 * status (divergences, repaired) and loaded anew. Waits for nothing; a sync that is under way does
 * it too, if it has not yet. MISUSE: no server_url. */
DAYBOOK_API daybook_status daybook_verify(daybook *engine);
/* A thread that syncs after each commit and every `interval_ms` (0: 60,000), with exponential
 * backoff after failures. BUSY: it runs already, or is being started or stopped. */
DAYBOOK_API daybook_status daybook_start(daybook *engine, int64_t interval_ms);
/* "Sync now" or "the network is back": forgets the backoff. */
DAYBOOK_API daybook_status daybook_wake(daybook *engine);
/* Ends the thread, interrupting a running exchange. Nothing to end is fine. Not from within a
 * callback: there it does nothing. */
DAYBOOK_API void daybook_stop(daybook *engine);

/* Fetches one document (opportunity, visit, quote, sales_order) that this device does not hold,
 * such as one of the archive, with its child rows, as the server has it now. It is no record here:
 * the view fetched(entity, id, id_key, document, version, fetched_ms, body) shows the document and
 * each child row as JSON, and how old that is, for at most 30 days, or until it leaves the user's
 * scope. Changing or deleting it is READONLY, rule "fetched"; a new child row, where the document's
 * state takes one, brings all of it back among the records. NOT_FOUND: there is no such document
 * for this user. Waits while the sync thread is in an exchange; fails as daybook_sync does. Not
 * from within a callback: BUSY. */
DAYBOOK_API daybook_status daybook_fetch(daybook *engine, const char *entity, const char *id,
                                         daybook_error *error);
/* Takes a fetched document away. NOT_FOUND. */
DAYBOOK_API daybook_status daybook_forget(daybook *engine, const char *id);

/* For a badge. */
typedef struct daybook_sync_status {
    size_t size;               /* sizeof(daybook_sync_status) */
    bool enrolled;             /* the device has signed in */
    bool connected;            /* the last exchange succeeded */
    bool uploading;            /* changesets are under way */
    bool downloading;          /* pages are under way */
    bool loading;              /* some bucket's snapshot is not complete: see the view buckets */
    bool running;              /* the sync thread runs */
    int64_t pending;           /* changesets without a verdict */
    int64_t unsettled;         /* changesets with a verdict that wait for their place in the log */
    int64_t inbox;             /* items that nobody has dealt with */
    int64_t last_synced_ms;    /* wall clock of the last complete sync; 0: never */
    int64_t clock_offset_ms;   /* server minus device */
    int64_t position;          /* of the server's log */
    int64_t oldest_pending_ms; /* wall clock of the oldest pending changeset; 0: none */
    int64_t bytes_up;          /* sent since open */
    int64_t bytes_down;        /* received since open */
    int64_t round_trips;       /* since open */
    int64_t divergences;    /* buckets that differed from the server's, since open; should be 0 */
    int64_t repaired;       /* of these, those that were read anew and agree again */
    int64_t retry_in_ms;    /* until the next try; 0: none planned */
    daybook_status blocked; /* why the last sync failed; OK where it did not */
} daybook_sync_status;
/* A status struct to be filled. */
#define DAYBOOK_SYNC_STATUS_INIT                                                                   \
    {                                                                                              \
        sizeof(daybook_sync_status), false, false, false, false, false, false, 0, 0, 0, 0, 0, 0,   \
            0, 0, 0, 0, 0, 0, 0, DAYBOOK_OK                                                        \
    }
/* Fills the status. It reads memory and the store only, never the network. */
DAYBOOK_API daybook_status daybook_get_status(daybook *engine, daybook_sync_status *status);
/* The number of changesets without a verdict. */
DAYBOOK_API daybook_status daybook_pending_count(daybook *engine, int64_t *count);

/* ---- inbox ----------------------------------------------------------------------------------- */

/* What needs a person, or should be known: the view inbox(item, kind, code, entity, record_id,
 * field, rule, mine, rest, theirs, changeset, cause, created_ms, chain, body, subject). mine, rest
 * and theirs are JSON, in which ids are UUID text, as in kept and lost of field_conflict. By kind:
 *  - rejected: a changeset that was undone, because of code, field and rule; chain = how many that
 *    built on it came back with it. Mend and send it anew with daybook_inbox_reopen, send it anew
 * as it was with daybook_inbox_keep_mine, or drop it with daybook_inbox_discard.
 *  - superseded: a value of this device lost against somebody else's; rest = what else of its group
 *    lost with it, by field; subject = the field_conflict record. daybook_inbox_keep_mine writes
 *    `mine` and `rest` once more, over what stands now; daybook_inbox_use_theirs leaves that.
 *  - revision: what this device did to a quote that had been sent is in its next revision, a draft;
 *    record_id = the quote that was sent, mine = the revision's {"id":"…","rev":2}, field =
 *    revision, subject = the field_conflict record.
 *  - held: something of this user is applied and waits for somebody: code = why, theirs = the
 *    details, subject = the hold record. It goes by itself when the hold is cleared or goes.
 *  - proposed: a value that others have to decide on; subject = the proposal record.
 *  - moved: it was kept, but its record belongs to others by now; theirs = since when, in ms.
 *  - remapped: the record has become another, which has got what was recorded: its redirect_to.
 *  - others inform; daybook_inbox_use_theirs takes them away. Newer versions may add kinds.
 */

/* Takes the item away, with its chain as it is by now; what it held is dropped for good. Those of
 * one group of fields go together, also with the next. NOT_FOUND. */
DAYBOOK_API daybook_status daybook_inbox_discard(daybook *engine, int64_t item);
/* Takes an item away that only informs, and leaves what stands. INVALID: the item holds a rejected
 * change; discard, mend or keep it. NOT_FOUND. */
DAYBOOK_API daybook_status daybook_inbox_use_theirs(daybook *engine, int64_t item);
/* Writes what the item says was lost once more, as a new change based on what stands now, and takes
 * the item away: all in one commit. The fields of a group come back together. A rejected item is
 * sent anew as it was, with its chain. NOT_FOUND: no such item, one that holds nothing to write, or
 * its record is not here any more; INVALID: a value that this version cannot write, or with less
 * of its group than this version knows, or values that lost against a document's state (field = *,
 * an object), which can only go into another; else as daybook_commit. After a failure the item
 * stays. */
DAYBOOK_API daybook_status daybook_inbox_keep_mine(daybook *engine, int64_t item,
                                                   daybook_error *error);
/* Stages all changes of a rejected item and its chain, or the value of a superseded one with its
 * group, in a new transaction, to be mended and committed; the commit takes the item away. What a
 * sync has added to its chain meanwhile stays in the inbox, as an item of its own. Where one of the
 * records is gone (deleted, or somebody else's by now), the commit gives NOT_FOUND and names it;
 * daybook_delete takes that part out, and the rest can be committed. Statuses as for
 * daybook_inbox_keep_mine. */
DAYBOOK_API daybook_status daybook_inbox_reopen(daybook *engine, int64_t item,
                                                daybook_transaction **transaction,
                                                daybook_error *error);
/* The conflict hook: calls `arrived` soon after a sync has put items into the inbox; those whose
 * number is above `after` are new (some may have gone again). Items that were there before are not
 * told. Like any watch's, the callback runs on the thread that synced, while no lock is held, one
 * at a time. Close it with daybook_watch_close. */
DAYBOOK_API daybook_status daybook_inbox_watch(daybook *engine,
                                               void (*arrived)(void *context, int64_t after),
                                               void *context, daybook_watch **watch);

/* What the server will hold up of a record, as far as this device knows, before it is sent: a JSON
 * array of objects, [] for nothing. Each has `code`, `user_role` (that may clear it) and `detail`,
 * as the view `hold`, which says what stands in the end. The rules are the server's. Free with
 * daybook_free. UNKNOWN_ENTITY, INVALID (id), NOT_FOUND. */
DAYBOOK_API daybook_status daybook_expected_holds(daybook *engine, const char *entity,
                                                  const char *id, char **json);
/* Lets go what a hold holds up, in the name of the store's user, whose role must be the one that
 * the hold names (else RULE, rule "role"). `note` may be NULL. NOT_FOUND: no such hold is here. */
DAYBOOK_API daybook_status daybook_clear_hold(daybook *engine, const char *hold, const char *note,
                                              daybook_error *error);

/* ---- visits ---------------------------------------------------------------------------------- */

/* Whether a visit counts (visit.effective), and why it does not. */
typedef struct daybook_visit_count {
    size_t size; /* sizeof(daybook_visit_count) */
    bool counts; /* it is effective */
    /* True: this device's reckoning, by the server's rule over what is here; changes of the visit
     * or its actions are not settled, and the server has the last word. */
    bool provisional;
    /* "" where it counts, else a stable word: open (neither completed nor verified), short (less
     * than five minutes, or without check-out), no_result (neither feedback nor order nor stock
     * count); unless a manager has verified it: no_place, vague (known to more than 100 m), far
     * (more than 200 m from the customer), no_customer_place, mock, clock (both are in doubt),
     * too_fast (not to be reached in time from the visits before it); twin (another one that counts
     * was less than two hours before it), joined (it has become another one: redirect_to),
     * colleague (another rep recorded it), elsewhere (the server knows of what is not here). Newer
     * versions may add words. */
    char reason[32];
} daybook_visit_count;
/* A struct to be filled. */
#define DAYBOOK_VISIT_COUNT_INIT                                                                   \
    {                                                                                              \
        sizeof(daybook_visit_count), false, false, ""                                              \
    }
/* Fills the struct. A visit's field `effective` shows the same, but for one of which nothing but
 * actions is unsettled: it still shows what the server has said. INVALID (id), NOT_FOUND. */
DAYBOOK_API daybook_status daybook_visit_counts(daybook *engine, const char *id,
                                                daybook_visit_count *count);

/* ---- days ------------------------------------------------------------------------------------ */

/* The organisation's date at a moment: *day is YYYYMMDD, `ms` milliseconds UTC by a clock of the
 * app's choice. It is reckoned as the server does, by the offsets (daylight saving too) that the
 * server has put into the organisation's record; the device needs no time-zone data, and its own
 * zone does not matter. Where the record has none by its `tz_min`, and before the first sync by
 * UTC. The offsets reach from last year three years ahead; beyond them, the first and the last one
 * hold. Any thread. INVALID: the date is not one of the years 1 to 9999; MISUSE (`day` NULL). *day
 * is 0 on failure. */
DAYBOOK_API daybook_status daybook_business_day(daybook *engine, int64_t ms, int32_t *day);

#ifdef __cplusplus
}
#endif
#endif
