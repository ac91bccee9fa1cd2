"""docs/troubleshooting.md: each of its entries is run, the symptom and the way out."""

import re
import shutil
import ssl
import subprocess

import pytest
from test_denials import fingerprint, h2, names, serve_tls, spki_pin  # noqa: F401
from test_readme import split

from harness import netns, paths, pki
from harness.sandbox import clean_environment
from harness.servers import server_context

pytestmark = pytest.mark.netns

PAGE = paths.ROOT / "docs" / "troubleshooting.md"
WEB = netns.PUBLIC[4]
NAME = "api.example.com"


def entries():
    """(heading, world, lines) of each."""
    found = []
    for part in re.split(r"^### ", PAGE.read_text(), flags=re.M)[1:]:
        heading = part.splitlines()[0]
        block = re.search(r"^```sh trouble (\S+)\n(.*?)^```$", part, re.M | re.S)
        assert block, f"'{heading}' has no lines that a test runs"
        found.append((heading, block[1], block[2].splitlines()))
    return found


ENTRIES = entries()


def authority_of_its_own(world):
    made = pki.make("page", cn="page", names=[NAME], issuer="self")
    shutil.copy(made.cert, world / "server.pem")
    return made


def wants_certificate():
    context = server_context(pki.leaf(NAME))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.root())
    return context


@pytest.fixture
def world(request, outside, sandlock, h2):  # noqa: F811
    """The server that an entry is about, and what lies in its directory."""
    kind, work = request.param, sandlock.work
    leaf = pki.leaf(NAME)
    outside.dns({NAME: ["127.0.0.1" if kind == "local" else WEB]})
    env = {"SSL_CERT_FILE": str(pki.root()), "ADDRESS": WEB, "PIN": spki_pin(leaf.cert)}
    shutil.copy(pki.root(), work / "mine.pem")
    if kind in ("web", "proxy"):
        outside.api(NAME, listen=[f"{WEB}:443", f"{WEB}:80"])
    elif kind == "local":
        outside.api(NAME, listen="127.0.0.1:80")
    elif kind == "h2":
        h2(443, leaf.cert, leaf.key)
        client = (paths.TESTS / "clients" / "ca_client.mjs").read_text()
        env["CLIENT"] = str(work / "h2.mjs")
        (work / "h2.mjs").write_text(client.replace(
            "process.argv.slice(2)", '["h2", "-", process.argv[2]]'))
        env["NODE_EXTRA_CA_CERTS"] = str(pki.root())
    elif kind == "h2c":
        h2(80)
    elif kind == "mtls":
        mine = pki.make("client", cn="client", names=["client.test"], usage=None)
        shutil.copy(mine.cert, work / "client.pem")
        shutil.copy(mine.key, work / "client.key")
        serve_tls(outside, wants_certificate())
    elif kind == "self-signed":
        serve_tls(outside, server_context(authority_of_its_own(work)))
    elif kind == "expired":
        serve_tls(outside, server_context(
            pki.make("late", cn="late", names=[NAME], end=pki.NOW - pki.DAY / 2)))
    elif kind == "strace" and shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if kind == "proxy":
        env["https_proxy"] = env["HTTP_PROXY"] = f"http://{netns.PUBLIC[9]}:3128"
    env["PATH"] = f"{paths.SANDLOCK.parent}:{clean_environment(sandlock.home)['PATH']}"
    return work, clean_environment(sandlock.home, **env)


@pytest.mark.parametrize("world,lines", [(kind, lines) for _, kind, lines in ENTRIES],
                         ids=[re.sub(r"[^\w]+", "-", heading) for heading, _, _ in ENTRIES],
                         indirect=["world"])
def test_entry(world, lines):
    work, env = world
    for line in lines:
        command, code, text = split(line)
        done = subprocess.run(["bash", "-c", command], cwd=work, env=env, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{said}"
        assert not text or text in said, f"{command}: no '{text}' in\n{said}"


def test_every_option_that_helps_is_on_the_page():
    page = PAGE.read_text()
    for option in ("--http-allow", "--http-no-inspect", "--http-upstream-ca", "--net-allow",
                   "--resolve", "--allow-debug", "--env"):
        assert f"`{option}" in page, option


def test_the_shown_summary_has_its_form():
    """What the page shows is what harness.summary reads."""
    from harness.summary import denials
    shown = re.search(r"((?:^    sandlock: .*\n)+)", PAGE.read_text(), re.M)[1]

    class Run:
        err = re.sub(r"^    ", "", shown, flags=re.M)
    found = denials(Run)
    assert [d.group for d in found] == ["allow", "allow", "never"] and found[1].count == 2
    assert found[2].why and not found[2].flag
