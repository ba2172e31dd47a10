/* SPDX-License-Identifier: Apache-2.0
 *
 * The compact form of a record's stamps, as every backend stores it in one column. Few changesets
 * write most records, so the distinct stamps are listed once and each field names one by index:
 *
 *   byte     1                      the form's version
 *   varint   n                      distinct stamps, in the order of their first use
 *   n times  varint position, varint time, varint device number
 *   varint   index                  of the deletion
 *   varint   f                      fields, those without a stamp at the end left out
 *   f times  varint index           of the field
 *   varint   k                      keys
 *   k times  varint length, bytes of the key, varint index
 *   varint   s                      operations of the state register
 *   s times  varint position, varint device number, varint epoch, byte rank, byte peak + 1
 *
 * A varint is little-endian base 128 without needless bytes. Index 0: no stamp; else 1 + place in
 * the list. Fields come before keys, so a field's index is always one byte.
 */
#ifndef DAYBOOK_SERVER_STORE_STAMPS_H
#define DAYBOOK_SERVER_STORE_STAMPS_H

#include "sync-server/store/store.h"

#define STAMPS_KEYS_MAX 10000 /* keys of custom and extra together */

/* Appends the form of record->deletion, stamps (of the entity's fields), key_stamps and state_ops.
 * TOO_LARGE past STAMPS_KEYS_MAX, else the buffer's status. */
daybook_status srv_stamps_write(struct buffer *out, const struct srv_record *record);
/* Sets the same members from `bytes`; fields not mentioned get zero stamps. Keys and their list are
 * put into the arena. CORRUPT on anything that srv_stamps_write does not write for this entity. */
daybook_status srv_stamps_read(const void *bytes, size_t length, struct arena *arena,
                               struct srv_record *record);

#endif
