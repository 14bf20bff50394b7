#!/usr/bin/env bash
# redis-py 8.1.0: a command that blocks on the server for more than 5 seconds, such as BLPOP with a
# timeout of 6 s or XREAD with BLOCK 6000, never returns "nothing came". After 5 s the client closes
# the connection, connects again and repeats the command, ten times, and raises TimeoutError after
# about a minute. valkey-py 6.2.0, a fork with the same interface, returns null after 6 s.
# One would expect that the client waits at least as long as the command's own timeout says, as its
# pub/sub does, which waits for messages without an end. Nothing tells the two limits apart: no
# error for the argument, no warning, and the same call with 4 s works.
# An entry that is added between two attempts is lost for a reader that begins with "$".
# So: Redis(socket_timeout=None), or one that is longer than every BLOCK.
#
# Cause: socket_timeout is 5 by default (None in redis-py 5 and valkey-py), it holds for each
# answer, and TimeoutError is among the errors after which the default Retry repeats, ten times.
#
# Output seen:
#   BLPOP for 6 s, after 7 s: redis-py waits and has sent 2 BLPOP, valkey-py returned None after 6 s
#   with socket_timeout=0.5, XREAD BLOCK 1000: TimeoutError, 11 XREAD sent, entry added between two
#   of them received: no
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check redis==8.1.0 valkey==6.2.0
cat > "$folder/run.py" <<'PYTHON'
import os
import subprocess
import sys
import threading
import time

import redis
import valkey

folder = sys.argv[1]
path = os.path.join(folder, "socket")
server = subprocess.Popen(
    ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
    stdout=subprocess.DEVNULL)


def run_in_thread(run):
    """A dictionary that holds the result and the time taken when the thread has ended."""
    outcome = {}
    start = time.monotonic()

    def target():
        try:
            outcome["result"] = run()
        except Exception as error:
            outcome["result"] = type(error).__name__
        outcome["seconds"] = round(time.monotonic() - start)

    threading.Thread(target=target, daemon=True).start()
    return outcome


def calls(command):
    return admin.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


def blocked():
    return admin.info("clients")["blocked_clients"]


try:
    for _ in range(100):
        if os.path.exists(path):
            break
        time.sleep(0.05)
    admin = redis.Redis(unix_socket_path=path)
    two = run_in_thread(lambda: valkey.Valkey(unix_socket_path=path).blpop("two", 6))
    one = run_in_thread(lambda: redis.Redis(unix_socket_path=path).blpop("one", 6))
    time.sleep(7)
    sent = calls("blpop")
    print(f"BLPOP for 6 s, after 7 s: redis-py waits and has sent {sent - 1} BLPOP, "
          f"valkey-py returned {two['result']} after {two['seconds']} s")
    assert not one and sent == 3 and two == {"result": None, "seconds": 6}
    admin.rpush("one", "end")
    reader = redis.Redis(unix_socket_path=path, socket_timeout=0.5)
    read = run_in_thread(lambda: reader.xread({"stream": "$"}, block=1000))
    while calls("xread") < 7 or blocked() or time.sleep(0.05) or blocked():
        assert not read
    admin.xadd("stream", {"text": "hello"})
    while not read:
        time.sleep(0.1)
    print(f"with socket_timeout=0.5, XREAD BLOCK 1000: {read['result']}, {calls('xread')} XREAD "
          "sent, entry added between two of them received: no")
    assert read["result"] == "TimeoutError" and calls("xread") == 11
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
