// Rule 3: half-open connections are found by clock time.
import assert from "node:assert/strict";
import { open, Proxy, Server, test, TestClock, until } from "./support.mjs";

async function connected(t, ...options) {
  const server = await Server.start(t, ...options), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  const room = open(t, proxy.url, { token: server.token("ann"), clock });
  await room.online();
  return { server, proxy, clock, room };
}

test("35 s of silence: a probe; 5 s without an answer: a new connection at once", async (t) => {
  const { proxy, clock, room, server } = await connected(t);
  proxy.mode = "freeze";
  clock.advance(35_000);
  assert.equal(room.state, "online");
  clock.advance(2_000);
  assert.equal(room.state, "online", "the probe has 5 s");
  clock.advance(5_000);
  assert.equal(room.state, "connecting");
  assert.equal(room.events("state").some((e) => e.state === "waiting"), false);
  proxy.mode = "pass";
  clock.advance(16_000);  // The connection that was opened meanwhile is frozen as well.
  await until("a frame", () => {
    clock.advance(500);
    return room.state === "online";
  });
  const other = await server.raw("bob");
  await other.say("back");
  await until("the message", () => room.messages.length === 1);
});

test("an answered probe keeps the connection", async (t) => {
  const { clock, room, proxy } = await connected(t);
  const { connections } = proxy;
  for (let round = 0; round < 3; round++) await room.answered(() => clock.advance(37_000));
  clock.advance(3_000);
  assert.equal(room.state, "online");
  assert.equal(proxy.connections, connections);
});

test("after a suspend the kit probes first", async (t) => {
  const { clock, room, proxy } = await connected(t);
  const { connections } = proxy;
  await room.answered(() => {
    clock.suspend(3_600_000);
    assert.equal(room.state, "online");
  });
  clock.advance(6_000);
  assert.equal(room.state, "online", "the probe was answered");
  assert.equal(proxy.connections, connections);
  proxy.mode = "freeze";
  clock.suspend(20_000);
  assert.equal(room.state, "online");
  clock.advance(6_000);
  assert.equal(room.state, "connecting");
});

test("a clock that is set back does not stop the watchdog", async (t) => {
  const { clock, room, proxy } = await connected(t);
  clock.time -= 3_600_000;
  for (const timer of clock.timers.values()) timer.at -= 3_600_000;
  proxy.mode = "freeze";
  clock.advance(1_000);
  clock.advance(6_000);
  assert.notEqual(room.state, "online");
});

test("a server that accepts and says nothing: the next try after 15 s", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  proxy.mode = "freeze";
  const room = open(t, proxy.url, { token: server.token("ann"), clock });
  await until("connecting", () => proxy.connections === 1);
  clock.advance(15_000);
  assert.equal(room.events("state").length, 1);
  clock.advance(1_000);
  assert.equal(room.events("state")[1].state, "waiting");
});

test("a frozen server (SIGSTOP) that continues: nothing is lost", async (t) => {
  const { server, clock, room } = await connected(t);
  server.process.kill("SIGSTOP");
  clock.advance(42_000);
  assert.equal(room.state, "connecting");
  const sent = room.send("from the freeze");
  server.process.kill("SIGCONT");
  await sent;
  assert.deepEqual(room.messages.map((m) => m.text), ["from the freeze"]);
});
