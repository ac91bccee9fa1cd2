"""A web server of Python's own whose answers a test writes: behind TLS or in the clear, on one port,
with a log of what was asked."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .servers import Log, server_context


class Request:
    def __init__(self, method, target, fields, body):
        self.method, self.target, self.fields, self.body = method, target, fields, body
        self.path, _, self.query = target.partition("?")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self):
        self.server.log.add({"method": self.command, "target": self.path})
        request = Request(self.command, self.path, self.headers, self._body())
        status, fields, content = self.server.answer(request)
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a peer that goes away is the peer's business
        pass


class WebServer:
    """answer(request) gives a status, pairs of a name and a value, and a body."""

    def __init__(self, answer, pair=None):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.answer, self.log = answer, Log()
        self._server.log = self.log
        if pair:
            self._server.socket = server_context(pair).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def seen(self):
        return [f"{e['method']} {e['target']}" for e in self.log.events]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)
