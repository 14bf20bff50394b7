"""Programs as users run them: the README's bot, `python -m confab`, scripts, and the driver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support import FOLDER, KIT, SystemTest, make_token, until

from confab import SyncConfab


class Program:
    """A child process whose output is collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""
        self.errors = ""
        assert process.stdout and process.stderr
        self.tasks = [
            asyncio.create_task(self._read(process.stdout, "output")),
            asyncio.create_task(self._read(process.stderr, "errors")),
        ]

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        async for line in stream:
            setattr(self, name, getattr(self, name) + line.decode())

    def write(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")

    async def ended(self) -> int:
        status = await asyncio.wait_for(self.process.wait(), 30)
        await asyncio.gather(*self.tasks)
        return status


class ProgramTest(SystemTest):
    async def run_program(
        self, *arguments: str, user: str = "bot", url: str = "", **options: Any
    ) -> Program:
        token = make_token(user) if user else ""
        environment = {"PYTHONPATH": str(KIT), "CONFAB_TOKEN": token}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            env=os.environ | environment,
            stdin=options.get("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addAsyncCleanup(self.end, process)
        return Program(process)

    async def end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def url(self) -> str:
        return f"{self.server.url}/conversations/lobby"


class ReadmeTests(ProgramTest):
    async def bot(self) -> Program:
        source = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.S)[0]
        self.assertLessEqual(len([line for line in source.splitlines() if line]), 10)
        path = self.folder / "bot.py"
        path.write_text(source.replace("http://127.0.0.1:8080", self.server.url))
        return await self.run_program(str(path))

    async def test_the_bot_answers_through_kills_and_ends_without_a_traceback(self) -> None:
        bot = await self.bot()
        room = (await self.client("alice")).conversation("lobby")
        await until(lambda: len(room.outbox) == 0 and room.state == "online", "alice is online")
        changes: list[tuple[str, bool]] = []
        room.on("presence", lambda event: changes.extend(event.changes))
        await until(lambda: ("bot", True) in changes or bot.process.returncode, "the bot is online")
        for n in range(4):
            if n:
                await self.server.restart(pause=0.2 * (n - 1))
            await room.send(f"{n}", timeout=30)
            await until(lambda n=n: f"You said: {n}" in texts(room), "the answer", 60)  # type: ignore[misc]
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
            changes.clear()
            bot.process.send_signal(number)
            self.assertEqual((await bot.ended(), bot.output, bot.errors), (status, "", ""))
            await until(lambda: ("bot", False) in changes, "the bot is offline")
            bot = await self.bot()
            await until(lambda: ("bot", True) in changes, "the bot is online")
        self.server.kill()
        await asyncio.sleep(0.5)
        bot.process.send_signal(signal.SIGINT)
        self.assertEqual((await bot.ended(), bot.output, bot.errors), (130, "", ""))


def texts(room: Any) -> list[str]:
    return [message.text for message in room.messages]


class CommandTests(ProgramTest):
    async def test_lines_are_sent_and_the_status_tells_the_result(self) -> None:
        program = await self.run_program("-m", "confab", self.url())
        program.write("one")
        program.write("")
        program.write("two")
        program.process.stdin.close()  # type: ignore[union-attr]
        self.assertEqual((await program.ended(), program.errors), (0, ""))
        self.assertEqual([one.text for one in await self.history()], ["one", "two"])
        refused = await self.run_program("-m", "confab", self.url())
        refused.write("x" * 20_000)
        refused.process.stdin.close()  # type: ignore[union-attr]
        self.assertEqual(await refused.ended(), 1)
        self.assertIn("content: longer than 16384 bytes", refused.errors)

    async def test_messages_are_printed_without_control_characters(self) -> None:
        program = await self.run_program("-m", "confab", self.url(), "--follow", "--after", "0")
        room = (await self.client("alice")).conversation("lobby")
        await room.send("Hello\x1b[2J\nBob", timeout=10)
        await until(lambda: "Bob" in program.output, "the message")
        await room.edit(1, "Hi")
        await room.delete(1)
        lines = [
            "alice: Hello\ufffd[2J",
            "    Bob",
            "alice: Hi (edited)",
            "# alice deleted message 1",
        ]
        await until(lambda: program.output.splitlines() == lines, "all lines")

    async def test_it_survives_a_killed_server_and_ctrl_c(self) -> None:
        program = await self.run_program("-m", "confab", self.url(), "--follow")
        program.write("one")
        await until(lambda: program.output == "bot: one\n", "the first line")
        self.server.kill()
        program.write("two")
        await asyncio.sleep(0.5)
        self.server.start()
        await until(lambda: program.output == "bot: one\nbot: two\n", "the second line")
        self.server.kill()
        await asyncio.sleep(0.5)
        program.process.send_signal(signal.SIGINT)
        self.assertEqual(await program.ended(), 130)
        self.assertNotIn("Traceback", program.errors)
        self.assertIn("# waiting: ", program.errors)

    async def test_ctrl_c_at_any_time_shows_no_traceback(self) -> None:
        for delay in (0.15, 0.2, 0.25, 0.3, 0.4, 0.6):
            with self.subTest(delay):
                program = await self.run_program("-m", "confab", self.url())
                await asyncio.sleep(delay)
                program.process.send_signal(signal.SIGINT)
                await program.ended()
                # Until the kit's first import is complete, Python itself shows one.
                self.assertNotRegex(
                    program.errors, r'confab\.py", line \d+, in (?!<module>\n +import signal\n)'
                )

    async def test_a_terminal_shows_history_and_ends_with_ctrl_d(self) -> None:
        room = (await self.client("alice")).conversation("lobby")
        await room.send("earlier", timeout=10)
        own, other = pty.openpty()
        self.addCleanup(os.close, own)
        program = await self.run_program("-m", "confab", self.url(), stdin=other)
        os.close(other)
        await until(lambda: program.output == "alice: earlier\n", "the history")
        os.write(own, b"typed\n\x04")
        self.assertEqual(await program.ended(), 0)
        self.assertEqual([one.text for one in await self.history()], ["earlier", "typed"])

    async def test_errors_are_one_line(self) -> None:
        cases: list[tuple[list[str], int, str]] = [
            (["chat.example"], 2, "confab: URL: name a conversation"),
            (["x/conversations/lobby"], 2, 'confab: url: "x" is not like http://HOST:PORT'),
            ([self.url(), "--token", "bad"], 1, "confab: The token is not a JSON Web Token"),
            ([self.url(), "--token-file", "missing.jwt"], 1, "missing.jwt"),
        ]
        for arguments, status, text in cases:
            with self.subTest(text):
                program = await self.run_program("-m", "confab", *arguments)
                self.assertEqual(await program.ended(), status, program.errors)
                self.assertIn(text, program.errors)
                self.assertNotIn("Traceback", program.errors)
                self.assertEqual(len(program.errors.splitlines()), 1, program.errors)

    async def test_a_closed_pipe_ends_it_quietly(self) -> None:
        room = (await self.client("alice")).conversation("lobby")
        command = f'"{sys.executable}" -m confab {self.url()} --follow --after 0 | head -n 1'
        environment = {"PYTHONPATH": str(KIT), "CONFAB_TOKEN": make_token("bot")}
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addAsyncCleanup(self.end, process)
        # The pipe is closed after the first line, and the program notices that with a later one.
        for n in range(100):
            await room.send(f"{n}", timeout=10)
            await asyncio.sleep(0.5)
            if process.returncode is not None:
                break
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        self.assertEqual((output, errors), (b"alice: 0\n", b""))


class SyncTests(ProgramTest):
    async def test_a_script_without_asyncio(self) -> None:
        await asyncio.to_thread(self.script)
        self.assertEqual([one.text for one in await self.history()], ["", "two", "3"])

    def script(self) -> None:
        with SyncConfab(self.server.url, token=make_token("alice")) as client:
            room = client.conversation("lobby")
            for text in ("one", "2", "3"):
                room.send(text, timeout=10)
            room.delete(1)
            self.assertEqual(room.edit(2, "two").text, "two")
            room.read(3)
            self.assertFalse(room.older())
            self.assertEqual([one.text for one in room.messages], ["", "two", "3"])
            kinds = []
            for event in room:
                kinds.append(event.kind)
                if event.kind == "change":
                    break
            self.assertEqual(kinds.count("message"), 3)
            made = client.create("Title")
            self.assertIn(made.id, [one.id for one in client.list().conversations])
            self.assertEqual(client.join(made.id).title, "Title")
            self.assertEqual(len(client.history("lobby")), 3)
            self.assertEqual(client.state, "online")
        self.assertEqual(client.state, "closed")
        client.close()

    async def test_ctrl_c_ends_a_script_without_a_traceback(self) -> None:
        path = self.folder / "script.py"
        path.write_text(
            "import confab, os, sys\n"
            "with confab.SyncConfab(sys.argv[1], token=os.environ['CONFAB_TOKEN']) as client:\n"
            "    for event in client.conversation('lobby'):\n"
            "        print(event.kind, flush=True)\n"
        )
        program = await self.run_program(str(path), self.server.url)
        await until(lambda: "reset" in program.output, "the script runs")
        program.process.send_signal(signal.SIGINT)
        self.assertEqual((await program.ended(), program.errors), (130, ""))


class DriverTests(ProgramTest):
    async def driver(self, user: str, store: Path | None = None) -> Program:
        program = await self.run_program(str(Path(__file__).parent / "driver.py"))
        self.tell(
            program,
            do="open",
            url=self.server.url,
            token=make_token(user),
            conversation="lobby",
            store=str(store) if store else None,
        )
        return program

    def tell(self, program: Program, **command: object) -> None:
        program.write(json.dumps(command))

    def events(self, program: Program, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in program.output.splitlines()]
        return [line for line in lines if line["event"] == kind]

    async def test_commands_and_events(self) -> None:
        program = await self.driver("alice")
        self.tell(program, do="send", text="one", local_id="l1")
        self.tell(program, do="send", text=" ", local_id="l2")
        self.tell(program, do="send", text="two", local_id="l3")
        await until(lambda: len(self.events(program, "stored")) == 2, "both are stored")
        self.tell(program, do="edit", id="1", text="uno")
        self.tell(program, do="delete", id="2")
        await until(lambda: self.events(program, "remove"), "the deletion")
        self.tell(program, do="edit", id="9", text="x")
        await until(lambda: self.events(program, "error"), "the refused edit")
        self.tell(program, do="older", limit=50)
        self.tell(program, do="messages")
        self.tell(program, do="close")
        self.assertEqual((await program.ended(), program.errors), (0, ""))
        one, _ = self.events(program, "message")
        rev = one.pop("rev")
        expected = {
            "event": "message",
            "id": "1",
            "author": "alice",
            "text": "one",
            "local_id": "l1",
        }
        self.assertEqual(one, expected)
        change = {"event": "change", "id": "1", "text": "uno", "rev": rev + 2}
        self.assertEqual(self.events(program, "change"), [change])
        self.assertEqual(
            self.events(program, "remove"), [{"event": "remove", "id": "2", "rev": rev + 3}]
        )
        stored = [(one["local_id"], one["id"]) for one in self.events(program, "stored")]
        self.assertEqual(stored, [("l1", "1"), ("l3", "2")])
        failed = {"event": "failed", "local_id": "l2", "error": "content: must not be empty"}
        self.assertEqual(self.events(program, "failed"), [failed | {"retry": False}])
        listed = self.events(program, "messages")[0]["messages"]
        self.assertEqual(
            [(one["id"], one["text"], one["state"]) for one in listed],
            [("1", "uno", "sent"), ("2", "", "deleted"), (None, " ", "failed")],
        )
        states = [one["state"] for one in self.events(program, "state")]
        self.assertEqual(states, ["connecting", "online", "closed"])
        self.assertEqual([one["reason"] for one in self.events(program, "reset")], ["opened"])

    async def test_a_killed_driver_continues_with_its_store(self) -> None:
        store = self.folder / "outbox.db"
        first = await self.driver("alice", store)
        await until(lambda: "online" in first.output, "online")
        self.server.suspend()
        for n in range(20):
            self.tell(first, do="send", text=f"{n}", local_id=f"l{n}")
        self.tell(first, do="messages")
        await until(lambda: self.events(first, "messages"), "all are in the outbox")
        first.process.kill()
        await first.ended()
        self.server.resume()
        second = await self.driver("alice", store)
        await until(lambda: len(self.events(second, "stored")) == 20, "all are stored")
        second.process.stdin.close()  # type: ignore[union-attr]
        self.assertEqual((await second.ended(), second.errors), (0, ""))
        self.assertEqual([one.text for one in await self.history()], [f"{n}" for n in range(20)])


def can_build() -> bool:
    try:
        from setuptools.command import bdist_wheel  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        return False
    return True


class PackageTests(unittest.TestCase):
    @unittest.skipUnless(can_build(), "setuptools 70.1 or later is missing")
    def test_the_tree_installs_without_a_network_and_is_typed(self) -> None:
        with tempfile.TemporaryDirectory(prefix="confab-py-install-") as folder:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
            pip += ["--disable-pip-version-check", "--no-build-isolation", "--target", folder]
            subprocess.run([*pip, str(copied(Path(folder) / "source"))], check=True, timeout=120)
            names = {path.name for path in Path(folder).iterdir()}
            self.assertTrue({"confab.py", "confab-stubs"} <= names, names)
            sample = Path(folder) / "sample.py"
            sample.write_text(
                "import confab\n\ndef f(m: confab.Message) -> None:\n    reveal_type(m.id)\n"
            )
            try:
                import mypy  # noqa: F401
            except ImportError:
                self.skipTest("mypy is not installed")
            result = subprocess.run(
                [sys.executable, "-m", "mypy", "--strict", "sample.py"],
                cwd=folder,
                env=os.environ | {"MYPYPATH": folder},
                capture_output=True,
                text=True,
            )
            self.assertRegex(result.stdout, r'Revealed type is "(builtins\.)?int"')
            self.assertIn("Success", result.stdout)


def copied(target: Path) -> Path:
    """setuptools writes into the source folder."""
    skipped = shutil.ignore_patterns("__pycache__", "tests", ".mypy_cache", "build", "*.egg-info")
    shutil.copytree(FOLDER, target, symlinks=True, ignore=skipped)
    return target


if __name__ == "__main__":
    unittest.main()
