"""cluster/rolling-restart under load: no message is lost, repeated or reordered.

Clients of the Python kit chat through the load balancer of script/cluster while every node of it is
restarted. The test prints how long messages took from their author's `send` to their readers, which
docs/operating/upgrade.md quotes. With CONFAB_LATE=SECONDS none may take longer: only a quiet
machine can promise that. CONFAB_BINARY names the server (default: .build/debug/confab).
"""

import asyncio
import contextlib
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
sys.path.insert(0, str(ROOT / "clients/python"))
import confab  # noqa: E402

BINARY = os.environ.get("CONFAB_BINARY", str(ROOT / ".build/debug/confab"))
ROOMS = 4
MEMBERS = 5
#: Seconds between two messages of a member.
PAUSE = 0.25
LATE = float(os.environ.get("CONFAB_LATE", "inf"))


class Cluster:
    """Three nodes, Redis and a load balancer."""

    def __init__(self, balancer):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="confab-restart-"))
        log = self.folder / "log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [ROOT / "script/cluster", "3", "--admin-port", "0", "--folder",
                 self.folder / "cluster",
                 *(["--nginx"] if balancer == "nginx" else [])],
                stdout=output, stderr=output, env={**os.environ, "CONFAB_BINARY": BINARY})
        while "Ctrl-C stops everything" not in log.read_text():
            if self.process.poll() is not None:
                raise RuntimeError("the cluster does not start: " + log.read_text())
            time.sleep(0.1)
        text = log.read_text()
        self.url = re.search(rf"^{balancer} +(http://[0-9.:]+)", text, re.M)[1]
        self.admin = re.findall(r"^n[0-9] .*admin (http://[0-9.:]+)", text, re.M)

    def token(self, user):
        return subprocess.run(
            [BINARY, "token", "--secret-file", self.folder / "cluster/jwt.secret", "--sub", user,
             "--conversations", "*"],
            check=True, capture_output=True, text=True).stdout.strip()

    def confab(self, *words):
        return subprocess.run(
            [BINARY, *words], capture_output=True, text=True,
            env={**os.environ, "CONFAB_ADMIN_URL": ",".join(self.admin)})

    async def restart(self):
        """Runs the script; `script/cluster` starts a node that has ended again."""
        # The log has a line with the process of each node, the last one is the present process.
        stop = (r'process=$(sed -nE "s/^$CONFAB_NODE .*PID ([0-9]+)$/\1/p" "$LOG" | tail -n 1); '
                'kill -TERM "$process"; '
                'while kill -0 "$process" 2>/dev/null; do sleep 0.1; done')
        script = await asyncio.create_subprocess_exec(
            ROOT / "cluster/rolling-restart", stop, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CONFAB_BINARY": BINARY, "LOG": str(self.folder / "log"),
                 "CONFAB_ADMIN_URL": ",".join(self.admin)})
        output, _ = await script.communicate()
        return script.returncode, output.decode()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Member:
    """Sends numbered messages, and records what it receives."""

    def __init__(self, cluster, name):
        self.name = name
        self.client = confab.Confab(cluster.url, token=cluster.token(name))
        self.received = []
        self.sent = 0

    async def listen(self, room):
        async for event in room:
            if event.kind == "message":
                self.received.append((event.message.text, time.monotonic()))

    async def talk(self, room, times, is_over):
        while not is_over():
            self.sent += 1
            text = f"{self.name} {self.sent}"
            times[text] = time.monotonic()
            await room.send(text)
            await asyncio.sleep(PAUSE)


async def until(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def chat(cluster):
    """Chats during a rolling restart; returns the script's result, the rooms and the times."""
    rooms = [[Member(cluster, f"r{number}-m{index}") for index in range(MEMBERS)]
             for number in range(ROOMS)]
    times, over = {}, False
    listeners, talkers = [], []
    for number, members in enumerate(rooms):
        for member in members:
            room = member.client.conversation(f"restart-{number}")
            listeners.append(asyncio.create_task(member.listen(room)))
            talkers.append((member, room))
            member.client.connect()
            await until(lambda: room.state == "online")
    tasks = [asyncio.create_task(member.talk(room, times, lambda: over))
             for member, room in talkers]
    result = await cluster.restart()
    over = True
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    for members in rooms:
        wanted = sum(member.sent for member in members)
        with contextlib.suppress(TimeoutError):  # The caller says which messages are missing.
            await until(lambda: all(len(member.received) >= wanted for member in members))
    for task in listeners:
        task.cancel()
    for members in rooms:
        for member in members:
            await member.client.close()
    return result, rooms, times


class RollingRestartTests(unittest.TestCase):
    def check(self, balancer):
        cluster = Cluster(balancer)
        try:
            (status, output), rooms, times = asyncio.run(chat(cluster))
            self.assertEqual(status, 0, output)
            self.assertIn("3 nodes restarted", output)
            delays = []
            for members in rooms:
                wanted = sorted(f"{member.name} {number}" for member in members
                                for number in range(1, member.sent + 1))
                order = [text for text, _ in members[0].received]
                for member in members:
                    texts = [text for text, _ in member.received]
                    self.assertEqual(sorted(texts), wanted, f"{member.name}: lost or repeated")
                    self.assertEqual(texts, order, f"{member.name}: another order")
                    delays += [at - times[text] for text, at in member.received]
            delays.sort()
            print(f"{balancer}: {len(delays)} deliveries, median {delays[len(delays) // 2]:.3f} s, "
                  f"99.9 % {delays[int(len(delays) * 0.999)]:.3f} s, longest {delays[-1]:.3f} s",
                  flush=True)
            self.assertLessEqual(delays[-1], LATE)
            events = cluster.confab("events", "--last", "1000", "--output", "csv").stdout
            self.assertNotIn("died", events)
        finally:
            cluster.stop()

    def test_behind_haproxy(self):
        self.check("haproxy")

    def test_behind_nginx(self):
        self.check("nginx")


class UsageTests(unittest.TestCase):
    """Wrong arguments get one line, and no node is changed."""

    def run_script(self, *arguments, **environment):
        return subprocess.run(
            [ROOT / "cluster/rolling-restart", *arguments], capture_output=True, text=True,
            env={**os.environ, "CONFAB_BINARY": BINARY, **environment})

    def test_wrong_arguments(self):
        for arguments, sentence in (
                ((), "COMMAND is missing; see --help"),
                (("--fast", "true"), "unknown option --fast; see --help"),
                (("--timeout",), "--timeout needs a value; see --help"),
                (("--timeout", "soon", "true"), '--timeout: "soon" is not a number of seconds')):
            result = self.run_script(*arguments)
            self.assertEqual((result.returncode, result.stderr),
                             (2, f"rolling-restart: {sentence}\n"))

    def test_no_cluster(self):
        result = self.run_script("true", CONFAB_ADMIN_URL="http://127.0.0.1:1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the nodes cannot be listed", result.stderr)

    def test_help(self):
        result = self.run_script("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("cluster/rolling-restart [OPTIONS] COMMAND [NODE...]", result.stdout)


if __name__ == "__main__":
    unittest.main()
