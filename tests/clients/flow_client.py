"""VERB ARGUMENTS: what programs do with sockets, each step seen and told as one JSON line. Runs the
same with and without a sandbox."""

import asyncio
import errno
import functools
import json
import os
import resource
import select
import signal
import socket
import ssl
import sys
import threading


def say(value):
    print(json.dumps(value), flush=True)


def head(path, host, method="GET", more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def where(host, port):
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]


def connect(host, port, tls=""):
    """A blocking connection, and what getpeername(2) says beside what was asked."""
    family, kind, _, _, address = where(host, port)
    sock = socket.socket(family, kind)
    sock.settimeout(None)
    sock.connect(address)
    same = sock.getpeername()[:2] == address[:2]
    return wrap(sock, host) if tls == "tls" else sock, same


@functools.cache
def context():
    return ssl.create_default_context()


def wrap(sock, host):
    return context().wrap_socket(sock, server_hostname=host)


class Reader:
    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(self.rest)
        self.rest += piece

    def until(self, mark):
        while mark not in self.rest:
            self.more()
        found, self.rest = self.rest.split(mark, 1)
        return found

    def take(self, size):
        while len(self.rest) < size:
            self.more()
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def answer(self, method="GET"):
        """status, fields, body, trailers"""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        status = int(lines[0].split()[1])
        fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        body, trailers = b"", {}
        if method == "HEAD" or status in (204, 304) or status < 200:
            return status, fields, "", {}
        if fields.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                body += self.take(size)
                self.take(2)
            while line := self.until(b"\r\n").decode():
                name, value = line.split(": ", 1)
                trailers[name.lower()] = value
        else:
            body = self.take(int(fields["content-length"]))
        return status, fields, body.decode(), trailers


def do_blocking(host, port, path, tls=""):
    sock, same = connect(host, int(port), tls)
    sock.sendall(head(path, host_field(host, port)))
    say([same, Reader(sock).answer()[0]])


def host_field(host, port):
    written = f"[{host}]" if ":" in host else host
    return written if int(port) in (80, 443) else f"{written}:{port}"


def do_nonblocking(host, port, path, tls=""):
    """connect(2) in progress, writable, SO_ERROR 0; asked again, 0 once and then EISCONN."""
    family, kind, _, _, address = where(host, int(port))
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    codes = [sock.connect_ex(address)]
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    poll.poll()
    codes += [sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), sock.connect_ex(address),
              sock.connect_ex(address)]
    assert codes == [errno.EINPROGRESS, 0, 0, errno.EISCONN], codes
    same = sock.getpeername()[:2] == address[:2]
    sock.setblocking(True)
    if tls == "tls":
        sock = wrap(sock, host)
    sock.sendall(head(path, host_field(host, port)))
    say([same, Reader(sock).answer()[0]])


def do_asyncio(host, port, path, tls=""):
    async def one(i):
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=context() if tls == "tls" else None)
        writer.write(head(f"{path}/{i}", host_field(host, port), more="Connection: close\r\n"))
        text = await reader.read()
        writer.close()
        return int(text.split()[1])

    async def run():
        return await asyncio.gather(*[one(i) for i in range(50)])
    found = asyncio.run(run())
    say([True, found[0] if len(set(found)) == 1 else found])


def do_refused(host, port):
    """What a denied connect looks like: blocking, and not."""
    found = []
    for flag in (0, socket.SOCK_NONBLOCK):
        family, kind, _, _, address = where(host, int(port))
        with socket.socket(family, kind | flag) as sock:
            code = sock.connect_ex(address)
            if code == errno.EINPROGRESS:
                select.select([], [sock], [])
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            found.append(errno.errorcode.get(code, "0"))
    say(found)


def requests(host, port, path, count, tls=""):
    sock, _ = connect(host, int(port), tls)
    reader, good = Reader(sock), 0
    for i in range(count):
        sock.sendall(head(f"{path}/{i}", host))
        good += reader.answer()[0] == 200
    return good


def do_serial(host, port, path, count, tls=""):
    say(requests(host, port, path, int(count), tls))


def do_threads(host, port, path, tls=""):
    found = []
    threads = [threading.Thread(target=lambda i=i: found.append(
        requests(host, port, f"{path}/t{i}", 10, tls))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(sum(found))


def do_forks(host, port, path, tls=""):
    """Each fork asks over its own connection; the first over the one it was born with too."""
    inherited, _ = connect(host, int(port), tls)
    pids = []
    for i in range(16):
        pid = os.fork()
        if pid == 0:
            good = requests(host, port, f"{path}/f{i}", 10, tls)
            if i == 0:
                inherited.sendall(head(f"{path}/inherited", host))
                good += Reader(inherited).answer()[0] == 200
            os._exit(good)
        pids.append(pid)
    say(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))


def do_many(host, port, path, count, tls=""):
    """`count` connections that all wait for their answer at the same time."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    socks = []
    for _ in range(int(count)):
        sock, _ = connect(host, int(port), tls)
        sock.sendall(head(path, host))
        socks.append(sock)
    say("all sent")
    say(sum(Reader(sock).answer()[0] == 200 for sock in socks))


def do_signals(host, port, path):
    """A storm of signals over connect(2) and everything else; calls are restarted (SA_RESTART)."""
    hits = [0]

    def hit(*_):
        hits[0] += 1
    signal.signal(signal.SIGALRM, hit)
    signal.siginterrupt(signal.SIGALRM, False)
    good = 0
    for i in range(200):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.001)
        good += requests(host, port, f"{path}/{i}", 1)
        signal.setitimer(signal.ITIMER_REAL, 0)
    say([good, hits[0] > 0])


def do_continue(host, port, path, tls=""):
    """The body goes out only after 100 (Continue) has come."""
    sock, _ = connect(host, int(port), tls)
    reader = Reader(sock)
    sock.sendall(head(path, host, "POST", "Content-Length: 5\r\nExpect: 100-continue\r\n"))
    first = reader.until(b"\r\n\r\n").decode().split()[1]
    if first == "100":
        sock.sendall(b"hello")
        say([first, json.loads(reader.answer()[2])["body"]])
    else:
        say([first, None])


def do_upload_chunked(host, port, path, tls=""):
    sock, _ = connect(host, int(port), tls)
    sock.sendall(head(path, host, "POST", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"))
    for i in range(1000):
        text = b"piece %d;" % i
        sock.sendall(b"%x\r\n%s\r\n" % (len(text), text))
    sock.sendall(b"0\r\nX-Sum: 1000\r\n\r\n")
    say(json.loads(Reader(sock).answer()[2])["body"])


def do_answers(host, port, tls, *requests_):
    """METHOD:PATH one after the other on one connection."""
    sock, _ = connect(host, int(port), tls)
    reader = Reader(sock)
    for request in requests_:
        method, _, path = request.partition(":")
        sock.sendall(head(path, host, method))
        say(reader.answer(method))


def do_pipeline(host, port, tls, *requests_):
    """All of them in one send."""
    sock, _ = connect(host, int(port), tls)
    reader, methods = Reader(sock), []
    data = b""
    for request in requests_:
        method, _, path = request.partition(":")
        methods.append(method)
        data += head(path, host, method)
    sock.sendall(data)
    for method in methods:
        say(reader.answer(method)[::2])


def do_half_close(host, port, path, tls=""):
    sock, _ = connect(host, int(port), tls)
    sock.sendall(head(path, host))
    sock.shutdown(socket.SHUT_WR)
    say(Reader(sock).answer()[0])


def do_sendfile(host, port, path, file):
    """The kernel sends from the file: no system call of ours carries the bytes."""
    sock, _ = connect(host, int(port))
    size = os.stat(file).st_size
    sock.sendall(head(path, host, "PUT", f"Content-Length: {size}\r\n"))
    with open(file, "rb") as source:
        sent = sock.sendfile(source)
    say([sent == size, Reader(sock).answer()[2]])


if __name__ == "__main__":
    globals()["do_" + sys.argv[1]](*sys.argv[2:])
