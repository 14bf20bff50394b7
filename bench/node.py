"""Starts a single node for a benchmark: history in memory, and high limits for each user."""

import pathlib
import re
import subprocess
import sys

OPTIONS = (
    "--listen 127.0.0.1:0 --admin off --store memory: --log-level error --drain-seconds 0"
    " --limit messages-per-second=1000000 --limit message-burst=1000000"
).split()

# One benchmark user stores as much as thousands of real users. Older builds have no such limit.
STORED_BYTES = "stored-bytes-per-day"


def storage_options(program):
    """The options that let one user store any number of bytes."""
    known = subprocess.run([program, "serve", "--help"], capture_output=True, text=True).stdout
    return ["--limit", f"{STORED_BYTES}=1099511627776"] if STORED_BYTES in known else []


def serve(command, folder, *options, log="log", start_seconds=10):
    """Starts the node on a free port, and exits if it does not start.

    command: the program, after the command that runs it, such as valgrind.
    folder: receives the node's secret and its log.
    Returns the process, its URL and the path of its log.
    """
    folder = pathlib.Path(folder)
    secret, log = folder / "secret", folder / log
    secret.write_text("a secret for benchmarks only, it protects nothing")
    with log.open("w") as errors:
        server = subprocess.Popen(
            [
                *command,
                "serve",
                *OPTIONS,
                *storage_options(command[-1]),
                "--jwt-secret-file",
                secret,
                *options,
            ],
            stderr=errors,
            cwd=folder,
        )
    for _ in range(20 * start_seconds):
        ready = re.search(r"ready on http://(127\.0\.0\.1:\d+)", log.read_text())
        if ready:
            return server, f"ws://{ready[1]}", log
        try:
            server.wait(0.05)
            break
        except subprocess.TimeoutExpired:
            pass
    server.kill()
    sys.exit(f"{' '.join(map(str, command))} did not start:\n{log.read_text()}")
