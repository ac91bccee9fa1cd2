"""Runs one after the other and beside each other: nothing of them stays behind."""

import subprocess
from pathlib import Path

from harness import paths
from harness.orphans import Orphans
from harness.sandbox import clean_environment
from harness.waiting import TIMEOUT, read_line

HTTP = "--http-allow=GET api.test/*"


def left_in(home):
    """What stands in the user's private directory, apart from what all runs share."""
    names = ("", "/canary", "/control", "/apt.conf")
    shared = [".cache", *(f".cache/sandlock{name}" for name in names)]
    return sorted({str(p.relative_to(home)) for p in home.rglob("*")} - set(shared))


def start(sandlock, *options, command):
    return subprocess.Popen([paths.SANDLOCK, "run", "--quiet", *options, "--", "sh", "-c", command],
                            cwd=sandlock.work, env=clean_environment(sandlock.home), text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_five_hundred_in_a_row(sandlock):
    log = sandlock.work / "log"
    with Orphans() as orphans:
        for i in range(500):
            options = (HTTP,) if i % 10 == 0 else ()
            run = start(sandlock, *options, command=f"echo {i} >>log")
            run.communicate(timeout=TIMEOUT)
            assert run.returncode == 0
        assert orphans.left() == []
    assert log.read_text().split() == [str(i) for i in range(500)]
    assert left_in(sandlock.home) == []
    assert not list(Path("/dev/shm").glob("sandlock*"))


def test_a_hundred_at_once(sandlock):
    """Each says that it is up before any of them ends."""
    with Orphans() as orphans:
        runs = [start(sandlock, *((HTTP,) if i % 4 == 0 else ()), command=f"echo up {i}; read line")
                for i in range(100)]
        assert [read_line(run.stdout) for run in runs] == [f"up {i}\n" for i in range(100)]
        for run in runs:
            run.communicate("end\n", TIMEOUT)
        assert [run.returncode for run in runs] == [0] * 100
        assert orphans.left() == []
    assert left_in(sandlock.home) == []
