#!/usr/bin/env bash
# A server (websockets 17.4) closes each connection with 4003. Which close code the connection has
# for the server afterwards depends on the client's library, because it is the one of its answer:
#   websockets, picows 2.3.1, tornado 6.6.1, lomond 0.3.4, ws4py 0.6.0          4003
#   aiohttp 3.14.5, websocket-client 1.9.2, httpx-ws 0.9.0, autobahn 26.10.2    1000
#   simple-websocket 1.1.0, Perl's Mojolicious 9.31: no Close frame at all      1006
#   Perl's AnyEvent::WebSocket::Client 0.54: it answers 1005, which RFC 6455 (7.4.1) keeps off the
#   network, so the server takes it for an error                                1006
# picows leaves the answer to its user; here it sends the code back.
# RFC 6455 (5.5.1): the answer is a Close frame and typically echoes the code. One would expect 4003
# for each. All of these clients report 4003 to their own user.
# So a server's metrics and logs should name the code that it sent, and the received code only if
# the client closed first. Otherwise users that it removed count as normal ends or lost connections.
#
# Cause: aiohttp, websocket-client, httpx-ws and autobahn answer with their default for closing. The
# sixth and seventh close TCP; AnyEvent writes its default, "no code", as a number.
#
# Output seen (the server's code):
#   websockets        4003
#   picows            4003
#   tornado           4003
#   lomond            4003
#   ws4py             4003
#   aiohttp           1000
#   websocket-client  1000
#   httpx-ws          1000
#   autobahn          1000
#   simple-websocket  1006
#   Mojolicious       1006
#   AnyEvent          1006
set -euo pipefail
for package in libmojolicious-perl=9.31+dfsg-1 libanyevent-websocket-client-perl=0.54-1; do
    if [[ $(dpkg-query -W -f '${Version}' "${package%=*}" 2>&1) != "${package#*=}" ]]; then
        echo "install ${package%=*} ${package#*=} (Debian 12)" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 picows==2.3.1 \
    tornado==6.6.1 lomond==0.3.4 ws4py==0.6.0 aiohttp==3.14.5 websocket-client==1.9.2 \
    httpx==0.28.1 httpx-ws==0.9.0 autobahn==26.10.2 simple-websocket==1.1.0 wsproto==1.3.2
cat > "$folder/mojolicious.pl" <<'PERL'
use Mojo::UserAgent;
my $agent = Mojo::UserAgent->new;
$agent->websocket($ARGV[0] => sub {
    my ($self, $connection) = @_;
    $connection->on(finish => sub { print $_[1]; Mojo::IOLoop->stop });
});
Mojo::IOLoop->start;
PERL
cat > "$folder/anyevent.pl" <<'PERL'
use AnyEvent::WebSocket::Client;
my $done = AnyEvent->condvar;
my $client = AnyEvent::WebSocket::Client->new;
my $connection = $client->connect($ARGV[0])->recv;
$connection->on(finish => sub { print shift->close_code; $done->send });
$done->recv;
PERL
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
import websocket
import websockets
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from ws4py.client.threadedclient import WebSocketClient

logging.disable()
folder = sys.argv[1]


async def with_websockets(url):
    async with websockets.connect(url, proxy=None) as connection:
        await connection.wait_closed()
        return connection.close_code


async def with_picows(url):
    codes = []

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            codes.append(int(frame.get_close_code()))
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    transport, _ = await picows.ws_connect(Listener, url)
    await transport.wait_disconnected()
    return codes[0]


async def with_tornado(url):
    connection = await tornado.websocket.websocket_connect(url)
    await connection.read_message()
    return connection.close_code


def with_lomond(url):
    return [event.code for event in lomond.WebSocket(url).connect(ping_rate=0)
            if event.name == "closing"][0]


def with_ws4py(url):
    codes = []

    class Client(WebSocketClient):
        def closed(self, code, reason=None):
            codes.append(code)

    client = Client(url)
    client.connect()
    client.run_forever()
    return codes[0]


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        await connection.receive()
        return connection.close_code


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
                return error.code


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


def with_simple_websocket(url):
    try:
        simple_websocket.Client(url).receive()
    except simple_websocket.ConnectionClosed as error:
        return int(error.reason)


def with_perl(name):
    return lambda url: int(subprocess.run(
        ["perl", f"{folder}/{name}", url], stdout=subprocess.PIPE, timeout=10, check=True).stdout)


CLIENTS = {
    "websockets": (with_websockets, 4003), "picows": (with_picows, 4003),
    "tornado": (with_tornado, 4003), "lomond": (with_lomond, 4003), "ws4py": (with_ws4py, 4003),
    "aiohttp": (with_aiohttp, 1000), "websocket-client": (with_websocket_client, 1000),
    "httpx-ws": (with_httpx_ws, 1000), "autobahn": (with_autobahn, 1000),
    "simple-websocket": (with_simple_websocket, 1006),
    "Mojolicious": (with_perl("mojolicious.pl"), 1006),
    "AnyEvent": (with_perl("anyevent.pl"), 1006),
}


async def main():
    codes = asyncio.Queue()

    async def handler(connection):
        await asyncio.sleep(0.2)
        await connection.close(4003, "removed")
        codes.put_nowait(int(connection.close_code))

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for name, (run, expected) in CLIENTS.items():
            if asyncio.iscoroutinefunction(run):
                of_client = await asyncio.wait_for(run(url), 15)
            else:
                of_client = await asyncio.wait_for(asyncio.to_thread(run, url), 15)
            of_server = await asyncio.wait_for(codes.get(), 15)
            print(f"{name:<17}", of_server)
            assert of_client == 4003 and of_server == expected


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
