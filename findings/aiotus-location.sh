#!/usr/bin/env bash
# aiotus 1.1.0 cannot use a tus server that names a new upload by a path: "Location: /files/1". It
# creates the upload, sends no data, and upload() returns None instead of raising; the reason is in
# the log only. A name without a slash works if the endpoint ends with one. If it does not, the
# client asks for /files/files/1 when the server says "files/1".
# Location is a reference that is resolved against the request's URL (RFC 9110, 10.2.2), and a path
# is its usual form. One would expect that a client resolves it, as tuspy 1.1.0 does for all forms.
# So a server of attachments should answer with a whole URL, which needs to know its public name.
#
# Cause: aiotus appends a Location that is not absolute to the endpoint as further segments, and its
# URL library refuses to append a path that starts with a slash. upload() logs every exception.
#
# Output seen (Location: aiotus; tuspy):
#   http://…/files/1: POST HEAD PATCH, a URL; POST PATCH, a URL
#   /files/1: POST, None; POST PATCH, a URL
#   //…/files/1: POST HEAD PATCH, a URL; POST PATCH, a URL
#   1: POST HEAD PATCH, a URL; POST PATCH, a URL
#   files/1, the endpoint is /files: POST HEAD of /files/files/1, None; POST PATCH, a URL
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiotus==1.1.0 aiohttp==3.14.5 \
    yarl==1.25.1 tuspy==1.1.0 requests==2.34.2
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import io
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiotus
from tusclient.client import TusClient

logging.disable()
CONTENT = b"hello"
requests, received = [], bytearray()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, **fields):
        self.send_response(status)
        self.send_header("Tus-Resumable", "1.0.0")
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status in (201, 400):
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        requests.append("POST")
        received.clear()
        self.answer(201, Location=self.server.location)

    def is_upload(self):
        is_known = self.path == "/files/1"
        requests.append(self.command if is_known else f"{self.command} of {self.path}")
        return is_known

    def do_HEAD(self):
        if self.is_upload():
            size = str(len(CONTENT))
            self.answer(200, Upload_Offset=str(len(received)), Upload_Length=size)
        else:
            self.answer(400)

    def do_PATCH(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.is_upload()
        received.extend(content)
        self.answer(204, Upload_Offset=str(len(received)))

    def log_message(self, *_):
        pass


async def with_aiotus(endpoint):
    attempts = aiotus.RetryConfiguration(retry_attempts=1)
    return await aiotus.upload(endpoint, io.BytesIO(CONTENT), config=attempts)


def with_tuspy(endpoint):
    uploader = TusClient(endpoint).uploader(file_stream=io.BytesIO(CONTENT))
    uploader.upload()
    return uploader.url


def outcome_of(run, endpoint):
    requests.clear()
    url = run(endpoint)
    assert (url is not None) == (received == CONTENT)
    return " ".join(requests) + (", None" if url is None else ", a URL")


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
origin = f"http://127.0.0.1:{server.server_port}"
COMPLETE = "POST HEAD PATCH, a URL"
for location, path, expected in [
    (f"{origin}/files/1", "/files/", COMPLETE),
    ("/files/1", "/files/", "POST, None"),
    (f"{origin.removeprefix('http:')}/files/1", "/files/", COMPLETE),
    ("1", "/files/", COMPLETE),
    ("files/1", "/files", "POST HEAD of /files/files/1, None"),
]:
    server.location = location
    first = outcome_of(lambda endpoint: asyncio.run(with_aiotus(endpoint)), origin + path)
    second = outcome_of(with_tuspy, origin + path)
    title = location.replace(origin.removeprefix("http://"), "…")
    print(title + (", the endpoint is /files" if path == "/files" else "") + f": {first}; {second}")
    assert (first, second) == (expected, "POST PATCH, a URL")
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
