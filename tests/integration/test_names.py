"""One name resolved by each resolver there is; a name that no rule grants is not resolved, and no
question ever leaves."""

import socket

import pytest

from harness import build, netns

GO = "clients/go_client.go"


def resolver_words(kind):
    if kind == "glibc":
        return [build.c_program("clients/resolve.c", "-dynamic")]
    if kind == "musl":
        return [build.c_program("clients/resolve.c", cc="musl-gcc")]
    if kind == "cares":
        return [build.c_program("clients/resolve_cares.c", "-dynamic", "-lcares")]
    return [build.go_program(GO, kind == "go-cgo"), "resolve"]


@pytest.mark.netns
@pytest.mark.parametrize("kind", ["musl", "glibc", "go", "go-cgo", "cares"])
def test_one_name(sandlock, outside, kind):
    upstream = outside.dns({"api.test": ["203.0.113.9"], "other.test": ["203.0.113.8"]})
    words = resolver_words(kind)

    bare = sandlock.bare([*words, "api.test", "other.test"]).ok()
    assert bare.out.splitlines() == ["api.test 203.0.113.9", "other.test 203.0.113.8"]
    asked = len(upstream.log.events)
    assert asked > 0

    run = sandlock("--http-allow=GET api.test/*", cmd=[*words, "api.test", "other.test"]).ok()
    first, second = run.out.splitlines()
    name, address = first.split()
    assert name == "api.test" and address.startswith(("198.18.", "198.19."))
    assert second == "other.test error"
    assert len(upstream.log.events) == asked, "a look-up asked upstream"


@pytest.mark.netns
@pytest.mark.parametrize("nameserver", ["", "127.0.0.1", "::1", "192.0.2.53", "2001:db8::1"])
@pytest.mark.parametrize("kind", ["musl", "glibc", "go", "cares"])
def test_whatever_the_resolver_is_called(sandlock, kind, nameserver, tmp_path):
    """The resolver's address is nobody's business: every query reaches ours."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver {nameserver}\n" if nameserver else "# none\n")
    words = resolver_words(kind)
    with netns.bind_over(resolv, "/etc/resolv.conf"):
        run = sandlock("--http-allow=GET api.test/*", cmd=[*words, "api.test"]).ok()
    assert run.out.split()[1].startswith(("198.18.", "198.19.")), str(run)


@pytest.mark.parametrize("options", ["use-vc", "edns0 trust-ad", "rotate single-request"])
@pytest.mark.netns
def test_resolver_options(sandlock, options, tmp_path):
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"nameserver {netns.RESOLVER}\noptions {options}\n")
    with netns.bind_over(resolv, "/etc/resolv.conf"):
        run = sandlock("--http-allow=GET api.test/*",
                       cmd=[*resolver_words("glibc"), "api.test", "no.test"]).ok()
    assert run.out.split()[1].startswith(("198.18.", "198.19.")), str(run)
    assert "no.test error" in run.out


def test_getent_and_python_and_localhost(sandlock):
    run = sandlock("--http-allow=GET api.test/*", cmd=["getent", "hosts", "api.test"]).ok()
    assert run.out.startswith(("198.18.", "198.19."))
    run = sandlock("--http-allow=GET api.test/*",
                   cmd=["python3", "-c", "import socket; print(socket.gethostbyname('localhost'))"])
    assert run.ok().out.strip() == "127.0.0.1"
    run = sandlock("--http-allow=GET api.test/*", cmd=["cat", "/etc/hosts"]).ok()
    assert all("localhost" in line or line.startswith("127.0.1.1 ")
               for line in run.out.splitlines()), str(run)


OWN_NAME = """
import socket
name = socket.gethostname()
server = socket.create_server((name, 0))
socket.create_connection((name, server.getsockname()[1])).close()
print(name, socket.gethostbyname(name), socket.getfqdn())
"""


@pytest.mark.parametrize("options", [(), ("--http-allow=GET */*",)], ids=["one", "any"])
def test_a_machine_knows_its_own_name(sandlock, options):
    """As programs ask for it at their start, and listen there: the machine's, or the one given."""
    rule = ["--http-allow=GET api.test/*", *options]
    for given in ("box-7.example.net", None):
        name = given or socket.gethostname()
        run = sandlock(*rule, *([f"--hostname={given}"] if given else []),
                       cmd=["/usr/bin/python3", "-c", OWN_NAME]).ok()
        own = "127.0.0.1" if name.startswith("localhost") else "127.0.1.1"
        assert run.out.split()[:2] == [name, own], str(run)
    run = sandlock(*rule, "--hostname=box-7.example.net", cmd=["hostname", "-f"]).ok()
    assert run.out == "box-7.example.net\n", str(run)
    run = sandlock(*rule, "--hostname=box-7.example.net", cmd=["getent", "hosts", "box-7"]).ok()
    assert run.out.split()[0] == "127.0.1.1", str(run)


def test_its_own_name_is_as_any_other_where_a_rule_names_it(sandlock):
    run = sandlock("--http-allow=GET api.test/*", "--hostname=api.test",
                   cmd=["getent", "ahostsv4", "api.test"]).ok()
    assert run.out.startswith(("198.18.", "198.19.")), str(run)
    run = sandlock("--http-allow=GET api.test/*", "--net-deny=box.test", "--hostname=box.test",
                   cmd=["getent", "ahostsv4", "box.test"])
    assert run.rc != 0 and run.out == "", str(run)


def test_the_name_decides_not_its_case(sandlock):
    words = resolver_words("glibc")
    run = sandlock("--http-allow=GET api.test/*", cmd=[*words, "API.Test", "api.test."]).ok()
    addresses = {line.split()[1] for line in run.out.splitlines()}
    assert len(addresses) == 1 and "error" not in addresses, str(run)


def test_wildcard(sandlock):
    words = resolver_words("musl")
    run = sandlock("--http-allow=GET *.w.test/*", cmd=[*words, "a.w.test", "b.c.w.test", "w.test"])
    lines = run.ok().out.splitlines()
    assert lines[0].split()[1] != lines[1].split()[1]
    assert lines[2] == "w.test error"
