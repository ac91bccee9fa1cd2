"""One request of one program over HTTPS, the whole command: what an agent does all day.

Every way believes the same file, the system's roots and the root of our own server. The name of that
server stands in /etc/hosts, as only a mount namespace of our own lets us write it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness import HERE, OUT, ROOT, Table, World, interleave, output, rounds, timed

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
NAMES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO",
         "NODE_EXTRA_CA_CERTS")
GO = """package main

import ("io"; "net/http"; "os")

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil || answer.StatusCode != 200 { os.Exit(1) }
	io.Copy(io.Discard, answer.Body)
}
"""
URLLIB = "import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()"
REQUESTS = "import sys, requests as r; r.get(sys.argv[1]).raise_for_status()"
FETCH = "fetch(process.argv[1]).then(r => r.ok ? r.text() : process.exit(1))"


def own_hosts(build):
    """The same bench again, in a mount namespace in which bench.test is known."""
    words = ["unshare", "-m", "--propagation", "private"] + (["-r"] if os.getuid() else [])
    inside = [sys.executable, str(HERE / "oneshot.py"), str(build)]
    subprocess.run([*words, *inside], check=True)


def bind(world, name, text, target):
    source = world.scratch / name
    source.write_text(text)
    subprocess.run(["mount", "--bind", source, target], check=True)
    return str(source)


def repository(world):
    """A bare one with one commit, as files."""
    www = world.scratch / "www"
    source, bare = world.scratch / "source", www / "repo.git"
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run(["git", "init", "-q", source], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], cwd=source, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", source, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)


def go_client():
    if shutil.which("go") is None:
        return None
    folder = OUT / "goget"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.go").write_text(GO)
    subprocess.run(["go", "build", "-o", "get", "main.go"], cwd=folder, check=True,
                   env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
    return str(folder / "get")


def clients(url, base):
    """(name, words) of those that are here."""
    venv = ROOT / "build" / "venv" / "bin" / "python3"
    found = [("curl", ["curl", "-sSf", "-o", "/dev/null", url]),
             ("wget", ["wget", "-qO", "/dev/null", url]),
             ("Python urllib", ["python3", "-c", URLLIB, url]),
             ("Python requests", [str(venv), "-c", REQUESTS, url]),
             ("Node fetch", ["node", "-e", FETCH, url]),
             ("Go", [go_client() or "go", url]),
             ("git ls-remote", ["git", "ls-remote", "-q", f"{base}/repo.git"])]
    return [(name, [shutil.which(words[0]), *words[1:]]) for name, words in found
            if shutil.which(words[0]) and words[0] != "go"]


def peer():
    """Another sandlock on PATH, if there is one."""
    return shutil.which("sandlock")


def ways_of(world, port):
    rule = ["--http-allow", f"GET bench.test:{port}/*"]
    resolve = ["--resolve", f"bench.test=127.0.0.1:{port}"]
    ways = [("bare", []), ("http rule", world.run(*rule, *resolve)),
            ("- merged bundle", world.run(*rule, *resolve, "--http-ca-bundle", "merged"))]
    if peer() is not None:
        ways.append(("peer", [peer(), "run", "-r", "/", *rule, "--"]))
    return ways


def bench(world):
    _, port = world.web()
    roots = Path(SYSTEM).read_text() + (world.pki() / "ca.pem").read_text()
    bundle = bind(world, "roots.pem", roots, SYSTEM)
    bind(world, "hosts", "127.0.0.1 localhost bench.test\n", "/etc/hosts")
    os.environ.update(dict.fromkeys(NAMES, bundle))
    repository(world)
    base = f"https://bench.test:{port}"
    programs = clients(f"{base}/1k", base)

    def one(prefix):
        def measure():
            return {name: timed([*prefix, *words], 1, warm=0)[0] for name, words in programs}
        return measure

    for _, prefix in ways_of(world, port):
        for name, words in programs:
            try:
                output([*prefix, *words])
            except ValueError as error:
                print(f"oneshot: {name}: {error}", file=sys.stderr)
    interleave(Table("oneshot", lambda _: "ms"),
               [(name, one(prefix)) for name, prefix in ways_of(world, port)], rounds(30))


if __name__ == "__main__":
    its_world = World(sys.argv[1])
    try:
        bench(its_world)
    finally:
        its_world.close()
