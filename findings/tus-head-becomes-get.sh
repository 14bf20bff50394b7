#!/usr/bin/env bash
# Varnish 7.1.1 and nginx 1.22.1 with proxy_cache (Debian 12) ask the server with GET when a client
# asks with HEAD, also if no answer may be stored. Resumable uploads (tus 1.0) fetch their offset
# with HEAD, and GET is no part of that protocol. A server that has no GET there, or one for
# downloads, answers without Upload-Offset: tuspy 1.1.0 begins an upload through such a proxy, but
# cannot resume one. HAProxy 2.6.12 with its cache passes HEAD on.
# One would expect that a proxy keeps the method, as it cannot know that both mean the same here,
# and that "Cache-Control: no-store", which tus demands in the answer to HEAD, has an effect. Tests
# without an interruption do not notice it. Varnish passes on a request with Authorization or
# Cookie unchanged, so it concerns uploads with a token in the URL only; nginx changes it all the
# same.
# Operators: "if (req.http.Tus-Resumable) { return (pass); }" in vcl_recv, or in nginx
# "proxy_cache_convert_head off;", with $request_method in the key if answers are cached. A server
# is safe if it answers GET with the same fields.
#
# Cause: both fetch whatever they might store, and so as a whole. Their documentation says so
# (builtin VCL; proxy_cache_convert_head).
#
# Output seen (the server's methods, and the offset that tuspy reads or its error):
#   directly                   POST PATCH HEAD, 3
#   varnish                    POST PATCH GET, TusCommunicationError
#   varnish, Authorization     POST PATCH HEAD, 3
#   nginx                      POST PATCH GET, TusCommunicationError
#   nginx, Authorization       POST PATCH GET, TusCommunicationError
#   haproxy                    POST PATCH HEAD, 3
#   varnish, pass              POST PATCH HEAD, 3
#   nginx, convert_head off    POST PATCH HEAD, 3
set -euo pipefail
if [[ $(varnishd -V 2>&1) != *"varnish-7.1.1 "* || $(nginx -v 2>&1) != *"nginx/1.22.1" ||
    $(haproxy -v) != *"version 2.6.12-"* ]]; then
    echo "install varnish 7.1.1, nginx 1.22.1 and haproxy 2.6.12 (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tuspy==1.1.0 requests==2.34.2
cat > "$folder/run.py" <<'PYTHON'
import io
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tusclient.client import TusClient

os.chdir(sys.argv[1])
methods, received = [], bytearray()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, **fields):
        methods.append(self.command)
        self.send_response(status)
        self.send_header("Tus-Resumable", "1.0.0")
        self.send_header("Cache-Control", "no-store")
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        received.clear()
        self.answer(201, Location="/files/1")

    def do_HEAD(self):
        self.answer(200, Upload_Offset=str(len(received)), Upload_Length="5")

    def do_PATCH(self):
        received.extend(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(204, Upload_Offset=str(len(received)))

    def do_GET(self):
        self.answer(405, Allow="POST, HEAD, PATCH")

    def log_message(self, *_):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def outcome_of(port, headers):
    methods.clear()
    client = TusClient(f"http://127.0.0.1:{port}/files/", headers=headers)
    first = client.uploader(file_stream=io.BytesIO(b"hello"), chunk_size=3)
    first.upload_chunk()
    try:
        second = client.uploader(file_stream=io.BytesIO(b"hello"), url=first.url)
        result = str(second.offset)
    except Exception as error:
        result = type(error).__name__
    return " ".join(methods) + ", " + result


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.handle_error = lambda *_: None
threading.Thread(target=server.serve_forever, daemon=True).start()
target = server.server_port


def varnish(port, name, lines):
    with open(f"{name}.vcl", "w") as file:
        file.write(f"""vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{target}"; }}
sub vcl_recv {{ {lines} }}
""")
    return ["varnishd", "-F", "-n", f"{os.getcwd()}/{name}", "-a", f"127.0.0.1:{port}",
            "-f", f"{os.getcwd()}/{name}.vcl", "-s", "malloc,10m"]


def nginx(port, name, lines):
    os.mkdir(name)
    paths = "".join(f"{kind}_temp_path {name}/{kind};\n" for kind in (
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{name}.conf", "w") as file:
        file.write(f"""user root;
daemon off;
pid {name}.pid;
error_log {name}.log;
events {{}}
http {{
access_log off;
{paths}
proxy_cache_path {name}/cache keys_zone=zone:1m;
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{target};
        proxy_cache zone;
        {lines}
    }}
}}
}}
""")
    return ["nginx", "-p", os.getcwd(), "-c", f"{os.getcwd()}/{name}.conf"]


def haproxy(port, name, _):
    with open(f"{name}.cfg", "w") as file:
        file.write(f"""
cache memory
    total-max-size 4
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen all
    bind 127.0.0.1:{port}
    http-request cache-use memory
    http-response cache-store memory
    server one 127.0.0.1:{target}
""")
    return ["haproxy", "-q", "-f", f"{name}.cfg"]


def check(title, port, headers, expected):
    outcome = outcome_of(port, headers)
    print(f"{title:<26}", outcome)
    assert outcome == expected


RESUMED, FAILED = "POST PATCH HEAD, 3", "POST PATCH GET, TusCommunicationError"
TOKEN = {"Authorization": "Bearer token"}
check("directly", target, {}, RESUMED)
for make, name, lines, cases in [
    (varnish, "varnish", "", [("", {}, FAILED), (", Authorization", TOKEN, RESUMED)]),
    (nginx, "nginx", "", [("", {}, FAILED), (", Authorization", TOKEN, FAILED)]),
    (haproxy, "haproxy", "", [("", {}, RESUMED)]),
    (varnish, "varnish, pass", "if (req.http.Tus-Resumable) { return (pass); }",
     [("", {}, RESUMED)]),
    (nginx, "nginx, convert_head off", "proxy_cache_convert_head off;", [("", {}, RESUMED)]),
]:
    port = free_port()
    proxy = subprocess.Popen(
        make(port, name.replace(", ", "-").replace(" ", "-"), lines),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        for title, headers, expected in cases:
            check(name + title, port, headers, expected)
    finally:
        proxy.terminate()
        proxy.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder"
