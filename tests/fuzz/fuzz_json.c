/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as JSON. The gate (dk_json_check), the pull reader and the reader's skipping agree on what
 * is JSON, up to what each says it leaves to others; what passed the gate cJSON takes; what is read
 * is the same when it has been written and is read again. json_differ.py compares with Python.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/base/json.h"
#include "engine/base/tree.h"
#include "tests/fuzz/json_rewrite.h"

#include <assert.h>

#define NODES_MAX 100000

/* Whether the whole text is one value to the reader when it skips it. */
static bool is_skipped(const uint8_t *bytes, size_t size)
{
    struct json_reader reader;
    char *copy = fuzz_copy(bytes, size);
    dk_json_open(&reader, copy, size);
    reader.any_number = true;
    bool whole = dk_json_skip(&reader, NULL, NULL) && dk_json_finish(&reader);
    assert(size == 0 || memcmp(copy, bytes, size) == 0);
    free(copy);
    return whole;
}

/* What only the gate refuses. */
static bool is_stricter(const char *problem)
{
    return strcmp(problem, "a key that its object has already") == 0 ||
           strcmp(problem, "a number of more than 63 characters") == 0 ||
           strcmp(problem, "too many values") == 0;
}

/* cJSON takes what the gate lets through, and nothing else. */
static void check_tree(const char *bytes, size_t size, bool gate)
{
    cJSON *tree = NULL;
    const char *problem;
    size_t offset;
    daybook_status status = dk_tree_parse(bytes, size, SIZE_MAX, &tree, &problem, &offset);
    assert(status == (gate ? DAYBOOK_OK : DAYBOOK_BAD_JSON));
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *problem;
    size_t offset;
    struct buffer once, twice;
    dk_buffer_init(&once, 8 * size + 64);
    dk_buffer_init(&twice, 8 * size + 64);
    char *copy = fuzz_copy(bytes, size);
    bool gate = dk_json_check(copy, size, JSON_DEPTH_MAX, NODES_MAX, &problem, &offset);
    assert(size == 0 || memcmp(copy, bytes, size) == 0);
    assert(gate == (problem == NULL) && offset <= size && (!gate || offset == size));
    check_tree(copy, size, gate);
    bool read = json_rewrite(copy, size, &once);
    assert(read == is_skipped(bytes, size));
    assert(gate ? read : !read || is_stricter(problem));
    if (read) {
        char *again = fuzz_copy(once.bytes, once.length);
        assert(json_rewrite(again, once.length, &twice));
        assert(once.status == DAYBOOK_OK && twice.status == DAYBOOK_OK);
        assert(once.length == twice.length && memcmp(once.bytes, twice.bytes, once.length) == 0);
        free(again);
    }
    free(copy);
    dk_buffer_clear(&once);
    dk_buffer_clear(&twice);
    return 0;
}
