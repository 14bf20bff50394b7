#!/usr/bin/env bash
# httpx-ws 0.9.0, its asynchronous client: a Pong frame that the client did not ask for ends the
# connection. Messages behind it are lost, and the program gets an ExceptionGroup with a KeyError.
# RFC 6455 (5.5.3): a Pong may be sent unsolicited, as a heartbeat in one direction, and needs no
# answer. One would expect that it is ignored, as websockets 17.4, aiohttp 3.14.5 and
# websocket-client 1.9.2 do; .NET's WebSockets send such Pongs as keep-alive by default.
# So a server whose clients may use httpx-ws should send Pings as its heartbeat, never Pongs.
#
# Cause: the client looks up the event of its own Ping by the Pong's data, without a check that
# there is one, and the exception ends the task that reads.
#
# Output seen (the server sends "one", a Pong, "two"):
#   httpx-ws          one, then KeyError
#   websockets        one, two
#   aiohttp           one, two
#   websocket-client  one, two
#   httpx-ws, when the server sends a Ping instead: one, two
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx-ws==0.9.0 httpx==0.28.1 \
    wsproto==1.3.2 websockets==17.4 aiohttp==3.14.5 websocket-client==1.9.2
cat > "$folder/run.py" <<'PYTHON'
import asyncio

import aiohttp
import httpx
import httpx_ws
import websocket
import websockets

heartbeat = "pong"


async def handler(connection):
    await connection.send("one")
    await asyncio.sleep(0.2)
    await getattr(connection, heartbeat)(b"beat")
    await connection.send("two")
    try:
        await connection.recv()
    except websockets.ConnectionClosed:
        pass


async def with_httpx_ws(url, messages):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with httpx_ws.aconnect_ws(url.replace("ws:", "http:"), client) as connection:
            for _ in range(2):
                messages.append(await connection.receive_text())


async def with_websockets(url, messages):
    async with websockets.connect(url, proxy=None) as connection:
        for _ in range(2):
            messages.append(await connection.recv())


async def with_aiohttp(url, messages):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        for _ in range(2):
            messages.append(await connection.receive_str())


async def with_websocket_client(url, messages):
    def receive():
        connection = websocket.create_connection(url, timeout=5)
        for _ in range(2):
            messages.append(connection.recv())
        connection.close()

    await asyncio.to_thread(receive)


async def outcome_of(run, url):
    messages = []
    try:
        await asyncio.wait_for(run(url, messages), 5)
        return ", ".join(messages)
    except BaseExceptionGroup as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return ", ".join([*messages, f"then {type(error).__name__}"])


async def main():
    global heartbeat
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for name, run, expected in [
            ("httpx-ws", with_httpx_ws, "one, then KeyError"),
            ("websockets", with_websockets, "one, two"),
            ("aiohttp", with_aiohttp, "one, two"),
            ("websocket-client", with_websocket_client, "one, two"),
        ]:
            outcome = await outcome_of(run, url)
            print(f"{name:<17}", outcome)
            assert outcome == expected
        heartbeat = "ping"
        outcome = await outcome_of(with_httpx_ws, url)
        print("httpx-ws, when the server sends a Ping instead:", outcome)
        assert outcome == "one, two"


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
