/* SPDX-License-Identifier: Apache-2.0
 *
 * A company for flow tests: the real server with a small catalogue, and reps with a device each,
 * whose engines go over real TLS. And the few words that stories about them need. Writes are JSON,
 * one transaction each; a patch names the version that the device shows, where nothing else is
 * said.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_COMPANY_H
#define DAYBOOK_TESTS_SUPPORT_COMPANY_H

#include "tests/support/client.h"
#include "tests/support/device.h"
#include "tests/support/proxy.h"
#include "tests/support/replica.h"
#include "tests/support/server.h"
#include "tests/support/tap.h"

#include <daybook/daybook.h>
#include <daybook/posix.h>

#include <stdint.h>

#define COMPANY_REPS_MAX 12
#define TEA "0193f000-0000-7000-8000-000000000001" /* products of the catalogue */
#define COOKIE "0193f000-0000-7000-8000-000000000002"

/* All orders in which three may arrive. */
#define ARRIVAL_ORDERS 6
extern const int arrival_orders[ARRIVAL_ORDERS][3];

struct rep {
    char login[32];
    struct company *company;
    struct tap tap;
    struct device device;
    bool left; /* not compared any more */
};

struct company {
    struct server server;
    struct rep reps[COMPANY_REPS_MAX];
    int count;
};

/* A running server with the catalogue and nobody in it. */
void company_open(struct company *company);
/* Closes all devices, stops the server, removes everything. */
void company_close(struct company *company);
/* A user with a device that is enrolled and in step. NULL territory: none. */
struct rep *company_hire(struct company *company, const char *login, const char *role,
                         const char *territory);
/* The same, and the device's folder is there but nothing is opened or enrolled: for other options.
 */
struct rep *company_add(struct company *company, const char *login, const char *role,
                        const char *territory);
/* The same for a user who is there already. */
struct rep *company_add_device(struct company *company, const char *login);
/* Another device of a rep's user, enrolled and in step. */
struct rep *company_second_device(struct company *company, const struct rep *rep);
/* A copy of a device's file as it is now, on a device that is not opened yet; the first goes on. */
struct rep *company_copy(struct company *company, struct rep *rep);
/* Two reps of the East, Wang and Li, and a customer that both have, for a company that was opened.
 */
void company_pair(struct company *company, struct rep **wang, struct rep **li,
                  char shop[DAYBOOK_ID_SIZE]);
/* The same two without a customer, Wang on a clean line and Li behind a proxy, which is returned,
 * for the caller to stop; `url` is its address, and lives as long as Li's device. */
struct proxy *company_pair_behind(struct company *company, struct rep **wang, struct rep **li,
                                  char url[64]);
/* Opens, enrols with a fresh code, syncs. */
void rep_begin(struct rep *rep);

/* Syncs everybody until nobody has anything left, at most three rounds, and compares each replica
 * with the server, by itself and by the sums that the engine and the server reckon. */
#define company_settle(company) company_check((company), __FILE__, __LINE__)
void company_check(struct company *company, const char *file, int line);

void rep_sync(struct rep *rep);
/* One exchange of a sync, so at most one page of each kind. True where nothing is left. */
bool rep_exchange(struct rep *rep);
/* Ends a device's part in the company. */
void rep_leave(struct rep *rep);
/* Makes a record; `id` (may be NULL) gets DAYBOOK_ID_SIZE bytes. */
void rep_put(struct rep *rep, const char *entity, const char *json, char *id);
/* The same with text and numbers put into `format`. */
void rep_putf(struct rep *rep, const char *entity, char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void rep_patch(struct rep *rep, const char *entity, const char *id, const char *json);
void rep_patchf(struct rep *rep, const char *entity, const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void rep_patch_at(struct rep *rep, const char *entity, const char *id, int64_t version,
                  const char *json);
/* The status of a patch that may fail; nothing is left of it then. */
daybook_status rep_try_patch(struct rep *rep, const char *entity, const char *id, int64_t version,
                             const char *json);
daybook_status rep_try_put(struct rep *rep, const char *entity, const char *json);
void rep_delete(struct rep *rep, const char *entity, const char *id);
/* One field of one record as text; "" where there is no record or no value. Valid until the next
 * call. */
const char *rep_field(struct rep *rep, const char *entity, const char *id, const char *field);
/* How many rows a SELECT count(*) with this id as ?1 (may be NULL) counts. */
int64_t rep_count(struct rep *rep, const char *sql, const char *id);
/* A customer, its quote with one line. Ids may be NULL. */
void rep_quote(struct rep *rep, const char *name, char *customer, char *quote, char *line);

/* A visit of a customer. The id may be NULL. */
void rep_visit(struct rep *rep, const char *customer, const char *feedback, char *id);

/* How many items of this kind the inbox has, about a record or, "", any; then it is emptied. */
int64_t rep_take_inbox(struct rep *rep, const char *kind, const char *record);

/* The operator gives a customer to another territory, or changes members of a user's record, JSON
 * without braces. */
void company_reassign(struct company *company, const char *customer, const char *territory);
void company_change_user(struct company *company, const char *login, const char *members);
/* How many visits with this feedback the server has. */
int64_t company_visits(struct company *company, const char *feedback);
/* The server's value of one field, "" for none. */
const char *company_field(struct company *company, const char *entity, const char *id,
                          const char *field);

#define assert_field(rep, entity, id, field, value)                                                \
    assert_string_equal(rep_field((rep), (entity), (id), (field)), (value))

#endif
