"""`sandlock run -i`: a terminal of its own for the command, and the caller's as it was before,
whoever dies. What is typed comes from a terminal of the test's own (harness/terminal.py)."""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from harness import paths
from harness.orphans import Orphans
from harness.sandbox import Roles, clean_environment, stat_field
from harness.terminal import Terminal, interactive
from harness.waiting import TIMEOUT, wait_gone, wait_until

CTRL_C, CTRL_D, CTRL_Z = b"\x03", b"\x04", b"\x1a"

ABOUT = """
import fcntl, os, struct, sys, termios
name = os.ttyname(0)
rows, columns = struct.unpack('HHHH', fcntl.ioctl(0, termios.TIOCGWINSZ, b'\\0' * 8))[:2]
print('names', name, os.ttyname(1) == name, os.ttyname(2) == name)
print('leads', os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpgrp())
print('size', rows, columns)
for path in (name, '/dev/tty'):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    print('opens', path, termios.tcgetattr(fd) == termios.tcgetattr(0))
print('extra', [fd for fd in range(3, 64) if os.path.exists(f'/proc/self/fd/{fd}')][2:])
sys.exit(5)
"""


def python(script, *more):
    return [sys.executable, "-c", script, *more]


def test_a_terminal_of_its_own(sandlock):
    """Another device than the caller's, of the same size; a session and a foreground group."""
    bare = Terminal([sys.executable, "-c", "import os;print('name',os.ttyname(0),'.')"],
                    sandlock.work, clean_environment(sandlock.home))
    with bare:
        assert bare.until(rb"name (\S+) \.")[1].decode() == os.ttyname(bare.slave)
        bare.finish()
    with interactive(sandlock, cmd=python(ABOUT)) as t:
        names = t.until(rb"names (\S+) True True\r\n")
        assert names[1].decode() != os.ttyname(t.slave)
        t.until(rb"leads True True\r\nsize 31 97\r\n")
        t.until(rb"opens /dev/pts/\d+ True\r\nopens /dev/tty True\r\nextra \[\]\r\n")
        assert t.finish() == 5
        assert t.attributes() == t.before


def test_the_attributes_inside_are_the_caller_s(sandlock):
    """An erase character of one's own is there inside, and what is set inside stays inside."""
    with interactive(sandlock, cmd=["bash", "--norc", "-c",
                                    "stty -a; stty -echo raw; read -r line; stty -a"]) as t:
        t.until(rb"erase = \^\?.*\n(.*\n)*.* icanon")
        t.until_raw()
        t.type(b"x\n")
        t.until(rb"-icanon")
        assert t.finish() == 0 and t.attributes() == t.before


def test_the_size_follows(sandlock):
    script = ("import os,signal\nsignal.pthread_sigmask(signal.SIG_BLOCK,[signal.SIGWINCH])\n"
              "print('up',*os.get_terminal_size(0),flush=True)\n"
              "while True: signal.sigwait([signal.SIGWINCH]);"
              "print('now',*os.get_terminal_size(0),flush=True)\n")
    with interactive(sandlock, cmd=python(script)) as t:
        t.until(rb"up 97 31\r\n")
        t.resize(40, 120)
        t.until(rb"now 120 40\r\n")
        t.resize(24, 80)
        t.until(rb"now 80 24\r\n")
        os.kill(t.pid, signal.SIGTERM)
        assert t.finish() == 128 + signal.SIGTERM


def test_control_c_is_the_command_s(sandlock):
    with interactive(sandlock, cmd=["cat"]) as t:
        t.type(b"line\n")
        t.until(rb"line\r\nline\r\n")
        t.type(CTRL_C)
        assert t.finish() == 128 + signal.SIGINT and b"^C" in t.shown
        assert t.attributes() == t.before
    with interactive(sandlock, cmd=["sh", "-c", "trap 'echo caught; exit 3' INT; echo up; read x"]) \
            as t:
        t.until(rb"up\r\n")
        t.type(CTRL_C)
        t.until(rb"caught\r\n")
        assert t.finish() == 3


def test_the_end_of_input(sandlock):
    with interactive(sandlock, cmd=["cat"]) as t:
        t.type(b"a\n")
        t.until(rb"a\r\na\r\n")
        t.type(CTRL_D)
        assert t.finish() == 0


def test_job_control_inside(sandlock):
    """Ctrl-Z stops what runs in the foreground inside, not the run; fg goes on; Ctrl-C ends it."""
    # -P 0: what a job says while forks are counted may be a broken-off fork (docs/THREAT-MODEL.md)
    with interactive(sandlock, "-P", "0", cmd=["bash", "--norc", "--noediting", "-i"],
                     env={"PS1": "<\\j>"}) as t:
        t.until(rb"<0>$")
        t.type(b"sh -c 'echo on; exec sleep 1000'\n")
        t.until(rb"\non\r\n")
        t.type(CTRL_Z)
        t.until(rb"Stopped.*\r\n<1>$")
        t.type(b"fg\n")
        t.until(rb"fg\r\nsh -c .*\r\n")
        shell = Roles(t.pid).child
        wait_until("another in the foreground",  # said before it is there
                   lambda: stat_field(shell, 5) != stat_field(shell, 2))
        t.type(CTRL_C)
        t.until(rb"<0>$")
        t.type(b"exit 7\n")
        assert t.finish() == 7
        assert t.attributes() == t.before


def test_control_z_reaches_the_first_process(sandlock):
    script = ("import signal,sys\n"
              "signal.signal(signal.SIGTSTP, lambda *_: sys.exit(9))\nprint('up')\n"
              "while True: signal.pause()\n")
    with interactive(sandlock, cmd=python(script)) as t:
        t.until(rb"up\r\n")
        t.type(CTRL_Z)
        assert t.finish() == 9


def test_every_byte_passes(sandlock):
    """Both ways, raw: more than any buffer holds, with a reader that begins late."""
    data = bytes(range(256)) * 4096  # 1 MiB
    script = ("import hashlib,os,sys,tty\ntty.setraw(0)\nos.write(1,b'up')\nh=hashlib.sha256();n=0\n"
              f"while n<{len(data)}: d=os.read(0,65536);h.update(d);n+=len(d)\n"
              "os.write(1,h.hexdigest().encode())\n"
              f"d=bytes(range(256))*4096\n"
              "while d: d=d[os.write(1,d):]\nos.write(1,b'done')\n")
    with interactive(sandlock, cmd=python(script)) as t:
        t.until(rb"up$")
        t.type(data)
        t.until(hashlib.sha256(data).hexdigest().encode())
        end = t._seen
        assert t.finish() == 0
        assert t.shown[end:] == data + b"done"


def written(pid):
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])


def test_a_screen_that_takes_nothing_makes_the_command_wait(sandlock):
    """Nothing is dropped, and nothing piles up in the guardian."""
    script = "import os\nfor i in range(2048): os.write(1,b'%07d\\n'%i*512)\n"  # 8 MiB
    with interactive(sandlock, cmd=python(script)) as t:
        t.until(rb"\d")
        child, before = Roles(t.pid).child, -1
        while (now := written(child)) != before or stat_field(child, 0) != "S":
            before = now
        assert now < 1 << 20, "the command went on without a reader"
        assert t.finish() == 0
        lines = t.shown.split(b"\r\n")
        assert lines == [b"%07d" % (i // 512) for i in range(2048 * 512)] + [b""]


def test_vi_edits_a_file(sandlock):
    """A full-screen editor, with its keys, its Escape and its own attributes."""
    vi = shutil.which("vim") or shutil.which("vi")
    if vi is None:
        pytest.skip("there is no vi here")
    with interactive(sandlock, cmd=[vi, "-u", "NONE", "letter"], env={"TERM": "xterm"}) as t:
        t.until(rb"letter")
        t.type(b"ifirst line\rsecond\x1b")
        t.until(rb"second")
        t.type(b":wq\r")
        assert t.finish() == 0
        assert t.attributes() == t.before
    assert (sandlock.work / "letter").read_text() == "first line\nsecond\n"


# the caller's terminal after every kind of end

FORKS = ("import os,signal,sys\n"
         "if os.fork()==0: os.setsid()\n"
         "print('up%d.'%os.getpid())\n"
         "while True: signal.pause()\n")


@pytest.mark.parametrize("victim", ["child", "engine", "guardian"])
def test_the_terminal_is_restored_after_a_kill(sandlock, victim):
    code = {"child": 137, "engine": 125, "guardian": -signal.SIGKILL}[victim]
    with Orphans() as orphans:
        with interactive(sandlock, cmd=python(FORKS)) as t:
            t.until(rb"up\d+\..*up\d+\.|up\d+\.\r\nup\d+\.")
            assert t.is_raw() and t.attributes() != t.before
            roles = Roles(t.pid)
            os.kill(getattr(roles, victim), signal.SIGKILL)
            assert t.finish() == code, t.story("code")
            # of a dead guardian's terminal the engine takes care, in its own time
            assert wait_gone([roles.engine], 20)
            assert t.attributes() == t.before
            if victim == "engine":
                t.until(rb"\nsandlock: the engine was ended by signal 9; the run is over\r\n")
        assert orphans.left() == []


def test_an_engine_leaves_attributes_alone_that_others_have_set(sandlock):
    """A shell that takes over after the guardian's death sets its own; ours would be in its way."""
    with interactive(sandlock, cmd=python(FORKS)) as t:
        t.until(rb"up\d+\..*up\d+\.|up\d+\.\r\nup\d+\.")
        roles = Roles(t.pid)
        theirs = t.attributes()
        theirs[3] |= termios.ECHO
        termios.tcsetattr(t.slave, termios.TCSANOW, theirs)
        set_by_shell = t.attributes()
        os.kill(t.pid, signal.SIGKILL)
        t.finish()
        assert wait_gone([roles.engine], 20)
        assert t.attributes() == set_by_shell != t.before


@pytest.mark.parametrize("options,cmd,code,said", [
    ((), ["no-such-program"], 127, rb"'no-such-program'"),
    (("-r", "/usr"), ["/etc/hostname"], 126, rb"/etc/hostname"),
    (("-t", "0.3"), ["sleep", "1000"], 124, b""),
])
def test_the_terminal_is_restored_after_other_ends(sandlock, options, cmd, code, said):
    with interactive(sandlock, *options, cmd=cmd) as t:
        assert t.finish() == code, t.story("code")
        assert said in t.shown and t.attributes() == t.before


def test_what_we_say_comes_last_and_line_by_line(sandlock):
    """The summary is not mixed with the command's own lines, nor a staircase."""
    script = ("import socket,sys\nsys.stdout.write('x'*200000+'\\nlast\\n');sys.stdout.flush()\n"
              "try: socket.create_connection(('127.0.0.1',9))\nexcept OSError: pass\n")
    with interactive(sandlock, "--net-allow=", cmd=python(script)) as t:
        assert t.finish() == 0
        tail = t.shown[t.shown.index(b"last"):]
        assert tail.startswith(b"last\r\nsandlock: 1 denied; to allow:\r\nsandlock:   tcp://"), tail
        assert tail.endswith(b"\r\n") and t.attributes() == t.before


def test_a_stop_from_outside_gives_the_terminal_back(sandlock):
    """kill -TSTP: the shell gets its terminal as it was; continued, keys are raw again."""
    with interactive(sandlock, cmd=["cat"]) as t:
        t.until_raw()
        t.type(b"one\n")
        t.until(rb"one\r\none\r\n")
        os.kill(t.pid, signal.SIGTSTP)
        assert os.WIFSTOPPED(t.wait(os.WUNTRACED))
        assert t.attributes() == t.before
        t.resize(50, 150)
        os.kill(t.pid, signal.SIGCONT)
        t.until_raw()
        t.type(b"two\n")
        t.until(rb"two\r\ntwo\r\n")
        t.type(CTRL_D)
        assert t.finish() == 0 and t.attributes() == t.before


def test_a_terminal_that_goes_away_hangs_up_the_command(sandlock):
    """Its end is the end of the command's terminal too: SIGHUP, and nobody is left."""
    proof = sandlock.work / "hup"
    script = ("import os,signal,sys\n"  # at once: it may be told twice, and Python's way out is long
              "def hup(*_):\n with open(sys.argv[1],'w') as f: f.write('hup')\n os._exit(4)\n"
              "signal.signal(signal.SIGHUP,hup)\nprint('up')\nwhile True: signal.pause()\n")
    with Orphans() as orphans:
        with interactive(sandlock, cmd=python(script, proof)) as t:
            t.until(rb"up\r\n")
            os.close(t.slave)
            os.close(t.master)
            t.slave = t.master = None
            assert wait_gone([t.pid], TIMEOUT)
            _, status = os.waitpid(t.pid, os.WNOHANG)
            t.code = os.waitstatus_to_exitcode(status)
            assert t.code == 4 and proof.read_text() == "hup"
        assert orphans.left() == []


# where there is no terminal

NO_TERMINAL = ("sandlock: option '--interactive': standard input is not a terminal; the command runs "
               "with the standard input it has\n")


def test_without_a_terminal_it_runs_with_what_it_has(sandlock):
    """One line says so. What is piped in arrives, and the exit code is the command's."""
    cmd = ["sh", "-c", "read x; echo got $x; test -t 0 || exit 7"]
    assert sandlock.bare(cmd, data=b"piped\n").out == "got piped\n"
    run = sandlock("-i", cmd=cmd, data=b"piped\n", audit=False)
    assert (run.rc, run.out, run.err) == (7, "got piped\n", NO_TERMINAL), str(run)
    quiet = sandlock("-i", "--quiet", cmd=cmd, data=b"piped\n", audit=False)
    assert (quiet.rc, quiet.out, quiet.err) == (7, "got piped\n", ""), str(quiet)


def test_a_terminal_for_the_outputs_alone_stays_the_caller_s(sandlock):
    with open("/dev/null") as null, \
            interactive(sandlock, cmd=["sh", "-c", "test -t 0 || echo out; exit 3"],
                        stdin=null.fileno()) as t:
        t.until(rb"standard input is not a terminal.*\r\nout\r\n")
        assert t.finish() == 3 and t.attributes() == t.before


def test_an_output_that_is_no_terminal_is_the_command_s_as_it_is(sandlock):
    target = sandlock.work / "out"
    with open(target, "wb") as out, \
            interactive(sandlock, cmd=["sh", "-c", "read x; printf '%s\\n' \"$x\"; echo err >&2"],
                        stdout=out.fileno()) as t:
        t.type(b"to the file\n")
        t.until(rb"err\r\n")
        assert t.finish() == 0 and t.attributes() == t.before
    assert target.read_bytes() == b"to the file\n"


def test_no_supervisor_has_no_terminal_to_give(sandlock):
    with interactive(sandlock, "--no-supervisor", cmd=["true"]) as t:
        assert t.finish() == 2 and b"--interactive" in t.shown


# typing into a terminal (CVE-2017-5226)

TYPE_IN = ("import errno,fcntl,os,termios\n"
           "for name,call,arg in (('STI',termios.TIOCSTI,b'x'),('LINUX',0x541c,b'\\3'),\n"
           "                      ('STI-high',termios.TIOCSTI|1<<32,b'x')):\n"
           " try:\n"
           "  fcntl.ioctl(0,call&0xffffffff,arg); print(name,'ok')\n"
           " except OSError as e: print(name,errno.errorcode[e.errno])\n"
           "print('size',*os.get_terminal_size(0))\n")


@pytest.mark.parametrize("words", [("-i",), ()])
def test_typing_for_the_user_is_refused(sandlock, words):
    with interactive(sandlock, cmd=python(TYPE_IN), words=words) as t:
        t.until(rb"STI EPERM\r\nLINUX EPERM\r\nSTI-high EPERM\r\nsize 97 31\r\n")
        assert t.finish() == 0


def test_a_terminal_under_a_list_of_system_calls(sandlock):
    """What the child needs for its terminal is part of every such list."""
    with interactive(sandlock, "--allow-syscalls=write,ioctl", cmd=["echo", "said"]) as t:
        t.until(rb"said\r\n")
        assert t.finish() == 0
    with interactive(sandlock, "--deny-syscalls=ptrace", cmd=["echo", "said"]) as t:
        t.until(rb"said\r\n")
        assert t.finish() == 0


def test_a_command_that_is_over_at_once_is_shown(sandlock):
    for turn in range(40):
        with interactive(sandlock, cmd=["echo", f"turn {turn}."]) as t:
            assert t.finish() == 0
            assert t.shown == b"turn %d.\r\n" % turn and t.attributes() == t.before


def test_exec_shell_in_a_terminal(sandlock):
    line = [paths.SANDLOCK, "run", "-P", "0", "-i", "-e", "test -t 0 && echo yes; exit 6"]
    with Terminal(line, sandlock.work, clean_environment(sandlock.home)) as t:
        t.until(rb"yes\r\n")
        assert t.finish() == 6


def test_a_shell_outside_keeps_its_terminal(sandlock):
    """An interactive bash runs us, loses us by SIGKILL, and its next line is as ever."""
    words = shlex.join([str(paths.SANDLOCK), "run", "-i", "--", "cat"])
    with Terminal([shutil.which("bash"), "--norc", "-i"], sandlock.work,
                  clean_environment(sandlock.home, PS1="<\\j>")) as t:
        t.until(rb"<0>$")
        t.type(words.encode() + b"\n")
        t.type(b"x\n")
        t.until(rb"x\r\nx\r\n")
        guardian = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()
                        and _parent(p) == t.pid)
        engine = Roles(guardian).engine
        os.kill(guardian, signal.SIGKILL)
        t.until(rb"<0>$")
        assert wait_gone([engine], 20)
        t.type(b"echo a$((1+1))b\n")
        t.until(rb"a2b\r\n")
        t.type(b"exit 3\n")
        assert t.finish() == 3


def _parent(entry):
    try:
        return int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return -1
