"""The servers that stand outside, and what they witnessed."""

import base64
import itertools
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import threading

from . import build

DEADLINE = 30  # seconds: only ever reached when something is broken


class Log:
    """Events in order; a reader can wait for one."""

    def __init__(self):
        self.events = []
        self._changed = threading.Condition()

    def add(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, ready, what="an event", timeout=DEADLINE):
        with self._changed:
            if not self._changed.wait_for(lambda: ready(self.events), timeout):
                raise AssertionError(f"no {what} within {timeout} s; events: {self.events[-10:]}")


class ApiServer:
    """The program of tests/servers, with its witness log read through a pipe."""

    def __init__(self, cert=None, listen="127.0.0.1:0", options=()):
        log_r, log_w = os.pipe()
        ready_r, ready_w = os.pipe()
        listens = [listen] if isinstance(listen, str) else list(listen)
        words = [str(build.api_server()), f"--log-fd={log_w}", f"--ready-fd={ready_w}"]
        words += [f"--listen={where}" for where in listens]
        if cert:
            words += [f"--cert={cert.cert}", f"--key={cert.key}"]
        self.process = subprocess.Popen([*words, *map(str, options)], stdin=subprocess.PIPE,
                                        pass_fds=(log_w, ready_w))
        os.close(log_w)
        os.close(ready_w)
        with os.fdopen(ready_r) as ready:
            lines = ready.read()
        if not lines:
            raise RuntimeError(f"the server did not start: {words}")
        self.ports = [json.loads(line)["port"] for line in lines.split()]
        self.port = self.ports[0]
        self.host = listens[0].rsplit(":", 1)[0]
        self.log = Log()
        self._settled = 0
        self._thread = threading.Thread(target=self._read, args=(log_r,), daemon=True)
        self._thread.start()

    def _read(self, fd):
        with os.fdopen(fd) as log:
            for line in log:
                event = json.loads(line)
                if "raw" in event:
                    event["raw"] = base64.b64decode(event["raw"])
                self.log.add(event)

    def connect(self):
        return socket.create_connection((self.host, self.port), DEADLINE)

    def settle(self):
        """After this, everything that was sent before has been logged (all connections but ours
        are closed). Call it when the sandbox has ended."""
        with self.connect() as s:
            s.sendall(b"GET /release/settle HTTP/1.1\r\nHost: settle\r\nConnection: close\r\n\r\n")
            while s.recv(4096):
                pass
        self._settled += 1  # the log is read beside us: an earlier call's line proves nothing
        self.log.wait(lambda events: sum(e.get("target") == "/release/settle" for e in events)
                      >= self._settled)
        self.log.wait(lambda events: {e["conn"] for e in events if e["event"] == "accept"}
                      == {e["conn"] for e in events if e["event"] == "close"},
                      "close of every connection")
        own = {e["conn"] for e in self.log.events if e.get("target") == "/release/settle"}
        return [e for e in list(self.log.events) if e["conn"] not in own]

    def requests(self):
        return [e for e in self.settle() if e["event"] == "request"]

    def seen(self):
        """method target pairs, in order."""
        return [f"{r['method']} {r['target']}" for r in self.requests()]

    def connections(self):
        return [e for e in self.settle() if e["event"] == "accept"]

    def raw(self):
        """Every byte received, whatever it meant."""
        return b"".join(e["raw"] for e in self.settle()
                        if e["event"] in ("request", "malformed")
                        or e["event"] == "close" and not e.get("n"))

    def release(self, name, count=1):
        one = f"GET /release/{name} HTTP/1.1\r\nHost: t\r\n"
        with self.connect() as s:
            for _ in range(count - 1):
                s.sendall(f"{one}\r\n".encode())
            s.sendall(f"{one}Connection: close\r\n\r\n".encode())
            while s.recv(65536):
                pass

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)


class RawServer:
    """Accepts, and runs `script(connection)` for each connection in a thread of its own."""

    def __init__(self, script, listen=("127.0.0.1", 0), tls=None):
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(listen)
        self._listener.listen(1024)
        self.host, self.port = self._listener.getsockname()[:2]
        self.script, self.tls = script, tls
        self.log = Log()
        self._open = set()
        self._stop_r, self._stop_w = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            ready, _, _ = select.select([self._listener, self._stop_r], [], [])
            if self._stop_r in ready:
                return
            peer, address = self._listener.accept()
            peer.settimeout(DEADLINE)
            self.log.add({"event": "accept", "peer": address})
            threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer):
        record = {"event": "close", "raw": b"", "error": None}
        self._open.add(peer)
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            self.script(Recorder(peer, record))
        except (OSError, ValueError) as error:
            record["error"] = error
        finally:
            self._open.discard(peer)
            peer.close()
            self.log.add(record)

    def raw(self):
        return b"".join(e["raw"] for e in self.log.events if e["event"] == "close")

    def accepted(self):
        return sum(1 for e in self.log.events if e["event"] == "accept")

    def close(self):
        os.write(self._stop_w, b"x")
        self._thread.join(DEADLINE)
        self._listener.close()
        for peer in list(self._open):
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        os.close(self._stop_r)
        os.close(self._stop_w)


class Recorder:
    """A socket that keeps what it received."""

    def __init__(self, peer, record):
        self.peer, self.record = peer, record

    def recv(self, size=65536):
        data = self.peer.recv(size)
        self.record["raw"] += data
        return data

    def until(self, mark):
        """Receives until `mark` has come; what came is returned."""
        start = len(self.record["raw"])
        while mark not in self.record["raw"][start:]:
            if not self.recv():
                break
        return self.record["raw"][start:]

    def head(self):
        return self.until(b"\r\n\r\n")

    def rest(self):
        while self.recv():
            pass

    def send(self, data):
        self.peer.sendall(data)

    def reset(self):
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def server_context(pair):
    """TLS for a server of Python's own, with a certificate of harness.pki."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def raw_answer(*pieces, repeat=1):
    """A script: after each request head send the next of `pieces`, then close."""
    def script(conn):
        for piece in pieces:
            if not conn.head():
                return
            conn.send(piece)
        conn.peer.shutdown(socket.SHUT_WR)
        conn.rest()
    return script


class Witness:
    """A socket that must (or must not) be reached: counts and keeps what arrives."""

    _tokens = itertools.count()

    def __init__(self, host="127.0.0.1", port=0, kind=socket.SOCK_STREAM, greet=b"", family=None,
                 path=None):
        if path is not None:
            family = socket.AF_UNIX
        self.family = family or (socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.kind = kind
        self._socket = socket.socket(self.family, kind)
        if path is None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self.host, self.port = self._socket.getsockname()[:2]
        else:
            self._socket.bind(path)
        self.address = self._socket.getsockname()
        self.greet = greet
        self.log = Log()
        self._one_reader = threading.Lock()
        if kind != socket.SOCK_DGRAM:
            self._socket.listen(1024)
        self._stop_r, self._stop_w = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            ready, _, _ = select.select([self._socket, self._stop_r], [], [])
            if self._socket not in ready:
                return
            if self.kind == socket.SOCK_DGRAM:
                self._datagram()
            else:
                peer, _ = self._socket.accept()
                peer.settimeout(DEADLINE)
                self.log.add(self._stream(peer))

    def _datagram(self):
        """Also called by who looks: what was sent before is in the queue, or was dropped."""
        with self._one_reader:
            try:
                self.log.add(self._socket.recv(65536, socket.MSG_DONTWAIT))
                return True
            except BlockingIOError:
                return False

    def _stream(self, peer):
        data = b""
        try:
            with peer:
                if self.greet:
                    peer.sendall(self.greet)
                while piece := peer.recv(65536):
                    data += piece
                    if data.startswith(b"#"):
                        break
        except OSError:
            pass
        return data

    def _poke(self, token):
        with socket.socket(self.family, self.kind) as s:
            s.connect(self.address)
            s.sendall(token)

    def received(self):
        """What arrived so far: one item a connection or datagram, empty connections included."""
        if self.kind == socket.SOCK_DGRAM:
            while self._datagram():
                pass
        else:
            token = b"#%d" % next(self._tokens)
            self._poke(token)
            self.log.wait(lambda events: token in events, "own knock")
        return [e for e in self.log.events if not e.startswith(b"#")]

    def close(self):
        os.write(self._stop_w, b"x")
        self._thread.join(DEADLINE)
        self._socket.close()
        os.close(self._stop_r)
        os.close(self._stop_w)
