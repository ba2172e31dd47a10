/* SPDX-License-Identifier: Apache-2.0
 *
 * See release.h.
 */
#include "tests/support/release.h"

#include "engine/api/engine.h"

static void state(daybook *engine, struct store_state *out)
{
    dk_store_state(engine->store, out);
}

static bool check(daybook *engine, char *problem, size_t size)
{
    return dk_store_check(engine->store, problem, size);
}

__attribute__((visibility("default"))) const struct release daybook_release = {
    .schema = SCHEMA_VERSION,
#define RELEASE_CALL(name) .name = daybook_##name,
    RELEASE_ENGINE(RELEASE_CALL)
#undef RELEASE_CALL
#define RELEASE_CALL(name) .name = srv_##name,
        RELEASE_SERVER(RELEASE_CALL)
#undef RELEASE_CALL
            .state = state,
    .check = check,
};
