#!/usr/bin/env bash
# Django Channels 4.3.2 has accept(headers=...) and close(code, reason) for WebSockets. Behind
# daphne 4.2.3, the server of the same project, the headers and the reason are dropped without an
# error, and so is each empty message, text or binary: an echo of it never comes. granian 2.8.9
# drops the headers. With uvicorn 0.54.0 and hypercorn 0.18.0 everything arrives.
# The ASGI specification has the headers since 2.1 and the reason since 2.3, and calls it an error
# to send what the server's version does not have. One would expect that error, or that parts of one
# project fit. daphne announces no version, which means 2.0; granian announces 2.3. Channels does
# not look at it. So a cookie that an application sets in the handshake is never set, a client
# cannot show why it was removed, and an empty message as a heartbeat is silence.
# Put reasons into a last message, cookies into an ordinary answer, and heartbeats into pings.
#
# Cause: daphne passes on the subprotocol and the code only, and tests the content of a message for
# truth instead of None.
#
# Output seen (the handshake's fields, the echo of four messages, the end; spec_version):
#   uvicorn    set-cookie x-node; 'a' '' b'' 'b'; 4003 'bye'; 2.4
#   hypercorn  set-cookie x-node; 'a' '' b'' 'b'; 4003 'bye'; 2.3
#   granian    none; 'a' '' b'' 'b'; 4003 'bye'; 2.3
#   daphne     none; 'a' 'b'; 4003 ''; None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check channels==4.3.2 django==5.2.19 \
    uvicorn==0.54.0 hypercorn==0.18.0 granian==2.8.9 daphne==4.2.3 websockets==17.4
cat > "$folder/application.py" <<'PYTHON'
import django
from django.conf import settings

settings.configure(SECRET_KEY="key", INSTALLED_APPS=[], ALLOWED_HOSTS=["*"])
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer


class Echo(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept(headers=[(b"set-cookie", b"seen=1"), (b"x-node", b"one")])
        await self.send(text_data=str(self.scope["asgi"].get("spec_version")))

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "close":
            await self.close(code=4003, reason="bye")
        else:
            await self.send(text_data=text_data, bytes_data=bytes_data)


app = Echo.as_asgi()
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
        fields = [name.lower() for name, _ in connection.response.headers.raw_items()]
        fields = [name for name in ("set-cookie", "x-node") if name in fields]
        version = await connection.recv()
        for message in ("a", "", b"", "b"):
            await connection.send(message)
        echoes = []
        while not echoes or echoes[-1] != "b":
            echoes.append(await asyncio.wait_for(connection.recv(), 5))
        await connection.send("close")
        try:
            await asyncio.wait_for(connection.recv(), 5)
        except websockets.ConnectionClosed:
            pass
        return "; ".join([
            " ".join(fields) or "none", " ".join(map(repr, echoes)),
            f"{int(connection.close_code)} {connection.close_reason!r}", version])


for name, options, expected in [
    ("uvicorn", ["--port", "{}"], "set-cookie x-node; 'a' '' b'' 'b'; 4003 'bye'; 2.4"),
    ("hypercorn", ["--bind", "127.0.0.1:{}"],
     "set-cookie x-node; 'a' '' b'' 'b'; 4003 'bye'; 2.3"),
    ("granian", ["--interface", "asgi", "--host", "127.0.0.1", "--port", "{}"],
     "none; 'a' '' b'' 'b'; 4003 'bye'; 2.3"),
    ("daphne", ["-p", "{}"], "none; 'a' 'b'; 4003 ''; None"),
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
        seen = asyncio.run(outcome_of(f"ws://127.0.0.1:{port}/"))
        print(f"{name:<10} {seen}")
        assert seen == expected
    finally:
        program.terminate()
        program.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/venv/bin" "$folder"
