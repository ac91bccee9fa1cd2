"""lint.draw_rooms: docs/rooms.svg is what the includes of src/ say now. With --write: draws it.

Rooms stand above what they include, as low as the longest way down lets them; an arrow that follows
from others is left out. Rooms of a room stand in it, with the arrows between them."""

import re
import sys
from itertools import pairwise

import tree

PICTURE = tree.ROOT / "docs" / "rooms.svg"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)

# pixels
LETTER, LINE, PAD, MARGIN = 7.8, 17, 12, 24
GAP_X, GAP_Y = 44, 58  # between rooms
INNER_X, INNER_Y = 14, 30  # between the rooms of a room
PORT = 13  # between arrows at one box

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .name { font-weight: 600; }
  .count { font-size: 11px; fill: #59636e; }
  .room { fill: #f6f8fa; stroke: #818b98; stroke-width: 1.2; }
  .inner { fill: #ffffff; stroke: #b7bfc8; }
  .arrow { fill: none; stroke: #59636e; stroke-width: 1.4; }
  .head { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .count { fill: #9198a1; }
    .room { fill: #151b23; stroke: #656c76; }
    .inner { fill: #212830; stroke: #3d444d; }
    .arrow { stroke: #9198a1; }
    .head { fill: #9198a1; }
  }
"""


# ---- what the tree says ----

def place(name):
    """'features/net/send.c' -> ('features', 'net'); 'core/fd.h' -> ('core', None)."""
    parts = name.split("/")
    return parts[0], parts[1] if len(parts) > 2 else None


def read_tree():
    """(room, inner) -> number of files, and the set of pairs of places of which one includes the
    other."""
    files, arrows = {}, set()
    for path in tree.c_files("src"):
        here = place(path.relative_to(tree.ROOT / "src").as_posix())
        files[here] = files.get(here, 0) + 1
        for header in INCLUDE.findall(path.read_text()):
            if "/" in header:
                arrows.add((here, place(header)))
    return files, arrows


def between_rooms(arrows):
    return {(a[0], b[0]) for a, b in arrows if a[0] != b[0]}


def within(room, arrows):
    """Arrows between the rooms of a room; the room itself sees all of them."""
    return {(a[1], b[1]) for a, b in arrows
            if a[0] == b[0] == room and a[1] and b[1] and a[1] != b[1]}


def reduced(nodes, arrows):
    """Without the arrows that follow from others. Arrows of a circle would stay."""
    below = {n: {b for a, b in arrows if a == n} for n in nodes}

    def reaches(a, b, seen):
        if a in seen:
            return False
        seen.add(a)
        return b in below[a] or any(reaches(c, b, seen) for c in below[a])
    return sorted((a, b) for a, b in arrows
                  if not any(reaches(c, b, {a}) for c in below[a] if c != b))


def heights(nodes, arrows):
    """The longest way down from each node; what is at the bottom is 0."""
    height = {}

    def of(node, above=()):
        if node not in height:
            down = [of(b, (*above, node)) for a, b in arrows if a == node and b not in above]
            height[node] = 1 + max(down, default=-1)
        return height[node]
    for node in nodes:
        of(node)
    return height


# ---- where it stands ----

class Box:
    """One room: its lines of text, and the boxes in it, placed from its own corner."""

    def __init__(self, name, count, inner=(), arrows=()):
        self.name, self.count = name, count
        self.boxes = {b.name: b for b in inner}
        self.arrows = arrows
        self.x = self.y = self.row = 0  # `row`: the height of its row
        self.chains, self.ports = [], {}  # of the arrows that begin here: (arrow, end) -> aside
        words = max(len(name) * LETTER, len(self.text()) * LETTER * 0.85)
        self.width, self.height = words + 2 * PAD, 2 * LINE + PAD
        if self.boxes:
            self._fill()

    def text(self):
        return f"{self.count} file{'s' * (self.count != 1)}"

    def _fill(self):
        """What includes others stands above them; those that do neither stand to the right."""
        widest = max(b.width for b in self.boxes.values())
        for box in self.boxes.values():
            box.width = widest
        tied = sorted({n for arrow in self.arrows for n in arrow})
        width, bottom = lay_out([self.boxes[n] for n in tied], self.arrows, INNER_X, INNER_Y)
        loose = [b for n, b in sorted(self.boxes.items()) if n not in tied]
        x, y = width + (INNER_X if tied else 0), 0
        limit = max(bottom, loose[0].height if loose else 0)
        for box in loose:
            if y and y + box.height > limit:
                x, y = x + widest + INNER_X, 0
            box.x, box.y = x, y
            y += box.height + INNER_Y
        top = 2 * LINE + PAD
        for box in self.boxes.values():
            box.x, box.y = box.x + PAD, box.y + top
        self.width = max(self.width, max(b.x + b.width for b in self.boxes.values()) + PAD)
        self.height = max(b.y + b.height for b in self.boxes.values()) + PAD


class Bend:
    """Where a long arrow passes a row."""
    width = height = 0

    def __init__(self):
        self.x = self.y = self.row = 0


def rows_of(boxes, arrows):
    """Rows from the top, and the arrows as chains of boxes and bends, one a row."""
    by_name = {b.name: b for b in boxes}
    height = heights(sorted(by_name), arrows)
    top = max(height.values(), default=-1)
    rows = [[b for b in boxes if height[b.name] == top - n] for n in range(top + 1)]
    chains = []
    for a, b in arrows:
        chain = [by_name[a]]
        for level in range(height[a] - 1, height[b], -1):
            chain.append(Bend())
            rows[top - level].append(chain[-1])
        chains.append([*chain, by_name[b]])
    return rows, chains


def order(rows, chains):
    """Each goes where its neighbours above and below are in the middle, a few times over."""
    links = [pair for chain in chains for pair in pairwise(chain)]

    def middle(node, others):
        spots = [others.index(b if a is node else a) for a, b in links
                 if (a is node and b in others) or (b is node and a in others)]
        return sum(spots) / len(spots) if spots else len(others) / 2
    for _ in range(4):
        for n in range(1, len(rows)):
            rows[n].sort(key=lambda node, n=n: middle(node, rows[n - 1]))
        for n in range(len(rows) - 2, -1, -1):
            rows[n].sort(key=lambda node, n=n: middle(node, rows[n + 1]))


def lay_out(boxes, arrows, gap_x, gap_y):
    """Places the boxes from (0, 0); the width and height that they take."""
    rows, chains = rows_of(boxes, arrows)
    order(rows, chains)
    widths = [sum(b.width for b in row) + gap_x * (len(row) - 1) for row in rows]
    whole, y = max(widths, default=0), 0
    for row, width in zip(rows, widths):
        x, tall = (whole - width) / 2, max(b.height for b in row)
        for box in row:
            box.x, box.y, box.row = x, y, tall
            x += box.width + gap_x
        y += tall + gap_y
    for box in boxes:
        box.chains = [c for c in chains if c[0] is box]
        spread(box.chains, 0, 1)
        spread([c for c in chains if c[-1] is box], -1, -2)
    return whole, max(0, y - gap_y)


def spread(chains, end, next_to_it):
    """Arrows that share a box meet it side by side, in the order they come from."""
    chains = sorted(chains, key=lambda c: c[next_to_it].x + c[next_to_it].width / 2)
    for n, chain in enumerate(chains):
        shift = (n - (len(chains) - 1) / 2) * PORT
        chain[0].ports[id(chain), end] = shift


# ---- how it looks ----

def svg_arrow(chain, dx, dy):
    """Straight down to the foot of the row, in curves from row to row, into the lower box."""
    first, last = chain[0], chain[-1]
    out = first.x + first.width / 2 + first.ports[id(chain), 0]
    points = [(out, first.y + first.row)]
    for bend in chain[1:-1]:
        points += [(bend.x, bend.y), (bend.x, bend.y + bend.row)]
    points.append((last.x + last.width / 2 + first.ports[id(chain), -1], last.y - 6))
    path = f"M{out + dx:.0f} {first.y + first.height + dy:.0f} V{first.y + first.row + dy:.0f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2 + dy
        path += f" C{x0 + dx:.0f} {half:.0f} {x1 + dx:.0f} {half:.0f} {x1 + dx:.0f} {y1 + dy:.0f}"
    return f'<path class="arrow" d="{path}" marker-end="url(#head)"/>'


def svg_box(box, dx, dy, kind):
    x, y = box.x + dx, box.y + dy
    yield (f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}" '
           f'height="{box.height:.0f}" rx="6"/>')
    middle = x + box.width / 2
    yield f'<text class="name" x="{middle:.0f}" y="{y + 20:.0f}" text-anchor="middle">{box.name}</text>'
    yield (f'<text class="count" x="{middle:.0f}" y="{y + 36:.0f}" text-anchor="middle">'
           f'{box.text()}</text>')
    for inner in box.boxes.values():
        yield from svg_box(inner, x, y, "inner")
    for inner in box.boxes.values():
        for chain in inner.chains:
            yield svg_arrow(chain, x, y)


def draw():
    files, arrows = read_tree()
    boxes = []
    for room in sorted({room for room, _ in files}):
        names = sorted(inner for r, inner in files if r == room and inner)
        inside = reduced(names, within(room, arrows))
        inner = [Box(name, files[room, name]) for name in names]
        boxes.append(Box(room, files.get((room, None), 0), inner, inside))
    shown = reduced([b.name for b in boxes], between_rooms(arrows))
    width, height = lay_out(boxes, shown, GAP_X, GAP_Y)
    width, height = width + 2 * MARGIN, height + 2 * MARGIN
    parts = [line for box in boxes for line in svg_box(box, MARGIN, MARGIN, "room")]
    parts += [svg_arrow(chain, MARGIN, MARGIN) for box in boxes for chain in box.chains]
    said = "; ".join(f"{a} includes {b}" for a, b in shown)
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img">\n'
            f"<title>The rooms of src/ and what they include</title>\n<desc>{said}</desc>\n"
            f"<style>{STYLE}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>\n'
            f"{body}\n</svg>\n"), len(files)


text, rooms = draw()
if sys.argv[1:] == ["--write"]:
    PICTURE.write_text(text)
current = PICTURE.is_file() and PICTURE.read_text() == text
tree.finish("lint.draw_rooms", rooms, [] if current else [
    "docs/rooms.svg is not what the includes say (./dev lint --fix draws it)"])
