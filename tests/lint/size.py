"""lint.size: a file fits in the head (600 lines), a function on a screen (60 lines), a room in a
picture (26 files).

A longer file, or a fuller room, fails. A longer function is only named, unless it is one flat switch: length is then
the number of its cases."""

import re

import tree

FILE_MAX = 600
FUNCTION_MAX = 60
ROOM_MAX = 26  # sources and headers of one folder of src


def functions(text):
    """(name, first line, last line, body) of each function: a { in column 0 to a } in column 0."""
    lines = text.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            head = " ".join(lines[max(0, start - 6):start - 1])
            names = re.findall(r"(\w+)\s*\(", head)
            if line == "}" and names:
                yield names[-1], start, number, lines[start:number - 1]
            start = None


def flat_switch(body):
    """Nearly all of the body is one switch at the outermost level."""
    for index, line in enumerate(body):
        if re.match(r" {4}switch \(", line):
            length = next((n for n, later in enumerate(body[index:], 1) if later == "    }"), 0)
            return length > len(body) - 15
    return False


problems, long_functions = [], 0
files = list(tree.c_files("src", "include", "tests", "demo"))
for path in files:
    text = path.read_text(errors="replace")
    length = text.count("\n")
    if length > FILE_MAX:
        problems.append(f"{tree.name(path)}: {length} lines, at most {FILE_MAX}")
    for name, first, last, body in functions(tree.blank(text)):
        if last - first - 1 > FUNCTION_MAX and not flat_switch(body):
            long_functions += 1
            print(f"{tree.name(path)}:{first}: warning: {name} has {last - first - 1} lines")
for room in sorted({path.parent for path in tree.c_files("src")}):
    count = sum(1 for f in room.iterdir() if f.suffix in (".c", ".h", ".cpp", ".inc"))
    if count > ROOM_MAX:
        problems.append(f"{tree.name(room)}: {count} files, at most {ROOM_MAX}: make a room in it")
print(f"functions over {FUNCTION_MAX} lines: {long_functions}")
tree.finish("lint.size", len(files), problems)
