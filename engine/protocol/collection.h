/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical text of SET and MAP values, and of changes to them. Internal to engine/protocol:
 * value.c and block.c read through it, set.c and map.c do the work. What leaves here is canonical,
 * so equal collections are equal bytes; the empty collection is VALUE_NULL.
 *
 *   set     ["a","b"]                    strings sorted by bytes, no twins, no white space
 *   map     {"a":1,"b":"x"}              keys sorted by bytes; strings, whole numbers, true, false
 *   change  {"add":["a"],"remove":["b"]} of a set; of a map {"a":1,"b":null}: null removes a key
 */
#ifndef DAYBOOK_PROTOCOL_COLLECTION_H
#define DAYBOOK_PROTOCOL_COLLECTION_H

#include "engine/protocol/value.h"
#include "engine/protocol/verdict.h"

/* A canonical set or change is never longer: the longest escape is six bytes for one. */
#define SET_TEXT_MAX ((size_t)2 * LIMIT_SET_ELEMENTS * (LIMIT_SET_ELEMENT_BYTES * 6 + 3) + 40)

enum collection_form {
    COLLECTION_WHOLE, /* of a new record */
    COLLECTION_CHANGE /* of a set row: a change, or for a SET also the whole array (log) */
};

/* Why a collection is refused; code REJECT_NONE: it is not. */
struct fault {
    enum reject_code code;
    const char *rule;
};

/* Reads raw JSON (valid, unchanged) as a value of this SET or MAP field and puts its canonical text
 * into the arena. False: *refusal. */
bool dk_collection_read(const struct field *field, enum collection_form form, const char *raw,
                        size_t length, struct arena *arena, struct value *value,
                        struct refusal *refusal);
/* True where the text is a canonical whole value of the field that is not empty; else *refusal. */
bool dk_collection_check(const struct field *field, const char *text, size_t length,
                         struct refusal *refusal);
/* As dk_value_read, or dk_value_read_decided, with SET and MAP fields in this form. */
bool dk_value_read_form(struct json_reader *reader, const struct field *field,
                        enum collection_form form, bool decided, struct arena *arena,
                        struct value *value, struct refusal *refusal);

/* set.c and map.c: raw JSON (NULL: empty) to a canonical value. */
bool dk_set_read(const char *raw, size_t length, struct arena *arena, struct value *value,
                 struct fault *fault);
bool dk_set_read_change(const char *raw, size_t length, struct arena *arena, struct value *value,
                        struct fault *fault);
bool dk_map_read(const char *raw, size_t length, bool is_change, struct arena *arena,
                 struct value *value, struct fault *fault);

/* Helpers of set.c and map.c. */
/* Notes why; returns false. */
bool dk_fault(struct fault *fault, enum reject_code code, const char *rule);
/* By bytes, the shorter first: < 0, 0, > 0. */
int dk_element_compare(const struct element *a, const struct element *b);
/* The text of a value, or NULL for the empty collection. */
const char *dk_collection_text(const struct value *value);
bool dk_collection_is_object(const char *raw, size_t length);
/* Opens a reader on a mutable copy in the arena, because reading unescapes in place. */
bool dk_collection_open(struct json_reader *reader, struct arena *arena, const char *text,
                        size_t length, struct fault *fault);
/* The text written to `out` as a value in the arena. `out` is cleared either way. */
bool dk_collection_finish(struct buffer *out, struct arena *arena, struct value *value,
                          struct fault *fault);

#endif
