"""FS-05, FS-06 and FS-07 (docs/security-cases.md): what /proc shows, to whom, by every name."""

import os
import re
import subprocess
import sys

import pytest
from harness import paths
from harness.sandbox import roles_with_gateway
from harness.waiting import TIMEOUT, read_line

pytestmark = pytest.mark.netns

HTTP = "--http-allow=GET api.test/*"
SECRETS = ("environ", "mem", "maps", "exe", "cwd", "fd/0", "ns/net", "root")
OPEN_TO_ALL = ("cmdline", "status", "stat", "comm", "task")
ALL = (*SECRETS, *OPEN_TO_ALL, "fd", "net", "file", "dir")
HIDDEN = ("ENOENT", "EACCES")


def steps(lines):
    return dict(line.split() for line in lines if line.count(" ") == 1)


class Bystander:
    """Another process of the same user, with a thread that no listing of /proc shows."""

    def __init__(self):
        code = ("import threading, sys\n"
                "t = threading.Thread(target=sys.stdin.read); t.start()\n"
                "print(t.native_id, flush=True)\n")
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, SECRET="of-the-bystander"))
        self.tid = int(read_line(self.process.stdout))
        self.pid = self.process.pid


@pytest.fixture
def bystander():
    other = Bystander()
    yield other
    other.process.communicate(timeout=TIMEOUT)


def look(sandlock, attack, options, bystander):
    """Who is tried, and what came of it, while a run with a gateway goes on."""
    running = sandlock.start(HTTP, *options, cmd=[attack("procfs"), "look"], stdin=-1)
    assert running.line() == "ready ok\n"
    roles = roles_with_gateway(running)
    threads = [int(t) for t in os.listdir(f"/proc/{roles.engine}/task") if int(t) != roles.engine]
    assert threads  # the dispatcher, which no listing shows
    pids = {"guardian": roles.guardian, "engine": roles.engine, "gateway": roles.gateway,
            "thread": threads[0], "other": bystander.pid, "other-thread": bystander.tid, "init": 1,
            "own": roles.child}
    words = "".join(f"{who} {pid}\n" for who, pid in pids.items())
    run = running.finish(data=words.encode()).ok()
    found = steps(run.out.splitlines())
    assert all(f"{who}.end" in found for who in pids), str(run)
    return pids, found


def test_FS_06_nobody_but_the_tree_under_isolate_pids(sandlock, attack, bystander):
    """Contents, links, lists and metadata; by number, by the number of a thread, from a directory."""
    bare = sandlock.bare([attack("procfs"), "look"], data=f"other {bystander.pid}\nother-thread "
                         f"{bystander.tid}\n".encode()).ok()
    control = steps(bare.out.splitlines())
    assert all(control[f"{who}.{how}{what}"] == "ok" for what in ALL for how in ("", "at.")
               for who in ("other", "other-thread")), str(bare)
    pids, found = look(sandlock, attack, ["--isolate-pids"], bystander)
    for who in pids:
        for what in (*ALL, "path"):
            if who == "own":
                assert found[f"own.{what}"] == "ok", (what, found)
                assert what == "path" or found[f"own.at.{what}"] == "ok", (what, found)
            else:
                assert found[f"{who}.{what}"] in HIDDEN, (who, what, found)
        assert who == "own" or f"{who}.at.status" not in found


def test_FS_06_the_own_alone_by_the_name_of_self(sandlock, attack, bystander):
    """`-r /proc/self` among named paths: each process of the tree, and nobody else's."""
    options = ["-r", "/usr", "-r", "/etc", "-r", paths.BIN, "-r", "/proc/self", "-w", "."]
    pids, found = look(sandlock, attack, options, bystander)
    for who in pids:
        for what in ALL:
            assert (found[f"{who}.{what}"] == "ok") if who == "own" else \
                (found[f"{who}.{what}"] in HIDDEN), (who, what, found)
    script = ("grep -c . /proc/self/maps; sh -c 'grep Name /proc/$$/status; true'; "
              "(grep Name /proc/self/status)")
    run = sandlock(*options, cmd=["sh", "-c", script]).ok()
    assert re.fullmatch(r"\d+\nName:\tsh\nName:\tgrep\n", run.out), str(run)
    run = sandlock(*options, cmd=["cat", "/proc/version"])
    assert run.rc != 0 and run.out == "", "nothing else of /proc came with it"


def test_FS_06_ours_without_isolate_pids(sandlock, attack, bystander):
    """Memory, environment, descriptors and roots of guardian, engine and gateway are shut in every
    run, and those of bystanders too: Landlock. What ps shows of anybody is no secret of ours."""
    pids, found = look(sandlock, attack, [], bystander)
    for who in ("guardian", "engine", "gateway", "thread", "other", "other-thread"):
        for what in SECRETS:
            for how in ("", "at."):
                assert found[f"{who}.{how}{what}"] in HIDDEN, (who, what, found)
    for what in SECRETS:
        assert found[f"own.{what}"] == "ok", (what, found)


def test_FS_06_a_path_that_changes_while_it_is_judged(sandlock, attack, bystander):
    """A thread turns the path to the bystander's and back: nothing of it is ever read or known."""
    words = [attack("procfs"), "race", bystander.pid, 20000]
    won = {"foreign": 0, "known": 0}  # on a busy machine the two may take turns for a while
    for _ in range(20):
        bare = steps(sandlock.bare(words).ok().out.splitlines())
        won = {what: count + int(bare[what]) for what, count in won.items()}
        if all(won.values()):
            break
    assert all(won.values()), bare
    run = sandlock("--isolate-pids", cmd=words).ok()
    found = {name: int(count) for name, count in steps(run.out.splitlines()).items()}
    assert found["opened"] > 0 and found["asked"] > 0, str(run)
    assert found["foreign"] == 0 and found["known"] == 0, str(run)


def test_FS_05_openat2_within_bounds(sandlock, attack):
    """RESOLVE_* below /proc/self: each combination says what the kernel says outside."""
    bare = sandlock.bare([attack("procfs"), "bounds"], data=b"").ok().out.splitlines()
    inside = sandlock("--isolate-pids", cmd=[attack("procfs"), "bounds"], data=b"").ok().out.splitlines()
    for told in ("'/proc/self/status' 0: /proc//status", "'self/status' 0: /proc//status", ": EXDEV", ": ELOOP",
                 "'/self/status' 0: /proc//status", "'thread-self/status' 0: /proc//task//status"):
        assert any(told in line for line in bare), told
    assert len(bare) == len(inside)
    other = [(a, b) for a, b in zip(bare, inside) if a != b]
    assert not other, (len(other), other[:40])


def test_FS_06_another_proc_file_system(sandlock):
    """As chroots have one: the same processes by another path."""
    other = sandlock.home / "proc"
    other.mkdir()
    wrap = ["unshare", "-rmpf", "--kill-child", "sh", "-c",
            'mount -t proc proc /proc && mount -t proc proc "$0" && exec "$@"', str(other)]
    probe = sandlock.bare([*wrap, "true"])
    if probe.rc != 0:
        pytest.skip(f"no proc file system can be mounted here: {probe.err.strip()}")
    script = f"cat {other}/1/comm; cat {other}/self/comm; cat /proc/self/comm; ls {other}"
    plain = sandlock(cmd=["sh", "-c", script], wrap=wrap, audit=False)
    assert plain.out.split()[:3] == ["sandlock", "cat", "cat"], str(plain)
    run = sandlock("--isolate-pids", cmd=["sh", "-c", script], wrap=wrap, audit=False)
    assert run.out == "cat\n", str(run)


SELF = """
import os, threading
def pid(path):
    with open(path) as f:
        return int(f.read().split("Pid:")[1].split()[0])
assert pid("/proc/self/status") == pid(f"/proc/{os.getpid()}/status") == os.getpid()
def second():
    seen.append((pid("/proc/thread-self/status"), os.readlink("/proc/thread-self")))
seen, t = [], threading.Thread(target=second)
t.start(); t.join()
assert seen == [(t.native_id, f"{os.getpid()}/task/{t.native_id}")], seen
with open("/proc/self/environ") as f:
    assert "MARK=of-the-child" in f.read().split("\\0")
assert os.readlink("/proc/self/exe") == os.path.realpath("/proc/self/exe")
assert os.path.samefile("/proc/self/cwd", ".") and os.path.samefile("/proc/self/root", "/")
r, w = os.pipe()
for form in ("/dev/fd/%d", "/proc/self/fd/%d", "/proc/thread-self/fd/%d"):
    os.write(w, b"x")
    with open(form % r, "rb", buffering=0) as f:
        assert f.read(1) == b"x"
    assert os.readlink(form % r) == os.readlink(f"/proc/{os.getpid()}/fd/{r}")
with open("/dev/stdin") as f:
    assert f.read() == "the caller's\\n"
print("ok")
"""


@pytest.mark.parametrize("options", [(), ("--isolate-pids",), ("--isolate-pids", HTTP),
                                     ("--hostname=box", HTTP)])
def test_FS_05_self_is_the_caller(sandlock, options):
    """Whoever opens on behalf: self, thread-self and the descriptors are those of who asks."""
    assert sandlock.bare([sys.executable, "-c", SELF], env={"MARK": "of-the-child"},
                         data=b"the caller's\n").ok().out == "ok\n"
    run = sandlock(*options, cmd=[sys.executable, "-c", SELF], env={"MARK": "of-the-child"},
                   data=b"the caller's\n").ok()
    assert run.out == "ok\n", str(run)


def spellings(sandlock, attack, options, file):
    """What each way to read this file gave: {(call, spelling): length and hash, or the errno}."""
    link = sandlock.work / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.dirname(file))
    run = sandlock(*options, cmd=[attack("procfs"), "spell", file, link]).ok()
    found = {}
    for line in run.out.splitlines():
        call, path, what = line.split()
        found[call, path] = what
    return found


VIRTUAL = {
    "/etc/hosts": HTTP,
    "/etc/hostname": "--hostname=box-7",
    "/proc/sys/kernel/hostname": "--hostname=box-7",
    "/sys/devices/system/cpu/possible": "--num-cpus=77",
}


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("file", sorted(VIRTUAL))
def test_FS_07_a_virtual_file_by_every_spelling(sandlock, attack, file, isolated):
    """The same answer by open, openat, openat2, from a directory, over links and dots; never
    written. Bare, every spelling gives the machine's."""
    real = spellings(sandlock, attack, ["-r", "/"], file)
    options = [VIRTUAL[file], *(["--isolate-pids"] if isolated else [])]
    seen = spellings(sandlock, attack, options, file)
    assert len(seen) == len(real) > 30
    for found in (real, seen):
        reads = {what for (call, _), what in found.items() if call not in ("write", "creat")}
        assert len(reads) == 1 and "-" in next(iter(reads)), found
        assert found["write", file] == found["creat", file] == "EACCES", found
    assert set(real.values()) & set(seen.values()) == {"EACCES"}
