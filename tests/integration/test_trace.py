"""SANDLOCK_TRACE: what engine and gateway tell, where they tell it, and what they never tell."""

import os
import re
import stat

import pytest

LINE = re.compile(r"^\d+\.\d{6} (guardian|engine|gateway)\[\d+\] (call|flow|tls|http): .+$")
SECRETS = ("s3cret-field", "s3cret-query", "s3cret-body", "s3cret-argument")
REQUEST = ["curl", "-s", "-o", "/dev/null", "-H", "X-Token: s3cret-field", "-d", "s3cret-body",
           "https://api.test/public/a?key=s3cret-query"]


def trace(topics, file=None):
    """The environment of a run that tells these topics."""
    env = {"SANDLOCK_TRACE": topics}
    return env if file is None else env | {"SANDLOCK_TRACE_FILE": str(file)}


def lines(text):
    found = [LINE.match(line) for line in text.splitlines()]
    assert all(found), text
    return {(m[1], m[2]) for m in found}


def test_each_topic_by_itself_and_all(sandlock, api):
    """Every line is whole and of a topic that was asked for, from the program whose it is."""
    rule = "--http-allow=* api.test/public/*"
    who = {"call": {"engine"}, "flow": {"engine", "gateway"}, "tls": {"gateway"}, "http": {"gateway"}}
    for topics in ("call", "flow", "tls", "http", "http,tls", "all"):
        log = sandlock.tmp / topics
        run = sandlock(*api.options, rule, env=trace(topics, log), cmd=["sh", "-c", f"{' '.join(map(repr, REQUEST))} #s3cret-argument"])
        assert run.rc == 0, str(run)
        wanted = who if topics == "all" else topics.split(",")
        expected = {(program, topic) for topic in wanted for program in who[topic]}
        assert lines(log.read_text()) == expected, topics
        assert not any(secret in log.read_text() for secret in SECRETS), topics
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert api.server.seen() == ["POST /public/a?key=s3cret-query"] * 6


def test_states_and_verdicts_are_told(sandlock, api):
    log = sandlock.tmp / "log"
    sandlock(*api.options, "--http-allow=GET api.test/public/*", env=trace("all", log),
             cmd=["curl", "-s", "https://api.test/public/a", "https://api.test/private"]).ok()
    text = log.read_text()
    for told in ("'api.test' port 443: to the gateway (GET api.test/public/*)", "sniff -> tls",
                 "GET 'api.test/public/a': allowed, by 'GET api.test/public/*'",
                 "GET 'api.test/private': denied"):
        assert told in text, (told, text)


def test_what_the_command_says_cannot_look_like_a_line(sandlock):
    """A name with a newline in it, and one longer than a line: one event stays one line (SUP-09)."""
    log = sandlock.tmp / "log"
    ask = ("import socket\n"
           "for n in ('a\\n1.000000 engine[1] flow: x.test', 'b' * 60 + '.test'):\n"
           " try: socket.getaddrinfo(n, 80)\n"
           " except (OSError, UnicodeError): pass\n")
    sandlock("--net-allow=other.test:80", env=trace("flow", log), cmd=["python3", "-c", ask])
    assert lines(log.read_text()) <= {("engine", "flow"), ("gateway", "flow")}
    assert all(len(line) < 1024 for line in log.read_text().splitlines())


def test_off_is_silent_and_the_command_is_not_told(sandlock):
    run = sandlock("--net-allow=127.0.0.1:9", cmd=["sh", "-c", "env; ls /proc/self/fd | wc -l"]).ok()
    assert run.err == "" and "SANDLOCK_TRACE" not in run.out, str(run)
    plain = run.out.splitlines()[-1]
    run = sandlock("--net-allow=127.0.0.1:9", env=trace("call"), cmd=["sh", "-c", "env; ls /proc/self/fd | wc -l"])
    assert run.rc == 0 and "SANDLOCK_TRACE" not in run.out, str(run)
    assert run.out.splitlines()[-1] == plain, "a descriptor of the trace is open inside"
    assert lines(run.err) == {("engine", "call")}, run.err


@pytest.mark.parametrize("topics,file,words", [
    ("cal", None, "'cal': expected call, flow, tls, http or all"),
    ("call,", None, "expected call, flow, tls, http or all"),
    ("call", "missing/log", "cannot open"),
])
def test_a_wrong_word_ends_before_the_run(sandlock, topics, file, words):
    env = trace(topics, file and os.path.join(sandlock.tmp, file))
    run = sandlock(cmd=["touch", "ran"], env=env, audit=False, status=False)
    assert run.rc in (2, 125) and words in run.err and run.err.count("\n") == 1, str(run)
    assert not (sandlock.work / "ran").exists()
