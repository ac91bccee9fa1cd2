"""What the tests of docs/recipes.md share: a line of the page as a shell reads it, and the three
things that every recipe keeps its program from."""

import re
import shutil
import subprocess

import pytest

from . import paths
from .sandbox import clean_environment
from .waiting import TIMEOUT

PAGE = paths.ROOT / "docs" / "recipes.md"
LINES = re.findall(r"^    (sandlock run .*)$", PAGE.read_text(), re.M)


def recipe(sandlock, words, **env):
    """Options and command of the one line with these words in its command, as a shell gives them."""
    found = [line for line in LINES if f" {words}" in line.partition(" --")[2]]
    assert len(found) == 1, (words, found)
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {found[0]}"], cwd=sandlock.work, text=True,
                          env=clean_environment(sandlock.home, **env), check=True, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    line = done.stdout.split("\0")[2:-1]
    end = line.index("--")
    return line[:end], line[end + 1:]


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def furnish(sandlock):
    """A directory for temporary files, and a secret to try for."""
    (sandlock.work / "tmp").mkdir()
    (sandlock.home / ".ssh").mkdir()
    (sandlock.home / ".ssh" / "id_ed25519").write_text("a secret key\n")


BEYOND = """
cat ~/.ssh/id_ed25519
echo leaked >../beside
exec 3<>/dev/tcp/127.0.0.1/{port} && echo leaked >&3
true
"""


def holds(sandlock, outside, options):
    """Outside all three can be done; with these options none."""
    witness = outside.witness()
    script = ["bash", "-c", BEYOND.format(port=witness.port)]
    beside = sandlock.work.parent / "beside"
    assert sandlock.bare(script).out == "a secret key\n"
    assert beside.read_text() == "leaked\n" and witness.received() == [b"leaked\n"]
    beside.unlink()
    run = sandlock(*options, cmd=script, audit=False).ok()
    assert run.out == "" and run.err.count("ermission denied") >= 2, str(run)
    assert not beside.exists() and witness.received() == [b"leaked\n"], str(run)
