#!/usr/bin/env bash
# HAProxy 2.6.12 (Debian 12) with "compression algo gzip" and text/event-stream among the types:
# of every server-sent event the last bytes, here the empty line that ends it, stay in the proxy
# until the server sends something else. So the client has nearly the whole text, but delivers each
# event only with the next one, and the last one with the end of the stream.
# One would expect that a compressor either waits for more data, or flushes all that it has: HAProxy
# sends something after each event, and its manual has no buffering for compressed answers. Nothing
# is late without compression.
# So event streams should not be compressed there; comments as heartbeats shorten the delay.
#
# Cause: Debian builds HAProxy with SLZ in place of zlib. SLZ writes its bits in whole words and
# keeps the rest for the next ones. It has a call that empties this queue with an empty block; the
# stream has no such block, so this version does not make that call between events.
#
# Output seen (the server sends an event each second and then nothing):
#   compressed: 'data: first' | '\n\ndata: seco' | 'nd\n\ndata: third\n' | '\n' at the end
#   plain:      'data: first\n\n' | 'data: second\n\n' | 'data: third\n\n' | '' at the end
set -euo pipefail
version=2.6.12
if [[ $(haproxy -v) != *"version $version-"* ]]; then
    echo "install haproxy $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import http.client
import http.server
import queue
import socket
import subprocess
import sys
import threading
import time
import zlib

events = queue.Queue()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while event := events.get():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.handle_error = lambda *arguments: None
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
with open(sys.argv[1], "w") as file:
    file.write(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen all
    bind 127.0.0.1:{port}
    compression algo gzip
    compression type text/event-stream
    server one 127.0.0.1:{server.server_port}
""")


def received(encoding):
    """What has arrived one second after each event, and after the end."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/", headers={"Accept-Encoding": encoding})
    answer = client.getresponse()
    inflater = zlib.decompressobj(31) if answer.headers["Content-Encoding"] == "gzip" else None
    assert (inflater is not None) == (encoding == "gzip")
    parts = queue.Queue()

    def read():
        while part := answer.read1():
            assert b"\0\0\xff\xff" not in part
            parts.put(inflater.decompress(part) if inflater else part)

    reader = threading.Thread(target=read)
    reader.start()
    found = []
    for event in (b"data: first\n\n", b"data: second\n\n", b"data: third\n\n", None):
        events.put(event)
        time.sleep(1)
        found.append(b"".join(parts.get() for _ in range(parts.qsize())).decode())
    reader.join()
    return found


proxy = subprocess.Popen(["haproxy", "-q", "-f", sys.argv[1]])
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    for name, encoding, expected in (
        ("compressed", "gzip",
         ["data: first", "\n\ndata: seco", "nd\n\ndata: third\n", "\n"]),
        ("plain", "identity",
         ["data: first\n\n", "data: second\n\n", "data: third\n\n", ""]),
    ):
        found = received(encoding)
        print(f"{name + ':':<11}", " | ".join(map(repr, found)), "at the end")
        assert found == expected
finally:
    proxy.terminate()
    proxy.wait()
PYTHON
python3 "$folder/run.py" "$folder/haproxy.cfg"
