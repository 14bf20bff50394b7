#!/usr/bin/env bash
# websockets 17.4, its loop "async for connection in connect(url)", which connects again by itself:
#   refused with 503            it pauses for some seconds, then for more; Retry-After has no effect
#   accepted, then closed with 1013 (try again later)     no pause: dozens of attempts per second
#   refused with 429            the loop ends with InvalidStatus
# One would expect that 1013, and any other quick end, makes the loop pause as 503 does, and that
# 429 with Retry-After is an answer of the kind "later". The documentation promises a backoff for
# transient errors, without saying that an accepted connection resets it.
# So a server that has no room should refuse the handshake with 503, not close after it; and such
# loops need a pause of their own, and their own answer to 429.
#
# Cause: the loop has a delay only while the handshake fails, and forgets it when one has succeeded.
# 500, 502, 503 and 504 count as transient, every other status as final.
#
# Output seen (attempts within 2 s):
#   503:              1 or 2, still running
#   closed with 1013: more than 20, still running
#   429:              1, InvalidStatus 429
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check websockets==17.4
cat > "$folder/run.py" <<'PYTHON'
import asyncio

import websockets

attempts = 0
status = None


def process_request(connection, request):
    global attempts
    attempts += 1
    if status is not None:
        answer = connection.respond(status, "later")
        answer.headers["Retry-After"] = "60"
        return answer
    return None


async def handler(connection):
    await asyncio.sleep(0.01)
    await connection.close(1013)


async def follow(url):
    async for connection in websockets.connect(url, proxy=None):
        try:
            async for _ in connection:
                pass
        except websockets.ConnectionClosed as error:
            assert error.rcvd.code == 1013


async def attempts_with(url, answer):
    global attempts, status
    attempts, status = 0, answer
    loop = asyncio.create_task(follow(url))
    done, _ = await asyncio.wait([loop], timeout=2)
    if not done:
        loop.cancel()
        return attempts, "still running"
    error = loop.exception()
    return attempts, f"{type(error).__name__} {error.response.status_code}"


async def main():
    async with websockets.serve(
            handler, "127.0.0.1", 0, process_request=process_request) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for title, answer, least, most, expected in [
            ("503", 503, 1, 2, "still running"),
            ("closed with 1013", None, 21, 10000, "still running"),
            ("429", 429, 1, 1, "InvalidStatus 429"),
        ]:
            count, outcome = await attempts_with(url, answer)
            shown = "more than 20" if least > 20 else "1 or 2" if most == 2 else str(count)
            print(f"{title + ':':<17} {shown}, {outcome}")
            assert least <= count <= most and outcome == expected, count


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
