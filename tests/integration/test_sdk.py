"""The SDKs that agents are made of: unmodified, with a base URL and nothing else. A whole answer, a
streamed one, a denied method, a denied path, a denied host."""

import importlib.util
import json
import sys

import pytest

from harness import paths

CLIENT = paths.TESTS / "clients" / "sdk_client.py"
TEXT = "Hello from the test server"
GRANTS = {"openai": "--http-allow=POST api.test/v1/chat/completions",
          "anthropic": "--http-allow=POST api.test/v1/messages"}
DELETES = {"openai": "/v1/models/test-1", "anthropic": "/v1/messages"}


def steps(run):
    return {line["step"]: line for line in map(json.loads, run.ok().out.splitlines())}


def words(library, base):
    name = library.partition("-")[0]
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"the Python package {name} is not installed")
    return [sys.executable, CLIENT, library, base]


def denied(step, method, url):
    """The client got the gateway's 403, and its JSON says what was asked."""
    assert step["status"] == 403, step
    told = json.loads(step["body"])
    assert told["error"] == "denied_by_sandlock"
    assert (told["method"], told["url"]) == (method, url)
    assert told["allow_with"].startswith("--http-allow ")
    return True


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("library", ["openai", "openai-async", "anthropic", "anthropic-async"])
def test_model_api(sandlock, api, library, scheme):
    name, base = library.partition("-")[0], f"{scheme}://api.test"
    run = sandlock(*api.options, GRANTS[name], cmd=words(library, base))
    found = steps(run)
    assert found["whole"]["answer"] == TEXT, str(run)
    assert "".join(found["stream"]["answer"]) == TEXT, str(run)
    assert len(found["stream"]["answer"]) > 1, "the answer came in pieces"
    assert denied(found["method"], "DELETE", base + DELETES[name])
    assert denied(found["path"], "GET", f"{base}/v1/models/secret")
    assert found["host"]["error"] == "APIConnectionError", str(run)
    target = GRANTS[name].rpartition("api.test")[2]
    assert api.seen() == [f"POST {target}"] * 2
    assert b"secret" not in api.raw() and b"DELETE" not in api.raw()
    assert len(run.allows()) == 2, str(run)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("library", ["websockets", "websockets-sync"])
def test_websockets(sandlock, api, library, scheme):
    base = f"{scheme}://api.test"
    run = sandlock(*api.options, "--http-allow=GET api.test/ws", cmd=words(library, base))
    found = steps(run)
    assert found["echo"]["answer"] == [True, True, True], str(run)
    assert denied(found["path"], "GET", f"http{scheme[2:]}://api.test/secret/ws")
    assert found["host"]["error"] == "gaierror", str(run)
    assert api.seen() == ["GET /ws"]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_websockets_need_get(sandlock, api, scheme):
    run = sandlock(*api.options, "--http-allow=POST api.test/ws",
                   cmd=words("websockets", f"{scheme}://api.test"))
    assert denied(steps(run)["echo"], "GET", f"http{scheme[2:]}://api.test/ws")
    assert api.seen() == [] and b"GET" not in api.raw(), "no byte of it went out"
