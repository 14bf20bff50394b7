#!/usr/bin/env bash
# Three clients for server-sent events deliver the beginning of a message as the whole message,
# without an error and with its id, so that resuming with Last-Event-ID skips the rest:
#   sseclient 0.0.27     if an HTTP chunk ends within the event, as proxies and large events cause
#   sseclient-py 1.9.0   if the stream ends within the event: the server or a proxy stops
#   aiosseclient 0.1.8   if the text contains U+2028, which JSON need not escape; sseclient too
# httpx-sse 0.4.3 delivers the first and the third as a whole, and discards the second, as the HTML
# standard demands (9.2.6).
# One would expect that at least the end of a stream and the chunks below HTTP are safe.
# A server helps these clients if it writes each event at once, escapes all but ASCII in JSON, and
# has messages that are invalid if they are cut, such as a JSON object in one line.
#
# Cause: sseclient reads the socket below http.client, to read short events early, so the sizes of
# chunks become lines of the stream. sseclient-py parses what is left at the end. aiosseclient and
# sseclient use str.splitlines(), which ends lines at more characters than CR and LF.
#
# Output seen:
#   a chunk ends within:
#     sseclient     id 1, '{"text":"a'
#     sseclient-py  id 1, '{"text":"a b"}'
#     aiosseclient  id 1, '{"text":"a b"}'
#     httpx-sse     id 1, '{"text":"a b"}'
#   the stream ends within:
#     sseclient-py  id 1, '{"text":"a'
#     aiosseclient  nothing
#     httpx-sse     nothing
#   U+2028:
#     sseclient     id 1, '{"text":"a'
#     sseclient-py  id 1, '{"text":"a\u2028b"}'
#     aiosseclient  id 1, '{"text":"a'
#     httpx-sse     id 1, '{"text":"a\u2028b"}'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install -q --disable-pip-version-check)
"${pip[@]}" aiosseclient==0.1.8 aiohttp==3.14.5 httpx-sse==0.4.3 httpx==0.28.1 requests==2.32.5
# These two have the same module name.
"${pip[@]}" --no-deps --target "$folder/one" sseclient==0.0.27 six==1.17.0
"${pip[@]}" --no-deps --target "$folder/other" sseclient-py==1.9.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import importlib
import json
import logging
import socket
import sys
import threading
import time

import httpx
import httpx_sse
import requests
from aiosseclient import aiosseclient

logging.disable(logging.CRITICAL)
FOLDER = sys.argv[1]
WHOLE = '{"text":"a\u2028b"}'
CASES = {
    "a chunk ends within": ['id: 1\ndata: {"text":"a', ' b"}\n\n', "id: 2\ndata: {}\n\n"],
    "the stream ends within": ['id: 1\ndata: {"text":"a'],
    "U+2028": [f"id: 1\ndata: {WHOLE}\n\n", "id: 2\ndata: {}\n\n"],
}


def serve(listener, parts):
    while True:
        client = listener.accept()[0]
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for part in parts:
                data = part.encode()
                client.sendall(b"%x\r\n%b\r\n" % (len(data), data))
                time.sleep(0.1)
            client.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        client.close()


def module_in(name):
    sys.modules.pop("sseclient", None)
    sys.path.insert(0, f"{FOLDER}/{name}")
    module = importlib.import_module("sseclient")
    assert module.__file__.startswith(f"{FOLDER}/{name}/")
    del sys.path[0]
    return module


def first(events):
    for event in events:
        return event.id, event.data


def with_sseclient(url):
    return first(module_in("one").SSEClient(url))


def with_sseclient_py(url):
    return first(module_in("other").SSEClient(requests.get(url, stream=True)).events())


def with_aiosseclient(url):
    async def run():
        async for event in aiosseclient(url):
            return event.id, event.data
    return asyncio.run(run())


def with_httpx_sse(url):
    with httpx.Client(trust_env=False) as client:
        with httpx_sse.connect_sse(client, "GET", url) as source:
            return first(source.iter_sse())


CLIENTS = {
    "sseclient": with_sseclient,
    "sseclient-py": with_sseclient_py,
    "aiosseclient": with_aiosseclient,
    "httpx-sse": with_httpx_sse,
}
HALF = ("1", '{"text":"a')
EXPECTED = {
    "a chunk ends within": {
        "sseclient": HALF, "sseclient-py": ("1", '{"text":"a b"}'),
        "aiosseclient": ("1", '{"text":"a b"}'), "httpx-sse": ("1", '{"text":"a b"}')},
    "the stream ends within": {
        "sseclient-py": HALF, "aiosseclient": None, "httpx-sse": None},
    "U+2028": {
        "sseclient": HALF, "sseclient-py": ("1", WHOLE), "aiosseclient": HALF,
        "httpx-sse": ("1", WHOLE)},
}
for case, parts in CASES.items():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, parts), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    print(f"{case}:")
    for name, expected in EXPECTED[case].items():
        received = CLIENTS[name](url)
        if received == expected == None:
            print(f"  {name:<13} nothing")
        else:
            print(f"  {name:<13} id {received[0]}, {ascii(received[1])}")
        assert received == expected
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
