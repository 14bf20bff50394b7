#!/usr/bin/env bash
# Clients that follow a redirect of the WebSocket handshake accept different forms of Location, and
# no form suits all of them:
#                              http://host/new   /new   ws://host/new
#   websockets 17.4            no                yes    yes
#   picows 2.3.1               no                yes    yes
#   websocket-client 1.9.2     no                no     yes
#   aiohttp 3.14.5             yes               yes    no
# nginx 1.22.1 (Debian 12) sends the first form for "return 307 /new;", because absolute_redirect is
# on. So the usual redirect reaches one of the four, although all four follow redirects.
# A WebSocket handshake is an HTTP request, and Location is relative to its URL (RFC 9110, 10.2.2).
# One would expect that a path works everywhere, and that http: stands for ws: here.
# An operator who moves a WebSocket should proxy it, or use "absolute_redirect off", which reaches
# three of the four; httpx-ws, tornado and autobahn follow no redirect by default.
#
# Cause: the first two resolve Location, and accept ws and wss only. websocket-client does not
# resolve it. aiohttp requests Location as it does for http, and refuses other schemes.
#
# Output seen (websockets, picows, websocket-client, aiohttp):
#   absolute_redirect on, Location with http: InvalidURI, WSInvalidURL, WebSocketException, yes
#   absolute_redirect off, without a scheme: yes, yes, WebSocketException, yes
#   ws://$http_host/new, with ws: yes, yes, yes, NonHttpUrlRedirectClientError
set -euo pipefail
version=1.22.1
if [[ $(nginx -v 2>&1) != "nginx version: nginx/$version" ]]; then
    echo "install nginx $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4 picows==2.3.1 \
    websocket-client==1.9.2 aiohttp==3.14.5
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import http.client
import socket
import subprocess
import sys
import time

import aiohttp
import picows
import websocket
import websockets

folder = sys.argv[1]
EXPECTED = {
    "/on": ("absolute_redirect on, Location with http", "http",
            ["InvalidURI", "WSInvalidURL", "WebSocketException", "yes"]),
    "/off": ("absolute_redirect off, without a scheme", None,
             ["yes", "yes", "WebSocketException", "yes"]),
    "/ws": ("ws://$http_host/new, with ws", "ws",
            ["yes", "yes", "yes", "NonHttpUrlRedirectClientError"]),
}


async def with_websockets(url):
    async with websockets.connect(url, proxy=None) as connection:
        return await connection.recv()


async def with_picows(url):
    loop = asyncio.get_running_loop()
    message = loop.create_future()

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type == picows.WSMsgType.TEXT:
                message.set_result(frame.get_payload_as_utf8_text())

    transport, _ = await picows.ws_connect(Listener, url)
    text = await message
    transport.disconnect()
    return text


def receive_with_websocket_client(url):
    connection = websocket.create_connection(url, timeout=5)
    message = connection.recv()
    connection.close()
    return message


async def with_websocket_client(url):
    return await asyncio.to_thread(receive_with_websocket_client, url)


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        return await connection.receive_str()


async def outcome_of(run, url):
    try:
        assert await asyncio.wait_for(run(url), 10) == "moved here"
        return "yes"
    except Exception as error:
        return type(error).__name__


def scheme_of_location(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    location = connection.getresponse().headers["Location"]
    connection.close()
    return location.split(":")[0] if ":" in location else None


def start_nginx(upstream):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    paths = "".join(f"{name}_temp_path {folder}/temp; "
                    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    {paths}
    server {{
        listen 127.0.0.1:{port};
        location = /on {{ return 307 /new; }}
        location = /off {{ absolute_redirect off; return 307 /new; }}
        location = /ws {{ return 307 ws://$http_host/new; }}
        location = /new {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection Upgrade;
        }}
    }}
}}
""")
    process = subprocess.Popen(
        ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    return process, port


async def main():
    async def handler(connection):
        await connection.send("moved here")
        await connection.wait_closed()

    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        nginx, port = start_nginx(server.sockets[0].getsockname()[1])
        try:
            for path, (title, scheme_expected, expected) in EXPECTED.items():
                scheme = await asyncio.to_thread(scheme_of_location, port, path)
                outcomes = [await outcome_of(run, f"ws://127.0.0.1:{port}{path}") for run in (
                    with_websockets, with_picows, with_websocket_client, with_aiohttp)]
                print(f"{title}:", ", ".join(outcomes))
                assert scheme == scheme_expected and outcomes == expected
        finally:
            nginx.terminate()
            nginx.wait()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
