"""PROC: system calls that reach around the layers, and FS-18, FS-21, which are such calls too
(docs/security-cases.md)."""

import array
import ctypes
import fcntl
import os
import pty
import shutil
import signal
import stat
import subprocess
import termios
import tty

import pytest
from harness import build, kernel, paths
from harness.waiting import TIMEOUT, read_line

FILES = ("-r", "/", "-w")
SYS = {"EPERM", "ENOSYS"}
POLICIES = [(), ("--net-allow=",), ("--deny-syscalls=",), ("--allow-syscalls=write,clone,wait4",)]


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


@pytest.fixture
def calls(attack):
    return attack("calls")


@pytest.mark.parametrize("options", [(), ("--net-allow=",), kernel.ALONE])
def test_PROC_01_and_15_calls_around_the_layers(sandlock, calls, options):
    """Each is refused before the kernel looks at its arguments; outside it finds them wrong."""
    bare = steps(sandlock.bare([calls, "refused"]).ok())
    assert bare["io_uring_setup"] != "ok" and bare["add_key"] not in SYS, bare
    run = sandlock(*options, cmd=[calls, "refused"], audit=False, status=False).ok()
    answers = steps(run)
    assert answers.pop("personality_query") == "ok"
    assert len(answers) > 30 and {a for a in answers.values()} <= SYS, str(run)
    works = steps(sandlock.bare([calls, "working"]).ok())
    assert works["keyctl"] == works["add_key"] == works["personality"] == "ok", works
    inside = steps(sandlock(*options, cmd=[calls, "working"], audit=False, status=False).ok())
    assert set(inside.values()) <= SYS, inside


@pytest.mark.parametrize("options", POLICIES)
def test_PROC_01_and_09_and_15_lists_of_calls_do_not_loosen_them(sandlock, calls, options):
    """What judging rests on is refused whatever a policy's own list of calls says."""
    always = ("io_uring_setup", "open_by_handle_at", "mount", "fsopen", "open_tree", "move_mount",
              "pivot_root", "chroot", "setns")
    answers = steps(sandlock(*options, cmd=[calls, "refused"]).ok())
    assert {answers[a] for a in always} == {"EPERM"}, answers
    if options == ("--deny-syscalls=",):
        assert answers["keyctl"] not in SYS and answers["bpf"] != "ENOSYS", answers
    answers = steps(sandlock(*options, cmd=[calls, "namespaces"]).ok())
    assert set(answers.values()) <= SYS, answers


def i386_program():
    """getpid and exit by the i386 table; needs no 32-bit library."""
    source = paths.BIN / "i386.c"
    source.write_text(
        "static int call(int nr, int arg)\n"
        "{\n    int r;\n    __asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(nr), \"b\"(arg));\n"
        "    return r;\n}\n"
        "void _start(void)\n{\n    call(1, call(20, 0) > 0 ? 42 : 1);\n}\n")
    target = paths.BIN / f"i386-{os.getpid()}"
    done = subprocess.run(["cc", "-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pie",
                           "-no-pie", "-fno-stack-protector", "-O1", source, "-o", target],
                          capture_output=True, text=True, timeout=TIMEOUT)
    return target if done.returncode == 0 else None


def test_PROC_02_other_tables_of_calls(sandlock, calls):
    if os.uname().machine != "x86_64":
        pytest.skip("only x86-64 has such tables")
    bare = sandlock.bare([calls, "int80"])
    if bare.rc == 0:  # a kernel without it ends the process itself
        assert bare.out == "int80 ok\n"
    run = sandlock(cmd=[calls, "int80"])
    assert run.rc == 128 + signal.SIGSYS and run.out == "", str(run)
    program = i386_program()
    if program is not None and bare.rc == 0:
        assert sandlock.bare([program]).rc == 42
        run = sandlock(*FILES, sandlock.work, cmd=[program])
        assert run.rc == 128 + signal.SIGSYS, str(run)
    answers = steps(sandlock(cmd=[calls, "unknown"]).ok())
    assert answers["x32_getpid"] == answers["x32_execve"] == "ENOSYS", answers


def test_PROC_19_numbers_unknown_to_the_build(sandlock, calls):
    answers = steps(sandlock(cmd=[calls, "unknown"]).ok())
    for name in ("next", "late", "huge", "negative"):
        assert answers[name] == "ENOSYS", answers
    # the kernel takes the number from the low half, too
    assert answers["upper_half"] == steps(sandlock.bare([calls, "unknown"]).ok())["upper_half"]


def test_PROC_03_upper_halves_of_registers(sandlock, calls):
    bare = steps(sandlock.bare([calls, "upper"]).ok())
    assert bare["socket_inet"] == "ok" and bare["still"] == "hidden"
    answers = steps(sandlock(cmd=[calls, "upper"]).ok())
    assert answers.pop("socket_inet") == "ok"
    assert answers.pop("dumpable") == answers.pop("still") == "ok"
    assert answers.pop("socket_alg") == "EAFNOSUPPORT" and answers.pop("mptcp") == "EACCES"
    assert set(answers.values()) == {"EPERM"}, answers


class Terminal:
    """A pseudo terminal whose input queue is looked at from outside."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)

    def queued(self):
        count = array.array("i", [0])
        fcntl.ioctl(self.slave, termios.FIONREAD, count)
        return count[0]

    def take(self):
        """Makes the slave the controlling terminal of the process that is about to start."""
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("options", [(), kernel.ALONE])
def test_PROC_04_typing_into_the_terminal(sandlock, calls, options):
    terminal = Terminal()
    bare = subprocess.run([calls, "terminal"], stdin=terminal.slave, capture_output=True,
                          text=True, preexec_fn=terminal.take, timeout=TIMEOUT)
    answers = dict(line.split() for line in bare.stdout.splitlines())
    # dev.tty.legacy_tiocsti=0 refuses by itself, with another error
    assert answers["tiocsti"] == "ok" and terminal.queued() == 2 or answers["tiocsti"] == "EIO"
    terminal = Terminal()
    done = subprocess.run([paths.SANDLOCK, "run", *options, "--", calls, "terminal"],
                          stdin=terminal.slave, capture_output=True, text=True,
                          preexec_fn=terminal.take, timeout=TIMEOUT, cwd=sandlock.work,
                          env=dict(os.environ, HOME=str(sandlock.home)))
    answers = dict(line.split() for line in done.stdout.splitlines())
    assert answers == {"tiocsti": "EPERM", "tiocsti_high": "EPERM", "tioclinux": "EPERM",
                       "tiocgwinsz": "ok"}, done
    assert terminal.queued() == 0


def test_PROC_09_namespaces(sandlock, calls):
    bare = steps(sandlock.bare([calls, "namespaces"]).ok())
    if "ok" not in bare.values():
        pytest.skip("no namespace can be made here anyway")
    for options in ((), ("--net-allow=",), kernel.ALONE):
        run = sandlock(*options, cmd=[calls, "namespaces"], audit=False, status=False).ok()
        assert len(steps(run)) > 25 and set(steps(run).values()) <= SYS, str(run)


def test_PROC_10_flags_of_clone3_are_rewritten(sandlock, calls):
    """They are never read: clone3 does not exist inside, and libc falls back to clone."""
    bare = dict(line.split() for line in sandlock.bare([calls, "race"]).ok().out.splitlines())
    assert int(bare["made"]) > 0
    answers = steps(sandlock(cmd=[calls, "race"]).ok())
    assert answers == {"made": "0", "refused": "2000"}
    threads = ("import threading,subprocess\n"
               "t=[threading.Thread(target=print, args=('thread',)) for _ in range(3)]\n"
               "[x.start() for x in t]; [x.join() for x in t]\n"
               "subprocess.run(['true'], check=True)\n")
    assert sandlock(cmd=["python3", "-c", threads]).ok().out == "thread\n" * 3


def test_PROC_13_filters_of_its_own(sandlock, calls):
    """A second listener is refused; what a filter of the child's allows, ours still refuses, and
    what it pretends to have done is not done."""
    target = sandlock.home / "theirs"
    target.write_text("")
    target.chmod(0o600)
    bare = steps(sandlock.bare([calls, "filters", target]).ok())
    assert bare["listener"] == "ok" and bare["chmod.allow"] == "ok"
    target.chmod(0o600)
    mounts = open("/proc/self/mountinfo").read()
    answers = steps(sandlock(cmd=[calls, "filters", target]).ok())
    assert answers["listener"] == "EBUSY"
    for action in ("allow", "log", "trace"):
        assert answers[f"install.{action}"] == "ok", answers
        assert answers[f"mount.{action}"] == "EPERM", answers
        assert answers[f"chmod.{action}"] == "EACCES", answers
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert open("/proc/self/mountinfo").read() == mounts


CAP_NET_RAW = 13
VFS_CAP = (0x02000001).to_bytes(4, "little")  # revision 2, effective


def test_PROC_08_setuid_and_file_capabilities(sandlock, calls):
    """A set-user-id program of somebody else and one with a file capability gain nothing."""
    inside = steps(sandlock(cmd=[calls, "identity"]).ok())
    assert inside["NoNewPrivs"] == "1" and int(inside["CapEff"], 16) == 0, inside
    if os.geteuid() != 0:
        pytest.skip("only root can make such programs; NoNewPrivs was looked at")
    place = sandlock.home.parent / "programs"  # where others may look
    place.mkdir()
    owned, capable = place / "owned", place / "capable"
    for copy in (owned, capable):
        shutil.copyfile(calls, copy)
        copy.chmod(0o755)
    os.chown(owned, 65534, 65534)
    owned.chmod(0o6755)
    bits = (1 << CAP_NET_RAW).to_bytes(4, "little")
    os.setxattr(capable, "security.capability", VFS_CAP + bits + bytes(12))
    assert steps(sandlock.bare([owned, "identity"]).ok())["euid"] == "65534"
    bare = subprocess.run([capable, "identity"], user=65533, capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert f"CapEff {1 << CAP_NET_RAW:016x}" in bare.stdout, bare
    answers = steps(sandlock("-r", "/", cmd=[owned, "identity"]).ok())
    assert answers["euid"] == answers["egid"] == "0", answers
    assert int(answers["CapEff"], 16) == 0 and answers["NoNewPrivs"] == "1", answers
    run = sandlock("-r", "/", cmd=[capable, "identity"])
    # execve(2): a capability that is outside the bounding set is an error, not a gift
    assert run.rc == 126 and "Operation not permitted" in run.err, str(run)


def test_PROC_16_other_ways_to_execute(sandlock, calls, attack):
    """From a memory file, by descriptor, by the loader: as confined and as counted as before."""
    target = sandlock.home / "theirs"
    target.write_text("")
    target.chmod(0o600)
    dynamic = build.c_program("security/attacks/calls.c", "-dynamic", name="calls-dynamic")
    loader = next((p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
                   if os.path.exists(p)), None)
    words = [("memory", [calls, "from_memory", "confined", target]),
             ("plain", [calls, "confined", target])]
    if loader is not None:
        words.append(("loader", [loader, dynamic, "confined", target]))
    for name, cmd in words:
        bare = steps(sandlock.bare(cmd).ok())
        assert bare["open"] == bare["chmod"] == "ok" and bare["forks"] == "free", (name, bare)
        target.chmod(0o600)
        run = sandlock("-P", "5", "-r", "/usr", "-r", "/lib", "-r", "?/lib64", "-r", "/proc", "-r",
                       build.paths.BIN, "-w", sandlock.work, cmd=cmd).ok()
        assert steps(run) == {"open": "EACCES", "chmod": "EACCES", "mount": "EPERM",
                              "forks": "limited"}, (name, str(run))
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


class Meeting:
    """Somebody outside, or in a sibling sandbox, who made System V IPC, a queue and a key."""

    def __init__(self, calls, words=()):
        self.name = f"sandlock-test-{os.getpid()}"
        self.process = subprocess.Popen([*words, calls, "make", self.name], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        *self.ids, self.queue, self.key = read_line(self.process.stdout).split()
        assert "-1" not in self.ids

    def words(self, calls):
        return [calls, "meet", *self.ids, self.name]

    def end(self):
        out, _ = self.process.communicate(timeout=TIMEOUT)
        return dict(line.split() for line in out.splitlines())


def test_PROC_14_meeting_places_of_all_processes_of_a_user(sandlock, calls):
    """Keys and POSIX queues in every run; System V IPC under --isolate-ipc."""
    meeting = Meeting(calls)
    assert int(meeting.queue) >= 0 and meeting.key == "1"
    bare = steps(sandlock.bare(meeting.words(calls)).ok())
    assert set(bare.values()) == {"ok"}, bare
    seen = meeting.end()
    assert seen == {"memory": "inside", "semaphore": "1", "messages": "1", "queue": "gone"}
    meeting = Meeting(calls)
    answers = steps(sandlock("--isolate-ipc", cmd=meeting.words(calls)).ok())
    assert set(answers.values()) <= {*SYS, "EACCES"}, answers
    answers = steps(sandlock(cmd=meeting.words(calls)).ok())
    for call in ("mq_open", "mq_unlink", "request_key", "keyctl"):
        assert answers[call] in (*SYS, "EACCES"), answers
    assert answers["shmat"] == answers["semop"] == "ok"  # as documented


def test_PROC_14_between_sibling_sandboxes(sandlock, calls):
    """One run makes its shared memory under --isolate-ipc, the other one's is out of its reach."""
    script = ("import ctypes,os,sys\n"
              "l=ctypes.CDLL(None,use_errno=True); l.shmat.restype=ctypes.c_void_p\n"
              "i=l.shmget(0, 4096, 0o600); p=l.shmat(i, None, 0)\n"
              "print(i, flush=True); sys.stdin.read()\n"
              "print('memory', ctypes.string_at(p, 1) == bytes(1)); l.shmctl(i, 0, None)\n")
    one = sandlock.start("--isolate-ipc", cmd=["python3", "-c", script], stdin=subprocess.PIPE)
    number = one.line().strip()
    other = ("import ctypes,sys\n"
             "l=ctypes.CDLL(None,use_errno=True); l.shmat.restype=ctypes.c_void_p\n"
             "r=l.shmat(int(sys.argv[1]), None, 0)\n"
             "print(r == ctypes.c_void_p(-1).value, ctypes.get_errno())\n")
    assert sandlock.bare(["python3", "-c", other, number]).ok().out == "False 0\n"
    run = sandlock("--isolate-ipc", cmd=["python3", "-c", other, number]).ok()
    assert run.out == "True 13\n"
    assert one.finish(data=b"").ok().out == "memory True\n"


def test_FS_18_device_nodes(sandlock):
    """In a write grant, too, and also as root: a node is a door to the driver."""
    script = ("import errno,os,stat\n"
              "for name, mode in (('char', stat.S_IFCHR), ('block', stat.S_IFBLK)):\n"
              "    for number in ((1, 3), (7, 0), (0, 0)):\n"
              "        try: os.mknod(name, mode | 0o600, os.makedev(*number)); print(name, 'made')\n"
              "        except OSError as e: print(name, errno.errorcode[e.errno])\n"
              "        if os.path.exists(name): os.unlink(name)\n"
              "os.mkfifo('fifo'); os.mknod('file')\n")
    bare = sandlock.bare(["python3", "-c", script]).ok()
    assert "char made" in bare.out  # 0:0, a whiteout, is anybody's
    for name in ("fifo", "file"):
        (sandlock.work / name).unlink()
    for options in ((), kernel.ALONE):
        run = sandlock(*options, cmd=["python3", "-c", script], audit=False, status=False).ok()
        assert set(run.out.split()) <= {"char", "block", "EACCES", "EPERM"}, str(run)
        assert sorted(os.listdir(sandlock.work)) == ["fifo", "file"]
        for name in ("fifo", "file"):
            (sandlock.work / name).unlink()


def test_FS_21_mounts(sandlock, calls):
    """Bare, root makes a mount in a namespace of its own; inside every entrance is closed."""
    libc = ctypes.CDLL(None, use_errno=True)

    def unshare():
        if libc.unshare(0x20000 | (0x10000000 if os.geteuid() else 0)) != 0:
            os._exit(77)

    words = ["mount", "-t", "tmpfs", "none", str(sandlock.work)]
    try:
        bare = subprocess.run(words, preexec_fn=unshare, capture_output=True, text=True,
                              timeout=TIMEOUT)
        made = bare.returncode == 0
    except subprocess.SubprocessError:
        made = False
    if os.geteuid() == 0:
        assert made
    before = open("/proc/self/mountinfo").read()
    answers = steps(sandlock(cmd=[calls, "refused"]).ok())
    for call in ("mount", "umount2", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree",
                 "open_tree_attr", "move_mount", "mount_setattr", "statmount", "listmount",
                 "pivot_root", "chroot"):
        assert answers[call] in SYS, (call, answers)
    assert sandlock(cmd=words).rc != 0 and open("/proc/self/mountinfo").read() == before


def test_RES_08_a_flood_of_questions(sandlock, attack):
    """64 threads that ask without end. Whoever asks then is answered in his turn: each of the flood
    comes before him about once. Counted, not timed: between answer and count anybody may have to
    wait for a processor, so a single call has more room than their middle."""
    threads, calls = 64, 400
    words = [attack("flood"), str(threads), str(calls)]
    for run in (sandlock.bare(words), sandlock("--isolate-pids", cmd=words)):
        lines = [line.split() for line in run.ok().out.splitlines()]
        assert len(lines) == calls and {line[0] for line in lines} == {"ok"}, str(run)
    for kind in (lines[0::2], lines[1::2]):  # opens, changes
        answers = sorted(int(line[1]) for line in kind)
        middle = answers[len(answers) // 2]
        assert threads / 4 < middle <= 2 * threads, answers
        assert answers[-1] <= 100 * threads, answers

