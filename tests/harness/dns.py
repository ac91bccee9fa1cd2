"""The resolver of the outside world: answers from a table and keeps every question."""

import os
import select
import socket
import struct
import threading

from . import netns
from .servers import Log

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "NULL": 10, "PTR": 12, "TXT": 16, "AAAA": 28,
         "HTTPS": 65, "SVCB": 64, "AXFR": 252, "ANY": 255}


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) \
        + b"\0"


def query(name, kind="A", ident=0x1234, flags=0x0100, count=1):
    question = encode_name(name) + struct.pack(">HH", TYPES[kind], 1)
    return struct.pack(">HHHHHH", ident, flags, count, 0, 0, 0) + question


def parse_name(message, at):
    labels = []
    while length := message[at]:
        if length >= 0xC0:
            tail, _ = parse_name(message, struct.unpack_from(">H", message, at)[0] & 0x3FFF)
            return ".".join([*labels, tail]), at + 2
        labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels), at + 1


def parse(message):
    """rcode, question count, [(type, rdata)] of the answer section."""
    _, flags, questions, answers, _, _ = struct.unpack_from(">HHHHHH", message)
    at, found = 12, []
    for _ in range(questions):
        _, at = parse_name(message, at)
        at += 4
    for _ in range(answers):
        _, at = parse_name(message, at)
        kind, _, _, length = struct.unpack_from(">HHIH", message, at)
        found.append((kind, message[at + 10:at + 10 + length]))
        at += 10 + length
    return flags & 15, questions, found


class DnsServer:
    """`table`: name -> list of address texts, or a callable(name, kind) -> list, or None.

    `distort(query, answer)` may change or multiply the answer datagrams."""

    def __init__(self, table, host=netns.RESOLVER, port=53, ttl=60, distort=None):
        self.table, self.ttl, self.distort = table, ttl, distort
        self.log = Log()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind((host, port))
        self._stop_r, self._stop_w = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def names(self):
        return [e["name"].lower() for e in self.log.events]

    def _answer(self, message):
        name, at = parse_name(message, 12)
        kind, = struct.unpack_from(">H", message, at)
        self.log.add({"name": name, "type": kind})
        found = self.table(name, kind) if callable(self.table) else self.table.get(name.lower())
        records = b""
        count = 0
        for text in found or []:
            family = socket.AF_INET6 if ":" in text else socket.AF_INET
            if kind == (28 if ":" in text else 1):
                raw = socket.inet_pton(family, text)
                records += struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(raw)) + raw
                count += 1
        rcode = 3 if found is None else 0
        return message[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, count, 0, 0) \
            + message[12:at + 4] + records

    def _serve(self):
        while True:
            ready, _, _ = select.select([self._udp, self._stop_r], [], [])
            if self._stop_r in ready:
                return
            message, peer = self._udp.recvfrom(65536)
            answer = self._answer(message)
            for piece in self.distort(message, answer) if self.distort else [answer]:
                self._udp.sendto(piece, peer)

    def close(self):
        os.write(self._stop_w, b"x")
        self._thread.join(30)
        self._udp.close()
        os.close(self._stop_r)
        os.close(self._stop_w)
