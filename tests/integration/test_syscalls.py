"""--allow-syscalls, --deny-syscalls, --extra-deny-syscalls: each does what it says, the nearest other
call still works, and a bad value is one line and exit code 2."""

import socket

import pytest
from harness import build

TRY = ("import os,sys\n"
       "def t(name, f):\n"
       "    try: f(); print(name, 'ok')\n"
       "    except OSError as e: print(name, e.errno)\n"
       "t('mkdir', lambda: os.mkdir('d')); t('symlink', lambda: os.symlink('x', 's'))\n"
       "t('sync', os.sync); t('getpriority', lambda: os.getpriority(0, 0))\n")


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def test_extra_denials_beside_the_built_in_list(sandlock):
    run = sandlock("--extra-deny-syscalls=mkdir,mkdirat", "--extra-deny-syscalls", "getpriority",
                   cmd=["python3", "-c", TRY]).ok()
    assert steps(run) == {"mkdir": "1", "symlink": "ok", "sync": "ok", "getpriority": "1"}, str(run)
    keys = ["python3", "-c", "import ctypes;l=ctypes.CDLL(None,use_errno=True);"
            "print(l.syscall(250,0,-3,1),ctypes.get_errno())"]
    assert sandlock("--extra-deny-syscalls=sync", cmd=keys).ok().out == "-1 1\n"
    assert sandlock("--deny-syscalls=sync", cmd=keys).ok().out.split()[0] != "-1"


def test_denials_in_place_of_it(sandlock):
    run = sandlock("--deny-syscalls=symlink,symlinkat", cmd=["python3", "-c", TRY]).ok()
    assert steps(run) == {"mkdir": "ok", "symlink": "1", "sync": "ok", "getpriority": "ok"}, str(run)


@pytest.mark.parametrize("options", [(), ("--no-supervisor",), ("--net-allow=127.0.0.1:1",)])
def test_a_strict_list(sandlock, attack, options):
    """A dynamic and a static program start with what every list has; only what is named is more."""
    static = attack("calls")
    dynamic = build.c_program("security/attacks/calls.c", "-dynamic", name="calls-dynamic")
    for program in (static, dynamic):
        run = sandlock("--allow-syscalls=write", *options, cmd=[program, "unknown"], audit=False,
                       status=False)
        assert run.rc == 0 and steps(run)["next"] == "ENOSYS", str(run)
        mute = sandlock("--allow-syscalls=", *options, cmd=[program, "unknown"], audit=False,
                        status=False)
        assert mute.out == "", str(mute)
        one = sandlock("--allow-syscalls=write,unshare", *options, cmd=[program, "race"],
                       audit=False, status=False)
        assert one.rc != 0 or "made 0" in one.out, str(one)
    assert sandlock("--allow-syscalls=", *options, cmd=["true"], audit=False, status=False).ok()


FEATURES = (  # the option, what it answers: (name, call that a list must name, value)
    ("--time-start=2000-01-01T00:00:00Z", [("vdso", None, "946684"),
                                           ("clock_gettime", "clock_gettime", "946684")]),
    ("--random-seed=7", [("getrandom", None, "adb9f2ecd04ffc01")]),
    ("--num-cpus=1", [("sched_getaffinity", "sched_getaffinity", "1")]),
    ("--hostname=box.test", [("uname", "uname", "box.test"), ("hostname", None, "box.test")]),
    ("--port-remap", [("bind", "socket,bind,listen,getsockname", "ok"),
                      ("getsockname", "socket,bind,listen,getsockname", "PORT")]),
)
STRICT_NAMES = ("clock_gettime", "uname", "sched_getaffinity", "socket", "bind", "listen",
                "getsockname")


@pytest.mark.parametrize("option,answers", [*FEATURES, ("all", None)],
                         ids=[o.lstrip("-").split("=")[0] for o, _ in FEATURES] + ["all"])
def test_a_strict_list_beside_a_feature(sandlock, attack, option, answers):
    """What a feature answers is had by who may ask, and nobody may ask more than without it. The
    port is one that is taken outside."""
    options = [option] if answers else [o for o, _ in FEATURES]
    answers = answers or [a for _, of_one in FEATURES for a in of_one]
    if "--port-remap" in options:
        options.append("--net-bind=1-65535")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1] if "--port-remap" in options else 0

    def ask(named, *more):
        run = sandlock(f"--allow-syscalls={','.join(['write', *named])}", *more,
                       cmd=[attack("strict"), port], audit=False, status=False)
        return steps(run.ok())

    bare = ask([])
    closed = ask([], *options)
    for name in STRICT_NAMES:
        assert bare[name] == closed[name] == "EPERM", (name, bare, closed)
    named = {word for _, call, _ in answers if call for word in call.split(",")}
    opened = ask(sorted(named), *options)
    for name, call, value in answers:
        value = value.replace("PORT", str(port))
        assert opened[name] == value, (name, opened)
        assert closed[name] == ("EPERM" if call else value), (name, closed)
        assert bare[name] != value, (name, bare)
    for name in STRICT_NAMES:
        assert (opened[name] == "EPERM") == (name not in named), (name, opened)


def test_denied_connect_does_not_disturb_the_start(sandlock):
    script = ("import socket\ns=socket.socket()\ntry: s.connect(('127.0.0.1',1))\n"
              "except OSError as e: print(e.errno)\n")
    for options in ((), ("--net-allow=127.0.0.1:1",)):
        run = sandlock("--extra-deny-syscalls=connect", *options, cmd=["python3", "-c", script])
        assert run.ok().out == "1\n"
        assert sandlock(*options, cmd=["python3", "-c", script]).ok().out == "111\n"


@pytest.mark.parametrize("options, words", [
    (["--deny-syscalls=opne"], "'opne' is no system call; did you mean 'open'?"),
    (["--allow-syscalls=write,"], "'' is no system call"),
    (["--extra-deny-syscalls=12"], "'12' is no system call"),
    (["--allow-syscalls=mount"], "'mount' is refused in every run"),
    (["--allow-syscalls=clone3"], "'clone3' is refused in every run; libc falls back to 'clone'"),
    (["--deny-syscalls=execve"], "'execve' cannot be denied"),
    (["--extra-deny-syscalls=close_range"], "'close_range' cannot be denied"),
    (["--allow-syscalls=write", "--deny-syscalls=ptrace"], "beside --deny-syscalls"),
    (["--allow-syscalls=write", "--extra-deny-syscalls=ptrace"], "beside --extra-deny-syscalls"),
])
def test_bad_lists(sandlock, options, words):
    run = sandlock(*options, cmd=["true"])
    assert run.rc == 2 and words in run.err and len(run.err.splitlines()) == 1, str(run)
