#!/usr/bin/env bash
# python-engineio 4.15.1 (also below python-socketio 5.18.1), a client with long polling:
# after one POST has failed, the client keeps the state "connected", accepts further messages
# without an error, and sends none of them. It notices the loss when its pending GET is answered:
# on a quiet connection with the server's next ping, 25 seconds later by default.
# One would expect that it disconnects, and connects again, at once: a failed GET has that effect.
#
# Cause: the thread that sends ends after a failed POST and wakes neither the reading thread nor the
# application; the reading thread looks for it only between two GETs.
#
# Output seen:
#   first: echoed
#   the proxy answers a POST with 503
#   2.0 s later: connected, 0 further POSTs for 2 sent messages
#   disconnected (transport error) when the ping had come
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    python-engineio==4.15.1 requests==2.32.5 simple-websocket==1.1.0
cat > "$folder/run.py" <<'PYTHON'
import socketserver
import threading
import time
import wsgiref.simple_server

import engineio

PING_SECONDS = 6
server = engineio.Server(async_mode="threading", ping_interval=PING_SECONDS, ping_timeout=20)
application = engineio.WSGIApp(server)
posts = []
fails = threading.Event()
pings = []


@server.on("message")
def message(sid, data):
    server.send(sid, data)


def proxy(environ, start_response):
    """What a proxy does between the death of a node and the next check of its health."""
    if environ["REQUEST_METHOD"] == "POST":
        posts.append(time.monotonic())
        if fails.is_set():
            fails.clear()
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
    return application(environ, start_response)


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


web = wsgiref.simple_server.make_server("127.0.0.1", 0, proxy, Server, Handler)
threading.Thread(target=web.serve_forever, daemon=True).start()

client = engineio.Client()
echoed, disconnected = threading.Event(), threading.Event()
reasons = []


@client.on("message")
def echo(data):
    echoed.set()


@client.on("disconnect")
def disconnect(reason):
    reasons.append(reason)
    disconnected.set()


client.connect(f"http://127.0.0.1:{web.server_port}", transports=["polling"])
client.send("first")
assert echoed.wait(10)
print("first: echoed")

# The answer of the echo ended one GET; the next one is pending until the ping.
time.sleep(0.5)
fails.set()
failed_at = time.monotonic()
client.send("second")
while fails.is_set():
    time.sleep(0.01)
count = len(posts)
print("the proxy answers a POST with 503")
time.sleep(1)
client.send("third")
client.send("fourth")
time.sleep(1)
print(f"2.0 s later: {client.state}, {len(posts) - count} further POSTs for 2 sent messages")
assert client.state == "connected" and len(posts) == count and not disconnected.is_set()
assert disconnected.wait(30)
assert time.monotonic() - failed_at > 2 and len(posts) == count
print(f"disconnected ({reasons[0]}) when the ping had come")
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
