"""An agent in a channel, with Python's websockets: sends one message and prints those it receives.

python3 agent.py URL CONTENT
"""

import asyncio
import json
import sys

import websockets


async def talk(url, content):
    try:
        async with websockets.connect(url) as socket:
            message = {"id": "py-1", "type": "message", "content": content}
            message["metadata"] = {"from": "py"}
            await socket.send(json.dumps(message))
            async for data in socket:
                message = json.loads(data)
                if message["type"] == "ACK":
                    print(f"stored {message['message_id']} as {message['seq']}", flush=True)
                elif message["type"] == "message":
                    metadata = json.dumps(message.get("metadata"))
                    print(f"{message['agent_id']}: {message['content']} {metadata}", flush=True)
    except websockets.exceptions.InvalidStatus as error:
        print(f"failed: {error}", flush=True)


asyncio.run(talk(sys.argv[1], sys.argv[2]))
