"""Rounds, medians and ratios; and the servers that the measured clients talk to.

Every round runs each way once, bare first in the first round and rotated after, so that drift and
foreign load hit all alike. A ratio is the median of the ratios within the rounds."""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
OUT = ROOT / "build" / "bench"
for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):  # a file of all roots is read whole, a directory is not
    os.environ.pop(name, None)
QUICK = bool(os.environ.get("BENCH_QUICK"))  # a try of the scripts, not a measurement


def rounds(many):
    return int(os.environ.get("BENCH_ROUNDS", 0)) or (1 if QUICK else many)


def scaled(count):
    return max(count // 20, 2) if QUICK else count


def have(program):
    return shutil.which(program) is not None


def compile_c(name):
    """One of our C programs, dynamic, as any client would be."""
    OUT.mkdir(parents=True, exist_ok=True)
    target, source = OUT / name, HERE / f"{name}.c"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", source, "-o", target, "-lssl",
                        "-lcrypto", "-lpthread"], check=True)
    return target


class Table:
    """metric -> way -> values by round."""

    def __init__(self, name, unit_of):
        self.name, self.unit_of = name, unit_of
        self.values = {}
        self.ways = []

    def add(self, way, round_, results):
        if way not in self.ways:
            self.ways.append(way)
        for metric, value in results.items():
            self.values.setdefault(metric, {}).setdefault(way, {})[round_] = value

    def rows(self):
        for metric, by_way in self.values.items():
            base = by_way.get(self.ways[0], {})
            for way in self.ways:
                got = by_way.get(way)
                if not got:
                    continue
                ratios = [got[r] / base[r] for r in got if base.get(r, 0) > 1e-3]
                deltas = [got[r] - base[r] for r in got if r in base]
                yield {"metric": metric, "unit": self.unit_of(metric), "way": way,
                       "min": min(got.values()), "max": max(got.values()),
                       "median": statistics.median(got.values()),
                       "ratio": statistics.median(ratios) if ratios else None,
                       "delta": statistics.median(deltas) if deltas else None,
                       "rounds": len(got)}

    def show(self):
        rows = list(self.rows())
        print(f"\n== {self.name}")
        print(f"{'what':28} {'how':22} {'min':>11} {'median':>11} {'max':>11} {'':5} "
              f"{'x bare':>7} {'delta':>10} {'n':>3}")
        before = None
        for row in rows:
            metric = row["metric"] if row["metric"] != before else ""
            before = row["metric"]
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
            delta = "-" if row["delta"] is None else f"{row['delta']:+.2f}"
            print(f"{metric:28} {row['way']:22} {row['min']:11.2f} {row['median']:11.2f} "
                  f"{row['max']:11.2f} {row['unit']:5} {ratio:>7} {delta:>10} {row['rounds']:3}")
        sys.stdout.flush()
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{self.name}.json").write_text(json.dumps(rows, indent=1) + "\n")


def interleave(table, ways, count):
    """ways: [(name, function)]; a function returns {metric: value}, or None when it cannot run."""
    broken = set()
    for round_ in range(count):
        turn = round_ % len(ways)
        for name, measure in [*ways[turn:], *ways[:turn]]:
            if name in broken:
                continue
            try:
                results = measure()
            except (subprocess.SubprocessError, OSError, ValueError) as error:
                print(f"{table.name}: {name} failed and is left out: {error}", file=sys.stderr)
                broken.add(name)
                continue
            table.add(name, round_, results)
    order = [name for name, _ in ways if name in table.ways]
    table.ways = order
    table.show()


def timed(words, runs, warm=3):
    """Wall-clock milliseconds from exec to exit."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, n) for n in (0, 1, 2)]
    took = []
    for run in range(-warm, runs):
        start = time.perf_counter()
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
        status = os.waitpid(pid, 0)[1]
        if run >= 0:
            took.append((time.perf_counter() - start) * 1e3)
        if status:
            os.close(null)
            raise ValueError(f"{' '.join(words)} ended with {status}")
    os.close(null)
    return took


def output(words, timeout=120, **kw):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, **kw)
    if done.returncode != 0:
        raise ValueError(f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process):
    for _ in range(600):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise OSError(f"nothing listens on port {port}")


class World:
    """A scratch directory, a PKI and the servers; all gone at the end."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.sandlock = str(self.build / "sandlock")
        self.scratch = Path(tempfile.mkdtemp(prefix="sl-bench-", dir="/var/tmp"))
        self.scratch.chmod(0o755)
        self.processes = []
        self._web = None

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def start(self, words, **kw):
        process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **kw)
        self.processes.append(process)
        return process

    def run(self, *options):
        return [self.sandlock, "run", "--quiet", *options, "--"]

    def bwrap(self):
        return ["bwrap", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--"]

    # --- servers -----------------------------------------------------------------
    def pki(self):
        folder = self.scratch / "pki"
        if not folder.exists():
            make = ROOT / "certs" / "make-test-pki"
            subprocess.run([make, folder], check=True)
            subprocess.run([make, folder, "leaf", "bench", "bench.test", "localhost",
                            "127.0.0.1"], check=True)
        return folder

    def web(self):
        """nginx with files of 1 KiB and 1 GiB: (http port, https port)."""
        if self._web:
            return self._web
        if not have("nginx"):
            raise OSError("nginx is not installed")
        pki, www, state = self.pki(), self.scratch / "www", self.scratch / "nginx"
        www.mkdir()
        state.mkdir()
        (www / "1k").write_bytes(b"a" * 1024)
        with open(www / "1g", "wb") as file:
            file.truncate(1 << 30)
        http, https = free_port(), free_port()
        paths = "".join(f"{kind}_temp_path {state}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;" if os.getuid() == 0 else ""
        (state / "conf").write_text(f"""
worker_processes 1; daemon off; pid {state}/pid; error_log {state}/error.log; {user}
events {{ worker_connections 8192; }}
worker_rlimit_nofile 20000;
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; {paths}
  keepalive_requests 100000000; keepalive_timeout 300s; root {www};
  server {{ listen 127.0.0.1:{http} backlog=4096; }}
  server {{ listen 127.0.0.1:{https} ssl backlog=4096; ssl_certificate {pki}/bench.pem;
    ssl_certificate_key {pki}/bench.key; ssl_session_tickets off; ssl_session_cache off; }}
}}
""")
        process = self.start(["nginx", "-c", state / "conf", "-p", state])
        wait_port(http, process)
        wait_port(https, process)
        self._web = (http, https)
        return self._web

    def squid(self):
        """The port of a forward proxy with an access list, or None."""
        if not have("squid"):
            return None
        state, port = self.scratch / "squid", free_port()
        state.mkdir(exist_ok=True)
        state.chmod(0o777)
        user = "cache_effective_user proxy" if os.getuid() == 0 else ""
        (state / "conf").write_text(f"""
http_port 127.0.0.1:{port}
pid_filename none
cache_log {state}/log
access_log none
cache deny all
cache_mem 8 MB
shutdown_lifetime 0 seconds
{user}
acl good_method method GET
acl good_host dstdomain localhost
http_access allow good_method good_host
http_access deny all
""")
        wait_port(port, self.start(["squid", "-N", "-n", f"bench{os.getpid()}", "-f",
                                    state / "conf"], stdout=subprocess.DEVNULL))
        return port

    def mitm(self):
        """The port of mitmdump, or None."""
        if not have("mitmdump"):
            return None
        port = free_port()
        wait_port(port, self.start(
            ["mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--set",
             f"confdir={self.scratch}/mitm", "--set", "ssl_insecure=true"],
            stdout=subprocess.DEVNULL))
        return port


def kill_tree(process):
    """The guardian takes the rest with it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def pss_kib(pids):
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return total
