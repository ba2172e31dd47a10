/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns one compression and one decompression context. Called by both ends for each body. Invariant:
 * what a frame claims is checked against the limits before memory is taken for it: window, content
 * size, and what so many bytes can hold at most.
 */
#include "engine/base/frame.h"

#include "engine/base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define WINDOW_LOG_MAX 20
#define BLOCK_SIZE_MAX ((uint64_t)128 * 1024) /* bytes of content in one block, by the format */
#define BLOCK_HEADER_SIZE 3

struct frame_codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
};

/* What the header of a frame says. */
struct frame_head {
    uint64_t window;       /* bytes */
    uint64_t content_size; /* bytes, or ZSTD_CONTENTSIZE_UNKNOWN */
};

/* See the header. Both contexts are made now, so that later calls cannot fail on them. */
struct frame_codec *dk_frame_new(void)
{
    struct frame_codec *codec = dk_memory_new(1, sizeof *codec);
    if (codec == NULL) {
        return NULL;
    }
    codec->compress = ZSTD_createCCtx();
    codec->expand = ZSTD_createDCtx();
    if (codec->compress == NULL || codec->expand == NULL) {
        dk_frame_free(codec);
        return NULL;
    }
    return codec;
}

/* NULL is fine. */
void dk_frame_free(struct frame_codec *codec)
{
    if (codec == NULL) {
        return;
    }
    (void)ZSTD_freeCCtx(codec->compress);
    (void)ZSTD_freeDCtx(codec->expand);
    dk_memory_free(codec);
}

/* Sets the parameters of the next frame; false only where this zstd refuses them. */
static bool set_parameters(ZSTD_CCtx *context, int level)
{
    static const struct {
        ZSTD_cParameter name;
        int value;
    } fixed[] = {
        {ZSTD_c_windowLog, WINDOW_LOG_MAX},
        {ZSTD_c_contentSizeFlag, 1},
        {ZSTD_c_checksumFlag, 1},
    };
    if (ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level))) {
        return false;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (ZSTD_isError(ZSTD_CCtx_setParameter(context, fixed[i].name, fixed[i].value))) {
            return false;
        }
    }
    return true;
}

/* Level 1..3. Offers the room that zstd may need at worst, or what is left up to size_max: then
 * TOO_LARGE means that the frame itself does not fit. On failure the content of `out` is unchanged
 * and its status set. */
daybook_status dk_frame_compress(struct frame_codec *codec, const void *bytes, size_t length,
                                 int level, struct buffer *out)
{
    assert(level >= 1 && level <= 3);
    if (out->status != DAYBOOK_OK) {
        return out->status;
    }
    if (!set_parameters(codec->compress, level)) {
        return DAYBOOK_INTERNAL;
    }
    size_t room_size = ZSTD_compressBound(length);
    if (ZSTD_isError(room_size) || room_size > out->size_max - out->length) {
        room_size = out->size_max - out->length;
    }
    char *room = dk_buffer_reserve(out, room_size);
    if (room == NULL) {
        return out->status;
    }
    size_t size = ZSTD_compress2(codec->compress, room, room_size, bytes, length);
    if (!ZSTD_isError(size)) {
        dk_buffer_advance(out, size);
        return DAYBOOK_OK;
    }
    switch (ZSTD_getErrorCode(size)) {
    case ZSTD_error_dstSize_tooSmall: out->status = DAYBOOK_TOO_LARGE; break;
    case ZSTD_error_memory_allocation: out->status = DAYBOOK_NO_MEMORY; break;
    default: out->status = DAYBOOK_INTERNAL; break;
    }
    return out->status;
}

/* Reads the start of a frame by RFC 8878 section 3.1.1.1: magic 28 B5 2F FD; a descriptor (bits 6
 * and 7 or bit 5: the content size is stated; bit 5: no window byte, the window is the content);
 * the window byte (5 bits exponent, 3 bits mantissa); the rest by zstd. False: no frame. */
static bool read_head(const uint8_t *bytes, size_t length, struct frame_head *head)
{
    static const uint8_t magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    if (length < 6 || memcmp(bytes, magic, sizeof magic) != 0) {
        return false;
    }
    unsigned long long size = ZSTD_getFrameContentSize(bytes, length);
    bool stated = (bytes[4] & 0xE0) != 0;
    if (size == ZSTD_CONTENTSIZE_ERROR || (stated && size == ZSTD_CONTENTSIZE_UNKNOWN)) {
        return false; /* 2^64 - 1 stated reads like unknown */
    }
    head->content_size = size;
    if ((bytes[4] & 0x20) != 0) {
        head->window = size;
    } else {
        uint64_t base = UINT64_C(1) << (10 + (bytes[5] >> 3));
        head->window = base + base / 8 * (bytes[5] & 7U);
    }
    return true;
}

/* Maps zstd's error: memory is ours, everything else is the sender's. */
static daybook_status expand_status(size_t result)
{
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? DAYBOOK_NO_MEMORY
                                                                     : DAYBOOK_BAD_REPLY;
}

/* A frame of stated size, which is known to fit: one call into room of just that size. */
static daybook_status expand_known(ZSTD_DCtx *context, const void *bytes, size_t length,
                                   size_t size, struct buffer *out)
{
    char *room = dk_buffer_reserve(out, size);
    if (room == NULL) {
        return out->status;
    }
    size_t written = ZSTD_decompressDCtx(context, room, size, bytes, length);
    if (ZSTD_isError(written)) {
        return expand_status(written);
    }
    if (written != size) {
        return DAYBOOK_BAD_REPLY;
    }
    dk_buffer_advance(out, size);
    return DAYBOOK_OK;
}

/* A frame that does not say its size: block by block, as long as there is room and progress. A full
 * buffer is still offered once more with no room, since the end of the frame needs none. */
static daybook_status expand_unknown(ZSTD_DCtx *context, const void *bytes, size_t length,
                                     struct buffer *out)
{
    ZSTD_inBuffer in = {bytes, length, 0};
    for (;;) {
        size_t room_size = out->size_max - out->length;
        room_size = room_size < BLOCK_SIZE_MAX ? room_size : (size_t)BLOCK_SIZE_MAX;
        char *room = dk_buffer_reserve(out, room_size);
        if (room == NULL) {
            return out->status;
        }
        ZSTD_outBuffer block = {room, room_size, 0};
        size_t before = in.pos;
        size_t result = ZSTD_decompressStream(context, &block, &in);
        if (ZSTD_isError(result)) {
            return expand_status(result);
        }
        dk_buffer_advance(out, block.pos);
        if (result == 0) {
            return in.pos == length ? DAYBOOK_OK : DAYBOOK_BAD_REPLY;
        }
        if (in.pos == before && block.pos == 0) {
            return room_size == 0 && in.pos < length ? DAYBOOK_TOO_LARGE : DAYBOOK_BAD_REPLY;
        }
    }
}

/* Checks the frame's own length first (it walks the block headers only), which finds truncation and
 * trailing bytes. */
daybook_status dk_frame_expand(struct frame_codec *codec, const void *bytes, size_t length,
                               struct buffer *out)
{
    struct frame_head head;
    if (out->status != DAYBOOK_OK) {
        return out->status;
    }
    if (!read_head(bytes, length, &head) || ZSTD_findFrameCompressedSize(bytes, length) != length) {
        return DAYBOOK_BAD_REPLY;
    }
    if (head.window > UINT64_C(1) << WINDOW_LOG_MAX) {
        return DAYBOOK_BAD_REPLY;
    }
    ZSTD_DCtx *context = codec->expand;
    if (ZSTD_isError(ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        return DAYBOOK_INTERNAL;
    }
    if (head.content_size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return expand_unknown(context, bytes, length, out);
    }
    if (head.content_size > out->size_max - out->length) {
        return DAYBOOK_TOO_LARGE;
    }
    if (head.content_size > length / BLOCK_HEADER_SIZE * BLOCK_SIZE_MAX) {
        return DAYBOOK_BAD_REPLY; /* more than so many blocks can hold */
    }
    return expand_known(context, bytes, length, (size_t)head.content_size, out);
}
