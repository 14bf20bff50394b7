#!/usr/bin/env bash
# A server that answers a WebSocket handshake with "Connection: keep-alive, Upgrade" is refused by
# aiohttp 3.14.5, tornado 6.6.1 and picows 2.3.1. websockets 17.4, websocket-client 1.9.2 and
# simple-websocket 1.1.0 (wsproto 1.3.2) accept it.
# Connection is a list of tokens, and RFC 6455 (4.1) asks only whether it contains "Upgrade". One
# would expect that clients know lists in this field, because Firefox sends exactly this one in its
# requests, and the servers of the same libraries accept it there: aiohttp's and tornado's do.
# Tornado's client reports "Stream is closed", and the reason only in its log.
# So a server or proxy should send "Connection: Upgrade" and nothing else in this field.
#
# Cause: these clients compare the whole value of the field with "upgrade".
#
# Output seen:
#   aiohttp           WSServerHandshakeError
#   tornado           StreamClosedError
#   picows            WSInvalidUpgradeError
#   websockets        connected
#   websocket-client  connected
#   simple-websocket  connected
#   as a server, for the same field in a request: aiohttp 101, tornado 101
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiohttp==3.14.5 tornado==6.6.1 \
    picows==2.3.1 websockets==17.4 websocket-client==1.9.2 simple-websocket==1.1.0 wsproto==1.3.2
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import base64
import hashlib
import logging

import aiohttp
import aiohttp.web
import picows
import simple_websocket
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
import websocket
import websockets

logging.disable(logging.CRITICAL)


async def serve(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = head.lower().index("sec-websocket-key: ") + len("sec-websocket-key: ")
    key = head[key:].split("\r\n")[0]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: keep-alive, Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
    await reader.read(100)
    writer.close()


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session:
        connection = await session.ws_connect(url)
        connection._response.close()


async def with_tornado(url):
    (await tornado.websocket.websocket_connect(url)).close()


async def with_picows(url):
    transport, _ = await picows.ws_connect(picows.WSListener, url)
    transport.disconnect()


async def with_websockets(url):
    connection = await websockets.connect(url, proxy=None, close_timeout=0.1)
    await connection.close()


async def with_websocket_client(url):
    connection = await asyncio.to_thread(websocket.create_connection, url, timeout=5)
    await asyncio.to_thread(connection.shutdown)


async def with_simple_websocket(url):
    connection = await asyncio.to_thread(simple_websocket.Client, url)
    await asyncio.to_thread(connection.close)


EXPECTED = {
    with_aiohttp: "WSServerHandshakeError",
    with_tornado: "StreamClosedError",
    with_picows: "WSInvalidUpgradeError",
    with_websockets: "connected",
    with_websocket_client: "connected",
    with_simple_websocket: "connected",
}


async def answer(request):
    response = aiohttp.web.WebSocketResponse()
    await response.prepare(request)
    async for _ in response:
        pass
    return response


async def status_of(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(line.split()[1])


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for run, expected in EXPECTED.items():
        try:
            await asyncio.wait_for(run(url), 10)
            outcome = "connected"
        except Exception as error:
            outcome = type(error).__name__
        print(f"{run.__name__[5:].replace('_', '-'):<17} {outcome}")
        assert outcome == expected

    application = aiohttp.web.Application()
    application.router.add_get("/", answer)
    runner = aiohttp.web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    first = await status_of(site._server.sockets[0].getsockname()[1])
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    application = tornado.web.Application([("/", tornado.websocket.WebSocketHandler)])
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    second = await status_of(sockets[0].getsockname()[1])
    print(f"as a server, for the same field in a request: aiohttp {first}, tornado {second}")
    assert first == second == 101
    await runner.cleanup()
    server.close()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
