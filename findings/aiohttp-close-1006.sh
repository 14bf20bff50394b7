#!/usr/bin/env bash
# aiohttp 3.14.5, a WebSocket client, reports the close code 1006 (connection lost) although the
# closing handshake was complete, if the server's Close frame has no code. Tornado's close() and
# autobahn's sendClose() send such a frame. Having answered it, the client waits in receive() until
# the server closes TCP, for up to 10 seconds by default; with a code it does not wait.
# One would expect 1005, at once, as websockets 17.4 reports it (RFC 6455, 7.1.5). Code that
# connects again after 1006 does so after a wanted end.
#
# Cause: aiohttp keeps 0 as the code of such a frame, takes 0 for "no Close frame yet", and reads on
# until a second one comes. The end of the connection, or the timeout, then becomes 1006.
#
# Output seen:
#   close(1000) of Tornado: aiohttp 1000, websockets 1000
#   close() of Tornado:     aiohttp 1006 (EofStream), websockets 1005
#   a server that closes TCP after 2 s: aiohttp 1006 after 2 s, with a code 1000 after 0 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    aiohttp==3.14.5 tornado==6.6.1 websockets==17.4
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import base64
import contextlib
import hashlib
import time

import aiohttp
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
import websockets


class Closing(tornado.websocket.WebSocketHandler):
    def open(self):
        self.write_message("hello")
        if self.get_query_argument("code", ""):
            self.close(1000)
        else:
            self.close()


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        messages = [message.data async for message in connection]
        assert messages == ["hello"]
        return int(connection.close_code), type(connection.exception()).__name__


async def with_websockets(url):
    async with websockets.connect(url, proxy=None) as connection:
        messages = [message async for message in connection]
        assert messages == ["hello"]
    return int(connection.close_code)


async def slow_server(reader, writer):
    """Sends a message and a Close frame, and closes TCP 2 seconds after the answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n\x81\x05hello")
    writer.write(b"\x88\x02\x03\xe8" if "code=1000" in head else b"\x88\x00")
    answer = await reader.read(100)
    assert answer[0] == 0x88
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(2)
    writer.close()


async def main():
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    tornado.httpserver.HTTPServer(tornado.web.Application([("/", Closing)])).add_sockets(sockets)
    url = f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/"

    code, _ = await with_aiohttp(url + "?code=1000")
    other = await with_websockets(url + "?code=1000")
    print(f"close(1000) of Tornado: aiohttp {code}, websockets {other}")
    assert code == other == 1000

    code, exception = await with_aiohttp(url)
    other = await with_websockets(url)
    print(f"close() of Tornado:     aiohttp {code} ({exception}), websockets {other}")
    assert (code, exception, other) == (1006, "EofStream", 1005)

    async with await asyncio.start_server(slow_server, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        start = time.monotonic()
        code, _ = await with_aiohttp(url)
        middle = time.monotonic()
        other, _ = await with_aiohttp(url + "?code=1000")
        seconds, other_seconds = middle - start, time.monotonic() - middle
        print(f"a server that closes TCP after 2 s: aiohttp {code} after {seconds:.0f} s, "
              f"with a code {other} after {other_seconds:.0f} s")
        assert (code, other) == (1006, 1000) and seconds > 1.9 and other_seconds < 1.5


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
