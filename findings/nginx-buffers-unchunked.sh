#!/usr/bin/env bash
# nginx 1.22.1 (Debian 12) with proxy_buffering on, its default: whether server-sent events are late
# depends on how the server frames its answer. In chunks (Transfer-Encoding, with proxy_http_version
# 1.1) each event arrives at once. Without chunks, because the answer ends with the connection, the
# events stay in nginx until a buffer of 4 or 8 KB is full or the answer ends. With HTTP/1.0, the
# default towards servers of this version, no server may send chunks, so it is the second case.
# The documentation says that nginx receives as soon as possible and saves into buffers, and common
# advice is that event streams need proxy_buffering off (or X-Accel-Buffering: no). One would expect
# that events are late in both cases, and that the framing makes no difference.
# So a test of a chat server behind nginx may pass without that advice, and a change of the server's
# framing, or of proxy_http_version, makes each message late. In the first case, too, the head of
# the answer waits for the first event: EventSource "opens" only then.
#
# Cause: nginx hands on what its parser for chunks has found, but of an answer without chunks only
# whole buffers.
#
# Output seen (an event each second, after 0.5 s, 1.5 s, …):
#   1.1, chunks:        nothing | head first | second | third | end
#   1.1, no chunks:     nothing | nothing | nothing | nothing | head first second third end
#   1.0 (no chunks):    nothing | nothing | nothing | nothing | head first second third end
#   1.0, buffering off: head | first | second | third | end
set -euo pipefail
version=1.22.1
if [[ $(nginx -v 2>&1) != *"nginx/$version" ]]; then
    echo "install nginx $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
cat > run.py <<'PYTHON'
import concurrent.futures
import os
import re
import socket
import subprocess
import threading
import time

here = os.getcwd()


def serve(connection):
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (part := connection.recv(1)):
                return
            head += part
        has_chunks = b"GET /chunks HTTP/1.1" in head
        framing = "Transfer-Encoding: chunked" if has_chunks else "Connection: close"
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}"
                           "\r\n\r\n".encode())
        for word in (b"first", b"second", b"third", b"end"):
            time.sleep(1)
            event = b"data: %s\n\n" % word
            connection.sendall(b"%x\r\n%s\r\n" % (len(event), event) if has_chunks else event)
        if has_chunks:
            connection.sendall(b"0\r\n\r\n")


def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def received(port, path):
    """What has arrived half a second after each moment at which the server may send."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        start = time.monotonic()
        found = []
        for number in range(5):
            text = b""
            while (left := start + number + 0.5 - time.monotonic()) > 0:
                client.settimeout(left)
                try:
                    part = client.recv(65536)
                except TimeoutError:
                    break
                if not part:
                    time.sleep(left)
                    break
                text += part
            words = re.findall(r"^HTTP|data: (\w+)", text.decode())
            found.append(" ".join(word or "head" for word in words) or "nothing")
    return " | ".join(found)


listener = socket.create_server(("127.0.0.1", 0))
server = listener.getsockname()[1]
threading.Thread(target=listen, args=(listener,), daemon=True).start()
LATE = "nothing | nothing | nothing | nothing | head first second third end"
CASES = (
    ("1.1, chunks", "/chunks", "proxy_http_version 1.1;",
     "nothing | head first | second | third | end"),
    ("1.1, no chunks", "/plain", "proxy_http_version 1.1;", LATE),
    ("1.0 (no chunks)", "/chunks", "", LATE),
    ("1.0, buffering off", "/chunks", "proxy_buffering off;",
     "head | first | second | third | end"),
)
ports, servers = [], ""
for _, _, option, _ in CASES:
    with socket.create_server(("127.0.0.1", 0)) as free:
        ports.append(free.getsockname()[1])
    servers += f"""
    server {{
        listen 127.0.0.1:{ports[-1]};
        location / {{
            proxy_pass http://127.0.0.1:{server};
            {option}
        }}
    }}
"""
temporary = "".join(f"{name}_temp_path {here}/{name};\n" for name in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
with open("nginx.conf", "w") as file:
    file.write(f"""
daemon off;
pid {here}/nginx.pid;
error_log {here}/nginx.log;
events {{}}
http {{
    access_log off;
    {temporary}
    {servers}
}}
""")
proxy = subprocess.Popen(["nginx", "-c", f"{here}/nginx.conf"], stderr=subprocess.DEVNULL)
try:
    for port in ports:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        results = list(threads.map(received, ports, [path for _, path, _, _ in CASES]))
    for (name, _, _, expected), found in zip(CASES, results):
        print(f"{name + ':':<19} {found}")
        assert found == expected
finally:
    proxy.terminate()
    proxy.wait()
PYTHON
python3 run.py
