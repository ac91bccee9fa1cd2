"""Programs that keep modes, owners and times, inside a write grant: they see no difference."""

import os
import shutil

import pytest


def tree(root):
    """What such programs must have kept."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            found[os.path.relpath(path, root)] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns)
    return found


@pytest.fixture
def source(sandlock):
    """A tree with modes, times, a symlink and a set-group-id directory."""
    top = sandlock.work / "source"
    (top / "bin").mkdir(parents=True)
    (top / "bin" / "tool").write_text("#!/bin/sh\necho tool\n")
    (top / "bin" / "tool").chmod(0o751)
    (top / "data").write_text("data")
    (top / "data").chmod(0o640)
    os.symlink("data", top / "link")
    os.utime(top / "link", ns=(10**18, 10**18), follow_symlinks=False)
    os.utime(top / "data", ns=(10**18 + 7, 10**18 + 9))
    (top / "bin").chmod(0o2755)
    os.utime(top / "bin", ns=(10**18, 10**18))
    return top


@pytest.mark.parametrize("words", [
    "cp -a source copy",
    "tar -cf a.tar --format=pax -C source . && mkdir copy && tar -xpf a.tar -C copy",
    "cp -r source copy && (cd source && find . -depth | while read f; do "
    "chmod --reference=\"$f\" \"../copy/$f\" 2>/dev/null; touch -h -r \"$f\" \"../copy/$f\"; done)",
], ids=["cp", "tar", "chmod-touch"])
def test_trees_are_copied_as_they_are(sandlock, source, words):
    assert sandlock("-r", "/", "-w", sandlock.work, cmd=["bash", "-c", words]).ok()
    assert tree(sandlock.work / "copy") == tree(source)


def test_install_ln_mv_and_the_shell(sandlock):
    """`make install`, as coreutils do it, and the utilities that ask for metadata first."""
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=["bash", "-ec", """
        umask 027
        echo x > in; chmod 600 in
        install -d -m 2750 dest; install -m 755 -p in dest/prog; install -D -m 644 in dest/a/b
        touch -d '2001-02-03 04:05:06 UTC' dest/prog; mv dest/prog dest/moved
        ln -s moved dest/sym; touch -h -d '2002-01-01 UTC' dest/sym
        chmod -R u+w,o-rwx dest; chown -h $(id -u):$(id -g) dest/sym; chgrp $(id -g) dest/moved
        mkdir -m 700 m; mkfifo -m 600 p; mktemp tXXXXXX > /dev/null
        stat -c '%a %Y' dest/moved; stat -c %Y dest/sym; stat -c '%a %F' dest m p
        """]).ok()
    assert run.out.splitlines() == ["750 981173106", "1009843200", "2750 directory",
                                    "700 directory", "600 fifo"], str(run)


def test_git_makes_a_repository_and_changes_modes(sandlock):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    run = sandlock("-r", "/", "-w", sandlock.work, cmd=["bash", "-ec", """
        git init -q r; cd r; git config user.email a@example.com; git config user.name a
        echo 1 > f; git add f; git commit -qm one; chmod +x f; git add f; git commit -qm two
        git checkout -q HEAD~1; test ! -x f; git checkout -q -; test -x f; git gc -q; git fsck
        git clone -q . ../c; ls -l ../c/f | cut -c4
        """]).ok()
    assert run.out.strip().endswith("x"), str(run)
