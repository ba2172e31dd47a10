/* SPDX-License-Identifier: Apache-2.0
 *
 * Scalar values: equality, copies, checks, and both directions of their wire JSON (SET and MAP
 * texts: collection.c). Called for every field that is written or travels. Invariant: a scalar is
 * read and written without an allocation, and what dk_value_read takes dk_value_check takes too.
 *
 * A value is checked whole where somebody wants to write it. One that was decided already is taken
 * as it is, if only its type fits (`decided`): a newer schema has more choices and larger limits.
 */
#include "engine/protocol/value.h"

#include "engine/base/text.h"
#include "engine/protocol/collection.h"
#include "engine/protocol/verdict.h"

#include <assert.h>
#include <string.h>

#define TIME_MAX_MS ((INT64_C(1) << 47) - 1) /* as far as the hybrid clock counts */

/* Notes why a value of the field is refused; returns false. */
static bool refuse(struct refusal *refusal, enum reject_code code, const struct field *field,
                   const char *rule)
{
    refusal->code = (int)code;
    refusal->field = field->name;
    refusal->rule = rule;
    return false;
}

/* Equal in kind and content. Collections are canonical, so their bytes decide. */
bool dk_value_equal(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case VALUE_NULL: return true;
    case VALUE_INT: return a->integer == b->integer;
    case VALUE_TEXT:
        return a->length == b->length &&
               (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
    case VALUE_ID: return dk_id_compare(&a->id, &b->id) == 0;
    }
    return false;
}

/* Only texts are behind a pointer. Where the arena is used up the text is "" and arena->failed is
 * set. */
struct value dk_value_copy(const struct value *value, struct arena *arena)
{
    struct value copy = *value;
    if (value->kind == VALUE_TEXT) {
        copy.text = dk_arena_copy(arena, value->text, value->length);
        if (copy.text == NULL) {
            copy.text = "";
            copy.length = 0;
        }
    }
    return copy;
}

/* True where `day` is YYYYMMDD of the Gregorian calendar, years 1 to 9999. */
static bool is_day(int64_t day)
{
    static const int8_t days[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (day < 10101 || day > 99991231) {
        return false;
    }
    int64_t year = day / 10000;
    int64_t month = day / 100 % 100;
    int64_t of_month = day % 100;
    if (month < 1 || month > 12 || of_month < 1 || of_month > days[month]) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || of_month < 29 || leap;
}

/* The range of an integer field: its limit where it has one and that counts, else the type's own.
 */
static bool is_in_range(const struct field *field, int64_t integer, bool decided)
{
    switch (field->type) {
    case FIELD_BOOL: return integer == 0 || integer == 1;
    case FIELD_TIME: return integer >= 0 && integer <= TIME_MAX_MS;
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY: break;
    default:
        if (integer < INT32_MIN || integer > INT32_MAX) {
            return false;
        }
    }
    return decided || field->limit == 0 || (integer >= -field->limit && integer <= field->limit);
}

/* Range or calendar of an integer type. */
static bool check_integer(const struct field *field, int64_t integer, bool decided,
                          struct refusal *refusal)
{
    if (field->type == FIELD_DAY) {
        return is_day(integer) || refuse(refusal, REJECT_SCHEMA, field, "day");
    }
    return is_in_range(field, integer, decided) || refuse(refusal, REJECT_SCHEMA, field, "range");
}

/* Text that is known to be UTF-8 without NUL. Bytes are counted first: only a text with more bytes
 * than code points allowed has to be walked. */
static bool check_text(const struct field *field, const char *text, size_t length, bool decided,
                       struct refusal *refusal)
{
    if (decided) {
        return true;
    }
    switch (field->type) {
    case FIELD_CURRENCY:
        for (size_t i = 0; i < length; i++) {
            if (text[i] < 'A' || text[i] > 'Z') {
                return refuse(refusal, REJECT_SCHEMA, field, "currency");
            }
        }
        return length == 3 || refuse(refusal, REJECT_SCHEMA, field, "currency");
    case FIELD_CHOICE:
        for (const char *const *choice = field->choices; *choice != NULL; choice++) {
            if (dk_text_equal(text, length, *choice)) {
                return true;
            }
        }
        return refuse(refusal, REJECT_SCHEMA, field, "choice");
    default:
        if (length > LIMIT_TEXT_BYTES ||
            (field->limit > 0 && length > (size_t)field->limit &&
             dk_text_code_points(text, length) > (size_t)field->limit)) {
            return refuse(refusal, REJECT_SCHEMA, field, "length");
        }
        return true;
    }
}

/* The kind that values of a type have. */
static enum value_kind kind_of(enum field_type type)
{
    switch (type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY:
    case FIELD_SET:
    case FIELD_MAP: return VALUE_TEXT;
    case FIELD_ID: return VALUE_ID;
    default: return VALUE_INT;
    }
}

/* See the header. Rules named: type, utf8, range, day, length, choice, currency, id, set, map,
 * elements, keys, bytes. */
bool dk_value_check(const struct field *field, const struct value *value, struct refusal *refusal)
{
    if (value->kind == VALUE_NULL) {
        return true;
    }
    if (value->kind != kind_of(field->type)) {
        return refuse(refusal, REJECT_SCHEMA, field, "type");
    }
    switch (value->kind) {
    case VALUE_INT: return check_integer(field, value->integer, false, refusal);
    case VALUE_ID: return !dk_id_is_zero(&value->id) || refuse(refusal, REJECT_SCHEMA, field, "id");
    default: break;
    }
    if (!dk_text_is_utf8(value->text, value->length)) {
        return refuse(refusal, REJECT_SCHEMA, field, "utf8");
    }
    if (field->type == FIELD_SET || field->type == FIELD_MAP) {
        return dk_collection_check(field, value->text, value->length, refusal);
    }
    return check_text(field, value->text, value->length, false, refusal);
}

/* See the header. The value must fit the field (dk_value_check). */
void dk_value_write(struct buffer *out, const struct field *field, const struct value *value)
{
    if (value->kind == VALUE_NULL) {
        dk_buffer_append(out, "null", 4);
        return;
    }
    assert(value->kind == kind_of(field->type));
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
    case FIELD_CURRENCY: dk_json_write_string(out, value->text, value->length); break;
    case FIELD_INT:
    case FIELD_RATE:
    case FIELD_DAY:
    case FIELD_E7: dk_buffer_append_int(out, value->integer); break;
    case FIELD_BOOL: dk_buffer_append_text(out, value->integer != 0 ? "true" : "false"); break;
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY:
    case FIELD_TIME: dk_json_write_int64(out, value->integer); break;
    case FIELD_ID: {
        char text[ID_WIRE_LENGTH + 2] = "\"";
        dk_id_to_wire(&value->id, text + 1);
        text[ID_WIRE_LENGTH + 1] = '"';
        dk_buffer_append(out, text, sizeof text);
        break;
    }
    case FIELD_SET:
    case FIELD_MAP: dk_buffer_append(out, value->text, value->length); break;
    }
}

/* See the header. */
void dk_value_write_app(struct buffer *out, const struct field *field, const struct value *value)
{
    char id[ID_TEXT_SIZE];
    if (value->kind != VALUE_ID) {
        dk_value_write(out, field, value);
        return;
    }
    dk_id_to_text(&value->id, id);
    dk_json_write_string(out, id, ID_TEXT_SIZE - 1);
}

/* The first byte of the value that the reader would read next, or 0 at the end of the text. */
static char first_byte(const struct json_reader *reader)
{
    const char *next = reader->next;
    while (next < reader->end &&
           (*next == ' ' || *next == ',' || *next == '\n' || *next == '\r' || *next == '\t')) {
        next++;
    }
    return next < reader->end ? *next : '\0';
}

/* Passes over a value that does not fit, so that the reader stands behind it; a damaged one stays
 * damage. */
static bool refuse_next(struct json_reader *reader, const struct field *field, const char *rule,
                        struct refusal *refusal)
{
    const char *raw;
    size_t length;
    if (!dk_json_skip(reader, &raw, &length)) {
        return false;
    }
    return refuse(refusal, REJECT_SCHEMA, field, rule);
}

/* A JSON number for the int32 types. Numbers that the reader would take for damage (fractions,
 * exponents, beyond 2^53 - 1) are valid JSON that does not fit: they are found before it sees them.
 */
static bool read_number(struct json_reader *reader, const struct field *field, bool decided,
                        struct value *value, struct refusal *refusal)
{
    const char *next = reader->next;
    while (next < reader->end && *next != '-' && (*next < '0' || *next > '9')) {
        next++;
    }
    const char *digits = next;
    while (next < reader->end && (*next == '-' || (*next >= '0' && *next <= '9'))) {
        next++;
    }
    bool whole = next == reader->end || (*next != '.' && *next != 'e' && *next != 'E');
    if (!whole || next - digits > 11 || (next - digits == 2 && memcmp(digits, "-0", 2) == 0)) {
        return refuse_next(reader, field, whole ? "range" : "type", refusal);
    }
    if (dk_json_next(reader) != JSON_INTEGER) {
        return false;
    }
    value->kind = VALUE_INT;
    value->integer = reader->integer;
    return check_integer(field, reader->integer, decided, refusal);
}

/* A JSON string for texts, ids and int64 types; the reader has checked its UTF-8. */
static bool read_string(struct json_reader *reader, const struct field *field, bool decided,
                        struct value *value, struct refusal *refusal)
{
    if (dk_json_next(reader) != JSON_STRING) {
        return false;
    }
    switch (field->type) {
    case FIELD_ID:
        value->kind = VALUE_ID;
        return (dk_id_from_wire(reader->text, reader->length, &value->id) &&
                !dk_id_is_zero(&value->id)) ||
               refuse(refusal, REJECT_SCHEMA, field, "id");
    case FIELD_MONEY:
    case FIELD_PRICE:
    case FIELD_QUANTITY:
    case FIELD_TIME:
        value->kind = VALUE_INT;
        if (!dk_text_to_int64(reader->text, reader->length, &value->integer)) {
            return refuse(refusal, REJECT_SCHEMA, field, "type");
        }
        return check_integer(field, value->integer, decided, refusal);
    default:
        value->kind = VALUE_TEXT;
        if (!check_text(field, reader->text, reader->length, decided, refusal)) {
            return false;
        }
        value->length = (uint32_t)reader->length;
        value->text = reader->text;
        return true;
    }
}

/* SET and MAP: the raw text is kept aside and made canonical in the arena. */
static bool read_collection(struct json_reader *reader, const struct field *field,
                            enum collection_form form, struct arena *arena, struct value *value,
                            struct refusal *refusal)
{
    const char *raw;
    size_t length;
    return dk_json_skip(reader, &raw, &length) &&
           dk_collection_read(field, form, raw, length, arena, value, refusal);
}

/* The class of JSON that a type is read from. */
static char wanted_byte(enum field_type type)
{
    switch (type) {
    case FIELD_INT:
    case FIELD_RATE:
    case FIELD_DAY:
    case FIELD_E7: return '0';
    case FIELD_BOOL: return 't';
    case FIELD_SET: return '[';
    case FIELD_MAP: return '{';
    default: return '"';
    }
}

/* See collection.h. The first byte tells the JSON type before anything is consumed, so that a value
 * of a wrong type is passed over whole. */
bool dk_value_read_form(struct json_reader *reader, const struct field *field,
                        enum collection_form form, bool decided, struct arena *arena,
                        struct value *value, struct refusal *refusal)
{
    memset(value, 0, sizeof *value);
    char first = first_byte(reader);
    if (first == 'n') {
        return dk_json_next(reader) == JSON_NULL;
    }
    if (first == ']' || first == '}' || first == '\0') {
        return dk_json_fail(reader, "a value is missing");
    }
    char wanted = wanted_byte(field->type);
    if (wanted == '0' && (first == '-' || (first >= '0' && first <= '9'))) {
        return read_number(reader, field, decided, value, refusal);
    }
    if (wanted == '"' && first == '"') {
        return read_string(reader, field, decided, value, refusal);
    }
    if (wanted == 't' && (first == 't' || first == 'f')) {
        enum json_type type = dk_json_next(reader);
        value->kind = VALUE_INT;
        value->integer = type == JSON_TRUE;
        return type == JSON_TRUE || type == JSON_FALSE;
    }
    if ((wanted == '[' || wanted == '{') && (first == '[' || first == '{')) {
        return read_collection(reader, field, form, arena, value, refusal);
    }
    return refuse_next(reader, field, "type", refusal);
}

bool dk_value_read(struct json_reader *reader, const struct field *field, struct arena *arena,
                   struct value *value, struct refusal *refusal)
{
    return dk_value_read_form(reader, field, COLLECTION_WHOLE, false, arena, value, refusal);
}

bool dk_value_read_decided(struct json_reader *reader, const struct field *field,
                           struct arena *arena, struct value *value, struct refusal *refusal)
{
    return dk_value_read_form(reader, field, COLLECTION_WHOLE, true, arena, value, refusal);
}

/* See the header. */
bool dk_value_read_app(struct json_reader *reader, const struct field *field, struct arena *arena,
                       struct value *value, struct refusal *refusal)
{
    if (field->type != FIELD_ID || first_byte(reader) != '"') {
        return dk_value_read(reader, field, arena, value, refusal);
    }
    *value = (struct value){.kind = VALUE_ID};
    return dk_json_next(reader) == JSON_STRING &&
           ((dk_id_from_text(reader->text, reader->length, &value->id) &&
             !dk_id_is_zero(&value->id)) ||
            refuse(refusal, REJECT_SCHEMA, field, "id"));
}
