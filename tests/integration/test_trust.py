"""What makes an unmodified program believe the CA of its run: every variable and every file of
conf/trust and conf/ca-bundles leads to it, and only where HTTP rules need it."""

from pathlib import Path

import pytest

from harness import paths, pki

CONF = paths.TESTS.parent / "conf"
OWN = "what the package brought\n"
HTTP = "--http-allow=GET api.test/*"


def rows(file, kind):
    words = [line.split() for line in (CONF / file).read_text().splitlines()]
    return [w[1:] for w in words if w and w[0] == kind]


SUFFIXES = [end for end, _ in rows("trust", "suffix")]


@pytest.fixture
def package(sandlock):
    """Makes a file of that ending below the granted directory."""

    def make(end):
        path = sandlock.work / "site-packages" / end.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OWN)
        return path

    return make


def read_inside(box, path, *options, **kw):
    """The file's content inside, and the CA of that run."""
    ca = box.tmp / "run-ca.pem"
    run = box(f"-w{box.work}", "-r/", *options, *([f"--http-ca-out={ca}"] if options else []),
              cmd=["cat", path], **kw).ok()
    return run.out, ca.read_text() if options else None


def test_table():
    """The test goes through something, and through what is promised by name."""
    assert {"/certifi/cacert.pem", "/botocore/cacert.pem", "/httplib2/cacerts.txt"} <= set(SUFFIXES)


@pytest.mark.parametrize("end", SUFFIXES)
def test_bundle_of_a_package(sandlock, package, end):
    path = package(end)
    text, _ = read_inside(sandlock, path)
    assert text == OWN, "without HTTP rules it is itself"
    text, ca = read_inside(sandlock, path, HTTP)
    assert ca.startswith("-----BEGIN CERTIFICATE-----")
    assert ca in text and OWN not in text, text[-2000:]
    text, ca = read_inside(sandlock, path.relative_to(sandlock.work), HTTP, cwd=sandlock.work)
    assert ca in text, "by a path from its own directory"
    text, ca = read_inside(sandlock, path.name, HTTP, cwd=path.parent)
    assert ca in text, "by its name alone"
    assert path.read_text() == OWN, "nothing was written"


def test_files_of_the_same_name_are_themselves(sandlock, package):
    """The last part of a path is not enough."""
    for end in SUFFIXES:
        path = package("/other/" + end.rsplit("/", 1)[1])
        text, ca = read_inside(sandlock, path, HTTP)
        assert text == OWN and ca not in text


def test_denied_bundle_stays_denied(sandlock, package):
    path = package(SUFFIXES[-1])
    run = sandlock(f"-w{sandlock.work}", "-r/", HTTP, f"--fs-deny={path}", cmd=["cat", path])
    assert run.rc != 0 and "BEGIN CERTIFICATE" not in run.out, str(run)


def test_variables(sandlock):
    """Each names a file that has the CA of the run; what it named before is believed as well."""
    variables = [name for name, _ in rows("trust", "variable")]
    bundles = {name for name, artefact in rows("trust", "variable") if artefact == "bundle"}
    script = "for v; do eval f=\\$$v; echo \"== $v\"; cat \"$f\"; done"
    ca = sandlock.tmp / "run-ca.pem"
    run = sandlock("-r/", HTTP, "--http-ca-bundle=merged", f"--http-ca-out={ca}",
                   cmd=["sh", "-c", script, "sh", *variables]).ok()
    found = dict(part.split("\n", 1) for part in run.out.split("== ")[1:])
    assert list(found) == variables
    for name, text in found.items():
        assert ca.read_text() in text, name
        assert (text == ca.read_text()) == (name not in bundles), name
    run = sandlock("-r/", cmd=["env"]).ok()
    assert not [v for v in variables if f"{v}=" in run.out], "without HTTP rules none is set"


@pytest.mark.parametrize("path", [p for (p,) in rows("ca-bundles", "bundle")])
def test_bundle_of_the_system(sandlock, path):
    """Also where this system has none: programs look at one place after the other."""
    text, ca = read_inside(sandlock, path, HTTP)
    assert ca in text


@pytest.fixture
def system_roots(sandlock):
    """One root of the system's, and what finds out how many certificates a bundle has."""
    bundles = [Path(p) for (p,) in rows("ca-bundles", "bundle") if Path(p).exists()]
    if not bundles:
        pytest.skip("this system has no bundle of authorities")
    return bundles[0].read_text()


def bundle_inside(box, *options, **kw):
    run = box("-r/", HTTP, *options, cmd=["sh", "-c", "cat $SSL_CERT_FILE"], **kw).ok()
    return run.out.count("BEGIN CERTIFICATE"), run.out


@pytest.mark.parametrize("more, merged", [
    ([], False), (["--net-deny=b.test"], False), (["--net-allow=unix:/run/x.sock"], False),
    (["--net-allow=192.0.2.1:443"], True), (["--net-allow-host=b.test"], True),
    (["--net-connect=443"], True), (["--http-no-inspect=b.test"], True),
    (["--http-ca-bundle=merged"], True), (["--net-allow=b.test:443", "--http-ca-bundle=own"], False)])
def test_the_systems_roots_are_for_who_meets_others(sandlock, system_roots, more, merged):
    count, _ = bundle_inside(sandlock, *more)
    assert (count == 1) if not merged else (count > system_roots.count("BEGIN CERTIFICATE") - 8)


def test_what_the_user_added_stays(sandlock, system_roots, tmp_path):
    """A CA of one's own in SSL_CERT_FILE, for servers of the command's own."""
    added = pki.root().read_text()
    both = tmp_path / "both.pem"
    both.write_text(system_roots + added)
    count, text = bundle_inside(sandlock, env={"SSL_CERT_FILE": str(both)})
    body = added.split("-----")[2].strip()
    assert body in text and count == 2, text
    run = sandlock(HTTP, "--http-ca-bundle=none", cmd=["true"])
    assert run.rc == 2 and "expected own or merged" in run.err, str(run)
