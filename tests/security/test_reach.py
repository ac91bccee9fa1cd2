"""PROC-05 and what is like it: reading, stopping, changing and moving our own processes and others
of the same user. Signals, limits and scheduling are in test_proc.py."""

import subprocess

import pytest
from harness.sandbox import Roles, roles_with_gateway
from harness.summary import denials

HTTP = "--http-allow=GET api.test/*"
DEBUG = "--allow-debug"
DEBUGGERS = {"attach", "seize", "readv", "writev"}  # what that is for
WITHIN = {"attach", "seize", "readv", "writev", "getfd", "kcmp", "robust", "environ", "maps"}
HARMLESS = {"mrelease"}  # judges nobody, and does nothing to a process that is not dying


@pytest.fixture
def bystander():
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def steps(text):
    return dict(line.split() for line in text.splitlines() if line != "ready ok")


@pytest.mark.parametrize("options", [(DEBUG,), (DEBUG, "--isolate-signals", "--isolate-ipc"),
                                     ("--deny-syscalls=",), (DEBUG, "-w", "/proc"), (DEBUG, HTTP)])
def test_PROC_05_our_processes_and_the_host(sandlock, attack, bystander, options):
    """Nothing of guardian, engine, gateway and other processes, whatever a policy grants; debuggers
    work within the tree where they have their switch."""
    program = attack("reach")
    bare = steps(sandlock.bare([program], data=f"host {bystander.pid}\n".encode()).ok().out)
    if any(bare[f"host.{call}"] != "ok" for call in WITHIN - {"getfd"}):
        assert bare["own.readv"] == "ok", bare  # Yama: strangers are out of reach already
    running = sandlock.start("-r", "/", *options, cmd=[program], stdin=-1)
    assert running.line() == "ready ok\n"
    roles = roles_with_gateway(running) if HTTP in options else Roles(running.pid)
    ours = {"guardian": roles.guardian, "engine": roles.engine, "host": bystander.pid}
    if roles.gateway is not None:
        ours["gateway"] = roles.gateway
    text = "".join(f"{who} {pid}\n" for who, pid in ours.items())
    answers = steps(running.finish(data=text.encode()).ok().out)
    refused = {"EPERM", "EACCES", "ESRCH", "ENOENT"}
    open_calls = {name: answer for name, answer in answers.items()
                  if not name.startswith("own.") and answer not in refused
                  and name.split(".")[1] not in HARMLESS
                  and not (name.endswith(".oom") and "/proc" in options)  # what was granted
                  and (answer == "ok" or bare[f"host.{name.split('.')[1]}"] == "ok")}
    assert open_calls == {}, answers
    assert {call: answers[f"own.{call}"] for call in WITHIN} == dict.fromkeys(WITHIN, "ok"), answers
    assert bystander.poll() is None


@pytest.mark.parametrize("options", [(), ("-w", "/"), (HTTP,), ("--no-supervisor",)])
def test_PROC_05_debuggers_without_their_switch(sandlock, attack, bystander, options):
    """Not even within the tree; the summary names the switch."""
    words, alone = [attack("reach")], "--no-supervisor" in options
    run = sandlock("-r", "/", *options, cmd=words, data=f"host {bystander.pid}\n".encode(),
                   audit=not alone, status=not alone).ok()
    answers = steps(run.out)
    for call in DEBUGGERS:
        assert answers[f"own.{call}"] == answers[f"host.{call}"] == "EPERM", (call, answers)
    for call in WITHIN - DEBUGGERS:
        assert answers[f"own.{call}"] == "ok", (call, answers)
    told = sorted((d.what, d.count, d.flag) for d in denials(run))
    assert alone or told == [("process_vm_readv", 2, "--allow-debug"),
                             ("process_vm_writev", 2, "--allow-debug"),
                             ("ptrace", 4, "--allow-debug")], str(run)
    assert alone or run.status["denied"] == 8, str(run)
