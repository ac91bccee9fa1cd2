"""SUP, PROC: what a tree may do to keep its supervisor from ending it, counting it or telling."""

import shutil
import socket
import subprocess
import sys
import threading

from harness.waiting import TIMEOUT


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def test_SUP_05_the_last_close_never_waits(sandlock, attack):
    """SO_LINGER makes the last close wait for a peer that never reads: the supervisor's, once the
    child has closed its own. The time limit still ends the run."""
    linger = attack("linger")
    run = sandlock("--net-allow=127.0.0.1:9", "--timeout=2", cmd=[linger, "stay"])
    assert run.rc == 124 and run.status["reason"] == "timeout", str(run)
    assert steps(run) == {"connect": "ok", "linger": "ok", "send": "EINTR", "closed": "ok"}


def test_SUP_05_the_last_close_never_waits_without_network_rules(sandlock, attack):
    """Every policy holds sockets for the time of a call."""
    stall = attack("stall")
    expected = {"listen": "ok", "last": "ok"}
    assert steps(sandlock.bare([stall, "last"]).ok()) == expected
    assert steps(sandlock("-r", "/", cmd=[stall, "last"], audit=False).ok()) == expected


def test_SUP_05_a_time_limit_that_is_taken_back(sandlock, attack):
    """A connect that would wait is never waited for, whatever becomes of the socket's options."""
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=[attack("stall"), "limit", "s"]).ok()
    assert steps(run) == {"bind": "ok", "listen": "ok", "connect": "EAGAIN"}, str(run)


def test_PROC_06_a_deep_tree_is_walked(sandlock, attack):
    """The supervisor's stack does not depend on the depth of the tree."""
    deep = attack("deep")
    run = sandlock("--max-processes=200", cmd=[deep, 120]).ok()
    assert steps(run) == {"fork": "ok", "kill": "ok"}, str(run)


def test_RES_01_a_deep_tree_is_counted(sandlock, attack):
    deep = attack("deep")
    run = sandlock("--max-processes=505", cmd=[deep, 600], audit=False).ok()
    assert steps(run) == {"fork": "EAGAIN", "kill": "ok"}, str(run)


def test_SUP_09_a_program_name_costs_no_line(sandlock, attack):
    """The audit line of a denial comes whatever bytes the program's own name has."""
    name = sandlock.work / b"net\xff".decode(errors="surrogateescape")
    shutil.copy(attack("net"), name)
    run = sandlock("--net-allow=127.0.0.1:9",
                   cmd=["/bin/sh", "-c", "exec ./net* connect 127.0.0.1 7"])
    assert [d["server.port"] for d in run.denies()] == [7], str(run)
    assert run.denies()[0]["process.executable.path"].endswith("/net\ufffd"), str(run)


WAITERS = """
import socket, sys, threading
full, free = int(sys.argv[1]), int(sys.argv[2])
done = []
def wait():
    with socket.socket() as s:
        s.connect(("127.0.0.1", full))
    done.append(1)
threads = [threading.Thread(target=wait) for _ in range(8)]
for t in threads:
    t.start()
for _ in range(200):
    socket.create_connection(("127.0.0.1", free)).close()
print("others", 200, "waiters", len(done), flush=True)
for t in threads:
    t.join()
print("waiters", len(done), flush=True)
"""


def test_SUP_05_a_connect_that_waits_keeps_nobody(sandlock, outside):
    """Blocking connects to a port of this host whose backlog is full (listen(2)): other connects go
    on, and the waiting ones succeed when there is room."""
    free = outside.witness("127.0.0.1", 0)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        first = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        run = sandlock.start(f"--net-allow=127.0.0.1:{port},{free.port}",
                             cmd=[sys.executable, "-c", WAITERS, port, free.port])
        assert run.line() == "others 200 waiters 0\n"
        full.listen(16)
        first.close()
        assert run.line() == "waiters 8\n"
        run.finish().ok()


def shared_port():
    """A bound socket of the host that shares its port with whoever of this user asks to."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", 0))
    return s


def speak(server):
    """Accepts and speaks first, until the socket is closed."""
    while True:
        try:
            conn, _ = server.accept()
        except OSError:
            return
        conn.sendall(b"x")
        conn.close()


def test_NET_10_a_stranger_on_a_port_of_the_tree(sandlock, attack):
    """A connect to a listener of the tree needs no rule, unless a listener of the host shares its
    port: the kernel would choose between them."""
    reuse = attack("reuseport")
    for stranger in (False, True):
        with shared_port() as host:
            port = host.getsockname()[1]
            run = sandlock.start("--net-allow=127.0.0.1:9", cmd=[reuse, port],
                                 stdin=subprocess.PIPE)
            assert run.line() == "bind ok\n"
            if stranger:
                host.listen(128)
                thread = threading.Thread(target=speak, args=(host,))
                thread.start()
            done = run.finish(data=b"\n").ok()
            if stranger:
                host.shutdown(socket.SHUT_RDWR)
                thread.join(TIMEOUT)
                assert not thread.is_alive()
        assert steps(done) == {"connected": str(int(not stranger)), "strangers": "0"}, str(done)
