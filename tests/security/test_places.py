"""Places: where a container's profile refuses pidfd_getfd the tree's sockets are made for it, and
nobody may notice (NET-29); and a /proc that is not this system's own (SUP-10). CMake runs the tests
of the network once more in such a place."""

import errno
import os
import shutil
import socket
import subprocess

import pytest

from harness import build, netns, paths, places
from harness.waiting import TIMEOUT, wait_until

GOOD, BAD = netns.PUBLIC[0], netns.PUBLIC[1]
PORT = 7000
ROUNDS_OF_A_CHAIN = 40000
RULES = [f"--net-allow={GOOD}:{PORT}"]


def steps(run):
    return [tuple(line.split()) for line in run.out.splitlines()]


@pytest.fixture(params=["here", "contained"])
def box(request, sandlock):
    """The sandbox here, and as in a container."""
    sandlock.place = places.contained() if request.param == "contained" else []
    return sandlock


@pytest.mark.netns
def test_NET_29_a_close_is_heard(box, outside, attack):
    """The peer sees the end while the command lives on."""
    witness = outside.witness(GOOD, PORT)
    running = box.start(*RULES, stdin=subprocess.PIPE, cmd=[attack("places"), "closes", GOOD, PORT])
    for step in ("connect", "send", "close"):
        assert running.line() == f"{step} ok\n"
    wait_until("the end of the connection", lambda: witness.received() == [b"x"], running.process)
    assert running.process.poll() is None, "it must not be its end that is heard"
    running.finish(data=b"").ok()


@pytest.mark.netns
def test_NET_29_a_closed_port_is_free(box, attack, free_port):
    run = box(*RULES, cmd=[attack("places"), "rebinds", free_port]).ok()
    assert {result for _, result in steps(run)} == {"ok"} and len(steps(run)) == 7, str(run)


@pytest.mark.netns
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_NET_29_inherited_sockets(box, outside, attack, kind):
    """Whoever made it: nothing is sent to an address that was not judged."""
    witness = outside.witness(BAD, PORT, kind=kind)
    words = [attack("places"), "fd_sends", BAD, PORT]
    with socket.socket(socket.AF_INET, kind) as s:
        done = subprocess.run([str(w) for w in words], stdin=s, capture_output=True, text=True,
                              timeout=TIMEOUT)
        assert "connect ok" in done.stdout, done
    wait_until("the witness", witness.received)
    before = len(witness.received())
    with socket.socket(socket.AF_INET, kind) as s:
        run = box.start(*RULES, stdin=s, cmd=words).finish()
    for name, result in steps(run):
        # a datagram connect of a socket that was fetched may go to the sink (getaddrinfo's)
        sink = name == "connect" and kind == socket.SOCK_DGRAM and not box.place
        assert result != "ok" or sink, str(run)
    assert len(witness.received()) == before


@pytest.mark.netns
@pytest.mark.parametrize("options", [RULES, ["--port-remap"],
                                     ["--http-allow=GET api.test/*"]])
def test_NET_29_accepted_sockets(box, attack, options):
    """They are the caller's own, beside other threads too, and their end is heard at once."""
    words = [attack("places"), "accepted"]
    expected = [("listen", "ok"), ("connect", "ok"), ("sendmsg", "ok"), ("end", "ok")]
    assert steps(box.bare(words).ok()) == expected
    assert steps(box(*options, cmd=words).ok()) == expected


@pytest.mark.netns
def test_NET_29_pairs_with_an_address(box, outside, attack, tmp_path):
    path = str(tmp_path / "s")
    witness = outside.witness(kind=socket.SOCK_DGRAM, path=path)
    words = [attack("places"), "pairs", path]
    box.bare(words).ok()
    wait_until("datagrams bare", lambda: len(witness.received()) == 4)
    run = box("-r", "/", *RULES, cmd=words).ok()
    assert len(witness.received()) == 4, str(run)


@pytest.mark.netns
@pytest.mark.parametrize("verb", ["dup", "local", "table"])
def test_NET_29_a_number_that_changes_hands(box, outside, attack, verb):
    """dup2 puts another socket in the place of the one that was looked at."""
    first = GOOD if verb == "dup" else BAD  # granted for TCP alone; granted not at all
    witness = outside.witness(first, PORT, kind=socket.SOCK_DGRAM)
    outside.witness(GOOD, PORT)
    words = [attack("net_race"), verb, 100000, first, PORT, GOOD, PORT]
    assert int(steps(box.bare(words).ok())[-1][1]) > 0
    before = len(witness.received())
    assert before > 0, "the race is never lost, even bare"
    run = box(f"--net-allow=tcp://{GOOD}:{PORT}", cmd=words, audit=False).ok()
    assert verb == "dup" or int(steps(run)[-1][1]) > 0, "what may be sent is: " + str(run)
    assert len(witness.received()) == before


@pytest.mark.netns
def test_NET_29_threads_that_no_list_shows(box, outside, attack):
    """The kernel ends a list of threads where one ends meanwhile: it is not believed alone."""
    witness = outside.witness(BAD, PORT, kind=socket.SOCK_DGRAM)
    words = [attack("net_race"), "chain", ROUNDS_OF_A_CHAIN, BAD, PORT, GOOD, PORT]
    box.bare(words).ok()
    before = len(witness.received())
    assert before > 0, "the race is never lost, even bare"
    run = box(*RULES, cmd=words, audit=False).ok()
    assert int(steps(run)[-1][1]) > 0, "what may be sent is: " + str(run)
    assert len(witness.received()) == before


def test_NET_29_a_watch_whose_name_changes(box, attack):
    """The kernel writes for whom it is held, too: events of aio come into memory."""
    opened, secret = box.work / "open", box.work / "secret"
    opened.mkdir()
    secret.mkdir()
    words = [attack("places"), "lays", 5000, opened, secret]
    assert steps(box.bare(words).ok()) == [("strangers", "1")]
    run = box("-r", "/", "--fs-deny", secret, cmd=words, audit=False)
    assert steps(run) in ([], [("strangers", "0")]), str(run)


@pytest.mark.netns
def test_NET_29_more_sockets_than_are_kept(sandlock, attack):
    """A bounded table: a socket more is an error, and what is closed makes room."""
    sandlock.place = places.contained()
    run = sandlock(*RULES, cmd=["sh", "-c", 'ulimit -n $(ulimit -H -n); exec "$@"', "sh",
                                attack("places"), "floods", 20000]).ok()
    found = dict(steps(run))
    assert int(found["made"]) <= 16384 and found["socket"] == "ok", str(run)
    assert found["connect"] == "ECONNREFUSED", str(run)


@pytest.mark.netns
def test_NET_29_sockets_in_flight(box, outside, attack):
    """A socket that lies in a message is in nobody's table, and is not closed."""
    witness = outside.witness(GOOD, PORT, kind=socket.SOCK_DGRAM)
    words = [attack("places"), "flies", GOOD, PORT]
    bare = steps(box.bare(words).ok())
    assert bare == [("pass", "ok"), ("bind", "ok"), ("sendto", "ok")] * 7
    run = box(*RULES, cmd=words).ok()
    assert steps(run) == bare, str(run)
    wait_until("all datagrams", lambda: len(witness.received()) == 14)


@pytest.mark.netns
@pytest.mark.parametrize("options", [[], ["--max-cpu=25"]])
def test_NET_29_a_watch_beside_threads_that_wait(box, attack, options):
    """For an answer of ours, for a child of vfork(2), or held still for max_cpu."""
    words = [attack("places"), "watches", 200]
    expected = [("send", "ok"), ("vfork", "ok"), ("clone", "ok"), ("bad", "0")]
    assert steps(box.bare(words).ok()) == expected
    assert steps(box(*RULES, *options, cmd=words).ok()) == expected


def test_NET_29_files_without_fetching(sandlock):
    """What acts on files does not need it either."""
    sandlock.place = places.contained()
    script = ("touch a; chmod 600 a; touch -d @1 a; mkdir d; touch d/c d/a d/b; ls -f d | tail -3;"
              "python3 -c 'import os; os.fchmod(os.open(\"a\",0),0o640);"
              "print(oct(os.stat(\"a\").st_mode), os.stat(\"a\").st_mtime)'; ls /proc | grep -c '^[0-9]'")
    run = sandlock("-r", "/", "-w", sandlock.work, "--isolate-pids", "--deterministic-dirs",
                   cmd=["bash", "-c", script]).ok()
    assert run.out.splitlines()[:4] == ["a", "b", "c", "0o100640 1.0"], str(run)
    assert 0 < int(run.out.splitlines()[4]) < 8, str(run)


def test_NET_29_check_tells_who_holds_it(sandlock):
    words = [*places.contained(), str(paths.SANDLOCK), "check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT)
    row = next(line for line in done.stdout.splitlines() if line.startswith("pidfd_getfd"))
    assert done.returncode == 0 and "supervisor" in row and "EPERM" in row, done


# ---- SUP-10 ----

def unshared(*flags):
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root, to make namespaces")
    return ["unshare", *flags, "--fork"]


def test_SUP_10_a_proc_of_another_namespace(sandlock):
    proof = sandlock.work / "ran"
    ok = sandlock("-r", "/", "-w", sandlock.work, cmd=["touch", proof], audit=False,
                  wrap=unshared("--pid", "--mount-proc"))
    assert ok.rc == 0 and proof.exists(), str(ok)
    proof.unlink()
    for options in ((), ("--net-allow=",), ("--http-allow=GET api.test/*",)):
        run = sandlock("-r", "/", "-w", sandlock.work, *options, cmd=["touch", proof], audit=False,
                       wrap=unshared("--pid"))
        assert run.rc == 125 and not proof.exists(), str(run)
        assert len(run.err.splitlines()) == 1 and "/proc" in run.err, str(run)
        assert "pid namespace" in run.err and "--mount-proc" in run.err, str(run)


def test_SUP_10_no_proc_at_all(sandlock):
    run = sandlock("-r", "/", cmd=["echo", "ran"], audit=False,
                   wrap=[*unshared("--mount"), "sh", "-c", 'umount -l /proc && exec "$@"', "sh"])
    assert run.out == "" and "/proc is not mounted" in run.err, str(run)
    # a sanitizer reads its options in /proc: there it looks for leaks, in vain, and says 1
    assert run.rc == 125 or (run.rc == 1 and "LeakSanitizer" in run.err), str(run)


@pytest.mark.parametrize("options", ["subset=pid", "hidepid=2", "subset=pid,hidepid=invisible"])
def test_SUP_10_a_proc_that_shows_less(sandlock, options):
    wrap = [*unshared("--mount", "--pid"), "sh", "-c",
            f'mount -t proc -o {options} proc /proc && exec "$@"', "sh"]
    run = sandlock("-r", "/", "--net-allow=192.0.2.1:1", "-w", sandlock.work, audit=False, wrap=wrap,
                   cmd=["sh", "-c", "touch x; chmod 600 x; echo ran"])
    assert run.rc == 0 and run.out == "ran\n", str(run)


@pytest.mark.parametrize("call,number", [("memfd_create", 319), ("pidfd_open", 434),
                                         ("seccomp", 317),
                                         ("landlock_create_ruleset", 444),
                                         ("landlock_restrict_self", 446)])
def test_SUP_10_a_refusal_is_not_a_missing_call(sandlock, call, number):
    """EPERM is somebody's word, ENOSYS the kernel's: neither is told as the other."""
    told = {}
    for error in (errno.EPERM, errno.ENOSYS):
        run = sandlock("-r", "/", cmd=["echo", "ran"],
                       wrap=[str(build.attack("without")), f"{error}@{number}"])
        assert run.rc == 125 and run.out == "" and len(run.err.splitlines()) == 1, str(run)
        assert call in run.err and errno.errorcode[error] in run.err, str(run)
        told[error] = run.err
    assert "profile" in told[errno.EPERM] and "too old" not in told[errno.EPERM]
    assert "kernel is too old" in told[errno.ENOSYS]
