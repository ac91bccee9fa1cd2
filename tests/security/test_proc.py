"""PROC: signals, limits and scheduling aimed at our own processes; relatives that try to outlive
the run (docs/security-cases.md)."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import netns
from harness.orphans import Orphans
from harness.sandbox import Roles, roles_with_gateway
from harness.waiting import TIMEOUT, read_line

pytestmark = pytest.mark.netns

GOOD, PORT = netns.PUBLIC[12], 7200
HTTP = "--http-allow=GET api.test/*"
SIGNALS = ("kill", "tkill", "tgkill", "sigqueue", "tgsigqueue", "pidfd", "setown")
LIMITS = ("prlimit",)
SCHEDULING = ("scheduler", "sched_param", "affinity", "priority", "ioprio")
OWNERS_IN_MEMORY = ("setown_ex", "fiosetown", "siocspgrp")  # refused whoever they name


def steps(run):
    return dict(line.split() for line in run.out.splitlines() if line.count(" ") == 1)


def sched(pid):
    """What the attack would have changed."""
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    cpu = Path(f"/proc/{pid}/limits").read_text().splitlines()[1]
    assert cpu.startswith("Max cpu time")
    return (stat[16], stat[38], sorted(os.sched_getaffinity(pid)), cpu)  # nice, policy


class Bystander:
    """A process of the same user that counts what it hears."""

    def __init__(self, attack):
        self.process = subprocess.Popen([attack("proc"), "watch"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert read_line(self.process.stdout) == "ready ok\n"
        self.pid = self.process.pid

    def heard(self):
        out, _ = self.process.communicate(timeout=TIMEOUT)
        return int(out.split()[1])


@pytest.fixture
def bystander(attack):
    return Bystander(attack)


def attack_ours(sandlock, attack, *options, also=()):
    """Everything against guardian, engine and gateway, while the run goes on; what came of it."""
    running = sandlock.start(HTTP, *options, cmd=[attack("proc"), "signals"], stdin=-1)
    assert running.line() == "ready ok\n"
    roles = roles_with_gateway(running)
    ours = {"guardian": roles.guardian, "engine": roles.engine, "gateway": roles.gateway}
    before = {who: sched(pid) for who, pid in ours.items()}
    pids = "".join(f"{who} {pid}\n" for who, pid in (*ours.items(), *also))
    running.process.stdin.write(pids.encode())
    running.process.stdin.flush()
    names = [*ours, *(who for who, _ in also)]
    last = f"{names[-1]}.ioprio"
    lines = []
    while not lines or not lines[-1].startswith(last):
        lines.append(running.line())
    assert {who: sched(pid) for who, pid in ours.items()} == before
    run = running.finish(data=b"").ok()
    return steps(run) | dict(line.split() for line in lines)


def test_PROC_06_and_07_calls_that_name_our_processes(sandlock, attack, bystander):
    """Refused for ours, whatever the call; within the tree they work. Bare, on anybody."""
    bare = sandlock.bare([attack("proc"), "signals"], data=f"other {bystander.pid}\n".encode()).ok()
    for call in (*SIGNALS, *LIMITS, *SCHEDULING, *OWNERS_IN_MEMORY):
        assert steps(bare)[f"other.{call}"] == "ok", str(bare)
    assert bystander.heard() >= 1
    answers = attack_ours(sandlock, attack)
    for who in ("guardian", "engine", "gateway"):
        for call in (*SIGNALS, *LIMITS, *SCHEDULING, *OWNERS_IN_MEMORY):
            assert answers[f"{who}.{call}"] == "EPERM", (who, call, answers)
    for call in (*SIGNALS, *SCHEDULING):
        assert answers[f"own.{call}"] == "ok", (call, answers)


def test_PROC_06_bystanders_under_isolate_signals(sandlock, attack):
    """Other processes of the user: out of reach in the default view, and else with
    --isolate-signals; in reach, as documented, where neither is."""
    heard = {}
    isolated = {(): True, ("--isolate-signals=false",): False, ("-r/", "-w/tmp"): False,
                ("-r/", "-w/tmp", "--isolate-signals"): True}
    for options, closed in isolated.items():
        other = Bystander(attack)
        answers = attack_ours(sandlock, attack, *options, also=(("other", other.pid),))
        for call in ("kill", "tkill", "tgkill", "sigqueue", "tgsigqueue", "pidfd"):
            assert answers[f"other.{call}"] == ("EPERM" if closed else "ok"), (call, answers)
            assert answers[f"own.{call}"] == "ok", (call, answers)
        assert answers["other.prlimit"] == "EPERM", answers
        heard[options] = other.heard()
    assert all((heard[o] == 0) == closed for o, closed in isolated.items()), heard


@pytest.mark.parametrize("options", [(), ("--isolate-signals",), (HTTP,)])
def test_PROC_06_to_everybody_and_to_groups(sandlock, attack, bystander, options):
    """kill(-1), kill(0) and the guardian's group: the members of the tree hear it, nobody else. The
    guardian would pass on what it hears, and the first process count twice."""
    run = sandlock(*options, cmd=[attack("proc"), "broadcast", os.getpgid(0)]).ok()
    answers = steps(run)
    assert answers["everybody"] == "ok" and answers["group"] == "ok", str(run)
    assert answers["child"] == "0", str(run)
    assert bystander.heard() == 0


@pytest.mark.parametrize("options", [(), (HTTP,)])
def test_PROC_11_and_12_the_first_process_ends_and_relatives_go_on(sandlock, outside, attack,
                                                                    options):
    """Double forks, sessions, CLONE_PARENT, vfork, ignored SIGTERM: the run ends with the first
    process, with its code, and nobody is left. Until then they are as confined as it was."""
    denied = outside.witness(GOOD, PORT)
    words = [attack("proc"), "family", GOOD, PORT] if options else \
        [attack("proc"), "family", "203.0.113.250", "1"]
    with Orphans() as orphans:
        assert sandlock.bare([attack("net"), "connect", GOOD, PORT]).rc == 0
        bare = subprocess.Popen([str(w) for w in words], stdout=subprocess.DEVNULL)
        bare.wait(TIMEOUT)
        assert orphans.end() >= 5  # outside they live on
    before = len(denied.received())
    with Orphans() as orphans:
        run = sandlock(*options, cmd=words, audit=False)
        assert orphans.left() == []
    assert run.rc == 7 and run.status["reason"] == "exited", str(run)
    assert len(denied.received()) == before


def test_PROC_11_a_time_limit_ends_them_all(sandlock, attack):
    with Orphans() as orphans:
        run = sandlock("-t", "0.3", cmd=["sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & "
                                         "(setsid sh -c 'trap \"\" TERM; sleep 1000 & wait' &) ; "
                                         "sleep 1000"], audit=False)
        assert orphans.left() == []
    assert run.rc == 124 and run.status["reason"] == "timeout", str(run)


def test_SUP_01_no_trapped_call_succeeds_without_the_engine(sandlock, outside, attack):
    """The guardian is stopped, so that nobody ends the tree: a relative that left the session asks
    on, gets ENOSYS for an address that is allowed, and nothing arrives. Then the guardian goes on,
    and it is gone.

    The group is the run's own: when an engine dies beside a stopped guardian, the kernel hangs up the
    whole group (setpgid(2), orphaned process groups), and that must not be the test runner's."""
    allowed = outside.witness(GOOD, PORT)
    with Orphans() as orphans:
        running = sandlock.start(f"--net-allow={GOOD}:{PORT}", audit=False, own_group=True,
                                 cmd=[attack("proc"), "hammer", GOOD, PORT])
        assert running.line() == "connect ok\n"
        roles = Roles(running.pid)
        os.kill(roles.guardian, signal.SIGSTOP)
        os.kill(roles.engine, signal.SIGKILL)
        while (line := running.line()) != "connect ENOSYS\n":
            assert line in ("same ok\n", "connect ok\n", "connect EINTR\n"), line
        reached = len(allowed.received())
        assert reached > 0 and running.line() == "same ENOSYS\n"
        assert len(allowed.received()) == reached
        os.kill(roles.guardian, signal.SIGCONT)
        run = running.finish()
        assert orphans.left() == []
    assert run.rc == 125, str(run)
