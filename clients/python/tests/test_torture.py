"""Clients that send all the time while servers are killed: nothing lost, repeated or reordered.

Runs 20 kills on one node with SQLite, and 20 on a cluster of script/cluster (Redis, HAProxy).
CONFAB_KILLS changes the number.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from support import FOLDER, Application, SystemTest, binary, make_token, until

from confab import Confab, Conversation, Message

KILLS = int(os.environ.get("CONFAB_KILLS", "20"))


class Sender:
    """Sends numbered messages, three at a time, until it is stopped."""

    def __init__(self, name: str, room: Conversation) -> None:
        self.name = name
        self.room = room
        self.application = Application(room)
        self.acknowledged: dict[str, int] = {}
        self.sent = 0
        self._is_stopping = False
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        waiting: set[asyncio.Task[None]] = set()
        while not self._is_stopping:
            while len(waiting) < 3:
                self.sent += 1
                waiting.add(asyncio.create_task(self._one(f"{self.name} {self.sent}")))
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await asyncio.sleep(0.15)  # The nodes of script/cluster retain 10,000 messages.
        await asyncio.gather(*waiting)

    async def _one(self, text: str) -> None:
        self.acknowledged[text] = (await self.room.send(text)).id

    async def stop(self) -> None:
        """Waits until all messages are stored."""
        self._is_stopping = True
        await asyncio.wait_for(self._task, 120)


def judge(senders: list[Sender], history: list[Message]) -> list[str]:
    """The violations of what the kit promises."""
    violations: list[str] = []
    texts = [one.text for one in history]
    ids = [one.id for one in history]
    if ids != list(range(1, len(ids) + 1)):
        violations.append("the history has gaps")
    violations += [f"repeated: {text}" for text, n in Counter(texts).items() if n > 1]
    for sender in senders:
        own = [text for text in texts if text.startswith(f"{sender.name} ")]
        expected = [f"{sender.name} {n}" for n in range(1, sender.sent + 1)]
        violations += [f"lost: {text}" for text in set(expected) - set(own)]
        if own != sorted(own, key=lambda text: int(text.split()[1])):
            violations.append(f"reordered: the messages of {sender.name}")
        for text, id in sender.acknowledged.items():
            if id > len(texts) or texts[id - 1] != text:
                violations.append(f"acknowledged as {id}, but not stored there: {text}")
        seen = sender.application
        violations += [f"{sender.name}: {violation}" for violation in seen.violations]
        delivered = [(one.id, one.text) for one in seen.delivered]
        stored = [(one.id, one.text) for one in history]
        if delivered != stored[len(stored) - len(delivered) :] or len(seen.resets) != 1:
            violations.append(f"{sender.name} received something else than the history")
        listed = [(one.id, one.text) for one in sender.room.messages]
        if listed != stored[-len(listed) :]:
            violations.append(f"the list of {sender.name} differs from the history")
    return violations


class TortureTests(SystemTest):
    async def senders(self, url: str) -> list[Sender]:
        found = []
        for name in ("alice", "bob"):
            store = self.folder / f"{name}.outbox"
            client = await self.client(name, url=url, history=0, store=store)
            found.append(Sender(name, client.conversation("lobby")))
            self.addAsyncCleanup(found[-1].application.stop)
        await until(lambda: all(one.room.state == "online" for one in found), "both are online")
        return found

    async def check(self, senders: list[Sender], url: str) -> None:
        for sender in senders:
            await sender.stop()
        self.assertLess(sum(sender.sent for sender in senders), 10_000)
        head = max(id for sender in senders for id in sender.acknowledged.values())
        await until(lambda: all(one.room.after == head for one in senders), "all is delivered")
        self.assertEqual(judge(senders, await self.history_at(url)), [])
        # The judge finds faults in what it was given.
        broken = await self.history_at(url)
        for index in (len(broken) // 2, len(broken) - 2):
            self.assertNotEqual(judge(senders, broken[:index] + broken[index + 1 :]), [])
            swapped = [*broken[:index], broken[index + 1], broken[index], *broken[index + 2 :]]
            self.assertNotEqual(judge(senders, swapped), [])

    async def history_at(self, url: str) -> list[Message]:
        messages: list[Message] = []
        async with Confab(url, token=make_token("judge")) as client:
            while page := await client.history(
                "lobby", after=messages[-1].id if messages else 0, limit=100
            ):
                messages += page
        return messages

    async def test_kills_of_one_node(self) -> None:
        seed = random.Random(5)
        senders = await self.senders(self.server.url)
        for _ in range(KILLS):
            before = [len(sender.acknowledged) for sender in senders]
            await until(
                lambda before=before: all(  # type: ignore[misc]
                    len(sender.acknowledged) >= count + 5
                    for sender, count in zip(senders, before, strict=True)
                ),
                "both clients continue",
                60,
            )
            await asyncio.sleep(seed.uniform(0, 0.1))
            await self.server.restart(pause=seed.choice([0, 0, 0.3, 1]))
        await self.check(senders, self.server.url)

    async def test_cuts_and_frozen_connections(self) -> None:
        seed = random.Random(6)
        proxy = await self.proxy()
        senders = await self.senders(proxy.url)
        for _ in range(KILLS):
            await asyncio.sleep(seed.uniform(0.05, 0.6))
            if seed.random() < 0.5:
                proxy.freeze(seed.choice(["up", "down"]))
                await asyncio.sleep(seed.uniform(0.05, 0.3))
            proxy.cut()
            proxy.thaw()
        await self.check(senders, proxy.url)


@unittest.skipUnless(
    shutil.which("redis-server"), "redis-server is missing: script/bootstrap haproxy"
)
class ClusterTests(TortureTests):
    test_cuts_and_frozen_connections = None  # type: ignore[assignment]
    test_kills_of_one_node = None  # type: ignore[assignment]

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.cluster = Path(tempfile.mkdtemp(prefix="confab-py-cluster-"))
        self.addCleanup(shutil.rmtree, self.cluster, ignore_errors=True)
        (self.cluster / "jwt.secret").write_bytes((self.folder / "secret").read_bytes())
        self.lines: list[str] = []

    async def start_cluster(self) -> str:
        script = FOLDER.parent.parent / "script" / "cluster"
        process = await asyncio.create_subprocess_exec(
            *(str(script), "3", "--admin-port", "0", "--folder", str(self.cluster)),
            env=os.environ | {"CONFAB_BINARY": binary()},
            stdout=subprocess.PIPE,
        )

        async def read() -> None:
            assert process.stdout
            async for line in process.stdout:
                self.lines.append(line.decode())

        self.addAsyncCleanup(asyncio.wait, [asyncio.create_task(read())])
        self.addAsyncCleanup(process.wait)
        self.addCleanup(process.terminate)
        await until(lambda: any("Ctrl-C" in line for line in self.lines), "the cluster starts", 90)
        address = re.search(r"^haproxy +(\S+)", "".join(self.lines), re.M)
        assert address
        return address[1]

    def nodes(self) -> dict[str, int]:
        """The process ids of the running nodes."""
        found: dict[str, int] = {}
        for line in self.lines:
            if match := re.match(r"(n\d) .*(?:PID (\d+)|ended)", line):
                found[match[1]] = int(match[2] or 0)
        return {name: id for name, id in found.items() if id}

    async def test_kills_in_a_cluster(self) -> None:
        seed = random.Random(8)
        url = await self.start_cluster()
        senders = await self.senders(url)
        for _ in range(KILLS):
            before = [len(sender.acknowledged) for sender in senders]
            await until(lambda: len(self.nodes()) == 3, "all nodes run", 60)
            await until(
                lambda before=before: all(  # type: ignore[misc]
                    len(sender.acknowledged) >= count + 5
                    for sender, count in zip(senders, before, strict=True)
                ),
                "both clients continue",
                60,
            )
            name, id = seed.choice(sorted(self.nodes().items()))
            os.kill(id, seed.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            await until(lambda name=name: name not in self.nodes(), "the node has ended", 60)  # type: ignore[misc]
        await self.check(senders, url)


if __name__ == "__main__":
    unittest.main()
