"""lint.rooms: an include names its room, and arrows between rooms never turn back."""

import re

import tree

ALLOWED = {
    "core": set(),
    "policy": {"core"},
    "net": {"core"},
    "kernel": {"core"},
    "supervisor": {"kernel", "policy", "core"},
    "features": {"supervisor", "kernel", "policy", "core"},
    "sandbox": {"features", "supervisor", "kernel", "policy", "core"},
    "http": {"net", "kernel", "policy", "core"},
    "engine": {"sandbox", "kernel", "policy", "core"},
    "cli": {"engine", "policy", "core"},
}
# The rooms of a room: which of their neighbours they may see. Whatever lies in the room itself is
# for all of them, and the room sees all of its rooms.
INNER = {
    "policy/http": {"policy/text"},
    "policy/text": set(),
    "policy/told": {"policy/text"},
    "net/dns": set(),
    "net/tls": set(),
    "cli/runs": set(),
    "engine/runs": set(),
    "engine/caller": {"engine/start"},
    "engine/start": {"engine/runs"},
    "kernel/arch": set(),
    "kernel/diag": set(),
    "features/kmem": set(),
    "features/mint": {"features/kmem"},
    "features/net": {"features/mint", "features/kmem"},
    "features/remap": {"features/mint", "features/net"},
    "features/limits": set(),
    "features/procfs": {"features/limits", "features/net"},
    "features/repeat": set(),
    "features/files": set(),
    "features/debug": set(),
    "features/signals": set(),
    "features/scheduling": set(),
    "features/ipc": {"features/kmem"},
    "features/canary": set(),
    "features/tables": set(),
    "features/explain": set(),
    "http/h1": {"http/why"},
    "http/why": set(),
}
# Rooms that are closed to the room around them, but for these files of it.
ENTRANCES = {
    "http/h1": {"http/gateway_main.c"},
}
# single headers that a room may see of a room that is otherwise closed to it
ALSO = {
    "cli": {"sandbox/probe.h"},
    # what the engine hands on: the hooks of the supervisor, and the list of ports
    "engine": {"supervisor/supervisor.h", "features/remap/ports.h"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def inner_of(path):
    """'features/net' for a file or header of such a room, else None."""
    return "/".join(path.split("/")[:2]) if path.count("/") > 1 else None


def circles():
    """The rooms of a room that see themselves, by way of others."""
    for start in INNER:
        seen, todo = set(), list(INNER[start])
        while todo:
            each = todo.pop()
            if each not in seen:
                seen.add(each)
                todo += INNER[each]
        if start in seen:
            yield f"tests/lint/rooms.py: {start} sees itself"


def refuse(name, room, mine, header):
    """Why the file `name` of `room` (or of its room `mine`) must not include this header; None if
    it may."""
    other = header.split("/")[0]
    theirs = inner_of(header)
    if other != room:
        if header in ALSO.get(room, ()):
            return None
        if other not in ALLOWED[room]:
            return f"{room} must not include {other}"
        return f"it belongs to {other} alone" if header.endswith("_int.h") else None
    if theirs is None or theirs == mine:
        return None
    if mine is not None and theirs not in INNER[mine]:
        return f"{mine} must not include {theirs}"
    if header.endswith("_int.h"):
        return f"it belongs to {theirs} alone"
    if mine is None and theirs in ENTRANCES and name not in ENTRANCES[theirs]:
        return f"only {', '.join(sorted(ENTRANCES[theirs]))} may include {theirs}"
    return None


def check(path):
    name = path.relative_to(tree.ROOT / "src").as_posix()
    room, mine = name.split("/")[0], inner_of(name)
    if room not in ALLOWED or (mine is not None and mine not in INNER):
        yield f"{tree.name(path)}: '{mine or room}' is not a room"
        return
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        header = match.group(1)
        where = f"{tree.name(path)}:{text.count(chr(10), 0, match.start()) + 1}"
        if "/" not in header or not (tree.ROOT / "src" / header).is_file():
            yield f"{where}: \"{header}\" does not name a room and a header in it"
            continue
        why = refuse(name, room, mine, header)
        if why is not None:
            yield f"{where}: \"{header}\": {why}"


files = list(tree.c_files("src"))
tree.finish("lint.rooms", len(files),
            list(circles()) + [problem for path in files for problem in check(path)])
