"""Every denial leads back, and only denials do: the option that the summary names is the one that
helps, what no option helps is told with its reason, and a run in which all worked says nothing."""

import hashlib
import json
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys

import pytest

from harness import build, dns, netns, paths, pki
from harness.servers import server_context
from harness.summary import denials, flags, said
from harness.waiting import TIMEOUT, read_line

pytestmark = pytest.mark.netns

CLIENTS = paths.TESTS / "clients"
PYTHON = sys.executable
WEB = netns.PUBLIC[4]
ALLOW = "--http-allow=GET api.test/allowed/*"
URL = "https://api.test/allowed/one"
ROOT = str(pki.root())


@pytest.fixture
def names(outside):
    return outside.dns({"api.test": [WEB]})


@pytest.fixture
def web(outside, names):
    """api.test on the outside, with a certificate of the tests' authority."""
    return outside.api(listen=[f"{WEB}:443", f"{WEB}:80"])


@pytest.fixture
def box(sandlock):
    """A run with that authority among the system's roots."""
    def go(*options, cmd, **kw):
        env = {"SSL_CERT_FILE": ROOT, **kw.pop("env", {})}
        return sandlock(*options, cmd=cmd, env=env, **kw)
    go.bare = lambda cmd, **kw: sandlock.bare(cmd, env={"SSL_CERT_FILE": ROOT}, **kw)
    go.work = sandlock.work
    return go


@pytest.fixture
def h2(names):
    """A server that speaks HTTP/2 alone."""
    made = []

    def go(port, *pair):
        made.append(subprocess.Popen(
            ["node", paths.TESTS / "servers" / "h2_server.mjs", WEB, str(port), *pair],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert read_line(made[-1].stdout, "the server's port")
    yield go
    for process in made:
        process.stdin.close()
        process.wait(TIMEOUT)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def only(run, group):
    """The one denial of that group; the other group is empty."""
    found = denials(run)
    assert len(found) == 1 and found[0].group == group, str(run)
    return found[0]


def helps(box, run, *options, cmd, fill=None):
    """The option that the summary names, with FILE filled in, lets the same command succeed."""
    flag = only(run, "allow").flag
    words = [w.replace("FILE", str(fill)) if fill else w for w in shlex.split(flag)]
    again = box(*options, *words, cmd=cmd)
    assert again.rc == 0 and not said(again), str(again)
    return again


# --- the right flag: clients -------------------------------------------------------------------

UNBELIEVING = {
    "curl": lambda: ["curl", "-sS", "--fail", "--cacert", ROOT, URL],
    "python": lambda: [PYTHON, CLIENTS / "ca_client.py", "ca", ROOT, "api.test"],
    "node": lambda: ["node", CLIENTS / "ca_client.mjs", "ca", ROOT, URL],
    "go": lambda: [build.go_program("clients/ca_client.go", False), ROOT, URL],
    "java": lambda: ["java", CLIENTS / "CaClient.java", ROOT, URL],
}


@pytest.mark.parametrize("client", UNBELIEVING)
def test_a_client_that_does_not_believe_the_ca(box, web, client):
    need(client)
    cmd = UNBELIEVING[client]()
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    assert run.rc != 0
    denial = only(run, "allow")
    assert denial.flag == "--http-no-inspect 'api.test'", str(run)
    assert denial.what == "tls api.test:443" and client in denial.by
    assert [d["sandlock.reason"] for d in run.denies()] == ["tls_handshake"] * denial.count
    helps(box, run, ALLOW, cmd=cmd)
    assert set(web.seen()) == {"GET /allowed/one"}


def test_disbelief_is_grouped_by_host(box, web):
    """Clients differ in the alert that they send."""
    line = " ; ".join(shlex.join(map(str, UNBELIEVING[c]())) for c in ("curl", "python", "curl"))
    run = box(ALLOW, cmd=["sh", "-c", line])
    denial = only(run, "allow")
    assert denial.count == 3 and "curl" in denial.by and "python" in denial.by, str(run)


def spki_pin(cert):
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    import base64
    key = x509.load_pem_x509_certificate(cert.read_bytes()).public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256//" + base64.b64encode(hashlib.sha256(key).digest()).decode()


def fingerprint(cert):
    der = ssl.PEM_cert_to_DER_cert(re.search(r"-----BEGIN.*?-----END CERTIFICATE-----",
                                             cert.read_text(), re.S)[0])
    return hashlib.sha256(der).hexdigest()


PINNING = {
    "curl": lambda cert: ["curl", "-sS", "--fail", "--pinnedpubkey", spki_pin(cert), URL],
    "python": lambda cert: [PYTHON, CLIENTS / "ca_client.py", "pin", fingerprint(cert), "api.test"],
}


@pytest.mark.parametrize("client", PINNING)
def test_a_pinned_certificate(box, web, client):
    """It believes the authority and looks at the certificate itself: no alert tells of it."""
    cmd = PINNING[client](pki.leaf("api.test").cert)
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    assert run.rc != 0
    assert only(run, "allow").flag == "--http-no-inspect 'api.test'", str(run)
    assert len(run.denies()) == 1, str(run)
    helps(box, run, ALLOW, cmd=cmd)


def test_a_connection_beforehand_is_no_denial(box, web):
    """A browser opens more than it uses."""
    script = ("import ssl, socket, urllib.request; c = ssl.create_default_context()\n"
              "c.wrap_socket(socket.create_connection(('api.test', 443)),"
              " server_hostname='api.test').close()\n"
              f"urllib.request.urlopen('{URL}').read()")
    run = box(ALLOW, cmd=[PYTHON, "-c", script]).ok()
    assert not said(run) and not run.denies(), str(run)


H2_ONLY = {
    "curl": lambda scheme, port: ["curl", "-sS", "--fail", "--http2-prior-knowledge",
                                  f"{scheme}://api.test:{port}/allowed/one"],
    "node": lambda scheme, port: ["node", CLIENTS / "ca_client.mjs", "h2", "-",
                                  f"{scheme}://api.test:{port}"],
}


@pytest.mark.parametrize("client", H2_ONLY)
def test_a_client_of_http2_alone(box, h2, client):
    need("node", client)
    pair = pki.leaf("api.test")
    h2(443, pair.cert, pair.key)
    cmd = ["env", f"NODE_EXTRA_CA_CERTS={ROOT}", *H2_ONLY[client]("https", 443)] \
        if client == "node" else H2_ONLY[client]("https", 443)
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    denial = only(run, "allow")
    assert denial.flag == "--http-no-inspect 'api.test'" and "HTTP/1.1" in denial.why, str(run)
    helps(box, run, ALLOW, cmd=cmd)


@pytest.mark.parametrize("client", H2_ONLY)
def test_http2_without_tls(box, h2, client):
    need("node", client)
    h2(80)
    cmd = H2_ONLY[client]("http", 80)
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    denial = only(run, "allow")
    assert denial.flag == "--net-allow 'tcp://api.test:80'" and "HTTP/2" in denial.why, str(run)
    helps(box, run, ALLOW, cmd=cmd)
    run = box(ALLOW, "--http-deny=* api.test/secret", cmd=cmd)
    assert not only(run, "never").flag, "a deny rule must see requests: nothing helps"
    again = box(ALLOW, "--net-allow=api.test:80", cmd=cmd)
    assert again.rc != 0, "a rule for TCP and UDP alike was never meant for it"


# --- the right flag: upstreams -----------------------------------------------------------------

def ask(path="/allowed/one"):
    return ["curl", "-sS", f"https://api.test{path}"]


def serve_tls(outside, context):
    def answer(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
    return outside.raw(answer, listen=(WEB, 443), tls=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_client_certificate(box, names, outside, version):
    context = server_context(pki.leaf("api.test"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ROOT)
    context.minimum_version = context.maximum_version = version
    serve_tls(outside, context)
    mine = pki.make("client", cn="client", names=["client.test"], usage=None)
    cmd = ["curl", "-sS", "--fail-with-body", "--cert", mine.cert, "--key", mine.key, URL]
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    body = json.loads(run.out)
    assert body["reason"] == "protocol" and "client certificate" in body["detail"], str(run)
    alert = "certificate required" if version == ssl.TLSVersion.TLSv1_3 else "handshake failure"
    assert alert in body["detail"]
    assert body["allow_with"] == only(run, "allow").flag == "--http-no-inspect 'api.test'"
    helps(box, run, ALLOW, cmd=cmd)


@pytest.mark.parametrize("status", [b"400 Bad Request", b"403 Forbidden"])
def test_a_server_that_asks_and_answers_without(box, names, outside, status):
    """As nginx does: its handshake goes through, and its answer says no."""
    context = server_context(pki.leaf("api.test"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(ROOT)

    def answer(conn):
        conn.head()
        word = b"200 OK" if conn.peer.getpeercert() else status
        conn.send(b"HTTP/1.1 " + word + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    outside.raw(answer, listen=(WEB, 443), tls=context)
    mine = pki.make("client", cn="client", names=["client.test"], usage=None)
    cmd = ["curl", "-sS", "--fail", "--cert", mine.cert, "--key", mine.key, URL]
    assert box.bare(cmd).rc == 0
    run = box(ALLOW, cmd=cmd)
    assert run.rc == 22 and "client certificate" in only(run, "allow").why, str(run)
    helps(box, run, ALLOW, cmd=cmd)


def test_an_alert_of_the_server_in_words(box, names, outside):
    context = server_context(pki.leaf("api.test"))

    def refuse(sock, name, context):
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    context.sni_callback = refuse
    serve_tls(outside, context)
    run = box(ALLOW, cmd=ask())
    assert "unrecognized name" in run.json()["detail"] and run.json()["allow_with"] is None
    assert not said(run), "the server's word, not a denial"


def test_old_tls_of_a_server(box, names, outside):
    context = server_context(pki.leaf("api.test"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    serve_tls(outside, context)
    run = box(ALLOW, cmd=ask())
    assert only(run, "allow").flag == "--http-no-inspect 'api.test'", str(run)


@pytest.mark.parametrize("issuer", ["self", "unknown"])
def test_an_upstream_whose_issuer_is_unknown(box, names, outside, issuer):
    if issuer == "self":
        pair = pki.make("own", cn="api.test", names=["api.test"], issuer="self")
        root = pair.cert
    else:
        authority = pki.make("authority", cn="authority", issuer="self", ca=True)
        pair = pki.make("under", cn="api.test", names=["api.test"], issuer=authority)
        root = authority.cert
    serve_tls(outside, server_context(pair))
    run = box(ALLOW, cmd=ask())
    assert run.json()["reason"] == "tls_verify"
    denial = only(run, "allow")
    assert denial.flag == run.json()["allow_with"] == "--http-upstream-ca FILE", str(run)
    helps(box, run, ALLOW, cmd=ask(), fill=root)


@pytest.mark.parametrize("fault,words", [
    ({"names": ["other.test"]}, "hostname mismatch"),
    ({"end": pki.NOW - pki.DAY / 2}, "expired"),
    ({"start": pki.NOW + pki.DAY}, "not yet valid"),
    ({"names": ["other.test"], "issuer": "self"}, "self-signed"),
    ({"end": pki.NOW - pki.DAY / 2, "issuer": "self"}, "self-signed"),
])
def test_a_certificate_that_no_option_makes_good(box, names, outside, fault, words):
    fault = {"names": ["api.test"], **fault}
    serve_tls(outside, server_context(pki.make("bad", cn="bad", **fault)))
    run = box(ALLOW, cmd=ask())
    assert run.json()["reason"] == "tls_verify" and words in run.json()["detail"], str(run)
    denial = only(run, "never")
    assert words in denial.why and not denial.flag and run.json()["allow_with"] is None


def test_a_name_that_leads_to_a_private_address(box, outside, api):
    """What --resolve would say is suggested, but for addresses that no name may lead to."""
    outside.dns({"in.api.test": ["127.0.0.1"], "meta.api.test": ["169.254.169.254"]})
    rule = "--http-allow=GET *.api.test/*"
    run = box(rule, cmd=["curl", "-sS", "http://in.api.test/x", "http://meta.api.test/x"])
    flags_of = {d.what: d.flag for d in denials(run)}
    assert flags_of == {"http in.api.test:80": "--resolve 'in.api.test=127.0.0.1'",
                        "http meta.api.test:80": ""}, str(run)


@pytest.mark.parametrize("address,helped", [("127.0.0.1", True), ("169.254.169.254", False)])
def test_the_same_where_nothing_is_inspected(box, outside, address, helped):
    outside.dns({"db.in.test": [address]})
    witness = outside.witness()
    script = ("import socket, sys\ntry:\n"
              " socket.create_connection(('db.in.test', int(sys.argv[1]))).close(); print('there')\n"
              "except OSError: print('refused')")
    cmd, rule = [PYTHON, "-c", script, witness.port], "--net-allow=*.in.test"
    run = box(rule, cmd=cmd).ok()
    denial = only(run, "allow" if helped else "never")
    assert run.out == "refused\n" and len(run.denies()) == denial.count, str(run)
    assert denial.flag == (f"--resolve 'db.in.test={address}'" if helped else ""), str(run)
    if helped:
        assert helps(box, run, rule, cmd=cmd).out == "there\n"


# --- what no option allows ---------------------------------------------------------------------

def raw(text, port=80):
    return [PYTHON, "-c", f"import socket; s = socket.create_connection(('api.test', {port}));"
                          f" s.sendall({text!r}); print(s.recv(65536)); s.close()"]


@pytest.mark.parametrize("text,why", [
    (b"GET /a HTTP/1.1\r\n\r\n", "Host"),
    (b"GET /a b HTTP/1.1\r\nHost: api.test\r\n\r\n", ""),
    (b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", "tunnel"),
    (b"GET /allowed/%2e%2e%2fx HTTP/1.1\r\nHost: api.test\r\n\r\n", "reading"),
    (b"GET /allowed/one HTTP/1.1\r\nHost: other.test\r\n\r\n", "another host"),
])
def test_refusals_by_principle_have_their_reason(box, web, text, why):
    run = box(ALLOW, cmd=raw(text))
    denial = only(run, "never")
    assert denial.why and why in denial.why, str(run)


@pytest.mark.parametrize("options,cmd,what", [
    (["--http-allow=* api.test", "--http-deny=GET api.test/allowed/*"],
     ["curl", "-sS", URL], "GET https://api.test/allowed/one"),
    (["--net-allow=*:443", "--net-deny=api.test"], ["curl", "-sS", URL], "DNS api.test"),
    ([f"--net-deny={WEB}", "--net-allow=*:*"], ["curl", "-sS", f"http://{WEB}/"], f"tcp://{WEB}:80"),
])
def test_a_deny_rule_is_the_reason(box, web, options, cmd, what):
    run = box(*options, cmd=cmd)
    assert denials(run), str(run)
    for denial in denials(run):
        assert denial.group == "never" and denial.what == what and "deny rule" in denial.why, str(run)


# --- no noise ----------------------------------------------------------------------------------

def question(name, kind):
    return [PYTHON, "-c",
            "import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
            f" s.sendto({dns.query(name, kind)!r}, ('192.0.2.53', 53)); print(s.recv(4096)[3] & 15)"]


dns.TYPES.setdefault("SRV", 33)
dns.TYPES.setdefault("MX", 15)


@pytest.mark.parametrize("name", ["api.test", "_http._tcp.api.test", "other.test"])
@pytest.mark.parametrize("kind", ["SRV", "TXT", "HTTPS", "SVCB", "MX", "PTR", "NS"])
def test_questions_for_other_records(box, name, kind):
    run = box(ALLOW, cmd=question(name, kind)).ok()
    assert run.out.strip() == ("0" if name == "api.test" else "3")
    assert not said(run) and not run.denies(), str(run)


def test_a_question_for_an_address_is_a_denial(box):
    run = box(ALLOW, cmd=question("other.test", "AAAA")).ok()
    assert only(run, "allow").flag == "--http-allow 'GET other.test/*'"


@pytest.mark.parametrize("option", ["ndots:5", "ndots:1"])
def test_search_domains(box, web, tmp_path, option):
    """What a resolver puts behind a name that is granted was asked by nobody."""
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {netns.RESOLVER}\nsearch ns.svc.cluster.test cluster.test\n"
                    f"options {option}\n")
    with netns.bind_over(conf, "/etc/resolv.conf"):
        run = box(ALLOW, cmd=["curl", "-sS", "--fail", URL]).ok()
        assert not said(run) and not run.denies(), str(run)
        run = box(ALLOW, cmd=["getent", "ahosts", "git.cluster.test"])
    assert any(d.what == "DNS git.cluster.test" for d in denials(run)), str(run)


FIND_OWN_ADDRESS = ("import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
                    f" s.connect(('{WEB}', 9)); print(s.getsockname()[0])")


@pytest.mark.parametrize("options", [[ALLOW], ["--net-allow=api.test:443"]])
def test_a_datagram_connect_sends_nothing(box, web, options):
    cmd = [PYTHON, "-c", FIND_OWN_ADDRESS]
    assert box.bare(cmd).rc == 0
    run = box(*options, cmd=cmd).ok()
    assert not said(run) and not run.denies(), str(run)


def test_a_datagram_connect_on_this_host(box, outside, free_port):
    """Where nobody is, none is denied; where somebody else is, it is."""
    witness = outside.witness(kind=socket.SOCK_DGRAM)
    script = ("import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM)\n"
              "try: s.connect(('127.0.0.1', int(sys.argv[1]))); print('connected')\n"
              "except ConnectionRefusedError: print('refused')")
    run = box(ALLOW, cmd=[PYTHON, "-c", script, free_port]).ok()
    assert run.out == "refused\n" and not said(run), str(run)
    run = box(ALLOW, cmd=[PYTHON, "-c", script, witness.port]).ok()
    assert run.out == "refused\n" and only(run, "allow").what == f"udp://127.0.0.1:{witness.port}"
    run = box(ALLOW, cmd=["getent", "ahosts", "localhost"]).ok()
    assert not said(run), str(run)


SENDS = {
    "send": "s.connect(a); s.send(b'x')",
    "write": "s.connect(a); import os; os.write(s.fileno(), b'x')",
    "sendmsg": "s.connect(a); s.sendmsg([b'x'])",
    "sendto": "s.sendto(b'x', a)",
}


@pytest.mark.parametrize("how", SENDS)
def test_a_datagram_that_is_sent_is_a_denial(box, outside, how):
    """And the sender hears of it at once."""
    witness = outside.witness(WEB, 9, kind=socket.SOCK_DGRAM)
    script = ("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(60)\n"
              f"a = ('{WEB}', 9)\n"
              f"try:\n {SENDS[how]}\n s.recv(1)\n"
              "except ConnectionRefusedError: print('refused')")
    run = box(ALLOW, cmd=[PYTHON, "-c", script]).ok()
    assert run.out == "refused\n", str(run)
    denial = only(run, "allow")
    assert denial.flag == f"--net-allow 'udp://{WEB}:9'" and "python" in denial.by, str(run)
    assert witness.received() == []


def test_quic_is_not_suggested(box, web):
    """Nobody could judge it, and clients fall back."""
    script = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{WEB}', 443))"
    run = box(f"--http-allow=GET {WEB}/*", cmd=[PYTHON, "-c", script])
    assert "QUIC" in only(run, "never").why, str(run)


def test_what_would_be_denied_is_not_offered(box, names, outside):
    def answer(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
    outside.raw(answer, listen=(WEB, 443), tls=server_context(pki.leaf("api.test")))
    assert "alt-svc" in box.bare(["curl", "-sSi", URL]).ok().out.lower()
    run = box(ALLOW, cmd=["curl", "-sSi", URL]).ok()
    assert "X-Kept" in run.out and "alt-svc" not in run.out.lower(), run.out


WAIT_FOR_SERVER = """
import socket, subprocess, sys
port = int(sys.argv[1])
def ask(host):
    try:
        return socket.create_connection((host, port), 60)
    except ConnectionRefusedError:
        return None
assert ask("127.0.0.1") is None and ask("::1") is None
server = socket.create_server((sys.argv[2], port))
assert ask("127.0.0.1") and ask("::1") is None
"""


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("options", [[ALLOW], ["--net-allow=api.test:443"]])
def test_a_client_that_waits_for_its_server(box, free_port, options, listen):
    cmd = [PYTHON, "-c", WAIT_FOR_SERVER, free_port, listen]
    assert box.bare(cmd).rc == 0
    run = box(*options, cmd=cmd).ok()
    assert not said(run) and not run.denies() and run.status["denied"] == 0, str(run)


def test_a_port_where_nobody_ever_listens(box, free_port):
    run = box(ALLOW, cmd=["curl", "-sS", f"http://127.0.0.1:{free_port}/"])
    assert only(run, "allow").flag == f"--net-allow '127.0.0.1:{free_port}'"
    assert run.status["denied"] == len(run.denies()) == 1, str(run)


def test_a_port_of_somebody_else_is_a_denial_at_once(box, outside):
    witness = outside.witness()
    script = ("import socket, sys; port = int(sys.argv[1])\n"
              "try: socket.create_connection(('127.0.0.1', port))\n"
              "except ConnectionRefusedError: pass\n"
              "s = socket.socket(); s.setsockopt(1, 15, 1); s.bind(('127.0.0.2', port)); s.listen()")
    run = box(ALLOW, cmd=[PYTHON, "-c", script, witness.port]).ok()
    assert only(run, "allow").what == f"tcp://127.0.0.1:{witness.port}", str(run)
    assert witness.received() == []


WORKING = {
    "curl": ["curl", "-sS", "--fail", URL],
    "curl-http": ["curl", "-sS", "--fail", "http://api.test/allowed/one"],
    "python": [PYTHON, CLIENTS / "py_client.py", "urllib", "GET", URL],
    "python-requests": [PYTHON, CLIENTS / "py_client.py", "requests", "GET", URL],
    "python-aiohttp": [PYTHON, CLIENTS / "py_client.py", "aiohttp", "GET", URL],
    "node-fetch": ["node", CLIENTS / "node_client.mjs", "fetch", "GET", URL],
    "node-https": ["node", CLIENTS / "node_client.mjs", "https", "GET", URL],
    "wget": ["wget", "-q", "-O", "-", URL],
    "getent": ["getent", "ahosts", "api.test"],
}


@pytest.mark.parametrize("name", WORKING)
def test_nothing_is_said_where_all_worked(box, web, name):
    run = box(ALLOW, cmd=WORKING[name]).ok()
    assert not said(run) and not run.denies() and run.status["denied"] == 0, str(run)


def test_an_upstream_that_fails_is_no_denial(box, names, free_port):
    """Nobody listens there, with the sandbox or without."""
    for options in (["--http-allow=GET api.test/*"], ["--net-allow=api.test:443"]):
        run = box(*options, cmd=["curl", "-sS", URL])
        assert not said(run) and not run.denies(), str(run)


# --- no harmful hint ---------------------------------------------------------------------------

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
           "ftp_proxy", "FTP_PROXY", "no_proxy", "NO_PROXY", "npm_config_https_proxy",
           "CARGO_HTTP_PROXY")


def test_proxy_variables_beside_http_rules(box, web):
    env = {name: "http://user:secret@proxy.test:3128" for name in PROXIES}
    run = box(ALLOW, cmd=["sh", "-c", f"env; curl -sS --fail {URL}"], env=env).ok()
    assert "proxy.test" not in run.out and "no_proxy" not in run.out.lower(), run.out
    lines = said(run)
    assert len(lines) == 1 and all(name in lines[0] for name in PROXIES), str(run)
    assert "removed" in lines[0] and "secret" not in lines[0] and "proxy.test" not in lines[0]
    assert not said(box("--quiet", ALLOW, cmd=["true"], env=env))


@pytest.mark.parametrize("options", [[], ["--net-allow=api.test:443"], ["-r/", "-w/tmp"]])
def test_proxy_variables_without_http_rules_stay(box, options):
    env = {"https_proxy": "http://proxy.test:3128", "NO_PROXY": "x"}
    run = box(*options, cmd=["sh", "-c", "echo $https_proxy $NO_PROXY"], env=env).ok()
    assert run.out == "http://proxy.test:3128 x\n" and not said(run), str(run)


def test_what_is_no_proxy_stays(box):
    env = {"GOPROXY": "https://go.test", "TRUST_PROXY": "1", "http_proxy": ""}
    run = box(ALLOW, cmd=["sh", "-c", "echo $GOPROXY $TRUST_PROXY"], env=env).ok()
    assert run.out == "https://go.test 1\n" and not said(run), str(run)


@pytest.mark.parametrize("proxy", ["127.0.0.1", "localhost", WEB, "proxy.test"])
def test_a_proxy_is_never_suggested(box, outside, names, proxy):
    """Whoever reaches it reaches everything: whatever the rules say."""
    host = "127.0.0.1" if proxy == "localhost" else WEB if proxy == "proxy.test" else proxy
    witness = outside.witness(host)
    url = f"http://{proxy}:{witness.port}"
    asked = ["curl", "-sS", "-x", url, "http://other.test/"]
    for env, options in (({"http_proxy": url}, []), ({}, [f"--env=http_proxy={url}"]),
                         ({"HTTPS_PROXY": f"http://u:p@{proxy}:{witness.port}/"}, [])):
        run = box(ALLOW, *options, cmd=asked, env=env)
        found = denials(run)
        assert found and all(d.group == "never" and not d.flag for d in found), str(run)
        assert all("proxy" in d.why for d in found)
    assert not any(witness.received())


def test_a_proxy_that_env_sets_is_given(box):
    run = box(ALLOW, "--env=http_proxy=http://proxy.test:1", cmd=["sh", "-c", "echo $http_proxy"],
              env={"http_proxy": "http://other.test:1"}).ok()
    assert run.out == "http://proxy.test:1\n" and not said(run), str(run)


# --- who, how often, when ----------------------------------------------------------------------

def test_a_pipeline_names_the_program(box, web):
    run = box(ALLOW, cmd=["sh", "-c", "echo x | cat | curl -sS http://api.test/secret | cat >&2"])
    denial = only(run, "allow")
    assert denial.by == "curl" and denial.count == 1
    line = run.denies()[0]
    assert line["process.executable.path"].endswith("/curl") and line["process.pid"] > 0


def test_the_program_is_named_without_an_audit_log(box, web):
    line = f"curl -sS https://api.test/secret; curl -sS http://other.test; curl -sS http://{WEB}:81"
    run = box(ALLOW, cmd=["sh", "-c", line], audit=False)
    assert [d.by for d in denials(run)] == ["curl"] * 3, str(run)


THOUSAND = {
    "request": "import http.client\nfor _ in range(1000):\n"
               " c = http.client.HTTPConnection('api.test'); c.request('GET', '/secret')\n"
               " c.getresponse().read()",
    "connect": "import socket\nfor _ in range(1000):\n"
               f" try: socket.create_connection(('{WEB}', 81))\n except ConnectionRefusedError: pass",
    "name": "import socket\nfor _ in range(1000):\n"
            " try: socket.getaddrinfo('other.test', 80, socket.AF_INET)\n except OSError: pass",
}


@pytest.mark.parametrize("kind", THOUSAND)
def test_a_thousand_times_is_one_line(box, web, kind):
    run = box(ALLOW, cmd=[PYTHON, "-c", THOUSAND[kind]]).ok()
    denial = only(run, "allow")
    assert denial.count == 1000 and "python" in denial.by, str(run)
    times = [d["timestamp"] for d in run.denies()]
    assert denial.first <= denial.last and re.match(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$", denial.first)
    assert abs(len(times) - (1 if kind == "name" else 1000)) == 0
    assert denial.first[:16] <= times[-1] and times[0][:16] <= denial.last


def test_more_than_is_kept_is_counted(box, web):
    script = ("import http.client\nc = http.client.HTTPConnection('api.test')\n"
              "for i in range(400): c.request('GET', f'/secret/{i}'); c.getresponse().read()")
    run = box(ALLOW, cmd=[PYTHON, "-c", script]).ok()
    assert run.status["denied"] == 400 and len(run.denies()) == 400
    heads = [int(n) for n in re.findall(r"^sandlock: (\d+) denied", run.err, re.M)]
    assert sum(heads) == 400 and "not listed" in run.err, run.err[-600:]
    assert len(said(run)) < 30


def test_a_thread_is_told_as_its_process(box):
    script = ("import os, socket, threading\nprint(os.getpid())\n"
              "def go():\n try: socket.create_connection(('192.0.2.7', 80))\n"
              " except OSError: pass\nt = threading.Thread(target=go); t.start(); t.join()")
    run = box(ALLOW, cmd=[PYTHON, "-c", script]).ok()
    assert run.denies()[0]["process.pid"] == int(run.out), str(run)
