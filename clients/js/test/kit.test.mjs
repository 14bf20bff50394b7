// Rules 8 to 10, async iteration, events of others, and what the kit promises about itself.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import {
  binary, makeToken, open, Proxy, Server, sleep, test, TestClock, until, WebSocket,
} from "./support.mjs";
import { Confab } from "../confab.js";

const before = Object.getOwnPropertyNames(globalThis).sort();
const folder = new URL("..", import.meta.url).pathname;

test("rule 8: time() is the server's time, whatever the client's clock says", async (t) => {
  const server = await Server.start(t);
  for (const skew of [-3_600_000, 0, 3_600_000]) {
    const clock = new TestClock(Date.now() + skew);
    const room = open(t, server.url, { token: server.token("ann"), clock }, {}, `c${skew}`);
    await room.online();
    assert.equal(room.confab.time(), clock.now(), "unknown before the first message");
    const before = Date.now();
    clock.time = before + skew;
    const message = await room.send("x");
    const time = room.confab.time(), after = Date.now();
    assert.ok(time > before - 1_000 && time < after + 1_000, `${before}, ${time}, ${after}`);
    assert.ok(room.confab.time() >= Date.parse(message.time), "no message is in the future");
    const other = open(t, server.url, { token: server.token("bob"), clock }, {}, `c${skew}`);
    await other.online();
    assert.ok(other.confab.time() >= Date.parse(message.time), "also of an earlier message");
  }
});

test("rule 9: AbortSignal ends waiting for every request", async (t) => {
  const server = await Server.start(t), token = server.token("ann");
  await server.kill();
  const room = open(t, server.url, { token });
  for (const request of [
    (signal) => room.send("x", { signal }), (signal) => room.edit(1, "x", { signal }),
    (signal) => room.delete(1, { signal }), (signal) => room.older(5, { signal }),
  ]) {
    const controller = new AbortController();
    const result = request(controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(result, { message: "enough" });
    await assert.rejects(request(AbortSignal.abort(new Error("before"))), { message: "before" });
  }
  assert.deepEqual(room.outbox, [], "an aborted message is not sent");
  await server.start();
  for (const name of ["list", "create"]) {
    await assert.rejects(room.confab[name]({ signal: AbortSignal.abort(new Error("rest")) }),
      { message: "rest" });
  }
  const controller = new AbortController();
  const other = open(t, server.url, { token, signal: controller.signal });
  await other.online();
  controller.abort();
  assert.equal(other.state, "closed");
});

test("rule 9: a listener that throws does not break the delivery", async (t) => {
  const server = await Server.start(t);
  const room = open(t, server.url, { token: server.token("ann") }), seen = [], errors = [];
  room.on("message", () => { throw new Error("listener"); });
  const off = room.on("message", (m) => seen.push(m.id));
  room.on("error", (error) => errors.push(error.message));
  room.on("error", () => { throw new Error("in the error listener"); });
  await room.send("one");
  off();
  await room.send("two");
  assert.deepEqual(seen, [1]);
  assert.deepEqual(errors, ["listener", "listener"]);
});

test("a listener may close the conversation while it goes online", async (t) => {
  const server = await Server.start(t);
  const room = open(t, server.url, { token: server.token("ann") });
  room.on("reset", () => room.close());
  await until("closed", () => room.state === "closed");
  await sleep(50);
  assert.deepEqual(room.events("state").map((e) => e.state), ["connecting", "closed"]);
});

test("rule 10: nothing global", () => {
  assert.deepEqual(Object.getOwnPropertyNames(globalThis).sort(), before);
});

test("rule 10: no output, no unhandled rejection, and close() ends the process", async (t) => {
  const server = await Server.start(t);
  const script = `
    import { Confab } from "${folder}confab.js";
    import { WebSocket } from "${folder}test/support.mjs";
    const confab = new Confab("${server.url}", { token: "${server.token("ann")}", WebSocket });
    const room = confab.conversation("lobby");
    room.send("  ");
    room.on("message", () => { throw new Error("listener"); });
    await room.send("one");
    confab.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const started = Date.now();
  const code = await new Promise((done) => child.once("exit", done));
  assert.deepEqual([code, output], [0, ""]);
  assert.ok(Date.now() - started < 15_000, "ws waits 30 s for the other end");
});

test("async iteration: messages from now on, over interruptions, until close", async (t) => {
  const server = await Server.start(t), proxy = await Proxy.start(t, server.port);
  const bob = await server.raw("bob");
  await bob.say("old");
  const room = open(t, proxy.url, { token: server.token("ann") });
  const seen = [];
  const done = (async () => {
    for await (const m of room) seen.push(m.text);
  })();
  await room.online();
  await bob.say("one");
  await until("one", () => seen.length === 1);
  proxy.cut();
  await bob.say("two");
  await room.send("three");
  await until("three", () => seen.length === 3);
  assert.deepEqual(seen, ["one", "two", "three"]);
  room.close();
  await done;
});

test("async iteration with `after`, and its end by break", async (t) => {
  const server = await Server.start(t), bob = await server.raw("bob");
  for (const text of ["one", "two", "three"]) await bob.say(text);
  const room = open(t, server.url, { token: server.token("ann") }, { after: 1 });
  const seen = [];
  for await (const m of room) {
    seen.push(m.text);
    if (m.text === "three") break;
  }
  assert.deepEqual(seen, ["two", "three"]);
});

test("async iteration throws when the user is refused", async (t) => {
  const server = await Server.start(t);
  const room = open(t, server.url, { token: "forged" });
  await assert.rejects(async () => {
    for await (const m of room) assert.fail(m);
  }, { name: "ConfabError", message: /token/ });
  assert.equal(room.state, "refused");
});

test("typing, presence and receipts", async (t) => {
  const server = await Server.start(t), clock = new TestClock();
  const ann = open(t, server.url, { token: server.token("ann"), clock });
  await ann.online();
  const events = { typing: [], presence: [], receipt: [] };
  for (const name of Object.keys(events)) ann.on(name, (data) => events[name].push(data));
  const bob = await server.raw("bob");
  await until("presence", () => events.presence.length === 1);
  const [{ online, changes: [{ user, name, guestKey, ...change }] }] = events.presence;
  assert.deepEqual([online, user, guestKey, change], [1, "bob", undefined, { online: true }]);
  assert.ok(["bob", "BOB"].includes(name), name);  // The server may send the user name.
  // Typing is not stored: a client that has not joined completely does not receive it.
  await until("bob has joined", () => bob.frames.some((frame) => frame.user_id === "ann"));
  for (let n = 0; n < 10; n++) ann.typing();
  clock.advance(3_000);
  ann.typing();
  ann.typing(false);
  ann.typing(false);
  await until("typing", () => bob.frames.some((f) => f.type === "typing" && !f.is_typing));
  await sleep(50);
  assert.ok(bob.frames.filter((f) => f.type === "typing").length <= 3);
  bob.send(JSON.stringify({ action: "typing", is_typing: true }));
  await until("typing", () => events.typing.length === 1);
  await ann.send("one");
  await bob.request({ action: "read", message_ids: ["1"] }, (f) => f.type === "read");
  await until("read", () => ann.messages[0].state === "read");
  await bob.say("two");
  await until("two", () => ann.messages.length === 2);
  for (let id = 1; id <= 2; id++) ann.read(id);
  clock.advance(1_000);
  await until("a receipt", () => bob.frames.some(
    (f) => f.type === "read" && f.user_id === "ann" && f.message_ids.includes("2")));
});

test("confab.state is the least connected one; rooms are shared; list, create, join", async (t) => {
  const server = await Server.start(t);
  const { confab } = open(t, server.url, { user: { id: "ann", name: "Ann" } }, {}, "unknown1");
  const { room_id } = await confab.create({ title: "Tea" });
  const tea = confab.conversation(room_id);
  assert.equal(confab.conversation(room_id), tea);
  await until("online", () => tea.state === "online");
  await until("refused", () => confab.state === "refused");
  const { conversations, next_cursor } = await confab.list({ limit: 1 });
  assert.deepEqual([conversations[0].room_id, next_cursor], [room_id, null]);
  const { participant } = await confab.join(room_id, "Anna");
  assert.equal(participant.user_id, "ann");
  await assert.rejects(confab.join("nowhere1"), { code: 404, retry: false });
  confab.close();
  assert.equal(confab.state, "closed");
  confab.connect();
  await until("online", () => tea.state === "online");
});

test("closed conversations are for their members, who see changes and read positions", async (t) => {
  const server = await Server.start(t), key = ["--database", server.database];
  const token = (user) => makeToken(user, key, { conversations: "other" });
  const [ann, bob, eve] = ["ann", "bob", "eve"].map((user) =>
    new Confab(server.url, { token: token(user), WebSocket }));
  t.after(() => [ann, bob, eve].forEach((each) => each.close()));
  const { room_id: id, conversation } = await ann.create({
    title: "Order", access: "closed", members: [{ user_id: "bob", username: "Bob" }],
  });
  assert.deepEqual([conversation.access, conversation.listed, conversation.participant_count],
    ["closed", false, 2]);
  for (const request of ["join", "members", "receipts"]) {
    await assert.rejects(eve[request](id), { code: 404, message: "room_id: no such conversation" });
  }
  assert.deepEqual((await eve.list()).conversations, []);
  const room = ann.conversation(id), other = bob.conversation(id);
  await room.send("Hello");
  const [listed] = (await bob.list({ mine: true })).conversations;
  assert.deepEqual([listed.room_id, listed.unread_count, listed.last_read_id], [id, 1, "0"]);
  await until("bob has it", () => other.messages.length === 1);
  other.read(1);
  await until("bob has read", async () => (await bob.receipts(id)).me.read === "1");
  // As after a reload, when the events are gone.
  room.messages[0].state = "sent";
  const { receipts } = await room.receipts();
  assert.ok(receipts.some((each) => each.user_id === "bob" && each.read === "1"));
  assert.equal(room.messages[0].state, "read");
  const updates = [];
  other.on("updated", (event) => updates.push(event));
  await assert.rejects(bob.update(id, { title: "Mine" }), { code: 403 });
  await ann.update(id, { title: "Tea", access: "open", listed: true });
  await until("the update", () => updates.length === 1);
  const [{ title, access, listed: isListed, by }] = updates;
  assert.deepEqual([title, access, isListed, by], ["Tea", "open", true, "ann"]);
  assert.deepEqual((await eve.list()).conversations.map((each) => each.room_id), [id]);
  await eve.join(id);
  assert.deepEqual((await ann.members(id)).members.map((each) => each.user_id),
    ["ann", "bob", "eve"]);
  await eve.leave(id);
  await ann.removeMember(id, "bob");
  await assert.rejects(bob.join(id), { code: 403 });
  await ann.addMember(id, "bob", { name: "Bob" });
  await bob.join(id);
});

test("Ctrl-C and kill -9 of the server leave no trace on the terminal", async (t) => {
  const server = await Server.start(t);
  const child = spawn(process.execPath, [`${folder}test/driver.mjs`]);
  let output = "", errors = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  child.stdin.write(JSON.stringify({
    do: "open", url: server.url, token: server.token("ann"), conversation: "lobby", store: null,
  }) + "\n");
  await until("online", () => output.includes('"online"'));
  await server.kill();
  await until("waiting", () => output.includes('"waiting"'));
  child.kill("SIGINT");
  await new Promise((done) => child.once("exit", done));
  assert.equal(errors, "");
});

test("tsc accepts the kit, its declarations, and a program that uses them", () => {
  // Not skipped: script/bootstrap tests installs node-typescript.
  execFileSync("tsc", ["--project", folder], { stdio: "pipe" });
});

test("the tests run against a real program", () => {
  assert.match(execFileSync(binary, ["--version"]).toString(), /confab/);
});
