"""One client for the fault harness: commands on stdin, events on stdout, one JSON object per line.

Commands  {"do":"open","url":…,"token":…,"conversation":…,"store":PATH or null}
          {"do":"send","text":…,"local_id":…,"reply_to":ID or absent,"mentions":[…] or absent}
          {"do":"edit","id":…,"text":…}   {"do":"delete","id":…}
          {"do":"react","id":…,"emoji":…,"on":…}   {"do":"pin","id":…}   {"do":"unpin","id":…}
          {"do":"messages"}   {"do":"older","limit":50}   {"do":"close"}
Events    state, message, change, remove, reactions, pinned, unpinned, reset, stored, failed,
          messages; done, with the command in "do", for a reaction or a pin that is acknowledged;
          and error, with the command in "do", for a request that the server refused.

The end of the input closes the client. `older` is complete before the next command is executed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ.get("CONFAB_KIT", str(Path(__file__).resolve().parent.parent)))

import confab
from confab import Confab, Conversation, Event, Message


def write(event: str, **members: object) -> None:
    line = {"event": event, **members}
    print(json.dumps(line, ensure_ascii=False, separators=(",", ":")), flush=True)


def shown(message: Message) -> dict[str, object]:
    return {
        "id": str(message.id) if message.id else None,
        "author": message.author,
        "text": message.text,
        "local_id": message.local_id,
        "state": message.state,
        "rev": message.rev,
    } | features(message)


def features(message: Message) -> dict[str, object]:
    """What a message has beside its text; absent where it has none."""
    excerpt = message.reply_excerpt
    found: dict[str, object] = {
        "reply_to": str(message.reply_to) if message.reply_to else None,
        "thread": str(message.thread) if message.thread else None,
        "excerpt": excerpt.text if excerpt else None,
        "mentions": message.mentions,
        "reactions": {emoji: one.count for emoji, one in message.reactions.items()},
        "mine": [emoji for emoji, one in message.reactions.items() if one.mine],
        "pinned": message.pinned is not None,
    }
    return {name: value for name, value in found.items() if value}


def report(event: Event) -> None:
    match event:
        case confab.MessageEvent(message):
            members = shown(message)
            del members["state"]
            write("message", **members)
        case confab.ChangeEvent(message):
            write("change", id=str(message.id), text=message.text, rev=message.rev)
        case confab.RemoveEvent(message):
            write("remove", id=str(message.id), rev=message.rev)
        case confab.ReactionsEvent(message):
            counts = {emoji: one.count for emoji, one in message.reactions.items()}
            write("reactions", id=str(message.id), reactions=counts)
        case confab.PinnedEvent(message):
            write("pinned", id=str(message.id))
        case confab.UnpinnedEvent(message):
            write("unpinned", id=str(message.id))
        case confab.ResetEvent(reason, messages):
            write("reset", reason=reason, messages=[shown(message) for message in messages])
        case confab.OutboxEvent(local_id, "stored", id):
            write("stored", local_id=local_id, id=str(id))
        case confab.OutboxEvent(local_id, "failed", _, error):
            write("failed", local_id=local_id, error=error, retry=False)
        case confab.ErrorEvent(reason, action):
            write("error", do=action, error=reason)


class Driver:
    """The client of this process."""

    def __init__(self) -> None:
        self.client: Confab | None = None
        self.room: Conversation | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def execute(self, command: dict[str, Any]) -> bool:
        """Returns whether another command may follow."""
        room = self.room
        match command:
            case {"do": "open"}:
                self.open(command)
            case {"do": "close"}:
                return False
            case _ if room is None:
                write("error", do=command.get("do"), error="open comes first")
            case {"do": "send", "text": text, "local_id": local_id}:
                reply_to = int(command["reply_to"]) if command.get("reply_to") else None
                mentions = command.get("mentions") or ()
                call = room.send(text, reply_to=reply_to, mentions=mentions, local_id=local_id)
                self.start("send", call)
                await asyncio.sleep(0)  # The message is in the outbox before the next command.
            case {"do": "edit", "id": id, "text": text}:
                self.start("edit", room.edit(int(id), text, timeout=None))
            case {"do": "delete", "id": id}:
                self.start("delete", room.delete(int(id), timeout=None))
            case {"do": "react", "id": id, "emoji": emoji, "on": on}:
                self.start("react", room.react(int(id), emoji, on, timeout=None), command)
            case {"do": "pin" | "unpin" as do, "id": id}:
                set_pin = room.pin if do == "pin" else room.unpin
                self.start(do, set_pin(int(id), timeout=None), command)
            case {"do": "older"}:
                await self.attempt("older", room.older(command.get("limit", 50)))
            case {"do": "messages"}:
                write("messages", messages=[shown(message) for message in room.messages])
            case _:
                write("error", do=command.get("do"), error="unknown command")
        return True

    def open(self, command: dict[str, Any]) -> None:
        self.client = Confab(command["url"], token=command["token"], store=command.get("store"))
        self.client.on_state(
            lambda change: write("state", state=change.state, reason=change.reason or None)
        )
        self.room = self.client.conversation(command["conversation"])
        for kind in (
            *("message", "change", "remove", "reactions", "pinned", "unpinned"),
            *("reset", "outbox", "error"),
        ):
            self.room.on(kind, report)
        self.client.connect()

    def start(self, do: str, call: Any, command: dict[str, Any] | None = None) -> None:
        task = asyncio.create_task(self.attempt(do, call, command))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def attempt(self, do: str, call: Any, command: dict[str, Any] | None = None) -> None:
        try:
            await call
            if command:
                write("done", **command)
        except confab.Closed:
            pass
        except (confab.ConfabError, ValueError, TimeoutError) as error:
            # An outgoing message has events of its own, also after a restart of this program.
            if do != "send" or isinstance(error, ValueError):
                write("error", do=do, error=str(error))

    async def close(self) -> None:
        if self.client:
            await self.client.close()
        await asyncio.gather(*self.tasks)


async def drive() -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    driver = Driver()
    try:
        while (line := await lines.get()) is not None:
            if not await driver.execute(json.loads(line)):
                break
    finally:
        await driver.close()


confab.run(drive())
