/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the history rule share beside decide_world.h: customers and users that move, at
 * times that a test knows.
 */
#ifndef DAYBOOK_TESTS_HISTORY_WORLD_H
#define DAYBOOK_TESTS_HISTORY_WORLD_H

#include "tests/unit/decide_world.h"

#define BEFORE_MS (WORLD_NOW_MS + 1000) /* of the moves */
#define MOVE_MS (WORLD_NOW_MS + 5000)
#define AFTER_MS (WORLD_NOW_MS + 9000)
#define LATE_MS (WORLD_NOW_MS + 20000) /* when everything arrives */

/* Moves a customer, as an import does, at this time. */
static inline int64_t move_customer(struct world *world, const struct id *id, int territory,
                                    int64_t time_ms)
{
    world->now_ms = time_ms;
    edit_record(world, ENTITY_CUSTOMER, id, world->org.head);
    put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[territory]);
    int64_t position = accept(world, &world->server);
    world->now_ms = LATE_MS;
    return position;
}

/* Looks the author up again, as each request does. */
static inline void sign_in(struct world *world, struct device *device)
{
    bool found;
    assert_int_equal(srv_store_get_account(world->store, &device->author.account.user,
                                           &device->author.account, &found),
                     DAYBOOK_OK);
    assert_int_equal(srv_scope_of(world->store, &device->author.account, SCOPE_NOW, &world->scopes,
                                  &device->author.scope),
                     DAYBOOK_OK);
}

/* Changes a user's record at this time: territory (NULL: as it is), role, manager likewise. */
static inline void change_user(struct world *world, struct device *device,
                               const struct id *territory, const char *role,
                               const struct id *manager, int64_t time_ms)
{
    world->now_ms = time_ms;
    edit_record(world, ENTITY_USER, &device->author.account.user, world->org.head);
    if (territory != NULL) {
        put_id(world, USER_TERRITORY_ID, territory);
    }
    if (role != NULL) {
        put_text(world, USER_ROLE, role);
    }
    if (manager != NULL && dk_id_is_zero(manager)) {
        put_null(world, USER_MANAGER_ID);
    } else if (manager != NULL) {
        put_id(world, USER_MANAGER_ID, manager);
    }
    (void)accept(world, &world->server);
    world->now_ms = LATE_MS;
    sign_in(world, device);
}

#endif
