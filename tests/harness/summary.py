"""What a run says of its denials at its end, read back."""

import re
from dataclasses import dataclass

LINE = re.compile(
    r"^sandlock:   (?P<what>.*?)(?: \((?P<count>\d+) times\))?(?: by (?P<by>.*?))??"
    r"(?:, from (?P<first>\S+Z) to (?P<last>\S+Z))?"
    r"(?:: (?P<why>(?! --).*?))?(?::  (?P<flag>--.*))?$")
HEADS = {"denied; to allow:": "allow", "denied; no option allows it:": "never"}


@dataclass
class Denial:
    group: str  # "allow" or "never"
    what: str
    by: str
    count: int
    first: str
    last: str
    why: str
    flag: str


def denials(run):
    """Every line of the summary."""
    found, group = [], None
    for line in run.err.splitlines():
        head = re.match(r"^sandlock: \d+ (.*)$", line)
        if head and head[1] in HEADS:
            group = HEADS[head[1]]
        elif group and line.startswith("sandlock:   ") and not line.startswith("sandlock:   and "):
            m = LINE.match(line)
            assert m, line
            found.append(Denial(group, m["what"], m["by"] or "", int(m["count"] or 1), m["first"],
                                m["last"], m["why"] or "", m["flag"] or ""))
        else:
            group = None
    return found


def said(run):
    """Everything that sandlock itself says."""
    return [line for line in run.err.splitlines() if line.startswith("sandlock:")]


def flags(run):
    return [d.flag for d in denials(run) if d.flag]
