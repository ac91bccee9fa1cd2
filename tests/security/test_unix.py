"""Unix sockets: the tree's own listeners can be reached, nobody else's, whatever name they have: by
abstract name where these are isolated (NET-17), by path always, but for those that the policy names
(NET-28)."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import kernel
from harness.summary import denials
from harness.waiting import TIMEOUT, wait_until

TALK = r"""
import socket, sys, threading
kind = getattr(socket, sys.argv[1]); name = bytes(1) + sys.argv[2].encode()
server = socket.socket(socket.AF_UNIX, kind); server.bind(name); server.listen(3)
def serve():
    s, _ = server.accept(); s.sendall(s.recv(10).upper()); s.close()
threading.Thread(target=serve).start()
c = socket.socket(socket.AF_UNIX, kind); c.connect(name); c.sendall(b'hello')
print(c.recv(10).decode(), c.getpeername() == name)
"""

REACH = r"""
import errno, socket, sys
name = bytes(1) + sys.argv[1].encode()
def go():
    c = socket.socket(socket.AF_UNIX)
    try: c.connect(name); c.sendall(b'x'); print('reached', flush=True)
    except OSError as e: print(errno.errorcode[e.errno], flush=True)
server = socket.socket(socket.AF_UNIX); server.bind(name); server.listen(3)
go(); server.close()
print('closed', flush=True); sys.stdin.readline()
go()
"""


@pytest.fixture
def name():
    return f"sandlock-test-{os.getpid()}-{os.urandom(4).hex()}"


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_SEQPACKET"])
@pytest.mark.parametrize("options", [(), ("--net-allow=192.0.2.1:443",), ("--isolate-ipc",),
                                     ("--http-allow=GET api.test/*", "--isolate-ipc")])
def test_the_trees_own_abstract_sockets(sandlock, kind, options, name):
    words = ["python3", "-c", TALK, kind, name]
    assert sandlock.bare(words).ok().out == "HELLO True\n"
    assert sandlock(*options, cmd=words).ok().out == "HELLO True\n"


def test_NET_17_a_name_that_changes_hands(sandlock, name):
    """The host takes the name that the tree had: it hears nothing."""
    running = sandlock.start("--net-allow=192.0.2.1:443", stdin=subprocess.PIPE,
                             cmd=["python3", "-c", REACH, name])
    assert running.line() == "reached\n" and running.line() == "closed\n"
    with socket.socket(socket.AF_UNIX) as host:
        host.bind("\0" + name)
        host.listen(3)
        run = running.finish(data=b"\n").ok()
        assert run.out == "EPERM\n", str(run)
        host.setblocking(False)
        with pytest.raises(BlockingIOError):
            host.accept()


def test_NET_17_a_longer_and_a_shorter_name(sandlock, name):
    """Names are bytes with a length: neither a beginning nor a NUL behind it is the same name."""
    script = ("import errno,socket,sys\n"
              "own = bytes(1) + sys.argv[1].encode()\n"
              "s = socket.socket(socket.AF_UNIX); s.bind(own); s.listen(3)\n"
              "for n in (own, own[:-1], own + b'x', own + bytes(1)):\n"
              "    try: socket.socket(socket.AF_UNIX).connect(n); print('ok')\n"
              "    except OSError as e: print(errno.errorcode[e.errno])\n")
    others = []
    for near in (name[:-1], name + "x", name + "\0"):
        others.append(socket.socket(socket.AF_UNIX))
        others[-1].bind("\0" + near)
        others[-1].listen(3)
        others[-1].setblocking(False)
    run = sandlock("--net-allow=192.0.2.1:443", cmd=["python3", "-c", script, name]).ok()
    assert run.out.split() == ["ok", "EPERM", "EPERM", "EPERM"], str(run)
    for other in others:
        with pytest.raises(BlockingIOError):
            other.accept()
        other.close()


# --- by path ------------------------------------------------------------------------------------

KINDS = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
WAYS = [("stream", "connect"), ("seqpacket", "connect"), ("dgram", "connect"), ("dgram", "sendto"),
        ("dgram", "sendmsg"), ("dgram", "sendmmsg")]
WIDE = ("-r/", "-w/tmp")
POLICIES = {
    "default": (), "files": WIDE, "net": (*WIDE, "--net-allow=192.0.2.1:443"),
    "http": (*WIDE, "--http-allow=GET api.test/*"), "named": (*WIDE, "--net-allow=unix:/run/none"),
    "agent": ("-p", "agent"),
}
# EPIPE: the kernel's word on what a datagram socket sends by itself behind the gate
REFUSED = {"EACCES", "EPIPE"}
every_policy = pytest.mark.parametrize("policy", POLICIES)
every_way = pytest.mark.parametrize("kind,how", WAYS)


def steps(run):
    return [line.split() for line in run.out.splitlines()]


@pytest.fixture
def shared():
    """A directory below /tmp, which the default view and the shipped profiles let a run write."""
    with tempfile.TemporaryDirectory(prefix="sl-unix-", dir="/tmp") as name:
        yield name


@every_policy
@every_way
def test_NET_28_a_listener_outside(sandlock, outside, attack, shared, policy, kind, how):
    path = f"{shared}/sock"
    witness = outside.witness(kind=KINDS[kind], path=path)
    go = attack("net_unix")
    # a datagram without a connect, which is the kernel's to refuse where it can: nobody is told
    kernels_own = kernel.landlock_abi() >= 9 and kind == "dgram" and how != "connect"
    assert sandlock.bare([go, kind, how, path]).rc == 0
    assert witness.received() == [b"x"]
    os.symlink(path, f"{shared}/link")
    spellings = (path, f"{shared}/link", os.path.relpath(path, sandlock.work),
                 f"{shared}/../{os.path.basename(shared)}/sock", f"/proc/self/root{path}")
    for spelling in spellings:
        run = sandlock(*POLICIES[policy], cmd=[go, kind, how, spelling])
        assert steps(run)[0][1] in REFUSED, str(run)
        if "EACCES" in run.out and not (kernels_own and policy in ("default", "files")):
            assert any(a["server.address"] == path for a in run.denies()), str(run)
            assert (f"unix:{path}", f"--net-allow 'unix:{path}'") in \
                [(d.what, d.flag) for d in denials(run)], str(run)
    assert witness.received() == [b"x"]


@every_way
@pytest.mark.parametrize("policy", ["default", "net", "http", "agent"])
@pytest.mark.parametrize("name", ["whole", "star", "grant"])
def test_NET_28_a_socket_that_is_named(sandlock, outside, attack, shared, policy, kind, how, name):
    path = f"{shared}/sock"
    witness = outside.witness(kind=KINDS[kind], path=path)
    other = outside.witness(kind=KINDS[kind], path=f"{shared}/other")
    option = {"whole": f"--net-allow=unix:{path}", "star": f"--net-allow=unix:{shared}/s*k",
              "grant": f"-w{path}"}[name]
    files = ("-r/",) if name == "grant" and policy in ("default", "agent") else ()
    go = attack("net_unix")
    sandlock(*POLICIES[policy], *files, option, cmd=[go, kind, how, path]).ok()
    assert witness.received() == [b"x"]
    run = sandlock(*POLICIES[policy], *files, option, cmd=[go, kind, how, f"{shared}/other"])
    assert steps(run)[0][1] in REFUSED and other.received() == [], str(run)


OWN = r"""
import os, socket, sys
where = sys.argv[1]
def served(kind, path):
    s = socket.socket(socket.AF_UNIX, kind); s.bind(path)
    if kind != socket.SOCK_DGRAM: s.listen(3)
    return s
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    path = f'{where}/own-{kind:d}'
    server = served(kind, path); held = os.open(path, os.O_PATH); os.symlink(path, path + '-link')
    for spelling in (path, path + '-link', os.path.relpath(path), f'/proc/self/fd/{held}'):
        c = socket.socket(socket.AF_UNIX, kind); c.connect(spelling)
        s, _ = server.accept(); c.sendall(b'hello'); print(s.recv(10).decode(), end=' ')
    # a child of the tree, and a server that only the child has
    pid = os.fork()
    if pid == 0:
        c = socket.socket(socket.AF_UNIX, kind); c.connect(path); os._exit(0)
    server.accept(); assert os.waitpid(pid, 0)[1] == 0
server = served(socket.SOCK_DGRAM, f'{where}/mail')
c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); c.sendto(b'mail', f'{where}/mail')
print(server.recv(10).decode())
"""


@every_policy
def test_NET_28_the_trees_own_are_in_reach(sandlock, shared, policy):
    command = ["python3", "-c", OWN, shared]
    told = "hello " * 8 + "mail\n"
    assert sandlock.bare(command).ok().out == told
    for name in os.listdir(shared):
        os.unlink(f"{shared}/{name}")
    run = sandlock(*POLICIES[policy], cmd=command).ok()
    assert run.out == told and run.denies() == [], str(run)


PINNED = r"""
import errno, os, socket, sys
fd = os.open(sys.argv[1], os.O_PATH)
for name in (f'/proc/self/fd/{fd}', f'/proc/{os.getpid()}/fd/{fd}', f'/dev/fd/{fd}'):
    try: socket.socket(socket.AF_UNIX).connect(name); print('reached')
    except OSError as e: print(errno.errorcode[e.errno])
"""


@every_policy
def test_NET_28_by_a_descriptor_of_the_file(sandlock, outside, shared, policy):
    path = f"{shared}/sock"
    witness = outside.witness(path=path)
    assert sandlock.bare(["python3", "-c", PINNED, path]).ok().out == "reached\n" * 3
    assert witness.received() == [b""] * 3
    run = sandlock(*POLICIES[policy], cmd=["python3", "-c", PINNED, path]).ok()
    assert set(run.out.split()) <= {"EACCES", "ENOENT"}, str(run)
    assert witness.received() == [b""] * 3


SWAPPED = r"""
import os, socket, sys
where, rounds = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_UNIX); server.bind(f'{where}/own'); server.listen(128)
server.setblocking(False)
pid = os.fork()
if pid == 0: # the name is the one, then the other, then a link to either
    n = 0
    while True:
        n += 1
        target = ('own', 'sock')[n % 2]
        if n % 4 < 2:
            os.symlink(target, f'{where}/new')
        else:
            os.link(f'{where}/{target}', f'{where}/new')
        os.rename(f'{where}/new', f'{where}/name')
        if os.path.lexists(f'{where}/new'): os.unlink(f'{where}/new') # two names of one file
reached = refused = 0
while reached < rounds or refused < rounds:
    try:
        socket.socket(socket.AF_UNIX).connect(f'{where}/name'); reached += 1
        try: server.accept()
        except BlockingIOError: print('somebody else answered'); break
    except PermissionError: refused += 1
    except FileNotFoundError: pass
os.kill(pid, 9)
print('done')
"""


@pytest.mark.parametrize("policy", ["files", "http"])
def test_NET_28_a_name_that_changes_between_check_and_act(sandlock, outside, shared, policy):
    witness = outside.witness(path=f"{shared}/sock")
    run = sandlock(*POLICIES[policy], cmd=["python3", "-c", SWAPPED, shared, 200]).ok()
    assert run.out == "done\n", str(run)
    assert witness.received() == []


INHERITED = r"""
import errno, socket, sys
server = socket.socket(fileno=0)
if 'again' in sys.argv: server.listen(3)
try: socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('reached')
except OSError as e: print(errno.errorcode[e.errno])
"""


@pytest.mark.parametrize("policy", ["files", "net"])
@pytest.mark.parametrize("words", [(), ("again",)])
def test_NET_28_a_listener_that_was_there_before(sandlock, shared, policy, words):
    """Handed in by the caller: whoever else accepts from it is outside, and listen(2) once more
    makes it nobody else's."""
    path = f"{shared}/sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(3)
        server.setblocking(False)
        command = ["python3", "-c", INHERITED, path, *words]
        with subprocess.Popen(command, stdin=server, stdout=subprocess.PIPE) as bare:
            assert bare.stdout.read() == b"reached\n"
        server.accept()
        run = sandlock(*POLICIES[policy], cmd=command, stdin=server).ok()
        assert run.out == "EACCES\n", str(run)
        with pytest.raises(BlockingIOError):
            server.accept()


# --- who listens in /tmp and /run ----------------------------------------------------------------

@pytest.fixture
def tmux(shared):
    """A server of the user's own, outside, as agents are started from one."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    words = ["tmux", "-S", f"{shared}/default", "-f", "/dev/null"]
    subprocess.run([*words, "new-session", "-d", "sleep 1000"], check=True, timeout=TIMEOUT)
    yield words
    subprocess.run([*words, "kill-server"], check=True, timeout=TIMEOUT)


@pytest.mark.parametrize("policy", ["default", "agent", "files", "http"])
def test_NET_28_a_tmux_server_outside(sandlock, tmux, shared, policy):
    mark = f"{shared}/mark"
    command = [*tmux, "new-window", f"touch {mark}"]
    assert sandlock.bare(command).rc == 0
    wait_until("what tmux was told to do", lambda: os.path.exists(mark))
    windows = [*tmux, "list-windows", "-F", "#{window_id}"]
    before = sandlock.bare(windows).ok().out
    run = sandlock(*POLICIES[policy], "-P0", cmd=[*tmux, "new-window", f"touch {mark}2"])
    assert run.rc != 0, str(run)
    assert any(a["server.address"] == f"{shared}/default" for a in run.denies()), str(run)
    assert sandlock.bare(windows).ok().out == before and not os.path.exists(f"{mark}2")
    named = sandlock(*POLICIES[policy], f"--net-allow=unix:{shared}/default",
                     cmd=[*tmux, "list-windows", "-F", "#{window_id}"]).ok()
    assert named.out == before


@contextmanager
def agent_of(path):
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_until("the agent's socket", lambda: os.path.exists(path))
        yield
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(TIMEOUT)


@pytest.mark.parametrize("policy", ["default", "agent", "net"])
def test_NET_28_an_ssh_agent_outside(sandlock, shared, policy):
    if shutil.which("ssh-add") is None or shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    path = f"{shared}/agent.1"
    with agent_of(path):
        env = {"SSH_AUTH_SOCK": path}
        assert sandlock.bare(["ssh-add", "-l"], env=env).rc == 1  # it says that it has no keys
        words = [*POLICIES[policy], f"--env=SSH_AUTH_SOCK={path}"]
        run = sandlock(*words, cmd=["ssh-add", "-l"])
        assert run.rc == 2 and "Permission denied" in run.err, str(run)  # no agent in reach
        run = sandlock(*words, f"--net-allow=unix:{shared}/agent.*", cmd=["ssh-add", "-l"])
        assert run.rc == 1, str(run)


DAEMON = r"""
import errno, socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\r\n'); print('sent')
except OSError as e: print(errno.errorcode[e.errno])
"""


@pytest.mark.parametrize("policy", ["default", "files", "agent"])
@pytest.mark.parametrize("name,words", [("docker.sock", "GET /containers/json HTTP/1.1"),
                                        ("1000/bus", "AUTH EXTERNAL 30")])
def test_NET_28_daemons_beside_the_grants(sandlock, outside, request, policy, name, words):
    """As docker's and the session bus: outside every write grant, in a directory that may be read."""
    where = Path(tempfile.mkdtemp(prefix="run-", dir=request.config._sandlock_dir))
    path = where / name
    path.parent.mkdir(exist_ok=True)
    witness = outside.witness(path=str(path))
    command = ["python3", "-c", DAEMON, path, words]
    assert sandlock.bare(command).ok().out == "sent\n"
    heard = witness.received()
    assert heard == [words.encode() + b"\r\n"]
    assert sandlock(*POLICIES[policy], cmd=command).ok().out == "EACCES\n"
    assert witness.received() == heard
    rule = f"--net-allow=unix:{where}/*/bus" if "/" in name else f"--net-allow=unix:{path}"
    assert sandlock(*POLICIES[policy], rule, cmd=command).ok().out == "sent\n"


def test_NET_28_a_rule_is_no_restriction(sandlock, outside):
    """A unix: rule names a socket and says nothing of the network."""
    there = outside.witness()
    command = ["python3", "-c", "import socket,sys\n"
               "socket.create_connection(('127.0.0.1', int(sys.argv[1]))).sendall(b'x')", there.port]
    sandlock("--net-allow=unix:/run/none", cmd=command).ok()
    assert there.received() == [b"x"]
    assert sandlock("--net-allow=", "--net-allow=unix:/run/none", cmd=command).rc != 0
    assert there.received() == [b"x"]


# --- the default view ---------------------------------------------------------------------------

@pytest.mark.parametrize("options,closed", [((), True), (("--fs-deny=?/none",), True),
                                            (("--isolate-ipc=false",), False), (WIDE, False),
                                            ((*WIDE, "--isolate-ipc"), True)])
def test_NET_17_the_default_view_isolates_abstract_sockets(sandlock, outside, attack, name, options,
                                                           closed):
    witness = outside.witness(path="\0" + name)
    go = [attack("net_unix"), "stream", "abstract", name]
    assert sandlock.bare(go).rc == 0
    run = sandlock(*options, cmd=go)
    assert steps(run)[0][1] == ("EPERM" if closed else "ok"), str(run)
    assert witness.received() == [b"x"] * (1 if closed else 2)
    words = [sys.executable, "-c", TALK, "SOCK_STREAM", name + "-own"]
    assert sandlock(*options, cmd=words).ok().out == "HELLO True\n"
