"""Standard input and output through `sandlock run`: the command has the caller's own descriptors, so
that binary data, slow readers and closed ends are as without us."""

import hashlib
import os
import signal
import subprocess
import sys
import threading

import pytest
from harness import paths
from harness.sandbox import clean_environment
from harness.waiting import TIMEOUT, read_line

MIB = 1 << 20
POLICIES = [(), ("-r", "/", "-w", "/tmp", "--net-allow="), ("--http-allow=GET api.test/*",)]


def start(box, *options, cmd, **kw):
    words = [str(paths.SANDLOCK), "run", *options, "--", *map(str, cmd)]
    return subprocess.Popen(words, cwd=box.work, env=clean_environment(box.home), **kw)


def feed(pipe, data):
    def run():
        with pipe:
            for at in range(0, len(data), MIB):
                pipe.write(data[at:at + MIB])
    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("options", POLICIES)
def test_binary_data_in_and_out(sandlock, options):
    """64 MiB of every byte value, through a pipeline of two sandboxes."""
    data = os.urandom(MIB) + bytes(range(256)) * (63 * 4096)
    one = start(sandlock, *options, cmd=["cat"], stdin=-1, stdout=-1)
    two = start(sandlock, *options, cmd=["cat"], stdin=one.stdout, stdout=-1)
    one.stdout.close()
    thread = feed(one.stdin, data)
    got = two.stdout.read()
    thread.join(TIMEOUT)
    assert (one.wait(TIMEOUT), two.wait(TIMEOUT)) == (0, 0)
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    two.stdout.close()


@pytest.mark.parametrize("options", POLICIES)
def test_a_slow_reader_makes_the_writer_wait(sandlock, options):
    """The command sees the pipe full, as it would bare, and loses nothing."""
    script = ("import os,sys\nos.set_blocking(1,False);n=0\n"
              "try:\n while True: n+=os.write(1,bytes(4096))\n"
              "except BlockingIOError: print(n,file=sys.stderr,flush=True)\n"
              "os.set_blocking(1,True)\nfor i in range(64): os.write(1,bytes([i])*65536)\n")
    run = start(sandlock, *options, cmd=[sys.executable, "-c", script], stdout=-1, stderr=-1)
    full = int(read_line(run.stderr))
    assert 0 < full <= MIB
    got = b""
    while piece := os.read(run.stdout.fileno(), 777):
        got += piece
    assert got[full:] == b"".join(bytes([i]) * 65536 for i in range(64))
    assert run.wait(TIMEOUT) == 0
    for pipe in (run.stdout, run.stderr):
        pipe.close()


@pytest.mark.parametrize("options", POLICIES)
def test_a_reader_that_leaves(sandlock, options):
    """SIGPIPE for the command, 141 for the caller."""
    run = start(sandlock, *options, cmd=["yes"], stdout=-1)
    assert read_line(run.stdout) == b"y\n"
    run.stdout.close()
    assert run.wait(TIMEOUT) == 128 + signal.SIGPIPE


def test_a_command_that_ignores_sigpipe_gets_the_error(sandlock):
    script = ("import os,signal,sys,errno\nsignal.signal(signal.SIGPIPE,signal.SIG_IGN)\n"
              "os.write(1,b'up\\n')\nsys.stdin.readline()\n"
              "try: os.write(1,b'x')\nexcept OSError as e: sys.exit(40+(e.errno==errno.EPIPE))\n")
    run = start(sandlock, cmd=[sys.executable, "-c", script], stdin=-1, stdout=-1)
    assert read_line(run.stdout) == b"up\n"
    run.stdout.close()
    run.stdin.write(b"\n")
    run.stdin.close()
    assert run.wait(TIMEOUT) == 41


def test_exec_shell_with_binary_pipes(sandlock):
    """-e: one line of shell, with its pipeline, its exit code and the caller's descriptors."""
    data = bytes(range(256)) * 65536
    words = [str(paths.SANDLOCK), "run", "-P", "0", "-e", "cat | cat; echo err >&2; exit 7"]
    done = subprocess.run(words, input=data, capture_output=True, cwd=sandlock.work,
                          env=clean_environment(sandlock.home), timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"err\n")


@pytest.mark.parametrize("words,word", [(("-e",), "CMD"), (("-e", "true", "-e", "true"), "twice"),
                                        (("-e", "true", "--", "ls"), "'ls'")])
def test_exec_shell_takes_one_command(sandlock, words, word):
    done = subprocess.run([str(paths.SANDLOCK), "run", *words], capture_output=True, text=True,
                          cwd=sandlock.work, env=clean_environment(sandlock.home), timeout=TIMEOUT)
    assert done.returncode == 2 and word in done.stderr and done.stderr.count("\n") == 1, done


def test_exec_shell_empty_line(sandlock):
    done = subprocess.run([str(paths.SANDLOCK), "run", "-e", ""], capture_output=True,
                          cwd=sandlock.work, env=clean_environment(sandlock.home), timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (0, b""), done


# by their names, where they are files outside the grants: logs of a CI job, `< input`

BY_NAME = ("echo first > /dev/stderr; echo second | tee /dev/stdout >/dev/null; echo third >&2; "
           "wc -c /dev/stdin; wc -c < /proc/self/fd/0")
PROGRAMS = ("-r", "/usr", "-r", "?/lib", "-r", "?/lib64", "-r", "?/bin", "-r", "/etc", "-r", "/proc")


def with_files(box, *words, cmd, mode="wb"):
    """What the command leaves in the files that the caller's shell opened for it."""
    given, out, err = (box.home / name for name in ("in", "out", "err"))
    given.write_bytes(b"12345")
    with open(given, "rb") as i, open(out, mode) as o, open(err, mode) as e:
        done = subprocess.run([*map(str, words), *map(str, cmd)], cwd=box.work, stdin=i, stdout=o,
                              stderr=e, env=clean_environment(box.home), timeout=TIMEOUT)
    return done.returncode, out.read_bytes(), err.read_bytes()


@pytest.mark.parametrize("alone", [(), ("--no-supervisor",)])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_files_by_the_names_of_the_streams(sandlock, alone, mode):
    """Opened again with the access that the descriptor has: what they do bare, they do."""
    cmd = ["bash", "-c", BY_NAME]
    bare = with_files(sandlock, cmd=cmd, mode=mode)
    assert bare[0] == 0 and b"5 /dev/stdin" in bare[1] and b"third" in bare[2], bare
    for path in ("out", "err"):
        (sandlock.home / path).unlink()
    run = [paths.SANDLOCK, "run", *alone, *PROGRAMS, "--"]
    assert with_files(sandlock, *run, cmd=cmd, mode=mode) == bare


@pytest.mark.parametrize("alone", [(), ("--no-supervisor",)])
def test_a_stream_shows_no_more_than_its_descriptor(sandlock, alone):
    """A log is not read by who may only write it, nor is the input written; by no name of theirs."""
    out, given = sandlock.home / "out", sandlock.home / "in"
    script = ('for f in /dev/stdout /proc/self/fd/1 "$1"; do { true < "$f"; } 2>/dev/null && echo read; done; '
              'for f in /dev/stdin "$2"; do { echo x > "$f"; } 2>/dev/null && echo written; done; '
              'ls "${1%/*}" 2>/dev/null; cat "$2" >/dev/null && echo given; echo end')
    cmd = ["bash", "-c", script, "bash", out, given]
    code, told, _ = with_files(sandlock, cmd=cmd)
    assert code == 0 and told.count(b"read") == 3 and told.count(b"written") == 2, told
    run = [paths.SANDLOCK, "run", *alone, *PROGRAMS, "--"]
    code, told, _ = with_files(sandlock, *run, cmd=cmd)
    assert (code, told) == (0, b"given\nend\n") and given.read_bytes() == b"12345"


def test_a_denied_stream_stays_denied(sandlock):
    given = sandlock.home / "in"
    cmd = ["sh", "-c", "cat /dev/stdin || cat"]
    run = [paths.SANDLOCK, "run", *PROGRAMS, f"--fs-deny={given}", "--"]
    given.write_bytes(b"")
    code, told, err = with_files(sandlock, *run, cmd=cmd)
    assert (code, told) == (0, b"12345") and b"Permission denied" in err, err
    given.unlink()
    (sandlock.home / "in").symlink_to(sandlock.home / "other")
    run[-2] = f"--fs-deny={sandlock.home / 'other'}"
    (sandlock.home / "other").write_bytes(b"")
    code, told, err = with_files(sandlock, *run, cmd=cmd)
    assert (code, told) == (0, b"12345") and b"Permission denied" in err, err


def test_here_strings_of_the_caller_s_shell(sandlock):
    """Short ones are pipes, long ones files that are gone already."""
    words = " ".join([str(paths.SANDLOCK), "run", *PROGRAMS, "--", "wc", "-c", "/dev/stdin"])
    for size in (10, 100000):
        script = f'x=$(head -c {size} /dev/zero | tr "\\0" a); '
        for command in ("wc -c /dev/stdin", words):
            done = sandlock.bare(["bash", "-c", f'{script} {command} <<< "$x"']).ok()
            assert done.out == f"{size + 1} /dev/stdin\n", done


def test_a_named_fifo_by_the_name_of_the_stream(sandlock):
    fifo = sandlock.home / "fifo"
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDWR), "r+b", buffering=0) as end, \
            open(os.open(fifo, os.O_WRONLY), "wb", buffering=0) as out:
        done = subprocess.run([str(paths.SANDLOCK), "run", *PROGRAMS, "--", "sh", "-c",
                               "echo told > /dev/stdout; head -c 1 /dev/stdout"], stdout=out,
                              cwd=sandlock.work, env=clean_environment(sandlock.home),
                              capture_output=False, stderr=-1, timeout=TIMEOUT)
        assert end.read(5) == b"told\n" and b"Permission denied" in done.stderr, done
