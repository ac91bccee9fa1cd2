"""docs/recipes.md, what fetches or asks somebody: each policy runs the real program against a server of
the test or an agent of the user's, and keeps it from the rest."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest
from conftest import Api
from harness import kernel, paths, pki
from harness.recipes import LINES, PAGE, furnish, holds, need, recipe
from harness.waiting import TIMEOUT, read_line
from harness.webserver import WebServer
from test_packages import FAKEROOT


@pytest.fixture(autouse=True)
def place(sandlock):
    furnish(sandlock)


@pytest.fixture
def serve():
    """A server that stands for this name, and the options that let the gateway find and trust it."""
    made = []

    def start(name, answer):
        server = WebServer(answer, pki.leaf(name))
        made.append(server)
        return Api(server, name)

    yield start
    for server in made:
        server.close()


# ---- apt ----

def debian_archive(root):
    """An archive of one package, whose lists nobody has signed."""
    package = root.parent / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "usr" / "share" / "hello").mkdir(parents=True)
    (package / "usr" / "share" / "hello" / "file").write_text("hello from the archive\n")
    control = ("Package: hello\nVersion: 9.9\nArchitecture: all\nMaintainer: Nobody <a@example.com>\n"
               "Description: a package of the tests\n")
    (package / "DEBIAN" / "control").write_text(control)
    script = package / "DEBIAN" / "postinst"
    script.write_text('#!/bin/sh\necho "$1 $DPKG_ROOT" >"$DPKG_ROOT/ran"\n')
    script.chmod(0o755)
    pool, lists = root / "debian" / "pool", root / "debian" / "dists" / "stable"
    pool.mkdir(parents=True)
    deb = pool / "hello_9.9_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package, deb], check=True,
                   capture_output=True, timeout=TIMEOUT)
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    index = (f"{control}Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
             ).encode()
    arch = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True,
                          text=True, timeout=TIMEOUT).stdout.strip()
    folder = lists / "main" / f"binary-{arch}"
    folder.mkdir(parents=True)
    sums = ""
    for name, data in (("Packages", index), ("Packages.gz", gzip.compress(index))):
        (folder / name).write_bytes(data)
        sums += f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-{arch}/{name}\n"
    (lists / "Release").write_text(f"Codename: stable\nSuite: stable\nComponents: main\n"
                                   f"Architectures: {arch}\nDate: Mon, 01 Jan 2024 00:00:00 UTC\n"
                                   f"SHA256:\n{sums}")


def apt_files(work, scheme):
    """As the page has them."""
    text = re.search(r"^```\n(Dir::State .*?)^```$", PAGE.read_text(), re.M | re.S)[1]
    (work / "apt.conf").write_text(text)
    (work / "sources.list").write_text(
        f"deb [trusted=yes] {scheme}://deb.example.com/debian stable main\n")
    for name in ("lists", "archives"):
        (work / "apt" / name / "partial").mkdir(parents=True)
    shutil.copy("/var/lib/dpkg/status", work / "apt" / "status")


def installs_in_a_root(sandlock, outside):
    need("fakeroot")
    state = sandlock.work / "root" / "var" / "lib" / "dpkg"
    state.mkdir(parents=True)
    (state / "status").touch()
    options, command = recipe(sandlock, "fakeroot dpkg --root")
    sandlock(*options, cmd=command, env=FAKEROOT, audit=False).ok()
    assert (sandlock.work / "root" / "usr" / "share" / "hello" / "file").read_text() == \
        "hello from the archive\n"
    assert "Status: install ok installed" in (state / "status").read_text()
    assert (sandlock.work / "root" / "ran").read_text() == f"configure {sandlock.work}/root\n"
    holds(sandlock, outside, options)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("who", ["caller", "seeming-root"])
def test_apt(sandlock, outside, tmp_path, scheme, who):
    """As root it would become _apt, which nobody can without capabilities; nothing but the run says
    that it need not. The same for whoever is made to seem root."""
    need("apt-get", "dpkg-deb")
    debian_archive(tmp_path / "archive")
    api = Api(outside.api("deb.example.com", options=(f"--root={tmp_path / 'archive'}",)),
              "deb.example.com")
    apt_files(sandlock.work, scheme)
    options, command = recipe(sandlock, "sh -c 'apt-get")
    options = [*api.options, *options, *(["--privileged"] if who == "seeming-root" else [])]
    run = sandlock(*options, cmd=command, audit=False).ok()
    assert "setgroups" not in run.err, str(run)
    installs_in_a_root(sandlock, outside)
    assert "GET /debian/pool/hello_9.9_all.deb" in api.seen()
    (sandlock.work / "sources.list").write_text(
        f"deb [trusted=yes] {scheme}://deb.example.com/other stable main\n")
    assert sandlock(*options, cmd=command, audit=False).rc != 0
    assert not any("/other/" in line for line in api.seen())
    holds(sandlock, outside, options)


def test_apt_in_a_run_within_a_run(sandlock):
    """The inner one grants what the outer one's variable names."""
    need("apt-config")
    inner = [paths.SANDLOCK, "run", *kernel.ALONE, "-r", "/usr", "-r", "/etc", "-r", "/var/lib/dpkg",
             "-w", "/tmp", "--", "apt-config", "dump", "APT::Sandbox::User"]
    run = sandlock("--privileged", cmd=inner, audit=False).ok()
    assert run.out == 'APT::Sandbox::User "root";\n', str(run)


@pytest.mark.parametrize("profile", ["build", "ci"])
def test_apt_under_the_profiles(sandlock, outside, tmp_path, profile):
    need("apt-get", "dpkg-deb")
    debian_archive(tmp_path / "archive")
    api = Api(outside.api("deb.example.com", options=(f"--root={tmp_path / 'archive'}",)),
              "deb.example.com")
    apt_files(sandlock.work, "https")
    sandlock("-p", profile, *api.options, "--http-allow=GET deb.example.com/*", audit=False, cmd=[
        "sh", "-c", "apt-get -c apt.conf update && apt-get -c apt.conf download hello"]).ok()
    assert (sandlock.work / "hello_9.9_all.deb").exists()


# ---- object stores, registries, large files ----

def test_aws_s3(sandlock, outside, serve):
    """The key gets there as it is spelt, and so does the signature that covers it."""
    if not os.access("/usr/bin/aws", os.X_OK):
        pytest.skip("awscli is not installed below /usr")
    objects = {}

    def answer(request):
        if request.method == "PUT":
            assert request.fields["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")
            objects[request.target] = request.body
            return 200, [("ETag", '"0"')], b""
        if request.target in objects:
            return 200, [("ETag", '"0"'), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")], \
                objects[request.target]
        return 404, [], b""

    api = serve("s3.example.com", answer)
    (sandlock.home / ".aws").mkdir()
    (sandlock.home / ".aws" / "credentials").write_text("[default]\naws_access_key_id = other\n")
    (sandlock.work / "report.csv").write_text("a;b\n")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1", "PATH": "/usr/bin:/bin"}
    options, command = recipe(sandlock, "aws --endpoint-url")
    options = [*api.options, *options]
    sandlock(*options, cmd=command, env=keys, audit=False).ok()
    target = "/bucket/a//100%25%20b%2Bc.csv"
    assert api.seen() == [f"PUT {target}"] and objects == {target: b"a;b\n"}
    back = [*command[:-2], command[-1], "back.csv"]
    run = sandlock(*options, cmd=back, env=keys, audit=False)
    assert run.rc == 1 and not (sandlock.work / "back.csv").exists(), str(run)
    reads = [f"--http-allow={method} s3.example.com/bucket/*" for method in ("GET", "HEAD")]
    sandlock(*options, *reads, cmd=back, env=keys, audit=False).ok()
    assert (sandlock.work / "back.csv").read_text() == "a;b\n"
    other = [*command[:-1], "s3://other/report.csv"]
    assert sandlock(*options, cmd=other, env=keys, audit=False).rc == 1
    assert set(objects) == {target}
    holds(sandlock, outside, options)


def image(text):
    """A manifest and the blobs that it names, as image-spec has them."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        member = tarfile.TarInfo("hello")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    plain = layer.getvalue()
    packed = gzip.compress(plain)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
        "type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]}}).encode()
    kind = "application/vnd.oci.image"
    blobs = {f"sha256:{hashlib.sha256(b).hexdigest()}": b for b in (config, packed)}
    (first, second) = ({"digest": d, "size": len(b)} for d, b in blobs.items())
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
                "config": {"mediaType": f"{kind}.config.v1+json", **first},
                "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", **second}]}
    return json.dumps(manifest).encode(), blobs


def test_skopeo(sandlock, outside, serve):
    need("skopeo")
    manifest, blobs = image(b"hello from the image\n")
    known = {"/v2/": b"{}", **{f"/v2/app/blobs/{d}": b for d, b in blobs.items()}}

    def answer(request):
        if request.target in ("/v2/app/manifests/1.0", "/v2/other/manifests/1.0"):
            return 200, [("Content-Type", "application/vnd.oci.image.manifest.v1+json")], manifest
        return (200, [], known[request.target]) if request.target in known else (404, [], b"")

    api = serve("registry.example.com", answer)
    options, command = recipe(sandlock, "skopeo copy")
    options = [*api.options, *options]
    sandlock(*options, cmd=command, audit=False).ok()
    for digest, blob in blobs.items():
        assert (sandlock.work / "app" / digest.partition(":")[2]).read_bytes() == blob
    other = [*command[:-2], "docker://registry.example.com/other:1.0", "dir:other"]
    run = sandlock(*options, cmd=other, audit=False)
    assert run.rc != 0 and not any("/other/" in line for line in api.seen()), str(run)
    holds(sandlock, outside, options)


def git(work, *words):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
           "GIT_LFS_SKIP_SMUDGE": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@example.com"}
    subprocess.run(["git", *words], cwd=work, env=env, check=True, capture_output=True,
                   timeout=TIMEOUT)


def test_git_lfs(sandlock, outside, serve):
    need("git", "git-lfs")
    content = b"large\n" * 1000
    oid = hashlib.sha256(content).hexdigest()
    batch = "/org/repo.git/info/lfs/objects/batch"

    def answer(request):
        if request.target == batch:
            assert [o["oid"] for o in json.loads(request.body)["objects"]] == [oid]
            found = {"oid": oid, "size": len(content), "authenticated": True, "actions": {
                "download": {"href": f"https://git.example.com/lfs/{oid}"}}}
            return 200, [("Content-Type", "application/vnd.git-lfs+json")], json.dumps(
                {"transfer": "basic", "objects": [found]}).encode()
        return (200, [], content) if request.target == f"/lfs/{oid}" else (404, [], b"")

    api = serve("git.example.com", answer)
    work = sandlock.work
    git(work, "init", "-q", "-b", "main")
    git(work, "config", "lfs.transfer.maxretries", "1")  # it would ask nine times, and wait longer each
    git(work, "remote", "add", "origin", "https://git.example.com/org/repo.git")
    (work / "data.bin").write_text("version https://git-lfs.github.com/spec/v1\n"
                                   f"oid sha256:{oid}\nsize {len(content)}\n")
    git(work, "add", "data.bin")
    (work / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    git(work, "add", ".gitattributes")
    git(work, "commit", "-q", "-m", "first")
    options, command = recipe(sandlock, "git lfs pull")
    options = [*api.options, *options]
    run = sandlock(*options[:-2], cmd=command, audit=False)
    assert run.rc != 0 and set(api.seen()) == {f"POST {batch}"}, str(run)
    sandlock(*options, cmd=command, audit=False).ok()
    assert (work / "data.bin").read_bytes() == content
    assert api.seen()[-2:] == [f"POST {batch}", f"GET /lfs/{oid}"]
    holds(sandlock, outside, options)


# ---- agents outside ----

def test_gpg_agent(sandlock, outside):
    """It signs; without the name of its socket it does not, and the keys are never in reach."""
    need("gpg", "gpg-agent", "gpgconf")
    keys = sandlock.home / ".gnupg"
    keys.mkdir(mode=0o700)
    (sandlock.work / "notes.txt").write_text("a note\n")
    try:
        sandlock.bare(["gpg", "--batch", "--passphrase", "", "--quick-gen-key",
                       "Nobody <a@example.com>", "default", "default", "never"]).ok()
        options, command = recipe(sandlock, "gpg --batch")
        sandlock(*options, cmd=command, audit=False).ok()
        signature = sandlock.work / "notes.txt.sig"
        sandlock.bare(["gpg", "--verify", signature, "notes.txt"]).ok()
        signature.unlink()
        named = next(o for o in options if o.startswith("unix:"))
        without = [o for o in options if o != named]
        del without[-1]
        run = sandlock(*without, cmd=command, audit=False)
        assert run.rc != 0 and not signature.exists() and named in run.err, str(run)
        secret = next((keys / "private-keys-v1.d").iterdir())
        run = sandlock(*options, cmd=["cat", secret], audit=False)
        assert run.rc != 0 and run.out == "" and "Permission denied" in run.err, str(run)
        holds(sandlock, outside, options)
    finally:
        sandlock.bare(["gpgconf", "--kill", "gpg-agent"])


def test_ssh_agent(sandlock, outside):
    need("ssh-agent", "ssh-add", "ssh-keygen")
    work, socket = sandlock.work, str(sandlock.home / "agent")
    key = sandlock.home / "key"
    sandlock.bare(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]).ok()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    try:
        assert read_line(agent.stdout, "the agent").startswith(b"SSH_AUTH_SOCK=")
        env = {"SSH_AUTH_SOCK": socket}
        sandlock.bare(["ssh-add", "-q", key], env=env).ok()
        shutil.copy(key.with_suffix(".pub"), work / "key.pub")
        (work / "notes.txt").write_text("a note\n")
        options, command = recipe(sandlock, "ssh-keygen -q -Y", **env)
        run = sandlock(*options[:-2], cmd=command, env=env, audit=False)
        assert run.rc != 0 and f"unix:{socket}" in run.err, str(run)
        sandlock(*options, cmd=command, env=env, audit=False).ok()
        sandlock.bare(["ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", "notes.txt.sig"],
                      data=b"a note\n").ok()
        run = sandlock(*options, cmd=["cat", key], env=env, audit=False)
        assert run.rc != 0 and run.out == "", str(run)
        holds(sandlock, outside, options)
    finally:
        agent.terminate()
        agent.wait(TIMEOUT)
        agent.stdout.close()


def test_each_line_of_the_page_has_its_test():
    """Each asks for its own by the words that begin the command."""
    tests = "".join((paths.TESTS / "integration" / name).read_text()
                    for name in ("test_recipes.py", "test_recipes_fetch.py"))
    asked = re.findall(r'recipe\(sandlock, "([^"]+)"', tests)
    for line in LINES:
        command = line.partition(" --")[2]
        assert sum(f" {words}" in command for words in asked) >= 1, line
    assert len(LINES) >= 20
