"""REST, guests, limits and the end of a client."""

from __future__ import annotations

import asyncio
import contextlib
import unittest
from typing import Any

from support import SystemTest, all_of, make_token, until

import confab
from confab import Confab, FoundMessages


class RestTests(SystemTest):
    async def test_conversations_are_created_listed_and_joined(self) -> None:
        alice, bob = await self.client("alice"), await self.client("bob", token=no_grants("bob"))
        made = await alice.create("Title", "Description", listed=True)
        self.assertEqual(
            (made.title, made.description, made.created_by), ("Title", "Description", "alice")
        )
        self.assertTrue(made.link and made.link.endswith(made.id))
        for _ in range(2):
            await alice.create("Another", listed=True)
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

    async def test_a_closed_conversation_is_for_its_members(self) -> None:
        shop, ann, bob = [
            await self.client(one, token=no_grants(one)) for one in ("shop", "ann", "bob")
        ]
        made = await shop.create("Order 1042", access="closed", members=[("ann", "Ann"), "carl"])
        self.assertEqual((made.access, made.listed, made.participant_count), ("closed", False, 3))
        for call in (bob.join(made.id), bob.history(made.id), bob.members(made.id)):
            with self.assertRaisesRegex(confab.Refused, "^room_id: no such conversation$"):
                await call
        self.assertEqual((await bob.list()).conversations, ())
        stored = await shop.conversation(made.id).send("Hello")
        listed = (await ann.list(mine=True)).conversations
        self.assertEqual([(one.id, one.unread_count, one.last_read_id) for one in listed],
                         [(made.id, 1, 0)])
        await ann.mark_read(made.id, stored.id)
        receipts = await ann.receipts(made.id)
        self.assertEqual(receipts.read, 1)
        self.assertIn(("ann", 1), [(one.user, one.read) for one in receipts.members])
        page = await ann.members(made.id, limit=2)
        rest = await ann.members(made.id, cursor=page.next_cursor)
        self.assertEqual(
            [(one.user, one.name, one.creator) for one in (*page.members, *rest.members)],
            [("ann", "Ann", False), ("carl", "carl", False), ("shop", "shop", True)],
        )
        await ann.leave(made.id)
        self.assertEqual((await ann.list(mine=True)).conversations, ())

    async def test_the_creator_changes_who_may_join_and_removes_members(self) -> None:
        ann, bob = [await self.client(one, token=no_grants(one)) for one in ("ann", "bob")]
        made = await ann.create("Tea")
        await bob.join(made.id)
        reader = self.follow(bob.conversation(made.id))
        await until(lambda: bob.conversation(made.id).state == "online", "bob is online")
        with self.assertRaisesRegex(confab.Refused, "only the creator"):
            await bob.update(made.id, title="Coffee")
        changed = await ann.update(made.id, title="Coffee", access="closed")
        self.assertEqual((changed.title, changed.access, changed.listed), ("Coffee", "closed", False))
        await until(
            lambda: [e for e in reader.events if e.kind == "updated"], "bob receives the change"
        )
        [event] = [e for e in reader.events if isinstance(e, confab.UpdatedEvent)]
        self.assertEqual(
            (event.title, event.access, event.listed, event.by), ("Coffee", "closed", False, "ann")
        )
        await ann.remove_member(made.id, "bob")
        with self.assertRaisesRegex(confab.Refused, "^room_id: no such conversation$"):
            await bob.join(made.id)
        await ann.update(made.id, access="open")
        with self.assertRaisesRegex(confab.Refused, "was removed"):
            await bob.join(made.id)
        await ann.add_member(made.id, "bob", "Bob")
        await bob.join(made.id)

    async def test_a_search_finds_messages_of_all_conversations_of_the_user(self) -> None:
        alice = await self.client("alice", token=no_grants("alice"))
        made = [await alice.create(title) for title in ("One", "Two")]
        for one in made:
            await alice.conversation(one.id).send(f"Tea in {one.title}")
        found = await whole_search(alice, "tea")
        self.assertFalse(found.incomplete)
        self.assertEqual(
            {(one.conversation, one.title, one.message.text) for one in found.results},
            {(one.id, one.title, f"Tea in {one.title}") for one in made},
        )
        self.assertEqual(len((await whole_search(alice, "tea", limit=1)).results), 1)
        self.assertEqual((await whole_search(alice, "coffee")).results, ())
        other = await self.client("eve", token=no_grants("eve"))
        self.assertEqual((await whole_search(other, "tea")).results, ())
        for text in ("", "…", "x" * 1000):
            with self.assertRaisesRegex(confab.Refused, "^text: "):
                await alice.search(text)
        with self.assertRaisesRegex(confab.Refused, "^limit: "):
            await alice.search("tea", limit=1000)

    async def test_the_pin_policy_keeps_pins_to_the_creator(self) -> None:
        alice, bob = [await self.client(one, token=no_grants(one)) for one in ("alice", "bob")]
        made = await alice.create("Notices", pin_policy="creator")
        await bob.join(made.id)
        stored = await alice.conversation(made.id).send("Read this")
        with self.assertRaisesRegex(confab.Refused, "only the creator"):
            await bob.conversation(made.id).pin(stored.id)
        await alice.conversation(made.id).pin(stored.id)
        with self.assertRaisesRegex(confab.Refused, "^pin_policy: "):
            await alice.create("Notices", pin_policy="nobody")  # type: ignore[arg-type]

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
        await until(lambda: one.state == "online", "ann is online")
        await two.send("Hello", timeout=10)
        await until(lambda: reader.delivered, "ann receives it")
        self.assertEqual((reader.delivered[0].author, bob.user), ("guest:bob", "guest:bob"))
        self.assertEqual(bob.conversation(made.id).outbox, [])
        # Another client with this name is another guest.
        other = await self.client(token=None, user="bob")
        await other.conversation(made.id).send("I am bob", timeout=10)
        await until(lambda: len(reader.delivered) == 2, "ann receives it")
        authors = [(one.author, len(one.guest_key or "")) for one in reader.delivered]
        self.assertEqual(authors, [("guest:bob", 8), ("guest:bob", 8)])
        self.assertNotEqual(reader.delivered[0].guest_key, reader.delivered[1].guest_key)
        self.assertEqual(
            {one.guest_key for one in (await ann.history(made.id))},
            {one.guest_key for one in reader.delivered},
        )
        with self.assertRaises(confab.Refused):
            await other.conversation(made.id).delete(1)
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


async def whole_search(client: Confab, text: str, **options: Any) -> FoundMessages:
    """Searches again if a busy server has not searched everything within its time of a second."""
    for _ in range(9):
        found = await client.search(text, **options)
        if not found.incomplete:
            return found
    return await client.search(text, **options)


class LimitTests(SystemTest):
    options = ("--limit", "messages-per-second=1", "--limit", "message-burst=3")

    async def test_the_rate_limit_delays_and_a_timeout_names_it(self) -> None:
        room = (await self.client()).conversation("lobby")
        await until(lambda: room.state == "online", "online")
        sent = 0
        with self.assertRaises(confab.RateLimited) as caught:
            for sent in range(1, 50):
                with contextlib.suppress(TimeoutError):  # A busy server answers later.
                    await room.send(f"{sent}", timeout=0.5)
                await until(lambda: not room.outbox, "it is stored")
        self.assertGreater(caught.exception.retry_after, 0)
        await all_of([room.send(f"{sent + n}") for n in (1, 2)])
        self.assertEqual(room.outbox, [], "all are stored later")
        texts = [f"{n}" for n in range(1, sent + 3)]
        self.assertEqual([one.text for one in await self.history()], texts)

    async def test_the_rate_limit_of_edits(self) -> None:
        room = (await self.client()).conversation("lobby")
        await room.send("x", timeout=10)
        with self.assertRaises(confab.RateLimited):
            for n in range(50):
                with contextlib.suppress(TimeoutError):  # A busy server answers later.
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
