"""docker/compose.cluster.yml in Docker's engine, under faults, with the judge of the Python kit.

Clients send all the time through HAProxy while containers are killed, paused, disconnected from
the network and replaced. CONTAINER_ROUNDS (1) repeats the faults. Grafana has no stand-in image
and does not run.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import unittest
import urllib.error
import urllib.request

from engine import URL, Composition, ContainerTest, get, wait
from support import SECRET, Application, make_token, until
from test_torture import Sender, judge

from confab import Confab

ROUNDS = int(os.environ.get("CONTAINER_ROUNDS", "1"))
#: A master that is unavailable for so long is replaced: down-after-milliseconds (3 s), an election
#: and retries of the sentinels on a busy machine.
FAILOVER_SECONDS = 20
#: A node that is unavailable for so long is evicted: no heartbeat for 3 s, and some time to see it.
EVICTION_SECONDS = 8
NODES = ("n1", "n2", "n3")
SERVERS = {"172.31.250.201": "redis1", "172.31.250.202": "redis2"}
SERVICES = (*NODES, "redis1", "redis2", "sentinel1", "sentinel2", "sentinel3", "haproxy",
            "prometheus")


class Cluster(Composition):
    """The composition with secrets of its own, of which the tests know one."""

    def __init__(self, engine):
        super().__init__(engine, "compose.cluster.yml")
        secrets = self.folder / "docker/cluster/secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "jwt.secret").write_bytes(SECRET)
        subprocess.run([self.folder / "docker/cluster/create-secrets"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self):
        self.compose("up", "-d", "--no-build", *SERVICES)
        self.wait_healthy(*NODES)
        wait("HAProxy answers", self.is_reachable)

    def is_reachable(self):
        try:
            return "healthy" in get("/api/health")
        except OSError:
            return False

    def operate(self, *words):
        """What an operator's command prints in the first container that runs one.

        Status 3: a node did not answer, such as the row of a killed process.
        """
        for node in NODES:
            result = self.confab(node, *words)
            if result.returncode in (0, 3) and result.stdout:
                return result.stdout
        raise AssertionError(f"confab {' '.join(words)}: {result.stdout}{result.stderr}")

    def master(self):
        """The service of the Redis server that the sentinels name."""
        for sentinel in ("sentinel1", "sentinel2", "sentinel3"):
            result = self.engine.run(
                "docker", "exec", self.container(sentinel), "sh", "-c",
                'REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli -p 26379 '
                "sentinel get-master-addr-by-name confab")
            if result.returncode == 0 and result.stdout:
                return SERVERS[result.stdout.split()[0]]
        raise AssertionError("no sentinel names the master")

    def owner(self):
        """The node that owns the conversation of the tests."""
        return json.loads(self.operate("owner", "lobby", "--output", "json"))["owner"]

    def evictions(self, node):
        """How often the cluster evicted the node."""
        events = json.loads(self.operate("events", "--last", "1000", "--node", node,
                                         "--type", "dies", "--output", "json"))["events"]
        return len(events)

    def replicas(self, server):
        result = self.engine.run(
            "docker", "exec", self.container(server), "sh", "-c",
            "REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli info replication")
        return sum("state=online" in line for line in result.stdout.splitlines())


class ClusterTests(ContainerTest):
    images = ("confab", "redis", "haproxy", "prometheus")

    def setUp(self):
        self.cluster = Cluster(self.engine)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()

    def wait_whole(self):
        """Waits until all nodes and both Redis servers work."""
        self.cluster.wait_healthy(*NODES)
        wait("the replica follows", lambda: self.cluster.replicas(self.cluster.master()) == 1)
        wait("three nodes", lambda: len(self.nodes()) == 3)

    def nodes(self):
        rows = json.loads(self.cluster.operate("nodes", "--output", "json"))["nodes"]
        return [row["node"] for row in rows if row["state"] == "active"]

    # The faults. Each returns after the container is back.

    async def kill(self, service, seconds):
        name = self.cluster.container(service)
        await self.docker("kill", "--signal", "KILL", name)
        await asyncio.sleep(seconds)
        await self.docker("start", name)

    async def pause(self, service, seconds):
        name = self.cluster.container(service)
        await self.docker("pause", name)
        await asyncio.sleep(seconds)
        await self.docker("unpause", name)

    async def disconnect(self, service, seconds):
        name, network = self.cluster.container(service), f"{self.cluster.name}_cluster"
        address = self.engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
        await self.docker("network", "disconnect", "--force", network, name)
        await asyncio.sleep(seconds)
        # The same address and name: a network that works again, and not a new container.
        await self.docker("network", "connect", "--ip", address, "--alias", service, network, name)

    async def restart(self, service, seconds):
        await self.docker("stop", "--time", "30", self.cluster.container(service))
        state = self.engine.inspect(self.cluster.container(service))["State"]
        self.assertEqual(state["ExitCode"], 0)
        await asyncio.sleep(seconds)
        await self.docker("start", self.cluster.container(service))

    async def replace(self, service, seconds):
        """An upgrade of one container, with another address."""
        await asyncio.to_thread(self.cluster.compose, "up", "-d", "--no-build", "--no-deps",
                                "--force-recreate", service)
        await asyncio.sleep(seconds)

    async def docker(self, *words):
        await asyncio.to_thread(self.engine.docker, *words)

    async def senders(self):
        found = []
        for name in ("alice", "bob"):
            client = Confab(URL, token=make_token(name), history=0)
            client.connect()
            self.clients.append(client)
            found.append(Sender(name, client.conversation("lobby")))
        await until(lambda: all(one.room.state == "online" for one in found), "both are online")
        return found

    async def continues(self, senders, what):
        before = [len(sender.acknowledged) for sender in senders]
        await until(lambda: all(len(sender.acknowledged) >= count + 5
                                for sender, count in zip(senders, before, strict=True)),
                    f"both clients continue after {what}", 60)

    async def history(self):
        messages = []
        async with Confab(URL, token=make_token("judge")) as client:
            while page := await client.history(
                    "lobby", after=messages[-1].id if messages else 0, limit=100):
                messages += page
        return messages

    async def chat_under(self, faults):
        """Sends during each fault and judges; returns the history.

        A fault's service is a name, or a method of Cluster that returns the name.
        """
        self.clients = []
        senders = await self.senders()
        try:
            for fault, service, seconds in faults:
                await self.continues(senders, "a pause")
                if callable(service):
                    service = await asyncio.to_thread(service)
                what = f"{fault.__name__} {service} {seconds} s"
                print(what, flush=True)
                is_evicted = service in NODES and seconds >= EVICTION_SECONDS
                if is_evicted:
                    evictions = await asyncio.to_thread(self.cluster.evictions, service)
                await fault(service, seconds)
                if service in SERVERS.values() and seconds >= FAILOVER_SECONDS:
                    self.assertNotEqual(await asyncio.to_thread(self.cluster.master), service)
                await self.continues(senders, what)
                await asyncio.to_thread(self.wait_whole)
                # Otherwise the fault was none.
                if is_evicted:
                    self.assertGreater(
                        await asyncio.to_thread(self.cluster.evictions, service), evictions)
            for sender in senders:
                await sender.stop()
            head = max(id for sender in senders for id in sender.acknowledged.values())
            await until(lambda: all(one.room.after == head for one in senders), "delivery")
            history = await self.history()
            self.assertEqual(judge(senders, history), [])
            # The judge notices a lost message.
            self.assertNotEqual(judge(senders, history[:-3] + history[-2:]), [])
            print(f"{len(history)} messages, no violation", flush=True)
            return [(one.id, one.text) for one in history]
        finally:
            for sender in senders:
                await sender.application.stop()
            for client in self.clients:
                await client.close()

    def test_faults_of_nodes_and_redis(self):
        self.wait_whole()
        order = random.Random(33)
        owner, master = self.cluster.owner, self.cluster.master
        faults = []
        for _ in range(ROUNDS):
            faults += [
                (self.kill, owner, 2), (self.pause, owner, EVICTION_SECONDS),
                (self.disconnect, owner, EVICTION_SECONDS), (self.kill, order.choice(NODES), 1),
                (self.restart, order.choice(NODES), 1), (self.replace, order.choice(NODES), 1),
                (self.pause, master, 2), (self.kill, master, FAILOVER_SECONDS),
                (self.disconnect, master, FAILOVER_SECONDS), (self.kill, "sentinel1", 2),
                (self.kill, "haproxy", 1)]
        history = asyncio.run(self.chat_under(faults))

        # All containers are replaced. Redis keeps the roles that the failover gave, so the former
        # master does not return with an older history.
        last = self.cluster.master()
        self.cluster.compose("down", "--timeout", "30")
        self.cluster.start()
        self.wait_whole()
        self.assertEqual(self.cluster.master(), last)
        self.assertEqual(
            [(one.id, one.text) for one in asyncio.run(self.history())], history)

    def test_operators_see_three_nodes(self):
        self.wait_whole()
        self.assertIn("No problems.", self.cluster.operate("status"))
        result = self.engine.run(
            "docker", "exec", "--env", "CONFAB_ADMIN_TOKEN_FILE=", self.cluster.container("n1"),
            "confab", "status")
        self.assertNotEqual(result.returncode, 0, "the admin API needs a token")

        def targets():
            answer = json.loads(self.prometheus("targets"))["data"]["activeTargets"]
            return [one["labels"]["instance"] for one in answer if one["health"] == "up"]

        wait("Prometheus scrapes the nodes",
             lambda: sorted(targets()) == [f"{node}:8090" for node in NODES])
        groups = json.loads(self.prometheus("rules"))["data"]["groups"]
        names = {rule["name"] for group in groups for rule in group["rules"]}
        self.assertIn("ConfabNodeDown", names)

    def prometheus(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{path}") as answer:
            return answer.read().decode()

    def test_clients_need_a_token_and_nodes_see_their_addresses(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            get("/api/conversations")
        self.assertEqual(caught.exception.code, 401)
        # A client's own header does not count as its address.
        with self.assertRaises(urllib.error.HTTPError):
            get("/api/conversations", **{"X-Forwarded-For": "198.51.100.7"})
        logs = self.cluster.compose("logs", *NODES)
        networks = self.engine.inspect(
            self.cluster.container("haproxy"))["NetworkSettings"]["Networks"]
        # The engine forwards the published port from its own address. Without the header of HAProxy
        # it would be the address of HAProxy.
        gateway = networks[f"{self.cluster.name}_cluster"]["Gateway"]
        self.assertRegex(logs, rf"request refused .*address={re.escape(gateway)}\b")
        self.assertNotIn("198.51.100.7", logs)


if __name__ == "__main__":
    unittest.main()
