"""Limits of a run: descriptors, processors, processor time, memory. What goes around them is in
security/test_limits.py."""

import resource
import sys

import pytest

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
