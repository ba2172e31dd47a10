/* SPDX-License-Identifier: Apache-2.0
 *
 * zstd frames as the wire uses them: level 1 to 3, window at most 2^20 bytes, one frame. Reading is
 * bounded in output size and in memory (ZSTD_d_windowLogMax = 20), so that no frame, however
 * crafted, costs more than its limit. The only user of zstd.h.
 */
#ifndef DAYBOOK_BASE_FRAME_H
#define DAYBOOK_BASE_FRAME_H

#include "engine/base/buffer.h"

struct frame_codec; /* a compression and a decompression context, reused; one thread at a time */

struct frame_codec *dk_frame_new(void); /* NULL: no memory */
void dk_frame_free(struct frame_codec *codec);
/* Appends one frame with content size and checksum to `out`. */
daybook_status dk_frame_compress(struct frame_codec *codec, const void *bytes, size_t length,
                                 int level, struct buffer *out);
/* Appends the content of exactly one frame. BAD_REPLY: truncated, corrupt, trailing bytes, window
 * too large. TOO_LARGE: content would pass out->size_max. `out` is unspecified on failure. */
daybook_status dk_frame_expand(struct frame_codec *codec, const void *bytes, size_t length,
                               struct buffer *out);

#endif
