"""Runs a build and shows how far it is.

  python3 script/checks/progress.py LABEL COMMAND...

Prints the command's lines except its steps, [5/90], which become one line that rewrites itself on a
terminal, and a line every 15 seconds elsewhere. Exits with the command's status.
"""

import signal
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checks.display import Display, clock  # noqa: E402
from checks.outputs import BUILD_STEP  # noqa: E402
from checks.processes import Processes  # noqa: E402


class Progress:
    """The status of one command, refreshed until it ends."""

    def __init__(self, label, display):
        self.label = label
        self.display = display
        self.start = time.monotonic()
        self.step = ""
        self.has_ended = threading.Event()

    def feed(self, line):
        if match := BUILD_STEP.match(line):
            self.step = f", {match[1]} of {match[2]} steps"
        else:
            self.display.line(line.rstrip("\n"))

    def refresh(self):
        while not self.has_ended.wait(0.2):
            seconds = clock(time.monotonic() - self.start)
            self.display.status(f"{self.label}: {seconds}{self.step}")
        with self.display.lock:
            self.display.clear()


def main(label, *command):
    processes = Processes()
    progress = Progress(label, Display())

    def stop(number, frame):
        threading.Thread(target=processes.stop).start()

    # A script that starts this one in the background makes the shell ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    refresher = threading.Thread(target=progress.refresh, daemon=True)
    refresher.start()
    status, _ = processes.run(command, progress.feed)
    progress.has_ended.set()
    refresher.join()
    if processes.is_stopped:
        return 130
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
