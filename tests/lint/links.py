"""lint.links: what a document or a comment names is there.

Links of Markdown with their anchors; paths from the top (src/, docs/); names of files, whole
(policy/link.h) or alone (link.h), wherever they lie. A name with a star, <brackets> or a word in
capitals that stands for another is a pattern, and must fit something. Pages that lie elsewhere, and
that nobody who has the tree can read, are not named at all."""

import ast
import io
import re
import tokenize

import tree

TOPS = ("src", "docs", "tests", "certs", "conf", "demo", "cmake")
SUFFIXES = "c|h|cpp|inc|py|md|mjs|go|toml|svg|cmake"
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.M)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
NAME = re.compile(r"(?<![\w./$~<*-])((?:[\w.<>*-]+/)*[\w.<>*-]*\w\.(?:" + SUFFIXES + r"))(?![\w/-]|\.\w)")
PATH = re.compile(r"(?<![\w./$~-])((?:" + "|".join(TOPS) + r")/[\w.<>*/-]*[\w>*])")
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)

# Headers of the system, and what belongs to others. build/ is made.
FOREIGN = re.compile(r"^(linux|sys|asm|asm-generic|netinet|arpa|openssl|mbedtls|bits|uapi)/"
                     r"|^(samples|include/(uapi|linux)|fs|kernel/(time|sched|seccomp)|security)/.*"
                     r"|^build/|^/")
# what is named like a file of ours, and whose it is
OTHERS = {
    "cmocka.h": "the package",
    "net/core/scm.c": "Linux",
    "sandlock/profiles/NAME.toml": "the user, below the configuration directory",
    "x.toml": "an example's", "work.py": "an example's", "src/*.java": "an example's",
}
ELSEWHERE = re.compile(r"\b(DESIGN|INTERFACES|STYLE)(\.md)?\b(?! *=)")
STANDS_FOR = re.compile(r"<[^>]*>|\b(ROOM|FILE|NAME|PARSER)\b|(?<=_)(FILE|PARSER|NAME)\b")


def everything():
    skipped = {".git", "build", "target", "node_modules", "__pycache__"}
    for path in tree.ROOT.rglob("*"):
        parts = path.relative_to(tree.ROOT).parts
        if not skipped & set(parts) and not parts[0].startswith("build-"):
            yield path.relative_to(tree.ROOT).as_posix()


ALL = sorted(everything())
ENDS = {}
for each in ALL:
    ENDS.setdefault(each.rsplit("/", 1)[-1], []).append(each)


def fits(pattern):
    """A pattern as a regular expression that the end of a path must match."""
    text = re.escape(STANDS_FOR.sub("*", pattern)).replace(r"\*", "[^/]*")
    return re.compile(("" if pattern.startswith("_") else "(^|/)") + text + "$")


def known(name):
    name = name.rstrip("/").removeprefix("./")
    if FOREIGN.search(name) or name in OTHERS:
        return True
    if "*" in name or name.startswith("_") or STANDS_FOR.search(name):
        return any(fits(name).search(each) for each in ALL)
    return any(each == name or each.endswith("/" + name)
               for each in ENDS.get(name.rsplit("/", 1)[-1], ()))


def slug(heading):
    text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def links(path, text):
    for match in LINK.finditer(FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)):
        target, _, anchor = match.group(1).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        other = (path.parent / target).resolve() if target else path
        if not other.exists():
            yield match.start(), f"no file '{target}'"
        elif anchor and other.suffix == ".md" and anchor not in map(
                slug, HEADING.findall(FENCE.sub("", other.read_text()))):
            yield match.start(), f"no heading '#{anchor}' in {other.name}"


def prose(path, text):
    """(where it begins, what people read): all of a document, the comments of a program."""
    if path.suffix in (".md", ".1", ""):
        yield 0, text
    elif path.suffix == ".py":
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield starts[token.start[0] - 1] + token.start[1], token.string
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
                words = ast.get_docstring(node, clean=False)
                if words:
                    yield starts[node.body[0].lineno - 1], words
    elif path.suffix in (".txt", ".cmake", ".sh"):
        for match in re.finditer(r"#.*", text):
            yield match.start(), match.group(0)
    else:
        for match in COMMENT.finditer(text):
            if not match.group(0).startswith('"'):
                yield match.start(), match.group(0)


def problems_of(path):
    text = path.read_text(errors="replace")
    if path.suffix == ".1":
        text = text.replace("\\-", "-")
    found = list(links(path, text)) if path.suffix == ".md" else []
    for start, words in prose(path, text):
        for pattern in (NAME, PATH):
            for match in pattern.finditer(words):
                if not known(match.group(1)):
                    found.append((start + match.start(), f"nothing is called '{match.group(1)}'"))
        for match in ELSEWHERE.finditer(words):
            found.append((start + match.start(), f"there is no page '{match.group(0)}' here"))
    told = set()
    for at, what in found:
        line = f"{tree.name(path)}:{text.count(chr(10), 0, at) + 1}: {what}"
        if line not in told:
            told.add(line)
            yield line


READ = {".md", ".1", ".c", ".h", ".cpp", ".inc", ".py", ".cmake", ".sh", ".mjs"}
files = [tree.ROOT / each for each in ALL
         if (tree.ROOT / each).is_file() and "corpus" not in each
         and ((tree.ROOT / each).suffix in READ or each.endswith("CMakeLists.txt") or each == "dev")]
tree.finish("lint.links", len(files), [line for path in files for line in problems_of(path)])
