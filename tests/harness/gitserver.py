"""A smart HTTP git server (git-http-backend(1)) behind TLS and in the clear, on one port each."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .servers import Log, server_context
from .waiting import TIMEOUT


class Handler(BaseHTTPRequestHandler):
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
        path, _, query = self.path.partition("?")
        self.server.log.add({"method": self.command, "target": self.path})
        body = self._body()
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.root),
               "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
               "REQUEST_METHOD": self.command, "REMOTE_USER": "test", "REMOTE_ADDR": "127.0.0.1",
               "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(body)), "HOME": str(self.server.root)}
        for field, name in (("Content-Encoding", "HTTP_CONTENT_ENCODING"),
                            ("Git-Protocol", "GIT_PROTOCOL")):
            if field in self.headers:
                env[name] = self.headers[field]
        done = subprocess.run(["git", "http-backend"], input=body, env=env, check=True,
                              stdout=subprocess.PIPE, timeout=TIMEOUT)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in fields if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a peer that goes away is the peer's business
        pass


class GitServer:
    """Serves the bare repositories below `root`; `log` keeps every request."""

    def __init__(self, root, pair=None):
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.root, self.log = root, Log()
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
