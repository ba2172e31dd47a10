/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a compressed frame, and as what a frame is made of. No frame gives more than the bound;
 * what comes out of one, and whatever goes in, survives being compressed. That no frame takes much
 * memory is libFuzzer's to see (-malloc_limit_mb).
 */
#include "tests/fuzz/fuzz.h"

#include "engine/base/frame.h"

#include <assert.h>

#define CONTENT_MAX ((size_t)1 << 20)

/* Compresses and expands again. */
static void make_round(struct frame_codec *codec, const void *bytes, size_t size, int level)
{
    struct buffer frame, content;
    dk_buffer_init(&frame, 2 * CONTENT_MAX);
    dk_buffer_init(&content, size);
    assert(dk_frame_compress(codec, bytes, size, level, &frame) == DAYBOOK_OK);
    assert(dk_frame_expand(codec, frame.bytes, frame.length, &content) == DAYBOOK_OK);
    assert(content.length == size && (size == 0 || memcmp(content.bytes, bytes, size) == 0));
    dk_buffer_clear(&content);
    dk_buffer_clear(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct frame_codec *codec;
    static const size_t bounds[] = {0, 1, 1000, 70000, CONTENT_MAX};
    struct input input = {bytes, size};
    struct buffer content;
    unsigned choice = input_byte(&input);
    if (codec == NULL) {
        codec = dk_frame_new();
        assert(codec != NULL);
    }
    dk_buffer_init(&content, bounds[choice % 5]);
    daybook_status status = dk_frame_expand(codec, input.bytes, input.size, &content);
    assert(content.length <= content.size_max);
    if (status == DAYBOOK_OK) {
        make_round(codec, content.bytes, content.length, 1 + (int)(choice % 3));
    } else {
        assert(status == DAYBOOK_BAD_REPLY || status == DAYBOOK_TOO_LARGE);
    }
    dk_buffer_clear(&content);
    if (choice >= 128) {
        make_round(codec, input.bytes, input.size, 1 + (int)(choice % 3));
    }
    return 0;
}
