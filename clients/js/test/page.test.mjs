// Rule 2: what a page's events do. The events are those of browsers; Node has none of its own.
import assert from "node:assert/strict";
import { freePort, open, Proxy, Server, test, TestClock, until } from "./support.mjs";

const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.document = { hidden: false };
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
const fire = (type) => page.dispatchEvent(new Event(type));
const attempts = (room) => room.events("state").filter((e) => e.state === "connecting").length;

for (const type of ["online", "visibilitychange", "pageshow"]) {
  test(`${type} ends a waiting time, at most once a second`, async (t) => {
    const clock = new TestClock();
    const room = open(t, `http://127.0.0.1:${await freePort()}`,
      { token: "x", clock, random: () => 1 });
    const waiting = () => until("waiting", () => room.state === "waiting");
    await waiting();
    fire(type);
    assert.equal(attempts(room), 2);
    await waiting();
    fire(type);
    assert.equal(attempts(room), 2, "again within the second");
    clock.advance(1000);
    fire(type);
    assert.equal(attempts(room), 3);
    await waiting();
  });
}

test("a hidden page waits up to 60 s and stays asleep on visibilitychange", async (t) => {
  document.hidden = true;
  t.after(() => (document.hidden = false));
  const clock = new TestClock();
  const room = open(t, `http://127.0.0.1:${await freePort()}`,
    { token: "x", clock, random: () => 1 });
  for (const expected of [4000, 8000, 16000, 32000, 60000, 60000]) {
    await until("waiting", () => room.state === "waiting");
    assert.equal(room.events("state").at(-1).retryAt - clock.now(), expected);
    const before = attempts(room);
    fire("visibilitychange");
    assert.equal(attempts(room), before);
    clock.advance(expected);
  }
});

test("offline: the state says so", async (t) => {
  navigator.onLine = false;
  t.after(() => (navigator.onLine = true));
  const room = open(t, `http://127.0.0.1:${await freePort()}`, { token: "x" });
  await until("offline", () => room.state === "offline");
});

test("online with a live connection: a probe finds out within 5 s that it is dead", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  const room = open(t, proxy.url, { token: server.token("ann"), clock });
  await room.online();
  clock.advance(10_000);
  proxy.mode = "freeze";
  for (let second = 0; second < 4; second++) {
    fire("online");  // Later events do not extend the time.
    clock.advance(1_000);
  }
  assert.equal(room.state, "online");
  clock.advance(2_000);
  assert.equal(room.state, "connecting");
  proxy.mode = "pass";
  proxy.cut();
});

test("pagehide closes the connection, so that the page may be cached; pageshow opens it",
  async (t) => {
    const server = await Server.start(t);
    const room = open(t, server.url, { token: server.token("ann") });
    const other = await server.raw("bob");
    await room.online();
    fire("pagehide");
    assert.equal(room.state, "waiting");
    await other.say("while away");
    fire("pageshow");
    await room.online();
    assert.deepEqual(room.messages.map((m) => m.text), ["while away"]);
  });

test("after close, events of the page do nothing", async (t) => {
  const server = await Server.start(t);
  const room = open(t, server.url, { token: server.token("ann") });
  await room.online();
  room.close();
  fire("online");
  fire("pagehide");
  fire("pageshow");
  assert.equal(room.state, "closed");
});
