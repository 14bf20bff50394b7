"""The files of cluster/monitoring with a real Prometheus, which scrapes a cluster under load.

`script/test monitoring` runs this. CONFAB_BINARY names the server (default: .build/debug/confab).
"""

import http.server
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))

from waiting import free_port, wait  # noqa: E402

FILES = ROOT / "cluster/monitoring"
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
# Grafana's value of $__rate_interval for a scrape interval of 1 s would be 16 s.
RATE_INTERVAL = "30s"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts every event of a webhook."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Cluster:
    """`script/cluster 3`: its nodes with client port, admin port and process id, and its Redis."""

    def __init__(self, folder, receiver):
        secret = folder / "webhook.secret"
        secret.write_text("whsec_" + "c2VjcmV0" * 4 + "\n")
        secret.chmod(0o600)
        environment = {
            **os.environ, "CONFAB_BINARY": BINARY,
            "CONFAB_WEBHOOK": f"http://127.0.0.1:{receiver}/", "CONFAB_WEBHOOK_ALLOW": "127.0.0.1",
            "CONFAB_WEBHOOK_SECRET_FILE": str(secret)}
        self.secret = folder / "cluster/jwt.secret"
        self.log = folder / "cluster.log"
        with self.log.open("w") as output:
            self.script = subprocess.Popen(
                [str(ROOT / "script/cluster"), "3", "--admin-port", "0",
                 "--folder", str(folder / "cluster")],
                stdout=output, stderr=output, env=environment)
        wait("cluster", self.is_ready, 120)
        text = self.log.read_text()
        self.nodes = [
            tuple(map(int, match)) for match in re.findall(
                r"^n\d +http://127\.0\.0\.1:(\d+) +admin http://127\.0\.0\.1:(\d+) +PID (\d+)",
                text, re.M)]
        self.redis = int(re.search(r"^redis .* PID (\d+)", text, re.M)[1])

    def is_ready(self):
        if self.script.poll() is not None:
            raise AssertionError("script/cluster has ended: " + self.log.read_text())
        return "Ctrl-C stops everything" in self.log.read_text()

    def stop(self):
        self.script.send_signal(signal.SIGTERM)
        self.script.wait(90)


class Prometheus:
    """A Prometheus with the example configuration, except for its targets and its intervals."""

    def __init__(self, folder, ports):
        self.url = f"http://127.0.0.1:{free_port()}"
        targets = json.dumps([f"127.0.0.1:{port}" for port in ports])
        text = (FILES / "prometheus.yml").read_text()
        for pattern, replacement in [
            (r"scrape_interval: \S+", "scrape_interval: 1s\n  scrape_timeout: 1s"),
            (r"evaluation_interval: \S+", "evaluation_interval: 1s"),
            (r"- targets: \[.*\]", f"- targets: {targets}"),
            (r"# authorization: \{credentials_file: .*\}",
             f"authorization: {{credentials_file: {folder}/cluster/confab.admin-token}}"),
        ]:
            text, count = re.subn(pattern, replacement, text, count=1)
            assert count == 1, pattern
        (folder / "prometheus.yml").write_text(text)
        shutil.copy(FILES / "alerts.yml", folder)
        with (folder / "prometheus.log").open("w") as output:
            self.process = subprocess.Popen(
                [shutil.which("prometheus") or "prometheus",
                 f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/prometheus",
                 f"--web.listen-address={self.url.removeprefix('http://')}"],
                stdout=output, stderr=output)
        wait("Prometheus", self.is_ready, 60)

    def is_ready(self):
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path, **query):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def values(self, expression):
        """The numbers of an instant query; a quantile of nothing is no number."""
        result = self.get("query", query=expression)["result"]
        values = [float(series["value"][1]) for series in result]
        return [value for value in values if not math.isnan(value)]

    def states(self):
        """The state of each alert: inactive, pending or firing."""
        groups = self.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        broken = [rule for rule in rules if rule["health"] == "err"]
        assert not broken, broken
        return {rule["name"]: rule["state"] for rule in rules}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class MonitoringTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="confab-monitoring-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever).start()
        cls.addClassCleanup(receiver.server_close)
        cls.addClassCleanup(receiver.shutdown)
        cls.cluster = Cluster(cls.folder, receiver.server_address[1])
        cls.addClassCleanup(cls.cluster.stop)
        ports = [port for _, port, _ in cls.cluster.nodes]
        cls.prometheus = Prometheus(cls.folder, ports)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.load = subprocess.Popen(
            [BINARY, "bench", "groups", *(f"ws://127.0.0.1:{port}" for port, _, _ in
                                          cls.cluster.nodes),
             "--secret-file", str(cls.cluster.secret), "--connections", "60", "--rate", "30",
             "--seconds", "600"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.load.wait)
        cls.addClassCleanup(cls.load.kill)
        for port, _, _ in cls.cluster.nodes:
            cls.refuse(port)
        wait("deliveries", lambda: cls.sum("rate(confab_messages_delivered_total[10s])") > 0, 60)

    @classmethod
    def sum(cls, expression):
        return sum(cls.prometheus.values(expression))

    @staticmethod
    def refuse(port):
        """A WebSocket whose token is refused: the node closes it."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(
                b"GET /conversations/lobby/?token=none HTTP/1.1\r\nHost: here\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            client.recv(4096)

    def test_1_every_query_of_the_dashboard_has_data(self):
        dashboard = json.loads((FILES / "dashboard.json").read_text())
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 30)
        missing = {}
        for panel in panels:
            self.assertTrue(panel["title"] and panel["description"])
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
                try:
                    wait("data", lambda query=query: self.prometheus.values(query), 5)
                except AssertionError as error:
                    missing[panel["title"]] = f"{query}: {error}"
        self.assertEqual(missing, {})

    def test_2_no_alert_is_active_in_a_healthy_cluster(self):
        rules = (FILES / "alerts.yml").read_text()
        names = set(re.findall(r"- alert: (\w+)", rules))

        def inactive():
            states = self.prometheus.states()
            self.active = {name: state for name, state in states.items() if state != "inactive"}
            return set(states) == names and not self.active
        try:
            wait("state without alerts", inactive, 120)
        except AssertionError:
            self.fail(f"active: {self.active}")

    def expect_firing(self, fault, *names):
        try:
            wait(f"alerts {names} for {fault}",
                 lambda: all(self.prometheus.states()[name] == "firing" for name in names), 120)
        except AssertionError as error:
            self.fail(f"{error}: {self.prometheus.states()}")

    def expect_inactive(self, *names):
        wait("end of the alerts",
             lambda: all(self.prometheus.states()[name] == "inactive" for name in names), 180)

    def test_3_a_frozen_node_fires_its_alert(self):
        process = self.cluster.nodes[1][2]
        os.kill(process, signal.SIGSTOP)
        try:
            self.expect_firing("a frozen node", "ConfabNodeDown")
            self.assertEqual(self.prometheus.values('sum(up{job="confab"})'), [2])
            # The others have evicted it.
            self.assertEqual(self.prometheus.values("min(confab_cluster_nodes)"), [2])
        finally:
            os.kill(process, signal.SIGCONT)
        self.expect_inactive("ConfabNodeDown", "ConfabNodeNotInView", "ConfabViewsDiffer")

    def test_4_a_frozen_redis_fires_its_alerts(self):
        os.kill(self.cluster.redis, signal.SIGSTOP)
        names = ("ConfabRedisUnavailable", "ConfabNodeUnhealthy", "ConfabStoreFails")
        try:
            self.expect_firing("a frozen Redis", *names)
            self.assertEqual(self.prometheus.states()["ConfabNodeDown"], "inactive")
        finally:
            os.kill(self.cluster.redis, signal.SIGCONT)
        self.expect_inactive(*names)

    def test_5_a_drained_node_is_no_unhealthy_node(self):
        port = self.cluster.nodes[2][1]
        environment = {**os.environ, "CONFAB_ADMIN_URL": f"http://127.0.0.1:{port}"}
        subprocess.run([BINARY, "drain", "n3", "--yes"], env=environment, check=True,
                       capture_output=True, timeout=60)
        wait("drained node", lambda: self.prometheus.values("sum(confab_draining)") == [1], 30)
        states = self.prometheus.states()
        self.assertEqual(states["ConfabNodeUnhealthy"], "inactive")
        self.assertEqual(states["ConfabDrainForgotten"], "pending")


if __name__ == "__main__":
    unittest.main()
