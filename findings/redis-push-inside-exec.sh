#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12), RESP3: a connection that is subscribed to a channel, and publishes to it
# within MULTI and EXEC, receives the message inside EXEC's answer. It takes a place of the array:
# after PUBLISH and GET the two announced elements are the message and PUBLISH's count, and GET's
# value follows as an answer of its own. From then on each command gets the previous one's answer.
# One would expect the message before or after the array: the specification of RESP3 says that push
# data appears only at the top level. Without MULTI it comes before PUBLISH's answer, and the
# invalidations of CLIENT TRACKING come after the array.
# Redis 7.2 corrects it. A script (EVAL) that publishes keeps the order in 7.0 as well.
#
# Cause: Redis writes a push at once into the output of the client, where EXEC has already written
# the length of its array. For invalidations it waits until the outermost command has ended.
#
# Output seen:
#   PUBLISH:       message, 1
#   MULTI … EXEC:  [message, 1], value
#   EVAL:          message, 1
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

folder = sys.argv[1]
path = os.path.join(folder, "socket")
server = subprocess.Popen(
    ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
    stdout=subprocess.DEVNULL)


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.buffer = self.socket.makefile("rb")

    def send(self, *commands):
        self.socket.sendall(b"".join(command.encode() + b"\r\n" for command in commands))

    def read(self):
        line = self.buffer.readline().rstrip(b"\r\n").decode()
        kind, rest = line[0], line[1:]
        if kind == "$":
            return self.buffer.read(int(rest) + 2)[:-2].decode()
        if kind == ":":
            return int(rest)
        if kind == "*":
            return [self.read() for _ in range(int(rest))]
        if kind == "%":
            return {self.read(): self.read() for _ in range(int(rest))}
        if kind == ">":
            return tuple(self.read() for _ in range(int(rest)))
        assert kind == "+", line
        return rest

    def read_until_pong(self):
        """Everything that the server sends for the commands so far."""
        self.send("PING")
        answers = []
        while (answer := self.read()) != "PONG":
            answers.append(answer)
        return answers


def shown(answer):
    if isinstance(answer, list):
        return f"[{', '.join(map(shown, answer))}]"
    return answer[0] if isinstance(answer, tuple) else str(answer)


MESSAGE = ("message", "channel", "hello")
try:
    for _ in range(100):
        if os.path.exists(path):
            break
        time.sleep(0.05)
    connection = Connection()
    connection.send("HELLO 3", "SET key value", "SUBSCRIBE channel")
    assert connection.read_until_pong()[2] == ("subscribe", "channel", 1)

    connection.send("PUBLISH channel hello")
    answers = connection.read_until_pong()
    print("PUBLISH:      ", ", ".join(map(shown, answers)))
    assert answers == [MESSAGE, 1]

    connection.send("MULTI", "PUBLISH channel hello", "GET key", "EXEC")
    answers = connection.read_until_pong()
    assert answers[:3] == ["OK", "QUEUED", "QUEUED"]
    print("MULTI … EXEC: ", ", ".join(map(shown, answers[3:])))
    assert answers[3:] == [[MESSAGE, 1], "value"]

    connection.send("EVAL \"return redis.call('publish', 'channel', 'hello')\" 0")
    answers = connection.read_until_pong()
    print("EVAL:         ", ", ".join(map(shown, answers)))
    assert answers == [MESSAGE, 1]
finally:
    server.terminate()
    server.wait()
PYTHON
python3 "$folder/run.py" "$folder"
