"""Programs that mean well, with many pipes and sockets, under max_memory: they go on, in smaller
buffers (docs/internals/limits.md)."""

import os
import shutil
import sys

import pytest
from harness import places

CLIENTS = 200


@pytest.fixture(params=["here", "contained"])
def box(request, sandlock):
    """The sandbox here, and as in a container."""
    if request.param == "contained":
        sandlock.place = places.contained()
    return sandlock


PIPELINES = 'i=0; while [ $i -lt 1000 ]; do echo $i | cat | cat >>out || exit 1; i=$((i+1)); done'


def test_a_thousand_pipelines(box):
    """In turn: what is closed makes room."""
    box("--max-memory=64M", cmd=["sh", "-c", PIPELINES]).ok()
    assert (box.work / "out").read_text() == "".join(f"{i}\n" for i in range(1000))


POOLS = """
import multiprocessing as m

def square(x):
    return x * x

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with m.get_context(method).Pool(8) as pool:
            assert sum(pool.map(square, range(2000))) == sum(x * x for x in range(2000))
    with m.Manager() as manager:
        shared = manager.dict()
        shared["a"] = bytes(300000)
        assert len(shared["a"]) == 300000
    print("all", flush=True)
"""


def test_pools_of_processes(box):
    """Their pipes, sockets, and descriptors in messages."""
    (box.work / "pools.py").write_text(POOLS)
    run = box("--max-memory=512M", cmd=[sys.executable, "pools.py"]).ok()
    assert run.out == "all\n", str(run)


# Every client's answer is larger than any buffer, and all are asked for before one is read.
REDIS = """
import socket, subprocess, sys
server = subprocess.Popen(["redis-server", "--save", "",
                           "--port", "17379", "--bind", "127.0.0.1"], stdout=subprocess.PIPE, text=True)
for line in server.stdout:
    if "Ready to accept" in line:
        break
VALUE = 300000
def connect():
    return socket.create_connection(("127.0.0.1", 17379))
clients = [connect() for _ in range(int(sys.argv[1]))]
clients[0].sendall(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$%d\\r\\n%s\\r\\n" % (VALUE, b"x" * VALUE))
assert clients[0].recv(5) == b"+OK\\r\\n"
for c in clients:
    c.sendall(b"GET k\\r\\n")
size = len(str(VALUE)) + 3 + VALUE + 2
for c in clients:
    got = 0
    while got < size:
        part = c.recv(65536)
        assert part
        got += len(part)
print(len(clients), "served", flush=True)
server.kill()
"""


@pytest.mark.netns
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_redis_with_many_clients(box):
    (box.work / "many.py").write_text(REDIS)
    run = box("--max-memory=512M", cmd=[sys.executable, "many.py", str(CLIENTS)]).ok()
    assert run.out == f"{CLIENTS} served\n", str(run)


NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
FETCH = """
import subprocess, sys, urllib.request
nginx, work = sys.argv[1:3]
server = subprocess.Popen([nginx, "-p", work, "-c", work + "/nginx.conf"], stderr=subprocess.STDOUT)
def get(path):
    while server.poll() is None:
        try:
            with urllib.request.urlopen("http://127.0.0.1:17380" + path) as answer:
                return answer.read()
        except urllib.error.URLError as e:
            if not isinstance(e.reason, ConnectionRefusedError):
                raise
    sys.exit("nginx has ended")
want = open(work + "/big", "rb").read()
for _ in range(5):
    assert get("/big") == want
for _ in range(100):
    assert get("/small") == b"small"
print("same", flush=True)
server.terminate()
server.wait()
"""


@pytest.mark.netns
@pytest.mark.skipif(not os.path.exists(NGINX), reason="nginx is not installed")
@pytest.mark.parametrize("limit", ["64M", "512M"])
def test_nginx_sends_files(box, limit):
    """By sendfile(2), where descriptors can be fetched."""
    sendfile = "off" if box.place else "on"
    work = box.work
    (work / "big").write_bytes(os.urandom(8 << 20))
    (work / "small").write_text("small")
    (work / "fetch.py").write_text(FETCH)
    (work / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; master_process off; pid {work}/pid; error_log stderr alert;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile {sendfile}; tcp_nopush on; client_body_temp_path {work}/1;
  proxy_temp_path {work}/2; fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
  server {{ listen 127.0.0.1:17380; root {work}; }} }}
""")
    run = box(f"--max-memory={limit}", cmd=[sys.executable, "fetch.py", NGINX, work]).ok()
    assert run.out.endswith("same\n"), str(run)


NODE = """
const { fork, execSync } = require("child_process"), net = require("net");
if (process.send) { process.on("message", m => process.send(m)); }
else {
  for (let i = 0; i < 50; i++) execSync("echo hi | cat");
  const child = fork(__filename), big = "x".repeat(3000000);
  child.on("message", m => {
    child.disconnect();
    const server = net.createServer(s => s.end(Buffer.alloc(5000000))).listen(0, "127.0.0.1", () => {
      let n = 0, open = 20;
      for (let i = 0; i < 20; i++)
        net.connect(server.address().port, "127.0.0.1").on("data", d => n += d.length)
          .on("close", () => { if (--open == 0) { console.log(m.length, n); server.close(); } });
    });
  });
  child.send(big);
}
"""


@pytest.mark.netns
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_with_children_and_connections(box):
    (box.work / "many.js").write_text(NODE)
    run = box("--max-memory=512M", cmd=["node", "many.js"]).ok()
    assert run.out == "3000000 100000000\n", str(run)
