"""Where the caller may divide its cgroup the kernel holds memory and processor time itself. Runs in
the machine of tests/vm/boot, as root and as a user with a part of the tree handed down."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import paths
from harness.orphans import Orphans
from harness.sandbox import Roles, descendants
from harness.waiting import TIMEOUT, wait_gone, wait_until

MOUNT = Path("/sys/fs/cgroup")
MEGABYTES = 64
LIMITS = (f"--max-memory={MEGABYTES}M", "--max-cpu=50")
SLEEP = ["sh", "-c", "echo up; read line"]
FILL = ("import os\nprint('up', flush=True)\ninput()\n"
        "for i in range(7):\n  if os.fork() == 0: break\n"
        "held = []\nwhile True: held.append(bytearray(1 << 20))")


def cgroup_of(pid="self"):
    """The path of a process's cgroup below the mount."""
    line = Path(f"/proc/{pid}/cgroup").read_text()
    assert line.startswith("0::/"), line
    return line[3:].strip()


def place(own=None):
    """Where a run that is started from this cgroup gets its own."""
    return MOUNT / (own or cgroup_of()).rpartition("/")[0].lstrip("/")


def left():
    return sorted(p.name for p in place().glob("sandlock-*"))


@pytest.fixture(autouse=True)
def nothing_is_left():
    assert left() == []
    yield
    assert left() == []


def started(box, *options, cmd=SLEEP, **kw):
    run = box.start(*options, cmd=cmd, audit=False, stdin=subprocess.PIPE, **kw)
    assert run.line() == "up\n"
    return run, Roles(run.pid)


def child_of(roles):
    return next(p for p in descendants(roles.engine) if p != roles.gateway)


def test_check_says_so():
    out = subprocess.run([str(paths.SANDLOCK), "check"], capture_output=True, text=True,
                         timeout=TIMEOUT).stdout
    row = next(line for line in out.splitlines() if line.startswith("cgroup "))
    assert "works" in row and "memory and processor time" in row, out


def test_the_command_alone_is_in_it(sandlock):
    run, roles = started(sandlock, *LIMITS)
    own = place() / f"sandlock-{run.pid}"
    assert [cgroup_of(p) for p in (run.pid, roles.engine)] == [cgroup_of()] * 2
    assert MOUNT / cgroup_of(child_of(roles)).lstrip("/") == own
    assert (own / "memory.max").read_text() == f"{MEGABYTES << 20}\n"
    assert (own / "memory.oom.group").read_text() == "1\n"
    assert (own / "cpu.max").read_text() == "50000 100000\n"
    names = {p.read_text().strip() for p in Path(f"/proc/{roles.engine}/task").glob("*/comm")}
    assert "sandlock-cpu" not in names, names  # nobody counts what the kernel holds
    assert run.finish(data=b"\n").ok().status["peak_memory"] > 0


@pytest.mark.parametrize("options", [(), ("--max-processes=9",)])
def test_without_these_limits_there_is_none(sandlock, options):
    run, roles = started(sandlock, *options)
    assert left() == [] and cgroup_of(child_of(roles)) == cgroup_of()
    run.finish(data=b"\n").ok()


def test_eight_at_once_are_ended_at_the_limit(sandlock):
    """Exactly: the kernel never gave a page more."""
    run, roles = started(sandlock, LIMITS[0], cmd=[sys.executable, "-c", FILL])
    peak = place() / f"sandlock-{run.pid}" / "memory.peak"
    assert int(peak.read_text()) <= MEGABYTES << 20
    run = run.finish(data=b"\n")
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)
    assert run.err == f"sandlock: the command went over its memory limit of {MEGABYTES}M\n"
    assert run.status["peak_memory"] == MEGABYTES << 20, str(run)


def test_who_had_himself_excepted_is_ended_as_well(sandlock):
    """oom_score_adj says that the kernel must not pick it; root may write that."""
    script = ("try: open('/proc/self/oom_score_adj', 'w').write('-1000')\n"
              "except OSError as e: print(e.strerror, flush=True)\n" + FILL)
    run = sandlock.start(LIMITS[0], "-w", "/proc", "-r", "/", cmd=[sys.executable, "-c", script],
                         audit=False, stdin=subprocess.PIPE)
    while (line := run.line()) != "up\n":
        assert line, str(run.finish())
    pids = descendants(Roles(run.pid).engine)
    run = run.finish(data=b"\n")
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)
    assert wait_gone(pids, 30)


def test_processor_time_is_throttled(sandlock):
    burn = "print('up', flush=True)\nwhile True: pass"
    run, _ = started(sandlock, "--max-cpu=10", cmd=[sys.executable, "-c", burn])
    own = place() / f"sandlock-{run.pid}"
    wait_until("a throttled run",
               lambda: "nr_throttled 0\n" not in (own / "cpu.stat").read_text(), run.process)
    os.kill(run.pid, signal.SIGTERM)
    assert run.finish().rc == 143


@pytest.mark.parametrize("name,value", [("cgroup.procs", "0"), ("memory.max", "max")])
def test_RES_02_nobody_gets_out(sandlock, name, value):
    """Outside the same user may write both; inside Landlock says no, whatever may be read."""
    write = f"import sys\nopen(sys.argv[1] + '/{name}', 'w').write('{value}')\nprint('done')"
    run, _ = started(sandlock, LIMITS[0])
    own = place() / f"sandlock-{run.pid}"
    where = own if name == "memory.max" else place() / cgroup_of().rpartition("/")[2]
    control = subprocess.run([sys.executable, "-c", write, str(where)], capture_output=True,
                             text=True, timeout=TIMEOUT)
    assert control.stdout == "done\n", control
    run.finish(data=b"\n").ok()
    script = (f"import os\nown = open('/proc/self/cgroup').read()[3:].strip()\n"
              f"print(own, flush=True)\nopen('{MOUNT}' + own + '/{name}', 'w').write('{value}')\n")
    run = sandlock(LIMITS[0], "-r", "/", cmd=[sys.executable, "-c", script])
    assert "/sandlock-" in run.out and run.rc == 1, str(run)
    assert "PermissionError" in run.err and name in run.err, str(run)


@pytest.mark.parametrize("grant", ["all", "one", "another mount"])
def test_RES_02_none_where_the_command_may_write(sandlock, grant, request):
    """A limit that the command could lift is none: it is counted then. The caller's own cgroup
    alone is a way out as well, by whatever mount."""
    path = {"all": MOUNT, "one": MOUNT / cgroup_of().lstrip("/")}.get(grant, Path("/mnt"))
    if grant == "another mount":
        if os.getuid() != 0:
            pytest.skip("mounting needs root")
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", path], check=True, timeout=TIMEOUT)
        request.addfinalizer(lambda: subprocess.run(["umount", path], check=True, timeout=TIMEOUT))
    run, roles = started(sandlock, LIMITS[0], "-r", "/", "-w", path,
                         cmd=[sys.executable, "-c", FILL])
    assert left() == [] and cgroup_of(child_of(roles)) == cgroup_of()
    run = run.finish(data=b"\n")
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)


def test_SUP_01_it_goes_with_a_killed_engine(sandlock):
    with Orphans() as orphans:
        run, roles = started(sandlock, *LIMITS)
        assert left() == [f"sandlock-{run.pid}"]
        os.kill(roles.engine, signal.SIGKILL)
        assert run.finish().rc == 125 and orphans.left() == []


def test_SUP_01_the_next_run_removes_what_was_left(sandlock):
    with Orphans() as orphans:
        run, roles = started(sandlock, *LIMITS, status=False, own_group=True)
        name = f"sandlock-{run.pid}"
        os.kill(run.pid, signal.SIGSTOP)
        os.kill(roles.engine, signal.SIGKILL)
        os.kill(run.pid, signal.SIGKILL)
        run.process.communicate(timeout=TIMEOUT)
        orphans.end()
    assert left() == [name]
    other, _ = started(sandlock, *LIMITS)
    assert left() == [f"sandlock-{other.pid}"]
    another, _ = started(sandlock, *LIMITS)  # and leaves alone what lives
    assert left() == sorted(f"sandlock-{r.pid}" for r in (other, another))
    for r in (other, another):
        r.finish(data=b"\n").ok()


@pytest.fixture
def divided():
    """divided(controllers): a cgroup below ours whose parent hands down these alone."""
    made = []

    def make(controllers):
        parent = place() / f"test-{len(made)}"
        (parent / "leaf").mkdir(parents=True)
        made.append(parent)
        (parent / "cgroup.subtree_control").write_text(controllers)
        return parent

    yield make
    for parent in made:
        (parent / "leaf").rmdir()
        parent.rmdir()


@pytest.mark.parametrize("controllers,held", [("", []), ("+memory", ["memory.max"]),
                                              ("+cpu", ["cpu.max"])])
def test_what_is_not_handed_down_is_counted(sandlock, divided, controllers, held):
    parent = divided(controllers)
    enter = ("sh", "-c", f'echo $$ >{parent}/leaf/cgroup.procs; exec "$@"', "sh")
    run, roles = started(sandlock, *LIMITS, wrap=enter, cmd=[sys.executable, "-c", FILL])
    own = parent / f"sandlock-{run.pid}"
    assert own.exists() == bool(held)
    assert sorted(f for f in ("memory.max", "cpu.max") if (own / f).exists()) == held
    names = {p.read_text().strip() for p in Path(f"/proc/{roles.engine}/task").glob("*/comm")}
    assert ("sandlock-cpu" in names) == ("cpu.max" not in held), names
    run = run.finish(data=b"\n")
    assert run.rc == 137 and "over its memory limit" in run.err, str(run)
    assert not own.exists()
