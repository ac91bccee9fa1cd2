"""sandlock in containers: a real Docker daemon's, and runc's under the profile of today; root and not,
with the default capabilities and with none and nothing to write, as pods are that are restricted."""

import os
import re
import socket

import pytest
from harness import netns
from harness.terminal import Terminal

pytestmark = pytest.mark.netns
URL = "https://api.example.com"
HTTP = ("--http-allow", "GET api.example.com/v1/*")


def test_what_the_profile_refuses(place):
    """The place is what it is meant to be."""
    call = "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n" \
           "for nr in 438, 312, 272, 435, 425: c.syscall(nr, -1, -1, -1, 0, 0); print(ctypes.get_errno())"
    said = place.bare(["python3", "-c", call]).ok().out.split()
    ptrace = place.name == "docker-ptrace"
    assert (said[0] == "1") != ptrace and (said[1] == "1") != ptrace, said  # pidfd_getfd, kcmp
    assert said[2] == "1" and said[3] == "38", said  # unshare, clone3
    assert place.name.startswith("docker") or said[4] == "1", said  # io_uring_setup


def test_check_says_that_it_runs(place):
    check = place.bare(["sandlock", "check"]).ok()
    assert "works here" in check.out, str(check)


WRITE = 'for f in "$@"; do if echo x 2>/dev/null >"$f"; then echo ok; else echo no; fi; done'


@pytest.fixture
def targets(place):
    """Two files, one below `here` and one beside it; not there yet."""
    found = [place.work / "here" / "file", place.work / "beside" / "file"]
    yield found
    for path in found:
        path.unlink(missing_ok=True)


def test_file_rules(place, targets):
    script = ["sh", "-c", WRITE, "sh", "/job/here/file", "/job/beside/file"]
    assert place.bare(script).ok().out == "ok\nok\n" and all(p.exists() for p in targets)
    for path in targets:
        path.unlink()
    run = place("-r", "/", "-w", "/job/here", cmd=script).ok()
    assert run.out == "ok\nno\n", str(run)
    assert [p.exists() for p in targets] == [True, False]
    run = place("-r", "/usr", "-r", "/lib", "-r", "/lib64", cmd=["cat", "/etc/passwd"])
    assert run.rc != 0 and "Permission denied" in run.err, str(run)


def test_metadata_outside_the_grants(place, targets):
    """What Landlock has no right for, the supervisor judges here as well."""
    change = ["sh", "-c", "chmod 600 /job/here/file; chmod 600 /job/beside/file; true"]
    for path in targets:
        path.write_text("x")
        os.chown(path, place.uid, place.uid)
        path.chmod(0o644)
    run = place("-r", "/", "-w", "/job/here", cmd=change).ok()
    assert [oct(p.stat().st_mode & 0o777) for p in targets] == ["0o600", "0o644"], str(run)
    place.bare(change).ok()
    assert [oct(p.stat().st_mode & 0o777) for p in targets] == ["0o600", "0o600"]


def test_the_default_view(place, targets):
    key = place.work / "home" / ".ssh" / "id_ed25519"
    key.parent.mkdir(exist_ok=True)
    key.write_text("a secret key\n")
    for path in (key.parent, key):
        os.chown(path, place.uid, place.uid)
    show = ["cat", "/job/home/.ssh/id_ed25519"]
    assert place.bare(show).ok().out == "a secret key\n"
    run = place(cmd=show)
    assert run.rc == 1 and "Permission denied" in run.err and run.out == "", str(run)
    run = place(cmd=["sh", "-c", WRITE, "sh", "/job/here/file",
                     f"/tmp/of-{place.name}", "/job/beside/file"]).ok()
    assert run.out == "ok\nok\nno\n" and [p.exists() for p in targets] == [True, False], str(run)


def test_http_rules_with_curl(place, web):
    ask = ["curl", "-sS", f"{URL}/v1/models"]
    remove = ["curl", "-sS", "-X", "DELETE", f"{URL}/v1/models"]
    assert place.bare(remove).ok() and web.seen() == ["DELETE /v1/models"]
    run = place(*HTTP, cmd=ask).ok()
    assert "denied" not in run.out and web.seen()[1:] == ["GET /v1/models"], str(run)
    run = place(*HTTP, cmd=remove).ok()
    assert "denied_by_sandlock" in run.out and "--http-allow" in run.err, str(run)
    run = place(*HTTP, cmd=["curl", "-sS", "https://other.example.net/"])
    assert run.rc == 6, str(run)
    assert web.seen() == ["DELETE /v1/models", "GET /v1/models"]


PYTHON = f"""
import urllib.error, urllib.request
for method, base in ("GET", "{URL}"), ("GET", "http://api.example.com"), ("DELETE", "{URL}"):
    try: print(urllib.request.urlopen(urllib.request.Request(base + "/v1/models", method=method)).status)
    except urllib.error.HTTPError as e: print(e.code)
"""


def test_http_rules_with_python(place, web):
    assert place.bare(["python3", "-c", PYTHON]).ok().out.split() == ["200", "200", "200"]
    before = len(web.seen())
    run = place(*HTTP, cmd=["python3", "-c", PYTHON]).ok()
    assert run.out.split() == ["200", "200", "403"], str(run)
    assert web.seen()[before:] == ["GET /v1/models"] * 2


def test_redis_direct(place, redis, outside):
    witness = outside.witness()
    ask = ["redis-cli", "-p", str(redis), "ping"]
    knock = ["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {witness.port}))"]
    assert place.bare(ask).ok().out == "PONG\n" and place.bare(knock).ok()
    assert witness.received() == [b""]
    allow = f"--net-allow=127.0.0.1:{redis}"
    assert place(allow, cmd=ask).ok().out == "PONG\n"
    run = place(allow, cmd=knock)
    assert run.rc == 1 and f"--net-allow '127.0.0.1:{witness.port}'" in run.err, str(run)
    assert witness.received() == [b""]


DEV_SERVER = """
import http.server, subprocess, sys, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the tree\\n")
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(["curl", "-sS", f"http://127.0.0.1:{server.server_port}/"])
"""


def test_a_dev_server_on_loopback(place, outside, free_port):
    """The tree reaches what the tree serves, under rules that let it connect to nobody."""
    witness = outside.witness()
    serve = ["python3", "-c", DEV_SERVER, str(free_port)]
    assert place("--net-allow=", f"--net-bind={free_port}", cmd=serve).ok().out == "from the tree\n"
    run = place("--net-allow=", cmd=["curl", "-sS", f"http://127.0.0.1:{witness.port}/"])
    assert run.rc == 7 and witness.received() == [], str(run)


def test_port_remap(place):
    """A port that somebody has outside is free inside; and what is there is the tree's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = place.bare(["python3", "-c", DEV_SERVER, port])
        assert run.rc == 1 and "Address already in use" in run.err, str(run)
        run = place("--port-remap", cmd=["python3", "-c", DEV_SERVER, port]).ok()
        assert run.out == "from the tree\n", str(run)


def test_limits(place):
    fill = ["python3", "-c", "print(len(bytearray(200 << 20)))"]
    assert place.bare(fill).ok().out == f"{200 << 20}\n"
    assert place("-m", "400M", cmd=fill).ok().out == f"{200 << 20}\n"
    run = place("-m", "64M", cmd=fill)
    assert run.rc != 0 and run.out == "", str(run)
    forks = ["python3", "-c", "import subprocess\n"
             "try: print(len([subprocess.Popen(['cat'], stdin=subprocess.PIPE) for i in range(20)]))\n"
             "except OSError as e: print(e.strerror)"]
    assert place("-P", "30", cmd=forks).ok().out == "20\n"
    assert place("-P", "10", cmd=forks).ok().out == "Resource temporarily unavailable\n"
    assert place("-t", "1", cmd=["sleep", "1000"]).rc == 124


def test_exit_codes_and_input(place):
    run = place("-r", "/", cmd=["sh", "-c", "cat; exit 7"], data=b"from outside\n")
    assert (run.rc, run.out) == (7, "from outside\n"), str(run)
    run = place("-r", "/", cmd=["sh", "-c", "kill -TERM $$"])
    assert run.rc == 128 + 15, str(run)


def test_a_terminal(place):
    """-i: a terminal of the command's own, whose keys and signals are what they are anywhere."""
    assert place("-r", "/", cmd=["true"]).ok()
    words = place.words(["sandlock", "run", "-i", "-r", "/", "--", "bash", "--norc"], tty=True)
    env = dict(place.env, TERM="xterm")
    with Terminal(["/usr/bin/env", *words], "/", env) as t:
        # as one does at a prompt; runc makes our own terminal raw when it gets to it
        t.until(rb"bash-[\d.]+[#$] ")
        t.type(b"PS1=; echo $((6 * 7)); tty\n")
        t.until(rb"42\r+\n")
        t.until(rb"/dev/pts/\d+\r+\n")
        t.type(b"sh -c 'echo begun; exec sleep 1000'\n")
        t.until(rb"[\r\n]begun\r+\n")
        t.type(b"\x03")
        t.type(b"echo ended with $?\n")
        t.until(rb"[\r\n]ended with 130\r+\n")
        t.type(b"exit 5\n")
        assert t.finish() == 5, t.story("exit")


def test_identity_needs_a_namespace(place):
    """--uid makes a user namespace, which these profiles refuse: one line says so, nothing has run."""
    run = place("--uid", "0", "-r", "/", cmd=["echo", "ran"])
    assert run.rc == 125 and run.out == "" and len(run.err.splitlines()) == 1, str(run)
    assert re.search(r"namespace", run.err), str(run)


def test_a_metadata_service_is_out_of_reach(place, outside):
    witness = outside.witness(netns.METADATA, 80)
    knock = ["python3", "-c", f"import socket; socket.create_connection(('{netns.METADATA}', 80))"]
    assert place.bare(knock).ok() and witness.received() == [b""]
    run = place("--http-allow", "GET *:80/*", cmd=knock)
    assert run.rc == 1 and witness.received() == [b""], str(run)
