"""--status-fd and the summary: what a program, and a person, is told about the end of a run."""

import json
import os
import signal
import sys

import pytest
from harness import netns
from harness.sandbox import Roles

FIELDS = {"exit_code", "signal", "reason", "pid", "wall_seconds", "user_seconds", "system_seconds",
          "peak_memory", "allowed", "denied", "bytes_out", "bytes_in"}


@pytest.mark.parametrize("options,command,code,sig,reason", [
    ((), "true", 0, None, "exited"),
    ((), "exit 7", 7, None, "exited"),
    ((), "kill -KILL $$", 137, 9, "signaled"),
    ((), "kill -SEGV $$", 139, 11, "signaled"),
    (("-t", "0.1"), "sleep 1000", 124, None, "timeout"),
    (("-r", "/no/such"), "true", 125, None, "error"),
])
def test_how_it_ended(sandlock, options, command, code, sig, reason):
    run = sandlock(*options, cmd=["sh", "-c", command])
    assert run.rc == code, str(run)
    assert FIELDS <= set(run.status), run.status
    assert (run.status["exit_code"], run.status["reason"]) == (code, reason)
    if reason != "timeout":  # the time limit's signal is ours
        assert run.status["signal"] == sig
    if reason == "error":
        assert run.status["message"] in run.err and "'/no/such'" in run.status["message"]


def test_a_command_that_is_not_there(sandlock):
    run = sandlock(cmd=["/no/such-program"])
    assert run.rc == run.status["exit_code"] == 127 and run.status["reason"] == "error", str(run)
    assert "'/no/such-program'" in run.status["message"]


def test_what_it_used(sandlock):
    script = "x=bytearray(64<<20)\nfor i in range(0,len(x),4096): x[i]=1\nsum(range(3000000))"
    status = sandlock(cmd=[sys.executable, "-c", script]).ok().status
    assert 64 << 20 <= status["peak_memory"] < 1 << 30
    assert status["user_seconds"] > 0 and status["wall_seconds"] > 0 and status["pid"] > 1


def test_counts_of_requests(sandlock, api):
    curl = ["curl", "-s", "-d", "0123456789"]
    for path in ("/public/1", "/public/2", "/no"):
        curl += ["-o", "/dev/null", f"http://api.test{path}"]
    run = sandlock(*api.options, "--http-allow=POST api.test/public/*", cmd=curl).ok()
    assert run.status["denied"] == 1 and run.status["allowed"] >= 2, run.status
    assert run.status["bytes_in"] > 0 and run.status["bytes_out"] >= 20, run.status
    assert len(api.server.seen()) == 2


@pytest.mark.parametrize("victim,reason", [("engine", "error"), ("child", "signaled")])
def test_a_killed_process_is_told(sandlock, victim, reason):
    running = sandlock.start(cmd=["sh", "-c", "sleep 1000 & echo up; wait"])
    assert running.line() == "up\n"
    os.kill(getattr(Roles(running.pid), victim), signal.SIGKILL)
    run = running.finish()
    assert run.status["reason"] == reason and run.status["exit_code"] == run.rc, str(run)
    assert (run.rc == 125 and run.err.startswith("sandlock: ")) or run.rc == 137, str(run)


def test_one_line_and_only_for_the_caller(sandlock):
    r, w = os.pipe()
    script = f"import os\ntry: os.write({w},b'forged\\n')\nexcept OSError: print('closed')"
    run = sandlock(f"--status-fd={w}", cmd=[sys.executable, "-c", script], status=False,
                   pass_fds=(w,)).ok()
    os.close(w)
    with os.fdopen(r) as f:
        lines = f.readlines()
    assert run.out == "closed\n" and len(lines) == 1, lines
    assert json.loads(lines[0])["exit_code"] == 0


def test_a_run_without_denials_says_nothing(sandlock, api):
    run = sandlock(*api.options, "--http-allow=GET api.test/*", "-r", "/",
                   cmd=["curl", "-s", "http://api.test/x"]).ok()
    assert run.err == "", str(run)


@pytest.mark.netns
def test_the_summary_counts_and_is_short(sandlock):
    """The same denial once with its number, the most frequent first, the rest as a number; no
    control bytes, whatever the names."""
    script = ("import socket\n"
              "def go(p):\n"
              f" try: socket.create_connection(('{netns.PUBLIC[19]}',p))\n"
              " except OSError: pass\n"
              "for p in range(100,160): go(p)\n"
              "for _ in range(5): go(130)\n")
    run = sandlock("-r", "/", "--net-allow=", cmd=[sys.executable, "-c", script]).ok()
    lines = run.err.splitlines()
    assert lines[0].startswith("sandlock: 65 denied"), str(run)
    assert ":130 (6 times)" in lines[1] and f"--net-allow '{netns.PUBLIC[19]}:130'" in lines[1]
    assert len(lines) == 22 and "more" in lines[-1], str(run)
    assert all(line.startswith("sandlock: ") for line in lines)


@pytest.mark.netns
def test_a_deny_rule_is_no_flag_away(sandlock):
    """What --net-deny refused, no --net-allow would allow: none is offered."""
    script = (f"import socket\ntry: socket.create_connection(('{netns.PUBLIC[20]}',80))\n"
              "except OSError: pass\n")
    run = sandlock("-r", "/", f"--net-deny={netns.PUBLIC[20]}", cmd=[sys.executable, "-c", script])
    assert "1 denied" in run.err and "--net-allow" not in run.err, str(run)
