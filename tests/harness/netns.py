"""A network of our own for the whole test session.

Only loopback exists in it, with addresses from the documentation ranges, private ranges and the
metadata address on it, so that a test can stand a server on "the internet" and see every packet.
It needs root or unprivileged user namespaces; without them `ACTIVE` stays false and the tests that
need it say so.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

RESOLVER = "198.51.100.53"  # the resolver of the outside world
PUBLIC = [f"203.0.113.{n}" for n in range(1, 30)]
PRIVATE = ["10.1.2.3", "172.16.1.2", "192.168.7.8", "100.64.0.9"]
METADATA = "169.254.169.254"
V6 = ["2001:db8::1", "2001:db8::2", "fd00::1", "fe80::1", "64:ff9b::a01:203", "2002:a01:203::1"]

ACTIVE = False
REASON = "not tried"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(rc, what):
    if rc != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source, target, flags):
    _check(_libc.mount(source and str(source).encode(), str(target).encode(), None, flags, None),
           f"mount {target}")


def _write(path, text):
    with open(path, "w") as f:
        f.write(text)


def _link_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0x49)  # IFF_UP | IFF_LOOPBACK | IFF_RUNNING
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def _add_address(s, text):
    """RTM_NEWADDR, rtnetlink(7)."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    raw = socket.inet_pton(family, text)
    bits = len(raw) * 8
    scope = 253 if text.startswith("fe80") else 0
    body = struct.pack("=BBBBI", family, bits, 0x02, scope, 1)  # IFA_F_NODAD, index of lo
    for kind in (1, 2):  # IFA_ADDRESS, IFA_LOCAL
        body += struct.pack("=HH", 4 + len(raw), kind) + raw
    # NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    s.send(struct.pack("=IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
    error = -struct.unpack_from("=i", s.recv(4096), 16)[0]
    if error:
        raise OSError(error, f"address {text}: {os.strerror(error)}")


def enter(directory):
    """Moves this process (and so everything it starts) into the private network."""
    global ACTIVE, REASON
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | CLONE_NEWNET | (0 if uid == 0 else CLONE_NEWUSER)
    try:
        _check(_libc.unshare(flags), "unshare")
        if uid != 0:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{uid} {uid} 1")
            _write("/proc/self/gid_map", f"{gid} {gid} 1")
        _mount(None, "/", MS_REC | MS_PRIVATE)
        resolv = directory / "resolv.conf"
        resolv.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:2\n")
        resolv.chmod(0o644)
        _mount(resolv, "/etc/resolv.conf", MS_BIND)
        hosts = directory / "hosts"
        hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
        hosts.chmod(0o644)
        _mount(hosts, "/etc/hosts", MS_BIND)
        _link_up()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
            s.bind((0, 0))
            for address in [RESOLVER, METADATA, *PUBLIC, *PRIVATE, *V6]:
                _add_address(s, address)
        _write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
        ACTIVE, REASON = True, ""
    except OSError as error:
        REASON = f"no private network namespace here: {error}"


@contextlib.contextmanager
def few_ports(low, high):
    """For a while the kernel chooses ports out of so many only (ip(7), ip_local_port_range)."""
    path = "/proc/sys/net/ipv4/ip_local_port_range"
    with open(path) as f:
        before = f.read()
    _write(path, f"{low} {high}")
    try:
        yield
    finally:
        _write(path, before)


@contextlib.contextmanager
def no_ipv6():
    """No interface has an IPv6 address, loopback neither."""
    path = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
    with open(path, encoding="ascii") as f:
        before = f.read()
    _write(path, "1")
    try:
        yield
    finally:
        _write(path, before)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
            s.bind((0, 0))
            for address in V6:  # they went with it; ::1 comes back by itself
                _add_address(s, address)


@contextlib.contextmanager
def privileged_below(port):
    """For a while ports below this one are for the privileged, as on most machines (ip(7))."""
    path = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    _write(path, str(port))
    try:
        yield
    finally:
        _write(path, "0")


@contextlib.contextmanager
def bind_over(source, target):
    """For a while `target` shows `source`, to everything this process starts."""
    _mount(source, target, MS_BIND)
    try:
        yield
    finally:
        _check(_libc.umount2(str(target).encode(), 2), f"umount {target}")  # MNT_DETACH
