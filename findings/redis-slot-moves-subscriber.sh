#!/usr/bin/env bash
# Redis 7.0.15 (Debian 12), a cluster with sharded pub/sub: when a slot moves to another node, the
# old node ends the subscriptions to its channels and says so (sunsubscribe). redis-py 8.1.0,
# valkey-py 6.2.0 and coredis 6.9.0 pass this on like the answer to an unsubscription that nobody
# asked for, and do nothing else: no error, no further message, although their connections and the
# cluster are well. valkey-glide 2.6.0 subscribes at the new node by itself.
# One would expect this of the other three too, because their cluster clients follow a moved slot
# with every other command, and subscribe again by themselves when a connection is lost.
# A program that uses them must subscribe again after each sunsubscribe that it has not asked for:
# each rebalancing of the cluster silences readers otherwise.
#
# Cause: the three keep their list of channels by these answers, whoever caused them. The channel is
# removed from it, and nothing is left to be repeated elsewhere.
#
# Output seen (3 s after the slot has moved):
#   redis-py      ssubscribe, one | sunsubscribe
#   valkey-py     ssubscribe, one | sunsubscribe
#   coredis       ssubscribe, one | sunsubscribe
#   valkey-glide  one | two
#   a new redis-py subscriber: ssubscribe, three
set -euo pipefail
version=7.0.15
if [[ $(redis-server --version) != *"v=$version "* ]]; then
    echo "install redis-server $version (Debian 12)" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    redis==8.1.0 valkey==6.2.0 coredis==6.9.0 valkey-glide==2.6.0
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import os
import socket
import subprocess
import sys
import time

import coredis
import glide
import redis
import valkey.cluster

CHANNEL = "news"
glide.Logger.set_logger_config(glide.LogLevel.OFF)
folder = sys.argv[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def until(condition):
    for _ in range(200):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(condition)


async def start_cluster():
    """Two nodes, half of the slots each."""
    processes, nodes, buses = [], [], []
    for number in range(2):
        port, bus = free_port(), free_port()
        directory = os.path.join(folder, str(number))
        os.mkdir(directory)
        processes.append(subprocess.Popen(
            ["redis-server", "--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1",
             "--cluster-enabled", "yes", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL))
        nodes.append(redis.asyncio.Redis(host="127.0.0.1", port=port))
        buses.append(bus)

    async def all_answer():
        try:
            return all([await node.ping() for node in nodes])
        except redis.ConnectionError:
            return False

    async def is_ok():
        states = [str(await node.execute_command("CLUSTER INFO")) for node in nodes]
        return all("'cluster_state': 'ok'" in one or "cluster_state:ok" in one for one in states)

    await until(all_answer)
    for number, node in enumerate(nodes):
        await node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        await node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 8192, number * 8192 + 8191)
    port = nodes[1].connection_pool.connection_kwargs["port"]
    await nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, buses[1])
    await until(is_ok)
    return processes, nodes


async def move(slot, source, target):
    name = (await target.execute_command("CLUSTER", "MYID")).decode()
    other = (await source.execute_command("CLUSTER", "MYID")).decode()
    await target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", other)
    await source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", name)
    await target.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
    await source.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)


def note(message, seen):
    data = message["data"]
    is_message = message["type"] in ("smessage", "message")
    if isinstance(data, bytes):
        data = data.decode()
    seen.append(data if is_message else message["type"])


def read(pubsub, seen, is_over):
    while not is_over.is_set():
        if message := pubsub.get_sharded_message(timeout=0.1):
            note(message, seen)


async def read_coredis(port, seen):
    async with coredis.RedisCluster(host="127.0.0.1", port=port) as client:
        async with client.sharded_pubsub(channels=[CHANNEL]) as pubsub:
            async for message in pubsub:
                note(message, seen)


async def main():
    processes, nodes = await start_cluster()
    try:
        port = nodes[0].connection_pool.connection_kwargs["port"]
        slot = await nodes[0].execute_command("CLUSTER", "KEYSLOT", CHANNEL)
        source, target = nodes if slot < 8192 else nodes[::-1]
        seen = {name: [] for name in ("redis-py", "valkey-py", "coredis", "valkey-glide")}
        is_over = asyncio.Event()
        readers = []

        def subscribe(kind, seen):
            pubsub = kind(host="127.0.0.1", port=port).pubsub()
            pubsub.ssubscribe(CHANNEL)
            readers.append(asyncio.create_task(asyncio.to_thread(read, pubsub, seen, is_over)))

        subscribe(redis.RedisCluster, seen["redis-py"])
        subscribe(valkey.cluster.ValkeyCluster, seen["valkey-py"])
        task = asyncio.create_task(read_coredis(port, seen["coredis"]))
        configuration = glide.GlideClusterClientConfiguration
        client = await glide.GlideClusterClient.create(configuration(
            [glide.NodeAddress("127.0.0.1", port)],
            pubsub_subscriptions=configuration.PubSubSubscriptions(
                {configuration.PubSubChannelModes.Sharded: {CHANNEL}},
                lambda message, context: seen["valkey-glide"].append(message.message.decode()),
                None)))

        async def number_of_subscribers(node):
            return (await node.execute_command("PUBSUB", "SHARDNUMSUB", CHANNEL))[1]

        async def all_subscribed():
            return await number_of_subscribers(source) == 4

        await until(all_subscribed)
        await source.execute_command("SPUBLISH", CHANNEL, "one")
        await asyncio.sleep(0.5)
        before = {name: list(messages) for name, messages in seen.items()}
        await move(slot, source, target)
        await asyncio.sleep(3)
        assert await number_of_subscribers(source) == 0
        assert await number_of_subscribers(target) == 1
        await target.execute_command("SPUBLISH", CHANNEL, "two")
        await asyncio.sleep(0.5)
        for name, messages in seen.items():
            after = messages[len(before[name]):]
            print(f"{name:<13} {', '.join(before[name])} | {', '.join(after)}")
            if name == "valkey-glide":
                assert messages == ["one", "two"]
            else:
                assert (before[name], after) == (["ssubscribe", "one"], ["sunsubscribe"])
        later = []
        subscribe(redis.RedisCluster, later)
        await asyncio.sleep(0.5)
        await target.execute_command("SPUBLISH", CHANNEL, "three")
        await asyncio.sleep(0.5)
        print("a new redis-py subscriber:", ", ".join(later))
        assert later == ["ssubscribe", "three"]
        is_over.set()
        await asyncio.gather(*readers)
        task.cancel()
        await asyncio.wait([task])
        await client.close()
        for node in nodes:
            await node.aclose()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" "$folder/run.py" "$folder" 2> "$folder/log" || {
    cat "$folder/log" >&2
    exit 1
}
