"""Profiles: where they are looked for, what options do on top of them, the words `profile list`,
`show` and `delete`; and each shipped one with something real under it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib

import pytest

from harness import paths, pki
from harness.gitserver import GitServer
from harness.sandbox import clean_environment
from harness.waiting import TIMEOUT

SHIPPED = ("agent", "build", "ci", "offline", "read-only")


class Words:
    """`sandlock WORD...` as a user calls it, with a configuration directory of their own."""

    def __init__(self, box):
        self.box = box
        self.own = box.home / ".config" / "sandlock" / "profiles"
        self.env = clean_environment(box.home)

    def __call__(self, *words, program=paths.SANDLOCK, **env):
        return subprocess.run([str(program), *map(str, words)], cwd=self.box.work, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                              env={**self.env, **{k: str(v) for k, v in env.items()}})

    def put(self, name, text, folder=None):
        folder = folder or self.own
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
        return folder / f"{name}.toml"

    def policy(self, *words, **env):
        done = self("run", *words, "--print-policy", **env)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return tomllib.loads(done.stdout)

    def fails(self, code, *words, **env):
        """One line on standard error, and nothing ran."""
        proof = self.box.work / "ran"
        more = ["--", "touch", proof] if words[0] == "run" else []
        done = self(*words, *more, **env)
        assert done.returncode == code, (done.returncode, done.stderr)
        assert done.stderr.startswith("sandlock: ") and done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == "" and not proof.exists()
        return done.stderr


@pytest.fixture
def words(sandlock):
    return Words(sandlock)


# where they are

def test_names_are_looked_up_in_order(words, tmp_path):
    """$XDG_CONFIG_HOME, else ~/.config; then the shipped ones."""
    assert words.policy("-p", "offline")["net_allow"] == []
    words.put("offline", "max_processes = 1\n")
    assert words.policy("-p", "offline") == {"max_processes": 1}
    other = tmp_path / "xdg"
    assert words.policy("-p", "offline", XDG_CONFIG_HOME=other)["net_allow"] == []
    words.put("offline", "max_processes = 2\n", other / "sandlock" / "profiles")
    assert words.policy("--profile=offline", XDG_CONFIG_HOME=other) == {"max_processes": 2}
    # a relative one is not to be used (XDG base directories)
    assert words.policy("-p", "offline", XDG_CONFIG_HOME="xdg") == {"max_processes": 1}


def test_files(words):
    (words.box.work / "mine.toml").write_text("no_udp = true\n")
    (words.box.work / "mine").write_text("no_udp = true\n")
    for word in ("mine.toml", "./mine.toml", "./mine", words.box.work / "mine"):
        assert words.policy("-p", word) == {"no_udp": True}
    assert "'mine'" in words.fails(2, "run", "-p", "mine")


def test_a_copied_program_has_the_shipped_ones(words, tmp_path):
    program = tmp_path / "elsewhere"
    shutil.copy(paths.SANDLOCK, program)
    done = words("profile", "show", "agent", program=program)
    assert done.returncode == 0
    assert done.stdout == (paths.ROOT / "conf" / "profiles" / "agent.toml").read_text()


def test_unreadable_ones(words, tmp_path):
    fifo = tmp_path / "fifo.toml"
    os.mkfifo(fifo)
    assert "No such file" in words.fails(125, "run", "-p", "/no/such.toml")
    assert "no regular file" in words.fails(125, "run", "-p", fifo)
    assert "no regular file" in words.fails(125, "run", "-p", tmp_path)
    big = tmp_path / "big.toml"
    big.write_text("#" * (1 << 20) + "\n")
    assert "longer than" in words.fails(2, "run", "-p", big)
    big.write_text("#" * ((1 << 20) - 1) + "\n")
    assert words.policy("-p", big) == {}
    for name in ("..", ".hidden", "a b", "", "x" * 65):
        assert f"'{name}'" in words.fails(2, "run", "-p", name)
    assert "did you mean 'offline'" in words.fails(2, "run", "-p", "offlin")
    assert str(words.own) in words.fails(2, "run", "-p", "nothing-like-it")


def test_mistakes_have_line_and_column(words, tmp_path):
    file = tmp_path / "x.toml"
    file.write_text("no_udp = true\n\n  fs_writeable = ['.']\n")
    assert words.fails(2, "run", "-p", file) == \
        (f"sandlock: cannot read profile '{file}': line 3, column 3: unknown key 'fs_writeable'; "
         "did you mean 'fs_writable'?\n")
    own = words.put("mine", "timeout = true\n")
    assert f"'{own}': line 1, column 11: 'timeout': expected" in words.fails(2, "run", "-p", "mine")
    file.write_text("[[http.rule]]\nallow = 'POST a.test/v1'\nmax_requests = '60/min'\n")
    assert "'max_requests' narrows an http.rule" in words.fails(2, "run", "-p", file)
    file.write_text("net_allow = ['a.test:0']\n\x1b]0;x\x07")
    assert "\x1b" not in words.fails(2, "run", "-p", file)


# on top of them

def test_options_add_and_override_wherever_they_stand(words):
    words.put("one", "fs_readable = ['/usr']\nmax_processes = 1\nisolate_ipc = true\n"
                     "no_raw_sockets = false\n[env]\nA = '1'\nB = '1'\n")
    words.put("two", "fs_readable = ['/etc']\nmax_processes = 2\ntimeout = 5\n")
    both = words.policy("-p", "one", "-p", "two")
    assert both["fs_readable"] == ["/usr", "/etc"] and both["max_processes"] == 2
    assert both["timeout"] == 5 and both["isolate_ipc"] is True
    assert words.policy("-p", "two", "-p", "one")["max_processes"] == 1
    for line in (("-P", "3", "-r", "/opt", "--env=B=2", "-p", "one"),
                 ("-p", "one", "-P", "3", "-r", "/opt", "--env=B=2")):
        policy = words.policy(*line)
        assert policy["max_processes"] == 3 and policy["fs_readable"] == ["/usr", "/opt"]
        assert policy["env"] == {"A": "1", "B": "2"}
    policy = words.policy("-p", "one", "--isolate-ipc=false", "--allow-raw-sockets=false")
    assert "isolate_ipc" not in policy and "no_raw_sockets" not in policy
    assert "'maybe'" in words.fails(2, "run", "--isolate-ipc=maybe")
    assert words.policy("-p", "offline", "--net-allow=a.test:80")["net_allow"] == ["a.test:80"]
    assert "64 times" in words.fails(2, "run", *(["-p", "offline"] * 65))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_printed_policy_is_a_profile(words, name):
    printed = words("run", "-p", name, "--env=A=\x01\"b\\", "--http-allow=GET a.test/*?k=v",
                    "--print-policy").stdout
    words.put("again", printed)
    assert words("run", "-p", "again", "--print-policy").stdout == printed
    assert "isolate_ipc = true" in printed and "isolate_signals = true" in printed


# sandlock profile

def test_list(words):
    rows = json.loads(words("profile", "list", "--json").stdout)
    assert [r["name"] for r in rows] == list(SHIPPED)
    assert all(r["source"] == "shipped" and r["path"] is None and r["summary"] for r in rows)
    own = words.put("zz", "# For the\x1b[31m zoo.\n")
    ci = words.put("ci", "# Mine.\n")
    (words.own / "no profile.toml").write_text("")
    (words.own / "notes.txt").write_text("")
    rows = json.loads(words("profile", "list", "--json").stdout)
    assert [r["name"] for r in rows] == ["ci", "zz", "agent", "build", "offline", "read-only"]
    assert rows[0] == {"name": "ci", "source": "own", "path": str(ci), "hides_shipped": True,
                       "summary": "Mine."}
    assert rows[1]["path"] == str(own) and rows[1]["hides_shipped"] is False
    text = words("profile", "list").stdout
    assert "\x1b" not in text and "own, hides shipped" in text
    assert [line.split()[0] for line in text.splitlines()[1:]] == [r["name"] for r in rows]


def test_show(words):
    text = "# Mine: \xe9\nno_udp = true\n"
    words.put("mine", text)
    assert words("profile", "show", "mine").stdout == text
    for name in SHIPPED:
        shown = words("profile", "show", name).stdout
        assert shown == (paths.ROOT / "conf" / "profiles" / f"{name}.toml").read_text()
    assert "'nothing-like-it'" in words.fails(2, "profile", "show", "nothing-like-it")


def test_delete(words):
    kept = words.put("kept", "")
    gone = words.put("ci", "no_udp = true\n")
    secret = words.box.home / "secret.toml"
    secret.write_text("")
    done = words("profile", "delete", "ci")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and not gone.exists()
    assert "came with sandlock" in words.fails(2, "profile", "delete", "ci")
    assert "no profile 'zz'" in words.fails(2, "profile", "delete", "zz")
    for name in ("../../../secret", "..", "", secret):
        assert "is not the name of a profile" in words.fails(2, "profile", "delete", name)
    assert secret.exists() and kept.exists()
    assert words.policy("-p", "ci")["net_allow"] == ["loopback"]


def test_words_of_the_command(words):
    for line, word in ((("profile",), "list, show or delete"), (("profile", "lst"), "'list'"),
                       (("profile", "show"), "'sandlock profile show NAME'"),
                       (("profile", "show", "a", "b"), "one name"),
                       (("profile", "list", "--jsn"), "'--jsn'"),
                       (("profile", "list", "x"), "'x'"),
                       (("profile", "list", "--json", "--json", "y"), "'y'"), (("profile", "zzzzz"), "'zzzzz'")):
        assert word in words.fails(2, *line)
    for line in (("profile", "--help"), ("profile", "list", "--help"), ("help", "profile"),
                 ("profile", "show", "-h"), ("profile", "delete", "--help")):
        assert words(*line).stdout.startswith("usage: sandlock profile list"), line


def examples():
    """Every `sandlock run` line of the page and of the shipped profiles' own comments."""
    lines = (paths.ROOT / "docs" / "profiles.md").read_text().splitlines()
    for name in SHIPPED:
        lines += (paths.ROOT / "conf" / "profiles" / f"{name}.toml").read_text().splitlines()
    found = [line.lstrip("# ") for line in lines]
    found = [line for line in found if line.startswith("sandlock run") and "NAME" not in line
             and "FILE" not in line and "..." not in line]
    assert len(found) >= 12
    return sorted(set(found))


@pytest.mark.parametrize("line", examples())
def test_the_examples_are_understood(words, line):
    words.put("mine", "")
    command = line.split(" -- ")[0].split(" > ")[0].replace(" --print-policy", "")
    done = subprocess.run(["bash", "-c", f"{command} --print-policy"], text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**words.env, "API_KEY": "k",
                               "PATH": f"{paths.SANDLOCK.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0 and tomllib.loads(done.stdout), (line, done.stderr)


# something real under each shipped one

REACH = """
import socket, sys
kind, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(30)
s.connect(("127.0.0.1", port))
s.send(b"x")
"""

URLLIB = """
import os, urllib.error, urllib.request
for url in ("https://api.test/v1/models", "https://api.test/admin", "https://other.test/v1/models"):
    try:
        print(urllib.request.urlopen(url).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.headers.get("Sandlock-Verdict"))
    except OSError as error:
        print("error")
print("TOKEN" in os.environ, os.environ.get("KEY"))
open("answer", "w").write("done")
for path in (os.environ["HOME"] + "/.ssh/id", os.environ["HOME"] + "/new"):
    try:
        open(path, "a").write("")
        print("opened")
    except OSError:
        print("refused")
"""


def test_agent(sandlock, api):
    """An agent asks the API that it may, and nothing else; it writes its directory alone."""
    (sandlock.home / ".ssh").mkdir()
    (sandlock.home / ".ssh" / "id").write_text("secret\n")
    run = sandlock("-p", "agent", *api.options, "--http-allow=GET api.test/v1/*", "--env=KEY=k",
                   cmd=[sys.executable, "-c", URLLIB], env={"TOKEN": "t"}).ok()
    assert run.out.split("\n")[:6] == ["200", "403 deny", "error", "False k", "refused", "refused"], \
        str(run)
    assert api.server.seen() == ["GET /v1/models"]
    assert (sandlock.work / "answer").read_text() == "done"


MAKEFILE = """
OBJECTS = $(patsubst %.c,%.o,$(wildcard unit*.c)) main.o
prog: $(OBJECTS)
\t$(CC) -o $@ $^
%.o: %.c
\t$(CC) $(CFLAGS) -c -o $@ $<
fetch:
\t$(PYTHON) reach.py tcp $(PORT)
"""


def test_build(sandlock, outside):
    """gcc and make of a small project; a rule that fetches something reaches nothing."""
    witness = outside.witness()
    for n in range(8):
        (sandlock.work / f"unit{n}.c").write_text(f"int unit{n}(void) {{ return {n}; }}\n")
    (sandlock.work / "main.c").write_text(
        "#include <stdio.h>\n" + "".join(f"int unit{n}(void);\n" for n in range(8)) +
        "int main(void) { printf(\"%d\\n\", " + " + ".join(f"unit{n}()" for n in range(8)) +
        "); return 0; }\n")
    (sandlock.work / "Makefile").write_text(MAKEFILE)
    (sandlock.work / "reach.py").write_text(REACH)
    names = [f"PYTHON={sys.executable}", f"PORT={witness.port}", "SHELL=/bin/bash"]
    sandlock("-p", "build", cmd=["make", "-j4", *names], env={"CFLAGS": "-O1 -Wall"}).ok()
    assert sandlock("-p", "build", cmd=["./prog"]).ok().out == "28\n"
    sandlock("-p", "build", f"--net-allow=127.0.0.1:{witness.port}",
             cmd=["make", "fetch", *names]).ok()
    witness.log.wait(lambda events: len(events) == 1)
    run = sandlock("-p", "build", cmd=["make", "fetch", *names])
    assert run.rc != 0 and len(witness.received()) == 1, str(run)


SUITE = """
import http.server, os, threading, unittest, urllib.request

class Tests(unittest.TestCase):
    def test_server(self):
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/README"
        self.assertEqual(urllib.request.urlopen(url).read(), b"hello\\n")

    def test_environment(self):
        self.assertNotIn("CI_TOKEN", os.environ)
"""


def git(*words, cwd=None):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@example.com"}
    subprocess.run(["git", *map(str, words)], cwd=cwd, env=env, check=True, capture_output=True,
                   timeout=TIMEOUT)


def test_ci(sandlock, outside, tmp_path):
    """A job: clone over https, a virtual environment, a test suite that starts a server."""
    author, bare = tmp_path / "author", tmp_path / "srv" / "org" / "repo.git"
    git("init", "-q", "-b", "main", author)
    (author / "README").write_text("hello\n")
    (author / "suite.py").write_text(SUITE)
    git("add", "-A", cwd=author)
    git("commit", "-q", "-m", "first", cwd=author)
    git("clone", "-q", "--bare", author, bare)
    server = GitServer(tmp_path / "srv", pki.leaf("git.test"))
    job = ("set -e; git clone -q https://git.test/org/repo.git; cd repo; "
           f"{sys.executable} -m venv --without-pip venv; venv/bin/python -m unittest suite; "
           "echo passed")
    options = (f"--resolve=git.test=127.0.0.1:{server.port}", f"--http-upstream-ca={pki.root()}")
    rules = ("--http-allow=GET git.test/org/*/info/refs?service=git-upload-pack",
             "--http-allow=POST git.test/org/*/git-upload-pack")
    try:
        run = sandlock("-p", "ci", *options, *rules, cmd=["bash", "-c", job],
                       env={"CI_TOKEN": "t", "GIT_CONFIG_NOSYSTEM": "1"}).ok()
        assert run.out == "passed\n", str(run)
        run = sandlock("-p", "ci", *options, "--http-allow=GET other.test/",
                       cmd=["git", "clone", "-q", "https://git.test/org/repo.git", "again"])
        assert run.rc != 0 and not (sandlock.work / "again" / "README").exists(), str(run)
    finally:
        server.close()


def test_read_only(sandlock, tmp_path):
    """A search through the tree works; no byte of it, of /tmp or of the home can be changed, nor
    the home be read."""
    (sandlock.work / "src").mkdir()
    (sandlock.work / "src" / "a.c").write_text("/* TODO */\n")
    (sandlock.home / "private").write_text("TODO\n")
    run = sandlock("-p", "read-only", cmd=["grep", "-rn", "TODO", "."]).ok()
    assert run.out == "./src/a.c:1:/* TODO */\n", str(run)
    script = ("for f in src/a.c new /tmp/sandlock-new src/b.c $1; do echo x > $f && echo wrote $f; "
              "done; rm src/a.c && echo removed; mv src gone && echo moved; mkdir d && echo made; "
              "cat $1; echo kept > /dev/null && echo devices; cat /etc/shadow")
    words = ["bash", "-c", script, "sh", sandlock.home / "private"]
    run = sandlock("-p", "read-only", cmd=words)
    assert run.out == "devices\n", str(run)
    assert (sandlock.work / "src" / "a.c").read_text() == "/* TODO */\n"
    assert sorted(p.name for p in sandlock.work.iterdir()) == ["src"]
    results = tmp_path / "results"
    results.mkdir()
    sandlock("-p", "read-only", "-w", results, cmd=["cp", "src/a.c", results]).ok()
    assert (results / "a.c").exists()


def test_read_only_hides_the_secrets_of_the_system(words):
    secrets = (paths.ROOT / "conf" / "secrets").read_text().splitlines()
    system = [f"?{line}" for line in secrets if line.startswith("/")]
    assert system and words.policy("-p", "read-only")["fs_denied"] == system
    if os.access("/etc/shadow", os.R_OK):
        assert words("run", "-r", "/etc", "-r", "/usr", "-r", "?/lib", "-r", "?/lib64", "--",
                     "/usr/bin/cat", "/etc/shadow").returncode == 0
    assert words("run", "-p", "read-only", "--", "cat", "/etc/shadow").returncode == 1
    assert words("run", "-p", "read-only", "--", "cat", "/etc/passwd").returncode == 0


def test_offline(sandlock, outside):
    """Files are there as ever, no socket leads anywhere."""
    tcp, udp = outside.witness(), outside.witness(kind=socket.SOCK_DGRAM)
    for kind, witness in (("tcp", tcp), ("udp", udp)):
        cmd = [sys.executable, "-c", REACH, kind, witness.port]
        sandlock(cmd=cmd).ok()
        witness.log.wait(lambda events: len(events) == 1)
        run = sandlock("-p", "offline", cmd=cmd)
        assert run.rc != 0 and len(witness.received()) == 1, str(run)
        assert len(run.denies()) == 1, str(run)
    run = sandlock("-p", "offline", cmd=["bash", "-c", "echo in > f && cat f && cat /etc/hostname"])
    assert run.rc == 0 and run.out.startswith("in\n"), str(run)
    run = sandlock("-p", "offline", cmd=["getent", "hosts", "example.com"])
    assert run.rc != 0 and run.out == "", str(run)


# a field that only profiles have

def test_close_fds(sandlock, attack, tmp_path):
    """Off, the command has what the caller left open, and nothing of ours beside it."""
    profile = tmp_path / "open.toml"
    profile.write_text("close_fds = false\n")
    left_r, left_w = os.pipe()
    log = os.open(tmp_path / "log.jsonl", os.O_WRONLY | os.O_CREAT)
    try:
        numbers = (left_w, log)
        for options, expected in (((), ["0", "1", "2"]),
                                  (("-p", profile), ["0", "1", "2", str(left_w)])):
            run = sandlock(*options, f"--audit=fd:{log}", "--http-allow=GET a.test/",
                           cmd=[attack("sup"), "fds"], pass_fds=numbers, audit=False).ok()
            found = [line.split()[1] for line in run.out.splitlines()]
            assert sorted(found) == sorted(expected), str(run)
        run = sandlock("-p", profile, cmd=["bash", "-c", f"echo told >&{left_w}"],
                       pass_fds=(left_w,)).ok()
        assert os.read(left_r, 100) == b"told\n"
        run = sandlock(cmd=["bash", "-c", f"echo told >&{left_w}"], pass_fds=(left_w,))
        assert run.rc != 0, str(run)
    finally:
        for fd in (left_r, left_w, log):
            os.close(fd)
    profile.write_text("close_fds = 0\n")
    run = sandlock("-p", profile, cmd=["true"])
    assert run.rc == 2 and "expected true or false, found an integer" in run.err, str(run)
