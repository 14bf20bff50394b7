// Rule 5: what was sent is stored once, in order, whatever happens to the connection.
import assert from "node:assert/strict";
import path from "node:path";
import {
  FileStorage, freePort, open, Proxy, Server, sleep, test, TestClock, texts, until, WebSocket,
} from "./support.mjs";

const stored = async (server) => {
  const socket = await server.raw("reader", "lobby", "&after=0");
  await sleep(100);
  const { messages: [newest] } = await socket.request({ action: "fetch_messages", limit: 1 },
    (f) => f.type === "messages_fetched");
  const received = () => socket.frames.filter((f) => f.type === "chat_message");
  await until("all", () => !newest || received().some((f) => f.message.id === newest.id));
  return received().map((f) => f.message.content);
};

test("messages written offline are shown at once and stored in order", async (t) => {
  const server = await Server.start(t), token = server.token("ann");
  await server.kill();
  const room = open(t, server.url, { token });
  const promises = ["one", "two", "three"].map((text) => room.send(text));
  await until("shown", () => room.messages.length === 3);
  assert.deepEqual(texts(room), ["one", "two", "three"]);
  assert.deepEqual(room.messages.map((m) => m.state), ["sending", "sending", "sending"]);
  assert.deepEqual(room.outbox.map((row) => row.text), ["one", "two", "three"]);
  await server.start();
  const messages = await Promise.all(promises);
  assert.deepEqual(messages.map((m) => m.id), [1, 2, 3]);
  assert.deepEqual(texts(room), ["one", "two", "three"]);
  assert.deepEqual(room.outbox, []);
  assert.deepEqual(await stored(server), ["one", "two", "three"]);
});

test("the outbox survives the process, and a message that was stored is not sent twice",
  async (t) => {
    const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
    const storage = new FileStorage(path.join(server.folder, "outbox"));
    const token = server.token("ann");
    const first = open(t, proxy.url, { token, storage });
    await first.online();
    // The server stores the first message; its answer is lost.
    proxy.drop = (frame) => frame.includes('"chat_message"');
    first.send("one", { localId: "a1" });
    first.send("two", { localId: "a2" });
    await until("stored", async () => (await stored(server)).length === 1);
    first.confab.close();
    proxy.drop = undefined;
    const second = open(t, proxy.url, { token, storage });
    await until("loaded", () => second.outbox.length === 2 || second.messages.length === 2);
    await second.online();
    await until("stored", () => second.outbox.length === 0);
    assert.deepEqual(texts(second), ["one", "two"]);
    assert.deepEqual(await stored(server), ["one", "two"]);
    assert.deepEqual(await storage.list(""), []);
  });

test("a row is persisted before it is sent", async (t) => {
  const server = await Server.start(t);
  let finish;
  const storage = new FileStorage(path.join(server.folder, "outbox")), { set } = storage;
  storage.set = async (key, value) => {
    await new Promise((done) => (finish = done));
    await set(key, value);
  };
  const room = open(t, server.url, { token: server.token("ann"), storage });
  await room.online();
  const sent = room.send("slow disk");
  await sleep(200);
  assert.deepEqual(await stored(server), []);
  finish();
  await sent;
  assert.deepEqual(await stored(server), ["slow disk"]);
});

test("a storage that fails does not stop messages", async (t) => {
  const server = await Server.start(t);
  const fail = async () => { throw new Error("full"); };
  const errors = [];
  const room = open(t, server.url,
    { token: server.token("ann"), storage: { get: fail, set: fail, delete: fail, list: fail } });
  room.confab.on("error", ({ message, storage }) => errors.push([message, storage]));
  assert.equal((await room.send("one")).id, 1);
  assert.deepEqual(errors[0], ["storage: full", true]);
});

test("the answer is lost: the message arrives with the replay, and its promise resolves",
  async (t) => {
    const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
    const room = open(t, proxy.url, { token: server.token("ann") });
    await room.online();
    proxy.drop = (frame) => frame.includes('"chat_message"');
    const sent = room.send("once");
    await until("stored", async () => (await stored(server)).length === 1);
    proxy.drop = undefined;
    proxy.cut();
    assert.equal((await sent).id, 1);
    assert.deepEqual(texts(room), ["once"]);
    assert.deepEqual(await stored(server), ["once"]);
  });

test("only one message is in flight", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const room = open(t, proxy.url, { token: server.token("ann") });
  await room.online();
  proxy.drop = (frame) => frame.includes('"chat_message"');
  for (const text of ["one", "two", "three"]) room.send(text);
  await until("the first", async () => (await stored(server)).length > 0);
  await sleep(300);
  assert.deepEqual(await stored(server), ["one"]);
});

test("refused: the promise rejects, the row keeps text and reason, the next one is sent",
  async (t) => {
    const server = await Server.start(t, "--limit", "content-bytes=10");
    const room = open(t, server.url, { token: server.token("ann") });
    const long = room.send("longer than ten bytes", { localId: "a1" });
    const next = room.send("short");
    await assert.rejects(long,
      { name: "ConfabError", retry: false, message: /longer than 10 bytes/ });
    assert.equal((await next).id, 1);
    assert.deepEqual(room.messages.map((m) => [m.text, m.state]),
      [["short", "sent"], ["longer than ten bytes", "failed"]]);
    assert.match(room.outbox[0].error, /longer than 10 bytes/);
    room.retry("a1");
    assert.equal(room.outbox[0].state, "sending");
    await until("refused again", () => room.outbox[0].state === "failed");
    room.discard("a1");
    assert.deepEqual(texts(room), ["short"]);
  });

for (const [what, text] of [
  ["an empty text", "  "], ["a lone surrogate", "a\ud800b"],
  ["a frame above message-bytes", "x".repeat(70_000)],
  ["a frame above frame-bytes, for which the server closes", "x".repeat(1_100_000)],
]) {
  test(`${what} does not block the outbox`, async (t) => {
    const server = await Server.start(t);
    const room = open(t, server.url, { token: server.token("ann"), random: () => 0 });
    const odd = room.send(text).catch((error) => error);
    const message = await room.send("next");
    const result = await odd;
    if (result instanceof Error) assert.equal(result.retry, false);
    else assert.equal(result.text, "a\ufffdb");
    assert.equal(message.text, "next");
  });
}

test("rate limited: the kit waits and keeps the order", async (t) => {
  const server = await Server.start(t,
    "--limit", "messages-per-second=2", "--limit", "message-burst=3");
  const refusals = new Map(), pauses = [];
  class Socket extends WebSocket {
    constructor(...options) {
      super(...options);
      this.addEventListener("message", ({ data }) => {
        const { local_id, retry_after } = JSON.parse(data);
        if (retry_after) refusals.set(local_id, { at: performance.now(), retry_after });
      });
    }
    send(data) {
      const { local_id } = JSON.parse(data), refusal = refusals.get(local_id);
      if (refusal) {
        pauses.push((performance.now() - refusal.at) / 1000 - refusal.retry_after);
        refusals.delete(local_id);
      }
      super.send(data);
    }
  }
  const room = open(t, server.url, { token: server.token("ann"), WebSocket: Socket });
  const expected = Array.from({ length: 9 }, (_, n) => `${n}`);
  await Promise.all(expected.map((text) => room.send(text)));
  assert.deepEqual(texts(room), expected);
  assert.ok(pauses.length > 0, "nothing was refused");
  // Timers may fire a moment early.
  assert.ok(Math.min(...pauses) > -0.02, `pauses: ${pauses}`);
});

test("an ended conversation: `ended` comes at once, and a send is refused", async (t) => {
  const server = await Server.start(t);
  const room = open(t, server.url, { user: { id: "ann", name: "Ann" } }, {}, "none");
  const { room_id } = await room.confab.create({ title: "Tea" });
  const tea = open(t, server.url, { user: { id: "ann", name: "Ann" } }, {}, room_id);
  await tea.send("before");
  await fetch(`${server.url}/api/conversations/${room_id}/end`, {
    method: "POST", body: JSON.stringify({ user_id: "ann" }),
    headers: { "content-type": "application/json" },
  });
  await until("the event", () => tea.events("ended").length === 1);
  assert.equal(tea.ended, true);
  await assert.rejects(tea.send("after"), { message: "conversation ended", retry: false });
  assert.equal(tea.events("ended").length, 1);
});

test("edits and deletions wait for a connection and are answered", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const room = open(t, proxy.url, { token: server.token("ann") });
  await room.send("one");
  await room.send("two");
  proxy.mode = "refuse";
  proxy.cut();
  const changes = Promise.all([room.edit(1, "ONE"), room.delete(2)]);
  await sleep(100);
  proxy.mode = "pass";
  await changes;
  assert.deepEqual(texts(room), ["ONE", ""]);
  const other = open(t, server.url, { token: server.token("bob") });
  await other.online();
  await assert.rejects(other.edit(1, "mine"), { message: /author/, retry: false });
  await assert.rejects(other.delete(9), { message: /9/, retry: false });
});

test("an edit that changes nothing has no answer, and still ends", async (t) => {
  const server = await Server.start(t), clock = new TestClock();
  const room = open(t, server.url, { token: server.token("ann"), clock });
  await room.send("one");
  await room.edit(1, "ONE");
  const again = room.edit(1, "ONE");
  await sleep(50);
  clock.advance(11_000);
  await again;
});

test("a user's outbox is not sent by the next user", async (t) => {
  const server = await Server.start(t);
  const storage = new FileStorage(path.join(server.folder, "outbox"));
  const offline = `http://127.0.0.1:${await freePort()}`;
  const ann = open(t, offline, { token: server.token("ann"), storage, user: { id: "ann" } });
  ann.send("from ann");
  await until("shown", () => ann.messages.length === 1);
  ann.confab.close();
  const bob = open(t, server.url, { token: server.token("bob"), storage, user: { id: "bob" } });
  await bob.send("from bob");
  assert.deepEqual(await stored(server), ["from bob"]);
});
