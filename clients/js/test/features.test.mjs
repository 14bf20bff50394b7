// Reactions, replies, mentions, pins, threads and search: always in present state, whatever happens
// to the connection.
import assert from "node:assert/strict";
import path from "node:path";
import {
  FileStorage, open, Proxy, Server, sleep, test, TestClock, texts, until, WebSocket,
} from "./support.mjs";

const fast = ["--limit", "messages-per-second=100000", "--limit", "message-burst=100000"];

/** Sends a reaction over a plain connection, and waits for its answer. */
const react = (socket, id, emoji, on = true) => socket.request(
  { action: "react", message_id: `${id}`, emoji, on }, (f) => f.type === "reacted");
const act = (socket, action, id, type) =>
  socket.request({ action, message_id: `${id}` }, (f) => f.type === type);
const shown = (message) => message.reactions.map(({ emoji, count, mine }) =>
  `${emoji}${count}${mine ? "*" : ""}`).join(" ");

/** A room with its events of message features in `log`. */
function watch(t, url, ...rest) {
  const room = open(t, url, ...rest);
  for (const name of ["reactions", "pin", "replies", "quote"]) {
    room.on(name, (data) => room.log.push([name, { ...data }]));
  }
  return room;
}

test("reactions: own ones are marked, those of others are counted", async (t) => {
  const server = await Server.start(t);
  const ann = watch(t, server.url, { token: server.token("ann") }), bob = await server.raw("bob");
  const { id } = await ann.send("one");
  await ann.react(id, "👍");
  await until("own", () => shown(ann.messages[0]) === "👍1*");
  await react(bob, id, "👍");
  await react(bob, id, ":ship:");
  await until("both", () => shown(ann.messages[0]) === "👍2* :ship:1");
  assert.deepEqual(ann.messages[0].reactions[0].users, ["ann", "bob"]);
  await ann.react(id, "👍", false);
  await until("off", () => shown(ann.messages[0]) === "👍1 :ship:1");
  const revs = ann.events("reactions").map(({ rev }) => rev);
  assert.deepEqual(revs, [...revs].sort((a, b) => a - b));
  await assert.rejects(ann.react(id, "no emoji"), { message: /^emoji: /, retry: false });
  await assert.rejects(ann.react(99, "👍"), { message: "message_id: there is no message 99" });
  const other = open(t, server.url, { token: server.token("bob") });
  await other.online();
  assert.equal(shown(other.messages[0]), "👍1* :ship:1*", "a page names own reactions");
});

test("more than 20 users: the own reaction stays marked although events do not name it",
  async (t) => {
    const server = await Server.start(t, ...fast);
    const ann = watch(t, server.url, { token: server.token("ann") });
    const { id } = await ann.send("popular");
    for (let n = 1; n <= 22; n++) await react(await server.raw(`user${n}`), id, "❤️");
    await until("22", () => ann.messages[0].reactions[0]?.count === 22);
    const [group] = ann.messages[0].reactions;
    assert.deepEqual([group.users.length, group.mine], [20, false]);
    await ann.react(id, "❤️");
    await until("mine", () => ann.messages[0].reactions[0].count === 23);
    assert.equal(ann.messages[0].reactions[0].mine, true);
    await react(await server.raw("user23"), id, "❤️");
    await until("24", () => ann.messages[0].reactions[0].count === 24);
    assert.equal(ann.messages[0].reactions[0].mine, true);
    await ann.react(id, "❤️", false);
    await until("23", () => ann.messages[0].reactions[0].count === 23);
    assert.equal(ann.messages[0].reactions[0].mine, false);
  });

test("an interruption: missed reactions, pins and edits of old messages arrive after it",
  async (t) => {
    const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
    const ann = watch(t, proxy.url, { token: server.token("ann") }), bob = await server.raw("bob");
    for (const text of ["one", "two", "three"]) await ann.send(text);
    await react(bob, 2, "👍");
    await act(bob, "pin", 3, "pinned");
    await until("both", () => shown(ann.messages[1]) && ann.messages[2].pinned);
    proxy.mode = "refuse";
    proxy.cut();
    await react(bob, 1, "👍");
    await react(bob, 2, "👍", false);
    await act(bob, "unpin", 3, "unpinned");
    await bob.say("four");
    await react(bob, 4, "🎉");
    await act(bob, "pin", 4, "pinned");
    proxy.mode = "pass";
    await until("four", () => ann.messages.length === 4 && ann.state === "online");
    await until("all", () => ann.messages.map(shown).join() === "👍1,,,🎉1"
      && ann.messages.map(({ pinned }) => pinned?.by).join() === ",,,bob");
  });

/** The proxy can read only frames that are not compressed. */
class PlainSocket extends WebSocket {
  constructor(url) {
    super(url, { perMessageDeflate: false });
  }
}

test("a pin of a message that is still missing comes with the message", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const clock = new TestClock();
  const ann = watch(t, proxy.url, { token: server.token("ann"), clock, WebSocket: PlainSocket });
  const bob = await server.raw("bob");
  await ann.online();
  await bob.say("one");
  await until("one", () => ann.messages.length === 1);
  proxy.drop = (frame) => /"type":"chat_message".*"content":"(two|three)"/.test(frame);
  for (const text of ["two", "three"]) await bob.say(text);
  await act(bob, "pin", 3, "pinned");
  await act(bob, "pin", 1, "pinned");
  await until("the pin of the first", () => ann.messages[0].pinned);
  proxy.drop = undefined;
  // Only now the kit fetches what is missing, and connects again after less than a second.
  clock.advance(400);
  clock.advance(1_000);
  await until("all", () => ann.messages.length === 3);
  assert.deepEqual(ann.messages.map(({ pinned }) => pinned?.by), ["bob", undefined, "bob"]);
  assert.deepEqual(ann.events("message").map(({ id }) => id), [1, 2, 3]);
  assert.deepEqual(ann.events("pin").map(({ id }) => id), [1]);
});

test("requests without an answer are repeated: reactions, pins, unpins", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const options = { token: server.token("ann"), WebSocket: PlainSocket };
  const ann = watch(t, proxy.url, options), bob = await server.raw("bob");
  const { id } = await ann.send("one");
  const lost = async (request, types) => {
    await ann.online();
    proxy.drop = (frame) => types.some((type) => frame.includes(`"type":"${type}"`));
    const start = bob.frames.length, done = request();
    await until(types[0], () => bob.frames.slice(start).some((f) => types.includes(f.type)));
    await until(`dropped ${types}`, () => proxy.dropped > 0);
    proxy.dropped = 0;
    proxy.drop = undefined;
    proxy.cut();
    await done;
  };
  await lost(() => ann.react(id, "👍"), ["reactions", "reacted"]);
  await until("reacted", () => shown(ann.messages[0]) === "👍1*");
  await lost(() => ann.pin(id), ["pinned"]);
  assert.equal(ann.messages[0].pinned.by, "ann");
  await lost(() => ann.unpin(id), ["unpinned"]);
  assert.equal(ann.messages[0].pinned, undefined);
});

test("a late event with an older state replaces nothing", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const ann = watch(t, proxy.url, { token: server.token("ann") });
  const { id } = await ann.send("one");
  await ann.react(id, "👍");
  await until("own", () => shown(ann.messages[0]) === "👍1*");
  const { rev } = ann.messages[0];
  // The kit's own socket delivers what the test invents.
  const deliver = (frame) => proxy.inject(JSON.stringify(frame));
  deliver({ type: "reactions", message_id: `${id}`, rev: rev - 1, reactions: [] });
  deliver({ type: "reactions", message_id: `${id}`, rev: rev + 5,
    reactions: [{ emoji: "🎉", count: 1, users: ["bob"] }] });
  deliver({ type: "reactions", message_id: `${id}`, rev: rev + 4, reactions: [] });
  await until("the newest", () => shown(ann.messages[0]) === "🎉1");
  await sleep(50);
  assert.equal(shown(ann.messages[0]), "🎉1");
  // A part of the message with an older revision does not hold up another part.
  deliver({ type: "message.edited", message: { id: `${id}`, sender_id: "ann", username: "Ann",
    content: "ONE", timestamp: ann.messages[0].time, is_edited: true, rev: rev + 3 } });
  await until("the edit", () => ann.messages[0].text === "ONE");
  assert.equal(shown(ann.messages[0]), "🎉1");
});

test("replies and threads: root, count, excerpt, and a thread that stays current", async (t) => {
  const server = await Server.start(t);
  const ann = watch(t, server.url, { token: server.token("ann") }), bob = await server.raw("bob");
  const root = await ann.send("root"), other = await ann.send("other");
  const first = await ann.send("first", { replyTo: root.id });
  assert.deepEqual([first.replyTo, first.thread, first.replyExcerpt.text], [1, 1, "root"]);
  const thread = await ann.thread(first.id);
  assert.deepEqual(texts(thread), ["root", "first"]);
  let changes = 0;
  thread.on("change", () => changes++);
  await bob.request({ action: "send_message", content: "second", reply_to: `${first.id}` },
    (f) => f.type === "chat_message");
  await until("second", () => texts(thread).join() === "root,first,second");
  assert.equal(thread.messages[2].thread, 1);
  assert.deepEqual([root, other].map(({ replies, lastReplyId }) => [replies, lastReplyId]),
    [[2, 4], [0, 0]]);
  assert.equal(ann.events("replies").length, 2);
  await ann.edit(root.id, "ROOT");
  await until("the excerpts", () => first.replyExcerpt.text === "ROOT");
  await ann.delete(first.id);
  await until("no excerpt", () => thread.messages[2].replyExcerpt === null);
  assert.equal(thread.messages[1].deleted, true);
  const seen = changes;
  assert.ok(seen > 2);
  thread.close();
  await ann.send("third", { replyTo: root.id });
  assert.equal(changes, seen);
  await assert.rejects(ann.send("no", { replyTo: 99 }),
    { message: "reply_to: there is no message 99" });
  const late = open(t, server.url, { token: server.token("bob") });
  await late.online();
  assert.deepEqual(late.messages.map((m) => [m.replies, m.lastReplyId, m.replyExcerpt?.text]),
    [[3, 5, undefined], [0, 0, undefined], [0, 0, "ROOT"], [0, 0, undefined], [0, 0, "ROOT"]]);
  await bob.request({ action: "send_message", content: "fourth", reply_to: "1" },
    (f) => f.type === "chat_message");
  await until("four", () => late.messages[0].replies === 4);
});

test("a thread over an interruption, with pending replies, and its older pages", async (t) => {
  const server = await Server.start(t, ...fast), proxy = await Proxy.start(t, server.port);
  const ann = watch(t, proxy.url, { token: server.token("ann") }), bob = await server.raw("bob");
  const root = await ann.send("root");
  for (let n = 1; n <= 25; n++) {
    await bob.request({ action: "send_message", content: `${n}`, reply_to: "1" },
      (f) => f.type === "chat_message" && f.message.content === `${n}`);
    await bob.say(`between ${n}`);
  }
  const thread = await ann.thread(1, { limit: 10 });
  assert.equal(texts(thread).join(), "16,17,18,19,20,21,22,23,24,25");
  assert.equal(await thread.older(10), true);
  assert.equal(await thread.older(10), false);
  assert.equal(thread.messages[0], root, "one message is one object");
  assert.equal(thread.messages.length, 26);
  await server.kill();
  await until("waiting", () => ann.state === "waiting");
  const sent = ann.send("26", { replyTo: 1 });
  assert.deepEqual([texts(thread).at(-1), thread.messages.at(-1).state], ["26", "sending"]);
  await server.start();
  await (await server.raw("bob")).request({ action: "edit_message", message_id: "2", content: "I" },
    (f) => f.type === "message.edited");
  await sent;
  await until("all", () => texts(thread)[1] === "I" && thread.messages.length === 27);
  assert.equal(texts(thread).at(-1), "26");
  assert.notEqual(thread.messages.at(-1).state, "sending");
});

test("the excerpt of a message that is not loaded is fetched", async (t) => {
  const server = await Server.start(t, ...fast), bob = await server.raw("bob");
  for (let n = 1; n <= 80; n++) await bob.say(`${n}`);
  await act(bob, "delete_message", 3, "message.deleted");
  const ann = watch(t, server.url, { token: server.token("ann") });
  await ann.online();
  const reply = (id) => bob.request({ action: "send_message", content: "reply", reply_to: `${id}` },
    (f) => f.type === "chat_message");
  await reply(2);
  await until("the excerpt", () => ann.messages.at(-1).replyExcerpt?.text === "2");
  await reply(3);
  await until("none", () => ann.messages.at(-1).replyExcerpt === null);
  assert.deepEqual(ann.events("quote").map(({ id }) => id), [81, 82]);
});

test("the outbox keeps the reply and the mentions, also of another process", async (t) => {
  const server = await Server.start(t), token = server.token("ann");
  const storage = new FileStorage(path.join(server.folder, "outbox"));
  const bob = await server.raw("bob");
  await bob.say("one");
  const first = open(t, server.url, { token, storage });
  await first.online();
  await server.kill();
  const [pending] = (first.send("reply", { replyTo: 1, mentions: ["bob", "dan"] }), first.outbox);
  assert.deepEqual([pending.replyTo, pending.thread, pending.replyExcerpt.text, pending.mentions],
    [1, 1, "one", ["bob", "dan"]]);
  await until("saved", async () => (await storage.list("")).length === 1);
  first.confab.close();
  await server.start();
  const second = open(t, server.url, { token, storage });
  await until("sent", () => second.messages.length === 2 && !second.outbox.length);
  const message = second.messages[1];
  assert.deepEqual([message.replyTo, message.mentions, message.notMembers], [1, ["bob"], ["dan"]]);
  assert.deepEqual((await second.send("all", { mentions: "all" })).mentions, "all");
});

test("pins: newest first, in present state, with events for messages that are not loaded",
  async (t) => {
    const server = await Server.start(t, ...fast), bob = await server.raw("bob");
    for (let n = 1; n <= 80; n++) await bob.say(`${n}`);
    const ann = watch(t, server.url, { token: server.token("ann") });
    await ann.online();
    await ann.pin(80);
    await act(bob, "pin", 2, "pinned");
    await until("pinned", () => ann.events("pin").length === 2);
    assert.deepEqual(ann.events("pin").map(({ id, text, pinned }) => [id, text, pinned.by]),
      [[80, "80", "ann"], [2, "2", "bob"]]);
    const pins = await ann.pins();
    assert.deepEqual(pins.map(({ id }) => id), [2, 80]);
    assert.equal(pins[1], ann.messages.at(-1));
    await bob.request({ action: "edit_message", message_id: "2", content: "II" },
      (f) => f.type === "message.edited");
    await until("the edit", () => pins[0].text === "II");
    await ann.unpin(2);
    assert.deepEqual([(await ann.pins()).length, pins[0].pinned], [1, undefined]);
    await assert.rejects(ann.unpin(2), { message: "message_id: message 2 is not pinned" });
    await act(bob, "delete_message", 80, "message.deleted");
    await until("deleted", () => ann.messages.at(-1).deleted);
    assert.equal(ann.messages.at(-1).pinned, undefined);
  });

test("search: pages, newest first, and the server's sentence for what it refuses", async (t) => {
  const server = await Server.start(t, ...fast), bob = await server.raw("bob");
  for (let n = 1; n <= 25; n++) await bob.say(n % 5 ? `tea ${n}` : `Café ${n}`);
  const ann = open(t, server.url, { token: server.token("ann") });
  const first = await ann.search("caf", { limit: 3 });
  assert.deepEqual(first.messages.map(({ id }) => id), [25, 20, 15]);
  const second = await ann.search("caf", { limit: 3, before: first.next });
  assert.deepEqual(second.messages.map(({ id }) => id), [10, 5]);
  assert.deepEqual([second.next, second.incomplete], [undefined, false]);
  const controller = new AbortController();
  const aborted = ann.search("tea", { signal: controller.signal });
  controller.abort(new Error("other words"));
  await assert.rejects(aborted, { message: "other words" });
  const { messages } = await ann.search("caf", { limit: 1 });
  assert.deepEqual(messages.map(({ id }) => id), [25], "not the results of the aborted search");
  await assert.rejects(ann.search("…"), { message: "text: must contain a letter or a digit" });
});

test("around: an old message and its neighbours, up to where they meet the list", async (t) => {
  const server = await Server.start(t, ...fast), bob = await server.raw("bob");
  for (let n = 1; n <= 200; n++) await bob.say(`${n}`);
  const ann = watch(t, server.url, { token: server.token("ann") });
  await ann.online();
  const view = await ann.around(40, { limit: 10 });
  assert.deepEqual([texts(view)[0], texts(view).at(-1)], ["31", "50"]);
  assert.equal(await view.older(25), true);
  assert.equal(await view.older(25), false);
  await bob.request({ action: "edit_message", message_id: "40", content: "XL" },
    (f) => f.type === "message.edited");
  await until("the edit", () => texts(view)[39] === "XL");
  assert.equal(await view.newer(50), true);
  assert.equal(ann.messages[0].id, 151);
  assert.equal(await view.newer(50), false);
  assert.deepEqual(ann.messages.map(({ id }) => id), Array.from({ length: 200 }, (_, n) => n + 1));
  assert.equal(ann.messages[39].text, "XL");
  view.close();
});

test("100 reactions in a second: few events, and the counts are right", async (t) => {
  const server = await Server.start(t, ...fast);
  const ann = watch(t, server.url, { token: server.token("ann") });
  const { id } = await ann.send("one"), emoji = ["👍", "❤️", "🎉", "😂", "👀"], users = [];
  for (let n = 0; n < 20; n++) users.push(await server.raw(`user${n}`));
  for (const each of emoji) {
    for (const user of users) {
      user.send(JSON.stringify({ action: "react", message_id: `${id}`, emoji: each, on: true }));
    }
  }
  const sum = () => ann.messages[0].reactions.reduce((sum, { count }) => sum + count, 0);
  await until("all", () => sum() === 100);
  assert.deepEqual(ann.messages[0].reactions.map(({ count }) => count), [20, 20, 20, 20, 20]);
  assert.ok(ann.events("reactions").length < 20, `${ann.events("reactions").length} events`);
});
