#!/usr/bin/env bash
# pywebpush 2.5.0: webpush() with the same dict of VAPID claims for several subscriptions signs all
# tokens for the push service of the first one. The library adds the audience of the first endpoint
# to the caller's dict and keeps it for every further call. "aud" must be the origin of the push
# service (RFC 8292, 2), so those who use the first one's browser get their notifications, and those
# of other browsers do not: their push services refuse the token.
# One would expect that claims which a program passes to each call belong to the program, as they
# are a constant ("sub"); the documentation says that a missing "aud" is taken from the endpoint.
# A chat server needs a copy for each message: vapid_claims=dict(claims).
#
# Cause: webpush() and webpush_async() set "aud" and "exp" in the argument itself. "exp" is replaced
# when it is over, "aud" never.
#
# Output seen (the endpoint's server, and the one in the token's "aud"):
#   one dict:    first first, second first
#   two copies:  first first, second second
#   the dict afterwards: aud, exp, sub
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pywebpush==2.5.0 py-vapid==1.9.6 \
    http-ece==1.2.1 requests==2.34.2
cat > "$folder/run.py" <<'PYTHON'
import base64
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid
from pywebpush import webpush

audiences = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        payload = re.search(r"t=[^.]+\.([^.]+)\.", self.headers["Authorization"])[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        audiences.append((self.server.name, NAMES[claims["aud"]]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


NAMES, subscriptions = {}, []
for name in ("first", "second"):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.name = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    NAMES[origin] = name
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    subscriptions.append({"endpoint": f"{origin}/push/1", "keys": {
        "p256dh": base64url(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
        "auth": base64url(os.urandom(16))}})
signer = Vapid()
signer.generate_keys()


def push_to_both(title, claims_of):
    audiences.clear()
    for subscription in subscriptions:
        answer = webpush(subscription, "hello", vapid_private_key=signer, vapid_claims=claims_of())
        assert answer.status_code == 201
    outcome = ", ".join(" ".join(pair) for pair in audiences)
    print(f"{title:<12} {outcome}")
    return outcome


claims = {"sub": "mailto:operator@example.test"}
assert push_to_both("one dict:", lambda: claims) == "first first, second first"
constant = {"sub": "mailto:operator@example.test"}
assert push_to_both("two copies:", lambda: dict(constant)) == "first first, second second"
print("the dict afterwards:", ", ".join(sorted(claims)))
assert sorted(claims) == ["aud", "exp", "sub"] and list(constant) == ["sub"]
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
