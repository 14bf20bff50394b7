#!/usr/bin/env bash
# lighttpd 1.4.69 (Debian 12), a WebSocket through mod_proxy: each direction has a time limit of
# its own. A client that only reads is disconnected after server.max-read-idle (60 s by default)
# although the server sends something all the time; and one that only writes to a silent server,
# after server.max-write-idle (360 s). The connection ends without a Close frame: 1006.
# One would expect that data in either direction keeps a WebSocket open, as it does in HAProxy
# 2.6.12 and nginx, since idle means that nothing is sent, and because an event stream (SSE), where
# the client is as silent, stays open in the same lighttpd.
# So heartbeats that a chat server sends as messages do not help readers: use pings, which clients
# answer, or raise both limits.
#
# Cause: lighttpd treats an upgraded connection as a request whose body has no end, while it writes
# the answer. Each limit looks at its own direction, and both hold at once.
#
# Output seen (all limits 2 s, one side sends every 0.5 s; lighttpd looks once a second):
#   lighttpd  WebSocket, only the server sends: closed after 3 s,
#             received more than 3 messages, no Close frame
#   lighttpd  WebSocket, only the client sends: closed
#   lighttpd  WebSocket, both send: open after 6 s
#   lighttpd  event stream: open after 6 s
#   haproxy   WebSocket, only the server sends: open after 6 s
#   haproxy   WebSocket, only the client sends: open after 6 s
#   haproxy   WebSocket, both send: open after 6 s
#   haproxy   event stream: open after 6 s
set -euo pipefail
lighttpd=1.4.69 haproxy=2.6.12
if [[ $(lighttpd -v) != *"lighttpd/$lighttpd "* || $(haproxy -v) != *"version $haproxy-"* ]]; then
    echo "install lighttpd $lighttpd and haproxy $haproxy (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > run.py <<'PYTHON'
import base64
import concurrent.futures
import hashlib
import os
import re
import socket
import subprocess
import threading
import time

here = os.getcwd()
KEY = base64.b64encode(os.urandom(16)).decode()
ACCEPT = base64.b64encode(
    hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
MESSAGE = b"\x81\x05hello"
MASKED = b"\x81\x85\0\0\0\0hello"


def serve(connection):
    """Sends every half second if the path says so, and reads everything."""
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (part := connection.recv(1)):
                return
            head += part
        if head.startswith(b"GET /events "):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n")
            what = b"d\r\ndata: hello\n\n\r\n"
        else:
            connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}"
                               f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode())
            what = MESSAGE
        is_talking = not head.startswith(b"GET /client ")
        connection.settimeout(0.5)
        try:
            while True:
                if is_talking:
                    connection.sendall(what)
                try:
                    if not connection.recv(65536):
                        return
                    time.sleep(0.5)
                except TimeoutError:
                    pass
        except OSError:
            pass


def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def outcome(port, path):
    with socket.create_connection(("127.0.0.1", port)) as client:
        extra = "" if path == "/events" else (
            f"{UPGRADE}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n")
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode())
        received = client.recv(1)
        start = time.monotonic()
        client.settimeout(0.5)
        sent = start
        while (now := time.monotonic()) < start + 6:
            if path in ("/client", "/both") and now >= sent + 0.5:
                client.sendall(MASKED)
                sent = now
            try:
                part = client.recv(65536)
            except TimeoutError:
                continue
            if not part:
                count = received.count(MESSAGE)
                if path == "/client":
                    return "closed"
                ending = "a Close frame" if b"\x88" in received else "no Close frame"
                return (f"closed after {round(time.monotonic() - start)} s, "
                        f"received {'more than 3 messages' if count > 3 else count}, {ending}")
            received += part
        return "open after 6 s"


def lighttpd(port, server):
    with open("lighttpd.conf", "w") as file:
        file.write(f"""
server.modules = ("mod_proxy")
server.document-root = "{here}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{here}/lighttpd.log"
server.stream-response-body = 1
server.max-read-idle = 2
server.max-write-idle = 2
proxy.server = ("/" => (("host" => "127.0.0.1", "port" => {server})))
proxy.header = ("upgrade" => "enable")
""")
    return ["lighttpd", "-D", "-f", "lighttpd.conf"]


def haproxy(port, server):
    with open("haproxy.cfg", "w") as file:
        file.write(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 2s
    timeout server 2s
listen all
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{server}
""")
    return ["haproxy", "-q", "-f", "haproxy.cfg"]


listener = socket.create_server(("127.0.0.1", 0))
server = listener.getsockname()[1]
threading.Thread(target=listen, args=(listener,), daemon=True).start()
NAMES = {"/server": "WebSocket, only the server sends",
         "/client": "WebSocket, only the client sends",
         "/both": "WebSocket, both send", "/events": "event stream"}
OPEN = "open after 6 s"
for start, expected in (
    (lighttpd, ["closed after 3 s, received more than 3 messages, no Close frame", "closed", OPEN,
                OPEN]),
    (haproxy, [OPEN] * 4),
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = subprocess.Popen(start(port, server))
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            found = list(threads.map(lambda path: outcome(port, path), NAMES))
        for name, one in zip(NAMES.values(), found):
            print(f"{start.__name__:<9} {name}: {one}")
        assert found == expected
    finally:
        proxy.terminate()
        proxy.wait()
PYTHON
python3 run.py
