"""Programs that watch files, choose their turn, or debug others go on working: inotify under the
default view, nice and its kin, strace and leak checkers under --allow-debug."""

import shutil
import subprocess

import pytest
from harness import paths
from harness.waiting import TIMEOUT

FOLLOW = ("import subprocess\n"
          "open('log', 'w').write('one\\n')\n"
          "t = subprocess.Popen(['tail', '-f', 'log'], stdout=subprocess.PIPE, stderr=2, text=True)\n"
          "print(t.stdout.readline(), end='')\n"
          "open('log', 'a').write('two\\n')\n"
          "print(t.stdout.readline(), end=''); t.kill()\n")

NODE = ("const fs = require('fs');\n"
        "fs.mkdirSync('d');\n"
        "const w = fs.watch('d', (event, name) => { console.log(event, name); w.close(); });\n"
        "fs.writeFileSync('d/new', '');\n")


def test_tail_follows_by_inotify(sandlock):
    run = sandlock(cmd=["python3", "-c", FOLLOW]).ok()
    assert run.out == "one\ntwo\n" and "polling" not in run.err, str(run)


def test_node_watches_a_directory(sandlock):
    if shutil.which("node") is None:
        pytest.skip("needs node")
    assert sandlock(cmd=["node", "-e", NODE]).ok().out == "rename new\n"


SELF = [["taskset", "-p", "1", "{}"], ["renice", "-n", "19", "{}"], ["chrt", "-b", "-p", "0", "{}"],
        ["ionice", "-c", "3", "-p", "{}"], ["prlimit", "--pid", "{}", "--core=0"]]


@pytest.mark.parametrize("words", [["taskset", "1", "true"], ["nice", "-n", "1", "true"],
                                   ["chrt", "-b", "0", "true"], ["ionice", "-c", "3", "true"],
                                   ["prlimit", "--core=0", "true"]])
def test_programs_that_choose_their_own_turn(sandlock, words):
    sandlock(cmd=words).ok()
    sandlock("-r", "/", "--no-supervisor", cmd=words, audit=False, status=False).ok()


@pytest.mark.parametrize("words", SELF)
def test_the_turn_of_a_job_of_ones_own(sandlock, words):
    line = " ".join(words).format("$!")
    sandlock(cmd=["sh", "-c", f"sleep 1000 & {line} || exit; kill $!"]).ok()


def test_a_shell_with_job_control(sandlock):
    """Each pipeline is a group of its own, which the shell makes and goes back from."""
    script = "set -m; true | true & wait; sleep 1000 & kill -- -$!; wait; echo done"
    assert sandlock(cmd=["bash", "-c", script]).ok().out == "done\n"


def test_strace_has_a_switch(sandlock):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    words = ["strace", "-f", "-o", "trace", "sh", "-c", "true; exit 3"]
    run = sandlock(cmd=words)
    assert run.rc != 3 and "sandlock:   ptrace" in run.err and "--allow-debug" in run.err, str(run)
    for options in (("--allow-debug",), ("-p", "build"), ("-p", "ci")):
        run = sandlock(*options, cmd=words)
        assert run.rc == 3 and "ptrace" not in run.err, str(run)
        assert "exited with 3" in (sandlock.work / "trace").read_text()
    quiet = sandlock("--quiet", cmd=words)
    assert "sandlock:" not in quiet.err, str(quiet)


LEAK = "#include <stdlib.h>\nint main(void) { volatile char *p = malloc(9); p = 0; return p != 0; }\n"


def test_a_leak_checker_has_a_switch(sandlock):
    source, program = sandlock.work / "leak.c", sandlock.work / "leak"
    source.write_text(LEAK)
    done = subprocess.run(["cc", "-fsanitize=address", source, "-o", program], capture_output=True,
                          text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        pytest.skip("needs a compiler with a leak checker")
    leaks = {"env": {"ASAN_OPTIONS": "detect_leaks=1"}}
    bare = sandlock.bare([program], **leaks)
    assert "detected memory leaks" in bare.err, str(bare)
    assert "detected memory leaks" in sandlock("--allow-debug", cmd=[program], **leaks).err
    run = sandlock(cmd=[program], **leaks)
    assert "detected memory leaks" not in run.err and "--allow-debug" in run.err, str(run)


def test_print_policy_has_the_field(sandlock):
    words = [paths.SANDLOCK, "run", "--print-policy"]
    assert "debug" not in sandlock.bare([*words, "--", "true"]).ok().out
    assert "debug = true" in sandlock.bare([*words, "--allow-debug", "--", "true"]).ok().out
    assert "debug" not in sandlock.bare([*words, "-p", "ci", "--allow-debug=false", "--", "true"]).ok().out
