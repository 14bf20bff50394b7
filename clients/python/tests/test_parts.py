"""The rules of reactions, replies and pins: which state wins, and whose reactions are `mine`."""

from __future__ import annotations

import random
import unittest
from dataclasses import replace
from datetime import UTC, datetime

import confab
from confab import (
    ChangeEvent,
    Event,
    Excerpt,
    Message,
    Pin,
    Reaction,
    Timeline,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ME = "me"
PIN = Pin("bob", "Bob", NOON)


def message(id: int, rev: int = 0, text: str = "", **fields: object) -> Message:
    known = {"id": id, "author": "a", "name": "A", "text": text or f"text {id}", "time": NOON}
    return Message(**(known | {"rev": rev or id + 2} | fields))  # type: ignore[arg-type]


def edit(id: int, rev: int, text: str) -> Message:
    return message(id, rev, text, edited=True, _revs=(rev, -1, -1))


def deletion(id: int, rev: int) -> Message:
    return Message(id, "a", "", NOON, "deleted", rev)


def reactions(id: int, rev: int, **users: str) -> Message:
    """An event: a word stands for an emoji, and its users are separated by spaces."""
    groups = [
        {"emoji": emoji, "count": len(names.split()), "users": names.split()[:20]}
        for emoji, names in users.items()
    ]
    marks = confab._reactions(groups, ME)
    return Message(id, "", "", NOON, rev=rev, reactions=marks, _revs=(-1, rev, -1))


def fetched(id: int, rev: int, **marks: Reaction) -> Message:
    return message(id, rev, reactions=marks)


def pinned(id: int, rev: int, pin: Pin | None = PIN) -> Message:
    return message(id, rev, pinned=pin)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


MANY = " ".join(f"u{n}" for n in range(25))


class PartsTests(unittest.TestCase):
    def test_text_reactions_and_pin_are_compared_by_their_own_revisions(self) -> None:
        cases: dict[str, tuple[list[Message], list[str], tuple[str, list[str], bool]]] = {
            "reactions": ([reactions(1, 9, up="a")], ["reactions"], ("text 1", ["up"], False)),
            "late reactions": (
                [reactions(1, 9, up="a"), reactions(1, 8, down="a")],
                ["reactions"],
                ("text 1", ["up"], False),
            ),
            "the same reactions again": (
                [reactions(1, 9, up="a"), reactions(1, 9, up="a"), reactions(1, 10, up="a")],
                ["reactions"],
                ("text 1", ["up"], False),
            ),
            "all removed": (
                [reactions(1, 9, up="a"), reactions(1, 10)],
                ["reactions", "reactions"],
                ("text 1", [], False),
            ),
            "an edit after newer reactions": (
                [reactions(1, 9, up="a"), edit(1, 8, "b")],
                ["reactions", "change"],
                ("b", ["up"], False),
            ),
            "three events of one revision": (
                [
                    edit(1, 9, "b"),
                    reactions(1, 9, up="a"),
                    replace(pinned(1, 9), text="b", edited=True),
                ],
                ["change", "reactions", "pinned", "reactions"],
                ("b", [], True),
            ),
            "a pin": ([pinned(1, 9)], ["pinned"], ("text 1", [], True)),
            "the end of a pin": (
                [pinned(1, 9), pinned(1, 10, None)],
                ["pinned", "unpinned"],
                ("text 1", [], False),
            ),
            "a late pin": (
                [pinned(1, 10, None), pinned(1, 9)],
                [],
                ("text 1", [], False),
            ),
            "a late pin after newer reactions": (
                [reactions(1, 10, up="a"), pinned(1, 9)],
                ["reactions", "pinned"],
                ("text 1", ["up"], True),
            ),
            "a deletion ends everything": (
                [reactions(1, 9, up="a"), pinned(1, 10), deletion(1, 11), pinned(1, 10)],
                ["reactions", "reactions", "pinned", "remove"],
                ("", [], False),
            ),
            "late reactions of a deleted message": (
                [deletion(1, 11), reactions(1, 10, up="a")],
                ["remove"],
                ("", [], False),
            ),
        }
        for name, (changes, expected, state) in cases.items():
            with self.subTest(name):
                timeline = Timeline(after=0)
                timeline.receive(message(1), 0)
                events = [event for change in changes for event in timeline.change(change)]
                self.assertEqual(sorted(kinds(events)), sorted(expected))
                (one,) = timeline.messages
                self.assertEqual((one.text, list(one.reactions), one.pinned is not None), state)

    def test_any_order_of_events_leads_to_the_newest_state(self) -> None:
        for seed in range(300):
            rng = random.Random(seed)
            changes = [
                change
                for rev in range(10, 30)
                for change in rng.choices(
                    [
                        edit(1, rev, f"text {rev}"),
                        reactions(1, rev, **{f"e{rev}": "a"}),
                        fetched(1, rev, **{f"e{rev}": Reaction(1, ("a",))}),
                    ],
                    k=1,
                )
            ]
            expected = Timeline(after=0)
            expected.receive(message(1), 0)
            for change in changes:
                expected.change(change)
            rng.shuffle(changes)
            before = rng.randint(0, len(changes))
            timeline = Timeline(after=0)
            for change in changes[:before]:
                self.assertEqual(timeline.change(change), [])
            timeline.receive(message(1), 0)
            for change in changes[before:]:
                timeline.change(change)
            self.assertEqual(timeline.messages, expected.messages, f"seed {seed}")

    def test_a_fetched_message_does_not_hide_newer_events(self) -> None:
        timeline = Timeline(after=0)
        timeline.receive(message(1, local_id="x"), 0)
        timeline.change(reactions(1, 9, up="a"))
        one = timeline.latest(fetched(1, 8, down=Reaction(1, ("a",))))
        self.assertEqual((list(one.reactions), one.local_id), (["up"], "x"))
        other = timeline.latest(fetched(1, 10, down=Reaction(1, ("a",))))
        self.assertEqual(list(other.reactions), ["down"])
        reply = timeline.latest(message(9, reply_to=1, thread=1))
        self.assertEqual(reply.reply_excerpt, Excerpt(1, "a", "A", "text 1"))


class MineTests(unittest.TestCase):
    def test_mine_follows_lists_own_reactions_and_pages(self) -> None:
        """Each step is a change, or an acknowledged reaction of this user."""
        on, off = (True, 9), (False, 9)
        cases: dict[str, tuple[list[Message | tuple[bool, int]], bool]] = {
            "listed": ([reactions(1, 9, up=f"a {ME}")], True),
            "a complete list without me": ([reactions(1, 9, up="a b")], False),
            "not among the first 20": ([reactions(1, 9, up=MANY)], False),
            "acknowledged before the event": ([on, reactions(1, 9, up=MANY)], True),
            "acknowledged after the event": ([reactions(1, 9, up=MANY), on], True),
            "acknowledged, and an earlier event": ([on, reactions(1, 8, up="a")], True),
            "removed elsewhere later": ([on, reactions(1, 10, up="a")], False),
            "removed and acknowledged": (
                [on, reactions(1, 9, up=MANY), (False, 11), reactions(1, 11, up=MANY)],
                False,
            ),
            "removed before a late event": ([off, reactions(1, 8, up=f"{ME} a")], False),
            "still mine when the list grows": (
                [reactions(1, 9, up=f"a {ME}"), reactions(1, 10, up=MANY)],
                True,
            ),
            "fetched": (
                [fetched(1, 9, up=Reaction(25, (), True)), reactions(1, 10, up=MANY)],
                True,
            ),
            "fetched as not mine": (
                [on, fetched(1, 10, up=Reaction(25, ())), reactions(1, 11, up=MANY)],
                False,
            ),
            "gone and used again by many": (
                [on, reactions(1, 9, up=ME), reactions(1, 10), reactions(1, 11, up=MANY)],
                False,
            ),
        }
        for name, (steps, expected) in cases.items():
            with self.subTest(name):
                timeline = Timeline(after=0)
                timeline.receive(message(1), 0)
                for step in steps:
                    if isinstance(step, Message):
                        timeline.change(step)
                    else:
                        timeline.reacted(1, "up", *step)
                self.assertEqual(timeline.messages[0].reactions["up"].mine, expected)

    def test_an_acknowledgement_that_changes_mine_is_an_event(self) -> None:
        timeline = Timeline(after=0)
        timeline.receive(message(1), 0)
        timeline.change(reactions(1, 9, up=MANY))
        self.assertEqual(kinds(timeline.reacted(1, "up", True, 9)), ["reactions"])
        self.assertEqual(timeline.reacted(1, "up", True, 9), [])
        self.assertEqual(timeline.reacted(7, "up", True, 9), [])

    def test_what_is_known_of_unloaded_messages_is_bounded(self) -> None:
        timeline = Timeline(after=0)
        for id in range(10, 3_000):
            timeline.change(reactions(id, id, up="a"))
            timeline.reacted(id, "up", True, id)
        self.assertLessEqual(len(timeline._changes), 1_000)
        self.assertLessEqual(len(timeline._own), 1_000)


class ThreadTests(unittest.TestCase):
    def test_a_root_counts_its_replies(self) -> None:
        timeline = Timeline(after=0)
        timeline.receive(message(1, replies=2, last_reply_id=3), 0)
        for id in (2, 3, 4, 4, 5):
            timeline.receive(message(id, thread=1, reply_to=1), 0)
        root = timeline.messages[0]
        self.assertEqual((root.replies, root.last_reply_id), (4, 5))
        timeline.change(edit(1, 99, "edited"))
        self.assertEqual(timeline.messages[0].replies, 4)

    def test_an_excerpt_is_in_the_present_state(self) -> None:
        timeline = Timeline(after=0)
        timeline.page("head", [], 1, 0)
        timeline.receive(message(1, text="x" * 200), 0)
        timeline.receive(message(2, reply_to=1, thread=1), 0)
        self.assertEqual(timeline.messages[1].reply_excerpt, Excerpt(1, "a", "A", "x" * 120))
        timeline.change(edit(1, 9, "short"))
        self.assertEqual(timeline.messages[1].reply_excerpt, Excerpt(1, "a", "A", "short"))
        timeline.change(deletion(1, 10))
        self.assertIsNone(timeline.messages[1].reply_excerpt)
        timeline.receive(message(3, reply_to=1, thread=1), 0)
        self.assertIsNone(timeline.messages[2].reply_excerpt)
        self.assertIsNone(timeline.want(1))

    def test_the_message_replied_to_is_fetched_if_it_is_not_loaded(self) -> None:
        timeline = Timeline(after=8)
        timeline.page("head", [message(8)], 20, 0)
        timeline.receive(message(9, reply_to=3, thread=3), 0)
        timeline.receive(message(10, reply_to=3, thread=3), 0)
        self.assertEqual((timeline.want(1), timeline.quoted), ("quoted", 3))
        events = timeline.page("quoted", [message(3)], 20, 1)
        self.assertEqual([e.message.id for e in events if isinstance(e, ChangeEvent)], [9, 10])
        self.assertEqual(timeline.messages[0].reply_excerpt, Excerpt(3, "a", "A", "text 3"))
        self.assertIsNone(timeline.want(2))
        timeline.change(edit(3, 50, "edited"))
        excerpts = [one.reply_excerpt.text for one in timeline.messages if one.reply_excerpt]
        self.assertEqual(excerpts, ["edited"] * 2)
        timeline.receive(message(11, reply_to=4, thread=3), 0)
        # It is not retained: the page has an older message, or none.
        self.assertEqual(timeline.page("quoted", [message(2)], 20, 3), [])
        self.assertIsNone(timeline.want(4))


class ReadingTests(unittest.TestCase):
    def test_a_fetched_message_has_all_fields(self) -> None:
        data = {
            "id": "7",
            "sender_id": "bob",
            "username": "Bob",
            "content": "Yes",
            "sent_at": "2026-01-31T12:00:00.123Z",
            "is_edited": False,
            "is_deleted": False,
            "reply_to": "3",
            "thread": "1",
            "mentions": ["me"],
            "not_members": ["dan"],
            "reply_excerpt": {"id": "3", "sender_id": "ann", "username": "Ann", "content": "Who?"},
            "reactions": [
                {"emoji": "👍", "count": 30, "users": ["bob"], "mine": True},
                {"emoji": "🎉", "count": 30, "users": ["bob"]},
            ],
            "pinned": {"by": "ann", "username": "Ann", "at": "2026-01-31T12:00:00.123Z"},
            "replies": 4,
            "last_reply_id": "9",
            "rev": 12,
        }
        one = confab._message(data, ME)
        self.assertEqual((one.reply_to, one.thread, one.name), (3, 1, "Bob"))
        self.assertEqual((one.mentions, one.not_members), (("me",), ("dan",)))
        self.assertEqual(one.reply_excerpt, Excerpt(3, "ann", "Ann", "Who?"))
        marks = {"👍": Reaction(30, ("bob",), True), "🎉": Reaction(30, ("bob",))}
        self.assertEqual(one.reactions, marks)
        self.assertTrue(one.reactions["🎉"]._is_known)
        self.assertEqual((one.pinned and one.pinned.by, one.replies), ("ann", 4))
        self.assertEqual(one.last_reply_id, 9)
        self.assertEqual(confab._message(data | {"mentions": "all"}).mentions, "all")
        self.assertEqual(hash(one), hash(replace(one)))


if __name__ == "__main__":
    unittest.main()
