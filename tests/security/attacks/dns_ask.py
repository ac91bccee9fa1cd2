"""SERVER PORT udp|tcp, messages as hex lines on standard input: sends each, prints the answer as hex,
"silence" (2 s), or the error's name."""

import errno
import socket
import struct
import sys

server, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for line in sys.stdin:
    message = bytes.fromhex(line.strip())
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as s:
            s.settimeout(2)
            s.connect((server, port))
            if kind == "udp":
                s.send(message)
                print(s.recv(65536).hex(), flush=True)
            else:
                s.sendall(struct.pack(">H", len(message)) + message)
                answer = s.recv(65536)
                while len(answer) >= 2 and len(answer) < 2 + struct.unpack(">H", answer[:2])[0]:
                    answer += s.recv(65536)
                print(answer[2:].hex() or "closed", flush=True)
    except TimeoutError:
        print("silence", flush=True)
    except OSError as error:
        print(errno.errorcode.get(error.errno, str(error)), flush=True)
