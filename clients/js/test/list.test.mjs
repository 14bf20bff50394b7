// Rule 4: the list is sorted, without a gap, without a repetition, and in present state.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { open, Proxy, Server, sleep, test, texts, until } from "./support.mjs";

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => `${from + n}`);

async function fill(server, count, conversation) {
  const socket = await server.raw("bob", conversation);
  for (let n = 1; n <= count; n++) {
    socket.send(JSON.stringify({ action: "send_message", content: `${n}` }));
    if (n % 500 === 0 || n === count) {
      await until("stored", () => socket.frames.filter((f) => f.message).length === n);
    }
  }
  return socket;
}

const fast = ["--limit", "messages-per-second=100000", "--limit", "message-burst=100000"];

test("a new conversation starts with the newest page; older() loads the rest", async (t) => {
  const server = await Server.start(t, ...fast);
  await fill(server, 230);
  const room = open(t, server.url, { token: server.token("ann") });
  await room.online();
  assert.deepEqual(texts(room), numbers(181, 230));
  assert.deepEqual(room.events("reset").map((e) => e.reason), ["opened"]);
  assert.deepEqual(room.events("message"), []);
  assert.equal(await room.older(100), true);
  assert.deepEqual(texts(room), numbers(81, 230));
  assert.deepEqual(await Promise.all([room.older(40), room.older(30)]), [true, true]);
  assert.equal(await room.older(50), false);
  assert.deepEqual(texts(room), numbers(1, 230));
  assert.equal(await room.older(50), false);
});

test("a lost message is noticed, and comes with the edits that were lost with it", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const room = open(t, proxy.url, { token: server.token("ann") });
  const bob = await server.raw("bob");
  await room.online();
  await bob.say("one");
  await until("one", () => room.messages.length === 1);
  proxy.drop = (frame) => /"content":"(two|ONE)"/.test(frame);
  await bob.say("two");
  await bob.request({ action: "edit_message", message_id: "1", content: "ONE" },
    (frame) => frame.type === "message.edited");
  await sleep(50);
  assert.deepEqual(texts(room), ["one"]);
  await bob.say("three");
  await sleep(50);
  proxy.drop = undefined;
  await until("all three", () => room.messages.length === 3);
  assert.deepEqual(texts(room), ["ONE", "two", "three"]);
  assert.deepEqual(room.events("message").map((m) => m.id), [1, 2, 3]);
  assert.equal(room.events("change").length, 1);
});

test("missed messages, edits and deletions arrive after an interruption", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const room = open(t, proxy.url, { token: server.token("ann") });
  const bob = await server.raw("bob");
  await room.online();
  for (const text of ["one", "two", "three"]) await bob.say(text);
  await until("three", () => room.messages.length === 3);
  proxy.mode = "refuse";
  proxy.cut();
  await bob.request({ action: "edit_message", message_id: "1", content: "ONE" },
    (frame) => frame.type === "message.edited");
  await bob.request({ action: "delete_message", message_id: "2" },
    (frame) => frame.type === "message.deleted");
  await bob.say("four");
  proxy.mode = "pass";
  await until("four", () => room.messages.length === 4);
  assert.deepEqual(texts(room), ["ONE", "", "three", "four"]);
  assert.deepEqual(room.messages.map((m) => [m.edited, m.deleted]),
    [[true, false], [false, true], [false, false], [false, false]]);
  assert.deepEqual(room.events("change").map((m) => m.id), [1]);
  assert.deepEqual(room.events("remove").map((m) => m.id), [2]);
  assert.deepEqual(room.events("message").map((m) => m.id), [1, 2, 3, 4]);
});

test("after and rev resume in another process", async (t) => {
  const server = await Server.start(t), token = server.token("ann");
  const bob = await server.raw("bob");
  await bob.say("one");
  await bob.say("two");
  const first = open(t, server.url, { token }, { after: 0 });
  await until("two", () => first.messages.length === 2);
  const { after, rev } = first;
  first.close();
  await bob.request({ action: "edit_message", message_id: "1", content: "ONE" },
    (frame) => frame.type === "message.edited");
  await bob.say("three");
  const second = open(t, server.url, { token }, { after, rev });
  await until("three", () => second.messages.length === 1);
  assert.deepEqual(texts(second), ["three"]);
  assert.equal(await second.older(), false);
  assert.deepEqual(texts(second), ["ONE", "two", "three"]);
});

test("history truncated: a reset with what is retained", async (t) => {
  const server = await Server.start(t, "--history", "20", ...fast);
  const proxy = await Proxy.start(t, server.port);
  const room = open(t, proxy.url, { token: server.token("ann") });
  await room.online();
  const bob = await fill(server, 5);
  await until("five", () => room.messages.length === 5);
  proxy.mode = "refuse";
  proxy.cut();
  for (let n = 6; n <= 60; n++) await bob.say(`${n}`);
  proxy.mode = "pass";
  await until("a reset", () => room.events("reset").length === 2);
  await room.online();
  const { reason, messages } = room.events("reset")[1];
  assert.equal(reason, "history truncated");
  assert.deepEqual(messages.map((m) => m.text), texts(room));
  assert.deepEqual(texts(room), numbers(room.messages[0].id, 60));
  assert.ok(room.messages[0].id > 6);
  assert.deepEqual(room.events("message").map((m) => `${m.id}`),
    numbers(1, 5), "the reset contains the new ones");
  await bob.say("61");
  await until("61", () => texts(room).at(-1) === "61");
});

test("history reset: a restored backup replaces the list", async (t) => {
  const server = await Server.start(t);
  const bob = await server.raw("bob");
  await bob.say("one");
  await server.kill();
  const files = fs.readdirSync(server.folder).filter((name) => name.startsWith("chat.db"));
  const backup = files.map((name) => [name, fs.readFileSync(path.join(server.folder, name))]);
  await server.start();
  const room = open(t, server.url, { token: server.token("ann") });
  await room.online();
  const again = await server.raw("bob");
  await again.say("lost two");
  await again.say("lost three");
  await until("three", () => room.messages.length === 3);
  room.read(3);
  await until("the receipt", async () => (await room.receipts()).me.read === "3");
  await server.kill();
  for (const name of fs.readdirSync(server.folder)) fs.rmSync(path.join(server.folder, name));
  for (const [name, bytes] of backup) fs.writeFileSync(path.join(server.folder, name), bytes);
  await server.start();
  await until("a reset", () => room.events("reset").length === 2);
  assert.equal(room.events("reset")[1].reason, "history reset");
  assert.deepEqual(texts(room), ["one"]);
  await (await server.raw("bob")).say("two");
  await until("two", () => room.messages.length === 2);
  assert.deepEqual(texts(room), ["one", "two"]);
  // The number that was read before is a new message.
  room.read(2);
  await until("the new receipt", async () => (await room.receipts()).me.read === "2");
});

test("long pages come in parts, and the kit joins them", async (t) => {
  const server = await Server.start(t, ...fast, "--limit", "page-bytes=1024");
  const bob = await server.raw("bob");
  await bob.say("root");
  for (let n = 2; n <= 12; n++) {
    bob.send(JSON.stringify({ action: "send_message", content: `${n}`, reply_to: "1" }));
  }
  await until("stored", () => bob.frames.filter((f) => f.message?.id === "12").length);
  const room = open(t, server.url, { token: server.token("ann") });
  await room.online();
  assert.deepEqual(texts(room), ["12"], "one message fills the page");
  assert.equal(await room.older(5), true);
  assert.deepEqual(texts(room), numbers(7, 12));
  assert.equal(await room.older(50), false);
  assert.deepEqual(texts(room), ["root", ...numbers(2, 12)]);
  const thread = await room.thread(1, { limit: 7 });
  assert.deepEqual(thread.messages.map((m) => m.text), numbers(6, 12));
  assert.equal(await thread.older(5), false);
  assert.deepEqual(thread.messages.map((m) => m.text), ["root", ...numbers(2, 12)]);
  for (const id of [3, 5, 8]) await room.pin(id);
  assert.deepEqual((await room.pins()).map((m) => m.id), [8, 5, 3]);
});

test("the list keeps the newest `limit` messages; older() brings others back", async (t) => {
  const server = await Server.start(t, ...fast);
  const room = open(t, server.url, { token: server.token("ann") }, { limit: 100 });
  await room.online();
  const bob = await fill(server, 250);
  await until("250", () => texts(room).at(-1) === "250");
  assert.deepEqual(texts(room), numbers(151, 250));
  await room.older(50);
  assert.deepEqual(texts(room), numbers(101, 250));
  await bob.say("251");
  await until("251", () => texts(room).at(-1) === "251");
  assert.equal(room.messages.length, 150, "what older() loaded stays until latest()");
  await bob.request({ action: "edit_message", message_id: "120", content: "CXX" },
    (frame) => frame.type === "message.edited");
  await until("the edit", () => room.messages.some((m) => m.text === "CXX"));
  room.latest();
  assert.deepEqual(texts(room), numbers(152, 251));
});

test("10,000 messages: no quadratic work", async (t) => {
  const server = await Server.start(t, ...fast, "--history", "20000");
  await fill(server, 10_000);
  const time = async (after) => {
    // The processor time of this process: the server and other programs take time as well.
    const start = process.cpuUsage();
    const room = open(t, server.url, { token: server.token("ann") }, { after, limit: 20_000 });
    await until("10,000", () => room.messages.at(-1)?.id === 10_000, 60_000);
    const { user, system } = process.cpuUsage(start);
    assert.deepEqual(texts(room), numbers(after + 1, 10_000));
    room.confab.close();
    return { ms: (user + system) / 1_000 };
  };
  await time(9_000);
  const [tenth, all] = [await time(9_000), await time(0)];
  t.diagnostic(`1,000: ${tenth.ms.toFixed(0)} ms, 10,000: ${all.ms.toFixed(0)} ms`);
  assert.ok(all.ms < 3_000, `${all.ms} ms`);
});
