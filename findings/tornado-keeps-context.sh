#!/usr/bin/env bash
# Tornado 6.6.1, a WebSocket client with compression (compression_options={}): it does not notice
# that the server answered client_no_context_takeover or server_no_context_takeover (RFC 7692,
# 7.1.1), and keeps its compressor's window from message to message all the same.
# A server that relies on its own answer and inflates each message alone cannot read the second
# message, and closes the connection: here websockets 17.4, with 1002. The first message arrives.
# One would expect that a client that offers permessage-deflate obeys the two parameters without
# a value, or refuses the answer. A parameter that it does not know makes it refuse.
#
# Cause: Tornado splits Sec-WebSocket-Extensions with its parser for fields such as Content-Type,
# which drops parameters without "=". Both parameters have none. So the agreement looks empty.
#
# Output seen:
#   the server answered: permessage-deflate; server_no_context_takeover; client_no_context_takeover
#   Tornado's parser: ('permessage-deflate', {})
#   Tornado sent 3 messages, the server read 1; the client was closed with 1002
#   without compression the server read 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tornado==6.6.1 websockets==17.4
cat > "$folder/run.py" <<'PYTHON'
import asyncio

import tornado.httputil
import websockets
from tornado.websocket import websocket_connect
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

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


count, code, answer = asyncio.run(run({}))
print("the server answered:", answer)
parsed = tornado.httputil._parse_header(answer)
print("Tornado's parser:", parsed)
print(f"Tornado sent 3 messages, the server read {count}; the client was closed with {code}")
plain = asyncio.run(run(None))[0]
print("without compression the server read", plain)
assert answer.endswith("client_no_context_takeover") and parsed[1] == {}
assert (count, code, plain) == (1, 1002, 3)
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
