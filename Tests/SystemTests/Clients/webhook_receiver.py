"""A receiver of webhooks whose behaviour a test changes.

Arguments: the port, and the file that holds the behaviour: one word, and the conversations that it
concerns (all, if none is named). The words are ok, fail, hang, gone, endless (informational
responses for ever) and unix (an answer with bare line feeds). For each request it prints a line: the answer's status, the id, the type, the conversation, and the number or text of what
happened.
"""

import contextlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {"ok": 204, "fail": 500, "gone": 410, "unix": 204}
LOCK = threading.Lock()


def report(*words):
    with LOCK:
        print(*words, flush=True)


def behaviour(conversation):
    with open(sys.argv[2], encoding="utf-8") as file:
        word, *conversations = file.read().split()
    return word if not conversations or conversation in conversations else "ok"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        data = event["data"]
        word = behaviour(data["conversation"])
        report("begun", event["type"], data["conversation"])
        while word == "hang":
            time.sleep(0.05)
            word = behaviour(data["conversation"])
            if word != "hang":
                self.close_connection = True
                return
        if word == "endless":
            self.close_connection = True
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
            return
        what = data.get("message", {}).get("content") or data.get("user", {}).get("id") or "-"
        report(
            STATUS[word], self.headers["webhook-id"], event["type"], data["conversation"], what)
        if word == "unix":
            self.wfile.write(b"HTTP/1.1 204 No Content\nServer: old\n\n")
            return
        self.send_response(STATUS[word])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", int(sys.argv[1])), Receiver)
print("receiver on port", server.server_port, flush=True)
server.serve_forever()
