/* SPDX-License-Identifier: Apache-2.0
 *
 * For json_differ.py: says of each text on standard input (its length in decimal, a newline, its
 * bytes) what the gate thinks of it: a line "no", the reason and the offset, or "yes", the length
 * of the text as the reader understands it, and behind the newline that text.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/base/memory.h"
#include "tests/fuzz/json_rewrite.h"

#include <assert.h>
#include <stdio.h>

#define TEXT_MAX ((size_t)1 << 24)
#define NODES_MAX 100000

static void tell(char *bytes, size_t size)
{
    const char *problem;
    size_t offset;
    if (!dk_json_check(bytes, size, JSON_DEPTH_MAX, NODES_MAX, &problem, &offset)) {
        (void)printf("no %zu %s\n", offset, problem);
        return;
    }
    struct buffer out;
    dk_buffer_init(&out, TEXT_MAX);
    bool read = json_rewrite(bytes, size, &out);
    assert(read && out.status == DAYBOOK_OK);
    (void)printf("yes %zu\n", out.length);
    (void)fwrite(out.bytes, 1, out.length, stdout);
    dk_buffer_clear(&out);
}

int main(void)
{
    size_t size;
    while (scanf("%zu", &size) == 1 && size < TEXT_MAX && getchar() == '\n') {
        char *bytes = malloc(size);
        if (bytes == NULL || fread(bytes, 1, size, stdin) != size) {
            return 1;
        }
        tell(bytes, size);
        free(bytes);
    }
    return 0;
}
