/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of fields, records made of them, their checks and their two text forms: wire JSON and
 * canonical text. Text is borrowed: whoever makes a value says from where (the message's bytes, an
 * arena, a statement's row).
 */
#ifndef DAYBOOK_PROTOCOL_VALUE_H
#define DAYBOOK_PROTOCOL_VALUE_H

#include "engine/base/arena.h"
#include "engine/base/buffer.h"
#include "engine/base/id.h"
#include "engine/base/json.h"
#include "engine/protocol/entities.h"

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_TEXT, VALUE_ID };

struct value {
    enum value_kind kind;
    uint32_t length; /* VALUE_TEXT: bytes */
    union {
        int64_t integer;
        const char *text; /* not NUL-terminated */
        struct id id;
    };
};

/* One record in memory. values[n] belongs to entity->fields[n]. */
struct record {
    const struct entity *entity;
    struct id id;
    int64_t version;
    struct value values[LIMIT_FIELDS];
    struct value extra; /* fields of newer schemas: VALUE_TEXT, {"name":value}, or VALUE_NULL */
};

/* Why a value, change or record is refused: a verdict code with where. Static texts only. */
struct refusal {
    int code;          /* enum reject_code of verdict.h; 0 = none */
    const char *field; /* name, or NULL */
    const char *rule;  /* short stable word, e.g. "range", or NULL */
};

bool dk_value_equal(const struct value *a, const struct value *b);
/* A deep copy whose text is in the arena (arena->failed tells). */
struct value dk_value_copy(const struct value *value, struct arena *arena);

/* Type, range, length, choices, UTF-8, currency letters, calendar day, canonical set or map (the
 * empty one is NULL). True where fine. NULL value: fine. */
bool dk_value_check(const struct field *field, const struct value *value, struct refusal *refusal);

/* Appends the value as the wire's JSON. NULL is null. */
void dk_value_write(struct buffer *out, const struct field *field, const struct value *value);
/* Reads the next element of the reader as a value of the field, checked as dk_value_check does.
 * Text is borrowed from the reader's bytes, except SET and MAP, whose canonical form is put into
 * the arena. False: the reader's problem is set, or refusal says what does not fit (a refusal
 * leaves the reader behind the element). */
bool dk_value_read(struct json_reader *reader, const struct field *field, struct arena *arena,
                   struct value *value, struct refusal *refusal);
/* The same for what was decided or checked before, perhaps by a newer schema, which may have more
 * choices and larger limits: only the type has to fit. */
bool dk_value_read_decided(struct json_reader *reader, const struct field *field,
                           struct arena *arena, struct value *value, struct refusal *refusal);

/* The same, but ids are UUID text, as the API has them: for JSON that is kept for apps to read. */
void dk_value_write_app(struct buffer *out, const struct field *field, const struct value *value);
bool dk_value_read_app(struct json_reader *reader, const struct field *field, struct arena *arena,
                       struct value *value, struct refusal *refusal);

/* Changes to a SET on the wire are {"add":[…],"remove":[…]}, to a MAP {key: scalar or null =
 * remove}. As values of a change they stay raw JSON text (VALUE_TEXT). These apply such a change to
 * a stored value (NULL: empty) and give the canonical result in the arena. A set may also be given
 * whole, as an array, where a log says what it is now. False: the result passes a limit, the change
 * is damaged, or memory (arena->failed). */
bool dk_set_apply(const struct value *stored, const struct value *change, struct arena *arena,
                  struct value *result);
bool dk_map_apply(const struct value *stored, const struct value *change, struct arena *arena,
                  struct value *result);

struct element {
    const char *text; /* unescaped */
    size_t length;
};

/* What dk_set_merge asks for each element that a change adds, or else removes. `there`: the stored
 * set has it. *applies: the element is to be as the change wants it. False ends the merge. */
typedef bool dk_set_judge(void *context, const struct element *element, bool there, bool add,
                          bool *applies);
/* The stored set with the changes of elements that the judge lets apply. A set given whole asks for
 * the change that leads to it. False: as dk_set_apply, or the judge ended it. */
bool dk_set_merge(const struct value *stored, const struct value *change, dk_set_judge *judge,
                  void *context, struct arena *arena, struct value *result);
/* The change that leads from one whole value to another; {} where they are the same. */
bool dk_set_difference(const struct value *from, const struct value *to, struct arena *arena,
                       struct value *change);
bool dk_map_difference(const struct value *from, const struct value *to, struct arena *arena,
                       struct value *change);
/* A change and a later one as one that does what both do in turn. False without a failed arena: one
 * change has no room for all that they name. */
bool dk_set_join(const struct value *first, const struct value *second, struct arena *arena,
                 struct value *joined);
bool dk_map_join(const struct value *first, const struct value *second, struct arena *arena,
                 struct value *joined);
/* The change, and beside it what another change `said`, as it is in `to` by now: so that it goes up
 * though the value from which the change leads shows it already. As far as one change has room. */
bool dk_set_insist(const struct value *change, const struct value *said, const struct value *to,
                   struct arena *arena, struct value *result);
bool dk_map_insist(const struct value *change, const struct value *said, const struct value *to,
                   struct arena *arena, struct value *result);
/* Walks the keys of a MAP (raw JSON object): false at the end. *cursor is 0 at first. Key and raw
 * scalar are borrowed from `map`. */
bool dk_map_next(const struct value *map, size_t *cursor, const char **key, size_t *key_length,
                 const char **raw, size_t *raw_length);

#endif
