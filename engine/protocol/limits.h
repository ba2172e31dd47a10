/* SPDX-License-Identifier: Apache-2.0
 *
 * Every bound of the contract, once, for both ends. PROTOCOL.md section "Limits" states the same
 * numbers; a test compares.
 */
#ifndef DAYBOOK_PROTOCOL_LIMITS_H
#define DAYBOOK_PROTOCOL_LIMITS_H

#include <stdint.h>

#define PROTOCOL_VERSION 1
#define SCHEMA_VERSION 1      /* of the entity table; grows by one with each change to it */
#define SCHEMA_ANY 2147483647 /* above all: of a copy with fields that its author does not know */

#define LIMIT_REQUEST_BYTES (4 * 1024 * 1024)     /* compressed body, either direction up */
#define LIMIT_REQUEST_EXPANDED (16 * 1024 * 1024) /* JSON of a request */
#define LIMIT_REPLY_BYTES (8 * 1024 * 1024)       /* compressed body down */
#define LIMIT_REPLY_EXPANDED (24 * 1024 * 1024)   /* JSON of a reply */
#define LIMIT_PAGE_BYTES (1024 * 1024) /* default log page, JSON; a changeset is never split */
#define LIMIT_CHANGESET_BYTES (4 * 1024 * 1024) /* JSON of one changeset */
#define LIMIT_CHANGESET_CHANGES 10000           /* records in one changeset */
#define LIMIT_CHANGESETS 2000                   /* changesets in one request */
#define LIMIT_FIELDS 60                         /* fields of one entity, common ones included */
#define LIMIT_TEXT_BYTES (256 * 1024)           /* any one text value */
#define LIMIT_CUSTOM_KEYS 100                   /* keys of a custom map */
#define LIMIT_CUSTOM_KEY_BYTES 64
#define LIMIT_CUSTOM_BYTES (16 * 1024) /* a custom map as JSON */
#define LIMIT_SET_ELEMENTS 200
#define LIMIT_SET_ELEMENT_BYTES 200
#define LIMIT_CHILDREN 500            /* lines of one document */
#define LIMIT_REDIRECTS 8             /* steps from a record to the one that it has become */
#define LIMIT_NUMBER 9007199254740991 /* 2^53 - 1: positions, seq, JSON numbers */
#define LIMIT_EPOCH INT64_MAX         /* epochs are 1 to this */
#define LIMIT_LABEL_BYTES 200         /* names in envelopes: entity, code, rule, token */
#define LIMIT_BUCKETS 20000           /* buckets in one scope */
#define LIMIT_QUARANTINED 10000       /* changesets of one user that wait in the quarantine */
#define LIMIT_QUARANTINE_BYTES (64 * 1024 * 1024) /* JSON of those */

#endif
