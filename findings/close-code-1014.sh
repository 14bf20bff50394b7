#!/usr/bin/env bash
# A gateway closes a WebSocket with 1014 (bad gateway). Six of eleven clients report something else,
# as if the other side had violated the protocol or the network had failed:
#   websockets 17.4, aiohttp 3.14.5, tornado 6.6.1, picows 2.3.1, websocket-client 1.9.2: 1014
#   httpx-ws 0.9.0, simple-websocket 1.1.0, trio-websocket 0.12.2 (all on wsproto 1.3.2): 1002
#   lomond 0.3.4: a protocol error; autobahn 26.10.2: 1006; ws4py 0.6.0: 1005
# All of them but ws4py know 1012 (service restart). Ruby's faye-websocket 0.11.0 with
# websocket-driver 0.6.3 (Debian 12) reports 1002 for both.
# IANA has registered 1012, 1013 and 1014 in the way that RFC 6455 (11.7) provides. One would expect
# that a client hands over a code that it does not know itself: otherwise each registration turns
# the server's error into the client's until all clients have been replaced.
# A server is understood by all of them with codes of RFC 6455, or with 4000 to 4999.
#
# Cause: these libraries have a list of the valid codes below 3000.
#
# Output seen (for 1014, 1012, 4003):
#   websockets        1014, 1012, 4003
#   aiohttp           1014, 1012, 4003
#   tornado           1014, 1012, 4003
#   picows            1014, 1012, 4003
#   websocket-client  1014, 1012, 4003
#   httpx-ws          1002, 1012, 4003
#   simple-websocket  1002, 1012, 4003
#   trio-websocket    1002, 1012, 4003
#   lomond            protocol_error, 1012, 4003
#   autobahn          1006, 1012, 4003
#   ws4py             1005, 1005, 4003
#   faye-websocket    1002, 1002, 4003
set -euo pipefail
for package in ruby-faye-websocket=0.11.0-1 ruby-websocket-driver=0.6.3-3+b5; do
    if [[ $(dpkg-query -W -f '${Version}' "${package%=*}" 2>&1) != "${package#*=}" ]]; then
        echo "install ${package%=*} ${package#*=} (Debian 12)" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 aiohttp==3.14.5 \
    tornado==6.6.1 picows==2.3.1 websocket-client==1.9.2 httpx==0.28.1 httpx-ws==0.9.0 \
    simple-websocket==1.1.0 trio==0.35.0 trio-websocket==0.12.2 wsproto==1.3.2 lomond==0.3.4 \
    autobahn==26.10.2 ws4py==0.6.0
cat > "$folder/client.rb" <<'RUBY'
require "faye/websocket"
require "eventmachine"
EM.run do
  client = Faye::WebSocket::Client.new(ARGV[0])
  client.on(:close) do |event|
    puts event.code
    EM.stop
  end
end
RUBY
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import logging
import subprocess
import sys

import aiohttp
import httpx
import httpx_ws
import lomond
import picows
import simple_websocket
import tornado.websocket
import trio
import trio_websocket
import websocket
import websockets
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from ws4py.client.threadedclient import WebSocketClient

logging.disable()


async def with_websockets(url):
    async with websockets.connect(url, proxy=None) as connection:
        await connection.wait_closed()
        return connection.close_code


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        await connection.receive()
        return connection.close_code


async def with_tornado(url):
    connection = await tornado.websocket.websocket_connect(url)
    await connection.read_message()
    return connection.close_code


async def with_picows(url):
    codes = []

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            codes.append(int(frame.get_close_code()))
            transport.send_close(1000)
            transport.disconnect()

    transport, _ = await picows.ws_connect(Listener, url)
    await transport.wait_disconnected()
    return codes[0]


def with_websocket_client(url):
    codes = []
    websocket.WebSocketApp(url, on_close=lambda _, code, __: codes.append(code)).run_forever()
    return codes[0]


async def with_httpx_ws(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with httpx_ws.aconnect_ws(url.replace("ws:", "http:"), client) as connection:
            try:
                await connection.receive()
            except httpx_ws.WebSocketDisconnect as error:
                return int(error.code)


def with_simple_websocket(url):
    try:
        simple_websocket.Client(url).receive()
    except simple_websocket.ConnectionClosed as error:
        return int(error.reason)


def with_trio_websocket(url):
    async def run():
        async with trio_websocket.open_websocket_url(url) as connection:
            try:
                await connection.get_message()
            except trio_websocket.ConnectionClosed as error:
                return int(getattr(error.reason.code, "value", error.reason.code))

    return trio.run(run)


def with_lomond(url):
    for event in lomond.WebSocket(url).connect(ping_rate=0):
        if event.name == "closing":
            return event.code
        if event.name == "protocol_error":
            return event.name


async def with_autobahn(url):
    loop = asyncio.get_running_loop()
    closed = loop.create_future()

    class Protocol(WebSocketClientProtocol):
        def onClose(self, wasClean, code, reason):
            closed.set_result(code)

    factory = WebSocketClientFactory(url)
    factory.protocol = Protocol
    await loop.create_connection(factory, factory.host, factory.port)
    return await closed


def with_ws4py(url):
    codes = []

    class Client(WebSocketClient):
        def closed(self, code, reason=None):
            codes.append(code)

    client = Client(url)
    client.connect()
    client.run_forever()
    return codes[0]


def with_faye(url):
    return subprocess.run(["ruby", sys.argv[1], url], stdout=subprocess.PIPE, text=True,
                          timeout=10, check=True).stdout.strip()


CLIENTS = {
    "websockets": (with_websockets, "1014, 1012, 4003"),
    "aiohttp": (with_aiohttp, "1014, 1012, 4003"),
    "tornado": (with_tornado, "1014, 1012, 4003"),
    "picows": (with_picows, "1014, 1012, 4003"),
    "websocket-client": (with_websocket_client, "1014, 1012, 4003"),
    "httpx-ws": (with_httpx_ws, "1002, 1012, 4003"),
    "simple-websocket": (with_simple_websocket, "1002, 1012, 4003"),
    "trio-websocket": (with_trio_websocket, "1002, 1012, 4003"),
    "lomond": (with_lomond, "protocol_error, 1012, 4003"),
    "autobahn": (with_autobahn, "1006, 1012, 4003"),
    "ws4py": (with_ws4py, "1005, 1005, 4003"),
    "faye-websocket": (with_faye, "1002, 1002, 4003"),
}


async def main():
    async def handler(connection):
        await asyncio.sleep(0.2)
        await connection.close(int(connection.request.path[1:]), "later")

    async with websockets.serve(handler, "127.0.0.1", 0, close_timeout=0.5) as server:
        origin = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for name, (run, expected) in CLIENTS.items():
            found = []
            for code in (1014, 1012, 4003):
                url = f"{origin}/{code}"
                if asyncio.iscoroutinefunction(run):
                    found.append(await asyncio.wait_for(run(url), 10))
                else:
                    found.append(await asyncio.wait_for(asyncio.to_thread(run, url), 10))
            outcome = ", ".join(map(str, found))
            print(f"{name:<17}", outcome)
            assert outcome == expected


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/client.rb"
