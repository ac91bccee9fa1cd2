"""HTTP: field names that mean one thing to the gateway and another to a server, and responses that
switch to a protocol nobody asked for (docs/security-cases.md)."""

import importlib.util
import json
import socket
import sys
import threading
from wsgiref import simple_server

import pytest

from harness import rawhttp, servers
from harness.rawhttp import head, statuses

RULES = ("--http-allow=GET api.test/pub/*", "--http-allow=POST api.test/pub/*",
         "--http-allow=GET api.test/ws")
LAST = b"Connection: close\r\n"


@pytest.fixture
def send(sandlock, attack):
    """Sends bytes to api.test:80, which is at that port, from inside."""
    def go(port, data):
        return sandlock(f"--resolve=api.test=127.0.0.1:{port}", *RULES,
                        cmd=[attack("raw"), "api.test", 80], data=data)
    return go


def send_outside(port, data):
    """The same from outside, until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), servers.DEADLINE) as s:
        s.sendall(data)
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    return answer


def ended(run):
    return "closed" in run.err or "reset" in run.err


# --- HTTP-30 ---

class WsgiServer:
    """Python's own WSGI server, and an application that knows method overrides by their names in
    the environment, as frameworks do."""

    class _Quiet(simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    def __init__(self):
        self.done = []  # one request after the other: the server has one thread
        self._server = simple_server.make_server("127.0.0.1", 0, self._application,
                                                 handler_class=self._Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _application(self, environ, start_response):
        method = environ["REQUEST_METHOD"]
        for name in ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE"):
            method = environ.get(name, method)
        seen = {n: v for n, v in environ.items() if n.startswith(("HTTP_", "CONTENT_"))}
        self.done.append((method, environ["PATH_INFO"], seen))
        body = json.dumps([method, seen]).encode()
        start_response("200 OK", [("Content-Type", "application/json"),
                                  ("Content-Length", str(len(body)))])
        return [body]

    def close(self):
        self._server.shutdown()
        self._thread.join(servers.DEADLINE)
        self._server.server_close()


@pytest.fixture
def wsgi():
    server = WsgiServer()
    yield server
    server.close()


BECOMES = {  # what is sent: what a WSGI application sees
    b"X_HTTP_Method_Override: DELETE": ("HTTP_X_HTTP_METHOD_OVERRIDE", "DELETE"),
    b"X-HTTP-Method_Override: DELETE": ("HTTP_X_HTTP_METHOD_OVERRIDE", "DELETE"),
    b"x_http_method: DELETE": ("HTTP_X_HTTP_METHOD", "DELETE"),
    b"Transfer_Encoding: chunked": ("HTTP_TRANSFER_ENCODING", "chunked"),
    b"Keep_Alive: 5": ("HTTP_KEEP_ALIVE", "5"),
    b"Proxy_Connection: x": ("HTTP_PROXY_CONNECTION", "x"),
    b"Proxy_Authorization: x": ("HTTP_PROXY_AUTHORIZATION", "x"),
    b"Sec_WebSocket_Key: x": ("HTTP_SEC_WEBSOCKET_KEY", "x"),
}


@pytest.mark.parametrize("field", BECOMES, ids=lambda f: f.split(b":")[0].decode())
def test_HTTP_30_what_wsgi_makes_of_a_name(send, wsgi, field):
    """Outside the field means what its name becomes, deletion of what may only be read included;
    from inside it never arrives, while an underscore as such does."""
    name, value = BECOMES[field]
    send_outside(wsgi.port, head(b"/pub/outside", extra=field + b"\r\n" + LAST))
    method, path, seen = wsgi.done.pop()
    assert (path, seen[name]) == ("/pub/outside", value)
    assert method == ("DELETE" if value == "DELETE" else "GET")

    run = send(wsgi.port, head(b"/pub/control", extra=b"X_Request_Id: 7\r\n"
                               b"X-HTTP-Method-Override: DELETE\r\n" + LAST))
    assert statuses(run.out) == [200], str(run)
    method, path, seen = wsgi.done.pop()
    assert (method, path, seen["HTTP_X_REQUEST_ID"]) == ("GET", "/pub/control", "7")
    assert "HTTP_X_HTTP_METHOD_OVERRIDE" not in seen

    run = send(wsgi.port, head(b"/pub/inside", extra=field + b"\r\n") + head(b"/pub/behind"))
    assert statuses(run.out) == [400] and ended(run), str(run)
    assert len(run.denies()) == 1, str(run)
    send_outside(wsgi.port, head(b"/pub/last", extra=LAST))  # behind all that came before
    assert [path for _, path, _ in wsgi.done] == ["/pub/last"]


LOOKALIKES = ("Transfer_Encoding: chunked", "transfer_encoding: chunked",
              "TRANSFER.ENCODING: chunked", "Transfer~Encoding: chunked",
              "Transfer-Encoding_: chunked", "_Transfer-Encoding: chunked",
              "Content_Length: 40", "content.length: 40", "Content-Length-: 40",
              "Content-Length.: 40", "-Content-Length: 40", "Host_: other.test",
              "_Host: other.test", "Host.: other.test", "'Host': other.test", "Te_: trailers",
              "Connection_: close", "_Connection: close", "Upgrade_: h2c", "HTTP2_Settings: AAMA",
              "Keep_Alive: 5", "Proxy_Connection: keep-alive", "proxy.authorization: Basic eDp5",
              "Trailer_: X-A", "Expect_: 100-continue", "Authorization_: Bearer x",
              "X_HTTP_Method_Override: DELETE", "X.Method.Override: DELETE")


EACH = """
import json, socket, sys
for data in json.load(sys.stdin):
    with socket.create_connection(("api.test", 80)) as s:
        s.sendall(data.encode())
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    print(answer.split(b" ")[1].decode())
"""


def test_HTTP_30_names_that_others_read_as_anothers(sandlock, api):
    """With an honest length before or behind, and a body that is a request to who overlooks it."""
    inner = head(b"/admin")
    length = b"Content-Length: %d\r\n" % len(inner)
    fields = [f"{line}\r\n".encode() for line in LOOKALIKES]
    extras = [b"X_Y: z\r\n" + length + LAST, *(f + length for f in fields),
              *(length + f for f in fields)]
    data = [(head(b"/pub/x", b"POST", extra=extra) + inner).decode() for extra in extras]
    run = sandlock(*api.options, *RULES, cmd=[sys.executable, "-c", EACH],
                   data=json.dumps(data).encode()).ok()
    found = dict(zip(extras, run.out.split()))
    assert found.pop(extras[0]) == "200"
    assert len(found) == 2 * len(fields) and set(found.values()) == {"400"}, found
    assert ["X_Y", "z"] in api.requests()[0]["headers"]
    assert api.seen() == ["POST /pub/x"] and len(api.connections()) == 1
    assert len(run.denies()) == len(found)


def test_HTTP_30_trailers(send, api):
    run = send(api.server.port, head(b"/pub/x", b"POST", extra=b"Transfer-Encoding: chunked\r\n" + LAST)
               + b"5\r\nhello\r\n0\r\nContent_Length: 40\r\nHost_: other.test\r\nX_Sum: 1\r\n"
               b"Transfer_Encoding: chunked\r\n\r\n")
    assert statuses(run.out) == [200], str(run)
    assert api.requests()[-1]["trailers"] == [["X_Sum", "1"]]


def test_HTTP_30_on_the_way_down(send, outside):
    """A server at fault stays in reach; what reads two ways does not come through."""
    answer = (b"HTTP/1.1 200 OK\r\nContent_Length: 99\r\nTransfer_Encoding: chunked\r\n"
              b"Keep_Alive: 5\r\nX_Y: z\r\nTransfer-Encoding: chunked\r\n\r\n"
              b"2\r\nok\r\n0\r\nContent_Length: 99\r\nX_Sum: 1\r\n\r\n")
    server = outside.raw(servers.raw_answer(answer))
    assert send_outside(server.port, head()) == answer
    run = send(server.port, head(extra=LAST))
    assert statuses(run.out) == [200], str(run)
    assert "X_Y: z" in run.out and "X_Sum: 1" in run.out
    for name in ("Content_Length", "Transfer_Encoding", "Keep_Alive"):
        assert name not in run.out, str(run)


# --- HTTP-31 ---

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UP = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
ASK = UP + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
ACCEPT = b"Sec-WebSocket-Accept: " + rawhttp.accept(KEY) + b"\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"
RIGHT = SWITCH + UP + ACCEPT + b"\r\n"
LATER, SMUGGLED = b"later", head(b"/admin")


def accomplice(answer):
    """Answers a request's head, says more, and keeps whatever it is then sent."""
    def script(conn):
        conn.head()
        conn.send(answer + LATER)
        conn.peer.shutdown(socket.SHUT_WR)
        conn.rest()
    return script


def went_up(server):
    """What came behind the request's head, once its connection is over."""
    server.log.wait(lambda events: any(e["event"] == "close" for e in events), "end")
    return server.raw().partition(b"\r\n\r\n")[2]


def check_no_switch(send, outside, request, answer):
    server = outside.raw(accomplice(answer))
    assert send_outside(server.port, request) == answer + LATER  # who trusts it is switched
    server = outside.raw(accomplice(answer))
    run = send(server.port, request + SMUGGLED)
    assert statuses(run.out) == [502] and '"protocol"' in run.out and ended(run), str(run)
    assert LATER.decode() not in run.out, str(run)
    assert went_up(server) == b"" and server.accepted() == 1
    assert [e["sandlock.reason"] for e in run.audit if "sandlock.reason" in e] == ["protocol"]


def test_HTTP_31_a_right_answer_is_a_tunnel(send, outside):
    """The control: then bytes are nobody's business, a second 101 among them."""
    server = outside.raw(accomplice(RIGHT + RIGHT))
    run = send(server.port, head(b"/ws", extra=ASK) + SMUGGLED)
    assert statuses(run.out) == [101, 101] and run.out.endswith(LATER.decode()), str(run)
    assert went_up(server) == SMUGGLED


WRONG = {
    "nothing": SWITCH + b"\r\n",
    "no-accept": SWITCH + UP + b"\r\n",
    "of-another-key": SWITCH + UP + b"Sec-WebSocket-Accept: " + rawhttp.accept(b"eA==") + b"\r\n\r\n",
    "key-itself": SWITCH + UP + b"Sec-WebSocket-Accept: " + KEY + b"\r\n\r\n",
    "accept-in-lower-case": SWITCH + UP + ACCEPT.lower() + b"\r\n",
    "accept-twice": SWITCH + UP + ACCEPT + ACCEPT + b"\r\n",
    "accept-lookalike": SWITCH + UP + ACCEPT.replace(b"WebSocket-", b"WebSocket_") + b"\r\n",
    "no-upgrade": SWITCH + b"Connection: Upgrade\r\n" + ACCEPT + b"\r\n",
    "no-connection": SWITCH + b"Upgrade: websocket\r\n" + ACCEPT + b"\r\n",
    "another-protocol": SWITCH + UP.replace(b"websocket", b"h2c") + ACCEPT + b"\r\n",
    "two-protocols": SWITCH + UP.replace(b"websocket", b"websocket, h2c") + ACCEPT + b"\r\n",
    "1.0": RIGHT.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "length": SWITCH + UP + ACCEPT + b"Content-Length: 5\r\n\r\n",
    "chunked": SWITCH + UP + ACCEPT + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
    "subprotocol": SWITCH + UP + ACCEPT + b"Sec-WebSocket-Protocol: mqtt\r\n\r\n",
    "extension": SWITCH + UP + ACCEPT + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "the-right-one-second": SWITCH + b"\r\n" + RIGHT,
    "behind-an-interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" + SWITCH + UP + b"\r\n",
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_HTTP_31_an_answer_to_something_else(send, outside, answer):
    check_no_switch(send, outside, head(b"/ws", extra=ASK), answer)


UNASKED = {
    "plain": head(b"/ws"),
    "1.0": head(b"/ws", version=b"HTTP/1.0", extra=ASK),
    "post": head(b"/pub/x", b"POST", extra=ASK + b"Content-Length: 0\r\n"),
    "h2c": head(b"/ws", extra=ASK.replace(b"websocket", b"h2c")),
    "no-key": head(b"/ws", extra=UP),
    "two-keys": head(b"/ws", extra=ASK + b"Sec-WebSocket-Key: " + KEY + b"\r\n"),
}


@pytest.mark.parametrize("request_", UNASKED.values(), ids=UNASKED)
def test_HTTP_31_a_switch_that_nobody_asked_for(send, outside, request_):
    check_no_switch(send, outside, request_, RIGHT)


CLIENT = """
import sys
from websockets.sync.client import connect
with connect("ws://api.test/ws", subprotocols=["chat.v1", "chat.v2"]) as ws:
    ws.send("x" * 10000)
    print(ws.recv() == "x" * 10000, ws.subprotocol, *(e.name for e in ws.protocol.extensions))
"""


def test_HTTP_31_what_was_offered_is_agreed_on(sandlock):
    """A client and a server that are not ours, with a subprotocol and with compression."""
    if importlib.util.find_spec("websockets") is None:
        pytest.skip("the Python package websockets is not installed")
    from websockets.sync.server import serve

    def echo(ws):
        for message in ws:
            ws.send(message)

    with serve(echo, "127.0.0.1", 0, subprotocols=["chat.v2"]) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.socket.getsockname()[1]
        run = sandlock(f"--resolve=api.test=127.0.0.1:{port}", *RULES,
                       cmd=[sys.executable, "-c", CLIENT]).ok()
        server.shutdown()
        thread.join(servers.DEADLINE)
    assert run.out == "True chat.v2 permessage-deflate\n"
