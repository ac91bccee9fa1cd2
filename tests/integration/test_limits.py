"""Limits of a run: descriptors, processors, processor time, memory. What goes around them is in
security/test_limits.py."""

import os
import resource
import shutil
import sys

import pytest
from harness.neighbour import beside
from harness.sandbox import Roles, descendants

FILES = """
import resource
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
held = []
try:
    while True: held.append(open("/dev/null"))
except OSError as e: print(e.strerror)
print(max(f.fileno() for f in held) + 1)
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 65))
    print("raised")
except (ValueError, OSError): print("kept")
"""


def test_open_files(sandlock):
    run = sandlock("--max-open-files=64", cmd=[sys.executable, "-c", FILES]).ok()
    assert run.out.splitlines() == ["64 64", "Too many open files", "64", "kept"], str(run)


@pytest.mark.parametrize("options", [(), ("--max-open-files=0",)])
def test_open_files_are_the_callers_otherwise(sandlock, options):
    run = sandlock(*options, cmd=["sh", "-c", "ulimit -Sn; ulimit -Hn"]).ok()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert run.out.split() == [str(soft), str(hard)], str(run)


def test_open_files_never_exceed_the_callers(sandlock):
    run = sandlock("--max-open-files=1000000", cmd=["sh", "-c", "ulimit -Hn"],
                   wrap=("sh", "-c", 'ulimit -n 128; exec "$@"', "sh")).ok()
    assert run.out == "128\n", str(run)


def test_open_files_without_a_supervisor(sandlock):
    run = sandlock("--no-supervisor", "--max-open-files=64", cmd=["sh", "-c", "ulimit -Hn"],
                   status=False, audit=False).ok()
    assert run.out == "64\n", str(run)


@pytest.mark.parametrize("option,value", [
    ("--max-open-files", "-1"), ("--max-open-files", "many"), ("--max-cpu", "50%"),
    ("--max-cpu", "-1"), ("--max-cpu", "0"), ("--cpu-cores", "3-2"), ("--cpu-cores", ""),
    ("--num-cpus", "-1"), ("--num-cpus", "1025"), ("--max-memory", "lots"),
])
def test_a_bad_value_is_refused(sandlock, option, value):
    run = sandlock(f"{option}={value}", cmd=["true"], status=False)
    assert run.rc == 2 and option in run.err and f"'{value}'" in run.err, str(run)
    assert run.err.count("\n") == 1, str(run)


@pytest.mark.parametrize("option", ["--max-memory=1G", "--max-cpu=50", "--cpu-cores=0",
                                    "--num-cpus=1"])
def test_what_needs_the_supervisor(sandlock, option):
    run = sandlock("--no-supervisor", option, cmd=["true"], status=False, audit=False)
    assert run.rc == 2 and option.split("=")[0] in run.err, str(run)


CORES = """
import os, subprocess, sys, threading
def tell(word, value): print(word, value, flush=True)
def attempt(word, pid, cores):
    try:
        os.sched_setaffinity(pid, cores)
        tell(word, sorted(os.sched_getaffinity(pid)))
    except OSError as e: tell(word, e.strerror)
every, other = eval(sys.argv[1]), eval(sys.argv[2])
tell("at first", sorted(os.sched_getaffinity(0)))
attempt("all", 0, every)
attempt("all by number", os.getpid(), every)
attempt("other", 0, other)
thread = threading.Thread(target=lambda: attempt("thread", 0, every))
thread.start(); thread.join()
child = subprocess.Popen(["sleep", "1000"])
attempt("child", child.pid, every)
tell("ready", "")
sys.stdin.read()
child.kill()
"""
MANY = sorted(os.sched_getaffinity(0))
several = pytest.mark.skipif(len(MANY) < 2, reason="needs two cores")


def run_cores(sandlock, *options, every, other):
    """What the program is told, by word; and the cores that each process really has."""
    running = sandlock.start(*options, cmd=[sys.executable, "-c", CORES, str(every), str(other)],
                             stdin=-1)
    lines = []
    while not lines or not lines[-1].startswith("ready"):
        lines.append(running.line())
        assert lines[-1], str(running.finish(data=b""))
    first = Roles(running.pid).child
    real = {frozenset(os.sched_getaffinity(int(t)))
            for p in [first, *descendants(first)] for t in os.listdir(f"/proc/{p}/task")}
    run = running.finish(data=b"").ok()
    told = dict(line.split(" [", 1) if "[" in line else line.rsplit(" I", 1) for line in
                lines[:-1])
    return run, told, real


@several
def test_cores_cannot_be_widened(sandlock):
    """Asked for all, it keeps its own; asked for others, it is told that there are none."""
    one, other = {MANY[1]}, {MANY[0]}
    run, told, real = run_cores(sandlock, every=set(MANY), other=other)  # free without the option
    assert frozenset(other) in real, str(run)
    run, told, real = run_cores(sandlock, f"--cpu-cores={MANY[1]}", every=set(MANY), other=other)
    assert real == {frozenset(one)}, str(run)
    assert told.pop("other") == "nvalid argument\n", str(run)
    assert set(told) == {"at first", "all", "all by number", "thread", "child"}, told
    assert set(told.values()) == {f"{MANY[1]}]\n"}, told


def test_a_core_that_is_not_there(sandlock):
    run = sandlock("--cpu-cores=1023", cmd=["true"])
    assert run.rc == 125 and "no core 1023" in run.err, str(run)


@several
def test_fewer_processors_are_seen_and_used(sandlock):
    run, told, real = run_cores(sandlock, "--num-cpus=1", every=set(MANY), other={1})
    assert told.pop("other") == "nvalid argument\n", str(run)
    assert set(told.values()) == {"0]\n"} and len(real) == 1 and len(real.pop()) == 1, str(run)


def test_more_processors_are_seen_than_there_are(sandlock):
    """Numbered from 0; one that stands for a core of ours can be chosen."""
    n = len(MANY) + 3
    run, told, real = run_cores(sandlock, f"--num-cpus={n}", every=set(range(n)), other={n - 1})
    assert told["at first"] == f"{', '.join(map(str, range(n)))}]\n", str(run)
    assert "nvalid" not in told["other"] and str(n - 1) in told["other"], str(run)
    assert all(cores <= set(MANY) for cores in real), real


@pytest.mark.parametrize("words,given", [
    (["nproc"], 3),
    ([sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"], 3),
    (["node", "-e", "console.log(os.availableParallelism())"], 3),
    (["java", "Count.java"], 3),
])
def test_programs_count_the_processors(sandlock, words, given):
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    (sandlock.work / "Count.java").write_text(
        "public class Count { public static void main(String[] a) {"
        " System.out.println(Runtime.getRuntime().availableProcessors()); } }")
    run = sandlock("--num-cpus=3", cmd=words).ok()
    assert run.out.strip() == str(given), str(run)


BURN = """
import os, sys
processes = int(sys.argv[1])
pids = []
for i in range(processes - 1):
    pid = os.fork()
    if pid == 0: pids = []; break
    pids.append(pid)
for _ in range(8_000_000 // processes): pass
for pid in pids: os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("percent,processes", [(3, 1), (15, 8), (25, 8)])
def test_processor_time(sandlock, percent, processes):
    """Held, the same work leaves a neighbour on its core several times as much; but it is not held
    to a fraction of the wish. How exact it is, ./dev bench tells: nothing but a clock can."""
    cmd = [sys.executable, "-c", BURN, str(processes)]
    run, free = beside(sandlock, cmd=cmd, audit=False)
    run.ok()
    run, held = beside(sandlock, f"--max-cpu={percent}", cmd=cmd, audit=False)
    run.ok()
    left = (100 - percent) / percent * processes  # what it leaves, for each turn it leaves unheld
    assert 2 * free < held < 4 * left * free, (free, held, left)


def test_processor_time_that_is_not_reached(sandlock):
    run = sandlock("--max-cpu=6400", cmd=["sh", "-c", "exit 7"])
    assert run.rc == 7 and run.status["reason"] == "exited", str(run)


STILLNESS = """
import os, signal, sys
heard = {"chld": 0, "cont": 0}
def on(name): return lambda *a: heard.__setitem__(name, heard[name] + 1)
signal.signal(signal.SIGCHLD, on("chld"))
signal.signal(signal.SIGCONT, on("cont"))
held = 0
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGCONT, lambda *a: os._exit(9))
    for _ in range(6_000_000): pass
    os._exit(7)
told = []
while not told or os.WIFSTOPPED(told[-1]) or os.WIFCONTINUED(told[-1]):
    told.append(os.waitpid(pid, os.WUNTRACED | os.WCONTINUED)[1])
print([os.WEXITSTATUS(s) for s in told], heard)
"""


def test_nobody_is_told_of_being_held(sandlock):
    """A parent that waits for stops sees none, and no SIGCONT comes; the child was held, though:
    a neighbour got far more done meanwhile."""
    words = [sys.executable, "-c", STILLNESS]
    _, free = beside(sandlock, cmd=words)
    run, held = beside(sandlock, "--max-cpu=3", cmd=words)
    assert run.ok().out == "[7] {'chld': 1, 'cont': 0}\n", str(run)
    assert held > 2 * free, (free, held)


def test_a_shell_sees_no_stopped_job(sandlock):
    burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
    run = sandlock("--max-cpu=10",
                   cmd=["bash", "-c", f"set -m; (sh -c '{burn}; exit 3') & wait $!; echo $?; jobs"])
    assert run.out == "3\n" and "Exit 3" in run.err, str(run)
    assert "Stopped" not in run.err and "Continued" not in run.err, str(run)


def test_memory_of_python(sandlock):
    loop = "held = []\nwhile True: held.append(bytearray(8 << 20))"
    run = sandlock("--max-memory=256M", cmd=[sys.executable, "-c", loop])
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)
    assert run.err == "sandlock: the command went over its memory limit of 256M\n", str(run)
    assert run.status["exit_code"] == 137 and run.status["peak_memory"] >= 256 << 20, str(run)
    once = "held = bytearray(128 << 20)\nprint(len(held))"
    run = sandlock("--max-memory=256M", cmd=[sys.executable, "-c", once]).ok()
    assert run.status["reason"] == "exited" and run.status["peak_memory"] >= 128 << 20, str(run)


def test_memory_without_a_limit(sandlock):
    once = "held = bytearray(400 << 20)\nprint(len(held))"
    for option in ("--max-memory=0", "--quiet"):
        sandlock(option, cmd=[sys.executable, "-c", once]).ok()


@pytest.mark.parametrize("size,words,out", [
    ("512M", ["node", "-e", "console.log(6 * 7)"], "42"),
    ("2G", ["java", "Hello.java"], "hello"),
    ("2G", ["go", "version"], "go version"),
])
def test_memory_of_programs_that_reserve_much(sandlock, size, words, out):
    """What is only reserved does not count."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    (sandlock.work / "Hello.java").write_text(
        'public class Hello { public static void main(String[] a) { System.out.println("hello"); } }')
    run = sandlock(f"--max-memory={size}", cmd=words).ok()
    assert out in run.out, str(run)


def test_memory_of_threads_and_sparse_files(sandlock):
    """Stacks that nobody has filled, a large sparse mapping, a large file on disk: none of it is
    memory."""
    script = """
import mmap, threading
gate = threading.Event()
threading.stack_size(64 << 20)
threads = [threading.Thread(target=gate.wait) for _ in range(20)]
for t in threads: t.start()
far = mmap.mmap(-1, 8 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
far[5 << 30] = 1
with open("large", "wb") as f:
    for _ in range(320): f.write(bytes(1 << 20))
gate.set()
print("done")
"""
    run = sandlock("--max-memory=256M", cmd=[sys.executable, "-c", script]).ok()
    assert run.out == "done\n" and run.status["peak_memory"] < 256 << 20, str(run)


SHARED = """
import mmap, os, sys
def private(megabytes):
    m = mmap.mmap(-1, megabytes << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(m), 4096): m[at] = 1
    return m
held = private(200)
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        for _ in range(int(sys.argv[1])):
            with private(8): pass
        os._exit(sum(held[at] for at in range(0, len(held), 4096)) != 200 << 8)
    children.append(pid)
print([os.waitpid(pid, 0)[1] for pid in children])
"""


@pytest.mark.parametrize("rounds", [0, 60], ids=["idle", "busy"])
def test_memory_that_processes_share(sandlock, rounds):
    """200 MB in each of five, but the same; what they take beside is given back again and again."""
    script = [sys.executable, "-c", SHARED, str(rounds)]
    run = sandlock("--max-memory=320M", cmd=script).ok()
    assert run.out == "[0, 0, 0, 0]\n" and run.status["reason"] == "exited", str(run)
    run = sandlock("--max-memory=160M", cmd=script)
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)
