"""The tour of README.md: every command line in it is run as it stands, and does what it says.

A line of a block marked "sh tour" may end in a comment: "# exit N: TEXT" is the exit code and a part
of what is printed, "# prints TEXT" a part of the output. Without one the line must succeed."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import netns, paths, pki
from harness.waiting import TIMEOUT, read_line

pytestmark = pytest.mark.netns

README = paths.ROOT / "README.md"
WEB = netns.PUBLIC[4]


def tour():
    lines = []
    for block in re.findall(r"^```sh tour\n(.*?)^```$", README.read_text(), re.M | re.S):
        lines += [line for line in block.splitlines() if line.strip()]
    return lines


def split(line):
    """The command, the exit code, the text to look for."""
    command, _, note = line.partition("      # ")
    code = re.match(r"exit (\d+)(?:: (.*))?$", note)
    if code:
        return command, int(code[1]), code[2]
    prints = re.match(r"prints (.*)$", note)
    assert prints or not note, f"README.md: '{note}' is no note that a test understands"
    return command, 0, prints and prints[1]


@pytest.fixture
def world(outside, tmp_path):
    """A home with a secret in it, and api.example.com on the outside of this test's network. The
    home is not in /tmp: that is what a command may write by default."""
    base = Path(tempfile.mkdtemp(prefix="sl-readme-", dir="/var/tmp"))
    home, work = base / "home", base / "work"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("secret\n")
    work.mkdir()
    server = outside.api("api.example.com", listen=[f"{WEB}:443", f"{WEB}:80"])
    outside.dns({"api.example.com": [WEB], "other.example.net": [WEB]})
    env = {"PATH": f"{paths.SANDLOCK.parent}:{os.environ['PATH']}", "HOME": str(home),
           "LANG": "C.UTF-8", "SSL_CERT_FILE": str(pki.root())}
    yield work, env, server
    shutil.rmtree(base)


def run(line, world):
    work, env, _ = world
    return subprocess.run(["bash", "-c", line], cwd=work, env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def redis(tmp_path):
    """What "redis-cli ping" of the tour talks to."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = subprocess.Popen(["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save",
                               "", "--dir", str(tmp_path), "--daemonize", "no"],
                              stdout=subprocess.PIPE, text=True)
    while "Ready to accept" not in (text := read_line(server.stdout, "Redis")):
        assert text, "redis-server ended"
    yield
    server.terminate()
    server.communicate(timeout=TIMEOUT)


def test_the_tour_is_there():
    assert len(tour()) >= 10


@pytest.mark.parametrize("line", tour())
def test_line(line, world, request):
    if "redis" in line:
        request.getfixturevalue("redis")
    command, code, text = split(line)
    done = run(command, world)
    said = done.stdout + done.stderr
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{said}"
    assert not text or text in said, f"{command}: no '{text}' in\n{said}"


def test_what_is_denied_works_without_the_sandbox(world):
    """The refusals of the tour are refusals of sandlock: bare, the same commands get further."""
    server = world[2]
    for line in tour():
        command, code, text = split(line)
        bare = re.sub(r"^sandlock (?:run|why) (?:-[rwt] \S+ |--http-allow '[^']*' )*-- ", "", command)
        if (code in (1, 2, 6) or text == "denied_by_sandlock") and bare != command:
            done = run(bare, world)
            said = done.stdout + done.stderr
            assert done.returncode != code or text not in said, f"{bare}: {said}"
    assert "DELETE /v1/models" in server.seen()


def test_the_shown_denial_is_what_comes(world):
    line = next(line for line in tour() if "-X DELETE" in line)
    said = run(split(line)[0], world).stdout
    shown = re.search(r"^```json\n(.*?)^```$", README.read_text(), re.M | re.S)[1]
    shown, said = json.loads(shown), json.loads(said)
    assert {k: said.get(k) for k in shown} == shown
