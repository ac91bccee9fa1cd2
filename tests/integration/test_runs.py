"""`sandlock ps`, `inspect` and `kill`: the runs of a user, reached through their control sockets."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import tomllib
from datetime import datetime, timezone
from pathlib import Path

import pytest
from harness import paths
from harness.orphans import Orphans
from harness.sandbox import Roles, clean_environment, stat_field
from harness.waiting import TIMEOUT, wait_gone, wait_until

SLEEP = ["sh", "-c", "echo up; exec sleep 1000"]
MAGIC, LIST = 0x314b4c53, 1


def say(box, *words, env=None):
    """The program, asked."""
    return subprocess.run([str(paths.SANDLOCK), *map(str, words)], cwd=box.work, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                          env=clean_environment(box.home, **(env or {})))


def ps(box, **kw):
    done = say(box, "ps", "--json", **kw)
    assert done.returncode == 0 and done.stderr == "", done
    return json.loads(done.stdout)


def sleeping(box, *options, **kw):
    """A run whose command sleeps, and whose control socket is there."""
    run = box.start(*options, cmd=SLEEP, audit=False, **kw)
    assert run.line() == "up\n"
    wait_until("the run in ps", lambda: run.pid in [r["guardian"] for r in ps(box, env=kw.get("env"))],
               run.process)
    return run


def until_state(box, state):
    wait_until(f"one run that is {state}", lambda: [r["state"] for r in ps(box)] == [state])


def end(*runs):
    for run in runs:
        os.kill(run.pid, signal.SIGTERM)
        assert run.finish().rc == 128 + signal.SIGTERM


def sockets(box):
    return sorted((box.home / ".cache/sandlock/control").glob("*"))


def test_ps_lists_what_runs(sandlock):
    assert ps(sandlock) == []
    before = datetime.now(timezone.utc).replace(microsecond=0)
    one = sleeping(sandlock, "--name", "one")
    two = sleeping(sandlock)
    rows = {r["guardian"]: r for r in ps(sandlock)}
    assert set(rows) == {one.pid, two.pid}
    row = rows[one.pid]
    assert row["name"] == "one" and row["state"] == "running"
    assert row["pid"] == Roles(one.pid).child and row["command"] == SLEEP
    started = datetime.strptime(row["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert -1 <= (started - before).total_seconds() <= TIMEOUT
    assert rows[two.pid]["name"] == f"sh-{rows[two.pid]['pid']}"
    table = say(sandlock, "ps")
    lines = table.stdout.splitlines()
    assert table.returncode == 0 and lines[0].split() == ["NAME", "PID", "STATE", "STARTED",
                                                          "COMMAND"]
    assert any(line.split()[:3] == ["one", str(row["pid"]), "running"] and
               line.endswith("sh -c 'echo up; exec sleep 1000'") for line in lines[1:]), table.stdout
    end(one, two)
    assert ps(sandlock) == [] and sockets(sandlock) == []


def test_a_stopped_command_is_said_to_be_stopped(sandlock):
    run = sleeping(sandlock, "--name=s")
    child = Roles(run.pid).child
    assert say(sandlock, "kill", "--signal", "STOP", "s").returncode == 0
    until_state(sandlock, "stopped")
    assert say(sandlock, "kill", "--signal=cont", child).returncode == 0
    until_state(sandlock, "running")
    end(run)


def test_inspect_shows_the_policy(sandlock):
    """The text is TOML that --print-policy would write; JSON has the same fields."""
    options = ("-r", "/", "-w", sandlock.work, "--net-allow", "tcp://db.example.com:5432", "-t",
               "1.5h", "-P", "9", "--no-udp", "--env", "A=1", "--name", "looked-at")
    run = sleeping(sandlock, *options)
    done = say(sandlock, "inspect", "looked-at")
    assert done.returncode == 0 and done.stderr == "", done
    printed = say(sandlock, "run", *options, "--print-policy", "--", "true")
    policy = tomllib.loads(done.stdout)
    assert policy == tomllib.loads(printed.stdout) and policy["max_processes"] == 9
    head = dict(line[2:].split(None, 1) for line in done.stdout.splitlines() if line[:2] == "# ")
    roles = Roles(run.pid)
    assert head["pid"] == f"{roles.child} (guardian {run.pid}, engine {roles.engine})"
    assert head["command"] == "sh -c 'echo up; exec sleep 1000'" and head["state"] == "running"
    for word in ("looked-at", roles.child, run.pid):
        told = say(sandlock, "inspect", "--json", word)
        assert told.returncode == 0, told
        facts = json.loads(told.stdout)
        assert facts["policy"] == policy | {"timeout": 5400}
        assert facts["pid"] == roles.child and facts["engine"] == roles.engine
        assert facts["gateway"] == roles.gateway and facts["interactive"] is False
        assert "policy_toml" not in facts
    end(run)


def test_ports_are_shown(sandlock):
    """Under --port-remap: names inside and real ports, of what is alive."""
    script = ("import socket,sys\ns=socket.create_server(('127.0.0.1',int(sys.argv[1])))\n"
              "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);u.bind(('127.0.0.1',0));d=u\n"
              "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
              "u.bind(('127.0.0.1',int(sys.argv[1])))\n"
              "t=socket.create_server(('127.0.0.1',0));t.close()\n"
              "print('up',flush=True);sys.stdin.readline()\n"
              "s.close();print('closed',flush=True);sys.stdin.readline()\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        name = taken.getsockname()[1]
        run = sandlock.start("--port-remap", "--name=own-ports", stdin=-1,
                             cmd=[sys.executable, "-c", script, name])
        assert run.line() == "up\n"
        real = run.told()["ports"][str(name)]
        udp = run.told()["udp_ports"][str(name)]
        facts = json.loads(say(sandlock, "inspect", "--json", "own-ports").stdout)
        assert facts["ports"] == {str(name): real} and facts["udp_ports"] == {str(name): udp}
        row, = ps(sandlock)
        assert row["ports"] == facts["ports"] and row["udp_ports"] == facts["udp_ports"]
        shown = f" {name}={real} udp:{name}={udp}\n"
        assert say(sandlock, "ps").stdout.endswith(f"  #{shown}")
        assert f"# ports   {shown}" in say(sandlock, "inspect", "own-ports").stdout
        run.process.stdin.write(b"\n")
        run.process.stdin.flush()
        assert run.line() == "closed\n"
        assert ps(sandlock)[0]["ports"] == {}
        run.finish(data=b"\n").ok()
    plain = sleeping(sandlock, "--name=plain")
    assert "ports" not in ps(sandlock)[0]
    end(plain)


def test_inspect_counts_allows_and_denies(sandlock, api):
    """While it goes on: what the engine decided, and what the gateway did."""
    script = ("import socket,sys,urllib.request as u,urllib.error\n"
              "for p in ('a','b','c'): u.urlopen('http://api.test/ok/'+p).read()\n"
              "for i in range(2):\n"
              " try: u.urlopen('http://api.test/no')\n"
              " except urllib.error.HTTPError as e: assert e.code==403\n"
              "try: socket.create_connection(('127.0.0.1',9))\nexcept OSError: pass\n"
              "print('up',flush=True);sys.stdin.readline()\n")
    run = sandlock.start(*api.options, "--http-allow=GET api.test/ok/*", "--name=counted",
                         cmd=[sys.executable, "-c", script], stdin=-1, audit=False)
    assert run.line() == "up\n"

    def counted():
        facts = json.loads(say(sandlock, "inspect", "--json", "counted").stdout)
        return facts if facts["denied"] >= 3 and facts["allowed"] >= 2 else None

    facts = wait_until("three denied and two allowed", counted)  # it counts when it is done
    result = run.finish(data=b"\n")
    assert facts["denied"] == result.status["denied"] == 3, (facts, str(result))
    assert facts["allowed"] <= result.status["allowed"], (facts, str(result))


def test_kill_ends_a_run(sandlock):
    """As SIGTERM to the guardian does: the command may handle it; all it started ends with it."""
    with Orphans() as orphans:
        run = sandlock.start("--name=k", "-P", "0", audit=False, cmd=[
            "bash", "-c", "trap 'echo got; exit 9' TERM; setsid sleep 1000 & echo up; "
            "while :; do sleep 1000 & wait $!; done"])
        assert run.line() == "up\n"
        wait_until("the run in ps", lambda: ps(sandlock))
        done = say(sandlock, "kill", "k")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        result = run.finish()
        assert (result.rc, result.out) == (9, "got\n"), str(result)
        assert orphans.left() == []
    done = say(sandlock, "kill", "k")
    assert done.returncode == 1 and "there is no run 'k'" in done.stderr, done


@pytest.mark.parametrize("signal_word,code", [("KILL", 137), ("sigint", 130), ("15", 143),
                                              ("SIGUSR1", 138)])
def test_kill_with_another_signal(sandlock, signal_word, code):
    run = sleeping(sandlock)
    assert say(sandlock, "kill", "--signal", signal_word, run.pid).returncode == 0
    assert run.finish().rc == code


def test_two_runs_of_one_name(sandlock):
    """Both are listed; by the name alone none is touched; by number each can be ended."""
    runs = [sleeping(sandlock, "--name=twin") for _ in range(2)]
    rows = ps(sandlock)
    assert [r["name"] for r in rows] == ["twin", "twin"]
    for command in ("kill", "inspect"):
        done = say(sandlock, command, "twin")
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert all(str(r["pid"]) in done.stderr for r in rows), done.stderr
    assert len(ps(sandlock)) == 2
    for row, run in zip(sorted(rows, key=lambda r: [x.pid for x in runs].index(r["guardian"])),
                        runs):
        assert say(sandlock, "kill", row["pid"]).returncode == 0
        assert run.finish().rc == 143


@pytest.mark.parametrize("words,word", [
    (("inspect",), "NAME|PID"), (("kill",), "NAME|PID"), (("kill", "a", "b"), "'b'"),
    (("kill", "--signal", "NOPE", "a"), "'NOPE'"), (("kill", "--signal=0", "a"), "'0'"),
    (("kill", "--signal", "65", "a"), "'65'"), (("kill", "-s"), "SIGNAL"),
    (("inspect", "--signal=9", "a"), "--signal"), (("kill", "--json", "a"), "--json"),
    (("ps", "x"), "'x'"), (("ps", "--jsn"), "'--jsn'"), (("kill", ""), "''")])
def test_bad_words(sandlock, words, word):
    done = say(sandlock, *words)
    assert done.returncode == 2 and word in done.stderr and done.stderr.count("\n") == 1, done
    assert done.stdout == ""


def test_no_such_run(sandlock):
    for words in (("inspect", "x"), ("kill", "x"), ("kill", "99999999"), ("inspect", "1")):
        done = say(sandlock, *words)
        assert done.returncode == 1 and "there is no run" in done.stderr, done
        assert done.stdout == "" and done.stderr.count("\n") == 1


def test_every_place_is_looked_at(sandlock):
    """A run below XDG_RUNTIME_DIR and one below ~/.cache, seen from a session that has both."""
    runtime = sandlock.home / "runtime"
    runtime.mkdir(mode=0o700)
    env = {"XDG_RUNTIME_DIR": str(runtime)}
    one = sleeping(sandlock, "--name=one", env=env)
    two = sleeping(sandlock, "--name=two")
    assert [r["name"] for r in ps(sandlock)] == ["two"]
    assert sorted(r["name"] for r in ps(sandlock, env=env)) == ["one", "two"]
    end(one, two)


def test_a_run_without_a_private_place_goes_on_unlisted(sandlock):
    run = sandlock.start("-r/", "-w/", cmd=SLEEP, audit=False)
    assert run.line() == "up\n" and ps(sandlock) == []
    end(run)


@pytest.mark.parametrize("victims", [("engine",), ("guardian",), ("engine", "guardian")])
def test_what_a_dead_run_left_is_cleaned(sandlock, victims):
    with Orphans() as orphans:
        run = sleeping(sandlock, own_group=True)  # a stopped member hangs up a group
        assert len(sockets(sandlock)) == 1
        roles = Roles(run.pid)
        if len(victims) == 2:
            os.kill(roles.guardian, signal.SIGSTOP)  # so that it does not clear up
            wait_until("a stopped guardian", lambda: stat_field(roles.guardian, 0) == "T")
        for victim in victims:
            os.kill(getattr(roles, victim), signal.SIGKILL)
        run.finish()
        assert wait_gone([roles.engine, roles.child], 20)
        if len(victims) == 2:
            assert len(sockets(sandlock)) == 1
            assert orphans.left() == []
        assert ps(sandlock) == [] and sockets(sandlock) == []
        assert orphans.left() == []


def test_files_that_are_none_of_ours_are_left_alone(sandlock):
    run = sleeping(sandlock)
    control = sandlock.home / ".cache/sandlock/control"
    (control / "notes.txt").write_text("mine")
    (control / "1-00000000000000zz").write_text("mine")
    (control / "999999999-0123456789abcdef").write_text("no socket")  # and no such process
    (control / "1-0123456789abcdef").symlink_to("/etc/passwd")
    assert [r["guardian"] for r in ps(sandlock)] == [run.pid]
    assert len(list(control.iterdir())) == 5
    end(run)


def ask(path, data, read=True):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(TIMEOUT)
        s.connect(str(path))
        try:
            s.sendall(data)
            got = b""
            while read and (piece := s.recv(65536)):
                got += piece
            return got
        except (BrokenPipeError, ConnectionResetError):
            return b""


def request(what, sig=0, magic=MAGIC, zero=0):
    return struct.pack("IIII", magic, what, sig, zero)


def test_requests_that_cannot_be_understood(sandlock):
    """No answer, nothing done, and the next is served."""
    run = sleeping(sandlock)
    path = sockets(sandlock)[0]
    assert json.loads(ask(path, request(LIST)))["guardian"] == run.pid
    for bad in (request(LIST, magic=1), request(LIST, zero=1), request(0), request(4),
                request(2**32 - 1), request(3, 0), request(3, 65), request(3, 2**31),
                b"GET / HTTP/1.1\r\n\r\n", b"\0" * 16, os.urandom(4096)):
        assert ask(path, bad) == b"", bad
    assert json.loads(ask(path, request(LIST)))["guardian"] == run.pid
    end(run)


def test_slow_and_silent_peers_are_dropped(sandlock):
    """As many as are served hold their places without a word; each is dropped, and then there is
    room. One that asks and takes no answer is dropped as well."""
    env = [f"--env=V{i}={'x' * 4000}" for i in range(350)]
    run = sleeping(sandlock, *env)
    path = sockets(sandlock)[0]
    silent = []
    for _ in range(8):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].settimeout(TIMEOUT)
        silent[-1].connect(str(path))
    silent[0].send(b"S")
    assert ask(path, request(LIST)) == b"", "one more is turned away"
    for s in silent:
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
        s.close()
    with socket.socket(socket.AF_UNIX) as full:
        full.settimeout(TIMEOUT)
        full.connect(str(path))
        full.send(request(2))
        assert json.loads(ask(path, request(2)))["pid"], "served beside one that does not read"
        wait_until("room for one more", lambda: ask(path, request(LIST)))
    end(run)


def test_an_engine_that_does_not_answer(sandlock):
    run = sleeping(sandlock, "--name=mute")
    engine = Roles(run.pid).engine
    os.kill(engine, signal.SIGSTOP)
    rows = ps(sandlock)
    assert [(r["state"], r["pid"], r["guardian"]) for r in rows] == [("unresponsive", None, run.pid)]
    assert "unresponsive" in say(sandlock, "ps").stdout
    done = say(sandlock, "kill", run.pid)
    assert done.returncode == 1 and str(run.pid) in done.stderr and "answer" in done.stderr, done
    os.kill(engine, signal.SIGCONT)
    assert say(sandlock, "kill", "mute").returncode == 0
    assert run.finish().rc == 143


STUBBORN = ["bash", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done"]


def test_kill_ends_what_ignores_a_signal(sandlock):
    """With a signal named it gets that one alone; without it is over when kill returns."""
    run = sandlock.start("--name=stubborn", cmd=STUBBORN, audit=False)
    assert run.line() == "up\n"
    other = sleeping(sandlock, "--name=other")
    done = say(sandlock, "kill", "--signal", "TERM", "stubborn")
    assert done.returncode == 0 and done.stderr == "", done
    assert [r["name"] for r in ps(sandlock)] == ["stubborn", "other"]
    done = say(sandlock, "kill", "stubborn")
    assert done.returncode == 0 and run.process.poll() is not None, done
    assert done.stderr == ("sandlock: run 'stubborn' did not end within 5 s of SIGTERM; "
                           "killing it\n"), done
    assert run.finish().rc == 137 and [r["name"] for r in ps(sandlock)] == ["other"]
    done = say(sandlock, "kill", "other")
    assert done.returncode == 0 and done.stderr == "" and other.process.poll() is not None, done
    assert other.finish().rc == 143


def test_kill_ends_what_is_stopped(sandlock):
    run = sleeping(sandlock, "--name=still")
    assert say(sandlock, "kill", "--signal=STOP", "still").returncode == 0
    until_state(sandlock, "stopped")
    assert say(sandlock, "kill", "still").returncode == 0 and run.process.poll() is not None
    assert run.finish().rc == 137


def test_many_runs_and_many_askers(sandlock):
    runs = [sleeping(sandlock, f"--name=m{i}") for i in range(6)]
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(len(ps(sandlock)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert seen == [6] * 4
    end(*runs)
    assert sockets(sandlock) == []


def test_an_interactive_run_says_so(sandlock):
    from harness.terminal import interactive
    with interactive(sandlock, "--name=tty", cmd=["cat"]) as t:
        t.type(b"a\n")
        t.until(rb"a\r\na\r\n")
        wait_until("the run in ps", lambda: ps(sandlock))
        assert json.loads(say(sandlock, "inspect", "--json", "tty").stdout)["interactive"] is True
        assert say(sandlock, "kill", "tty").returncode == 0
        assert t.finish() == 143 and t.attributes() == t.before


def test_bash_completes_the_names_of_runs(sandlock):
    run = sleeping(sandlock, "--name=complete-me")
    script = ("source conf/completions/sandlock.bash; COMP_WORDS=(sandlock \"$1\" \"$2\"); "
              "COMP_CWORD=2; _sandlock; printf '%s\\n' \"${COMPREPLY[@]}\"")
    root = Path(__file__).resolve().parents[2]
    env = clean_environment(sandlock.home, PATH=f"{paths.SANDLOCK.parent}:{os.environ['PATH']}")
    for command in ("inspect", "kill"):
        done = subprocess.run(["bash", "-c", script, "-", command, "comp"], cwd=root, env=env,
                              capture_output=True, text=True, timeout=TIMEOUT)
        assert done.stdout == "complete-me\n", done
    end(run)
