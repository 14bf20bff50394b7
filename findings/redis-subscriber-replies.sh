#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12): over RESP3 a connection may run commands while it is subscribed. From
# its SUBSCRIBE on, the limit for subscribers' output (client-output-buffer-limit pubsub: 32 MB by
# default) also counts the answers to its commands. An answer of 40 MB closes the connection,
# without an error, although not a single message was published. After UNSUBSCRIBE, and on a
# connection that never subscribed, the same command works: "normal" clients have no limit.
# One would expect that this limit concerns published messages, for a reader that is too slow.
# So a client that uses one connection for both must raise the limit, or ask in smaller pages.
#
# Cause: Redis has one buffer for each client, and chooses the limit by the kind of client; whoever
# is subscribed to at least one channel is of the kind "pubsub".
#
# Output seen:
#   not subscribed:     GET returned 40000000 bytes
#   subscribed:         the connection was closed after 0 bytes
#   unsubscribed again: GET returned 40000000 bytes
#   Redis' log: closed for overcoming of output buffer limits: True
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import os
import socket
import subprocess
import sys
import time

BYTES = 40_000_000
folder = sys.argv[1]
path = os.path.join(folder, "socket")
log = os.path.join(folder, "log")
server = subprocess.Popen(
    ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder,
     "--logfile", log])


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.buffer = self.socket.makefile("rb")
        self.send("HELLO 3")
        for _ in range(int(self.buffer.readline()[1:]) * 2):
            self.read()

    def send(self, command):
        self.socket.sendall(command.encode() + b"\r\n")

    def read(self):
        line = self.buffer.readline()
        if line[:1] == b"$":
            return self.buffer.read(int(line[1:]) + 2)[:-2]
        if line[:1] in (b"*", b">"):
            return [self.read() for _ in range(int(line[1:]))]
        return line

    def call(self, command):
        self.send(command)
        return self.read()

    def size_of_answer(self):
        """The length of the value, or nothing and the number of bytes before the end."""
        try:
            self.send("GET big")
            line = self.buffer.readline()
            if line == b"":
                return None, 0
            value = self.buffer.read(int(line[1:]))
            return (len(value), 0) if len(value) == BYTES else (None, len(value))
        except ConnectionResetError:
            return None, 0


try:
    for _ in range(100):
        if os.path.exists(path):
            break
        time.sleep(0.05)
    plain = Connection()
    plain.call(f"SETRANGE big {BYTES - 1} x")
    size, _ = plain.size_of_answer()
    print(f"not subscribed:     GET returned {size} bytes")
    assert size == BYTES

    subscriber = Connection()
    assert subscriber.call("SUBSCRIBE channel")[0] == b"subscribe"
    size, count = subscriber.size_of_answer()
    print(f"subscribed:         the connection was closed after {count} bytes")
    assert size is None and count < BYTES

    former = Connection()
    former.call("SUBSCRIBE channel")
    assert former.call("UNSUBSCRIBE channel")[0] == b"unsubscribe"
    size, _ = former.size_of_answer()
    print(f"unsubscribed again: GET returned {size} bytes")
    assert size == BYTES

    is_logged = "closed" in open(log).read() and "output buffer limits" in open(log).read()
    print("Redis' log: closed for overcoming of output buffer limits:", is_logged)
    assert is_logged
finally:
    server.terminate()
    server.wait()
PYTHON
python3 "$folder/run.py" "$folder"
