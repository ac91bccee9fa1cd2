"""A Redis and a PostgreSQL server outside, on loopback ports, each with its own witness."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .servers import DEADLINE, Log
from .waiting import TIMEOUT


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class _Server:
    """A process whose output is read until `ready` was said, and kept."""

    def __init__(self, words, ready, **kw):
        self.log = Log()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, **kw)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.log.wait(lambda lines: any(ready in line for line in lines), what=f"'{ready}'")

    def _read(self):
        for line in self.process.stdout:
            self.log.add(line.decode(errors="replace"))

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)
        self.process.stdout.close()


class Redis(_Server):
    def __init__(self):
        self.port = free_port()
        super().__init__(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "::1",
                          "--save", "", "--appendonly", "no", "--daemonize", "no"],
                         "Ready to accept connections", cwd="/")

    def ask(self, *words):
        """From outside, by the same client."""
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], check=True,
                              capture_output=True, text=True, timeout=TIMEOUT)
        return done.stdout.strip()

    def connections(self):
        """Accepted so far, this question's own left out."""
        text = self.ask("info", "stats")
        count = int(re.search(r"total_connections_received:(\d+)", text)[1])
        self._asked = getattr(self, "_asked", 0) + 1
        return count - self._asked


class Postgres(_Server):
    """postgres refuses to be root: then it is `nobody`."""

    def __init__(self, folder):
        binaries = self.binaries()
        self.port = free_port()
        self.data = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.data)}
        who = {"env": env, "cwd": "/"}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
            who.update(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
        subprocess.run([binaries / "initdb", "-D", self.data, "-A", "trust", "-U", "test", "-N",
                        "--no-instructions"], check=True, capture_output=True, timeout=TIMEOUT,
                       **who)
        super().__init__([binaries / "postgres", "-D", self.data, "-p", str(self.port),
                          "-c", "listen_addresses=127.0.0.1,::1", "-c", "log_connections=on",
                          "-c", "unix_socket_directories=", "-c", "fsync=off"],
                         "ready to accept connections", **who)

    @staticmethod
    def binaries():
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return found[-1].parent if found else None

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U",
                               "test", "-d", "postgres", "-c", sql], check=True,
                              capture_output=True, text=True, cwd="/", timeout=TIMEOUT)
        return done.stdout.strip()

    def connections(self):
        """Accepted so far, as the server's own log tells; our own question marks where it ends."""
        self._asked = getattr(self, "_asked", 0) + 1
        mark = f"application_name=asked-{self._asked}"
        subprocess.run(["psql", "-XAtq", "-c", "select 1",
                        f"host=127.0.0.1 port={self.port} user=test dbname=postgres {mark}"],
                       check=True, capture_output=True, cwd="/", timeout=TIMEOUT)
        self.log.wait(lambda lines: any(mark in line for line in lines), what=mark)
        lines = list(self.log.events)
        received = sum("connection received" in line for line in lines)
        return received - self._asked

    def close(self):
        super().close()
        shutil.rmtree(self.data, ignore_errors=True)
