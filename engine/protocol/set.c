/* SPDX-License-Identifier: Apache-2.0
 *
 * SET values: sorted texts without twins, and changes that add and remove elements. Called by
 * collection.c for what arrives and by store and decider to apply and to find changes. Invariant:
 * what leaves is canonical and within its limits; input is never changed.
 */
#include "engine/protocol/collection.h"

#include "engine/base/text.h"

#include <string.h>

struct set { /* sorted by bytes, no twins */
    int count;
    struct element elements[LIMIT_SET_ELEMENTS];
};

struct set_change {
    struct set add, remove;
};

/* Where the element stands or belongs; *found tells which. Looks from the end: input is mostly
 * sorted already. */
static int set_place(const struct set *set, const struct element *element, bool *found)
{
    int place = set->count;
    while (place > 0) {
        int order = dk_element_compare(&set->elements[place - 1], element);
        if (order <= 0) {
            *found = order == 0;
            return order == 0 ? place - 1 : place;
        }
        place--;
    }
    *found = false;
    return 0;
}

/* True where the element is in the set. */
static bool set_has(const struct set *set, const struct element *element)
{
    bool found;
    (void)set_place(set, element, &found);
    return found;
}

/* Adds an element; one that is there already stays once. */
static bool set_add(struct set *set, const struct element *element, struct fault *fault)
{
    bool found;
    int place = set_place(set, element, &found);
    if (found) {
        return true;
    }
    if (set->count == LIMIT_SET_ELEMENTS) {
        return dk_fault(fault, REJECT_LIMIT, "elements");
    }
    memmove(&set->elements[place + 1], &set->elements[place],
            (size_t)(set->count - place) * sizeof set->elements[0]);
    set->elements[place] = *element;
    set->count++;
    return true;
}

/* Takes the element away where it is there. */
static void set_remove(struct set *set, const struct element *element)
{
    bool found;
    int place = set_place(set, element, &found);
    if (found) {
        set->count--;
        memmove(&set->elements[place], &set->elements[place + 1],
                (size_t)(set->count - place) * sizeof set->elements[0]);
    }
}

/* Reads the elements of the array that the reader has entered. */
static bool read_elements(struct json_reader *reader, struct set *set, struct fault *fault)
{
    for (;;) {
        enum json_type type = dk_json_next(reader);
        if (type == JSON_END) {
            return true;
        }
        if (type != JSON_STRING || reader->length == 0) {
            return dk_fault(fault, REJECT_SCHEMA, "set");
        }
        if (reader->length > LIMIT_SET_ELEMENT_BYTES) {
            return dk_fault(fault, REJECT_SCHEMA, "length");
        }
        struct element element = {reader->text, reader->length};
        if (!set_add(set, &element, fault)) {
            return false;
        }
    }
}

/* A whole set from raw JSON; a NULL value is the empty set. */
static bool read_set(struct arena *arena, const char *raw, size_t length, struct set *set,
                     struct fault *fault)
{
    struct json_reader reader;
    set->count = 0;
    if (raw == NULL) {
        return true;
    }
    return dk_collection_open(&reader, arena, raw, length, fault) &&
           ((dk_json_next(&reader) == JSON_ARRAY) || dk_fault(fault, REJECT_SCHEMA, "set")) &&
           read_elements(&reader, set, fault);
}

/* {"add":[…],"remove":[…]}; an element on both sides says nothing and is refused. */
static bool read_set_change(struct arena *arena, const char *raw, size_t length,
                            struct set_change *change, struct fault *fault)
{
    struct json_reader reader;
    enum json_type type;
    change->add.count = change->remove.count = 0;
    if (!dk_collection_open(&reader, arena, raw, length, fault)) {
        return false;
    }
    if (dk_json_next(&reader) != JSON_OBJECT) {
        return dk_fault(fault, REJECT_SCHEMA, "set");
    }
    while ((type = dk_json_key(&reader)) == JSON_STRING) {
        struct set *side = dk_text_equal(reader.text, reader.length, "add")      ? &change->add
                           : dk_text_equal(reader.text, reader.length, "remove") ? &change->remove
                                                                                 : NULL;
        if (side == NULL || side->count > 0 || dk_json_next(&reader) != JSON_ARRAY) {
            return dk_fault(fault, REJECT_SCHEMA, "set");
        }
        if (!read_elements(&reader, side, fault)) {
            return false;
        }
    }
    for (int i = 0; i < change->add.count; i++) {
        if (set_has(&change->remove, &change->add.elements[i])) {
            return dk_fault(fault, REJECT_SCHEMA, "set");
        }
    }
    return type == JSON_END || dk_fault(fault, REJECT_SCHEMA, "set");
}

/* The canonical text; [] where empty. */
static void write_set(struct buffer *out, const struct set *set)
{
    for (int i = 0; i < set->count; i++) {
        dk_buffer_append_char(out, i == 0 ? '[' : ',');
        dk_json_write_string(out, set->elements[i].text, set->elements[i].length);
    }
    dk_buffer_append_text(out, set->count == 0 ? "[]" : "]");
}

/* Only the sides that have elements are written. */
static void write_set_change(struct buffer *out, const struct set_change *change)
{
    dk_buffer_append_char(out, '{');
    if (change->add.count > 0) {
        dk_buffer_append_text(out, "\"add\":");
        write_set(out, &change->add);
    }
    if (change->remove.count > 0) {
        dk_buffer_append_text(out, change->add.count > 0 ? ",\"remove\":" : "\"remove\":");
        write_set(out, &change->remove);
    }
    dk_buffer_append_char(out, '}');
}

/* The set as a value: empty is NULL. */
static bool set_to_value(const struct set *set, struct arena *arena, struct value *value,
                         struct fault *fault)
{
    struct buffer out;
    memset(value, 0, sizeof *value);
    if (set->count == 0) {
        return true;
    }
    dk_buffer_init(&out, SET_TEXT_MAX);
    write_set(&out, set);
    return dk_collection_finish(&out, arena, value, fault);
}

/* A change of a set as a value, also where it is empty. */
static bool set_change_to_value(const struct set_change *change, struct arena *arena,
                                struct value *value, struct fault *fault)
{
    struct buffer out;
    dk_buffer_init(&out, SET_TEXT_MAX);
    write_set_change(&out, change);
    return dk_collection_finish(&out, arena, value, fault);
}

/* See collection.h. */
bool dk_set_read(const char *raw, size_t length, struct arena *arena, struct value *value,
                 struct fault *fault)
{
    struct set set;
    return read_set(arena, raw, length, &set, fault) && set_to_value(&set, arena, value, fault);
}

/* See collection.h. */
bool dk_set_read_change(const char *raw, size_t length, struct arena *arena, struct value *value,
                        struct fault *fault)
{
    struct set_change change;
    return read_set_change(arena, raw, length, &change, fault) &&
           set_change_to_value(&change, arena, value, fault);
}

/* What `to` has and `from` has not is added, the reverse removed. */
static bool difference(const struct set *from, const struct set *to, struct set_change *step,
                       struct fault *fault)
{
    step->add.count = step->remove.count = 0;
    for (int i = 0; i < to->count; i++) {
        if (!set_has(from, &to->elements[i]) && !set_add(&step->add, &to->elements[i], fault)) {
            return false;
        }
    }
    for (int i = 0; i < from->count; i++) {
        if (!set_has(to, &from->elements[i]) &&
            !set_add(&step->remove, &from->elements[i], fault)) {
            return false;
        }
    }
    return true;
}

/* Reads a stored set and what a change asks of it: its own two sides or, where it is an array or
 * NULL, the difference to that. */
static bool read_step(const struct value *stored, const struct value *change, struct arena *arena,
                      struct set *set, struct set_change *step)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set wanted;
    const char *raw = dk_collection_text(change);
    if (!read_set(arena, dk_collection_text(stored), stored->length, set, &fault)) {
        return false;
    }
    if (raw != NULL && dk_collection_is_object(raw, change->length)) {
        return read_set_change(arena, raw, change->length, step, &fault);
    }
    return read_set(arena, raw, change->length, &wanted, &fault) &&
           difference(set, &wanted, step, &fault);
}

/* See value.h. What goes makes room before what comes. */
bool dk_set_merge(const struct value *stored, const struct value *change, dk_set_judge *judge,
                  void *context, struct arena *arena, struct value *result)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set set;
    struct set_change step;
    if (!read_step(stored, change, arena, &set, &step)) {
        return false;
    }
    for (int i = 0; i < step.remove.count; i++) {
        const struct element *element = &step.remove.elements[i];
        bool applies = false;
        if (!judge(context, element, set_has(&set, element), false, &applies)) {
            return false;
        }
        if (applies) {
            set_remove(&set, element);
        }
    }
    for (int i = 0; i < step.add.count; i++) {
        const struct element *element = &step.add.elements[i];
        bool applies = false;
        if (!judge(context, element, set_has(&set, element), true, &applies) ||
            (applies && !set_add(&set, element, &fault))) {
            return false;
        }
    }
    return set_to_value(&set, arena, result, &fault);
}

/* Lets everything apply. */
static bool judge_all(void *context, const struct element *element, bool there, bool add,
                      bool *applies)
{
    (void)context, (void)element, (void)there, (void)add;
    *applies = true;
    return true;
}

/* See value.h. */
bool dk_set_apply(const struct value *stored, const struct value *change, struct arena *arena,
                  struct value *result)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set set;
    const char *raw = dk_collection_text(change);
    if (raw != NULL && dk_collection_is_object(raw, change->length)) {
        return dk_set_merge(stored, change, judge_all, NULL, arena, result);
    }
    return read_set(arena, raw, change->length, &set, &fault) &&
           set_to_value(&set, arena, result, &fault);
}

/* See value.h. */
bool dk_set_difference(const struct value *from, const struct value *to, struct arena *arena,
                       struct value *change)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set old, wanted;
    struct set_change step;
    return read_set(arena, dk_collection_text(from), from->length, &old, &fault) &&
           read_set(arena, dk_collection_text(to), to->length, &wanted, &fault) &&
           difference(&old, &wanted, &step, &fault) &&
           set_change_to_value(&step, arena, change, &fault);
}

/* Puts an element on the side where the set wants it, if there is room. */
static void insist(struct set_change *step, const struct set *wanted, const struct element *element)
{
    struct fault full = {REJECT_NONE, NULL};
    (void)set_add(set_has(wanted, element) ? &step->add : &step->remove, element, &full);
}

/* See value.h. */
bool dk_set_insist(const struct value *change, const struct value *said, const struct value *to,
                   struct arena *arena, struct value *result)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set wanted;
    struct set_change step, named;
    bool fine = read_set(arena, dk_collection_text(to), to->length, &wanted, &fault) &&
                read_set_change(arena, change->text, change->length, &step, &fault) &&
                read_set_change(arena, said->text, said->length, &named, &fault);
    for (int i = 0; fine && i < named.add.count; i++) {
        insist(&step, &wanted, &named.add.elements[i]);
    }
    for (int i = 0; fine && i < named.remove.count; i++) {
        insist(&step, &wanted, &named.remove.elements[i]);
    }
    return fine && set_change_to_value(&step, arena, result, &fault);
}

/* See value.h. */
bool dk_set_join(const struct value *first, const struct value *second, struct arena *arena,
                 struct value *joined)
{
    struct fault fault = {REJECT_NONE, NULL};
    struct set_change step, later;
    bool fine = read_set_change(arena, first->text, first->length, &step, &fault) &&
                read_set_change(arena, second->text, second->length, &later, &fault);
    /* What goes makes room before what comes. */
    for (int i = 0; fine && i < later.add.count; i++) {
        set_remove(&step.remove, &later.add.elements[i]);
    }
    for (int i = 0; fine && i < later.remove.count; i++) {
        set_remove(&step.add, &later.remove.elements[i]);
    }
    for (int i = 0; fine && i < later.add.count; i++) {
        fine = set_add(&step.add, &later.add.elements[i], &fault);
    }
    for (int i = 0; fine && i < later.remove.count; i++) {
        fine = set_add(&step.remove, &later.remove.elements[i], &fault);
    }
    return fine && set_change_to_value(&step, arena, joined, &fault);
}
