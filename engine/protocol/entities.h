/* SPDX-License-Identifier: Apache-2.0
 *
 * The entity table as C: enums and constant arrays generated from entities.def, and look-ups in
 * them.
 */
#ifndef DAYBOOK_PROTOCOL_ENTITIES_H
#define DAYBOOK_PROTOCOL_ENTITIES_H

#include "engine/protocol/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields that every entity has first, in this order. created_* are SERVER fields that dk_sales_fill
 * derives from the changeset's header and its author; custom is a map of the app's own keys, merged
 * key by key. */
enum { FIELD_CREATED_TS, FIELD_CREATED_BY, FIELD_CREATED_DEV, FIELD_CUSTOM, FIELD_COMMON_COUNT };

/* enum entity_kind: ENTITY_ORGANISATION, ENTITY_TERRITORY, … ENTITY_COUNT */
#define ENTITY(NAME, name, writer, root, root_field, parent_field, growth) ENTITY_##NAME,
#define FIELD(NAME, FIELD, name, type, policy, group, flags, since, limit, target)
#define END(NAME)
enum entity_kind {
#include "engine/protocol/entities.def"
    ENTITY_COUNT
};
#undef ENTITY
#undef FIELD
#undef END

/* Per entity one enum of field numbers: VISIT_DOC_NO …; VISIT_FIELD_COUNT */
#define ENTITY(NAME, name, writer, root, root_field, parent_field, growth)                         \
    enum { NAME##_LAST_COMMON = FIELD_COMMON_COUNT - 1,
#define FIELD(NAME, FIELD, name, type, policy, group, flags, since, limit, target) NAME##_##FIELD,
#define END(NAME)                                                                                  \
    NAME##_FIELD_COUNT                                                                             \
    }                                                                                              \
    ;
#include "engine/protocol/entities.def"
#undef ENTITY
#undef FIELD
#undef END

/* Per machine one enum of its states: RANK_VISIT_planned, which is 0, … */
#define STATES(NAME) enum {
#define STATE(NAME, state) RANK_##NAME##_##state,
#define END(NAME)                                                                                  \
    }                                                                                              \
    ;
#include "engine/protocol/states.def"
#undef STATES
#undef STATE
#undef END

enum field_type {
    FIELD_TEXT, /* TEXT to CURRENCY: VALUE_TEXT, JSON string */
    FIELD_CHOICE,
    FIELD_CURRENCY,
    FIELD_INT, /* INT to E7: VALUE_INT in int32, JSON number */
    FIELD_RATE,
    FIELD_DAY,
    FIELD_E7,
    FIELD_BOOL,  /* VALUE_INT 0 or 1, JSON true/false */
    FIELD_MONEY, /* MONEY to TIME: VALUE_INT in int64, JSON string of decimals */
    FIELD_PRICE,
    FIELD_QUANTITY,
    FIELD_TIME,
    FIELD_ID,  /* VALUE_ID, JSON string: base64url */
    FIELD_SET, /* VALUE_TEXT: JSON array of strings, sorted by bytes, no twins */
    FIELD_MAP  /* VALUE_TEXT: JSON object of scalars, keys sorted by bytes */
};

enum merge_policy {
    POLICY_LATEST,
    POLICY_IMMUTABLE,
    POLICY_SERVER,
    POLICY_PROPOSE,
    POLICY_MIN,
    POLICY_MAX,
    POLICY_SET,
    POLICY_STATE,
    POLICY_GROW,
    POLICY_DERIVED
};

enum { FIELD_REQUIRED = 1, FIELD_PERSONAL = 2, FIELD_PASSING = 4 };
enum entity_writer {
    WRITER_DEVICE,
    WRITER_SERVER,
    WRITER_BOTH /* made and deleted by the server; devices change fields that are not its own */
};
enum entity_root { ROOT_ORGANISATION, ROOT_TERRITORY, ROOT_USER, ROOT_RECORD };
enum entity_growth { GROWTH_FREE, GROWTH_APPEND };

struct field {
    const char *name;
    enum field_type type;
    enum merge_policy policy;
    uint8_t group;  /* 0: none */
    uint8_t flags;  /* FIELD_REQUIRED … */
    uint16_t since; /* schema version */
    int64_t limit; /* TEXT: code points; INT, RATE, E7: largest absolute value; 0: the type's own */
    const char *const *choices; /* CHOICE: NULL-terminated, in the order of their ranks */
    int target; /* ID: the entity_kind it names; -1: any, by the field entity_name */
};

struct entity {
    const char *name;
    int kind; /* enum entity_kind */
    enum entity_writer writer;
    enum entity_root root;
    enum entity_growth growth;
    int root_field;   /* ROOT_RECORD, ROOT_USER: field whose record or user gives the bucket; other
                         roots: -1 */
    int parent_field; /* child rows: field that names the document; -1: none */
    int state_field;  /* the one of policy STATE; -1: none */
    int field_count;  /* common fields included; <= LIMIT_FIELDS */
    const struct field *fields;
};

/* Never NULL for a kind below ENTITY_COUNT. */
const struct entity *dk_entity(int kind);
/* NULL: no such entity. */
const struct entity *dk_entity_by_name(const char *name, size_t length);
/* The field's number, or -1. `hint` is where to look first (callers walk in table order), any value
 * is fine. */
int dk_entity_field(const struct entity *entity, const char *name, size_t length, int hint);
/* The entity of the child rows of `kind` number n = 0, 1 …, or NULL. */
const struct entity *dk_entity_child(int kind, int n);
/* True where an app may set this field (policy neither SERVER nor DERIVED, not PASSING). */
bool dk_field_is_sent(const struct field *field);
/* The mask (bit per field number) of the field's group; of itself where it has none. */
uint64_t dk_field_group_mask(const struct entity *entity, int field);
/* "LATEST" …, as documents write it. */
const char *dk_policy_name(enum merge_policy policy);

#endif
