"""One long run: what guardian, engine and gateway hold does not grow with what the command does.

SANDLOCK_FLAT_ROUNDS makes it longer (./dev soak)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness.sandbox import Roles
from harness.waiting import TIMEOUT

ROUNDS = int(os.environ.get("SANDLOCK_FLAT_ROUNDS", 400))
WARM = 100  # until caches and pools have what they will ever hold
# A thousand bytes a round, or a descriptor in fifty, would be seen; what malloc keeps back is not.
SPARE_KIB = 300

LOOP = """
import http.client, os, socket, ssl, subprocess, sys, threading, urllib.request

def fails(action, *args):
    try: action(*args)
    except OSError: return
    sys.exit(f"{action} {args} was allowed")

def ask(url, data=None):
    try:
        with urllib.request.urlopen(url, data, 20) as answer: return answer.status, answer.read()
    except urllib.error.HTTPError as error: return error.code, error.read()

def once(i):
    for scheme in ("http", "https"):
        status, body = ask(f"{scheme}://api.test/echo/{i}")
        if status != 200: sys.exit(f"{scheme}: {status} {body}")
    if ask(f"http://api.test/denied/{i}")[0] != 403: sys.exit("not denied")
    if ask("http://api.test/echo", b"x" * 5000)[0] != 403: sys.exit("not denied")
    fails(socket.create_connection, ("127.0.0.1", 1024 + i % 60000), 20)
    fails(socket.create_connection, ("192.0.2.1", 80), 20)
    fails(socket.getaddrinfo, f"n{i}.denied.test", 80)
    fails(open, "/etc/shadow")
    fails(os.kill, 1, 0)
    here, there = socket.socketpair()
    with here, there: there.send(b"x")
    with socket.create_server(("127.0.0.1", 0)): pass
    threads = [threading.Thread(target=os.getpid) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    subprocess.run(["sh", "-c", "true | true"], check=True)
    os.chmod("file", 0o600 | i % 2)

# Whatever remembers what was denied, or keeps a socket for who asks next, is full after this.
def fill():
    for i in range(1100): fails(socket.getaddrinfo, f"w{i}.denied.test", 80)

open("file", "w").close()
fill()
done = 0
for line in sys.stdin:
    for done in range(done, done + int(line)): once(done)
    print("done", flush=True)
"""


def held(pid):
    """What a process has to itself in KiB, and how many descriptors; these only root may see."""
    text = Path(f"/proc/{pid}/status").read_text()
    kib = sum(int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)[1])
              for name in ("RssAnon", "VmSwap"))
    try:
        return kib, len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return kib, 0


@pytest.mark.deadline(300 + 2 * ROUNDS)
def test_nothing_of_ours_grows(sandlock, api):
    run = sandlock.start("--http-allow=GET api.test/echo/*", *api.options, "--net-bind=0-65535",
                         "--max-memory=2G", "--isolate-signals", cmd=[sys.executable, "-uc", LOOP],
                         stdin=subprocess.PIPE)

    def loop(rounds):
        run.process.stdin.write(f"{rounds}\n".encode())
        run.process.stdin.flush()
        line = run.line(TIMEOUT + rounds)
        assert line == "done\n", str(run.finish())

    loop(WARM)
    roles = Roles(run.pid)
    names = {"guardian": roles.guardian, "engine": roles.engine, "gateway": roles.gateway}
    before = {name: held(pid) for name, pid in names.items()}
    loop(ROUNDS)
    after = {name: held(pid) for name, pid in names.items()}
    run.finish(data=b"").ok()
    assert len(api.requests()) == 2 * (WARM + ROUNDS)
    for name in names:
        grown = after[name][0] - before[name][0]
        assert grown < SPARE_KIB, (name, before, after)
        assert after[name][1] <= before[name][1] + 4, (name, before, after)
    print(f"\n{ROUNDS} rounds, KiB and descriptors:", before, after)
