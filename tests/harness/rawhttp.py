"""HTTP/1 as bytes: what a careful client would never send, and what came back for it."""

import base64
import hashlib
import re


def head(target=b"/pub/x", method=b"GET", host=b"api.test", version=b"HTTP/1.1", extra=b""):
    return b"%s %s %s\r\nHost: %s\r\n%s\r\n" % (method, target, version, host, extra)


def statuses(text):
    return [int(s) for s in re.findall(r"HTTP/1\.1 (\d\d\d) ", text)]


def accept(key):
    """The answer to a WebSocket's key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
