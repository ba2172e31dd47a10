/* SPDX-License-Identifier: Apache-2.0
 *
 * The entity table as constant arrays, made from entities.def, and the look-ups in it. Everything
 * that walks entities or fields comes through here. Invariant: all of it is constant data; a kind
 * is the index of its entity.
 */
#include "engine/protocol/entities.h"

#include <assert.h>

static const char *const choices_role[] = {"rep",         "manager", "presales", "service",
                                           "back_office", "system",  NULL};
static const char *const choices_customer_status[] = {"prospect", "active", "archived", NULL};

/* choices_VISIT … */
#define STATES(NAME) static const char *const choices_##NAME[] = {
#define STATE(NAME, state) #state,
#define END(NAME)                                                                                  \
    NULL                                                                                           \
    }                                                                                              \
    ;
#include "engine/protocol/states.def"
#undef STATES
#undef STATE
#undef END

/* What the short words of entities.def stand for in this file. "_" means "none": -1 for field and
 * entity numbers. */
enum { REQUIRED = FIELD_REQUIRED, PERSONAL = FIELD_PERSONAL, PASSING = FIELD_PASSING };
#define _ -1

/* The column "limit" by type: a list of texts for CHOICE, a number for all others. */
#define SHAPE_TEXT(x) .limit = (x), .choices = NULL
#define SHAPE_CHOICE(x) .limit = 0, .choices = (x)
#define SHAPE_CURRENCY(x) SHAPE_TEXT(x)
#define SHAPE_INT(x) SHAPE_TEXT(x)
#define SHAPE_RATE(x) SHAPE_TEXT(x)
#define SHAPE_DAY(x) SHAPE_TEXT(x)
#define SHAPE_E7(x) SHAPE_TEXT(x)
#define SHAPE_BOOL(x) SHAPE_TEXT(x)
#define SHAPE_MONEY(x) SHAPE_TEXT(x)
#define SHAPE_PRICE(x) SHAPE_TEXT(x)
#define SHAPE_QUANTITY(x) SHAPE_TEXT(x)
#define SHAPE_TIME(x) SHAPE_TEXT(x)
#define SHAPE_ID(x) SHAPE_TEXT(x)
#define SHAPE_SET(x) SHAPE_TEXT(x)
#define SHAPE_MAP(x) SHAPE_TEXT(x)

#define FLAGS(x) (uint8_t)((x) < 0 ? 0 : (x))

/* The fields that every entity has, in the order of the enum in entities.h. */
#define COMMON_FIELDS                                                                              \
    {.name = "created_ts", .type = FIELD_TIME, .policy = POLICY_SERVER, .since = 1, .target = -1}, \
        {.name = "created_by",                                                                     \
         .type = FIELD_ID,                                                                         \
         .policy = POLICY_SERVER,                                                                  \
         .since = 1,                                                                               \
         .target = ENTITY_USER},                                                                   \
        {.name = "created_dev",                                                                    \
         .type = FIELD_INT,                                                                        \
         .policy = POLICY_SERVER,                                                                  \
         .since = 1,                                                                               \
         .target = -1},                                                                            \
    {                                                                                              \
        .name = "custom", .type = FIELD_MAP, .policy = POLICY_LATEST, .since = 1, .target = -1     \
    }

/* clang-format off */

/* One array of fields per entity: fields_VISIT[] … */
#define ENTITY(NAME, name_, writer_, root_, root_field_, parent_field_, growth_)                   \
    static const struct field fields_##NAME[] = {COMMON_FIELDS,
#define FIELD(NAME, FIELD, name_, type_, policy_, group_, flags_, since_, limit_, target_)         \
    {.name = #name_, .type = FIELD_##type_, .policy = POLICY_##policy_, .group = group_,           \
     .flags = FLAGS(flags_), .since = since_, SHAPE_##type_(limit_), .target = target_},
#define END(NAME)                                                                                  \
    };                                                                                             \
    _Static_assert(NAME##_FIELD_COUNT <= LIMIT_FIELDS, "too many fields in " #NAME);               \
    _Static_assert(sizeof fields_##NAME / sizeof fields_##NAME[0] == NAME##_FIELD_COUNT,           \
                   "enum and array differ in " #NAME);
#include "engine/protocol/entities.def"
#undef ENTITY
#undef FIELD
#undef END

/* The entities, by kind. */
#define ENTITY(NAME, name_, writer_, root_, root_field_, parent_field_, growth_)                   \
    [ENTITY_##NAME] = {.name = #name_, .kind = ENTITY_##NAME, .writer = WRITER_##writer_,          \
                       .root = ROOT_##root_, .growth = GROWTH_##growth_,                           \
                       .root_field = root_field_, .parent_field = parent_field_,                   \
                       .field_count = NAME##_FIELD_COUNT, .fields = fields_##NAME,                 \
                       .state_field = -1
#define FIELD(NAME, FIELD, name_, type_, policy_, group_, flags_, since_, limit_, target_)         \
    +(POLICY_##policy_ == POLICY_STATE ? NAME##_##FIELD + 1 : 0)
#define END(NAME)                                                                                  \
    }                                                                                              \
    ,
static const struct entity entities[ENTITY_COUNT] = {
#include "engine/protocol/entities.def"
};
#undef ENTITY
#undef FIELD
#undef END
#undef _
/* clang-format on */

/* True where the `length` bytes of `name` are `other`, a NUL-terminated name. */
static bool name_is(const char *other, const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (other[i] == '\0' || other[i] != name[i]) {
            return false;
        }
    }
    return other[length] == '\0';
}

/* The entity of this kind; the kind is a programmer's, so it is asserted. */
const struct entity *dk_entity(int kind)
{
    assert(kind >= 0 && kind < ENTITY_COUNT);
    return &entities[kind];
}

/* The entity of this name, or NULL. The list is short, and callers ask once per block: a walk is
 * enough. */
const struct entity *dk_entity_by_name(const char *name, size_t length)
{
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        if (name_is(entities[kind].name, name, length)) {
            return &entities[kind];
        }
    }
    return NULL;
}

/* The number of the field of this name, or -1. Looks from `hint` on (callers that step through a
 * record or a header in table order find it there), then before it. */
int dk_entity_field(const struct entity *entity, const char *name, size_t length, int hint)
{
    int first = hint >= 0 && hint < entity->field_count ? hint : 0;
    for (int i = 0; i < entity->field_count; i++) {
        int field = first + i < entity->field_count ? first + i : first + i - entity->field_count;
        if (name_is(entity->fields[field].name, name, length)) {
            return field;
        }
    }
    return -1;
}

/* The n-th entity, in table order, whose parent field names records of `kind`; NULL past the last.
 */
const struct entity *dk_entity_child(int kind, int n)
{
    for (int child = 0; child < ENTITY_COUNT; child++) {
        int parent_field = entities[child].parent_field;
        if (parent_field >= 0 && entities[child].fields[parent_field].target == kind && n-- == 0) {
            return &entities[child];
        }
    }
    return NULL;
}

/* True where an app may set the field: neither filled by rules, of the server or the engine, nor
 * recomputed. */
bool dk_field_is_sent(const struct field *field)
{
    return field->policy != POLICY_SERVER && field->policy != POLICY_DERIVED &&
           (field->flags & FIELD_PASSING) == 0;
}

/* One bit per field that merges together with `field`, its own included. */
uint64_t dk_field_group_mask(const struct entity *entity, int field)
{
    uint8_t group = entity->fields[field].group;
    uint64_t mask = (uint64_t)1 << field;
    if (group == 0) {
        return mask;
    }
    for (int other = 0; other < entity->field_count; other++) {
        if (entity->fields[other].group == group) {
            mask |= (uint64_t)1 << other;
        }
    }
    return mask;
}

const char *dk_policy_name(enum merge_policy policy)
{
    switch (policy) {
    case POLICY_LATEST: return "LATEST";
    case POLICY_IMMUTABLE: return "IMMUTABLE";
    case POLICY_SERVER: return "SERVER";
    case POLICY_PROPOSE: return "PROPOSE";
    case POLICY_MIN: return "MIN";
    case POLICY_MAX: return "MAX";
    case POLICY_SET: return "SET";
    case POLICY_STATE: return "STATE";
    case POLICY_GROW: return "GROW";
    case POLICY_DERIVED: return "DERIVED";
    }
    return "";
}
