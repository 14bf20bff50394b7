"""A drain of one of three nodes with 5,000 clients: HAProxy knows within one health check.

Clients of the Python kit chat through an HAProxy with the settings of cluster/haproxy.cfg. Its
health checks pass through frontends of the same HAProxy, so that its log has every check in order.
The drain is visible in time if the first check after the drain's answer changes the node's state.
CONFAB_BINARY names the server (default: .build/debug/confab), DRAIN_CLIENTS the number of clients.
"""

import asyncio
import base64
import collections
import datetime
import hashlib
import hmac
import json
import os
import re
import resource
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from test_rolling_restart import Cluster, confab, until
from waiting import free_port

CLIENTS = int(os.environ.get("DRAIN_CLIENTS", "5000"))
#: Each user is in so many conversations, with one connection for each, and each conversation has
#: so many members.
SHARE = 10
RATE = 500
#: Seconds between two messages in one conversation.
PAUSE = 5
#: Seconds for all clients to return. One Python process has all of them, so on a machine with
#: other work most of this time is its own.
MOVING = 480
MARK = "/the-drain-has-begun"


def token(secret, user):
    """What `confab token` prints; 500 processes would take longer than the test."""
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    claims = {"sub": user, "exp": int(time.time()) + 3600, "conversations": "*"}
    text = b".".join(part(json.dumps(value).encode())
                     for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + part(hmac.digest(secret, text, hashlib.sha256))).decode()


def get(url):
    """The status of a response."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def moment(text):
    """The time at which a request has arrived at HAProxy, from its log."""
    return datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S.%f")


class Balancer:
    """A second HAProxy in front of a cluster, whose log has every health check."""

    def __init__(self, cluster):
        folder = cluster.folder / "cluster"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = cluster.folder / "haproxy.log"
        checks = ""

        def server(match):
            nonlocal checks
            name, address, probe = match[1], match[2], free_port()
            checks += (f"\nlisten check-{name}\n    bind 127.0.0.1:{probe}\n    no option logasap\n"
                       f'    log-format "check {name} [%tr] %ST"\n    server {name} {address}\n')
            return f"    server {name} {address} port {probe}"

        text = (folder / "haproxy.cfg").read_text()
        text = re.sub(r"(?m)^    bind .*$", f"    bind 127.0.0.1:{port}", text)
        text = re.sub(r"(?m)^    server (\S+) (\S+)$", server, text)
        config = cluster.folder / "haproxy.cfg"
        config.write_text(text + checks)
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                ["haproxy", "-db", "-f", config], stdout=output, stderr=output,
                env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})

    def lines(self):
        return self.log.read_text().splitlines()

    def checks(self, node):
        """The places in the log, the times and the statuses of the checks of a node."""
        found = (re.match(rf"check {node} \[(\S+)\] (\d+)$", line) for line in self.lines())
        return [(number, moment(match[1]), int(match[2]))
                for number, match in enumerate(found) if match]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Listener:
    """One connection of one user: everything that it receives in one conversation."""

    def __init__(self, client, room):
        self.room = client.conversation(room)
        self.received = []

    async def listen(self):
        async for event in self.room:
            if event.kind == "message":
                self.received.append(event.message.text)
            elif event.kind == "reset":
                self.received += [message.text for message in event.messages]


async def talk(listener, number, sent, is_over):
    """Sends numbered messages; `sent` has those that are stored."""
    # Not all conversations at once.
    await asyncio.sleep(PAUSE * (number % 100) / 100)
    while not is_over():
        text = f"{number}: {len(sent) + 1}"
        await listener.room.send(text)
        sent.append(text)
        await asyncio.sleep(PAUSE)


class DrainTests(unittest.TestCase):
    def setUp(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        needed = 2 * CLIENTS + 1000
        self.assertGreaterEqual(
            hard, needed, f"HAProxy needs {needed} open files; raise the limit: ulimit -Hn")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.cluster = Cluster("haproxy")
        self.addCleanup(self.cluster.stop)
        self.balancer = Balancer(self.cluster)
        self.addCleanup(self.balancer.stop)

    def nodes(self):
        rows = json.loads(self.cluster.confab("nodes", "--output", "json").stdout)["nodes"]
        return {row["node"]: row for row in rows}

    def connections(self):
        return {name: row["connections"] for name, row in self.nodes().items()}

    async def fill(self):
        """Connects the clients, some at a time, and returns the listeners of each conversation."""
        secret = (self.cluster.folder / "cluster/jwt.secret").read_bytes().strip()
        count = CLIENTS // SHARE
        rooms = [[] for _ in range(count)]
        self.clients, self.tasks = [], []
        for first in range(0, count, SHARE):
            opened = []
            for user in range(first, min(first + SHARE, count)):
                client = confab.Confab(
                    self.balancer.url, token=token(secret, f"user-{user}"), history=0)
                self.clients.append(client)
                for number in range(SHARE):
                    room = (user + number * (count // SHARE)) % count
                    listener = Listener(client, f"drain-{room}")
                    rooms[room].append(listener)
                    opened.append(listener)
                    self.tasks.append(asyncio.create_task(listener.listen()))
                client.connect()
            await until(lambda: all(listener.room.state == "online" for listener in opened))
        return rooms

    async def await_online(self, listeners):
        try:
            await until(lambda: all(listener.room.state == "online" for listener in listeners),
                        MOVING)
        except TimeoutError:
            states = collections.Counter(listener.room.state for listener in listeners)
            self.fail(f"not all clients are online: {dict(states)}, "
                      f"{await asyncio.to_thread(self.connections)}")

    async def await_sends(self, rooms, talkers, sent, counts):
        """Waits until a message is stored in each conversation after those that are counted."""
        def silent():
            return [number for number, count in enumerate(counts) if len(sent[number]) <= count]

        try:
            await until(lambda: not silent(), MOVING)
        except TimeoutError:
            senders = [(number, rooms[number][0].room) for number in silent()]
            errors = [talker.exception() for talker in talkers if talker.done()]
            details = [f"{number}: {room.state}, outbox {room.outbox}"
                       for number, room in senders[:5]]
            self.fail(f"no message in {len(senders)} conversations: {details}, {errors[:3]}")

    async def drain(self):
        """Orders the drain, marks the place in HAProxy's log, and waits for the end."""
        begin = time.monotonic()
        answer = await asyncio.to_thread(self.order_drain)
        await asyncio.to_thread(get, self.balancer.url + MARK)
        result = await asyncio.to_thread(
            self.cluster.confab, "await", "drained", "n1", "--timeout", "120s")
        self.assertEqual(result.returncode, 0, result.stderr)
        return answer, time.monotonic() - begin

    def order_drain(self):
        token = (self.cluster.folder / "cluster/confab.admin-token").read_text().strip()
        request = urllib.request.Request(
            self.cluster.admin[1] + "/api/cluster/drain",
            json.dumps({"node": "n1", "rate": RATE}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    async def story(self):
        rooms = await self.fill()
        before = await asyncio.to_thread(self.connections)
        self.assertEqual(sum(before.values()), CLIENTS)
        self.assertGreater(min(before.values()), CLIENTS // 6, before)
        over = False
        sent = [[] for _ in rooms]
        talkers = [asyncio.create_task(talk(listeners[0], number, sent[number],
                                            lambda: over))
                   for number, listeners in enumerate(rooms)]
        await until(lambda: all(sent))
        answer, seconds = await self.drain()
        everyone = [listener for listeners in rooms for listener in listeners]
        await self.await_online(everyone)
        counts = [len(texts) for texts in sent]
        await self.await_sends(rooms, talkers, sent, counts)
        over = True
        await asyncio.wait_for(asyncio.gather(*talkers), 60)

        def is_complete():
            return all(len(listener.received) >= len(sent[number])
                       for number, listeners in enumerate(rooms) for listener in listeners)

        try:
            await until(is_complete)
        except TimeoutError:
            pass  # The comparison says what is missing.
        after = await asyncio.to_thread(self.nodes)
        for task in self.tasks:
            task.cancel()
        received = [[listener.received for listener in listeners] for listeners in rooms]
        for client in self.clients:
            await client.close()
        return before, after, answer, seconds, sent, received

    def check_balancer(self):
        """The first check after the mark gets 503, and changes the state before the next one."""
        lines = self.balancer.lines()
        mark = next(number for number, line in enumerate(lines) if f"GET {MARK}" in line)
        at = moment(re.search(r"\[(\S+)\]", lines[mark])[1])
        later = [check for check in self.balancer.checks("n1") if check[1] > at]
        self.assertGreaterEqual(len(later), 2, "too few health checks")
        self.assertEqual(later[0][2], 503, "the first check after the drain's answer")
        change = next(
            (number for number, line in enumerate(lines)
             if "Health check for server nodes/n1 " in line and "code: 503" in line), None)
        self.assertIsNotNone(change, "HAProxy has not noticed the drain")
        self.assertLess(change, later[1][0], "HAProxy needed a second health check")
        self.assertTrue(
            any("Server nodes/n1 is stopping" in line for line in lines[:later[1][0]]),
            lines[change - 2:change + 3])
        # No check marks the node as failed, which would end its clients' connections at once.
        self.assertFalse(any("Server nodes/n1 is DOWN" in line for line in lines))

    def test_clients_move_to_the_other_nodes(self):
        before, after, answer, seconds, sent, received = asyncio.run(self.story())
        self.check_balancer()
        print(f"drain: {before['n1']} of {CLIENTS} clients in {seconds:.1f} s, "
              f"{sum(map(len, sent))} messages to {SHARE} readers each", flush=True)
        self.assertEqual(answer["drain"]["connections"], before["n1"], answer)
        self.assertGreaterEqual(seconds, before["n1"] / RATE * 0.9, "faster than the rate")
        self.assertEqual(after["n1"]["state"], "drained")
        self.assertEqual(after["n1"]["connections"], 0)
        self.assertEqual(after["n2"]["connections"] + after["n3"]["connections"], CLIENTS)
        for number, (texts, listeners) in enumerate(zip(sent, received)):
            for texts_of_one in listeners:
                self.assertEqual(texts_of_one, texts, f"drain-{number}: lost, repeated or reordered")


if __name__ == "__main__":
    unittest.main()
