"""Messages that outlive the program, and histories that the server has lost."""

from __future__ import annotations

import asyncio
import shutil
import unittest

from support import SystemTest, all_of, until

import confab


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
