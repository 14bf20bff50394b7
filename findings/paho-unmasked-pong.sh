#!/usr/bin/env bash
# paho-mqtt 2.2.0 with transport="websockets" answers a Ping frame with a Pong frame that is not
# masked. RFC 6455 (5.1): a client masks all its frames, and a server closes the connection when it
# receives one without a mask. websockets 15.0.1, uvicorn 0.54.0, hypercorn 0.18.0 and daphne 4.2.3
# do so at their first ping. aiohttp 3.14.5 and tornado 6.6.1 do not look at the mask.
# So with the broker amqtt 0.12.1, which has websockets below and leaves its pings at their default,
# a paho client is disconnected every 20 seconds.
# One would expect that the most used MQTT client of Python survives a ping. Short tests do not
# notice it, because uvicorn and daphne, too, send the first ping after 20 seconds.
# A server of MQTT over WebSocket should switch these pings off: MQTT has its own (PINGREQ).
#
# Cause: paho has a WebSocket client of its own, and asks for a mask in data frames only. Its answer
# to a Close frame has none either.
#
# Output seen (a ping each second, for 3 s):
#   the Pong, and the answer to Close:  8a 04 62 65 61 74, 88 02 03 e8
#   websockets  disconnected
#   uvicorn     disconnected
#   hypercorn   disconnected
#   daphne      disconnected
#   aiohttp     connected
#   tornado     connected
#   amqtt       disconnected after 20 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check paho-mqtt==2.2.0 amqtt==0.12.1 \
    websockets==15.0.1 uvicorn==0.54.0 hypercorn==0.18.0 daphne==4.2.3 aiohttp==3.14.5 \
    tornado==6.6.1
cat > "$folder/application.py" <<'PYTHON'
async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept", "subprotocol": "mqtt"})
        elif message["type"] == "websocket.disconnect":
            return
        elif message["bytes"][0] >> 4 == 1:
            await send({"type": "websocket.send", "bytes": b"\x20\x02\x00\x00"})
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import base64
import hashlib
import logging
import socket
import subprocess
import sys
import time

import paho.mqtt.client as mqtt
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
import websockets
from aiohttp import web
from amqtt.broker import Broker

logging.disable()
CONNACK = b"\x20\x02\x00\x00"
BIN, FOLDER = sys.argv[1], sys.argv[2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def stays(port, seconds):
    """Returns whether a client stays connected for so long, and how long it was."""
    ends = []
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, transport="websockets", reconnect_on_failure=False)
    client.on_disconnect = lambda *_: ends.append(time.monotonic())
    await asyncio.to_thread(client.connect, "127.0.0.1", port)
    began = time.monotonic()
    client.loop_start()
    while not ends and time.monotonic() < began + seconds:
        await asyncio.sleep(0.1)
    stayed = client.is_connected()
    assert stayed == (not ends)
    client.disconnect()
    await asyncio.to_thread(client.loop_stop)
    return stayed, (ends[0] if ends else time.monotonic()) - began


async def frames():
    """Returns the frames with which the client answers Ping and Close."""
    answers = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        key = [line.split(": ")[1] for line in head if line.startswith("Sec-WebSocket-Key")][0]
        accept = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + base64.b64encode(accept)
            + b"\r\n\r\n")
        await reader.read(100)
        writer.write(b"\x82\x04" + CONNACK + b"\x89\x04beat")
        answers.append((await reader.read(100)).hex(" "))
        writer.write(b"\x88\x02\x03\xe8")
        answers.append((await reader.read(100)).hex(" "))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await stays(server.sockets[0].getsockname()[1], 3)
    return answers


async def with_websockets():
    async def serve(connection):
        try:
            async for message in connection:
                if message[0] >> 4 == 1:
                    await connection.send(CONNACK)
        except websockets.ConnectionClosed:
            pass

    async with websockets.serve(
            serve, "127.0.0.1", 0, subprotocols=["mqtt"], ping_interval=1) as server:
        return await stays(server.sockets[0].getsockname()[1], 3)


async def with_aiohttp():
    async def serve(request):
        connection = web.WebSocketResponse(heartbeat=1, protocols=["mqtt"])
        await connection.prepare(request)
        async for message in connection:
            if message.data[0] >> 4 == 1:
                await connection.send_bytes(CONNACK)
        return connection

    application = web.Application()
    application.router.add_get("/mqtt", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    result = await stays(site._server.sockets[0].getsockname()[1], 3)
    await runner.cleanup()
    return result


class Handler(tornado.websocket.WebSocketHandler):
    def select_subprotocol(self, names):
        return "mqtt"

    def on_message(self, message):
        if message[0] >> 4 == 1:
            self.write_message(CONNACK, binary=True)


async def with_tornado():
    application = tornado.web.Application(
        [("/mqtt", Handler)], websocket_ping_interval=1, websocket_ping_timeout=0.9)
    server = tornado.httpserver.HTTPServer(application)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    result = await stays(sockets[0].getsockname()[1], 3)
    server.stop()
    return result


def with_program(*command):
    async def run():
        port = free_port()
        program = subprocess.Popen(
            [f"{BIN}/{command[0]}", *(part.format(port=port) for part in command[1:]),
             "application:application"],
            cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    await asyncio.sleep(0.1)
            return await stays(port, 3)
        finally:
            program.terminate()
            program.wait()

    return run


async def with_amqtt():
    port = free_port()
    broker = Broker({
        "listeners": {"default": {"type": "ws", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {
            "allow_anonymous": True}}})
    await broker.start()
    result = await stays(port, 25)
    await broker.shutdown()
    return result


async def main():
    answers = await frames()
    print("the Pong, and the answer to Close: ", ", ".join(answers))
    assert answers == ["8a 04 62 65 61 74", "88 02 03 e8"]
    for name, run, expected in [
        ("websockets", with_websockets, False),
        ("uvicorn", with_program("uvicorn", "--port", "{port}", "--ws-ping-interval", "1"), False),
        ("hypercorn", with_program(
            "hypercorn", "--bind", "127.0.0.1:{port}", "--websocket-ping-interval", "1"), False),
        ("daphne", with_program("daphne", "-p", "{port}", "--ping-interval", "1"), False),
        ("aiohttp", with_aiohttp, True),
        ("tornado", with_tornado, True),
    ]:
        stayed, _ = await run()
        print(f"{name:<11}", "connected" if stayed else "disconnected")
        assert stayed == expected
    stayed, seconds = await with_amqtt()
    print(f"{'amqtt':<11} disconnected after {seconds:.0f} s")
    assert not stayed and 19 < seconds < 23


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/venv/bin" "$folder"
