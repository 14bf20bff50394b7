"""The files of docker/ as texts: linters, schemas, and equality with the files of cluster/.

`script/test manifests` runs this, without root. CONFAB_BINARY checks the settings of the nodes.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml
from kustomize import documents, render

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
DOCKER = ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"
OVERLAYS = ("single", "cluster")


def kustomize():
    """The command of kustomize 4 or later; Debian's kubectl has an older one."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        version = subprocess.run(["kubectl", "version", "--client", "--output", "json"],
                                 capture_output=True, text=True).stdout
        if "kustomizeVersion" in version:
            return ["kubectl", "kustomize"]
    return None


class FileTest(unittest.TestCase):
    def run_tool(self, *command):
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def check_settings(self, arguments, environment, secrets):
        """The node accepts these settings. Its secrets are in `secrets` instead of /run/secrets."""
        words = [re.sub(r"/run/secrets(/confab)?", str(secrets), word) for word in arguments]
        values = {name: re.sub(r"/run/secrets(/confab)?", str(secrets), value)
                  for name, value in environment.items()}
        self.assertEqual(words[0], "serve")
        result = subprocess.run([BINARY, "config", "show", "--output", "json", *words[1:]],
                                capture_output=True, text=True, env={**os.environ, **values})
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return json.loads(result.stdout)


class DockerfileTests(FileTest):
    def test_hadolint(self):
        self.run_tool("hadolint", DOCKER / "Dockerfile")

    def test_the_context_contains_what_the_build_reads(self):
        kept = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.M)
        for path in kept:
            self.assertTrue((ROOT / path).exists(), path)
        embedded = (ROOT / "Sources/node/CPages/pages.c").read_text()
        paths = re.findall(r'#embed "(?:\.\./){3}([^"]+)"', embedded)
        self.assertTrue(paths)
        for path in paths:
            self.assertIn(path, kept)


class ComposeTests(FileTest):
    def compose(self, name):
        return yaml.safe_load((DOCKER / name).read_text())

    def test_schema(self):
        self.run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec",
                      DOCKER / "compose.yml", DOCKER / "compose.cluster.yml")

    def test_every_container_is_restricted(self):
        for name in ("compose.yml", "compose.cluster.yml"):
            for service, settings in self.compose(name)["services"].items():
                with self.subTest(service):
                    self.assertIs(settings["read_only"], True)
                    self.assertEqual(settings["cap_drop"], ["ALL"])
                    self.assertEqual(settings["security_opt"], ["no-new-privileges:true"])
                    for port in settings.get("ports", []):
                        self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_every_mounted_file_exists_or_is_created(self):
        compose = self.compose("compose.cluster.yml")
        paths = [mount.split(":")[0] for service in compose["services"].values()
                 for mount in service.get("volumes", []) if mount.startswith(".")]
        self.assertGreater(len(paths), 10)
        for path in paths:
            self.assertTrue((DOCKER / path).is_file(), path)
        created = {one.name for one in self.secrets().iterdir()}
        self.assertEqual(
            created, {pathlib.Path(one["file"]).name for one in compose["secrets"].values()})

    def secrets(self):
        """A folder with the secrets that create-secrets writes."""
        folder = tempfile.TemporaryDirectory(prefix="confab-secrets-")
        self.addCleanup(folder.cleanup)
        script = shutil.copy(DOCKER / "cluster/create-secrets", folder.name)
        self.run_tool(script)
        secrets = pathlib.Path(folder.name, "secrets")
        before = {one.name: one.read_bytes() for one in secrets.iterdir()}
        self.assertEqual(self.run_tool(script), "")
        self.assertEqual({one.name: one.read_bytes() for one in secrets.iterdir()}, before)
        self.assertEqual(secrets.stat().st_mode & 0o777, 0o700)
        return secrets

    def test_settings_of_the_nodes(self):
        compose = self.compose("compose.cluster.yml")
        folder = self.secrets()
        # A container sees each secret under its name, not under that of its file.
        for name, secret in compose["secrets"].items():
            (folder / pathlib.Path(secret["file"]).name).rename(folder / name)
        for node in ("n1", "n2", "n3"):
            service = compose["services"][node]
            self.check_settings(service["command"].split(), service["environment"], folder)
        service = self.compose("compose.yml")["services"]["confab"]
        self.check_settings(service["command"].split(), {}, "")

    def test_a_stopped_node_has_the_time_that_its_drain_needs(self):
        shown = json.loads(self.run_tool(BINARY, "config", "show", "--output", "json"))
        drain, = [one["value"] for one in shown["settings"] if one["name"] == "drain-seconds"]
        nodes = [self.compose("compose.yml")["services"]["confab"]] + [
            self.compose("compose.cluster.yml")["services"][name] for name in ("n1", "n2", "n3")]
        for node in nodes:
            self.assertEqual(node["stop_grace_period"], f"{int(drain) + 20}s")

    def without_own_lines(self, path, patterns):
        """The lines of a file without comments, empty lines and lines that may differ."""
        lines = [line for line in path.read_text().splitlines()
                 if line.strip() and not line.strip().startswith("#")]
        return [line for line in lines
                if not any(re.match(pattern, line) for pattern in patterns)]

    def test_haproxy_has_the_rules_of_the_cluster(self):
        own = [r"    (user|group|bind|server|nameserver|hold) ", r"resolvers "]
        self.assertEqual(self.without_own_lines(DOCKER / "cluster/haproxy.cfg", own),
                         self.without_own_lines(ROOT / "cluster/haproxy.cfg", own))

    def test_prometheus_has_the_rules_of_the_cluster(self):
        own = [r" +- targets: ", r" +authorization: "]
        self.assertEqual(
            self.without_own_lines(DOCKER / "cluster/prometheus.yml", own),
            self.without_own_lines(ROOT / "cluster/monitoring/prometheus.yml", own))

    def test_grafana_reads_the_dashboard_from_the_mounted_path(self):
        mounts = self.compose("compose.cluster.yml")["services"]["grafana"]["volumes"]
        targets = dict(mount.split(":")[:2] for mount in mounts)
        provider = yaml.safe_load((DOCKER / "cluster/grafana-dashboards.yml").read_text())
        dashboard = targets["../cluster/monitoring/dashboard.json"]
        self.assertEqual(str(pathlib.Path(dashboard).parent),
                         provider["providers"][0]["options"]["path"])
        source = yaml.safe_load((DOCKER / "cluster/grafana-datasource.yml").read_text())
        self.assertEqual(source["datasources"][0]["type"], "prometheus")
        # The dashboard selects its data source by a variable of this type.
        variables = json.loads((ROOT / "cluster/monitoring/dashboard.json").read_text())
        self.assertIn(("datasource", "prometheus"), [
            (one["type"], one.get("query")) for one in variables["templating"]["list"]])


class KubernetesTests(FileTest):
    def validate(self, path, *options):
        self.run_tool("kubernetes-validate", "--strict", *options, path)

    def settings(self, container):
        """What the program understands of the arguments and variables of a container."""
        folder = tempfile.TemporaryDirectory(prefix="confab-secrets-")
        self.addCleanup(folder.cleanup)
        secrets = pathlib.Path(folder.name)
        (secrets / "jwt.secret").write_text("a secret of at least 32 bytes for the tests")
        (secrets / "admin.tokens").write_text("operator operate a-token\n")
        (secrets / "store.json").write_text('{"store": "redis+sentinel://:x@s1:26379/confab"}')

        def value(text):
            return text.replace("$(POD_NAME)", "confab-0").replace("$(POD_IP)", "10.1.2.3")

        listen = re.search(r"^ENV CONFAB_LISTEN=(.*)$", (DOCKER / "Dockerfile").read_text(), re.M)
        environment = {one["name"]: value(one["value"])
                       for one in container["env"] if "value" in one}
        shown = self.check_settings([value(one) for one in container["args"]],
                                    {"CONFAB_LISTEN": listen[1], **environment}, secrets)
        return {one["name"]: one["value"] for one in shown["settings"]}

    def test_schemas(self):
        # Of the newest version whose schemas are known, and of the oldest.
        for name in OVERLAYS:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "all.yaml")
                path.write_text(yaml.safe_dump_all(render(KUBERNETES / name)))
                self.validate(path)
                self.validate(path, "--kubernetes-version", "1.25.0")

    @unittest.skipUnless(kustomize(), "no kustomize, and no kubectl with kustomize 4 or later")
    def test_kustomize_renders_the_same(self):
        def ordered(objects):
            return sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"]))

        for name in OVERLAYS:
            rendered = documents(self.run_tool(*kustomize(), KUBERNETES / name))
            self.assertEqual(ordered(rendered), ordered(render(KUBERNETES / name)))

    def test_pods(self):
        version = self.run_tool(BINARY, "--version").split()[1]
        for name in OVERLAYS:
            kinds = {one["kind"]: one["spec"] for one in render(KUBERNETES / name)}
            workload = kinds["StatefulSet"]
            pod = workload["template"]["spec"]
            container, = pod["containers"]
            self.assertEqual(workload["replicas"], {"single": 1, "cluster": 3}[name])
            self.assertEqual(container["image"], f"registry.example/confab:{version}")
            self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/api/health")
            self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/api/live")
            self.assertEqual(container["securityContext"], {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]}})
            self.assertEqual((pod["securityContext"]["runAsNonRoot"],
                              pod["securityContext"]["runAsUser"]), (True, 65532))

            settings = self.settings(container)
            self.assertEqual(settings["node-id"], "confab-0")
            self.assertEqual(settings["anonymous"], "off")
            ports = {one["name"]: str(one["containerPort"]) for one in container["ports"]}
            self.assertEqual(settings["listen"], f"0.0.0.0:{ports['clients']}")
            self.assertEqual(settings["admin"], f"10.1.2.3:{ports['admin']}")
            # The pause, the drain, and 20 seconds for handovers.
            pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
            self.assertEqual(pod["terminationGracePeriodSeconds"],
                             pause + int(settings["drain-seconds"]) + 20)

    def test_the_single_node_has_a_volume_and_the_cluster_has_redis(self):
        single, cluster = ({one["kind"]: one["spec"] for one in render(KUBERNETES / name)}
                           for name in OVERLAYS)
        claim, = single["StatefulSet"]["volumeClaimTemplates"]
        container, = single["StatefulSet"]["template"]["spec"]["containers"]
        self.assertIn({"name": claim["metadata"]["name"], "mountPath": "/data"},
                      container["volumeMounts"])
        self.assertEqual(self.settings(container)["store"], "sqlite:confab.db")
        self.assertNotIn("PodDisruptionBudget", single)

        pod = cluster["StatefulSet"]["template"]["spec"]
        self.assertTrue(self.settings(pod["containers"][0])["store"].startswith("redis+sentinel:"))
        self.assertEqual([one["topologyKey"] for one in pod["topologySpreadConstraints"]],
                         ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
        self.assertEqual(cluster["PodDisruptionBudget"]["maxUnavailable"], 1)
        ports = [port["port"] for rule in cluster["NetworkPolicy"]["egress"]
                 for port in rule["ports"]]
        self.assertEqual(ports, [53, 53, "admin", 6379, 26379])

    def test_labels_select_the_pods(self):
        for name in OVERLAYS:
            objects = render(KUBERNETES / name)
            labels, = [one["spec"]["template"]["metadata"]["labels"] for one in objects
                       if one["kind"] == "StatefulSet"]
            for one in objects:
                spec = one["spec"]
                selector = spec.get("podSelector") or spec["selector"]
                self.assertEqual(selector.get("matchLabels", selector), labels, one["kind"])

    def test_the_validator_sees_an_unknown_field(self):
        text = (KUBERNETES / "base/statefulset.yaml").read_text()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "wrong.yaml")
            path.write_text(text.replace("serviceName:", "servicename:"))
            with self.assertRaises(AssertionError):
                self.validate(path)


if __name__ == "__main__":
    unittest.main()
