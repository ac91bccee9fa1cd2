"""SUP, PROC: what a tree may do to keep its supervisor from ending it, counting it or telling."""

import shutil


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def test_SUP_05_the_last_close_never_waits(sandlock, attack):
    """SO_LINGER makes the last close wait for a peer that never reads: the supervisor's, once the
    child has closed its own. The time limit still ends the run."""
    linger = attack("linger")
    run = sandlock("--net-allow=127.0.0.1:9", "--timeout=2", cmd=[linger, "stay"])
    assert run.rc == 124 and run.status["reason"] == "timeout", str(run)
    assert steps(run) == {"connect": "ok", "linger": "ok", "send": "EINTR", "closed": "ok"}


def test_PROC_06_a_deep_tree_is_walked(sandlock, attack):
    """The supervisor's stack does not depend on the depth of the tree."""
    deep = attack("deep")
    run = sandlock("--max-processes=200", cmd=[deep, 120]).ok()
    assert steps(run) == {"fork": "ok", "kill": "ok"}, str(run)


def test_RES_01_a_deep_tree_is_counted(sandlock, attack):
    deep = attack("deep")
    run = sandlock("--max-processes=505", cmd=[deep, 600], audit=False).ok()
    assert steps(run) == {"fork": "EAGAIN", "kill": "ok"}, str(run)


def test_SUP_09_a_program_name_costs_no_line(sandlock, attack):
    """The audit line of a denial comes whatever bytes the program's own name has."""
    name = sandlock.work / b"net\xff".decode(errors="surrogateescape")
    shutil.copy(attack("net"), name)
    run = sandlock("--net-allow=127.0.0.1:9",
                   cmd=["/bin/sh", "-c", "exec ./net* connect 127.0.0.1 7"])
    assert [d["server.port"] for d in run.denies()] == [7], str(run)
    assert run.denies()[0]["process.executable.path"].endswith("/net?"), str(run)
