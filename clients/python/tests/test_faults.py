"""What clients keep through kills, drains, broken connections and expired tokens."""

from __future__ import annotations

import asyncio
import random
import time
import unittest
from typing import Any

from support import FakeClock, SystemTest, all_of, until

import confab
from confab import StateChange


class InterruptionTests(SystemTest):
    async def test_a_killed_server_loses_nothing(self) -> None:
        room = (await self.client()).conversation("lobby")
        reader = self.follow(room)
        await room.send("before", timeout=10)
        self.server.kill()
        await until(lambda: room.state != "online", "the client notices")
        call = asyncio.create_task(room.send("while it is down"))
        await asyncio.sleep(0.5)
        self.assertEqual([one.state for one in room.messages], ["sent", "sending"])
        await asyncio.to_thread(self.server.start)
        self.assertEqual((await asyncio.wait_for(call, 30)).id, 2)
        self.assertEqual([one.text for one in await self.history()], ["before", "while it is down"])
        self.assertEqual((reader.violations, len(reader.resets)), ([], 1))

    async def test_a_restored_backup_lowers_the_read_position(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        await alice.send("kept", timeout=10)
        self.server.kill()
        backup = {each: each.read_bytes() for each in self.folder.glob("*.db*")}
        self.assertTrue(backup)
        await asyncio.to_thread(self.server.start)
        client = await self.client("bob")
        bob = client.conversation("lobby")
        reader = self.follow(bob)
        for text in ("lost", "lost too"):
            await alice.send(text, timeout=30)
        await until(lambda: len(bob.messages) == 3, "bob has all")

        async def read_until(id: int) -> None:
            await bob.read(id)
            async with asyncio.timeout(30):
                while (await client.receipts("lobby")).read != id:
                    await asyncio.sleep(0.05)

        await read_until(3)
        self.server.kill()
        for each in self.folder.glob("*.db*"):
            each.unlink()
        for each, content in backup.items():
            each.write_bytes(content)
        await asyncio.to_thread(self.server.start)
        await until(lambda: len(reader.resets) == 2, "the reset")
        self.assertEqual(reader.resets[1].reason, "history reset")
        await alice.send("again", timeout=30)
        await until(lambda: len(bob.messages) == 2, "the next message")
        await read_until(2)

    async def test_missed_messages_edits_and_deletions_arrive(self) -> None:
        proxy = await self.proxy()
        alice = (await self.client("alice")).conversation("lobby")
        await all_of([alice.send(f"{n}") for n in range(1, 5)])
        bob = (await self.client("bob", url=proxy.url)).conversation("lobby")
        reader = self.follow(bob)
        await until(lambda: len(bob.messages) == 4, "bob has the first messages")
        proxy.refuses = True
        proxy.cut()
        await until(lambda: bob.state == "waiting", "bob is cut off")
        await alice.edit(2, "two")
        await alice.delete(3)
        await all_of([alice.send("5"), alice.send("6")])
        await alice.edit(6, "six")
        proxy.refuses = False
        bob._confab.retry_now()
        await until(lambda: len(reader.delivered) == 2, "the missed messages")
        await until(lambda: reader.of("remove"), "the deletion")
        texts = [one.text for one in bob.messages]
        self.assertEqual(texts, ["1", "two", "", "4", "5", "six"])
        self.assertEqual([event.message.id for event in reader.of("change")], [2])
        self.assertEqual(texts, [one.text for one in await self.history()])
        self.assertEqual((reader.violations, len(reader.resets)), ([], 1))

    async def test_changes_are_complete_after_cuts_at_any_time(self) -> None:
        """Edits and deletions of one client, seen by another whose connection is cut."""
        proxy = await self.proxy()
        writer = (await self.client("alice")).conversation("lobby")
        room = (await self.client("bob", url=proxy.url)).conversation("lobby")
        reader = self.follow(room)
        seed = random.Random(11)

        async def write() -> None:
            for n in range(1, 61):
                await writer.send(f"{n}", timeout=20)
                target = seed.randint(1, n)
                if writer.messages[target - 1].state != "deleted":
                    if seed.random() < 0.2:
                        await writer.delete(target)
                    else:
                        await writer.edit(target, f"{target} after {n}")
                await asyncio.sleep(0.02)

        writing = asyncio.create_task(write())
        while not writing.done():
            await asyncio.sleep(seed.uniform(0.02, 0.2))
            proxy.cut()
            room.retry_now()
        await writing
        expected = [one.text for one in await self.history()]
        await until(
            lambda: [one.text for one in room.messages] == expected, "the same messages", 30
        )
        self.assertEqual(reader.violations, [])
        self.assertGreater(proxy.accepted, 5)

    async def test_edits_and_deletions_continue_after_a_cut(self) -> None:
        proxy = await self.proxy()
        room = (await self.client(url=proxy.url)).conversation("lobby")
        await all_of([room.send("one"), room.send("two")])
        proxy.freeze()
        calls = [asyncio.create_task(call) for call in (room.edit(1, "uno"), room.delete(2))]
        older = asyncio.create_task(room.older())
        await asyncio.sleep(0.2)
        proxy.cut()
        proxy.thaw()
        edited, deleted = await all_of(calls)
        self.assertEqual((edited.text, deleted.state), ("uno", "deleted"))
        self.assertFalse(await older)

    async def test_a_lost_frame_is_fetched(self) -> None:
        writer = (await self.client("alice")).conversation("lobby")
        room = (await self.client("bob")).conversation("lobby")
        reader = self.follow(room)
        await until(lambda: room.state == "online", "bob is online")
        receive = room._receive
        lost: list[str] = []

        def lossy(frame: str | bytes) -> None:
            if not lost and isinstance(frame, str) and '"id":"2"' in frame:
                lost.append(frame)
            else:
                receive(frame)

        room._receive = lossy  # type: ignore[method-assign]
        await all_of([writer.send(f"{n}") for n in range(1, 6)])
        await until(lambda: len(reader.delivered) == 5, "all messages")
        self.assertEqual((len(lost), reader.violations, len(reader.resets)), (1, [], 1))
        self.assertEqual([one.text for one in room.messages], ["1", "2", "3", "4", "5"])

    async def test_a_drained_server_is_left_and_found_again(self) -> None:
        room = (await self.client()).conversation("lobby")
        reader = self.follow(room)
        changes: list[StateChange] = []
        room.on("state", changes.append)
        await room.send("before", timeout=10)
        await self.server.restart(drains=True, pause=0.2)
        self.assertEqual((await room.send("after", timeout=60)).id, 2)
        self.assertEqual(reader.violations, [])
        self.assertIn(1012, [change.code for change in changes])


class DeadConnectionTests(SystemTest):
    """The clock moves; no test waits for 35 s."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        tick = confab._TICK_SECONDS
        self.addCleanup(setattr, confab, "_TICK_SECONDS", tick)
        confab._TICK_SECONDS = 0.05  # type: ignore[misc]

    async def advance(self, clock: FakeClock, seconds: int) -> None:
        """In steps below 10 s, which a suspension would look like."""
        for _ in range(0, seconds, 5):
            clock.added += 5
            await asyncio.sleep(0.15)

    async def test_a_half_open_connection_is_replaced(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await room.send("before", timeout=10)
        changes: list[StateChange] = []
        room.on("state", changes.append)
        proxy.freeze()
        await self.advance(clock, 35)
        self.assertEqual(changes, [])
        await self.advance(clock, 5)
        await until(lambda: changes, "the connection is given up", 10)
        self.assertLess(clock.added, 45)
        proxy.cut()
        proxy.thaw()
        self.assertEqual((await room.send("after", timeout=20)).id, 2)

    async def test_after_a_suspension_the_client_probes_first(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await room.send("before", timeout=10)
        clock.added += 3600
        woken = clock.now()
        await until(lambda: room._watchdog._heard_at >= woken, "the answer to the probe")
        await self.advance(clock, 10)
        self.assertEqual((room.state, proxy.accepted), ("online", 1))
        proxy.freeze()
        clock.added += 3600
        await asyncio.sleep(0.15)
        await self.advance(clock, 5)
        await until(lambda: proxy.accepted == 2, "a new connection at once", 10)
        proxy.thaw()
        await until(lambda: room.state == "online", "online again")

    async def test_a_send_without_an_answer_is_sent_again(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        reader = self.follow(room)
        await room.send("one", timeout=10)
        proxy.freeze()
        call = asyncio.create_task(room.send("two"))
        await asyncio.sleep(0.2)
        await self.advance(clock, 10)
        self.assertEqual(proxy.accepted, 1)
        await self.advance(clock, 5)
        await until(lambda: proxy.accepted == 2, "another connection", 10)
        proxy.cut()
        proxy.thaw()
        self.assertEqual((await asyncio.wait_for(call, 20)).id, 2)
        self.assertEqual([one.text for one in await self.history()], ["one", "two"])
        self.assertEqual(reader.violations, [])

    async def test_heartbeats_of_the_server_keep_the_connection(self) -> None:
        self.server.kill()
        server = self.serve("--limit", "ping-seconds=0.2", name="n2")
        proxy, clock = await self.proxy(server.port), FakeClock()
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await room.send("one", timeout=10)
        frames: list[str | None] = []
        write = room._write_frame
        room._write_frame = lambda frame: (frames.append(frame), write(frame))[1]  # type: ignore[method-assign,func-returns-value]
        for _ in range(20):
            clock.added += 4
            await asyncio.sleep(0.25)
        self.assertNotIn(None, frames, "no probe")
        self.assertIn('{"action":"heartbeat_ack"}', frames)
        self.assertEqual((room.state, proxy.accepted), ("online", 1))

    async def test_a_suspended_server_is_only_slow(self) -> None:
        room = (await self.client()).conversation("lobby")
        await room.send("one", timeout=10)
        self.server.suspend()
        call = asyncio.create_task(room.send("two"))
        await asyncio.sleep(1)
        self.server.resume()
        self.assertEqual((await asyncio.wait_for(call, 20)).id, 2)
        self.assertEqual(len(await self.history()), 2)


class WaitTests(SystemTest):
    async def waits(self, answer: bytes, **options: Any) -> tuple[StateChange, float]:
        """The first wait after this HTTP answer, and its length."""
        proxy = await self.proxy()
        proxy.answer = answer
        client = await self.client(url=proxy.url, random=random.Random(3), **options)
        waits: list[tuple[StateChange, float]] = []
        client.on_state(lambda change: waits.append((change, (change.retry_at or 0) - time.time())))
        client.conversation("lobby")
        await until(lambda: any(one.state == "waiting" for one, _ in waits), "the client waits")
        proxy.answer = None
        return next((one, length) for one, length in waits if one.state == "waiting")

    async def test_503_is_obeyed(self) -> None:
        answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        change, length = await self.waits(answer)
        self.assertEqual((change.code, change.reason), (503, "the server answers with status 503"))
        self.assertTrue(6.5 < length <= 14, length)

    async def test_another_status_is_retried_with_growing_delays(self) -> None:
        answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        _, length = await self.waits(answer)
        self.assertTrue(0 < length <= 1, length)

    async def test_403_is_final(self) -> None:
        proxy = await self.proxy()
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        client = await self.client(url=proxy.url)
        room = client.conversation("lobby")
        with self.assertRaisesRegex(confab.Refused, "status 403"):
            await room.send("x", timeout=10)
        self.assertEqual(client.state, "refused")
        proxy.answer = None
        client.retry_now()
        await until(lambda: client.state == "online", "a retry on demand")
        await until(lambda: not room.outbox, "the message was retained and is sent")

    async def test_retry_now_ends_a_long_wait(self) -> None:
        proxy = await self.proxy()
        proxy.answer = b"HTTP/1.1 503 x\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
        client = await self.client(url=proxy.url)
        room = client.conversation("lobby")
        await until(lambda: room.state == "waiting", "the client waits")
        proxy.answer = None
        client.retry_now()
        await until(lambda: room.state == "online", "online at once")

    async def test_waiting_follows_the_clock(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        proxy.answer = b"HTTP/1.1 503 x\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await until(lambda: room.state == "waiting", "the client waits")
        proxy.answer = None
        clock.added += 7200
        await until(lambda: room.state == "online", "online after the wait")

    async def test_clients_of_a_killed_server_return_spread_over_time(self) -> None:
        """One seed per client: their first delays after a failed attempt differ."""
        waits: list[float] = []
        for seed in range(8):
            client = await self.client(
                url="http://127.0.0.1:1", random=random.Random(seed), store=None
            )
            client.on_state(
                lambda change: (
                    waits.append(change.retry_at - time.time()) if change.retry_at else None
                )
            )
            client.conversation("lobby")
        await until(lambda: len(waits) >= 8, "all clients wait")
        self.assertGreater(max(waits) - min(waits), 0.2)


class ForgottenIDTests(SystemTest):
    options = ("--limit", "messages-per-second=100000", "--limit", "message-burst=100000")

    async def test_an_unanswered_message_is_found_among_many_missed_ones(self) -> None:
        """The server recognises a repeated message among its newest 1,000, and for 10 s."""
        proxy = await self.proxy()
        room = (await self.client(url=proxy.url, keep=5000)).conversation("lobby")
        other = (await self.client("bob")).conversation("lobby")
        await room.send("one", timeout=10)
        proxy.freeze("down")
        call = asyncio.create_task(room.send("two"))
        await until(lambda: len(other.messages) == 2, "the message is stored")
        for _ in range(5):
            await all_of([other.send("more") for _ in range(300)], 60)
        await asyncio.sleep(11)
        await all_of([other.send("more") for _ in range(300)], 60)
        proxy.cut()
        proxy.thaw()
        self.assertEqual((await asyncio.wait_for(call, 60)).id, 2)
        await until(lambda: len(room.messages) == 1802, "all missed messages")
        self.assertEqual([one.text for one in await self.history()].count("two"), 1)


if __name__ == "__main__":
    unittest.main()
