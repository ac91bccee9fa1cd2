"""lint.banned: calls that cannot be used safely; in src also those that start a shell or read numbers
beside core/num.h; and no private key anywhere."""

import re

import tree

BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|v?sprintf|strtok|ato[ifl]|gets|system|popen)\s*\(")
SHELL = ("system", "popen")
NUMBERS = re.compile(r"(?<![\w.>])(strto(?:u?l{1,2}|[ui]max|d|f|ld))\s*\(")
# in two pieces, so that this file does not find itself
KEY = re.compile(r"-----BEGIN [A-Z ]*" + "PRIVATE KEY-----")
TEXT = {"", ".c", ".h", ".py", ".sh", ".md", ".pem", ".key", ".crt", ".txt", ".json", ".mjs"}


def calls(path):
    text = tree.blank(path.read_text(errors="replace"))
    product = path.is_relative_to(tree.ROOT / "src")
    for match in BANNED.finditer(text):
        if match.group(1) in SHELL and not product:
            continue  # a unit test may tidy up with rm
        line = text.count("\n", 0, match.start()) + 1
        yield f"{tree.name(path)}:{line}: {match.group(1)}() is banned"
    for match in NUMBERS.finditer(text) if product else ():
        line = text.count("\n", 0, match.start()) + 1
        yield f"{tree.name(path)}:{line}: {match.group(1)}() is banned: core/num.h reads numbers"


def keys():
    for folder in ("src", "tests", "certs", "conf", "demo", "docs"):
        for path in sorted((tree.ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXT and "node_modules" not in path.parts:
                if KEY.search(path.read_text(errors="replace")):
                    yield f"{tree.name(path)}: holds a private key"


files = list(tree.c_files("src", "include", "tests", "demo"))
tree.finish("lint.banned", len(files),
            [problem for path in files for problem in calls(path)] + list(keys()))
