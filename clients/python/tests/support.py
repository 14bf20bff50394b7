"""A real server, a proxy that breaks connections, tokens, and a judge for the fault tests."""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
# mutations.py tests damaged copies of the kit.
KIT = Path(os.environ.get("CONFAB_KIT", FOLDER))
sys.path.insert(0, str(KIT))

import confab  # noqa: E402
from confab import Confab, Conversation, Message, MessageEvent, ResetEvent  # noqa: E402

SECRET = b"0123456789abcdef0123456789abcdef"


def binary() -> str:
    """The server under test: CONFAB_BINARY, or a build of this repository."""
    builds = FOLDER.parent.parent / ".build"
    candidates = [
        os.environ.get("CONFAB_BINARY"),
        builds / "release/confab",
        builds / "debug/confab",
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return str(candidate)
    raise RuntimeError("CONFAB_BINARY must name the confab to test")


def free_port() -> int:
    """A free port of 127.0.0.1 below the ephemeral ones, so that no other process receives it.

    Other tests must not choose it either while no server listens on it yet, or while one restarts.
    So an abstract socket with the port in its name reserves the port until this process ends.
    """
    while True:
        port = random.randrange(10_000, 20_000)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0confab-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        atexit.register(reservation.close)
        return port


def make_token(user: str, *, ttl: float = 3600, conversations: object = "*", **claims: Any) -> str:
    """A token as `confab token` signs it."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    head = part({"alg": "HS256", "typ": "JWT"})
    expiry = {"exp": int(time.time() + ttl)}
    body = part({"sub": user, "conversations": conversations} | expiry | claims)
    signed = head + b"." + body
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()


class Server:
    """`confab serve` on a fixed port, which can be killed and started again on its database."""

    def __init__(self, folder: Path, *options: str, store: str = "", name: str = "n1") -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        secret = folder / "secret"
        secret.write_bytes(SECRET)
        self.command = [binary(), "serve", "--listen", f"127.0.0.1:{self.port}", "--admin", "off"]
        self.command += ["--store", store or f"sqlite:{folder}/{name}.db", "--node-id", name]
        self.command += ["--drain-seconds", "1"]
        self.command += ["--jwt-secret-file", str(secret), "--loops", "1", *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"{name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            # A node accepts connections before it admits clients.
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/api/health"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"the server does not start: {self.log.read_text()}")

    def kill(self) -> None:
        """kill -9, by process id."""
        self._signal(signal.SIGKILL)

    def drain(self) -> None:
        """SIGTERM, and waits until the process has ended."""
        self._signal(signal.SIGTERM)

    def suspend(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(30)
        self.process = None

    async def restart(self, *, pause: float = 0.0, drains: bool = False) -> None:
        await asyncio.to_thread(self.drain if drains else self.kill)
        await asyncio.sleep(pause)
        await asyncio.to_thread(self.start)


class Proxy:
    """Passes TCP connections on to the targets in turn, until it is told to break them."""

    def __init__(self, *targets: int) -> None:
        self.targets = targets
        self.port = 0
        self.accepted = 0
        self.frozen: set[str] = set()
        self.refuses = False
        self.answer: bytes | None = None
        """An HTTP answer instead of the server's."""
        self._thawed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Resets all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self, *directions: str) -> None:
        """Half-open: connections stay, and no byte passes; or only "up" or "down" is frozen."""
        self.frozen = set(directions or ("up", "down"))
        self._thawed.clear()

    def thaw(self) -> None:
        self.frozen = set()
        self._thawed.set()

    async def stop(self) -> None:
        self.thaw()
        self.cut()
        if self._server:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            if self.answer:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                await writer.drain()
                return
            if self.refuses:
                return
            for attempt in range(len(self.targets)):
                port = self.targets[(self.accepted + attempt) % len(self.targets)]
                with contextlib.suppress(OSError):
                    upstream = await asyncio.open_connection("127.0.0.1", port)
                    await self._join((reader, writer), upstream)
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._writers.add(upstream[1])
        tasks = [
            asyncio.create_task(self._pass("up", client[0], upstream[1])),
            asyncio.create_task(self._pass("down", upstream[0], client[1])),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writers.discard(upstream[1])
            upstream[1].transport.abort()

    async def _pass(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if direction in self.frozen:
                    await self._thawed.wait()
                writer.write(data)
                await writer.drain()


class FakeClock(confab.Clock):
    """The time of this machine plus what the test adds."""

    def __init__(self) -> None:
        self.added = 0.0
        self.error = 0.0
        """By how much the machine's time of day is wrong."""

    def now(self) -> float:
        return super().now() + self.added

    def wall(self) -> float:
        return super().wall() + self.added + self.error


class Application:
    """What an application sees: it collects events and checks the promises of the kit."""

    def __init__(self, room: Conversation) -> None:
        self.room = room
        self.events: list[confab.Event] = []
        self.delivered: list[Message] = []
        self.resets: list[ResetEvent] = []
        self.violations: list[str] = []
        self._last: int | None = None
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.room:
            self.events.append(event)
            if isinstance(event, ResetEvent):
                self.resets.append(event)
                self._last = event.messages[-1].id if event.messages else None
            elif isinstance(event, MessageEvent):
                id = event.message.id
                if self._last is not None and id != self._last + 1:
                    self.violations.append(f"message {id} follows message {self._last}")
                self._last = id
                self.delivered.append(event.message)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.01)


class SystemTest(unittest.IsolatedAsyncioTestCase):
    """A test with a server in a folder of its own. Leaves no process behind."""

    options: tuple[str, ...] = ()

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().slow_callback_duration = 5  # Starting a server blocks.
        self.folder = Path(tempfile.mkdtemp(prefix="confab-py-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = self.serve(*self.options)
        self.faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: self.faults.append(fault))

    async def asyncTearDown(self) -> None:
        # asyncio reports exceptions that no code has retrieved; users would see tracebacks.
        self.assertEqual(self.faults, [])

    def serve(self, *options: str, **named: str) -> Server:
        server = Server(self.folder, *options, **named)
        server.start()
        self.addCleanup(server.kill)
        return server

    async def proxy(self, *targets: int) -> Proxy:
        proxy = Proxy(*(targets or (self.server.port,)))
        await proxy.start()
        self.addAsyncCleanup(proxy.stop)
        return proxy

    async def client(self, name: str = "alice", url: str = "", **options: Any) -> Confab:
        options.setdefault("token", make_token(name))
        client = Confab(url or self.server.url, **options)
        client.connect()
        self.addAsyncCleanup(client.close)
        return client

    def follow(self, room: Conversation) -> Application:
        application = Application(room)
        self.addAsyncCleanup(application.stop)
        return application

    async def history(self, conversation: str = "lobby", user: str = "judge") -> list[Message]:
        """All messages as REST shows them, from a client without any other state."""
        client = Confab(self.server.url, token=make_token(user))
        messages: list[Message] = []
        try:
            while page := await client.history(
                conversation, after=messages[-1].id if messages else 0, limit=100
            ):
                messages += page
        finally:
            await client.close()
        return messages

    @contextlib.asynccontextmanager
    async def assert_raises_in(
        self, seconds: float, kind: type[BaseException]
    ) -> AsyncIterator[Any]:
        with self.assertRaises(kind) as caught:
            async with asyncio.timeout(seconds):
                yield caught


async def all_of(awaitables: Iterable[Awaitable[Any]], seconds: float = 60) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*awaitables), seconds)
