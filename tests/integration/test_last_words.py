"""What the gateway says before it closes a connection is heard, although the client is still
sending: an alert, a GOAWAY, an answer. A reset would come first, and many clients read no further."""

import os
import socket
import struct

import pytest
from harness import pki
from harness.waiting import wait_until
from test_gateway import NAME, answer_ok, request, start, tls_server, wrap  # noqa: F401
from test_gateway_faults import reset

MORE = b"x" * 300000  # more than the gateway reads before it decides


def still_heard(sock):
    """The line was not reset: a client that is still sending can send, and then read."""
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sock.sendall(MORE)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def to_end(stream):
    """All that comes, up to an orderly end."""
    data = stream.rest
    while more := stream.sock.recv(65536):
        data += more
    still_heard(stream.sock)
    return data


def hello(version, name=NAME.encode()):
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    body = version + bytes(32) + b"\0\0\2\xc0\x2f\1\0" + struct.pack(">H", len(sni)) + sni
    message = b"\1\0" + struct.pack(">H", len(body)) + body
    return b"\x16\3\1" + struct.pack(">H", len(message)) + message


@pytest.mark.parametrize("said,alert", [
    (hello(b"\3\3", b"other.test"), 112), (hello(b"\3\3", b"a b"), 112), (hello(b"\3\1"), 70),
], ids=["another-name", "no-name", "old-version"])
def test_a_tls_alert(start, said, alert):  # noqa: F811
    connect, upstream = start(answer_ok)
    stream = connect()
    stream.send(said + MORE)
    heard = to_end(stream)
    assert heard[:1] == b"\x15" and heard[5:] == bytes([2, alert]), heard
    assert upstream.accepted == 0
    assert len(connect.log()) == 1


def test_goaway(start):  # noqa: F811
    connect, upstream = start(answer_ok)
    stream = connect()
    stream.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + MORE)
    heard = to_end(stream)
    assert heard[3:4] == b"\4" and heard[9 + 3:9 + 4] == b"\7" and heard[-1:] == b"\x0d", heard
    assert upstream.accepted == 0
    assert [line["sandlock.reason"] for line in connect.log()] == ["http2"]


@pytest.mark.parametrize("said,status", [
    (b"GET /%zz HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\n\r\n", 400),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/3.0\r\n\r\n", 505),
    (request("POST", "/", "Expect: 200-ok\r\nContent-Length: 9000000\r\n"), 417),
    (request("POST", "/deny", "Content-Length: 9000000\r\n"), 403),
    (request("POST", "/", "Transfer-Encoding: chunked\r\n", b"zz\r\n"), 400),
])
def test_an_answer(start, said, status):  # noqa: F811
    connect, _ = start(lambda stream: stream.to_end())
    stream = connect()
    stream.send(said + MORE)
    assert to_end(stream).startswith(b"HTTP/1.1 %d " % status)


def test_an_answer_within_tls(start):  # noqa: F811
    """Nothing that comes behind it is deciphered any more."""
    connect, _ = start(answer_ok, tls_server(pki.leaf(NAME)), upstream_ca=pki.root().read_bytes())
    stream = wrap(connect)
    raw = socket.socket(fileno=os.dup(stream.sock.fileno()))
    stream.send(request(path="/%zz"))
    assert stream.message()[0].startswith("HTTP/1.1 400")
    raw.sendall(b"\x17\3\3\1\0" + MORE)  # records that nobody can decipher
    assert stream.sock.recv(1) == b"", "an orderly end"
    still_heard(raw)
    raw.close()


def test_a_client_that_goes_is_not_a_smuggler(start):  # noqa: F811
    """A raw flow whose server spoke first, broken off by its client."""
    def script(stream):
        stream.send(b"220 ready\r\n")
        stream.to_end()

    connect, _ = start(script, extra={"net_allow": [f"{NAME}:1-65535"]})
    stream = connect()
    assert stream.line() == b"220 ready"  # after a moment in which we said nothing
    reset(stream.sock)
    wait_until("the audit line", connect.log)
    line, = connect.log()
    assert line["sandlock.verdict"] == "allow" and line["sandlock.reason"] == "client_gone", line


def test_what_hides_behind_a_greeting_is_refused(start):  # noqa: F811
    seen = []

    def script(stream):
        stream.send(b"220 ready\r\n")
        seen.append(stream.to_end())

    connect, _ = start(script, extra={"net_allow": [f"{NAME}:1-65535"]})
    stream = connect()
    assert stream.line() == b"220 ready"
    stream.send(request("DELETE", "/"))
    stream.to_end()
    wait_until("the audit line", lambda: seen and connect.log())
    assert seen == [b""]
    line, = connect.log()
    assert line["sandlock.verdict"] == "deny"
    assert line["sandlock.reason"] == "http_behind_greeting", line
