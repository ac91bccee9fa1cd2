"""Limits of a run: descriptors, processors, processor time, memory. What goes around them is in
security/test_limits.py."""

import os
import resource
import shutil
import sys

import pytest
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
    ("--max-cpu", "-1"), ("--cpu-cores", "3-2"), ("--cpu-cores", ""), ("--num-cpus", "-1"),
    ("--num-cpus", "1025"), ("--max-memory", "lots"),
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
