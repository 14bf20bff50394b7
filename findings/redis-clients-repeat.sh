#!/usr/bin/env bash
# redis-py 8.1.0 sends a command again by itself when the connection ends before the answer, up to
# ten times, without asking whether it may be repeated: XADD adds a second entry, and a whole
# MULTI … EXEC, which the server has executed, runs again. The caller sees success. coredis 6.9.0
# repeats XADD too. valkey-py 6.2.0, a fork of redis-py with the same interface, raises instead.
# One would expect that a client repeats the connecting, and perhaps reading commands, but that it
# raises for a write whose outcome is unknown, as redis-py 5.3.1 does.
# So a stream that another program reads needs entries that name themselves: an explicit id, or a
# field that readers compare. Or: Redis(retry=Retry(NoBackoff(), 0)).
#
# Cause: since redis-py 6.0, Retry with repetitions (ten in 8.1.0) is the default, and it surrounds
# sending and reading the answer together.
#
# Output seen:
#   redis-py, XADD, one answer lost: 2 entries, no error
#   redis-py, XADD, three lost: 4 entries, no error
#   redis-py, MULTI with two XADD, one lost: 4 entries, no error
#   coredis, XADD, one lost: 2 entries, no error
#   valkey-py, XADD, one lost: 1 entries, ConnectionError
#   valkey-py, MULTI with two XADD, one lost: 2 entries, ConnectionError
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    redis==8.1.0 valkey==6.2.0 coredis==6.9.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import os
import socket
import subprocess
import sys
import threading
import time

import coredis
import redis
import valkey

folder = sys.argv[1]
path = os.path.join(folder, "socket")
server = subprocess.Popen(
    ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
    stdout=subprocess.DEVNULL)
lost_answers = 0


def forward(client):
    """Forwards requests and answers in turn; loses answers to writes, and the connection."""
    global lost_answers
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(path)
    try:
        while request := client.recv(65536):
            upstream.sendall(request)
            answer = upstream.recv(65536)
            if lost_answers and b"XADD" in request:
                lost_answers -= 1
                break
            client.sendall(answer)
    except OSError:
        pass
    upstream.close()
    client.close()


def accept(listener):
    while True:
        threading.Thread(target=forward, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
PORT = listener.getsockname()[1]


def one(library):
    def run():
        library(port=PORT).xadd("stream", {"text": "hello"})
    return run


def transaction(library):
    def run():
        pipeline = library(port=PORT).pipeline(transaction=True)
        pipeline.xadd("stream", {"text": "hello"})
        pipeline.xadd("stream", {"text": "world"})
        pipeline.execute()
    return run


def one_with_coredis():
    async def run():
        async with coredis.Redis(port=PORT) as client:
            await client.xadd("stream", {"text": "hello"})
    asyncio.run(run())


CASES = [
    ("redis-py, XADD, one answer lost", one(redis.Redis), 1, 2, None),
    ("redis-py, XADD, three lost", one(redis.Redis), 3, 4, None),
    ("redis-py, MULTI with two XADD, one lost", transaction(redis.Redis), 1, 4, None),
    ("coredis, XADD, one lost", one_with_coredis, 1, 2, None),
    ("valkey-py, XADD, one lost", one(valkey.Valkey), 1, 1, "ConnectionError"),
    ("valkey-py, MULTI with two XADD, one lost", transaction(valkey.Valkey), 1, 2,
     "ConnectionError"),
]
try:
    for _ in range(100):
        if os.path.exists(path):
            break
        time.sleep(0.05)
    admin = redis.Redis(unix_socket_path=path)
    for name, run, count, expected, expected_error in CASES:
        admin.delete("stream")
        lost_answers = count
        error = None
        try:
            run()
        except Exception as caught:
            error = type(caught).__name__
        entries = admin.xlen("stream")
        print(f"{name}: {entries} entries, {error or 'no error'}")
        assert (entries, error, lost_answers) == (expected, expected_error, 0)
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
