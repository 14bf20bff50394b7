#!/usr/bin/env bash
# httpx-sse 0.4.3 delivers an event with the data "" for each comment that is sent as a heartbeat,
# from the first event with an id on; and also for each block with only "retry:", only "id:" or
# only "event:". The HTML standard (9.2.6) keeps the id and the time to wait, and dispatches nothing
# without data; sseclient-py 1.9.0 and aiohttp-sse-client 0.2.1 (below: aiohttp) do the same.
# A program that reads each event's data as JSON fails with the first heartbeat, and only if the
# server uses ids. One would expect that comments never reach the program: the standard suggests
# them against timeouts, and the library's source cites its algorithm.
# Programs should skip events without data. A server helps if it ends its heartbeat with one line
# end instead of an empty line: that is no block.
#
# Cause: the decoder drops a block only if event, data, id and retry are all unset, and the id stays
# set from event to event.
#
# Output seen:
#   retry: 3000, then a:            httpx-sse '' 'a'; sseclient-py 'a'; aiohttp 'a'
#   id: 7, then a:                  httpx-sse '' 'a'; sseclient-py 'a'; aiohttp 'a'
#   event: heartbeat, then a:       httpx-sse '' 'a'; sseclient-py 'a'; aiohttp 'a'
#   a comment, then a:              httpx-sse 'a'; sseclient-py 'a'; aiohttp 'a'
#   b with id, a comment, then a:   httpx-sse 'b' '' 'a'; sseclient-py 'b' 'a'; aiohttp 'b' 'a'
#   the same without an empty line: httpx-sse 'b' 'a'; sseclient-py 'b' 'a'; aiohttp 'b' 'a'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx-sse==0.4.3 httpx==0.28.1 \
    sseclient-py==1.9.0 requests==2.34.2 aiohttp-sse-client==0.2.1 aiohttp==3.14.5
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp_sse_client.client
import httpx
import httpx_sse
import requests
import sseclient

body = b""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def with_httpx_sse(url):
    with httpx.Client(trust_env=False) as client:
        with httpx_sse.connect_sse(client, "GET", url) as source:
            return [event.data for event in source.iter_sse()]


def with_sseclient_py(url):
    return [event.data for event in sseclient.SSEClient(requests.get(url, stream=True)).events()]


async def receive(url):
    texts = []
    async with aiohttp_sse_client.client.EventSource(url) as source:
        async for event in source:
            texts.append(event.data)
            if event.data == "a":
                return texts


def with_aiohttp(url):
    return asyncio.run(asyncio.wait_for(receive(url), 10))


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for title, start, expected in [
    ("retry: 3000, then a", "retry: 3000\n\n", ["", "a"]),
    ("id: 7, then a", "id: 7\n\n", ["", "a"]),
    ("event: heartbeat, then a", "event: heartbeat\n\n", ["", "a"]),
    ("a comment, then a", ": heartbeat\n\n", ["a"]),
    ("b with id, a comment, then a", "id: 7\ndata: b\n\n: heartbeat\n\n", ["b", "", "a"]),
    ("the same without an empty line", "id: 7\ndata: b\n\n: heartbeat\n", ["b", "a"]),
]:
    body = f"{start}data: a\n\n".encode()
    found = {}
    for name, run in [("httpx-sse", with_httpx_sse), ("sseclient-py", with_sseclient_py),
                      ("aiohttp", with_aiohttp)]:
        found[name] = run(f"http://127.0.0.1:{server.server_port}/")
    outcome = "; ".join(" ".join([name, *map(repr, texts)]) for name, texts in found.items())
    print(f"{title + ':':<31} {outcome}")
    others = [text for text in expected if text]
    assert list(found.values()) == [expected, others, others]
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
