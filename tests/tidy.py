#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py - the rules of the code base, as a program.

    tests/tidy.py               check the checkout; one file:line message per breach; exit 1 if any
    tests/tidy.py --self-test   show that every rule fires on a made-up bad file, and only there

A rule is a function from a Tree to (path, line, message) triples, listed in RULES; it reads all
files of the project that git would commit. C is read with regular expressions after comments and
strings are blanked, which is enough because clang-format fixes the layout: a function body starts
with "{" and ends with "}" in the first column. Compilers check the rest; a real parser would be a
dependency for little.
"""
import ast
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

RANKS = {"base": 0, "simd": 1, "vfs": 1, "model": 1, "store": 2, "index": 3, "segment": 4,
         "query": 5, "db": 6, "api": 7}
LIBC_HEADERS = {"string.h", "stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "limits.h", "math.h",
                "inttypes.h", "float.h"}
# Files of the core that may include more of the system and look at platform macros.
SYSTEM_FILES = ["core/vfs/vfs_posix*.[ch]", "core/simd/vec_*.h", "core/simd/cpu.c",
                "core/simd/dispatch.c", "core/base/sync.h", "core/base/check.h",
                "core/include/octant/status.h"]
# Formatting of messages needs vsnprintf, which is the one thing taken from stdio.
STDIO_FILES = ["core/base/status.c", "core/base/str.c"]
YYJSON_FILES = ["core/base/json*.c"]
BANNED = re.compile(
    r"(?<![\w.>])(malloc|calloc|realloc|free|aligned_alloc|strdup|alloca|printf|fprintf|puts|"
    r"fputs|sprintf|vsprintf|strcpy|strcat|strncpy|strtok|gets|scanf|sscanf|atoi|atof|strtod|"
    r"strtof|strtol|strtoul|getenv|setenv|time|clock|clock_gettime|gettimeofday|localtime|gmtime|"
    r"rand|srand|random|qsort|bsearch|assert|abort|exit|setjmp|longjmp|signal|system|open|fopen|"
    r"fread|fwrite|exp|expf|log|logf|log2|log2f|pow|powf|sin|sinf|cos|cosf|pthread_\w+|thrd_\w+|"
    r"mtx_\w+)\s*\(")
PLATFORM = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*\b(_WIN32|__linux__|__APPLE__|__unix__|"
                      r"__wasm\w*|__wasi__|__EMSCRIPTEN__|__x86_64__|__i386__|__aarch64__|__arm__|"
                      r"__SSE\w*|__AVX\w*|__ARM_NEON\w*)\b")
# Spelled in pieces, so that this file does not break its own rule.
MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(" + "|".join(
    ["work", "farm", "root", "tmp/" + "oct", "home/" + "[a-z]"]) + r")(/|\b)")
REGISTRY_HOSTS = re.compile("|".join(host.replace(" ", r"\.") for host in [
    "registry npmjs", "npmjs org", "pypi org", "pythonhosted org", "crates io", "proxy golang org",
    "repo1? maven", "deb debian org", "security debian org"]) + r'|"resolved"\s*:')
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

C_FILES = (".c", ".h")
CODE_FILES = C_FILES + (".def", ".ts", ".mjs", ".js", ".py", ".sh", ".cmake", ".html")
SPDX_FILES = C_FILES + (".def", ".ts", ".mjs", ".js", ".py", ".sh", ".cmake")
README_FOLDERS = ("core", "wasm", "js", "wasi", "server", "tests", "examples", "bench", "tools")
README_EXEMPT = ("README.md", "package.json", "tsconfig.json")
LINES_MAX, FUNCTION_LINES_MAX, COLUMNS_MAX = 1000, 70, 100


class Tree:
    """The files of one checkout: paths relative to its root, and their text, read once."""

    def __init__(self, root):
        self.root = root
        self._texts, self._code = {}, {}
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
            capture_output=True, text=True, check=True).stdout
        self.paths = sorted({p for p in listed.split("\0") if p and os.path.isfile(self.at(p))})

    def at(self, path):
        return os.path.join(self.root, path)

    def select(self, *endings, under=""):
        return [p for p in self.paths if p.endswith(endings) and p.startswith(under)]

    def text(self, path):
        if path not in self._texts:
            with open(self.at(path), encoding="utf-8", errors="replace") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def lines(self, path):
        return self.text(path).splitlines()

    def code(self, path):
        """Lines of a C file with comments and string contents blanked, numbering kept."""
        if path not in self._code:
            self._code[path] = blank_c(self.text(path)).splitlines()
        return self._code[path]


C_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank_c(text):
    def keep_lines(match):
        found = match.group(0)
        if found[0] == "/":
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return C_NOISE.sub(keep_lines, text)


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def includes(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1), found.group(2)


def rule_spdx(tree):
    names = [p for p in tree.paths if p.endswith(SPDX_FILES) or p.endswith("CMakeLists.txt")]
    for path in names:
        lines = tree.lines(path)
        first = 1 if lines and lines[0].startswith("#!") else 0
        if len(lines) <= first or "SPDX-License-Identifier: Apache-2.0" not in lines[first]:
            yield path, first + 1, "the first line is not the SPDX-License-Identifier comment"


def rule_core_includes(tree):
    for path in tree.select(*C_FILES, under="core/"):
        folder = path.split("/")[1]
        for number, kind, name in includes(tree, path):
            if os.path.basename(name) == "yyjson.h":
                if not matches(path, YYJSON_FILES):
                    yield path, number, "yyjson.h may be included by base/json*.c only"
            elif kind == "<":
                allowed = (name in LIBC_HEADERS or matches(path, SYSTEM_FILES)
                           or name == "stdio.h" and matches(path, STDIO_FILES))
                if not allowed:
                    yield path, number, f"<{name}> is not one of the core's system headers"
            else:
                message = include_breach(folder, name)
                if message:
                    yield path, number, message


def include_breach(folder, name):
    """What is wrong when a file of core/`folder` includes "`name`"; None when nothing is."""
    target = name.split("/")[0]
    if target == "octant":
        return None
    if target not in RANKS or "/" not in name:
        return f'"{name}": include by path, "folder/file.h", from a folder of the core'
    if folder == "include":
        return f'"{name}": public headers include octant/ only'
    if target != folder and RANKS[target] >= RANKS.get(folder, -1):
        return f'"{name}": {folder} (rank {RANKS.get(folder)}) may not include {target}' \
               f" (rank {RANKS[target]})"
    return None


def rule_door_includes(tree):
    """Front ends see include/octant/, their own folder, and (WASI) the shared commands."""
    for path in tree.select(*C_FILES):
        if path.split("/")[0] not in ("wasm", "wasi", "server", "examples"):
            continue
        here = os.path.dirname(path)
        for number, kind, name in includes(tree, path):
            own = "/" not in name and (f"{here}/{name}" in tree.paths
                                       or f"server/{name}" in tree.paths and here == "wasi")
            if kind == '"' and not name.startswith("octant/") and not own:
                yield path, number, f'"{name}": only octant/ headers and the folder\'s own'


def rule_banned_calls(tree):
    for path in tree.select(*C_FILES, under="core/"):
        if matches(path, ["core/vfs/vfs_posix*.[ch]", "core/base/sync.h", "core/base/check.h"]):
            continue
        for number, line in enumerate(tree.code(path), 1):
            for found in BANNED.finditer(line):
                yield path, number, f"{found.group(1)}() is not for the core"


def rule_platform_macros(tree):
    for path in tree.select(*C_FILES, under="core/"):
        if matches(path, SYSTEM_FILES):
            continue
        for number, line in enumerate(tree.code(path), 1):
            found = PLATFORM.match(line)
            if found:
                yield path, number, f"{found.group(2)}: a platform is a file, not an #if"


def rule_file_length(tree):
    for path in tree.select(*CODE_FILES):
        count = len(tree.lines(path))
        if count > LINES_MAX:
            yield path, count, f"{count} lines, at most {LINES_MAX}"


def rule_function_length(tree):
    for path in tree.select(*C_FILES):
        yield from long_blocks(path, tree.code(path), re.compile(r"^(\{|[A-Za-z_].*\)\s*\{)\s*$"))
    for path in tree.select(".ts", ".mjs", ".js"):
        start = re.compile(r"^(export )?(default )?(async )?function\b.*\{\s*$")
        yield from long_blocks(path, tree.lines(path), start)
    for path in tree.select(".py"):
        for node in ast.walk(ast.parse(tree.text(path))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                count = node.end_lineno - node.lineno
                if count > FUNCTION_LINES_MAX:
                    yield path, node.lineno, f"function of {count} lines"


def long_blocks(path, lines, start):
    opened = None
    for number, line in enumerate(lines, 1):
        if opened is None and start.match(line):
            opened = number
        elif opened is not None and line.startswith("}"):
            count = number - opened - 1
            if count > FUNCTION_LINES_MAX:
                yield path, opened, f"function of {count} lines, at most {FUNCTION_LINES_MAX}"
            opened = None


def rule_columns(tree):
    for path in tree.select(*CODE_FILES, "CMakeLists.txt"):
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > COLUMNS_MAX and not path.endswith(".def"):  # those are tables
                yield path, number, f"{len(line)} columns, at most {COLUMNS_MAX}"
            if "\t" in line or line != line.rstrip():
                yield path, number, "a tab or a space at the end of the line"


def rule_unfinished(tree):
    for path in tree.select(*CODE_FILES, "CMakeLists.txt", ".md"):
        for number, line in enumerate(tree.lines(path), 1):
            found = UNFINISHED.search(line)
            if found:
                yield path, number, f"{found.group(0)}: finish it or file it elsewhere"


def rule_machine_names(tree):
    for path in tree.paths:
        for number, line in enumerate(tree.lines(path), 1):
            if MACHINE_PATHS.search(line):
                yield path, number, "a path of one machine"
            if REGISTRY_HOSTS.search(line):
                yield path, number, "the host name of a package registry"


def readme_tokens(text):
    words = set(re.findall(r"[\w.*?@+/{}\[\],-]+", text))
    words |= {word.strip(".,:;") for word in words}
    for word in list(words):
        braces = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", word)
        if braces:
            words |= {braces[1] + part + braces[3] for part in braces[2].split(",")}
    return words


def is_wildcard(word):
    """A wildcard names files only when enough of it is literal: *.c would name everything."""
    return re.search(r"[*?\[]", word) and len(re.sub(r"\[[^]]*\]|[*?]|\.\w+$", "", word)) >= 3


def rule_readme(tree):
    """A README names the files of its folder and of those folders below that have none."""
    readmes = {os.path.dirname(p): readme_tokens(tree.text(p)) for p in tree.paths
               if os.path.basename(p) == "README.md"}
    for path in tree.select(*CODE_FILES, "CMakeLists.txt"):
        parts = path.split("/")
        if len(parts) < 2 or parts[0] not in README_FOLDERS or parts[-1] in README_EXEMPT:
            continue
        named = False
        for depth in range(len(parts) - 1, 0, -1):
            words = readmes.get("/".join(parts[:depth]), set())
            for name in ("/".join(parts[depth:]), parts[-1]):
                named = named or name in words or any(
                    fnmatch.fnmatch(name, word) for word in words if is_wildcard(word))
        if not named:
            yield path, 1, f"not named in {parts[0]}/README.md (or a README nearer to it)"


def header_command(tree, path):
    isa = {"vec_avx2.h": ["-mavx2"],
           "vec_avx512.h": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"]}
    return ["gcc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror",
            "-Wno-unused-function", "-fsyntax-only", "-Icore", "-Icore/include", "-I.deps/yyjson",
            "-Itests", "-Iserver", "-Iwasi", *isa.get(os.path.basename(path), []), "-x", "c",
            "-include", path, os.devnull]


def rule_headers_alone(tree):
    """Each header compiles with nothing before it. Templates (*.inc.h) are made to be included
    inside something; headers of another processor are compiled by that target's build."""
    foreign = ("vec_neon.h", "vec_wasm128.h") if os.uname().machine == "x86_64" else (
        "vec_sse2.h", "vec_avx2.h", "vec_avx512.h", "vec_wasm128.h", "vec_neon.h")
    headers = [p for p in tree.select(".h") if not p.endswith(".inc.h")
               and os.path.basename(p) not in foreign and not p.startswith(("wasm/", "examples/"))]

    def compile_alone(path):
        run = subprocess.run(header_command(tree, path), cwd=tree.root, capture_output=True,
                             text=True)
        lines = [line for line in run.stderr.splitlines() if "error:" in line]
        return None if run.returncode == 0 else (lines or [run.stderr.strip() or "failed"])[0]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, problem in zip(headers, pool.map(compile_alone, headers)):
            if problem:
                yield path, 1, f"does not compile alone: {problem}"


RULES = [rule_spdx, rule_core_includes, rule_door_includes, rule_banned_calls,
         rule_platform_macros, rule_file_length, rule_function_length, rule_columns,
         rule_unfinished, rule_machine_names, rule_readme, rule_headers_alone]

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
# Rule -> files that break it. GOOD breaks none, so each rule must be silent on it.
BAD = {
    rule_spdx: [("core/base/a.c", "int a;\n"), ("tools/a.sh", "#!/bin/sh\necho\n")],
    rule_core_includes: [
        ("core/base/a.c", SPDX + '#include "store/wal.h"\n'),
        ("core/simd/a.c", SPDX + '#include "model/b.h"\n'),
        ("core/store/a.c", SPDX + '#include "wal.h"\n'),
        ("core/store/a.c", SPDX + "#include <unistd.h>\n"),
        ("core/api/a.c", SPDX + "#include <yyjson.h>\n"),
        ("core/include/octant/a.h", SPDX + '#include "base/b.h"\n')],
    rule_door_includes: [("server/a.c", SPDX + '#include "db/db.h"\n')],
    rule_banned_calls: [("core/db/a.c", SPDX + f"void f(void) {{ {call}; }}\n") for call in (
        "free(0)", "x = malloc (1)", "qsort(a, b, c, d)", "pthread_mutex_lock(m)", "expf(1)")],
    rule_platform_macros: [("core/db/a.c", SPDX + "#ifdef __linux__\n#endif\n")],
    rule_file_length: [("core/db/a.c", SPDX + "int a;\n" * LINES_MAX)],
    rule_function_length: [
        ("core/db/a.c", SPDX + "void f(void)\n{\n" + "    g();\n" * 71 + "}\n"),
        ("js/a.ts", SPDX + "export function f() {\n" + "  g();\n" * 71 + "}\n"),
        ("tests/a.py", "def f():\n" + "    g()\n" * 71)],
    rule_columns: [("core/db/a.c", SPDX + "/* " + "x" * 98 + " */\n"),
                   ("core/db/a.c", SPDX + "\tint a;\n"), ("core/db/a.c", SPDX + "int a; \n")],
    rule_unfinished: [("core/db/a.c", SPDX + "/* TO" + "DO: later */\n"),
                      ("docs/a.md", "FIX" + "ME\n")],
    rule_machine_names: [("docs/a.md", "see /wo" + "rk/main\n"), ("a.md", "in `/ro" + "ot/x`\n"),
                         ("a.json", '{ "reso' + 'lved": "x" }\n'),
                         ("a.md", "from pypi" + ".org\n")],
    rule_readme: [("core/db/a.c", SPDX), ("tests/unit/x_test.c", SPDX)],
    rule_headers_alone: [("core/db/a.h", SPDX + "uint32_t f(void);\n"),
                         ("core/db/b.h", SPDX + '#include "db/none.h"\n')],
}
GOOD = [
    ("core/README.md", "`db/good.c` `good.[ch]` and base/json_*.c, vfs_posix.c\n"),
    ("core/base/good.h", SPDX + "#include <stdint.h>\nuint32_t f(void); /* free(x) */\n"),
    ("core/base/json_read.c", SPDX + "#include <yyjson.h>\n"),
    ("core/db/good.c", SPDX + '#include "base/good.h"\n#include "octant/vfs.h"\n'
     'const char *s = "malloc(1) // no";\nint g(void)\n{\n' + "    ;\n" * 70 + "}\n"
     "int oct_map_free(void);\nint h(self *s) { return s->free(1) + s->vfs.open(2); }\n"),
    ("core/vfs/vfs_posix.c", SPDX + "#include <unistd.h>\n#ifdef __linux__\n#endif\n"),
]


def breaches_of(rule, files):
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["git", "init", "-q", root], check=True)
        for path, text in files:
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return list(rule(Tree(root)))


def self_test():
    passed = failed = 0
    for rule in RULES:
        cases = [(bad[0], [*GOOD, bad], True) for bad in BAD[rule]] + [("nothing", GOOD, False)]
        for name, files, expected in cases:
            found = {path for path, _, _ in breaches_of(rule, files)}
            if found == ({name} if expected else set()):
                passed += 1
            else:
                failed += 1
                print(f"{rule.__name__}: expected a breach in {name}, found {sorted(found)}")
    return passed, failed


def check(root):
    tree = Tree(root)
    passed = failed = 0
    for rule in RULES:
        breaches = list(rule(tree))
        for path, line, message in breaches:
            print(f"{path}:{line}: {message} [{rule.__name__[5:]}]")
        passed += not breaches
        failed += bool(breaches)
    return passed, failed


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    passed, failed = self_test() if sys.argv[1:] == ["--self-test"] else check(root)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
