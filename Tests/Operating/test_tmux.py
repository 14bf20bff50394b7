"""`confab top` and all tables in tmux, at 80, 120 and 200 columns, against Tests/golden.

A server of this test answers with the documents from which the golden files were made, so that
every value is known. The program, its terminal and its HTTP connection are real.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests/golden"
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
SIZES = {80: 24, 120: 30, 200: 50}
#: The words of verbs that need arguments, and of a verb's second table.
WORDS = {"history": "history lobby", "trace": "trace 1 --conversation lobby",
         "webhooks-dead": "webhooks --dead", "shards": "shards --all"}
#: The rows of this table arrive one by one from a running check.
STREAMED = "verify-all"


class Documents(http.server.BaseHTTPRequestHandler):
    """Answers /api/cluster/VERB with the document of the verb."""

    documents: dict = {}

    def do_GET(self):  # noqa: N802
        verb = self.path.removeprefix("/api/cluster/").split("?")[0].replace("/", "-")
        body = json.dumps(self.documents[verb]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Terminal:
    """A tmux session of one program. tmux runs until the session is closed."""

    count = 0

    def __init__(self, columns, rows, command):
        # A server that is ending refuses sessions, so each has its own.
        Terminal.count += 1
        self.socket = f"confab-{os.getpid()}-{self.count}"
        self.tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
            f"{command}; echo status $?; read -r line")

    def tmux(self, *words):
        return subprocess.run(
            ["tmux", "-u", "-L", self.socket, *words], check=True, capture_output=True, text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"}).stdout

    def text(self):
        """The screen and everything that has scrolled out of it."""
        return self.tmux("capture-pane", "-p", "-S", "-")

    def wait(self, text):
        deadline = time.monotonic() + 60
        while text not in (shown := self.text()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{text} does not appear:\n{shown}")
            time.sleep(0.05)
        return shown

    def close(self):
        self.tmux("kill-server")


class TmuxTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.documents = json.loads((GOLDEN / "documents.json").read_text())
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Documents)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.admin = f"--admin http://127.0.0.1:{cls.server.server_port}"

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def terminal(self, columns, command):
        terminal = Terminal(columns, SIZES[columns], f"{BINARY} {command} {self.admin}")
        self.addCleanup(terminal.close)
        return terminal

    def test_tables(self):
        Documents.documents = self.documents
        for columns in SIZES:
            golden = (GOLDEN / f"tables-{columns}.txt").read_text()
            for part in golden.strip().split("\n\n"):
                title, table = part.split("\n", 1)
                verb = title.split(" ")[0]
                if verb == STREAMED:
                    continue
                with self.subTest(verb=verb, columns=columns):
                    command = f"{BINARY} {WORDS.get(verb, verb)} {self.admin}"
                    terminal = Terminal(columns, SIZES[columns], command)
                    try:
                        shown = terminal.wait("status ").split("status ")[0]
                    finally:
                        terminal.close()
                    # Some verbs print sentences around the table.
                    self.assertIn(self.trimmed(table), self.trimmed(shown))

    def test_top(self):
        Documents.documents = {**self.documents, "nodes": self.documents["top"]}
        for columns in SIZES:
            with self.subTest(columns=columns):
                terminal = self.terminal(columns, "top")
                terminal.wait("n3-with-a-long-name")
                shown = re.sub(r"\d\d:\d\d:\d\d", "12:00:05", terminal.wait("q quit"))
                golden = (GOLDEN / f"top-nodes-{columns}.txt").read_text()
                # The golden screen has only two of the views in its first line.
                self.assertEqual(
                    self.trimmed(shown).split("\n")[1:], self.trimmed(golden).split("\n")[1:])
                terminal.tmux("send-keys", "?")
                terminal.wait("any key closes it")
                terminal.tmux("send-keys", "x")
                terminal.wait("n3-with-a-long-name")
                terminal.tmux("send-keys", "q")
                # The screen from before is back.
                self.assertEqual(self.trimmed(terminal.wait("status 0")), "status 0")

    @staticmethod
    def trimmed(text):
        return "\n".join(line.rstrip() for line in text.strip().split("\n"))


if __name__ == "__main__":
    unittest.main()
