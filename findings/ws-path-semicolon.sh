#!/usr/bin/env bash
# websocket-client 1.9.2 asks for another resource than the URL names, if the last segment of its
# path has a semicolon: of ws://host/rooms/tea;v=2?since=5 it requests /rooms/tea?since=5. The
# semicolon and what follows it in the path are lost without an error, so a client joins the room
# "tea". Written as %3B it arrives.
# In a path ";" is an ordinary character (RFC 3986, 3.3), and the resource name of a WebSocket is
# the path and the query (RFC 6455, 3). One would expect it in the request, as websockets 17.4,
# aiohttp 3.14.5, picows 2.3.1, simple-websocket 1.1.0, tornado 6.6.1 and lomond 0.3.4 send it.
# So names that users choose should have %3B for it in a URL, although it is a permitted character.
#
# Cause: the client removes the scheme and parses the rest with urllib.parse.urlparse() as http. For
# this scheme, but not for ws, the function splits ";" and what follows it off the path as "params".
# The client puts path and query together again without them.
#
# Output seen (the request's target):
#   websocket-client  /rooms/tea?since=5
#   websockets        /rooms/tea;v=2?since=5
#   aiohttp           /rooms/tea;v=2?since=5
#   picows            /rooms/tea;v=2?since=5
#   simple-websocket  /rooms/tea;v=2?since=5
#   tornado           /rooms/tea;v=2?since=5
#   lomond            /rooms/tea;v=2?since=5
#   websocket-client, %3B: /rooms/tea%3Bv=2?since=5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websocket-client==1.9.2 \
    lomond==0.3.4 websockets==17.4 aiohttp==3.14.5 picows==2.3.1 simple-websocket==1.1.0 \
    tornado==6.6.1
cat > "$folder/run.py" <<'PYTHON'
import asyncio

import aiohttp
import lomond
import picows
import simple_websocket
import tornado.websocket
import websocket
import websockets


async def with_websockets(url):
    async with websockets.connect(url, proxy=None):
        pass


def with_websocket_client(url):
    websocket.create_connection(url, timeout=5).close()


def with_lomond(url):
    connection = lomond.WebSocket(url)
    for event in connection.connect(ping_rate=0):
        if event.name == "ready":
            connection.close()


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        pass


async def with_picows(url):
    transport, _ = await picows.ws_connect(picows.WSListener, url)
    transport.disconnect()


def with_simple_websocket(url):
    simple_websocket.Client(url).close()


async def with_tornado(url):
    (await tornado.websocket.websocket_connect(url)).close()


WHOLE, CUT = "/rooms/tea;v=2?since=5", "/rooms/tea?since=5"
RUNS = [
    ("websocket-client", with_websocket_client, CUT),
    ("websockets", with_websockets, WHOLE), ("aiohttp", with_aiohttp, WHOLE),
    ("picows", with_picows, WHOLE), ("simple-websocket", with_simple_websocket, WHOLE),
    ("tornado", with_tornado, WHOLE), ("lomond", with_lomond, WHOLE),
]


async def main():
    targets = []

    async def handler(connection):
        targets.append(connection.request.path)
        await connection.wait_closed()

    async def target_of(run, url):
        targets.clear()
        if asyncio.iscoroutinefunction(run):
            await run(url)
        else:
            await asyncio.to_thread(run, url)
        assert len(targets) == 1
        return targets[0]

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        origin = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, run, expected in RUNS:
            target = await target_of(run, origin + WHOLE)
            print(f"{name:<17}", target)
            assert target == expected
        target = await target_of(with_websocket_client, origin + WHOLE.replace(";", "%3B"))
        print("websocket-client, %3B:", target)
        assert target == WHOLE.replace(";", "%3B")


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
