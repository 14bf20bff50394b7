#!/usr/bin/env bash
# coredis 6.9.0, a consumer group on Redis 7.0.15 (Debian 12): once an entry that a consumer has
# received and not yet acknowledged is trimmed off the stream, XREADGROUP with an id, by which a
# consumer reads its own backlog after a restart, raises TypeError. No entry of the backlog can be
# read, also those that still exist, and each restart meets the same error. Reading new entries
# (">") works.
# One would expect the entries that exist, and the trimmed one without fields or left out. Redis
# keeps its id in the backlog, by design, and a stream with MAXLEN is trimmed all the time.
# redis-py 8.1.0 and valkey-py 6.2.0 return the id with an empty dict.
# So a consumer that uses coredis should call XAUTOCLAIM before it reads its backlog: since Redis
# 7.0 it removes such ids from it.
#
# Cause: Redis answers null in place of the fields, and coredis makes a dict of them unseen.
#
# Output seen (three entries, all delivered to the consumer, then the stream is trimmed to two):
#   coredis    TypeError
#   redis-py   (1-0, {}) (2-0, {'text': 'two'}) (3-0, {'text': 'three'})
#   valkey-py  (1-0, {}) (2-0, {'text': 'two'}) (3-0, {'text': 'three'})
#   after XAUTOCLAIM, coredis: (2-0, {'text': 'two'}) (3-0, {'text': 'three'})
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check coredis==6.9.0 redis==8.1.0 \
    valkey==6.2.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys
import time

import coredis
import redis
import valkey

EMPTY, REST = "(1-0, {})", "(2-0, {'text': 'two'}) (3-0, {'text': 'three'})"


def text(entries):
    return " ".join(f"({identifier}, {fields})" for identifier, fields in entries)


async def with_coredis(port):
    async with coredis.Redis(port=port, decode_responses=True) as client:
        try:
            answer = await client.xreadgroup("group", "consumer", streams={"stream": "0"})
        except Exception as error:
            return type(error).__name__
        return text(
            (entry.identifier, dict(entry.field_values)) for entry in answer["stream"])


def with_redis(client):
    answer = client.xreadgroup("group", "consumer", {"stream": "0"})
    entries = answer["stream"][0] if isinstance(answer, dict) else answer[0][1]
    return text(entries)


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
     sys.argv[1]], stdout=subprocess.DEVNULL)
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    client = redis.Redis(port=port, decode_responses=True)
    client.xgroup_create("stream", "group", "0", mkstream=True)
    for number, word in enumerate(["one", "two", "three"], 1):
        client.xadd("stream", {"text": word}, id=f"{number}-0")
    client.xreadgroup("group", "consumer", {"stream": ">"})
    client.xtrim("stream", maxlen=2, approximate=False)

    for name, outcome, expected in [
        ("coredis", asyncio.run(with_coredis(port)), "TypeError"),
        ("redis-py", with_redis(client), f"{EMPTY} {REST}"),
        ("valkey-py", with_redis(valkey.Valkey(port=port, decode_responses=True)),
         f"{EMPTY} {REST}"),
    ]:
        print(f"{name:<10} {outcome}")
        assert outcome == expected
    client.xautoclaim("stream", "group", "consumer", min_idle_time=0)
    outcome = asyncio.run(with_coredis(port))
    print("after XAUTOCLAIM, coredis:", outcome)
    assert outcome == REST
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
