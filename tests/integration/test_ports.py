"""--port-remap: a port space of its own. What is taken outside is free inside, programs see the
ports they asked for, and whoever is outside finds them by the real ones."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
from harness import netns
from harness.waiting import TIMEOUT

PY = (sys.executable, "-c")
REMAP = "--port-remap"


@pytest.fixture
def taken():
    """A port that somebody outside has, TCP and UDP, every address."""
    with socket.create_server(("", 0), backlog=64) as tcp:
        port = tcp.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("", port))
            yield port


def ports(run, kind="ports"):
    """What the status told: name -> real port."""
    return {int(k): v for line in run.told for k, v in line.get(kind, {}).items()}


def next_port(running, kind="ports"):
    (name, real), = running.told()[kind].items()
    return int(name), real


HEAD = """
import errno, os, socket, sys, threading
def ask(port, host="127.0.0.1"):
    with socket.create_connection((host, port)) as s:
        return s.recv(100).decode()
def serve(listener, word, count=1):
    def run():
        for _ in range(count):
            with listener.accept()[0] as s: s.sendall(word)
    threading.Thread(target=run, daemon=True).start()
"""


def script(sandlock, text, *args, options=(), **kw):
    return sandlock(REMAP, *options, cmd=[*PY, HEAD + text, *map(str, args)], **kw)


@pytest.mark.parametrize("options", [(), ("--net-allow=203.0.113.1:9",), ("--isolate-pids",)])
def test_a_taken_port_is_free_inside(sandlock, taken, options):
    text = """
port = int(sys.argv[1])
with socket.create_server(("127.0.0.1", port)) as s:
    serve(s, b"inside")
    with socket.create_connection(("localhost", port)) as c:
        print(s.getsockname()[1] == port, c.getpeername()[1] == port, c.recv(9).decode())
    mine = [l.split()[1] for l in open("/proc/net/tcp") if l.split()[3] == "0A"]
    print(mine == ["0100007F:%04X" % port])
"""
    bare = sandlock.bare([*PY, HEAD + text, taken])
    assert bare.rc != 0 and "already in use" in bare.err, str(bare)
    plain = sandlock(cmd=[*PY, HEAD + text, taken])
    assert plain.rc != 0 and "already in use" in plain.err and plain.told == [], str(plain)
    run = script(sandlock, text, taken, options=options).ok()
    assert run.out == "True True inside\nTrue\n", str(run)
    assert list(ports(run)) == [taken] and ports(run)[taken] != taken


def test_a_free_port_is_itself(sandlock, free_port):
    """Nothing moves without need: whoever is outside finds the usual port."""
    running = sandlock.start(REMAP, stdin=subprocess.PIPE, cmd=[*PY, HEAD + """
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as s:
    s.accept()[0].sendall(b"hello")
""", free_port])
    assert next_port(running) == (free_port, free_port)
    with socket.create_connection(("127.0.0.1", free_port), TIMEOUT) as s:
        assert s.recv(9) == b"hello"
    running.finish().ok()


def test_without_the_option_the_status_is_one_line(sandlock, free_port):
    run = sandlock(cmd=[*PY, HEAD + "socket.create_server(('127.0.0.1', int(sys.argv[1])))",
                        free_port]).ok()
    assert run.told == [] and run.status["exit_code"] == 0


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_two_redis_servers_at_once(sandlock):
    """Both on 6379, which a third has outside. Each is its own clients' server."""
    serve = ("redis-server --port 6379 --save '' --appendonly no & "
             "while read words; do redis-cli $words; done; kill $!; wait")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("", 6379))
            holder.listen()
        except OSError:
            pass  # a real one is there: as good
        runs = [sandlock.start(REMAP, stdin=subprocess.PIPE, cmd=["sh", "-c", serve])
                for _ in range(2)]
        reals = []
        for number, running in enumerate(runs):
            while "Ready to accept" not in running.line():
                assert running.process.poll() is None, str(running.finish())
            running.process.stdin.write(f"set who {number}\n".encode())
            running.process.stdin.flush()
            assert running.line() == "OK\n"
            name, real = next_port(running)
            assert name == 6379 and real != 6379
            reals.append(real)
        assert reals[0] != reals[1]
        for number, running in enumerate(runs):
            for host in ("127.0.0.1", "::1"):
                seen = subprocess.run(["redis-cli", "-h", host, "-p", str(reals[number]), "get",
                                       "who"], capture_output=True, text=True, check=True,
                                      timeout=TIMEOUT)
                assert seen.stdout == f"{number}\n"
            run = running.finish(data=b"get who\ninfo server\n").ok()
            assert f"{number}\n" in run.out and "tcp_port:6379" in run.out, str(run)


def test_one_port_is_shared_by_agreement_only(sandlock, taken):
    """SO_REUSEPORT groups of the tree, over processes; anybody else gets EADDRINUSE."""
    text = """
import select
def listener(share):
    s = socket.socket()
    if share: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", int(sys.argv[1])))
    s.listen(64)
    return s
first = listener(True)
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    first.close()
    second = listener(True)
    os.write(w, b"x")
    for _ in range(64): second.accept()[0].sendall(b"2")
    os._exit(1)
os.read(r, 1)
try: listener(False)
except OSError as e: print(errno.errorcode[e.errno])
serve(first, b"1", 64)
print(sorted({ask(int(sys.argv[1])) for _ in range(60)}))
os.kill(pid, 9)
"""
    run = script(sandlock, text, taken).ok()
    assert run.out == "EADDRINUSE\n['1', '2']\n", str(run)
    assert len({line["ports"][str(taken)] for line in run.told}) == 1 and len(run.told) == 2


def test_bound_again_after_close(sandlock, taken):
    """The same name again, at the same real port, with connections of before about."""
    text = """
port = int(sys.argv[1])
for i in range(3):
    with socket.create_server(("127.0.0.1", port)) as s:
        serve(s, b"%d" % i)
        print(ask(port), s.getsockname()[1] == port)
try: ask(port)
except OSError as e: print(type(e).__name__)
"""
    run = script(sandlock, text, taken, options=("--net-allow=203.0.113.1:9",)).ok()
    assert run.out == "0 True\n1 True\n2 True\nConnectionRefusedError\n", str(run)
    assert len(run.told) == 3 and len({tuple(line["ports"].items()) for line in run.told}) == 1


def test_what_is_closed_is_outside_again(sandlock, taken):
    """Where no rule restricts, the port of a dead listener is whoever has it outside."""
    text = """
port = int(sys.argv[1])
with socket.create_server(("127.0.0.1", port)) as s:
    serve(s, b"inside")
    print(ask(port))
with socket.create_connection(("127.0.0.1", port)) as s: print("connected")
"""
    run = script(sandlock, text, taken).ok()
    assert run.out == "inside\nconnected\n", str(run)


def test_both_families(sandlock, taken):
    """One dual-stack socket; two sockets of a family each; a name may lead to several places."""
    text = """
port = int(sys.argv[1])
def v6(only):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind(("::", port)); s.listen(); return s
with v6(0) as s:
    serve(s, b"both", 2)
    print(ask(port), ask(port, "::1"), s.getsockname()[1] == port)
    try: socket.create_server(("0.0.0.0", port))
    except OSError as e: print(errno.errorcode[e.errno])
with v6(1) as s, socket.create_server(("0.0.0.0", port)) as t:
    serve(s, b"six"); serve(t, b"four", 2)
    print(ask(port), ask(port, "::1"), ask(port, "127.0.0.9"))
with socket.create_server(("127.0.0.2", port)) as s, socket.create_server(("127.0.0.3", port)) as t:
    serve(s, b"two"); serve(t, b"three")
    print(ask(port, "127.0.0.3"), ask(port, "127.0.0.2"))
"""
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    run = script(sandlock, text, taken, options=("--net-allow=203.0.113.1:9",)).ok()
    assert run.out == ("both both True\nEADDRINUSE\nfour six four\nthree two\n"), str(run)


@pytest.mark.netns
def test_by_an_address_of_the_machine(sandlock, taken):
    """A wildcard listener is reached by every address of its own, never by another's."""
    own, other = netns.PUBLIC[3], "198.51.100.200"
    text = """
port = int(sys.argv[1])
with socket.create_server(("0.0.0.0", port)) as s:
    serve(s, b"inside")
    print(ask(port, sys.argv[2]))
    try: ask(port, sys.argv[3])
    except OSError as e: print(type(e).__name__)
"""
    run = script(sandlock, text, taken, own, other,
                 options=("--net-allow=203.0.113.1:9",)).ok()
    assert run.out == "inside\nConnectionRefusedError\n", str(run)


@pytest.mark.parametrize("options", [(), ("--net-allow=203.0.113.1:9",)])
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_datagrams(sandlock, taken, options, family):
    """A UDP echo server: the client sees answers from the port that it asked."""
    if family == "AF_INET6" and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    text = """
port, family = int(sys.argv[1]), getattr(socket, sys.argv[2])
host = "127.0.0.1" if family == socket.AF_INET else "::1"
u = socket.socket(family, socket.SOCK_DGRAM)
u.bind((host, port))
def echo():
    while True:
        data, sender = u.recvfrom(100)
        u.sendto(data, sender)
threading.Thread(target=echo, daemon=True).start()
c = socket.socket(family, socket.SOCK_DGRAM)
c.settimeout(60)
for _ in range(3):
    c.sendto(b"ping", (host, port))
    data, sender = c.recvfrom(100)
    print(data.decode(), sender[:2] == (host, port))
c.connect((host, port))
c.send(b"pong")
print(c.recv(100).decode(), c.getpeername()[1] == port, u.getsockname()[1] == port)
"""
    run = script(sandlock, text, taken, family, options=options).ok()
    assert run.out == "ping True\n" * 3 + "pong True True\n", str(run)
    assert list(ports(run, "udp_ports")) == [taken]


def test_datagrams_from_outside(sandlock, taken):
    running = sandlock.start(REMAP, cmd=[*PY, HEAD + """
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", int(sys.argv[1])))
data, sender = u.recvfrom(100)
u.sendto(data.upper(), sender)
""", taken])
    name, real = next_port(running, "udp_ports")
    assert name == taken and real != taken
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(60)
        s.sendto(b"hello", ("127.0.0.1", real))
        assert s.recvfrom(100) == (b"HELLO", ("127.0.0.1", real))
    running.finish().ok()


def test_ephemeral_ports_are_untouched(sandlock):
    text = """
s = socket.create_server(("127.0.0.1", 0))
t = socket.socket(); t.listen()
for l in s, t:
    serve(l, b"x")
    print(l.getsockname()[1], ask(l.getsockname()[1]))
"""
    run = script(sandlock, text, options=("--net-allow=203.0.113.1:9",)).ok()
    shown = [line.split() for line in run.out.splitlines()]
    assert [word for _, word in shown] == ["x", "x"], str(run)
    assert ports(run) == {int(port): int(port) for port, _ in shown}


@pytest.mark.netns
def test_privileged_ports_without_privilege(sandlock):
    """Port 80 is a name like any other."""
    text = """
with socket.create_server(("127.0.0.1", 80)) as s:
    serve(s, b"eighty")
    print(ask(80), s.getsockname()[1])
"""
    with netns.privileged_below(1024):
        refused = sandlock(cmd=[*PY, HEAD + text])
        assert refused.rc != 0 and "Permission denied" in refused.err, str(refused)
        run = script(sandlock, text).ok()
    assert run.out == "eighty 80\n" and ports(run)[80] >= 1024, str(run)


def test_net_bind_names_ports_inside(sandlock, taken):
    text = """
for port in map(int, sys.argv[1:]):
    try:
        s = socket.create_server(("127.0.0.1", port)); serve(s, b"x"); print(ask(port))
    except OSError as e: print(errno.errorcode[e.errno])
"""
    run = script(sandlock, text, taken, taken - 1, 0, options=(f"--net-bind={taken}",)).ok()
    assert run.out == "x\nEACCES\nEACCES\n", str(run)
    assert list(ports(run)) == [taken] and ports(run)[taken] != taken
    nothing = script(sandlock, text, taken, options=("--net-allow=",)).ok()
    assert nothing.out == "EACCES\n" and nothing.told == [], str(nothing)


def test_net_connect_names_ports_inside(sandlock, taken):
    text = """
port = int(sys.argv[1])
with socket.create_server(("127.0.0.1", port)) as s:
    serve(s, b"inside")
    try: print(ask(port))
    except OSError as e: print(errno.errorcode[e.errno])
"""
    granted = script(sandlock, text, taken, options=(f"--net-connect={taken}",)).ok()
    assert granted.out == "inside\n", str(granted)
    other = script(sandlock, text, taken, options=(f"--net-connect={taken - 1}",)).ok()
    assert other.out == "EACCES\n", str(other)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_server_and_client(sandlock, taken):
    """Two workers of a cluster on one port, and a server on port 0."""
    text = """
const cluster = require('cluster'), http = require('http'), port = Number(process.argv[1]);
function get(port, then) {
  http.get({port, host: '127.0.0.1', agent: false}, (r) => r.on('data', (d) => then(String(d))));
}
if (cluster.isPrimary) {
  let up = 0;
  for (let i = 0; i < 2; i++) cluster.fork();
  cluster.on('listening', (w, a) => {
    if (++up < 2) return;
    console.log(a.port === port);
    get(port, (text) => {
      console.log(text);
      const own = http.createServer((q, r) => r.end('own')).listen(0, '127.0.0.1', () =>
        get(own.address().port, (t) => { console.log(t); process.exit(0); }));
    });
  });
} else {
  http.createServer((q, r) => r.end('worker ' + q.socket.localPort)).listen(port, '127.0.0.1');
}
"""
    path = sandlock.work / "server.js"
    path.write_text(text.replace("process.argv[1]", "process.argv[2]"))
    run = sandlock(REMAP, "--net-allow=203.0.113.1:9", cmd=["node", path, taken]).ok()
    assert run.out == f"true\nworker {taken}\nown\n", str(run)


@pytest.mark.skipif(shutil.which("nginx") is None and not os.path.exists("/usr/sbin/nginx"),
                    reason="nginx is not installed")
def test_nginx_with_reuseport(sandlock, taken):
    work = sandlock.work
    (work / "index.html").write_text("from nginx\n")
    (work / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; worker_processes 2;
pid {work}/pid; error_log stderr notice;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {work}/a; proxy_temp_path {work}/b;
  fastcgi_temp_path {work}/c; uwsgi_temp_path {work}/d; scgi_temp_path {work}/e;
  server {{ listen 127.0.0.1:{taken} reuseport; root {work}; }}
}}
""")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    command = (f"exec 3<&0; {nginx} -p {work} -c {work}/nginx.conf 2>&1 & n=$!; "
               f"(read x; curl -s http://127.0.0.1:{taken}/index.html; kill -QUIT $n) <&3 & wait $n")
    running = sandlock.start(REMAP, stdin=subprocess.PIPE, cmd=["sh", "-c", command])
    lines = [running.line()]
    while "start worker processes" not in lines[-1]:
        assert lines[-1], "\n".join(lines)
        lines.append(running.line())
    name, real = next_port(running)
    assert name == taken and real != taken
    seen = subprocess.run(["curl", "-s", f"http://127.0.0.1:{real}/index.html"],
                          capture_output=True, text=True, timeout=60)
    assert seen.stdout == "from nginx\n"
    run = running.finish(data=b"\n").ok()
    assert "from nginx\n" in run.out, str(run)


def test_http_rules_beside_own_ports(sandlock, api, taken):
    """A development server on a port that is taken outside, and an inspected request."""
    text = f"""
import urllib.request
with socket.create_server(("127.0.0.1", {taken})) as s:
    serve(s, b"inside")
    print(ask({taken}))
print(urllib.request.urlopen("http://api.test/public/1").status)
"""
    run = script(sandlock, text, options=(*api.options, "--http-allow=GET api.test/*")).ok()
    assert run.out == "inside\n200\n" and len(api.server.seen()) == 1, str(run)


def test_words(sandlock):
    for word in ("--port-remap=1", "--port-remap=yes", "--port-remap="):
        run = sandlock(word, cmd=["touch", "ran"], status=False)
        assert run.rc == 2 and "--port-remap" in run.err and run.err.count("\n") == 1, str(run)
        assert "expected true or false" in run.err and not (sandlock.work / "ran").exists()
    run = sandlock(REMAP, "--no-supervisor", cmd=["touch", "ran"], status=False, audit=False)
    assert run.rc == 2 and "--no-supervisor cannot be had with --port-remap" in run.err, str(run)


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_port_that_is_bound_over_and_over(sandlock, taken, kind):
    """Each bind is as quick as the first: whoever had the name before is not looked for. (It took
    0.4 ms more for each one before it: this would not end.)"""
    text = """
for i in range(4000):
    with socket.socket(socket.AF_INET, getattr(socket, sys.argv[2])) as s:
        s.bind(("127.0.0.1", int(sys.argv[1])))
        assert s.getsockname()[1] == int(sys.argv[1])
print("all")
"""
    assert script(sandlock, text, taken, kind).ok().out == "all\n"
