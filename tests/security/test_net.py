"""NET: sockets and addresses (docs/security-cases.md). Each case works bare, then is refused, and
the witness saw nothing."""

import os
import re
import socket
import sys
import tempfile
import threading

import pytest

from harness import kernel, netns, places
from harness.waiting import TIMEOUT

pytestmark = pytest.mark.netns

GOOD, BAD = netns.PUBLIC[0], netns.PUBLIC[1]
REFUSED = {"ECONNREFUSED", "EACCES"}
FORBIDDEN = {"EPERM", "ENOSYS"}
PORT = 7000


def steps(run):
    """The lines "NAME RESULT" of an attack program."""
    return [tuple(line.split()) for line in run.out.splitlines()]


def last(run, name):
    return [r for n, r in steps(run) if n == name][-1]


class Pair:
    """The same port on an allowed and a denied address, TCP and UDP witnesses on both."""

    def __init__(self, outside, good=GOOD, bad=BAD, port=PORT):
        self.port = port
        self.good_tcp = outside.witness(good, port)
        self.bad_tcp = outside.witness(bad, port)
        self.good_udp = outside.witness(good, port, kind=socket.SOCK_DGRAM)
        self.bad_udp = outside.witness(bad, port, kind=socket.SOCK_DGRAM)
        self.good, self.bad = (good, str(port)), (bad, str(port))

    def bad_seen(self):
        return self.bad_tcp.received() + self.bad_udp.received()


@pytest.fixture
def pair(outside):
    return Pair(outside)


ALLOW = f"--net-allow={GOOD}:{PORT}"
ALLOW_TCP = f"--net-allow=tcp://{GOOD}:{PORT}"


def test_allowed_and_denied(sandlock, pair, attack):
    """The base of everything below: the same call, one address granted, the other not."""
    net = attack("net")
    for verb in ("connect", "udp_sendto", "udp_sendmsg", "udp_plain"):
        assert sandlock.bare([net, verb, *pair.bad]).rc == 0
    assert pair.bad_tcp.received() == [b""] and pair.bad_udp.received() == [b"x"] * 3
    for verb in ("connect", "udp_sendto", "udp_sendmsg", "udp_plain"):
        sandlock(ALLOW, cmd=[net, verb, *pair.good]).ok()
        run = sandlock(ALLOW, cmd=[net, verb, *pair.bad])
        # a UDP connect sends nothing, and the first datagram is refused behind it
        assert steps(run)[0][1] in REFUSED or verb == "udp_plain", str(run)
        assert len(run.denies()) >= 1 and run.denies()[0].get("sandlock.reason"), str(run)
    assert pair.good_tcp.received() == [b""] and pair.good_udp.received() == [b"x"] * 3
    assert pair.bad_tcp.received() == [b""] and pair.bad_udp.received() == [b"x"] * 3


@pytest.mark.parametrize("verb", ["addr", "addr_udp", "iov_udp"])
def test_NET_01_address_rewritten_after_the_check(sandlock, pair, attack, verb):
    race, rounds = attack("net_race"), 100000
    sandlock.bare([race, verb, 20000, *pair.bad, *pair.good]).ok()
    before = len(pair.bad_seen())
    assert before > 0, "the race is never lost, even bare"
    run = sandlock(ALLOW, cmd=[race, verb, rounds, *pair.bad, *pair.good], audit=False).ok()
    assert int(last(run, "done")) > 0, str(run)
    assert len(pair.bad_seen()) == before


def test_NET_02_descriptor_replaced_after_the_check(sandlock, pair, attack):
    race = attack("net_race")
    sandlock.bare([race, "dup", "100000", *pair.good, *pair.good]).ok()
    before = len(pair.good_udp.received())
    assert before > 0
    run = sandlock(ALLOW_TCP, cmd=[race, "dup", 50000, *pair.good, *pair.good], audit=False).ok()
    # a UDP connect may succeed into a sink (getaddrinfo sorts addresses so); nothing arrives
    assert run.rc == 0
    assert len(pair.good_udp.received()) == before


@pytest.mark.parametrize("verb", ["local", "table"])
def test_NET_02_local_socket_replaced_after_the_check(sandlock, pair, attack, verb):
    """A local socket needs no verdict, whatever its message says; the one in its place does."""
    race = attack("net_race")
    words = [race, verb, 50000, *pair.bad, *pair.good]
    assert int(last(sandlock.bare(words).ok(), "done")) > 0
    before = len(pair.bad_udp.received())
    assert before > 0, "the race is never lost, even bare"
    run = sandlock(ALLOW, cmd=words, audit=False).ok()
    assert int(last(run, "done")) > 0, str(run)
    assert len(pair.bad_udp.received()) == before


def test_NET_03_thread_with_its_own_table(sandlock, pair, attack):
    table = attack("net_table")
    sandlock.place = places.words("unshare")
    assert [r for _, r in steps(sandlock.bare([table, *pair.good]))] == \
        ["ok", "ok", "ENOTCONN", "ok", "ENOTCONN"]
    seen = len(pair.good_udp.received())
    run = sandlock(ALLOW_TCP, cmd=[table, *pair.good])
    if not kernel.has_thread_pidfds():  # nobody leaves the table then
        assert [r for n, r in steps(run) if n == "unshare"] == ["EPERM"] * 2, str(run)
        assert len(pair.good_udp.received()) == seen
        return
    # judged as UDP: refused, or connected to the sink of address sorting
    assert last(run, "thread_udp") in REFUSED | {"ok"}, str(run)
    assert last(run, "thread_tcp") == "ok", str(run)
    assert [r for n, r in steps(run) if n == "leader_peer"] == ["ENOTCONN"] * 2, str(run)
    assert len(pair.good_udp.received()) == seen


@pytest.mark.parametrize("options", [(), (ALLOW,), ("--http-allow=GET api.test/*",)])
def test_NET_04_mptcp(sandlock, pair, attack, options):
    net = attack("net")
    if sandlock.bare([net, "mptcp", *pair.bad]).rc != 0:
        pytest.skip("this kernel has no MPTCP: the attack does not work bare")
    before = len(pair.bad_tcp.received())
    run = sandlock(*options, cmd=[net, "mptcp", *pair.bad])
    if options:
        assert steps(run)[-1][1] in REFUSED | FORBIDDEN | {"EPROTONOSUPPORT"}, str(run)
        assert len(pair.bad_tcp.received()) == before
    else:  # nothing restricts the network: both ends of the range are documented
        assert run.rc in (0, 1)


@pytest.mark.parametrize("options", [ALLOW, "--net-connect=1"])
@pytest.mark.parametrize("verb", ["fastopen", "fastopen_msg"])
def test_NET_05_fastopen(sandlock, pair, attack, verb, options):
    net = attack("net")
    sandlock.bare([net, verb, *pair.bad])
    assert len(pair.bad_tcp.received()) == 1
    run = sandlock(options, cmd=[net, verb, *pair.bad])
    assert last(run, "send") != "ok", str(run)
    assert len(pair.bad_tcp.received()) == 1


def test_NET_06_second_message_of_sendmmsg(sandlock, pair, attack):
    net = attack("net")
    assert last(sandlock.bare([net, "udp_sendmmsg", *pair.bad, *pair.good]), "sent") == "2"
    run = sandlock(ALLOW, cmd=[net, "udp_sendmmsg", *pair.bad, *pair.good])
    assert last(run, "sent") == "1", str(run)
    assert len(pair.bad_udp.received()) == 1 and len(pair.good_udp.received()) == 2


def test_NET_07_connected_then_other_name(sandlock, pair, attack):
    net = attack("net")
    sandlock.bare([net, "udp_connected", *pair.bad, *pair.good]).ok()
    assert len(pair.bad_udp.received()) == 2
    run = sandlock(ALLOW, cmd=[net, "udp_connected", *pair.bad, *pair.good])
    assert last(run, "connect") == "ok"
    assert last(run, "send") in REFUSED and last(run, "sendto") in REFUSED, str(run)
    assert len(pair.bad_udp.received()) == 2


@pytest.mark.parametrize("direct", [True, False])
def test_NET_08_unspec_then_elsewhere(sandlock, pair, attack, api, direct):
    net = attack("net")
    assert last(sandlock.bare([net, "unspec", *pair.bad, *pair.good]), "second") == "ok"
    before = len(pair.bad_tcp.received())
    if direct:
        run = sandlock(ALLOW, cmd=[net, "unspec", *pair.bad, *pair.good])
        assert last(run, "first") == "ok"
    else:  # the first connection is steered: synthetic addresses start at 198.18.0.1
        script = ("import socket,sys;a=socket.gethostbyname('api.test');"
                  "s=socket.socket();s.connect((a,80));"
                  "import ctypes;c=ctypes.CDLL(None,use_errno=True);"
                  "print('first ok');"
                  "print('dissolve',c.connect(s.fileno(),bytes(16),16));\n"
                  f"try:\n s.connect(('{BAD}',{PORT}));print('second ok')\n"
                  "except OSError as e:\n import errno;print('second',errno.errorcode[e.errno])")
        run = sandlock(*api.options, "--http-allow=GET api.test/*", cmd=["python3", "-c", script])
        assert last(run, "first") == "ok", str(run)
    assert last(run, "second") in REFUSED | {"EISCONN"}, str(run)
    assert len(pair.bad_tcp.received()) == before


@pytest.mark.parametrize("verb", ["connect", "udp_sendto", "udp_plain"])
def test_NET_09_mapped_address(sandlock, pair, attack, verb):
    net = attack("net")
    mapped = (f"::ffff:{BAD}", str(PORT))
    assert sandlock.bare([net, verb, *mapped]).rc == 0
    before = len(pair.bad_seen())
    run = sandlock(ALLOW, cmd=[net, verb, *mapped])
    assert steps(run)[0][1] in REFUSED or verb == "udp_plain", str(run)
    assert len(run.denies()) == 1, str(run)
    assert len(pair.bad_seen()) == before
    sandlock(ALLOW, cmd=[net, verb, f"::ffff:{GOOD}", PORT]).ok()


def test_NET_09_v4_address_on_v6_socket(sandlock, pair, attack):
    net = attack("net")
    bare = sandlock.bare([net, "udp_mixed", *pair.bad])
    before = len(pair.bad_udp.received())
    assert bare.rc == 0 and before == 1
    run = sandlock(ALLOW, cmd=[net, "udp_mixed", *pair.bad])
    assert last(run, "send") in REFUSED, str(run)
    assert len(pair.bad_udp.received()) == before


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "127.0.0.2", "::1",
                                  "::ffff:127.0.0.1", "10.1.2.3", "100.64.0.9"])
@pytest.mark.parametrize("verb", ["connect", "udp_sendto"])
def test_NET_10_loopback_and_own_addresses(sandlock, outside, attack, host, verb):
    kind = socket.SOCK_STREAM if verb == "connect" else socket.SOCK_DGRAM
    witness = outside.witness("::", PORT, kind=kind) if host in ("::", "::1") else \
        outside.witness("0.0.0.0", PORT, kind=kind)
    net = attack("net")
    assert sandlock.bare([net, verb, host, PORT]).rc == 0
    assert len(witness.received()) == 1
    for options in ((f"--net-allow={GOOD}:*",), ("--http-allow=* *",)):
        run = sandlock(*options, cmd=[net, verb, host, PORT])
        assert steps(run)[-1][1] in REFUSED, str(run)
    assert len(witness.received()) == 1


@pytest.mark.parametrize("host", ["64:ff9b::a01:203", "2002:a01:203::1"])
def test_NET_11_translated_forms_of_a_denied_range(sandlock, outside, attack, host):
    witness = outside.witness(host, PORT)
    net = attack("net")
    assert sandlock.bare([net, "connect", host, PORT]).rc == 0
    run = sandlock(f"--net-allow=*:{PORT}", "--net-deny=10.0.0.0/8", cmd=[net, "connect", host,
                                                                           PORT])
    assert last(run, "connect") in REFUSED, str(run)
    assert len(witness.received()) == 1


@pytest.mark.parametrize("host", [netns.METADATA, "fe80::1%1", f"::ffff:{netns.METADATA}"])
def test_NET_12_metadata_and_link_local(sandlock, outside, attack, host):
    listen = "0.0.0.0" if "." in host else "::"
    witness = outside.witness(listen, 80)
    net = attack("net")
    assert sandlock.bare([net, "connect", host, 80]).rc == 0
    run = sandlock("--net-allow=*:80", cmd=[net, "connect", host, 80])
    assert last(run, "connect") in REFUSED, str(run)
    assert len(witness.received()) == 1
    if host == netns.METADATA:
        sandlock(f"--net-allow={host}:80", cmd=[net, "connect", host, 80]).ok()
        assert len(witness.received()) == 2


@pytest.mark.parametrize("rule", ["010.0.0.1:80", "0x7f.1:80", "2130706433:80", "127.1:80",
                                  "10.0.0.0/33", "10.0.0.1:65536", "[::1/129]:80", "1.2.3.4.5:80",
                                  "10.0.0.1:80-", "10.0.0.1:90-80", "256.1.1.1:80"])
def test_NET_13_odd_addresses_in_the_policy(sandlock, rule, tmp_path):
    proof = tmp_path / "ran"
    run = sandlock(f"--net-allow={rule}", "-w", tmp_path, "-r", "/", cmd=["touch", proof])
    assert run.rc == 2 and not proof.exists(), str(run)
    assert len(run.err.strip().splitlines()) == 1 and rule.split(":80")[0] in run.err, str(run)
    assert sandlock("--net-allow=10.0.0.1:80", "-w", tmp_path, "-r", "/", cmd=["touch", proof]) \
        .ok() and proof.exists()


def test_NET_14_same_port_other_host(sandlock, outside, attack):
    a, b = outside.witness(GOOD, 443), outside.witness(BAD, 443)
    net = attack("net")
    sandlock(f"--net-allow={GOOD}:443", cmd=[net, "connect", GOOD, 443]).ok()
    run = sandlock(f"--net-allow={GOOD}:443", cmd=[net, "connect", BAD, 443])
    assert last(run, "connect") in REFUSED, str(run)
    assert a.received() == [b""] and b.received() == []


def test_NET_15_empty_list_denies_all(sandlock, pair, attack):
    net = attack("net")
    for option in ("--net-allow=", "--http-allow="):
        for verb in ("connect", "udp_sendto"):
            run = sandlock(option, cmd=[net, verb, *pair.bad])
            assert steps(run)[-1][1] in REFUSED | FORBIDDEN, str(run)
    assert pair.bad_seen() == []


def test_NET_15_only_http_deny_rules(sandlock, outside, attack):
    """Documented: the rest of HTTP passes, to any address but link-local and metadata; nothing but
    HTTP does."""
    server = outside.api(listen=f"{GOOD}:80")
    metadata = outside.witness(netns.METADATA, 80)
    database = outside.witness(GOOD, 5432)
    raw, net = attack("raw"), attack("net")
    request = b"GET /fine HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % GOOD.encode()
    deny = "--http-deny=* *.evil.test/*"
    run = sandlock(deny, cmd=[raw, GOOD, 80], data=request)
    assert run.out.startswith("HTTP/1.1 200"), str(run)
    assert server.seen() == ["GET /fine"]
    run = sandlock(deny, cmd=[net, "connect", GOOD, 5432])
    assert last(run, "connect") in REFUSED, str(run)
    run = sandlock(deny, cmd=[raw, netns.METADATA, 80], data=request)
    assert "200" not in run.out
    run = sandlock(deny, cmd=[raw, GOOD, 80], data=b"SSH-2.0-x\r\n")
    assert "SSH" not in run.out and "200" not in run.out and "open" not in run.err, str(run)
    assert metadata.received() == [] and database.received() == []


UNIX_HOW = [("stream", "connect"), ("seqpacket", "connect"), ("dgram", "connect"),
            ("dgram", "sendto"), ("dgram", "sendmsg")]
UNIX_TYPES = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET,
              "dgram": socket.SOCK_DGRAM}


@pytest.fixture
def far():
    """A directory outside every write grant (the default view lets the child write /tmp)."""
    with tempfile.TemporaryDirectory(prefix="sl-far-", dir="/var/tmp") as name:
        os.chmod(name, 0o755)
        yield name


@pytest.mark.parametrize("kind,how", UNIX_HOW)
def test_NET_16_unix_socket_outside_the_grants(sandlock, outside, attack, far, kind, how):
    path = f"{far}/host.sock"
    witness = outside.witness(kind=UNIX_TYPES[kind], path=path)
    unix = attack("net_unix")
    assert sandlock.bare([unix, kind, how, path]).rc == 0
    assert witness.received() == [b"x"]
    link = sandlock.work / "link.sock"
    link.symlink_to(path)
    relative = os.path.relpath(path, sandlock.work)
    for spelling in (path, link, relative, f"{far}/../{os.path.basename(far)}/host.sock",
                     f"/proc/self/root{path}"):
        run = sandlock(ALLOW, cmd=[unix, kind, how, spelling])
        assert steps(run)[0][1] in {"EACCES", "EPERM", "ENOENT"}, str(run)
    padded = f"{far}/" + "/" * (108 - len(path)) + "host.sock"
    run = sandlock(ALLOW, cmd=[unix, kind, how, padded])
    assert len(padded) == 108 and steps(run)[0][1] in {"EACCES", "EPERM", "ENOENT"}, str(run)
    assert witness.received() == [b"x"]


@pytest.mark.parametrize("kind,how", UNIX_HOW)
def test_NET_16_unix_socket_that_is_named(sandlock, outside, attack, kind, how):
    path = str(sandlock.work / "own.sock")
    witness = outside.witness(kind=UNIX_TYPES[kind], path=path)
    sandlock(ALLOW, f"--net-allow=unix:{path}", cmd=[attack("net_unix"), kind, how, path]).ok()
    assert witness.received() == [b"x"]


@pytest.mark.parametrize("kind,how", [("stream", "abstract"), ("dgram", "abstract"),
                                      ("dgram", "abstract_sendto"), ("dgram", "abstract_sendmsg"),
                                      ("seqpacket", "abstract")])
def test_NET_17_abstract_socket_of_the_host(sandlock, outside, attack, kind, how):
    name = f"sandlock-test-{os.getpid()}"
    witness = outside.witness(kind=UNIX_TYPES[kind], path="\0" + name)
    unix = attack("net_unix")
    assert sandlock.bare([unix, kind, how, name]).rc == 0
    run = sandlock(ALLOW, cmd=[unix, kind, how, name])
    assert steps(run)[0][1] in {"EPERM", "EACCES", "ECONNREFUSED"}, str(run)
    assert witness.received() == [b"x"]


def test_NET_18_and_19_socket_families(sandlock, attack):
    run = sandlock(ALLOW_TCP, cmd=[attack("net"), "families"])
    results = dict(steps(run))
    for name in ("unix", "inet", "route"):
        assert results.pop(name) == "ok", str(run)
    results.pop("inet6")
    wrong = {n: r for n, r in results.items()
             if r not in FORBIDDEN | {"EACCES", "EAFNOSUPPORT", "EPROTONOSUPPORT",
                                      "ESOCKTNOSUPPORT"}}
    assert wrong == {}, str(run)


def test_NET_18_families_without_net_rules(sandlock, attack):
    """Raw and packet sockets are off by default even where nothing restricts the network."""
    bare = dict(steps(sandlock.bare([attack("net"), "families"])))
    results = dict(steps(sandlock(cmd=[attack("net"), "families"])))
    assert results["inet"] == results["unix"] == results["route"] == "ok"
    for name in ("packet", "packet_dgram", "raw_icmp", "raw_tcp", "raw6", "sock_packet", "alg",
                 "vsock", "key", "xdp", "sockdiag", "netfilter"):
        assert results[name] != "ok", (name, bare[name])


def test_NET_19_udp_under_tcp_rules(sandlock, pair, attack):
    net = attack("net")
    for verb in ("udp_sendto", "udp_sendmsg", "udp_plain"):
        run = sandlock(ALLOW_TCP, cmd=[net, verb, *pair.good])
        # connect may succeed into the sink of getaddrinfo's address sorting
        assert steps(run)[-1][1] in REFUSED or verb == "udp_plain", str(run)
    assert pair.good_udp.received() == []
    sandlock(f"--net-allow=udp://{GOOD}:{PORT}", cmd=[net, "udp_sendto", *pair.good]).ok()
    run = sandlock(f"--net-allow=udp://{GOOD}:{PORT}", cmd=[net, "connect", *pair.good])
    assert last(run, "connect") in REFUSED
    assert pair.good_udp.received() == [b"x"] and pair.good_tcp.received() == []


def test_NET_19_quic_where_http_rules_govern(sandlock, outside, attack):
    quic = outside.witness(GOOD, 443, kind=socket.SOCK_DGRAM)
    net = attack("net")
    sandlock.bare([net, "udp_sendto", GOOD, 443]).ok()
    for options in ((f"--http-allow=* {GOOD}/*",), ("--http-allow=* *",),
                    ("--http-deny=* no.test/*",)):
        run = sandlock(*options, cmd=[net, "udp_sendto", GOOD, 443])
        assert last(run, "send") in REFUSED, str(run)
    assert quic.received() == [b"x"]


def test_NET_19_no_udp(sandlock, pair, attack):
    net = attack("net")
    run = sandlock("--no-udp", cmd=[net, "udp_sendto", *pair.good])
    assert steps(run)[-1][1] in REFUSED | FORBIDDEN, str(run)
    sandlock("--no-udp", cmd=[net, "connect", *pair.good]).ok()
    assert pair.good_udp.received() == []


SOCKETS = """
import errno, socket
for family in (socket.AF_INET, socket.AF_INET6):
    for protocol in (0, socket.IPPROTO_UDP):
        try:
            socket.socket(family, socket.SOCK_DGRAM, protocol).close()
            print("made")
        except OSError as e:
            print(errno.errorcode[e.errno])
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
"""


def test_NET_19_no_udp_makes_no_socket(sandlock):
    """Where nobody asks our resolver there is not even a socket; where a rule names hosts, there is."""
    ask = [sys.executable, "-c", SOCKETS]
    assert sandlock.bare(ask).ok().out == 4 * "made\n"
    for options in ((), (f"--net-allow=tcp://{GOOD}",), ("--net-connect=443",), ("--port-remap",),
                    ("--net-bind=8080",)):
        run = sandlock("--no-udp", *options, cmd=ask).ok()
        assert run.out == 4 * "EACCES\n", str(run)
        assert sandlock(*options, cmd=ask).ok().out == 4 * "made\n"
    for rule in ("--net-allow-host=a.test", "--http-allow=GET a.test/", "--net-deny=a.test"):
        assert sandlock("--no-udp", rule, cmd=ask).ok().out == 4 * "made\n"


def test_a_granted_host_is_reached_by_both_protocols(sandlock, pair):
    """--net-allow-host grants the name, TCP and UDP alike; --no-udp takes UDP out of it."""
    send = [sys.executable, "-c", "import socket,sys\n"
            "kind = getattr(socket, 'SOCK_' + sys.argv[2])\n"
            "s = socket.socket(socket.AF_INET, kind)\n"
            "s.connect(('granted.test', int(sys.argv[1])))\ns.send(b'x')\n", PORT]
    granted = ("--net-allow-host=granted.test", f"--resolve=granted.test={GOOD}")
    for kind in ("STREAM", "DGRAM"):
        sandlock(*granted, cmd=[*send, kind]).ok()
    assert pair.good_udp.received() == [b"x"]
    assert pair.good_tcp.received() == [b"x"]
    sandlock(*granted, "--no-udp", cmd=[*send, "STREAM"]).ok()
    sandlock(*granted, "--no-udp", cmd=[*send, "DGRAM"])  # its connect may succeed, into the sink
    sandlock("--net-allow-host=other.test", granted[1], cmd=[*send, "DGRAM"])
    assert pair.good_udp.received() == [b"x"] and pair.good_tcp.received() == [b"x", b"x"]


@pytest.mark.parametrize("option", ["--net-bind=7999", "--net-allow="])
@pytest.mark.parametrize("verb", ["listen", "bind0"])
def test_NET_20_listening_without_a_grant(sandlock, attack, option, verb):
    net = attack("net")
    assert sandlock.bare([net, verb]).rc == 0
    run = sandlock(option, cmd=[net, verb])
    assert run.rc == 1 and "port" not in run.out, str(run)
    assert steps(run)[-1][1] in {"EACCES", "EPERM", "EINVAL"} or verb == "bind0", str(run)


def test_NET_20_bind_to_a_granted_port(sandlock, attack, free_port):
    sandlock(f"--net-bind={free_port}", cmd=[attack("net"), "bind", "127.0.0.1", free_port]).ok()
    other = free_port + 1 if free_port < 65000 else free_port - 1
    run = sandlock(f"--net-bind={free_port}", cmd=[attack("net"), "bind", "127.0.0.1", other])
    assert last(run, "bind") == "EACCES", str(run)


def test_NET_21_odd_lengths_and_pointers(sandlock, pair, attack):
    run = sandlock(ALLOW, cmd=[attack("net"), "odd", *pair.bad])
    assert run.rc == 0, str(run)
    allowed = REFUSED | {"EINVAL", "EFAULT", "EAFNOSUPPORT", "EDESTADDRREQ", "EPERM"}
    # a length of 0 on a stream socket may be ok for AF_UNSPEC only; nothing here may succeed
    wrong = [s for s in steps(run) if s[1] not in allowed]
    assert wrong == [], str(run)
    assert dict(steps(run))["unmapped"] == "EFAULT"
    assert pair.bad_seen() == []


def test_NET_22_no_listening_port_of_ours(sandlock, api):
    """The gateway owns no port: while a flow is steered, nothing new listens."""
    script = ("import socket,sys;s=socket.create_connection(('api.test',80));"
              "print('up',flush=True);sys.stdin.read()")
    before = listening()
    running = sandlock.start(*api.options, "--http-allow=GET api.test/*",
                             cmd=["python3", "-c", script], stdin=-1)
    assert running.line() == "up\n"
    during = listening()
    running.finish(data=b"")
    assert during == before


def listening():
    """Listening TCP sockets and bound UDP ports of this network."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/net/{table}").readlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                found.add((table, words[1]))
    return found


def test_NET_22_and_23_stranger_races_to_the_steering_listener(sandlock, api, attack):
    """An unconfined process that connects to whatever listens on loopback while flows are being
    steered never gets into one: the listener of a connect takes only that connect's peer."""
    stop = threading.Event()
    answers = []

    def stranger():
        known = listening()
        while not stop.is_set():
            for table, where in listening() - known:
                address, port = where.split(":")
                if address != "0100007F":
                    continue
                try:
                    with socket.create_connection(("127.0.0.1", int(port, 16)), 5) as s:
                        s.sendall(b"GET /stolen HTTP/1.1\r\nHost: api.test\r\n\r\n")
                        answers.append(s.recv(4096))
                except OSError:
                    pass

    thread = threading.Thread(target=stranger)
    thread.start()
    script = ("import urllib.request as u\n"
              "for i in range(300): u.urlopen('http://api.test/own').read()")
    try:
        run = sandlock(*api.options, "--http-allow=GET api.test/*", cmd=["python3", "-c", script])
    finally:
        stop.set()
        thread.join(TIMEOUT)
    assert not thread.is_alive()
    run.ok()
    assert set(api.seen()) == {"GET /own"}
    assert not any(answers)


def test_NET_24_relay_by_another_confined_process(sandlock, pair, attack):
    """A relay inside dials with the same rights as a direct connect."""
    relay = (
        "import socket,threading,sys\n"
        "l=socket.create_server(('127.0.0.1',0));p=l.getsockname()[1]\n"
        "def serve():\n"
        " c,_=l.accept();d=c.recv(100).decode()\n"
        " try: socket.create_connection((d.split(':')[0],int(d.split(':')[1])),5);c.send(b'ok')\n"
        " except OSError as e: c.send(str(e.errno).encode())\n"
        "threading.Thread(target=serve).start()\n"
        "s=socket.create_connection(('127.0.0.1',p));s.send(sys.argv[1].encode())\n"
        "print('relay',s.recv(10).decode())\n")
    good = sandlock(ALLOW, cmd=["python3", "-c", relay, ":".join(pair.good)]).ok()
    assert last(good, "relay") == "ok"
    run = sandlock(ALLOW, cmd=["python3", "-c", relay, ":".join(pair.bad)]).ok()
    assert last(run, "relay") in ("111", "13"), str(run)
    assert pair.bad_seen() == []


def test_NET_25_options_that_move_the_route(sandlock, pair, attack):
    run = sandlock(ALLOW, cmd=[attack("net"), "options", *pair.bad])
    assert last(run, "mark") == "EPERM" and last(run, "transparent") == "EPERM", str(run)
    assert last(run, "connect") in REFUSED
    assert pair.bad_seen() == []
    sandlock(ALLOW, cmd=[attack("net"), "options", *pair.good]).ok()


def test_NET_26_socket_received_from_another_process(sandlock, pair, attack):
    passing = attack("net_pass")
    sandlock.bare([passing, *pair.bad]).ok()
    before = len(pair.bad_seen())
    assert before == 2
    run = sandlock(ALLOW, cmd=[passing, *pair.bad])
    assert last(run, "connect") in REFUSED and last(run, "send") in REFUSED, str(run)
    assert len(pair.bad_seen()) == before
    run = sandlock(ALLOW, cmd=[passing, *pair.good])
    assert last(run, "connect") == "ok" and last(run, "send") == "ok", str(run)


def test_NET_27_fastopen_connect(sandlock, pair, attack):
    net = attack("net")
    bare = sandlock.bare([net, "fastopen_connect", *pair.bad])
    assert last(bare, "connect") == "ok"
    before = len(pair.bad_tcp.received())
    for destination in (pair.bad, pair.good):
        run = sandlock(ALLOW, cmd=[net, "fastopen_connect", *destination])
        assert re.match(r"fastopen_(connect|no_cookie) (EPERM|ENOPROTOOPT|EACCES)", run.out), \
            str(run)
    assert len(pair.bad_tcp.received()) == before


def test_dev_server_of_the_tree_works_under_http_rules(sandlock, api):
    """A connect to a listener of the same tree passes; the same port of a stranger does not."""
    script = ("import socket,threading\n"
              "l=socket.create_server(('127.0.0.1',0));p=l.getsockname()[1]\n"
              "threading.Thread(target=lambda:l.accept()[0].send(b'hi')).start()\n"
              "print('own',socket.create_connection(('127.0.0.1',p)).recv(2).decode())\n")
    run = sandlock(*api.options, "--http-allow=GET api.test/*", cmd=["python3", "-c", script]).ok()
    assert last(run, "own") == "hi"
