#!/usr/bin/env python3
"""Counts a node's instructions and allocations per message and per delivery, for each protocol.

    bench/instructions.py CONFAB [PROTOCOL...]

Valgrind counts them (cachegrind, dhat), so other load on the machine does not change the counts.
For each protocol and tool the node runs four times: with few and with many messages, and with few
and with many readers. The differences exclude the cost of starting and connecting. The kernel's
work is not counted. Takes about a quarter of an hour and prints a table as Markdown.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile

import node

PROTOCOLS = ["confab", "pets", "chats", "rooms", "agents", "mixed", "rooms-polling"]
READERS = (10, 110)
RATES = (10, 100)
SECONDS = 10
TOOLS = {
    "cachegrind": (["--cache-sim=no", "--cachegrind-out-file=/dev/null"], r"I\s+refs:\s+([\d,]+)"),
    "dhat": (["--dhat-out-file=/dev/null"], r"Total:.* in ([\d,]+) blocks"),
}
NODE_OPTIONS = "--loops 1 --io-uring off --limit ping-seconds=600 --limit idle-seconds=1200".split()


def count(confab, protocol, tool, readers, rate):
    """The tool's count for the whole life of a node, and the number of published messages."""
    tool_options, pattern = TOOLS[tool]
    with tempfile.TemporaryDirectory() as folder:
        server, url, log = node.serve(
            ["valgrind", f"--tool={tool}", *tool_options, confab],
            folder,
            *NODE_OPTIONS,
            start_seconds=60,
        )
        secret = ["--secret-file", f"{folder}/secret"]
        load = f"--connections {readers} --publishers 1 --rate {rate} --seconds {SECONDS}"
        others = f"--warmup 0 --adapter {protocol} --output json"
        try:
            report = subprocess.run(
                [confab, "bench", "broadcast", url, *secret, *load.split(), *others.split()],
                stdout=subprocess.PIPE,
                timeout=120,
                check=True,
            )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        total = re.search(pattern, log.read_text())
        if not total:
            sys.exit(f"valgrind --tool={tool} printed no count:\n{log.read_text()}")
        return int(total[1].replace(",", "")), json.loads(report.stdout)["published"]


def costs(confab, protocol, tool):
    """The count per message without its deliveries, and the count per delivery."""
    per_message = []
    for readers in READERS:
        (few, published_few), (many, published_many) = (
            count(confab, protocol, tool, readers, rate) for rate in RATES
        )
        per_message.append((many - few) / (published_many - published_few))
    delivery = (per_message[1] - per_message[0]) / (READERS[1] - READERS[0])
    return per_message[0] - READERS[0] * delivery, delivery


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        # Debian's Valgrind cannot read the debug information that clang writes (DWARF 5).
        confab = f"{folder}/confab"
        subprocess.run(["strip", "--strip-debug", "-o", confab, sys.argv[1]], check=True)
        print_table(confab, sys.argv[2:] or PROTOCOLS)


def print_table(confab, protocols):
    print(
        "| protocol | instructions per message | per delivery"
        " | allocations per message | per delivery |"
    )
    print("|---|---|---|---|---|")
    for protocol in protocols:
        instructions = costs(confab, protocol, "cachegrind")
        allocations = costs(confab, protocol, "dhat")
        print(
            f"| {protocol} | {instructions[0]:,.0f} | {instructions[1]:,.0f}"
            f" | {allocations[0]:.1f} | {allocations[1]:.2f} |",
            flush=True,
        )


main()
