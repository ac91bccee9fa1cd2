"""DNS (docs/security-cases.md): what the child may learn by asking, and what its questions carry
out."""

import socket
import struct
import sys

import pytest

from harness import build, dns, netns, paths

pytestmark = pytest.mark.netns

ASK = paths.TESTS / "security" / "attacks" / "dns_ask.py"
RULE = "--http-allow=GET api.test/*"
RESOLVER = netns.RESOLVER


@pytest.fixture
def upstream(outside):
    return outside.dns(lambda name, kind: [netns.PUBLIC[0]])


def ask(sandlock, *messages, options=(RULE,), server=RESOLVER, port=53, kind="udp"):
    lines = "\n".join(m.hex() for m in messages) + "\n"
    run = sandlock(*options, cmd=[sys.executable, ASK, server, port, kind], data=lines.encode())
    return run.ok().out.split()


def bare(sandlock, *messages, server=RESOLVER, port=53, kind="udp"):
    lines = "\n".join(m.hex() for m in messages) + "\n"
    return sandlock.bare([sys.executable, ASK, server, port, kind], data=lines.encode()).out.split()


def answer(text):
    return dns.parse(bytes.fromhex(text))


def synthetic(rdata):
    """198.18.0.0/15, or 2001:2::/48 with the same behind it."""
    if len(rdata) == 16 and rdata[:12] == b"\x20\x01\x00\x02" + bytes(8):
        rdata = rdata[12:]
    return rdata[0] == 198 and rdata[1] in (18, 19)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_DNS_01_name_not_granted(sandlock, upstream, kind):
    if kind == "udp":
        assert answer(bare(sandlock, dns.query("secret.evil.test"))[0])[2]
    asked = len(upstream.names())
    good, bad = ask(sandlock, dns.query("api.test"), dns.query("secret.evil.test"), kind=kind)
    assert synthetic(answer(good)[2][0][1])
    rcode, _, found = answer(bad)
    assert rcode in (3, 5) and found == []
    assert len(upstream.names()) == asked


def test_DNS_02_data_in_labels(sandlock, upstream):
    names = [f"{i:04x}deadbeef{i * 7919:08x}.w.test" for i in range(1000)]
    found = ask(sandlock, *map(dns.query, names), options=("--http-allow=GET *.w.test/*",))
    assert all(synthetic(answer(a)[2][0][1]) for a in found)
    assert upstream.names() == []


@pytest.mark.parametrize("server,port,kind", [
    ("192.0.2.54", 53, "udp"), ("192.0.2.54", 53, "tcp"), (netns.PUBLIC[3], 53, "udp"),
    (netns.PUBLIC[3], 53, "tcp"), ("2001:db8::1", 53, "udp")])
def test_DNS_03_other_resolvers_are_ours(sandlock, outside, server, port, kind):
    witness = None
    if server != "192.0.2.54":
        witness = outside.witness(server, port, kind=socket.SOCK_DGRAM if kind == "udp"
                                  else socket.SOCK_STREAM)
    good, bad = ask(sandlock, dns.query("api.test"), dns.query("evil.test"), server=server,
                    port=port, kind=kind)
    assert synthetic(answer(good)[2][0][1]) and answer(bad)[0] in (3, 5)
    assert witness is None or witness.received() == []


@pytest.mark.parametrize("server,port,kind", [
    (netns.PUBLIC[3], 853, "tcp"), (netns.PUBLIC[3], 853, "udp"), ("224.0.0.251", 5353, "udp"),
    (netns.PUBLIC[3], 5353, "udp"), ("127.0.0.1", 5353, "udp")])
def test_DNS_03_other_ports_are_refused(sandlock, outside, server, port, kind):
    witness = None
    if server != "224.0.0.251":
        witness = outside.witness(server, port, kind=socket.SOCK_DGRAM if kind == "udp"
                                  else socket.SOCK_STREAM)
    assert ask(sandlock, dns.query("api.test"), server=server, port=port,
               kind=kind)[0] in ("ECONNREFUSED", "EACCES")
    assert witness is None or witness.received() == []


def test_DNS_04_other_types_are_empty(sandlock, upstream):
    kinds = ["TXT", "NULL", "SVCB", "HTTPS", "ANY", "PTR", "AAAA", "NS", "SOA", "CNAME"]
    found = ask(sandlock, *[dns.query("api.test", k) for k in kinds])
    for kind, text in zip(kinds, found):
        rcode, _, records = answer(text)
        assert rcode in (0, 4, 5), kind
        assert all(t in (1, 28) and synthetic(d) for t, d in records), (kind, records)
        assert records == [] or kind in ("ANY", "AAAA"), kind
        assert kind != "AAAA" or [t for t, _ in records] == [28]
    axfr = ask(sandlock, dns.query("api.test", "AXFR"), kind="tcp")[0]
    assert axfr == "closed" or answer(axfr)[2] == []
    assert upstream.names() == []


DIAL = ("import urllib.request,urllib.error,sys\n"
        "for u in sys.argv[1:]:\n"
        " try: print(urllib.request.urlopen(u,timeout=20).status)\n"
        " except urllib.error.HTTPError as e: print(e.code,e.read().decode())\n"
        " except Exception as e: print('error',e)\n")


def dial(sandlock, *urls, options):
    return sandlock(*options, cmd=[sys.executable, "-c", DIAL, *urls])


@pytest.mark.parametrize("rule,address", [
    ("GET inner.test/*", "127.0.0.1"), ("GET inner.test/*", "169.254.169.254"),
    ("GET inner.test/*", "::1"), ("GET inner.test/*", "fe80::1"), ("GET inner.test/*", "0.0.0.0"),
    ("GET inner.test/*", "::ffff:127.0.0.1"), ("GET *.test/*", "10.1.2.3"),
    ("GET *.test/*", "192.168.7.8"), ("GET */*", "10.1.2.3"), ("GET *.test/*", "fd00::1"),
    ("GET *.test/*", "100.64.0.9")])
def test_DNS_05_name_that_maps_inside(sandlock, outside, rule, address):
    outside.dns({"inner.test": [address]})
    witness = outside.witness("::" if ":" in address else "0.0.0.0", 80,
                              greet=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    run = dial(sandlock, "http://inner.test/x", options=(f"--http-allow={rule}",))
    assert run.out.startswith("502") and "address_denied" in run.out, str(run)
    assert witness.received() == []


def test_DNS_05_granted_ranges_pass(sandlock, outside):
    outside.dns({"inner.test": ["10.1.2.3"], "home.test": ["127.0.0.1"]})
    server = outside.api("inner.test", listen="10.1.2.3:80")
    run = dial(sandlock, "http://inner.test/exact", options=("--http-allow=GET inner.test/*",))
    assert run.out.strip() == "200", str(run)
    run = dial(sandlock, "http://inner.test/range",
               options=("--http-allow=GET *.test/*", "--net-allow=10.0.0.0/8:80"))
    assert run.out.strip() == "200", str(run)
    assert server.seen() == ["GET /exact", "GET /range"]


def test_DNS_05_tls_to_an_inner_address(sandlock, outside):
    outside.dns({"inner.test": ["127.0.0.1"]})
    witness = outside.witness("127.0.0.1", 443)
    run = dial(sandlock, "https://inner.test/x", options=("--http-allow=GET inner.test/*",))
    assert run.out.startswith("502") and "address_denied" in run.out, str(run)
    assert witness.received() == []


def test_DNS_06_second_answer_differs(sandlock, outside):
    """Rebinding: the address that was judged is the one dialled, whatever a second answer says."""
    answers = iter([[netns.PUBLIC[0]]])
    upstream = outside.dns(lambda name, kind: next(answers, ["127.0.0.1"]) if kind == 1 else [],
                           ttl=0)
    good = outside.api("inner.test", listen=f"{netns.PUBLIC[0]}:80")
    witness = outside.witness("127.0.0.1", 80)
    run = dial(sandlock, "http://inner.test/one", options=("--http-allow=GET inner.test/*",))
    assert run.out.strip() == "200", str(run)
    assert good.seen() == ["GET /one"]
    assert [e["type"] for e in upstream.log.events].count(1) == 1, "more than one look-up"
    run = dial(sandlock, "http://inner.test/two", options=("--http-allow=GET inner.test/*",))
    assert run.out.startswith("502") and witness.received() == [], str(run)


@pytest.mark.parametrize("ttl,asked", [(60, 1), (0, 3)])
def test_DNS_06_an_answer_holds_for_its_ttl(sandlock, outside, ttl, asked):
    """An answer serves further connections for its TTL, and is judged for each of them."""
    answers = iter([[netns.PUBLIC[0]]])
    upstream = outside.dns(lambda name, kind: next(answers, ["127.0.0.1"]) if kind == 1 else [],
                           ttl=ttl)
    outside.witness(netns.PUBLIC[0], 22)
    inside = outside.witness("127.0.0.1", 22)
    script = ("import socket\n"
              "for i in range(3):\n"
              " where=(socket.gethostbyname('inner.test'),22)\n"
              " try: socket.create_connection(where,20).close(); print('ok')\n"
              " except OSError: print('refused')\n")
    run = sandlock("--net-allow=inner.test:22", cmd=[sys.executable, "-c", script]).ok()
    later = "ok" if asked == 1 else "refused"
    assert run.out.split() == ["ok", later, later], str(run)
    assert [e["type"] for e in upstream.log.events].count(1) == asked
    assert inside.received() == []


def test_DNS_07_synthetic_address_on_another_port(sandlock, upstream, outside):
    witness = outside.witness(netns.PUBLIC[0], 22)
    quic = outside.witness(netns.PUBLIC[0], 443, kind=socket.SOCK_DGRAM)
    script = ("import socket,errno\na=socket.gethostbyname('api.test')\n"
              "for k,p in ((1,22),(2,443),(2,80),(1,81)):\n"
              " s=socket.socket(socket.AF_INET,k)\n"
              " try: s.connect((a,p)); s.send(b'x'); print(k,'ok')\n"
              " except OSError as e: print(k,errno.errorcode[e.errno])\n")
    run = sandlock(RULE, cmd=[sys.executable, "-c", script]).ok()
    # a UDP connect is getaddrinfo sorting addresses: it may succeed, into a sink
    assert set(run.out.splitlines()) <= {"1 ECONNREFUSED", "1 EACCES", "2 ECONNREFUSED", "2 EACCES",
                                         "2 ok"}, str(run)
    assert witness.received() == [] and quic.received() == []


def test_DNS_07_synthetic_address_nobody_was_given(sandlock, upstream):
    script = ("import socket,errno\n"
              "for a in ('198.18.77.77','198.18.0.0','198.19.255.255'):\n"
              " try: socket.create_connection((a,80)); print('ok')\n"
              " except OSError as e: print(errno.errorcode[e.errno])\n")
    run = sandlock(RULE, cmd=[sys.executable, "-c", script]).ok()
    assert set(run.out.split()) <= {"ECONNREFUSED", "EACCES"}, str(run)


def header(count=1, flags=0x0100):
    return struct.pack(">HHHHHH", 7, flags, count, 0, 0, 0)


MALFORMED = {
    "nul-in-label": header() + b"\4a\0pi\4test\0" + b"\0\1\0\1",
    "dot-in-label": header() + b"\10api.test\0" + b"\0\1\0\1",
    "dot-in-label-2": header() + b"\5a.b.c\4test\0" + b"\0\1\0\1",
    "64-byte-label": header() + b"\x40" + b"a" * 64 + b"\4test\0" + b"\0\1\0\1",
    "pointer-loop": header() + b"\xc0\x0c" + b"\0\1\0\1",
    "pointer-forward": header() + b"\xc0\x20" + b"\0\1\0\1",
    "two-questions": header(2) + dns.encode_name("api.test") + b"\0\1\0\1" * 1
    + dns.encode_name("api.test") + b"\0\1\0\1",
    "no-question": header(0), "empty": b"", "short": b"\0\7\1", "cut": header() + b"\3api",
    "name-of-300": header() + b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
    "response": header(flags=0x8180) + dns.encode_name("api.test") + b"\0\1\0\1",
    "update": header(flags=0x2800) + dns.encode_name("api.test") + b"\0\6\0\1",
    "class-chaos": header() + dns.encode_name("api.test") + b"\0\1\0\3",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_DNS_08_malformed_questions(sandlock, upstream, name):
    """FORMERR, refusal or silence; and the resolver lives."""
    first, second = ask(sandlock, MALFORMED[name] or b"", dns.query("api.test"))[:2] \
        if MALFORMED[name] else (ask(sandlock, dns.query("api.test"))[0],) * 2
    assert synthetic(answer(second)[2][0][1])
    if name != "empty" and first != "silence":
        rcode, _, found = answer(first)
        assert rcode != 0 or found == [], (name, first)
    assert upstream.names() == []


def test_DNS_08_empty_datagram(sandlock, upstream):
    script = ("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              f"s.connect(('{RESOLVER}',53));s.send(b'')\n"
              "print(socket.gethostbyname('api.test'))")
    assert sandlock(RULE, cmd=[sys.executable, "-c", script]).ok().out.startswith("198.1")


@pytest.mark.deadline(330)
def test_DNS_09_more_names_than_addresses(sandlock, upstream):
    """When the pool is used up the answer is SERVFAIL, and no live mapping changes hands."""
    script = (
        f"import sys;sys.path.insert(0,{str(paths.TESTS)!r})\n"
        "import socket\nfrom harness import dns\n"
        f"s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.connect(('{RESOLVER}',53))\n"
        "s.settimeout(10)\n"
        "def ask(n):\n s.send(dns.query(n));return dns.parse(s.recv(4096))\n"
        "first=ask('first.w.test')[2][0][1];seen={first};failed=0\n"
        "for i in range(140000):\n"
        " rcode,_,found=ask(f'n{i}.w.test')\n"
        " if rcode==2: failed+=1\n"
        " elif found[0][1] in seen: print('reassigned');break\n"
        " else: seen.add(found[0][1])\n"
        " if failed>100: break\n"
        "print('names',len(seen),'failed',failed,'same',ask('first.w.test')[2][0][1]==first)\n")
    run = sandlock("--http-allow=GET *.w.test/*", cmd=[sys.executable, "-c", script],
                   timeout=300).ok()
    words = run.out.split()
    assert words[0] == "names" and int(words[1]) > 1000 and int(words[3]) > 100, str(run)
    assert words[5] == "True"
    assert upstream.names() == []


def test_DNS_10_silent_tcp_queries(sandlock, upstream):
    script = (
        "import socket,struct\n"
        f"slow=[socket.create_connection(('{RESOLVER}',53)) for _ in range(200)]\n"
        "for s in slow: s.send(b'\\0\\x20')\n"
        "print(socket.gethostbyname('api.test'))\n"
        "for s in slow:\n s.settimeout(40)\n assert s.recv(10)==b''\n"
        "print('closed')\n")
    run = sandlock(RULE, cmd=[sys.executable, "-c", script]).ok()
    assert run.out.startswith("198.1") and run.out.endswith("closed\n"), str(run)


def spoof(change):
    def distort(message, good):
        bad = bytearray(good)
        bad[-4:] = socket.inet_aton(netns.PUBLIC[1])
        return [bytes(change(bad)), good]
    return distort


def wrong_id(bad):
    bad[0] ^= 0xFF
    return bad


def wrong_question(bad):
    bad[13] ^= 1
    return bad


@pytest.mark.parametrize("distort", [spoof(wrong_id), spoof(wrong_question)],
                         ids=["id", "question"])
def test_DNS_11_spoofed_answers(sandlock, outside, distort):
    outside.dns(lambda name, kind: [netns.PUBLIC[0]] if kind == 1 else [], distort=lambda q, a:
                distort(q, a) if a[7] else [a])
    good = outside.api("api.test", listen=f"{netns.PUBLIC[0]}:80")
    evil = outside.witness(netns.PUBLIC[1], 80)
    run = dial(sandlock, "http://api.test/x", options=(RULE,))
    assert run.out.strip() == "200", str(run)
    assert good.seen() == ["GET /x"] and evil.received() == []


def test_other_answering_services_are_silent(sandlock, outside, tmp_path):
    """nscd and systemd-resolved would answer before us: their sockets are not there."""
    for path in ("/var/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve"):
        run = sandlock(RULE, cmd=[build.attack("net_unix"), "stream", "connect", path])
        assert "ENOENT" in run.out or "EACCES" in run.out, str(run)
