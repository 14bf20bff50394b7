"""A client of Rooms as others write it, with python-socketio: rooms.py URL TRANSPORTS TOKEN.

TRANSPORTS is polling, websocket, or default. Reads lines `emit NAME JSON` and `call NAME JSON`; prints what happens, a line each.
"""

import json
import sys
import threading
import time

import socketio

url, transports, token = sys.argv[1:4]
client = socketio.Client(reconnection=True, reconnection_delay=0.2, reconnection_delay_max=1)


mouth = threading.Lock()


def say(*words):
    # Handlers have threads of their own.
    with mouth:
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()


@client.event
def connect():
    say("connected", client.transport())


@client.event
def disconnect(reason=None):
    say("disconnected")


@client.event
def connect_error(data):
    say("connect_error", json.dumps(data))


# Stock handlers take one argument: another would make them fail.
@client.on("*")
def anything(event, data):
    say("event", event, json.dumps(data, separators=(",", ":")))


client.connect(
    url,
    transports=None if transports == "default" else [transports],
    auth={"token": token} if token else None,
    retry=False,
)
for line in sys.stdin:
    verb, name, data = line.rstrip("\n").split(" ", 2)
    try:
        if verb == "emit":
            client.emit(name, json.loads(data))
        else:
            say("ack", json.dumps(client.call(name, json.loads(data), timeout=10), separators=(",", ":")))
    except socketio.exceptions.SocketIOError as problem:
        # The connection is away for the moment; it comes back by itself.
        say("ack", json.dumps({"ok": False, "error": repr(problem)}))
        time.sleep(0.3)
client.disconnect()
