"""An agent in a channel, over Python's websockets: says one thing and prints what it hears.

python3 agent.py URL CONTENT
"""

import asyncio
import json
import sys

import websockets


async def talk(url, content):
    try:
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"id": "py-1", "type": "message", "content": content, "metadata": {"from": "py"}}))
            async for data in socket:
                message = json.loads(data)
                if message["type"] == "ACK":
                    print(f"stored {message['message_id']} as {message['seq']}", flush=True)
                elif message["type"] == "message":
                    print(f"{message['agent_id']}: {message['content']} {json.dumps(message.get('metadata'))}", flush=True)
    except websockets.exceptions.InvalidStatus as error:
        print(f"failed: {error}", flush=True)


asyncio.run(talk(sys.argv[1], sys.argv[2]))
