"""Sandboxes in sandboxes: sandlock inside itself (PROC-18), inside bubblewrap, inside a container
under a profile like the usual one. Each works, with no more rights, or says why not."""

import json
import os
import shutil
import subprocess

import pytest
from harness import paths
from harness.waiting import TIMEOUT

SANDLOCK = paths.SANDLOCK

WRITE = 'for f in "$@"; do if echo x 2>/dev/null > "$f"; then echo ok; else echo no; fi; done'
CONNECT = ("import errno,socket\n"
           "try: socket.create_connection(('127.0.0.1',1),5)\n"
           "except OSError as e: print(errno.errorcode[e.errno])\n"
           "try: socket.create_connection(('127.0.0.2',1),5)\n"
           "except OSError as e: print(errno.errorcode[e.errno])\n")


def places(sandlock):
    """Two directories in the write grant of the outer sandbox, and one outside."""
    made = [sandlock.work / "a", sandlock.work / "b", sandlock.home / "c"]
    for path in made:
        path.mkdir()
    return made


def test_PROC_18_a_second_supervisor_is_refused(sandlock):
    """The kernel takes one listener for each process: the inner one says so and runs nothing."""
    inner = [SANDLOCK, "run", "-r", "/", "-w", sandlock.work, "--", "touch", "ran"]
    assert sandlock.bare(inner).ok() and (sandlock.work / "ran").exists()
    (sandlock.work / "ran").unlink()
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=inner)
    assert run.rc == 125 and "--no-supervisor" in run.err, str(run)
    assert len(run.err.splitlines()) == 1 and not (sandlock.work / "ran").exists()


@pytest.mark.parametrize("outer", [(), ("--net-allow=192.0.2.1:443",), ("--no-supervisor",)])
def test_PROC_18_the_inner_one_has_fewer_rights(sandlock, outer):
    """Kernel rules alone stack: what is allowed is what both allow."""
    a, b, c = places(sandlock)
    targets = [path / "file" for path in (a, b, c)]
    plain = ["bash", "-c", WRITE, "bash", *targets]
    options = ("-r", "/", "-w", sandlock.work, *outer)
    extra = {"audit": False, "status": False}
    assert sandlock(*options, cmd=plain, **extra).ok().out == "ok\nok\nno\n"
    inner = [SANDLOCK, "run", "--no-supervisor", "-r", "/", "-w", a, "-w", c, "--"]
    assert sandlock.bare([*inner, *plain]).ok().out == "ok\nno\nok\n"
    assert sandlock(*options, cmd=[*inner, *plain], **extra).ok().out == "ok\nno\nno\n"
    third = [SANDLOCK, "run", "--no-supervisor", "-r", "/", "-w", b, "--"]
    assert sandlock(*options, cmd=[*inner, *third, *plain], **extra).ok().out == "no\nno\nno\n"


def test_PROC_18_a_supervisor_inside_kernel_rules_alone(sandlock):
    """--no-supervisor outside leaves the listener to the inner one, whose rules then hold."""
    run = sandlock("--no-supervisor", "-r", "/", "-w", sandlock.work, "-w", "?/run", audit=False,
                   status=False, cmd=[SANDLOCK, "run", "--net-allow=127.0.0.1:1", "--", "python3",
                                      "-c", CONNECT])
    assert run.rc == 0 and run.out.split() == ["ECONNREFUSED", "ECONNREFUSED"], str(run)
    assert "127.0.0.2" in run.err and "127.0.0.1:1'" not in run.err, str(run)


PAIR = ("import errno,socket\n"
        "try: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "except OSError as e: print(errno.errorcode[e.errno])\n")


@pytest.mark.parametrize("option", ["--hostname=inner", "--isolate-pids", "--port-remap",
                                    "--net-allow-host=a.test", "--deterministic-dirs"])
def test_PROC_18_answers_in_memory_inside_kernel_rules_alone(sandlock, option):
    """Writing in /proc is not granted there: what is answered in the command's memory is, by the other
    way, or the start is refused where that is, too."""
    inner = [SANDLOCK, "run", "-r", "/", option, "--", "sh", "-c", "uname -n; stat -c %n /; ls / >&2"]
    name = "inner" if "hostname" in option else os.uname().nodename
    control = sandlock.bare(inner).ok()
    assert control.out == f"{name}\n/\n", str(control)
    outer = ("--no-supervisor", "-r", "/", "-w", sandlock.work, "-w", "?/run", "-w", "/tmp")
    extra = {"audit": False, "status": False}
    run = sandlock(*outer, "--allow-debug", cmd=inner, **extra)
    assert run.rc == 0 and run.out == control.out, str(run)
    run = sandlock(*outer, cmd=inner, **extra)
    assert run.rc == 125 and run.out == "" and "memory" in run.err, str(run)
    assert run.err.count("\n") == 1, str(run)


def test_PROC_18_what_cannot_be_answered_there_is_refused(sandlock):
    """Rules that answer in nobody's memory do start; the few calls that would are refused, not broken."""
    inner = [SANDLOCK, "run", "-r", "/", "--", "python3", "-c", PAIR]
    assert sandlock.bare(inner).ok().out == ""
    outer = ("--no-supervisor", "-r", "/", "-w", sandlock.work, "-w", "?/run", "-w", "/tmp")
    run = sandlock(*outer, cmd=inner, audit=False, status=False).ok()
    assert run.out == "EACCES\n", str(run)


def test_PROC_18_check_tells_what_the_start_would(sandlock):
    def told(*outer):
        done = sandlock(*outer, cmd=[SANDLOCK, "check", "--json"], audit=False, status=False)
        rows = {r["name"]: r["works"] for r in json.loads(done.out)["features"]}
        return rows["memory"], rows["write_memory"]
    outer = ("--no-supervisor", "-r", "/", "-w", sandlock.work)
    assert told("-r", "/", "-w", "/", "--no-supervisor") == (True, True)
    assert told(*outer, "--allow-debug") == (True, True)
    assert told(*outer) == (True, False)


def test_PROC_18_a_proc_that_is_not_granted(sandlock):
    """The outer sandbox shows nothing of /proc: 125 and the cause, where calls failed at random."""
    inner = [SANDLOCK, "run", "-r", "/usr", "--", "true"]
    shown = [f for f in ("/usr", "/etc", "/bin", "/lib", "/lib64", "/sbin") if os.path.exists(f)]
    outer = [w for d in (*shown, SANDLOCK.parent) for w in ("-r", d)]
    extra = {"audit": False, "status": False}
    assert sandlock("--no-supervisor", *outer, "-r", "/proc", cmd=inner, **extra).ok()
    run = sandlock("--no-supervisor", *outer, cmd=inner, **extra)
    assert "/proc cannot be read" in run.err, str(run)
    # a sanitizer reads its options in /proc: there it looks for leaks, in vain, and says 1
    assert run.rc == 125 or (run.rc == 1 and "LeakSanitizer" in run.err), str(run)


@pytest.mark.parametrize("option", ["--net-allow=", "--http-allow=GET api.test/*", "--timeout=5"])
def test_PROC_18_rules_that_need_a_supervisor(sandlock, option):
    inner = [SANDLOCK, "run", "--no-supervisor", option, "--", "true"]
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=inner)
    assert run.rc == 2 and "--no-supervisor cannot be had with" in run.err, str(run)


# ---- bubblewrap ----

BWRAP = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--die-with-parent"]


def needs_bwrap(*more):
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    done = subprocess.run([*BWRAP, *more, "true"], capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        pytest.skip(f"bubblewrap does not work here: {done.stderr.strip()}")


@pytest.mark.parametrize("more", [(), ("--unshare-pid", "--unshare-ipc", "--unshare-uts"),
                                  ("--unshare-user", "--unshare-pid"), ("--new-session",)])
def test_inside_bubblewrap(sandlock, more):
    needs_bwrap(*more)
    a, b, c = places(sandlock)
    targets = [path / "file" for path in (a, b, c)]
    wrap = [*BWRAP, *more]
    run = sandlock("-r", "/", "-w", a, wrap=wrap, audit=False,
                   cmd=["bash", "-c", WRITE, "bash", *targets]).ok()
    assert run.out == "ok\nno\nno\n", str(run)
    run = sandlock("--net-allow=127.0.0.1:1", wrap=wrap, audit=False,
                   cmd=["python3", "-c", CONNECT]).ok()
    assert run.out.split() == ["ECONNREFUSED"] * 2 and "127.0.0.2" in run.err, str(run)


def test_bubblewrap_inside_is_refused_its_namespaces(sandlock):
    needs_bwrap()
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=[*BWRAP, "touch", sandlock.work / "ran"])
    assert run.rc != 0 and not (sandlock.work / "ran").exists(), str(run)


# ---- containers ----

# What the usual profiles of container engines refuse to a container without added capabilities.
USUAL = ["acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "delete_module",
         "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
         "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp",
         "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount",
         "mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at",
         "open_tree", "perf_event_open", "pivot_root", "process_madvise", "quotactl", "reboot",
         "request_key", "set_mempolicy", "setns", "settimeofday", "swapoff", "swapon", "syslog",
         "umount2", "unshare", "userfaultfd", "vhangup"]
CAPS = [f"CAP_{c}" for c in ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "NET_RAW", "SETGID",
                             "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "KILL")]


def container(sandlock, refused, args, uid=0):
    """Runs `args` in a container of its own; skips where none can be made."""
    engine = shutil.which("runc") or shutil.which("crun")
    if engine is None:
        pytest.skip("neither runc nor crun is installed")
    if os.geteuid() != 0:
        pytest.skip("containers without root need delegated cgroups")
    top = sandlock.tmp / "bundle"
    (top / "rootfs").mkdir(parents=True, exist_ok=True)
    shared = ["/usr", "/etc", "/bin", "/lib", "/lib64", "/var", "/dev/null", "/dev/zero",
              "/dev/urandom", str(SANDLOCK.parent)]
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
              {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]
    mounts += [{"destination": p, "source": p, "type": "bind", "options": ["rbind", "rw"]}
               for p in [*shared, str(sandlock.work)] if os.path.exists(p)]
    config = {
        "ociVersion": "1.0.0", "root": {"path": "rootfs"}, "mounts": mounts,
        "process": {"user": {"uid": uid, "gid": uid}, "cwd": str(sandlock.work),
                    "args": [str(a) for a in args], "noNewPrivileges": False,
                    "env": ["PATH=/usr/bin:/bin", "HOME=/tmp", *(
                        [f"ASAN_OPTIONS={os.environ['ASAN_OPTIONS']}"]
                        if "ASAN_OPTIONS" in os.environ else [])],
                    "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")}},
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts")],
                  "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                      {"names": refused, "action": "SCMP_ACT_ERRNO"},
                      {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}}}

    def run(words):
        config["process"]["args"] = [str(w) for w in words]
        (top / "config.json").write_text(json.dumps(config))
        name = f"sandlock-test-{os.getpid()}-{os.urandom(4).hex()}"
        return subprocess.run([engine, "run", "--bundle", str(top), name], capture_output=True,
                              text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)

    plain = run(["true"])
    if plain.returncode != 0:
        pytest.skip(f"no container can be made here: {(plain.stdout + plain.stderr).strip()}")
    return run(args)


@pytest.mark.parametrize("uid", [0, 65534])
def test_inside_a_container(sandlock, uid):
    a, b, c = places(sandlock)
    for path in (a, b):
        path.chmod(0o777)
    targets = [path / "file" for path in (a, b)]
    done = container(sandlock, USUAL, [SANDLOCK, "run", "-r", "/", "-w", a, "--", "bash", "-c",
                                       WRITE, "bash", *targets], uid)
    assert done.returncode == 0 and done.stdout == "ok\nno\n", done
    done = container(sandlock, USUAL, [SANDLOCK, "run", "-r", "/", "--net-allow=127.0.0.1:1", "--",
                                       "/usr/bin/python3", "-c", CONNECT], uid)
    assert done.stdout.split() == ["ECONNREFUSED"] * 2 and "127.0.0.2" in done.stderr, done


@pytest.mark.parametrize("uid", [0, 65534])
def test_inside_a_container_without_pidfd_getfd(sandlock, uid):
    """The usual profiles refuse it to whom they do not let trace everybody: nothing is lost."""
    a, b, c = places(sandlock)
    for path in (a, b):
        path.chmod(0o777)
    targets = [path / "file" for path in (a, b)]
    refused = [*USUAL, "pidfd_getfd"]
    done = container(sandlock, refused, [SANDLOCK, "run", "-r", "/", "-w", a, "--", "bash", "-c",
                                         WRITE, "bash", *targets], uid)
    assert done.returncode == 0 and done.stdout == "ok\nno\n", done
    done = container(sandlock, refused, [SANDLOCK, "run", "-r", "/", "--net-allow=127.0.0.1:1", "--",
                                         "/usr/bin/python3", "-c", CONNECT], uid)
    assert done.stdout.split() == ["ECONNREFUSED"] * 2 and "127.0.0.2" in done.stderr, done
    assert "127.0.0.1:1'" not in done.stderr, done


def test_inside_a_container_that_takes_what_the_supervisor_needs(sandlock):
    """Where a profile refuses more it is named, and kernel rules alone still work."""
    a, b, c = places(sandlock)
    targets = [path / "file" for path in (a, b)]
    words = ["bash", "-c", WRITE, "bash", *targets]
    refused = [*USUAL, "pidfd_open"]
    done = container(sandlock, refused, [SANDLOCK, "run", "-r", "/", "-w", a, "--", *words])
    assert done.returncode == 125 and "pidfd_open(2) is refused" in done.stderr, done
    assert not targets[0].exists()
    done = container(sandlock, refused, [SANDLOCK, "run", "--no-supervisor", "-r", "/", "-w", a,
                                         "--", *words])
    assert done.returncode == 0 and done.stdout == "ok\nno\n", done
