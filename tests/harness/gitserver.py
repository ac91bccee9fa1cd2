"""A smart HTTP git server (git-http-backend(1)) behind TLS and in the clear, on one port each."""

import os
import subprocess

from .waiting import TIMEOUT
from .webserver import WebServer


class GitServer(WebServer):
    """Serves the bare repositories below `root`; `log` keeps every request."""

    def __init__(self, root, pair=None):
        self.root = root
        super().__init__(self._answer, pair)

    def _answer(self, request):
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root),
               "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": request.path, "QUERY_STRING": request.query,
               "REQUEST_METHOD": request.method, "REMOTE_USER": "test", "REMOTE_ADDR": "127.0.0.1",
               "CONTENT_TYPE": request.fields.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(request.body)), "HOME": str(self.root)}
        for field, name in (("Content-Encoding", "HTTP_CONTENT_ENCODING"),
                            ("Git-Protocol", "GIT_PROTOCOL")):
            if field in request.fields:
                env[name] = request.fields[field]
        done = subprocess.run(["git", "http-backend"], input=request.body, env=env, check=True,
                              stdout=subprocess.PIPE, timeout=TIMEOUT)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in fields if name == "Status"), "200 OK")
        return int(status.split()[0]), fields, content
