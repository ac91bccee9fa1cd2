"""FS-10, FS-11: what Landlock has no right for. Mode, owner, times, extended attributes and flags,
by every call and every way to name the file."""

import os
import stat

import pytest

WAYS = ("path", "relative", "directory", "opath_directory", "descriptor", "opath", "proc",
        "proc_opath", "dev", "pid")
LINKS = {"lchown", "lsetxattr", "lremovexattr"}  # on /proc/self/fd/N they mean the link in /proc


def steps(run):
    return dict(line.split() for line in run.out.splitlines())


def look(path):
    """All that the calls could change. The kernel's own mark of it is the time of change."""
    st = os.lstat(path)
    return (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_ctime_ns)


@pytest.fixture
def outside_file(sandlock):
    """A file of the user's own that the policy lets be read."""
    path = sandlock.home / "theirs"
    path.write_text("theirs")
    path.chmod(0o600)
    return path


def compare(sandlock, attack, way, path, options):
    """The answers outside the sandbox, and inside on the same kind of file in a write grant and on
    `path`."""
    own = sandlock.work / "own"
    own.write_text("own")
    bare = steps(sandlock.bare([attack("metadata"), way, own]).ok())
    before = look(own)
    granted = steps(sandlock(*options, cmd=[attack("metadata"), way, own]).ok())
    assert look(own) != before
    before = look(path)
    refused = steps(sandlock(*options, cmd=[attack("metadata"), way, path]).ok())
    assert look(path) == before, refused
    return bare, granted, refused


@pytest.mark.parametrize("way", WAYS)
def test_FS_10_and_11_metadata_outside_the_write_grants(sandlock, attack, way, outside_file):
    bare, granted, refused = compare(sandlock, attack, way, outside_file, ())
    worked = {call for call, answer in bare.items() if answer == "ok"}
    assert len(worked) >= 4, bare
    for call in bare:
        if call == "file_setattr":
            assert granted[call] == refused[call] == "ENOSYS"
        elif call not in LINKS or way in ("path", "relative"):
            assert granted[call] == bare[call], (call, granted)
        if call in worked or refused[call] == "ok":
            assert refused[call] in ("EACCES", "EPERM", "ENOSYS"), (call, refused)


def test_FS_11_directories_and_paths_that_are_not_there(sandlock, attack, outside_file):
    for target in (sandlock.home, "/etc", "/dev/null", "/proc/self", "/"):
        before = look(target)
        answers = steps(sandlock(cmd=[attack("metadata"), "path", f"{target}/."]).ok())
        assert not [c for c, a in answers.items() if a == "ok"], (target, answers)
        assert look(target) == before or str(target).startswith("/proc")
    missing = steps(sandlock(cmd=[attack("metadata"), "path", sandlock.home / "none"]).ok())
    assert set(missing.values()) == {"ENOENT", "ENOSYS"}, missing


@pytest.mark.parametrize("options", [("--no-supervisor",), ("-w", "/")])
def test_policies_without_the_check(sandlock, attack, options, outside_file):
    """Where nobody can be asked, or nothing is outside, the calls are the kernel's."""
    run = sandlock("-r", "/", *options, audit=False, status=False,
                   cmd=[attack("metadata"), "path", outside_file]).ok()
    assert steps(run)["chmod"] == "ok" and stat.S_IMODE(outside_file.stat().st_mode) == 0o640


def test_FS_23_symlinks_are_changed_themselves(sandlock, attack, outside_file):
    """Through a link in the write grant its target is judged; the link itself is the tree's own."""
    link = sandlock.work / "link"
    link.symlink_to(outside_file)
    before = look(outside_file)
    bare = steps(sandlock.bare([attack("metadata"), "nofollow", link]).ok())
    assert bare["lchown"] == bare["fchownat"] == bare["utimensat"] == "ok"
    marked = look(link)
    answers = steps(sandlock(cmd=[attack("metadata"), "nofollow", link]).ok())
    assert {**answers, "file_setattr": bare["file_setattr"]} == bare
    assert look(link) != marked and look(outside_file) == before
    followed = steps(sandlock(cmd=[attack("metadata"), "path", link]).ok())
    for call, answer in followed.items():
        assert answer != "ok" or call in LINKS, (call, followed)
    assert look(outside_file) == before


def test_FS_10_magic_links_are_the_callers_own(sandlock, outside_file):
    """A symlink to /proc/self/fd/N names the supervisor's descriptors, were it followed there."""
    link = sandlock.work / "magic"
    own = sandlock.work / "own"
    own.write_text("")
    script = ("import os,sys\n"
              "for fd in range(3, 64):\n"
              "    for name in (f'/proc/self/fd/{fd}', f'/proc/thread-self/fd/{fd}'):\n"
              "        os.symlink(name, sys.argv[1])\n"
              "        try: os.chmod(sys.argv[1], 0o777); print('changed', name)\n"
              "        except (PermissionError, FileNotFoundError): pass\n"
              "        os.unlink(sys.argv[1])\n"
              "fd = os.open(sys.argv[2], os.O_RDONLY)\n"
              "os.chmod(f'/proc/self/fd/{fd}', 0o751)\n"
              "os.chmod('/proc/thread-self/fd/%d' % fd, 0o753)\n"
              "print('own', oct(os.stat(sys.argv[2]).st_mode))\n")
    run = sandlock(cmd=["python3", "-c", script, link, own]).ok()
    assert run.out == "own 0o100753\n", str(run)


def test_FS_10_objects_without_a_name(sandlock):
    """Pipes, sockets, memory files and deleted files belong to nobody else."""
    script = ("import os,socket,sys\n"
              "r, w = os.pipe(); os.fchmod(w, 0o600)\n"
              "m = os.memfd_create('m'); os.fchmod(m, 0o700); os.utime(m, (1, 1))\n"
              "s = socket.socketpair(); os.fchmod(s[0].fileno(), 0o600)\n"
              "f = os.open('gone', os.O_RDWR | os.O_CREAT); os.unlink('gone'); os.fchmod(f, 0o611)\n"
              "t = os.open('.', os.O_TMPFILE | os.O_RDWR); os.fchmod(t, 0o622)\n"
              "print(oct(os.fstat(f).st_mode), oct(os.fstat(t).st_mode))\n")
    bare = sandlock.bare(["python3", "-c", script]).ok()
    assert sandlock(cmd=["python3", "-c", script]).ok().out == bare.out == "0o100611 0o100622\n"
