#!/usr/bin/env bash
# websockets 17.4, tornado 6.6.1, autobahn 26.10.2 and lomond 0.3.4 read every compressed WebSocket
# message after the first one as empty, if the sender ends each message with a final DEFLATE block,
# and the window is kept between messages. No error, the connection stays open, and plain messages
# still arrive. wsproto 1.3.2 closes with 1007. aiohttp 3.14.5 reads all of them.
# RFC 7692 (7.2.3.4) allows final blocks and has an example. One would expect that a receiver
# supports them or fails, and never that it delivers other messages than were sent. Compressors
# without a flush, such as libdeflate, end every message so.
#
# Cause: zlib.decompressobj ignores all input after the final block (it goes to unused_data), and
# the four libraries keep one such object for the connection and do not look at its eof. wsproto
# also calls flush() after each message, which closes an object at its end: the next call fails.
#
# Output seen:
#   websockets  Hello, '', '', plain
#   tornado     Hello, '', '', plain
#   autobahn    Hello, '', '', plain
#   lomond      Hello, '', '', plain
#   wsproto     Hello, closed with 1007
#   aiohttp     Hello, World, Third, plain
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 tornado==6.6.1 \
    autobahn==26.10.2 lomond==0.3.4 wsproto==1.3.2 aiohttp==3.14.5 2> "$folder/pip.log" ||
    { cat "$folder/pip.log" >&2; exit 1; }
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import base64
import hashlib
import socket
import threading
import zlib

import aiohttp
import lomond
import websockets
import wsproto
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateResponseAccept
from tornado.websocket import websocket_connect
from wsproto.events import AcceptConnection, CloseConnection, Message, Request
from wsproto.extensions import PerMessageDeflate


def final(text):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(text) + deflater.flush(zlib.Z_FINISH) + b"\0"


def frame(first, payload):
    return bytes([first, len(payload)]) + payload


# The example of RFC 7692, 7.2.3.4.
assert final(b"Hello") == bytes.fromhex("f348cdc9c9070000")
FRAMES = b"".join(frame(0xC1, final(text)) for text in (b"Hello", b"World", b"Third"))
FRAMES += frame(0x81, b"plain")


def serve(listener):
    while True:
        client = listener.accept()[0]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:-2])
        key = head.decode().split("ey: ", 1)[1].split("\r\n")[0]
        assert "permessage-deflate" in fields["sec-websocket-extensions"]
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n" + FRAMES)
        threading.Thread(target=finish, args=(client,), daemon=True).start()


def finish(client):
    try:
        while client.recv(4096):
            pass
    except OSError:
        pass
    client.close()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
PORT = listener.getsockname()[1]
URL = f"ws://127.0.0.1:{PORT}/"


async def read_websockets():
    connection = await websockets.connect(URL, proxy=None, close_timeout=0.1)
    messages = [await connection.recv() for _ in range(4)]
    await connection.close()
    return messages


async def read_tornado():
    connection = await websocket_connect(URL, compression_options={})
    return [await connection.read_message() for _ in range(4)]


async def read_autobahn():
    messages, is_done = [], asyncio.Event()

    class Protocol(WebSocketClientProtocol):
        def onMessage(self, payload, isBinary):
            messages.append(payload.decode())
            if len(messages) == 4:
                is_done.set()

    factory = WebSocketClientFactory(URL)
    factory.protocol = Protocol
    factory.setProtocolOptions(
        perMessageCompressionOffers=[PerMessageDeflateOffer()],
        perMessageCompressionAccept=PerMessageDeflateResponseAccept)
    await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", PORT)
    await is_done.wait()
    return messages


async def read_lomond():
    messages = []
    for event in lomond.WebSocket(URL, compress=True).connect(ping_rate=0):
        if event.name == "text":
            messages.append(event.text)
            if len(messages) == 4:
                return messages


async def read_wsproto():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    writer.write(connection.send(
        Request(host="127.0.0.1", target="/", extensions=[PerMessageDeflate()])))
    messages = []
    while True:
        connection.receive_data(await reader.read(4096))
        for event in connection.events():
            assert isinstance(event, (AcceptConnection, CloseConnection, Message))
            if isinstance(event, CloseConnection):
                return [*messages, f"closed with {int(event.code)}"]
            if isinstance(event, Message):
                assert event.message_finished
                messages.append(event.data)


async def read_aiohttp():
    async with aiohttp.ClientSession() as session:
        connection = await session.ws_connect(URL, compress=15)
        return [await connection.receive_str() for _ in range(4)]


for read in (read_websockets, read_tornado, read_autobahn, read_lomond, read_wsproto, read_aiohttp):
    messages = asyncio.run(asyncio.wait_for(read(), 10))
    print(f"{read.__name__[5:]:<11}", ", ".join(message or "''" for message in messages))
    assert messages == {
        read_wsproto: ["Hello", "closed with 1007"],
        read_aiohttp: ["Hello", "World", "Third", "plain"],
    }.get(read, ["Hello", "", "", "plain"])
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
