// The driver of the common fault harness, with the protocol that the harness expects.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import { Server, test, until } from "./support.mjs";

/** A driver; `events` are its lines. */
function start(t) {
  const child = spawn(process.execPath, [new URL("driver.mjs", import.meta.url).pathname]);
  const driver = { child, errors: "", output: "" };
  child.stdout.on("data", (data) => (driver.output += data));
  child.stderr.on("data", (data) => (driver.errors += data));
  driver.exited = new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code)));
  driver.write = (command) => child.stdin.write(JSON.stringify(command) + "\n");
  driver.events = (name) => driver.output.split("\n").slice(0, -1).map((line) => JSON.parse(line))
    .filter(({ event }) => event === name);
  driver.event = (name, index = 0) => until(name, () => driver.events(name)[index]);
  t.after(() => child.kill("SIGKILL"));
  return driver;
}

test("the driver follows the protocol of the harness", async (t) => {
  const server = await Server.start(t, "--limit", "content-bytes=100");
  const store = path.join(server.folder, "outbox"), token = server.token("ann");
  const open = { do: "open", url: server.url, token, conversation: "lobby", store };
  const first = start(t);
  first.write(open);
  assert.deepEqual(await first.event("reset"), { event: "reset", reason: "opened", messages: [] });
  first.write({ do: "send", text: "one", local_id: "a1" });
  assert.deepEqual(await first.event("stored"), { event: "stored", local_id: "a1", id: "1" });
  const { rev, ...message } = await first.event("message");
  assert.deepEqual(message, { event: "message", id: "1", author: "ann", text: "one",
    local_id: "a1", reply_to: null, thread: null, excerpt: null, mentions: [], reactions: {},
    mine: [], pinned: false });
  first.write({ do: "send", text: "x".repeat(101), local_id: "a2" });
  assert.deepEqual(await first.event("failed"), { event: "failed", local_id: "a2",
    error: "content: longer than 100 bytes", retry: false });
  first.write({ do: "edit", id: "1", text: "ONE" });
  const change = await first.event("change");
  assert.deepEqual(change, { event: "change", id: "1", text: "ONE", rev: change.rev });
  assert.ok(change.rev > rev);
  first.write({ do: "delete", id: "7" });
  assert.match((await first.event("error")).error, /7/);
  first.write({ do: "react", id: "1", emoji: "👍", on: true });
  assert.deepEqual(await first.event("reactions"),
    { event: "reactions", id: "1", reactions: { "👍": 1 } });
  assert.deepEqual(await first.event("done"),
    { event: "done", do: "react", id: "1", emoji: "👍", on: true });
  for (const [command, event] of [["pin", "pinned"], ["unpin", "unpinned"]]) {
    first.write({ do: command, id: "1" });
    assert.deepEqual(await first.event(event), { event, id: "1" });
  }
  first.write({ do: "unpin", id: "1" });
  assert.deepEqual(await first.event("error", 1), { event: "error", do: "unpin",
    error: "message_id: message 1 is not pinned" });
  first.write({ do: "send", text: "re", local_id: "r1", reply_to: "1", mentions: ["ann"] });
  const { reply_to, thread, excerpt, mentions } = await first.event("message", 1);
  assert.deepEqual([reply_to, thread, excerpt, mentions], ["1", "1", "ONE", ["ann"]]);
  first.write({ do: "delete", id: "1" });
  assert.ok((await first.event("remove")).rev > change.rev);
  first.write({ do: "older", limit: 50 });
  first.write({ do: "messages" });
  const { messages } = await first.event("messages");
  assert.deepEqual(messages.map(({ id, text, state }) => [id, text.length, state]),
    [["1", 0, "deleted"], ["2", 2, messages[1].state], [null, 101, "failed"]]);
  await server.kill();
  await until("waiting", () => first.events("state").some(({ state }) => state === "waiting"));
  first.write({ do: "send", text: "later", local_id: "a3" });
  first.write({ do: "close" });
  assert.equal(await first.exited, 0);
  assert.equal(first.errors, "");

  await server.start();
  const second = start(t);
  second.write(open);
  assert.deepEqual(await second.event("failed"), { event: "failed", local_id: "a2",
    error: "content: longer than 100 bytes", retry: false });
  assert.deepEqual(await second.event("stored"), { event: "stored", local_id: "a3", id: "3" });
  second.child.stdin.end();
  assert.equal(await second.exited, 0);
});
