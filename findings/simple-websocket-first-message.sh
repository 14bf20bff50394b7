#!/usr/bin/env bash
# simple-websocket 1.1.0, its Client: messages that arrive in one TCP segment with the answer to
# the handshake are held back until the server sends something else. receive() waits for the
# next message although the first one is there. If it is the only one, it is never delivered: when
# the connection ends, receive() raises, and a Close frame in the same segment has been overlooked
# too (1005 instead of its code). Servers that greet or refuse at once send such segments.
# One would expect that segments make no difference, because nothing is lost: the bytes are already
# parsed when receive() waits.
#
# Cause: the handshake takes one event (AcceptConnection) from wsproto and leaves the others in its
# queue. The reading thread looks there only after the next bytes from the socket.
#
# Output seen:
#   two segments: 'welcome' at once
#   one segment: nothing within 1 s; 'welcome' and 'news' when 'news' had come
#   one segment with a Close frame (4401), then the end: ConnectionClosed 1005
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    simple-websocket==1.1.0 wsproto==1.3.2
cat > "$folder/run.py" <<'PYTHON'
import base64
import hashlib
import queue
import socket
import threading

import simple_websocket


def text(content):
    return bytes([0x81, len(content)]) + content


CLOSE = b"\x88\x02" + (4401).to_bytes(2, "big")
sends_more = queue.Queue()


def serve(listener):
    for first in (b"", text(b"welcome"), text(b"refused") + CLOSE):
        client = listener.accept()[0]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n" + first)
        client.sendall(sends_more.get())
        client.close()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"

client = simple_websocket.Client(url)
sends_more.put(text(b"welcome"))
message = client.receive(timeout=5)
print(f"two segments: {message!r} at once")
assert message == "welcome"

client = simple_websocket.Client(url)
nothing = client.receive(timeout=1)
sends_more.put(text(b"news"))
first, second = client.receive(timeout=5), client.receive(timeout=5)
print(f"one segment: {'nothing' if nothing is None else nothing} within 1 s; "
      f"{first!r} and {second!r} when 'news' had come")
assert (nothing, first, second) == (None, "welcome", "news")

client = simple_websocket.Client(url)
assert client.receive(timeout=1) is None
sends_more.put(b"")
try:
    raise SystemExit(f"received {client.receive(timeout=5)!r}")
except simple_websocket.ConnectionClosed as error:
    print("one segment with a Close frame (4401), then the end: ConnectionClosed",
          int(error.reason))
    assert error.reason == 1005
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
