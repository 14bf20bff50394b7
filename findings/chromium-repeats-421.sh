#!/usr/bin/env bash
# Chromium 150.0.7871.100 (Debian 12: chromium-headless-shell) sends a request again, on another
# connection, when the answer is 421 Misdirected Request: also over HTTP/1.1 without TLS, and also a
# POST, whose body a page's fetch() then sends twice. The page sees one answer.
# RFC 9110 (15.5.20) allows the repetition. One would expect it for HTTP/2 only, where browsers use
# one connection for several names, and never for a method that is not idempotent.
# So a server may answer 421 only if the request had no effect. 503 is not repeated.
#
# Output seen:
#   421: GET 2, POST 2, connections of both POSTs differ: True, the page saw 421 421
#   503: GET 1, POST 1, the page saw 503 503
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
version=150.0.7871.100-1~deb12u1
apt-get download -qq "chromium-headless-shell=$version" "chromium-common=$version" 2>/dev/null
for package in *.deb; do dpkg -x "$package" .; done
if ldd usr/lib/chromium/chromium-headless-shell | grep "not found"; then
    echo "install the libraries that chromium-headless-shell depends on" >&2
    exit 1
fi
cat > run.py <<'PYTHON'
import http.server
import subprocess
import threading

PAGE = b"""<!doctype html><title>page</title><script>
onload = async () => {
    const seen = [];
    for (const status of [421, 503])
        for (const method of ["GET", "POST"]) {
            const body = method == "POST" ? "one order" : undefined;
            seen.push((await fetch(`/${status}`, {method, body})).status);
        }
    await fetch("/seen", {method: "POST", body: seen.join(" ")});
};
</script>"""
requests = []
is_done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        requests.append((self.path, self.command, body, self.client_address[1]))
        text = PAGE if self.path == "/" else b""
        self.send_response(int(self.path[1:]) if self.path in ("/421", "/503") else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        if self.path == "/seen":
            is_done.set()

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with subprocess.Popen(
    ["usr/lib/chromium/chromium-headless-shell", "--no-sandbox", "--user-data-dir=profile",
     "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
    assert is_done.wait(60)
    browser.terminate()
seen = requests[-1][2].decode().split()


def sent(status, method):
    return [one for one in requests if one[:2] == (f"/{status}", method)]


posts = sent(421, "POST")
print(f"421: GET {len(sent(421, 'GET'))}, POST {len(posts)}, connections of both POSTs differ: "
      f"{posts[0][3] != posts[-1][3]}, the page saw {' '.join(seen[:2])}")
print(f"503: GET {len(sent(503, 'GET'))}, POST {len(sent(503, 'POST'))}, "
      f"the page saw {' '.join(seen[2:])}")
assert len(sent(421, "GET")) == len(posts) == 2 and posts[0][3] != posts[1][3]
assert [one[2] for one in posts] == [b"one order"] * 2
assert len(sent(503, "GET")) == len(sent(503, "POST")) == 1 and seen == "421 421 503 503".split()
PYTHON
python3 run.py
