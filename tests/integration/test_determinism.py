"""Determinism: time_start, random_seed, no_randomize_memory, no_huge_pages, deterministic_dirs,
no_coredump. What one reads of clock, chance and order is the same in every run."""

import hashlib
import os
import re
import resource
import shutil
import subprocess
import time

import pytest
from harness import build, paths
from harness.waiting import TIMEOUT

START, STOP = 1582974000, 1582974000 + 3600  # 2020-02-29 11:00 UTC; no run takes an hour
AT = f"--time-start={START}"
SEED = "--random-seed=42"
STEADY = (AT, SEED, "--no-randomize-memory", "--deterministic-dirs")


def c_client(kind):
    cc = "musl-gcc" if kind.startswith("musl") else "cc"
    if shutil.which(cc) is None:
        pytest.skip(f"{cc} is not installed")
    flags = ("-dynamic",) if kind.endswith("dynamic") else ()
    return build.c_program("clients/steady.c", *flags, cc=cc, name=f"steady-{kind}")


def seconds(out):
    found = [int(n) for line in re.findall(r"^seconds \S+ (.*)$", out, re.M) for n in line.split()]
    assert found, out
    return found


def chance(out):
    found = re.findall(r"^bytes .*$", out, re.M)
    assert found, out
    return found


# ---- the clock ----

KINDS = ("glibc-dynamic", "glibc-static", "musl-dynamic", "musl-static")


@pytest.mark.parametrize("kind", KINDS)
def test_the_clock_starts_there_for_every_c_library(sandlock, kind):
    """Through the vDSO and by system call, in threads, in children, and after execve."""
    client = c_client(kind)
    run = sandlock(AT, cmd=[client]).ok()
    assert len(seconds(run.out)) == 16 and all(START <= s < STOP for s in seconds(run.out)), str(run)
    run = sandlock(cmd=[client]).ok()
    assert all(abs(s - time.time()) < 3600 for s in seconds(run.out)), str(run)


@pytest.mark.parametrize("kind", KINDS)
def test_chance_repeats_for_every_c_library(sandlock, kind):
    client = c_client(kind)
    first, again = (chance(sandlock(SEED, cmd=[client]).ok().out) for _ in range(2))
    assert len(first) == 9 and first == again
    values = [line.split()[2] for line in first]
    assert len(set(values)) >= 8, first  # a fork has the AT_RANDOM of its parent
    assert chance(sandlock("--random-seed=43", cmd=[client]).ok().out) != first
    assert chance(sandlock(cmd=[client]).ok().out) != chance(sandlock(cmd=[client]).ok().out)


def test_go_without_cgo(sandlock):
    try:
        client = build.go_program("clients/steady.go", cgo=False)
    except build.Missing as why:
        pytest.skip(str(why))
    first, again = (sandlock(AT, SEED, cmd=[client]).ok().out for _ in range(2))
    assert all(START <= s < STOP for s in seconds(first) + seconds(again))
    assert chance(first) == chance(again)


RUNTIMES = {
    "python3": ["-c", "import time, datetime; print('seconds x', int(time.time()), "
                      "time.time_ns() // 10**9, int(datetime.datetime.now().timestamp()))"],
    "perl": ["-e", "print 'seconds x ', time, qq(\\n)"],
    "node": ["-e", "const s = () => Math.floor(Date.now() / 1000); "
                   "setTimeout(() => console.log('seconds x', s()), 10)"],
    "bash": ["-c", "echo seconds x $EPOCHSECONDS $(date +%s) $(sh -c 'date +%s')"],
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_runtimes_see_the_clock(sandlock, name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    run = sandlock(AT, cmd=[name, *RUNTIMES[name]]).ok()
    assert all(START <= s < STOP for s in seconds(run.out)), str(run)


def test_java_sees_the_clock(sandlock):
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    (sandlock.work / "T.java").write_text(
        "public class T { public static void main(String[] a) throws Exception {\n"
        "  Thread.sleep(10);\n"
        "  System.out.println(\"seconds x \" + System.currentTimeMillis() / 1000 + \" \"\n"
        "    + java.time.Instant.now().getEpochSecond()); } }\n")
    run = sandlock(AT, "-P", 0, cmd=["java", "-Xshare:auto", "T.java"]).ok()
    assert all(START <= s < STOP for s in seconds(run.out)), str(run)


@pytest.mark.parametrize("value", ("2020-02-29T11:00:00Z", "2020-02-29 12:00+01:00", str(START)))
def test_spellings_of_one_moment(sandlock, value):
    run = sandlock(f"--time-start={value}", cmd=["date", "-u", "+%F %H"]).ok()
    assert run.out == "2020-02-29 11\n"


def test_times_of_files_stay_real(sandlock):
    before = int(time.time()) - 2
    sandlock(AT, cmd=["touch", "made"]).ok()
    made = (sandlock.work / "made").stat()
    assert before <= made.st_mtime <= time.time() + 2


def test_sleeps_and_timeouts_go_on(sandlock):
    """Relative times need no clock; an absolute one comes due by the tree's. Neither hangs."""
    code = ("import threading, time, select, signal\n"
            "a = time.time(); time.sleep(.05); assert time.time() - a >= .04\n"
            "e = threading.Event(); assert not e.wait(.05)\n"
            "q = threading.Lock(); q.acquire(); assert not q.acquire(timeout=.05)\n"
            "assert select.select([], [], [], .05) == ([], [], [])\n"
            "signal.setitimer(signal.ITIMER_REAL, .05); signal.sigwait([signal.SIGALRM])\n"
            "print('over')\n")
    code = code.replace("signal.setitimer", "signal.pthread_sigmask(signal.SIG_BLOCK, "
                        "[signal.SIGALRM]); signal.setitimer", 1)
    for start in (START, 4102444800):
        assert sandlock(f"--time-start={start}", cmd=["python3", "-c", code]).ok().out == "over\n"
        assert sandlock(f"--time-start={start}", cmd=["timeout", "0.05", "sleep", "100"]).rc == 124


@pytest.mark.parametrize("start", ("2011-01-01T00:00:00Z", "2199-01-01T00:00:00Z"))
def test_https_is_inspected_at_any_time(sandlock, api, start):
    """The certificates that the program sees are of its time; the server's are checked by ours."""
    url = f"{api.https}/v1/models"
    rule = f"--http-allow=GET {api.name}/*"
    words = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url]
    assert sandlock(*api.options, rule, cmd=words).ok().out == "200"
    assert sandlock(*api.options, rule, f"--time-start={start}", cmd=words).ok().out == "200"


def test_a_program_that_cannot_be_reached_does_not_run(sandlock):
    """Nobody may read it, so that its vDSO is out of reach: better no run than the real clock."""
    hidden = sandlock.work / "hidden"
    shutil.copy(c_client("glibc-static"), hidden)
    hidden.chmod(0o111)
    assert sandlock(cmd=["./hidden"]).ok().out
    run = sandlock(AT, cmd=["./hidden"])
    assert run.rc == 137 and run.out == "", str(run)


# ---- memory, directories, core files ----

def test_memory_is_where_it_was(sandlock):
    words = ["python3", "-c", "print(open('/proc/self/maps').read(), id(object()))"]

    def maps(*options):
        out = sandlock(*options, cmd=words).ok().out
        return [line.split()[0] for line in out.splitlines() if "[vvar" not in line]

    assert maps("--no-randomize-memory") == maps("--no-randomize-memory")
    if open("/proc/sys/kernel/randomize_va_space").read() != "0\n":
        assert maps() != maps()
    # what is refused of personality(2) stays refused, the rest allowed
    check = ("import ctypes; p = ctypes.CDLL(None, use_errno=True).personality; "
             "print(hex(p(0xffffffff)), p(0x400000), p(0x40000) >= 0)")
    assert sandlock("--no-randomize-memory", cmd=["python3", "-c", check]).ok().out == \
        "0x40000 -1 True\n"
    assert sandlock(cmd=["python3", "-c", check]).ok().out == "0x0 -1 True\n"


def test_no_huge_pages(sandlock):
    code = ("import ctypes, os, sys\nprint(ctypes.CDLL(None).prctl(42, 0, 0, 0, 0))\n"
            "if len(sys.argv) == 1: os.execvp('python3', ['python3', sys.argv[0], 'again'])\n")
    (sandlock.work / "thp.py").write_text(code)
    words = ["python3", "-u", "thp.py"]
    assert sandlock("--no-huge-pages", cmd=words).ok().out == "1\n1\n"
    assert sandlock(cmd=words).ok().out == "0\n0\n"


def test_directories_are_listed_by_name(sandlock):
    for i in range(300):
        (sandlock.work / f"f{i * 7919 % 300}").touch()
    code = "import os; print(*os.listdir('.'))"
    names = sandlock("--deterministic-dirs", cmd=["python3", "-c", code]).ok().out.split()
    assert names == sorted(os.listdir(sandlock.work)) and len(names) == 300
    plain = sandlock(cmd=["python3", "-c", code]).ok().out.split()
    assert sorted(plain) == names
    found = sandlock("--deterministic-dirs", cmd=["find", "/usr/lib", "-name", "*.so*"])
    assert sorted(found.out.split()) == sorted(
        sandlock(cmd=["find", "/usr/lib", "-name", "*.so*"]).out.split())
    sandlock("--deterministic-dirs", cmd=["bash", "-c", "rm -r *"]).ok()
    assert os.listdir(sandlock.work) == []


def test_what_may_not_be_listed_is_not(sandlock):
    hidden = sandlock.home / "hidden"
    hidden.mkdir()
    (hidden / "name").touch()
    assert sandlock("-r", "/usr", "-r", "/lib", "-r", "?/lib64", "-r", "/bin", "-r", hidden,
                    "--deterministic-dirs", cmd=["ls", hidden]).ok().out == "name\n"
    run = sandlock("-r", "/usr", "-r", "/lib", "-r", "?/lib64", "-r", "/bin",
                   "--deterministic-dirs", cmd=["ls", hidden])
    assert run.rc != 0 and "name" not in run.out


def test_no_core_files(sandlock):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    say = "ulimit -Sc; ulimit -Hc; ulimit -Hc 1 2>/dev/null; ulimit -Hc"
    assert sandlock("--no-coredump", cmd=["bash", "-c", say]).ok().out == "0\n0\n0\n"
    out = sandlock(cmd=["bash", "-c", "ulimit -Hc"]).ok().out
    assert out == ("unlimited\n" if hard == resource.RLIM_INFINITY else f"{hard // 1024}\n")


# ---- the promise ----

PROGRAM = r"""
#include <cstdio>
namespace { int chance; }
constexpr char minute[] = {__TIME__[0], __TIME__[1], __TIME__[3], __TIME__[4], 0};
int *where() { return &chance; }
int main() { std::printf("%s %s\n", __DATE__, minute); }
"""


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_builds_are_identical(sandlock):
    """__DATE__ and __TIME__, and the random names that LTO gives its sections."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    (sandlock.work / "p.cc").write_text(PROGRAM)
    script = "g++ -std=c++17 -flto -ffat-lto-objects -c p.cc -o p.o && g++ -flto p.o -o p"

    def build_it(*options):
        for name in ("p", "p.o"):
            (sandlock.work / name).unlink(missing_ok=True)
        sandlock(*options, cmd=["bash", "-c", script]).ok()
        said = subprocess.run([sandlock.work / "p"], capture_output=True, text=True,
                              timeout=TIMEOUT).stdout
        return digest(sandlock.work / "p.o"), digest(sandlock.work / "p"), said

    options = ("--time-start=2020-02-29T11:00:00Z", SEED, "--env=TZ=UTC")
    first, again = build_it(*options), build_it(*options)
    assert first == again and first[2] == "Feb 29 2020 1100\n"
    other = build_it("--time-start=2021-03-01T10:00:00Z", SEED, "--env=TZ=UTC")
    assert other[2] == "Mar  1 2021 1000\n" and other[1] != first[1]
    assert build_it(*options[:1])[0] != build_it(*options[:1])[0]  # without the seed


SCRIPT = """
import os, random, secrets, time, uuid
print(time.strftime("%F %H:%M"), random.random(), random.sample(range(100), 5))
print({"a", "b", "c", "d", "e", "f"}, hash("x"))
print(os.listdir("."), secrets.token_hex(8), uuid.uuid4(), os.urandom(4).hex())
print(id(object()), id(os), object())
print(open("/dev/urandom", "rb").read(8).hex(), open("/proc/sys/kernel/random/uuid").read())
if os.fork() == 0:
    print(os.urandom(4).hex(), flush=True)
    os._exit(0)
os.wait()
print(os.popen("python3 -c 'import random; print(random.random())'").read())
"""


def test_two_runs_of_a_script_are_identical(sandlock):
    (sandlock.work / "s.py").write_text(SCRIPT)
    for name in ("zeta", "alpha", "mid"):
        (sandlock.work / name).touch()
    words = ["python3", "-B", "-u", "s.py"]
    first, again = (sandlock(*STEADY, cmd=words).ok().out for _ in range(2))
    assert first == again and "['alpha', 'mid', 's.py', 'zeta']" in first
    assert first.startswith(time.strftime("%F %H:%M", time.localtime(START)))
    plain = [sandlock(cmd=words).ok().out for _ in range(2)]
    assert plain[0] != plain[1] and first not in plain


# ---- bad values ----

@pytest.mark.parametrize("option,value", (
    ("--time-start", "yesterday"), ("--time-start", "2020-02-30T00:00:00Z"),
    ("--time-start", "2020-02-29T00:00:00"), ("--time-start", "-5"), ("--time-start", ""),
    ("--random-seed", ""), ("--random-seed", "x" * 257)))
def test_a_bad_value_is_named(sandlock, option, value):
    run = sandlock(f"{option}={value}", cmd=["touch", "ran"])
    assert run.rc == 2 and option in run.err and "expected" in run.err, str(run)
    assert run.err.count("\n") == 1 and not (sandlock.work / "ran").exists()


@pytest.mark.parametrize("option", ("--no-randomize-memory", "--no-huge-pages",
                                    "--deterministic-dirs", "--no-coredump"))
def test_a_switch_takes_no_value(sandlock, option):
    run = sandlock(f"{option}=maybe", cmd=["touch", "ran"])
    assert run.rc == 2 and option in run.err and not (sandlock.work / "ran").exists(), str(run)


@pytest.mark.parametrize("option", (AT, SEED, "--deterministic-dirs"))
def test_what_needs_a_supervisor_says_so(sandlock, option):
    run = sandlock("--no-supervisor", option, cmd=["touch", "ran"], audit=False, status=False)
    assert run.rc == 2 and option.split("=")[0] in run.err, str(run)
    alone = ("--no-supervisor", "--no-randomize-memory", "--no-huge-pages", "--no-coredump")
    out = sandlock(*alone, cmd=["bash", "-c", "ulimit -Hc"], audit=False, status=False).ok().out
    assert out == "0\n"


def test_the_policy_is_printed(sandlock):
    words = [paths.SANDLOCK, "run", *STEADY, "--no-huge-pages", "--no-coredump", "--print-policy",
             "--", "true"]
    out = sandlock.bare(words).ok().out
    assert {f'time_start = "{START}"', 'random_seed = "42"', "no_randomize_memory = true",
            "deterministic_dirs = true", "no_huge_pages = true",
            "no_coredump = true"} <= set(out.splitlines()), out
