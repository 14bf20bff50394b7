"""The rules that need no server: delays, the watchdog, the order of messages, the outbox."""

from __future__ import annotations

import base64
import json
import random
import unittest
from datetime import UTC, datetime

from support import FOLDER  # noqa: F401  (makes confab importable)

import confab
from confab import (
    Backoff,
    ChangeEvent,
    Event,
    Message,
    MessageEvent,
    Outbox,
    OutboxItem,
    RemoveEvent,
    ResetEvent,
    Timeline,
    Watchdog,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def message(id: int, rev: int | None = None, text: str = "", **fields: object) -> Message:
    known = {"id": id, "author": "a", "text": text or f"text {id}", "time": NOON}
    return Message(**(known | {"rev": rev if rev is not None else id + 2} | fields))  # type: ignore[arg-type]


def edited(id: int, rev: int, text: str = "edited") -> Message:
    return message(id, rev, text, edited=True)


def deleted(id: int, rev: int) -> Message:
    return Message(id, "a", "", NOON, "deleted", rev)


def summary(events: list[Event]) -> list[object]:
    short: list[object] = []
    for event in events:
        match event:
            case MessageEvent(one):
                short.append(one.id)
            case ChangeEvent(one):
                short.append(("change", one.id, one.text))
            case RemoveEvent(one):
                short.append(("remove", one.id))
            case ResetEvent(reason, messages):
                short.append((reason, [one.id for one in messages]))
    return short


class BackoffTests(unittest.TestCase):
    def test_delays_stay_in_their_range_and_use_it(self) -> None:
        cases: list[tuple[str, dict[str, float], int, float, float]] = [
            ("the first attempt comes at once", {}, 0, 0, 0),
            ("the second", {}, 1, 0.25, 1),
            ("the third", {}, 2, 0.25, 2),
            ("the sixth", {}, 5, 0.25, 15),
            ("the hundredth", {}, 100, 0.25, 15),
            ("the node stops", {"code": 1012}, 0, 0, 2),
            ("the node stops again", {"code": 1012}, 3, 0.25, 4),
            ("overload", {"code": 1013}, 0, 1, 2),
            ("503 with Retry-After: 7", {"code": 503, "retry_after": 7}, 0, 7, 14),
            ("after 10 s of health", {"healthy": 10}, 9, 0, 0),
            ("after 9 s of health", {"healthy": 9.9}, 9, 0.25, 15),
        ]
        for name, given, attempts, low, high in cases:
            with self.subTest(name):
                delays = []
                for seed in range(500):
                    backoff = Backoff(random.Random(seed))
                    for _ in range(attempts):
                        backoff.delay()
                    delays.append(backoff.delay(**given))  # type: ignore[arg-type]
                self.assertGreaterEqual(min(delays), low)
                self.assertLessEqual(max(delays), high)
                if high > low:  # Clients of a restarted server are spread over the range.
                    self.assertLess(min(delays), low + (high - low) * 0.1)
                    self.assertGreater(max(delays), low + (high - low) * 0.8)

    def test_the_same_seed_gives_the_same_delays(self) -> None:
        one, two = Backoff(random.Random(7)), Backoff(random.Random(7))
        self.assertEqual([one.delay() for _ in range(9)], [two.delay() for _ in range(9)])


class WatchdogTests(unittest.TestCase):
    def test_it_probes_before_it_decides(self) -> None:
        # Each step: the time, and what is expected of check(); None is an arriving frame.
        cases: dict[str, list[tuple[float, str | None]]] = {
            "frames arrive": [(9, "alive"), (9, None), *silent(45, start=18)[:-1], (44, "probe")],
            "silence": [(9, "alive"), (18, "alive"), (27, "alive"), (34.9, "alive"), (35, "probe")],
            "no answer": [*silent(36), (40.9, "alive"), (41, "dead")],
            "an answer": [*silent(36), (38, None), (41, "alive"), (50, "alive")],
            "silence again": [*silent(36), (37, None), *silent(72, start=45)],
            "suspended for an hour": [(1, "alive"), (3601, "probe"), (3606, "dead")],
            "suspended and alive": [(1, "alive"), (3601, "probe"), (3602, None), (3606, "alive")],
            "suspended while probing": [*silent(36), (300, "probe"), (304, "alive"), (305, "dead")],
        }
        for name, steps in cases.items():
            with self.subTest(name):
                watchdog = Watchdog(0)
                for now, expected in steps:
                    if expected is None:
                        watchdog.heard(now)
                    else:
                        self.assertEqual(watchdog.check(now), expected, f"at {now} s")


def silent(until: int, start: int = 9) -> list[tuple[float, str | None]]:
    """Checks every 9 s without a frame, and then a probe."""
    return [*((float(now), "alive") for now in range(start, until - 1, 9)), (until, "probe")]


class TimelineTests(unittest.TestCase):
    def test_messages_are_delivered_once_and_in_order(self) -> None:
        cases: dict[str, tuple[list[int], list[object]]] = {
            "in order": ([1, 2, 3], [1, 2, 3]),
            "a repetition": ([1, 2, 2, 1, 3], [1, 2, 3]),
            "an early answer": ([1, 3, 2], [1, 2, 3]),
            "several early": ([4, 2, 3, 1, 5], [1, 2, 3, 4, 5]),
            "a gap": ([1, 3, 4], [1]),
        }
        for name, (ids, expected) in cases.items():
            with self.subTest(name):
                timeline = Timeline(after=0)
                events = [event for id in ids for event in timeline.receive(message(id), 0)]
                self.assertEqual(summary(events), expected)
                self.assertEqual([one.id for one in timeline.messages], expected)

    def test_any_order_of_arrival_gives_one_order(self) -> None:
        for seed in range(300):
            random_ids = random.Random(seed)
            ids = [id for id in range(1, 30) for _ in range(random_ids.randint(1, 3))]
            random_ids.shuffle(ids)
            timeline = Timeline(after=0)
            events = [event for id in ids for event in timeline.receive(message(id), 0)]
            self.assertEqual(summary(events), list(range(1, 30)), f"seed {seed}")

    def test_a_gap_is_fetched_after_300_ms(self) -> None:
        timeline = Timeline(after=5)
        timeline.page("head", [message(9)], 20, 0)
        self.assertEqual(summary(timeline.receive(message(9), 10)), [])
        self.assertEqual((timeline.want(10.29), timeline.want(10.3)), (None, "gap"))
        page = [message(id) for id in (6, 7, 8, 9)]
        self.assertEqual(summary(timeline.page("gap", page, 20, 10.4)), [6, 7, 8, 9])
        self.assertIsNone(timeline.want(11))

    def test_a_gap_that_is_not_retained_leads_to_a_reset(self) -> None:
        timeline = Timeline(after=5)
        timeline.page("head", [message(9)], 20, 0)
        timeline.receive(message(9), 10)
        self.assertEqual(timeline.page("gap", [message(8), message(9)], 20, 10.4), [])
        self.assertEqual(timeline.want(10.4), "window")
        events = timeline.page("window", [message(8), message(9)], 20, 10.5)
        self.assertEqual(summary(events), [("history truncated", [8, 9])])

    def test_the_first_page_is_history_and_live_messages_are_new(self) -> None:
        cases: dict[str, tuple[list[int], list[int], list[object]]] = {
            "nothing live": ([], [1, 2], [("opened", [1, 2])]),
            "live after the page": ([3], [1, 2], [("opened", [1, 2]), 3]),
            "live within the page": ([2], [1, 2], [("opened", [1]), 2]),
            "a page older than the live ones": ([4], [1, 2], [("opened", [1, 2])]),
            "an empty conversation": ([], [], [("opened", [])]),
            "an empty page and a live message": ([1], [], [("opened", []), 1]),
        }
        for name, (live, page, expected) in cases.items():
            with self.subTest(name):
                timeline = Timeline()
                self.assertEqual(timeline.want(0), "window")
                for id in live:
                    self.assertEqual(timeline.receive(message(id), 0), [])
                events = timeline.page("window", [message(id) for id in page], 9, 0)
                self.assertEqual(summary(events), expected)
                if name.startswith("a page older"):
                    self.assertEqual(timeline.want(1), "gap")

    def test_without_history_the_page_only_tells_the_position(self) -> None:
        timeline = Timeline(history=0)
        events = timeline.page("window", [message(7)], 9, 0)
        self.assertEqual(summary(events), [("opened", [])])
        self.assertEqual((timeline.last, timeline.rev), (7, 9))

    def test_changes_are_applied_by_revision(self) -> None:
        cases: dict[str, tuple[list[Message], list[object], str]] = {
            "an edit": ([edited(1, 9)], [("change", 1, "edited")], "edited"),
            "twice": ([edited(1, 9), edited(1, 9)], [("change", 1, "edited")], "edited"),
            "late": ([edited(1, 9, "b"), edited(1, 8, "a")], [("change", 1, "b")], "b"),
            "a deletion": (
                [edited(1, 8), deleted(1, 9)],
                [("change", 1, "edited"), ("remove", 1)],
                "",
            ),
            "after a deletion": ([deleted(1, 9), edited(1, 8)], [("remove", 1)], ""),
            "of an unknown message": ([edited(7, 9)], [], "text 1"),
        }
        for name, (changes, expected, text) in cases.items():
            with self.subTest(name):
                timeline = Timeline(after=0)
                timeline.receive(message(1), 0)
                events = [event for change in changes for event in timeline.change(change)]
                self.assertEqual(summary(events), expected)
                self.assertEqual(timeline.messages[0].text, text)

    def test_a_change_may_arrive_before_its_message(self) -> None:
        timeline = Timeline(after=0)
        self.assertEqual(timeline.change(edited(1, 9)), [])
        self.assertEqual(timeline.receive(message(1, 3), 0)[0].message.text, "edited")  # type: ignore[union-attr]
        loading = Timeline()
        loading.change(deleted(1, 9))
        loading.page("window", [message(1, 3)], 8, 0)
        self.assertEqual(loading.messages[0].state, "deleted")
        paged = Timeline(after=1)
        paged.change(edited(1, 9))
        paged.prepend([message(1, 3)])
        self.assertEqual(paged.messages[0].text, "edited")

    def test_the_resume_point_is_never_ahead_of_missing_changes(self) -> None:
        cases: dict[str, tuple[list[Message], list[Message], int | None]] = {
            "messages": ([message(1, 3), message(2, 4)], [], 4),
            # Reactions of the same revision may follow the edit.
            "an edit": ([message(1, 3)], [edited(1, 9)], 8),
            "a message after an edit": ([message(1, 3)], [edited(1, 9), message(2, 10)], 10),
            "reactions": ([message(1, 3)], [message(1, 9, _revs=(-1, 9, -1))], 8),
            "a message with reactions": ([message(1, 3), message(2, 9, _was_changed=True)], [], 3),
            # A replayed message in a newer state: other changes may still be under way.
            "an edited message": ([message(1, 3), edited(2, 9)], [], 3),
            "an early answer": ([message(1, 3), message(3, 9), message(2, 4)], [], 4),
            "a repetition": ([message(1, 3), edited(1, 9)], [], 3),
        }
        for name, (received, changes, rev) in cases.items():
            with self.subTest(name):
                timeline = Timeline(after=0)
                for one in received:
                    timeline.receive(one, 0)
                for one in changes:
                    timeline.receive(one, 0) if one.id == 2 else timeline.change(one)
                self.assertEqual(timeline.rev, rev)
        filled = Timeline(after=0, rev=2)
        filled.page("head", [], 2, 0)
        filled.receive(message(2, 9), 0)
        filled.page("gap", [message(1, 3)], 9, 1)
        self.assertEqual((filled.last, filled.rev), (2, 2))

    def test_a_truncated_history_is_delivered_at_once_when_it_is_complete(self) -> None:
        timeline = Timeline(after=5, rev=7)
        timeline.connected(0)
        timeline.reload("history truncated", is_replayed=True)
        self.assertEqual(timeline.receive(message(8), 0), [])
        self.assertEqual(timeline.page("head", [message(9)], 20, 0), [])
        self.assertFalse(timeline.is_caught_up)
        events = timeline.receive(message(9), 0)
        self.assertEqual(summary(events), [("history truncated", [8, 9])])
        self.assertTrue(timeline.is_caught_up)
        self.assertEqual(summary(timeline.receive(message(10), 0)), [10])

    def test_an_interrupted_reset_starts_over(self) -> None:
        timeline = Timeline(after=5, rev=7)
        timeline.reload("history truncated", is_replayed=True)
        timeline.receive(message(8), 0)
        timeline.connected(0)
        self.assertEqual((timeline.last, timeline.rev), (5, 7))
        self.assertEqual(summary(timeline.receive(message(6), 0)), [6])

    def test_a_replay_that_stops_is_fetched(self) -> None:
        timeline = Timeline(after=5)
        timeline.connected(0)
        timeline.page("head", [message(8)], 20, 1)
        timeline.receive(message(6), 2)
        self.assertEqual((timeline.want(6.9), timeline.want(7)), (None, "gap"))
        page = [message(7), message(8)]
        self.assertEqual(summary(timeline.page("gap", page, 20, 8)), [7, 8])
        self.assertIsNone(timeline.want(99))
        gone = Timeline(after=5)
        gone.page("head", [message(8)], 20, 0)
        gone.page("gap", [], 20, 6)
        self.assertTrue(gone.is_caught_up)
        truncated = Timeline(after=5)
        truncated.reload("history truncated", is_replayed=True)
        truncated.page("head", [message(8)], 20, 0)
        self.assertEqual((truncated.want(4.9), truncated.want(5)), (None, "window"))

    def test_older_messages_come_before_without_a_gap(self) -> None:
        timeline = Timeline(after=5, keep=100)
        timeline.receive(message(6), 0)
        self.assertEqual(timeline.before(), 6)
        timeline.prepend([message(4), message(5)])
        timeline.prepend([message(1), message(2)])  # 3 is missing
        self.assertEqual([one.id for one in timeline.messages], [4, 5, 6])

    def test_the_list_keeps_the_newest(self) -> None:
        timeline = Timeline(after=0, keep=100)
        for id in range(1, 251):
            timeline.receive(message(id), 0)
        self.assertEqual([one.id for one in timeline.messages], list(range(151, 251)))

    def test_states_only_advance(self) -> None:
        timeline = Timeline(after=0)
        timeline.receive(message(1), 0)
        steps = [timeline.status(1, status) for status in ("delivered", "read", "delivered")]
        self.assertEqual((steps, timeline.messages[0].state), ([True, True, False], "read"))
        timeline.change(deleted(1, 9))
        self.assertFalse(timeline.status(1, "read"))


class OutboxTests(unittest.TestCase):
    def setUp(self) -> None:
        self.outbox = Outbox([OutboxItem(id, f"text {id}", NOON) for id in "abc"])

    def begin(self, now: float = 0) -> str | None:
        item = self.outbox.begin(now)
        return item.local_id if item else None

    def test_one_message_is_in_flight_at_a_time(self) -> None:
        self.assertEqual([self.begin(), self.begin()], ["a", None])
        self.outbox.remove("a")
        self.assertEqual(self.begin(), "b")

    def test_a_postponed_message_blocks_the_next(self) -> None:
        self.begin()
        self.outbox.postpone(5, 2.5)
        self.assertEqual([self.begin(4.9), self.begin(5)], [None, "a"])

    def test_a_refused_message_does_not(self) -> None:
        self.begin()
        self.outbox.fail("a", "too long")
        self.assertEqual((self.begin(), self.outbox.items[0].error), ("b", "too long"))

    def test_a_new_connection_sends_the_first_again(self) -> None:
        self.begin()
        self.outbox.postpone(99, None)
        self.outbox.disconnected()
        self.assertEqual((self.begin(), self.outbox.items[0].tries), ("a", 2))

    def test_an_echo_of_a_later_message_leaves_the_one_in_flight(self) -> None:
        self.begin()
        self.outbox.remove("b")
        self.assertEqual(self.begin(), None)
        self.outbox.remove("a")
        self.assertEqual(self.begin(), "c")

    def test_added_again_a_message_is_the_last(self) -> None:
        item = self.outbox.items[0]
        self.outbox.add(item)
        self.assertEqual([one.local_id for one in self.outbox.items], ["b", "c", "a"])


class ReadingTests(unittest.TestCase):
    def test_retry_after_is_seconds_or_a_date(self) -> None:
        cases = {"7": 7.0, "0.5": 0.5, "-3": 0.0, "soon": None, None: None}
        for text, seconds in cases.items():
            self.assertEqual(confab._seconds(text), seconds)
        self.assertEqual(confab._seconds("Wed, 21 Oct 2015 07:28:00 GMT"), 0.0)

    def test_claims_of_anything_but_a_token_are_empty(self) -> None:
        body = base64.urlsafe_b64encode(json.dumps({"sub": "bob", "guest": "member"}).encode())
        self.assertEqual(confab._user(f"e30.{body.decode().rstrip('=')}.x"), "guest:bob")
        for text in ("", "x", "a.b.c", "a.W10.c", "a.bnVsbA.c"):
            self.assertEqual((confab._user(text), confab._expiry(text)), (None, None))

    def test_a_url_names_a_server_and_a_conversation(self) -> None:
        cases = {
            ("http://h:1/conversations/lobby/", None): ("http://h:1", "lobby"),
            ("https://h/chat/conversation/a.b?x=1", None): ("https://h/chat", "a.b"),
            ("ws://h/conversations/lobby", "other"): ("ws://h", "other"),
            ("http://h:1", "lobby"): ("http://h:1", "lobby"),
        }
        for (url, conversation), target in cases.items():
            self.assertEqual(confab._target(url, conversation), target)
        with self.assertRaises(ValueError):
            confab._target("http://h:1", None)

    def test_control_characters_do_not_reach_the_terminal(self) -> None:
        self.assertEqual(confab._printable("a\x1b[2Jb\u202ec\nd"), "a\ufffd[2Jb\ufffdc\nd")

    def test_options_are_checked(self) -> None:
        cases: list[dict[str, object]] = [
            {"url": "chat.example"},
            {"url": "ftp://chat.example"},
            {"url": "http://user:password@chat.example"},
            {"history": 101},
            {"keep": 1},
            {"token": None},
        ]
        for case in cases:
            with self.subTest(case), self.assertRaises(ValueError):
                confab.Confab(**({"url": "http://h", "token": "t"} | case))  # type: ignore[arg-type]
        client = confab.Confab("http://h", token="t")
        for id in ("", "a/b", "ä", "x" * 129):
            with self.subTest(id), self.assertRaises(ValueError):
                client.conversation(id)


if __name__ == "__main__":
    unittest.main()
