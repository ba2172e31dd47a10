/* SPDX-License-Identifier: Apache-2.0
 *
 * The hashes behind the sums, the same on both sides of the wire; PROTOCOL.md section 8 states
 * them. Called for every row that moves a base. Invariant: the result depends on names and values
 * alone, not on the schema, the byte order or the order of the fields.
 */
#include "engine/protocol/sum.h"

#include "engine/base/memory.h"

#include <string.h>

#define TEXT_START UINT64_C(0xCBF29CE484222325) /* FNV-1a */
#define TEXT_PRIME UINT64_C(0x100000001B3)

/* FNV-1a of a text. */
static uint64_t text_hash(const char *text, size_t length)
{
    uint64_t hash = TEXT_START;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)text[i]) * TEXT_PRIME;
    }
    return hash;
}

/* See the header. The finalizer of SplitMix64. */
uint64_t dk_sum_mix(uint64_t hash, uint64_t number)
{
    hash = (hash ^ number) + UINT64_C(0x9E3779B97F4A7C15);
    hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94D049BB133111EB);
    return hash ^ hash >> 31;
}

/* Eight bytes, big-endian. */
static uint64_t half_of(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* Entity and id. */
static uint64_t key_hash(const char *entity, size_t length, const struct id *id)
{
    uint64_t hash = dk_sum_mix(text_hash(entity, length), half_of(id->bytes));
    return dk_sum_mix(hash, half_of(id->bytes + 8));
}

uint64_t dk_sum_version(const char *entity, size_t length, const struct id *id, int64_t version)
{
    return dk_sum_mix(key_hash(entity, length, id), (uint64_t)version) & SUM_MASK;
}

uint64_t dk_sum_value(const char *entity, size_t entity_length, const struct id *id,
                      const char *field, size_t field_length, const char *json, size_t length)
{
    uint64_t hash = dk_sum_mix(key_hash(entity, entity_length, id), text_hash(field, field_length));
    return dk_sum_mix(hash, text_hash(json, length)) & SUM_MASK;
}

uint64_t dk_sum_bucket(int64_t bucket, uint64_t versions)
{
    return dk_sum_mix((uint64_t)bucket, versions) & SUM_MASK;
}

/* null says the same as no member. The reader writes to what it reads, so it gets a copy. */
daybook_status dk_sum_extra(const char *entity, size_t length, const struct id *id,
                            const struct value *extra, uint64_t *sum)
{
    struct json_reader json;
    enum json_type type;
    if (extra->kind != VALUE_TEXT) {
        return DAYBOOK_OK;
    }
    char *copy = dk_memory_copy_text(extra->text, extra->length);
    if (copy == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_json_open(&json, copy, extra->length);
    json.any_number = true;
    type = dk_json_next(&json) == JSON_OBJECT ? dk_json_key(&json) : JSON_ERROR;
    while (type == JSON_STRING) {
        const char *name = json.text;
        size_t name_length = json.length;
        const char *raw;
        size_t raw_length;
        if (!dk_json_skip(&json, &raw, &raw_length)) {
            type = JSON_ERROR;
            break;
        }
        if (raw_length != 4 || memcmp(raw, "null", 4) != 0) {
            *sum = dk_sum_add(*sum,
                              dk_sum_value(entity, length, id, name, name_length, raw, raw_length));
        }
        type = dk_json_key(&json);
    }
    dk_memory_free(copy);
    return type == JSON_END ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}

daybook_status dk_sum_content(const struct record *record, struct buffer *scratch, uint64_t *sum)
{
    const struct entity *entity = record->entity;
    size_t length = strlen(entity->name);
    for (int i = 0; i < entity->field_count; i++) {
        const struct field *field = &entity->fields[i];
        if (record->values[i].kind == VALUE_NULL || field->policy == POLICY_DERIVED) {
            continue;
        }
        dk_buffer_reset(scratch);
        dk_value_write(scratch, field, &record->values[i]);
        if (scratch->status != DAYBOOK_OK) {
            return scratch->status;
        }
        *sum = dk_sum_add(*sum, dk_sum_value(entity->name, length, &record->id, field->name,
                                             strlen(field->name), scratch->bytes, scratch->length));
    }
    return dk_sum_extra(entity->name, length, &record->id, &record->extra, sum);
}
