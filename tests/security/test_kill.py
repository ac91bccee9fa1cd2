"""SIGKILL at any moment, 200 times: no survivor, no leaked file or socket, the right exit code, and
never an open network.

The moment is the n-th answered request, or the birth of the victim, plus a random number of turns
of a loop; a seed makes it the same each time. Killing guardian and engine both is not among it:
then PDEATHSIG ends the first process, and what other processes of the tree are left can make no
trapped call (test_proc.py, SUP-01)."""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from harness.orphans import Orphans, children
from harness.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.netns

SEED = 20260
EXIT = {"guardian": -signal.SIGKILL, "engine": 125, "gateway": 125, "child": 137}
LISTENING = "0A"


def comm(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def roles(guardian):
    """What there is of a run by now. The engine's children keep its name until they have become
    what they are to be: "newborn"."""
    found = {"guardian": guardian}
    for engine in children(guardian)[:1]:
        found["engine"] = engine
        for pid in children(engine):
            name = comm(pid)
            if name:
                kind = "gateway" if name.startswith("sandlock-gatewa") else \
                    "child" if name.startswith("kill_load") else "newborn"
                found.setdefault(kind, pid)
    return found


def find(run, victim):
    """The victim's pid; None when the run, or the time of newborns, was over before."""
    def look():
        if run.process.poll() is not None:
            return (None,)
        found = roles(run.pid)
        if victim in found:
            return (found[victim],)
        late = victim == "newborn" and "gateway" in found and "child" in found
        return (None,) if late else ()

    return wait_until(victim, look, pause=0)[0]


def sockets():
    """What listens, and every datagram socket, of this network namespace."""
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if name.startswith("udp") or words[3] == LISTENING:
                found.append((name, words[1]))
    return sorted(found)


class Scene:
    """One server that is allowed, one that is not, and runs to be killed."""

    def __init__(self, sandlock, outside, attack):
        self.box, self.load = sandlock, attack("kill_load")
        self.server = outside.api()
        self.denied = outside.witness()
        self.sockets = sockets()
        self.resolve = f"--resolve=api.test=127.0.0.1:{self.server.port}"

        self.words = [self.load, "api.test", 80, self.denied.host, self.denied.port]
        self.runtime = self.box.home / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.started = 0

    def start(self, *options):
        """Every other run has its private files below XDG_RUNTIME_DIR."""
        self.started += 1
        env = {"XDG_RUNTIME_DIR": str(self.runtime)} if self.started % 2 else {}
        return self.box.start("--http-allow=GET api.test/*", self.resolve, *options, audit=False,
                              env=env, cmd=self.words)

    def files(self):
        """Names below the per-user directories that no run may leave behind."""
        return sorted(p.name for top in (self.runtime, self.box.home / ".cache")
                      for p in [*(top / "sandlock").glob("*"),
                                            *(top / "sandlock" / "control").glob("*")]
                      if p.name not in ("canary", "control", "apt.conf"))

    def kill(self, victim, rng):
        """A run, killed; its end, and whether it had begun to answer."""
        run = self.start()
        requests = 0 if victim == "newborn" else rng.choice((0, 0, 1, 2, 5, 9))
        for _ in range(requests):
            assert run.line() == "answered ok\n"
        pid = find(run, victim)
        for _ in range(rng.randrange(400 if victim == "newborn" else 4000)):
            pass
        try:
            # a newborn that was quicker than we are: another death, so that the run ends
            os.kill(run.pid if pid is None else pid, signal.SIGKILL)
        except ProcessLookupError:
            assert victim == "newborn" and run.process.poll() is not None
        return run.finish(TIMEOUT), requests > 0

    def check(self, result, where, swept_by_next):
        if swept_by_next and self.files():
            self.started -= 1  # in the same place
            self.start("-t", "0.01").finish(TIMEOUT)
        assert self.files() == [], where
        if result.status is not None:
            assert result.status["exit_code"] == (125 if result.rc < 0 else result.rc), where
            assert result.status["reason"] == ("signaled" if result.rc == 137 else "error"), where

    def close(self, knocks=0):
        self.server.settle()  # nobody is connected any more
        assert len(self.denied.received()) == knocks
        assert sockets() == self.sockets


@pytest.mark.parametrize("victim,times", [("guardian", 50), ("engine", 50), ("gateway", 50),
                                          ("child", 40), ("newborn", 10)])
def test_killed_at_a_random_moment(sandlock, outside, attack, victim, times):
    rng = random.Random(f"{SEED} {victim}")
    scene = Scene(sandlock, outside, attack)
    for turn in range(times):
        where = f"turn {turn} of {victim}"
        with Orphans() as orphans:
            result, answering = scene.kill(victim, rng)
            assert orphans.left() == [], where
        # a process that is killed before it is the command or the gateway may be either
        right = {EXIT[victim]} if victim in EXIT else {125, 137, -signal.SIGKILL}
        assert result.rc in right, f"{where}\n{result}"
        if result.rc == 125:
            lines = result.err.splitlines()  # the load's own complaints may stand beside ours
            assert any(line.startswith("sandlock: ") for line in lines), f"{where}\n{result}"
        # before the guardian has an engine there is nobody to clear up after it but the next run
        scene.check(result, where, swept_by_next=victim == "guardian" and not answering)
    scene.close()


def test_the_load_is_refused_and_ended_when_nobody_is_killed(sandlock, outside, attack):
    """The control: bare, the denied address is reached, and the death of the first process ends
    nothing; inside, the allowed one is reached, SIGTERM is ignored as the load wants it, and the
    death of the first process leaves nothing of the tree."""
    scene = Scene(sandlock, outside, attack)
    with Orphans() as orphans:
        bare = subprocess.Popen([str(w) for w in scene.words], stdout=subprocess.DEVNULL)
        scene.denied.log.wait(lambda events: b"open" in events, "knock from the bare tree")
        bare.kill()
        bare.wait(TIMEOUT)
        assert orphans.end() >= 4  # and now they are gone
    knocks = len(scene.denied.received())
    with Orphans() as orphans:
        run = scene.start()
        assert run.line() == "answered ok\n"
        os.kill(run.pid, signal.SIGTERM)
        assert run.line() == "answered ok\n"
        os.kill(find(run, "child"), signal.SIGKILL)
        result = run.finish(TIMEOUT)
        assert result.rc == 137, str(result)
        assert orphans.left() == []
    assert scene.files() == []
    scene.close(knocks)
