#!/usr/bin/env bash
# A WebSocket client sends five messages, closes with 1000, and receives the server's Close frame.
# Whether the server's application has seen the messages depends on its library, if the application
# takes a moment for each (here 50 ms) and then answers it:
#   uvicorn 0.54.0, websockets 17.4                   it sees one of five
#   hypercorn 0.18.0, aiohttp 3.14.5, tornado 6.6.1   it sees all five
# The client cannot notice the difference: a complete handshake, code 1000, no error.
# One would expect that messages before a Close frame are handled before it, and that answers to a
# client that has gone are dropped. Programs that connect, send and close lose messages otherwise.
# A server should read on after an answer has failed: the messages are still there. A client should
# wait for the answer to its last message before it closes.
#
# Cause: the first two read frames in the background, and answer a Close frame when they read it.
# The application is still at the first message when the connection is closed; its answer raises,
# and that ends the usual loop of receiving and answering. hypercorn also reads in the background,
# but drops answers after the end. aiohttp and tornado read on when a message has been handled.
#
# Output seen:
#   uvicorn     1 of 5, the client's code is 1000; reading on: 5 of 5
#   hypercorn   5 of 5, the client's code is 1000; reading on: 5 of 5
#   websockets  1 of 5, the client's code is 1000; reading on: 5 of 5
#   aiohttp     5 of 5, the client's code is 1000
#   tornado     5 of 5, the client's code is 1000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 websockets==17.4 \
    hypercorn==0.18.0 aiohttp==3.14.5 tornado==6.6.1
cd "$folder"
cat > application.py <<'PYTHON'
import asyncio


async def application(scope, receive, send):
    reads_on = scope["query_string"] == b"on"
    await receive()
    await send({"type": "websocket.accept"})
    count = 0
    while (await receive())["type"] == "websocket.receive":
        count += 1
        await asyncio.sleep(0.05)  # The work, such as storing the message.
        try:
            await send({"type": "websocket.send", "text": "answer"})
        except Exception:
            if not reads_on:
                break
    with open("seen", "w") as file:
        file.write(str(count))
PYTHON
cat > run.py <<'PYTHON'
import asyncio
import os
import socket
import subprocess

import aiohttp.web
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
import websockets

COUNT = 5
COMMANDS = {
    "uvicorn": ["uvicorn", "application:application", "--port", "PORT", "--lifespan", "off"],
    "hypercorn": ["hypercorn", "application:application", "--bind", "127.0.0.1:PORT"],
}
EXPECTED = {
    "uvicorn": (1, 5), "websockets": (1, 5),
    "hypercorn": (5, 5), "aiohttp": (5, None), "tornado": (5, None),
}


def note(count):
    with open("seen", "w") as file:
        file.write(str(count))


async def with_websockets(connection):
    reads_on = connection.request.path.endswith("on")
    count = 0
    try:
        while True:
            await connection.recv()
            count += 1
            await asyncio.sleep(0.05)
            try:
                await connection.send("answer")
            except websockets.ConnectionClosed:
                if not reads_on:
                    break
    except websockets.ConnectionClosed:
        pass
    note(count)


async def with_aiohttp(request):
    response = aiohttp.web.WebSocketResponse()
    await response.prepare(request)
    count = 0
    async for _ in response:
        count += 1
        await asyncio.sleep(0.05)
        await response.send_str("answer")
    note(count)
    return response


class WithTornado(tornado.websocket.WebSocketHandler):
    count = 0

    async def on_message(self, message):
        self.count += 1
        await asyncio.sleep(0.05)
        await self.write_message("answer")

    def on_close(self):
        note(self.count)


async def count_of(port, query):
    """Sends all frames in one segment, so that no timing of this machine matters."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    mask = bytes(4)
    messages = b"".join(b"\x81\x81" + mask + b"%d" % number for number in range(COUNT))
    writer.write(messages + b"\x88\x82" + mask + (1000).to_bytes(2, "big"))
    received = await reader.read()
    writer.close()
    while received[:1] == b"\x81":
        received = received[2 + received[1]:]
    assert received[:2] == b"\x88\x02"
    code = int.from_bytes(received[2:4], "big")
    for _ in range(100):
        if os.path.exists("seen") and (text := open("seen").read()):
            break
        await asyncio.sleep(0.05)
    os.remove("seen")
    return int(text), code


async def check(name, port):
    count, code = await count_of(port, "")
    later = (await count_of(port, "on"))[0] if EXPECTED[name][1] else None
    print(f"{name:<11} {count} of {COUNT}, the client's code is {code}"
          + ("" if later is None else f"; reading on: {later} of {COUNT}"))
    assert (count, later) == EXPECTED[name] and code == 1000


async def main():
    for name, command in COMMANDS.items():
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [word.replace("PORT", str(port)) for word in command]
        command[0] = f"venv/bin/{command[0]}"
        server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            await check(name, port)
        finally:
            server.terminate()
            server.wait()

    async with websockets.serve(with_websockets, "127.0.0.1", 0) as server:
        await check("websockets", server.sockets[0].getsockname()[1])

    application = aiohttp.web.Application()
    application.router.add_get("/", with_aiohttp)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await check("aiohttp", site._server.sockets[0].getsockname()[1])
    await runner.cleanup()

    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    application = tornado.web.Application([("/", WithTornado)])
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    await check("tornado", sockets[0].getsockname()[1])


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" run.py
