#!/usr/bin/env bash
# Apache 2.4.71 (Debian 12), a WebSocket over HTTP/2 (RFC 8441; "H2WebSockets on") to a server that
# speaks HTTP/1.1: a message that arrives in one TCP segment with the server's 101 stays in Apache
# until the server sends something else. The client waits for a greeting that has long been sent;
# what the client sends meanwhile does reach the server. Over HTTP/1.1 the same Apache delivers the
# greeting at once, and over HTTP/2 a message that comes a moment after 101.
# One would expect that segments make no difference. A server that greets at once, as chat servers
# do, often sends such a segment: of the servers that were tried behind Apache, daphne 4.2.3 always
# did, picows 2.3.1 and tornado 6.6.1 at times. A client that waits for the greeting before it sends
# waits for the next ping.
#
# Output seen (a greeting, and news 2 s later):
#   HTTP/1.1, one segment:  after 1 s 'hello', after 3 s 'news'
#   HTTP/2, one segment:    after 1 s nothing, after 3 s 'hello' 'news'
#   HTTP/2, two segments:   after 1 s 'hello', after 3 s 'news'
set -euo pipefail
version=2.4.71
if [[ $(apache2 -v) != *"Apache/$version "* ]]; then
    echo "install apache2 $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check h2==4.4.1
cat > run.py <<'PYTHON'
import base64
import hashlib
import os
import re
import socket
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.settings


def frame(text):
    return bytes([0x81, len(text)]) + text.encode()


def serve(connection):
    """Greets in one segment with 101, or in another, and sends news later."""
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (part := connection.recv(1)):
                return
            head += part
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1]
        accept = base64.b64encode(
            hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept)
        if b"/one" in head:
            connection.sendall(answer + frame("hello"))
        else:
            connection.sendall(answer)
            time.sleep(0.3)
            connection.sendall(frame("hello"))
        time.sleep(2)
        connection.sendall(frame("news"))
        connection.recv(1)


def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def parts_until(client, end):
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            part = client.recv(65536)
        except TimeoutError:
            return
        if not part:
            return
        yield part


def with_http1(client, path):
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode())
    start = time.monotonic()
    received = b""
    for seconds in (1, 3):
        for part in parts_until(client, start + seconds):
            received += part
            if b"\r\n\r\n" in received and received.startswith(b"HTTP/1.1 101 "):
                received = received.split(b"\r\n\r\n", 1)[1]
        yield received
        received = b""


def with_http2(client, path):
    connection = h2.connection.H2Connection(h2.config.H2Configuration())
    connection.initiate_connection()
    client.sendall(connection.data_to_send())
    for part in parts_until(client, time.monotonic() + 0.5):
        connection.receive_data(part)
    assert connection.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
    connection.send_headers(1, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
        (":path", path), (":authority", "localhost"), ("sec-websocket-version", "13")])
    client.sendall(connection.data_to_send())
    start = time.monotonic()
    is_open = False
    for seconds in (1, 3):
        received = b""
        for part in parts_until(client, start + seconds):
            for event in connection.receive_data(part):
                if isinstance(event, h2.events.ResponseReceived):
                    is_open = dict(event.headers)[b":status"] == b"200"
                elif isinstance(event, h2.events.DataReceived):
                    received += event.data
        assert is_open
        yield received


listener = socket.create_server(("127.0.0.1", 0))
server = listener.getsockname()[1]
threading.Thread(target=listen, args=(listener,), daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
here = os.getcwd()
modules = "".join(
    f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
    for name in ("mpm_event", "authz_core", "http2", "proxy", "proxy_http"))
with open("apache.conf", "w") as file:
    file.write(f"""{modules}
ServerRoot {here}
ServerName localhost
PidFile {here}/apache.pid
ErrorLog {here}/apache.log
Mutex file:{here}
User www-data
Group www-data
Listen 127.0.0.1:{port}
Protocols h2c http/1.1
H2WebSockets on
ProxyPass / http://127.0.0.1:{server}/ upgrade=websocket
""")
proxy = subprocess.Popen(["apache2", "-DFOREGROUND", "-f", f"{here}/apache.conf"])
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    for name, run, path, expected in (
        ("HTTP/1.1, one segment", with_http1, "/one", ["'hello'", "'news'"]),
        ("HTTP/2, one segment", with_http2, "/one", ["nothing", "'hello' 'news'"]),
        ("HTTP/2, two segments", with_http2, "/two", ["'hello'", "'news'"]),
    ):
        with socket.create_connection(("127.0.0.1", port)) as client:
            found = []
            for received in run(client, path):
                texts = re.findall(rb"\x81.([a-z]+)", received)
                found.append(" ".join(repr(text.decode()) for text in texts) or "nothing")
        print(f"{name + ':':<23} after 1 s {found[0]}, after 3 s {found[1]}")
        assert found == expected
finally:
    proxy.terminate()
    proxy.wait()
PYTHON
venv/bin/python run.py
