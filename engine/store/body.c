/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns how bodies of changesets lie in the file: as text, or, where they are long, as a zstd frame,
 * since most of the outbox of a device that was offline for long is bodies of many records. Called
 * by outbox.c and collect.c. Invariant: what is read is byte for byte what was written; a row's
 * `size` is the text's, so a body whose stored length differs is a frame.
 */
#include "engine/store/inside.h"

#include "engine/base/frame.h"

#define PACK_LEVEL 1 /* of zstd: costs less than writing what it saves */

/* The codec, made at its first use; NULL: no memory. */
static struct frame_codec *codec_of(struct store *store)
{
    if (store->codec == NULL) {
        store->codec = dk_frame_new();
    }
    return store->codec;
}

void dk_body_bind(struct store *store, struct statement *statement, int position,
                  const struct buffer *body)
{
    struct buffer *packed = &store->packed;
    struct frame_codec *codec = body->length > BODY_PLAIN_MAX ? codec_of(store) : NULL;
    dk_buffer_reset(packed);
    if (codec != NULL &&
        dk_frame_compress(codec, body->bytes, body->length, PACK_LEVEL, packed) == DAYBOOK_OK &&
        packed->length < body->length) {
        dk_bind_blob(statement, position, packed->bytes, packed->length);
    } else {
        dk_bind_text(statement, position, body->bytes, body->length);
    }
}

/* The text is the statement's until its next step, or the store's until the next body is read. */
daybook_status dk_body_read(struct store *store, struct statement *statement, int size_column,
                            int body_column, const char **text, size_t *length)
{
    size_t stored;
    size_t size = (size_t)dk_column_int(statement, size_column);
    const char *bytes = dk_column_blob(statement, body_column, &stored);
    *text = bytes;
    *length = stored;
    if (bytes == NULL) {
        return DAYBOOK_CORRUPT;
    }
    if (stored == size) {
        return DAYBOOK_OK;
    }
    struct frame_codec *codec = codec_of(store);
    if (codec == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    dk_buffer_reset(&store->packed);
    daybook_status status = dk_frame_expand(codec, bytes, stored, &store->packed);
    *text = dk_buffer_text(&store->packed);
    *length = store->packed.length;
    if (status == DAYBOOK_NO_MEMORY) {
        return status;
    }
    return status == DAYBOOK_OK && *length == size ? DAYBOOK_OK : DAYBOOK_CORRUPT;
}
