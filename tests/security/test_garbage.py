"""SUP-06: every trapped call with arguments that no sane program would pass: unmapped and kernel
pointers, strings and structures cut off by the end of a page, lengths up to 2^64."""

import re
from pathlib import Path

import pytest
from harness import netns
from harness.sandbox import Roles

pytestmark = pytest.mark.netns

GOOD, BAD, PORT = netns.PUBLIC[14], netns.PUBLIC[15], 7300
ROUNDS = 30000
ENGINE_MAX_KIB = 512 * 1024  # sanitizers take much; one length that is believed takes more
POLICIES = {"files": ("-r", "/"), "net": (f"--net-allow={GOOD}:{PORT}",),
            "proc": ("-r", "/", "--isolate-pids", "--hostname=box", "--num-cpus=1",
                     "--max-memory=1G"),
            "repeat": ("-r", "/", "--time-start=1000000000", "--random-seed=1",
                       "--deterministic-dirs"),
            "ports": ("--port-remap", f"--net-allow={GOOD}:{PORT}"),
            "http": ("--http-allow=GET api.test/*", f"--net-allow={GOOD}:{PORT}")}


@pytest.mark.parametrize("policy", POLICIES)
def test_SUP_06_garbage_arguments(sandlock, outside, attack, policy):
    """The caller gets errno values that calls can give, the engine lives, stays small, and answers
    the sane call that follows; nothing reached an address that is not allowed."""
    allowed, loopback = outside.witness(GOOD, PORT), outside.witness("127.0.0.1", 80)
    garbage = attack("garbage")
    bare = sandlock.bare([garbage, GOOD, PORT, ROUNDS]).ok()
    assert {"EFAULT", "EINVAL", "EBADF"} <= {line.split()[0] for line in bare.out.splitlines()}
    before = len(loopback.received())
    assert before > 0
    script = f"{garbage} {GOOD} {PORT} {ROUNDS}; echo over; read x"
    running = sandlock.start(*POLICIES[policy], audit=False, stdin=-1, cmd=["bash", "-c", script])
    lines = []
    while not lines or lines[-1] != "over\n":
        lines.append(running.line())
        assert lines[-1], str(running.finish())
    engine = Path(f"/proc/{Roles(running.pid).engine}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+)", engine)[1]) < ENGINE_MAX_KIB
    result = running.finish(data=b"\n")
    got = dict(line.split() for line in lines[:-1])
    assert got.pop("sane") == "ok" and "odd" not in got, (lines, str(result))
    assert sum(int(n) for n in got.values()) == ROUNDS
    assert {"EFAULT", "EINVAL", "EBADF"} <= set(got) and "ENOSYS" not in got, lines
    assert "Sanitizer" not in result.err and "runtime error" not in result.err, str(result)
    assert len(allowed.received()) == 2
    if policy in ("net", "http"):
        assert len(loopback.received()) == before
