#!/usr/bin/env bash
# python-engineio 4.15.1 (also below python-socketio 5.18.1), a client with long polling: an answer
# with more than 16 packets ends the connection. None of its messages is delivered, and the reason
# is "transport error". python-socketio connects again by itself; the messages are lost, and the
# next busy moment ends that connection as well. Its own server sends such answers: it puts all that
# waits into the next answer. Over WebSocket nothing is lost.
# The limit is known from the server, where it refuses a POST. One would expect that a client takes
# whatever its server sends: the protocol of Engine.IO limits the bytes of a payload (maxPayload),
# and not its packets; and that the server of the same package respects what its client can read.
# So more than 16 messages within one round trip are enough, such as a history. A server that such
# clients use should put 16 packets at most into one answer. A program can raise
# engineio.payload.Payload.max_decode_packets, or connect with transports=["websocket"].
#
# Cause: client and server read payloads with one class, which raises above 16. The client takes
# that for an invalid packet, and stops.
#
# Output seen (for Socket.IO each poll is delayed by 50 ms, as a network does):
#   Engine.IO, polling,   16 messages: 16 delivered, connected
#   Engine.IO, polling,   17 messages: 0 delivered, transport error
#   Engine.IO, websocket, 17 messages: 17 delivered, connected
#   Socket.IO, polling,   40 messages: 0 delivered, transport error, connected again
#   Socket.IO, websocket, 40 messages: 40 delivered, connected
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check python-engineio==4.15.1 \
    python-socketio==5.18.1 aiohttp==3.14.5
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import logging

import engineio
import socketio
from aiohttp import web

logging.disable()


@web.middleware
async def after_delay(request, handler):
    if request.method == "GET" and "sid" in request.query:
        await asyncio.sleep(0.05)
    return await handler(request)


async def started(server, middlewares):
    application = web.Application(middlewares=middlewares)
    server.attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"


async def arrived(delivered, events, count):
    for _ in range(100):
        if len(delivered) >= count or len(events) > 1:
            break
        await asyncio.sleep(0.05)


async def with_engineio(transport, count):
    server = engineio.AsyncServer(async_mode="aiohttp", ping_interval=2, ping_timeout=1)

    async def message(sid, data):
        for number in range(data["count"]):
            await server.send(sid, str(number))

    server.on("message", message)
    runner, url = await started(server, [])
    client = engineio.AsyncClient()
    delivered, events = [], ["connected"]

    async def receive(data):
        delivered.append(data)

    async def disconnect(reason):
        events.append(reason)

    client.on("message", receive)
    client.on("disconnect", disconnect)
    await client.connect(url, transports=[transport])
    await client.send({"count": count})
    await arrived(delivered, events, count)
    result = len(delivered), events[-1]
    await client.disconnect()
    await runner.cleanup()
    return result


async def with_socketio(transport, count):
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=2, ping_timeout=1)

    async def history(sid, data):
        for number in range(data):
            await server.emit("news", number, to=sid)

    server.on("history", history)
    runner, url = await started(server, [after_delay])
    client = socketio.AsyncClient(reconnection_delay=0.1)
    delivered, events = [], []

    async def connect():
        events.append("connected" if not events else "connected again")

    async def disconnect(reason):
        events.append(reason)

    async def news(data):
        delivered.append(data)

    client.on("connect", connect)
    client.on("disconnect", disconnect)
    client.on("news", news)
    await client.connect(url, transports=[transport])
    await client.emit("history", count)
    await arrived(delivered, events, count)
    for _ in range(100):
        if events[-1].startswith("connected"):
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    result = len(delivered), ", ".join(events[1:] or events)
    await client.disconnect()
    await runner.cleanup()
    return result


async def main():
    for name, run, transport, count, expected in [
        ("Engine.IO", with_engineio, "polling", 16, (16, "connected")),
        ("Engine.IO", with_engineio, "polling", 17, (0, "transport error")),
        ("Engine.IO", with_engineio, "websocket", 17, (17, "connected")),
        ("Socket.IO", with_socketio, "polling", 40, (None, "transport error, connected again")),
        ("Socket.IO", with_socketio, "websocket", 40, (40, "connected")),
    ]:
        delivered, state = await run(transport, count)
        print(f"{name}, {transport + ',':<10} {count} messages: {delivered} delivered, {state}")
        if expected[0] is None:
            assert delivered < count - 16 and state == expected[1]
        else:
            assert (delivered, state) == expected


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
