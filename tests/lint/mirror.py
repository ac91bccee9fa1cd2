"""lint.mirror: each .c file of src has its unit test at the mirrored place, or stands in the table
tests/unit/elsewhere with the test that covers it, and why that is another one.

    src/net/conn.c                 tests/unit/net/test_conn.c
    src/features/remap/portmap.c   tests/unit/features/remap/test_portmap.c

A row of the table is `FILE TEST REASON`, with FILE below src and TEST as ctest names it. It must be
needed: a file that has its unit test after all, a file or a test that does not exist, and a row
without a reason fail."""

import re

import tree

TABLE = tree.ROOT / "tests/unit/elsewhere"
# where the tests of a label lie, and how their files are called
PLACES = {"integration": "tests/integration/test_{}.py", "security": "tests/security/test_{}.py",
          "fuzz": "tests/fuzz/fuzz_{}.c", "lint": "tests/lint/{}.py"}


def mirrored(file):
    """src/net/conn.c -> tests/unit/net/test_conn.c"""
    inside = file.relative_to(tree.ROOT / "src")
    return tree.ROOT / "tests/unit" / inside.parent / f"test_{inside.name}"


def test_file(name):
    """The file of a test that ctest calls `name`; None where there is no such kind."""
    label, _, rest = name.partition(".")
    if label == "unit":
        folder, _, stem = rest.rpartition(".")
        return tree.ROOT / "tests/unit" / folder.replace(".", "/") / f"test_{stem}.c"
    return tree.ROOT / PLACES[label].format(rest) if label in PLACES else None


def rows():
    """(line number, file, test, reason) of each row."""
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield (number, *(line.split(None, 2) + ["", "", ""])[:3])


def check_rows(listed):
    for number, name, test, reason in rows():
        where = f"{tree.name(TABLE)}:{number}"
        file = tree.ROOT / "src" / name
        covering = test_file(test)
        if name in listed:
            yield f"{where}: '{name}' stands there twice"
        listed.add(name)
        if not file.is_file() or file.suffix != ".c":
            yield f"{where}: there is no src/{name}"
        elif mirrored(file).is_file():
            yield f"{where}: '{name}' has {tree.name(mirrored(file))}; take the row out"
        if covering is None or not covering.is_file():
            yield f"{where}: there is no test '{test}'"
        if len(re.findall(r"\w+", reason)) < 2:
            yield f"{where}: '{name}' has no reason"


def check_files(files, listed):
    for file in files:
        name = str(file.relative_to(tree.ROOT / "src"))
        if name not in listed and not mirrored(file).is_file():
            yield f"{tree.name(file)}: no {tree.name(mirrored(file))}, and no row in {tree.name(TABLE)}"


files = [file for file in tree.c_files("src") if file.suffix == ".c"]
seen = set()
problems = list(check_rows(seen))
tree.finish("lint.mirror", len(files), problems + list(check_files(files, seen)))
