"""Abstract Unix sockets under network rules: the tree's own listeners can be reached, nobody else's,
whatever name they have (NET-17)."""

import os
import socket
import subprocess

import pytest

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
