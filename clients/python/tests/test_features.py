"""Reactions, replies, mentions, pins and search on a real server, also across interruptions."""

from __future__ import annotations

import asyncio
import random
import unittest
from typing import Any

from support import Application, SystemTest, all_of, until

import confab
from confab import Conversation, Excerpt, Message


async def room_of(test: SystemTest, name: str, **options: Any) -> tuple[Conversation, Application]:
    room = (await test.client(name, **options)).conversation("lobby")
    application = test.follow(room)
    await until(lambda: room.state == "online", f"{name} is online")
    return room, application


def marks(room: Conversation, id: int) -> dict[str, tuple[int, bool]]:
    found = next(one for one in room.messages if one.id == id)
    return {emoji: (one.count, one.mine) for emoji, one in found.reactions.items()}


def loaded(room: Conversation, id: int) -> Message:
    return next(one for one in room.messages if one.id == id)


class LongPageTests(SystemTest):
    options = ("--limit", "page-bytes=1024")

    async def test_long_pages_come_in_parts_which_the_kit_joins(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        await alice.send("1", timeout=10)
        await all_of([alice.send(f"{n}", reply_to=1) for n in range(2, 13)])
        client = await self.client("bob", history=50)
        bob = client.conversation("lobby")
        self.follow(bob)
        await until(lambda: bob.messages, "the page")
        self.assertEqual([one.id for one in bob.messages], [12], "one message fills the page")
        self.assertTrue(await bob.older(5))
        self.assertEqual([one.id for one in bob.messages], list(range(7, 13)))
        self.assertFalse(await bob.older(50))
        self.assertEqual([one.id for one in bob.messages], list(range(1, 13)))
        thread = await bob.thread(1, limit=4)
        self.assertEqual([one.id for one in thread], [9, 10, 11, 12])
        thread = await bob.thread(1, after=2, limit=4)
        self.assertEqual([one.id for one in thread], [3, 4, 5, 6])
        self.assertEqual([one.id for one in await client.history("lobby", limit=3)], [10, 11, 12])
        page = await client.history("lobby", after=2, limit=3)
        self.assertEqual([one.id for one in page], [3, 4, 5])
        for id in (3, 5, 8):
            await bob.pin(id)
        self.assertEqual([one.id for one in await bob.pins()], [8, 5, 3])


class FeatureTests(SystemTest):
    async def test_reactions_reach_everyone_and_are_mine_for_one(self) -> None:
        alice, _ = await room_of(self, "alice")
        bob, reader = await room_of(self, "bob")
        await alice.send("Hello", timeout=10)
        await alice.react(1, "❤️")
        await until(lambda: marks(bob, 1) == {"❤": (1, False)}, "bob sees it")
        await until(lambda: marks(alice, 1) == {"❤": (1, True)}, "it is alice's")
        await bob.react(1, "❤")
        await bob.react(1, ":wave:")
        await until(lambda: marks(bob, 1) == {"❤": (2, True), ":wave:": (1, True)}, "both")
        await alice.react(1, "❤", False)
        await until(lambda: marks(alice, 1) == {"❤": (1, False), ":wave:": (1, False)}, "alice")
        self.assertGreaterEqual(len(reader.of("reactions")), 2)
        fresh, _ = await room_of(self, "bob")
        await until(lambda: fresh.messages, "the page")
        self.assertEqual(marks(fresh, 1), {"❤": (1, True), ":wave:": (1, True)})
        await bob.react(1, "❤", True)  # A repetition changes nothing.
        for call, reason in (
            (bob.react(1, "no"), "emoji"),
            (bob.react(9, "❤"), "message_id: there is no message 9"),
        ):
            with self.assertRaisesRegex(confab.Refused, reason):
                await call
        await alice.delete(1)
        await until(lambda: reader.of("remove"), "the deletion")
        self.assertEqual(marks(bob, 1), {})
        with self.assertRaisesRegex(confab.Refused, "message 1 is deleted"):
            await bob.react(1, "❤")

    async def test_replies_mentions_and_threads(self) -> None:
        alice, _ = await room_of(self, "alice")
        bob, reader = await room_of(self, "bob")
        await alice.send("Lunch?", timeout=10)
        reply = await bob.send("Yes", reply_to=1, mentions=["alice", "dan"], timeout=10)
        self.assertEqual((reply.reply_to, reply.thread), (1, 1))
        self.assertEqual((reply.mentions, reply.not_members), (("alice",), ("dan",)))
        await alice.send("When?", reply_to=2, mentions="all", timeout=10)
        await until(lambda: len(reader.delivered) == 3, "bob has all")
        last = reader.delivered[2]
        self.assertEqual((last.reply_to, last.thread, last.mentions), (2, 1, "all"))
        self.assertEqual(last.reply_excerpt, Excerpt(2, "bob", "bob", "Yes"))
        self.assertEqual((loaded(bob, 1).replies, loaded(bob, 1).last_reply_id), (2, 3))
        await bob.edit(2, "No")
        await until(
            lambda: loaded(alice, 3).reply_excerpt == Excerpt(2, "bob", "bob", "No"), "the edit"
        )
        await alice.send("aside", timeout=10)
        self.assertEqual([one.id for one in await bob.thread(1)], [1, 2, 3])
        with self.assertRaisesRegex(confab.Refused, "reply_to: there is no message 99"):
            await alice.send("x", reply_to=99, timeout=10)
        with self.assertRaises(ValueError):
            await alice.send("x", mentions="bob")

    async def test_the_text_replied_to_is_loaded(self) -> None:
        alice, _ = await room_of(self, "alice")
        await all_of([alice.send(f"{n}") for n in range(1, 6)])
        bob, reader = await room_of(self, "bob", history=0)
        await alice.send("reply", reply_to=2, timeout=10)
        await until(lambda: any(one.id == 6 for one in bob.messages), "the reply")
        await until(lambda: loaded(bob, 6).reply_excerpt, "the excerpt", 30)
        self.assertEqual(loaded(bob, 6).reply_excerpt, Excerpt(2, "alice", "alice", "2"))
        await until(lambda: reader.of("change"), "the application learns it")
        self.assertEqual([event.message.id for event in reader.of("change")], [6])

    async def test_pins(self) -> None:
        alice, _ = await room_of(self, "alice")
        bob, reader = await room_of(self, "bob")
        await all_of([alice.send(f"{n}") for n in range(1, 4)])
        await alice.pin(1)
        await bob.pin(3)
        await until(lambda: len(reader.of("pinned")) == 2, "both pins")
        self.assertEqual([one.id for one in await alice.pins()], [3, 1])
        self.assertEqual(
            [one.pinned.by for one in await alice.pins() if one.pinned], ["bob", "alice"]
        )
        await alice.unpin(3)
        await until(lambda: reader.of("unpinned"), "the end of a pin")
        end = reader.of("unpinned")[0]
        self.assertEqual((end.message.id, end.by), (3, "alice"))
        self.assertIsNone(loaded(bob, 3).pinned)
        with self.assertRaisesRegex(confab.Refused, "message 3 is not pinned"):
            await alice.unpin(3)
        await alice.delete(1)
        self.assertEqual(await bob.pins(), ())

    async def test_search(self) -> None:
        alice, _ = await room_of(self, "alice")
        texts = ["Crème brûlée", "creme fraiche", "brulee", "creme brulee again"]
        await all_of([alice.send(text) for text in texts])
        found = await alice.search("creme brul")
        self.assertEqual([one.id for one in found.messages], [4, 1])
        self.assertEqual((found.next_before, found.incomplete), (None, False))
        first = await alice.search("creme", limit=2)
        self.assertEqual([one.id for one in first.messages], [4, 2])
        rest = await alice.search("creme", before=first.next_before, limit=2)
        self.assertEqual([one.id for one in rest.messages], [1])
        await alice.delete(4)
        self.assertEqual([one.id for one in (await alice.search("again")).messages], [])
        with self.assertRaisesRegex(confab.Refused, "text: must contain a letter or a digit"):
            await alice.search("…")


class InterruptedFeatureTests(SystemTest):
    async def test_requests_survive_a_frozen_connection(self) -> None:
        proxy = await self.proxy()
        alice, _ = await room_of(self, "alice", url=proxy.url)
        await all_of([alice.send(f"{n}") for n in range(1, 4)])
        await alice.pin(1)
        proxy.freeze("down")
        calls = [
            asyncio.create_task(call)
            for call in (
                *(alice.react(1, "👍"), alice.pin(2), alice.unpin(1), alice.pins()),
                *(alice.search("3"), alice.thread(1)),
            )
        ]
        await asyncio.sleep(0.3)  # The server has executed them; the answers are lost.
        proxy.cut()
        proxy.thaw()
        results = await all_of(calls)
        self.assertEqual([one.id for one in results[3]], [2])
        self.assertEqual([one.id for one in results[4].messages], [3])
        self.assertEqual([one.id for one in results[5]], [1])
        await until(lambda: marks(alice, 1) == {"👍": (1, True)}, "the reaction")

    async def test_missed_reactions_pins_and_replies_arrive(self) -> None:
        proxy = await self.proxy()
        alice, _ = await room_of(self, "alice")
        bob, reader = await room_of(self, "bob", url=proxy.url)
        await all_of([alice.send(f"{n}") for n in range(1, 6)])
        await alice.pin(2)
        await alice.react(3, "👍")
        await until(lambda: len(reader.delivered) == 5 and marks(bob, 3), "bob has all")
        proxy.refuses = True
        proxy.cut()
        await until(lambda: bob.state == "waiting", "bob is cut off")
        await alice.edit(1, "one")
        await alice.react(1, "🎉")
        await alice.pin(1)
        await alice.unpin(2)
        await alice.react(3, "👍", False)
        await alice.send("reply", reply_to=1, timeout=10)
        await alice.send("again", reply_to=6, timeout=10)
        await alice.react(6, "👍")
        await alice.pin(6)
        await alice.react(7, "👍")
        await alice.react(7, "👍", False)
        proxy.refuses = False
        bob.retry_now()
        await until(lambda: len(reader.delivered) == 7, "the messages")
        await self.same(alice, bob)
        self.assertEqual((loaded(bob, 1).text, marks(bob, 1)), ("one", {"🎉": (1, False)}))
        self.assertTrue(loaded(bob, 1).pinned)
        self.assertEqual((loaded(bob, 1).replies, loaded(bob, 1).last_reply_id), (2, 7))
        self.assertIsNone(loaded(bob, 2).pinned)
        self.assertEqual((marks(bob, 3), marks(bob, 6)), ({}, {"👍": (1, False)}))
        self.assertTrue(loaded(bob, 6).pinned)
        self.assertEqual(loaded(bob, 7).thread, 1)
        self.assertEqual([event.by for event in reader.of("unpinned")], ["alice"])

    async def same(self, *rooms: Conversation) -> None:
        """All clients come to the state that a client without any other state loads."""

        def state(messages: list[Message]) -> list[object]:
            return [
                (
                    *(one.id, one.text, one.reply_to, one.thread, one.reply_excerpt),
                    *({e: (r.count, r.users) for e, r in one.reactions.items()}, one.pinned),
                    *(one.replies, one.last_reply_id, one.mentions),
                )
                for one in messages
                if one.id
            ]

        expected: list[list[Message]] = [[]]

        def are_same() -> bool:
            return all(state(room.messages) == state(expected[0]) for room in rooms)

        # A client whose connections broke again and again may wait for 15 seconds more than once.
        for _ in range(600):
            expected[0] = await self.history()
            if are_same():
                return
            await asyncio.sleep(0.1)
        for room in rooms:
            self.assertEqual(state(room.messages), state(expected[0]))

    async def test_a_stored_reply_keeps_its_fields(self) -> None:
        path = self.folder / "outbox.db"
        first = await self.client("alice", url="http://127.0.0.1:1", store=path)
        call = asyncio.create_task(
            first.conversation("lobby").send("later", reply_to=1, mentions=["bob"], local_id="x")
        )
        await asyncio.sleep(0)
        (waiting,) = first.conversation("lobby").messages
        self.assertEqual((waiting.reply_to, waiting.mentions), (1, ("bob",)))
        await first.close()
        with self.assertRaises(confab.Closed):
            await call
        bob, _ = await room_of(self, "bob")
        await bob.send("first", timeout=10)
        again, reader = await room_of(self, "alice", store=path)
        await until(lambda: reader.delivered, "it is stored")
        self.assertEqual(
            (reader.delivered[0].reply_to, reader.delivered[0].mentions), (1, ("bob",))
        )
        self.assertEqual(again.outbox, [])

    async def test_all_clients_agree_after_cuts_and_kills(self) -> None:
        rng = random.Random(11)
        proxy = await self.proxy()
        names = ("alice", "bob", "carl")
        rooms = [(await room_of(self, name, url=proxy.url))[0] for name in names]
        await rooms[0].send("first", timeout=10)
        acknowledged: dict[tuple[str, int, str], bool] = {}

        async def act(index: int, steps: int) -> None:
            room, mine = rooms[index], random.Random(index)
            for step in range(steps):
                last = room.after or 1
                id = mine.randint(max(1, last - 5), last)
                emoji = mine.choice("👍🎉❤")
                on = mine.random() < 0.6
                match mine.randint(0, 4):
                    case 0:
                        await room.send(f"{index} {step}", reply_to=id, timeout=60)
                    case 1:
                        await room.pin(id, timeout=60)
                    case 2:
                        try:
                            await room.unpin(id, timeout=60)
                        except confab.Refused as error:
                            self.assertIn("is not pinned", str(error))
                    case _:
                        await room.react(id, emoji, on, timeout=60)
                        acknowledged[names[index], id, emoji] = on

        tasks = [asyncio.create_task(act(index, 40)) for index in range(3)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            if rng.random() < 0.2:
                await self.server.restart()
            else:
                proxy.cut()
        await all_of(tasks)
        await self.same(*rooms)
        for index, name in enumerate(names):
            for one in rooms[index].messages:
                for mark in one.reactions.values():
                    self.assertEqual(mark.mine, name in mark.users)
        for (name, id, emoji), on in acknowledged.items():
            found = loaded(rooms[0], id).reactions.get(emoji)
            self.assertEqual(found is not None and name in found.users, on, (name, id, emoji))


if __name__ == "__main__":
    unittest.main()
