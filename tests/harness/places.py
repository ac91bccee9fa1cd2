"""Where sandlock runs: here, or in a place like a container under the usual profile.

SANDLOCK_TEST_PLACE=contained lets every run of the session begin behind a filter that refuses what
Docker's and containerd's own profiles refuse to a container without added capabilities."""

import errno
import os

from . import build

# x86-64; EPERM but for clone3, which callers must take for missing
REFUSED = {"pidfd_getfd": 438, "kcmp": 312, "process_madvise": 440, "unshare": 272, "setns": 308,
           "mount": 165, "umount2": 166, "pivot_root": 155, "move_mount": 429, "open_tree": 428,
           "fsopen": 430, "mount_setattr": 442, "bpf": 321, "perf_event_open": 298,
           "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250, "open_by_handle_at": 304}
MISSING = {"clone3": 435}

CONTAINED = os.environ.get("SANDLOCK_TEST_PLACE") == "contained"


def contained(*allowed):
    """The words before a command that put it there; `allowed`: names that are not refused."""
    calls = [f"{errno.EPERM}@{nr}" for name, nr in REFUSED.items() if name not in allowed]
    calls += [f"{errno.ENOSYS}@{nr}" for nr in MISSING.values()]
    return [str(build.attack("without")),
            ",".join(calls)]


def words(*allowed):
    """The same where the session asks for it."""
    return contained(*allowed) if CONTAINED else []
