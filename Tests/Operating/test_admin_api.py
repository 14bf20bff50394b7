"""The admin API equals its document: thousands of generated requests, and the verbs' own documents.

Runs Schemathesis against a node with SQLite and against one of a cluster of two with Redis, and
checks the JSON that `confab VERB --output json` prints against the same schemas, also with `--via`
after all nodes were killed.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import jsonschema_rs

from test_rolling_restart import confab
from waiting import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
DOCUMENT = ROOT / "docs/protocols/admin.openapi.json"

# Rules between parameters, and forms of ids, which the document cannot express.
CONFIG = """
[[operations]]
include-path-regex = "/(create|trace|ban|disconnect|connections?|verify/all|events|doctor|support)$"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 409, 503]

[[operations]]
include-path-regex = "/cluster/"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 503]
"""


class Deployment:
    """Nodes with SQLite, or with a Redis of their own."""

    def __init__(self, count, has_redis):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="confab-admin-"))
        self.processes = []
        self.nodes = []
        (self.folder / "secret").write_text("a secret of at least 32 bytes for the tests")
        (self.folder / "tokens").write_text("ops operate the-token-of-the-tests\n")
        (self.folder / "token").write_text("the-token-of-the-tests")
        self.store = "sqlite:confab.db"
        if has_redis:
            port = free_port()
            self.store = f"redis://127.0.0.1:{port}"
            self.processes.append(subprocess.Popen(
                ["redis-server", ROOT / "cluster/redis.conf", "--bind", "127.0.0.1", "--port",
                 str(port), "--dir", self.folder], stdout=subprocess.DEVNULL))
        self.ports = [free_port() for _ in range(count)]
        for number, port in enumerate(self.ports):
            self.nodes.append(subprocess.Popen(
                [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{port}",
                 "--store", self.store, "--node-id", f"n{number + 1}", "--jwt-secret-file", "secret",
                 "--admin-token-file", "tokens"],
                cwd=self.folder, stderr=subprocess.DEVNULL))
        end = time.monotonic() + 60
        while self.confab("await", "nodes", str(count)).returncode != 0:
            if time.monotonic() > end:
                raise TimeoutError("the nodes")

    def confab(self, *words):
        return subprocess.run(
            [BINARY, *words], capture_output=True, text=True,
            env={**os.environ, "CONFAB_ADMIN_URL": f"http://127.0.0.1:{self.ports[0]}",
                 "CONFAB_ADMIN_TOKEN_FILE": str(self.folder / "token")})

    def kill_nodes(self):
        for process in self.nodes:
            process.kill()
            process.wait()

    def stop(self):
        self.kill_nodes()
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class AdminAPITests(unittest.TestCase):
    def deploy(self, count, has_redis):
        deployment = Deployment(count, has_redis)
        self.addCleanup(deployment.stop)
        return deployment

    def check_requests(self, deployment):
        config = deployment.folder / "schemathesis.toml"
        config.write_text(CONFIG)
        result = subprocess.run(
            ["schemathesis", "--config-file", config, "run", DOCUMENT, "--url",
             f"http://127.0.0.1:{deployment.ports[0]}", "--checks", "all", "--max-examples", "25",
             "--seed", "1", "--generation-database", "none", "--no-color", "--header",
             "Authorization: Bearer the-token-of-the-tests"],
            cwd=deployment.folder, capture_output=True, text=True, timeout=600)
        self.assertEqual(result.returncode, 0, result.stdout[-6000:] + result.stderr[-2000:])
        count = len(json.loads(DOCUMENT.read_text())["paths"])
        self.assertIn(f"Tested: {count}", result.stdout)

    def check_documents(self, deployment):
        document = json.loads(DOCUMENT.read_text())
        words = {"owner": ["lobby"], "history": ["lobby"], "verify": ["lobby"], "node": ["n1"],
                 "conversation": ["lobby"], "user": ["ops"], "shards": ["--node", "n1"]}
        seen = 0
        for path, item in document["paths"].items():
            verb = path.removeprefix("/api/cluster/")
            if "get" not in item or verb in ("verify/all", "support", "connection", "trace"):
                continue
            command = ["webhooks", "--dead"] if verb == "webhooks/dead" else [verb]
            result = deployment.confab(*command, *words.get(verb, []), "--output", "json")
            if result.returncode != 0 and not result.stdout:
                # Without Redis, or without this conversation, a sentence is the answer.
                self.assertRegex(result.stderr, r"^confab: [A-Z].*\.\n$", verb)
                continue
            schema = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema_rs.validate(schema, json.loads(result.stdout))
            seen += 1
        self.assertGreaterEqual(seen, 8)

    def test_redis_without_nodes(self):
        deployment = self.deploy(2, has_redis=True)
        rows = json.loads(deployment.confab("nodes", "--output", "json").stdout)["nodes"]
        token = deployment.confab(
            "token", "--sub", "ops", "--conversations", "*", "--secret-file",
            str(deployment.folder / "secret")).stdout.strip()
        with confab.SyncConfab(f"http://{rows[0]['address']}", token=token) as client:
            client.conversation("lobby").send("Hello", timeout=30)
        result = deployment.confab("ban", "--user", "eve", "--yes")
        self.assertEqual(result.returncode, 0, result.stderr)
        deployment.kill_nodes()
        paths = json.loads(DOCUMENT.read_text())["paths"]
        for verb, words in {"nodes": [], "shards": [], "owner": ["lobby"], "redis": [],
                            "events": [], "history": ["lobby"], "verify": ["lobby"], "bans": [],
                            "conversation": ["lobby"], "user": ["ops"]}.items():
            result = deployment.confab(
                verb, *words, "--via", deployment.store, "--output", "json")
            self.assertEqual(result.returncode, 0, f"{verb}: {result.stderr}")
            operation = paths[f"/api/cluster/{verb}"]["get"]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema_rs.validate(schema, json.loads(result.stdout))

    def test_a_single_node(self):
        deployment = self.deploy(1, has_redis=False)
        self.check_documents(deployment)
        self.check_requests(deployment)

    def test_a_cluster(self):
        deployment = self.deploy(2, has_redis=True)
        self.check_documents(deployment)
        self.check_requests(deployment)


if __name__ == "__main__":
    unittest.main()
