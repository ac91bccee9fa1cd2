"""Asks once, and believes one authority alone, or one certificate alone.

    ca_client.py ca FILE HOST [PORT]       a file of roots of its own
    ca_client.py pin HEX HOST [PORT]       looks at the certificate after the handshake, as urllib3's
                                           assert_fingerprint and aiohttp's Fingerprint do
"""

import hashlib
import socket
import ssl
import sys

kind, word, host = sys.argv[1:4]
port = int(sys.argv[4]) if len(sys.argv) > 4 else 443
context = ssl.create_default_context(cafile=word if kind == "ca" else None)
with socket.create_connection((host, port), 60) as plain, \
        context.wrap_socket(plain, server_hostname=host) as s:
    seen = hashlib.sha256(s.getpeercert(True)).hexdigest()
    if kind == "pin" and seen != word:
        sys.exit(f"another certificate: {seen}")
    s.sendall(f"GET /allowed/one HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    data = b""
    while piece := s.recv(65536):
        data += piece
print(data.split(b"\r\n")[0].decode())
