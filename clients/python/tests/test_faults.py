"""What clients keep through kills, drains, broken connections and expired tokens."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
import unittest
from typing import Any

from support import FakeClock, SystemTest, all_of, make_token, until

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
        await until(lambda: len(reader.delivered) == 5, "all messages", 5)
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
        await until(lambda: changes, "the connection is given up", 3)
        self.assertLess(clock.added, 45)
        proxy.cut()
        proxy.thaw()
        self.assertEqual((await room.send("after", timeout=20)).id, 2)

    async def test_after_a_suspension_the_client_probes_first(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await room.send("before", timeout=10)
        clock.added += 3600
        await asyncio.sleep(0.5)
        await self.advance(clock, 10)
        self.assertEqual((room.state, proxy.accepted), ("online", 1))
        proxy.freeze()
        clock.added += 3600
        await asyncio.sleep(0.15)
        await self.advance(clock, 5)
        await until(lambda: proxy.accepted == 2, "a new connection at once", 3)
        proxy.thaw()
        await until(lambda: room.state == "online", "online again", 20)

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
        await until(lambda: proxy.accepted == 2, "another connection", 5)
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
        await until(lambda: room.state == "online", "online at once", 5)

    async def test_waiting_follows_the_clock(self) -> None:
        proxy, clock = await self.proxy(), FakeClock()
        proxy.answer = b"HTTP/1.1 503 x\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
        room = (await self.client(url=proxy.url, clock=clock)).conversation("lobby")
        await until(lambda: room.state == "waiting", "the client waits")
        proxy.answer = None
        clock.added += 7200
        await until(lambda: room.state == "online", "online after the wait", 5)

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


class TokenTests(SystemTest):
    async def test_a_token_is_renewed_on_the_live_connection(self) -> None:
        proxy = await self.proxy()
        issued: list[str] = []

        async def token() -> str:
            issued.append(make_token("alice", ttl=4))
            return issued[-1]

        room = (await self.client(url=proxy.url, token=token)).conversation("lobby")
        await room.send("one", timeout=10)
        await asyncio.sleep(6)
        self.assertEqual((await room.send("two", timeout=10)).id, 2)
        self.assertEqual((room.state, proxy.accepted), ("online", 1))
        self.assertGreaterEqual(len(issued), 2)

    async def test_a_token_is_renewed_30_s_before_it_expires(self) -> None:
        clock, issued = FakeClock(), []

        def token() -> str:
            issued.append(make_token("alice", ttl=3600 + clock.added))
            return issued[-1]

        client = await self.client(token=token, clock=clock)
        room = client.conversation("lobby")
        await until(lambda: room.state == "online", "online")
        clock.added += 3565
        await asyncio.sleep(2.2)
        self.assertEqual(len(issued), 1)
        clock.added += 10
        await until(lambda: len(issued) == 2, "a new token", 5)
        self.assertEqual(room.state, "online")

    async def test_a_renewal_may_fail_for_a_while(self) -> None:
        failures = 0

        def token() -> str:
            nonlocal failures
            if failures in (1, 2):
                failures += 1
                raise RuntimeError("the issuer is unavailable")
            failures += 1
            return make_token("alice", ttl=3)

        room = (await self.client(token=token)).conversation("lobby")
        reader = self.follow(room)
        await room.send("one", timeout=10)
        await asyncio.sleep(4)
        self.assertEqual((await room.send("two", timeout=20)).id, 2)
        self.assertIn("token: the issuer is unavailable", [e.reason for e in reader.of("error")])
        self.assertEqual(reader.violations, [])

    async def test_an_expired_token_is_replaced_once(self) -> None:
        tokens = [make_token("alice", ttl=-5), make_token("alice")]
        room = (await self.client(token=lambda: tokens.pop(0))).conversation("lobby")
        self.assertEqual((await room.send("x", timeout=10)).id, 1)
        self.assertEqual(tokens, [])

    async def test_a_rejected_token_ends_with_the_reason(self) -> None:
        cases = {
            "expired": (make_token("alice", ttl=-5), "The token has expired."),
            "forged": (make_token("alice")[:-4] + "AAAA", "The token's signature is wrong."),
            "not granted": (make_token("alice", conversations="other"), "access denied"),
        }
        for name, (bad, reason) in cases.items():
            for source in (bad, lambda bad=bad: bad):
                with self.subTest(name):
                    proxy = await self.proxy()
                    client = await self.client(url=proxy.url, token=source)
                    room = client.conversation("lobby")
                    with self.assertRaises(confab.Refused) as caught:
                        await room.send("x", timeout=10)
                    self.assertEqual((caught.exception.reason, room.state), (reason, "refused"))
                    with self.assertRaises(confab.Refused):
                        async for _ in room:
                            pass
                    is_renewed = callable(source) and name != "not granted"
                    await asyncio.sleep(0.3)
                    self.assertEqual(proxy.accepted, 2 if is_renewed else 1)

    async def test_a_fixed_token_expires_on_the_live_connection(self) -> None:
        client = await self.client(token=make_token("alice", ttl=2))
        room = client.conversation("lobby")
        await room.send("x", timeout=10)
        await until(lambda: room.state == "refused", "refused", 10)
        self.assertEqual(room.reason, "token expired")

    async def test_the_clock_of_this_machine_may_be_wrong(self) -> None:
        clock = FakeClock()
        client = await self.client(clock=clock)
        clock.error = -7200
        room = client.conversation("lobby")
        await room.send("x", timeout=10)
        self.assertAlmostEqual(client.clock_offset, 7200, delta=5)
        self.assertAlmostEqual(client.server_time(), time.time(), delta=5)

    async def test_a_fast_clock_does_not_request_tokens_in_a_loop(self) -> None:
        clock, issued = FakeClock(), []
        clock.error = 7200

        def token() -> str:
            issued.append(make_token("alice"))
            return issued[-1]

        room = (await self.client(token=token, clock=clock)).conversation("lobby")
        await until(lambda: room.state == "online", "online")
        await asyncio.sleep(3)
        self.assertEqual(len(issued), 1)

    async def test_conversations_share_a_renewed_token(self) -> None:
        issued: list[str] = []

        def token() -> str:
            issued.append(make_token("alice", ttl=4))
            return issued[-1]

        client = await self.client(token=token)
        rooms = [client.conversation(f"room{n}") for n in range(5)]
        await all_of([room.send("x") for room in rooms])
        self.assertEqual(len(issued), 1)
        await asyncio.sleep(2.5)
        self.assertEqual(len(issued), 2)
        await asyncio.sleep(2)
        self.assertEqual([room.state for room in rooms], ["online"] * 5)


class OtherHistoryTests(SystemTest):
    options = ("--history", "10")

    async def test_messages_that_are_not_retained_cause_a_reset(self) -> None:
        proxy = await self.proxy()
        alice = (await self.client("alice")).conversation("lobby")
        bob = (await self.client("bob", url=proxy.url, history=5)).conversation("lobby")
        reader = self.follow(bob)
        await until(lambda: bob.state == "online", "bob is online")
        await all_of([alice.send(f"{n}") for n in range(1, 4)])
        await until(lambda: len(reader.delivered) == 3, "bob has three messages")
        proxy.refuses = True
        proxy.cut()
        await until(lambda: bob.state == "waiting", "bob is cut off")
        await all_of([alice.send(f"{n}") for n in range(4, 121)], 60)
        proxy.refuses = False
        bob.retry_now()
        await until(lambda: len(reader.resets) == 2, "a reset")
        reset = reader.resets[1]
        self.assertEqual((reset.reason, reset.after), ("history truncated", 3))
        self.assertEqual(reset.messages[-1].id, 120)
        self.assertGreaterEqual(len(reset.messages), 10, "all retained messages")
        self.assertEqual([one.id for one in bob.messages], [one.id for one in reset.messages])
        await alice.send("live", timeout=10)
        await until(lambda: reader.delivered[-1].text == "live", "live messages follow")
        self.assertEqual(reader.violations, [])

    async def test_a_restored_backup_causes_a_reset(self) -> None:
        alice = (await self.client("alice")).conversation("lobby")
        reader = self.follow(alice)
        await all_of([alice.send(f"{n}") for n in range(1, 4)])
        await asyncio.to_thread(self.server.drain)
        backup = self.folder / "backup"
        backup.mkdir()
        for file in self.folder.glob("n1.db*"):
            shutil.copy(file, backup / file.name)
        await asyncio.to_thread(self.server.start)
        await all_of([alice.send(f"{n}") for n in range(4, 7)], 60)
        await asyncio.to_thread(self.server.drain)
        for file in self.folder.glob("n1.db*"):
            file.unlink()
        for file in backup.iterdir():
            shutil.copy(file, self.folder / file.name)
        call = asyncio.create_task(alice.send("after the backup"))
        await asyncio.to_thread(self.server.start)
        alice.retry_now()
        stored = await asyncio.wait_for(call, 60)
        self.assertEqual(stored.id, 4)
        self.assertEqual(reader.resets[-1].reason, "history reset")
        texts = ["1", "2", "3", "after the backup"]
        self.assertEqual([one.text for one in alice.messages], texts)
        self.assertEqual([one.text for one in await self.history()], texts)


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


class StoreTests(SystemTest):
    async def test_unsent_messages_survive_the_program(self) -> None:
        path = self.folder / "outbox.db"
        url = self.server.url
        self.server.kill()
        first = await self.client(url=url, store=path)
        room = first.conversation("lobby")
        calls = [asyncio.create_task(room.send(f"{n}", local_id=f"id{n}")) for n in range(3)]
        await asyncio.sleep(0.1)
        await first.close()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.to_thread(self.server.start)
        second = await self.client(url=url, store=path)
        room = second.conversation("lobby")
        self.assertEqual([item.local_id for item in room.outbox], ["id0", "id1", "id2"])
        await until(lambda: not room.outbox, "all are sent")
        self.assertEqual([one.text for one in await self.history()], ["0", "1", "2"])
        await second.close()
        third = await self.client(url=url, store=path)
        self.assertEqual(third.conversation("lobby").outbox, [])

    async def test_a_stored_message_that_was_not_acknowledged_is_not_repeated(self) -> None:
        path = self.folder / "outbox.db"
        proxy = await self.proxy()
        first = await self.client(url=proxy.url, store=path)
        room = first.conversation("lobby")
        await room.send("one", timeout=10)
        proxy.freeze("down")  # The message reaches the server, and its answer is lost.
        call = asyncio.create_task(room.send("two"))
        other = (await self.client("bob")).conversation("lobby")
        await until(lambda: len(other.messages) == 2, "the message is stored")
        await first.close()
        self.assertIsInstance(
            (await asyncio.gather(call, return_exceptions=True))[0], confab.Closed
        )
        second = await self.client(store=path)
        room = second.conversation("lobby")
        self.assertEqual([item.text for item in room.outbox], ["two"])
        await until(lambda: not room.outbox, "the answer")
        self.assertEqual([one.text for one in await self.history()], ["one", "two"])

    async def test_refused_messages_stay_with_their_reason(self) -> None:
        path = self.folder / "outbox.db"
        first = await self.client(store=path)
        with self.assertRaises(confab.Refused):
            await first.conversation("lobby").send(" ", local_id="a1", timeout=10)
        await first.close()
        second = await self.client(store=path)
        room = second.conversation("lobby")
        self.assertEqual([item.error for item in room.outbox], ["content: must not be empty"])
        room.retry("a1")
        await until(lambda: room.outbox[0].error and room.outbox[0].tries == 1, "refused again")
        room.discard("a1")
        await second.close()
        third = await self.client(store=path)
        self.assertEqual(third.conversation("lobby").outbox, [])

    async def test_a_store_belongs_to_one_client(self) -> None:
        path = self.folder / "outbox.db"
        first = await self.client(store=path)
        with self.assertRaisesRegex(confab.ConfabError, "in use by another client"):
            await self.client("bob", store=path)
        await first.close()
        await self.client("bob", store=path)
        with self.assertRaisesRegex(confab.ConfabError, "cannot open"):
            await self.client("carol", store=self.folder / "missing" / "outbox.db")


if __name__ == "__main__":
    unittest.main()
