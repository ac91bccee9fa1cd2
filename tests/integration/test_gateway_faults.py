"""The gateway by itself, when one side breaks off or says what nobody asked for."""

import re
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from harness.waiting import end, read_line, wait_until
from test_gateway import NAME, OK, request, start  # noqa: F401  (start is a fixture)


LOOKS = 300  # how often one looks at who is to rest


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nSL"])
def test_half_a_response_never_answers_somebody_else(start, sent):  # noqa: F811
    """HTTP-29: the client leaves in the middle; its upstream connection serves nobody after it."""
    asked, go_on = threading.Event(), threading.Event()

    def script(stream):
        while True:
            line, _ = stream.head()
            if "/slow" in line:
                stream.send(sent)
                asked.set()
                assert go_on.wait(20)
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nSLOW"[len(sent):])
            else:
                stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nFAST")

    connect, upstream = start(script)
    first = connect()
    first.send(request(path="/slow"))
    assert asked.wait(20)
    if sent:
        first.head()
    reset(first.sock)
    wait_until("the gateway to notice", connect.log)
    second = connect()
    second.send(request(path="/fast"))
    assert second.message()[2] == b"FAST"
    go_on.set()
    second.send(request(path="/fast"))
    assert second.message()[2] == b"FAST"
    assert upstream.accepted == 2


def state(pid):
    """Asleep or not, and how often it was made to leave the processor or left it by itself."""
    text = Path(f"/proc/{pid}/status").read_text()
    return re.search(r"^State:\s(\w)", text, re.M)[1], re.findall(r"ctxt_switches:\s(\d+)", text)


def rests(pid):
    """Asleep and not woken once, however often one looks. Who spins is never seen asleep, and who
    wakes only to look again is counted."""
    first = state(pid)
    return first[0] == "S" and all(state(pid) == first for _ in range(LOOKS))


def test_who_spins_does_not_rest():
    """The control of what follows."""
    spinning = subprocess.Popen(["sh", "-c", "echo up; while :; do :; done"],
                                stdout=subprocess.PIPE)
    try:
        assert read_line(spinning.stdout) == b"up\n"
        assert not any(rests(spinning.pid) for _ in range(LOOKS))
    finally:
        end(spinning)


def client_hello():
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(theirs, ours, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return ours.read()


def test_waiting_for_an_upstream_takes_no_cpu(start):  # noqa: F811
    """TLS-13: the child ends its side while the upstream is still silent."""
    accepted, over = threading.Event(), threading.Event()

    def script(stream):
        accepted.set()
        assert over.wait(20)

    connect, _ = start(script)
    flow, later = connect(), connect()
    pid = connect.gateway.process.pid
    later.send(b"G")
    flow.send(client_hello())
    assert accepted.wait(20)
    flow.send(b"more")
    flow.sock.shutdown(socket.SHUT_WR)
    later.send(b"ET / ")
    wait_until("a gateway that rests", lambda: rests(pid), timeout=20)
    over.set()


@pytest.mark.parametrize("trailer", [b" folded: x\r\n", b"no colon\r\n", b": x\r\n", b"a b: x\r\n"])
def test_malformed_trailers_are_400(start, trailer):  # noqa: F811
    """HTTP-10, HTTP-20: refused at once, and the upstream sees that the request is incomplete."""
    seen = []

    def script(stream):
        stream.head()
        try:
            seen.append(stream.chunked())
        except EOFError:
            seen.append("cut")
            raise

    connect, _ = start(script)
    stream = connect()
    stream.send(request("POST", "/", "Transfer-Encoding: chunked\r\n",
                        b"1\r\nx\r\n0\r\n" + trailer + b"\r\n"))
    assert stream.message()[0].startswith("HTTP/1.1 400")
    assert stream.ended()
    wait_until("what the upstream saw", lambda: seen)
    assert seen == ["cut"]


def test_an_upstream_cannot_speak_for_the_gateway(start):  # noqa: F811
    def script(stream):
        stream.head()
        stream.send(b"HTTP/1.1 403 No\r\nSandlock-Verdict: deny\r\nContent-Length: 0\r\n\r\n")

    connect, _ = start(script)
    stream = connect()
    stream.send(request())
    line, fields, _ = stream.message()
    assert line.startswith("HTTP/1.1 403") and "sandlock-verdict" not in fields


@pytest.mark.parametrize("name", [NAME.encode() + b"\0.evil.test", NAME.encode() + b".", b"a b"])
def test_a_name_that_is_none_gets_unrecognized_name(start, name):  # noqa: F811
    """TLS-03"""
    connect, upstream = start(lambda stream: stream.send(OK))
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    body = (b"\x03\x03" + bytes(32) + b"\0\0\2\x13\1\1\0" + struct.pack(">H", len(sni)) + sni)
    message = b"\1\0" + struct.pack(">H", len(body)) + body
    stream = connect()
    stream.send(b"\x16\3\1" + struct.pack(">H", len(message)) + message)
    assert stream.to_end() == b"\x15\3\1\0\2\2\x70"
    assert upstream.accepted == 0


def test_empty_bodies_with_a_length(start):  # noqa: F811
    seen = []

    def script(stream):
        while True:
            seen.append(stream.message()[1]["content-length"])
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    connect, upstream = start(script)
    stream = connect()
    for _ in range(3):
        stream.send(request("POST", "/", "Content-Length: 0\r\n"))
        line, fields, body = stream.message()
        assert line == "HTTP/1.1 200 OK" and fields["content-length"] == "0" and body == b""
    assert seen == ["0"] * 3 and upstream.accepted == 1


def read_some(tls, got, stream, count):
    """What is not data, a ticket say, comes before it."""
    while True:
        try:
            return tls.read(count)
        except ssl.SSLWantReadError:
            got.write(stream.sock.recv(65536))


def test_half_a_record_takes_no_cpu(start):  # noqa: F811
    """TLS-13: what cannot be decrypted yet is waited for, not looked at again and again."""
    connect, _ = start(lambda stream: stream.send(OK))
    context = ssl.create_default_context(cadata=connect.gateway.ca_pem.decode())
    sent, got = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(got, sent, server_hostname=NAME)
    stream = connect()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            stream.send(sent.read())
            got.write(stream.sock.recv(65536))
    tls.write(b"GET /deny HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\n\r\n")
    record = sent.read()
    stream.send(record[:-1])
    pid = connect.gateway.process.pid
    wait_until("a gateway that rests", lambda: rests(pid), timeout=20)
    stream.send(record[-1:])
    assert read_some(tls, got, stream, 12) == b"HTTP/1.1 403"
