#!/usr/bin/env bash
# Tornado 6.6.1, a WebSocket client with compression (compression_options={}): it does not notice
# that the server answered client_no_context_takeover or server_no_context_takeover (RFC 7692,
# 7.1.1), and keeps its compressor's window from message to message all the same.
# A server that relies on its own answer and inflates each message alone cannot read the second
# message, and closes the connection: here websockets 17.4, with 1002. The first message arrives.
# A Tornado server does not notice the same wish in a client's offer: websockets 17.4 as the client
# then refuses the server's answer.
# One would expect that whoever implements permessage-deflate obeys the two parameters without a
# value, or declines. The two with a value work, and one that Tornado does not know is an error.
#
# Cause: Tornado splits Sec-WebSocket-Extensions with its parser for fields such as Content-Type,
# which drops parameters without "=". Both parameters have none. So the agreement looks empty.
#
# Output seen:
#   the server answered: permessage-deflate; server_no_context_takeover; client_no_context_takeover
#   Tornado's parser: ('permessage-deflate', {})
#   Tornado sent 3 messages, the server read 1; the client was closed with 1002
#   without compression the server read 3
#   a client that offers server_no_context_takeover to a Tornado server: NegotiationError,
#   one that offers permessage-deflate only: connected
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tornado==6.6.1 websockets==17.4
cat > "$folder/run.py" <<'PYTHON'
import asyncio

import tornado.httpserver
import tornado.httputil
import tornado.netutil
import tornado.web
import tornado.websocket
import websockets
from tornado.websocket import websocket_connect
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)

MESSAGE = "the same words again, the same words again"


async def run(compression):
    messages, answers = [], []

    async def handler(connection):
        answers.append(connection.response.headers.get("Sec-WebSocket-Extensions"))
        try:
            async for message in connection:
                messages.append(message)
        except websockets.ConnectionClosedError:
            pass

    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True)
    async with websockets.serve(
            handler, "127.0.0.1", 0, compression=None, extensions=[factory]) as server:
        port = server.sockets[0].getsockname()[1]
        client = await websocket_connect(
            f"ws://127.0.0.1:{port}/", compression_options=compression)
        for _ in range(3):
            await client.write_message(MESSAGE)
        if compression is None:
            client.close()
        assert await client.read_message() is None
    assert messages == [MESSAGE] * len(messages)
    return len(messages), client.close_code, answers[0]


class Compressing(tornado.websocket.WebSocketHandler):
    def get_compression_options(self):
        return {}


async def offer_to_tornado(is_demanding):
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    application = tornado.web.Application([("/", Compressing)])
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    factory = ClientPerMessageDeflateFactory(server_no_context_takeover=is_demanding)
    try:
        connection = await websockets.connect(
            f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/", proxy=None, compression=None,
            extensions=[factory], close_timeout=0.1)
        await connection.close()
        return "connected"
    except websockets.NegotiationError as error:
        return type(error).__name__


count, code, answer = asyncio.run(run({}))
print("the server answered:", answer)
parsed = tornado.httputil._parse_header(answer)
print("Tornado's parser:", parsed)
print(f"Tornado sent 3 messages, the server read {count}; the client was closed with {code}")
plain = asyncio.run(run(None))[0]
print("without compression the server read", plain)
assert answer.endswith("client_no_context_takeover") and parsed[1] == {}
assert (count, code, plain) == (1, 1002, 3)
demanding, other = asyncio.run(offer_to_tornado(True)), asyncio.run(offer_to_tornado(False))
print(f"a client that offers server_no_context_takeover to a Tornado server: {demanding},")
print("one that offers permessage-deflate only:", other)
assert (demanding, other) == ("NegotiationError", "connected")
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
