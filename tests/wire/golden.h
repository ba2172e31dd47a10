/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden files: what the encoder must produce byte for byte and the decoder must read, for all
 * time. A file is one JSON text and a newline. DAYBOOK_GOLDEN_WRITE=1 in the environment writes
 * files that are missing; one that is there is never overwritten, because old clients go on sending
 * it.
 */
#ifndef DAYBOOK_TESTS_WIRE_GOLDEN_H
#define DAYBOOK_TESTS_WIRE_GOLDEN_H

#include "engine/base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN_SIZE_MAX ((size_t)1 << 20)

/* The whole file relative to the source folder; false where it is not there. */
static inline bool golden_read(const char *path, struct buffer *out)
{
    char full[1024];
    char piece[4096];
    size_t count;
    int length = snprintf(full, sizeof full, "%s/%s", DAYBOOK_SOURCE_DIR, path);
    assert_true(length > 0 && (size_t)length < sizeof full);
    FILE *file = fopen(full, "rb");
    if (file == NULL) {
        return false;
    }
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) {
        dk_buffer_append(out, piece, count);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(out->status, DAYBOOK_OK);
    return true;
}

/* Writes a golden file that is not there yet. */
static inline void golden_write(const char *path, const char *text, size_t length)
{
    char full[1024];
    int size = snprintf(full, sizeof full, "%s/%s", DAYBOOK_SOURCE_DIR, path);
    assert_true(size > 0 && (size_t)size < sizeof full);
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fputc('\n', file), '\n');
    assert_int_equal(fclose(file), 0);
}

/* The file's text without its newline. */
static inline void golden_load(const char *name, struct buffer *out)
{
    char path[256];
    assert_true(snprintf(path, sizeof path, "tests/wire/%s.json", name) > 0);
    if (!golden_read(path, out)) {
        fail_msg("%s is missing; DAYBOOK_GOLDEN_WRITE=1 writes it", path);
    }
    assert_true(out->length > 0 && out->bytes[out->length - 1] == '\n');
    out->length--;
}

/* The text equals the file. */
static inline void golden_compare(const char *name, struct buffer *text)
{
    struct buffer file;
    char path[256];
    assert_int_equal(text->status, DAYBOOK_OK);
    dk_buffer_init(&file, GOLDEN_SIZE_MAX);
    assert_true(snprintf(path, sizeof path, "tests/wire/%s.json", name) > 0);
    if (getenv("DAYBOOK_GOLDEN_WRITE") != NULL && !golden_read(path, &file)) {
        golden_write(path, text->bytes, text->length);
    }
    dk_buffer_reset(&file);
    golden_load(name, &file);
    assert_string_equal(dk_buffer_text(text), dk_buffer_text(&file));
    dk_buffer_clear(&file);
}

#endif
