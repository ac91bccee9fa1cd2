"""Fixtures of the integration and security tests."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import build, dns, netns, paths, pki, sandbox, servers  # noqa: E402

DEADLINE = 240  # seconds for the set-up, the call and the tear-down of a test each


class Overdue(Exception):
    """A test that hangs: what it waits for is in the trace."""


def _overdue(number, frame):
    raise Overdue(f"not done within {signal.getitimer(signal.ITIMER_REAL)[1]:.0f} s")


def _in_time(item):
    """Every wait has a deadline of its own; this one is for those that somebody forgot. It fails the
    test, and says where it was. What even then goes on ends with pytest.ini's faulthandler_timeout,
    and its stacks are told."""
    marker = item.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEADLINE
    before = signal.signal(signal.SIGALRM, _overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from _in_time(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    return (yield from _in_time(item))


def pytest_configure(config):
    config.addinivalue_line("markers", "netns: needs a network namespace of our own")
    config.addinivalue_line("markers", "deadline(seconds): takes longer than other tests may")
    config._sandlock_dir = Path(tempfile.mkdtemp(prefix="sandlock-test-", dir="/var/tmp"))
    config._sandlock_dir.chmod(0o755)
    pki.directory()  # made outside, while there may be other users of the tree
    if os.environ.get("SANDLOCK_TEST_NETNS", "1") != "0":
        netns.enter(config._sandlock_dir)


def pytest_unconfigure(config):
    shutil.rmtree(config._sandlock_dir, ignore_errors=True)


def pytest_report_header(config):
    return [f"sandlock: {paths.SANDLOCK}",
            f"private network: {'yes' if netns.ACTIVE else netns.REASON}"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    if item.get_closest_marker("netns") and not netns.ACTIVE:
        pytest.skip(netns.REASON)
    return (yield from _in_time(item))


@pytest.fixture(scope="session", autouse=True)
def program():
    """A suite without the program under test is a failure, not a skip."""
    if not paths.SANDLOCK.exists():
        pytest.exit(f"'{paths.SANDLOCK}' is not built (SANDLOCK_BUILD names another build)", 1)
    return paths.SANDLOCK


@pytest.fixture
def sandlock(tmp_path, request):
    # The default view lets the child write /tmp; the home, as any home, lies elsewhere.
    home = Path(tempfile.mkdtemp(prefix="home-", dir=request.config._sandlock_dir))
    box = sandbox.Sandbox(tmp_path, home)
    yield box
    left = [p for p, (_, state, name) in sandbox.processes().items()
            if name.startswith("sandlock") and state not in "ZX" and _ours(p, tmp_path)]
    assert not left, f"survivors of the test: {left}"


def _ours(pid, tmp_path):
    try:
        return str(tmp_path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.fixture
def outside():
    """Makes servers and closes them: outside.api(...), .raw(...), .witness(...), .dns(...)."""
    made = []

    class Outside:
        @staticmethod
        def api(name="api.test", **kw):
            made.append(servers.ApiServer(pki.leaf(name), **kw))
            return made[-1]

        @staticmethod
        def raw(script, **kw):
            made.append(servers.RawServer(script, **kw))
            return made[-1]

        @staticmethod
        def witness(*args, **kw):
            made.append(servers.Witness(*args, **kw))
            return made[-1]

        @staticmethod
        def dns(table, **kw):
            made.append(dns.DnsServer(table, **kw))
            return made[-1]

    yield Outside
    for thing in reversed(made):
        thing.close()


class Api:
    """One API server under a test name, and the options that let the gateway find and trust it."""

    def __init__(self, server, name="api.test"):
        self.server, self.name = server, name
        self.http, self.https = f"http://{name}", f"https://{name}"
        self.options = (f"--resolve={name}=127.0.0.1:{server.port}",
                        f"--http-upstream-ca={pki.root()}")

    def __getattr__(self, name):
        return getattr(self.server, name)


@pytest.fixture
def api(outside):
    """api.test: http and https on one port, reached through --resolve."""
    return Api(outside.api())


@pytest.fixture
def attack():
    return build.attack


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
