"""Redis and PostgreSQL beside HTTP rules: granted with --net-allow they are reached directly,
without the rule they see no connection."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys

import pytest

from harness.databases import Postgres, Redis

HTTP = "--http-allow=GET api.test/allowed/*"


@pytest.fixture
def redis():
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server or redis-cli is not installed")
    server = Redis()
    yield server
    server.close()


@pytest.fixture(scope="module")
def postgres(request):
    if Postgres.binaries() is None or shutil.which("psql") is None:
        pytest.skip("postgres or psql is not installed")
    server = Postgres(request.config._sandlock_dir)
    yield server
    server.close()


def by_address(server, host="127.0.0.1"):
    written = f"[{host}]" if ":" in host else host
    return (f"--net-allow={written}:{server.port}",), host, server.port


def by_name(server, port):
    return (f"--net-allow=db.test:{port}", f"--resolve=db.test=127.0.0.1:{server.port}"), \
        "db.test", port


def ways(server, port):
    return {"v4": by_address(server), "v6": by_address(server, "::1"),
            "name": by_name(server, port)}


WAYS = pytest.mark.parametrize("way", ["v4", "v6", "name"])


def beside_http(sandlock, api, options, command):
    """The command, an allowed and a denied request in one run."""
    run = sandlock(*api.options, HTTP, *options, cmd=[
        "sh", "-c", command + ' && curl -sS -w "\nstatus %{http_code}\n" '
        f"{api.http}/allowed/a {api.https}/secret"])
    assert re.findall(r"^status (\d+)$", run.ok().out, re.M) == ["200", "403"], str(run)
    assert "denied_by_sandlock" in run.out
    assert api.seen() == ["GET /allowed/a"]
    return run


@WAYS
def test_redis(sandlock, api, redis, way):
    options, host, port = ways(redis, 6379)[way]
    run = beside_http(sandlock, api, options,
                      f"redis-cli -h {host} -p {port} set seen {way}"
                      f" && redis-cli -h {host} -p {port} get seen")
    assert run.out.split()[:2] == ["OK", way]
    assert redis.ask("get", "seen") == way, "the server has it"


def test_redis_refused_without_the_rule(sandlock, redis):
    before = redis.connections()
    for options in ([HTTP], ["--net-allow=127.0.0.1:1"],
                    [HTTP, f"--net-allow=[::1]:{redis.port}"],
                    [f"--net-allow=127.0.0.2:{redis.port}"]):
        run = sandlock(*options, cmd=["redis-cli", "-h", "127.0.0.1", "-p", redis.port, "ping"])
        assert run.rc == 1 and "Could not connect" in run.err, str(run)
        assert f"--net-allow '127.0.0.1:{redis.port}'" in run.err, str(run)
    assert redis.connections() == before
    run = sandlock(*by_address(redis)[0], cmd=["redis-cli", "-h", "127.0.0.1", "-p", redis.port,
                                               "ping"])
    assert run.ok().out == "PONG\n" and redis.connections() == before + 1


def test_redis_name_refused_without_the_rule(sandlock, redis):
    before = redis.connections()
    run = sandlock(HTTP, f"--resolve=db.test=127.0.0.1:{redis.port}",
                   cmd=["redis-cli", "-h", "db.test", "ping"])
    assert run.rc == 1 and "Could not connect" in run.err, str(run)
    assert redis.connections() == before


DIRECT = """
import json, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"client info\\r\\n")
text = s.recv(65536).decode()
mine = "%s:%d" % s.getsockname()[:2]
print(json.dumps([mine, [w[5:] for w in text.split() if w.startswith("addr=")][0]]))
"""


@pytest.mark.parametrize("way", ["v4", "name"])
def test_the_way_is_direct(sandlock, redis, way):
    """The server sees the very socket of the child: nobody stands between."""
    options, host, port = ways(redis, 6379)[way]
    run = sandlock(HTTP, *options, cmd=[sys.executable, "-c", DIRECT, host, port])
    mine, seen = json.loads(run.ok().out)
    assert mine == seen, str(run)


def test_redis_in_bulk(sandlock, redis):
    commands = b"".join(b"set key:%d %d\r\n" % (i, i) for i in range(20000))
    run = sandlock(HTTP, *by_address(redis)[0], data=commands,
                   cmd=["redis-cli", "-h", "127.0.0.1", "-p", redis.port, "--pipe"])
    assert "errors: 0, replies: 20000" in run.ok().out, str(run)
    assert redis.ask("dbsize") == "20000"


def psql(host, port, sql):
    return f'psql -XAtq -v ON_ERROR_STOP=1 -h {host} -p {port} -U test -d postgres -c "{sql}"'


@WAYS
def test_postgres(sandlock, api, postgres, way):
    options, host, port = ways(postgres, 5432)[way]
    table = f"t_{way}"
    run = beside_http(sandlock, api, options, psql(
        host, port, f"create table {table} as select generate_series(1, 1000) as n;"
        f" select sum(n) from {table}"))
    assert run.out.split()[0] == "500500"
    assert postgres.ask(f"select count(*) from {table}") == "1000", "the server has it"


def test_postgres_refused_without_the_rule(sandlock, postgres):
    before = postgres.connections()
    for options in ([HTTP], [f"--net-allow=127.0.0.2:{postgres.port}"]):
        run = sandlock(*options, cmd=["sh", "-c", psql("127.0.0.1", postgres.port, "select 1")])
        assert run.rc == 2 and "refused" in run.err, str(run)
        assert f"--net-allow '127.0.0.1:{postgres.port}'" in run.err, str(run)
    assert postgres.connections() == before


INSIDE = """
set -e
port=$1 memory=$2 dynamic=$3
initdb -D data -A trust -U test -N --no-instructions >init.log 2>&1 || { cat init.log >&2; exit 1; }
pg_ctl -D data -s -w -t 80 -l server.log start -o "-p $port -k $PWD -c listen_addresses=127.0.0.1 \\
  -c fsync=off -c shared_memory_type=$memory -c dynamic_shared_memory_type=$dynamic" || { cat server.log >&2; exit 1; }
query() { psql -XAtq -v ON_ERROR_STOP=1 -h "$PWD" -p "$port" -U test -d postgres -c "$1"; }
query "create table t as select generate_series(1, 100000) as n"
query "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;
  set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select sum(n) from t"
echo ready
read line
query "select count(*) from t"
pg_ctl -D data -s -w -m fast stop
"""


@pytest.mark.parametrize("memory", ["mmap", "sysv"])
@pytest.mark.parametrize("policy", ["ipc", "default", "ci"])
def test_own(sandlock, free_port, policy, memory):
    """A PostgreSQL of the run's own: its shared memory (of System V with `sysv`, that of parallel
    workers too), its semaphores, its sockets: clients inside and outside. It refuses to be root: then
    it seems to be somebody else. The test's name is in a socket's path (unix(7)), so it is short."""
    binaries = Postgres.binaries()
    if binaries is None or shutil.which("psql") is None:
        pytest.skip("postgres or psql is not installed")
    options = {"default": [], "ci": ["-p", "ci"],
               "ipc": ["-r", "/usr", "-r", "/etc", "-w", ".", "--isolate-ipc"]}[policy]
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        options += ["--uid", nobody.pw_uid, "--gid", nobody.pw_gid]
    run = sandlock.start(*options, stdin=subprocess.PIPE, audit=False,
                         env={"PATH": f"{binaries}:{os.environ['PATH']}", "LC_ALL": "C"},
                         cmd=["bash", "-c", INSIDE, "sh", free_port, memory, {"mmap": "posix"}.get(memory, memory)])
    told = [run.line(), run.line()]
    if told != ["5000050000\n", "ready\n"]:
        raise AssertionError(f"{told}\n{run.finish(data=b'')}")
    for host in (sandlock.work, "127.0.0.1"):
        sandlock.bare(["sh", "-c", psql(host, free_port, "insert into t values (1)")]).ok()
    assert run.finish(data=b"\n").ok().out == "100002\n"
