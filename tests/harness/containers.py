"""Containers of the tests: a Docker daemon of our own, and runc alone under a profile of today.

Nothing of the machine's own containers is touched: the daemon has its directories, its socket, its
cgroups and its process namespace in which all of it ends with it; it shares our private network. What
runc starts ends with the standard input that we hold."""

import ctypes
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

from . import paths, pki
from .orphans import children
from .sandbox import Result
from .waiting import TIMEOUT, read_line, wait_until

IMAGES = Path(os.environ.get("SANDLOCK_CONTAINERS", paths.ROOT / "build" / "containers"))
PROFILE = paths.TESTS / "containers" / "refused"
CERTS = "etc/ssl/certs"
# What Docker gives to a container's root.
CAPS = [f"CAP_{c}" for c in ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW",
                             "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
                             "SYS_CHROOT", "KILL", "AUDIT_WRITE")]
# As most users have it, without a copy for each container; else what works everywhere.
DRIVERS = ("overlay2", "vfs")
MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """No container can be had here; the message says why."""


def files(directory):
    """The files of the image: the small Debian, and the root of the tests' certificates, which is
    found by its name's hash as well, as update-ca-certificates(8) does it."""
    source, target = IMAGES / "debian.tar", directory / "debian.tar"
    if not source.exists():
        raise Unavailable(f"there is no '{source}': tests/containers/fetch makes it")
    shutil.copyfile(source, target)
    with tarfile.open(target, "a") as archive:
        bundle = pki.root().read_bytes()
        member = tarfile.TarInfo(f"./{CERTS}/ca-certificates.crt")
        member.size, member.mode = len(bundle), 0o644
        archive.addfile(member, io.BytesIO(bundle))
        digest = run(["openssl", "x509", "-noout", "-hash", "-in", pki.root()]).ok().out.strip()
        link = tarfile.TarInfo(f"./{CERTS}/{digest}.0")
        link.type, link.linkname = tarfile.SYMTYPE, "ca-certificates.crt"
        archive.addfile(link)
    return target


def run(words, env=None, data=None, cwd=None, timeout=TIMEOUT):
    words = [str(w) for w in words]
    done = subprocess.run(words, env=env, cwd=cwd, capture_output=True, timeout=timeout,
                          input=data, stdin=subprocess.DEVNULL if data is None else None)
    return Result(done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"), words=words)


class Cgroups:
    """A name for the cgroups of what we start; the directories go when we do."""

    def __init__(self, name):
        self.path = f"/sandlock-test-{os.getpid()}-{name}"

    def remove(self):
        tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
        for top in [top / self.path[1:] for top in tops]:
            for below in sorted(top.rglob("*"), reverse=True) if top.is_dir() else ():
                _rmdir(below)
            _rmdir(top)


def _rmdir(path):
    try:
        if path.is_dir():
            path.rmdir()
    except OSError:
        pass  # a directory of the kernel's, or one that somebody else's turn it is to remove


def unmount_below(directory):
    """What is left of mounts after a daemon that had to be killed."""
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    for point in reversed([line.split()[4] for line in table]):
        if point.startswith(f"{directory}/"):
            _libc.umount2(point.encode(), MNT_DETACH)


class Docker:
    """A dockerd and the words for its client. It ends with us, however we end."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(mode=0o700)
        self.socket = f"unix://{directory}/sock"
        self.cgroups = Cgroups("docker")
        daemon = shutil.which("dockerd")
        if daemon is None:
            raise Unavailable("dockerd is not installed")
        beside = Path(daemon).parents[1] / "bin" / "docker"  # the client that came with it
        self.client = str(beside) if beside.exists() else "docker"
        bin_ = directory / "bin"
        bin_.mkdir()
        (bin_ / "docker").symlink_to(shutil.which(self.client) or self.client)
        self.env = {"PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(directory),
                    "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0", "LANG": "C.UTF-8",
                    "TERM": "xterm", "SANDLOCK_BUILD": str(paths.BUILD)}
        self.log = directory / "log"
        for driver in DRIVERS:
            self._start([daemon, f"--storage-driver={driver}"])
            if self.process.poll() is None:
                return
            self.close()
        raise Unavailable(f"dockerd does not work here: {self.log.read_text()[-1500:]}")

    def _start(self, words):
        """Returns when it answers or has ended."""
        words += ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none",
                  "--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent={self.cgroups.path}",
                  f"--data-root={self.directory}/data", f"--exec-root={self.directory}/exec",
                  f"--pidfile={self.directory}/pid", f"--host={self.socket}"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--mount-proc", "--fork",
                 "--kill-child", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env)
        try:
            wait_until("the daemon's socket", lambda: self.process.poll() is not None or self._ready())
        except BaseException:
            self.close()
            raise

    def _ready(self):
        return (self.directory / "sock").exists() and self.docker("version").rc == 0

    def today(self):
        """The option that puts a container under the profile of today instead of this daemon's own."""
        path = self.directory / "profile.json"
        path.write_text(json.dumps(profile()))
        return ("--security-opt", f"seccomp={path}")

    def docker(self, *words, **kw):
        return run(["docker", *words], env=self.env, **kw)

    def shell(self, line, cwd, data=None):
        """A line of a shell that has this daemon's client."""
        return run(["bash", "-c", line], env=self.env, cwd=cwd, data=data)

    def close(self):
        """The containers first; then the daemon, which is told; what is left is killed with its
        process namespace."""
        try:
            if self.process.poll() is None and self._ready():
                self.docker("rm", "-f", *self.docker("ps", "-aq").out.split())
            for pid in children(self.process.pid):
                os.kill(pid, signal.SIGTERM)
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self.process.wait(TIMEOUT)
            unmount_below(self.directory)
            self.cgroups.remove()


class Place:
    """Somewhere in a container where commands can be run. Its `work` is /job inside."""

    def __init__(self, name, uid, work):
        self.name, self.uid, self.work = name, uid, work
        for path in (work, work / "home", work / "here", work / "beside"):
            path.mkdir()
            os.chown(path, uid, uid)

    def words(self, cmd, cwd="/job/here", tty=False):
        raise NotImplementedError

    def bare(self, cmd, cwd="/job/here", data=None):
        """Without the sandbox: the positive control."""
        return run(self.words([str(w) for w in cmd], cwd), env=self.env, data=data)

    def __call__(self, *options, cmd, **kw):
        return self.bare(["sandlock", "run", *options, "--", *cmd], **kw)

    def close(self):
        """A container of the daemon's ends with the daemon."""


class DockerPlace(Place):
    def __init__(self, docker, name, uid, work, options):
        super().__init__(name, uid, work)
        self.env = docker.env
        self.id = docker.docker("run", "-d", "--network", "host", "-u", f"{uid}:{uid}", *options,
                                "-v", f"{work}:/job", "-e", "HOME=/job/home", "agent", "sleep",
                                "infinity").ok().out.strip()

    def words(self, cmd, cwd="/job/here", tty=False):
        return ["docker", "exec", "-it" if tty else "-i", "-w", cwd, self.id, *cmd]


def profile():
    """The seccomp profile as an OCI runtime wants it: what tests/containers/refused names is refused,
    and so is what nobody knows."""
    rows = [line.split("#")[0].split() for line in PROFILE.read_text().splitlines()]
    refused = {row[0]: row[1:] for row in rows if row}
    known = {line.split()[1].removeprefix("__NR_")
             for line in _numbers() if line.startswith("#define __NR_")}
    allowed = sorted(known - set(refused))
    syscalls = [{"names": allowed, "action": "SCMP_ACT_ALLOW"}]
    for name, how in refused.items():
        if how == ["ENOSYS"]:
            syscalls.append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
        for word in how:
            if word[:1].isdigit():
                syscalls.append({"names": [name], "action": "SCMP_ACT_ALLOW", "args": [_arg(word)]})
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64"], "syscalls": syscalls}


def _arg(word):
    """0=8: the first argument is 8; 0!=40: it is not; 0&0x7e020000: none of these bits."""
    index, rest = int(word[0]), word[1:]
    operators = {"=": "SCMP_CMP_EQ", "!=": "SCMP_CMP_NE", "&": "SCMP_CMP_MASKED_EQ"}
    mark = next(m for m in ("!=", "=", "&") if rest.startswith(m))
    arg = {"index": index, "value": int(rest[len(mark):], 0), "op": operators[mark]}
    return {**arg, "valueTwo": 0} if mark == "&" else arg


def _numbers():
    words = ["cc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"]
    return run(words).ok().out.splitlines()


class RuncPlace(Place):
    """A container of runc alone. Its first process is a cat, which ends when we let go of its input."""

    def __init__(self, directory, name, uid, work, caps, read_only):
        super().__init__(name, uid, work)
        self.env = {"PATH": os.environ["PATH"]}
        self.cgroups = Cgroups(name)
        self.caps = caps
        self.name = f"sandlock-test-{os.getpid()}-{name}"
        self.runc = [shutil.which("runc"), "--root", str(directory / "state")]
        bundle = directory / name
        bundle.mkdir()
        config = self._config(directory / "rootfs", read_only)
        (bundle / "config.json").write_text(json.dumps(config))
        self.process = subprocess.Popen([*self.runc, "run", "--bundle", str(bundle), self.name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.process.stdin.write(b"up\n")
        self.process.stdin.flush()
        line = read_line(self.process.stdout, "the container")
        if line != b"up\n":
            self.close()
            raise Unavailable(f"runc cannot make a container here: {line.decode().strip()}")

    def _config(self, rootfs, read_only):
        def mount(kind, target, *options, source=None):
            return {"destination": target, "type": kind, "source": str(source or kind),
                    "options": list(options)}
        mounts = [mount("proc", "/proc"), mount("tmpfs", "/dev", "nosuid", "mode=755"),
                  mount("devpts", "/dev/pts", "newinstance", "ptmxmode=0666", "mode=0620"),
                  mount("tmpfs", "/dev/shm", "nosuid", "nodev", "noexec", "mode=1777"),
                  mount("mqueue", "/dev/mqueue", "nosuid", "nodev", "noexec"),
                  mount("sysfs", "/sys", "nosuid", "nodev", "noexec", "ro"),
                  mount("bind", "/job", "rbind", "rw", source=self.work),
                  mount("bind", "/etc/resolv.conf", "bind", "ro", source="/etc/resolv.conf"),
                  mount("bind", "/etc/hosts", "bind", "ro", source="/etc/hosts")]
        if read_only:
            mounts += [mount("tmpfs", t, "nosuid", "nodev", "mode=1777") for t in ("/tmp", "/var/tmp")]
        return {
            "ociVersion": "1.0.2", "root": {"path": str(rootfs), "readonly": read_only},
            "mounts": mounts, "hostname": "container",
            "process": {"user": {"uid": self.uid, "gid": self.uid}, "cwd": "/", "args": ["cat"],
                        "noNewPrivileges": read_only, "env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                        "capabilities": self._capabilities()},
            "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts")],
                      "cgroupsPath": self.cgroups.path, "seccomp": profile(),
                      "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi",
                                      "/sys/firmware"],
                      "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger"]}}

    def _capabilities(self):
        held = self.caps if self.uid == 0 else []
        return {"bounding": self.caps, "effective": held, "permitted": held}

    def words(self, cmd, cwd="/job/here", tty=False):
        return [*self.runc, "exec", *(["-t"] if tty else []), "--cwd", cwd, "-e", "HOME=/job/home",
                "-e", "TERM=xterm", self.name, *cmd]

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()
            self.process.wait(TIMEOUT)
            self.process.stdout.close()
            self.cgroups.remove()


def unpack(tar, directory):
    """The file system of runc's containers, with the programs where the image has them."""
    rootfs = directory / "rootfs"
    rootfs.mkdir()
    run(["tar", "-C", rootfs, "--numeric-owner", "-xf", tar]).ok()
    for program in (paths.SANDLOCK, paths.GATEWAY):
        shutil.copy2(program, rootfs / "usr" / "local" / "bin")
    (rootfs / "work").mkdir()
