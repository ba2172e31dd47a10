/* SPDX-License-Identifier: Apache-2.0
 *
 * See release.h.
 */
#include "tests/support/release.h"

#include "engine/api/engine.h"
#include "engine/sales/machines.h"

#include <string.h>

static void state(daybook *engine, struct store_state *out)
{
    dk_store_state(engine->store, out);
}

static bool check(daybook *engine, char *problem, size_t size)
{
    return dk_store_check(engine->store, problem, size);
}

static int steps(const char *name, const char *from, const char *role, const char **to, int most)
{
    const struct entity *entity = dk_entity_by_name(name, strlen(name));
    const struct field *field = &entity->fields[dk_machine_field(entity)];
    const struct value state = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(from), .text = from};
    unsigned roles = role == NULL ? ~0U : dk_machine_roles(role);
    int count = 0, rank = from[0] == '\0' ? 0 : dk_machine_rank(field, &state);
    for (const struct machine_step *step = dk_machine_steps(); step->from >= 0; step++) {
        bool fits = step->entity == (int)entity->kind && step->from == rank &&
                    step->direction != MACHINE_ASK && (step->roles & roles) != 0;
        if (fits && count < most) {
            to[count++] = field->choices[step->to];
        }
    }
    return count;
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
    .steps = steps,
};
