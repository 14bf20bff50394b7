#!/usr/bin/env bash
# What an ASGI application learns about a WebSocket behind a proxy that ends TLS depends on its
# server. With "X-Forwarded-Proto: https" its scheme is
#   uvicorn 0.54.0     wss
#   hypercorn 0.18.0   https, with ProxyFixMiddleware
#   daphne 4.2.3       not given, with --proxy-headers, though it is https for other requests
# The ASGI specification allows ws and wss, and reads a missing scheme as ws. One would expect wss
# from all. An application that builds its own address from it, or compares Origin with it, is wrong
# for WebSockets only, and with some servers only.
# "Forwarded" (RFC 7239) is read by hypercorn only (mode "modern"), with quotes and port as a part
# of the address, so that no IPv6 address is usable: the RFC demands quotes for them. A field as in
# the RFC's first examples, with a capital "For", is ignored, although names are case-insensitive
# (4).
# So a proxy in front of these servers should send X-Forwarded-For and -Proto, and the application
# should take https for wss.
#
# Cause: hypercorn writes the field's value into the scope, whatever the type of the connection, and
# splits Forwarded at ";" and "=" by the names in lower case. daphne applies the value to requests.
#
# Output seen (the scheme and the client's address of a WebSocket):
#   X-Forwarded-For: 192.0.2.60, X-Forwarded-Proto: https
#     uvicorn    wss 192.0.2.60
#     hypercorn  https 192.0.2.60
#     daphne     None 192.0.2.60
#   Forwarded: for=192.0.2.60;proto=https
#     hypercorn  https 192.0.2.60
#   Forwarded: for="[2001:db8:cafe::17]:4711";proto=https
#     hypercorn  https "[2001:db8:cafe::17]:4711"
#   Forwarded: For="[2001:db8:cafe::17]:4711";Proto=https
#     hypercorn  ws 127.0.0.1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 hypercorn==0.18.0 \
    daphne==4.2.3 websockets==17.4
cat > "$folder/application.py" <<'PYTHON'
import json

from hypercorn.middleware import ProxyFixMiddleware


async def application(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    text = json.dumps([scope.get("scheme"), scope["client"][0]])
    await send({"type": "websocket.send", "text": text})
    await receive()


behind_proxy = ProxyFixMiddleware(application, mode="modern", trusted_hops=1)
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import json
import os
import socket
import subprocess
import sys
import time

from websockets.sync.client import connect

folder = sys.argv[1]
programs = os.path.join(folder, "venv", "bin")


def command(name, port):
    if name == "uvicorn":
        return ["uvicorn", "--port", str(port), "--log-level", "critical", "--lifespan", "off",
                "application:application"]
    if name == "hypercorn":
        return ["hypercorn", "--bind", f"127.0.0.1:{port}", "application:behind_proxy"]
    return ["daphne", "--bind", "127.0.0.1", "--port", str(port), "--proxy-headers",
            "application:application"]


def ask(port, fields):
    with connect(f"ws://127.0.0.1:{port}/", additional_headers=fields, proxy=None) as client:
        scheme, address = json.loads(client.recv(timeout=10))
    return f"{scheme} {address}"


COMMON = {"X-Forwarded-For": "192.0.2.60", "X-Forwarded-Proto": "https"}
CASES = (
    (COMMON, {"uvicorn": "wss 192.0.2.60", "hypercorn": "https 192.0.2.60",
              "daphne": "None 192.0.2.60"}),
    ({"Forwarded": "for=192.0.2.60;proto=https"}, {"hypercorn": "https 192.0.2.60"}),
    ({"Forwarded": 'for="[2001:db8:cafe::17]:4711";proto=https'},
     {"hypercorn": 'https "[2001:db8:cafe::17]:4711"'}),
    ({"Forwarded": 'For="[2001:db8:cafe::17]:4711";Proto=https'}, {"hypercorn": "ws 127.0.0.1"}),
)
servers, ports = [], {}
try:
    for name in ("uvicorn", "hypercorn", "daphne"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[name] = free.getsockname()[1]
        program, *arguments = command(name, ports[name])
        with open(os.path.join(folder, "log"), "a") as log:
            servers.append(subprocess.Popen([os.path.join(programs, program), *arguments],
                                            cwd=folder, stdout=log, stderr=log))
    for port in ports.values():
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
    for fields, expected in CASES:
        print(", ".join(f"{field}: {value}" for field, value in fields.items()))
        for name, result in expected.items():
            found = ask(ports[name], fields)
            print(f"  {name:<10} {found}")
            assert found == result
    for name in ("uvicorn", "daphne"):
        unread = {"Forwarded": "for=192.0.2.60;proto=https"}
        assert ask(ports[name], unread) == ask(ports[name], {})
finally:
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
