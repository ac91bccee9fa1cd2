"""HTTP: requests that try to be two things at once (docs/security-cases.md). Raw bytes are sent
from inside; the upstream's witness log says what became of them."""

import json
import re
import sys

import pytest

from harness import paths, sandbox, servers
from harness.rawhttp import head, statuses

RULES = ("--http-allow=GET api.test/pub/*", "--http-allow=POST api.test/pub/*",
         "--http-allow=GET api.test/ws")
END = b"\r\n\r\n"


@pytest.fixture
def send(sandlock, api, attack):
    """Sends bytes to api.test:80 from inside; the answer and how the connection ended."""
    def go(data, *options, host="api.test", port=80):
        return sandlock(*api.options, *RULES, *options, cmd=[attack("raw"), host, port], data=data)
    return go


def check_allowed(send, api):
    """The nearest allowed request passes."""
    run = send(head(b"/pub/control", extra=b"Connection: close\r\n"))
    assert statuses(run.out) == [200], str(run)
    assert api.seen()[-1] == "GET /pub/control"


def check_refused(send, api, data, wanted=(400,)):
    """400C: that status, connection closed, upstream saw no byte of it. What does not begin like
    HTTP at all is closed without an answer."""
    before = len(api.raw())
    run = send(data)
    found = statuses(run.out)
    if re.match(rb"[A-Za-z]{1,32} ", data):
        assert found and found[-1] in wanted, f"{data[:200]!r}\n{run}"
    else:
        assert found == [] or found[-1] in wanted, f"{data[:200]!r}\n{run}"
    assert "closed" in run.err or "reset" in run.err, f"not closed\n{run}"
    assert len(api.raw()) == before, f"upstream saw {api.raw()[before:]!r}"
    return run


def table(cases):
    return [pytest.param(data, id=name) for name, data in cases.items()]


def test_HTTP_01_host_other_than_the_flow(send, api):
    check_allowed(send, api)
    run = send(head(host=b"other.test", extra=b"Connection: close\r\n"),
               "--http-allow=GET other.test/*")
    assert statuses(run.out)[0] in (403, 421), str(run)
    assert api.seen() == ["GET /pub/control"]
    assert run.denies(), str(run)


@pytest.mark.parametrize("data", table({
    "absolute": b"GET http://other.test/pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "port": b"GET http://api.test:81/pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "scheme": b"GET https://api.test/pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "ftp": b"GET ftp://api.test/pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
}))
def test_HTTP_02_absolute_form_differs_from_host(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data, wanted=(400, 421, 403))


def test_HTTP_02_absolute_form_that_agrees(send, api):
    run = send(b"GET http://api.test/pub/abs HTTP/1.1\r\nHost: api.test\r\n"
               b"Connection: close\r\n\r\n")
    assert statuses(run.out) == [200], str(run)
    assert api.seen() == ["GET /pub/abs"]


@pytest.mark.parametrize("data", table({
    "two": b"GET /pub/x HTTP/1.1\r\nHost: api.test\r\nHost: api.test\r\n\r\n",
    "two-differ": b"GET /pub/x HTTP/1.1\r\nHost: api.test\r\nHost: other.test\r\n\r\n",
    "none": b"GET /pub/x HTTP/1.1\r\nAccept: */*\r\n\r\n",
    "empty": b"GET /pub/x HTTP/1.1\r\nHost: \r\n\r\n",
    "userinfo": head(host=b"api.test@other.test"),
    "userinfo-2": head(host=b"other.test@api.test"),
    "comma": head(host=b"api.test, other.test"),
    "space": head(host=b"api.test other.test"),
    "port": head(host=b"api.test:81"),
    "port-text": head(host=b"api.test:http"),
    "port-huge": head(host=b"api.test:65616"),
    "slash": head(host=b"api.test/pub"),
    "nul": head(host=b"api.test\0.other.test"),
}))
def test_HTTP_03_host_field(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data, wanted=(400, 403, 421))


PATHS = {"dotdot": b"/pub/../admin", "encoded-dots": b"/pub/%2e%2e/admin",
         "encoded-dots-upper": b"/pub/%2E%2E/admin", "half-encoded": b"/pub/.%2e/admin",
         "encoded-slash": b"/pub/..%2fadmin", "encoded-slash-2": b"/pub%2F..%2Fadmin",
         "encoded-backslash": b"/pub/..%5cadmin", "backslash": b"/pub/..\\admin",
         "slashes": b"/pub//../admin", "slashes-first": b"//admin", "dot": b"/./admin",
         "semicolon": b"/pub/..;/admin", "semicolon-2": b"/pub;x/../admin",
         "encoded-slash-dots": b"/pub/%2e%2e%2fadmin", "encoded-slash-double": b"/pub%2f/admin",
         "encoded-slash-later": b"/pub/a%2fb/../../../admin",
         "double-encoded-slash": b"/pub/..%252fadmin",
         "double-encoded": b"/pub/%252e%252e/admin", "many": b"/pub/a/b/../../../admin",
         "encoded-letter": b"/%61dmin", "nul": b"/pub/%00/../admin", "percent": b"/pub/%zz",
         "percent-end": b"/pub/%2"}


@pytest.mark.parametrize("target", table(PATHS))
def test_HTTP_04_one_normal_path(send, api, target):
    """Whatever is forwarded is what was judged: in normal form below /pub/, or nothing at all."""
    check_allowed(send, api)
    before = len(api.requests())
    run = send(head(target, extra=b"Connection: close\r\n"))
    status = statuses(run.out)[0]
    forwarded = [r["target"] for r in api.requests()][before:]
    if status == 200:
        assert len(forwarded) == 1 and forwarded[0].startswith("/pub/"), str(run)
        odd = r"(/\.\.?(/|$)|%2e|//|\\|%5c|%2f|;/|%00)"
        assert not re.search(odd, forwarded[0], re.I), forwarded
    else:
        assert status in (400, 403) and forwarded == [], str(run)


@pytest.mark.parametrize("target,status", [
    (b"/pub/a%2fb", 200), (b"/pub/%61%2F%62", 200), (b"/pub//a%2Fb", 200),
    (b"/pub%2Fx", 403),  # one segment to a server that does not decode it
    (b"/pub/x%2Fsecret", 403), (b"/pub%2Fx/secret", 403), (b"/%61dmin%2Fx", 403),
])
def test_HTTP_04_encoded_slash(send, api, target, status):
    """It passes where both readings are allowed, as it was written; a deny rule that meets one of
    them is enough."""
    check_allowed(send, api)
    before = len(api.requests())
    run = send(head(target, extra=b"Connection: close\r\n"),
               "--http-allow=GET api.test/*/secret", "--http-deny=* api.test/pub/x/secret",
               "--http-deny=* api.test/admin/*")
    assert statuses(run.out) == [status], str(run)
    forwarded = [r["target"] for r in api.requests()][before:]
    assert forwarded == ([target.decode()] if status == 200 else []), str(run)


WRITTEN = {"slashes": b"/pub//a///b//", "url": b"/pub/https://x.test//y", "percent": b"/pub/100%25",
           "percent-space": b"/pub/50%25%20off", "case": b"/pub/%7euser/%c3%a9%C3%A9",
           "unreserved": b"/pub/%61%2D%2e%5F~", "slash": b"/pub/a%2fb/%2F/c%2f",
           "backslash": b"/pub/a%5cb%5C", "twice": b"/pub/a%252Fb%255cc", "parameter": b"/pub/a;v=1/b",
           "signed": b"/pub/a%2Bb+c?X-Sig=%2f%2F//a%zz&b=%"}
WILD = {"percent": b"/a%", "percent-2": b"/a%2", "percent-zz": b"/%zz//", "iis": b"/a%u002e%u002e",
        "deep": b"/%2525252525252e", "slash-dots": b"/..%2f..%5C.", "twice-dots": b"/a/%252e%252e/b",
        "parameter-dots": b"/a/..;/b", "slashes": b"//other.test//x"}


@pytest.mark.parametrize("target", table(WRITTEN))
def test_HTTP_32_the_path_arrives_as_written(send, api, target):
    """Every reading is below what the rule grants: the octets arrive as they were sent."""
    run = send(head(target, extra=b"Connection: close\r\n"))
    assert statuses(run.out) == [200], str(run)
    assert [r["target"] for r in api.requests()] == [target.decode()]
    run = send(head(target.replace(b"/pub/", b"/nub/"), extra=b"Connection: close\r\n"))
    assert statuses(run.out) == [403] and len(api.requests()) == 1, str(run)


@pytest.mark.parametrize("target", table({**WRITTEN, **WILD}))
def test_HTTP_32_a_rule_without_a_path_allows_every_reading(send, api, target):
    """... unless some rule, for or against, asks what the path is."""
    for rule in ("GET api.test", "* api.test/*"):
        before = len(api.requests())
        run = send(head(target, extra=b"Connection: close\r\n"), f"--http-allow={rule}",
                   "--http-deny=* other.test/admin")
        assert statuses(run.out) == [200], str(run)
        assert [r["target"] for r in api.requests()][before:] == [target.decode()]
    before = len(api.requests())
    if target in WILD.values():
        run = send(head(target, extra=b"Connection: close\r\n"))
        assert statuses(run.out)[0] in (400, 403), str(run)
    if target in WILD.values() and not target.startswith(b"//"):
        run = send(head(target, extra=b"Connection: close\r\n"), "--http-allow=GET api.test",
                   "--http-deny=* api.test/admin")
        assert statuses(run.out) == [400], str(run)
    assert len(api.requests()) == before


@pytest.mark.parametrize("target", table({
    "merged": b"/pub//secret", "merged-first": b"//pub/secret", "mixed": b"/pub//x//..",
    "host": b"//x/pub/secret", "slash": b"/pub%2Fsecret", "slashes": b"/pub%2F%2fsecret",
    "slash-slash": b"/pub/%2fsecret", "backslash": b"/pub%5csecret", "backslash-2": b"/pub/%5Csecret",
    "twice": b"/pub/%2573ecret", "twice-code": b"/pub/%25%37%33ecret", "thrice": b"/pub/%252573ecret",
    "twice-slash": b"/pub%252fsecret", "twice-backslash": b"/pub%255Csecret",
    "dots": b"/pub/x%2f..%2fsecret", "twice-dots": b"/pub/x/%252e%252e/secret",
    "dots-backslash": b"/pub/x%5c..%5csecret", "overlong": b"/pub/x/%25c0%25ae%25c0%25ae/secret",
    "parameter": b"/pub/secret;x", "parameter-2": b"/pub;x=1/secret", "parameter-code":
    b"/pub/secret%3bx", "parameter-dots": b"/pub/x/..;y/secret", "end": b"/pub/secret%3fx",
    "end-2": b"/pub/secret%23x", "iis": b"/pub/%u0073ecret", "nul": b"/pub/secret%00x",
    "nul-twice": b"/pub/secret%2500x", "lone": b"/pub/x%/../secret",
}))
def test_HTTP_32_one_reading_that_is_denied(send, api, target):
    """A deny rule that one server would meet, and an allow rule that one would leave."""
    run = send(head(b"/pub//other%2fx;y", extra=b"Connection: close\r\n"), "--http-allow=* api.test",
               "--http-deny=* api.test/pub/secret")
    assert statuses(run.out) == [200] and api.seen() == ["GET /pub//other%2fx;y"], str(run)
    for rules in (("--http-allow=* api.test", "--http-deny=* api.test/pub/secret"),
                  ("--http-allow=* api.test", "--http-deny=* api.test/pub/sec*")):
        run = send(head(target, extra=b"Connection: close\r\n"), *rules)
        assert statuses(run.out)[0] in (400, 403), str(run)
    assert len(api.requests()) == 1, api.seen()


@pytest.mark.parametrize("target", table({"hash": b"/admin#/../pub", "hash-2": b"/pub/x#y",
                                          "hash-query": b"/pub/x?a#b"}))
def test_HTTP_05_fragment_in_the_target(send, api, target):
    check_allowed(send, api)
    check_refused(send, api, head(target))


@pytest.mark.parametrize("data", table({
    "nul-target": head(b"/pub/\0x"), "control-target": head(b"/pub/\x01x"),
    "del-target": head(b"/pub/\x7fx"), "tab-target": head(b"/pub/\tx"),
    "overlong": head(b"/pub/%c0%ae%c0%ae/admin"), "8bit-target": head(b"/pub/\xff"),
    "nul-field": head(extra=b"X-A: a\0b\r\n"), "control-field": head(extra=b"X-A: a\x01b\r\n"),
    "8bit-name": head(extra=b"X-\xe9: a\r\n"), "del-field": head(extra=b"X-A: a\x7fb\r\n"),
    "nul-name": head(extra=b"X\0A: b\r\n"), "nul-method": head(method=b"G\0T"),
}))
def test_HTTP_06_octets_that_do_not_belong(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data)


BODY = b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("data", table({
    "cl-te": head(method=b"POST", extra=b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
    + BODY,
    "te-cl": head(method=b"POST", extra=b"Transfer-Encoding: chunked\r\nContent-Length: 15\r\n")
    + BODY,
}))
def test_HTTP_07_both_lengths(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data)


@pytest.mark.parametrize("value", table({
    "comma": b"chunked,", "gzip-last": b"chunked, gzip", "gzip-first": b"gzip, chunked",
    "xchunked": b"xchunked", "vt": b"chunked\x0b", "identity": b"identity", "quoted": b'"chunked"',
    "twice": b"chunked, chunked", "lone-gzip": b"gzip", "empty": b"", "param": b"chunked;a=b"}))
def test_HTTP_08_transfer_encoding(send, api, value):
    check_allowed(send, api)
    data = head(method=b"POST", extra=b"Transfer-Encoding: %s\r\n" % value) + BODY
    check_refused(send, api, data, wanted=(400, 501))


def test_HTTP_08_doubled_field(send, api):
    run = send(head(b"/pub/up", b"POST", extra=b"Transfer-Encoding: chunked\r\n"
                    b"Connection: close\r\n") + BODY)
    assert statuses(run.out) == [200], str(run)
    assert api.requests()[-1]["body_len"] == 5
    check_refused(send, api, head(method=b"POST", extra=b"Transfer-Encoding: chunked\r\n" * 2)
                  + BODY)
    check_refused(send, api, head(method=b"POST", extra=b"Transfer-Encoding : chunked\r\n") + BODY)


@pytest.mark.parametrize("value", table({
    "plus": b"+5", "hex": b"0x5", "list": b"5, 6", "list-same": b"5, 5", "empty": b"",
    "minus": b"-5", "2^64": b"18446744073709551616", "2^64+5": b"18446744073709551621",
    "space": b"5 5", "point": b"5.0", "letters": b"five"}))
def test_HTTP_09_content_length(send, api, value):
    check_allowed(send, api)
    check_refused(send, api,
                  head(method=b"POST", extra=b"Content-Length: %s\r\n" % value) + b"hello")


def test_HTTP_09_doubled_content_length(send, api):
    check_allowed(send, api)
    for second in (b"5", b"6"):
        check_refused(send, api, head(method=b"POST", extra=b"Content-Length: 5\r\n"
                                      b"Content-Length: %s\r\n" % second) + b"hello")


@pytest.mark.parametrize("data", table({
    "obs-fold": head(extra=b"X-A: a\r\n b\r\n"), "obs-fold-tab": head(extra=b"X-A: a\r\n\tb\r\n"),
    "space-colon": head(extra=b"X-A : b\r\n"), "tab-colon": head(extra=b"X-A\t: b\r\n"),
    "first-indented": b"GET /pub/x HTTP/1.1\r\n Host: api.test\r\n\r\n",
    "first-indented-2": b"GET /pub/x HTTP/1.1\r\n X: y\r\nHost: api.test\r\n\r\n",
    "no-colon": head(extra=b"X-A\r\n"), "empty-name": head(extra=b": b\r\n"),
    "name-space": head(extra=b"X A: b\r\n"),
}))
def test_HTTP_10_folds_and_spaces(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data)


@pytest.mark.parametrize("data", table({
    "bare-lf": b"GET /pub/x HTTP/1.1\nHost: api.test\n\n",
    "one-lf": b"GET /pub/x HTTP/1.1\r\nHost: api.test\nX-A: b\r\n\r\n",
    "lf-end": b"GET /pub/x HTTP/1.1\r\nHost: api.test\r\n\n",
    "bare-cr": b"GET /pub/x HTTP/1.1\r\nHost: api.test\rX-A: b\r\n\r\n",
    "cr-value": head(extra=b"X-A: b\rX-B: c\r\n"),
    "cr-cr-lf": b"GET /pub/x HTTP/1.1\r\nHost: api.test\r\r\nX-A: b\r\n\r\n",
    "cr-cr-lf-end": b"GET /pub/x HTTP/1.1\r\nHost: api.test\r\n\r\r\n",
    "cr-line": b"GET /pub/x HTTP/1.1\rHost: api.test\r\n\r\n",
}))
def test_HTTP_11_line_ends(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data)


CHUNKED = head(b"/pub/up", b"POST", extra=b"Transfer-Encoding: chunked\r\n")


@pytest.mark.parametrize("body", table({
    "overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "overflow-2": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "lf-extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "nul-extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "huge-extension": b"5;" + b"a" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n",
    "no-crlf": b"5\r\nhello0\r\n\r\n", "lf-after-data": b"5\r\nhello\n0\r\n\r\n",
    "bare-lf-size": b"5\nhello\r\n0\r\n\r\n", "hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n", "space": b" 5\r\nhello\r\n0\r\n\r\n",
    "empty-size": b"\r\nhello\r\n0\r\n\r\n", "cr-only": b"5\rhello\r\n0\r\n\r\n",
}))
def test_HTTP_12_chunks(send, api, body):
    """Streaming may have begun: what matters is that upstream never sees a complete request and
    that the connection ends."""
    send(CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + BODY)
    assert api.requests()[-1]["body_len"] == 5
    before = len(api.requests())
    run = send(CHUNKED + body)
    assert statuses(run.out) in ([400], []), str(run)
    assert "closed" in run.err or "reset" in run.err, str(run)
    assert len(api.requests()) == before, f"a complete request: {api.requests()[-1]}"


def test_HTTP_13_pipelined(send, api):
    run = send(head(b"/pub/1") + head(b"/admin") + head(b"/pub/2", extra=b"Connection: close\r\n"))
    assert statuses(run.out) in ([200, 403], [200, 403, 200]), str(run)
    assert [r for r in api.seen() if "admin" in r] == []
    assert api.seen()[0] == "GET /pub/1"
    assert re.findall(r'"target":"(/pub/\d)"', run.out) == \
        [f"/pub/{i + 1}" for i in range(len(statuses(run.out)) - 1)]
    assert len(run.denies()) == 1


def test_HTTP_14_request_in_the_body_of_a_get(send, api):
    inner = head(b"/admin")
    run = send(head(b"/pub/x", extra=b"Content-Length: %d\r\nConnection: close\r\n" % len(inner))
               + inner)
    assert statuses(run.out)[0] in (200, 400), str(run)
    assert all(r["target"] == "/pub/x" and r["body_len"] == len(inner) for r in api.requests())


def test_HTTP_15_expect(send, api):
    run = send(head(b"/pub/x", b"POST", extra=b"Content-Length: 5\r\nExpect: 100-continue\r\n"
                    b"Connection: close\r\n") + b"hello")
    assert statuses(run.out) == [100, 200], str(run)
    before = len(api.raw())
    run = send(head(b"/admin", b"POST", extra=b"Content-Length: 5\r\nExpect: 100-continue\r\n"
                    b"Connection: close\r\n"))
    assert statuses(run.out) == [403], str(run)
    for odd in (b"200-ok", b"100-continue, 100-continue", b"x"):
        run = send(head(b"/pub/x", b"POST", extra=b"Content-Length: 5\r\nExpect: %s\r\n"
                        b"Connection: close\r\n" % odd) + b"hello")
        assert statuses(run.out)[0] in (417, 400), str(run)
    assert len(api.raw()) == before


def test_HTTP_16_h2c(send, api):
    run = send(head(extra=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n") +
               head(b"/admin", extra=b"Connection: close\r\n"))
    assert 101 not in statuses(run.out), str(run)
    raw = api.raw().lower()
    assert b"h2c" not in raw and b"http2-settings" not in raw and b"/admin" not in raw
    run = send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    assert 200 not in statuses(run.out) and ("closed" in run.err or "reset" in run.err), str(run)
    assert b"PRI" not in api.raw()


WS = (b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
FRAME = b"\x81\x85\x01\x02\x03\x04igohn"  # "hello" masked
CLOSE = b"\x88\x80\0\0\0\0"


def test_HTTP_17_websocket(send, api, sandlock, attack):
    run = send(head(b"/ws", extra=WS) + FRAME + CLOSE)
    assert statuses(run.out) == [101] and "hello" in run.out, str(run)
    before = len(api.raw())
    run = send(head(b"/ws-secret", extra=WS + b"Content-Length: 0\r\n") + FRAME + CLOSE)
    assert statuses(run.out)[0] == 403, str(run)
    assert len(api.raw()) == before
    # upstream answers 200: no tunnel, the next bytes are read as a request and judged
    run = send(head(b"/ws200", extra=WS) + head(b"/admin", extra=b"Connection: close\r\n"),
               "--http-allow=GET api.test/ws200")
    assert statuses(run.out)[0] == 200, str(run)
    assert statuses(run.out)[1:] in ([403], []), str(run)
    assert not any("/admin" in r for r in api.seen())


@pytest.mark.parametrize("data", table({
    "connect": b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n",
    "connect-other": b"CONNECT other.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "connect-path": b"CONNECT /pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
}))
def test_HTTP_18_connect(send, api, data):
    check_allowed(send, api)
    before = len(api.connections())
    run = send(data, "--http-allow=* api.test/*")
    assert statuses(run.out)[0] in (400, 403, 405, 421), str(run)
    assert len(api.connections()) == before, "dialled"


def test_HTTP_19_methods(send, api):
    run = send(head(b"/pub/x", extra=b"X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\n"
                    b"X-Method-Override: DELETE\r\nConnection: close\r\n"))
    if statuses(run.out) == [200]:
        assert not any("override" in n.lower() or n.lower() == "x-http-method"
                       for n, _ in api.requests()[-1]["headers"]), str(run)
    else:
        assert statuses(run.out) == [403], str(run)
    before = len(api.raw())
    for method in (b"get", b"Get", b"GETT", b"G\x00ET", b"GET\t", b"G(T", b"DELETE"):
        run = send(head(method=method, extra=b"Connection: close\r\n"))
        assert statuses(run.out)[:1] in ([], [400], [403], [405], [501]), str(run)
    assert len(api.raw()) == before


def test_HTTP_20_trailers(send, api):
    data = CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n") + (
        b"5\r\nhello\r\n0\r\nHost: other.test\r\nAuthorization: secret\r\nContent-Length: 99\r\n"
        b"Transfer-Encoding: chunked\r\nX-Sum: 1\r\n\r\n")
    run = send(data)
    if statuses(run.out) == [200]:
        names = {n.lower() for n, _ in api.requests()[-1]["trailers"]}
        assert names <= {"x-sum"}, str(run)
    else:
        assert statuses(run.out) == [400]
    assert b"other.test" not in api.raw() and b"secret" not in api.raw()


def test_HTTP_21_connection_options(send, api):
    run = send(head(extra=b"Connection: close, host, authorization, content-length\r\n"
                    b"Authorization: Bearer mine\r\nProxy-Authorization: Basic eDp5\r\n"
                    b"Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n"))
    assert statuses(run.out)[0] in (200, 400), str(run)
    for request in api.requests():
        names = [n.lower() for n, _ in request["headers"]]
        assert names.count("host") == 1
        assert not [n for n in names if n.startswith("proxy-")] and "keep-alive" not in names
        assert dict(request["headers"])["Host"] == "api.test"


@pytest.mark.parametrize("data", table({
    "0.9": b"GET /pub/x\r\n\r\n", "2.7": head(version=b"HTTP/2.7"),
    "1.2": head(version=b"HTTP/1.2"),
    "lower": head(version=b"http/1.1"), "1.10": head(version=b"HTTP/1.10"),
    "double-space": b"GET  /pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "double-space-2": b"GET /pub/x  HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "trailing-space": b"GET /pub/x HTTP/1.1 \r\nHost: api.test\r\n\r\n",
    "leading-space": b" GET /pub/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "tab": b"GET\t/pub/x\tHTTP/1.1\r\nHost: api.test\r\n\r\n",
    "chunked-on-1.0": head(method=b"POST", version=b"HTTP/1.0",
                           extra=b"Transfer-Encoding: chunked\r\n") + BODY,
    "relative": head(b"pub/x"), "asterisk": head(b"*"),
}))
def test_HTTP_22_versions_and_spaces(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data, wanted=(400, 505, 403))


@pytest.mark.parametrize("data", table({
    "line": head(extra=b"X-A: " + b"a" * (1 << 20) + b"\r\n"),
    "fields": head(extra=b"".join(b"X-%d: a\r\n" % i for i in range(10000))),
    "target": head(b"/pub/" + b"a" * (1 << 20)),
    "method": head(method=b"A" * 70000),
}))
def test_HTTP_23_sizes(send, api, data):
    check_allowed(send, api)
    check_refused(send, api, data, wanted=(431, 414, 400))


def test_HTTP_23_memory_stays_bounded(sandlock, api):
    """200 connections each push 1 MiB of one header line; the gateway's memory stays put."""
    script = (
        "import socket,sys\n"
        "def open(): return socket.create_connection(('api.test',80))\n"
        "s=open();s.send(b'GET /pub/x HTTP/1.1\\r\\nHost: api.test\\r\\n'"
        "b'Connection: close\\r\\n\\r\\n')\n"
        "while s.recv(9999): pass\n"
        "print('ready',flush=True);sys.stdin.readline()\n"
        "for i in range(200):\n"
        " s=open()\n"
        " try:\n"
        "  s.sendall(b'GET /pub/x HTTP/1.1\\r\\nX: '+b'a'*(1<<20))\n"
        "  while s.recv(9999): pass\n"
        " except OSError: pass\n"
        "print('sent',flush=True);sys.stdin.readline()\n")
    running = sandlock.start(*api.options, *RULES, cmd=[sys.executable, "-c", script], stdin=-1)
    assert running.line() == "ready\n"
    gateway = sandbox.Roles(running.pid).gateway
    before = resident(gateway)
    running.process.stdin.write(b"\n")
    running.process.stdin.flush()
    assert running.line() == "sent\n"
    grown = resident(gateway) - before
    running.finish(data=b"\n").ok()
    # the address sanitizer keeps what was freed for a while
    bound = 100 << 10 if b"__asan_init" in paths.GATEWAY.read_bytes() else 8 << 10
    assert grown < bound, f"{grown} KiB more"
    assert api.seen() == ["GET /pub/x"]


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def test_HTTP_24_slow_senders_do_not_stop_others(sandlock, api):
    """500 connections that stall in the head or the body: another client is served meanwhile."""
    script = (
        "import socket,sys,urllib.request\n"
        "a=socket.gethostbyname('api.test');slow=[]\n"
        "for i in range(500):\n"
        " s=socket.create_connection((a,80));slow.append(s)\n"
        " s.send(b'GET /pub/x HTTP/1.1\\r\\nHo' if i%2 else\n"
        "  b'POST /pub/x HTTP/1.1\\r\\nHost: api.test\\r\\nContent-Length: 100\\r\\n\\r\\nx')\n"
        "for i in range(20):\n"
        " assert urllib.request.urlopen('http://api.test/pub/fast',timeout=10).status==200\n"
        "print('served')\n")
    run = sandlock(*api.options, *RULES, cmd=[sys.executable, "-c", script]).ok()
    assert run.out == "served\n"
    assert api.seen().count("GET /pub/fast") == 20


def test_HTTP_24_the_slowest_make_room(sandlock, api):
    """More slow senders than there are places: those who came first go, others are served."""
    script = (
        "import socket,urllib.request\n"
        "a=socket.gethostbyname('api.test');slow=[]\n"
        "for i in range(400):\n"
        " s=socket.create_connection((a,80));slow.append(s)\n"
        " s.send(b'POST /pub/x HTTP/1.1\\r\\nHost: api.test\\r\\nContent-Length: 100\\r\\n\\r\\nx')\n"
        "for i in range(20):\n"
        " assert urllib.request.urlopen('http://api.test/pub/fast',timeout=60).status==200\n"
        "slow[0].settimeout(60)\n"
        "try: first=slow[0].recv(9)\n"
        "except ConnectionResetError: first=b''\n"
        "assert first==b'',first\n"
        "slow[-1].send(b'y'*99);slow[-1].settimeout(60)\n"
        "assert slow[-1].recv(12)==b'HTTP/1.1 200'\n"
        "print('served')\n")
    run = sandlock(*api.options, *RULES, cmd=[sys.executable, "-c", script],
                   wrap=["prlimit", "--nofile=600:600"]).ok()
    assert run.out == "served\n"


def test_HTTP_24_slow_heads_are_ended(sandlock, api):
    """50 connections that send a head at one byte a second: all are closed, none becomes a request.
    (A body may take its time, as a stream does; the test above shows that it costs nobody else.)"""
    start = b"GET /pub/x HTTP/1.1\r\nX: "
    script = (
        "import select,socket,sys\n"
        "slow=set()\n"
        "for i in range(50):\n"
        " s=socket.create_connection(('api.test',80));s.sendall(bytes.fromhex(sys.argv[1]))\n"
        " slow.add(s)\n"
        "while slow:\n"
        " ended,_,_=select.select(list(slow),[],[],1)\n"
        " for s in ended:\n"
        "  try: data=s.recv(9999)\n"
        "  except OSError: data=b''\n"
        "  if not data: slow.discard(s)\n"
        " for s in slow:\n"
        "  try: s.send(b'a')\n"
        "  except OSError: pass\n"
        "print('ended')\n")
    run = sandlock(*api.options, *RULES, cmd=[sys.executable, "-c", script, start.hex()]).ok()
    assert run.out == "ended\n"
    assert api.requests() == []


ACCOMPLICE = {
    "cr-in-field": b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    "lf-in-field": b"HTTP/1.1 200 OK\r\nX-A: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    "nul-in-field": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "fold": b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n"
                          b"\r\n2\r\nok\r\n0\r\n\r\n",
    "chunk-overflow": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"ffffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "not-http": b"SSH-2.0-x\r\n\r\n", "0.9": b"hello", "1xx-flood":
        b"HTTP/1.1 103 Early\r\n\r\n" * 10000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "huge-head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                 b"raw",
}


@pytest.mark.parametrize("answer", table(ACCOMPLICE))
def test_HTTP_29_answers_of_an_accomplice(sandlock, outside, attack, answer):
    server = outside.raw(servers.raw_answer(answer))
    second = head(b"/pub/second", extra=b"Connection: close\r\n")
    run = sandlock(f"--resolve=api.test=127.0.0.1:{server.port}", *RULES,
                   cmd=[attack("raw"), "api.test", 80], data=head() + second)
    assert statuses(run.out) == [502] and '"protocol"' in run.out, str(run)
    assert "closed" in run.err and "Set-Cookie" not in run.out, str(run)
    assert server.accepted() == 1


def test_HTTP_29_second_answer_never_shifts(sandlock, outside, attack):
    """Two responses to one request, and bodies where none may be: the next request on the same
    client connection never gets what was left over."""
    def script(conn):
        request = conn.head()
        if not request:
            return
        method = request.split()[0]
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        if b"/pub/two" in request:
            conn.send(good + evil)
        elif b"/pub/204" in request:
            conn.send(b"HTTP/1.1 204 No Content\r\n\r\n" + evil)
        elif b"/pub/304" in request:
            conn.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n" + evil)
        elif method == b"HEAD":
            conn.send(good + evil)
        else:
            conn.send(good)
        script(conn)

    for first in (head(b"/pub/two"), head(b"/pub/204"), head(b"/pub/304"),
                  head(b"/pub/h", method=b"HEAD")):
        server = outside.raw(script)
        run = sandlock(f"--resolve=api.test=127.0.0.1:{server.port}", *RULES,
                       cmd=[attack("raw"), "api.test", 80],
                       data=first + head(b"/pub/next", extra=b"Connection: close\r\n"))
        assert "evil" not in run.out, str(run)
        assert "open" not in run.err, str(run)


def test_answers_of_every_framing(send, api):
    """The control of HTTP-29: all honest framings come through."""
    rule = "--http-allow=GET api.test/*"
    targets = [b"/chunked/3", b"/trailers", b"/status/204", b"/status/304", b"/early",
               b"/bytes/70000"]
    data = b"".join(head(t) for t in targets) + head(b"/close")
    run = send(data, rule)
    final = [s for s in statuses(run.out) if s != 103]
    assert final == [200, 200, 204, 304, 200, 200, 200], str(run)
    assert "chunk 2" in run.out and run.out.endswith("until the end\n") or "0\r\n\r\n" in run.out
    assert api.seen() == [f"GET {t.decode()}" for t in [*targets, b"/close"]]


def test_denied_answer_is_as_documented(send, api):
    run = send(head(b"/v1/files", b"POST", extra=b"Content-Length: 3\r\nConnection: close\r\n")
               + b"abc", "--http-allow=GET api.test/v1/files")
    top, _, body = run.out.partition("\r\n\r\n")
    assert "Sandlock-Verdict: deny" in top and "application/json" in top, str(run)
    answer = json.loads(body)
    assert answer["error"] == "denied_by_sandlock" and answer["method"] == "POST"
    assert answer["url"] == "http://api.test/v1/files"
    assert answer["allow_with"] == "--http-allow 'POST api.test/v1/files'", answer
    assert set(answer) >= {"error", "method", "url", "reason", "rule", "nearest", "allow_with"}
    assert api.connections() == []


def test_tls_clients_see_the_same(sandlock, api):
    """The raw checks hold inside TLS too."""
    script = (
        "import socket,ssl,sys\n"
        "c=ssl.create_default_context()\n"
        "for d in (b'GET /pub/x HTTP/1.1\\r\\nHost: api.test\\r\\nConnection: close\\r\\n\\r\\n',\n"
        "          b'GET /pub/x HTTP/1.1\\r\\nHost: api.test\\r\\n bad\\r\\n\\r\\n',\n"
        "          b'GET /admin HTTP/1.1\\r\\nHost: api.test\\r\\n'\n"
        "          b'Connection: close\\r\\n\\r\\n'):\n"
        " s=c.wrap_socket(socket.create_connection(('api.test',443)),server_hostname='api.test')\n"
        " s.sendall(d);a=b''\n"
        " while p:=s.recv(9999): a+=p\n"
        " print(a.split(b' ')[1].decode())\n")
    run = sandlock(*api.options, *RULES, cmd=[sys.executable, "-c", script]).ok()
    assert run.out.split() == ["200", "400", "403"], str(run)
    assert api.seen() == ["GET /pub/x"]
