#!/usr/bin/env bash
# python-engineio 4.15.1 (also below python-socketio 5.18.1), long polling, its client and its
# server: disconnect() returns only after pingInterval and pingTimeout together, 45 seconds by
# default; here after 4. A program that sends one message and disconnects takes so long to end.
# The server's disconnect event comes at once, and over WebSocket disconnect() returns at once.
# One would expect that leaving takes a round trip: the protocol has the packet "close" for it, and
# "noop" to end a GET that waits. With a server that answers the waiting GET so, the same client
# takes no time.
# So a server should answer the waiting GET when it receives "close". Programs can connect with
# transports=["websocket"], or, with Engine.IO only, call disconnect(abort=True).
#
# Cause: the server marks the session as closed, but wakes nobody: its GET waits for the next packet
# until the timeout, and is then answered with 400. The client waits for the end of this GET.
#
# Output seen (pingInterval 3 s, pingTimeout 1 s):
#   asyncio, polling:                    4 s, the server knew after 0 s
#   threads, polling:                    4 s, the server knew after 0 s
#   asyncio, websocket:                  0 s, the server knew after 0 s
#   asyncio, polling, answered by noop:  0 s, the server knew after 0 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check python-engineio==4.15.1 \
    aiohttp==3.14.5 requests==2.34.2
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import json
import logging
import time

import engineio
from aiohttp import web

logging.disable()
INTERVAL, TIMEOUT = 3, 1
left_at = None


def note_leaving():
    global left_at
    left_at = time.monotonic()


def own_server(application):
    server = engineio.AsyncServer(
        async_mode="aiohttp", ping_interval=INTERVAL, ping_timeout=TIMEOUT)

    async def disconnect(sid, reason):
        note_leaving()

    server.on("disconnect", disconnect)
    server.attach(application)


def answering_server(application):
    closed = asyncio.Event()

    async def get(request):
        if "sid" in request.query:
            await asyncio.wait_for(closed.wait(), INTERVAL + TIMEOUT)
            return web.Response(text="6")
        return web.Response(text="0" + json.dumps({
            "sid": "1", "upgrades": [], "pingInterval": INTERVAL * 1000,
            "pingTimeout": TIMEOUT * 1000, "maxPayload": 1000000}))

    async def post(request):
        if await request.text() == "1":
            note_leaving()
            closed.set()
        return web.Response(text="ok")

    application.router.add_get("/engine.io/", get)
    application.router.add_post("/engine.io/", post)


async def main():
    global left_at
    for name, make, server, transport, expected in [
        ("asyncio, polling", engineio.AsyncClient, own_server, "polling", INTERVAL + TIMEOUT),
        ("threads, polling", engineio.Client, own_server, "polling", INTERVAL + TIMEOUT),
        ("asyncio, websocket", engineio.AsyncClient, own_server, "websocket", 0),
        ("asyncio, polling, answered by noop", engineio.AsyncClient, answering_server,
         "polling", 0),
    ]:
        application = web.Application()
        server(application)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        client = make()

        async def call(function, *arguments, **options):
            if make is engineio.AsyncClient:
                await function(*arguments, **options)
            else:
                await asyncio.to_thread(function, *arguments, **options)

        await call(client.connect, url, transports=[transport])
        await asyncio.sleep(0.2)
        left_at = None
        began = time.monotonic()
        await call(client.disconnect)
        seconds = time.monotonic() - began
        for _ in range(20):
            if left_at is not None:
                break
            await asyncio.sleep(0.05)
        known = left_at - began
        print(f"{name + ':':<36} {seconds:.0f} s, the server knew after {known:.0f} s")
        assert expected - 0.5 < seconds < expected + 0.9 and known < 0.9
        await runner.cleanup()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
