"""A WebSocket client for the tests, with Python's websockets.

Each line of standard input is a frame to send, and each received frame is a line of output.

    python3 relay.py URL [CA-FILE]

`text …` sends a text frame, `binary 00 01` a binary one, and `close 1000` closes. The client prints
`opened` after the upgrade, and at the end `refused STATUS` or `closed CODE REASON`.
"""
import asyncio
import ssl
import sys

import websockets


async def relay_input(connection):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "text":
            await connection.send(rest)
        elif kind == "binary":
            await connection.send(bytes.fromhex(rest))
        elif kind == "close":
            await connection.close(int(rest))


async def main(url, authority=None):
    context = ssl.create_default_context(cafile=authority) if authority else None
    try:
        connection = await websockets.connect(url, ssl=context)
    except websockets.InvalidStatus as refusal:
        print("refused", refusal.response.status_code, flush=True)
        return
    print("opened", flush=True)
    typing = asyncio.create_task(relay_input(connection))
    try:
        async for message in connection:
            print("text", message, flush=True)
    except websockets.ConnectionClosed:
        pass
    typing.cancel()
    print("closed", connection.close_code, connection.close_reason, flush=True)


asyncio.run(main(*sys.argv[1:]))
# The thread that reads standard input would keep the process alive.
sys.stdout.flush()
import os

os._exit(0)
