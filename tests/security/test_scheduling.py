"""PROC-20: the turn that others get. Their priority, policy, processors, limits and group, by pid,
thread, group and user (docs/security-cases.md). What reaches our own processes is in test_proc.py."""

import os
import subprocess
from pathlib import Path

import pytest
from harness.paths import SANDLOCK
from harness.sandbox import stat_field
from harness.waiting import TIMEOUT, read_line

CHANGES = ("priority", "ioprio", "affinity", "attr", "scheduler", "param", "prlimit")
LOOKS = ("kcmp", "robust", "migrate_pages", "move_pages", "sched_core")
GROUP = ("group_priority", "group_ioprio")
HTTP = "--http-allow=GET api.test/*"

VICTIM = ("import sys,threading\n"
          "t=threading.Thread(target=sys.stdin.read); t.start()\n"
          "print(t.native_id, flush=True); t.join()\n")


class Victim:
    """A process of the same user and session with a second thread, which leads a group."""

    def __init__(self):
        self.process = subprocess.Popen(["python3", "-c", VICTIM], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=os.setpgrp)
        self.tid = int(read_line(self.process.stdout))
        self.pid = self.process.pid
        self.words = [self.pid, self.tid, self.pid]

    def looks(self):
        """All that the attack would change, as anybody can see it."""
        found = []
        for task in (f"{self.pid}", f"{self.pid}/task/{self.tid}"):
            cpus = [line for line in Path(f"/proc/{task}/status").read_text().splitlines()
                    if line.startswith("Cpus_allowed_list")]
            core = [line for line in Path(f"/proc/{task}/limits").read_text().splitlines()
                    if line.startswith("Max core")]
            found += [stat_field(task, 16), stat_field(task, 38), stat_field(task, 2), cpus, core]
        for tid in (self.pid, self.tid):
            found.append(subprocess.run(["ionice", "-p", str(tid)], capture_output=True, text=True,
                                        check=True, timeout=TIMEOUT).stdout)
        return found

    def end(self):
        self.process.communicate(timeout=TIMEOUT)


@pytest.fixture
def victim():
    made = Victim()
    yield made
    made.end()


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


@pytest.fixture
def bare(sandlock, attack):
    """The positive control: bare, each call changes or finds a victim of its own."""
    other = Victim()
    before = other.looks()
    answers = steps(sandlock.bare([attack("scheduling"), *other.words]).ok())
    after = other.looks()
    other.end()
    for call in (*CHANGES, *GROUP):
        assert answers[f"other.{call}"] == "ok", answers
    assert answers["other.join"] == "ok", answers
    assert all(answers[f"thread.{call}"] == "ok" for call in CHANGES), answers
    assert (after[0], after[5], after[1]) == ("18", "18", "3") and before[0] != "18", after
    assert after[10] != before[10] and after[11] != before[11], after
    assert after[4] != before[4], after
    return answers


@pytest.mark.parametrize("options", [(), ("--isolate-signals",), ("--deny-syscalls=",),
                                     ("-w", "/"), ("--allow-debug",), ("--cpu-cores=0",), (HTTP,)])
def test_PROC_20_processes_outside(sandlock, attack, victim, bare, options):
    before = victim.looks()
    run = sandlock(*options, cmd=[attack("scheduling"), *victim.words], env={"EVERYBODY": "1"}).ok()
    answers = steps(run)
    for call in (*CHANGES, *GROUP, "setpgid", "join"):
        assert answers[f"other.{call}"] == "EPERM", (call, answers)
    for call in CHANGES:
        assert answers[f"thread.{call}"] == "EPERM", (call, answers)
    for call in LOOKS:
        assert answers[f"other.{call}"] != "ok" or call == "sched_core" and \
            bare[f"other.{call}"] != "ok", (call, answers)
    assert answers["user.priority"] == answers["user.ioprio"] == "EPERM", answers
    assert victim.looks() == before
    for call in (*CHANGES, *GROUP, "setpgid", "join"):
        assert answers[f"own.{call}"] == "ok", (call, answers)
    for call in CHANGES:
        assert answers[f"self.{call}"] == "ok", (call, answers)
    for call in LOOKS:
        assert answers[f"own.{call}"] == bare[f"own.{call}"], (call, answers)


def test_PROC_20_without_a_supervisor_numbers_are_refused(sandlock, attack, victim, bare):
    """Nobody can say whose a number is; what means the caller itself works."""
    before = victim.looks()
    run = sandlock("-r", "/", "--no-supervisor", cmd=[attack("scheduling"), *victim.words],
                   audit=False, status=False).ok()
    answers = steps(run)
    for call in CHANGES:
        assert answers[f"other.{call}"] == answers[f"thread.{call}"] == "EPERM", answers
        assert answers[f"own.{call}"] == "EPERM", answers
        assert answers[f"self.{call}"] == "ok", answers
    for call in (*GROUP, *LOOKS):
        assert answers[f"other.{call}"] != "ok", answers
    assert victim.looks() == before


LEADERLESS = """
import ctypes, os, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
go_r, go_w = os.pipe()
leader = subprocess.Popen(["sh", "-c", '"$@" <&3 & exit', "sh", *sys.argv[1:]],
                          start_new_session=True, pass_fds=(go_r,), preexec_fn=lambda: os.dup2(go_r, 3))
leader.wait()  # gone, not only dead: nobody has its number
os.write(go_w, b"go\\n")
os.close(go_w)
os.close(go_r)
os.wait()  # for the run, which is ours since its parent ended
"""


def test_PROC_20_a_group_whose_leader_has_ended(sandlock):
    """Nobody can tell whose such a group was: it is refused as what it may be."""
    script = ("import os\n"
              "input()\n"
              "try: os.setpriority(os.PRIO_PGRP, 0, 9); print('changed')\n"
              "except OSError as e: print(e.strerror)\n")
    command = ["python3", "-c", script]
    for words, told in ((command, "changed"),
                        ([SANDLOCK, "run", "--", *command], "Operation not permitted")):
        done = subprocess.run(["python3", "-c", LEADERLESS, *words], capture_output=True, text=True,
                              timeout=TIMEOUT, cwd=sandlock.work, stdin=subprocess.DEVNULL)
        assert done.stdout == f"{told}\n", done.stdout + done.stderr


def test_PROC_20_our_own_group_and_the_callers(sandlock, victim):
    """The command is in its caller's group, whose members outside keep their turn."""
    script = ("import os\n"
              "for which in (os.PRIO_PGRP, os.PRIO_USER):\n"
              "    try: os.setpriority(which, 0, 9); print('changed')\n"
              "    except PermissionError: print('refused')\n")
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert sandlock(cmd=["python3", "-c", script]).ok().out == "refused\nrefused\n"
    assert os.getpriority(os.PRIO_PROCESS, 0) == mine
