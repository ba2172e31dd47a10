/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of documents, for people and paper: SO-0002K-000123 is the sales order 123 of device
 * number 83. A device number is never given to another device or file, so a number that a device
 * makes without asking anybody is unique in the organisation. Gaps are normal.
 */
#ifndef DAYBOOK_SALES_NUMBER_H
#define DAYBOOK_SALES_NUMBER_H

#include "engine/protocol/value.h"

#define NUMBER_SIZE 33 /* bytes, NUL included: doc_no takes 32 */

/* The field that holds the number of a record of this entity, or -1: it has none. */
int dk_number_field(int entity);
/* Writes the number of this kind of document; the device number in Crockford's base 32, five digits
 * or more, the counter in decimals, six or more. Returns the length. The entity has numbers. */
size_t dk_number_write(int entity, uint32_t device_no, int64_t counter, char out[NUMBER_SIZE]);
/* Whether the text is a number as dk_number_write makes them for this kind of document; then also
 * for which device. */
bool dk_number_is_ours(int entity, const char *text, size_t length, uint32_t *device_no);
/* Another number out of one of ours that is taken: with the number of the device that came second
 * behind it. Returns the length; 0: it would not fit. */
size_t dk_number_again(const char *text, size_t length, uint32_t device_no, char out[NUMBER_SIZE]);
/* Whether two documents that have the same number must not be: revisions of a quote share one. */
bool dk_number_clashes(const struct record *a, const struct record *b);

#endif
