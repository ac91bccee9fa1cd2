"""FS: every spelling of a file that is denied or outside, descriptors that were left open, names that
are not there yet, opens that never come back (docs/security-cases.md)."""

import os
import resource
import socket
import subprocess

import pytest
from harness import kernel
from harness.waiting import TIMEOUT

REFUSED = {"EACCES", "EPERM", "ENOENT", "EXDEV", "ELOOP"}

SPELLINGS = r"""
import ctypes, errno, os, sys
denied, work = sys.argv[1], sys.argv[2]
top, name = os.path.split(denied)
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, f):
    try:
        r = f()
        print(what, 'ok' if r is None or r else 'nothing')
    except OSError as e:
        print(what, errno.errorcode[e.errno])
def read(path, **kw):
    fd = os.open(path, os.O_RDONLY, **kw)
    try: return os.read(fd, 64)
    finally: os.close(fd)
def check(r):
    if r < 0: raise OSError(ctypes.get_errno(), 'x')
    return r
def openat2(path, resolve):
    how = (ctypes.c_uint64 * 3)(0, 0, resolve)
    return os.read(check(libc.syscall(437, -100, path.encode(), how, 24)), 64)
def by_handle():
    handle = ctypes.create_string_buffer(136); handle[0:4] = (128).to_bytes(4, sys.byteorder)
    mount = ctypes.c_int()
    check(libc.name_to_handle_at(-100, denied.encode(), handle, ctypes.byref(mount), 0))
    at = os.open(top, os.O_RDONLY)
    return os.read(check(libc.open_by_handle_at(at, handle, 0)), 64)
def moved():
    os.rename(top, top + '.moved')
    try: return read(os.path.join(top + '.moved', name))
    finally: os.rename(top + '.moved', top)
def linked():
    os.link(denied, work + '/hard')
    return read(work + '/hard')
def executed():
    pid = os.fork()
    if pid == 0:
        try: os.execv(denied, [denied])
        except OSError as e: os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code: raise OSError(code, 'x')
attempt('plain', lambda: read(denied))
attempt('dots', lambda: read(f'{top}/./../{os.path.basename(top)}//{name}'))
attempt('root', lambda: read('/proc/self/root' + denied))
attempt('thread', lambda: read(f'/proc/thread-self/root{denied}'))
attempt('task', lambda: read(f'/proc/self/task/{os.getpid()}/root{denied}'))
attempt('dirfd', lambda: read(name, dir_fd=os.open(top, os.O_RDONLY)))
attempt('opath', lambda: read(name, dir_fd=os.open(top, os.O_PATH)))
attempt('fd', lambda: read('/proc/self/fd/%d/%s' % (os.open(top, os.O_PATH), name)))
attempt('reopen', lambda: read('/proc/self/fd/%d' % os.open(denied, os.O_PATH)))
attempt('devfd', lambda: read('/dev/fd/%d' % os.open(denied, os.O_PATH)))
attempt('cwd', lambda: (os.chdir(top), read(name))[1])
attempt('cwdlink', lambda: read(f'/proc/self/cwd/{name}'))
os.chdir(work)
attempt('symlink', lambda: (os.symlink(denied, 's'), read('s'))[1])
attempt('symdir', lambda: (os.symlink(top, 'd'), read('d/' + name))[1])
attempt('openat2', lambda: openat2(denied, 0))
attempt('nomagic', lambda: openat2(denied, 2))
attempt('handle', by_handle)
attempt('hardlink', linked)
attempt('rename', lambda: (os.rename(denied, work + '/mine'), read(work + '/mine'))[1])
attempt('parent', moved)
attempt('truncate', lambda: os.truncate(denied, 0))
attempt('write', lambda: os.open(denied, os.O_WRONLY))
attempt('unlink', lambda: os.unlink(denied))
attempt('exec', executed)
"""


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def make_secret(sandlock):
    """Beside it a file that is like it, and that nobody denies."""
    top = sandlock.home / "top"
    top.mkdir()
    for name in ("secret", "public"):
        (top / name).write_text("#!/bin/true\n")
        (top / name).chmod(0o755)
    return top / "secret", top / "public"


def try_spellings(sandlock, path, *options):
    work = sandlock.work
    for entry in work.iterdir():
        entry.unlink()
    run = sandlock("-r", "/", "-w", work, *options, cmd=["python3", "-c", SPELLINGS, path, work])
    return steps(run.ok())


@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize("options", [(), kernel.ALONE, ("--net-allow=",)])
def test_FS_04_each_spelling_of_a_denied_file(sandlock, what, options):
    secret, public = make_secret(sandlock)
    denied = secret if what == "file" else secret.parent
    bare = steps(sandlock.bare(["python3", "-c", SPELLINGS, secret, sandlock.work]).ok())
    for spelling in ("plain", "root", "reopen", "hardlink", "symlink", "openat2"):
        assert bare[spelling] == "ok", bare
    if not secret.exists():
        secret.write_text("#!/bin/true\n")
        secret.chmod(0o755)
    before = secret.stat()
    extra = {"audit": False, "status": False} if "--no-supervisor" in options else {}
    work = sandlock.work
    for path in work.iterdir():
        path.unlink()
    run = sandlock("-r", "/", "-w", work, f"--fs-deny={denied}", *options, **extra,
                   cmd=["python3", "-c", SPELLINGS, secret, work])
    answers = steps(run.ok())
    assert len(answers) == 24 and set(answers.values()) <= REFUSED | {kernel.OPENAT2} - {"ok"}, \
        answers
    after = secret.stat()
    assert (before.st_size, before.st_ctime_ns, before.st_nlink) == \
        (after.st_size, after.st_ctime_ns, after.st_nlink)
    if what == "file":  # the nearest allowed one: reading, in every spelling, and executing
        answers = try_spellings(sandlock, public, f"--fs-deny={denied}")
        for spelling in ("plain", "root", "dirfd", "fd", "reopen", "cwd", "symlink", "exec"):
            assert answers[spelling] == "ok", answers
        assert answers["openat2"] == kernel.OPENAT2, answers


EMPTIES = r"""
import ctypes, errno, os, sys
path = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
def openat2(flags):
    how = (ctypes.c_uint64 * 3)(flags, 0, 0)
    if libc.syscall(437, -100, path.encode(), how, 24) < 0:
        raise OSError(ctypes.get_errno(), 'x')
for what, f in (('truncate', lambda: os.truncate(path, 0)),
                ('reading', lambda: os.open(path, os.O_RDONLY | os.O_TRUNC)),
                ('creating', lambda: os.open(path, os.O_CREAT | os.O_TRUNC)),
                ('neither', lambda: os.open(path, 3 | os.O_TRUNC)),
                ('openat2', lambda: openat2(os.O_RDONLY | os.O_TRUNC))):
    try:
        f()
        print(what, 'ok', flush=True)
    except OSError as e:
        print(what, errno.errorcode[e.errno], flush=True)
"""


@pytest.mark.parametrize("options", [(), ("--net-allow=",)])
def test_FS_24_emptying_what_may_only_be_read(sandlock, options):
    victim = sandlock.home / "victim"
    victim.write_text("text")
    words = ["python3", "-c", EMPTIES, victim]
    assert set(steps(sandlock.bare(words).ok()).values()) == {"ok"} and victim.stat().st_size == 0
    victim.write_text("text")
    answers = steps(sandlock("-r", "/", "-w", sandlock.work, *options, cmd=words).ok())
    assert len(answers) == 5 and set(answers.values()) <= {"EACCES", "ENOSYS"}, answers
    assert victim.read_text() == "text"
    answers = steps(sandlock("-r", "/", "-w", sandlock.home, *options, cmd=words).ok())
    assert answers["truncate"] == answers["reading"] == answers["creating"] == "ok", answers
    assert victim.stat().st_size == 0


def test_FS_25_commanding_what_may_only_be_read(sandlock):
    """TIOCGPTN: which terminal a master has, as any driver's own call."""
    text = ("import array, fcntl, os\nfd = os.open('/dev/ptmx', os.O_RDONLY | os.O_NOCTTY)\n"
            "fcntl.ioctl(fd, 0x80045430, array.array('i', [0]))\nprint('done')")
    assert sandlock.bare(["python3", "-c", text]).ok().out == "done\n"
    run = sandlock("-r", "/", cmd=["python3", "-c", text])
    assert run.rc == 1 and "Permission denied" in run.err and run.out == "", str(run)
    assert sandlock("-r", "/", "-w", "/dev/ptmx", cmd=["python3", "-c", text]).ok().out == "done\n"


def test_FS_08_descriptors_that_the_invoker_left_open(sandlock, attack):
    """Files, directories and sockets on numbers up to 1023 are closed in the child."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < 1024:
        pytest.skip("fewer than 1024 descriptors are allowed here")
    pair = socket.socketpair()
    kinds = [os.open("/etc/passwd", os.O_RDONLY), os.open("/", os.O_RDONLY), pair[0].fileno(),
             os.open(sandlock.home, os.O_PATH), os.open("/dev/null", os.O_RDWR)]
    made = []
    try:
        for number in range(200, 1024):
            os.dup2(kinds[number % len(kinds)], number, inheritable=True)
            made.append(number)
        sup = attack("sup")
        held = subprocess.run([sup, "fds"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, pass_fds=made, timeout=TIMEOUT)
        assert len(held.stdout.splitlines()) > 800
        for options in ((), kernel.ALONE):
            run = sandlock(*options, cmd=[sup, "fds"], pass_fds=made, audit=False, status=False)
            assert run.ok().out.splitlines() == ["fd 0", "fd 1", "fd 2"], str(run)
    finally:
        for fd in (*made, *kinds[:2], *kinds[3:]):
            os.close(fd)
        for end in pair:
            end.close()


def test_FS_09_up_from_a_directory_that_was_handed_over(sandlock):
    """Standard input is a directory outside every grant: it leads to nothing in it or above it."""
    secret, _ = make_secret(sandlock)
    script = ("import errno,os,sys\n"
              "def t(what, path, flags):\n"
              "    try: os.open(path, flags, dir_fd=5); print(what, 'ok')\n"
              "    except OSError as e: print(what, errno.errorcode[e.errno])\n"
              "t('up', '../top/secret', os.O_RDONLY); t('in', 'secret', os.O_RDONLY)\n"
              "t('make', 'new', os.O_CREAT | os.O_WRONLY); os.fchdir(5)\n"
              "try: open('../top/secret'); print('cwd', 'ok')\n"
              "except OSError as e: print('cwd', errno.errorcode[e.errno])\n")
    cmd = ["bash", "-c", 'exec 5<&0 </dev/null; exec python3 -c "$1"', "bash", script]
    directory = os.open(secret.parent, os.O_RDONLY)
    try:
        run = sandlock(f"--fs-deny={sandlock.home}", cmd=cmd,
                       stdin=directory).ok()
        assert steps(run) == dict.fromkeys(("up", "in", "make", "cwd"), "EACCES"), str(run)
        assert not (secret.parent / "new").exists()
        run = sandlock("-r", "/", "-w", secret.parent, cmd=cmd,
                       stdin=directory).ok()
        assert steps(run) == dict.fromkeys(("up", "in", "make", "cwd"), "ok"), str(run)
    finally:
        os.close(directory)


def test_FS_17_opens_that_never_come_back(sandlock, attack):
    """One process waits in open for the other end of a FIFO, whose name is one that the supervisor
    looks at; another changes the FIFO, opens and connects meanwhile."""
    script = ("import os,socket,subprocess,sys\n"
              "os.mkfifo('ca.pem')\n"
              "p=subprocess.Popen([sys.executable,'-c','import os;print(1,flush=True);"
              "os.open(\"ca.pem\",os.O_RDONLY);print(2,flush=True)'],stdout=-1)\n"
              "assert p.stdout.readline()==b'1\\n'\n"
              "for i in range(50):\n"
              "    os.chmod('ca.pem', 0o600); os.utime('ca.pem'); open('/etc/hosts').close()\n"
              "    s=socket.socket(); s.connect_ex(('127.0.0.1', 1)); s.close()\n"
              "os.open('ca.pem', os.O_WRONLY); assert p.stdout.readline()==b'2\\n'; p.wait()\n"
              "print('served')\n")
    for options in ((), ("--http-allow=GET api.test/*",)):
        for entry in sandlock.work.iterdir():
            entry.unlink()
        assert sandlock(*options, cmd=["python3", "-c", script]).ok().out == "served\n"


def test_FS_22_denied_before_it_exists(sandlock):
    """Neither the command makes it, nor can it read what the host makes there later."""
    folder = sandlock.home / "folder"
    folder.mkdir()
    missing = folder / "missing"
    script = ("import errno,os,sys\n"
              "def t(f):\n"
              "    try: return f() and 'ok'\n"
              "    except OSError as e: return errno.errorcode[e.errno]\n"
              "print(t(lambda: os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)), flush=True)\n"
              "print(t(lambda: os.mkdir(sys.argv[1])), t(lambda: os.symlink('/', sys.argv[1])),"
              " t(lambda: os.rename('own', sys.argv[1])), flush=True)\n"
              "sys.stdin.readline()\n"
              "print(t(lambda: os.open(sys.argv[1], os.O_RDONLY)),"
              " t(lambda: os.open(sys.argv[2], os.O_RDONLY)), flush=True)\n")
    (sandlock.work / "own").write_text("")
    (folder / "beside").write_text("")
    for grants in (("-r", "/", "-w", sandlock.work), ()):
        running = sandlock.start(*grants, f"--fs-deny=?{missing}", stdin=subprocess.PIPE,
                                 cmd=["python3", "-c", script, missing, folder / "beside"])
        first, second = running.line(), running.line()
        assert first == "EACCES\n" and set(second.split()) <= REFUSED, second
        assert not missing.exists()
        missing.write_text("later")
        run = running.finish(data=b"\n").ok()
        assert run.out == "EACCES ok\n", str(run)
        missing.unlink()
    run = sandlock("-w", folder, f"--fs-deny=?{missing}", cmd=["true"])
    assert run.rc == 125 and "below the write grant" in run.err, str(run)
