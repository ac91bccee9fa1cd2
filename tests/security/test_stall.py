"""SUP, PROC: what a tree may do to keep its supervisor from ending it, counting it or telling."""

import shutil
import socket
import subprocess
import threading


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def test_SUP_05_the_last_close_never_waits(sandlock, attack):
    """SO_LINGER makes the last close wait for a peer that never reads: the supervisor's, once the
    child has closed its own. The time limit still ends the run."""
    linger = attack("linger")
    run = sandlock("--net-allow=127.0.0.1:9", "--timeout=2", cmd=[linger, "stay"])
    assert run.rc == 124 and run.status["reason"] == "timeout", str(run)
    assert steps(run) == {"connect": "ok", "linger": "ok", "send": "EINTR", "closed": "ok"}


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
    assert run.denies()[0]["process.executable.path"].endswith("/net?"), str(run)


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
                thread.join()
        assert steps(done) == {"connected": str(int(not stranger)), "strangers": "0"}, str(done)
