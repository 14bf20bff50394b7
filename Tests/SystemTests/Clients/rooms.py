"""A client of Rooms with python-socketio: rooms.py URL TRANSPORTS TOKEN.

TRANSPORTS is polling, websocket, or default. The client reads lines `emit NAME JSON` and
`call NAME JSON`, and prints one line per event.
"""

import json
import sys
import threading
import time

import socketio

url, transports, token = sys.argv[1:4]
client = socketio.Client(
    reconnection=True, reconnection_delay=0.2, reconnection_delay_max=1, request_timeout=60
)


output_lock = threading.Lock()


def print_line(*words):
    # Each handler runs in its own thread.
    with output_lock:
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()


@client.event
def connect():
    print_line("connected", client.transport())


@client.event
def disconnect(reason=None):
    print_line("disconnected")


@client.event
def connect_error(data):
    print_line("connect_error", json.dumps(data))


# The handler of a library user takes one argument; a second one would be an error.
@client.on("*")
def any_event(event, data):
    print_line("event", event, json.dumps(data, separators=(",", ":")))


client.connect(
    url,
    transports=None if transports == "default" else [transports],
    auth={"token": token} if token else None,
    retry=False,
    wait_timeout=60,
)
for line in sys.stdin:
    verb, name, data = line.rstrip("\n").split(" ", 2)
    try:
        if verb == "emit":
            client.emit(name, json.loads(data))
        else:
            answer = client.call(name, json.loads(data), timeout=10)
            print_line("ack", json.dumps(answer, separators=(",", ":")))
    except socketio.exceptions.SocketIOError as problem:
        # The connection is down for the moment; the client reconnects by itself.
        print_line("ack", json.dumps({"ok": False, "error": repr(problem)}))
        time.sleep(0.3)
client.disconnect()
