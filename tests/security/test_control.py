"""SUP-08 and SUP-09 at the control socket: who may command a run, and what is shown of one."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys

import pytest
from harness import paths
from harness.sandbox import clean_environment
from harness.waiting import TIMEOUT, read_line, wait_until

SLEEP = ["sh", "-c", "echo up; exec sleep 1000"]
CONTROL_BYTES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")


def say(box, *words, **kw):
    return subprocess.run([str(paths.SANDLOCK), *map(str, words)], cwd=box.work, timeout=TIMEOUT,
                          capture_output=True, stdin=subprocess.DEVNULL,
                          env=clean_environment(box.home), **kw)


def ps(box):
    done = say(box, "ps", "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def control(box):
    return box.home / ".cache/sandlock/control"


def sockets_of(box, run):
    return wait_until("the control socket", lambda: list(control(box).glob(f"{run.pid}-*")),
                      run.process)


def victim(box, *options, cmd=SLEEP):
    """A run that must not be touched, and its socket (no longer than a name of sockets may be)."""
    run = box.start("--name=victim", *options, cmd=cmd, audit=False)
    assert run.line() == "up\n"
    found = sockets_of(box, run)
    link = box.tmp / "s"
    link.unlink(missing_ok=True)
    link.symlink_to(found[0])
    return run, link


def end(run):
    os.kill(run.pid, signal.SIGTERM)
    assert run.finish().rc == 143


def answers(run):
    return dict(line.split(" ", 1) for line in run.out.splitlines())


# The last: kernel rules alone, and nobody of ours beside them.
CONFINED = [(), ("-r", "/", "-w", "/tmp"), ("--net-allow=",), ("--http-allow=GET a.test/",),
            ("--no-supervisor",)]


@pytest.mark.parametrize("options", CONFINED)
def test_SUP_08_from_inside(sandlock, attack, options):
    """Another run's socket and one's own, by every request: none is answered, and nothing happens.
    The same program outside is answered; the last request it makes kills."""
    run, link = victim(sandlock)
    knock = attack("control")
    plain = "--no-supervisor" in options
    inside = sandlock(*options, cmd=[knock, link], audit=False, status=not plain).ok()
    assert set(answers(inside)) == {"1", "2", "3"}
    assert "answered" not in answers(inside).values(), str(inside)
    ps_inside = sandlock(*options, cmd=[paths.SANDLOCK, "kill", "victim"], audit=False,
                         status=not plain)
    assert ps_inside.rc == 1, str(ps_inside)
    assert [r["name"] for r in ps(sandlock)] == ["victim"] and run.process.poll() is None
    outside = sandlock.bare([knock, link])
    assert answers(outside) == {"1": "answered", "2": "answered", "3": "answered"}, str(outside)
    assert run.finish().rc == 137


def test_SUP_08_even_with_a_grant_over_the_place(sandlock, attack):
    """A sandbox that may write where another's socket is still commands nobody."""
    run, link = victim(sandlock)
    inside = sandlock("-r", "/", "-w", sandlock.home, cmd=[attack("control"), link],
                      audit=False).ok()
    assert "answered" not in answers(inside).values(), str(inside)
    assert [r["name"] for r in ps(sandlock)] == ["victim"]
    end(run)


def test_SUP_08_its_own_run(sandlock, attack):
    """The first process, and one that is born of it and outlives its parent."""
    script = ("import glob,os,subprocess,sys\nprint('up',flush=True);sys.stdin.readline()\n"
              "p=sys.argv[2]\n"
              "r,w=os.pipe()\n"
              "if os.fork()==0:\n"
              " if os.fork()==0:\n"
              "  os.close(r)\n"
              "  os.setsid()\n"
              "  print(subprocess.run([sys.argv[1],p],capture_output=True,text=True).stdout,"
              "end='',flush=True)\n"
              " os._exit(0)\n"
              "os.close(w);os.wait();os.read(r,1)\n"
              "print(subprocess.run([sys.argv[1],p],capture_output=True,text=True).stdout,end='')\n")
    link = sandlock.tmp / "s"
    run = sandlock.start("-P", "0", cmd=[sys.executable, "-c", script, attack("control"), link],
                         stdin=-1, audit=False)
    assert run.line() == "up\n"
    link.symlink_to(sockets_of(sandlock, run)[0])
    result = run.finish(data=b"\n").ok()
    lines = result.out.splitlines()
    assert len(lines) == 6 and not any("answered" in line for line in lines), str(result)


def test_SUP_08_closed_to_others(sandlock):
    """0600 in 0700, and the directory's own mode is put right where it was wider."""
    run, link = victim(sandlock)
    path = link.resolve()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_ISSOCK(path.stat().st_mode)
    for directory in (control(sandlock), control(sandlock).parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    end(run)
    control(sandlock).chmod(0o777)
    old = os.umask(0)
    try:
        run, link = victim(sandlock)
    finally:
        os.umask(old)
    assert stat.S_IMODE(control(sandlock).stat().st_mode) == 0o700
    assert stat.S_IMODE(link.resolve().stat().st_mode) == 0o600
    end(run)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
def test_SUP_08_another_user(sandlock, attack, request):
    """With every mode open, the peer's user id still decides."""
    run, link = victim(sandlock)
    opened = [link.resolve(), *list(link.resolve().parents)[:4]]
    modes = [p.stat().st_mode for p in opened]
    knock = request.config._sandlock_dir / "knock"
    shutil.copy(attack("control"), knock)
    knock.chmod(0o755)
    for p in opened:
        p.chmod(0o777)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(knock),
             os.path.relpath(link.resolve(), opened[2])]
    done = subprocess.run(words, cwd=opened[2], capture_output=True, text=True, timeout=TIMEOUT)
    for p, mode in zip(opened, modes):
        p.chmod(stat.S_IMODE(mode))
    assert len(done.stdout.splitlines()) == 3 and "answered" not in done.stdout, done
    assert "Permission" not in done.stdout and "No such" not in done.stdout, "it got that far"
    assert [r["name"] for r in ps(sandlock)] == ["victim"]
    end(run)


NAMES = ["../../../etc/passwd", "a/b", "/", "..", ".", ".hidden", "\x1b[31m", "a\nb", "a b", "ä",
         "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_SUP_08_names(sandlock, name):
    """Refused when a run is named, and when one is asked for; one line that a terminal may show."""
    words = [("kill", name), ("inspect", name), ("run", f"--name={name}", "--", "touch", "ran")]
    for word in words:
        done = say(sandlock, *word)
        text = done.stderr.decode()
        assert done.returncode == 2 and done.stdout == b"", done
        assert text.count("\n") == 1 and not CONTROL_BYTES.search(text), repr(text)
    assert not (sandlock.work / "ran").exists() and not control(sandlock).exists()


def test_SUP_08_a_name_ends_at_nul(sandlock):
    """No word of a command line holds one; a directory entry does not either. What a request holds
    behind its one struct is not read."""
    run, link = victim(sandlock)
    with pytest.raises(ValueError):
        say(sandlock, "kill", "vic\0tim")
    assert [r["name"] for r in ps(sandlock)] == ["victim"]
    end(run)


ODD = ["\x1b]0;owned\x07", "a\nvictim  1  running", "\x9b31m", "\xc2\x9b31m", "\r\x1b[2K", "\u202e",
       "'; rm -rf ~"]


def test_SUP_09_names_and_words_that_ps_shows(sandlock):
    """Escape sequences and newlines in the program's name and its arguments: one run one line."""
    program = sandlock.work / "na\nme\x1b[31m'"
    program.write_text("#!/bin/sh\necho up\nexec sleep 1000\n")
    program.chmod(0o755)
    words = [w.encode("utf-8", "surrogateescape") if "\x9b" not in w[:1] else w.encode("latin-1")
             for w in ODD]
    run = subprocess.Popen([str(paths.SANDLOCK).encode(), b"run", b"--env=E=\x1b[31m\xc2\x9bx\ny",
                            b"--", str(program).encode(), *words], cwd=sandlock.work,
                           env=clean_environment(sandlock.home), stdout=subprocess.PIPE)
    assert read_line(run.stdout) == b"up\n"
    rows = wait_until("the run in ps", lambda: ps(sandlock), run)
    assert len(rows) == 1 and rows[0]["command"][2] == "a\nvictim  1  running"
    name = rows[0]["name"]
    assert re.fullmatch(r"na_me__31m_-\d+", name), name
    for word in (("ps",), ("inspect", name)):
        shown = say(sandlock, *word).stdout.decode()
        assert not CONTROL_BYTES.search(shown), repr(shown)
        assert "owned" in shown and "\\x1b" in shown
        lines = [line for line in shown.splitlines() if "running" in line]
        assert len(lines) == (1 if word == ("ps",) else 2), shown  # state, and the command's words
    for word in (("ps", "--json"), ("inspect", "--json", name)):
        told = say(sandlock, *word).stdout
        assert told.isascii() and not CONTROL_BYTES.search(told.decode())
        json.loads(told)
    assert say(sandlock, "kill", name).returncode == 0
    assert run.wait(TIMEOUT) == 143
    run.stdout.close()


def test_SUP_09_an_answer_that_lies(sandlock):
    """Whoever could put a socket there (nobody confined) still cannot act on the terminal, nor keep
    `ps` waiting, nor fill its memory."""
    import socket
    import threading
    assert sandlock(cmd=["true"], audit=False).rc == 0
    lies = [b'{"name":"\\u001b[31mx\\ny","state":"\\u0007","started":"\\u009b","pid":1,"guardian":2,'
            b'"command":["\\u001b"]}', b"no json", b'{"name":1}', b"[" * 100000, b'{"name":"x"}\0x']
    directory = control(sandlock)
    directory.mkdir(exist_ok=True)
    name = directory / f"{os.getpid()}-0123456789abcdef"
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(directory)
        server.bind(name.name)
        os.chdir(here)
        server.listen(8)

        def serve():
            for lie in lies:
                peer, _ = server.accept()
                with peer:
                    peer.recv(16)
                    peer.sendall(lie)
        thread = threading.Thread(target=serve)
        thread.start()
        for _ in lies:
            shown = say(sandlock, "ps").stdout.decode()
            assert not CONTROL_BYTES.search(shown) and shown.count("\n") == 2, repr(shown)
        thread.join(TIMEOUT)
    name.unlink()
