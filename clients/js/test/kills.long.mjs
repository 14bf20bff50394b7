// Nothing is lost, repeated or reordered while the server is killed 20 times.
import assert from "node:assert/strict";
import test from "node:test";
import { open, Server, sleep, until } from "./support.mjs";

test("20 kills under two clients that send all the time", async (t) => {
  const server = await Server.start(t,
    "--limit", "messages-per-second=10000", "--limit", "message-burst=10000");
  const rooms = ["ann", "bob"].map((user) =>
    open(t, server.url, { token: server.token(user) }, { limit: 100_000, after: 0 }));
  const acknowledged = new Map(), delivered = rooms.map(() => []);
  let isRunning = true;
  for (const [index, room] of rooms.entries()) {
    room.on("message", (m) => delivered[index].push(m.id));
  }
  const writers = rooms.flatMap((room, index) => [0, 1].map(async (lane) => {
    for (let n = 0; isRunning; n++) {
      const text = `${index}-${lane}-${n}`;
      const message = await room.send(text);
      assert.ok(!acknowledged.has(text));
      acknowledged.set(text, message.id);
      await sleep(2);
    }
  }));
  for (let kill = 0; kill < 20; kill++) {
    const count = acknowledged.size;
    await until("progress", () => acknowledged.size > count + 20);
    await sleep(Math.random() * 30);
    await server.kill();
    if (kill % 3 === 0) await sleep(100);
    await server.start();
    for (const room of rooms) room.retryNow();
  }
  isRunning = false;
  await Promise.all(writers);
  await until("equal", () => rooms[0].messages.length === rooms[1].messages.length
    && rooms.every((room) => room.state === "online" && room.outbox.length === 0));
  const lists = rooms.map((room) => room.messages.map((m) => [m.id, m.author, m.text, m.rev]));
  assert.deepEqual(lists[0], lists[1]);
  const ids = lists[0].map((row) => row[0]);
  assert.deepEqual(ids, ids.map((_, index) => index + 1), "without a gap");
  for (const list of delivered) assert.deepEqual(list, ids, "delivered once, in order");
  const found = new Map(lists[0].map(([id, , text]) => [text, id]));
  assert.equal(found.size, ids.length, "no text twice");
  for (const [text, id] of acknowledged) assert.equal(found.get(text), id, text);
  for (const lane of ["0-0", "0-1", "1-0", "1-1"]) {
    const order = lists[0].map((row) => row[2]).filter((text) => text.startsWith(`${lane}-`))
      .map((text) => Number(text.split("-")[2]));
    assert.deepEqual(order, order.map((_, index) => index), `the order of ${lane}`);
  }
  t.diagnostic(`${ids.length} messages, ${acknowledged.size} acknowledged`);
});
