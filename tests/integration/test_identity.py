"""--privileged, --uid, --gid: the command seems to be somebody else, and is not: its files are the
caller's, it has no capability, and nothing is granted that was not before."""

import glob
import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness import netns
from harness.sandbox import Roles, roles_with_gateway
from harness.waiting import TIMEOUT, wait_gone, wait_until

WHO = ("id -u; id -g; cut -d' ' -f1- /proc/self/uid_map | xargs; grep CapEff /proc/self/status | "
       "cut -f2; grep CapBnd /proc/self/status | cut -f2; touch file; stat -c '%u %g' file; "
       "chown $(id -u):$(id -g) file && echo kept; chown 12345 file 2>&1; chgrp 12345 file 2>&1; "
       "unshare -m true 2>&1; mount -t tmpfs none . 2>&1; true")


@pytest.fixture(autouse=True)
def namespaces():
    done = subprocess.run(["unshare", "--user", "true"], capture_output=True, text=True,
                          timeout=TIMEOUT)
    if done.returncode != 0:
        pytest.skip(f"no user namespace can be made here: {done.stderr.strip()}")


@pytest.mark.parametrize("options, uid, gid", [
    (("--privileged",), 0, 0), (("--uid=1234", "--gid=77"), 1234, 77),
    (("--uid", "65533"), 65533, None), (("--gid=5",), None, 5),
    (("--privileged", "--uid=0", "--gid=0"), 0, 0)])
@pytest.mark.parametrize("more", [(), ("--no-supervisor",)])
def test_the_command_seems_to_be_somebody_else(sandlock, options, uid, gid, more):
    uid = os.geteuid() if uid is None else uid
    gid = os.getegid() if gid is None else gid
    run = sandlock(*options, *more, cmd=["bash", "-c", WHO], audit=False, status=False).ok()
    lines = run.out.splitlines()
    assert lines[:7] == [str(uid), str(gid), f"{uid} {os.geteuid()} 1", "0" * 16, "0" * 16,
                         f"{uid} {gid}", "kept"], str(run)
    assert "Invalid argument" in lines[7] and "Invalid argument" in lines[8], str(run)
    assert "not permitted" in lines[9] and len(lines) >= 11, str(run)
    made = (sandlock.work / "file").stat()
    assert (made.st_uid, made.st_gid) == (os.geteuid(), os.getegid())


def test_nothing_is_granted_by_it(sandlock):
    """Files outside stay closed to reading, writing and changes; the program outside is whoever it
    was."""
    secret = sandlock.home / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    script = (f"cat {secret}; echo > {secret}; chmod 777 {secret}; chown 0 {secret}; "
              "cat /etc/shadow; echo x > /proc/sys/kernel/hostname; kill -0 1 && echo killed")
    before = secret.stat().st_ctime_ns
    for options in (("--privileged",), ("--uid=0",)):
        run = sandlock("-r", "/usr", "-r", "/bin", "-r", "/lib", "-r", "?/lib64", "-w",
                       sandlock.work, "--isolate-signals", *options, cmd=["bash", "-c", script])
        assert run.out == "" and secret.stat().st_ctime_ns == before, str(run)


@pytest.mark.netns
def test_the_supervisor_serves_it(sandlock, outside, api):
    """Connections, requests, counting, signals: across the namespace as without one."""
    good = outside.witness(netns.PUBLIC[5], 7300)
    script = ("import errno,os,socket,urllib.request\n"
              "print(os.getuid(), urllib.request.urlopen('https://api.test/x').status)\n"
              "socket.create_connection(('%s', 7300)).send(b'x')\n"
              "try: socket.create_connection(('%s', 7301))\n"
              "except OSError as e: print(errno.errorcode[e.errno])\n"
              "p=os.fork()\n"
              "if p == 0: os.execvp('sleep', ['sleep', '1000'])\n"
              "os.kill(p, 9); print(os.waitpid(p, 0)[1])\n" % (netns.PUBLIC[5], netns.PUBLIC[5]))
    run = sandlock(*api.options, "--http-allow=GET api.test/*",
                   f"--net-allow={netns.PUBLIC[5]}:7300", "--uid=1234", "--isolate-signals",
                   cmd=["python3", "-c", script]).ok()
    assert run.out.split() == ["1234", "200", "ECONNREFUSED", "9"], str(run)
    assert good.received() == [b"x"]


def capabilities(pid):
    """Of every thread: permitted, effective, bounding and what else there is, as one number."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("Cap"):
                found |= int(line.split()[1], 16) if not line.startswith("CapBnd") else 0
    return found


@pytest.mark.parametrize("options", [("--uid=1234",), ("--privileged",),
                                     ("--uid=1234", "--http-allow=GET api.test/*")])
def test_nobody_keeps_a_capability(sandlock, options):
    """Not the one that maps user 0 for root, either, once the command runs; and all of it ends with
    the engine."""
    running = sandlock.start(*options, audit=False, stdin=-1,
                             cmd=["bash", "-c", "echo up; read x"])
    assert running.line() == "up\n"
    with_gateway = "--http-allow=GET api.test/*" in options
    roles = roles_with_gateway(running) if with_gateway else Roles(running.pid)
    everybody = [p for p in (roles.guardian, roles.engine, roles.gateway, roles.child) if p]
    assert capabilities(roles.child) == 0
    wait_until("nobody's capabilities",  # guardian and engine are a step behind the command
               lambda: not any(capabilities(pid) for pid in everybody), running.process)
    os.kill(roles.engine, signal.SIGKILL)
    assert wait_gone(everybody, TIMEOUT)
    assert running.finish().rc == 125


def test_a_server_that_refuses_to_be_root(sandlock):
    """initdb, which looks at its user, at the owner of its directory, and changes its mode."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        pytest.skip("postgresql is not installed")
    initdb = [found[-1], "-D", "db", "-U", "x", "-A", "trust", "--no-sync", "--no-instructions"]
    options = ("-r", "/", "-w", sandlock.work)
    env = {"LC_ALL": "C"}
    run = sandlock(*options, "--privileged", cmd=initdb, env=env)
    assert run.rc == 1 and "cannot be run as root" in run.err, str(run)
    sandlock(*options, "--uid=65534", cmd=initdb, env=env).ok()
    made = (sandlock.work / "db").stat()
    assert made.st_uid == os.geteuid() and made.st_mode & 0o777 == 0o700


def test_no_namespace_is_a_clear_error(sandlock):
    """Where the limit is used up, one line says what was wanted and who may forbid it."""
    wrap = ["unshare", "-r", "sh", "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True, timeout=TIMEOUT).returncode != 0:
        pytest.skip("a namespace's own limit cannot be set here")
    control = sandlock(cmd=["touch", "ran"], wrap=wrap, audit=False)
    assert control.rc == 0 and (sandlock.work / "ran").exists(), str(control)
    (sandlock.work / "ran").unlink()
    for more in ((), ("--no-supervisor",)):
        run = sandlock("--uid=3", *more, cmd=["touch", "ran"], wrap=wrap, audit=False)
        assert run.rc == 125 and "cannot make a user namespace" in run.err, str(run)
        assert len(run.err.splitlines()) == 1 and not (sandlock.work / "ran").exists()


@pytest.mark.parametrize("options, words", [
    (["--uid=-1"], "--uid: '-1': expected a number"), (["--gid=root"], "--gid: 'root'"),
    (["--uid=4294967295"], "--uid: '4294967295'"),
    (["--privileged", "--uid=5"], "--privileged is given beside --uid"),
    (["--privileged", "--gid=5"], "--privileged is given beside --gid"),
])
def test_bad_identities(sandlock, options, words):
    run = sandlock(*options, cmd=["true"])
    assert run.rc == 2 and words in run.err and len(run.err.splitlines()) == 1, str(run)
