#!/usr/bin/env bash
# Apache 2.4.71 (Debian 12) as a reverse proxy answers 502 when the server closes the connection
# without an answer, but only for the first request of a client's connection. For a later one it
# closes the client's connection too, without any answer. Chromium 150.0.7871.100 takes that for an
# idle connection that ended just then, and sends the request again: also a POST, which the server
# then receives twice. The page sees one answer. Behind nginx 1.22.1 the server receives it once.
# One would expect 502 each time (RFC 9110, 15.6.3), as nginx sends it, and that a request whose
# outcome is unknown is repeated by nobody if its method is not idempotent (9.2.2).
# So a chat server that fails in the middle of a POST behind Apache may be asked again at once:
# messages should carry an id that the server compares.
#
# Cause: mod_proxy_http means to trigger the client's repetition, "if allowed (as for idempotent
# requests)", says its comment. It does not look at the method. Chromium repeats any request on a
# connection that it has used before, if not a byte of an answer came.
#
# Output seen:
#   apache: 1st request of a connection: 502; 2nd: closed without an answer
#   apache: Chromium's POST reached the server 2 times, the page saw 502
#   nginx: 1st request of a connection: 502; 2nd: 502
#   nginx: Chromium's POST reached the server 1 time, the page saw 502
set -euo pipefail
apache=2.4.71 nginx=1.22.1 chromium=150.0.7871.100-1~deb12u1
if [[ $(apache2 -v) != *"Apache/$apache "* || $(nginx -v 2>&1) != *"nginx/$nginx" ]]; then
    echo "install apache2 $apache and nginx $nginx (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download -qq "chromium-headless-shell=$chromium" "chromium-common=$chromium" 2>/dev/null
for package in *.deb; do dpkg -x "$package" .; done
if ldd usr/lib/chromium/chromium-headless-shell | grep "not found"; then
    echo "install the libraries that chromium-headless-shell depends on" >&2
    exit 1
fi
cat > run.py <<'PYTHON'
import http.client
import http.server
import os
import socket
import subprocess
import threading
import time

PAGE = b"""<!doctype html><title>page</title><script>
onload = async () => {
    const answer = await fetch("/lost", {method: "POST", body: "one order"});
    await fetch("/seen", {method: "POST", body: answer.status});
};
</script>"""
requests = []
is_done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        requests.append((self.path, body))
        if self.path == "/lost":
            self.close_connection = True
            return
        text = PAGE if self.path == "/" else b""
        self.send_response(200)
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
server.handle_error = lambda *arguments: None
threading.Thread(target=server.serve_forever, daemon=True).start()
here = os.getcwd()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def apache(port):
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http"))
    with open("apache.conf", "w") as file:
        file.write(f"""{modules}
ServerRoot {here}
ServerName localhost
PidFile {here}/apache.pid
ErrorLog {here}/apache.log
Mutex file:{here}
User www-data
Group www-data
Listen 127.0.0.1:{port}
ProxyPass / http://127.0.0.1:{server.server_port}/
""")
    return ["apache2", "-DFOREGROUND", "-f", f"{here}/apache.conf"]


def nginx(port):
    temporary = "".join(f"{name}_temp_path {here}/{name};\n" for name in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open("nginx.conf", "w") as file:
        file.write(f"""
daemon off;
pid {here}/nginx.pid;
error_log {here}/nginx.log;
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{server.server_port}; }}
    }}
}}
""")
    return ["nginx", "-c", f"{here}/nginx.conf"]


def post(client, path):
    try:
        client.request("POST", path, "one order")
        answer = client.getresponse()
        answer.read()
        return answer.status
    except http.client.RemoteDisconnected:
        return "closed without an answer"


for name, write, second, copies in (
        ("apache", apache, "closed without an answer", 2), ("nginx", nginx, 502, 1)):
    port = free_port()
    proxy = subprocess.Popen(write(port), stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        first_of_connection = post(client, "/lost")
        client.close()
        assert post(client, "/ok") == 200
        second_of_connection = post(client, "/lost")
        client.close()
        print(f"{name}: 1st request of a connection: {first_of_connection}; "
              f"2nd: {second_of_connection}")
        assert (first_of_connection, second_of_connection) == (502, second)
        requests.clear()
        is_done.clear()
        with subprocess.Popen(
            ["usr/lib/chromium/chromium-headless-shell", "--no-sandbox",
             f"--user-data-dir=profile-{name}", "--remote-debugging-port=0",
             f"http://127.0.0.1:{port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            assert is_done.wait(60)
            browser.terminate()
        posts = [body for path, body in requests if path == "/lost"]
        seen = requests[-1][1].decode()
        print(f"{name}: Chromium's POST reached the server {len(posts)} "
              f"time{'s' * (len(posts) > 1)}, the page saw {seen}")
        assert posts == [b"one order"] * copies and seen == "502"
    finally:
        proxy.terminate()
        proxy.wait()
PYTHON
python3 run.py
