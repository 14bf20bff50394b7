"""Confab's client for Python: conversations whose messages survive any interruption.

    async with Confab("http://127.0.0.1:8080", token=TOKEN) as confab:
        room = confab.conversation("lobby")
        await room.send("hi")
        async for event in room:
            print(event)

The kit reconnects and resumes without a gap. It stores outgoing messages until the server has
acknowledged them, and sends each under one `local_id`, so that the server stores it once.
`room.messages` is always the present state. `SyncConfab` is the same without asyncio, and
`python -m confab URL` is a client for a terminal.
"""

from __future__ import annotations

if __name__ == "__main__":
    import signal

    # Until `main`, so that Ctrl-C during the imports shows no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import base64
import bisect
import collections
import contextlib
import http.client
import inspect
import json
import logging
import os
import random as random_module
import re
import signal
import sqlite3
import sys
import threading
import time
import unicodedata
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from typing import Any, ClassVar, Final, Literal, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

__version__ = "0.1.0"
__all__ = [
    *("Access", "ChangeEvent", "Clock", "Closed", "Confab", "ConfabError", "Conversation"),
    *("ConversationInfo", "ConversationPage", "Ended", "EndedEvent", "ErrorEvent", "Event"),
    *("Excerpt", "FoundMessage", "FoundMessages", "Member", "MemberPage", "Mentions", "Message"),
    *("MessageEvent", "OutboxEvent", "OutboxItem", "Participant", "Pin", "PinnedEvent"),
    *("PresenceEvent", "RateLimited", "Reaction", "ReactionsEvent", "Receipt", "ReceiptEvent"),
    *("Receipts", "Refused", "RemoveEvent", "ResetEvent", "SearchPage", "StateChange"),
    *("SyncConfab", "SyncConversation", "TypingEvent", "Unavailable", "UnpinnedEvent"),
    *("UpdatedEvent", "run"),
]

# Silent until the application configures logging.
_log = logging.getLogger("confab")
_log.addHandler(logging.NullHandler())

T = TypeVar("T")
State = Literal["connecting", "online", "offline", "waiting", "refused", "closed"]
MessageState = Literal["sending", "failed", "sent", "delivered", "read", "deleted"]
ResetReason = Literal["opened", "history truncated", "history reset", "overflow"]
Mentions = tuple[str, ...] | Literal["all"]
Access = Literal["open", "closed"]
Token = str | Callable[[], str | Awaitable[str]]

_EVENT_LIMIT: Final = 10_000  # events that wait for the application's loop
_OUTBOX_LIMIT: Final = 1_000  # messages that wait for the server
_FAILED_LIMIT: Final = 100  # refused messages that are retained
_EARLY_LIMIT: Final = 1_000  # messages that wait for a gap to be filled
_EXCERPT_LENGTH: Final = 120  # characters of a message that a reply to it shows
_FRAME_LIMIT: Final = 64 << 20  # a page of 100 messages is longer than the default of 1 MiB
_GAP_SECONDS: Final = 0.3
_STALL_SECONDS: Final = 5.0  # a replay that stops for this long is fetched
_ANSWER_SECONDS: Final = 15.0  # a working server answers a send within 5 s
_REPLAY_SECONDS: Final = 60.0  # the same while other frames arrive
_RENEW_SECONDS: Final = 30.0  # a token is renewed this long before it expires
_TICK_SECONDS: Final = 1.0  # within this time a jump of the clock is noticed
_HTTP_SECONDS: Final = 10.0

# MARK: Errors


class ConfabError(Exception):
    """Every error of the kit. `retry` says whether the same request may succeed later."""

    retry: ClassVar[bool] = False


class Refused(ConfabError):
    """The server refused for good; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ended(Refused):
    """The conversation was ended. It can only be read."""


class RateLimited(ConfabError):
    """The server refused because of the rate; it accepts the request after `retry_after` s."""

    retry = True

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"rate limited; try again in {retry_after:g} s")
        self.retry_after = retry_after


class Unavailable(ConfabError):
    """The server cannot be reached, or cannot answer at the moment."""

    retry = True

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Closed(ConfabError):
    """The client was closed before the server answered. `store=` retains unsent messages."""


# MARK: Values and events


@dataclass(frozen=True, slots=True)
class Reaction:
    """The users that reacted to a message with one emoji: `count`, and the first 20 of them."""

    count: int
    users: tuple[str, ...]
    mine: bool = False
    """Whether this client's user is one of them."""
    _is_known: bool = field(default=True, repr=False, compare=False)  # whether `mine` is


@dataclass(frozen=True, slots=True)
class Pin:
    """Who pinned a message, and when."""

    by: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of the message to which another one replies, in its present state."""

    id: int
    author: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message in its present state.

    `id` counts from 1 without gaps, and is 0 until the server has stored the message. A deleted
    message keeps its place with an empty text and the state "deleted".

    A reply has `reply_to`, and `thread`, the message with which its thread began. `reply_excerpt`
    is None while the message replied to is not loaded, and after it is gone. The first message of
    a thread has `replies` and `last_reply_id`. `not_members` are mentioned users who are no
    members. `reactions` are in the order of their first use. Guests of one id differ by
    `guest_key`, eight characters; it is None for other users.
    """

    id: int
    author: str
    text: str
    time: datetime
    state: MessageState = "sent"
    rev: int = 0
    edited: bool = False
    local_id: str | None = None
    name: str = ""
    reply_to: int | None = None
    thread: int | None = None
    reply_excerpt: Excerpt | None = None
    mentions: Mentions = ()
    not_members: tuple[str, ...] = ()
    reactions: dict[str, Reaction] = field(default_factory=dict, hash=False)
    replies: int = 0
    last_reply_id: int | None = None
    pinned: Pin | None = None
    guest_key: str | None = None
    # The revisions of text, reactions and pin, which change by events of their own; a negative one
    # marks a part that the event does not have. None if all are those of `rev`.
    _revs: tuple[int, int, int] | None = field(default=None, repr=False, compare=False)
    _was_changed: bool = field(default=False, repr=False, compare=False)  # since it was posted
    _is_fetched: bool = field(default=False, repr=False, compare=False)

    @property
    def _parts(self) -> tuple[int, int, int]:
        return self._revs or (self.rev, self.rev, self.rev)

    @property
    def _excerpt(self) -> Excerpt | None:
        """What replies to this message show."""
        if self.state == "deleted":
            return None
        return Excerpt(self.id, self.author, self.name, self.text[:_EXCERPT_LENGTH])


@dataclass(slots=True)
class OutboxItem:
    """A message that the server has not acknowledged. `error` is set if it was refused."""

    local_id: str
    text: str
    since: datetime
    tries: int = 0
    error: str | None = None
    reply_to: int | None = None
    mentions: Mentions = ()
    _retry_after: float | None = field(default=None, repr=False)
    _waiters: list[asyncio.Future[Message]] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of the connection. `retry_at` is the UNIX time of the next attempt."""

    kind: ClassVar[str] = "state"
    state: State
    conversation: str
    reason: str = ""
    code: int | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """The next message. Every message is delivered once, in the order of the ids."""

    kind: ClassVar[str] = "message"
    message: Message


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """A message was edited, or the message to which it replies was loaded for its excerpt."""

    kind: ClassVar[str] = "change"
    message: Message


@dataclass(frozen=True, slots=True)
class RemoveEvent:
    """A message was deleted."""

    kind: ClassVar[str] = "remove"
    message: Message


@dataclass(frozen=True, slots=True)
class ReactionsEvent:
    """The reactions to a message have changed; the server reports them every 250 ms at most."""

    kind: ClassVar[str] = "reactions"
    message: Message


@dataclass(frozen=True, slots=True)
class PinnedEvent:
    """A message was pinned by `message.pinned.by`."""

    kind: ClassVar[str] = "pinned"
    message: Message


@dataclass(frozen=True, slots=True)
class UnpinnedEvent:
    """The user `by` ended the pin of a message. The pin of a deleted message ends silently."""

    kind: ClassVar[str] = "unpinned"
    message: Message
    by: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ResetEvent:
    """`messages` replaces everything before; `after` is the highest id delivered before.

    "opened": the newest messages on the first connection. "history truncated": messages after the
    resume point are not retained. "history reset": the server has another history, for example a
    restored backup. "overflow": the application did not take the events.
    """

    kind: ClassVar[str] = "reset"
    reason: ResetReason
    messages: tuple[Message, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class TypingEvent:
    """A user started or stopped typing."""

    kind: ClassVar[str] = "typing"
    user: str
    name: str
    typing: bool


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """Users that went online (True) or offline. `online` counts users above 200."""

    kind: ClassVar[str] = "presence"
    changes: tuple[tuple[str, bool], ...]
    online: int | None = None


@dataclass(frozen=True, slots=True)
class ReceiptEvent:
    """`user` read messages; or, without `user`, the state of the client's own messages changed."""

    kind: ClassVar[str] = "receipt"
    ids: tuple[int, ...]
    status: Literal["delivered", "read"]
    user: str | None = None


@dataclass(frozen=True, slots=True)
class EndedEvent:
    """The conversation was ended."""

    kind: ClassVar[str] = "ended"


@dataclass(frozen=True, slots=True)
class UpdatedEvent:
    """The creator or an admin has changed the title, who may join, or who finds the conversation
    in the list. The event has the present values."""

    kind: ClassVar[str] = "updated"
    title: str
    access: Access
    listed: bool
    by: str
    name: str


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An error that no call reports: of the server, or of a listener (`error`)."""

    kind: ClassVar[str] = "error"
    reason: str
    action: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An outgoing message changed its state. `id` is set if it was stored."""

    kind: ClassVar[str] = "outbox"
    local_id: str
    state: Literal["sending", "stored", "failed", "discarded"]
    id: int | None = None
    error: str | None = None


Event = (
    MessageEvent
    | ChangeEvent
    | RemoveEvent
    | ReactionsEvent
    | PinnedEvent
    | UnpinnedEvent
    | ResetEvent
    | TypingEvent
    | PresenceEvent
    | ReceiptEvent
    | EndedEvent
    | UpdatedEvent
    | ErrorEvent
    | OutboxEvent
)


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant in a list of conversations. Guests of one id differ by `guest_key`."""

    user: str
    name: str
    online: bool
    guest_key: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation as REST describes it. `link` is known to its creator.

    `access` says who may join: every user with the link, or only members and users whose token
    lists it. `listed` says whether users who are no members find it in the list. Lists have at
    most 50 `participants` of `participant_count`, and for the user of a token the unread counts
    and `last_read_id`.
    """

    id: str
    title: str
    description: str
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    is_active: bool
    message_count: int
    participants: tuple[Participant, ...]
    last_message: Message | None = None
    link: str | None = None
    access: Access = "open"
    listed: bool = True
    participant_count: int = 0
    unread_count: int | None = None
    unread_mentions: int | None = None
    last_read_id: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a conversation. Guests of one id differ by `guest_key`."""

    user: str
    name: str
    online: bool
    guest: bool
    creator: bool
    guest_key: str | None = None


@dataclass(frozen=True, slots=True)
class MemberPage:
    """A page of the members, in the order of their ids. `next_cursor` is None at the end."""

    members: tuple[Member, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far a member has read, and how far messages were delivered to it; 0 if not at all."""

    user: str
    name: str
    read: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Receipts:
    """The own position, the 100 highest ones of members, and how many members have one."""

    read: int
    delivered: int
    members: tuple[Receipt, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A page of the list. `next_cursor` is None at the end."""

    conversations: tuple[ConversationInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message that `Confab.search` has found, with its conversation."""

    conversation: str
    title: str
    message: Message


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """What `Confab.search` has found. If `incomplete`, some conversations did not answer within a
    second, or the user has very many."""

    results: tuple[FoundMessage, ...]
    incomplete: bool


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Messages that were found, newest first. `next_before` continues; None at the end."""

    messages: tuple[Message, ...]
    next_before: int | None
    incomplete: bool


class Clock:
    """The time. Tests of applications may pass their own."""

    def now(self) -> float:
        """Seconds that never go back. They also count while the machine is suspended."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def wall(self) -> float:
        """The UNIX time."""
        return time.time()


# MARK: Rules. These classes read no clock and open no socket.


class Backoff:
    """The delay before each attempt to connect.

    The first attempt after a healthy connection comes at once, later ones after a random part of a
    growing time, up to 15 s: the clients of a restarted server must not return all at once.
    """

    SHORTEST: Final = 0.25
    LONGEST: Final = 15.0
    HEALTHY: Final = 10.0

    def __init__(self, random: random_module.Random) -> None:
        self._random = random
        self._attempt = 0

    def delay(
        self, *, healthy: float = 0, code: int | None = None, retry_after: float | None = None
    ) -> float:
        """The delay after a connection that was healthy for some seconds and ended with a code."""
        if healthy >= self.HEALTHY:
            self._attempt = 0
        attempt = self._attempt
        self._attempt += 1
        if code == 1013 and retry_after is None:
            retry_after = 1
        if retry_after is not None:
            return retry_after + self._random.uniform(0, max(retry_after, self._ceiling(attempt)))
        if code == 1012 and attempt == 0:
            return self._random.uniform(0, 2)
        return 0.0 if attempt == 0 else self.jitter(attempt)

    def jitter(self, attempt: int) -> float:
        """A random delay for the n-th attempt."""
        return self.SHORTEST + self._random.uniform(0, self._ceiling(attempt) - self.SHORTEST)

    def _ceiling(self, attempt: int) -> float:
        return min(self.LONGEST, self.SHORTEST * 2.0 ** min(attempt + 1, 10))


class Watchdog:
    """Detects connections whose other end is gone, by the time since the last frame.

    After a suspended machine or a stalled process it always probes first: the silence was its own.
    """

    SILENCE: Final = 35.0
    ANSWER: Final = 5.0
    JUMP: Final = 10.0

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._checked_at = now
        self._probed_at: float | None = None

    def heard(self, now: float) -> None:
        """A frame or the answer to a probe has arrived."""
        self._heard_at = now
        self._probed_at = None

    def check(self, now: float) -> Literal["alive", "probe", "dead"]:
        """Must be called at least every 10 s of the clock."""
        jumped = now - self._checked_at > self.JUMP
        self._checked_at = now
        if self._probed_at is not None and not jumped:
            return "dead" if now - self._probed_at >= self.ANSWER else "alive"
        if jumped or now - self._heard_at >= self.SILENCE:
            self._probed_at = now
            return "probe"
        return "alive"


Want = Literal["head", "window", "gap", "quoted"]
_STATES: Final[list[MessageState]] = ["sending", "failed", "sent", "delivered", "read", "deleted"]


class Timeline:
    """The stored messages of a conversation: every id once, in order, each in its newest state.

    `last` and `rev` are the point from which a new connection resumes. `rev` rises only with
    changes that the server sent in order, never with fetched pages: a page may be newer than
    changes that are still under way, and a resumed connection would then not repeat these.

    Text, reactions and pin of a message change by events of their own, so each is compared by its
    own revision. A resumed connection sends up to three events of one revision for a message.
    """

    def __init__(
        self,
        after: int | None = None,
        rev: int | None = None,
        *,
        history: int = 50,
        keep: int = 1_000,
    ) -> None:
        self.last = after
        self.rev = rev
        self.head: int | None = None
        """The newest id of the server when this connection was opened; None until it is known."""
        self.gap_since: float | None = None
        self._advanced_at = 0.0
        self._loading: ResetReason | None = "opened" if after is None else None
        self._is_replayed = False  # whether the server sends the window without a request
        self._history = history
        self._keep = keep
        self._messages: list[Message] = []
        self._early: dict[int, Message] = {}
        self._changes: dict[int, Message] = {}  # newer parts of messages that are not in the list
        # Own reactions that the server has acknowledged, by message and emoji: the revision, and
        # whether it is on. An event does not say whether this user is among more than 20.
        self._own: dict[int, dict[str, tuple[int, bool]]] = {}
        self._unquoted: dict[int, None] = {}  # messages that replies name and that are not loaded

    @property
    def messages(self) -> list[Message]:
        return list(self._messages)

    @property
    def is_caught_up(self) -> bool:
        """Whether all messages from before the connection have been delivered."""
        if self.head is None or self._loading or self.last is None:
            return False
        return self.last >= self.head

    def get(self, id: int) -> Message | None:
        index = self._index(id)
        return None if index is None else self._messages[index]

    def latest(self, message: Message) -> Message:
        """A fetched message, with the parts that are newer in the list."""
        quoted = None if message.reply_to is None else self.get(message.reply_to)
        if quoted is not None and message.state != "deleted":
            message = replace(message, reply_excerpt=quoted._excerpt)
        known = self.get(message.id)
        if known is None:
            return message
        newer = replace(self._update(message, known), local_id=known.local_id)
        return newer if newer.state == "deleted" else replace(newer, state=known.state)

    def connected(self, now: float) -> None:
        """On a new connection, the server repeats everything after `last` and `rev`."""
        self.head = None
        self.gap_since = None
        self._advanced_at = now
        self._early.clear()
        self._loading = "opened" if self.last is None else None
        self._is_replayed = False

    def reload(self, reason: ResetReason, *, is_replayed: bool) -> None:
        """The server's history does not continue the messages."""
        self._loading = reason
        self._is_replayed = is_replayed
        self._early.clear()
        self._changes.clear()
        self._own.clear()
        self._unquoted.clear()
        self.gap_since = None

    @property
    def quoted(self) -> int:
        """The message that is fetched because a reply names it."""
        return next(iter(self._unquoted), 0)

    def want(self, now: float) -> Want | None:
        """The page that must be fetched."""
        has_stalled = now >= self._advanced_at + _STALL_SECONDS
        if self._loading and (has_stalled or not self._is_replayed):
            self._is_replayed = False
            return "window"
        if self.head is None:
            return "head"
        is_due = self.gap_since is not None and now >= self.gap_since + _GAP_SECONDS
        if is_due or (has_stalled and not self.is_caught_up):
            return "gap"
        return "quoted" if self._unquoted and self.is_caught_up else None

    def receive(self, message: Message, now: float) -> list[Event]:
        """Accepts a message, and returns the events for those whose turn it is.

        The answer to a repeated send may arrive before earlier messages of other users.
        """
        self._advanced_at = now
        if self._loading or self.last is None:
            self._merge(message)
            return self._finish_replay(now)
        if message.id <= self.last:
            return self._apply(message)
        is_next = message.id == self.last + 1
        was_changed = message._was_changed or message.edited or message.state == "deleted"
        if is_next and not was_changed:
            self._raise(message.rev)
        if is_next or len(self._early) < _EARLY_LIMIT:
            self._merge(message)
        return self._deliver(now)

    def change(self, message: Message) -> list[Event]:
        """Accepts newer parts of a message: an edit, a deletion, reactions, a pin."""
        if not self._loading:
            # Other events of this revision may follow, and a resumed connection must repeat them.
            self._raise(message.rev - 1)
            if self._index(message.id) is not None:
                return self._apply(message)
        known = self._changes.pop(message.id, None)
        self._changes[message.id] = self._update(known, message) if known else message
        if len(self._changes) > _EARLY_LIMIT:
            del self._changes[next(iter(self._changes))]
        if message._parts[0] >= 0:
            self._quote(message)
        return []

    def reacted(self, id: int, emoji: str, is_on: bool, rev: int) -> list[Event]:
        """Accepts the acknowledgement of an own reaction. Its event may come before or after."""
        index = self._index(id)
        own = self._own.setdefault(id, {})
        if rev >= own.get(emoji, (0, False))[0]:
            own[emoji] = (rev, is_on)
        if len(self._own) > _EARLY_LIMIT:
            del self._own[next(iter(self._own))]
        if index is None:
            return []
        message = self._messages[index]
        known = message.reactions.get(emoji)
        is_listed = known is not None and known.count <= len(known.users)
        if known is None or known.mine == is_on or (is_listed and rev <= message._parts[1]):
            return []
        reactions = message.reactions | {emoji: replace(known, mine=is_on)}
        self._messages[index] = replace(message, reactions=reactions)
        return [ReactionsEvent(self._messages[index])]

    def status(self, id: int, state: Literal["delivered", "read"]) -> bool:
        """Returns whether the state of an own message has advanced."""
        index = self._index(id)
        if index is None:
            return False
        message = self._messages[index]
        if _STATES.index(message.state) >= _STATES.index(state):
            return False
        self._messages[index] = replace(message, state=state)
        return True

    def page(self, want: Want, page: list[Message], rev: int | None, now: float) -> list[Event]:
        """Accepts the page that was wanted, oldest message first."""
        self._advanced_at = now
        newest = page[-1].id if page else 0
        if want == "head":
            self.head = newest
            return self._finish_replay(now)
        if want == "window":
            if not self._loading or self._is_replayed:
                return []
            self.head = newest
            # A message that arrived live is delivered as such, even if the page contains it too.
            live = min(self._early, default=newest + 1)
            for message in page:
                if message.id >= live:
                    self._merge(message)
            window = [message for message in page if message.id < live]
            last = window[-1].id if window else live - 1
            if len(window) > self._history:  # At least one is fetched, to learn the newest id.
                window = []
            return self._reset(window, last, rev) + self._deliver(now)
        if want == "quoted":
            return self._quoted(page)
        if self._loading or self.last is None:
            return []
        before = self.last
        for message in page:
            if message.id > before:
                self._merge(message)
        events = self._deliver(now)
        if self._early and self.last == before:  # The missing messages are not retained.
            self.reload("history truncated", is_replayed=False)
        elif self._early:
            self.gap_since = now - _GAP_SECONDS
        elif not page:
            self.head = self.last
        return events

    def before(self) -> int:
        """The id below which older messages are fetched; 1 if there are none."""
        return self._messages[0].id if self._messages else (self.last or 0) + 1

    def prepend(self, page: list[Message]) -> None:
        """Accepts older messages, oldest first."""
        if page and page[-1].id == self.before() - 1:
            self._messages[:0] = [self._newest(message) for message in page]
            self._keep += len(page)
            for message in self._messages[: len(page)]:
                self._unquoted.pop(message.id, None)
                self._quote(message)

    def _finish_replay(self, now: float) -> list[Event]:
        """Resets to the replayed messages when the newest one has arrived."""
        if not self._loading or not self._is_replayed or self.head is None:
            return []
        newest = max(self._early, default=0)
        if newest < self.head:
            return []
        window = [self._early.pop(id) for id in sorted(self._early)]
        return self._reset(window, newest, None) + self._deliver(now)

    def _reset(self, window: list[Message], last: int, rev: int | None) -> list[Event]:
        assert self._loading is not None
        reason, after = self._loading, self.last
        self._messages = []
        for message in window:
            self._append(self._newest(message))
        self.last = last
        self.rev = rev
        self._loading = None
        return [ResetEvent(reason, tuple(self._messages), after)]

    def _deliver(self, now: float) -> list[Event]:
        assert self.last is not None
        events: list[Event] = []
        while (message := self._early.pop(self.last + 1, None)) is not None:
            self.last = message.id
            message = self._newest(message)
            events.append(MessageEvent(self._append(message)))
        del self._messages[: max(0, len(self._messages) - self._keep)]
        for id in [id for id in self._early if id <= self.last]:
            del self._early[id]
        if not self._early:
            self.gap_since = None
        elif self.gap_since is None:
            self.gap_since = now
        return events

    def _append(self, message: Message) -> Message:
        """Adds the next message to the list, and counts it in its thread."""
        if (target := message.reply_to) is not None and message.state != "deleted":
            quoted = self.get(target)
            if quoted is not None:
                message = replace(message, reply_excerpt=quoted._excerpt)
            elif message.reply_excerpt is None and not message._is_fetched:
                self._unquoted[target] = None
                if len(self._unquoted) > _EARLY_LIMIT:
                    del self._unquoted[next(iter(self._unquoted))]
        self._messages.append(message)
        root = None if message.thread is None else self._index(message.thread)
        if root is not None:
            first = self._messages[root]
            if message.id > (first.last_reply_id or 0):
                self._messages[root] = replace(
                    first, replies=first.replies + 1, last_reply_id=message.id
                )
        return message

    def _quote(self, quoted: Message) -> list[Message]:
        """Shows the present text of a message in the replies to it, and returns these."""
        excerpt = quoted._excerpt
        changed: list[Message] = []
        for index, reply in enumerate(self._messages):
            is_reply = reply.reply_to == quoted.id and reply.state != "deleted"
            if is_reply and reply.reply_excerpt != excerpt:
                self._messages[index] = replace(reply, reply_excerpt=excerpt)
                changed.append(self._messages[index])
        for id, reply in self._early.items():
            if reply.reply_to == quoted.id:
                self._early[id] = replace(reply, reply_excerpt=excerpt)
        return changed

    def _quoted(self, page: list[Message]) -> list[Event]:
        """Accepts the page with the message that a reply names, if it is retained."""
        id = self.quoted
        self._unquoted.pop(id, None)
        found = next((message for message in page if message.id == id), None)
        return [ChangeEvent(reply) for reply in self._quote(found)] if found else []

    def _apply(self, change: Message) -> list[Event]:
        index = self._index(change.id)
        if index is None:
            return []
        old = self._messages[index]
        new = self._messages[index] = self._update(old, change)
        events: list[Event] = []
        if (new.text, new.name, new.state) != (old.text, old.name, old.state):
            self._quote(new)
        if new.state == "deleted":
            return [] if old.state == "deleted" else [RemoveEvent(new)]
        if (new.text, new.edited) != (old.text, old.edited):
            events.append(ChangeEvent(new))
        if new.reactions != old.reactions:
            events.append(ReactionsEvent(new))
        if new.pinned != old.pinned:
            events.append(PinnedEvent(new) if new.pinned else UnpinnedEvent(new))
        return events

    def _update(self, old: Message, new: Message) -> Message:
        """The message with the newest of each part. An equal revision is the same state."""
        was, now = old._parts, new._parts
        text, reactions, pin = (now[part] >= max(was[part], 0) for part in range(3))
        is_deleted = (new if text else old).state == "deleted"
        threads = max(old, new, key=lambda one: one.last_reply_id or 0)
        marks = self._marks(old, new) if reactions else old.reactions
        return replace(
            old,
            text=new.text if text else old.text,
            name=(new.name if text else old.name) or old.name,
            edited=new.edited if text else old.edited,
            state="deleted" if is_deleted else old.state,
            rev=max(old.rev, new.rev),
            reply_to=old.reply_to if old.reply_to is not None else new.reply_to,
            thread=old.thread if old.thread is not None else new.thread,
            reply_excerpt=None if is_deleted else old.reply_excerpt or new.reply_excerpt,
            mentions=() if is_deleted else old.mentions or new.mentions,
            not_members=() if is_deleted else old.not_members or new.not_members,
            reactions={} if is_deleted else marks,
            replies=threads.replies,
            last_reply_id=threads.last_reply_id,
            pinned=None if is_deleted else new.pinned if pin else old.pinned,
            _revs=(max(was[0], now[0]), max(was[1], now[1]), max(was[2], now[2])),
            _was_changed=old._was_changed or new._was_changed,
            _is_fetched=old._is_fetched or new._is_fetched,
        )

    def _marks(self, old: Message, new: Message) -> dict[str, Reaction]:
        """The newer reactions, with what is known of this client's user."""
        rev = new._parts[1]
        own = self._own.get(new.id, {})
        marks: dict[str, Reaction] = {}
        for emoji, reaction in new.reactions.items():
            acknowledged, is_on = own.get(emoji, (-1, False))
            if acknowledged > rev or (acknowledged >= 0 and not reaction._is_known):
                reaction = replace(reaction, mine=is_on)
            elif not reaction._is_known and emoji in old.reactions:
                reaction = replace(reaction, mine=old.reactions[emoji].mine)
            marks[emoji] = reaction
        for emoji in [emoji for emoji, (acknowledged, _) in own.items() if acknowledged <= rev]:
            if emoji not in marks or marks[emoji]._is_known:
                del own[emoji]
        return marks

    def _merge(self, message: Message) -> None:
        """Fetched messages have no `local_id`, pushed ones may be older."""
        known = self._early.get(message.id)
        if known is not None:
            local_id = known.local_id or message.local_id
            message = replace(self._update(known, message), local_id=local_id)
        self._early[message.id] = message

    def _newest(self, message: Message) -> Message:
        change = self._changes.pop(message.id, None)
        return self._update(message, change) if change else message

    def _index(self, id: int) -> int | None:
        index = bisect.bisect_left(self._messages, id, key=lambda message: message.id)
        is_found = index < len(self._messages) and self._messages[index].id == id
        return index if is_found else None

    def _raise(self, rev: int) -> None:
        self.rev = max(self.rev or 0, rev)


class Outbox:
    """Messages that are not known to be stored, in order. One is in flight at a time: a server
    that accepts some of several messages and refuses others would change their order."""

    def __init__(self, items: list[OutboxItem]) -> None:
        self._items = {item.local_id: item for item in items}
        self.in_flight: OutboxItem | None = None
        self.sent_at = 0.0
        self.not_before = 0.0

    @property
    def items(self) -> list[OutboxItem]:
        return list(self._items.values())

    @property
    def waiting(self) -> int:
        return sum(item.error is None for item in self._items.values())

    def get(self, local_id: str) -> OutboxItem | None:
        return self._items.get(local_id)

    def add(self, item: OutboxItem) -> None:
        self._items.pop(item.local_id, None)
        self._items[item.local_id] = item

    def begin(self, now: float) -> OutboxItem | None:
        """Returns the message to send, and marks it as in flight."""
        if self.in_flight or now < self.not_before:
            return None
        head = next((item for item in self._items.values() if item.error is None), None)
        if head:
            self.in_flight = head
            self.sent_at = now
            head.tries += 1
            head._retry_after = None
        return head

    def remove(self, local_id: str) -> OutboxItem | None:
        item = self._items.pop(local_id, None)
        if item and item is self.in_flight:
            self.in_flight = None
            self.not_before = 0.0
        return item

    def fail(self, local_id: str, error: str) -> OutboxItem | None:
        """The message was refused for good; the next one may be sent."""
        item = self._items.get(local_id)
        if item:
            item.error = error
            if item is self.in_flight:
                self.in_flight = None
        return item

    def postpone(self, until: float, retry_after: float | None) -> None:
        """The message in flight was not accepted, and is sent again later."""
        if self.in_flight:
            self.in_flight._retry_after = retry_after
            self.in_flight = None
            self.not_before = until

    def disconnected(self) -> None:
        self.in_flight = None
        self.not_before = 0.0

    def oldest_failed(self) -> str | None:
        """The refused message that must be discarded, if there are too many."""
        failed = [item.local_id for item in self._items.values() if item.error is not None]
        return failed[0] if len(failed) > _FAILED_LIMIT else None


class _Store:
    """The outbox on disk. Only one process may open the file: two would send in any order."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._database: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            database = self._open(path)
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise ConfabError(f"store: {path} is in use by another client") from None
            raise ConfabError(f"store: cannot open {path}: {error}") from None
        self._database = database

    @staticmethod
    def _open(path: str | os.PathLike[str]) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT,"
                " conversation TEXT NOT NULL, local_id TEXT NOT NULL, text TEXT NOT NULL,"
                " since REAL NOT NULL, error TEXT, UNIQUE (conversation, local_id))"
            )
            columns = {row[1] for row in database.execute("PRAGMA table_info(outbox)")}
            for column, kind in (("reply_to", "INTEGER"), ("mentions", "TEXT")):
                if column not in columns:
                    database.execute(f"ALTER TABLE outbox ADD COLUMN {column} {kind}")
            # Takes the lock even if the table existed.
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def load(self, conversation: str) -> list[OutboxItem]:
        if not self._database:
            return []
        rows = self._database.execute(
            "SELECT local_id, text, since, error, reply_to, mentions FROM outbox"
            " WHERE conversation = ? ORDER BY number",
            (conversation,),
        )
        return [
            OutboxItem(
                *(local_id, text, datetime.fromtimestamp(since, UTC), 0, error),
                reply_to=reply_to,
                mentions=_mentions(json.loads(mentions)) if mentions else (),
            )
            for local_id, text, since, error, reply_to, mentions in rows
        ]

    def save(self, conversation: str, item: OutboxItem) -> None:
        """Adds the message at the end; a message with the same id is replaced."""
        self._run(
            "REPLACE INTO outbox (conversation, local_id, text, since, error, reply_to, mentions)"
            " VALUES (?, ?, ?, ?, NULL, ?, ?)",
            *(conversation, item.local_id, item.text, item.since.timestamp(), item.reply_to),
            json.dumps(item.mentions) if item.mentions else None,
        )

    def fail(self, conversation: str, local_id: str, error: str) -> None:
        self._run(
            "UPDATE outbox SET error = ? WHERE conversation = ? AND local_id = ?",
            *(error, conversation, local_id),
        )

    def remove(self, conversation: str, local_id: str) -> None:
        self._run(
            "DELETE FROM outbox WHERE conversation = ? AND local_id = ?", conversation, local_id
        )

    def close(self) -> None:
        if self._database:
            self._database.close()
        self._database = None

    def _run(self, statement: str, *values: object) -> None:
        if self._database:
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                raise ConfabError(f"store: {error}") from None


# MARK: Reading what the server sends


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _id(value: object) -> int | None:
    return None if value is None else int(str(value))


def _mentions(value: object) -> Mentions:
    return "all" if value == "all" else tuple(map(str, value if isinstance(value, list) else ()))


def _reactions(groups: list[dict[str, Any]], user: str | None) -> dict[str, Reaction]:
    """Reads reactions. An event has no `mine`, but up to 20 users."""
    found: dict[str, Reaction] = {}
    for group in groups:
        users = tuple(map(str, group["users"]))
        count = int(group["count"])
        is_mine = group.get("mine") is True or user in users
        found[str(group["emoji"])] = Reaction(
            *(count, users, is_mine),
            _is_known=is_mine or (user is not None and count <= len(users)),
        )
    return found


def _message(
    data: dict[str, Any], user: str | None = None, *, parts: tuple[bool, bool, bool] | None = None
) -> Message:
    """Reads a message of an event, of a fetched page or of REST.

    `parts` tells which of text, reactions and pin an event has, if not all.
    """
    is_plain = "sender_id" not in data  # REST shows the ids of guests without their prefix.
    author = data["user_id"] if is_plain else data["sender_id"]
    rev = int(data.get("rev") or 0)
    is_deleted, is_edited = data.get("is_deleted") is True, data.get("is_edited") is True
    is_fetched = "sent_at" in data
    excerpt, pin = data.get("reply_excerpt"), data.get("pinned")
    reactions = _reactions(data.get("reactions") or [], user)
    if is_fetched:  # For its reader: without `mine`, the reader is not among the users.
        reactions = {emoji: replace(one, _is_known=True) for emoji, one in reactions.items()}
    return Message(
        id=int(data["id"]),
        author=f"guest:{author}" if is_plain and data.get("guest") is True else str(author),
        guest_key=data.get("guest_key"),
        text=str(data["content"]),
        time=_time(data["timestamp"] if "timestamp" in data else data["sent_at"]),
        state="deleted" if is_deleted else "sent",
        rev=rev,
        edited=is_edited,
        local_id=data.get("local_id"),
        name=str(data.get("username") or author),
        reply_to=_id(data.get("reply_to")),
        thread=_id(data.get("thread")),
        reply_excerpt=Excerpt(
            int(excerpt["id"]),
            str(excerpt["sender_id"]),
            str(excerpt.get("username") or excerpt["sender_id"]),
            str(excerpt["content"]),
        )
        if excerpt
        else None,
        mentions=_mentions(data.get("mentions")),
        not_members=tuple(map(str, data.get("not_members") or ())),
        reactions=reactions,
        replies=int(data.get("replies") or 0),
        last_reply_id=_id(data.get("last_reply_id")),
        pinned=Pin(str(pin["by"]), str(pin.get("username") or pin["by"]), _time(pin["at"]))
        if pin
        else None,
        _revs=tuple(rev if has else -1 for has in parts) if parts else None,  # type: ignore[arg-type]
        _was_changed="reactions" in data or "pinned" in data,
        _is_fetched=is_fetched,
    )


def _access(data: dict[str, Any]) -> Access:
    return "closed" if data.get("access") == "closed" else "open"


def _info(data: dict[str, Any], link: str | None = None) -> ConversationInfo:
    last = data.get("last_message")

    def number(name: str) -> int | None:
        return int(data[name]) if name in data else None

    return ConversationInfo(
        id=str(data["room_id"]),
        title=str(data["title"]),
        description=str(data["description"]),
        created_by=data["created_by"],
        created_at=_time(data["created_at"]),
        updated_at=_time(data["updated_at"]),
        is_active=bool(data["is_active"]),
        message_count=number("message_count") or 0,
        participants=tuple(
            Participant(
                str(one["user_id"]),
                str(one["username"]),
                bool(one["online"]),
                one.get("guest_key"),
            )
            for one in data.get("participants", ())
        ),
        last_message=_message(last) if last else None,
        link=link,
        access=_access(data),
        listed=data.get("listed") is not False,
        participant_count=number("participant_count") or len(data.get("participants", ())),
        unread_count=number("unread_count"),
        unread_mentions=number("unread_mentions"),
        last_read_id=number("last_read_id"),
    )


def _claims(token: str) -> dict[str, Any]:
    """The token's claims, without a check of its signature; empty if it is no JWT."""
    with contextlib.suppress(ValueError, IndexError):
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        if isinstance(claims, dict):
            return claims
    return {}


def _expiry(token: str) -> float | None:
    expiry = _claims(token).get("exp")
    return float(expiry) if isinstance(expiry, int | float) else None


def _user(token: str) -> str | None:
    claims = _claims(token)
    user = claims.get("sub")
    if not isinstance(user, str):
        return None
    return f"guest:{user}" if claims.get("guest") else user


def _guest_key(token: str) -> str | None:
    claims = _claims(token)
    key = claims.get("guest_key") if claims.get("guest") else None
    return key if isinstance(key, str) else None


def _refusal(reason: str) -> Refused:
    return Ended(reason) if reason == "conversation ended" else Refused(reason)


def _words(error: BaseException) -> str:
    """An error in words, without Python's names."""
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text names an internal call.
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, OSError) and (number := re.search(r"\[Errno (\d+)\]", str(error))):
        return os.strerror(int(number[1]))  # Several addresses, as those of localhost.
    return str(error) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    """The value of `Retry-After`: seconds or a date."""
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(text))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _frame(action: str, **members: object) -> str:
    return json.dumps({"action": action, **members}, ensure_ascii=False, separators=(",", ":"))


def _send_frame(item: OutboxItem) -> str:
    members: dict[str, object] = {"content": item.text, "local_id": item.local_id}
    if item.reply_to is not None:
        members["reply_to"] = str(item.reply_to)
    if item.mentions:
        members["mentions"] = item.mentions
    return _frame("send_message", **members)


async def _in_thread(work: Callable[[], T]) -> T:
    """Unlike asyncio's own threads, this one does not delay the end of the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Callable[[], None]) -> None:
        if not future.done():
            result()

    def body() -> None:
        try:
            value = work()
            report = lambda: future.set_result(value)  # noqa: E731
        except Exception as error:
            failure = error
            report = lambda: future.set_exception(failure)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(settle, report)

    threading.Thread(target=body, daemon=True, name="confab-http").start()
    return await future


class _Emitter:
    """Calls listeners. Their exceptions do not stop the delivery to others."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[Any], object]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, kind: str, listener: Callable[[Any], object]) -> Callable[[], None]:
        """Calls `listener` (a function or a coroutine function) for each event of a kind.

        Returns a function that ends this.
        """
        listeners = self._listeners.setdefault(kind, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    def _call(self, event: Event | StateChange) -> None:
        for listener in list(self._listeners.get(event.kind, [])):
            try:
                result = listener(event)
                if inspect.isawaitable(result):
                    task = asyncio.ensure_future(self._finish(result, event))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            except Exception as error:
                self._failed(event, error)

    async def _finish(self, result: Awaitable[object], event: Event | StateChange) -> None:
        try:
            await result
        except Exception as error:
            self._failed(event, error)

    def _failed(self, event: Event | StateChange, error: Exception) -> None:
        _log.error("listener failed kind=%s", event.kind, exc_info=error)
        if event.kind != "error":
            self._call(ErrorEvent(f"a listener failed: {error!r}", error=error))


# MARK: A conversation


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a list. `next` continues it; None at its end."""

    messages: list[Message]
    next: str | None


@dataclass(slots=True, eq=False)
class _Request:
    """A request without an id of its own; the server answers those of one action in order."""

    action: str
    members: dict[str, object]
    want: Want | None = None
    future: asyncio.Future[Any] | None = None
    sent_at: float | None = None
    not_before: float = 0.0
    retry_after: float | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class _Loss:
    """Why there is no connection. A final one is not retried."""

    reason: str
    code: int | None = None
    retry_after: float | None = None
    is_final: bool = False


class Conversation(_Emitter):
    """A conversation and its connection, which is opened and kept open in the background."""

    def __init__(self, confab: Confab, id: str, after: int | None, rev: int | None) -> None:
        super().__init__()
        self.id = id
        self.state: State = "offline"
        self.reason = ""
        self.ended = False
        self._confab = confab
        self._clock = confab._clock
        self._backoff = Backoff(confab._random)
        self._timeline = Timeline(after, rev, history=confab._history, keep=confab._keep)
        self._outbox = Outbox(confab._store.load(id))
        self._requests: dict[str, collections.deque[_Request]] = {
            action: collections.deque()
            for action in (
                *("fetch_messages", "edit_message", "delete_message"),
                *("react", "pin", "unpin", "pins", "search"),
            )
        }
        self._events: collections.deque[Event] = collections.deque()
        self._has_overflowed = False
        self._readers = 0
        self._changed = asyncio.Event()  # for the application's loops
        self._drained = asyncio.Event()  # for the reader of the socket
        self._wake = asyncio.Event()  # for the timers
        self._timer_at = 0.0
        self._retry = asyncio.Event()
        self._wire: collections.deque[str | None] = collections.deque()  # None is a ping
        self._wire_ready = asyncio.Event()
        self._is_open = False
        self._online_since: float | None = None
        self._watchdog = Watchdog(0)
        self._is_paused = False
        self._token = ""
        self._token_tried = False
        self._renewal_at: float | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._server_error = ""
        self._read_id = 0
        self._read_sent = 0
        self._read_at = 0.0
        self._typing_count = 0
        self._typing_at = 0.0
        self._typing_users: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    # MARK: For the application

    @property
    def messages(self) -> list[Message]:
        """The messages in order, without a gap, each in its present state; unsent ones last."""
        author = self._confab.user or ""
        return self._timeline.messages + [
            Message(
                *(0, author, item.text, item.since),
                state="sending" if item.error is None else "failed",
                local_id=item.local_id,
                name=author,
                reply_to=item.reply_to,
                reply_excerpt=self._excerpt(item.reply_to),
                mentions=item.mentions,
            )
            for item in self._outbox.items
        ]

    def _excerpt(self, id: int | None) -> Excerpt | None:
        message = None if id is None else self._timeline.get(id)
        return message._excerpt if message else None

    @property
    def outbox(self) -> list[OutboxItem]:
        """The messages that the server has not acknowledged, in order."""
        return self._outbox.items

    @property
    def after(self) -> int | None:
        """The highest id that was delivered; with `rev` the point to resume from."""
        return self._timeline.last

    @property
    def rev(self) -> int | None:
        """The revision up to which all changes were applied."""
        return self._timeline.rev

    async def send(
        self,
        text: str,
        *,
        reply_to: int | None = None,
        mentions: Sequence[str] | Literal["all"] = (),
        local_id: str | None = None,
        timeout: float | None = None,
    ) -> Message:
        """Sends a message, and returns it when it is stored.

        `reply_to` is the id of a message, and `mentions` are ids of users, or "all".

        Interruptions do not matter: the message stays in the outbox until the server has answered,
        also after a timeout. Sending the same `local_id` again waits for the same message.
        Raises `Refused` (or `Ended`) only if a retry does not help.
        """
        self._check_open()
        if self.ended:
            raise Ended("conversation ended")
        named: Mentions = "all" if mentions == "all" else _users(mentions)
        item = self._enqueue(text, local_id or str(uuid.uuid4()), reply_to, named)
        waiter: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        item._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            if item._retry_after is not None:
                raise RateLimited(item._retry_after) from None
            raise
        finally:
            item._waiters.remove(waiter)

    def retry(self, local_id: str) -> None:
        """Sends a refused message again, after those that wait."""
        item = self._outbox.get(local_id)
        if item and item.error is not None:
            item.error = None
            self._confab._store.save(self.id, item)
            self._outbox.add(item)
            self._emit(OutboxEvent(local_id, "sending"))
            self._pump()

    def discard(self, local_id: str) -> None:
        """Removes a message from the outbox. If it is in flight, it may be stored nevertheless."""
        item = self._outbox.remove(local_id)
        if item:
            self._confab._store.remove(self.id, local_id)
            self._fail_waiters(item, Refused("the message was discarded"))
            self._emit(OutboxEvent(local_id, "discarded"))
            self._pump()

    async def edit(self, id: int, text: str, *, timeout: float | None = 30) -> Message:
        """Replaces the text of a message. Only its author and admins may do this."""
        _check_text(text)
        members: dict[str, object] = {"message_id": str(id), "content": text}
        edited: Message = await self._ask("edit_message", members, timeout)
        return edited

    async def delete(self, id: int, *, timeout: float | None = 30) -> Message:
        """Deletes a message. It keeps its id and loses its text."""
        deleted: Message = await self._ask("delete_message", {"message_id": str(id)}, timeout)
        return deleted

    async def react(
        self, id: int, emoji: str, on: bool = True, *, timeout: float | None = 30
    ) -> None:
        """Adds this user's reaction to a message, or removes it: one emoji, or `:name:`."""
        _check_text(emoji)
        members: dict[str, object] = {"message_id": str(id), "emoji": emoji, "on": on}
        await self._ask("react", members, timeout)

    async def pin(self, id: int, *, timeout: float | None = 30) -> None:
        """Pins a message. Some conversations permit this to their creator and admins only."""
        await self._ask("pin", {"message_id": str(id)}, timeout)

    async def unpin(self, id: int, *, timeout: float | None = 30) -> None:
        """Ends the pin of a message."""
        await self._ask("unpin", {"message_id": str(id)}, timeout)

    async def pins(self, *, timeout: float | None = 30) -> tuple[Message, ...]:
        """The pinned messages, newest pin first."""
        part: _Part = await self._ask("pins", {}, timeout)
        pins = part.messages
        while part.next is not None:
            part = await self._ask("pins", {"cursor": part.next}, timeout)
            pins += part.messages
        return tuple(map(self._timeline.latest, pins))

    async def thread(
        self,
        id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
        timeout: float | None = 30,
    ) -> tuple[Message, ...]:
        """A page of a thread, oldest message first: the message `id` and the replies to it."""
        members: dict[str, object] = {"thread": str(id)}
        for name, bound in (("before_id", before), ("after_id", after)):
            if bound is not None:
                members[name] = str(bound)
        part: _Part = await self._ask("fetch_messages", members | {"limit": limit}, timeout)
        page = part.messages
        while part.next is not None and len(page) < limit:
            # The server sends a long page in parts.
            members["before_id" if after is None else "after_id"] = part.next
            rest = members | {"limit": limit - len(page)}
            part = await self._ask("fetch_messages", rest, timeout)
            page = part.messages + page if after is None else page + part.messages
        return tuple(map(self._timeline.latest, page))

    async def search(
        self, text: str, *, before: int | None = None, limit: int = 20, timeout: float | None = 30
    ) -> SearchPage:
        """Messages that contain all words; the last one may be the beginning of a word."""
        _check_text(text)
        members: dict[str, object] = {"text": text, "limit": limit}
        if before is not None:
            members["before_id"] = str(before)
        found: SearchPage = await self._ask("search", members, timeout)
        return replace(found, messages=tuple(map(self._timeline.latest, found.messages)))

    async def older(self, limit: int = 50, *, timeout: float | None = 30) -> bool:
        """Loads older messages into `messages`. Returns whether there may be more."""
        self._check_open()
        async with asyncio.timeout(timeout):
            while self._timeline.last is None:  # The newest messages have not arrived.
                self._check_open()
                self._changed.clear()
                await self._changed.wait()
        before = self._timeline.before()
        if before <= 1:
            return False
        next_before: str | None = str(before)
        while next_before is not None and limit > 0:
            # The server sends a long page in parts.
            members: dict[str, object] = {"before_id": next_before, "limit": limit}
            part: _Part = await self._ask("fetch_messages", members, timeout)
            self._timeline.prepend(part.messages)
            limit -= len(part.messages)
            next_before = part.next
        return next_before is not None

    async def read(self, id: int) -> None:
        """Marks all messages up to `id` as read; sent at most every 0.5 s and after a reconnect."""
        if id > self._read_id:
            self._read_id = id
            self._pump()

    @contextlib.asynccontextmanager
    async def typing(self) -> AsyncIterator[None]:
        """Shows the user as typing inside of `async with room.typing():`."""
        self._typing_count += 1
        self._pump()
        try:
            yield
        finally:
            self._typing_count -= 1
            if self._typing_count == 0 and self._typing_at:
                self._typing_at = 0.0
                self._write_frame(_frame("typing", is_typing=False))

    def retry_now(self) -> None:
        """Connects at once instead of waiting; also after a refusal."""
        if self.state in ("waiting", "refused"):
            self._retry.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        """All events since the conversation was created, or since the previous loop ended.

        Several loops at the same time share the events. While a loop is slow, the client stops
        reading; the server then closes the connection, and the client resumes. Without a loop, too
        many events are replaced by a `ResetEvent`. The loop ends when the client is closed, and
        raises `Refused` when the server refuses it.
        """
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Event]:
        self._readers += 1
        try:
            while True:
                if self._has_overflowed:
                    self._has_overflowed = False
                    messages = tuple(self._timeline.messages)
                    yield ResetEvent("overflow", messages, self._timeline.last)
                while self._events:
                    event = self._events.popleft()
                    self._drained.set()
                    yield event
                if self.state == "closed":
                    return
                if self.state == "refused":
                    raise Refused(self.reason)
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._readers -= 1
            self._drained.set()

    # MARK: Requests

    def _check_open(self) -> None:
        if self.state == "closed":
            raise Closed("the client is closed")
        if self.state == "refused":
            raise Refused(self.reason)

    def _enqueue(
        self, text: str, local_id: str, reply_to: int | None, mentions: Mentions
    ) -> OutboxItem:
        item = self._outbox.get(local_id)
        if item:
            self.retry(local_id)
            return item
        _check_text(text)
        if not 1 <= len(local_id.encode()) <= 128:
            raise ValueError("local_id: must have 1 to 128 bytes")
        if self._outbox.waiting >= _OUTBOX_LIMIT:
            raise Refused(f"outbox: {_OUTBOX_LIMIT} messages wait already")
        since = datetime.fromtimestamp(self._confab.server_time(), UTC)
        item = OutboxItem(local_id, text, since, reply_to=reply_to, mentions=mentions)
        self._confab._store.save(self.id, item)
        self._outbox.add(item)
        self._emit(OutboxEvent(local_id, "sending"))
        self._pump()
        return item

    async def _ask(self, action: str, members: dict[str, object], timeout: float | None) -> Any:
        """Requests are sent again on a new connection: an edit is a state, not a difference."""
        self._check_open()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request = _Request(action, members, future=future)
        queue = self._requests[action]
        queue.append(request)
        self._pump()
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            if request.retry_after is not None:
                raise RateLimited(request.retry_after) from None
            raise
        finally:
            # A request in flight stays, so that its answer is not taken for that of the next one.
            if request.sent_at is None and request in queue:
                queue.remove(request)

    def _pump(self) -> None:
        """Sends everything that may be sent."""
        self._drained.set()
        if not self._is_open:
            return
        now = self._clock.now()
        fetches = self._requests["fetch_messages"]
        want = self._timeline.want(now)
        if want and not any(request.want for request in fetches):
            is_busy = bool(fetches) and fetches[0].sent_at is not None
            fetches.insert(int(is_busy), _Request("fetch_messages", self._page_query(want), want))
        is_caught_up = self._timeline.is_caught_up
        for queue in self._requests.values():
            if not queue:
                continue
            request = queue[0]
            may_send = request.sent_at is None and now >= request.not_before
            if may_send and (request.want or is_caught_up):
                request.sent_at = now
                request.tries += 1
                self._write_frame(_frame(request.action, **request.members))
        # An echo of the message in flight may be among the missed messages. The server recognises
        # a repeated message only among its newest 1,000.
        if is_caught_up and (item := self._outbox.begin(now)):
            self._write_frame(_send_frame(item))
        if is_caught_up and self._read_id > self._read_sent and now >= self._read_at:
            self._read_sent = self._read_id
            self._read_at = now + 0.5
            self._write_frame(_frame("read", message_ids=[str(self._read_id)]))
        if is_caught_up and self._typing_count and now >= self._typing_at:
            self._typing_at = now + 3
            self._write_frame(_frame("typing", is_typing=True))
        if self._next_timer(now) < self._timer_at:
            self._wake.set()

    def _page_query(self, want: Want) -> dict[str, object]:
        if want == "gap":
            return {"after_id": str(self._timeline.last or 0), "limit": 100}
        if want == "quoted":
            return {"before_id": str(self._timeline.quoted + 1), "limit": 1}
        return {"limit": max(1, self._confab._history) if want == "window" else 1}

    def _write_frame(self, frame: str | None) -> None:
        if self._is_open:
            self._wire.append(frame)
            self._wire_ready.set()

    def _is_awaited(self) -> bool:
        """Whether the application waits for an answer; reading must not pause then."""
        return any(self._requests.values()) or self._outbox.waiting > 0

    # MARK: Frames of the server

    def _receive(self, frame: str | bytes) -> None:
        now = self._clock.now()
        self._watchdog.heard(now)
        try:
            data = json.loads(frame)
            handler = _HANDLERS.get(data["type"])
            if handler:
                handler(self, data, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("frame unreadable conversation=%s", self.id, exc_info=error)
            self._emit(ErrorEvent("the server sent an unreadable frame", error=error))
        self._pump()

    def _on_message(self, data: dict[str, Any], now: float) -> None:
        message = _message(data["message"], self._confab.user)
        self._measure_clock(message, now)
        self._settle_change(message)
        is_repeated = self._timeline.last is not None and message.id <= self._timeline.last
        events = self._timeline.receive(message, now)
        self._deliver(events, [message] if is_repeated else [])

    def _on_change(self, data: dict[str, Any], now: float) -> None:
        # A deletion ends everything, an edit is only one of text.
        is_deleted = data["message"].get("is_deleted") is True
        message = _message(data["message"], self._confab.user, parts=(True, is_deleted, is_deleted))
        self._settle_change(message)
        self._deliver(self._timeline.change(message))

    def _on_reactions(self, data: dict[str, Any], now: float) -> None:
        rev = int(data["rev"])
        message = Message(
            *(int(data["message_id"]), "", "", datetime.fromtimestamp(0, UTC)),
            rev=rev,
            reactions=_reactions(data["reactions"], self._confab.user),
            _revs=(-1, rev, -1),
            _was_changed=True,
        )
        self._deliver(self._timeline.change(message))

    def _on_reacted(self, data: dict[str, Any], now: float) -> None:
        request = self._answered("react")
        if request is None:
            return
        # The server removes variation selectors, so its emoji are written without them.
        emoji = re.sub("[\ufe0e\ufe0f]", "", str(request.members["emoji"]))
        is_on, rev = request.members["on"] is True, int(data["rev"])
        self._deliver(self._timeline.reacted(int(data["message_id"]), emoji, is_on, rev))
        self._settle(request, None)

    def _on_pin(self, data: dict[str, Any], now: float) -> None:
        by, name = str(data["by"]), str(data.get("username") or data["by"])
        message = _message(data["message"], self._confab.user)
        events = self._timeline.change(message)
        self._deliver(
            [
                replace(event, by=by, name=name) if isinstance(event, UnpinnedEvent) else event
                for event in events
            ]
        )
        queue = self._requests["pin" if data["type"] == "pinned" else "unpin"]
        is_awaited = bool(queue) and queue[0].members["message_id"] == str(message.id)
        if is_awaited and self._confab.user in (None, by):
            self._settle(queue.popleft(), None)

    def _on_pins(self, data: dict[str, Any], now: float) -> None:
        if request := self._answered("pins"):
            messages = [_message(one, self._confab.user) for one in data["messages"]]
            self._settle(request, _Part(messages, data.get("next_cursor")))

    def _on_found(self, data: dict[str, Any], now: float) -> None:
        if request := self._answered("search"):
            messages = tuple(_message(one, self._confab.user) for one in data["messages"])
            next_before = _id(data.get("next_before_id"))
            self._settle(request, SearchPage(messages, next_before, data["incomplete"] is True))

    def _answered(self, action: str) -> _Request | None:
        queue = self._requests[action]
        return queue.popleft() if queue and queue[0].sent_at is not None else None

    @staticmethod
    def _settle(request: _Request, result: object) -> None:
        if request.future and not request.future.done():
            request.future.set_result(result)

    def _on_page(self, data: dict[str, Any], now: float) -> None:
        request = self._answered("fetch_messages")
        if request is None:
            return
        # Pages after a message are oldest first, others newest first.
        user = self._confab.user
        page = sorted((_message(one, user) for one in data["messages"]), key=lambda one: one.id)
        if request.future:
            if not request.future.done():
                continues = data.get("next_before_id") or data.get("next_after_id")
                request.future.set_result(_Part(page, continues))
            return
        self._joined(now)
        if request.want:
            self._deliver(self._timeline.page(request.want, page, data.get("rev"), now))

    def _on_failed(self, data: dict[str, Any], now: float) -> None:
        local_id, reason = data.get("local_id"), str(data["error"])
        item = self._outbox.in_flight
        retry_after = data.get("retry_after")
        if item is None or local_id not in (None, item.local_id):
            return
        if data.get("outcome") == "unknown" or retry_after is not None or "try again" in reason:
            wait = max(0.01, retry_after) if retry_after else self._backoff.jitter(item.tries)
            self._outbox.postpone(now + wait, retry_after)
        else:
            self._fail_send(item, _refusal(reason))

    def _fail_send(self, item: OutboxItem, error: Refused) -> None:
        self._outbox.fail(item.local_id, error.reason)
        self._confab._store.fail(self.id, item.local_id, error.reason)
        self._fail_waiters(item, error)
        self._emit(OutboxEvent(item.local_id, "failed", error=error.reason))
        if oldest := self._outbox.oldest_failed():
            self.discard(oldest)
        if isinstance(error, Ended):
            self._end()

    def _on_updated(self, data: dict[str, Any], now: float) -> None:
        record = data["conversation"]
        by = str(data["by"])
        self._emit(
            UpdatedEvent(
                str(record["title"]),
                _access(record),
                record["listed"] is True,
                by,
                str(data.get("username") or by),
            )
        )

    def _on_ended(self, data: dict[str, Any], now: float) -> None:
        self._end()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._emit(EndedEvent())

    @staticmethod
    def _fail_waiters(item: OutboxItem, error: Exception) -> None:
        for waiter in item._waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _on_status(self, data: dict[str, Any], now: float) -> None:
        id, status = int(data["message_id"]), data["status"]
        if status in ("delivered", "read") and self._timeline.status(id, status):
            self._emit(ReceiptEvent((id,), status))

    def _on_read(self, data: dict[str, Any], now: float) -> None:
        ids = tuple(int(id) for id in data["message_ids"])
        self._emit(ReceiptEvent(ids, "read", str(data["user_id"])))

    def _on_typing(self, data: dict[str, Any], now: float) -> None:
        user, name = str(data["user_id"]), str(data.get("username", data["user_id"]))
        is_typing = data["is_typing"] is True
        if is_typing == (user in self._typing_users):  # A renewal.
            return
        if is_typing:
            self._typing_users[user] = name
        else:
            del self._typing_users[user]
        self._emit(TypingEvent(user, name, is_typing))

    def _on_user_status(self, data: dict[str, Any], now: float) -> None:
        self._emit(PresenceEvent(((str(data["user_id"]), data["status"] == "online"),)))

    def _on_presence(self, data: dict[str, Any], now: float) -> None:
        changes = tuple((str(one["user_id"]), one["status"] == "online") for one in data["changes"])
        self._emit(PresenceEvent(changes, int(data["online"])))

    def _on_heartbeat(self, data: dict[str, Any], now: float) -> None:
        self._write_frame(_frame("heartbeat_ack"))

    def _on_authenticated(self, data: dict[str, Any], now: float) -> None:
        self._plan_renewal()

    def _on_error(self, data: dict[str, Any], now: float) -> None:
        action, reason = data.get("action"), str(data["error"])
        retry_after = data.get("retry_after")
        if action == "connect" and "oldest_id" in data:
            self._timeline.reload("history truncated", is_replayed=True)
            return
        if action == "connect" and "head" in data:
            self._timeline.reload("history reset", is_replayed=False)
            # Later messages get these numbers again.
            head = _id(data["head"]) or 0
            self._read_id = min(self._read_id, head)
            self._read_sent = min(self._read_sent, head)
            return
        if action is None or action == "connect":
            self._server_error = reason  # A close frame may follow.
        if action == "connect":
            return
        queue = self._requests.get(action) if isinstance(action, str) else None
        if queue and queue[0].sent_at is not None:
            self._request_failed(queue, reason, retry_after, now)
        elif action == "read" and retry_after is not None:
            self._read_sent = 0
            self._read_at = now + retry_after
        elif action != "typing" or retry_after is None:
            self._emit(ErrorEvent(reason, action))

    def _request_failed(
        self,
        queue: collections.deque[_Request],
        reason: str,
        retry_after: float | None,
        now: float,
    ) -> None:
        request = queue[0]
        is_abandoned = request.future is not None and request.future.done()
        is_temporary = retry_after is not None or "try again" in reason
        if not is_abandoned and (is_temporary or request.want):
            request.sent_at = None
            request.retry_after = retry_after
            request.not_before = now + max(0.01, retry_after if retry_after is not None else 1.0)
            if not is_temporary:
                self._emit(ErrorEvent(reason, request.action))
            return
        queue.popleft()
        if not request.future or request.future.done():
            return
        message = self._timeline.get(int(str(request.members.get("message_id", 0))))
        is_repeated = request.tries > 1
        if request.action == "delete_message" and message and reason.endswith("is deleted"):
            request.future.set_result(message)  # An earlier attempt succeeded.
        elif request.action == "unpin" and is_repeated and reason.endswith("is not pinned"):
            request.future.set_result(None)
        else:
            request.future.set_exception(_refusal(reason))

    def _settle_change(self, message: Message) -> None:
        """Completes the edit or deletion that has led to this state."""
        action = "delete_message" if message.state == "deleted" else "edit_message"
        queue = self._requests[action]
        if not queue or queue[0].members["message_id"] != str(message.id):
            return
        is_edit = action == "edit_message"
        if is_edit and not (message.edited and queue[0].members["content"] == message.text):
            return
        future = queue.popleft().future
        if future and not future.done():
            future.set_result(message)

    def _deliver(self, events: list[Event], repeated: Sequence[Message] = ()) -> None:
        """Removes stored messages from the outbox first: `messages` must not show them twice."""
        stored: list[tuple[OutboxItem, Message]] = []
        for event in events:
            match event:
                case MessageEvent(message):
                    stored += self._take(message)
                case ResetEvent(_, messages):
                    for message in messages:
                        stored += self._take(message)
        for message in repeated:
            stored += self._take(message)
        for event in events:
            self._emit(event)
        for item, message in stored:
            for waiter in item._waiters:
                if not waiter.done():
                    waiter.set_result(message)
            self._emit(OutboxEvent(item.local_id, "stored", message.id))

    def _take(self, message: Message) -> list[tuple[OutboxItem, Message]]:
        """Removes the item of this message. Other users may choose the same `local_id`."""
        if message.local_id is None or self._confab.user not in (None, message.author):
            return []
        if message.guest_key != _guest_key(self._token):
            return []  # Another guest of this id.
        item = self._outbox.remove(message.local_id)
        if item is None:
            return []
        self._confab._store.remove(self.id, item.local_id)
        return [(item, message)]

    def _measure_clock(self, message: Message, now: float) -> None:
        item = self._outbox.in_flight
        if item and item.tries == 1 and item.local_id == message.local_id:
            delay = now - self._outbox.sent_at
            self._confab._measured(message.time.timestamp() - self._clock.wall() + delay / 2, delay)

    def _emit(self, event: Event) -> None:
        # A loop pauses the connection, except while the application waits for an answer.
        if len(self._events) >= _EVENT_LIMIT * (10 if self._readers else 1):
            self._events.clear()
            self._has_overflowed = True
        if not self._has_overflowed:
            self._events.append(event)
        self._changed.set()
        self._call(event)

    # MARK: The connection

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._keep_connected())

    async def _close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        for task in list(self._tasks):
            task.cancel()
        self._set_state("closed")
        self._release(Closed("the client is closed"))

    def _release(self, error: ConfabError) -> None:
        """Ends all waiting calls. The outbox keeps its messages."""
        for item in self._outbox.items:
            self._fail_waiters(item, error)
        for queue in self._requests.values():
            for request in queue:
                if request.future and not request.future.done():
                    request.future.set_exception(error)
            queue.clear()

    def _set_state(
        self,
        state: State,
        reason: str = "",
        code: int | None = None,
        retry_at: float | None = None,
    ) -> None:
        if (state, reason) == (self.state, self.reason) and retry_at is None:
            return
        self.state, self.reason = state, reason
        self._changed.set()
        _log.info("state changed conversation=%s state=%s reason=%s", self.id, state, reason)
        change = StateChange(state, self.id, reason, code, retry_at)
        self._call(change)
        self._confab._call(change)

    async def _keep_connected(self) -> None:
        while True:
            self._set_state("connecting")
            self._online_since = None
            self._server_error = ""
            self._retry.clear()
            try:
                loss = await self._connection()
            except Exception as error:  # A fault of the kit must not leave calls without an answer.
                _log.exception("client failed conversation=%s", self.id)
                loss = _Loss(f"the client failed: {error!r}", is_final=True)
            self._disconnected()
            if loss.code == 4003 and self._confab._is_renewable and not self._token_tried:
                self._token_tried = True
                self._confab._forget_token(self.id, self._token)
                continue
            if loss.is_final or loss.code in (4003, 4004):
                self._set_state("refused", loss.reason, loss.code)
                self._release(Refused(loss.reason))
                await self._retry.wait()
                self._token_tried = False
                continue
            now = self._clock.now()
            healthy = 0.0 if self._online_since is None else now - self._online_since
            delay = self._backoff.delay(
                healthy=healthy, code=loss.code, retry_after=loss.retry_after
            )
            if delay > 0:
                await self._wait(now + delay, delay, loss)

    async def _wait(self, until: float, delay: float, loss: _Loss) -> None:
        retry_at = self._clock.wall() + delay
        self._set_state("waiting", loss.reason, loss.code, retry_at)
        while (rest := until - self._clock.now()) > 0 and not self._retry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(rest, _TICK_SECONDS)):
                    await self._retry.wait()

    def _disconnected(self) -> None:
        self._is_open = False
        self._wire.clear()
        self._outbox.disconnected()
        for queue in self._requests.values():
            for request in list(queue):
                request.sent_at = None
                if request.want or (request.future and request.future.done()):
                    queue.remove(request)
        for user, name in self._typing_users.items():
            self._emit(TypingEvent(user, name, False))
        self._typing_users = {}
        self._typing_at = 0.0
        self._read_sent = 0
        self._renewal_at = None

    async def _connection(self) -> _Loss:
        """Connects, and serves the connection until it is lost."""
        confab = self._confab
        try:
            self._token = await confab._valid_token(self.id)
        except Refused as error:
            return _Loss(error.reason, is_final=True)
        except Exception as error:
            retry_after = getattr(error, "retry_after", None)
            return _Loss(f"token: {_words(error)}", retry_after=retry_after)
        confab.user = _user(self._token) or confab.user
        query = {}
        if self._timeline.last is not None:
            query["after"] = self._timeline.last
            if self._timeline.rev is not None:
                query["rev"] = self._timeline.rev
        options: dict[str, Any] = {"ssl": confab._ssl} if confab._ssl else {}
        url = f"{confab._socket_url}/conversations/{self.id}/?{urllib.parse.urlencode(query)}"
        try:
            socket = await connect(
                url,
                additional_headers={"Authorization": f"Bearer {self._token}"},
                user_agent_header=f"confab-python/{__version__}",
                open_timeout=_HTTP_SECONDS,
                close_timeout=1,
                ping_interval=None,  # The watchdog probes.
                max_size=_FRAME_LIMIT,
                logger=_log.getChild("websockets"),
                **options,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            retry_after = _seconds(error.response.headers.get("Retry-After"))
            reason = f"the server answers with status {status}"
            return _Loss(reason, status, retry_after, is_final=status in (401, 403))
        except (OSError, TimeoutError, EOFError, WebSocketException) as error:
            return _Loss(f"cannot connect to {confab.url}: {_words(error)}")
        try:
            return await self._serve(socket)
        finally:
            self._is_open = False
            # A lost connection is not awaited.
            if self._task is None or not self._task.cancelling():
                socket.transport.abort()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 1)
            socket.transport.abort()

    async def _serve(self, socket: ClientConnection) -> _Loss:
        now = self._clock.now()
        self._watchdog = Watchdog(now)
        self._is_paused = False
        self._timeline.connected(now)
        self._wire.clear()
        self._is_open = True
        self._plan_renewal()
        self._pump()
        tasks: list[asyncio.Task[_Loss]] = [
            asyncio.create_task(self._read_socket(socket)),
            asyncio.create_task(self._write_socket(socket)),
            asyncio.create_task(self._watch()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            loss = next(task for task in tasks if task.done()).result()
        finally:
            if self._renewal:
                self._renewal.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if loss.code == 1009:
            self._fail_longest(Refused("the message is longer than the server accepts"))
        return loss

    def _fail_longest(self, error: Refused) -> None:
        """The longest frame in flight would end every connection."""
        length = 0
        longest: OutboxItem | collections.deque[_Request] | None = self._outbox.in_flight
        if isinstance(longest, OutboxItem):
            length = len(longest.text)
        for queue in self._requests.values():
            members = queue[0].members if queue else {}
            content = str(members.get("content") or members.get("text") or "")
            if queue and queue[0].sent_at is not None and len(content) > length:
                length, longest = len(content), queue
        if isinstance(longest, OutboxItem):
            self._fail_send(longest, error)
        elif longest and (future := longest.popleft().future) and not future.done():
            future.set_exception(error)

    def _loss(self, error: ConnectionClosed) -> _Loss:
        if error.rcvd is None:
            return _Loss(self._server_error or "the connection broke", 1006)
        reason = self._server_error or error.rcvd.reason or "the server closed the connection"
        return _Loss(reason, error.rcvd.code)

    async def _read_socket(self, socket: ClientConnection) -> _Loss:
        try:
            while True:
                while self._readers and len(self._events) >= _EVENT_LIMIT:
                    if self._is_awaited():
                        break
                    self._is_paused = True
                    self._drained.clear()
                    await self._drained.wait()
                self._is_paused = False
                self._receive(await socket.recv())
        except ConnectionClosed as error:
            return self._loss(error)

    async def _write_socket(self, socket: ClientConnection) -> _Loss:
        try:
            while True:
                while self._wire:
                    frame = self._wire.popleft()
                    if frame is not None:
                        await socket.send(frame)
                    else:
                        pong = asyncio.ensure_future(await socket.ping())
                        pong.add_done_callback(self._probe_answered)
                self._wire_ready.clear()
                await self._wire_ready.wait()
        except ConnectionClosed as error:
            return self._loss(error)

    def _probe_answered(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._watchdog.heard(self._clock.now())

    async def _watch(self) -> _Loss:
        """Runs everything that depends on the time."""
        while True:
            now = self._clock.now()
            if self._is_paused:
                self._watchdog.heard(now)
            match self._watchdog.check(now):
                case "dead":
                    return _Loss("the connection is dead: no answer for 5 s", 1006)
                case "probe":
                    self._write_frame(None)
            if (since := self._oldest_request()) is not None:
                silence = now - max(since, self._watchdog._heard_at)
                if silence >= _ANSWER_SECONDS or now - since >= _REPLAY_SECONDS:
                    return _Loss("the server does not answer", 1006)
            is_due = self._renewal_at is not None and now >= self._renewal_at
            if is_due and (self._renewal is None or self._renewal.done()):
                self._renewal_at = now + 5
                self._renewal = asyncio.create_task(self._renew())
            self._pump()
            self._wake.clear()
            self._timer_at = self._next_timer(now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timer_at - now):
                    await self._wake.wait()

    def _oldest_request(self) -> float | None:
        """When the oldest unanswered request was sent."""
        times = [queue[0].sent_at for queue in self._requests.values() if queue]
        if self._outbox.in_flight:
            times.append(self._outbox.sent_at)
        return min((time for time in times if time is not None), default=None)

    def _next_timer(self, now: float) -> float:
        times = [queue[0].not_before for queue in self._requests.values() if queue]
        times += [self._outbox.not_before, self._read_at]
        if self._timeline.gap_since is not None:
            times.append(self._timeline.gap_since + _GAP_SECONDS)
        soonest = min((time for time in times if time > now), default=now + _TICK_SECONDS)
        return min(soonest, now + _TICK_SECONDS)

    def _joined(self, now: float) -> None:
        """The server has answered on this connection: it accepts the client."""
        if self._online_since is None:
            self._online_since = now
            self._token_tried = False
            self._set_state("online")

    def _plan_renewal(self) -> None:
        expiry = _expiry(self._token)
        self._renewal_at = None
        if expiry is not None and self._confab._is_renewable:
            rest = expiry - self._confab.server_time()
            # A token that lives for less than a minute is renewed after half of its life. One that
            # the server accepts, but that has expired here, shows that this clock is wrong.
            rest = max(1.0, rest - min(_RENEW_SECONDS, rest / 2)) if rest > 0 else _RENEW_SECONDS
            self._renewal_at = self._clock.now() + rest

    async def _renew(self) -> None:
        """Without success, the server closes with 4003, and the next connection has a new token."""
        try:
            token = await self._confab._valid_token(self.id, self._token)
        except Exception as error:
            self._emit(ErrorEvent(f"token: {_words(error)}", "authenticate"))
        else:
            self._token = token
            self._write_frame(_frame("authenticate", token=token))


_HANDLERS: Final[dict[str, Callable[[Conversation, dict[str, Any], float], None]]] = {
    "chat_message": Conversation._on_message,
    "message.edited": Conversation._on_change,
    "message.deleted": Conversation._on_change,
    "reactions": Conversation._on_reactions,
    "reacted": Conversation._on_reacted,
    "pinned": Conversation._on_pin,
    "unpinned": Conversation._on_pin,
    "pins": Conversation._on_pins,
    "search_results": Conversation._on_found,
    "messages_fetched": Conversation._on_page,
    "message.failed": Conversation._on_failed,
    "message.status": Conversation._on_status,
    "read": Conversation._on_read,
    "typing": Conversation._on_typing,
    "user_status": Conversation._on_user_status,
    "presence": Conversation._on_presence,
    "heartbeat": Conversation._on_heartbeat,
    "authenticated": Conversation._on_authenticated,
    "conversation_ended": Conversation._on_ended,
    "conversation.updated": Conversation._on_updated,
    "error": Conversation._on_error,
}


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text: contains a lone surrogate, which UTF-8 cannot encode") from None


def _given(**members: Any) -> dict[str, Any]:
    """The members of a request that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def _path(conversation: str, *rest: str) -> str:
    return "/".join(("/conversations", urllib.parse.quote(conversation, safe=""), *rest))


def _users(mentions: Sequence[str]) -> tuple[str, ...]:
    if isinstance(mentions, str):
        raise ValueError('mentions: must be "all" or a list of user ids')
    for user in mentions:
        _check_text(user)
    return tuple(mentions)


# MARK: The client


class Confab(_Emitter):
    """A client of a server or a cluster.

    - `token`: a token, or a function (also async) that returns a fresh one. Without it, the client
      is a guest with the name `user`, if the server accepts guests.
    - `store`: a file for messages that are not acknowledged; one per client.
    - `history`: how many messages to load at first, 0 to 100. `keep`: how many of the newest
      messages `messages` contains, without those of `older()`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        user: str | None = None,
        store: str | os.PathLike[str] | None = None,
        history: int = 50,
        keep: int = 1_000,
        ssl: SSLContext | None = None,
        clock: Clock | None = None,
        random: random_module.Random | None = None,
    ) -> None:
        super().__init__()
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
            raise ValueError(f'url: "{url}" is not like http://HOST:PORT')
        if not 0 <= history <= 100:
            raise ValueError("history: must be from 0 to 100")
        if keep < 100:
            raise ValueError("keep: must be at least 100")
        if token is None and user is None:
            raise ValueError("token: set token=, or user= to join as a guest")
        self._is_secure = parts.scheme in ("https", "wss")
        if parts.username is not None:
            raise ValueError("url: must not contain a user; set token=")
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self.url = f"{'https' if self._is_secure else 'http'}://{parts.netloc}{self._path}"
        self._socket_url = "ws" + self.url.removeprefix("http")
        self._ssl = ssl
        self.user: str | None = None
        """The id under which others see this client; None until the first token is known."""
        self.clock_offset = 0.0
        """The server's time minus this machine's, in seconds."""
        self._offset_error = float("inf")
        self._token_source = token
        self._guest = user
        self._tokens: dict[str, str] = {}  # by conversation for guests, otherwise under ""
        self._token_lock = asyncio.Lock()
        self._history, self._keep = history, keep
        self._clock = clock or Clock()
        self._random = random or random_module.Random()
        self._store = _Store(store)
        self._conversations: dict[str, Conversation] = {}
        self._is_connected = False
        self._is_closed = False

    async def __aenter__(self) -> Confab:
        self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def state(self) -> State:
        """The least connected state of all conversations."""
        if self._is_closed:
            return "closed"
        states = {room.state for room in self._conversations.values()}
        order: tuple[State, ...] = ("waiting", "connecting", "offline", "refused", "online")
        return next((state for state in order if state in states), "offline")

    def on_state(self, listener: Callable[[StateChange], object]) -> Callable[[], None]:
        """Calls `listener` for each change of a connection."""
        return self.on("state", listener)

    def connect(self) -> None:
        """Opens the connections of all conversations, also of later ones."""
        if self._is_closed:
            raise Closed("the client is closed")
        self._is_connected = True
        for room in self._conversations.values():
            room._start()

    def retry_now(self) -> None:
        """Ends all waits for the next attempt to connect."""
        for room in self._conversations.values():
            room.retry_now()

    async def close(self) -> None:
        """Closes all connections. Unsent messages stay in the `store`."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.gather(*(room._close() for room in self._conversations.values()))
            self._store.close()

    def conversation(
        self, id: str, *, after: int | None = None, rev: int | None = None
    ) -> Conversation:
        """A conversation; the same object for the same id.

        With `after` (and `rev`) of an earlier `Conversation`, every message since then is
        delivered. Otherwise the first event is a `ResetEvent` with the newest messages.
        """
        if self._is_closed:
            raise Closed("the client is closed")
        if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,128}", id):
            raise ValueError(f'conversation: "{id}" is not 1 to 128 of A-Z a-z 0-9 . _ : -')
        room = self._conversations.get(id)
        if room is None:
            room = self._conversations[id] = Conversation(self, id, after, rev)
            if self._is_connected:
                room._start()
        return room

    # MARK: REST

    async def list(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        mine: bool = False,
        ended: bool = False,
    ) -> ConversationPage:
        """Conversations that everybody may find, and those of the token's user, newest first. With
        `mine` only the latter, newest activity first; with `ended` also those that have ended."""
        query = {"limit": str(limit)}
        if cursor is not None:
            query["cursor"] = cursor
        if mine:
            query["mine"] = "true"
        if ended:
            query["ended"] = "true"
        data = await self._rest("GET", f"/conversations?{urllib.parse.urlencode(query)}")
        conversations = tuple(_info(one) for one in data["conversations"])
        return ConversationPage(conversations, data["next_cursor"])

    async def create(
        self,
        title: str,
        description: str = "",
        *,
        pin_policy: Literal["members", "creator"] = "members",
        access: Access | None = None,
        listed: bool | None = None,
        members: Sequence[str | tuple[str, str]] = (),
    ) -> ConversationInfo:
        """Creates a conversation. `pin_policy` says who may pin messages: every member, or only
        the creator and admins. With the access "open" every user who has the `link` may join, with
        "closed" only members and users whose token lists it. `listed` says whether users who are no
        members find it in the list. `members` are ids, or pairs of id and name."""
        body: dict[str, Any] = {
            "title": title,
            "description": description,
            "pin_policy": pin_policy,
            **_given(access=access, listed=listed),
        }
        if members:
            pairs = [(one, None) if isinstance(one, str) else one for one in members]
            body["members"] = [_given(user_id=user, username=name) for user, name in pairs]
        if self._token_source is None:
            body["user_id"] = str(self._guest)
        data = await self._rest("POST", "/conversations/create", body)
        if self._token_source is None and isinstance(data.get("token"), str):
            self._tokens[data["room_id"]] = data["token"]
        return _info(data["conversation"], data.get("link"))

    async def update(
        self,
        id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        access: Access | None = None,
        listed: bool | None = None,
    ) -> ConversationInfo:
        """Changes a conversation, for its creator and admins. Closing it removes no member, and
        takes it out of the list. An admin that may not read it gets no participants and messages.
        """
        body = _given(title=title, description=description, access=access, listed=listed)
        data = await self._rest("PATCH", _path(id), body, conversation=id)
        return _info(data["conversation"])

    async def leave(self, id: str) -> None:
        """Ends the membership of the client's user."""
        await self._rest("POST", _path(id, "leave"), {}, conversation=id)

    async def members(
        self, id: str, *, limit: int = 100, cursor: str | None = None
    ) -> MemberPage:
        """The members of a conversation, for members: a page of at most 1,000."""
        query = urllib.parse.urlencode(_given(limit=limit, cursor=cursor))
        data = await self._rest("GET", f"{_path(id, 'members')}?{query}", conversation=id)
        members = tuple(
            Member(
                str(one["user_id"]),
                str(one["username"]),
                one["online"] is True,
                one["guest"] is True,
                one["creator"] is True,
                one.get("guest_key"),
            )
            for one in data["members"]
        )
        return MemberPage(members, data["next_cursor"])

    async def add_member(self, id: str, user: str, name: str | None = None) -> None:
        """Adds a member, for the creator and admins."""
        body = _given(user_id=user, username=name)
        await self._rest("POST", _path(id, "members"), body, conversation=id)

    async def remove_member(self, id: str, user: str) -> None:
        """Removes a member, for the creator and admins. The user may not join by the link until
        it was added again."""
        path = f"{_path(id, 'members')}/{urllib.parse.quote(user, safe='')}"
        await self._rest("DELETE", path, conversation=id)

    async def mark_read(self, id: str, message: int) -> None:
        """Marks a message and all before it as read, without a connection to the conversation."""
        await self._rest("POST", _path(id, "read"), {"message_id": str(message)}, conversation=id)

    async def receipts(self, id: str) -> Receipts:
        """The read positions of the members, for members."""
        data = await self._rest("GET", _path(id, "receipts"), conversation=id)
        members = tuple(
            Receipt(
                str(one["user_id"]), str(one["username"]), int(one["read"]), int(one["delivered"])
            )
            for one in data["receipts"]
        )
        me = data["me"]
        return Receipts(int(me["read"]), int(me["delivered"]), members, int(data["total"]))

    async def join(self, id: str, name: str | None = None) -> ConversationInfo:
        """Becomes a participant of an open conversation. `name` is for guests."""
        data = await self._join(id, name)
        return _info(data["conversation"])

    async def history(
        self, id: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> tuple[Message, ...]:
        """A page of messages, oldest first, without a connection to the conversation."""
        bounds = _given(before=before, after=after)
        bound, continues = ("before", "next_before_id")
        if after is not None:
            bound, continues = ("after", "next_after_id")
        page: list[Message] = []
        while True:
            # The server sends a long page in parts.
            query = urllib.parse.urlencode(bounds | {"limit": limit - len(page)})
            path = f"/conversations/{urllib.parse.quote(id)}/messages?{query}"
            data = await self._rest("GET", path, conversation=id)
            part = [_message(one) for one in data["messages"]]
            page = page + part if after is not None else part + page
            if continues not in data or len(page) >= limit:
                return tuple(page)
            bounds = {bound: data[continues]}

    async def search(self, text: str, *, limit: int = 20) -> FoundMessages:
        """The newest messages that contain all words, in all conversations of the user of the
        token; the last word may be the beginning of one. `Conversation.search` searches one
        conversation page by page."""
        query = urllib.parse.urlencode({"text": text, "limit": limit})
        data = await self._rest("GET", f"/search?{query}")
        results = tuple(
            FoundMessage(str(one["room_id"]), str(one["title"]), _message(one["message"], self.user))
            for one in data["results"]
        )
        return FoundMessages(results, data["incomplete"] is True)

    async def _join(self, id: str, name: str | None = None) -> dict[str, Any]:
        body: dict[str, str] = {}
        if self._token_source is None:
            body = {"user_id": str(self._guest), "username": name or str(self._guest)}
        path = f"/conversations/{urllib.parse.quote(id)}/join"
        data: dict[str, Any] = await self._rest("POST", path, body, conversation=id)
        if self._token_source is None and isinstance(data.get("token"), str):
            self._tokens[id] = data["token"]
        return data

    async def _rest(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        conversation: str | None = None,
    ) -> Any:
        headers = {"Accept": "application/json", "User-Agent": f"confab-python/{__version__}"}
        if self._token_source is not None:
            headers["Authorization"] = f"Bearer {await self._valid_token('')}"
        elif conversation in self._tokens and not self._is_expired(self._tokens[conversation]):
            headers["Authorization"] = f"Bearer {self._tokens[conversation]}"
        if body is not None:
            headers["Content-Type"] = "application/json"

        def work() -> tuple[int, str | None, bytes]:
            connection: http.client.HTTPConnection
            if self._is_secure:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=_HTTP_SECONDS, context=self._ssl
                )
            else:
                connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=_HTTP_SECONDS
                )
            with contextlib.closing(connection):
                content = None if body is None else json.dumps(body).encode()
                path_ = f"{self._path}/api{path}"
                connection.request(method, path_, content, headers)
                response = connection.getresponse()
                return response.status, response.getheader("Retry-After"), response.read()

        try:
            status, retry_after, content = await _in_thread(work)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"cannot reach {self.url}: {_words(error)}") from None
        try:
            data = json.loads(content)
        except ValueError:
            data = None
        if status < 300 and isinstance(data, dict):
            return data
        reason = data.get("error") if isinstance(data, dict) else None
        reason = str(reason or f"the server answers with status {status}")
        if status == 410:
            raise Ended(reason)
        if status == 429:
            raise RateLimited(_seconds(retry_after) or 1.0)
        if 400 <= status < 500 and status != 408:
            raise Refused(reason)
        raise Unavailable(reason, _seconds(retry_after))

    # MARK: Tokens and time

    @property
    def _is_renewable(self) -> bool:
        return not isinstance(self._token_source, str)

    def server_time(self) -> float:
        """The server's UNIX time, as far as its answers have revealed it."""
        return self._clock.wall() + self.clock_offset

    def _measured(self, offset: float, delay: float) -> None:
        """The offset with the shortest delay is the most exact one."""
        if delay <= self._offset_error:
            self.clock_offset, self._offset_error = offset, delay

    def _is_expired(self, token: str) -> bool:
        expiry = _expiry(token)
        return expiry is not None and expiry <= self.server_time()

    def _forget_token(self, conversation: str, token: str) -> None:
        """The server has rejected this token."""
        for key in ("", conversation):
            if self._tokens.get(key) == token:
                del self._tokens[key]

    async def _valid_token(self, conversation: str, stale: str | None = None) -> str:
        """The token. A new one if it has expired or is `stale`, unless another call renewed it."""
        source = self._token_source
        if isinstance(source, str):
            return source
        key = "" if source else conversation
        async with self._token_lock:
            token = self._tokens.get(key)
            if token and token != stale and not self._is_expired(token):
                return token
            if source is None:
                data = await self._join(conversation)
                token = data.get("token")
                if not isinstance(token, str):
                    raise Refused("the server gives guests no token; set token=")
                return token
            result = source()
            token = await result if inspect.isawaitable(result) else result
            if not isinstance(token, str) or not token:
                raise Refused("token: the function must return a token")
            self._tokens[key] = token
            return token


# MARK: For scripts


class SyncConfab:
    """`Confab` for programs without asyncio: `with SyncConfab(url, token=…) as confab:`.

    The connections live in a thread. Ctrl-C ends the block with status 130, without a traceback.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="confab")
        self._thread.start()
        try:
            self._confab = self._do(self._open(url, options))
        except BaseException:
            self._stop()
            raise

    async def _open(self, url: str, options: dict[str, Any]) -> Confab:
        return await Confab(url, **options).__aenter__()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> SyncConfab:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is KeyboardInterrupt:
            raise SystemExit(130) from None

    def close(self) -> None:
        if not self._loop.is_closed():
            self._do(self._confab.close())
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def state(self) -> State:
        return self._confab.state

    def conversation(
        self, id: str, *, after: int | None = None, rev: int | None = None
    ) -> SyncConversation:
        async def open() -> Conversation:
            return self._confab.conversation(id, after=after, rev=rev)

        return SyncConversation(self, self._do(open()))

    def list(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        mine: bool = False,
        ended: bool = False,
    ) -> ConversationPage:
        return self._do(self._confab.list(limit=limit, cursor=cursor, mine=mine, ended=ended))

    def create(
        self,
        title: str,
        description: str = "",
        *,
        pin_policy: Literal["members", "creator"] = "members",
        access: Access | None = None,
        listed: bool | None = None,
        members: Sequence[str | tuple[str, str]] = (),
    ) -> ConversationInfo:
        return self._do(
            self._confab.create(
                title,
                description,
                pin_policy=pin_policy,
                access=access,
                listed=listed,
                members=members,
            )
        )

    def update(
        self,
        id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        access: Access | None = None,
        listed: bool | None = None,
    ) -> ConversationInfo:
        return self._do(
            self._confab.update(
                id, title=title, description=description, access=access, listed=listed
            )
        )

    def leave(self, id: str) -> None:
        self._do(self._confab.leave(id))

    def members(self, id: str, *, limit: int = 100, cursor: str | None = None) -> MemberPage:
        return self._do(self._confab.members(id, limit=limit, cursor=cursor))

    def add_member(self, id: str, user: str, name: str | None = None) -> None:
        self._do(self._confab.add_member(id, user, name))

    def remove_member(self, id: str, user: str) -> None:
        self._do(self._confab.remove_member(id, user))

    def mark_read(self, id: str, message: int) -> None:
        self._do(self._confab.mark_read(id, message))

    def receipts(self, id: str) -> Receipts:
        return self._do(self._confab.receipts(id))

    def search(self, text: str, *, limit: int = 20) -> FoundMessages:
        return self._do(self._confab.search(text, limit=limit))

    def join(self, id: str, name: str | None = None) -> ConversationInfo:
        return self._do(self._confab.join(id, name))

    def history(
        self, id: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> tuple[Message, ...]:
        return self._do(self._confab.history(id, before=before, after=after, limit=limit))


class SyncConversation:
    """`Conversation` without asyncio."""

    def __init__(self, confab: SyncConfab, room: Conversation) -> None:
        self._confab = confab
        self._room = room

    @property
    def messages(self) -> list[Message]:
        async def messages() -> list[Message]:
            return self._room.messages

        return self._confab._do(messages())

    def send(
        self,
        text: str,
        *,
        reply_to: int | None = None,
        mentions: Sequence[str] | Literal["all"] = (),
        local_id: str | None = None,
        timeout: float | None = None,
    ) -> Message:
        return self._confab._do(
            self._room.send(
                text, reply_to=reply_to, mentions=mentions, local_id=local_id, timeout=timeout
            )
        )

    def react(self, id: int, emoji: str, on: bool = True, *, timeout: float | None = 30) -> None:
        self._confab._do(self._room.react(id, emoji, on, timeout=timeout))

    def pin(self, id: int, *, timeout: float | None = 30) -> None:
        self._confab._do(self._room.pin(id, timeout=timeout))

    def unpin(self, id: int, *, timeout: float | None = 30) -> None:
        self._confab._do(self._room.unpin(id, timeout=timeout))

    def pins(self, *, timeout: float | None = 30) -> tuple[Message, ...]:
        return self._confab._do(self._room.pins(timeout=timeout))

    def thread(
        self,
        id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 50,
        timeout: float | None = 30,
    ) -> tuple[Message, ...]:
        return self._confab._do(
            self._room.thread(id, before=before, after=after, limit=limit, timeout=timeout)
        )

    def search(
        self, text: str, *, before: int | None = None, limit: int = 20, timeout: float | None = 30
    ) -> SearchPage:
        return self._confab._do(
            self._room.search(text, before=before, limit=limit, timeout=timeout)
        )

    def edit(self, id: int, text: str, *, timeout: float | None = 30) -> Message:
        return self._confab._do(self._room.edit(id, text, timeout=timeout))

    def delete(self, id: int, *, timeout: float | None = 30) -> Message:
        return self._confab._do(self._room.delete(id, timeout=timeout))

    def read(self, id: int) -> None:
        self._confab._do(self._room.read(id))

    def older(self, limit: int = 50, *, timeout: float | None = 30) -> bool:
        return self._confab._do(self._room.older(limit, timeout=timeout))

    def __iter__(self) -> Iterator[Event]:
        events = aiter(self._room)

        async def following() -> Event | None:
            return await anext(events, None)

        while (event := self._confab._do(following())) is not None:
            yield event


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a program as `asyncio.run` does. Ctrl-C ends it with status 130, without a traceback."""
    try:
        return asyncio.run(main)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


# MARK: python -m confab


def _printable(text: str) -> str:
    """Control characters of other users must not reach the terminal."""
    return "".join(
        "\ufffd" if unicodedata.category(one)[0] == "C" and one != "\n" else one for one in text
    )


def _target(url: str, conversation: str | None) -> tuple[str, str]:
    """Splits the URL of a conversation, or its shared link, into server and conversation."""
    match = re.fullmatch(r"(.*?)/conversations?/([^/?#]+)/?(?:[?#].*)?", url)
    if conversation is None and match is None:
        raise ValueError("URL: name a conversation: http://HOST:PORT/conversations/ID")
    server = match[1] if match else url
    return server, conversation or urllib.parse.unquote(match[2] if match else "")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m confab",
        description="Chats in a conversation. Lines of the input are sent, messages are printed.",
        epilog="Without a terminal, it exits when all lines are stored. Exit status: 0 all lines"
        " are stored; 1 the server refused a line or the client; 2 wrong usage; 130 Ctrl-C.",
    )
    parser.add_argument("url", metavar="URL", help="http://HOST:PORT/conversations/ID")
    parser.add_argument("--conversation", metavar="ID", help="id of the conversation")
    parser.add_argument("--token", help="token (default: $CONFAB_TOKEN)")
    parser.add_argument("--token-file", metavar="FILE", help="file with the token")
    parser.add_argument("--user", metavar="NAME", help="join as a guest with this name")
    parser.add_argument("--store", metavar="FILE", help="keep unsent lines in this file")
    parser.add_argument("--after", metavar="ID", type=int, help="print all messages after this one")
    parser.add_argument("--follow", action="store_true", help="stay after the end of the input")
    return parser.parse_args(arguments)


def _token_option(options: argparse.Namespace) -> Token | None:
    if path := options.token_file:

        def read() -> str:
            with open(path, encoding="utf-8") as file:
                return file.read().strip()

        read()  # A wrong path is an error, not a reason to wait.
        return read  # The file is read again when the token has expired.
    token: str | None = options.token or os.environ.get("CONFAB_TOKEN")
    return token


async def _print_events(room: Conversation) -> None:
    def show(message: Message) -> None:
        author = _printable(message.author)
        if message.state == "deleted":
            print(f"# {author} deleted message {message.id}", flush=True)
            return
        if message.reply_to and message.reply_excerpt:
            quoted = message.reply_excerpt
            line = _printable(quoted.text).replace("\n", " ")[:60]
            print(f"> {_printable(quoted.author)}: {line}", flush=True)
        text = _printable(message.text).replace("\n", "\n    ")
        print(f"{author}: {text}{' (edited)' if message.edited else ''}", flush=True)

    async for event in room:
        match event:
            case MessageEvent(message) | ChangeEvent(message) | RemoveEvent(message):
                show(message)
            case ResetEvent(reason, messages):
                if reason != "opened":
                    print(f"# {reason}", file=sys.stderr, flush=True)
                for message in messages:
                    show(message)
            case ErrorEvent(reason):
                print(f"# {_printable(reason)}", file=sys.stderr, flush=True)


async def _chat(options: argparse.Namespace) -> int:
    server, conversation = _target(options.url, options.conversation)
    is_terminal = sys.stdin.isatty()
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    sends: set[asyncio.Task[None]] = set()
    status = 0

    def read_input() -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    def show_state(change: StateChange) -> None:
        if change.state == "waiting":
            print(f"# waiting: {_printable(change.reason)}", file=sys.stderr, flush=True)

    async def send(text: str) -> None:
        nonlocal status
        try:
            await room.send(text)
        except (ConfabError, ValueError) as error:
            status = 1
            print(f"# not sent: {_printable(f'{text} ({error})')}", file=sys.stderr, flush=True)

    async with Confab(
        server,
        token=_token_option(options),
        user=options.user,
        store=options.store,
        history=20 if is_terminal else 0,
    ) as confab:
        confab.on_state(show_state)
        room = confab.conversation(conversation, after=options.after)
        printing = asyncio.create_task(_print_events(room))
        threading.Thread(target=read_input, daemon=True, name="confab-input").start()
        try:
            while True:
                following = asyncio.create_task(lines.get())
                await asyncio.wait([following, printing], return_when=asyncio.FIRST_COMPLETED)
                if printing.done():
                    following.cancel()
                    printing.result()  # The server has refused the client.
                    return status
                line = following.result()
                if line is None:
                    break
                if text := line.rstrip("\r\n"):
                    task = asyncio.create_task(send(text))
                    sends.add(task)
                    task.add_done_callback(sends.discard)
                while len(sends) >= 100:
                    await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*sends)
            if options.follow:
                await printing
            return status
        finally:
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `python -m confab`. Returns its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _arguments(arguments)
    try:
        return run(_chat(options))
    except ValueError as error:
        print(f"confab: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ConfabError, OSError) as error:
        print(f"confab: {_printable(str(error))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
