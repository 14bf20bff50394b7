// Rule 7: tokens are renewed before they expire, on the live connection.
import assert from "node:assert/strict";
import path from "node:path";
import { FileStorage, open, Server, sleep, test, TestClock, until } from "./support.mjs";

test("30 s before exp a new token is requested and used on the live connection", async (t) => {
  const server = await Server.start(t), calls = [];
  const first = server.token("ann", { ttl: "60s" }), clock = new TestClock();
  const room = open(t, server.url, {
    clock,
    token: (id, renew) => {
      calls.push([id, renew]);
      return calls.length === 1 ? first : server.token("ann");
    },
  });
  await room.online();
  clock.advance(25_000);
  assert.deepEqual(calls, [["lobby", false]]);
  clock.advance(8_000);
  assert.deepEqual(calls, [["lobby", false], ["lobby", true]]);
  for (let seconds = 0; seconds < 60; seconds += 20) {
    await room.send("x");  // Without a frame for 35 s, the kit would have to probe.
    clock.advance(20_000);
  }
  assert.equal(calls.length, 2);
  assert.deepEqual(room.events("state").map((e) => e.state), ["connecting", "online"]);
});

test("a connection outlives its first token", async (t) => {
  const server = await Server.start(t);
  let calls = 0;
  // The kit renews it after 4 to 6 s, which may be late on a busy machine.
  const room = open(t, server.url, {
    token: () => server.token("ann", { ttl: ++calls === 1 ? "10s" : "1h" }),
  });
  await room.online();
  await sleep(11_000);
  assert.deepEqual(room.events("state").map((e) => e.state), ["connecting", "online"]);
  assert.equal((await room.send("still here")).id, 1);
});

test("a renewal that comes too late: 4003, one new token, and online at once", async (t) => {
  const server = await Server.start(t), calls = [], short = server.token("ann", { ttl: "6s" });
  let room;
  room = open(t, server.url, {
    token: (id, renew) => {
      calls.push(renew);
      return room?.state === "online" ? short : calls.length > 1 ? server.token("ann") : short;
    },
  });
  await room.online();
  await until("closed by the server", () => room.events("state").length > 2);
  await room.online();
  assert.deepEqual(room.events("state").map((e) => e.state),
    ["connecting", "online", "connecting", "online"]);
  assert.equal((await room.send("x")).id, 1);
});

test("a token function that fails: backoff; with retry false: refused", async (t) => {
  const server = await Server.start(t);
  let failure = new Error("login service is down");
  const room = open(t, server.url, {
    token: async () => {
      if (failure) throw failure;
      return server.token("ann");
    },
  });
  await until("waiting", () => room.state === "waiting");
  assert.equal(room.events("state").at(-1).reason, "login service is down");
  failure = Object.assign(new Error("logged out"), { retry: false });
  await until("refused", () => room.state === "refused");
  assert.equal(room.events("state").at(-1).reason, "logged out");
  failure = undefined;
  room.retryNow();
  await room.online();
});

test("guests join by themselves and renew their token", async (t) => {
  const server = await Server.start(t), clock = new TestClock();
  const host = open(t, server.url, { user: { id: "host", name: "Host" } }, {}, "none");
  const { room_id } = await host.confab.create({ title: "Tea" });
  let requests = 0;
  const counted = (...request) => fetch(...request).finally(() => requests++);
  const room = open(t, server.url,
    { clock, fetch: counted, user: { id: "ann", name: "Ann" } }, {}, room_id);
  await room.online();
  assert.equal(room.me, "guest:ann");
  assert.equal((await room.send("hello")).author, "guest:ann");
  await room.answered(() => clock.suspend(3_580_000));
  await until("the new token", () => requests === 2);
  clock.advance(6_000);
  assert.equal(room.state, "online");
  await assert.doesNotReject(room.send("an hour later"));
});

test("a guest is the same after a reload, and another one with its id is not", async (t) => {
  const server = await Server.start(t);
  const storage = new FileStorage(path.join(server.folder, "outbox"));
  const user = { id: "ann", name: "Ann" };
  const host = open(t, server.url, { storage, user }, {}, "none");
  const { room_id } = await host.confab.create({ title: "Tea" });
  const first = open(t, server.url, { storage, user }, {}, room_id);
  const mine = await first.send("mine");
  assert.deepEqual([mine.own, mine.guestKey?.length], [true, 8]);
  first.close();
  // The token of `create` is that of the creator.
  const second = open(t, server.url, { storage, user }, {}, room_id);
  await second.online();
  assert.deepEqual(second.messages.map((each) => each.own), [true]);
  await second.edit(1, "still mine");
  await second.confab.update(room_id, { title: "Coffee" });

  const stranger = open(t, server.url, { user: { id: "ann", name: "Ann" } }, {}, room_id);
  await stranger.online();
  assert.equal(stranger.me, second.me);
  assert.notEqual(stranger.guestKey, second.guestKey);
  assert.deepEqual(stranger.messages.map((each) => each.own), [false]);
  await assert.rejects(stranger.edit(1, "stolen"), /author/);
  await assert.rejects(stranger.confab.update(room_id, { title: "Stolen" }));
  const theirs = await stranger.send("theirs");
  await until("received", () => second.messages.length === 2);
  const [, received] = second.messages;
  assert.deepEqual([received.author, received.own], ["guest:ann", false]);
  assert.equal(received.guestKey, theirs.guestKey);
  await until("present", () => second.present.length === 1);
  assert.equal(second.present[0].guestKey, stranger.guestKey);
  assert.equal(stranger.present[0].guestKey, second.guestKey);
});

test("guests without anonymous access, or without the conversation: refused with a reason",
  async (t) => {
    const server = await Server.start(t, "--anonymous", "off");
    const room = open(t, server.url, { user: { name: "Ann" } });
    await until("refused", () => room.state === "refused");
    assert.match(room.events("state").at(-1).reason, /token/);
    const other = await Server.start(t);
    const lost = open(t, other.url, { user: { name: "Ann" } }, {}, "nowhere1");
    await until("refused", () => lost.state === "refused");
    assert.match(lost.events("state").at(-1).reason, /conversation/);
  });
