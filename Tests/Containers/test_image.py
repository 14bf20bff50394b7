"""The image of docker/Dockerfile in Docker's engine, and the one node of docker/compose.yml."""

import asyncio
import json
import os
import re
import signal
import tarfile
import unittest
import urllib.request

from engine import IMAGES, ROOT, URL, Composition, ContainerTest, get, wait

#: The bytes of all files, as `docker image ls` counts them.
SIZE_LIMIT = 120_000_000


class ImageTests(ContainerTest):
    def shell(self, script):
        return self.engine.docker(
            "run", "--rm", "--user", "0", "--entrypoint", "sh", "confab", "-c", script)

    def image(self):
        return json.loads(self.engine.docker("image", "inspect", "confab"))[0]

    def test_size(self):
        self.assertLessEqual(self.image()["Size"], SIZE_LIMIT)

    def test_contents_are_those_of_the_documentation(self):
        with tarfile.open(IMAGES / "base.tar") as archive:
            base = sum(member.size for member in archive)
        program = int(self.shell("stat --format %s /usr/local/bin/confab"))
        size = self.image()["Size"]
        measured = [one / 1e6 for one in (size, base, program, size - base - program)]
        print("MB: image {:.1f}, Debian {:.1f}, confab {:.1f}, packages {:.1f}".format(*measured),
              flush=True)
        page = (ROOT / "docs/operating/docker.md").read_text()
        page = page[page.index("### Contents"):page.index("## A cluster")]
        debian, confab, *packages = map(float, re.findall(r"\| ([0-9.]+) \|$", page, re.M))
        total = float(re.search(r"^(\d+) MB unpacked", page, re.M)[1])
        # Debian's updates change sizes a little.
        for written, found in zip((total, debian, confab, sum(packages)), measured, strict=True):
            self.assertAlmostEqual(written, found, delta=1.5)

    def test_settings(self):
        config = self.image()["Config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual(config["WorkingDir"], "/data")
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["confab"], ["serve"]))
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(list(config["Volumes"]), ["/data"])
        self.assertEqual(list(config["ExposedPorts"]), ["8080/tcp"])
        self.assertEqual(config["Healthcheck"]["Test"], ["CMD", "confab", "health"])
        for name, value in {"title": "Confab", "licenses": "Apache-2.0"}.items():
            self.assertEqual(config["Labels"][f"org.opencontainers.image.{name}"], value)

    def test_packages_are_those_of_the_linked_libraries(self):
        paths = self.shell("ldd /usr/local/bin/confab")
        self.assertNotIn("not found", paths)
        libraries = re.findall(r"=> (\S+)", paths)
        owners = self.shell(
            f"for path in {' '.join(libraries)}; do "
            "dpkg -S $path 2>/dev/null || dpkg -S $(realpath $path); done")
        needed = set(re.findall(r"^([^:\s]+)", owners, re.M))
        dockerfile = (ROOT / "docker/Dockerfile").read_text()
        line = re.search(r"--no-install-recommends \\\n(.*?) \\\n", dockerfile, re.S)[1]
        # The base contains the C library; certificates are no library.
        self.assertEqual(needed - {"libc6", "libgcc-s1"}, set(line.split()) - {"ca-certificates"})

    def test_command_line(self):
        self.assertRegex(self.engine.docker("run", "--rm", "confab", "--version"),
                         r"^confab \d+\.\d+\.\d+\n$")


class SingleNodeTests(ContainerTest):
    def setUp(self):
        self.node = Composition(self.engine, "compose.yml")
        self.addCleanup(self.node.stop)
        self.node.compose("up", "-d", "--no-build")
        self.node.wait_healthy("confab")

    def token(self, user):
        result = self.node.confab("confab", "token", "--sub", user, "--conversations", "*",
                                  "--database", "confab.db")
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    async def chat(self, texts):
        """Two clients of the Python kit: one sends, and both receive over WebSocket."""
        from support import Application, until

        from confab import Confab
        async with (Confab(URL, token=self.token("alice")) as alice,
                    Confab(URL, token=self.token("bob")) as bob):
            rooms = [client.conversation("lobby") for client in (alice, bob)]
            readers = [Application(room) for room in rooms]
            alice.connect()
            bob.connect()
            await until(lambda: all(room.state == "online" for room in rooms), "both are online")
            for text in texts:
                await rooms[0].send(text, timeout=20)
            for room in rooms:
                await until(lambda: [one.text for one in room.messages][-len(texts):] == texts,
                            "both receive the messages")
            for reader in readers:
                self.assertEqual(reader.violations, [])
                await reader.stop()
            return [one.text for one in await bob.history("lobby", limit=100)]

    def test_a_browser_needs_no_token(self):
        self.assertIn("<html", get("/"))
        request = urllib.request.Request(
            URL + "/api/conversations/create", json.dumps({"title": "Tea"}).encode(),
            {"Content-Type": "application/json", "Origin": URL})
        with urllib.request.urlopen(request) as answer:
            link = json.load(answer)["link"]
        self.assertTrue(link.startswith(URL), link)

    def test_the_process_has_no_privileges(self):
        name = self.node.container("confab")
        status = dict(re.findall(r"^(\w+):\s*(.*)$", self.engine.docker(
            "exec", name, "cat", "/proc/1/status"), re.M))
        self.assertEqual(status["Uid"].split(), ["65532"] * 4)
        self.assertEqual({int(status[set], 16) for set in ("CapEff", "CapPrm", "CapBnd")}, {0})
        self.assertEqual(status["NoNewPrivs"], "1")
        for path in ("/x", "/usr/local/bin/confab", "/tmp/x"):
            result = self.engine.run("docker", "exec", name, "sh", "-c", f"echo >{path}")
            self.assertIn("Read-only file system", result.stderr, path)

    def test_messages_survive_stop_kill_and_a_replaced_container(self):
        name = self.node.container("confab")
        expected = ["one", "two", "three"]
        self.assertEqual(asyncio.run(self.chat(expected)), expected)

        self.engine.docker("stop", "--time", "30", name)
        state = self.engine.inspect(name)["State"]
        self.assertEqual((state["ExitCode"], state["OOMKilled"]), (0, False))
        self.assertIn("drained=true", self.node.compose("logs"))
        self.engine.docker("start", name)
        self.node.wait_healthy("confab")
        expected.append("after the stop")
        self.assertEqual(asyncio.run(self.chat(expected[-1:])), expected)

        self.engine.docker("kill", "--signal", "KILL", name)
        wait("the container ends", lambda: not self.engine.inspect(name)["State"]["Running"])
        self.engine.docker("start", name)
        self.node.wait_healthy("confab")
        expected.append("after the kill")
        self.assertEqual(asyncio.run(self.chat(expected[-1:])), expected)

        self.node.compose("up", "-d", "--no-build", "--force-recreate")
        self.node.wait_healthy("confab")
        expected.append("in another container")
        self.assertEqual(asyncio.run(self.chat(expected[-1:])), expected)

    def test_a_stuck_node_is_unhealthy(self):
        name = self.node.container("confab")
        process = self.engine.inspect(name)["State"]["Pid"]
        os.kill(process, signal.SIGSTOP)
        wait("the health check fails", lambda: self.node.health("confab") == "unhealthy", 60)
        os.kill(process, signal.SIGCONT)
        self.node.wait_healthy("confab")


if __name__ == "__main__":
    unittest.main()
