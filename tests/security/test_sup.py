"""SUP: the supervisor itself (docs/security-cases.md), as far as the network is concerned."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from harness import netns, paths, sandbox
from harness.orphans import Orphans
from harness.waiting import TIMEOUT, wait_gone

pytestmark = pytest.mark.netns

GOOD, BAD, PORT = netns.PUBLIC[10], netns.PUBLIC[11], 7100
ALLOW = f"--net-allow={GOOD}:{PORT}"
REFUSED = {"ECONNREFUSED", "EACCES"}
HTTP = "--http-allow=GET api.test/*"


@pytest.fixture
def pair(outside):
    """An allowed and a denied listener."""
    return outside.witness(GOOD, PORT), outside.witness(BAD, PORT)


def steps(run):
    return [tuple(line.split()) for line in run.out.splitlines()]


KNOCK = ("import socket,sys,errno,os\n"
         "if os.fork(): pass\n"
         "else: os.setsid()\n"
         "print('up',flush=True)\n"
         "while True:\n"
         " try: socket.create_connection((sys.argv[1],int(sys.argv[2])),5).close()\n"
         " except OSError: pass\n")


@pytest.mark.parametrize("victim", ["engine", "guardian"])
def test_SUP_01_supervisor_killed(sandlock, pair, victim):
    """The tree (with a process in a session of its own) is dead within a second, and what it tried
    to reach was never reached."""
    good, bad = pair
    with Orphans() as orphans:
        running = sandlock.start(ALLOW, cmd=[sys.executable, "-c", KNOCK, BAD, PORT], audit=False)
        assert running.line() == "up\n" and running.line() == "up\n"
        roles = sandbox.Roles(running.pid)
        tree = sandbox.descendants(running.pid)
        assert len(tree) >= 3
        os.kill(getattr(roles, victim), signal.SIGKILL)
        assert wait_gone([*tree, running.pid], TIMEOUT), sandbox.describe_tree(running.pid)
        result = running.finish()
        assert orphans.left() == []
    assert result.rc == (125 if victim == "engine" else -signal.SIGKILL), str(result)
    assert bad.received() == []


def test_SUP_01_relays_close_with_the_engine(sandlock, api):
    """A request that is being answered ends when the engine is killed."""
    script = ("import urllib.request as u\n"
              "r=u.urlopen('http://api.test/held-body/sup01');print(r.readline(),flush=True)\n"
              "print(r.read())\n")
    running = sandlock.start(*api.options, HTTP, cmd=[sys.executable, "-c", script], audit=False)
    assert "first" in running.line()
    roles = sandbox.Roles(running.pid)
    os.kill(roles.engine, signal.SIGKILL)
    assert wait_gone([roles.gateway, roles.child, running.pid], TIMEOUT)
    assert running.finish().rc == 125
    api.release("sup01")
    api.server.settle()  # every connection of the gateway is closed


def test_SUP_02_target_dies_in_the_middle_of_a_call(sandlock, pair, attack):
    good, bad = pair
    sup, net = attack("sup"), attack("net")
    assert sandlock.bare([sup, "dying", 20, BAD, PORT]).rc == 0
    before = len(bad.received())
    assert before > 0
    run = sandlock(ALLOW, cmd=["sh", "-c", f"{sup} dying 60 {BAD} {PORT}; {sup} dying 60 {GOOD} "
                               f"{PORT}; {net} connect {BAD} {PORT}; {net} connect {GOOD} {PORT}"],
                   audit=False).ok()
    results = [r for n, r in steps(run) if n == "connect"]
    assert results[0] in REFUSED and results[1] == "ok", str(run)
    assert len(bad.received()) == before


@pytest.mark.parametrize("options", [(), (ALLOW,), (HTTP,)])
def test_SUP_03_descriptors_of_the_child(sandlock, attack, options, tmp_path):
    """Nothing of ours, and nothing that the invoker left open (FS-08), is there after exec."""
    sup = attack("sup")
    extra = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(20)]
    pair = socket.socketpair()
    try:
        left = (*extra, pair[0].fileno())
        run = sandlock(*options, cmd=[sup, "fds"], pass_fds=left).ok()
        assert sorted(steps(run)) == [("fd", "0"), ("fd", "1"), ("fd", "2")], str(run)
        audit = os.open(tmp_path / "a.jsonl", os.O_WRONLY | os.O_CREAT)
        extra.append(audit)
        run = sandlock(*options, f"--audit=fd:{audit}", cmd=[sup, "fds"], pass_fds=(audit,),
                       audit=False).ok()
        assert sorted(steps(run)) == [("fd", "0"), ("fd", "1"), ("fd", "2")], str(run)
    finally:
        for fd in extra:
            os.close(fd)
        for end in pair:
            end.close()


SYSCALLS = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
            "seccomp": 317, "pidfd_open": 434, "memfd_create": 319}


@pytest.mark.parametrize("missing", [*SYSCALLS, "landlock_abi"])
def test_SUP_04_missing_kernel_features(sandlock, attack, missing, tmp_path):
    number = "0@444" if missing == "landlock_abi" else SYSCALLS[missing]
    without = attack("without")
    proof = sandlock.work / "ran"
    control = sandlock(ALLOW, cmd=["touch", proof], wrap=[str(without), "500"])
    assert control.rc == 0 and proof.exists(), str(control)
    proof.unlink()
    run = sandlock(ALLOW, cmd=["touch", proof], wrap=[str(without), str(number)])
    assert run.rc == 125, str(run)
    assert not proof.exists()
    assert run.err.startswith("sandlock: ") and len(run.err.splitlines()) == 1, str(run)
    check = subprocess.run([str(without), str(number), str(paths.SANDLOCK), "check"],
                           capture_output=True, text=True, timeout=TIMEOUT)
    assert check.returncode == 1, check.stdout


def test_SUP_05_not_dumpable(sandlock, pair, attack):
    """A child that hides its memory gains nothing."""
    good, bad = pair
    sup = attack("sup")
    run = sandlock(ALLOW, cmd=[sup, "nodump", BAD, PORT])
    assert dict(steps(run))["connect"] in REFUSED | {"EPERM", "EFAULT"}, str(run)
    run = sandlock(ALLOW, cmd=[sup, "nodump", GOOD, PORT])
    assert dict(steps(run))["connect"] == "ok", str(run)
    hidden = sandlock.work / "hidden"
    shutil.copy(attack("net"), hidden)
    hidden.chmod(0o111)
    run = sandlock(ALLOW, cmd=[hidden, "connect", BAD, PORT])
    assert steps(run)[-1][1] in REFUSED | {"EPERM", "EFAULT"}, str(run)
    assert bad.received() == []


def test_SUP_05_engine_without_descriptors(sandlock, pair):
    """The engine's own limit reached in the middle of a run: refusals only."""
    good, bad = pair
    script = ("import socket,sys,errno\n"
              "def go(a):\n"
              " try: socket.create_connection((a,int(sys.argv[3])),10).close();print(a,'ok')\n"
              " except OSError as e: print(a,errno.errorcode.get(e.errno,'timeout'))\n"
              "go(sys.argv[1]);print('up',flush=True);sys.stdin.readline()\n"
              "for i in range(20): go(sys.argv[1]);go(sys.argv[2])\n")
    running = sandlock.start(ALLOW, cmd=[sys.executable, "-c", script, GOOD, BAD, PORT], stdin=-1,
                             audit=False)
    assert running.line() == f"{GOOD} ok\n" and running.line() == "up\n"
    engine = sandbox.Roles(running.pid).engine
    resource.prlimit(engine, resource.RLIMIT_NOFILE, (3, 3))
    run = running.finish(data=b"\n")
    results = [r for a, r in steps(run) if a == BAD]
    assert len(results) == 20 and "ok" not in results, str(run)
    assert bad.received() == []


def test_SUP_07_attach_to_the_supervisor(sandlock, api, attack):
    """From inside: trace, read, limit, move, signal. From outside: no core, no dump."""
    sup = attack("sup")
    script = (f"import subprocess,sys\nprint('up',flush=True)\n"
              f"pids=sys.stdin.readline().split()\n"
              f"for p in pids: print(subprocess.run([{str(sup)!r},'attach',p],"
              f"capture_output=True,text=True).stdout,end='',flush=True)\n"
              f"import urllib.request;print('still',"
              f"urllib.request.urlopen('http://api.test/x').status)\n")
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1]))
    try:
        running = sandlock.start(*api.options, HTTP, cmd=[sys.executable, "-c", script], stdin=-1,
                                 audit=False)
        assert running.line() == "up\n"
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limit)
    roles = sandbox.Roles(running.pid)
    for pid in (roles.guardian, roles.engine, roles.gateway):
        with open(f"/proc/{pid}/limits") as f:
            assert re.search(r"Max core file size +0 +", f.read()), pid
        if os.getuid() != 0:  # a process that is not dumpable belongs to root in /proc
            with pytest.raises(PermissionError), open(f"/proc/{pid}/environ") as f:
                f.read()
    pids = f"{roles.guardian} {roles.engine} {roles.gateway}\n"
    run = running.finish(data=pids.encode()).ok()
    assert "still 200" in run.out, str(run)
    results = [s for s in steps(run) if s[0] != "still"]
    assert len(results) == 36, str(run)
    assert [s for s in results if s[1] not in {"EPERM", "EACCES", "ESRCH", "ENOENT", "ENOSYS"}] \
        == [], str(run)


def test_SUP_07_attack_works_bare(sandlock, attack):
    """The control: the same program against an ordinary process of the same user."""
    target = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    run = sandlock.bare([attack("sup"), "attach", target.pid])
    assert dict(steps(run))["seize"] == "ok" and dict(steps(run))["kill"] == "ok", str(run)
    target.stdin.close()
    assert target.wait(TIMEOUT) != 0


ODD = ["/x%0a%1b[31m", "/x?a=%0d%0ainjected", "/x\\u0041", "/%22%7d%0a%7b"]


def test_SUP_09_log_injection(sandlock, api, attack):
    """Escape sequences and newlines in paths, hosts, program names: one event one line, no control
    byte anywhere in the log or the summary."""
    odd_name = sandlock.work / "na\nme\x1b[31m\"}"
    shutil.copy(attack("raw"), odd_name)
    odd_name.chmod(0o755)
    for target in ODD:
        data = f"DELETE {target} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n".encode()
        run = sandlock(*api.options, HTTP, cmd=[odd_name, "api.test", 80], data=data)
        assert run.denies() or "400" in run.out, str(run)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", run.err.replace("\r", "")), repr(run.err)
        for line in run.audit:
            assert set(json.dumps(line)) & set("\x1b\n") == set()
    log = (sandlock.tmp / f"audit-{len(ODD)}.jsonl").read_bytes()
    assert b"\x1b" not in log and (b"na\\nme" in log or b"na\\u000ame" in log), log
    query = "\x1b[31mevil\n.test"
    run = sandlock(HTTP, cmd=[sys.executable, "-c",
                              "import socket,sys\n"
                              "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                              "s.connect(('192.0.2.53',53));s.settimeout(5)\n"
                              "n=sys.argv[1].encode();"
                              "s.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+bytes([len(n)])+n+"
                              "b'\\0\\0\\1\\0\\1')\n"
                              "try: print(s.recv(512)[3]&15)\nexcept OSError: print('silence')\n",
                              query]).ok()
    assert "\x1b" not in run.err + json.dumps(run.audit, ensure_ascii=False), str(run)
