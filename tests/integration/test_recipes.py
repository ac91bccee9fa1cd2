"""docs/recipes.md: each policy runs the real program, and keeps it from what lies beyond."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from harness import build
from harness.recipes import furnish, holds, need, recipe
from harness.terminal import interactive
from harness.waiting import TIMEOUT, wait_until
from test_packages import FAKEROOT, debian_package, npm_package, wheel

@pytest.fixture(autouse=True)
def place(sandlock):
    furnish(sandlock)


def test_configure_and_make(sandlock, outside):
    """GNU hello as Debian has it: configured, compiled, and its own tests run."""
    try:
        tarball = build.debian_source("hello")
    except build.Missing as missing:
        pytest.skip(str(missing))
    with tarfile.open(tarball) as archive:
        archive.extractall(sandlock.work)
    source = next(p for p in sandlock.work.iterdir() if p.name.startswith("hello-"))
    for path in source.iterdir():
        path.rename(sandlock.work / path.name)
    options, command = recipe(sandlock, "sh -c './configure")
    run = sandlock(*options, cmd=command, audit=False).ok()
    totals = {name: int(count) for name, count in
              re.findall(r"^# (TOTAL|PASS|SKIP|FAIL): +(\d+)$", run.out, re.M)}
    assert totals["PASS"] > 3 and totals["FAIL"] == 0, str(run)
    assert totals["PASS"] + totals["SKIP"] == totals["TOTAL"], str(run)  # one needs a full moon
    assert sandlock.bare(["./hello"]).ok().out == "Hello, world!\n"
    holds(sandlock, outside, options)


def rustup(sandlock):
    home = Path.home()
    if shutil.which("cargo") is None or not os.access(home / ".rustup", os.R_OK):
        pytest.skip("cargo by rustup is not installed for this user")
    for name in (".cargo", ".rustup"):
        (sandlock.home / name).symlink_to(home / name)


def test_cargo(sandlock, outside):
    """A crate of the project with a build script, and one of the registry, vendored."""
    rustup(sandlock)
    work = sandlock.work
    vendored = work / "vendor" / "greet"
    (vendored / "src").mkdir(parents=True)
    (vendored / "Cargo.toml").write_text('[package]\nname = "greet"\nversion = "1.2.3"\n')
    (vendored / "src" / "lib.rs").write_text('pub const WORD: &str = "hello";')
    (vendored / ".cargo-checksum.json").write_text('{"files": {}}')
    (work / ".cargo").mkdir()
    (work / ".cargo" / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "vendor"\n')
    (work / "src").mkdir()
    (work / "dep" / "src").mkdir(parents=True)
    (work / "Cargo.toml").write_text('[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
                                     '[dependencies]\ndep = { path = "dep" }\ngreet = "1"\n')
    (work / "dep" / "Cargo.toml").write_text('[package]\nname = "dep"\nversion = "0.1.0"\n')
    (work / "dep" / "build.rs").write_text('fn main() { println!("cargo:rustc-env=WHO=the build"); }')
    (work / "dep" / "src" / "lib.rs").write_text('pub fn who() -> &\'static str { env!("WHO") }')
    (work / "src" / "main.rs").write_text('fn main() { println!("{} from {}", greet::WORD, dep::who()); }')
    options, command = recipe(sandlock, "cargo build")
    sandlock(*options, cmd=command, audit=False).ok()
    assert sandlock.bare(["target/debug/app"]).ok().out == "hello from the build\n"
    holds(sandlock, outside, options)
    (work / "dep" / "build.rs").write_text('fn main() { std::fs::write("../../beside", "x").unwrap(); }')
    run = sandlock(*options, cmd=command, audit=False)
    assert run.rc != 0 and "PermissionDenied" in run.err, str(run)
    assert not (work.parent / "beside").exists()


def test_cargo_with_the_registrys_cache(sandlock):
    """Fetched outside, with the Rust client of these tests; the cache can only be read inside."""
    rustup(sandlock)
    work = sandlock.work
    (work / "src").mkdir()
    (work / "Cargo.toml").write_text('[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
                                     '[dependencies]\nitoa = "1"\n')
    (work / "src" / "main.rs").write_text(
        'fn main() { println!("{}", itoa::Buffer::new().format(128u64)); }')
    fetch = subprocess.run(["cargo", "fetch", "-q", "--offline"], cwd=work, check=False,
                           timeout=TIMEOUT)
    if fetch.returncode != 0:
        pytest.skip("the crates of tests/clients/rust are not in ~/.cargo")
    options, command = recipe(sandlock, "cargo build")
    sandlock(*options, cmd=command, audit=False).ok()
    assert sandlock.bare(["target/debug/app"]).ok().out == "128\n"


def test_go(sandlock, outside):
    need("go")
    work = sandlock.work
    (work / "vendor" / "example.com" / "dep").mkdir(parents=True)
    (work / "go.mod").write_text("module example.com/app\n\ngo 1.18\n\n"
                                 "require example.com/dep v1.0.0\n")
    (work / "vendor" / "modules.txt").write_text("# example.com/dep v1.0.0\n## explicit\n"
                                                 "example.com/dep\n")
    (work / "vendor" / "example.com" / "dep" / "dep.go").write_text(
        'package dep\n\nfunc Who() string { return "the module" }\n')
    (work / "main.go").write_text('package main\n\nimport "example.com/dep"\n\n'
                                  'func main() { println("hello from", dep.Who()) }\n')
    options, command = recipe(sandlock, "go build")
    sandlock(*options, cmd=command, audit=False).ok()
    assert sandlock.bare(["./app"]).ok().err == "hello from the module\n"
    holds(sandlock, outside, options)


BUN_TEST = """
import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
test("a worker, a program and a database", async () => {
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  const answer = new Promise((done) => { worker.onmessage = (e) => done(e.data); });
  worker.postMessage(41);
  expect(await answer).toBe(42);
  worker.terminate();
  const bun = Bun.spawn([process.execPath, "--version"]);
  expect((await new Response(bun.stdout).text()).trim()).toBe(Bun.version);
  const db = new Database("data.db");
  db.run("CREATE TABLE t(x)");
  db.run("INSERT INTO t VALUES(7)");
  expect(db.query("SELECT x FROM t").get()).toEqual({ x: 7 });
});
test("what lies beyond", async () => {
  expect(await Bun.file(process.env.HOME + "/.ssh/id_ed25519").text().catch((e) => e.code)).toBe(EXPECTED);
});
"""


def test_bun(sandlock, outside):
    """Its first thread asks for its stack in /proc/self/maps, and so does the one that it starts."""
    try:
        (sandlock.home / ".bun").symlink_to(build.bun())
    except build.Missing as missing:
        pytest.skip(str(missing))
    work = sandlock.work
    (work / "worker.ts").write_text("self.onmessage = (e) => postMessage(e.data + 1);\n")
    (work / "all.test.ts").write_text(BUN_TEST.replace("EXPECTED", '"EACCES"'))
    options, command = recipe(sandlock, "~/.bun/bin/bun")
    run = sandlock(*options, cmd=command, audit=False).ok()
    assert "2 pass" in run.err and "0 fail" in run.err, str(run)
    with sqlite3.connect(work / "data.db") as ours:
        assert ours.execute("SELECT x FROM t").fetchone() == (7,)
    (work / "main.ts").write_text("console.log('compiled');\n")
    sandlock(*options, cmd=[command[0], "build", "--compile", "main.ts", "--outfile", "main"],
             audit=False).ok()
    assert sandlock(*options, cmd=["./main"], audit=False).ok().out == "compiled\n"
    run = sandlock(*options, cmd=["cat", f"/proc/{os.getpid()}/status"], audit=False)
    assert run.rc != 0 and run.out == "", "that of others is as it was"
    holds(sandlock, outside, options)


def test_fakeroot(sandlock, outside):
    """Owners are remembered by the daemon, which it speaks to over System V queues."""
    need("fakeroot")
    tree = sandlock.work / "tree"
    tree.mkdir()
    (tree / "file").write_text("content\n")
    options, command = recipe(sandlock, "fakeroot sh")
    sandlock(*options, cmd=command, env=FAKEROOT, audit=False).ok()
    with tarfile.open(sandlock.work / "tree.tar") as archive:
        assert {m.name: (m.uid, m.uname) for m in archive} == {
            "tree": (0, "root"), "tree/file": (0, "root")}
    assert (tree / "file").stat().st_uid == os.getuid()
    holds(sandlock, outside, options)


def test_dpkg_buildpackage(sandlock, outside):
    need("fakeroot", "dpkg-buildpackage", "make")
    debian_package(sandlock.work / "hello-1.0", "hello")
    options, command = recipe(sandlock, "sh -c 'cd hello-1.0")
    sandlock(*options, cmd=command, env=FAKEROOT, audit=False).ok()
    made = sandlock.work / "hello_1.0_all.deb"
    listed = sandlock.bare(["sh", "-c", f"dpkg-deb --fsys-tarfile {made} | tar -t --numeric-owner -v"])
    line = next(w for w in listed.ok().out.splitlines() if w.endswith("./usr/share/hello/file"))
    assert " 7/7 " in line, listed
    holds(sandlock, outside, options)


def test_java(sandlock, outside):
    need("javac", "jar", "java")
    (sandlock.work / "src").mkdir()
    (sandlock.work / "src" / "Main.java").write_text(
        "public class Main { public static void main(String[] a) throws Exception {"
        " var threads = new Thread[8]; var sum = new java.util.concurrent.atomic.AtomicInteger();"
        " for (int i = 0; i < 8; i++) { int n = i; threads[i] = new Thread(() -> sum.addAndGet(n));"
        " threads[i].start(); } for (var t : threads) t.join(); System.out.println(sum.get()); } }")
    options, command = recipe(sandlock, "sh -c 'javac")
    assert sandlock(*options, cmd=command, audit=False).ok().out == "28\n"
    holds(sandlock, outside, options)
    hungry = "public class Hungry { public static void main(String[] a) { var held = new " \
             "java.util.ArrayList<byte[]>(); for (;;) { var b = new byte[1 << 20];" \
             " java.util.Arrays.fill(b, (byte) 1); held.add(b); } } }"
    (sandlock.work / "Hungry.java").write_text(hungry)
    run = sandlock(*options, cmd=["java", "-Xmx4g", "Hungry.java"], audit=False)
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)


def test_npm_ci(sandlock, outside, tmp_path):
    """The cache is filled outside; an install script of the package runs inside, and tries."""
    need("npm")
    work = sandlock.work
    npm_package(tmp_path / "registry", "greet", "module.exports = 'hello';")
    tarball = tmp_path / "registry" / "greet" / "-" / "greet-1.0.0.tgz"
    digest = json.loads((tmp_path / "registry" / "greet" / "index.json").read_text())
    integrity = digest["versions"]["1.0.0"]["dist"]["integrity"]
    (work / "local").mkdir()
    (work / "local" / "package.json").write_text(json.dumps(
        {"name": "local", "version": "1.0.0", "scripts": {
            "install": "touch ran; cat ~/.ssh/id_ed25519 >taken; echo x >../../beside; true"}}))
    (work / "package.json").write_text(json.dumps(
        {"name": "app", "version": "1.0.0",
         "dependencies": {"greet": "1.0.0", "local": "file:local"}}))
    (work / "package-lock.json").write_text(json.dumps(
        {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {
            "": {"name": "app", "version": "1.0.0",
                 "dependencies": {"greet": "1.0.0", "local": "file:local"}},
            "local": {"version": "1.0.0", "hasInstallScript": True},
            "node_modules/local": {"resolved": "local", "link": True},
            "node_modules/greet": {"version": "1.0.0", "integrity": integrity,
                                   "resolved": "https://npm.test/greet/-/greet-1.0.0.tgz"}}}))
    sandlock.bare(["npm", "cache", "add", "--cache", ".npm", str(tarball)]).ok()
    options, command = recipe(sandlock, "npm ci")
    sandlock(*options, cmd=command, audit=False).ok()
    assert sandlock.bare(["node", "-p", "require('greet')"]).ok().out == "hello\n"
    assert (work / "local" / "ran").exists() and (work / "local" / "taken").read_text() == ""
    assert not (work / "beside").exists() or (work / "beside").read_text() == "x\n"
    holds(sandlock, outside, options)


def venv(sandlock):
    """~/.venv is the test suite's own: no copy of it."""
    (sandlock.home / ".venv").symlink_to(Path(sys.prefix))


def test_pip(sandlock, outside, tmp_path):
    """A wheel, and a source package that is built inside."""
    venv(sandlock)
    wheel(tmp_path / "index", "greet", "TEXT = 'hello'\n")
    shutil.move(tmp_path / "index" / "files", sandlock.work / "wheels")
    source = tmp_path / "other-1.0"
    source.mkdir()
    (source / "other.py").write_text("TEXT = 'built'\n")
    (source / "setup.py").write_text("from setuptools import setup\n"
                                     "setup(name='other', version='1.0', py_modules=['other'])\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    with tarfile.open(sandlock.work / "wheels" / "other-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "other-1.0")
    options, command = recipe(sandlock, "-m pip")
    sandlock(*options, cmd=command, audit=False).ok()
    run = sandlock.bare([sys.executable, "-c", "import greet, other; print(greet.TEXT, other.TEXT)"],
                        env={"PYTHONPATH": str(sandlock.work / "site")})
    assert run.ok().out == "hello built\n"
    holds(sandlock, outside, options)


def test_pytest_with_workers(sandlock, outside):
    """A real suite, which starts programs as well: one pytest, four workers and a program of each
    are nine. With one too few for the workers it fails at once, and nothing hangs."""
    venv(sandlock)
    options, command = recipe(sandlock, "-m pytest")
    bare = sandlock.bare(command)
    run = sandlock(*options, cmd=command, audit=False)
    count = re.compile(r"^((?:\d+ failed, )?(\d+) passed.*) in ", re.M)
    assert count.search(run.out)[1] == count.search(bare.out)[1], f"{run}\n{bare}"
    assert int(count.search(run.out)[2]) > 500 and run.rc == bare.rc, str(run)
    few = sandlock(*options, "-P", "4", cmd=command, audit=False)
    assert few.rc not in (0, 125) and "Resource temporarily unavailable" in few.out + few.err
    holds(sandlock, outside, options)


MULTI = """
import multiprocessing as mp, sys
def square(n): return n * n
def add(lock, total, n):
    for _ in range(200):
        with lock: total.value += n
def main():
    for method in ("fork", "spawn", "forkserver"):
        context = mp.get_context(method)
        with context.Pool(4) as pool: print(method, sum(pool.map(square, range(100))))
        lock, total = context.Lock(), context.Value("i", 0, lock=False)
        each = [context.Process(target=add, args=(lock, total, n)) for n in range(5)]
        for p in each: p.start()
        for p in each: p.join()
        print(total.value)
if __name__ == "__main__": main()
"""


def test_multiprocessing(sandlock, outside):
    (sandlock.work / "work.py").write_text(MULTI)
    options, command = recipe(sandlock, "python3 work.py")
    command[0] = "/usr/bin/python3"  # not one of the user's own, in the home
    run = sandlock(*options, cmd=command, audit=False).ok()
    assert run.out == "".join(f"{m} 328350\n2000\n" for m in ("fork", "spawn", "forkserver")), str(run)
    holds(sandlock, outside, options)


WORKERS = """
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  let left = 8;
  for (let i = 0; i < 8; i++)
    new Worker(__filename, { workerData: shared }).on('exit', () => {
      if (--left === 0) console.log(shared[0]);
    });
} else {
  for (let i = 0; i < 1000; i++) Atomics.add(workerData, 0, 1);
}
"""


def test_node_workers(sandlock, outside):
    need("node")
    (sandlock.work / "work.js").write_text(WORKERS)
    options, command = recipe(sandlock, "node work.js")
    assert sandlock(*options, cmd=command, audit=False).ok().out == "8000\n"
    holds(sandlock, outside, options)
    hungry = "const held = []; for (;;) held.push(Buffer.alloc(8 << 20, 1));"
    run = sandlock(*options, cmd=["node", "-e", hungry], audit=False)
    assert run.rc == 137 and run.status["reason"] == "memory", str(run)


def test_sqlite(sandlock, outside):
    """Four at a time write one database, inside and outside at once: locks mean the same to both."""
    need("sqlite3")
    options, command = recipe(sandlock, "sqlite3")
    database = sandlock.work / "data.db"
    sandlock(*options, cmd=[*command, "PRAGMA journal_mode=WAL; CREATE TABLE t(x, who);"],
             audit=False).ok()
    runs = [sandlock.start(*options, audit=False, cmd=[
        *command, "".join(f"INSERT INTO t VALUES({i}, 'in {n}');" for i in range(100))])
        for n in range(4)]
    with sqlite3.connect(database, timeout=60) as ours:
        for i in range(100):
            ours.execute("INSERT INTO t VALUES(?, 'out')", (i,))
            ours.commit()
    for run in runs:
        run.finish().ok()
    with sqlite3.connect(database) as ours:
        assert dict(ours.execute("SELECT who, count(*) FROM t GROUP BY who")) == {
            "in 0": 100, "in 1": 100, "in 2": 100, "in 3": 100, "out": 100}
        assert ours.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    script = "import sqlite3; print(sqlite3.connect('data.db').execute('SELECT count(*) FROM t').fetchone())"
    assert sandlock(*options, cmd=["/usr/bin/python3", "-c", script], audit=False).ok().out == "(500,)\n"
    holds(sandlock, outside, options)


def test_ssh_keygen(sandlock, outside):
    need("ssh-keygen")
    options, command = recipe(sandlock, "ssh-keygen -q -t")
    sandlock(*options, cmd=command, audit=False).ok()
    key = sandlock.work / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    done = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert done.stdout.split()[:2] == key.with_suffix(".pub").read_text().split()[:2]
    run = sandlock(*options, cmd=["ssh-keygen", "-y", "-f", sandlock.home / ".ssh" / "id_ed25519"],
                   audit=False)
    assert run.rc != 0 and "Permission denied" in run.err, str(run)
    holds(sandlock, outside, options)


def wait_for_text(path, text):
    wait_until(f"{text!r} in {path}", lambda: path.exists() and text in path.read_text())


def job_control(t, work):
    """The keys reach what runs in the pane; its shell gets the terminal back and lets it go on."""
    t.type(b"cat >copied\n")
    t.type(b"one line\n")
    wait_for_text(work / "copied", "one line\n")
    t.type(b"\x1a")
    t.until(rb"Stopped")
    t.type(b"jobs >listed; fg\n")
    wait_for_text(work / "listed", "Stopped")
    t.type(b"two lines\n")
    wait_for_text(work / "copied", "two lines\n")
    t.type(b"\x04sh -c 'echo 1 >begun; exec sleep 1000'\n")
    wait_for_text(work / "begun", "1")
    t.type(b"\x03echo ended with $? >code; exit\n")


def test_tmux(sandlock, outside):
    """Two panes of two terminals; a client leaves and another comes back to them. Then a shell
    with jobs in a pane."""
    need("tmux")
    options, command = recipe(sandlock, "tmux")
    options = [o for o in options if o != "-i"]
    holds(sandlock, outside, options)
    (sandlock.work / "first.sh").write_text(
        "tty >one\ntmux split-window 'sh second.sh'\ntmux detach\ntmux wait-for second\n")
    (sandlock.work / "second.sh").write_text(
        "tty >two\nread line\necho $line >said\ntmux wait-for -S second\n")
    with interactive(sandlock, *options, cmd=["bash", "--norc"], env={"TERM": "xterm"}) as t:
        t.type(shlex.join(command).encode() + b" 'sh first.sh'\n")
        t.until(rb"detached \(from session 0\)")
        t.type(b"tmux -f /dev/null attach\n")
        t.until(rb"\[0\]")
        t.type(b"typed\n")
        t.until(rb"\[exited\]")
        t.type(shlex.join(command).encode() + b" 'bash --norc'\n")
        job_control(t, sandlock.work)
        t.until(rb"\[exited\]")
        t.type(b"exit\n")
        assert t.finish() == 0
    one, two, said = ((sandlock.work / name).read_text() for name in ("one", "two", "said"))
    assert one.startswith("/dev/pts/") and two.startswith("/dev/pts/") and one != two
    assert said == "typed\n"
    assert (sandlock.work / "copied").read_text() == "one line\ntwo lines\n"
    assert (sandlock.work / "code").read_text() == "ended with 130\n"
