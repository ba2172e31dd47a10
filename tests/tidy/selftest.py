#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that each rule of tidy.py can fail: each bad snippet breaks its rule only, each good one
none."""
import sys

import tidy

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SHELL = "# SPDX-License-Identifier: Apache-2.0\n"
FUNCTION = "/* Does it. */\nint dk_x(void)\n{\n%s}\n"

# rule, path, text
BAD = [
    ("line-length", "engine/base/x.c", HEAD + "/* " + "x" * 95 + " */\n"),
    ("line-length", "cmake/x.cmake", "# SPDX-License-Identifier: Apache-2.0\n" + "#" * 101 + "\n"),
    ("function-length", "engine/base/x.c", HEAD + FUNCTION % ("    dk_y();\n" * 68)),
    ("file-length", "engine/base/x.h", HEAD + "\n" * 600),
    ("layers", "engine/base/x.c", HEAD + '#include "engine/protocol/limits.h"\n'),
    ("layers", "engine/protocol/x.c", HEAD + '#include "engine/sales/money.h"\n'),
    ("layers", "engine/sales/x.h", HEAD + '#include "engine/store/store.h"\n'),
    ("layers", "engine/store/x.c", HEAD + '#include "engine/sync/syncer.h"\n'),
    ("layers", "engine/sync/x.c", HEAD + '#include "engine/api/engine.h"\n'),
    ("layers", "engine/api/x.c", HEAD + '#include "sync-server/service.h"\n'),
    ("layers", "engine/api/x.c", HEAD + '#include "platform/posix/system.h"\n'),
    ("layers", "engine/store/x.c", HEAD + "#include <daybook/daybook.h>\n"),
    ("layers", "platform/curl/x.c", HEAD + '#include "engine/base/buffer.h"\n'),
    ("layers", "platform/curl/x.c", HEAD + "#include <daybook/daybook.h>\n"),
    ("layers", "sync-server/x.c", HEAD + '#include "engine/store/store.h"\n'),
    ("layers", "sync-server/http/x.c", HEAD + '#include "engine/sync/syncer.h"\n'),
    ("layers", "examples/x.c", HEAD + '#include "engine/base/buffer.h"\n'),
    ("layers", "engine/base/x.c", HEAD + '#include "buffer.h"\n'),
    ("layers", "engine/include/daybook/x.h", HEAD + '#include "engine/base/buffer.h"\n'),
    ("libraries", "engine/store/x.c", HEAD + "#include <sqlite3.h>\n"),
    ("libraries", "engine/base/text.c", HEAD + "#include <cjson/cJSON.h>\n"),
    ("libraries", "engine/sync/x.c", HEAD + "#include <zstd.h>\n"),
    ("libraries", "engine/sync/x.c", HEAD + "#include <curl/curl.h>\n"),
    ("libraries", "engine/base/id.c", HEAD + "#include <openssl/rand.h>\n"),
    ("libraries", "sync-server/decide/x.c", HEAD + "#include <event2/event.h>\n"),
    ("libraries", "engine/base/id.c", HEAD + "#include <cmocka.h>\n"),
    ("banned-calls", "tests/unit/x.c", HEAD + FUNCTION % "    strcpy(a, b);\n"),
    ("banned-calls", "platform/posix/x.c", HEAD + FUNCTION % "    return atoi (text);\n"),
    ("banned-calls", "engine/store/x.c", HEAD + FUNCTION % "    free(block);\n"),
    ("banned-calls", "engine/sync/x.c", HEAD + FUNCTION % "    return (int)time(NULL);\n"),
    ("licence", "engine/base/x.c", "/* No licence. */\n"),
    ("licence", "tests/x.sh", "#!/bin/sh\nexit 0\n"),
    ("blanks", "engine/base/x.c", HEAD + "\tint x(void);\n"),
    ("blanks", "engine/base/x.c", HEAD + "int x(void); \n"),
    ("blanks", "engine/base/x.c", HEAD + "int x(void);"),
    ("statics", "engine/base/x.c", HEAD + "static int count;\n"),
    ("statics", "engine/base/x.c", HEAD + "static int count = 0;\n"),
    ("statics", "engine/base/x.c", HEAD + "int count = 7;\n"),
    ("statics", "engine/base/x.c", HEAD + 'static const char *names[] = {"a", "b"};\n'),
    ("statics", "engine/base/x.c", HEAD + "static struct pool pool;\n"),
    ("statics", "sync-server/x.c", HEAD + "static _Thread_local char text[80];\n"),
    ("statics", "engine/base/x.c", HEAD + FUNCTION % "    static int n;\n    return n++;\n"),
    ("machine-paths", "tests/x.sh", SHELL + "cd /home/somebody/daybook\n"),
    ("machine-paths", "tests/unit/x.c", HEAD + 'const char *const path = "/tmp/x";\n'),
    ("comments", "engine/base/x.c", HEAD + "\nstatic int x(void)\n{\n    return 0;\n}\n"),
    ("comments", "sync-server/x.c", HEAD + "\nstatic void\nx(void)\n{\n    y();\n}\n"),
]

GOOD = [
    ("engine/base/x.c", HEAD + FUNCTION % ("    dk_y();\n" * 67)),
    ("engine/base/x.c", HEAD + "/* " + "x" * 94 + " */\n"),
    ("engine/base/database.h", HEAD + '#include "engine/base/id.h"\n\n'
     "#include <daybook/status.h>\n\n"
     "#include <sqlite3.h>\n\n#include <stdbool.h>\n"),
    ("engine/base/memory.c", HEAD + FUNCTION % "    free(block);\n"),
    ("engine/base/x.c",
     HEAD + FUNCTION % '    log("strcpy(");\n    hooks->time(x); /* time() */\n'),
    ("engine/base/x.c", HEAD + 'static const char *const names[] = {"a", "b"};\n'
     "static const int count = 7;\nstruct x;\nstruct y {\n    int z;\n};\nenum { A = 1 };\n"
     "typedef int number;\nextern const int outside;\n"
     "static int helper(int x);\n#define N \\\n    7\n"),
    ("platform/curl/x.c", HEAD + "static pthread_once_t once = PTHREAD_ONCE_INIT;\n"),
    ("engine/base/x.c",
     HEAD + FUNCTION % "    static const int table[] = {1, 2};\n    return table[0];\n"),
    ("engine/base/x.c",
     HEAD + FUNCTION % "    static const struct {\n        char *name;\n    } t[] = {0};\n"),
    ("engine/base/x.h", HEAD + '#ifdef __cplusplus\nextern "C" {\n#endif\nint dk_x(void);\n'
     "#ifdef __cplusplus\n}\n#endif\n"),
    ("tests/unit/x.c", HEAD + '#include "engine/store/store.h"\n\n#include <cmocka.h>\n'
     "\n#include <sqlite3.h>\nstatic int count;\n\nstatic void x(void)\n{\n    free(y);\n}\n"),
    ("tests/x.sh", SHELL + 'folder="${TMPDIR:-/tmp}/x"\n# a/' "work/b, engine/" "home/x\n"),
]


def main():
    """Exit code 1 when a rule does not see what it should, or sees what is not there."""
    wrong = 0
    for rule, path, text in BAD:
        found = {fault[1] for fault in tidy.faults(path, text)}
        if found != {rule}:
            print(f"expected {rule}, found {sorted(found)}: {path}: {text[:200]!r}")
            wrong += 1
    for path, text in GOOD:
        found = tidy.faults(path, text)
        if found:
            print(f"expected nothing, found {found}: {path}: {text[:200]!r}")
            wrong += 1
    for rule in set(tidy.RULES) - {bad[0] for bad in BAD}:
        print(f"no snippet breaks {rule}")
        wrong += 1
    print(f"{len(BAD)} bad and {len(GOOD)} good snippets, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
