"""Compiles the small programs of the tests, once for each content."""

import fcntl
import hashlib
import os
import shutil
import subprocess

from . import paths

C_FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Wshadow", "-Werror",
           "-Wno-unused-result"]


class Missing(Exception):
    """A tool is not installed; the message names it."""


def _cached(name, sources, make):
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    paths.BIN.mkdir(parents=True, exist_ok=True)
    target = paths.BIN / f"{name}-{digest.hexdigest()[:16]}"
    with open(paths.BIN / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            scratch = target.with_suffix(f".{os.getpid()}")
            done = make(scratch)
            if done.returncode != 0:
                raise RuntimeError(f"cannot build {name}:\n{done.stdout}{done.stderr}")
            scratch.rename(target)
    return target


def _run(words, **kw):
    if shutil.which(words[0]) is None:
        raise Missing(f"{words[0]} is not installed")
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, **kw)


def c_program(source, *flags, cc="cc", name=None):
    """A C file to an executable; static unless the flags say otherwise."""
    source = paths.TESTS / source
    link = [] if "-dynamic" in flags else ["-static"]
    flags = [f for f in flags if f != "-dynamic"]
    shared = sorted(source.parent.glob("*.h"))
    return _cached(name or f"{source.stem}-{cc}", [source, *shared],
                   lambda out: _run([cc, *C_FLAGS, *link, source, "-o", out, *flags, "-lpthread"]))


# What one attack needs beyond a static link.
ATTACK_FLAGS = {"bss": ["-nostdlib", "-mcmodel=large", "-fno-stack-protector"]}


def attack(name):
    source = f"security/attacks/{name}.c"
    # a static glibc has no name service
    dynamic = "netdb.h" in (paths.TESTS / source).read_text()
    return c_program(source, *(["-dynamic"] if dynamic else []), *ATTACK_FLAGS.get(name, []))


def api_server():
    built = paths.BUILD / "tests" / "servers" / "api_server"
    if built.exists():
        return built
    sources = sorted((paths.TESTS / "servers").glob("*.[ch]"))
    files = [s for s in sources if s.suffix == ".c"]
    return _cached("api_server", sources,
                   lambda out: _run(["cc", *C_FLAGS, *files, "-o", out, "-lmbedtls", "-lmbedx509",
                                     "-lmbedcrypto", "-lpthread"]))


def go_program(source, cgo):
    source = paths.TESTS / source
    env = dict(os.environ, CGO_ENABLED="1" if cgo else "0", GOFLAGS="-buildvcs=false",
               GO111MODULE="off", HOME=os.environ.get("HOME", "/tmp"))
    if not cgo:
        tags = ["-tags", "netgo"]
    else:
        tags = ["-tags", "netcgo"]
    return _cached(f"{source.stem}-cgo{int(cgo)}", [source],
                   lambda out: _run(["go", "build", *tags, "-o", out, source], env=env))


def rust_program(offline=True):
    folder = paths.TESTS / "clients" / "rust"
    sources = [folder / "Cargo.toml", folder / "Cargo.lock", folder / "src" / "main.rs"]

    def make(out):
        said = _run(["cargo", "--version"]).stdout.split()
        if len(said) < 2 or tuple(map(int, said[1].split(".")[:2])) < (1, 85):
            raise Missing("cargo 1.85 or newer is not installed; the client's libraries need it")
        target = paths.BIN / "cargo"
        words = ["cargo", "build", "--release", "--locked", "--manifest-path",
                 folder / "Cargo.toml"]
        env = dict(os.environ, CARGO_TARGET_DIR=str(target))
        done = _run(words + (["--offline"] if offline else []), env=env)
        if done.returncode == 0:
            shutil.copy2(target / "release" / "rust-client", out)
        return done

    return _cached("rust-client", sources, make)


def bun():
    """A directory with bin/bun in it, as its own installer makes one: from npm's registry."""
    def make(out):
        done = _run(["npm", "install", "--no-save", "--ignore-scripts", "--fetch-retries=0",
                     "--prefix", out, "bun"])
        found = [p for p in out.glob("node_modules/**/bin/bun*") if p.stat().st_size > 1 << 20]
        if not found:
            shutil.rmtree(out, ignore_errors=True)
            raise Missing(f"bun could not be fetched: {done.stderr.strip()[-300:]}")
        (out / "bin").mkdir()
        found[0].rename(out / "bin" / "bun")
        (out / "bin" / "bun").chmod(0o755)
        shutil.rmtree(out / "node_modules")
        return done

    return _cached("bun", [], make)


def debian_source(package):
    """The upstream tarball of a Debian source package."""
    def make(out):
        own = out.with_suffix(".apt")
        done = _run([paths.TESTS / "own-apt", own, "deb-src", ""])
        if done.returncode == 0:
            done = _run(["apt-get", "source", "--download-only", package], cwd=own,
                        env=dict(os.environ, APT_CONFIG=str(own / "apt.conf")))
        tarballs = list(own.glob("*.orig.tar.*"))
        if done.returncode == 0 and tarballs:
            tarballs[0].rename(out)
        shutil.rmtree(own, ignore_errors=True)
        if not out.exists():
            raise Missing(f"the source of {package} could not be fetched: {done.stderr.strip()}")
        return done

    return _cached(f"source-{package}", [], make)
