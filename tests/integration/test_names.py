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
    assert first.split() == ["api.test", "198.18.0.1", "2001:2::c612:1"]
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
    run = sandlock("--http-allow=GET api.test/*", cmd=["getent", "ahostsv4", "api.test"]).ok()
    assert run.out.startswith(("198.18.", "198.19."))
    run = sandlock("--http-allow=GET api.test/*", cmd=["getent", "hosts", "api.test"]).ok()
    assert run.out.startswith("2001:2::c61"), "getent(1) asks for IPv6 first"
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
    run = sandlock(*rule, "--hostname=box-7.example.net", cmd=["getent", "ahosts", "box-7"]).ok()
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


BOTH = """
import socket, sys
for family in (socket.AF_INET, socket.AF_INET6):
    for only in (0, 1):
        where = socket.getaddrinfo("api.test", int(sys.argv[1]), family, socket.SOCK_STREAM)[0][4]
        s = socket.socket(family)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        s.connect(where)
        assert s.getpeername()[:2] == where[:2], (s.getpeername(), where)
        s.sendall(b"GET /x HTTP/1.1\\r\\nHost: api.test\\r\\nConnection: close\\r\\n\\r\\n")
        print(where[0], s.recv(99).split()[1].decode())
first = socket.getaddrinfo("api.test", 80, type=socket.SOCK_STREAM)[0]
print("first", first[0] == socket.AF_INET)
"""
RESULT = ["198.18.0.1 200", "198.18.0.1 200", "2001:2::c612:1 200", "2001:2::c612:1 200",
          "first True"]


@pytest.mark.parametrize("upstream", ["127.0.0.1", "::1"])
def test_a_name_has_an_address_of_each_family(sandlock, outside, upstream):
    """Whatever the server has: through the gateway either reaches it."""
    server = outside.api(listen=f"{upstream}:0")
    fixed = f"--resolve=api.test={'[::1]' if ':' in upstream else upstream}:{server.port}"
    run = sandlock(fixed, "--http-allow=GET api.test/*",
                   cmd=["python3", "-c", BOTH, 80]).ok()
    assert run.out.splitlines() == RESULT, str(run)
    for flag in ("-4", "-6"):
        run = sandlock(fixed, "--http-allow=GET api.test/*",
                       cmd=["curl", "-sS", flag, "-o", "/dev/null", "-w", "%{http_code} %{remote_ip}",
                            "http://api.test/x"]).ok()
        assert run.out == ("200 198.18.0.1" if flag == "-4" else "200 2001:2::c612:1"), str(run)
        run = sandlock(fixed, "--http-allow=GET api.test/*",
                       cmd=["curl", "-sS", flag, "http://api.test/x", "-X", "POST"])
        assert "denied_by_sandlock" in run.out, "judged as the same name"


@pytest.mark.parametrize("upstream", ["127.0.0.1", "::1"])
def test_a_direct_name_of_one_family(sandlock, outside, upstream):
    """No HTTP rule: the child's own socket is connected, or the gateway carries what it cannot."""
    server = outside.api(listen=f"{upstream}:0")
    fixed = f"--resolve=api.test={'[::1]' if ':' in upstream else upstream}"
    run = sandlock(fixed, f"--net-allow=api.test:{server.port}",
                   cmd=["python3", "-c", BOTH.replace("assert s.getpeername()", "s.getpeername()"),
                        server.port]).ok()
    assert run.out.splitlines() == RESULT, str(run)


@pytest.mark.netns
def test_without_ipv6_on_loopback(sandlock, api):
    """As in a container: no ::1, and a name is reached over IPv6 all the same."""
    with netns.no_ipv6():
        run = sandlock(*api.options, "--http-allow=GET api.test/*",
                       cmd=["python3", "-c", BOTH, 80]).ok()
    assert run.out.splitlines() == RESULT, str(run)
