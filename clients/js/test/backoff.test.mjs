// Rule 1: when the kit connects again after a connection was lost or refused.
import assert from "node:assert/strict";
import { freePort, open, Proxy, Server, sleep, test, TestClock, until } from "./support.mjs";

/** The delay that the newest `waiting` event announced. */
const delay = (room, clock) => room.events("state").at(-1).retryAt - clock.now();
const waiting = (room) => until("waiting", () => room.state === "waiting");

for (const [random, expected] of [
  [0, [250, 250, 250, 250, 250, 250, 250]],
  [0.5, [625, 1125, 2125, 4125, 7625, 7625, 7625]],
  [1, [1000, 2000, 4000, 8000, 15000, 15000, 15000]],
]) {
  test(`delays are random between 0.25 s and a growing bound, random=${random}`, async (t) => {
    const clock = new TestClock();
    const room = open(t, `http://127.0.0.1:${await freePort()}`,
      { token: "x", clock, random: () => random });
    for (const [index, milliseconds] of expected.entries()) {
      await until("waiting", () => room.events("state").filter((e) => e.retryAt).length > index);
      assert.equal(delay(room, clock), milliseconds);
      clock.advance(milliseconds);
    }
  });
}

test("after a healthy connection the first try is at once", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  const room = open(t, proxy.url, { token: server.token("ann"), clock });
  await room.online();
  clock.advance(10_000);
  room.log.length = 0;
  proxy.cut();
  await until("connecting", () => room.log.length > 0);
  await room.online();
  assert.deepEqual(room.events("state").map((e) => e.state), ["connecting", "online"]);
});

test("a connection of less than 10 s does not reset the backoff", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  const room = open(t, proxy.url, { token: server.token("ann"), clock, random: () => 1 });
  for (const expected of [1000, 2000, 4000, 8000]) {
    await room.online();
    clock.advance(9_000);
    proxy.cut();
    await waiting(room);
    assert.equal(delay(room, clock), expected);
    clock.advance(expected);
  }
});

test("1012 of a draining node: within 2 s", async (t) => {
  const server = await Server.start(t), clock = new TestClock();
  const room = open(t, server.url, { token: server.token("ann"), clock, random: () => 0.5 });
  await room.online();
  clock.advance(10_000);
  server.process.kill("SIGTERM");
  await waiting(room);
  assert.equal(room.events("state").at(-1).code, 1012);
  assert.equal(delay(room, clock), 1000);
});

test("503 with Retry-After: that long, and jitter", async (t) => {
  const server = await Server.start(t), clock = new TestClock();
  // Connections keep the node in its drain.
  const others = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => server.raw(`user${n}`)));
  server.process.kill("SIGTERM");
  await until("draining", async () => (await fetch(`${server.url}/api/health`)).status === 503);
  assert.ok(others.some((socket) => socket.readyState === 1));
  const room = open(t, server.url, { user: { name: "Ann" }, clock, random: () => 0.5 });
  await waiting(room);
  assert.match(room.events("state").at(-1).reason, /draining/);
  assert.equal(delay(room, clock), 1500);
});

test("4003: a new token once, then refused; retryNow tries again", async (t) => {
  const server = await Server.start(t), good = server.token("ann"), calls = [];
  let token = "forged";
  const room = open(t, server.url, {
    token: (id, renew) => {
      calls.push(renew);
      return token;
    },
  });
  await until("refused", () => room.state === "refused");
  assert.deepEqual(calls, [false, true]);
  assert.match(room.events("state").at(-1).reason, /token/);
  token = good;
  room.retryNow();
  await room.online();
  assert.equal(calls.length, 3);
});

test("4003 with a fixed token: refused", async (t) => {
  const server = await Server.start(t);
  // Long enough for a busy machine: the token counts from before it is printed.
  const room = open(t, server.url, { token: server.token("ann", { ttl: "5s" }) });
  await room.online();
  await until("refused", () => room.state === "refused");
  await sleep(300);
  assert.equal(room.state, "refused");
});

test("4004: refused", async (t) => {
  const server = await Server.start(t);
  await server.raw("bob", "private");
  const room = open(t, server.url,
    { token: server.token("ann", { conversations: "other" }) }, {}, "private");
  await until("refused", () => room.state === "refused");
  assert.equal(room.events("state").at(-1).code, 4004);
});
