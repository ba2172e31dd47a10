/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums by which two replicas of a bucket tell whether they are the same without sending it: of the
 * versions of its records, and of their contents. A sum is a sum, modulo 2^62, of the hashes of
 * what it covers; so it needs no order, and is kept up by adding what comes and subtracting what
 * goes. It finds mistakes, not forgeries.
 */
#ifndef DAYBOOK_PROTOCOL_SUM_H
#define DAYBOOK_PROTOCOL_SUM_H

#include "engine/protocol/value.h"

#define SUM_MASK ((UINT64_C(1) << 62) - 1) /* sums are below 2^62: they fit a signed column */

/* One step of a hash: every bit of both numbers reaches every bit of the result. */
uint64_t dk_sum_mix(uint64_t hash, uint64_t number);
/* A record of this entity, which the program need not know, in a version sum. */
uint64_t dk_sum_version(const char *entity, size_t length, const struct id *id, int64_t version);
/* One field's value, as the wire's JSON, in a content sum. */
uint64_t dk_sum_value(const char *entity, size_t entity_length, const struct id *id,
                      const char *field, size_t field_length, const char *json, size_t length);
/* All values of a record in a content sum: those that are not NULL and not DERIVED, and those of
 * newer schemas. `scratch` is written to. */
daybook_status dk_sum_content(const struct record *record, struct buffer *scratch, uint64_t *sum);
/* The values of a record whose entity is not known, {"name":value}, in a content sum. */
daybook_status dk_sum_extra(const char *entity, size_t length, const struct id *id,
                            const struct value *extra, uint64_t *sum);
/* A bucket with its version sum, in the sum of a scope. */
uint64_t dk_sum_bucket(int64_t bucket, uint64_t versions);

static inline uint64_t dk_sum_add(uint64_t sum, uint64_t term)
{
    return (sum + term) & SUM_MASK;
}

static inline uint64_t dk_sum_subtract(uint64_t sum, uint64_t term)
{
    return (sum - term) & SUM_MASK;
}

#endif
