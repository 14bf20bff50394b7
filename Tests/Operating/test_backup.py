"""The backup and the restore of Redis, with the commands of docs/operating/backup.md as printed."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))

from waiting import free_port  # noqa: E402

BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
PAGE = ROOT / "docs/operating/backup.md"


class Machine:
    """Redis with the settings of cluster/redis.conf, and a node."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="confab-backup-"))
        self.data = self.folder / "redis"
        self.data.mkdir()
        (self.folder / "backup").mkdir()
        (self.folder / "jwt.secret").write_text("a secret of at least 32 bytes for the tests")
        self.port, self.admin = free_port(), free_port()
        self.redis = self.node = None

    def start_redis(self, *options):
        self.redis = subprocess.Popen(
            ["redis-server", ROOT / "cluster/redis.conf", "--bind", "127.0.0.1", "--port",
             str(self.port), "--dir", self.data, *options], stdout=subprocess.DEVNULL)
        self.wait(lambda: self.cli("PING") == "PONG", "Redis")

    def start_node(self):
        self.node = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{self.admin}",
             "--store", f"redis://127.0.0.1:{self.port}", "--jwt-secret-file",
             self.folder / "jwt.secret"], cwd=self.folder, stderr=subprocess.DEVNULL)
        # Not `confab await healthy`: a killed predecessor is a row of the nodes for a while.
        self.wait(lambda: self.run("nodes", "--output", "json").stdout, "the node")

    @staticmethod
    def wait(is_done, what):
        end = time.monotonic() + 60
        while not is_done():
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(0.05)

    def cli(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words],
                              capture_output=True, text=True).stdout.strip()

    def run(self, *words):
        return subprocess.run([BINARY, *words, "--admin", f"http://127.0.0.1:{self.admin}"],
                              capture_output=True, text=True)

    def confab(self, *words):
        """Runs a command that must succeed, and returns its output."""
        result = self.run(*words)
        if result.returncode != 0:
            state = "runs" if self.node.poll() is None else f"ended with {self.node.returncode}"
            raise RuntimeError(f"confab {words[0]}: {result.stderr} The node {state}.")
        return result.stdout

    def send(self, text):
        self.confab("send", "lobby", text, "--as", "ops", "--yes")

    def texts(self):
        answer = json.loads(self.confab("history", "lobby", "--output", "json"))
        return [message["content"] for message in answer["messages"]]

    def stop(self):
        for process in (self.node, self.redis):
            if process:
                process.kill()
                process.wait()
        self.node = self.redis = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_printed(self, number):
        """Runs a block of the page with the paths and the port of this machine."""
        block = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)[number]
        script = (block.replace("/var/lib/redis", str(self.data))
                  .replace("/backup/", f"{self.folder}/backup/")
                  .replace("redis-cli ", f"redis-cli -p {self.port} "))
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True,
                       stdout=subprocess.DEVNULL)


class BackupTests(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        self.machine.start_redis()
        self.machine.start_node()
        # A conversation exists when its first member has joined, which a token of a user does.
        token = subprocess.run(
            [BINARY, "token", "--secret-file", self.machine.folder / "jwt.secret", "--sub", "ops",
             "--conversations", "*"], check=True, capture_output=True, text=True).stdout.strip()
        self.join(token)
        for number in range(5):
            self.machine.send(f"before {number}")

    def join(self, token):
        from websockets.sync.client import connect
        row = json.loads(self.machine.confab("nodes", "--output", "json"))["nodes"][0]
        with connect(f"ws://{row['address']}/conversations/lobby/?token={token}") as client:
            client.send(json.dumps({"action": "send_message", "content": "before"}))
            while json.loads(client.recv(20))["type"] != "chat_message":
                pass

    def replace_data(self):
        self.machine.send("after the backup")
        self.machine.stop()
        shutil.rmtree(self.machine.data)
        self.machine.data.mkdir()

    def check_restored(self):
        self.machine.start_node()
        self.assertEqual(
            self.machine.texts(), ["before", *(f"before {number}" for number in range(5))])
        self.machine.send("it goes on")
        result = self.machine.run("verify", "lobby")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_append_only_files(self):
        self.machine.run_printed(0)
        archive, = (self.machine.folder / "backup").iterdir()
        self.replace_data()
        subprocess.run(["tar", "-C", self.machine.data, "-xzf", archive], check=True)
        self.machine.start_redis()
        self.check_restored()

    def test_snapshot(self):
        self.machine.cli("BGSAVE")
        self.machine.wait(lambda: (self.machine.data / "dump.rdb").exists(), "the snapshot")
        shutil.copy(self.machine.data / "dump.rdb", self.machine.folder / "backup")
        self.replace_data()
        shutil.copy(self.machine.folder / "backup/dump.rdb", self.machine.data)
        self.machine.start_redis("--appendonly", "no")
        self.machine.cli("CONFIG", "SET", "appendonly", "yes")
        self.machine.wait(
            lambda: "aof_rewrite_in_progress:0" in self.machine.cli("INFO", "persistence"),
            "the append-only file")
        # As the page says, from then on with the usual settings.
        self.machine.stop()
        self.machine.start_redis()
        self.check_restored()


if __name__ == "__main__":
    unittest.main()
