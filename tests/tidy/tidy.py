#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py [SOURCE_FOLDER]: checks the form of the source tree and prints one line per fault.

The rules are the functions at the end of this file, named in RULES; what each layer may include and
which file may include which library's header stands in the tables below. selftest.py proves that
each rule can fail.
"""
import pathlib
import re
import sys

LINE_MAX = 100      # columns
FUNCTION_MAX = 70   # lines, from the name to the closing brace
FILE_MAX = 600      # lines
ROOTS = ["engine", "platform", "sync-server", "tests", "examples", "cmake", ".ci"]
ROOT_FILES = ["CMakeLists.txt"]
CODE = {".c", ".h", ".def", ".py", ".sh", ".cmake"}

# Who may include whom, by the longest prefix of the including file; prefixes of the included path.
# Prefixes that are not listed (tests) may include everything of ours.
CORE = ["engine/base/", "engine/protocol/", "engine/sales/"]
HOOKS = ["<daybook/status.h>", "<daybook/platform.h>"]
LAYERS = {
    "engine/include/": ["<daybook/"],
    "engine/base/": CORE[:1] + HOOKS[:1],
    "engine/protocol/": CORE[:2] + HOOKS[:1],
    "engine/sales/": CORE + HOOKS[:1],
    "engine/store/": CORE + ["engine/store/"] + HOOKS,
    "engine/sync/": CORE + ["engine/store/", "engine/sync/"] + HOOKS,
    "engine/api/": CORE + ["engine/store/", "engine/sync/", "engine/api/", "<daybook/"],
    "platform/": ["platform/", "<daybook/posix.h>"] + HOOKS,
    "sync-server/": CORE + ["sync-server/"] + HOOKS[:1],
    "examples/": ["<daybook/", "examples/"],
}

# Which files may include which library's header; prefixes of paths. Tests may include all of them.
LIBRARIES = {
    "sqlite3.h": ["engine/base/database"],
    "cjson/": ["engine/base/json", "engine/base/tree"],
    "zstd": ["engine/base/frame"],
    "curl/": ["platform/curl/"],
    "openssl/": ["platform/curl/", "platform/openssl/", "sync-server/http/",
                 "sync-server/certificate", "sync-server/names", "sync-server/hash"],
    "event2/": ["sync-server/http/"],
    "libpq": ["sync-server/store/postgres.c"],
    "jni.h": ["platform/android/"],
    "cmocka.h": [],
}

# Calls that are banned everywhere, and further ones below a prefix (with files that are excepted).
BANNED = set("""strcpy strcat strncpy strncat sprintf vsprintf atoi atol atoll atof strtok gets
    alloca mktemp tmpnam rand srand system popen localtime gmtime asctime ctime
    setlocale""".split())
HEAP = set("malloc calloc realloc free strdup strndup".split())
OUTSIDE = set("time clock_gettime gettimeofday getenv getrandom printf puts exit abort".split())
BANNED_BELOW = [
    ("engine/", HEAP, ["engine/base/memory.c"]),
    ("sync-server/", HEAP, []),
    ("engine/", OUTSIDE, ["engine/sync/wait.c"]),
]
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|tmp|home|root|Users)/")


class File:
    """One file: path from the root, lines, and the text with comments and literals blanked."""

    def __init__(self, path, text):
        self.path = path
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.lines = text.split("\n")
        self.text = text
        self.is_c = self.suffix in (".c", ".h", ".def")
        self.bare = blank(text) if self.is_c else ""

    def line_of(self, position):
        """The number of the line that holds this position of the text."""
        return self.text.count("\n", 0, position) + 1

    def in_tests(self):
        """True below tests/."""
        return self.path.startswith("tests/")


def blank(text):
    """C text of the same length and lines with comments and the insides of literals as spaces."""
    def spaces(match):
        found = match.group(0)
        kept = found[0] if found[0] in "\"'" else " "
        return kept + re.sub(r"[^\n]", " ", found[1:-1]) + (kept if len(found) > 1 else "")
    comment = r"/\*.*?\*/|//[^\n]*"
    literal = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(f"{comment}|{literal}", spaces, text, flags=re.S)


def functions(file):
    """(first line, last line, index of the line before) of each function: by our form its braces
    stand alone in column 0."""
    lines = file.bare.split("\n")
    for number, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = number - 1
        while first > 0 and not re.match(r"[A-Za-z_]", lines[first]):
            first -= 1
        # A return type on a line of its own belongs to it.
        while first > 0 and re.fullmatch(r"[A-Za-z_][\w \*]*", lines[first - 1].rstrip() or "-"):
            first -= 1
        if "(" not in "".join(lines[first:number]):
            continue
        ends = (i for i in range(number, len(lines)) if lines[i].startswith("}"))
        last = next(ends, len(lines) - 1)
        yield first + 1, last + 1, first - 1


def includes(file):
    """(line number, as written, path) of each #include."""
    for number, line in enumerate(file.lines, 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if match:
            yield number, ("<" if match.group(1) == "<" else "") + match.group(2) + \
                (">" if match.group(1) == "<" else ""), match.group(2)


def is_const(declaration):
    """True when the variable of a file-level or static declaration cannot be written."""
    declarator = declaration.split("=")[0]
    if "*" in declarator:
        return declarator.rsplit("*", 1)[1].strip().startswith("const")
    return re.search(r"\bconst\b", declarator) is not None


def check_line_length(file):
    """Lines fit in 100 columns; a .def is a table with one row per line."""
    for number, line in enumerate(file.lines, 1):
        if len(line) > LINE_MAX and file.suffix != ".def":
            yield number, f"{len(line)} columns, at most {LINE_MAX}"


def check_function_length(file):
    """Functions fit a screen."""
    if file.suffix == ".c":
        for first, last, _ in functions(file):
            if last - first + 1 > FUNCTION_MAX:
                yield first, f"function of {last - first + 1} lines, at most {FUNCTION_MAX}"


def check_file_length(file):
    """Files are split by verb before they grow long."""
    count = len(file.lines) - (1 if file.lines[-1] == "" else 0)
    if count > FILE_MAX:
        yield 1, f"{count} lines, at most {FILE_MAX}"


def check_layers(file):
    """Includes go downwards only, and are written from the root."""
    if not file.is_c:
        return
    rules = (allowed for prefix, allowed in LAYERS.items() if file.path.startswith(prefix))
    rule = next(rules, None)
    for number, written, path in includes(file):
        if written.startswith("<"):
            ours = path.startswith("daybook/")
        else:
            ours = True
            if path.split("/")[0] not in ("engine", "platform", "sync-server", "tests", "examples"):
                yield number, f'"{path}" is not written from the root'
                continue
        if ours and rule is not None and not written.startswith(tuple(rule)):
            yield number, f"{written} may not be included here"


def check_libraries(file):
    """Each library's header is included in its own files only."""
    if not file.is_c or file.in_tests():
        return
    for number, _, path in includes(file):
        for prefix, allowed in LIBRARIES.items():
            if path.startswith(prefix) and not file.path.startswith(tuple(allowed)):
                yield number, f"{path} may not be included here"


def check_banned_calls(file):
    """Calls that are unsafe, or that belong to one place, are not made."""
    if not file.is_c:
        return
    banned = set(BANNED)
    for prefix, names, excepted in BANNED_BELOW:
        if file.path.startswith(prefix) and file.path not in excepted:
            banned |= names
    for match in re.finditer(r"(?<![\w.>])([a-z_]\w*)\s*\(", file.bare):
        if match.group(1) in banned:
            yield file.line_of(match.start()), f"{match.group(1)}() is banned here"


def check_licence(file):
    """Each file names its licence at its top."""
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in file.lines[:3]):
        yield 1, "no SPDX-License-Identifier: Apache-2.0 in the first three lines"


def check_blanks(file):
    """No tabs, no blanks at the end of lines, a line feed at the end of the file."""
    for number, line in enumerate(file.lines, 1):
        if "\t" in line:
            yield number, "tab"
        if line != line.rstrip():
            yield number, "blank at the end of the line"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no line feed at the end of the file"


def check_statics(file):
    """No variable outlives its owner: file-level and static ones are constant, except a
    pthread_once_t."""
    if not file.is_c or file.in_tests():
        return
    depth_text = []
    depth = 0
    directive = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", flags=re.M)
    for character in directive.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), file.bare):
        if character == "}":
            depth -= 1
        depth_text.append(character if depth == 0 or character in "\n" else " ")
        if character == "{":
            depth += 1
    top = re.sub(r'extern +" *" *\{', lambda m: " " * len(m.group(0)), "".join(depth_text))
    for match in re.finditer(r"[^;{}]*[;{}]", top):
        statement = match.group(0)
        body = " ".join(statement.split())
        is_data = body.endswith(";") or re.search(r"= ?\{$", body)
        if not is_data or "(" in body.split("=")[0] or "pthread_once_t" in body:
            continue
        variable = re.match(r"(?:static |_Thread_local )*"
                            r"(?:const |unsigned |struct |enum |union |volatile )*"
                            r"[a-z_]\w*[ *]+(?:const )?[a-z_]\w*(?:\[[^\]]*\])*(?: ?=.*|;)$", body)
        if variable and not re.match(r"(typedef|extern|struct \w+;|enum \w+;|union \w+;)", body) \
                and not is_const(body):
            start = match.start() + len(statement) - len(statement.lstrip())
            yield file.line_of(start), "a variable at file level is not const"
    for match in re.finditer(r"\n[ ]+static ([^;(={]*)[;={]", file.bare):
        if not is_const(match.group(1)):
            yield file.line_of(match.start() + 1), "a static variable in a function is not const"


def check_machine_paths(file):
    """No path of one machine."""
    for number, line in enumerate(file.lines, 1):
        if MACHINE_PATH.search(line):
            yield number, "path of a machine"


def check_comments(file):
    """Each static function of the product has a comment above it; the others have theirs in the
    header that declares them."""
    if file.suffix != ".c" or file.path.startswith(("tests/", "examples/")):
        return
    for first, _, before in functions(file):
        if not file.lines[first - 1].startswith("static"):
            continue
        if before < 0 or not file.lines[before].rstrip().endswith("*/"):
            yield first, "function without a comment"


RULES = {
    "line-length": check_line_length,
    "function-length": check_function_length,
    "file-length": check_file_length,
    "layers": check_layers,
    "libraries": check_libraries,
    "banned-calls": check_banned_calls,
    "licence": check_licence,
    "blanks": check_blanks,
    "statics": check_statics,
    "machine-paths": check_machine_paths,
    "comments": check_comments,
}


def faults(path, text):
    """(line, rule, message) of all faults of a file with this path and text."""
    file = File(path, text)
    return [(line, rule, message) for rule, check in RULES.items() for line, message in check(file)]


def source_files(root):
    """Paths from the root of all files that are checked."""
    for name in ROOT_FILES:
        if (root / name).is_file():
            yield name
    for folder in ROOTS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and \
                    (path.suffix in CODE or path.name in ("CMakeLists.txt", "run")):
                yield path.relative_to(root).as_posix()


def main(folder):
    """Checks the tree; exit code 1 when something is wrong."""
    root = pathlib.Path(folder)
    count = checked = 0
    for path in source_files(root):
        # The self-test is made of faults.
        if path == "tests/tidy/selftest.py":
            continue
        checked += 1
        for line, rule, message in faults(path, (root / path).read_text(encoding="utf-8")):
            print(f"{path}:{line}: {rule}: {message}")
            count += 1
    print(f"{checked} files, {count} faults")
    return 0 if count == 0 and checked > 0 else 1


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parents[2]
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else here))
