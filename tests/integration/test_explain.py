"""What a run tells of files and programs that were refused: with --explain and `sandlock why` each,
without them those of the calls that are judged anyway."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
from harness import paths
from harness.sandbox import clean_environment
from harness.waiting import TIMEOUT

SYSTEM = ("-r", "/usr", "-r", "/bin", "-r", "?/lib", "-r", "?/lib64", "-r", "/etc", "-r", "/proc",
          "-r", "/dev", "-r", "/sys", "-r", os.path.realpath(sys.prefix),
          "-r", os.path.realpath(sys.base_prefix))
PYTHON = os.path.realpath(sys.executable)


def told(run):
    """The lines of the summary, without what each begins with."""
    head = "sandlock:   "
    return [line[len(head):] for line in run.err.splitlines() if line.startswith(head)]


def files(run):
    """(what was wanted, path) of each denial in the audit log."""
    return [(a["sandlock.access"], a["file.path"]) for a in run.denies()
            if a["sandlock.kind"] == "file"]


@pytest.fixture
def outside(sandlock):
    """A directory that nothing grants, with a file, a program and a directory."""
    top = sandlock.tmp / "outside"
    (top / "dir").mkdir(parents=True)
    (top / "file").write_text("data\n")
    (top / "tool").write_text("#!/bin/sh\necho ran\n")
    (top / "tool").chmod(0o755)
    return top


@pytest.fixture
def explain(sandlock):
    def start(*options, cmd, **kw):
        return sandlock("--explain", *SYSTEM, "-w", sandlock.work, *options, cmd=cmd, **kw)
    return start


def test_what_works_is_no_denial(sandlock, explain):
    """sh, python and git do their work, look for much that is not there, and nothing is named."""
    script = ("set -e; echo 1 > a; cat a; mkdir d; mv a d/b; ln d/b c; ln -s d e; cat e/b; rm -r d c e;"
              f"{PYTHON} -c 'import json, ssl, sqlite3, tempfile; print(2)';"
              "test ! -e /nowhere/at/all; cat /nowhere 2>/dev/null || echo 3")
    if shutil.which("git"):
        script += ("; git init -q r; cd r; git config user.email a@b; git config user.name c; echo x > x;"
                   "git add x; git commit -qm one; git log --oneline | wc -l")
    bare = sandlock.bare(["sh", "-c", script]).ok()
    shutil.rmtree(sandlock.work / "r", ignore_errors=True)
    run = explain(cmd=["sh", "-c", script]).ok()
    assert run.out == bare.out
    assert run.denies() == [] and run.status["denied"] == 0, str(run)
    assert run.err.endswith("sandlock: nothing was denied\n"), str(run)


@pytest.mark.parametrize("words, access, below, flag, grant", [
    ("cat TOP/file", "read", "file", "-r", "file"),
    ("ls TOP/dir", "list", "dir", "-r", "dir"),
    ("TOP/tool", "execute", "tool", "-r", "tool"),
    ("echo x >> TOP/file", "write", "file", "-w", "file"),
    ("echo x > TOP/new", "create", "new", "-w", ""),
    ("mkdir TOP/new", "create", "new", "-w", ""),
    ("ln -s x TOP/new", "create", "new", "-w", ""),
    ("mkfifo TOP/new", "create", "new", "-w", ""),
    ("unlink TOP/file", "remove", "file", "-w", ""),
    ("rmdir TOP/dir", "remove", "dir", "-w", ""),
    ("mv -T TOP/dir TOP/other", "remove", "dir", "-w", ""),
])
def test_each_is_named_with_its_flag(sandlock, explain, outside, words, access, below, flag, grant):
    """Bare it works; refused it is in summary and audit; with the flag of the summary it works."""
    def reset():
        for made in (outside / "new", outside / "other"):
            if made.is_dir() and not made.is_symlink():
                made.rmdir()
            made.unlink(missing_ok=True)
        (outside / "dir").mkdir(exist_ok=True)
        (outside / "file").write_text("data\n")

    cmd = ["sh", "-c", words.replace("TOP", str(outside))]
    sandlock.bare(cmd).ok()
    reset()
    run = explain(cmd=cmd)
    assert run.rc != 0 and files(run) == [(access, str(outside / below))], str(run)
    line = run.denies()[0]
    assert line["process.pid"] > 1 and line["process.executable.path"].startswith("/")
    assert line["sandlock.reason"] == "no_rule"
    wanted = f"{flag} '{outside / grant}'"
    assert told(run) == [f"{access} {outside / below}:  {wanted}"], str(run)
    assert run.status["denied"] == 1
    reset()
    explain(flag, outside / grant, cmd=cmd).ok()


def test_paths_are_named_as_they_can_be_granted(sandlock, explain, outside):
    """Relative, over links, by descriptor: the one absolute path."""
    (sandlock.work / "link").symlink_to("../outside/file")
    (sandlock.work / "there").symlink_to(outside)
    cmd = [PYTHON, "-c", """
import os, sys
top = os.open('../outside', os.O_PATH)
for open_it in (lambda: open('../outside/file'), lambda: open('link'), lambda: open('there/./file'),
                lambda: os.open('file', os.O_RDONLY, dir_fd=top),
                lambda: open('/proc/self/cwd/link'), lambda: open(f'/proc/self/fd/{top}/file')):
    try: open_it(); print('open')
    except PermissionError: print('refused')
"""]
    assert sandlock.bare(cmd).out == "open\n" * 6
    run = explain(cmd=cmd).ok()
    assert run.out == "refused\n" * 6
    assert files(run) == [("read", str(outside / "file"))] * 6, str(run)
    assert told(run) == [f"read {outside / 'file'} (6 times):  -r '{outside / 'file'}'"]


def test_what_is_not_the_sandboxs_is_not_named(sandlock, explain, outside):
    """Missing files, wrong kinds, and what this user may not do outside either."""
    closed = outside / "closed"
    closed.write_text("x")
    closed.chmod(0)
    locked = outside / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    cmd = [PYTHON, "-c", """
import os, sys
top = sys.argv[1]
def attempt(call, *args):
    try: call(*args); print('done')
    except OSError as e: print(type(e).__name__)
attempt(open, top + '/nowhere')
attempt(open, top + '/nowhere/file', 'w')
attempt(open, top + '/file/x')
attempt(os.mkdir, top + '/dir')
attempt(os.unlink, top + '/nowhere')
attempt(os.rmdir, top)
attempt(os.execv, top + '/nowhere', ['x'])
attempt(open, top + '/closed')
attempt(open, top + '/locked/new', 'w')
attempt(os.execv, top + '/file', ['x'])
""", outside]
    run = explain(cmd=cmd).ok()
    assert "done" not in run.out and run.out.count("PermissionError") >= 3, str(run)
    assert files(run) == [], str(run)
    if os.geteuid() != 0:  # for whom mode bits are nothing
        bare = sandlock.bare(cmd)
        assert "done" not in bare.out and bare.out.count("PermissionError") == 3, str(bare)


def test_a_thousand_opens_are_one_line(explain, outside):
    run = explain(cmd=[PYTHON, "-c", """
import sys
for i in range(1000):
    try: open(sys.argv[1])
    except PermissionError: pass
""", outside / "file"]).ok()
    assert told(run) == [f"read {outside / 'file'} (1000 times):  -r '{outside / 'file'}'"]
    assert len(files(run)) == run.status["denied"] == 1000


def test_many_files_of_a_directory_are_one_line(explain, outside):
    for i in range(40):
        (outside / "dir" / f"f{i}").write_text("x")
    run = explain(cmd=["sh", "-c", 'for f; do cat "$f"; done', "sh",
                       *sorted((outside / "dir").iterdir())])
    assert told(run) == [f"read {outside / 'dir'} (40 files):  -r '{outside / 'dir'}'"], str(run)
    explain("-r", outside / "dir", cmd=["sh", "-c", 'cat "$@"', "sh",
                                        *(outside / "dir").iterdir()]).ok()


def test_the_interpreter_is_named(sandlock, explain, outside):
    """What the kernel opens to start a program is no call of anybody's."""
    script = sandlock.work / "script"
    script.write_text(f"#!{outside / 'tool'}\n")
    script.chmod(0o755)
    assert sandlock.bare([script]).ok().out == "ran\n"
    run = explain(cmd=["sh", "-c", str(script)])
    assert run.rc != 0 and ("execute", str(outside / "tool")) in files(run), str(run)
    explain("-r", outside / "tool", cmd=["sh", "-c", str(script)]).ok()


def test_the_command_itself_is_named(sandlock, explain, outside):
    assert sandlock.bare([outside / "tool"]).ok().out == "ran\n"
    run = explain(cmd=[outside / "tool"])
    assert run.rc == 126
    assert told(run) == [f"execute {outside / 'tool'}:  -r '{outside / 'tool'}'"], str(run)


def test_secrets_are_called_so_and_never_widened(sandlock):
    """The default view hides them; and says what a flag does to it."""
    ssh = sandlock.home / ".ssh"
    ssh.mkdir()
    for i in range(7):
        (ssh / f"key{i}").write_text("x")
    cmd = ["sh", "-c", 'cat ~/.ssh/* 2>/dev/null; for i in 0 1 2 3 4 5 6; do cat ~/.ssh/key$i; done']
    assert sandlock.bare(cmd).ok().out == "x" * 14
    run = sandlock("--explain", cmd=cmd)
    assert run.out == "" and {p for _, p in files(run)} == {str(ssh / f"key{i}") for i in range(7)}
    lines = told(run)
    assert lines[0] == f"read {ssh} (7 files):  -r '{ssh}'  (a well-known secret)", str(run)
    assert "replaces the default view" in lines[1] and len(lines) == 2


def test_the_flag_of_any_name_can_be_pasted(sandlock, explain, outside):
    """Nothing that a terminal obeys is shown, and a shell understands it."""
    odd = outside / "\u00fc'\\ \x1b[2J"
    odd.write_text("odd\n")
    run = explain(cmd=["cat", odd])
    line, = told(run)
    assert "\x1b" not in line and line.isascii(), str(run)
    words = subprocess.run(["bash", "-c", f"printf %s {line.split(':  ')[1]}"], capture_output=True,
                           timeout=TIMEOUT).stdout
    assert words == b"-r" + os.fsencode(odd)
    assert explain("-r", odd, cmd=["cat", odd]).ok().out == "odd\n"


def test_a_socket_where_nothing_may_be_made(sandlock, explain, outside):
    at = outside / "socket"
    cmd = [PYTHON, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", at]
    sandlock.bare(cmd).ok()
    at.unlink()
    run = explain(cmd=cmd)
    assert run.rc == 1 and told(run) == [f"create {at}:  -w '{outside}'"], str(run)
    explain("-w", outside, cmd=cmd).ok()


def test_a_deny_rule_is_no_suggestion(sandlock, outside):
    cmd = ["cat", outside / "file"]
    sandlock.bare(cmd).ok()
    run = sandlock("--explain", "-r", "/", "--fs-deny", outside, cmd=cmd)
    assert run.denies()[0]["sandlock.reason"] == "denied_by_rule"
    assert run.denies()[0]["sandlock.rule"] == "fs_denied"
    assert told(run) == [f"read {outside / 'file'}"], str(run)


def test_why_always_says_what_it_found(sandlock, outside):
    """The same as `run --explain`, whatever --quiet says."""
    def why(*words):
        return subprocess.run([*sandlock.place, str(paths.SANDLOCK), *words], capture_output=True,
                              text=True, cwd=sandlock.work, stdin=subprocess.DEVNULL,
                              env=clean_environment(sandlock.home), timeout=TIMEOUT)
    assert why("run", "--explain", "--quiet", *SYSTEM, "--", "true").stderr == ""
    assert why("why", "--quiet", *SYSTEM, "--", "true").stderr == "sandlock: nothing was denied\n"
    done = why("why", *SYSTEM, "--", "cat", str(outside / "file"))
    assert done.returncode == 1 and f"-r '{outside / 'file'}'" in done.stderr
    assert why("why", "--help").stdout.startswith("usage: sandlock why")
    done = why("run", "--explain", "--no-supervisor", "-r", "/", "--", "true")
    assert done.returncode == 2 and "--explain" in done.stderr


def test_judged_calls_are_told_without_it(sandlock, outside):
    """access(2), modes, times, watches: what the supervisor refuses is in summary and audit."""
    watch = ("import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True);"
             "sys.exit(libc.inotify_add_watch(libc.inotify_init(), os.fsencode(sys.argv[1]), 2) < 0)")
    cases = [(["test", "-r", outside / "file"], "read", "file"),
             (["test", "-w", outside / "dir"], "write", "dir"),
             (["chmod", "600", outside / "file"], "change", "file"),
             (["touch", "-c", "-d", "2001-01-01", outside / "dir"], "change", "dir"),
             ([PYTHON, "-c", watch, outside / "file"], "watch", "file")]
    for cmd, access, below in cases:
        sandlock.bare(cmd).ok()
        run = sandlock(*SYSTEM, "-w", sandlock.work, cmd=cmd)
        flag = "-r" if access in ("read", "watch") else "-w"
        assert run.rc == 1 and (access, str(outside / below)) in files(run), str(run)
        assert f":  {flag} '{outside / below}'" in "".join(told(run)), str(run)
        assert run.status["denied"] >= 1
        sandlock(*SYSTEM, "-w", sandlock.work, flag, outside / below, cmd=cmd).ok()
    run = sandlock(*SYSTEM, cmd=["cat", outside / "file"])
    assert run.rc == 1 and run.denies() == [] and told(run) == []  # Landlock's own


def test_a_refused_socket_is_in_summary_and_audit(sandlock):
    """And one that its own mode keeps from this user is not."""
    server = socket.socket(socket.AF_UNIX)
    at = sandlock.work / "socket"
    server.bind(str(at))
    server.listen(5)
    cmd = [PYTHON, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", at]
    sandlock.bare(cmd).ok()
    options = (*SYSTEM, "-w", sandlock.work)
    for more in ((), ("--explain",)):
        run = sandlock(*options, *more, cmd=cmd)
        deny, = run.denies()
        assert (deny["network.transport"], deny["server.address"]) == ("unix", str(at)), str(run)
        line, = told(run)
        assert line.startswith(f"unix:{at}"), str(run)
        assert line.endswith(f":  --net-allow 'unix:{at}'"), str(run)
    sandlock(*options, f"--net-allow=unix:{at}", cmd=cmd).ok()
    at.chmod(0o400)
    run = sandlock(*options, cmd=cmd)
    assert run.rc == 1 and run.denies() == [] and told(run) == [], str(run)


def test_a_refused_abstract_socket_is_told(sandlock):
    """The flag is named where it is the default view that isolates; and nobody, where nobody listens."""
    name = f"sandlock-test-{os.getpid()}-{os.urandom(4).hex()}"
    connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])"
    cmd = [PYTHON, "-c", connect, name]
    run = sandlock(cmd=cmd)
    assert run.rc == 1 and run.denies() == [] and told(run) == [], str(run)
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0" + name)
    server.listen(5)
    sandlock.bare(cmd).ok()
    run = sandlock(cmd=cmd)
    assert run.rc == 1 and [d["server.address"] for d in run.denies()] == ["@" + name], str(run)
    line, = told(run)
    assert line.startswith(f"unix:@{name}") and line.endswith(":  --isolate-ipc=false"), str(run)
    sandlock("--isolate-ipc=false", cmd=cmd).ok()
    for options, rule in ((("--isolate-ipc",), "isolate_ipc"), (("--net-allow=192.0.2.1",), "net_allow")):
        run = sandlock(*options, cmd=cmd)
        line, = told(run)
        assert run.denies()[0]["sandlock.rule"] == rule, str(run)
        assert line.startswith(f"unix:@{name}") and ":  --" not in line, str(run)


RACE = r"""
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
a, b = (os.fsencode(p) for p in sys.argv[2:])
path = ctypes.create_string_buffer(a, max(len(a), len(b)) + 1)
seen, over = set(), threading.Event()
def flip():
    while not over.is_set():
        path.raw = b + b'\0'; os.sched_yield(); path.raw = a + b'\0'; os.sched_yield()
threading.Thread(target=flip).start()
for turn in range(int(sys.argv[1])):
    fd = libc.open(path, 0)
    if fd >= 0: seen.add(os.read(fd, 9)); os.close(fd)
    if len(seen) == 2: break
over.set()
print(sorted(seen))
"""


def test_it_grants_nothing_to_a_path_that_changes_meanwhile(sandlock, explain, outside):
    """What was looked at is not what the kernel reads again: Landlock judges that."""
    (sandlock.work / "granted").write_text("granted")
    names = [sandlock.work / "granted", outside / "file"]
    assert sandlock.bare([PYTHON, "-c", RACE, 1000000, *names]).ok().out == "[b'data\\n', b'granted']\n"
    run = explain(cmd=[PYTHON, "-c", RACE, 4000, *names]).ok()
    assert run.out == "[b'granted']\n", str(run)


def test_beside_other_features(sandlock, outside):
    """What a feature answers itself is nobody's refusal, and what it leaves is still told."""
    cmd = ["sh", "-c", f"cat /proc/self/comm /proc/meminfo /etc/hostname >/dev/null && ls / >/dev/null;"
           f"cat {outside / 'file'}"]
    run = sandlock("--explain", "-r", "/", "--fs-deny", outside, "--isolate-pids", "--hostname=box",
                   "--num-cpus=1", "--max-memory=512M", "--random-seed=7", "--deterministic-dirs",
                   "--time-start=0", "--http-allow=GET a.test/*", cmd=cmd)
    assert files(run) == [("read", str(outside / "file"))], str(run)
    run = sandlock("--explain", *SYSTEM, "--allow-syscalls=write,clone,wait4,vfork,rt_sigaction,mkdir,"
                   "getcwd,getpid,getuid,geteuid,getgid,getegid,getppid,ioctl,fadvise64,statfs,lseek",
                   cmd=["mkdir", outside / "new"])
    assert files(run) == [("create", str(outside / "new"))], str(run)
