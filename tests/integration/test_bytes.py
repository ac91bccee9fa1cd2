"""Bytes arrive as they were sent: real clients, and nginx as the server."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from harness import servers
from harness.waiting import wait_until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
RULES = ("--http-allow=GET,PUT s3.test/bucket/*", "--http-allow=GET open.test")
SECRETS = ("--http-deny=* s3.test/bucket/secret/*",)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@pytest.fixture
def nginx(tmp_path):
    """Answers with the target that it got; port and log."""
    if not os.path.exists(NGINX):
        pytest.skip("nginx is not installed")
    port = free_port()
    (tmp_path / "conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; worker_processes 1;
pid {tmp_path}/pid; error_log {tmp_path}/errors;
events {{ worker_connections 64; }}
http {{
  log_format target "$request_uri"; access_log {tmp_path}/log target;
  client_body_temp_path {tmp_path}/a; proxy_temp_path {tmp_path}/b; fastcgi_temp_path {tmp_path}/c;
  uwsgi_temp_path {tmp_path}/d; scgi_temp_path {tmp_path}/e;
  server {{
    listen 127.0.0.1:{port}; merge_slashes off;
    location / {{ return 200 "$request_uri $uri\\n"; }}
  }}
}}
""")
    server = subprocess.Popen([NGINX, "-p", tmp_path, "-c", tmp_path / "conf"],
                              stderr=subprocess.DEVNULL)

    def up():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    wait_until("nginx to listen", up, server)
    yield [f"--resolve={name}=127.0.0.1:{port}" for name in ("s3.test", "open.test")]
    server.terminate()
    server.wait(20)


KEYS = ["/bucket/a//b", "/bucket//a/b/", "/bucket/https://x.test/y", "/bucket/100%25",
        "/bucket/a%2Fb", "/bucket/a%2fb", "/bucket/%7Eme", "/bucket/~me", "/bucket/a%5Cb",
        "/bucket/a;v=1", "/bucket/caf%c3%A9", "/bucket/a+b%2B%20c?sig=%2F%2f//&x=%"]


def test_curl(sandlock, nginx):
    urls = [f"http://s3.test{key}" for key in KEYS]
    run = sandlock(*nginx, *RULES, *SECRETS, cmd=["curl", "-sS", "--path-as-is", *urls]).ok()
    assert [line.split(" ")[0] for line in run.out.splitlines()] == KEYS, str(run)


def test_python(sandlock, nginx):
    text = ("import http.client,sys\n"
            "for key in sys.argv[1:]:\n"
            "  c=http.client.HTTPConnection('s3.test');c.request('PUT',key,body=b'x')\n"
            "  print(c.getresponse().read().decode().split(' ')[0])\n")
    run = sandlock(*nginx, *RULES, *SECRETS, cmd=[sys.executable, "-c", text, *KEYS]).ok()
    assert run.out.splitlines() == KEYS, str(run)


def test_a_rule_without_a_path(sandlock, nginx):
    """What nginx itself says of a lone percent sign is nginx's answer."""
    targets = ["//a//b", "/a%252e%252e", "/a%2F", "/a;x/b", "/x%5c..%5cy"]
    urls = [f"http://open.test{target}" for target in targets]
    run = sandlock(*nginx, *RULES, cmd=["curl", "-sS", "--path-as-is", *urls]).ok()
    assert [line.split(" ")[0] for line in run.out.splitlines()] == targets, str(run)
    run = sandlock(*nginx, *RULES, cmd=["curl", "-sS", "http://open.test/a%zz"]).ok()
    assert "nginx" in run.out and "sandlock" not in run.out, str(run)


def test_what_nginx_would_decode_is_denied(sandlock, nginx):
    """The attack, without the rule: nginx reads each as below /bucket/secret/."""
    targets = ["/bucket%2Fsecret/x", "/bucket/%73ecret/x", "/bucket/secret%2fx",
               "/bucket/a/../secret/x"]
    urls = [f"http://s3.test{target}" for target in targets]
    free = sandlock(*nginx, "--http-allow=GET s3.test",
                    cmd=["curl", "-sS", "--path-as-is", *urls]).ok()
    assert [line.split(" ")[1] for line in free.out.splitlines()] == ["/bucket/secret/x"] * 4
    run = sandlock(*nginx, "--http-allow=GET s3.test", *SECRETS,
                   cmd=["curl", "-sS", "--path-as-is", *urls]).ok()
    assert run.out.count("denied_by_sandlock") == 4, str(run)


# ---- values ----

OCTETS = bytes(range(0x80, 0x100))


def test_octets_of_values_pass_both_ways(sandlock, outside):
    """RFC 9110 section 5.5: obs-text. A file name in Latin-1, raw UTF-8 in a metadata field."""
    server = outside.raw(servers.raw_answer(
        b"HTTP/1.1 200 OK\r\nX-Name: " + OCTETS + b"\r\nContent-Length: 2\r\n\r\nok"))
    text = ("import socket\n"
            "s=socket.create_connection(('s3.test',80))\n"
            "s.sendall(b'GET /bucket/x HTTP/1.1\\r\\nHost: s3.test\\r\\nX-Meta: '\n"
            "  +bytes(range(0x80,0x100))+b'\\r\\nConnection: close\\r\\n\\r\\n')\n"
            "a=b''\n"
            "while p:=s.recv(9999): a+=p\n"
            "assert b'\\r\\nX-Name: '+bytes(range(0x80,0x100))+b'\\r\\n' in a,a\n")
    sandlock(f"--resolve=s3.test=127.0.0.1:{server.port}", *RULES,
             cmd=[sys.executable, "-c", text]).ok()
    server.log.wait(lambda events: events[-1]["event"] == "close", "end of the connection")
    assert b"\r\nX-Meta: " + OCTETS + b"\r\n" in server.raw()


HONEST = {
    "length-again": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length-list": b"Content-Length: 5, 5\r\n\r\nhello",
    "chunk-space": b"Transfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n0 \r\n\r\n",
    "chunk-tab": b"Transfer-Encoding: chunked\r\n\r\n5\t;a=b\r\nhello\r\n0\r\nX: \xe9\r\n\r\n",
    "fields": b"".join(b"X-%d: y\r\n" % i for i in range(1000)) + b"Content-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", HONEST)
def test_answers_of_honest_servers(sandlock, outside, answer):
    server = outside.raw(servers.raw_answer(b"HTTP/1.1 200 OK\r\n" + HONEST[answer]))
    run = sandlock(f"--resolve=s3.test=127.0.0.1:{server.port}", *RULES,
                   cmd=["curl", "-sS", "-i", "--max-time", "60", "http://s3.test/bucket/x"]).ok()
    head, _, body = run.out.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200") and body.startswith("hello"), str(run)
    assert head.lower().count("content-length") == (0 if "chunk" in answer else 1), str(run)


REFUSED = {
    "lengths": (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "9112 section 6.3"),
    "length-list": (b"Content-Length: 5, 6\r\n\r\nhello", "9112 section 6.3"),
    "both": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "9112 section 6.1"),
    "coding": (b"Transfer-Encoding: gzip, chunked\r\n\r\n", "9112 section 7"),
    "control": (b"X: a\0b\r\n\r\n", "9110 section 5.5"),
    "line": (b"X: a\nY: b\r\n\r\n", "9112 section 2.2"),
    "name": (b"X\xe9: a\r\n\r\n", "9112 section 5.1"),
    "fields": (b"X: y\r\n" * 1025 + b"\r\n", "more than 1024 fields"),
    "chunk": (b"Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", "9112 section 7.1"),
}


@pytest.mark.parametrize("answer", REFUSED)
def test_a_502_names_the_rule(sandlock, outside, answer):
    data, rule = REFUSED[answer]
    server = outside.raw(servers.raw_answer(b"HTTP/1.1 200 OK\r\n" + data))
    run = sandlock(f"--resolve=s3.test=127.0.0.1:{server.port}", *RULES,
                   cmd=["curl", "-sS", "-i", "http://s3.test/bucket/x"])
    assert "HTTP/1.1 502" in run.out and '"protocol"' in run.out and rule in run.out, str(run)
