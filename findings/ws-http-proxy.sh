#!/usr/bin/env bash
# A ws:// connection through an HTTP proxy that the environment names, here tinyproxy 1.11.1
# (Debian 12; squid 5.7 refuses the same requests). websockets 17.4 and websocket-client 1.9.2 ask
# it for a tunnel with CONNECT (RFC 6455, 4.1), and connect. The others do not get through:
#   aiohttp 3.14.5, trust_env   ignores http_proxy; reads ws_proxy, and sends it "GET ws://…": 400
#   niquests 3.21.2             reads http_proxy, and sends it "GET ws://…": 400
#   httpx-ws 0.9.0, http://     reads http_proxy, and sends it "GET http://…": Upgrade is dropped
#   httpx-ws, ws://             ignores http_proxy; with all_proxy it starts TLS inside the tunnel
# One would expect that a library which knows both ws:// and proxies uses a tunnel, and that
# http_proxy, the only variable that everybody sets, counts for ws://.
# Operators should offer wss:// to users behind proxies: it helps niquests, and aiohttp if they set
# wss_proxy, which https_proxy does not replace (not shown here).
#
# Cause: aiohttp and niquests open a tunnel only for https and wss, and send anything else as a
# request for the whole URL. httpcore, below httpx, always starts TLS within a tunnel.
#
# Output seen:
#                     http_proxy               ws_proxy                 all_proxy
#   websockets        CONNECT, connected       CONNECT, connected       direct, connected
#   websocket-client  CONNECT, connected       direct, connected        direct, connected
#   aiohttp           direct, connected        GET ws, 400              direct, connected
#   niquests          GET ws, 400              GET ws, 400              GET ws, 400
#   httpx-ws http     GET http, 426            direct, connected        GET http, 426
#   httpx-ws ws       direct, connected        direct, connected        CONNECT, ConnectError
set -euo pipefail
version=1.11.1
if [[ $(tinyproxy -v) != "tinyproxy $version" ]]; then
    echo "install tinyproxy-bin $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 \
    websocket-client==1.9.2 aiohttp==3.14.5 niquests==3.21.2 urllib3-future==2.25.904 \
    httpx==0.28.1 httpcore==1.0.9 httpx-ws==0.9.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import os
import socket
import subprocess
import sys

import aiohttp
import httpx
import httpx_ws
import niquests
import websocket
import websockets

VARIABLES = ("http_proxy", "ws_proxy", "all_proxy")


async def with_websockets(url):
    async with websockets.connect(url) as connection:
        return await connection.recv()


def with_websocket_client(url):
    connection = websocket.create_connection(url, timeout=5)
    message = connection.recv()
    connection.close()
    return message


async def with_aiohttp(url):
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.ws_connect(url) as connection:
            return await connection.receive_str()


def with_niquests(url):
    with niquests.Session() as session:
        answer = session.get(url)
        return answer.extension.next_payload() if answer.extension else answer.status_code


async def with_httpx_ws(url):
    async with httpx.AsyncClient() as client, httpx_ws.aconnect_ws(url, client) as connection:
        return await connection.receive_text()


def with_httpx_http(url):
    return with_httpx_ws(url.replace("ws:", "http:"))


EXPECTED = {
    "websockets": (
        with_websockets, "CONNECT, connected", "CONNECT, connected", "direct, connected"),
    "websocket-client": (
        with_websocket_client, "CONNECT, connected", "direct, connected", "direct, connected"),
    "aiohttp": (with_aiohttp, "direct, connected", "GET ws, 400", "direct, connected"),
    "niquests": (with_niquests, "GET ws, 400", "GET ws, 400", "GET ws, 400"),
    "httpx-ws http": (with_httpx_http, "GET http, 426", "direct, connected", "GET http, 426"),
    "httpx-ws ws": (
        with_httpx_ws, "direct, connected", "direct, connected", "CONNECT, ConnectError"),
}


def set_environment(**variables):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(variables)


async def outcome_of(run, url):
    try:
        if run in (with_websocket_client, with_niquests):
            result = await asyncio.to_thread(run, url)
        else:
            result = await asyncio.wait_for(run(url), 10)
        return "connected" if result == "welcome" else str(result)
    except Exception as error:
        answer = getattr(error, "response", None)
        status = answer.status_code if answer else getattr(error, "status", None)
        return str(status or type(error).__name__)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def main():
    lines = []
    proxy_port = free_port()

    async def note_and_forward(reader, writer):
        first = await reader.readline()
        method, target, _ = first.decode().split(" ")
        lines.append(method if method == "CONNECT" else f"{method} {target.split(':')[0]}")
        upstream, downstream = await asyncio.open_connection("127.0.0.1", proxy_port)
        downstream.write(first)

        async def copy(source, sink):
            try:
                while data := await source.read(4096):
                    sink.write(data)
            except ConnectionError:
                pass
            sink.close()

        await asyncio.gather(copy(reader, downstream), copy(upstream, writer))

    async def handler(connection):
        await connection.send("welcome")
        await connection.wait_closed()

    with open(sys.argv[1], "w") as file:
        file.write(f"Port {proxy_port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\n"
                   f'LogFile "{sys.argv[1]}.log"\n')
    proxy = subprocess.Popen(["tinyproxy", "-d", "-c", sys.argv[1]])
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", proxy_port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        recorder = await asyncio.start_server(note_and_forward, "127.0.0.1", 0)
        proxy_url = f"http://127.0.0.1:{recorder.sockets[0].getsockname()[1]}"
        async with websockets.serve(handler, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            print(f"{'':<17}", *(f"{name:<24}" for name in VARIABLES))
            for name, (run, *expected) in EXPECTED.items():
                outcomes = []
                for variable in VARIABLES:
                    set_environment(**{variable: proxy_url})
                    lines.clear()
                    result = await outcome_of(run, url)
                    outcomes.append(f"{lines[0] if lines else 'direct'}, {result}")
                print(f"{name:<17}", *(f"{outcome:<24}" for outcome in outcomes))
                assert outcomes == expected
        recorder.close()
    finally:
        proxy.terminate()
        proxy.wait()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder/tinyproxy.conf"
