#!/usr/bin/env python3
"""What a message costs a node in instructions and in allocations, for each protocol: of the message itself, and of each delivery.

    bench/instructions.py CONFAB [PROTOCOL...]

Valgrind counts them (cachegrind, dhat), so that a busy machine changes nothing but how long it takes, about a quarter of an hour. A node runs four
times for each protocol and tool, with few and many messages and with few and many readers; what is there without messages falls out
of the difference. The kernel's work is not in it. Prints a table as Markdown.
"""
import json
import pathlib
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


def count(confab, protocol, tool, readers, rate):
    """How much the tool counted in a node's life, and how many messages the node took in it."""
    options, pattern = TOOLS[tool]
    with tempfile.TemporaryDirectory() as folder:
        server, url, log = node.serve(
            ["valgrind", f"--tool={tool}", *options, confab], folder, "--loops", "1", "--io-uring", "off",
            "--limit", "ping-seconds=600", "--limit", "idle-seconds=1200", patience=60)
        try:
            report = subprocess.run(
                [confab, "bench", "broadcast", url, "--connections", str(readers), "--publishers", "1", "--rate", str(rate),
                 "--seconds", str(SECONDS), "--warmup", "0", "--adapter", protocol, "--secret-file", f"{folder}/secret", "--output", "json"],
                stdout=subprocess.PIPE, timeout=120, check=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        total = re.search(pattern, log.read_text())
        if not total:
            sys.exit(f"valgrind said nothing:\n{log.read_text()}")
        return int(total[1].replace(",", "")), json.loads(report.stdout)["published"]


def costs(confab, protocol, tool):
    """What a message costs, and what each of its deliveries."""
    per_message = []
    for readers in READERS:
        (few, published_few), (many, published_many) = (count(confab, protocol, tool, readers, rate) for rate in RATES)
        per_message.append((many - few) / (published_many - published_few))
    delivery = (per_message[1] - per_message[0]) / (READERS[1] - READERS[0])
    return per_message[0] - READERS[0] * delivery, delivery


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    confab = str(pathlib.Path(sys.argv[1]).resolve())
    print("| protocol | instructions a message | and a delivery | allocations a message | and a delivery |")
    print("|---|---|---|---|---|")
    for protocol in sys.argv[2:] or PROTOCOLS:
        instructions, allocations = costs(confab, protocol, "cachegrind"), costs(confab, protocol, "dhat")
        print(f"| {protocol} | {instructions[0]:,.0f} | {instructions[1]:,.0f} | {allocations[0]:.1f} | {allocations[1]:.2f} |", flush=True)


main()
