"""Docker's engine in a folder of its own, with the images that build-images has written.

`script/test containers` runs the tests with the command `private`: the engine's bridges, firewall
rules and mounts belong to its namespaces, and so disappear with the last process. CONTAINER_IMAGES
names the folder of the images.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests"))
sys.path.insert(0, str(ROOT / "clients/python"))
sys.path.insert(0, str(ROOT / "clients/python/tests"))

from waiting import wait  # noqa: E402

IMAGES = pathlib.Path(os.environ.get("CONTAINER_IMAGES", ""))
URL = "http://127.0.0.1:8080"


class Engine:
    """dockerd with these images; `stop` removes its containers."""

    def __init__(self, *images):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["CONTAINER_ENGINE"]))
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{self.folder}/socket",
                            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        groups = f"/{self.folder.parent.name}/{self.folder.name}"
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", self.folder / "data", "--exec-root",
                 self.folder / "exec", "--pidfile", self.folder / "pid", "--host",
                 f"unix://{self.folder}/socket", "--cgroup-parent", groups],
                stdout=log, stderr=log, env=self.environment)
        wait("the engine answers", self.is_ready)
        for image in images:
            self.docker("load", "--quiet", "--input", str(IMAGES / f"{image}.tar"))

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("dockerd has ended: " + (self.folder / "log").read_text())
        return self.run("docker", "version").returncode == 0

    def run(self, *words, **options):
        return subprocess.run(words, capture_output=True, text=True, env=self.environment,
                              timeout=300, **options)

    def docker(self, *words):
        """Runs docker and returns what it prints."""
        result = self.run("docker", *words)
        if result.returncode != 0:
            raise AssertionError(f"docker {' '.join(words)}: {result.stdout}{result.stderr}")
        return result.stdout

    def inspect(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def stop(self):
        containers = self.docker("ps", "--all", "--quiet").split()
        if containers:
            self.docker("rm", "--force", "--volumes", *containers)
        self.process.terminate()
        self.process.wait(60)


class Composition:
    """The containers of a compose file, with files in a folder of its own."""

    def __init__(self, engine, file):
        self.engine = engine
        self.name = file.removesuffix(".yml").replace(".", "-")
        self.folder = engine.folder / self.name
        shutil.copytree(ROOT / "docker", self.folder / "docker",
                        ignore=shutil.ignore_patterns("secrets"))
        shutil.copytree(ROOT / "cluster", self.folder / "cluster")
        self.file = self.folder / "docker" / file

    def compose(self, *words):
        result = self.engine.run("docker-compose", "-p", self.name, "-f", str(self.file), *words)
        if result.returncode != 0:
            raise AssertionError(
                f"docker-compose {' '.join(words)}: {result.stdout}{result.stderr}")
        return result.stdout

    def container(self, service):
        """The name of a service's container; version 1 joins the parts with underscores."""
        return f"{self.name}_{service}_1"

    def confab(self, service, *words):
        """Runs the command line in a container."""
        return self.engine.run("docker", "exec", self.container(service), "confab", *words)

    def health(self, service):
        return self.engine.inspect(self.container(service))["State"]["Health"]["Status"]

    def wait_healthy(self, *services):
        for service in services:
            try:
                wait(f"{service} is healthy", lambda: self.health(service) == "healthy")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.compose('logs', '--tail=30')}") from error

    def stop(self):
        self.compose("down", "--volumes", "--timeout", "5")
        shutil.rmtree(self.folder)


def get(path, **headers):
    with urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers)) as answer:
        return answer.read().decode()


@unittest.skipUnless(IMAGES.name, "CONTAINER_IMAGES is not set: script/test containers")
class ContainerTest(unittest.TestCase):
    """Starts an engine with `images` for all tests of a class."""

    images = ("confab",)

    @classmethod
    def setUpClass(cls):
        cls.engine = Engine(*cls.images)
        cls.addClassCleanup(cls.engine.stop)
