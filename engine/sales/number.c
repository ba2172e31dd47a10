/* SPDX-License-Identifier: Apache-2.0
 *
 * The form of document numbers and the table of documents that have one. Called by the device's
 * commit, which counts, and by the decision, which lets no number stand twice. Invariant: two
 * different (entity, device number, counter) never have the same text.
 */
#include "engine/sales/number.h"

#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define DEVICE_DIGITS 5     /* at least */
#define DEVICE_DIGITS_MAX 7 /* 32 bits */
#define COUNTER_DIGITS 6    /* at least */

static const struct {
    const char *prefix;
    int field;
} kinds[ENTITY_COUNT] = {
    [ENTITY_OPPORTUNITY] = {"OP", OPPORTUNITY_DOC_NO},
    [ENTITY_VISIT] = {"VI", VISIT_DOC_NO},
    [ENTITY_QUOTE] = {"QU", QUOTE_DOC_NO},
    [ENTITY_SALES_ORDER] = {"SO", SALES_ORDER_DOC_NO},
};

int dk_number_field(int entity)
{
    return kinds[entity].prefix == NULL ? -1 : kinds[entity].field;
}

static const char base32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's */

/* The device number in base 32, into the end of `device`; returns its first digit. */
static const char *write_device(uint32_t device_no, char device[DEVICE_DIGITS_MAX + 1])
{
    int first = DEVICE_DIGITS_MAX;
    device[first] = '\0';
    while (device_no != 0 || first > DEVICE_DIGITS_MAX - DEVICE_DIGITS) {
        device[--first] = base32[device_no & 31];
        device_no >>= 5;
    }
    return device + first;
}

size_t dk_number_write(int entity, uint32_t device_no, int64_t counter, char out[NUMBER_SIZE])
{
    char device[DEVICE_DIGITS_MAX + 1], digits[COUNTER_DIGITS + 21] = "00000";
    size_t zeros = COUNTER_DIGITS - 1, length = 0;
    assert(kinds[entity].prefix != NULL && counter > 0 && counter <= LIMIT_NUMBER);
    size_t count = dk_text_from_int64(counter, digits + zeros);
    const char *const parts[] = {kinds[entity].prefix, "-", write_device(device_no, device), "-",
                                 digits + (count - 1 < zeros ? count - 1 : zeros)};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t size = strlen(parts[i]);
        assert(length + size < NUMBER_SIZE);
        memcpy(out + length, parts[i], size + 1);
        length += size;
    }
    return length;
}

/* How many characters from `text` on are digits, or capital letters too. */
static size_t run_of(const char *text, size_t length, bool letters)
{
    size_t count = 0;
    while (count < length && ((text[count] >= '0' && text[count] <= '9') ||
                              (letters && text[count] >= 'A' && text[count] <= 'Z'))) {
        count++;
    }
    return count;
}

/* The device number in these characters. False: they are not as write_device makes them. */
static bool read_device(const char *text, size_t length, uint32_t *device_no)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(base32, text[i]);
        if (digit == NULL) {
            return false;
        }
        number = number << 5 | (uint64_t)(digit - base32);
    }
    *device_no = (uint32_t)number;
    return number <= UINT32_MAX && (length == DEVICE_DIGITS || text[0] != '0');
}

bool dk_number_is_ours(int entity, const char *text, size_t length, uint32_t *device_no)
{
    const char *prefix = kinds[entity].prefix;
    size_t at = prefix == NULL ? length : strlen(prefix);
    if (at >= length || memcmp(text, prefix, at) != 0 || text[at++] != '-') {
        return false;
    }
    size_t device = run_of(text + at, length - at, true);
    if (device < DEVICE_DIGITS || device > DEVICE_DIGITS_MAX ||
        !read_device(text + at, device, device_no)) {
        return false;
    }
    at += device;
    if (at >= length || text[at++] != '-') {
        return false;
    }
    size_t counter = run_of(text + at, length - at, false);
    return counter >= COUNTER_DIGITS && at + counter == length;
}

size_t dk_number_again(const char *text, size_t length, uint32_t device_no, char out[NUMBER_SIZE])
{
    char device[DEVICE_DIGITS_MAX + 1];
    return dk_text_format(out, NUMBER_SIZE, "%.*s-%s", (int)length, text,
                          write_device(device_no, device))
               ? strlen(out)
               : 0;
}

/* The revision of a quote, which is 1 before the rules have filled it in. */
static int64_t revision(const struct record *quote)
{
    const struct value *rev = &quote->values[QUOTE_REV];
    return rev->kind == VALUE_INT ? rev->integer : 1;
}

bool dk_number_clashes(const struct record *a, const struct record *b)
{
    if (a->entity != b->entity || dk_id_compare(&a->id, &b->id) == 0) {
        return false;
    }
    return a->entity->kind != ENTITY_QUOTE || revision(a) == revision(b);
}
