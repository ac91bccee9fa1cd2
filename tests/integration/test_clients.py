"""Unmodified clients: an allowed request, a denied method, a denied path, a denied host, over http
and https, with no proxy variable and no CA option."""

import json
import re
import shlex
import shutil
import sys

import pytest

from harness import build, paths

CLIENTS = paths.TESTS / "clients"
PYTHON = sys.executable


def curl(method, url):
    return ["curl", "-sS", "-w", "\nstatus %{http_code}\n", "-X", method, url]


def wget(method, url):
    return ["wget", "-nv", "-S", "-O", "-", "--content-on-error", f"--method={method}", url]


def python(library):
    return lambda method, url: [PYTHON, CLIENTS / "py_client.py", library, method, url]


def node(library):
    return lambda method, url: ["node", CLIENTS / "node_client.mjs", library, method, url]


def go(cgo):
    return lambda method, url: [build.go_program("clients/go_client.go", cgo), method, url]


def rust(method, url):
    return [build.rust_program(), method, url]


def musl(method, url):
    return [build.c_program("clients/http_client.c", cc="musl-gcc"), method, url]


BOTH = ("http", "https")
TABLE = {
    "curl": (curl, BOTH),
    "python-urllib": (python("urllib"), BOTH),
    "node-fetch": (node("fetch"), BOTH),
    "node-https": (node("https"), BOTH),
    "go": (go(False), BOTH),
    "go-cgo": (go(True), BOTH),
    "wget": (wget, BOTH),
    "python-requests": (python("requests"), BOTH),
    "python-httpx": (python("httpx"), BOTH),
    "python-httpx-async": (python("httpx_async"), BOTH),
    "python-aiohttp": (python("aiohttp"), BOTH),
    "rust-native-certs": (rust, BOTH),
    "musl": (musl, ("http",)),
}
CASES = [pytest.param(words, scheme, id=f"{name}-{scheme}")
         for name, (words, schemes) in TABLE.items() for scheme in schemes]

RULES = ("--http-allow=GET api.test/allowed/*", "--http-allow=POST api.test/upload")


def outcomes(text):
    """What each "== N" section of the output says: a status, or "error"; and the JSON of a 403."""
    found, told = [], []
    for section in re.split(r"^== \d+$", text, flags=re.M)[1:]:
        status = re.search(r"(?:^|\s)(?:status|HTTP/1\.1) (\d\d\d)", section)
        found.append(int(status[1]) if status and status[1] != "000" else "error")
        body = re.search(r'^\{"error":.*\}', section, flags=re.M)
        if body:
            told.append(json.loads(body[0]))
    return found, told


def script(words, requests):
    lines = []
    for i, (method, url) in enumerate(requests):
        lines += [f"echo '== {i}'", shlex.join(map(str, words(method, url))) + " 2>&1"]
    return ["sh", "-c", "\n".join([*lines, "true"])]


@pytest.mark.parametrize("words,scheme", CASES)
def test_client(sandlock, api, words, scheme):
    try:
        words("GET", "http://x/")
    except build.Missing as missing:
        pytest.skip(str(missing))
    base = f"{scheme}://api.test"
    run = sandlock(*api.options, *RULES, cmd=script(words, [
        ("GET", f"{base}/allowed/one"),
        ("DELETE", f"{base}/allowed/one"),
        ("GET", f"{base}/secret"),
        ("GET", f"{scheme}://denied.test/allowed/one"),
    ])).ok()
    found, told = outcomes(run.out)
    assert found == [200, 403, 403, "error"], str(run)
    assert [(t["error"], t["method"], t["url"]) for t in told] \
        == [("denied_by_sandlock", "DELETE", f"{base}/allowed/one"),
            ("denied_by_sandlock", "GET", f"{base}/secret")], str(run)
    assert api.seen() == ["GET /allowed/one"]
    assert b"DELETE" not in api.raw() and b"secret" not in api.raw(), "not a byte of them"
    denied = [(a.get("http.request.method"), a.get("url.full")) for a in run.denies()]
    assert ("DELETE", f"{base}/allowed/one") in denied, str(run)
    assert ("GET", f"{base}/secret") in denied, str(run)
    allowed = [(a.get("http.request.method"), a.get("url.full")) for a in run.allows()]
    assert ("GET", f"{base}/allowed/one") in allowed, str(run)
    assert "--http-allow" in run.err, "the summary names the flag"


def test_browser(sandlock, api):
    """Its processes ask each other by messages who they are (SCM_CREDENTIALS), and end where the
    answer is wrong. It has authorities of its own, so it is asked for http."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    words = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
             f"--user-data-dir={sandlock.work / 'profile'}"]
    for page, shown in (("allowed/one", "one"), ("secret", "denied_by_sandlock")):
        run = sandlock(*api.options, *RULES,
                       cmd=["env", f"HOME={sandlock.work}", *words, f"http://api.test/{page}"]).ok()
        assert run.out.startswith("<html>") and shown in run.out, str(run)
    assert api.seen() == ["GET /allowed/one"]
