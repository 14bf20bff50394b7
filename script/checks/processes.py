"""Starts programs in process groups of their own, reads their lines, and stops them in time."""

import os
import signal
import subprocess
import threading
import time

# After SIGINT, tests stop the processes that they started.
STOP_SECONDS = 20
# Processes in its group that ignore SIGINT, as those that a shell started in the background.
GROUP_SECONDS = 5
# A process that a program left behind can keep the pipe open.
DRAIN_SECONDS = 5


class Processes:
    """The running programs of a run: `stop` ends all of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.is_stopped = False

    def run(self, command, on_line, *, cwd=None, env=None, seconds=None, before_end=None):
        """Returns the status and whether the time was over. `before_end` gets the process's id half
        a minute before that."""
        with self.lock:
            if self.is_stopped:
                return -signal.SIGINT, False
            process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                process_group=0)
            self.running.add(process)
        late = threading.Event()
        timers = []
        if seconds:
            timers.append(threading.Timer(seconds, self.expire, (process, late)))
        if seconds and before_end:
            timers.append(threading.Timer(max(1, seconds - 30), before_end, (process.pid,)))
        for timer in timers:
            timer.daemon = True
            timer.start()
        reader = threading.Thread(target=self.read, args=(process, on_line), daemon=True)
        reader.start()
        try:
            process.wait()
        finally:
            for timer in timers:
                timer.cancel()
            with self.lock:
                self.running.discard(process)
        reader.join(DRAIN_SECONDS)
        return process.returncode, late.is_set()

    @staticmethod
    def read(process, on_line):
        with process.stdout:
            for line in process.stdout:
                on_line(line)

    def expire(self, process, late):
        late.set()
        self.end(process)

    def end(self, process):
        """Interrupts a program and its group, and kills what does not end in time."""
        self.send(process, signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
            end = time.monotonic() + GROUP_SECONDS
            while time.monotonic() < end and self.send(process, 0):
                time.sleep(0.05)
        except subprocess.TimeoutExpired:
            pass
        self.send(process, signal.SIGKILL)

    @staticmethod
    def send(process, number):
        """Sends a signal to a group, which can outlive its first process; whether it exists."""
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self):
        """Ends all programs, and starts no other."""
        with self.lock:
            self.is_stopped = True
            running = list(self.running)
        threads = [threading.Thread(target=self.end, args=(process,)) for process in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
