"""npm and pip install from a registry that granted paths alone reach. A package that is not granted
is refused with words that a person can read, and nothing of it is asked for."""

import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import zipfile

import pytest

from conftest import Api

NPM = "--http-allow=GET npm.test/greet"
NPM_FILE = "--http-allow=GET npm.test/greet/-/*"
SCOPED = ("--http-allow=GET npm.test/@team%2Fgreet", "--http-allow=GET npm.test/@team/greet/-/*")
PIP = ("--http-allow=GET pypi.test/simple/greet/", "--http-allow=GET pypi.test/files/greet-*")


def npm_package(root, name, code):
    """A registry's document and tarball, as static files."""
    data = io.BytesIO()
    manifest = {"name": name, "version": "1.0.0", "main": "index.js"}
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for file, text in (("package.json", json.dumps(manifest)), ("index.js", code)):
            entry = tarfile.TarInfo(f"package/{file}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    digest = base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()
    file = f"{name.split('/')[-1]}-1.0.0.tgz"
    manifest["dist"] = {"tarball": f"https://npm.test/{name}/-/{file}",
                        "integrity": f"sha512-{digest}"}
    (root / name / "-").mkdir(parents=True)
    (root / name / "-" / file).write_bytes(data.getvalue())
    (root / name / "index.json").write_text(json.dumps(
        {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}))


def wheel(root, name, code):
    """A wheel (PEP 427) and its page of a simple index (PEP 503)."""
    info, file = f"{name}-1.0.dist-info", f"{name}-1.0-py3-none-any.whl"
    members = {f"{name}.py": code,
               f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
               f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                                "Tag: py3-none-any\n"}
    members[f"{info}/RECORD"] = "".join(f"{m},,\n" for m in [*members, f"{info}/RECORD"])
    for folder in ("files", f"simple/{name}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "files" / file, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    digest = hashlib.sha256((root / "files" / file).read_bytes()).hexdigest()
    (root / "simple" / name / "index.html").write_text(
        f'<!DOCTYPE html><a href="/files/{file}#sha256={digest}">{file}</a>')


@pytest.fixture
def npm(outside, tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    for name in ("greet", "hidden", "@team/greet", "@other/greet"):
        npm_package(tmp_path / "registry", name, f"module.exports = 'hello from {name}';")
    return Api(outside.api("npm.test", options=(f"--root={tmp_path / 'registry'}",)), "npm.test")


@pytest.fixture
def pypi(outside, tmp_path):
    for name in ("greet", "hidden"):
        wheel(tmp_path / "index", name, f"TEXT = 'hello from {name}'\n")
    return Api(outside.api("pypi.test", options=(f"--root={tmp_path / 'index'}",)), "pypi.test")


def npm_install(sandlock, npm, *names, rules=(NPM, NPM_FILE)):
    # the cache in the working directory: the home is not granted for writing
    return sandlock(*npm.options, *rules, cmd=[
        "npm", "install", "--registry=https://npm.test/", "--cache=.npm", "--fetch-retries=0",
        *names])


def pip_install(sandlock, pypi, *names, rules=PIP):
    return sandlock(*pypi.options, *rules, cmd=[
        sys.executable, "-m", "pip", "install", "--target=site", "--retries=0",
        "--index-url=https://pypi.test/simple/", *names])


def test_npm_install(sandlock, npm):
    npm_install(sandlock, npm, "greet").ok()
    run = sandlock.bare(["node", "-p", "require('greet')"])
    assert run.ok().out == "hello from greet\n"
    assert npm.seen() == ["GET /greet", "GET /greet/-/greet-1.0.0.tgz"]


@pytest.mark.parametrize("names", [("hidden",), ("greet", "hidden")])
def test_npm_install_of_another_package(sandlock, npm, names):
    run = npm_install(sandlock, npm, *names)
    assert run.rc not in (0, 125) and "403 Forbidden" in run.err, str(run)
    assert "denied_by_sandlock" in run.err, "npm says who refused"
    assert "--http-allow 'GET npm.test/hidden'" in run.err, "and the summary says the way out"
    assert not any("hidden" in line for line in npm.seen())
    assert not (sandlock.work / "node_modules" / "hidden").exists()


def test_npm_tarball_refused(sandlock, npm):
    """The document alone is granted."""
    run = npm_install(sandlock, npm, "greet", rules=(NPM,))
    assert run.rc not in (0, 125) and "403 Forbidden" in run.err, str(run)
    assert npm.seen() == ["GET /greet"]


@pytest.mark.parametrize("rules", [
    SCOPED, ("--http-allow=GET npm.test/@team%2F*", "--http-allow=GET npm.test/@team/*"),
    ("--http-allow=GET npm.test/@team*",),
])
def test_npm_install_of_a_scoped_package(sandlock, npm, rules):
    """npm asks for a scoped name with an encoded slash, and for its files with a plain one."""
    npm_install(sandlock, npm, "@team/greet", rules=rules).ok()
    run = sandlock.bare(["node", "-p", "require('@team/greet')"])
    assert run.ok().out == "hello from @team/greet\n"
    assert npm.seen() == ["GET /@team%2fgreet", "GET /@team/greet/-/greet-1.0.0.tgz"]


@pytest.mark.parametrize("rules", [SCOPED, ("--http-allow=GET npm.test/@other/*",)])
def test_npm_install_of_another_scope(sandlock, npm, rules):
    """The second: to a server that keeps the code, `@other%2Fgreet` is not below `@other`."""
    run = npm_install(sandlock, npm, "@other/greet", rules=rules)
    assert run.rc not in (0, 125) and "403 Forbidden" in run.err, str(run)
    assert "--http-allow 'GET npm.test/@other%2Fgreet'" in run.err, "the summary says the way out"
    assert npm.seen() == []


def test_pip_install(sandlock, pypi):
    pip_install(sandlock, pypi, "greet").ok()
    run = sandlock.bare([sys.executable, "-c", "import greet; print(greet.TEXT)"],
                        env={"PYTHONPATH": str(sandlock.work / "site")})
    assert run.ok().out == "hello from greet\n"
    assert set(pypi.seen()) == {"GET /simple/greet/", "GET /files/greet-1.0-py3-none-any.whl"}


@pytest.mark.parametrize("names", [("hidden",), ("greet", "hidden")])
def test_pip_install_of_another_package(sandlock, pypi, names):
    run = pip_install(sandlock, pypi, *names)
    assert run.rc == 1 and "No matching distribution found for hidden" in run.err, str(run)
    assert "--http-allow 'GET pypi.test/simple/hidden/'" in run.err, str(run)
    assert not any("hidden" in line for line in pypi.seen())
    assert not (sandlock.work / "site" / "hidden.py").exists()


def test_pip_file_refused(sandlock, pypi):
    """The page alone is granted."""
    run = pip_install(sandlock, pypi, "greet", rules=PIP[:1])
    assert run.rc == 1 and "403" in run.err, str(run)
    assert "--http-allow 'GET pypi.test/files/greet-1.0-py3-none-any.whl'" in run.err, str(run)
    assert set(pypi.seen()) == {"GET /simple/greet/"}


# ---- Debian's own: fakeroot's daemon and its queues are the tree's (isolate_ipc) ----

# It changes the real owner as well, and takes no for an answer, but not that there is no such user: the
# tests' user namespace has one id alone.
FAKEROOT = {} if os.getuid() == 0 else {"FAKEROOTDONTTRYCHOWN": "1"}
RULES = """#!/usr/bin/make -f
build build-arch build-indep binary-arch:
clean:
\trm -rf debian/NAME debian/files
binary: binary-indep
binary-indep:
\tmkdir -p debian/NAME/DEBIAN debian/NAME/usr/share/NAME
\techo content > debian/NAME/usr/share/NAME/file
\tchown -R 7:7 debian/NAME/usr/share/NAME/file
\tdpkg-gencontrol -pNAME -Pdebian/NAME
\tdpkg-deb --build debian/NAME ..
"""
CONTROL = """Source: NAME
Section: misc
Priority: optional
Maintainer: Nobody <nobody@example.org>
Rules-Requires-Root: binary-targets

Package: NAME
Architecture: all
Description: a package of the tests
 Nothing in it.
"""
CHANGES = """NAME (1.0) unstable; urgency=low

  * First.

 -- Nobody <nobody@example.org>  Mon, 01 Jan 2024 00:00:00 +0000
"""


def debian_package(folder, name):
    """A source package of one file, which is somebody else's."""
    debian = folder / "debian"
    (debian / "source").mkdir(parents=True)
    for file, text in (("rules", RULES), ("control", CONTROL), ("changelog", CHANGES),
                       ("source/format", "3.0 (native)\n")):
        (debian / file).write_text(text.replace("NAME", name))
    (debian / "rules").chmod(0o755)


def test_a_debian_package_builds_under_the_profile(sandlock):
    """Owners that fakeroot remembers are in the package; its daemon speaks over System V queues."""
    for program in ("fakeroot-sysv", "dpkg-buildpackage", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    debian_package(sandlock.work / "tmp-pkg-1.0", "tmp-pkg")
    # root is not given a fakeroot by dpkg-buildpackage, and is none without capabilities
    cmd = ["sh", "-c", "cd tmp-pkg-1.0 && exec fakeroot-sysv dpkg-buildpackage -us -uc -b"]
    made = sandlock.work / "tmp-pkg_1.0_all.deb"
    sandlock.bare(cmd, env=FAKEROOT).ok()
    made.unlink()
    sandlock("-p", "build", cmd=cmd, env=FAKEROOT).ok()
    listed = sandlock.bare(["sh", "-c", f"dpkg-deb --fsys-tarfile {made} | tar -t --numeric-owner -v"])
    line = next(w for w in listed.ok().out.splitlines() if w.endswith("./usr/share/tmp-pkg/file"))
    assert " 7/7 " in line, listed
