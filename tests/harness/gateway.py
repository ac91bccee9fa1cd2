"""The gateway without an engine: a link made by hand, and fronts that hand connections over.

    with Gateway(path, {"http_allow": ["GET example.test/*"]}) as gw:
        port = gw.front("example.test", 80)      # connect here as if to example.test:80

Also a program:  python3 -m harness.gateway GATEWAY NAME:PORT... [--set FIELD=VALUE]...
"""

import array
import os
import socket
import struct
import subprocess
import sys
import threading

LINK_FD, LINK_VERSION = 3, 2
DEADLINE = 30  # seconds: only ever reached when something hangs
HELLO, FLOW, DNS, RESOLVE, TRUST, QUIT = 1, 2, 3, 4, 5, 6
READY, RESOLVED, DENIED, BYE, FAILED = 32, 33, 34, 35, 36
HAS_AUDIT, HAS_CA, HAS_UPSTREAM_CA, HAS_BUNDLE, HAS_TRACE = 1, 2, 4, 8, 16
TRACE_ALL = 15
SYNTH_SIZE = 260 * 8192 + 16  # struct pages of policy/synth.c


def memfd(name, data):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data) if data else None
    return fd


class Gateway:
    def __init__(self, program, policy, audit=None, upstream_ca=None, ca=None, env=None,
                 synth_fd=None, trace=None):
        text = b"".join(
            f"{name}\0{value}\0".encode()
            for name, values in policy.items()
            for value in (values if isinstance(values, list) else [values])
        )
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.settimeout(DEADLINE)
        self.process = subprocess.Popen(
            [program], pass_fds=[LINK_FD], preexec_fn=lambda: os.dup2(theirs.fileno(), LINK_FD),
            env=env)
        theirs.close()
        if synth_fd is None:
            synth_fd = os.memfd_create("synth", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(synth_fd, SYNTH_SIZE)
        fds, flags = [memfd("policy", text), synth_fd], 0
        if audit is not None:
            flags |= HAS_AUDIT
            fds.append(os.open(audit, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        if ca is not None:
            flags |= HAS_CA
            fds += [memfd("cert", ca[0]), memfd("key", ca[1])]
        if upstream_ca is not None:
            flags |= HAS_UPSTREAM_CA
            fds.append(memfd("upstream", upstream_ca))
        if trace is not None:
            flags |= HAS_TRACE
            fds.append(os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        topics = TRACE_ALL if trace is not None else 0
        self._send(struct.pack("=IIIIII", HELLO, 24, LINK_VERSION, flags, len(text), topics), fds)
        for fd in fds:
            os.close(fd)
        self._send(struct.pack("=II", TRUST, 8), [])  # or READY may wait for the first TLS flow
        kind, data, got = self.receive()
        if kind != READY:
            raise RuntimeError(data[8:].split(b"\0")[0].decode())
        count, *artefacts = struct.unpack_from("=III", data, 8)  # policy/artefact.inc
        made = {a: os.pread(fd, 8 << 20, 0) for a, fd in zip(artefacts[:count], got, strict=True)}
        self.ca_pem, self.bundle = made.get(0, b""), made.get(1, b"")
        for fd in got:
            os.close(fd)
        self.fronts = []
        self.next_id = 0
        self.lock = threading.Lock()

    def _send(self, data, fds):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.link.sendmsg([data], rights)

    def receive(self):
        data, control, _, _ = self.link.recvmsg(4096, socket.CMSG_SPACE(32))
        fds = array.array("i")
        for level, kind, payload in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        return (struct.unpack_from("=I", data)[0] if data else 0), data, list(fds)

    def flow(self, conn, name, port):
        """Hands `conn` over as a flow that the child opened to `name` (or an address)."""
        host, family, packed = name.encode(), 0, b""
        for af, number in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
            try:
                packed, family, host = socket.inet_pton(af, name), number, b""
            except OSError:
                pass
        with self.lock:
            self.next_id += 1
            process = struct.pack("=i256s", os.getpid(), b"/usr/bin/client")
            body = struct.pack("=Q260s254sHB16s3xI4x", self.next_id, process, host, port, family,
                               packed, 0)
            self._send(struct.pack("=II", FLOW, 8 + len(body)) + body, [conn.fileno()])

    def front(self, name, port, listen_port=0):
        """A loopback port whose connections become flows to `name`:`port`."""
        listener = socket.create_server(("127.0.0.1", listen_port), backlog=1024)
        self.fronts.append(listener)

        def serve():
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn:
                    self.flow(conn, name, port)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    def connect(self, name, port):
        return socket.create_connection(("127.0.0.1", self.front(name, port)), timeout=DEADLINE)

    def quit(self):
        """Ends the run. The summary as (count, what, allow_with), and the totals of BYE."""
        for listener in self.fronts:
            listener.close()
        self._send(struct.pack("=II", QUIT, 8), [])
        lines, totals = [], None
        while True:
            kind, data, _ = self.receive()
            if kind == DENIED:
                count, _, _, what, flag = struct.unpack_from("=QQQ512s512s", data, 8)
                lines.append((count, what.split(b"\0")[0].decode(), flag.split(b"\0")[0].decode()))
            elif kind == BYE:
                totals = struct.unpack_from("=QQQQ", data, 8)
            elif kind == 0:
                break
        self.process.wait(DEADLINE)
        return lines, totals

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for listener in self.fronts:
            listener.close()
        self.link.close()
        self.process.wait(DEADLINE)


def main():
    program, names, policy, extra = sys.argv[1], [], {}, {}
    arguments = iter(sys.argv[2:])
    for word in arguments:
        if word == "--set":
            field, value = next(arguments).split("=", 1)
            policy.setdefault(field, []).append(value)
        elif word == "--audit":
            extra["audit"] = next(arguments)
        elif word == "--upstream-ca":
            with open(next(arguments), "rb") as file:
                extra["upstream_ca"] = file.read()
        elif word == "--ca-out":
            extra_out = next(arguments)
            extra["out"] = extra_out
        else:
            names.append(word)
    out = extra.pop("out", None)
    with Gateway(program, policy, **extra) as gateway:
        if out:
            with open(out, "wb") as file:
                file.write(gateway.ca_pem)
        for name in names:
            host, port, *listen = name.split(":")
            listen = int(listen[0]) if listen else 0
            print(f"{host}:{port} at 127.0.0.1:{gateway.front(host, int(port), listen)}", flush=True)
        sys.stdin.read()
        print(gateway.quit())


if __name__ == "__main__":
    main()
