"""A terminal of our own for a program under test: a pty pair, and the program in a session that it
controls. We are the keyboard and the screen."""

import fcntl
import os
import re
import select
import signal
import struct
import termios
import time

from . import paths
from .sandbox import clean_environment, describe_tree, descendants
from .waiting import TIMEOUT, wait_gone, wait_until


def size(rows, columns):
    return struct.pack("HHHH", rows, columns, 0, 0)


class Terminal:
    """with Terminal(words): what it shows gathers in `shown`."""

    def __init__(self, words, cwd, env, rows=31, columns=97, stdin=None, stdout=None):
        self.words = [str(w) for w in words]
        self.master, self.slave = os.openpty()
        self.shown = b""
        self._seen = 0
        self.code = None
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.pid = os.fork()
        if self.pid == 0:
            self._become(cwd, env, stdin, stdout)

    def _become(self, cwd, env, stdin, stdout):
        try:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd, given in enumerate((stdin, stdout, None)):
                os.dup2(self.slave if given is None else given, fd)
            os.chdir(cwd)
            os.execve(self.words[0], self.words, env)
        finally:
            os._exit(99)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.code is None:
            for pid in [*descendants(self.pid), self.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            assert wait_gone([self.pid], TIMEOUT), self.story("killed, but did not end")
            os.waitpid(self.pid, os.WNOHANG)
        for fd in (self.master, self.slave):
            if fd is not None:
                os.close(fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size(rows, columns))

    def attributes(self):
        return termios.tcgetattr(self.slave)

    def is_raw(self):
        return self.attributes()[3] & (termios.ICANON | termios.ECHO | termios.ISIG) == 0

    def until_raw(self):
        wait_until("a raw terminal", self.is_raw)

    def type(self, keys):
        """All of it, while what is shown meanwhile is taken."""
        while keys:
            ready = select.select([self.master], [self.master], [], TIMEOUT)
            assert ready[0] or ready[1], self.story("cannot type")
            if ready[0]:
                self._take()
            if ready[1]:
                keys = keys[os.write(self.master, keys[:1024]):]

    def _take(self):
        self.shown += os.read(self.master, 65536)

    def until(self, pattern, timeout=TIMEOUT):
        """Waits for the next match in what is shown; returns it."""
        limit = time.monotonic() + timeout
        while not (match := re.compile(pattern).search(self.shown, self._seen)):
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(self.story(f"waited for {pattern!r}"))
            self._take()
        self._seen = match.end()
        return match

    def wait(self, options=0):
        """The status of the program, once it ended (or stopped); what it shows is taken."""
        limit = time.monotonic() + TIMEOUT
        while True:
            pid, status = os.waitpid(self.pid, options | os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < limit, self.story("did not end")
            if select.select([self.master], [], [], 0.02)[0]:
                self._take()
        while select.select([self.master], [], [], 0)[0]:
            self._take()
        return status

    def finish(self):
        self.code = os.waitstatus_to_exitcode(self.wait())
        return self.code

    def story(self, what):
        return (f"{what}: {' '.join(self.words)}\n{describe_tree(self.pid)}\n"
                f"--shown\n{self.shown[-3000:]!r} from {self._seen}")


def interactive(box, *options, cmd, env=None, words=("-i",), **kw):
    """`sandlock run -i` in a terminal; `box` is the fixture sandlock."""
    line = [paths.SANDLOCK, "run", *words, *map(str, options), "--", *map(str, cmd)]
    return Terminal(line, box.work, clean_environment(box.home, **(env or {})), **kw)
