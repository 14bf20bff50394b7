"""One check while it runs: its log, its counts, its programs."""

import os
import re
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .outputs import BUILD_STEP, LONG_REASON

ROOT = Path(__file__).resolve().parent.parent.parent
LOGS = ROOT / ".build/logs"
# What a check prints for its reader although it passes.
SHOWN = re.compile(r"\bScreenshots: /")
# Some programs colour their lines in a pipe too.
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Failed(Exception):
    """A check failed, and why."""


class Job:
    def __init__(self, name, function, processes, display):
        self.name = name
        self.function = function
        self.processes = processes
        self.display = display
        self.outputs = []
        self.passed_steps = 0
        self.skipped_whole = []
        self.error = None
        self.is_done = False
        self.note = ""
        self.tail = deque(maxlen=60)
        self.seconds = 0.0
        self.lock = threading.Lock()
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log_path = LOGS / (re.sub(r"[^\w.-]+", "-", name) + ".log")
        # A run that started earlier may still write the old file.
        self.log_path.unlink(missing_ok=True)
        self.log = open(self.log_path, "w", buffering=1, errors="replace")

    # What a check's function uses.

    def run(self, command, output=None, *, prefix="", environment=None, cwd=ROOT, seconds=None,
            before_end=None, is_idle=False):
        """Runs a program, with its lines in the log and in `output`.

        Returns its status, and whether its time was over.
        """
        if is_idle:
            command = ["nice", "-n", "19", *command]
        if output is not None:
            with self.lock:
                self.outputs.append(output)

        def on_line(line):
            line = COLOUR.sub("", line)
            self.write(prefix + line)
            if output is None:
                return
            known = len(output.failed)
            output.feed(line)
            for name in output.failed[known:]:
                self.display.line(f"{self.name}: failed: {name}")

        self.write(f"$ {' '.join(str(word) for word in command)}\n")
        return self.processes.run(
            command, on_line, cwd=cwd, env={**os.environ, **(environment or {})}, seconds=seconds,
            before_end=before_end)

    def require(self, command, **options):
        """Runs a program that must succeed, and counts it as one passed check."""
        status, is_late = self.run(command, **options)
        if is_late:
            raise Failed(f"{command[0]} took longer than {options['seconds']} seconds")
        if status != 0:
            raise Failed(f"{' '.join(map(str, command))} {described(status)}")

    def write(self, line):
        with self.lock:
            if self.log.closed:  # by a process that outlives the check
                return
            self.log.write(line if line.endswith("\n") else line + "\n")
            self.tail.append(line.rstrip()[:1000])
            if match := BUILD_STEP.match(line):
                self.note = f"{match[1]} of {match[2]} steps"
        if match := SHOWN.search(line):
            self.display.line(f"{self.name}: {line[match.start():].rstrip()}")

    def say(self, text):
        self.write(text)
        self.display.line(f"{self.name}: {text}")

    def skip(self, reason):
        self.skipped_whole.append(reason)

    def passes(self, number=1):
        with self.lock:
            self.passed_steps += number

    def side_by_side(self, tasks, width):
        """Runs functions, `width` at a time, until all have ended; then raises what failed."""
        with ThreadPoolExecutor(width) as pool:
            futures = [pool.submit(task) for task in tasks]
        errors = [str(future.exception()) for future in futures if future.exception()]
        if errors:
            raise Failed("; ".join(errors))

    # What the runner uses.

    def perform(self):
        start = time.monotonic()
        try:
            self.function(self)
        except Failed as failure:
            self.error = str(failure)
        except Exception as error:  # A check that cannot run has failed, and the others go on.
            self.error = f"{type(error).__name__}: {error}"
        self.seconds = time.monotonic() - start
        with self.lock:
            self.log.close()
        self.is_done = True

    @property
    def passed(self):
        return self.passed_steps + sum(output.passed for output in list(self.outputs))

    @property
    def failed(self):
        return [name for output in list(self.outputs) for name in output.failed]

    @property
    def failures(self):
        return [block for output in self.outputs for block in output.failures]

    @property
    def skipped(self):
        return sum((output.skipped for output in list(self.outputs)), Counter())

    @property
    def has_failed(self):
        return self.error is not None

    def progress(self):
        """The check's name and how far it is."""
        parts = []
        if ended := self.passed + len(self.failed):
            parts.append(f"{ended} ended")
        if unfinished := sum(output.open_count for output in list(self.outputs)):
            parts.append(f"{unfinished} started")
        if self.failed:
            parts.append(f"{len(self.failed)} FAILED")
        if self.note:
            parts.append(self.note)
        return " ".join([self.name, ", ".join(parts)]).rstrip()

    def result(self):
        long = sum(count for reason, count in self.skipped.items()
                   if reason.startswith(LONG_REASON))
        other = sum(self.skipped.values()) - long
        parts = [f"{self.passed} passed"]
        if self.has_failed:
            parts.insert(0, "FAILED" + (f": {len(self.failed)} tests" if self.failed else ""))
        if other:
            parts.append(f"{other} skipped")
        if long:
            parts.append(f"{long} belong to --long")
        if self.skipped_whole:
            parts = ["skipped"]
        return ", ".join(parts)


def described(status):
    import signal

    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"
