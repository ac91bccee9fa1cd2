"""PROC-06 where a number is not what it was, or cannot be looked up: signals to numbers that nobody has
yet, or that somebody has given up, and a supervisor without descriptors."""

import re
import subprocess
from pathlib import Path

from harness.sandbox import Roles

FILES = 320  # descriptors that the engine may have
OPEN = ("-r/", "-w/tmp")  # no isolation of signals
NET = "--net-allow=127.0.0.1:9"  # messages are sent on behalf
CALLS = ("kill", "tkill", "tgkill", "sigqueue")


def steps(lines):
    return dict(line.split() for line in lines if line.count(" ") == 1)


def threads(pid):
    return sorted(int(p.name) for p in Path(f"/proc/{pid}/task").iterdir())


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
    used = len(list(Path(f"/proc/{roles.engine}/fd").iterdir()))
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
