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

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
DOCKER = ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"
OVERLAYS = ("single", "cluster")


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def renderer():
    """A program with kustomize 4 or later; Debian's kubectl has an older one."""
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
        embedded = (ROOT / "Sources/CPages/pages.c").read_text()
        for path in re.findall(r'#embed "\.\./\.\./([^"]+)"', embedded):
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
    def validate(self, path):
        self.run_tool("kubernetes-validate", "--strict", path)

    def test_every_file_of_an_overlay_exists_and_every_patch_has_a_target(self):
        base = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())
        known = {(one["kind"], one["metadata"]["name"]) for file in base["resources"]
                 for one in documents((KUBERNETES / "base" / file).read_text())}
        for name in OVERLAYS:
            overlay = yaml.safe_load((KUBERNETES / name / "kustomization.yaml").read_text())
            for resource in overlay["resources"]:
                self.assertTrue((KUBERNETES / name / resource).exists(), resource)
            for patch in overlay["patches"]:
                content, = documents((KUBERNETES / name / patch["path"]).read_text())
                target = patch.get("target") or {
                    "kind": content["kind"], "name": content["metadata"]["name"]}
                self.assertIn((target["kind"], target["name"]), known)

    def test_schemas(self):
        for name in ("statefulset", "services", "network-policy"):
            self.validate(KUBERNETES / f"base/{name}.yaml")
        self.validate(KUBERNETES / "cluster/disruption-budget.yaml")

    @unittest.skipUnless(renderer(), "no kustomize, and no kubectl with kustomize 4 or later")
    def test_overlays(self):
        for name in OVERLAYS:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                text = self.run_tool(*renderer(), KUBERNETES / name)
                path = pathlib.Path(folder, "all.yaml")
                path.write_text(text)
                self.validate(path)
                self.check_overlay(name, documents(text), pathlib.Path(folder))

    def check_overlay(self, name, objects, folder):
        kinds = {one["kind"]: one for one in objects}
        workload = kinds["StatefulSet"]["spec"]
        pod = workload["template"]["spec"]
        container, = pod["containers"]
        self.assertTrue(container["image"].startswith("registry.example/confab:"))
        self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/api/health")
        self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/api/live")
        self.assertIn({"name": "secrets", "mountPath": "/run/secrets/confab", "readOnly": True},
                      container["volumeMounts"])
        self.assertEqual(workload["replicas"], 1 if name == "single" else 3)

        (folder / "jwt.secret").write_text("a secret of at least 32 bytes for the tests")
        (folder / "admin.tokens").write_text("operator operate a-token\n")
        (folder / "store.json").write_text('{"store": "redis+sentinel://:x@s1:26379/confab"}')
        replaced = {"$(POD_NAME)": "confab-0", "$(POD_IP)": "10.1.2.3"}

        def value(text):
            for variable, known in replaced.items():
                text = text.replace(variable, known)
            return text

        arguments = [value(one) for one in container["args"]]
        environment = {one["name"]: value(one["value"])
                       for one in container["env"] if "value" in one}
        settings = self.check_settings(arguments, environment, folder)
        self.assertIn("confab-0", json.dumps(settings))
        # The time that a drain needs, and the pause before it.
        pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], pause + 10 + 20)
        if name == "cluster":
            self.assertEqual(kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"], 1)
            ports = [port["port"] for rule in kinds["NetworkPolicy"]["spec"]["egress"]
                     for port in rule["ports"]]
            self.assertEqual(ports, [53, 53, "admin", 6379, 26379])

    def test_the_validator_sees_an_unknown_field(self):
        text = (KUBERNETES / "base/statefulset.yaml").read_text()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "wrong.yaml")
            path.write_text(text.replace("serviceName:", "servicename:"))
            with self.assertRaises(AssertionError):
                self.validate(path)


if __name__ == "__main__":
    unittest.main()
