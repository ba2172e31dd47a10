/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns nothing: trees belong to the caller. Called where an app or operator hands over JSON.
 * Invariant: cJSON sees only what the strict gate has passed, so what it would misread (NUL,
 * duplicate keys, trailing bytes) never reaches it.
 */
#include "engine/base/tree.h"

#include "engine/base/json.h"

#include <math.h>
#include <string.h>

#define NODES_MAX 100000
#define INTEGER_MAX 9007199254740991.0 /* 2^53 - 1 */

/* Size, gate, cJSON, in this order. *tree is NULL on failure. After the gate cJSON can fail for
 * want of memory only. */
daybook_status dk_tree_parse(const char *bytes, size_t length, size_t size_max, cJSON **tree,
                             const char **problem, size_t *offset)
{
    *tree = NULL;
    *problem = NULL;
    *offset = 0;
    if (length > size_max) {
        *problem = "the text is too long";
        *offset = size_max;
        return DAYBOOK_TOO_LARGE;
    }
    if (!dk_json_check(bytes, length, JSON_DEPTH_MAX, NODES_MAX, problem, offset)) {
        return *problem == dk_json_no_memory ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_JSON;
    }
    *tree = cJSON_ParseWithLength(bytes, length);
    if (*tree == NULL) {
        *problem = dk_json_no_memory;
        return DAYBOOK_NO_MEMORY;
    }
    return DAYBOOK_OK;
}

/* 1.0 and 1e2 are whole. The node is a double, so a fraction too small for one is not seen. */
bool dk_tree_integer(const cJSON *node, int64_t *number)
{
    if (!cJSON_IsNumber(node)) {
        return false;
    }
    double value = node->valuedouble;
    if (!(value >= -INTEGER_MAX && value <= INTEGER_MAX) || trunc(value) != value) {
        return false;
    }
    *number = (int64_t)value;
    return true;
}

/* Borrowed from the object; NULL also where `object` is none. */
cJSON *dk_tree_member(const cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

/* Borrowed from the object; NULL also where the member is no string. */
const char *dk_tree_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(dk_tree_member(object, name));
}
