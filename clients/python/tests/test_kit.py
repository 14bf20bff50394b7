"""What the kit offers, against a real server without faults."""

from __future__ import annotations

import asyncio
import unittest

from support import SystemTest, all_of, until

import confab
from confab import ErrorEvent, MessageEvent


class MessageTests(SystemTest):
    async def test_two_clients_see_the_same_messages(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        bob = (await self.client("bob")).conversation("lobby")
        reader = self.follow(bob)
        await until(lambda: bob.state == "online", "bob is online")
        stored = await alice.send("Hello", timeout=10)
        self.assertEqual((stored.id, stored.author, stored.text), (1, "alice", "Hello"))
        await until(lambda: reader.delivered, "bob receives it")
        self.assertEqual(reader.delivered[0].text, "Hello")
        self.assertEqual([one.id for one in alice.messages], [1])
        self.assertEqual(alice.outbox, [])

    async def test_a_repeated_local_id_is_one_message(self) -> None:
        room = (await self.client()).conversation("lobby")
        reader = self.follow(room)
        first = await all_of([room.send("Once", local_id="a1"), room.send("Once", local_id="a1")])
        again = await room.send("Once", local_id="a1", timeout=10)
        self.assertEqual([one.id for one in (*first, again)], [1, 1, 1])
        self.assertEqual([one.text for one in await self.history()], ["Once"])
        await room.send("Next", timeout=10)
        await until(lambda: reader.delivered[-1:] and reader.delivered[-1].id == 2, "the next one")
        self.assertEqual([one.id for one in reader.delivered], [1, 2])

    async def test_another_user_may_choose_the_same_local_id(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        bob = (await self.client("bob")).conversation("lobby")
        stored = await all_of(
            [alice.send("of alice", local_id="1"), bob.send("of bob", local_id="1")]
        )
        self.assertEqual([one.text for one in stored], ["of alice", "of bob"])
        self.assertEqual(len(await self.history()), 2)

    async def test_sends_keep_their_order_above_the_rate_limit(self) -> None:
        room = (await self.client()).conversation("lobby")
        stored = await all_of([room.send(f"{n}") for n in range(150)], 60)
        self.assertEqual([one.text for one in stored], [f"{n}" for n in range(150)])
        self.assertEqual([one.id for one in stored], list(range(1, 151)))

    async def test_a_message_is_shown_once_while_it_becomes_stored(self) -> None:
        room = (await self.client()).conversation("lobby")
        seen: list[list[tuple[int, str, str]]] = []
        for kind in ("outbox", "message"):
            room.on(
                kind,
                lambda _: seen.append([(one.id, one.text, one.state) for one in room.messages]),
            )
        await room.send("Hello", timeout=10)
        self.assertEqual(seen[0], [(0, "Hello", "sending")])
        self.assertEqual(seen[1:], [[(1, "Hello", "sent")]] * 2)

    async def test_edits_and_deletions_reach_everyone(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        bob = (await self.client("bob")).conversation("lobby")
        reader = self.follow(bob)
        await until(lambda: bob.state == "online", "bob is online")
        await alice.send("Helo", timeout=10)
        self.assertEqual((await alice.edit(1, "Hello")).text, "Hello")
        await until(lambda: reader.of("change"), "bob receives the edit")
        self.assertEqual((bob.messages[0].text, bob.messages[0].edited), ("Hello", True))
        self.assertEqual((await alice.delete(1)).state, "deleted")
        await until(lambda: reader.of("remove"), "bob receives the deletion")
        self.assertEqual((bob.messages[0].id, bob.messages[0].text), (1, ""))
        for room, id in ((bob, 1), (alice, 1), (alice, 9)):
            with self.subTest(room.id), self.assertRaises(confab.Refused):
                await room.edit(id, "again")
        with self.assertRaises(confab.Refused):
            await bob.delete(1)

    async def test_a_refused_message_does_not_block_the_next(self) -> None:
        room = (await self.client()).conversation("lobby")
        cases = {
            " ": "content: must not be empty",
            "x" * 20_000: "content: longer than 16384 bytes",
        }
        for text, reason in cases.items():
            with self.subTest(reason), self.assertRaises(confab.Refused) as caught:
                await room.send(text, timeout=10)
            self.assertEqual((caught.exception.reason, caught.exception.retry), (reason, False))
        self.assertEqual((await room.send("fine", timeout=10)).id, 1)
        states = [(one.text[:5], one.state) for one in room.messages]
        self.assertEqual(states, [("fine", "sent"), (" ", "failed"), ("xxxxx", "failed")])
        for item in room.outbox:
            room.discard(item.local_id)
        self.assertEqual(len(room.messages), 1)
        with self.assertRaises(ValueError):
            await room.send("lone surrogate \ud800")

    async def test_a_frame_that_the_server_closes_for_is_refused(self) -> None:
        room = (await self.client()).conversation("lobby")
        long, short = await asyncio.gather(
            room.send("x" * 2_000_000, timeout=20), room.send("short"), return_exceptions=True
        )
        self.assertIsInstance(long, confab.Refused)
        self.assertEqual(short.id, 1)  # type: ignore[union-attr]
        results = await asyncio.gather(
            room.edit(1, "x" * 2_000_000), room.send("next", timeout=20), return_exceptions=True
        )
        self.assertIsInstance(results[0], confab.Refused)
        self.assertEqual(results[1].id, 2)  # type: ignore[union-attr]

    async def test_a_timeout_leaves_the_message_in_the_outbox(self) -> None:
        proxy = await self.proxy()
        proxy.freeze()
        room = (await self.client(url=proxy.url)).conversation("lobby")
        with self.assertRaises(TimeoutError):
            await room.send("Hello", local_id="a1", timeout=0.2)
        self.assertEqual([item.local_id for item in room.outbox], ["a1"])
        proxy.thaw()
        self.assertEqual((await room.send("Hello", local_id="a1", timeout=10)).id, 1)

    async def test_history_is_loaded_page_by_page(self) -> None:
        writer = (await self.client(keep=200)).conversation("lobby")
        await all_of([writer.send(f"{n}") for n in range(1, 76)])
        room = (await self.client("bob", history=20)).conversation("lobby")
        more = [await room.older(30), await room.older(30), await room.older(30)]
        self.assertEqual(more, [True, False, False])
        self.assertEqual([one.id for one in room.messages], list(range(1, 76)))
        self.assertEqual(room.messages, [m for m in room.messages if m.text == f"{m.id}"])

    async def test_a_conversation_continues_from_a_point_that_the_application_saved(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        await all_of([alice.send(f"{n}") for n in range(1, 6)])
        await until(lambda: alice.rev, "the revision is known")
        after, rev = 3, alice.rev
        await alice.edit(2, "two")
        bob = (await self.client("bob")).conversation("lobby", after=after, rev=rev)
        reader = self.follow(bob)
        await until(lambda: len(reader.delivered) == 2, "the messages after the point")
        self.assertEqual([one.id for one in reader.delivered], [4, 5])
        self.assertEqual((reader.resets, reader.violations), ([], []))
        self.assertEqual(bob.rev, alice.rev)

    async def test_an_ended_conversation_refuses_sends(self) -> None:
        client = await self.client()
        info = await client.create("Short")
        room = client.conversation(info.id)
        reader = self.follow(room)
        await room.send("last", timeout=10)
        await client._rest("POST", f"/conversations/{info.id}/end", {})
        with self.assertRaises(confab.Ended):
            await room.send("late", timeout=10)
        with self.assertRaises(confab.Ended):
            await room.send("later", timeout=10)
        await until(lambda: reader.of("ended"), "the application learns it")
        self.assertEqual(len(reader.of("ended")), 1)
        with self.assertRaises(confab.Ended):
            await client.join(info.id)


class SignalTests(SystemTest):
    async def test_typing_receipts_and_presence(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        writer = self.follow(alice)
        await alice.send("Hello", timeout=10)
        bob = (await self.client("bob")).conversation("lobby")
        await until(lambda: bob.state == "online", "bob is online")
        async with bob.typing():
            await until(lambda: writer.of("typing"), "bob types")
        await until(lambda: len(writer.of("typing")) == 2, "bob stops")
        events = writer.of("typing")
        self.assertEqual([(e.user, e.typing) for e in events], [("bob", True), ("bob", False)])
        await bob.read(1)
        await until(lambda: alice.messages[0].state == "read", "alice sees that it was read")
        expected = {("bob", "read"), (None, "read")}
        await until(
            lambda: expected <= {(one.user, one.status) for one in writer.of("receipt")}, "receipts"
        )
        changes = [change for event in writer.of("presence") for change in event.changes]
        self.assertIn(("bob", True), changes)

    async def test_typing_is_renewed_and_ends_with_the_connection(self) -> None:
        alice = self.follow((await self.client("alice")).conversation("lobby"))
        proxy = await self.proxy()
        clock = await self.client("bob", url=proxy.url)
        bob = clock.conversation("lobby")
        # The client renews it after 3 to 4 s. On a busy machine one renewal may come too late.
        for _ in range(3):
            start = len(alice.of("typing"))
            async with bob.typing():
                await until(
                    lambda start=start: len(alice.of("typing")) > start,  # type: ignore[misc]
                    "bob types",
                )
                await asyncio.sleep(6.5)  # The server ends it after 6 s without a renewal.
                seen = [event.typing for event in alice.of("typing")[start:]]
            if seen == [True]:
                break
            await until(lambda: not alice.of("typing")[-1].typing, "bob stops")
        self.assertEqual(seen, [True])

    async def test_many_reads_are_few_frames(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        bob = (await self.client("bob")).conversation("lobby")
        reader = self.follow(bob)
        await all_of([alice.send(f"{n}") for n in range(1, 60)])
        await until(lambda: len(reader.delivered) == 59, "all messages")
        frames: list[str | None] = []
        write = bob._write_frame
        bob._write_frame = lambda frame: (frames.append(frame), write(frame))[1]  # type: ignore[method-assign,func-returns-value]
        for one in reader.delivered:
            await bob.read(one.id)
        await until(lambda: alice.messages[-1].state == "read", "the newest is read")
        self.assertLessEqual(len(frames), 3)


class EventTests(SystemTest):
    async def test_a_failing_listener_does_not_stop_the_others(self) -> None:
        room = (await self.client()).conversation("lobby")
        seen: list[str] = []
        errors: list[ErrorEvent] = []

        async def slow(event: MessageEvent) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("slow")

        def broken(event: MessageEvent) -> None:
            raise RuntimeError("broken")

        room.on("message", broken)
        room.on("message", slow)
        off = room.on("message", lambda event: seen.append(event.message.text))
        room.on("error", errors.append)
        await room.send("one", timeout=10)
        await until(lambda: len(errors) == 2, "both errors")
        off()
        await room.send("two", timeout=10)
        self.assertEqual(seen, ["one"])
        self.assertEqual({str(event.error) for event in errors}, {"broken", "slow"})

    async def test_a_loop_continues_where_the_previous_one_ended(self) -> None:
        room = (await self.client(history=0)).conversation("lobby")
        seen: list[str] = []
        for n in range(3):
            await room.send(f"{n}", timeout=10)
        for _ in range(3):
            async for event in room:
                if isinstance(event, MessageEvent):
                    seen.append(event.message.text)
                    break
        self.assertEqual(seen, ["0", "1", "2"])

    async def test_the_loop_ends_with_the_client(self) -> None:
        client = await self.client()
        room = client.conversation("lobby")
        reader = self.follow(room)
        await room.send("x", timeout=10)
        await client.close()
        await until(lambda: reader._task.done(), "the loop ends")
        self.assertIsNone(reader._task.exception())
        for call in (room.send("y"), room.edit(1, "y"), room.older()):
            with self.assertRaises(confab.Closed):
                await call

    async def test_events_without_a_loop_are_replaced_by_a_reset(self) -> None:
        room = (await self.client()).conversation("lobby")
        confab._EVENT_LIMIT, limit = 20, confab._EVENT_LIMIT  # type: ignore[misc]
        self.addCleanup(setattr, confab, "_EVENT_LIMIT", limit)
        await all_of([room.send(f"{n}") for n in range(1, 51)])
        reader = self.follow(room)
        await room.send("51", timeout=10)
        await until(lambda: reader.delivered, "live messages follow")
        self.assertEqual([reset.reason for reset in reader.resets], ["overflow"])
        self.assertEqual([one.id for one in reader.resets[0].messages], list(range(1, 51)))
        self.assertEqual(([one.id for one in reader.delivered], reader.violations), ([51], []))

    async def test_a_slow_loop_loses_nothing(self) -> None:
        """The kit stops reading; the server closes the connection, and the kit resumes."""
        confab._EVENT_LIMIT, limit = 20, confab._EVENT_LIMIT  # type: ignore[misc]
        self.addCleanup(setattr, confab, "_EVENT_LIMIT", limit)
        slow = (await self.client("slow", history=0)).conversation("lobby")
        await until(lambda: slow.state == "online", "the slow client is online")
        writer = (await self.client("writer")).conversation("lobby")
        seen: list[int] = []
        gate = asyncio.Event()

        async def read() -> None:
            async for event in slow:
                if isinstance(event, MessageEvent):
                    seen.append(event.message.id)
                    await gate.wait()

        reading = asyncio.create_task(read())
        self.addAsyncCleanup(asyncio.wait, [reading])
        self.addCleanup(reading.cancel)
        for _ in range(8):
            await all_of([writer.send("x" * 16_000) for _ in range(50)], 60)
        self.assertLess(len(slow._events), 60)
        gate.set()
        await until(lambda: len(seen) == 400, "all messages", 60)
        self.assertEqual(seen, list(range(1, 401)))
        reading.cancel()


if __name__ == "__main__":
    unittest.main()
