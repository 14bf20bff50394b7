#!/usr/bin/env python3
"""Measures how long `confab connections` and `confab conversations` occupy a node's loop.

    bench/lookups.py CONFAB [CONNECTIONS]

Starts a node with one loop and history in memory, opens idle connections (default: 19,000) in a
tenth as many conversations, and lists them ten times for each of several orders. Prints the time of
a command, and the CPU time of the loop for each turn of 512 connections or conversations. The
loop's own work in the same time is measured before, and subtracted.
"""

import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import node

ROUNDS = 10
QUIET_SECONDS = 10
SLOTS_PER_TURN = 512


def loop_seconds(pid):
    """The CPU time of the node's only loop."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text() == "confab-loop-0\n":
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    sys.exit("the node has no thread confab-loop-0")


def measure(confab, admin, pid, quiet, verb, sort):
    """Prints one row. quiet: the loop's own CPU time per second."""
    start, busy = time.monotonic(), loop_seconds(pid)
    for _ in range(ROUNDS):
        document = subprocess.run(
            [confab, verb, "--admin", admin, "--sort", sort, "--output", "json"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    elapsed = time.monotonic() - start
    busy = loop_seconds(pid) - busy - quiet * elapsed
    count = json.loads(document)["count"]
    turns = ROUNDS * math.ceil(count / SLOTS_PER_TURN)
    print(
        f"| `confab {verb} --sort {sort}` | {count:,} | {1000 * elapsed / ROUNDS:.0f}"
        f" | {1e6 * busy / turns:.0f} |",
        flush=True,
    )


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    confab = pathlib.Path(sys.argv[1]).resolve()
    connections = int(sys.argv[2]) if len(sys.argv) == 3 else 19_000
    with tempfile.TemporaryDirectory() as folder:
        options = "--loops 1 --admin 127.0.0.1:0 --admin-token off --log-level info".split()
        server, url, log = node.serve([confab], folder, *options)
        load = None
        try:
            admin = "http://" + re.search(r"admin listening address=(\S+)", log.read_text())[1]
            load = subprocess.Popen(
                [confab, "bench", "idle", url, "--secret-file", f"{folder}/secret"]
                + f"--connections {connections} --groups {connections // 10} --seconds 600".split(),
                stdout=subprocess.DEVNULL,
            )
            while True:
                # The node may be too busy to answer in time.
                nodes = subprocess.run(
                    [confab, "nodes", "--admin", admin, "--output", "json"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                ).stdout
                if nodes and json.loads(nodes)["nodes"][0]["connections"] >= connections:
                    break
                if load.poll() is not None:
                    sys.exit("the load generator ended early")
                time.sleep(0.5)
            time.sleep(3)
            quiet = loop_seconds(server.pid)
            time.sleep(QUIET_SECONDS)
            quiet = (loop_seconds(server.pid) - quiet) / QUIET_SECONDS
            print("| command | rows | ms | µs of the loop per turn |")
            print("|---|---|---|---|")
            for verb, sort in (
                ("connections", "-pending"),
                ("connections", "-in"),
                ("connections", "user"),
                ("conversations", "-msg_s"),
                ("conversations", "id"),
            ):
                measure(confab, admin, server.pid, quiet, verb, sort)
        finally:
            for process in (load, server):
                if process:
                    process.kill()
                    process.wait()


main()
