/* SPDX-License-Identifier: Apache-2.0
 *
 * See folder.h.
 */
#include "tests/support/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM_BYTES ((uint64_t)1 << 30) /* several tests run at a time */

/* Whether files may be made there, and many. */
static bool has_room(const char *folder)
{
    struct statvfs there;
    return access(folder, W_OK) == 0 && statvfs(folder, &there) == 0 &&
           (uint64_t)there.f_bavail * there.f_frsize >= ROOM_BYTES;
}

void folder_make(char *path, size_t size, const char *name)
{
    static const char memory[] = "/dev/shm";
    const char *base = getenv("TMPDIR");
    if (base == NULL) {
        base = has_room(memory) ? memory : "/tmp";
    }
    int length = snprintf(path, size, "%s/%s.XXXXXX", base, name);
    assert_in_range(length, 1, size - 1);
    assert_non_null(mkdtemp(path));
}
