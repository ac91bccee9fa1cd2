"""Files: -r, -w, --fs-deny, and the view that is there when none of them is given."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from harness.terminal import interactive

TRY = r"""
for p; do
  if cat "$p/f" >/dev/null 2>&1 || cat "$p" >/dev/null 2>&1; then r=read; else r=-; fi
  if (echo x > "$p/new") 2>/dev/null || (echo x >> "$p") 2>/dev/null; then w=write; else w=-; fi
  echo "$p $r $w"
done
"""


def attempt(box, *options, places, **kw):
    """place -> (readable, writable), as the command sees them."""
    run = box(*options, cmd=["sh", "-c", TRY, "sh", *places], **kw).ok()
    found = {}
    for line in run.out.splitlines():
        place, read, write = line.rsplit(" ", 2)
        found[place] = (read == "read", write == "write")
    return [found[str(p)] for p in places]


@pytest.fixture
def trees(sandlock):
    """Three directories with a file each, outside of what the default view lets one write."""
    made = []
    for name in ("a", "b", "c"):
        top = sandlock.home / name
        top.mkdir()
        (top / "f").write_text("data\n")
        made.append(top)
    return made


SYSTEM = ("-r", "/usr", "-r", "/bin", "-r", "?/lib", "-r", "?/lib64", "-r", "/etc")


def test_nothing_but_what_is_granted(sandlock, trees):
    a, b, c = trees
    assert attempt(sandlock, *SYSTEM, "-r", a, "-w", b, places=trees) == \
        [(True, False), (True, True), (False, False)]
    assert not (a / "new").exists() and not (c / "new").exists() and (b / "new").exists()
    assert attempt(sandlock, *SYSTEM, places=[a]) == [(False, False)]
    assert attempt(sandlock, *SYSTEM, f"--fs-read={a}", f"--fs-write={b / 'f'}",
                   places=[a / "f", b / "f", b / "new"]) == \
        [(True, False), (True, True), (False, False)]


def test_a_missing_path_is_named_unless_it_may_be(sandlock, trees):
    proof = trees[1] / "ran"
    for option in ("-r", "-w", "--fs-deny"):
        run = sandlock(option, "/no/such", "-w", trees[1], cmd=["touch", proof])
        assert run.rc == 125 and "'/no/such'" in run.err and not proof.exists(), str(run)
        assert run.err.count("\n") == 1
    sandlock(*SYSTEM, "-r", "?/no/such", "-w", "?/no/such", "--fs-deny", "?/no/such", "-w",
             trees[1], cmd=["touch", proof]).ok()
    assert proof.exists()


@pytest.mark.parametrize("what", ["directory", "file"])
def test_deny_wins(sandlock, trees, what):
    a, b, _ = trees
    (a / "sub").mkdir()
    (a / "sub" / "f").write_text("secret\n")
    denied = a / "sub" if what == "directory" else a / "sub" / "f"
    link = b / "link"
    link.symlink_to(denied)
    spellings = [a / "sub" / "f", f"{a}/../a/sub/./f", f"/proc/self/root{a}/sub/f",
                 link / "f" if what == "directory" else link]
    control = attempt(sandlock, "-r", "/", places=spellings)
    assert control == [(True, False)] * 4
    assert attempt(sandlock, "-r", "/", "--fs-deny", denied, places=[a, *spellings]) == \
        [(True, False), *[(False, False)] * 4]
    run = sandlock("-r", "/", "--fs-deny", denied, "-w", b, cwd=denied.parent, cmd=[
        "sh", "-c", f"ln {a}/sub/f {b}/hard; cat {b}/hard; cat f; cat sub/f; "
        f"ln -s {a}/sub/f {b}/soft; cat {b}/soft; mv {a}/sub {b}/moved; cat {b}/moved/f; true"])
    assert "secret" not in run.out and not (b / "hard").exists(), str(run)
    assert (a / "sub" / "f").read_text() == "secret\n"


def test_deny_alone_takes_from_the_default_view(sandlock, trees):
    a, b, _ = trees
    assert attempt(sandlock, "--fs-deny", a, places=[a, b, sandlock.work]) == \
        [(False, False), (True, False), (False, True)]


def test_deny_below_a_write_grant_is_refused_at_start(sandlock, trees):
    a = trees[0]
    run = sandlock("-r", "/", "-w", sandlock.home, "--fs-deny", a, cmd=["touch", "ran"])
    assert run.rc == 125 and f"'{a}'" in run.err and run.err.count("\n") == 1, str(run)
    assert not (sandlock.work / "ran").exists()


def test_a_denied_file_with_two_names_is_refused_at_start(sandlock, trees):
    a, b, _ = trees
    os.link(a / "f", b / "other")
    run = sandlock("-r", "/", "--fs-deny", a / "f", cmd=["touch", "ran"])
    assert run.rc == 125 and f"'{a / 'f'}'" in run.err and "links" in run.err, str(run)


SECRETS = (".ssh", ".aws", ".gnupg", ".config/gcloud", ".kube", ".mozilla")
SECRET_FILES = (".netrc", ".git-credentials", ".npmrc", ".docker/config.json", ".bash_history")


@pytest.fixture
def full_home(sandlock):
    for name in SECRETS:
        (sandlock.home / name).mkdir(parents=True)
        (sandlock.home / name / "f").write_text("secret\n")
    for name in SECRET_FILES:
        (sandlock.home / name).parent.mkdir(exist_ok=True)
        (sandlock.home / name).write_text("secret\n")
    (sandlock.home / "notes").mkdir()
    (sandlock.home / "notes" / "f").write_text("plain\n")
    return sandlock.home


def test_the_default_view(sandlock, full_home):
    """Read all but secrets; write the current directory and /tmp."""
    tmp = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        (sandlock.work / "f").write_text("mine\n")
        hidden = [full_home / name for name in (*SECRETS, *SECRET_FILES)]
        places = [full_home / "notes", sandlock.work, tmp, *hidden]
        bare = sandlock.bare(["sh", "-c", TRY, "sh", *hidden]).ok()
        assert bare.out.count(" read write\n") == len(hidden), str(bare)
        assert attempt(sandlock, places=places) == \
            [(True, False), (True, True), (False, True),
             *[(False, False)] * len(hidden)]
        assert attempt(sandlock, "--fs-deny", full_home / "notes", places=[full_home / "notes"]) \
            == [(False, False)]
    finally:
        shutil.rmtree(tmp)


def test_secrets_of_the_system(sandlock):
    """Where we may read them ourselves, as root may, the command may not."""
    for name in ("/etc/shadow", "/etc/gshadow"):
        assert sandlock(cmd=["cat", name]).rc != 0
        if os.access(name, os.R_OK):
            sandlock("-r", "/", cmd=["cat", name]).ok()
    sandlock(cmd=["cat", "/etc/passwd"]).ok()


def test_the_home_as_current_directory(sandlock, full_home):
    """It is not writable then, since secrets lie below; one line says so and names the way out."""
    places = [full_home / "notes", full_home / ".ssh", full_home]
    found = attempt(sandlock, places=places, cwd=full_home)
    assert found == [(True, False), (False, False), (False, False)], found
    run = sandlock(cmd=["true"], cwd=full_home).ok()
    lines = [line for line in run.err.splitlines() if f"'{full_home}'" in line]
    assert len(lines) == 1 and "-w DIR" in lines[0], str(run)
    assert not (full_home / "new").exists()
    (full_home / "proj").mkdir()
    assert attempt(sandlock, places=[full_home / "proj"], cwd=full_home / "proj") == \
        [(False, True)]


BELOW_TMP = """
cat "$1"; echo changed >"$1"; mv "$(dirname "$1")" "$TMPDIR/taken"; ln "$1" "$TMPDIR/taken"
echo x >/tmp/new-$$ && echo wrote; echo x >"$HOME/new" && echo wrote
made=$(mktemp) && echo content >"$made" && cat <<END
$TMPDIR $made $(cat "$made")
END
rm "$made"; cc -o prog prog.c && ./prog
"""


@pytest.mark.parametrize("policy", [(), ("-p", "build"), ("-p", "ci"), ("-p", "agent")])
def test_a_home_below_tmp(sandlock, policy):
    """Secrets lie below /tmp then, which stays closed: temporary files have a place of their own."""
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        work, secret = home / "work", home / ".ssh" / "id"
        work.mkdir()
        secret.parent.mkdir()
        secret.write_text("secret\n")
        (work / "prog.c").write_text("#include <stdio.h>\nint main(void) { puts(\"built\"); }\n")
        words = ["bash", "-c", BELOW_TMP, "sh", secret]
        place = f"/tmp/sandlock-tmp-{os.getuid()}"
        run = sandlock(*policy, cmd=words, cwd=work, env={"HOME": home, "TMPDIR": home}, audit=False)
        told, built = run.ok().out.splitlines()
        assert re.fullmatch(f"{place} {place}/tmp\\.\\S+ content", told) and built == "built", str(run)
        assert f"temporary files go to '{place}' (TMPDIR)" in run.err, str(run)
        assert secret.read_text() == "secret\n" and not (Path(place) / "taken").exists()
        assert not (home / "new").exists()
        given = f"--env=TMPDIR={work}"
        own = sandlock(*policy, given, cmd=["mktemp"], cwd=work, env={"HOME": home}).ok()
        assert own.out.startswith(f"{work}/") and "(TMPDIR)" not in own.err, str(own)
        shutil.rmtree(secret.parent)
        elsewhere = sandlock(*policy, cmd=["mktemp"], cwd=work, env={"HOME": home, "TMPDIR": "/var/tmp"})
        assert re.fullmatch(r"/tmp/tmp\.\S+\n", elsewhere.ok().out), str(elsewhere)
        Path(elsewhere.out.strip()).unlink()
        plain = sandlock(*policy, cmd=["mktemp"], cwd=work, env={"HOME": home}).ok()
        assert re.fullmatch(r"/tmp/tmp\.\S+\n", plain.out), str(plain)
        Path(plain.out.strip()).unlink()
    finally:
        shutil.rmtree(home)


def test_devices_are_always_there(sandlock, trees):
    script = ("echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c "
              "&& echo shm > /dev/shm/$$ && cat /dev/shm/$$ && rm /dev/shm/$$ "
              "&& echo fd > /dev/fd/1; echo full > /dev/full; echo $?")
    run = sandlock(*SYSTEM, cmd=["bash", "-c", script])
    assert run.out.splitlines() == ["4", "4", "shm", "fd", "1"], str(run)


def test_a_file_grant_is_for_that_file_only(sandlock, trees):
    """A neighbour with a longer name, and the directory itself, are not granted."""
    a = trees[0]
    (a / "f2").write_text("other\n")
    assert attempt(sandlock, *SYSTEM, "-r", a / "f", places=[a / "f", a / "f2"]) == \
        [(True, False), (False, False)]
    run = sandlock(*SYSTEM, "-r", a / "f", cmd=["ls", a])
    assert run.rc != 0 and "f2" not in run.out, str(run)


def test_writes_change_what_they_may_and_nothing_else(sandlock, trees):
    """Create, rename, remove, truncate, link: in a write grant they work, outside they fail."""
    a, b, _ = trees
    script = ("cd $1 && echo 1 > one && mv one two && ln two three && ln -s two four && mkdir d "
              "&& rm three && : > f && rmdir d && rm two && echo done; "
              "cd $2 || exit; echo 1 > one; mv f g; ln f h; ln -s f i; mkdir d; rm -f f; : > f; "
              "mv f $1/g; truncate -s 0 f; true")
    before = sorted((p.name, p.read_text()) for p in a.iterdir())
    run = sandlock("-r", "/", "-w", b, cmd=["sh", "-c", script, "sh", b, a])
    assert "done" in run.out, str(run)
    assert sorted(p.name for p in b.iterdir()) == ["f", "four"] and (b / "f").read_text() == ""
    assert sorted((p.name, p.read_text()) for p in a.iterdir()) == before


def test_devices_of_the_default_view(sandlock):
    """Those that every program needs; not a terminal of somebody else's, where one could read what
    is typed. Who wants one names it."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    script = ("for d in null zero full random urandom; do head -c1 /dev/$d >/dev/null || exit 1; done; "
              "echo x >/dev/null; ls /dev >/dev/null || exit 1; exec 3<$0; echo opened")
    refused = sandlock(cmd=["sh", "-c", script, name])
    assert refused.rc != 0 and refused.out == "" and f"open {name}: Permission" in refused.err
    for options in (("-r", "/"), ("-r", "/", "-w", name)):
        assert sandlock(*options, cmd=["sh", "-c", script, name]).ok().out == "opened\n"
    assert sandlock.bare(["sh", "-c", script, name]).ok().out == "opened\n"
    for fd in (master, slave):
        os.close(fd)


NEW_TERMINAL = """
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "tty >name; stty size >/dev/null && read x && echo $x >/dev/tty"])
os.write(master, b"typed\\n")
seen = b""
while seen.count(b"typed") < 2: seen += os.read(master, 100)
print(os.waitpid(pid, 0)[1])
try: os.open(sys.argv[1], os.O_RDONLY | os.O_NOCTTY)
except PermissionError: print("refused")
"""


def test_a_terminal_of_its_own_needs_no_other(sandlock):
    """/dev/ptmx makes terminals and gives those alone; without it there are none."""
    master, slave = os.openpty()
    words = ["/usr/bin/python3", "-c", NEW_TERMINAL, os.ttyname(slave)]
    options = ("-r", "/usr", "-r", "/etc", "-r", "?/lib", "-r", "?/lib64", "-w", ".")
    assert sandlock.bare(words).ok().out == "0\n"
    run = sandlock(*options, "-w", "/dev/ptmx", cmd=words).ok()
    assert run.out == "0\nrefused\n", str(run)
    assert (sandlock.work / "name").read_text().startswith("/dev/pts/")
    run = sandlock(*options, cmd=words)
    assert run.rc == 1 and "out of pty devices" in run.err, str(run)
    for fd in (master, slave):
        os.close(fd)


@pytest.mark.parametrize("options", [(), ("-r", "/usr", "-r", "?/lib", "-r", "?/lib64", "-r", "/proc")])
def test_an_inherited_terminal_by_its_names(sandlock, options):
    """What the command has as its standard descriptors it may open again; nothing else of /dev/pts."""
    script = 'for d in /dev/stderr /dev/fd/2 $(tty) /dev/tty; do echo "to $d." >$d || exit; done'
    with interactive(sandlock, *options, words=(), cmd=["sh", "-c", script]) as t:
        for name in ("/dev/stderr", "/dev/fd/2", os.ttyname(t.slave), "/dev/tty"):
            t.until(f"to {name}\\.\r\n".encode())
        assert t.finish() == 0


def test_a_denied_terminal_stays_denied(sandlock):
    """Inherited, it is written to; opened by its name it is not."""
    script = 'echo "written."; for d in /dev/stdout $(tty); do (echo "opened." >$d) 2>/dev/null; done; true'
    with interactive(sandlock, words=(), cmd=["sh", "-c", script]) as t:
        t.until(rb"written\.\r\nopened\.\r\nopened\.")
        assert t.finish() == 0
    with interactive(sandlock, "--fs-deny=/dev/pts", words=(), cmd=["sh", "-c", script]) as t:
        assert t.finish() == 0
        t.until(rb"written\.")
        assert b"opened." not in t.shown, t.shown


# access(2) tells what open(2) does: programs that ask first choose right

TRUTH = """
import os, stat, sys
def does(path, mode):
    is_dir = stat.S_ISDIR(os.stat(path).st_mode)
    try:
        if is_dir and mode == os.W_OK:
            os.close(os.open(path + '/.asked', os.O_CREAT | os.O_WRONLY)); os.unlink(path + '/.asked')
        else:
            os.close(os.open(path, (os.O_RDONLY, os.O_WRONLY)[mode == os.W_OK] | os.O_NOCTTY))
        return True
    except OSError:
        return False
for path in sys.argv[1:]:
    for mode in os.R_OK, os.W_OK:
        said, done = os.access(path, mode), does(path, mode)
        if said != done: print('lie', path, mode, said, done)
        print(path, mode, said, file=sys.stderr)
"""


@pytest.mark.parametrize("options", [
    (), ("-r", "/"), ("-r", "/", "-w", "?/tmp"), ("-w", "/tmp", "-r", "/", "--fs-deny=/srv"),
    ("-r", "/usr", "-r", "?/lib64", "-r", "/etc", "-r", "/proc", "-r", "{python}", "-w", "."),
    ("-r", "/", "--isolate-pids"), ("-r", "/", "--fs-deny={secret}"), ("-w", "/")])
def test_access_tells_what_open_does(sandlock, options):
    secret = sandlock.home / "secret"
    secret.write_text("x")
    prefix = Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()
    options = [w for o in options for w in (
        [o] if o != "{python}" else [str(prefix[0]), "-r", str(prefix[1])])]
    options = [o.format(secret=secret) for o in options]
    work = sandlock.work / "file"
    work.write_text("x")
    paths_ = ["/", "/usr", "/etc", "/etc/passwd", "/tmp", "/srv", "/var/tmp", "/dev/null", "/dev/zero",
              "/dev/shm", "/proc/self/status", sandlock.work, work, sandlock.home, secret,
              os.path.realpath("/usr/bin/env")]
    run = sandlock(*options, cmd=[sys.executable, "-c", TRUTH, *paths_]).ok()
    assert run.out == "", str(run)
    bare = sandlock.bare([sys.executable, "-c", TRUTH, *paths_]).ok()
    assert bare.out == "", str(bare)
    if "-w" not in options or "/" not in options[options.index("-w") + 1:]:
        assert run.err != bare.err or os.geteuid() != 0, "nothing was told"


def test_programs_that_ask_first_choose_what_is_granted(sandlock):
    """As pip does for a user's install, shells for a redirection, git for its configuration."""
    outside = sandlock.home / "outside"
    outside.mkdir()
    script = ('for d in "$1" .; do if [ -w "$d" ]; then echo x > "$d/made" && echo "made in $d"; break; '
              'fi; done')
    cmd = ["bash", "-c", script, "bash", outside]
    assert sandlock.bare(cmd).ok().out == f"made in {outside}\n"
    run = sandlock("-r", "/", "-w", ".", cmd=cmd).ok()
    assert run.out == "made in .\n" and run.err == "", str(run)
