"""The lines of a run: on a terminal the last one rewrites itself, elsewhere it comes regularly."""

import sys
import threading
import time

# A log shows that the run continues, and is not filled by it.
HEARTBEAT_SECONDS = 15


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Display:
    def __init__(self, stream=None, is_terminal=None, time=time.monotonic):
        self.stream = stream or sys.stdout
        self.is_terminal = self.stream.isatty() if is_terminal is None else is_terminal
        self.time = time
        self.lock = threading.RLock()
        self.last = self.time()
        self.has_status = False

    def line(self, text=""):
        with self.lock:
            self.clear()
            self.stream.write(text + "\n")
            self.stream.flush()
            self.last = self.time()

    def status(self, text):
        """What runs: rewritten on a terminal; a line after 15 seconds without one elsewhere."""
        with self.lock:
            if not self.is_terminal:
                if self.time() - self.last >= HEARTBEAT_SECONDS:
                    self.line(text)
                return
            self.clear()
            self.stream.write(text[: self.columns() - 1])
            self.stream.flush()
            self.has_status = True

    def clear(self):
        if self.has_status:
            self.stream.write("\r\033[K")
            self.has_status = False

    @staticmethod
    def columns():
        import shutil

        return shutil.get_terminal_size().columns
