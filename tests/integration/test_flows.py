"""Flows from a program to a server and back: sockets of every kind, many at once, bodies of every
framing and size. Judged by what the server witnessed and what the program got."""

import hashlib
import json
import os
import sys

import pytest

from conftest import Api
from harness import netns, paths, pki, servers

CLIENT = paths.TESTS / "clients" / "flow_client.py"
ALLOW = "--http-allow=* api.test/a/**"
SCHEMES = pytest.mark.parametrize("tls", ["", "tls"], ids=["http", "https"])
MIB = 1 << 20


def words(verb, *arguments):
    return [sys.executable, CLIENT, verb, *map(str, arguments)]


def port_of(tls):
    return 443 if tls else 80


def lines(run):
    return [json.loads(line) for line in run.ok().out.splitlines()]


def flow(sandlock, api, *rest, rules=(ALLOW,)):
    return lines(sandlock(*api.options, *rules, cmd=words(*rest)))


# --- between processes --------------------------------------------------------------------------

PING = """
import os, socket, struct, sys
kind = getattr(socket, sys.argv[1])
here, there = socket.socketpair(socket.AF_UNIX, kind)
here.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
pid = os.fork()
if pid == 0:
    held = os.open("/dev/null", os.O_RDONLY)
    there.sendmsg([b"ping"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", held))])
    os._exit(0)
data, control, _, _ = here.recvmsg(16, 256)
found = {kind: value for _, kind, value in control}
sender = struct.unpack("3i", found[socket.SCM_CREDENTIALS])
print(data, sender == (pid, os.getuid(), os.getgid()), len(found[socket.SCM_RIGHTS]))
"""


@pytest.mark.parametrize("rules", [("--net-allow=127.0.0.1:1",), (ALLOW,), ("--port-remap",)],
                         ids=["net", "http", "ports"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_SEQPACKET"])
def test_a_local_message_tells_who_sent_it(sandlock, kind, rules):
    command = [sys.executable, "-c", PING, kind]
    assert sandlock.bare(command).ok().out == "b'ping' True 4\n"
    assert sandlock(*rules, cmd=command).ok().out == "b'ping' True 4\n"


# --- sockets ------------------------------------------------------------------------------------

VERBS = pytest.mark.parametrize("verb", ["blocking", "nonblocking", "asyncio"])


@SCHEMES
@VERBS
def test_by_name(sandlock, api, verb, tls):
    port = port_of(tls)
    assert flow(sandlock, api, verb, "api.test", port, "/a/x", tls) == [[True, 200]]
    assert len(api.seen()) == (50 if verb == "asyncio" else 1)
    assert flow(sandlock, api, verb, "api.test", port, "/no", tls) == [[True, 403]]
    assert not any("/no" in line for line in api.seen())


@SCHEMES
@VERBS
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_by_literal_address(sandlock, outside, verb, host, tls):
    written = f"[{host}]" if ":" in host else host
    server = outside.api(host, listen=f"{host}:0")
    grant = (f"--http-upstream-ca={pki.root()}", f"--http-allow=GET {written}:{server.port}/a/**")
    bare = sandlock.bare(words(verb, host, server.port, "/a/x", tls),
                         env={"SSL_CERT_FILE": str(pki.root())})
    assert lines(bare) == [[True, 200]], str(bare)
    run = sandlock(*grant, cmd=words(verb, host, server.port, "/a/x", tls))
    assert lines(run) == [[True, 200]], str(run)
    run = sandlock(*grant, cmd=words(verb, host, server.port, "/no", tls))
    assert lines(run) == [[True, 403]], str(run)
    assert server.seen() and all(line.startswith("GET /a/x") for line in server.seen())


@SCHEMES
def test_name_behind_ipv6(sandlock, outside, tls):
    server = outside.api("api.test", listen="::1:0")
    run = sandlock(f"--http-upstream-ca={pki.root()}", f"--resolve=api.test=[::1]:{server.port}",
                   ALLOW, cmd=words("blocking", "api.test", port_of(tls), "/a/x", tls))
    assert lines(run) == [[True, 200]], str(run)
    assert server.seen() == ["GET /a/x"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_refused_address(sandlock, outside, host):
    witness = outside.witness(host)
    bare = sandlock.bare(words("refused", host, witness.port))
    assert lines(bare) == [["0", "0"]] and witness.received() == [b"", b""]
    run = sandlock(ALLOW, cmd=words("refused", host, witness.port))
    assert lines(run) == [["ECONNREFUSED", "ECONNREFUSED"]], str(run)
    assert witness.received() == [b"", b""], "nothing more came"


@SCHEMES
def test_threads(sandlock, api, tls):
    assert flow(sandlock, api, "threads", "api.test", port_of(tls), "/a", tls) == [160]
    assert len(set(api.seen())) == 160


@SCHEMES
def test_forks(sandlock, api, tls):
    assert flow(sandlock, api, "forks", "api.test", port_of(tls), "/a", tls) == [161]
    assert len(set(api.seen())) == 161


@pytest.mark.parametrize("count,tls", [(1000, ""), (300, "tls")], ids=["http-1000", "https-300"])
def test_many_at_once(sandlock, api, count, tls):
    run = sandlock.start(*api.options, "--http-allow=GET api.test/held/all",
                         cmd=words("many", "api.test", port_of(tls), "/held/all", count, tls))
    assert json.loads(run.line()) == "all sent"
    api.log.wait(lambda events: sum(e.get("target") == "/held/all" for e in events) == count,
                 "all requests", timeout=90)
    api.release("all", count)
    assert lines(run.finish()) == [count]


ONE_EACH = """
import socket, sys
where = socket.getaddrinfo("api.test", 80, type=socket.SOCK_STREAM)[0][4]
for i in range(int(sys.argv[1])):
    with socket.create_connection(where) as s:
        s.sendall(b"GET /a/x HTTP/1.1\\r\\nHost: api.test\\r\\nConnection: close\\r\\n\\r\\n")
        answer = b""
        while (part := s.recv(65536)):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 "), answer
"""


@pytest.mark.netns
def test_more_connections_than_ports(sandlock, api):
    """Each leaves its port behind for a minute (TIME-WAIT, RFC 9293 3.6.1)."""
    with netns.few_ports(40000, 40199):
        sandlock(*api.options, ALLOW, cmd=[sys.executable, "-c", ONE_EACH, 500]).ok()
    assert len(api.seen()) == 500


@pytest.mark.parametrize("count,tls", [(3000, ""), (1000, "tls")], ids=["http", "https"])
def test_serial_keep_alive(sandlock, api, count, tls):
    assert flow(sandlock, api, "serial", "api.test", port_of(tls), "/a", count, tls) == [count]
    assert api.seen() == [f"GET /a/{i}" for i in range(count)], "each once, in order"
    assert len({r["conn"] for r in api.requests()}) == 1, "over one connection"


def test_signals(sandlock, api):
    assert flow(sandlock, api, "signals", "api.test", 80, "/a") == [[200, True]]
    assert len(set(api.seen())) == 200


SERVE = """
import http.server, os, socket, subprocess, sys, threading
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
class Handler(http.server.BaseHTTPRequestHandler):
    def do_DELETE(self):
        self.send_response(200); self.send_header("Content-Length", "4"); self.end_headers()
        self.wfile.write(b"here")
    def log_message(self, *_): pass
server = Server((sys.argv[1], 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://%s:%d/any" % (sys.argv[2], server.server_address[1])
print(subprocess.run(["curl", "-sS", "-X", "DELETE", url], stdout=subprocess.PIPE).stdout.decode())
print(subprocess.run(["curl", "-sS", sys.argv[3]], stdout=subprocess.PIPE).stdout.decode())
"""


@pytest.mark.parametrize("listen,host", [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"),
                                         ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"),
                                         ("::", "localhost")])
def test_dev_server_inside(sandlock, api, listen, host):
    """A server of the same tree is nobody's business; the rules still govern the rest."""
    run = sandlock(*api.options, ALLOW,
                   cmd=[sys.executable, "-c", SERVE, listen, host, f"{api.http}/no"]).ok()
    assert run.out.splitlines()[0] == "here", str(run)
    assert "denied_by_sandlock" in run.out and api.seen() == []


# --- bodies -------------------------------------------------------------------------------------

@SCHEMES
def test_continue(sandlock, api, tls):
    port = port_of(tls)
    assert flow(sandlock, api, "continue", "api.test", port, "/a/x", tls) == [["100", "hello"]]
    assert flow(sandlock, api, "continue", "api.test", port, "/no", tls) == [["403", None]]
    assert api.seen() == ["POST /a/x"]


@SCHEMES
def test_chunked_upload_with_trailer(sandlock, api, tls):
    body, = flow(sandlock, api, "upload_chunked", "api.test", port_of(tls), "/a/x", tls)
    assert body == "".join(f"piece {i};" for i in range(1000))
    assert api.requests()[0]["trailers"] == [["X-Sum", "1000"]]


@SCHEMES
def test_answers_of_every_framing(sandlock, api, tls):
    asked = ["GET:/chunked/500", "GET:/trailers", "HEAD:/bytes/1000", "GET:/status/204",
             "GET:/status/304", "GET:/bytes/0", "DELETE:/secret", "GET:/bytes/70000", "GET:/1k"]
    got = flow(sandlock, api, "answers", "api.test", port_of(tls), tls, *asked,
               rules=("--http-allow=GET api.test/**", "--http-deny=* api.test/secret"))
    assert [a[0] for a in got] == [200, 200, 200, 204, 304, 200, 403, 200, 200]
    assert got[0][2] == "".join(f"chunk {i}\n" for i in range(500))
    assert got[1][3] == {"x-check": "passed"}
    assert got[2][1]["content-length"] == "1000"
    assert [len(got[i][2]) for i in (5, 7, 8)] == [0, 70000, 1024]
    assert json.loads(got[6][2])["error"] == "denied_by_sandlock"
    assert len(api.seen()) == len(asked) - 1


@SCHEMES
def test_pipelining(sandlock, api, tls):
    asked = [f"GET:/a/{i}" if i % 5 else f"GET:/no/{i}" for i in range(50)]
    got = flow(sandlock, api, "pipeline", "api.test", port_of(tls), tls, *asked)
    for i, (status, body) in enumerate(got):
        told = json.loads(body)
        if i % 5:
            assert (status, told["target"]) == (200, f"/a/{i}")
        else:
            assert status == 403 and told["url"].endswith(f"/no/{i}")
    assert api.seen() == [f"GET /a/{i}" for i in range(50) if i % 5]


@pytest.mark.parametrize("path", ["/a/x", "/no"])
def test_half_close(sandlock, api, path):
    expected = 200 if path == "/a/x" else 403
    assert flow(sandlock, api, "half_close", "api.test", 80, path) == [expected]


def pattern(size):
    """The SHA-256 of /bytes/SIZE: 64 KiB pieces of the alphabet, each from its beginning."""
    piece = bytes(ord("a") + i % 26 for i in range(65536))
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        digest.update(piece)
    digest.update(piece[:size % len(piece)])
    return digest.hexdigest()


@SCHEMES
def test_big_download(sandlock, api, tls):
    size = 256 * MIB
    base = api.https if tls else api.http
    run = sandlock(*api.options, "--http-allow=GET api.test/bytes/*",
                   cmd=["sh", "-c", 'curl -sSf "$0" | sha256sum', f"{base}/bytes/{size}"])
    assert run.ok().out.split()[0] == pattern(size), str(run)
    assert run.allows()[0]["http.response.body.size"] == size


def hashing(conn):
    """A script of RawServer: answers with the SHA-256 of the body, whatever its framing."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += conn.peer.recv(65536)
    text, _, data = data.partition(b"\r\n\r\n")
    if b"expect: 100-continue" in text.lower():
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    digest, source = hashlib.sha256(), conn.peer.makefile("rb")

    def take(size):
        nonlocal data
        while size > 0:
            piece = data[:size] or source.read(min(size, 1 << 16))
            data = data[len(piece):]
            size -= len(piece)
            yield piece

    def line():
        nonlocal data
        if b"\n" in data:
            found, _, data = data.partition(b"\n")
        else:
            found, data = data + source.readline(), b""
        return found.strip()

    if b"chunked" in text.lower():
        while size := int(line(), 16):
            for piece in take(size):
                digest.update(piece)
            line()
        line()
    else:
        size = next(int(field.split(b":")[1]) for field in text.lower().split(b"\r\n")
                    if field.startswith(b"content-length:"))
        for piece in take(size):
            digest.update(piece)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\nConnection: close\r\n\r\n"
              + digest.hexdigest().encode())


def hashing_api(outside, tls):
    server = outside.raw(hashing, tls=servers.server_context(pki.leaf("api.test")) if tls else None)
    return Api(server)


def big_file(sandlock, size):
    piece = os.urandom(MIB)
    digest = hashlib.sha256()
    with open(sandlock.work / "big", "wb") as file:
        for _ in range(size // MIB):
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@SCHEMES
def test_big_upload(sandlock, outside, tls, framing):
    api = hashing_api(outside, tls)
    expected = big_file(sandlock, 128 * MIB)
    source = ["-T", "big"] if framing == "length" else ["-T", "-", "-H", "Expect:"]
    url = f"{api.https if tls else api.http}/a/up"
    run = sandlock(*api.options, ALLOW, cmd=["sh", "-c", 'exec curl -sSf "$@" <big', "sh",
                                             *source, url])
    assert run.ok().out == expected, str(run)
    assert run.allows()[0]["http.request.body.size"] == 128 * MIB


def test_upload_by_sendfile(sandlock, outside):
    api = hashing_api(outside, "")
    expected = big_file(sandlock, 16 * MIB)
    assert flow(sandlock, api, "sendfile", "api.test", 80, "/a/up", "big") == [[True, expected]]


@SCHEMES
def test_events_come_one_by_one(sandlock, api, tls):
    """The server is told to send the next event only once the program has the last one."""
    url = f"{api.https if tls else api.http}/step/go"
    run = sandlock.start(*api.options, "--http-allow=GET api.test/step/*",
                         cmd=["curl", "-sSN", url])
    for i in range(3):
        assert run.line() == f"data: event {i}\n" and run.line() == "\n"
        if i < 2:
            api.release("go")
    assert run.finish().ok().out == ""


@SCHEMES
def test_first_part_of_a_body_comes_before_the_rest(sandlock, api, tls):
    url = f"{api.https if tls else api.http}/held-body/go"
    run = sandlock.start(*api.options, "--http-allow=GET api.test/held-body/*",
                         cmd=["curl", "-sSN", url])
    assert run.line() == "first\n"
    api.release("go")
    assert run.finish().ok().out == "second\n"


@SCHEMES
def test_nobody_upstream(sandlock, free_port, tls):
    scheme = "https" if tls else "http"
    run = sandlock(f"--resolve=api.test=127.0.0.1:{free_port}", ALLOW,
                   cmd=["curl", "-sS", "-w", "\nstatus %{http_code}\n", f"{scheme}://api.test/a/x"])
    assert "status 502" in run.ok().out and '"reason":"refused"' in run.out, str(run)
