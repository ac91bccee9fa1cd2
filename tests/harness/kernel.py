"""What the kernel under the tests can do: some answers differ with it (docs/internals/kernels.md)."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_LANDLOCK_CREATE_RULESET, _PIDFD_OPEN, _PIDFD_THREAD = 444, 434, os.O_EXCL


def landlock_abi():
    return max(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1), 0)


def has_thread_pidfds():
    fd = _libc.syscall(_PIDFD_OPEN, os.getpid(), _PIDFD_THREAD)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


# before ABI 3 the flags of openat2, which lie in memory, could empty a file
OPENAT2 = "ok" if landlock_abi() >= 3 else "ENOSYS"

# A run without a supervisor, as far as this kernel lets one be had.
_HELD = {"truncate": 3, "abstract-sockets": 6, "signals": 6}
ALONE = ("--no-supervisor",
         *(f"--allow-degraded={name}" for name, abi in _HELD.items() if landlock_abi() < abi))
