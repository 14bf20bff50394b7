"""A node for a benchmark: alone, with its history in memory, and with no limit on how much is sent."""
import pathlib
import re
import subprocess
import sys


def serve(command, folder, *options, log="log", patience=10):
    """Starts it on a free port.

    command: the program, with what it runs under before it. folder: where its secret and its log are.
    Returns the process, its address and its log; exits where it does not start.
    """
    folder = pathlib.Path(folder)
    secret, log = folder / "secret", folder / log
    secret.write_text("the secret of a benchmark, that is worth nothing")
    with log.open("w") as errors:
        server = subprocess.Popen(
            [*command, "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", "memory:", "--jwt-secret-file", secret,
             "--log-level", "error", "--drain-seconds", "0", "--limit", "messages-per-second=1000000", "--limit", "message-burst=1000000",
             *options], stderr=errors, cwd=folder)
    for _ in range(20 * patience):
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
