"""git over https and http: clone and fetch where they are granted, push refused by the path, by the
method, by a deny rule; what counts is where the branch of the server stands afterwards."""

import os
import subprocess

import pytest

from harness import pki
from harness.gitserver import GitServer
from harness.waiting import TIMEOUT

IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "A"), ("EMAIL", "a@example.com"))}
REPO = "/org/repo.git"
READ = (f"--http-allow=GET git.test{REPO}/info/refs?service=git-upload-pack",
        f"--http-allow=POST git.test{REPO}/git-upload-pack")
ALL = f"--http-allow=GET,POST git.test{REPO}/**"
# the one field that git must be told: who commits
ENV = {**IDENTITY, "GIT_CONFIG_NOSYSTEM": "1"}


def git(*words, cwd=None):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **ENV}
    return subprocess.run(["git", *map(str, words)], cwd=cwd, env=env, check=True,
                          capture_output=True, text=True, timeout=TIMEOUT).stdout.strip()


class Remote:
    """A bare repository, its server, and a working copy outside that can add commits."""

    def __init__(self, folder, scheme):
        self.bare, self.author = folder / "srv" / REPO[1:], folder / "author"
        git("init", "-q", "--bare", "-b", "main", self.bare)
        git("config", "http.receivepack", "true", cwd=self.bare)
        git("init", "-q", "-b", "main", self.author)
        git("remote", "add", "origin", self.bare, cwd=self.author)
        self.server = GitServer(folder / "srv", pki.leaf("git.test") if scheme == "https" else None)
        self.url = f"{scheme}://git.test{REPO}"
        self.options = (f"--resolve=git.test=127.0.0.1:{self.server.port}",
                        f"--http-upstream-ca={pki.root()}")

    def commit(self, text):
        (self.author / "file").write_text(text)
        (self.author / "more").write_bytes(os.urandom(300_000))
        git("add", "-A", cwd=self.author)
        git("commit", "-qm", text, cwd=self.author)
        git("push", "-q", "origin", "main", cwd=self.author)
        return self.head()

    def head(self):
        return git("rev-parse", "main", cwd=self.bare)


@pytest.fixture(params=["https", "http"])
def remote(request, tmp_path):
    made = Remote(tmp_path, request.param)
    made.commit("first")
    yield made
    made.server.close()


def test_clone_then_fetch(sandlock, remote):
    run = sandlock(*remote.options, *READ, env=ENV, cmd=["git", "clone", "-q", remote.url, "copy"])
    copy = sandlock.work / "copy"
    assert run.ok() and git("rev-parse", "HEAD", cwd=copy) == remote.head()
    assert (copy / "more").read_bytes() == (remote.author / "more").read_bytes()

    second = remote.commit("second")
    run = sandlock(*remote.options, *READ, env=ENV, cmd=["git", "fetch", "-q", "origin"], cwd=copy)
    assert run.ok() and git("rev-parse", "origin/main", cwd=copy) == second
    assert {line.split("?")[0] for line in remote.server.seen()} \
        == {f"GET {REPO}/info/refs", f"POST {REPO}/git-upload-pack"}
    assert not run.denies(), str(run)


def test_shallow_clone_and_ls_remote(sandlock, remote):
    remote.commit("second")
    run = sandlock(*remote.options, *READ, env=ENV,
                   cmd=["git", "clone", "-q", "--depth=1", remote.url, "copy"])
    assert run.ok() and git("rev-list", "--count", "HEAD", cwd=sandlock.work / "copy") == "1"
    run = sandlock(*remote.options, *READ, env=ENV, cmd=["git", "ls-remote", remote.url, "main"])
    assert run.ok().out.split() == [remote.head(), "refs/heads/main"]


PUSH = ["sh", "-ec", 'git clone -q "$0" copy; cd copy; echo changed >file; git commit -qam changed;'
        " git push -q origin main"]


def test_push_where_granted(sandlock, remote):
    before = remote.head()
    run = sandlock(*remote.options, ALL, env=ENV, cmd=[*PUSH, remote.url])
    assert run.ok() and remote.head() != before
    assert git("show", "main:file", cwd=remote.bare) == "changed"


def test_big_push(sandlock, remote):
    """More than http.postBuffer: git probes, then sends the pack in chunks."""
    data = os.urandom(3_000_000)
    (sandlock.work / "big").write_bytes(data)
    run = sandlock(*remote.options, ALL, env=ENV, cmd=[
        "sh", "-ec", 'git clone -q "$0" copy; cp big copy; cd copy; git add big;'
        " git commit -qm big; git push -q origin main", remote.url])
    assert run.ok() and git("cat-file", "-s", "main:big", cwd=remote.bare) == str(len(data))
    git("fsck", "--strict", cwd=remote.bare)


@pytest.mark.parametrize("rules,refused", [
    # only reading is granted: asking for the way to push is refused already
    (READ, ("GET", "/info/refs?service=git-receive-pack")),
    # every GET is granted, and posting to the one service
    ((f"--http-allow=GET git.test{REPO}/**", f"--http-allow=POST git.test{REPO}/git-upload-pack"),
     ("POST", "/git-receive-pack")),
    # all is granted but for one path
    ((ALL, f"--http-deny=POST git.test{REPO}/git-receive-pack"), ("POST", "/git-receive-pack")),
    ((ALL, f"--http-deny=* git.test{REPO}/info/refs?service=git-receive-pack"),
     ("GET", "/info/refs?service=git-receive-pack")),
], ids=["read-only", "by-method", "deny-path", "deny-query"])
def test_push_refused(sandlock, remote, rules, refused):
    before = remote.head()
    run = sandlock(*remote.options, *rules, env=ENV, cmd=[*PUSH, remote.url])
    assert run.rc in (1, 128), str(run)
    assert "403" in run.err, str(run)
    assert remote.head() == before, "the branch did not move"
    method, path = refused
    assert f"{method} {REPO}{path}" not in remote.server.seen()
    denied = [(a["http.request.method"], a["url.full"]) for a in run.denies()]
    assert denied == [(method, remote.url + path)], str(run)
    assert (sandlock.work / "copy" / "file").read_text() == "changed\n", "the clone had worked"


def test_other_repository_refused(sandlock, remote):
    run = sandlock(*remote.options, *READ, env=ENV,
                   cmd=["git", "clone", "-q", remote.url.replace("repo.git", "other.git")])
    assert run.rc == 128 and "403" in run.err, str(run)
    assert remote.server.seen() == []


def test_other_host_refused(sandlock, remote):
    run = sandlock(*remote.options, *READ, env=ENV,
                   cmd=["git", "clone", "-q", remote.url.replace("git.test", "denied.test")])
    assert run.rc == 128 and "denied.test" in run.err, str(run)
    assert remote.server.seen() == []
