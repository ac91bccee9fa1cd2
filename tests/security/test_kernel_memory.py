"""RES-12: memory that the kernel holds for a tree, where no cgroup counts it: buffers of sockets and
pipes, pages that are lent to them, threads (docs/internals/limits.md).

What an attack took is its own account of it, the bytes that went in and were not taken out: exact,
whatever else the machine does."""

import sys

import pytest
from harness import places

LIMIT = 64  # MB
QUARTER = LIMIT // 4
BARE = 3 * QUARTER  # which every user may have of each

WAYS = ("streams", "packets", "datagrams", "closed_senders", "under_way", "tcp", "tcp_closed",
        "tcp_waiting", "unix_waiting", "unix_accepted", "udp", "pipes", "fifos")
LENT = ("lent", "sendfiles", "splices")


class Taken:
    def __init__(self, sandlock, attack, way):
        self.box, self.program, self.way = sandlock, attack("kmem"), way
        self.counter = sandlock.work / "counter"

    def _words(self, megabytes):
        self.counter.unlink(missing_ok=True)
        return [self.program, self.way, self.counter, str(megabytes), self.box.work]

    def _had(self):
        return int.from_bytes(self.counter.read_bytes()[:8], sys.byteorder) / (1 << 20)

    def bare(self, megabytes):
        run = self.box.bare(self._words(megabytes))
        assert run.out == "taken\n" and self._had() >= megabytes, str(run)

    def inside(self, megabytes, *options):
        run = self.box(*options, cmd=self._words(megabytes), audit=False)
        return run, self._had()


@pytest.fixture(params=["here", "contained"])
def box(request, sandlock):
    """The sandbox here, and as in a container."""
    if request.param == "contained":
        sandlock.place = places.contained()
    return sandlock


def is_held(run, had):
    """Refused within a quarter of the limit; or ended, by a cgroup that counts all of it."""
    return had <= QUARTER and (run.rc == 0 and run.out == "refused\n") or (
        run.rc == 137 and run.status["reason"] == "memory" and had <= LIMIT + QUARTER)


@pytest.mark.netns
@pytest.mark.parametrize("way", WAYS)
def test_RES_12_buffers(box, attack, way):
    taken = Taken(box, attack, way)
    taken.bare(BARE)
    run, had = taken.inside(4 * LIMIT, f"--max-memory={LIMIT}M")
    assert is_held(run, had), (had, str(run))
    assert had > 0.5, "some must be had"


@pytest.mark.netns
@pytest.mark.parametrize("way", ["streams", "tcp", "tcp_closed", "unix_accepted"])
def test_RES_12_buffers_under_network_rules(box, attack, way):
    """Other features make and judge these sockets then."""
    run, had = Taken(box, attack, way).inside(
        4 * LIMIT, f"--max-memory={LIMIT}M", "--net-allow=127.0.0.1", "--net-bind=0")
    assert is_held(run, had) and had > 0.5, (had, str(run))


@pytest.mark.parametrize("way", LENT)
def test_RES_12_pages_are_not_lent(box, attack, way):
    """One byte would hold a page, of two megabytes sometimes, and nobody is charged with it."""
    taken = Taken(box, attack, way)
    taken.bare(BARE)
    run, had = taken.inside(4 * LIMIT, f"--max-memory={LIMIT}M")
    assert is_held(run, had) and (had == 0 or run.rc == 137), (had, str(run))


def test_RES_12_threads(box, attack):
    """Each has a stack in the kernel: counted, with what else the tree has."""
    Taken(box, attack, "threads").bare(24)
    run, had = Taken(box, attack, "threads_stay").inside(24, "--max-memory=32M")
    assert run.rc == 137 and run.status["reason"] == "memory" and had > 4, str(run)


@pytest.mark.parametrize("way", ["streams", "pipes"])
def test_RES_12_nothing_is_bounded_without_a_limit(sandlock, attack, way):
    run, had = Taken(sandlock, attack, way).inside(BARE)
    assert run.ok().out == "taken\n" and had >= BARE, str(run)
