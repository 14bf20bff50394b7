#!/usr/bin/env bash
# tuspy 1.1.0 with url_storage, its way to resume: a file whose first 64 KiB and size equal those of
# an earlier one is not uploaded. The client asks the server for the old upload's offset, finds it
# complete, and reports success with the old upload's URL. So a log or an image of fixed size that
# changed behind its first 64 KiB is lost, and a copy under another name gets the first one's
# metadata. It is the same with a client for another server: the old server is asked.
# One would expect that resuming compares the whole file, or its name and time, and the endpoint, as
# tus-js-client does in browsers. The documentation calls the fingerprint unique.
# A server of attachments sees only a HEAD. Whoever uses tuspy for them should pass a fingerprinter
# of its own, or remove the URL from the storage after each upload.
#
# Cause: the key of the storage is the size and the MD5 of the first block of 65,536 bytes, and
# nothing removes it.
#
# Output seen:
#   first:                        POST, PATCH: /files/1
#   equal size and first 64 KiB:  HEAD: /files/1
#   the same under another name:  HEAD: /files/1
#   with another server:          HEAD: /files/1 of the first server
#   differs in its first byte:    POST, PATCH: /files/2
#   without url_storage:          POST, PATCH: /files/3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tuspy==1.1.0 requests==2.34.2 \
    tinydb==4.9.0
cat > "$folder/run.py" <<'PYTHON'
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

folder = sys.argv[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, **fields):
        self.server.methods.append(self.command)
        self.send_response(status)
        self.send_header("Tus-Resumable", "1.0.0")
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status == 201:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def read(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_POST(self):
        self.read()
        self.server.uploads.append((int(self.headers["Upload-Length"]), bytearray()))
        self.answer(201, Location=f"/files/{len(self.server.uploads)}")

    def upload(self):
        return self.server.uploads[int(self.path.split("/")[-1]) - 1]

    def do_HEAD(self):
        size, received = self.upload()
        self.answer(200, Upload_Offset=str(len(received)), Upload_Length=str(size))

    def do_PATCH(self):
        received = self.upload()[1]
        assert int(self.headers["Upload-Offset"]) == len(received)
        received.extend(self.read())
        self.answer(204, Upload_Offset=str(len(received)))

    def log_message(self, *_):
        pass


def start():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.uploads, server.methods = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def write(name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def url_of(server):
    return f"http://127.0.0.1:{server.server_port}/files/"


storage = FileStorage(os.path.join(folder, "urls.json"))
main, other = start(), start()


def upload(title, path, expected, server=main, is_stored=True):
    name = {"filename": os.path.basename(path)}
    options = {"store_url": True, "url_storage": storage} if is_stored else {}
    uploader = TusClient(url_of(server)).uploader(path, metadata=name, **options)
    uploader.upload()
    methods = ", ".join(main.methods)
    outcome = f"{methods}: {uploader.url.replace(url_of(main), '/files/')}"
    print(f"{title + ':':<29} {outcome}" + (" of the first server" if server is other else ""))
    assert outcome == expected, outcome
    main.methods.clear()


first = write("first.log", b"a" * 65536 + b"Monday")
upload("first", first, "POST, PATCH: /files/1")
upload("equal size and first 64 KiB", write("second.log", b"a" * 65536 + b"Friday"),
       "HEAD: /files/1")
upload("the same under another name", write("copy.log", b"a" * 65536 + b"Monday"),
       "HEAD: /files/1")
upload("with another server", first, "HEAD: /files/1", server=other)
upload("differs in its first byte", write("third.log", b"b" + b"a" * 65535 + b"Friday"),
       "POST, PATCH: /files/2")
upload("without url_storage", os.path.join(folder, "second.log"), "POST, PATCH: /files/3",
       is_stored=False)
assert not other.methods and not other.uploads
assert [bytes(content[-6:]) for _, content in main.uploads] == [b"Monday", b"Friday", b"Friday"]
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
