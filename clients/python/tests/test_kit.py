"""What the kit offers, against a real server without faults."""

from __future__ import annotations

import asyncio
import unittest

from support import SystemTest, all_of, make_token, until

import confab
from confab import Confab, ErrorEvent, MessageEvent


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
        with self.assertRaises(confab.Refused):
            await room.edit(1, "x" * 2_000_000)
        self.assertEqual((await room.send("next", timeout=20)).id, 2)

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
        await client._rest("POST", f"/{info.id}/end", {})
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
        receipts = {(event.user, event.status) for event in writer.of("receipt")}
        self.assertTrue({("bob", "read"), (None, "read")} <= receipts, receipts)
        changes = [change for event in writer.of("presence") for change in event.changes]
        self.assertIn(("bob", True), changes)

    async def test_typing_is_renewed_and_ends_with_the_connection(self) -> None:
        alice = self.follow((await self.client("alice")).conversation("lobby"))
        proxy = await self.proxy()
        clock = await self.client("bob", url=proxy.url)
        bob = clock.conversation("lobby")
        async with bob.typing():
            await until(lambda: len(alice.of("typing")) >= 1, "bob types")
            await asyncio.sleep(6.5)  # The server ends it after 6 s without a renewal.
            self.assertEqual([event.typing for event in alice.of("typing")], [True])

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
        self.addAsyncCleanup(asyncio.gather, reading, return_exceptions=True)
        self.addCleanup(reading.cancel)
        for _ in range(8):
            await all_of([writer.send("x" * 16_000) for _ in range(50)], 60)
        self.assertLess(len(slow._events), 60)
        gate.set()
        await until(lambda: len(seen) == 400, "all messages", 60)
        self.assertEqual(seen, list(range(1, 401)))
        reading.cancel()


class RestTests(SystemTest):
    async def test_conversations_are_created_listed_and_joined(self) -> None:
        alice, bob = await self.client("alice"), await self.client("bob", token=no_grants("bob"))
        made = await alice.create("Title", "Description")
        self.assertEqual(
            (made.title, made.description, made.created_by), ("Title", "Description", "alice")
        )
        self.assertTrue(made.link and made.link.endswith(made.id))
        for _ in range(2):
            await alice.create("Another")
        page = await bob.list(limit=2)
        rest = await bob.list(limit=2, cursor=page.next_cursor)
        listed = [one.id for one in (*page.conversations, *rest.conversations)]
        self.assertEqual((len(listed), listed[-1], rest.next_cursor), (3, made.id, None))
        joined = await bob.join(made.id)
        self.assertEqual({one.user for one in joined.participants}, {"alice", "bob"})
        room = bob.conversation(made.id)
        stored = await all_of([room.send(f"{n}") for n in range(1, 6)])
        pages = [
            await bob.history(made.id, limit=2),
            await bob.history(made.id, before=4, limit=2),
            await bob.history(made.id, after=0, limit=2),
        ]
        self.assertEqual([[m.id for m in p] for p in pages], [[4, 5], [2, 3], [1, 2]])
        self.assertEqual((pages[0][1].author, pages[0][1].time), ("bob", stored[4].time))

    async def test_refusals_say_why(self) -> None:
        client = await self.client("alice", token=no_grants("alice"))
        with self.assertRaisesRegex(confab.Refused, "no such conversation"):
            await client.join("unknown1")
        with self.assertRaisesRegex(confab.Refused, "limit"):
            await client.list(limit=1000)
        bad = await self.client(token="x.y.z")
        with self.assertRaises(confab.Refused):
            await bad.list()
        away = await self.client(url="http://127.0.0.1:1")
        with self.assertRaises(confab.Unavailable) as caught:
            await away.list()
        self.assertEqual(
            str(caught.exception), "cannot reach http://127.0.0.1:1: Connection refused"
        )
        self.assertTrue(caught.exception.retry)

    async def test_a_guest_needs_only_a_name(self) -> None:
        ann = await self.client(token=None, user="ann")
        made = await ann.create("Open")
        bob = await self.client(token=None, user="bob")
        one, two = ann.conversation(made.id), bob.conversation(made.id)
        reader = self.follow(one)
        await two.send("Hello", timeout=10)
        await until(lambda: reader.delivered, "ann receives it")
        self.assertEqual((reader.delivered[0].author, bob.user), ("guest:bob", "guest:bob"))
        self.assertEqual(bob.conversation(made.id).outbox, [])
        with self.assertRaisesRegex(confab.Refused, "no such conversation"):
            await bob.conversation("unknown1").send("x", timeout=10)

    async def test_a_server_without_guests_says_so(self) -> None:
        server = self.serve("--anonymous", "off", name="n2")
        client = await self.client(url=server.url, token=None, user="ann")
        with self.assertRaises(confab.Refused):
            await client.conversation("lobby").send("x", timeout=10)
        self.assertEqual(client.state, "refused")


def no_grants(user: str) -> str:
    return make_token(user, conversations=[])


class LimitTests(SystemTest):
    options = ("--limit", "messages-per-second=1", "--limit", "message-burst=3")

    async def test_the_rate_limit_delays_and_a_timeout_names_it(self) -> None:
        room = (await self.client()).conversation("lobby")
        with self.assertRaises(confab.RateLimited) as caught:
            await all_of([room.send(f"{n}", timeout=0.5) for n in range(6)])
        self.assertGreater(caught.exception.retry_after, 0)
        await until(lambda: not room.outbox, "all are stored later")
        self.assertEqual([one.text for one in await self.history()], [f"{n}" for n in range(6)])

    async def test_the_rate_limit_of_edits(self) -> None:
        room = (await self.client()).conversation("lobby")
        await room.send("x", timeout=10)
        with self.assertRaises(confab.RateLimited):
            for n in range(5):
                await room.edit(1, f"{n}", timeout=0.3)


class ClosingTests(SystemTest):
    async def test_close_ends_waiting_calls(self) -> None:
        client = Confab("http://127.0.0.1:1", token=make_token("alice"))
        client.connect()
        room = client.conversation("lobby")
        calls = [asyncio.create_task(call) for call in (room.send("x"), room.edit(1, "x"))]
        await until(lambda: room.state == "waiting", "the client waits")
        self.assertIn("Connection refused", room.reason)
        await client.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        self.assertEqual([type(one) for one in results], [confab.Closed] * 2)
        self.assertEqual((client.state, room.state), ("closed", "closed"))

    async def test_a_cancelled_call_leaves_the_kit_working(self) -> None:
        room = (await self.client()).conversation("lobby")
        call = asyncio.create_task(room.send("one"))
        await asyncio.sleep(0)
        call.cancel()
        self.assertEqual((await room.send("two", timeout=10)).id, 2)
        self.assertEqual([one.text for one in room.messages], ["one", "two"])


if __name__ == "__main__":
    unittest.main()
