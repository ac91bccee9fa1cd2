"""The gateway by itself, over a hand-made link: the exchange of HTTP/1, both ways, byte by byte.

What the child sent is compared with what the upstream received, and the other way round."""

import json
import os
import re
import socket
import ssl
import struct
import threading

import pytest
from harness import paths, pki, rawhttp
from harness.gateway import Gateway

NAME = "example.test"


class Upstream:
    """A server that runs `script(conn)` for each connection; what failed there fails the test."""

    def __init__(self, script, context=None):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.script, self.context = script, context
        self.accepted, self.errors = 0, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(conn,), daemon=True).start()

    def _one(self, conn):
        try:
            conn.settimeout(20)
            if self.context:
                conn = self.context.wrap_socket(conn, server_side=True)
            with conn:
                self.script(Stream(conn))
        except (OSError, EOFError):
            pass
        except Exception as error:  # noqa: BLE001
            self.errors.append(error)

    def close(self):
        self.listener.close()
        assert not self.errors, self.errors


class Stream:
    """Reads HTTP/1 messages from a socket, keeping what came too early."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self.rest)
        self.rest += data

    def head(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            key, value = line.split(":", 1)
            fields.setdefault(key.lower(), []).append(value.strip())
        return lines[0], {k: ", ".join(v) for k, v in fields.items()}

    def exactly(self, n):
        while len(self.rest) < n:
            self.more()
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    def line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def chunked(self):
        body = b""
        while size := int(self.line(), 16):
            body += self.exactly(size)
            assert self.line() == b""
        trailers = []
        while line := self.line():
            trailers.append(line)
        return body, trailers

    def message(self, no_body=False):
        start, fields = self.head()
        if no_body:
            return start, fields, b""
        if "chunked" in fields.get("transfer-encoding", ""):
            return start, fields, self.chunked()[0]
        if "content-length" in fields:
            return start, fields, self.exactly(int(fields["content-length"]))
        if start.startswith("HTTP/"):
            return start, fields, self.to_end()
        return start, fields, b""

    def to_end(self):
        try:
            while True:
                self.more()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            pass
        data, self.rest = self.rest, b""
        return data

    def ended(self):
        return self.to_end() == b""


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer_ok(stream):
    while True:
        start, fields, body = stream.message()
        stream.sock.sendall(OK)


@pytest.fixture
def start(tmp_path):
    """start(script) gives (connect, upstream, audit): connect() is a new flow of the child."""
    made = []

    def go(script, tls=None, extra=None, **options):
        upstream = Upstream(script, tls)
        audit = tmp_path / f"audit-{len(made)}"
        policy = {
            "http_allow": [f"GET,POST,PUT,HEAD,OPTIONS {NAME}/*"],
            "http_deny": [f"* {NAME}/deny*"],
            "http_ports": [str(upstream.port)],
            "resolve": [f"{NAME}=127.0.0.1"],
        }
        policy.update(extra or {})
        program = os.environ.get("SANDLOCK_GATEWAY", str(paths.GATEWAY))
        gateway = Gateway(program, policy, audit=str(audit), **options)
        made.append((gateway, upstream))
        front = gateway.front(NAME, upstream.port)

        def connect():
            return Stream(socket.create_connection(("127.0.0.1", front), 20))

        connect.gateway = gateway
        connect.log = lambda: [json.loads(line) for line in audit.read_text().splitlines()]
        return connect, upstream

    yield go
    for gateway, upstream in made:
        summary, totals = gateway.quit()
        assert totals is not None and gateway.process.returncode == 0
        upstream.close()


def request(method="GET", path="/", fields="", body=b"", host=NAME):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode() + body


def get(connect, path="/"):
    stream = connect()
    stream.send(request(path=path))
    return stream.message()


def test_keep_alive_and_the_upstream_is_kept(start):
    connect, upstream = start(answer_ok)
    stream = connect()
    for _ in range(50):
        stream.send(request())
        assert stream.message()[2] == b"ok"
    stream.sock.close()
    for _ in range(20):
        stream = connect()
        stream.send(request(fields="Connection: close\r\n"))
        start_line, fields, body = stream.message()
        assert body == b"ok" and fields["connection"] == "close" and stream.ended()
    assert upstream.accepted == 1


def test_denied_then_allowed_on_one_connection_in_order(start):
    connect, _ = start(answer_ok)
    stream = connect()
    stream.send(request() + request("POST", "/deny/x", "Content-Length: 5\r\n", b"hello") +
                request(path="/last"))
    assert stream.message()[0].startswith("HTTP/1.1 200")
    start_line, fields, body = stream.message()
    denial = json.loads(body)
    assert start_line.startswith("HTTP/1.1 403") and fields["sandlock-verdict"] == "deny"
    assert denial["error"] == "denied_by_sandlock" and denial["url"].endswith("/deny/x")
    assert stream.message()[0].startswith("HTTP/1.1 200")


def test_the_head_is_written_anew(start):
    seen = []

    def script(stream):
        seen.append(stream.head())
        stream.send(OK)

    connect, _ = start(script)
    stream = connect()
    stream.send(request(path="/a", fields="Connection: keep-alive, x-mine, host, authorization\r\n"
                        "X-Mine: 1\r\nAuthorization: Bearer t\r\nProxy-Connection: keep-alive\r\n"
                        "TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nKeep-Alive: 5\r\n"
                        "X-HTTP-Method-Override: DELETE\r\nX-Yours:   2  \r\n"))
    assert stream.message()[2] == b"ok"
    line, fields = seen[0]
    assert line == "GET /a HTTP/1.1" and fields["x-yours"] == "2"
    assert fields["authorization"] == "Bearer t" and fields["host"].startswith(NAME)
    for gone in ("connection", "x-mine", "proxy-connection", "te", "upgrade", "http2-settings",
                 "keep-alive", "x-http-method-override"):
        assert gone not in fields


def test_bodies_go_up_chunked_and_by_length(start):
    seen = []

    def script(stream):
        while True:
            line, fields = stream.head()
            if "transfer-encoding" in fields:
                body, trailers = stream.chunked()
            else:
                body, trailers = stream.exactly(int(fields["content-length"])), []
            seen.append((body, trailers))
            stream.send(OK)

    connect, _ = start(script)
    stream = connect()
    big = os.urandom(3 << 20)
    stream.send(request("PUT", "/", f"Content-Length: {len(big)}\r\n", big))
    assert stream.message()[2] == b"ok"
    stream.send(request("POST", "/", "Transfer-Encoding: chunked\r\n",
                        b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n"
                        b"Authorization: a\r\nContent-Length: 3\r\n\r\n"))
    assert stream.message()[2] == b"ok"
    assert seen == [(big, []), (b"hello!", [b"X-Sum: 1"])]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_bodies_come_down(start, framing):
    big = os.urandom(5 << 20)

    def script(stream):
        stream.head()
        if framing == "length":
            stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(big)}\r\n\r\n".encode() + big)
        elif framing == "close":
            stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + big)
        else:
            stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(big), 70001):
                piece = big[at:at + 70001]
                stream.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            stream.send(b"0\r\nX-T: 1\r\n\r\n")

    connect, _ = start(script)
    assert get(connect)[2] == big


def test_a_slow_reader_holds_the_upstream_back(start):
    size = 64 << 20
    sent = []

    def script(stream):
        stream.head()
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        block = b"x" * 65536
        for _ in range(size // len(block)):
            stream.send(block)
            sent.append(len(block))

    connect, _ = start(script)
    stream = connect()
    stream.send(request())
    stream.head()
    other = connect()
    for _ in range(20):  # the gateway serves others meanwhile, and does not buffer the body
        other.send(request("DELETE"))
        assert other.message()[0].startswith("HTTP/1.1 403")
    assert sum(sent) < size
    assert len(stream.exactly(size)) == size


def test_events_are_not_held_back(start):
    ready = threading.Event()

    def with_ack(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        stream.send(b"3\r\none\r\n")
        assert ready.wait(20)
        stream.send(b"3\r\ntwo\r\n0\r\n\r\n")

    connect, _ = start(with_ack)
    stream = connect()
    stream.send(request())
    stream.head()
    assert stream.line() == b"3" and stream.line() == b"one"
    ready.set()
    assert stream.chunked()[0] == b"two"


def test_continue_is_the_upstreams_word(start):
    def script(stream):
        _, fields = stream.head()
        assert fields["expect"] == "100-continue" and stream.rest == b""
        stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert stream.exactly(5) == b"hello"
        stream.send(OK)

    connect, _ = start(script)
    stream = connect()
    head = request("POST", "/", "Content-Length: 5\r\nExpect: 100-continue\r\n")
    stream.send(head)
    assert stream.head()[0] == "HTTP/1.1 100 Continue"
    stream.send(b"hello")
    assert stream.message()[2] == b"ok"
    denied = connect()
    denied.send(request("POST", "/deny", "Content-Length: 5\r\nExpect: 100-continue\r\n"))
    assert denied.message()[0].startswith("HTTP/1.1 403") and denied.ended()
    odd = connect()
    odd.send(request("POST", "/", "Content-Length: 5\r\nExpect: 200-ok\r\n"))
    assert odd.message()[0].startswith("HTTP/1.1 417")


def test_head_and_no_content_have_no_body(start):
    def script(stream):
        while True:
            line, _ = stream.head()
            if line.startswith("HEAD"):
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            elif "304" in line:
                stream.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")
            else:
                stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    connect, _ = start(script)
    stream = connect()
    stream.send(request("HEAD"))
    assert stream.head()[1]["content-length"] == "1000"
    stream.send(request(path="/304"))
    assert stream.head()[0].startswith("HTTP/1.1 304")
    stream.send(request(path="/204"))
    assert stream.head()[0].startswith("HTTP/1.1 204") and stream.rest == b""


def test_old_clients_get_a_body_they_can_read(start):
    def script(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    connect, _ = start(script)
    stream = connect()
    stream.send(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
    start_line, fields, body = stream.message()
    assert body == b"hello" and "transfer-encoding" not in fields and fields["connection"] == "close"


def test_websocket_is_a_tunnel_after_101_only(start):
    def script(stream):
        line, fields = stream.head()
        if "/ws" not in line:
            stream.send(OK)
            return
        assert fields["upgrade"] == "websocket" and "upgrade" in fields["connection"].lower()
        accept = rawhttp.accept(fields["sec-websocket-key"].encode())
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\nserver first" % accept)
        assert stream.exactly(7) == b"\x00GET / "
        stream.send(b"bye")

    fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n"
    connect, _ = start(script)
    stream = connect()
    stream.send(request(path="/ws", fields=fields))
    assert stream.head()[0].startswith("HTTP/1.1 101")
    assert stream.exactly(12) == b"server first"
    stream.send(b"\x00GET / ")
    assert stream.exactly(3) == b"bye" and stream.ended()
    plain = connect()
    plain.send(request(path="/plain", fields=fields))
    assert plain.message()[0].startswith("HTTP/1.1 200")
    plain.send(request(path="/deny"))
    assert plain.message()[0].startswith("HTTP/1.1 403")


def test_a_stale_connection_is_tried_again_once(start):
    served = []

    def script(stream):
        stream.head()
        served.append(1)
        stream.send(OK)  # and closes without saying so

    connect, upstream = start(script)
    for _ in range(5):
        assert get(connect)[2] == b"ok"
    assert len(served) == 5


def test_a_post_is_never_sent_twice(start):
    seen = []

    def script(stream):
        seen.append(stream.message())
        if len(seen) == 1:
            stream.send(OK)
            seen.append(stream.message())
        # the second request is read and not answered

    connect, _ = start(script)
    stream = connect()
    stream.send(request())
    assert stream.message()[2] == b"ok"
    stream.send(request("POST", "/", "Content-Length: 2\r\n", b"hi"))
    start_line, _, body = stream.message()
    assert start_line.startswith("HTTP/1.1 502") and json.loads(body)["reason"] == "protocol"
    assert len(seen) == 2


@pytest.mark.parametrize("response", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10000,
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"",
])
def test_a_malformed_response_is_502(start, response):
    def script(stream):
        stream.head()
        stream.send(response)

    connect, _ = start(script)
    stream = connect()
    stream.send(request())
    line = stream.head()[0]
    while line.startswith("HTTP/1.1 103"):
        line = stream.head()[0]
    assert line.startswith("HTTP/1.1 502")


def test_two_responses_to_one_request_shift_nothing(start):
    def script(stream):
        while True:
            line, _ = stream.head()
            mark = line.split()[1].encode()
            body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(mark), mark)
            stream.send(body + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    connect, upstream = start(script)
    stream = connect()
    for path in ("/one", "/two", "/three"):
        stream.send(request(path=path))
        assert stream.message()[2] == path.encode()
    assert upstream.accepted == 3


def test_a_cut_body_is_not_taken_for_whole(start):
    def script(stream):
        line, _ = stream.head()
        if "chunked" in line:
            stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        else:
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")

    connect, _ = start(script)
    stream = connect()
    stream.send(request(path="/chunked"))
    stream.head()
    assert b"0\r\n" not in stream.to_end()
    stream = connect()
    stream.send(request(path="/length"))
    stream.head()
    assert len(stream.to_end()) <= 5


def test_an_early_answer_ends_the_upload(start):
    def script(stream):
        stream.head()
        stream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

    connect, _ = start(script)
    stream = connect()
    stream.send(request("POST", "/", "Content-Length: 1000000000\r\n"))
    try:
        for _ in range(64):
            stream.send(b"x" * 65536)
    except OSError:
        pass
    assert stream.head()[0].startswith("HTTP/1.1 413")


MALFORMED = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: example.test\r\nHost: example.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: user@example.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: example.test:1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: example.test, other.test\r\n\r\n",
    b"GET http://other.test/ HTTP/1.1\r\nHost: example.test\r\n\r\n",
    b"GET /a%2f../b HTTP/1.1\r\nHost: example.test\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\nHost: example.test\r\n\r\n",
    b"GET / HTTP/1.1\nHost: example.test\n\n",
    b"GET  / HTTP/1.1\r\nHost: example.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: example.test\r\n x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked"
    b"\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: +3\r\n\r\nabc",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_requests_are_400_and_the_end(start, text):
    seen = []

    def script(stream):
        seen.append(stream.head())
        stream.send(OK)

    connect, upstream = start(script)
    stream = connect()
    stream.send(text + request(path="/second"))
    start_line, _, _ = stream.message()
    assert start_line.startswith("HTTP/1.1 400") and stream.ended()
    assert not seen and upstream.accepted == 0
    assert get(connect)[2] == b"ok"
    assert [e["sandlock.verdict"] for e in connect.log()].count("deny") == 1


@pytest.mark.parametrize("text,status", [
    (b"GET / HTTP/2.7\r\nHost: example.test\r\n\r\n", 505),
    (b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: example.test\r\nX: " + b"x" * (1 << 20), 431),
    (b"GET / HTTP/1.1\r\nHost: example.test\r\n" + b"X: y\r\n" * 10000, 431),
    (b"CONNECT example.test:80 HTTP/1.1\r\nHost: example.test:80\r\n\r\n", 405),
    (b"TRACE / HTTP/1.1\r\nHost: example.test\r\n\r\n", 405),
    (b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 421),
])
def test_refusals_have_their_status(start, text, status):
    connect, upstream = start(answer_ok)
    stream = connect()
    try:
        stream.send(text)
    except OSError:
        pass
    assert stream.head()[0].startswith(f"HTTP/1.1 {status}")
    assert upstream.accepted == 0


def test_a_malformed_chunk_ends_both_sides(start):
    bodies = []

    def script(stream):
        stream.head()
        bodies.append(stream.to_end())

    connect, _ = start(script)
    stream = connect()
    stream.send(request("POST", "/", "Transfer-Encoding: chunked\r\n", b"5\r\nhelloXX"))
    assert stream.message()[0].startswith("HTTP/1.1 400") and stream.ended()


def test_h2_preface_is_refused(start):
    connect, upstream = start(answer_ok)
    stream = connect()
    stream.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
    frames = stream.to_end()
    assert frames[:9] == bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) and frames[12] == 7
    assert upstream.accepted == 0


def test_unknown_protocols_are_closed(start):
    connect, upstream = start(answer_ok)
    for text in (b"SSH-2.0-x\r\n", b"\x00\x01\x02\x03\x04\x05", b"EHLO x\r\n"):
        stream = connect()
        stream.send(text)
        assert stream.message()[0].startswith("HTTP/1.1 400") and stream.ended()
    assert upstream.accepted == 0


def test_upstream_refused_is_502(start, free_port):
    connect, upstream = start(answer_ok, extra={"resolve": [f"{NAME}=127.0.0.1:{free_port}"]})
    stream = connect()
    stream.send(request())
    line, fields, body = stream.message()
    assert line.startswith("HTTP/1.1 502") and json.loads(body)["reason"] == "refused"
    stream.send(request(path="/deny"))  # the connection goes on
    assert stream.message()[0].startswith("HTTP/1.1 403")


def test_a_private_address_behind_a_wildcard_is_502(start):
    connect, upstream = start(answer_ok, extra={"http_allow": ["GET *.test/*"],
                                                "http_deny": [], "resolve": []})
    front = connect.gateway.front("localhost.example.test", upstream.port)
    stream = Stream(socket.create_connection(("127.0.0.1", front), 20))
    stream.send(request(host="localhost.example.test"))
    assert stream.message()[0].startswith("HTTP/1.1 502") and upstream.accepted == 0


def test_tls_passes_untouched_where_no_http_rule_is(start):
    connect, upstream = start(answer_ok, tls_server(pki.leaf(NAME)),
                              extra={"http_deny": [], "http_no_inspect": [NAME]})
    context = ssl.create_default_context(cafile=pki.root())
    stream = wrap(connect, NAME, context)
    stream.send(request(path="/deny", host="whatever.test"))
    assert stream.message()[2] == b"ok"
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized"):
        wrap(connect, "other.test", context)
    clear = connect()  # plain HTTP can be judged, and is
    clear.send(request("DELETE"))
    assert clear.message()[0].startswith("HTTP/1.1 403") and upstream.accepted == 1


def test_raw_protocols_pass_where_a_net_rule_names_them(start):
    def script(stream):
        stream.send(b"220 ready\r\n")
        line = stream.line()
        stream.send(b"echo " + line + b"\r\n")

    connect, upstream = start(script, extra={"http_allow": ["GET other.test/*"], "http_deny": [],
                                             "net_allow": [f"{NAME}:1-65535"]})
    stream = connect()
    assert stream.line() == b"220 ready"  # the server speaks first
    stream.send(b"HELP\r\n")
    assert stream.line() == b"echo HELP"
    stream = connect()
    stream.send(b"\x00\x01first\r\n")  # the client does
    assert stream.line() == b"220 ready" and stream.line() == b"echo \x00\x01first"


def tls_server(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def tls_client(gateway):
    context = ssl.create_default_context(cadata=gateway.ca_pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def wrap(connect, name=NAME, context=None):
    stream = connect()
    context = context or tls_client(connect.gateway)
    return Stream(context.wrap_socket(stream.sock, server_hostname=name))


def test_tls_is_opened_and_judged(start):
    big = os.urandom(3 << 20)

    def script(stream):
        while True:
            line, _, _ = stream.message()
            body = big if "big" in line else b"ok"
            stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    connect, upstream = start(script, tls_server(pki.leaf(NAME)),
                              upstream_ca=pki.root().read_bytes())
    stream = wrap(connect)
    assert stream.sock.selected_alpn_protocol() == "http/1.1"
    names = stream.sock.getpeercert()["subjectAltName"]
    assert names == (("DNS", NAME),)
    for path, want in (("/", b"ok"), ("/big", big), ("/", b"ok")):
        stream.send(request(path=path))
        assert stream.message()[2] == want
    stream.send(request("PUT", "/", f"Content-Length: {len(big)}\r\n", big))
    assert stream.message()[2] == b"ok"
    stream.send(request(path="/deny"))
    assert stream.message()[0].startswith("HTTP/1.1 403")
    stream.sock.close()
    for _ in range(5):
        stream = wrap(connect)
        stream.send(request())
        assert stream.message()[2] == b"ok"
        stream.sock.close()
    assert upstream.accepted == 1


def test_an_untrusted_upstream_is_502(start):
    connect, upstream = start(answer_ok, tls_server(pki.leaf("other.test")),
                              upstream_ca=pki.root().read_bytes())
    stream = wrap(connect)
    stream.send(request())
    line, _, body = stream.message()
    assert line.startswith("HTTP/1.1 502") and json.loads(body)["reason"] == "tls_verify"
    assert connect.log()[-1]["sandlock.reason"] == "tls_verify"


def test_another_name_in_the_hello_is_refused(start):
    connect, upstream = start(answer_ok, tls_server(pki.leaf(NAME)),
                              upstream_ca=pki.root().read_bytes())
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized"):
        wrap(connect, "other.test")
    assert upstream.accepted == 0


def test_old_tls_is_refused(start):
    connect, _ = start(answer_ok, tls_server(pki.leaf(NAME)), upstream_ca=pki.root().read_bytes())
    hello = bytes([0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 2]) + bytes(32) + b"\0" + b"\0\2\0\x2f" + \
        b"\1\0" + b"\0\0"
    stream = connect()
    stream.send(hello)
    data = stream.to_end()
    assert data[:1] == b"\x15" and data[5] == 2


def test_slow_heads_do_not_hinder_others(start):
    connect, _ = start(answer_ok)
    slow = [connect() for _ in range(200)]
    for stream in slow:
        stream.send(b"GET / HT")
    assert get(connect)[2] == b"ok"
    for stream in slow:
        stream.send(b"TP/1.1\r\nHost: " + NAME.encode() + b"\r\n\r\n")
    for stream in slow:
        assert stream.message()[2] == b"ok"


def test_a_thousand_connections_at_once(start):
    connect, _ = start(answer_ok)
    streams = [connect() for _ in range(1000)]
    for stream in streams:
        stream.send(request())
    for stream in streams:
        assert stream.message()[2] == b"ok"


def test_the_client_may_say_its_last_word_first(start):
    connect, _ = start(answer_ok)
    stream = connect()
    stream.send(request())
    stream.sock.shutdown(socket.SHUT_WR)
    assert stream.message()[2] == b"ok"


def test_a_client_that_vanishes_is_logged(start):
    gone = threading.Event()

    def script(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            while True:
                stream.send(b"x" * 65536)
        except OSError:
            gone.set()
            raise

    connect, _ = start(script)
    stream = connect()
    stream.send(request())
    stream.head()
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.sock.close()
    assert gone.wait(20)


def test_a_head_that_never_ends_is_408(start):
    connect, upstream = start(answer_ok)
    stream = connect()
    stream.sock.settimeout(60)
    stream.send(b"GET / HTTP/1.1\r\nHost: ")
    assert stream.head()[0].startswith("HTTP/1.1 408") and upstream.accepted == 0


def test_the_trace_tells_what_was_decided_and_no_secret(start, tmp_path):
    trace = tmp_path / "trace"
    connect, upstream = start(answer_ok, tls_server(pki.leaf(NAME)), trace=trace,
                              upstream_ca=pki.root().read_bytes())
    stream = wrap(connect)
    for method, path in (("POST", "/pub?key=secret-1"), ("POST", "/deny?key=secret-2")):
        stream.send(request(method, path, "X-Key: secret-3\r\nContent-Length: 8\r\n", b"secret-4"))
        stream.message()
    want = ["first bytes: TLS", "sniff -> tls", f"server name '{NAME}'", "certificate is believed",
            "tls -> h1", f"POST '{NAME}", "/pub': allowed", "exchange idle -> relay",
            "request body -> done", "response body -> done", "/deny': denied",
            "an answer of ours, 403"]
    text = trace.read_text()  # what is answered was traced before
    assert [word for word in want if word not in text] == [], text
    assert "secret" not in text and "X-Key" not in text, text
    line = re.compile(r"\d+\.\d{6} gateway\[\d+\] (flow|tls|http): [\x20-\x7e]+")
    assert all(line.fullmatch(entry) for entry in text.splitlines()), text
