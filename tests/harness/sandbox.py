"""Runs `sandlock run` and gathers all it says: exit code, output, audit lines, status line."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import paths, places
from .waiting import TIMEOUT, read_line, wait_until

PASSED_ON = ("PATH", "LANG", "TERM", "USER", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")


def clean_environment(home, **extra):
    """What an ordinary shell has, and nothing about proxies or certificates."""
    env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
    env.setdefault("LANG", "C.UTF-8")
    env["HOME"] = str(home)
    env.update(extra)
    return env


@dataclass
class Result:
    rc: int
    out: str
    err: str
    audit: list = field(default_factory=list)
    status: dict = None
    words: list = None
    told: list = field(default_factory=list)  # lines of the status before the last

    def denies(self):
        return [a for a in self.audit if a.get("sandlock.verdict") == "deny"]

    def allows(self):
        return [a for a in self.audit if a.get("sandlock.verdict") == "allow"]

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        audit = "\n".join(json.dumps(a) for a in self.audit[-20:])
        return (f"{' '.join(map(str, self.words))}\nrc={self.rc}\n--out\n{self.out[-4000:]}\n"
                f"--err\n{self.err[-4000:]}\n--audit\n{audit}\n--status {self.status}")

    def ok(self):
        """The command's own success, or a failure that shows everything."""
        assert self.rc == 0, str(self)
        return self


class Running:
    """A sandbox that runs: its guardian is `pid`."""

    def __init__(self, words, cwd, env, stdin, pass_fds, audit_path, status, own_group, before=0):
        self.words, self.audit_path = words, audit_path
        self._status = None
        if status:
            status_r, status_w = os.pipe()
            self._status = os.fdopen(status_r)
            at = before + 2  # behind "sandlock run"
            words = [*words[:at], f"--status-fd={status_w}", *words[at:]]
            pass_fds = (*pass_fds, status_w)
        self.process = subprocess.Popen(words, cwd=cwd, env=env, stdin=stdin,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        pass_fds=pass_fds, preexec_fn=os.setpgrp if own_group else None)
        self.pid = self.process.pid
        if status:
            os.close(status_w)

    def line(self, timeout=TIMEOUT):
        """One line of the child's standard output."""
        what = f"a line of {' '.join(self.words)[:200]}"
        return read_line(self.process.stdout, what, timeout).decode()

    def told(self):
        """The next line of the status, while it runs."""
        return json.loads(read_line(self._status, "a line of the status"))

    def finish(self, timeout=TIMEOUT, data=None):
        try:
            out, err = self.process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            tree = describe_tree(self.pid)
            for pid in [*descendants(self.pid), self.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            out, err = self.process.communicate(timeout=TIMEOUT)
            raise AssertionError(f"hung: {' '.join(self.words)}\n{tree}\n--out\n"
                                 f"{out.decode(errors='replace')[-2000:]}\n--err\n"
                                 f"{err.decode(errors='replace')[-2000:]}") from None
        told = []
        if self._status is not None:
            told = [json.loads(line) for line in self._status]
            self._status.close()
        status = told.pop() if told else None
        audit = []
        if self.audit_path and self.audit_path.exists():
            audit = [json.loads(line) for line in self.audit_path.read_text().splitlines()]
        rc = self.process.returncode
        return Result(rc, out.decode(errors="replace"), err.decode(errors="replace"), audit,
                      status, self.words, told)


class Sandbox:
    """The fixture: call it with options and a command."""

    def __init__(self, tmp_path, home):
        self.tmp = tmp_path
        self.home = home
        self.place = places.words()  # before "sandlock run"
        self.work = tmp_path / "work"
        (home / ".cache").mkdir(mode=0o700)
        self.work.mkdir()
        self._count = 0

    def start(self, *options, cmd, env=None, cwd=None, stdin=subprocess.DEVNULL, pass_fds=(),
              audit=True, status=True, wrap=(), own_group=False):
        self._count += 1
        audit_path = self.tmp / f"audit-{self._count}.jsonl" if audit else None
        place = self.place
        words = [*wrap, *place, str(paths.SANDLOCK), "run"]
        if wrap:
            status = False
        if audit:
            words.append(f"--audit={audit_path}")
        words += [str(o) for o in options]
        words += ["--", *(str(w) for w in cmd)]
        return Running(words, cwd or self.work, clean_environment(self.home, **(env or {})), stdin,
                       pass_fds, audit_path, status, own_group, len(place))

    def __call__(self, *options, cmd, timeout=TIMEOUT, data=None, **kw):
        if data is not None:
            kw["stdin"] = subprocess.PIPE
        return self.start(*options, cmd=cmd, **kw).finish(timeout, data)

    def bare(self, cmd, env=None, timeout=TIMEOUT, data=None, cwd=None):
        """The same command without the sandbox: the positive control of an attack."""
        done = subprocess.run([str(w) for w in cmd], cwd=cwd or self.work, capture_output=True,
                              env=clean_environment(self.home, **(env or {})), timeout=timeout,
                              input=data, stdin=None if data is not None else subprocess.DEVNULL)
        return Result(done.returncode, done.stdout.decode(errors="replace"),
                      done.stderr.decode(errors="replace"), words=list(map(str, cmd)))


def stat_field(pid, index):
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()[index]


def processes():
    """pid -> (parent, state, name) of everything visible."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            rest = text[text.rindex(")") + 2:].split()
            found[int(entry.name)] = (int(rest[1]), rest[0], text[text.index("(") + 1:
                                                                  text.rindex(")")])
    return found


def descendants(pid):
    """Living processes below `pid`, nearest first."""
    table = processes()
    found, level = [], [pid]
    while level:
        level = [p for p, (parent, state, _) in table.items() if parent in level]
        found += [p for p in level if table[p][1] not in "ZX"]
    return found


def describe_tree(pid):
    table = processes()
    lines = []
    for p in [pid, *descendants(pid)]:
        if p in table:
            try:
                where = Path(f"/proc/{p}/wchan").read_text()
                call = Path(f"/proc/{p}/syscall").read_text().split()[0]
            except (OSError, IndexError):
                where = call = "?"
            lines.append(f"{p} parent={table[p][0]} {table[p][1]} {table[p][2]} {where} "
                         f"syscall={call}")
    return "\n".join(lines)


class Roles:
    """The processes of one run: guardian, engine, gateway (or None), child."""

    def __init__(self, guardian):
        self.guardian = guardian
        table = processes()
        children = [p for p, (parent, _, _) in table.items() if parent == guardian]
        assert len(children) == 1, describe_tree(guardian)
        self.engine = children[0]
        below = [p for p, (parent, state, _) in table.items() if parent == self.engine
                 and state != "Z"]
        gateways = [p for p in below if table[p][2].startswith("sandlock-gatewa")]
        self.gateway = gateways[0] if gateways else None
        rest = [p for p in below if p != self.gateway]
        self.child = rest[0] if rest else None


def roles_with_gateway(running):
    """The processes of a run with a gateway, which may come after the command's first line."""
    return wait_until("the gateway", lambda: (roles := Roles(running.pid)).gateway and roles,
                      running.process)
