"""lint.rooms: an include names its room, and arrows between rooms never turn back."""

import re

import tree

ALLOWED = {
    "core": set(),
    "policy": {"core"},
    "net": {"core"},
    "cow": {"core"},
    "http": {"net", "policy", "core"},
    "kernel": {"sandbox", "policy", "core"},
    "supervisor": {"sandbox", "kernel", "policy", "core"},
    "features": {"sandbox", "supervisor", "kernel", "policy", "core"},
    "sandbox": {"features", "supervisor", "kernel", "cow", "policy", "core"},
    "engine": {"sandbox", "supervisor", "kernel", "cow", "policy", "core"},
    "lib": {"sandbox", "policy", "core"},
    "cli": {"engine", "policy", "core"},
}
# single headers that a room may see of a room that is otherwise closed to it
ALSO = {"cli": {"sandbox/probe.h"}}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def check(path):
    room = path.relative_to(tree.ROOT / "src").parts[0]
    if room not in ALLOWED:
        yield f"{tree.name(path)}: '{room}' is not a room"
        return
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        header = match.group(1)
        where = f"{tree.name(path)}:{text.count(chr(10), 0, match.start()) + 1}"
        other, slash, file = header.partition("/")
        if not slash or not (tree.ROOT / "src" / header).is_file():
            yield f"{where}: \"{header}\" does not name a room and a header in it"
        elif other == room or header in ALSO.get(room, ()):
            continue
        elif other not in ALLOWED[room]:
            yield f"{where}: {room} must not include {other} (\"{header}\")"
        elif file.endswith("_int.h"):
            yield f"{where}: \"{header}\" belongs to {other} alone"


files = list(tree.c_files("src"))
tree.finish("lint.rooms", len(files), [problem for path in files for problem in check(path)])
