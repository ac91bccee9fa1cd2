"""Waiting: for something that has a name, and never without a deadline."""

import os
import select
import subprocess
import time

TIMEOUT = 90  # seconds: only ever reached when something hangs
PAUSE = 0.005  # between two looks at what tells nobody that it has changed


def wait_until(what, look, process=None, timeout=TIMEOUT, pause=PAUSE):
    """The first answer of look() that is true.

    For what nobody is told of: files, /proc, a terminal's mode. Where there is an event (a line, a
    pidfd, a server's log), wait for that instead. A `process` that ends ends the waiting."""
    limit, ended = time.monotonic() + timeout, False
    while not (answer := look()):
        if ended:
            raise AssertionError(f"waited for {what}; the process ended with {process.returncode}")
        if time.monotonic() > limit:
            raise AssertionError(f"waited {timeout} s for {what}")
        ended = process is not None and process.poll() is not None  # one look more: its last act
        time.sleep(pause)
    return answer


def read_line(stream, what="a line", timeout=TIMEOUT):
    """One line of a pipe, as bytes, or as text where the stream is text; empty at the end.

    Byte by byte, so that nothing is kept back from who reads on from the descriptor."""
    limit = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], max(0, limit - time.monotonic()))[0]:
            raise AssertionError(f"waited {timeout} s for {what}; so far: {line!r}")
        piece = os.read(stream.fileno(), 1)
        if not piece:
            break
        line += piece
    return line.decode() if hasattr(stream, "encoding") else line


def wait_gone(pids, timeout):
    """True when every pid has ended (or become a zombie) within `timeout` seconds. Pidfds tell."""
    fds = []
    for pid in pids:
        try:
            fds.append(os.pidfd_open(pid))
        except ProcessLookupError:
            pass
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    left = set(fds)
    end = time.monotonic() + timeout
    while left and (rest := end - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            left.discard(fd)
    for fd in fds:
        os.close(fd)
    return not left


def end(process, timeout=TIMEOUT):
    """Kills a program of the test's own; its output, which nobody wants any more, is closed."""
    process.kill()
    try:
        process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"killed, but did not end: {process.args}") from None
