"""--audit: one JSON object a line for allows and denies, to a file, a descriptor, stderr."""

import json
import os
import sys

import pytest
from harness import netns

GOOD, BAD, PORT = netns.PUBLIC[17], netns.PUBLIC[18], 7400
CONNECT = ("import socket,sys\n"
           "for a in sys.argv[2:]:\n"
           " try: socket.create_connection((a,int(sys.argv[1]))).close()\n"
           " except OSError as e: pass\n")
COMMON = {"timestamp", "sandlock.kind", "sandlock.verdict"}


def connects(*hosts):
    return [sys.executable, "-c", CONNECT, PORT, *hosts]


@pytest.mark.netns
def test_lines_of_connections(sandlock, outside):
    """Verdict, rule or reason, destination and process of each, with OpenTelemetry's names."""
    good, bad = outside.witness(GOOD, PORT), outside.witness(BAD, PORT)
    rule = f"tcp://{GOOD}:{PORT}"
    run = sandlock(f"--net-allow={rule}", cmd=connects(GOOD, BAD)).ok()
    assert len(good.received()) == 1 and bad.received() == []
    (allow,), (deny,) = run.allows(), run.denies()
    for line, host in ((allow, GOOD), (deny, BAD)):
        assert COMMON <= set(line) and line["sandlock.kind"] == "net", line
        assert (line["server.address"], line["server.port"]) == (host, PORT)
        assert line["network.transport"] == "tcp" and line["process.pid"] > 1
        assert line["process.executable.path"] == os.path.realpath(sys.executable)
    assert allow["sandlock.rule"] == rule and "sandlock.reason" not in allow
    assert deny["sandlock.reason"] and "sandlock.rule" not in deny
    run = sandlock("--net-allow=*", f"--net-deny={BAD}", cmd=connects(BAD)).ok()
    assert run.denies()[0]["sandlock.rule"] == BAD, str(run)


def test_lines_of_requests(sandlock, api):
    run = sandlock(*api.options, "--http-allow=GET api.test/public/*", cmd=[
        "curl", "-s", "-o", "/dev/null", "https://api.test/public/a?q=1", "-o", "/dev/null",
        "https://api.test/private"]).ok()
    allow = next(a for a in run.allows() if a["sandlock.kind"] == "http")
    deny = next(a for a in run.denies() if a["sandlock.kind"] == "http")
    assert allow["http.request.method"] == deny["http.request.method"] == "GET"
    assert allow["url.full"] == "https://api.test/public/a?q=1"
    assert deny["url.full"] == "https://api.test/private" and deny["sandlock.reason"]
    assert allow["sandlock.rule"] == "GET api.test/public/*"
    assert allow["http.response.status_code"] == 200
    assert deny["http.response.status_code"] == 403
    assert COMMON <= set(allow) and COMMON <= set(deny)
    assert api.server.seen() == ["GET /public/a?q=1"]


@pytest.mark.netns
def test_a_file_is_made_private_and_appended_to(sandlock):
    log = sandlock.tmp / "log"
    for turn in (1, 2):
        sandlock(f"--audit={log}", "--net-allow=", cmd=connects(GOOD), audit=False).ok()
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(lines) == turn and lines[-1]["server.address"] == GOOD
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.netns
def test_a_descriptor(sandlock):
    """It is the caller's: the command does not have it."""
    r, w = os.pipe()
    forge = f"import os\ntry: os.write({w},b'forged\\n')\nexcept OSError: print('closed')\n"
    run = sandlock(f"--audit=fd:{w}", "--net-allow=", audit=False, pass_fds=(w,),
                   cmd=[sys.executable, "-c", forge + CONNECT, PORT, GOOD]).ok()
    os.close(w)
    with os.fdopen(r) as f:
        lines = [json.loads(line) for line in f]
    assert run.out == "closed\n" and [a["server.address"] for a in lines] == [GOOD], lines


@pytest.mark.netns
def test_standard_error(sandlock):
    run = sandlock("--audit=-", "--quiet", "--net-allow=", cmd=connects(GOOD, BAD),
                   audit=False).ok()
    assert [json.loads(line)["server.address"] for line in run.err.splitlines()] == [GOOD, BAD]
    assert run.out == ""


@pytest.mark.netns
def test_a_log_that_the_command_may_not_write(sandlock):
    """The log may be read like any file; what is in it stays in it."""
    log = sandlock.home / "log"
    run = sandlock(f"--audit={log}", "--net-allow=", audit=False, cmd=[
        sys.executable, "-c", f"import os\ntry: os.truncate({str(log)!r},0)\n"
        "except OSError: print('refused')\n" + CONNECT, PORT, GOOD]).ok()
    assert run.out == "refused\n" and len(log.read_text().splitlines()) == 1, str(run)


@pytest.mark.netns
def test_many_writers_one_event_a_line(sandlock):
    """Processes at once, denied and allowed: every line is whole."""
    script = ("import os,socket,sys\n"
              "kids=[]\n"
              "for k in range(8):\n"
              " p=os.fork()\n"
              " if p==0:\n"
              "  for i in range(40):\n"
              "   s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              "   try: s.sendto(b'x', (sys.argv[1],1000+i))\n"
              "   except OSError: pass\n"
              "  os._exit(0)\n"
              " kids.append(p)\n"
              "for p in kids: os.waitpid(p,0)\n")
    run = sandlock(f"--net-allow=udp://{GOOD}:1000-1019", cmd=[sys.executable, "-c", script, GOOD])
    assert len(run.allows()) == 160 and len(run.denies()) == 160, (len(run.allows()),
                                                                   len(run.denies()))
    assert run.status["allowed"] == 160 and run.status["denied"] == 160, str(run)
