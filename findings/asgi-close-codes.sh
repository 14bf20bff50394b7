#!/usr/bin/env bash
# The same ASGI application gets other close codes from each server, for the same client:
#   the client                    uvicorn 0.54.0   hypercorn 0.18.0   daphne 4.2.3
#   closes with 4000              4000             1006               4000
#   closes without a code         1005             1006               None
#   loses its TCP connection      1005             1006               1006
# One would expect 4000, 1005 and 1006 everywhere: the ASGI specification names 1005 as the code of
# a Close frame without one, and RFC 6455 (7.1.5) 1006 for a connection without a Close frame.
# So with uvicorn an application cannot tell "the user left" from "the network failed" for a browser
# that calls close() without a code, and with hypercorn for no client.
# The reason of the Close frame arrives only with uvicorn.
#
# Cause: uvicorn has chosen 1005 for a lost connection. hypercorn does not note that it has received
# the client's Close frame, and takes the end of TCP that follows for a loss. daphne passes on what
# autobahn reports: None.
#
# Output seen:
#   uvicorn    4000 'bye', 1005, 1005
#   hypercorn  1006, 1006, 1006
#   daphne     4000, None, 1006
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    uvicorn==0.54.0 websockets==17.4 hypercorn==0.18.0 wsproto==1.3.2 \
    daphne==4.2.3 autobahn==26.10.2
cd "$folder"
cat > application.py <<'PYTHON'
async def application(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    assert message["type"] == "websocket.disconnect"
    text = str(None if message["code"] is None else int(message["code"]))
    if message.get("reason"):
        text += f" {message['reason']!r}"
    with open("seen", "a") as file:
        file.write(text + "\n")
PYTHON
cat > run.py <<'PYTHON'
import os
import socket
import subprocess
import time

BIN = os.path.join("venv", "bin", "")
COMMANDS = {
    "uvicorn": ["uvicorn", "application:application", "--port", "PORT", "--lifespan", "off"],
    "hypercorn": ["hypercorn", "application:application", "--bind", "127.0.0.1:PORT"],
    "daphne": ["daphne", "application:application", "--port", "PORT", "--bind", "127.0.0.1"],
}
EXPECTED = {
    "uvicorn": ["4000 'bye'", "1005", "1005"],
    "hypercorn": ["1006", "1006", "1006"],
    "daphne": ["4000", "None", "1006"],
}


def connect(port):
    for _ in range(200):
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except OSError:
            time.sleep(0.05)
    client.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def close_frame(payload):
    return bytes([0x88, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def seen():
    return open("seen").read().splitlines() if os.path.exists("seen") else []


for name, command in COMMANDS.items():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [BIN + command[0], *(word.replace("PORT", str(port)) for word in command[1:])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for count, payload in enumerate([(4000).to_bytes(2, "big") + b"bye", b"", None], 1):
            client = connect(port)
            if payload is not None:
                client.sendall(close_frame(payload))
                # The server answers with a Close frame, and closes TCP.
                answer = b""
                while part := client.recv(100):
                    answer += part
                assert answer[0] == 0x88
            client.close()
            for _ in range(100):
                if len(seen()) == count:
                    break
                time.sleep(0.05)
        codes = seen()
    finally:
        server.terminate()
        server.wait()
    os.remove("seen")
    print(f"{name:<10}", ", ".join(codes))
    assert codes == EXPECTED[name]
PYTHON
"$folder/venv/bin/python" run.py
