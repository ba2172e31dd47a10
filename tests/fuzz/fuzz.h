/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets share. A target is a file with LLVMFuzzerTestOneInput: it does with the
 * bytes what the product does with bytes that it cannot trust, and asserts what must hold whatever
 * they are. What one input does may not depend on those before it.
 */
#ifndef DAYBOOK_TESTS_FUZZ_FUZZ_H
#define DAYBOOK_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What of the input is not used yet. */
struct input {
    const uint8_t *bytes;
    size_t size;
};

/* The next byte; 0 at the end. */
static inline unsigned input_byte(struct input *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->bytes++;
}

/* The next two bytes as a number. */
static inline unsigned input_short(struct input *input)
{
    unsigned high = input_byte(input);
    return high << 8 | input_byte(input);
}

/* A copy of bytes to write to, exactly as large, so that a step behind it is seen; free it. */
static inline char *fuzz_copy(const void *bytes, size_t size)
{
    char *copy = calloc(1, size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

#endif
