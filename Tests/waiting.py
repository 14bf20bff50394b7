"""What tests of several folders need to start processes and to wait for them."""

import contextlib
import random
import socket
import time


def free_port():
    """A free port of 127.0.0.1 below the ephemeral ones, so that no other process receives it."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(10_000, 20_000)
            probe.bind(("127.0.0.1", port))
            return port


def wait(description, condition, seconds=90):
    """Repeats the condition until it returns something, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {description}")
        time.sleep(0.3)
