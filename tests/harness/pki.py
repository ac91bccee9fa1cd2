"""Certificates of the tests. The root is made by certs/make-test-pki; odd leaves are made here, on
demand, because each test wants its own oddity. No key is ever committed."""

import datetime
import fcntl
import ipaddress
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import paths
from .waiting import TIMEOUT

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path


def directory():
    """The PKI of this user, made once."""
    folder = paths.BIN / "pki"
    paths.BIN.mkdir(parents=True, exist_ok=True)
    with open(paths.BIN / "pki.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ca.pem").exists():
            script = paths.ROOT / "certs" / "make-test-pki"
            done = subprocess.run([str(script), str(folder)], capture_output=True, text=True,
                                  timeout=TIMEOUT)
            if done.returncode != 0:
                raise RuntimeError(f"certs/make-test-pki: {done.stdout}{done.stderr}")
    return folder


def root():
    return directory() / "ca.pem"


def _load(pair):
    cert = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    return cert, key


def _root_pair():
    return Pair(directory() / "root.pem", directory() / "root.key")


def _subject(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def make(tag, *, cn="test", names=(), addresses=(), issuer="root", ca=False, start=NOW - DAY,
         end=NOW + 30 * DAY, usage=ExtendedKeyUsageOID.SERVER_AUTH, serial=None, chain=()):
    """A certificate with its key, in files named after `tag`. `issuer`: "root", "self", a Pair."""
    folder = directory() / "made"
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(cn)
    if issuer == "self":
        issuer_name, issuer_key = subject, key
    else:
        issuer_cert, issuer_key = _load(_root_pair() if issuer == "root" else issuer)
        issuer_name = issuer_cert.subject
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name)
               .public_key(key.public_key()).serial_number(serial or x509.random_serial_number())
               .not_valid_before(start).not_valid_after(end)
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                   issuer_key.public_key()), False))
    alternatives = [x509.DNSName(n) for n in names] \
        + [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
    if usage and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    cert = builder.sign(issuer_key, hashes.SHA256())
    pair = Pair(folder / f"{tag}.pem", folder / f"{tag}.key")
    text = cert.public_bytes(serialization.Encoding.PEM)
    for more in chain:
        text += more.cert.read_bytes()
    pair.cert.write_bytes(text)
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                           serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    pair.key.chmod(0o600)
    return pair


_leaves = {}


def leaf(name):
    """A good certificate for a DNS name or an address."""
    if name not in _leaves:
        try:
            ipaddress.ip_address(name)
            _leaves[name] = make(f"leaf-{name.replace(':', '-')}", cn=name, addresses=[name])
        except ValueError:
            _leaves[name] = make(f"leaf-{name.replace('*', 'any')}", cn=name, names=[name])
    return _leaves[name]


def kind(name):
    """One of the leaves of certs/make-test-pki: each is wrong in one way ("expired", ...)."""
    return Pair(directory() / f"{name}.pem", directory() / f"{name}.key")
