#!/usr/bin/env bash
# A client that offers permessage-deflate with server_max_window_bits=8, the smallest valid window
# (RFC 7692, 7.1.2.1), gets no WebSocket from daphne 4.2.3, which answers 400, and none from
# Tornado 6.6.1 with compression, which answers 500. It makes no difference that permessage-deflate
# without a limit is the client's second choice, which Tornado supports, and that daphne never
# compresses. websockets 17.4 and aiohttp 3.14.5 take the second choice, and without one they answer
# 101 without compression.
# One would expect that a server declines an offer that it cannot fulfil, and accepts the
# connection (RFC 7692, 5.1).
# zlib cannot compress with so small a window: a client that needs one should offer 9.
#
# Cause: autobahn, below daphne, parses all offers and fails for a value below 9. Tornado accepts 8
# and hands it to zlib, which raises.
#
# Output seen:
#               8              8, or any      9
#   daphne      400            400            101
#   tornado     500            500            101 compressed
#   websockets  101            101 compressed 101 compressed
#   aiohttp     101            101 compressed 101 compressed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check daphne==4.2.3 autobahn==26.10.2 \
    tornado==6.6.1 websockets==17.4 aiohttp==3.14.5
cd "$folder"
cat > application.py <<'PYTHON'
async def application(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
PYTHON
cat > run.py <<'PYTHON'
import asyncio
import logging
import socket
import subprocess

import aiohttp.web
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
import websockets

logging.disable(logging.CRITICAL)
OFFERS = {
    "8": "permessage-deflate; server_max_window_bits=8",
    "8, or any": "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "9": "permessage-deflate; server_max_window_bits=9",
}


async def ask(port, offer):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Extensions: " + offer.encode() + b"\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    is_compressed = b"sec-websocket-extensions: permessage-deflate" in head.lower()
    return head.split()[1].decode() + (" compressed" if is_compressed else "")


class Compressing(tornado.websocket.WebSocketHandler):
    def get_compression_options(self):
        return {}


async def wait(connection):
    await connection.wait_closed()


async def with_aiohttp(request):
    response = aiohttp.web.WebSocketResponse()
    await response.prepare(request)
    async for _ in response:
        pass
    return response


async def main():
    with socket.create_server(("127.0.0.1", 0)) as free:
        daphne_port = free.getsockname()[1]
    daphne = subprocess.Popen(
        ["venv/bin/daphne", "application:application", "--bind", "127.0.0.1",
         "--port", str(daphne_port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        application = tornado.web.Application([("/", Compressing)])
        tornado.httpserver.HTTPServer(application).add_sockets(sockets)
        server = await websockets.serve(wait, "127.0.0.1", 0, close_timeout=0.1)
        application = aiohttp.web.Application()
        application.router.add_get("/", with_aiohttp)
        runner = aiohttp.web.AppRunner(application)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", daphne_port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        ports = {
            "daphne": daphne_port,
            "tornado": sockets[0].getsockname()[1],
            "websockets": server.sockets[0].getsockname()[1],
            "aiohttp": site._server.sockets[0].getsockname()[1],
        }
        expected = {
            "daphne": ["400", "400", "101"],
            "tornado": ["500", "500", "101 compressed"],
            "websockets": ["101", "101 compressed", "101 compressed"],
            "aiohttp": ["101", "101 compressed", "101 compressed"],
        }
        print(f"{'':<11} " + " ".join(f"{name:<14}" for name in OFFERS).rstrip())
        for name, port in ports.items():
            answers = [await ask(port, offer) for offer in OFFERS.values()]
            print(f"{name:<11} " + " ".join(f"{answer:<14}" for answer in answers).rstrip())
            assert answers == expected[name]
        await runner.cleanup()
        server.close()
    finally:
        daphne.terminate()
        daphne.wait()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" run.py
