"""FS-25: being told of what may not be read, and stalling others by leases on what may only be read
(docs/security-cases.md)."""

import errno
import os
import subprocess

import pytest
from harness.waiting import TIMEOUT, read_line

# Says what each way to name a path answers, waits until it was touched, says which events came.
WATCH = r"""
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
group = libc.inotify_init1(os.O_NONBLOCK)
target = sys.argv[1]
def add(name, path, mask=0xfff):
    wd = libc.inotify_add_watch(group, os.fsencode(path), mask)
    print(name, "ok" if wd > 0 else errno.errorcode[ctypes.get_errno()])
os.chdir(os.path.dirname(target))
fd = os.open(target, os.O_PATH)
link = sys.argv[2]
os.path.lexists(link) or os.symlink(target, link)
add("path", target)
add("relative", "./" + os.path.basename(target))
add("dots", target + "/../" + os.path.basename(target) if os.path.isdir(target) else target)
add("descriptor", f"/proc/self/fd/{fd}")
add("thread", f"/proc/thread-self/fd/{fd}")
add("cwd", "/proc/self/cwd/" + os.path.basename(target))
add("root", "/proc/self/root" + target)
add("link", link)
add("nofollow", target, 0xfff | 0x02000000)
sys.stdout.flush()
sys.stdin.readline()
try:
    print("events", len(os.read(group, 4096)) > 0)
except BlockingIOError:
    print("events", False)
"""

# What says of a directory that may be listed, though not all in it may be read.
OLDER = r"""
import ctypes, errno, fcntl, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def say(name, r):
    print(name, "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()])
    return r
fd = os.open(sys.argv[1], os.O_RDONLY)
say("dnotify", libc.fcntl(fd, fcntl.F_NOTIFY, ctypes.c_long(fcntl.DN_ACCESS)))
group = say("fanotify_init", libc.fanotify_init(0x200, 0))
say("fanotify_mark", libc.fanotify_mark(group, 1, ctypes.c_uint64(0x20), -100, os.fsencode(sys.argv[1])))
"""

LEASE = r"""
import errno, fcntl, os, sys
for path in sys.argv[1:]:
    for kind in ("F_RDLCK", "F_WRLCK"):
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, getattr(fcntl, kind))
            print("ok", flush=True)
        except OSError as e:
            print(errno.errorcode[e.errno], flush=True)
        sys.stdin.readline()
        os.close(fd)
"""


def steps(text):
    return dict(line.split() for line in text.splitlines())


@pytest.fixture
def secret(sandlock):
    """What the default view keeps from the command, in a directory that it may list."""
    ssh = sandlock.home / ".ssh"
    ssh.mkdir(mode=0o700)
    key = ssh / "id_ed25519"
    key.write_text("key\n")
    return key


def touched(sandlock, start, path, link):
    """What the watcher said, after the file was read from outside."""
    running = start(["python3", "-c", WATCH, path, link])
    lines = [running.line() for _ in range(9)]
    if path.is_dir():
        os.listdir(path)
    else:
        path.read_text()
    return steps("".join(lines) + running.finish(data=b"\n").ok().out)


class Bare:
    """A command without the sandbox that is spoken with, as Running is."""

    def __init__(self, words, cwd):
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, cwd=cwd)

    def line(self):
        return read_line(self.process.stdout).decode()

    def finish(self, data):
        self.out = self.process.communicate(data, TIMEOUT)[0].decode()
        return self

    def ok(self):
        assert self.process.returncode == 0
        return self


@pytest.mark.parametrize("options", [(), ("--isolate-pids",), ("--deny-syscalls=",)])
def test_FS_25_no_event_of_what_may_not_be_read(sandlock, secret, options):
    link = sandlock.work / "link"

    def bare(words):
        return Bare(words, sandlock.work)

    def inside(words):
        return sandlock.start(*options, cmd=words, stdin=subprocess.PIPE)

    for target in (secret, secret.parent):
        link.unlink(missing_ok=True)
        answers = touched(sandlock, bare, target, link)
        assert set(answers.values()) == {"ok", "True"}, answers
        link.unlink()
        answers = touched(sandlock, inside, target, link)
        assert answers.pop("events") == "False", answers
        assert set(answers.values()) == {"EACCES"}, (target, answers)
    allowed = sandlock.work / "mine"
    allowed.write_text("mine")
    link.unlink()
    answers = touched(sandlock, inside, allowed, link)
    # under --isolate-pids the way over /proc is closed for objects, as for open(2)
    assert set(answers.values()) == {"ok", "True"}, answers


def test_FS_25_a_directory_above_a_secret(sandlock, secret):
    """It would tell of the secret's opens; it may be listed."""
    running = sandlock.start(cmd=["python3", "-c", WATCH, secret.parent.parent,
                                  sandlock.work / "link"], stdin=subprocess.PIPE)
    assert {running.line().split()[1] for _ in range(9)} == {"EACCES"}
    os.listdir(secret.parent)
    assert running.finish(data=b"\n").ok().out == "events False\n"


@pytest.mark.parametrize("options", [(), ("--deny-syscalls=",), ("--no-supervisor",)])
def test_FS_25_the_older_and_the_newer_way(sandlock, secret, options):
    words = ["python3", "-c", OLDER, secret.parent]
    bare = steps(sandlock.bare(words).ok().out)
    assert set(bare.values()) == {"ok"}, bare
    answers = steps(sandlock(*options, cmd=words, audit=False, status=False).ok().out)
    assert answers == {"dnotify": "EACCES", "fanotify_init": "EPERM", "fanotify_mark": "EPERM"}
    # with nothing to hide, they are the kernel's
    run = sandlock("-r", "/", "--deny-syscalls=", cmd=words).ok()
    assert steps(run.out) == bare, str(run)


def stalls(path):
    """True when an open of this file would have to wait; it says so to the lease's holder."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return False
    except BlockingIOError:
        return True


@pytest.mark.parametrize("options", [("-r", "/"), (), ("--no-supervisor",), ("--isolate-signals",)])
def test_FS_25_leases(sandlock, options):
    theirs = sandlock.home / "theirs"
    theirs.write_text("")
    words = ["python3", "-c", "import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)\n" + LEASE]
    bare = Bare([*words, theirs], sandlock.work)
    for _ in range(2):
        assert bare.line() == "ok\n" and stalls(theirs)
        bare.process.stdin.write(b"\n")
        bare.process.stdin.flush()
    bare.finish(b"").ok()
    run = sandlock.start(*options, cmd=[*words, theirs], stdin=subprocess.PIPE, audit=False,
                         status=False)
    for _ in range(2):
        assert run.line() in ("EACCES\n", "EPERM\n") and not stalls(theirs)
        run.process.stdin.write(b"\n")
        run.process.stdin.flush()
    run.finish(data=b"").ok()


def test_FS_25_leases_on_what_may_be_written(sandlock):
    """They work: another's open waits, and the holder is told. The supervisor holds nothing of it."""
    own = sandlock.work / "own"
    own.write_text("")
    script = ("import fcntl,os,signal,sys\n"
              "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])\n"
              "fd = os.open('own', os.O_RDONLY)\n"
              "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n"
              "print('leased', fcntl.fcntl(fd, fcntl.F_GETOWN) == os.getpid(), flush=True)\n"
              "print('told', signal.sigwait([signal.SIGIO]) == signal.SIGIO)\n"
              "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK); print('given up', flush=True)\n"
              "sys.stdin.readline()\n")
    run = sandlock.start(cmd=["python3", "-c", script], stdin=subprocess.PIPE)
    assert run.line() == "leased True\n"
    assert stalls(own)
    assert run.line() == "told True\n" and run.line() == "given up\n"
    assert not stalls(own)
    run.finish(data=b"\n").ok()


@pytest.mark.parametrize("verb", ["path", "lease"])
def test_FS_25_changed_after_the_check(sandlock, attack, secret, verb):
    allowed, denied = sandlock.work / "m0", sandlock.work / "m1"
    allowed.write_text("mine")
    denied.symlink_to(secret)
    if verb == "lease":
        denied = sandlock.home / "theirs"
        denied.write_text("theirs")
    words = [attack("watch"), verb, allowed, denied]
    bare = steps(sandlock.bare([*words, 10**7]).ok().out)
    assert bare == {"right": "1", "wrong": "1"}, bare
    answers = steps(sandlock(cmd=[*words, 5000]).ok().out)
    assert answers == {"right": "1", "wrong": "0"}, answers


def test_FS_25_record_locks_and_flock_stay(sandlock):
    """Documented: they stall nobody but those who ask for the same lock."""
    readable = sandlock.home / "data"
    readable.write_text("")
    script = ("import fcntl,os,sys\n"
              "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
              "fcntl.flock(fd, fcntl.LOCK_EX); fcntl.flock(fd, fcntl.LOCK_UN)\n"
              "fcntl.lockf(fd, fcntl.LOCK_SH)\n"
              "try: fcntl.lockf(fd, fcntl.LOCK_EX)\n"
              "except OSError as e: print(e.errno)\n")
    assert sandlock(cmd=["python3", "-c", script, readable]).ok().out == f"{errno.EBADF}\n"
