#!/usr/bin/env bash
# simple-websocket 1.1.0, its Client: the Host field of the handshake has no port, whatever the URL
# says, and an IPv6 address without brackets. And if the URL has a query but no path, the request's
# target is "?token=1" without a slash.
# RFC 6455 (4.1): Host contains the port if it is not the default one, and the target starts with
# "/" if the path is empty (3). RFC 3986 (3.2.2): brackets enclose an IPv6 address. One would expect
# this of a client that knows the port and connects to it. websockets 17.4 does it.
# nginx 1.22.1 (Debian 12) answers 400 to the second and the third. With the first, whatever is made
# of Host, such as redirects, links and comparisons with Origin, misses the port for this client. So
# a server should not take its own port from Host.
#
# Cause: the client uses urlsplit().hostname, which has neither port nor brackets, and joins path
# and query without a look at an empty path.
#
# Output seen:
#   ws://127.0.0.1:PORT/chat:    GET /chat, Host 127.0.0.1, nginx 404
#                    websockets: GET /chat, Host 127.0.0.1:PORT, nginx 404
#   ws://[::1]:PORT/chat:        GET /chat, Host ::1, nginx 400
#                    websockets: GET /chat, Host [::1]:PORT, nginx 404
#   ws://127.0.0.1:PORT?token=1: GET ?token=1, Host 127.0.0.1, nginx 400
#                    websockets: GET /?token=1, Host 127.0.0.1:PORT, nginx 404
set -euo pipefail
version=1.22.1
if [[ $(nginx -v 2>&1) != "nginx version: nginx/$version" ]]; then
    echo "install nginx $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check simple-websocket==1.1.0 \
    wsproto==1.3.2 websockets==17.4
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time

import simple_websocket
import websockets

folder = sys.argv[1]
EXPECTED = {
    "ws://127.0.0.1:PORT/chat": (
        "GET /chat, Host 127.0.0.1, nginx 404", "GET /chat, Host 127.0.0.1:PORT, nginx 404"),
    "ws://[::1]:PORT/chat": (
        "GET /chat, Host ::1, nginx 400", "GET /chat, Host [::1]:PORT, nginx 404"),
    "ws://127.0.0.1:PORT?token=1": (
        "GET ?token=1, Host 127.0.0.1, nginx 400",
        "GET /?token=1, Host 127.0.0.1:PORT, nginx 404"),
}


def with_simple_websocket(url):
    try:
        simple_websocket.Client(url)
    except simple_websocket.ConnectionError as error:
        return re.search(r"\d{3}", str(error))[0]


async def with_websockets(url):
    try:
        await websockets.connect(url, proxy=None)
    except websockets.InvalidStatus as error:
        return str(error.response.status_code)


@contextlib.contextmanager
def nginx():
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
        listen [::1]:{port};
        location / {{ return 404; }}
    }}
}}
""")
    process = subprocess.Popen(
        ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


async def main():
    requests = []

    async def refuse(reader, writer):
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async def run(client, url):
        if client is with_websockets:
            return await client(url)
        return await asyncio.to_thread(client, url)

    server = await asyncio.start_server(refuse, ["127.0.0.1"], 0)
    port = server.sockets[0].getsockname()[1]
    six = await asyncio.start_server(refuse, ["::1"], port)
    with nginx() as nginx_port:
        for url, expected in EXPECTED.items():
            for client, outcome_expected in zip((with_simple_websocket, with_websockets), expected):
                requests.clear()
                await run(client, url.replace("PORT", str(port)))
                target = requests[0].split(" ")[1]
                host = re.search(r"(?im)^host: *(\S*)", requests[0])[1].replace(str(port), "PORT")
                status = await run(client, url.replace("PORT", str(nginx_port)))
                outcome = f"GET {target}, Host {host}, nginx {status}"
                title = url if client is with_simple_websocket else f"{'websockets':>27}"
                print(f"{title + ':':<28} {outcome}")
                assert outcome == outcome_expected
    server.close()
    six.close()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
