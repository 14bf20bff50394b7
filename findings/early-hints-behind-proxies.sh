#!/usr/bin/env bash
# A server, or the inner one of two proxies, sends 103 Early Hints before its answer 200. What a
# client receives depends on the proxy in front of it (all of Debian 12):
#   nginx 1.22.1     103 when proxy_read_timeout is over (60 s by default), then the end: no answer
#   varnish 7.1.1    503
#   h2o 2.2.5        200; the hints are dropped
#   haproxy 2.6.12, apache 2.4.71, lighttpd 1.4.69   103 and 200
# RFC 9110 (15.2): a proxy forwards 1xx answers, unless it asked for them itself; and whoever reads
# answers must be able to skip those it did not expect. One would expect 200 from all.
# So hints may be added only by what is next to the browser: a server or an inner proxy that adds
# them gets no answer through to users behind these two.
#
# Cause: nginx of this version takes the first head for that of the answer, and waits for a body,
# which it does not have. That of Varnish was not looked for.
#
# Output seen:
#   nginx     after 2 s: 103, closed
#   varnish   at once: 503
#   h2o       at once: 200
#   haproxy   at once: 103 200
#   apache    at once: 103 200
#   lighttpd  at once: 103 200
set -euo pipefail
for package in nginx=1.22.1 varnish=7.1.1 h2o=2.2.5 haproxy=2.6.12 apache2=2.4.71 \
    lighttpd=1.4.69; do
    installed=$(dpkg-query -f '${Version}' -W "${package%=*}" 2>/dev/null || true)
    if [[ $installed != "${package#*=}"[-+]* ]]; then
        echo "install $package (Debian 12)" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
cat > run.py <<'PYTHON'
import os
import re
import socket
import subprocess
import threading
import time

here = os.getcwd()


def serve(connection):
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (part := connection.recv(1)):
                return
            head += part
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        connection.recv(1)


def listen(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
server = listener.getsockname()[1]
threading.Thread(target=listen, args=(listener,), daemon=True).start()
TEMPORARY = "".join(f"{name}_temp_path {here}/{name};\n"
                    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
MODULES = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
                  for name in ("mpm_event", "authz_core", "proxy", "proxy_http"))


def write(name, text):
    with open(name, "w") as file:
        file.write(text)
    return f"{here}/{name}"


def nginx(port):
    return ["nginx", "-c", write("nginx.conf", f"""
daemon off;
pid {here}/nginx.pid;
error_log {here}/nginx.log;
events {{}}
http {{
    access_log off;
    {TEMPORARY}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{server};
            proxy_http_version 1.1;
            proxy_read_timeout 2s;
        }}
    }}
}}
""")]


def varnish(port):
    return ["varnishd", "-F", "-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{server}",
            "-n", f"{here}/varnish", "-s", "malloc,16m", "-j", "none"]


def h2o(port):
    return ["h2o", "-c", write("h2o.conf", f"""
user: root
error-log: {here}/h2o.log
listen: {{port: {port}, host: 127.0.0.1}}
hosts:
  default:
    paths:
      /: {{proxy.reverse.url: "http://127.0.0.1:{server}/"}}
""")]


def haproxy(port):
    return ["haproxy", "-q", "-f", write("haproxy.cfg", f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen all
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{server}
""")]


def apache(port):
    return ["apache2", "-DFOREGROUND", "-f", write("apache.conf", f"""{MODULES}
ServerRoot {here}
ServerName localhost
PidFile {here}/apache.pid
ErrorLog {here}/apache.log
Mutex file:{here}
User www-data
Group www-data
Listen 127.0.0.1:{port}
ProxyPass / http://127.0.0.1:{server}/
""")]


def lighttpd(port):
    return ["lighttpd", "-D", "-f", write("lighttpd.conf", f"""
server.modules = ("mod_proxy")
server.document-root = "{here}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{here}/lighttpd.log"
proxy.server = ("/" => (("host" => "127.0.0.1", "port" => {server})))
""")]


def outcome(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        start = time.monotonic()
        client.settimeout(10)
        received, first = client.recv(65536), time.monotonic()
        client.settimeout(1)
        ending = ""
        try:
            while part := client.recv(65536):
                received += part
            ending = ", closed"
        except TimeoutError:
            pass
    when = round(first - start)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
    return (f"after {when} s" if when else "at once") + ": " + b" ".join(statuses).decode() + ending


for start, expected in (
        (nginx, "after 2 s: 103, closed"), (varnish, "at once: 503"), (h2o, "at once: 200"),
        (haproxy, "at once: 103 200"), (apache, "at once: 103 200"),
        (lighttpd, "at once: 103 200")):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open("log", "a") as log:
        proxy = subprocess.Popen(start(port), stdout=log, stderr=log)
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        found = outcome(port)
        print(f"{start.__name__:<9} {found}")
        assert found == expected
    finally:
        proxy.terminate()
        proxy.wait()
PYTHON
python3 run.py
