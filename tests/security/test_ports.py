"""A port space of its own (--port-remap) under attack: it opens no way to a port that the policy does
not grant, and nobody outside gets a part of what is meant for the tree."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from harness import netns, places
from harness.sandbox import Roles
from harness.waiting import wait_until

PY = (sys.executable, "-c")
REMAP, RULES = "--port-remap", "--net-allow=203.0.113.1:9"
ENGINE_MAX_KIB = 512 * 1024  # sanitizers take much

HEAD = """
import errno, os, resource, socket, sys
def tell(*words): print(*words, flush=True)
def reach(port, kind=socket.SOCK_STREAM, word=b"attack"):
    s = socket.socket(socket.AF_INET, kind)
    try:
        s.connect(("127.0.0.1", port)); s.send(word); return "ok"
    except OSError as e: return errno.errorcode[e.errno]
    finally: s.close()
def throw(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try: s.sendto(b"attack", ("127.0.0.1", port)); return "ok"
        except OSError as e: return errno.errorcode[e.errno]
"""


def is_free(port, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def next_port(running, kind="ports"):
    (name, real), = running.told()[kind].items()
    return int(name), real


@pytest.fixture
def pair(outside):
    """The same port, TCP and UDP, of somebody outside."""
    tcp = outside.witness("127.0.0.1", 0)
    return tcp, outside.witness("127.0.0.1", tcp.port, kind=socket.SOCK_DGRAM)


def test_another_sandbox_is_out_of_reach(sandlock, pair):
    """By the name, which both use and a third has outside, and by the real port."""
    tcp, udp = pair
    server = sandlock.start(REMAP, RULES, stdin=subprocess.PIPE, cmd=[*PY, HEAD + """
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", int(sys.argv[1])))
for each in s, u: each.setblocking(False)
for _ in range(2):
    sys.stdin.readline()
    for each in s, u:
        try: each.accept() if each is s else each.recv(9); tell("reached")
        except BlockingIOError: tell("quiet")
""", tcp.port])
    name, real = next_port(server)
    udp_name, udp_real = next_port(server, "udp_ports")
    assert name == udp_name == tcp.port
    attack = HEAD + """
name, real, udp_real = map(int, sys.argv[1:])
tell(reach(name), reach(real), throw(name), throw(udp_real), reach(udp_real, socket.SOCK_DGRAM))
"""
    words = [*PY, attack, name, real, udp_real]
    refused = ["ECONNREFUSED"] * 5
    for options in ((RULES,), (RULES, REMAP)):
        assert sandlock(*options, cmd=words).ok().out.split() == refused, options
    assert tcp.received() == udp.received() == []
    server.process.stdin.write(b"\n")
    server.process.stdin.flush()
    assert [server.line() for _ in range(2)] == ["quiet\n"] * 2
    # the same attack where nothing restricts: the name is the third's, the real port the server's
    assert sandlock(REMAP, cmd=words).ok().out.split() == ["ok"] * 5
    assert tcp.received() == udp.received() == [b"attack"]
    assert server.finish(data=b"\n").ok().out == "reached\nreached\n"


def test_a_stranger_at_a_dead_listeners_port(sandlock, pair, outside):
    """What was the tree's is nobody's when it is closed: neither name leads to who has it next."""
    tcp, udp = pair
    running = sandlock.start(REMAP, RULES, stdin=subprocess.PIPE, cmd=[*PY, HEAD + """
name = int(sys.argv[1])
s = socket.create_server(("127.0.0.1", name))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", name))
tell(reach(name), throw(name), reach(name, socket.SOCK_DGRAM))
s.close(); u.close()
tell("closed")
real, udp_real = map(int, sys.stdin.readline().split())
tell(reach(name), reach(real), throw(name), throw(udp_real), reach(name, socket.SOCK_DGRAM))
""", tcp.port])
    assert running.line() == "ok ok ok\n" and running.line() == "closed\n"
    _, real = next_port(running)
    _, udp_real = next_port(running, "udp_ports")
    if places.CONTAINED:  # a close is seen a moment later there
        wait_until("closed ports", lambda: is_free(real) and is_free(udp_real, socket.SOCK_DGRAM))
    stranger = outside.witness("127.0.0.1", real)
    thrown = outside.witness("127.0.0.1", udp_real, kind=socket.SOCK_DGRAM)
    run = running.finish(data=b"%d %d\n" % (real, udp_real)).ok()
    assert run.out.split() == ["ECONNREFUSED"] * 5, str(run)
    assert stranger.received() == thrown.received() == tcp.received() == udp.received() == []
    assert {a["server.port"] for a in run.denies()} == {tcp.port, real, udp_real}


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_nobody_shares_by_reuseport(sandlock, kind):
    """A stranger of the same user with SO_REUSEPORT gets nothing of the tree's, nor gives it."""
    text = HEAD + """
kind = getattr(socket, sys.argv[2])
s = socket.socket(socket.AF_INET, kind)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
if kind == socket.SOCK_STREAM: s.listen(200)
tell(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT),
     s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
for _ in range(100): reach(int(sys.argv[1]), kind, b"x")
s.setblocking(False)
got = 0
try:
    while True:
        s.accept() if kind == socket.SOCK_STREAM else s.recv(9)
        got += 1
except BlockingIOError: pass
tell(got)
"""
    with socket.socket(socket.AF_INET, getattr(socket, kind)) as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("127.0.0.1", 0))
        if kind == "SOCK_STREAM":
            mine.listen(200)
        port = mine.getsockname()[1]
        words = [*PY, text, port, kind]
        shared = sandlock(cmd=words).ok().out.split()
        assert shared[:2] == ["1", "1"] and shared[2] != "100", shared
        assert sandlock(REMAP, cmd=words).ok().out.split() == ["1", "1", "100"]


def test_NET_01_port_rewritten_while_it_is_judged(sandlock, attack, pair):
    """net_bind grants one port, which is taken outside; the other is free. Only the granted one is
    ever had, by the tree's own word and by what is told outside."""
    tcp, _ = pair
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        other = s.getsockname()[1]
    words = [attack("ports"), "port", 3000]
    bare = sandlock.bare([*words, other, other + 1]).ok()
    assert int(re.search(r"other (\d+)", bare.out)[1]) > 0, "the race is lost outside"
    run = sandlock(REMAP, f"--net-bind={tcp.port}", cmd=[*words, tcp.port, other]).ok()
    granted, others = map(int, re.findall(r"\d+", run.out))
    assert granted > 0 and others == 0, str(run)
    assert {name for line in run.told for name in line["ports"]} == {str(tcp.port)}
    assert all(real != other for line in run.told for real in line["ports"].values())


def test_NET_02_socket_swapped_while_it_is_bound(sandlock, attack, pair):
    """A TCP socket under the number of a socket that needs no verdict is never bound to what is not
    granted: Landlock stands behind the handler."""
    tcp, _ = pair
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        other = s.getsockname()[1]
    words = [attack("ports"), "dup", 3000, tcp.port, other]
    bare = sandlock.bare(words).ok()
    assert int(re.search(r"other (\d+)", bare.out)[1]) > 0, "the race is lost outside"
    run = sandlock(REMAP, f"--net-bind={tcp.port}", cmd=words).ok()
    assert "other 0\n" in run.out and not any("ports" in line for line in run.told), str(run)


def test_NET_20_unbound_listeners(sandlock):
    """listen(2) chooses a port that no rule was asked about."""
    text = HEAD + """
s = socket.socket()
try: s.listen(); tell("listens")
except OSError as e: tell(errno.errorcode[e.errno])
"""
    assert sandlock(REMAP, cmd=[*PY, text]).ok().out == "listens\n"
    for options in (("--net-bind=8000",), ("--net-allow=",)):
        run = sandlock(REMAP, *options, cmd=[*PY, text]).ok()
        assert run.out == "EACCES\n" and run.told == [], str(run)


def test_more_sockets_than_are_remembered(sandlock, pair):
    """The table has an end: what does not fit is bound as it is or not at all, the engine stays
    small, and closing makes room."""
    tcp, _ = pair
    text = HEAD + """
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4000), hard))
def bind(port):
    s = socket.socket()
    s.bind(("127.0.0.1", port))
    return s
held, moved = [], 0
for _ in range(1500):
    try: held.append(bind(0))
    except OSError as e: tell(errno.errorcode[e.errno]); break
tell(len(held))
try: bind(int(sys.argv[1])); tell("bound")
except OSError as e: tell(errno.errorcode[e.errno])
sys.stdin.readline()
for s in held: s.close()
tell(bind(int(sys.argv[1])).getsockname()[1])
"""
    running = sandlock.start(REMAP, stdin=subprocess.PIPE, cmd=[*PY, text, tcp.port])
    assert [running.line() for _ in range(2)] == ["1500\n", "EADDRINUSE\n"]
    status = Path(f"/proc/{Roles(running.pid).engine}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < ENGINE_MAX_KIB
    run = running.finish(data=b"\n").ok()
    assert run.out == f"{tcp.port}\n", str(run)


def test_nobody_reads_what_is_told(sandlock):
    """A status that is full keeps neither the tree nor the engine, and its last line is the result
    when it is read at last."""
    text = HEAD + """
for _ in range(6000):
    s = socket.socket(); s.listen(1); s.close()
tell("over")
sys.stdin.readline()
"""
    running = sandlock.start(REMAP, stdin=subprocess.PIPE, cmd=[*PY, text])
    assert running.line() == "over\n"
    run = running.finish(data=b"\n").ok()
    assert run.status["reason"] == "exited" and 100 < len(run.told) < 6000, len(run.told)


@pytest.mark.netns
def test_remote_ports_keep_their_numbers(sandlock, outside, pair):
    """A name inside is for the tree's own addresses only: the same port elsewhere is elsewhere."""
    tcp, _ = pair
    there = outside.witness(netns.PUBLIC[16], tcp.port)
    text = HEAD + """
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
c = socket.create_connection((sys.argv[2], int(sys.argv[1])))
tell(c.getpeername()[1] == int(sys.argv[1])); c.send(b"there")
"""
    run = sandlock(REMAP, f"--net-allow={netns.PUBLIC[16]}:{tcp.port}",
                   cmd=[*PY, text, tcp.port, netns.PUBLIC[16]]).ok()
    assert run.out == "True\n" and there.received() == [b"there"] and tcp.received() == []
