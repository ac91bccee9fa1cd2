"""`./dev demo` shows what it promises, without a terminal too."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import paths


@pytest.fixture(params=["the tree", "a copy in /tmp"])
def tree(request):
    """Where the demo is run from. The default view lets the command write /tmp."""
    if request.param == "the tree":
        yield paths.ROOT
        return
    copy = Path(tempfile.mkdtemp(prefix="sandlock-demo-", dir="/tmp"))
    for part in ("demo", "certs"):
        shutil.copytree(paths.ROOT / part, copy / part)
    (copy / "build").mkdir()
    yield copy
    shutil.rmtree(copy)


def test_demo(tree):
    done = subprocess.run([tree / "demo" / "run", paths.BUILD], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    agent, server, audit, end = re.split(r"^== .*$", done.stdout, flags=re.M)[1:]
    assert "\033" not in done.stdout
    assert "200, streamed: Hello from the test server" in agent
    assert agent.count("403 denied_by_sandlock") == 3
    assert "it would need: --http-allow 'POST api.example.com/v1/files'" in agent
    assert len(re.findall(r"-> failed: ", agent)) == 3  # the key, the name, the address
    assert server.split() == ["GET", "/v1/models", "POST", "/v1/chat/completions"]
    lines = [line.split(maxsplit=1) for line in audit.strip().splitlines()]
    assert [verdict for verdict, _ in lines] == ["allow"] * 2 + ["deny"] * 5
    assert [json.loads(text)["sandlock.verdict"] for _, text in lines] == [v for v, _ in lines]
    assert "--net-allow '192.0.2.1:443'" in end and "exit code 0" in end
