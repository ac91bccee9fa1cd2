"""What programs see of the system: processes, processors, memory, the machine's name."""

import os
import shutil
import socket
import sys

import pytest

ISOLATED = "--isolate-pids"


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return program


@pytest.mark.parametrize("identity", [(), ("--privileged",), ("--uid=1234", "--gid=77")])
def test_isolate_pids_shows_owners_as_the_kernel_does(sandlock, identity):
    """stat and statx, answered on behalf or not."""
    (sandlock.work / "mine").touch()
    code = ("import os; print([(os.stat(p).st_uid, os.stat(p).st_gid) for p in "
            "('mine', '/', '/proc/self/status')])")
    script = f"python3 -c \"{code}\"; stat -c '%u %g' mine /etc; ps -o comm= -p $$"
    plain = sandlock(*identity, cmd=["sh", "-c", script])
    if plain.rc == 125:
        pytest.skip(plain.err)
    assert plain.ok().out.split()[-1] == "sh", str(plain)
    assert sandlock(ISOLATED, *identity, cmd=["sh", "-c", script]).ok().out == plain.out


def test_isolate_pids_lists_own_processes_only(sandlock):
    """ps, pgrep and ls see the command and its children; bare, they see everybody."""
    bare = sandlock.bare(["ps", "-e", "-o", "pid="]).ok()
    assert str(os.getpid()) in bare.out.split(), str(bare)
    script = ("sleep 1000 & until [ $(cat /proc/$!/comm) = sleep ]; do :; done; "
              "ps -e -o pid=,comm=; echo --; pgrep -l sleep; echo --; "
              "ls /proc | grep '^[0-9]'; echo --; echo $$ $!; kill $!")
    run = sandlock(ISOLATED, cmd=["bash", "-c", script]).ok()
    ps, pgrep, ls, own = (part.split("\n") for part in run.out.strip().split("\n--\n"))
    shell, sleeper = own[0].split()
    assert sorted(line.split()[1] for line in ps) == ["bash", "ps", "sleep"], str(run)
    assert pgrep == [f"{sleeper} sleep"], str(run)
    assert {shell, sleeper} <= set(ls) and len(ls) <= 4 and str(os.getpid()) not in ls, str(run)


@pytest.mark.parametrize("program", ["top", "node", "bash"])
def test_isolate_pids_leaves_programs_working(sandlock, program):
    words = {
        "top": ["top", "-b", "-n1"],
        "node": ["node", "-e", "console.log(require('os').cpus().length > 0, process.title)"],
        "bash": ["bash", "-c", "cat <(echo one) /dev/fd/0 - <<< two; cat /proc/self/status "
                 "/proc/$$/cmdline /proc/cpuinfo /proc/meminfo /proc/uptime /proc/loadavg "
                 "/proc/mounts /proc/self/mountinfo /etc/mtab /proc/sys/kernel/osrelease "
                 "/proc/version > /dev/null && ls / /proc/self /proc/self/fd /dev/fd /proc/sys "
                 "/proc/self/task > /dev/null && nproc"],
    }[program]
    needs(words[0])
    run = sandlock(ISOLATED, "-P", "0", cmd=words, env={"TERM": "dumb"}).ok()
    assert run.out.strip() and run.err == "", str(run)


POOL = """
import multiprocessing, subprocess, os
def f(n): return n * n
if __name__ == "__main__":
    with multiprocessing.get_context(METHOD).Pool(3) as pool:
        print(sum(pool.map(f, range(10))))
    print(subprocess.run(["true"], close_fds=True).returncode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_isolate_pids_with_multiprocessing(sandlock, method):
    script = sandlock.work / "pool.py"
    script.write_text(POOL.replace("METHOD", repr(method)))
    run = sandlock(ISOLATED, cmd=[sys.executable, script]).ok()
    assert run.out == "285\n0\n", str(run)


NET = """
import os, socket, sys
tcp = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.bind(("::1", 0))
unix = socket.socket(socket.AF_UNIX); unix.bind(sys.argv[1]); unix.listen()
def entries(top, name, column):
    with open(f"{top}/{name}") as f:
        return [line.split()[column] for line in f][1:]
for top in ("/proc/net", "/proc/self/net", "/proc/thread-self/net"):
    port = lambda s: f"{s.getsockname()[1]:04X}"
    ports = [e.rsplit(":")[1] for e in entries(top, "tcp", 1)]
    assert port(tcp) in ports
    assert port(udp) in [e.rsplit(":")[1] for e in entries(top, "udp6", 1)]
    with open(f"{top}/unix") as f:
        paths = f.read()
    assert sys.argv[1] in paths
    print(f"{int(sys.argv[2]):04X}" in ports, sys.argv[3] in paths, len(ports))
    assert entries(top, "dev", 0) and entries(top, "route", 0) is not None
    for shut in ("ptype", "nf_conntrack", "connector"):
        if os.path.exists(f"{top}/{shut}"):
            try: open(f"{top}/{shut}").close(); print("open")
            except PermissionError: pass
"""


def test_isolate_pids_shows_own_sockets_only(sandlock, tmp_path):
    """The tree's own by every name of /proc/net; bare, and without the option, the machine's too."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "outside"))
        unix.listen()
        words = [sys.executable, "-c", NET, tmp_path / "own", tcp.getsockname()[1],
                 tmp_path / "outside"]
        for run in (lambda: sandlock.bare(words), lambda: sandlock("-w", tmp_path, "-r", "/", cmd=words)):
            found = run().ok()
            assert "True True" in found.out and "False" not in found.out, str(found)
            (tmp_path / "own").unlink()
        found = sandlock(ISOLATED, "-w", tmp_path, "-r", "/", cmd=words).ok()
        assert found.out == "False False 1\n" * 3, str(found)


def test_isolate_pids_many_ask_for_sockets_at_once(sandlock):
    """Lists are made one after the other, and everybody gets one."""
    code = ("import threading\n"
            "def read(): seen.append(len(open('/proc/net/tcp').read()) > 0)\n"
            "seen, all = [], [threading.Thread(target=read) for _ in range(40)]\n"
            "for t in all: t.start()\n"
            "for t in all: t.join()\n"
            "print(seen.count(True))\n")
    assert sandlock(ISOLATED, cmd=[sys.executable, "-c", code]).ok().out == "40\n"


def test_isolate_pids_grants_nothing_more(sandlock):
    """Where the policy does not grant /proc, one's own processes are not readable either."""
    system = ("-r", "/usr", "-r", "/bin", "-r", "?/lib", "-r", "?/lib64", "-r", "/etc")
    for options, reads in ((system, False), ((*system, "-r", "/proc"), True),
                           ((*system, "-r", "/proc/self"), True)):
        run = sandlock(ISOLATED, *options, cmd=["cat", "/proc/self/comm"])
        assert (run.rc == 0 and run.out == "cat\n") is reads, str(run)
        run = sandlock(ISOLATED, *options, cmd=["cat", f"/proc/{os.getpid()}/comm"])
        assert run.rc != 0 and run.out == "", str(run)


def test_isolate_pids_cannot_stand_below_a_write_grant(sandlock):
    run = sandlock(ISOLATED, "-w", "/", cmd=["touch", "ran"])
    assert run.rc == 125 and "below the write grant '/' (--isolate-pids)" in run.err, str(run)
    assert run.err.count("\n") == 1, str(run)
    assert not (sandlock.work / "ran").exists()


CPUS = """
import os, re
print(os.cpu_count(), len(os.sched_getaffinity(0)), os.sysconf("SC_NPROCESSORS_ONLN"),
      os.sysconf("SC_NPROCESSORS_CONF"))
print(len(re.findall("^processor", open("/proc/cpuinfo").read(), re.M)),
      len(re.findall("^cpu[0-9]", open("/proc/stat").read(), re.M)))
top = "/sys/devices/system/cpu"
print(*(open(f"{top}/{name}").read().strip() for name in ("online", "possible", "present")))
print(len([n for n in os.listdir(top) if re.fullmatch("cpu[0-9]+", n)]))
"""


@pytest.mark.parametrize("isolated", [(), (ISOLATED,)])
def test_num_cpus_is_seen_everywhere(sandlock, isolated):
    """By files, lists and calls, and by those who ask them: nproc, node, lscpu."""
    script = [sys.executable, "-c", CPUS]
    real = sandlock(*isolated, cmd=script).ok()
    assert real.out == sandlock.bare(script).ok().out, str(real)
    one = sandlock(*isolated, "--num-cpus=1", cmd=script).ok()
    assert one.out == "1 1 1 1\n1 1\n0 0 0\n1\n", str(one)
    many = sandlock(*isolated, "--num-cpus=99", cmd=script).ok()
    assert many.out.splitlines()[:3] == ["99 99 99 99", "99 99", "0-98 0-98 0-98"], str(many)
    run = sandlock(*isolated, "--num-cpus=1", cmd=["sh", "-c", "nproc; nproc --all; getconf "
                                                  "_NPROCESSORS_ONLN; lscpu -p=cpu | grep -v '#'"])
    assert run.ok().out == "1\n1\n1\n0\n", str(run)
    words = [needs("node"), "-e", "console.log(os.cpus().length)"]
    assert sandlock(*isolated, "-P0", "--num-cpus=1", cmd=words).ok().out == "1\n"


def test_max_memory_is_what_is_seen(sandlock):
    ask = ("free -b | awk '/^Mem/ {print $2} /^Swap/ {print $2}'; awk '/^MemTotal/ {print $2}' "
           "/proc/meminfo; python3 -c 'import os; print(os.sysconf(\"SC_PHYS_PAGES\") * "
           "os.sysconf(\"SC_PAGE_SIZE\"))'")
    run = sandlock("--max-memory=512M", cmd=["sh", "-c", ask]).ok()
    total = 512 << 20
    assert run.out.split() == [str(total), "0", str(total >> 10), str(total)], str(run)
    real = sandlock.bare(["sh", "-c", ask]).ok()
    assert sandlock(cmd=["sh", "-c", ask]).ok().out == real.out
    assert sandlock("--max-memory=1024T", cmd=["sh", "-c", ask]).ok().out.split()[0] == \
        real.out.split()[0]


@pytest.mark.parametrize("options,path", [(("--hostname=box",), "/etc/hostname"),
                                          (("--num-cpus=1",), "/proc/cpuinfo")])
def test_the_mode_of_a_virtual_file(sandlock, options, path):
    """Readable and no more: a copy by its open file is not a program that all may write. Who takes
    that away from it takes it from nobody else."""
    script = ("import os, sys\n"
              "for _ in range(2):\n"
              "  fd = os.open(sys.argv[1], os.O_RDONLY); print(oct(os.fstat(fd).st_mode))\n"
              "  try: os.fchmod(fd, 0)\n"
              "  except OSError: pass\n")
    run = sandlock(*options, cmd=[sys.executable, "-c", script, path]).ok()
    assert run.out == "0o100444\n" * 2, str(run)


def test_hostname(sandlock):
    """By uname and by files; without the option it is the machine's, which never changes."""
    asks = "uname -n; hostname; cat /etc/hostname /proc/sys/kernel/hostname; python3 -c " \
           "'import socket; print(socket.gethostname())'"
    machine = os.uname().nodename
    run = sandlock("--hostname=box-1.example.com", cmd=["sh", "-c", asks]).ok()
    assert run.out.split() == ["box-1.example.com"] * 5, str(run)
    run = sandlock("--hostname=box-1", cmd=["sh", "-c", "uname -sr"]).ok()
    assert run.out.split() == [os.uname().sysname, os.uname().release], str(run)
    run = sandlock(cmd=["uname", "-n"]).ok()
    assert run.out.split() == [machine] == [os.uname().nodename], str(run)


@pytest.mark.parametrize("name", ["", "a_b", "-a", "a-", "a..b", ".a", "a.", "a b", "ä", "a/b",
                                  "a" * 65, "a" * 64 + ".b", "a\nb"])
def test_a_bad_hostname_is_refused(sandlock, name):
    run = sandlock(f"--hostname={name}", cmd=["touch", "ran"])
    assert run.rc == 2 and "--hostname" in run.err and run.err.count("\n") == 1, str(run)
    assert not (sandlock.work / "ran").exists()
