"""Who is left of a run, seen from outside: this process adopts whatever loses its parents."""

import ctypes
import os
import select
import signal
import time
from pathlib import Path

from .sandbox import describe_tree

PR_SET_CHILD_SUBREAPER = 36
DEADLINE = 10  # seconds: only ever reached when something survives

_libc = ctypes.CDLL(None, use_errno=True)


def children(pid="self"):
    """The direct children of all threads of `pid`, nearest first."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(p) for p in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


class Orphans:
    """with Orphans() as orphans: start and end a run; orphans.left() is then empty.

    Sessions, process groups and double forks do not matter: a process below us has us as its last
    ancestor, whatever it does."""

    def __enter__(self):
        assert _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self._before = set(children())
        return self

    def _new(self):
        return [p for p in children() if p not in self._before]

    def left(self):
        """What does not end by itself, told as lines (and ended, for the tests that follow)."""
        limit = time.monotonic() + DEADLINE
        while now := self._new():
            if time.monotonic() > limit:
                lines = [describe_tree(p) for p in now]
                self.end()
                return lines
            for pid in now:
                self._reap(pid, limit)
        return []

    def end(self):
        """Ends what there is; how many they were."""
        count = 0
        limit = time.monotonic() + DEADLINE
        while now := self._new():
            for pid in now:
                os.kill(pid, signal.SIGKILL)
                self._reap(pid, limit)
                count += 1
            assert time.monotonic() < limit, "killed, but they did not end: " + describe_tree(now[0])
        return count

    @staticmethod
    def _reap(pid, limit):
        fd = os.pidfd_open(pid)  # our child: the number is taken until we reap it
        try:
            select.select([fd], [], [], max(0, limit - time.monotonic()))
            os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
        finally:
            os.close(fd)

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.end()  # the test has failed: nothing of it goes on
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
