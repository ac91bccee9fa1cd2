"""lint.cases: every case in docs/security-cases.md has a test named after it, and the other way round.

A row whose last column begins with "not run:" says there why it has none."""

import re

import tree

ROW = re.compile(r"^\| ([A-Z]+-\d\d) \|.*\| ([^|]*) \|$", re.M)
TEST = re.compile(r"def test_([A-Z]+)_(\d\d)((?:_and_\d\d)*)")

listed = dict(ROW.findall((tree.ROOT / "docs" / "security-cases.md").read_text()))
tested = {}
files = sorted((tree.ROOT / "tests").rglob("test_*.py"))
for path in files:
    for area, number, more in TEST.findall(path.read_text()):
        for each in [number, *re.findall(r"\d\d", more)]:
            tested.setdefault(f"{area}-{each}", tree.name(path))

problems = []
for case, last in listed.items():
    if case in tested and last.startswith("not run:"):
        problems.append(f"{case}: docs/security-cases.md says it is not run; {tested[case]} runs it")
    if case not in tested and not last.startswith("not run:"):
        problems.append(f"{case}: no test is named after it")
problems += [f"{case}: {path} tests it, docs/security-cases.md does not list it"
             for case, path in sorted(tested.items()) if case not in listed]
if not listed:
    problems.append("docs/security-cases.md lists no case")
print(f"{len(listed)} cases listed, {len(tested)} tested")
tree.finish("lint.cases", len(files), problems)
