#!/usr/bin/env bash
# nginx 1.22.1 (Debian 12): behind it a WebSocket to a server that has hung stays open for as long
# as the client sends something, whatever proxy_read_timeout says. Data in either direction starts
# the timeout anew, although nginx writes the client's data only into a socket that nobody reads.
# Only when the client is silent too does the timeout end the connection.
# The documentation says that the connection is closed if the proxied server does not transmit any
# data within the timeout, and one would expect it. So proxy_read_timeout finds a dead server for
# silent clients only. A client that sends heartbeats must notice missing answers by itself.
# For the same reason a client's ping is enough to keep an idle connection open.
#
# Cause: after an upgrade nginx has one function for both directions. Whenever it has run, it sets
# the timer for reading from the server again.
#
# Output seen (proxy_read_timeout 2s, a server that neither reads nor writes after its handshake):
#   the client is silent: closed after 2 s
#   the client sends every second: open after 8 s
#   the client is silent again: closed after 2 s
set -euo pipefail
version=1.22.1
if [[ $(nginx -v 2>&1) != *"nginx/$version"* ]]; then
    echo "install nginx $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import base64
import hashlib
import socket
import subprocess
import sys
import threading
import time

folder = sys.argv[1]
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
servers = []


def serve(listener):
    while True:
        connection = listener.accept()[0]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        digest = hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
        servers.append(connection)


def connect():
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def seconds_until_closed(client):
    start = time.monotonic()
    assert client.recv(1) == b""
    return time.monotonic() - start


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
with open(f"{folder}/nginx.conf", "w") as file:
    file.write(f"""
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/1;
    proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{listener.getsockname()[1]};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 2s;
        }}
    }}
}}
""")
nginx = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    seconds = seconds_until_closed(connect())
    print(f"the client is silent: closed after {seconds:.0f} s")
    assert 1.8 < seconds < 3.5

    client = connect()
    ping = b"\x89\x80\0\0\0\0"
    client.settimeout(1)
    for _ in range(8):
        client.sendall(ping)
        try:
            raise SystemExit(f"unexpected: {client.recv(1)!r}")
        except TimeoutError:
            pass
    print("the client sends every second: open after 8 s")
    client.settimeout(20)
    client.sendall(ping)
    seconds = seconds_until_closed(client)
    print(f"the client is silent again: closed after {seconds:.0f} s")
    assert 1.8 < seconds < 3.5
finally:
    nginx.terminate()
    nginx.wait()
PYTHON
python3 "$folder/run.py" "$folder"
