// Rule 1 for a client that reads too slowly. The test fills the buffers of the system, 32 MiB.
import assert from "node:assert/strict";
import { open, Proxy, Server, test, TestClock, until } from "./support.mjs";

test("1013 of a slow reader: at least a second", async (t) => {
  const server = await Server.start(t, "--limit", "outbound-bytes=65536",
    "--limit", "messages-per-second=100000", "--limit", "message-burst=100000");
  const proxy = await Proxy.start(t, server.port), clock = new TestClock();
  const room = open(t, proxy.url, { token: server.token("ann"), clock, random: () => 0.5 });
  await room.online();
  clock.advance(10_000);
  for (const { server: socket } of proxy.pairs) socket.pause();
  const other = await server.raw("bob");
  // Until the buffers of the system are full: up to 32 MiB for each connection. The server waits
  // for 5 seconds after it has sent 1013, so the client reads again at once.
  let sent = 0, stored = 0;
  other.onmessage = ({ data }) => (stored += data.includes('"chat_message"'));
  const text = JSON.stringify({ action: "send_message", content: "x".repeat(16_000) });
  while (!server.log.includes("slow reader closed")) {
    assert.ok(sent < 10_000, "no slow reader was closed");
    for (let n = 0; n < 100; n++) other.send(text);
    sent += 100;
    await until("stored", () => stored === sent);
  }
  for (const { server: socket } of proxy.pairs) socket.resume();
  await until("waiting", () => room.state === "waiting");
  assert.equal(room.events("state").at(-1).code, 1013);
  assert.equal(room.events("state").at(-1).retryAt - clock.now(), 1500);
  clock.advance(1500);
  await room.online();
  await until("all", () => room.messages.at(-1)?.id === sent);
  const kept = Math.min(sent, 1000);
  assert.deepEqual(room.messages.map((m) => m.id),
    Array.from({ length: kept }, (_, n) => sent - kept + 1 + n));
});
