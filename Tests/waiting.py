"""What tests of several folders need to start processes and to wait for them."""

import atexit
import random
import socket
import time


def free_port():
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
