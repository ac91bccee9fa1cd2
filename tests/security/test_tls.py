"""TLS (docs/security-cases.md): names, versions and certificates on both sides of the gateway."""

import ssl
import subprocess
import sys

import pytest

from harness import netns, pki, servers
from harness.waiting import end, read_line

RULE = "--http-allow=GET api.test/*"
GET = b"GET /x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"

# In the sandbox: TLS with every knob. argv: connect-name port sni|- ; prints one line of JSON.
TLS = r"""
import json,socket,ssl,sys
name,port,sni=sys.argv[1],int(sys.argv[2]),sys.argv[3]
alpn=sys.argv[4].split(',') if len(sys.argv)>4 and sys.argv[4] else None
host=sys.argv[5] if len(sys.argv)>5 else name
c=ssl.create_default_context()
if sni in ('-',) or sni!=name: c.check_hostname=False
if alpn: c.set_alpn_protocols(alpn)
out={}
try:
    s=c.wrap_socket(socket.create_connection((name,port)),server_hostname=None if sni=='-' else sni)
    cert=s.getpeercert()
    out.update(version=s.version(),alpn=s.selected_alpn_protocol(),cipher=s.cipher()[0],
               names=[v for k,v in cert.get('subjectAltName',())],
               issuer=dict(x[0] for x in cert['issuer']).get('commonName'))
    s.sendall(f'GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n'.encode())
    a=b''
    while p:=s.recv(65536): a+=p
    out['status']=int(a.split()[1]);out['body']=a.decode('latin-1').partition('\r\n\r\n')[2]
except ssl.SSLError as e: out['alert']=str(e.reason)
except OSError as e: out['error']=str(e)
print(json.dumps(out))
"""


def tls(sandlock, api, name="api.test", port=443, sni=None, alpn="", host=None, options=(RULE,)):
    words = [sys.executable, "-c", TLS, name, port, sni or name, alpn, host or name]
    run = sandlock(*api.options, *options, cmd=words).ok()
    return run.json(), run


def hello(extensions=b"", version=b"\x03\x03", ciphers=b"\x13\x01\xc0\x2b\xc0\x2f\xc0\x2c"):
    """A ClientHello record (RFC 8446 section 4.1.2)."""
    groups = b"\0\x0a\0\4\0\2\0\x17" + b"\0\x0b\0\2\1\0"
    algorithms = b"\0\x0d\0\x0a\0\x08\4\3\4\1\x08\4\2\1"
    body = extensions + groups + algorithms
    inner = version + b"\x11" * 32 + b"\0" + len(ciphers).to_bytes(2, "big") + ciphers + b"\1\0" \
        + len(body).to_bytes(2, "big") + body
    message = b"\1" + len(inner).to_bytes(3, "big") + inner
    return b"\x16\3\1" + len(message).to_bytes(2, "big") + message


def sni_extension(*names):
    entries = b"".join(b"\0" + len(n).to_bytes(2, "big") + n for n in names)
    body = len(entries).to_bytes(2, "big") + entries
    return b"\0\0" + len(body).to_bytes(2, "big") + body


def raw_tls(sandlock, api, attack, data, *options):
    """First answer record: "alert N", "hello" or "closed"."""
    run = sandlock(*api.options, RULE, *options, cmd=[attack("raw_bytes"), "api.test", "443"],
                   data=data)
    answer = bytes.fromhex(run.out.strip())
    if not answer:
        return "closed", run
    return (f"alert {answer[6]}" if answer[0] == 21 else "hello"), run


def test_plain_interception(sandlock, api):
    """The control of all: a leaf of our authority for exactly the name, with the client's ALPN."""
    got, run = tls(sandlock, api, alpn="http/1.1")
    assert got["status"] == 200 and got["names"] == ["api.test"], str(run)
    assert got["alpn"] == "http/1.1" and got["version"] == "TLSv1.3"
    handshake = [e for e in api.log.events if e["event"] == "handshake"][0]
    assert handshake["sni"] == "api.test"


def test_TLS_01_no_sni(sandlock, api):
    got, run = tls(sandlock, api, sni="-")
    if "status" in got:
        assert got["names"] == ["api.test"] and got["status"] == 200, str(run)
    else:
        assert "alert" in got or "error" in got
    assert all(e["sni"] == "api.test" for e in api.settle() if e["event"] == "handshake")


@pytest.mark.parametrize("sni", ["other.test", "127.0.0.1", "sub.api.test"])
def test_TLS_01_sni_unlike_the_flow(sandlock, api, sni):
    options = (RULE, "--http-allow=GET other.test/*", "--http-allow=GET *.api.test/*")
    got, run = tls(sandlock, api, sni=sni, host="api.test", options=options)
    if "status" in got:
        assert got["names"] == ["api.test"], str(run)
    assert all(e["sni"] == "api.test" for e in api.settle() if e["event"] == "handshake")


def test_TLS_02_fronting(sandlock, api):
    got, run = tls(sandlock, api, host="denied.test")
    assert got.get("status") in (421, 403), str(run)
    got, run = tls(sandlock, api, host="other.test",
                   options=(RULE, "--http-allow=GET other.test/*"))
    assert got.get("status") in (421, 403), str(run)
    assert api.requests() == []


NAMES = {"nul": b"api.test\0.other.test", "nul-2": b"other.test\0api.test", "dot": b"api.test.",
         "control": b"api.te\x01st", "space": b"api test", "300": b"a" * 300, "empty": b"",
         "8bit": b"api.t\xe9st", "wildcard": b"*.test", "underscore-nul": b"\0"}


@pytest.mark.parametrize("name", NAMES)
def test_TLS_03_odd_names(sandlock, api, attack, name):
    assert raw_tls(sandlock, api, attack, hello(sni_extension(b"api.test")))[0] == "hello"
    got, run = raw_tls(sandlock, api, attack, hello(sni_extension(NAMES[name])))
    # an alert (112 unrecognized_name, or a decoding one) or closed; "api.test." is the same name
    assert got.startswith("alert") or got == "closed" or name == "dot", str(run)
    assert all(e["sni"] == "api.test" for e in api.settle() if e["event"].startswith("handshake"))


def test_TLS_03_two_names(sandlock, api, attack):
    got, run = raw_tls(sandlock, api, attack, hello(sni_extension(b"api.test", b"other.test")))
    assert got.startswith("alert") or got == "closed", str(run)
    doubled = sni_extension(b"api.test") + sni_extension(b"other.test")
    got, run = raw_tls(sandlock, api, attack, hello(doubled))
    assert got.startswith("alert") or got == "closed", str(run)


FETCH = ("import urllib.request as u,urllib.error as e,sys\n"
         "q=u.Request(sys.argv[1],headers={'Authorization':'Bearer hush'})\n"
         "try: r=u.urlopen(q,timeout=30);print(r.status,r.read().decode())\n"
         "except e.HTTPError as x: print(x.code,x.read().decode())\n"
         "except Exception as x: print('error',x)\n")


def fetch(sandlock, *options, url="https://api.test/x"):
    return sandlock(*options, RULE, cmd=[sys.executable, "-c", FETCH, url])


def upstream_with(outside, pair):
    server = servers.ApiServer(pair)
    return server, f"--resolve=api.test=127.0.0.1:{server.port}"


def check_502(run, server):
    """502L: log line, no request byte sent upstream."""
    try:
        assert run.out.startswith("502") and "tls_verify" in run.out, str(run)
        assert any(a.get("sandlock.reason") == "tls_verify" for a in run.audit), str(run)
        assert server.requests() == []
        assert b"hush" not in server.raw()
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["expired", "not-yet", "self-signed", "unknown-ca", "not-a-ca",
                                  "path-length", "no-chain", "sha1", "weak-rsa"])
def test_TLS_04_untrusted_upstreams(sandlock, outside, kind):
    server, resolve = upstream_with(outside, pki.kind("good"))
    run = fetch(sandlock, resolve, f"--http-upstream-ca={pki.root()}")
    assert run.out.startswith("200"), str(run)
    server.close()
    server, resolve = upstream_with(outside, pki.kind(kind))
    check_502(fetch(sandlock, resolve, f"--http-upstream-ca={pki.root()}"), server)


def test_TLS_04_key_usage_of_a_client(sandlock, outside):
    """mbedTLS does not serve with such a certificate; OpenSSL does."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for kind, wanted in (("good", "200 ok"), ("client-auth", "502")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = pki.kind(kind)
        context.load_cert_chain(pair.cert, pair.key)
        server = outside.raw(servers.raw_answer(answer), tls=context)
        run = fetch(sandlock, f"--resolve=api.test=127.0.0.1:{server.port}",
                    f"--http-upstream-ca={pki.root()}")
        assert run.out.startswith(wanted), str(run)
    assert "tls_verify" in run.out and b"hush" not in server.raw()


def test_TLS_04_without_the_upstream_ca(sandlock, outside):
    server, resolve = upstream_with(outside, pki.kind("good"))
    check_502(fetch(sandlock, resolve), server)


def test_TLS_04_revoked(sandlock, outside):
    both = pki.directory() / "ca-and-crl.pem"
    server, resolve = upstream_with(outside, pki.kind("good"))
    run = fetch(sandlock, resolve, f"--http-upstream-ca={both}")
    assert run.out.startswith("200"), str(run)
    server.close()
    server, resolve = upstream_with(outside, pki.kind("revoked"))
    check_502(fetch(sandlock, resolve, f"--http-upstream-ca={both}"), server)


@pytest.mark.parametrize("kind", ["wrong-name", "cn-only", "ip-as-dns"])
def test_TLS_05_wrong_names(sandlock, outside, kind):
    server, resolve = upstream_with(outside, pki.kind(kind))
    check_502(fetch(sandlock, resolve, f"--http-upstream-ca={pki.root()}"), server)


def test_TLS_05_wildcards(sandlock, outside):
    ca = f"--http-upstream-ca={pki.root()}"
    server = servers.ApiServer(pki.kind("wildcard"))
    where = f"127.0.0.1:{server.port}"
    for name, good in (("a.api.test", True), ("a.b.api.test", False), ("api.test", False)):
        run = sandlock(ca, f"--resolve={name}={where}", f"--http-allow=GET {name}/*",
                       cmd=[sys.executable, "-c", FETCH, f"https://{name}/x"])
        assert run.out.startswith("200" if good else "502"), str(run)
    assert server.seen() == ["GET /x"]
    server.close()
    server, resolve = upstream_with(outside, pki.kind("wildcard-test"))
    run = sandlock(ca, f"--resolve=a.b.test=127.0.0.1:{server.port}", "--http-allow=GET a.b.test/*",
                   cmd=[sys.executable, "-c", FETCH, "https://a.b.test/x"])
    check_502(run, server)


@pytest.mark.netns
def test_TLS_05_address_needs_an_address_name(sandlock, outside):
    ca = f"--http-upstream-ca={pki.root()}"
    host = netns.PUBLIC[4]
    good = outside.api(host, listen=f"{host}:443")
    run = sandlock(ca, f"--http-allow=GET {host}/*",
                   cmd=[sys.executable, "-c", FETCH, f"https://{host}/x"])
    assert run.out.startswith("200"), str(run)
    assert good.seen() == ["GET /x"]
    other = netns.PUBLIC[5]
    bad = outside.api(host, listen=f"{other}:443")
    run = sandlock(ca, f"--http-allow=GET {other}/*",
                   cmd=[sys.executable, "-c", FETCH, f"https://{other}/x"])
    assert run.out.startswith("502"), str(run)
    assert bad.requests() == []


RESUME = r"""
import socket,ssl,sys
c=ssl.create_default_context()
def go(name,session=None):
    c.check_hostname=False
    s=c.wrap_socket(socket.create_connection((name,443)),server_hostname=name,session=session)
    s.sendall(f'GET /x HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n'.encode())
    a=b''
    while p:=s.recv(65536): a+=p
    names=[v for k,v in s.getpeercert()['subjectAltName']]
    return s.session,s.session_reused,a.split()[1].decode(),names
c.maximum_version=getattr(ssl.TLSVersion,sys.argv[1])
session,_,status,names=go('a.test')
print(status,*names)
try:
    _,reused,status,names=go('b.test',session)
    print(reused,status,*names)
except ssl.SSLError as e: print('refused',e.reason)
"""


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_TLS_06_session_of_another_name(sandlock, outside, version):
    a, b = outside.api("a.test"), outside.api("b.test")
    run = sandlock(f"--resolve=a.test=127.0.0.1:{a.port}", f"--resolve=b.test=127.0.0.1:{b.port}",
                   f"--http-upstream-ca={pki.root()}", "--http-allow=GET *.test/*",
                   cmd=[sys.executable, "-c", RESUME, version]).ok()
    first, second = run.out.splitlines()
    assert first == "200 a.test", str(run)
    assert second == "False 200 b.test" or second.startswith("refused"), str(run)


def test_TLS_06_upstream_session_with_another_certificate(sandlock, outside):
    """A resumed upstream session may not outlive the verification: the second server has a
    certificate for another name and must be refused."""
    good, bad = servers.ApiServer(pki.leaf("api.test")), servers.ApiServer(pki.kind("wrong-name"))
    run = sandlock(f"--resolve=api.test=127.0.0.1:{good.port}",
                   f"--resolve=b.test=127.0.0.1:{bad.port}", f"--http-upstream-ca={pki.root()}",
                   "--http-allow=GET *.test/*", "--http-allow=GET api.test/*",
                   cmd=["bash", "-c", "curl -s -o /dev/null -w '%{http_code} ' https://api.test/x;"
                        "curl -s -o /dev/null -w '%{http_code}' https://b.test/x"])
    assert run.out == "200 502", str(run)
    assert bad.requests() == []
    good.close()
    bad.close()


@pytest.mark.parametrize("version,option", [("1.0", "-tls1"), ("1.1", "-tls1_1"),
                                            ("1.2", "-tls1_2")])
def test_TLS_07_old_upstreams(sandlock, outside, version, option):
    """An old client reaches it; the gateway does not (1.2 is the control)."""
    server = servers.ApiServer(pki.kind("good"),
                               options=(f"--tls-min={version}", f"--tls-max={version}"))
    control = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", option,
                              "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True,
                             timeout=30)
    assert b"Cipher is ECDHE" in control.stdout
    run = fetch(sandlock, f"--resolve=api.test=127.0.0.1:{server.port}",
                f"--http-upstream-ca={pki.root()}")
    assert run.out.startswith("200" if version == "1.2" else "502"), str(run)
    assert len(server.requests()) == (version == "1.2")
    server.close()


@pytest.mark.parametrize("ciphers,pair", [("eNULL", "good"), ("aNULL", "good"), ("HIGH", "good")])
def test_TLS_07_weak_upstream_ciphers(sandlock, ciphers, pair):
    """OpenSSL's own server, since Debian's mbedTLS has no such cipher (nor 3DES, nor export: no
    server or client here can be made to speak those). HIGH is the control."""
    ciphers += ":@SECLEVEL=0"
    pair = pki.kind(pair)
    server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-www",
                               "-cipher", ciphers, "-cert", pair.cert, "-key", pair.key,
                               "-cert_chain", pair.cert], stdout=subprocess.PIPE,
                              stdin=subprocess.PIPE, text=True)
    try:
        while not (line := read_line(server.stdout)).startswith("ACCEPT"):
            assert line, "openssl s_server ended"
        port = line.strip().rpartition(":")[2]
        control = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2",
                                  "-cipher", ciphers], input=b"", capture_output=True, timeout=30)
        assert b"Cipher is (NONE)" not in control.stdout and b"Cipher is" in control.stdout
        run = fetch(sandlock, f"--resolve=api.test=127.0.0.1:{port}",
                    f"--http-upstream-ca={pki.root()}")
        assert run.out.startswith("200" if "HIGH" in ciphers else "502"), str(run)
    finally:
        end(server)


@pytest.mark.parametrize("name,data", [
    ("tls10", hello(sni_extension(b"api.test"), version=b"\3\1", ciphers=b"\0\x2f\0\x35\xc0\x09")),
    ("tls11", hello(sni_extension(b"api.test"), version=b"\3\2", ciphers=b"\0\x2f\0\x35\xc0\x09")),
    ("null", hello(sni_extension(b"api.test"), ciphers=b"\0\x01\0\x02\0\x3b\xc0\x06\xc0\x10")),
    ("anon", hello(sni_extension(b"api.test"), ciphers=b"\0\x18\0\x1b\0\x34\xc0\x15\xc0\x18")),
    ("export", hello(sni_extension(b"api.test"), ciphers=b"\0\3\0\6\0\x08\0\x14")),
    ("3des", hello(sni_extension(b"api.test"), ciphers=b"\0\x0a\xc0\x08\xc0\x12")),
    ("rc4", hello(sni_extension(b"api.test"), ciphers=b"\0\4\0\5\xc0\7\xc0\x11")),
])
def test_TLS_07_old_clients(sandlock, api, attack, name, data):
    got, run = raw_tls(sandlock, api, attack, data)
    assert got in ("alert 70", "alert 40", "alert 71", "closed"), str(run)


def test_TLS_08_early_data(sandlock, api):
    """No ticket of ours invites to early data."""
    early = sandlock.work / "early"
    early.write_bytes(GET)
    session = sandlock.work / "session"
    script = (f"printf '{GET.decode()}' |"
              f" openssl s_client -connect api.test:443 -servername api.test -tls1_3"
              f" -sess_out {session} -ign_eof 2>/dev/null | grep -a 'HTTP/1.1 200';"
              f"openssl s_client -connect api.test:443 -servername api.test -tls1_3"
              f" -sess_in {session} -early_data {early} </dev/null 2>&1 | grep -ai 'early data'")
    run = sandlock(*api.options, RULE, cmd=["bash", "-c", script.replace("\r\n", "\\r\\n")])
    assert "200" in run.out, str(run)
    assert "Early data was accepted" not in run.out, str(run)
    assert "Early data was" in run.out or "Early data" not in run.out, str(run)
    assert len(api.requests()) == 1


def test_TLS_09_ech(sandlock, api, attack):
    """An encrypted inner hello (0xfe0d): only the name we can read counts."""
    ech = b"\xfe\x0d\0\x0e" + b"\0\0\1\0\1\0\0\0\0\4abcd"
    got, run = raw_tls(sandlock, api, attack, hello(sni_extension(b"api.test") + ech))
    assert got in ("hello", "closed") or got.startswith("alert"), str(run)
    got, run = raw_tls(sandlock, api, attack, hello(sni_extension(b"cover.test") + ech))
    assert got.startswith("alert") or got == "closed", str(run)
    assert all(e["sni"] == "api.test" for e in api.settle() if e["event"].startswith("handshake"))


@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f",
                                  b"\xff" * 64, b"EHLO x\r\n", b"\x16\3\1\0\5hello"])
def test_TLS_10_other_protocols(sandlock, api, attack, data, port):
    run = sandlock(*api.options, RULE, cmd=[attack("raw"), "api.test", port],
                   data=data + b"\r\n" * 4)
    assert "200" not in run.out and "open" not in run.err, str(run)
    assert api.requests() == [] and data not in api.raw()


def test_TLS_10_tls_in_tls(sandlock, api):
    script = ("import socket,ssl\nc=ssl.create_default_context()\n"
              "t=socket.create_connection(('api.test',443))\n"
              "s=c.wrap_socket(t,server_hostname='api.test')\n"
              "i,o=ssl.MemoryBIO(),ssl.MemoryBIO();n=c.wrap_bio(i,o,server_hostname='api.test')\n"
              "try: n.do_handshake()\nexcept ssl.SSLWantReadError: pass\n"
              "s.sendall(o.read())\n"
              "try: print(s.recv(100))\nexcept OSError as e: print('error')\n")
    run = sandlock(*api.options, RULE, cmd=[sys.executable, "-c", script]).ok()
    assert "\\x16\\x03" not in run.out, str(run)
    assert b"\x16\x03\x01" not in api.raw()


def test_TLS_10_tls_on_the_clear_port_is_still_judged(sandlock, api):
    got, run = tls(sandlock, api, port=80)
    if "status" in got:
        assert got["names"] == ["api.test"]
    got, run = tls(sandlock, api, port=80, options=("--http-allow=POST api.test/*",))
    assert got.get("status") in (403, None), str(run)
    assert "GET /x" not in api.seen()[1:]


@pytest.mark.parametrize("alpn,accepted", [("h2,http/1.1", "http/1.1"), ("h3", None),
                                           ("x-unknown", None), ("h2", None),
                                           ("http/1.0", "http/1.0"), ("h2,http/1.0", "http/1.0"),
                                           ("http/1.0,http/1.1", "http/1.1")])
def test_TLS_11_alpn(sandlock, outside, alpn, accepted):
    server = servers.ApiServer(pki.leaf("api.test"), options=("--alpn=http/1.1",))
    api = type("Api", (), {"options": (f"--resolve=api.test=127.0.0.1:{server.port}",
                                       f"--http-upstream-ca={pki.root()}")})
    got, run = tls(sandlock, api, alpn=alpn)
    if accepted:
        assert got["alpn"] == accepted and got["status"] == 200, str(run)
    else:  # an alert, or a bridge in HTTP/1.1 without ALPN
        assert "alert" in got or "error" in got or got["alpn"] is None, str(run)
    assert all(e.get("alpn") in (None, "http/1.1") for e in server.settle())
    server.close()


def test_TLS_12_the_key_is_nowhere(sandlock, api):
    """Everything the child can read: environment, descriptors, /proc, files of the run."""
    script = (
        "import os,re,glob,socket,ssl\n"
        "c=ssl.create_default_context();s=c.wrap_socket(socket.create_connection(('api.test',443)),"
        "server_hostname='api.test');s.close()\n"
        "found=[];places=list(os.environ.values())\n"
        "for p in places:\n"
        " if os.path.isfile(p) and b'PRIVATE KEY' in open(p,'rb').read(): found.append(p)\n"
        " d=os.path.dirname(p)\n"
        " if p.startswith('/') and 'sandlock' in p and os.path.isdir(d):\n"
        "  for f in os.listdir(d):\n"
        "   f=os.path.join(d,f);print('file',os.path.basename(f))\n"
        "   if os.path.isfile(f) and b'PRIVATE KEY' in open(f,'rb').read(): found.append(f)\n"
        "print('fds',sorted(int(f) for f in os.listdir('/proc/self/fd'))[:6])\n"
        "readable=0\n"
        "engine=os.getppid();guardian=int(open(f'/proc/{engine}/stat').read().rsplit(')',1)[1].split()[1])\n"
        "below=open(f'/proc/{engine}/task/{engine}/children').read().split()\n"
        "ours=[engine,guardian,*(int(n) for n in below if int(n)!=os.getpid())]\n"
        "print('ours',len(ours))\n"
        "for p in (f'/proc/{n}' for n in ours):\n"
        " assert open(p+'/comm').read().startswith('sandlock')\n"
        " for f in ('mem','environ','maps','fd','root','cwd'):\n"
        "  try:\n"
        "   if f=='fd': os.readlink(p+'/fd/'+os.listdir(p+'/fd')[0])\n"
        "   elif f in('root','cwd'): os.readlink(p+'/'+f)\n"
        "   else: open(p+'/'+f,'rb').read(1)\n"
        "   found.append(p+'/'+f)\n"
        "  except (OSError,IndexError): readable+=1\n"
        "print('found',found)\n")
    run = sandlock(*api.options, RULE, cmd=[sys.executable, "-c", script])
    assert "ours 3\n" in run.out and "found []" in run.out, str(run)
    assert "PRIVATE" not in run.out


def test_TLS_12_own_key_under_a_read_grant(sandlock, api):
    own = pki.kind("own-ca")
    options = (*api.options, RULE, f"--http-ca={own.cert}", f"--http-key={own.key}")
    run = sandlock(*options, cmd=["cat", own.cert])
    assert "BEGIN CERTIFICATE" in run.out, str(run)
    run = sandlock(*options, cmd=["cat", own.key])
    assert run.rc != 0 and "PRIVATE" not in run.out, str(run)
    run = sandlock(*options, "-r", "/", cmd=["cat", own.key])
    assert "PRIVATE" not in run.out, str(run)
    got, run = tls(sandlock, api, options=(RULE, f"--http-ca={own.cert}", f"--http-key={own.key}"))
    assert got["status"] == 200 and got["issuer"] == "sandlock own CA", str(run)


def test_TLS_13_hello_in_one_byte_records(sandlock, api, attack):
    whole = hello(sni_extension(b"api.test"))[5:]
    records = b"".join(b"\x16\3\1\0\1" + whole[i:i + 1] for i in range(len(whole)))
    got, run = raw_tls(sandlock, api, attack, records)
    assert got in ("hello", "closed") or got.startswith("alert"), str(run)
    assert all(e["sni"] == "api.test" for e in api.settle() if e["event"].startswith("handshake"))


def test_TLS_13_renegotiation(sandlock, api):
    script = ("(printf 'GET /one HTTP/1.1\\r\\nHost: api.test\\r\\n'; echo R; cat) |"
              " openssl s_client -connect api.test:443 -servername api.test -tls1_2 2>&1 |"
              " grep -aiE 'renegotiat|RENEGOTIATING|alert|HTTP/1'")
    run = sandlock(*api.options, RULE, cmd=["timeout", "20", "bash", "-c", script])
    assert "HTTP/1.1 200" not in run.out, str(run)
    assert api.requests() == []


def test_TLS_13_key_update_flood(sandlock, api):
    """10^4 KeyUpdates: refused or survived, and another client is served meanwhile."""
    script = ("(i=0; while [ $i -lt 3000 ]; do echo K; i=$((i+1)); done; echo Q) |"
              " openssl s_client -connect api.test:443 -servername api.test -tls1_3"
              " >/dev/null 2>&1 &"
              " curl -s -o /dev/null -w '%{http_code}' https://api.test/x; wait")
    run = sandlock(*api.options, RULE, cmd=["bash", "-c", script])
    assert run.out == "200", str(run)


def test_no_inspect_passes_untouched(sandlock, api):
    """--http-no-inspect: the upstream's own certificate arrives, and the SNI must be the name."""
    words = [sys.executable, "-c", TLS.replace("create_default_context()",
             f"create_default_context(cafile={str(pki.root())!r})"), "api.test", 443, "api.test"]
    run = sandlock(*api.options, RULE, "--http-no-inspect=api.test", cmd=words).ok()
    assert run.json()["status"] == 200 and "sandlock" not in run.json()["issuer"].replace(
        "sandlock test", ""), str(run)
    words[-1] = "other.test"
    run = sandlock(*api.options, RULE, "--http-no-inspect=api.test", cmd=words).ok()
    assert "status" not in run.json(), str(run)


def test_net_allow_passes_tls_untouched(sandlock, api):
    words = [sys.executable, "-c", TLS.replace("create_default_context()",
             f"create_default_context(cafile={str(pki.root())!r})"), "api.test", 443, "api.test"]
    run = sandlock(*api.options, "--net-allow=api.test:443", cmd=words).ok()
    assert run.json()["status"] == 200, str(run)


def test_ca_out(sandlock, api, tmp_path):
    out = tmp_path / "ca.pem"
    got, run = tls(sandlock, api, options=(RULE, f"--http-ca-out={out}"))
    assert got["status"] == 200
    text = out.read_text()
    assert "BEGIN CERTIFICATE" in text and "PRIVATE" not in text


def test_tls13_upstream(sandlock, outside):
    """mbedTLS 2.28 ends at 1.2; 1.3 towards upstream is shown with Python's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    pair = pki.leaf("api.test")
    context.load_cert_chain(pair.cert, pair.key)
    server = outside.raw(servers.raw_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
                         tls=context)
    run = fetch(sandlock, f"--resolve=api.test=127.0.0.1:{server.port}",
                f"--http-upstream-ca={pki.root()}")
    assert run.out.startswith("200 ok"), str(run)
