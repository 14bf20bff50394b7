#!/usr/bin/env bash
# A WebSocket whose ASGI application ends without closing it: what its client sees depends on the
# server. In FastAPI 0.165.0 that is every function that returns behind its last message.
#   the application    uvicorn 0.54.0   hypercorn 0.18.0   granian 2.8.9   daphne 4.2.3
#   returns            1006             1011               1005            stays open
#   raises             1006             1011               1005            1011
# One would expect 1000 for a return and 1011 for an exception, from all. So with uvicorn clients
# take a wanted end for a lost connection, and connect again; with granian they take a failure of
# the server for a wanted end; and with daphne they wait on a connection that nobody reads. daphne
# sends 1011 within a second, the others answer at once.
# An application should close by itself, also in "except".
#
# Cause: uvicorn closes TCP, granian sends a Close frame without a code, hypercorn has one code for
# both. daphne looks once a second at the applications that have ended, and closes only those with
# an exception.
#
# Output seen (returns; raises; calls close()):
#   uvicorn    hello 1006; hello 1006; hello 1000
#   hypercorn  hello 1011; hello 1011; hello 1000
#   granian    hello 1005; hello 1005; hello 1000
#   daphne     hello open; hello 1011; hello 1000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check fastapi==0.165.0 uvicorn==0.54.0 \
    hypercorn==0.18.0 granian==2.8.9 daphne==4.2.3 websockets==17.4
cat > "$folder/application.py" <<'PYTHON'
from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/returns")
async def returns(connection: WebSocket):
    await connection.accept()
    await connection.send_text("hello")


@app.websocket("/raises")
async def raises(connection: WebSocket):
    await connection.accept()
    await connection.send_text("hello")
    raise ValueError("a mistake")


@app.websocket("/closes")
async def closes(connection: WebSocket):
    await connection.accept()
    await connection.send_text("hello")
    await connection.close()
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import socket
import subprocess
import sys
import time

import websockets

BIN, FOLDER = sys.argv[1], sys.argv[2]


async def outcome_of(url):
    async with websockets.connect(url, proxy=None) as connection:
        seen = []
        try:
            while True:
                seen.append(await asyncio.wait_for(connection.recv(), 4))
        except asyncio.TimeoutError:
            seen.append("open")
        except websockets.ConnectionClosed:
            seen.append(str(int(connection.close_code)))
        return " ".join(seen)


async def outcomes(origin):
    return "; ".join(
        [await outcome_of(f"{origin}/{path}") for path in ("returns", "raises", "closes")])


for name, options, expected in [
    ("uvicorn", ["--port", "{}"], "hello 1006; hello 1006; hello 1000"),
    ("hypercorn", ["--bind", "127.0.0.1:{}"], "hello 1011; hello 1011; hello 1000"),
    ("granian", ["--interface", "asgi", "--host", "127.0.0.1", "--port", "{}"],
     "hello 1005; hello 1005; hello 1000"),
    ("daphne", ["-p", "{}"], "hello open; hello 1011; hello 1000"),
]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [f"{BIN}/{name}", *(option.format(port) for option in options), "application:app"],
        cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        seen = asyncio.run(outcomes(f"ws://127.0.0.1:{port}"))
        print(f"{name:<10} {seen}")
        assert seen == expected
    finally:
        program.terminate()
        program.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/venv/bin" "$folder"
