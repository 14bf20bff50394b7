#!/usr/bin/env python3
"""Measures what reactions, replies and searches cost a node.

    bench/features.py CONFAB [--store URL] [READERS]

Needs Python's websockets. Starts a node with one loop, and prints three tables:

- A hundred reactions per second to one message with READERS (default: 1,000) readers, for ten
  seconds: the events that each reader receives per second, and the node's CPU time for each.
- A page of 50 messages: the CPU time of the loop, of a plain page and of one whose messages all
  have reactions and the excerpt of another message, in turn, and the ratio of each pair.
- A search in 10,000 messages of 12 words that finds nothing, in ASCII and with umlauts: the CPU
  time of the loop and of all threads, and the longest time that another request waits meanwhile.
"""

import argparse
import asyncio
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import node
import websockets

PAGE_ROUNDS = 41
PAGES = 20
SEARCHES = 20
MESSAGES = 10_000
VOTERS = 50


def loop_seconds(pid):
    """The CPU time of the node's only loop."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text() == "confab-loop-0\n":
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise SystemExit("the node has no thread confab-loop-0")


def node_seconds(pid):
    """The CPU time of all threads of the node."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Client:
    """A user in a conversation."""

    def __init__(self, socket):
        self.socket = socket

    @classmethod
    async def connect(cls, confab, url, secret, user, conversation):
        token = subprocess.run(
            [confab, "token", "--sub", user, "--conversations", "*", "--secret-file", secret],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.strip()
        path = f"{url}/conversations/{conversation}/?token={token}"
        return cls(await websockets.connect(path, max_queue=None, ping_interval=None))

    async def request(self, answer, **fields):
        await self.socket.send(json.dumps(fields))
        while True:
            frame = json.loads(await self.socket.recv())
            if frame["type"] in ("error", "message.failed"):
                raise SystemExit(f"{fields}: {frame}")
            if frame["type"] == answer:
                return frame


async def flood(connect, pid, readers):
    """A hundred reactions per second to one message."""
    author = await connect("author", "vote")
    await author.request("chat_message", action="send_message", content="vote")
    voters = [await connect(f"voter{number}", "vote") for number in range(VOTERS)]
    # All connections of one user: a token for each reader would take longer than the measurement.
    watching = [await connect("reader", "vote")]
    request = watching[0].socket.request
    address = f"ws://{request.headers['Host']}{request.path}"
    for _ in range(readers - 1):
        socket = await websockets.connect(address, max_queue=None, ping_interval=None)
        watching.append(Client(socket))
    counts = [0] * readers

    async def count(index):
        async for text in watching[index].socket:
            counts[index] += text.startswith('{"type":"reactions"')

    async def discard(client):
        async for _ in client.socket:
            pass

    tasks = [asyncio.create_task(count(index)) for index in range(readers)]
    tasks += [asyncio.create_task(discard(client)) for client in [author, *voters]]
    await asyncio.sleep(3)
    before, busy, start = list(counts), node_seconds(pid), time.monotonic()
    for number in range(1000):
        await voters[number % VOTERS].socket.send(
            json.dumps(
                {
                    "action": "react",
                    "message_id": "1",
                    "emoji": f":e{number // VOTERS % 20}:",
                    "on": number // VOTERS // 20 % 2 == 0,
                }
            )
        )
        await asyncio.sleep(max(0, start + (number + 1) / 100 - time.monotonic()))
    seconds = time.monotonic() - start
    await asyncio.sleep(1)
    busy = node_seconds(pid) - busy
    received = [after - first for after, first in zip(counts, before)]
    print("| readers | reactions/s | events/s of a reader | CPU µs per event and reader |")
    print("|---|---|---|---|")
    print(
        f"| {readers:,} | {1000 / seconds:.0f} | {max(received) / seconds:.1f}"
        f" | {1e6 * busy / max(1, sum(received)):.1f} |\n"
    )
    for task in tasks:
        task.cancel()
    for client in [author, *voters, *watching]:
        await client.socket.close()


async def pages(connect, pid):
    """Pages of 50 messages, plain ones and ones with reactions and excerpts."""
    users = [await connect(f"u{number}", "rich") for number in range(3)]
    plain = await connect("u0", "plain")
    for number in range(50):
        await plain.request("chat_message", action="send_message", content=f"message {number} " * 8)
        fields = {"reply_to": str(number)} if number else {}
        message = await users[0].request(
            "chat_message", action="send_message", content=f"message {number} " * 8, **fields
        )
        for user, emoji in zip(users, ("👍", "👍", "🎉")):
            await user.request(
                "reacted",
                action="react",
                message_id=message["message"]["id"],
                emoji=emoji,
                on=True,
            )
    clients = {"plain": plain, "with reactions and excerpts": users[0]}
    costs = {name: [] for name in clients}
    for _ in range(PAGE_ROUNDS):
        for name, client in clients.items():
            before = loop_seconds(pid)
            for _ in range(PAGES):
                await client.request("messages_fetched", action="fetch_messages", limit=50)
            costs[name].append((loop_seconds(pid) - before) / PAGES)
    print("| page of 50 messages | CPU µs of the loop: median (min–max) | ratio: median |")
    print("|---|---|---|")
    for name, rounds in costs.items():
        ratio = statistics.median(cost / base for cost, base in zip(rounds, costs["plain"]))
        low, middle, high = (
            1e6 * value for value in (min(rounds), statistics.median(rounds), max(rounds))
        )
        print(f"| {name} | {middle:.0f} ({low:.0f}–{high:.0f}) | {ratio:.2f} |")
    print()


async def search(connect, pid):
    """Searches that read the whole window."""
    for language, letter in (("ASCII", "o"), ("umlauts", "ö")):
        client = await connect("ann", language)
        other = await connect("bob", language)
        words = [f"w{letter}rd{number}" for number in range(997)]
        for first in range(0, MESSAGES, 100):
            for number in range(first, first + 100):
                text = " ".join(words[(number * 13 + index * 71) % 997] for index in range(12))
                await client.socket.send(json.dumps({"action": "send_message", "content": text}))
            for _ in range(100):
                while json.loads(await client.socket.recv())["type"] != "chat_message":
                    pass
        # A store with an index needs a moment to fill it.
        await asyncio.sleep(5)
        if language == "ASCII":
            print(
                "| search in 10,000 messages | CPU ms of the loop | CPU ms of the node | ms"
                " | longest wait of a ping, ms |"
            )
            print("|---|---|---|---|---|")
        for text in ("absent", "word1 absent"):
            loop, node_time, begin = loop_seconds(pid), node_seconds(pid), time.monotonic()
            for _ in range(SEARCHES):
                await client.request("search_results", action="search", text=text)
            seconds = (time.monotonic() - begin) / SEARCHES
            loop = (loop_seconds(pid) - loop) / SEARCHES
            node_time = (node_seconds(pid) - node_time) / SEARCHES
            # The pings cost CPU time themselves.
            waits = []
            for _ in range(SEARCHES):
                searching = asyncio.create_task(
                    client.request("search_results", action="search", text=text)
                )
                while not searching.done():
                    start = time.monotonic()
                    await (await other.socket.ping())
                    waits.append(time.monotonic() - start)
                await searching
            print(
                f"| `{text}`, {language} | {1000 * loop:.2f} | {1000 * node_time:.2f}"
                f" | {1000 * seconds:.1f} | {1000 * max(waits):.2f} |"
            )


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("confab", type=pathlib.Path)
    parser.add_argument("readers", type=int, nargs="?", default=1000)
    parser.add_argument("--store", default="memory:")
    arguments = parser.parse_args()
    confab = arguments.confab.resolve()
    with tempfile.TemporaryDirectory() as folder:
        server, url, _ = node.serve([confab], folder, "--loops", "1", "--store", arguments.store)
        try:

            async def connect(user, conversation):
                return await Client.connect(confab, url, f"{folder}/secret", user, conversation)

            await flood(connect, server.pid, arguments.readers)
            await pages(connect, server.pid)
            await search(connect, server.pid)
        finally:
            server.kill()
            server.wait()


asyncio.run(main())
