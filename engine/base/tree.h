/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees for the slow paths (records given as JSON, settings, admin commands): cJSON behind the
 * strict gate. The only header that includes cJSON.h.
 */
#ifndef DAYBOOK_BASE_TREE_H
#define DAYBOOK_BASE_TREE_H

#include <daybook/status.h>

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checks strictly (dk_json_check with depth 32 and 100,000 nodes), then parses. BAD_JSON with
 * problem and offset set, TOO_LARGE past size_max, or NO_MEMORY. The tree is the caller's:
 * cJSON_Delete. */
daybook_status dk_tree_parse(const char *bytes, size_t length, size_t size_max, cJSON **tree,
                             const char **problem, size_t *offset);
/* The integer of a number node that is whole and within +-(2^53 - 1), else false. */
bool dk_tree_integer(const cJSON *node, int64_t *number);
/* Member by exact (case-sensitive) name, or NULL. */
cJSON *dk_tree_member(const cJSON *object, const char *name);
/* The text of a string member, or NULL. */
const char *dk_tree_text(const cJSON *object, const char *name);

#endif
