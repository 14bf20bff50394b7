#!/usr/bin/env bash
# HAProxy 2.6.12 (Debian 12) with "http-request early-hint" sends 103 Early Hints before every
# answer, also before 101 Switching Protocols. websockets 17.4, websocket-client 1.9.2, picows
# 2.3.1 and simple-websocket 1.1.0 take 103 for the answer and refuse the handshake. So does
# python-engineio 4.15.1, also with long polling, because requests 2.32.5 returns status 103
# without a body. aiohttp 3.14.5, tornado 6.6.1 and httpx-ws 0.9.0 wait for 101.
# RFC 9110 (15.2): a client must be able to parse 1xx answers before the final one, even if it
# expects none. One would expect that these clients skip them.
# So the rule needs a condition, such as: if { hdr(sec-fetch-mode) navigate }
#
# Cause: these clients read one status line. Python 3.11's http.client, below requests, repeats the
# reading only for status 100.
#
# Output seen:
#   the first two status lines: 103 Early Hints, 101 Switching Protocols
#   websockets        InvalidStatus 103
#   websocket-client  WebSocketBadStatusException 103
#   picows            WSInvalidStatusError 103
#   simple-websocket  ConnectionError 103
#   engineio          ConnectionError 103
#   aiohttp           connected
#   tornado           connected
#   httpx-ws          connected
#   requests          103, 0 bytes
set -euo pipefail
version=2.6.12
if [[ $(haproxy -v) != *"version $version-"* ]]; then
    echo "install haproxy $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 \
    websocket-client==1.9.2 picows==2.3.1 simple-websocket==1.1.0 python-engineio==4.15.1 \
    requests==2.32.5 aiohttp==3.14.5 tornado==6.6.1 httpx==0.28.1 httpx-ws==0.9.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import re
import socket
import subprocess
import sys
import time

import aiohttp
import engineio
import httpx
import httpx_ws
import picows
import requests
import simple_websocket
import tornado.websocket
import websocket
import websockets
from aiohttp import web


async def handler(request):
    if request.headers.get("Upgrade") is None:
        return web.Response(text="hello")
    connection = web.WebSocketResponse()
    await connection.prepare(request)
    async for _ in connection:
        pass
    return connection


def status_of(error):
    found = re.search(r"\b103\b", str(error) or repr(error))
    return f"{type(error).__name__} {found[0] if found else repr(error)}"


async def with_websockets(url):
    async with websockets.connect(url, proxy=None):
        pass


def with_websocket_client(url):
    websocket.create_connection(url, timeout=5).close()


async def with_picows(url):
    transport, _ = await picows.ws_connect(picows.WSListener, url)
    transport.disconnect()


def with_simple_websocket(url):
    simple_websocket.Client(url).close()


def with_engineio(url):
    try:
        engineio.Client().connect(url.replace("ws:", "http:"), transports=["polling"])
    except engineio.exceptions.ConnectionError as error:
        return status_of(error)


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        pass


async def with_tornado(url):
    (await tornado.websocket.websocket_connect(url)).close()


async def with_httpx_ws(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with httpx_ws.aconnect_ws(url.replace("ws:", "http:"), client):
            pass


REFUSED = {
    "websockets": (with_websockets, "InvalidStatus 103"),
    "websocket-client": (with_websocket_client, "WebSocketBadStatusException 103"),
    "picows": (with_picows, "WSInvalidStatusError 103"),
    "simple-websocket": (with_simple_websocket, "ConnectionError 103"),
    "engineio": (with_engineio, "ConnectionError 103"),
}
ACCEPTED = {"aiohttp": with_aiohttp, "tornado": with_tornado, "httpx-ws": with_httpx_ws}


async def outcome_of(run, url):
    try:
        if asyncio.iscoroutinefunction(run):
            outcome = await asyncio.wait_for(run(url), 10)
        else:
            outcome = await asyncio.to_thread(run, url)
        return outcome or "connected"
    except Exception as error:
        return status_of(error)


def first_lines(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        received = b""
        while received.count(b"\r\n\r\n") < 2:
            received += client.recv(4096)
    return re.findall(r"HTTP/1.1 (.*)\r\n", received.decode())


async def main():
    application = web.Application()
    application.router.add_get("/", handler)
    application.router.add_get("/engine.io/", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server.sockets[0].getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open(sys.argv[1], "w") as file:
        file.write(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen all
    bind 127.0.0.1:{port}
    http-request early-hint Link "</style.css>; rel=preload; as=style"
    server one 127.0.0.1:{server}
""")
    proxy = subprocess.Popen(["haproxy", "-q", "-f", sys.argv[1]])
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        lines = await asyncio.to_thread(first_lines, port)
        print("the first two status lines:", ", ".join(lines))
        assert lines == ["103 Early Hints", "101 Switching Protocols"]
        url = f"ws://127.0.0.1:{port}/"
        for name, (run, expected) in REFUSED.items():
            outcome = await outcome_of(run, url)
            print(f"{name:<17}", outcome)
            assert outcome == expected
        for name, run in ACCEPTED.items():
            outcome = await outcome_of(run, url)
            print(f"{name:<17}", outcome)
            assert outcome == "connected"
        answer = await asyncio.to_thread(requests.get, url.replace("ws:", "http:"))
        print(f"{'requests':<17} {answer.status_code}, {len(answer.content)} bytes")
        assert (answer.status_code, answer.content) == (103, b"")
    finally:
        proxy.terminate()
        proxy.wait()
    await runner.cleanup()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/haproxy.cfg"
