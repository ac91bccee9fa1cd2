"""PROC-06 where a number is not what it was, or cannot be looked up: signals to numbers that nobody has
yet, or that somebody has given up, and a supervisor without descriptors."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness.paths import SANDLOCK
from harness.sandbox import Roles
from harness.waiting import TIMEOUT

ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--ipc", "--")
FILES = 320  # descriptors that the engine may have
OPEN = ("-r/", "-w/tmp")  # no isolation of signals
NET = "--net-allow=127.0.0.1:9"  # messages are sent on behalf
CALLS = ("kill", "tkill", "tgkill", "sigqueue")


def steps(lines):
    return dict(line.split() for line in lines if line.count(" ") == 1)


def threads(pid):
    return sorted(int(p.name) for p in Path(f"/proc/{pid}/task").iterdir())


def descriptors(pid):
    """How many it has; 0 where that is not told (proc(5): it is not dumpable)."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return 0


def test_PROC_06_a_supervisor_short_of_descriptors(sandlock, attack):
    """Calls that wait hold descriptors of the engine's. They leave it enough to look up whom a number
    means; and whoever is not looked up is out of reach."""
    program = attack("descriptors")
    with subprocess.Popen(["sleep", "1000"]) as other:
        bare = sandlock.bare(["sh", "-c", f"ulimit -n {FILES}; echo 'other {other.pid}' | {program}"])
        told = steps(bare.out.splitlines())
        assert [told[f"other.{call}"] for call in CALLS] == ["ok"] * 4, str(bare)
        other.kill()
    running = sandlock.start(*OPEN, NET, cmd=[program], stdin=subprocess.PIPE,
                             wrap=("prlimit", f"--nofile={FILES}:{FILES}"))
    told = running.line().split()
    assert told[0] == "waiting" and int(told[1]) > 0, told
    roles = Roles(running.pid)
    used = descriptors(roles.engine)
    assert used <= FILES * 7 // 8, used  # three quarters by what was fetched, and a few of its own
    ours = {"engine": roles.engine, "guardian": roles.guardian}
    ours |= {f"thread{i}": tid for i, tid in enumerate(threads(roles.engine)[1:])}
    text = "".join(f"{who} {pid}\n" for who, pid in ours.items())
    run = running.finish(data=text.encode()).ok()
    answers = steps(run.out.splitlines())
    for who in ours:
        for call in CALLS:
            wanted = ("ESRCH", "EPERM") if call == "tgkill" else ("EPERM",)  # a thread leads none
            assert answers[f"{who}.{call}"] in wanted, (who, call, answers)


def unused():
    """A number that nobody has, and the last to be given out."""
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    return next(n for n in range(most - 1, 0, -1) if not Path(f"/proc/{n}").exists())


SENDS = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
def kill(pid, sig):
    return "ok" if libc.kill(pid, sig) == 0 else os.strerror(ctypes.get_errno())
print("nobody", kill(%d, signal.SIGKILL))
child = os.fork()
if child == 0:
    signal.pause()
print("child", child, kill(child, signal.SIGKILL))
assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
print("gone", kill(child, signal.SIGKILL))
print("self", os.getpid(), kill(os.getpid(), 0))
"""


def test_PROC_06_a_number_does_not_go_on(sandlock):
    """Who is left to run on can wait until the number is a thread's of ours: what is nobody's is answered
    at once, and what is another's is sent by the engine. Of a call, the trace tells which it was."""
    nobody = unused()
    words = ["python3", "-c", SENDS % nobody]
    plain = re.sub(r" [0-9]+ ", " ", sandlock.bare(words).ok().out)
    run = sandlock(*OPEN, env={"SANDLOCK_TRACE": "call"}, cmd=words).ok()
    assert re.sub(r" [0-9]+ ", " ", run.out) == plain == \
        "nobody No such process\nchild ok\ngone No such process\nself ok\n", str(run)
    child, own = (int(re.search(rf"^{who} ([0-9]+) ", run.out, re.M)[1]) for who in ("child", "self"))
    answers = {}
    for pid, end in re.findall(r" kill\(([0-9a-f]+), [^)]*\): (.*)", run.err):
        answers.setdefault(int(pid, 16), []).append(end)
    assert answers[nobody] == ["ESRCH"], answers
    assert answers[child] == ["returns 0", "ESRCH"], answers
    assert answers[own] == ["continues"], answers


@pytest.fixture
def alone():
    """In a pid namespace of its own the next number can be chosen, and nobody else has one."""
    if os.geteuid() != 0:
        pytest.skip("only root can have a pid namespace in which it chooses the next number")
    return ALONE


# Reads lines "PID ID": the next child is to have this number; it says what it finds in the segment.
READS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
print("ready", flush=True)
for line in sys.stdin:
    number, segment = map(int, line.split())
    child = os.fork()
    if child == 0:
        at = libc.shmat(segment, None, 0)
        found = os.strerror(ctypes.get_errno()) if at == 2**64 - 1 else ctypes.string_at(at).decode()
        print(found if os.getpid() == number else "missed", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""

# A segment whose maker has ended, and a reader that gets its number.
HANDS_ON = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
r, w = os.pipe()
maker = os.fork()
if maker == 0:
    segment = libc.shmget(0, 4096, 0o1600)
    ctypes.memmove(libc.shmat(segment, None, 0), b"secret", 7)
    os.write(w, str(segment).encode())
    os._exit(0)
os.waitpid(maker, 0)
segment = int(os.read(r, 16))
reader = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert reader.stdout.readline() == "ready\\n"
found = "missed"
for turn in range(100):
    with open("/proc/sys/kernel/ns_last_pid", "w") as f:
        f.write(str(maker - 1))
    reader.stdin.write(f"{maker} {segment}\\n")
    reader.stdin.flush()
    found = reader.stdout.readline().strip()
    if found != "missed":
        break
reader.stdin.close()
reader.wait()
print(found)
"""


def test_PROC_14_a_segment_whose_makers_number_is_the_trees_now(sandlock, alone):
    """Bare it can be read by whoever comes; inside, not by whoever has got its maker's number either."""
    told = {}
    for isolated, words in ((False, []), (True, [SANDLOCK, "run", *OPEN, "--isolate-ipc", "--"])):
        run = subprocess.run([*alone, "python3", "-c", HANDS_ON, *map(str, words), "python3", "-c", READS],
                             capture_output=True, text=True, timeout=TIMEOUT, cwd=sandlock.work,
                             stdin=subprocess.DEVNULL)
        assert run.returncode == 0, run.stderr
        told[isolated] = run.stdout
    assert told == {False: "secret\n", True: "Permission denied\n"}, told
