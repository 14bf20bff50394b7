// Nothing is lost, repeated or reordered while nodes are killed under clients that send all the
// time: 20 kills of one node, and 10 in a cluster of script/cluster (Redis, HAProxy).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { binary, makeToken, open, Server, sleep, test, until } from "./support.mjs";

const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** Two clients send numbered messages, each in two series, until `finish` checks the result. */
function startClients(t, url, tokens, pause) {
  const rooms = tokens.map((token) => open(t, url, { token }, { limit: 100_000, after: 0 }));
  const acknowledged = new Map(), delivered = rooms.map(() => []);
  let isRunning = true;
  for (const [index, room] of rooms.entries()) {
    room.on("message", (message) => delivered[index].push(message.id));
  }
  const series = rooms.flatMap((room, index) => [0, 1].map(async (sequence) => {
    for (let n = 0; isRunning; n++) {
      const text = `${index}-${sequence}-${n}`, { id } = await room.send(text);
      acknowledged.set(text, id);
      await sleep(pause);
    }
  }));
  const progress = async () => {
    const count = acknowledged.size;
    await until("progress", () => acknowledged.size > count + 20, 60_000);
  };
  const finish = async () => {
    isRunning = false;
    await Promise.all(series);
    await until("equal lists", () => rooms[0].messages.length === rooms[1].messages.length
      && rooms.every((room) => room.state === "online" && room.outbox.length === 0), 60_000);
    check(t, rooms, acknowledged, delivered);
  };
  return { rooms, progress, finish };
}

function check(t, rooms, acknowledged, delivered) {
  const lists = rooms.map((room) => room.messages.map((m) => [m.id, m.author, m.text, m.rev]));
  assert.deepEqual(lists[0], lists[1]);
  const ids = lists[0].map((row) => row[0]);
  assert.deepEqual(ids, ids.map((_, index) => index + 1), "without a gap");
  for (const list of delivered) assert.deepEqual(list, ids, "delivered once, in order");
  const found = new Map(lists[0].map(([id, , text]) => [text, id]));
  assert.equal(found.size, ids.length, "no text twice");
  for (const [text, id] of acknowledged) assert.equal(found.get(text), id, text);
  for (const sequence of ["0-0", "0-1", "1-0", "1-1"]) {
    const order = lists[0].map((row) => row[2]).filter((text) => text.startsWith(`${sequence}-`))
      .map((text) => Number(text.split("-")[2]));
    assert.deepEqual(order, order.map((_, index) => index), `the order of ${sequence}`);
  }
  t.diagnostic(`${ids.length} messages, ${acknowledged.size} acknowledged`);
}

test("20 kills of one node", async (t) => {
  const server = await Server.start(t,
    "--limit", "messages-per-second=10000", "--limit", "message-burst=10000");
  const tokens = ["ann", "bob"].map((user) => server.token(user));
  const clients = startClients(t, server.url, tokens, 2);
  for (let kill = 0; kill < 20; kill++) {
    await clients.progress();
    await sleep(Math.random() * 30);
    await server.kill();
    if (kill % 3 === 0) await sleep(100);
    await server.start();
    for (const room of clients.rooms) room.retryNow();
  }
  await clients.finish();
});

/** A cluster of script/cluster, which starts killed nodes again. */
class Cluster {
  static async start(t) {
    const cluster = new Cluster();
    cluster.folder = fs.mkdtempSync(path.join(os.tmpdir(), "confab-js-cluster-"));
    cluster.secret = path.join(cluster.folder, "jwt.secret");
    fs.writeFileSync(cluster.secret, "0123456789abcdef0123456789abcdef");
    const script = new URL("../../../script/cluster", import.meta.url).pathname;
    const child = spawn(script, ["3", "--admin-port", "0", "--folder", cluster.folder],
      { env: { ...process.env, CONFAB_BINARY: binary } });
    cluster.output = "";
    child.stdout.on("data", (data) => (cluster.output += data));
    child.stderr.on("data", (data) => (cluster.output += data));
    const exited = new Promise((done) => child.once("exit", done));
    t.after(async () => {
      child.kill("SIGTERM");
      await exited;
      fs.rmSync(cluster.folder, { recursive: true, force: true });
    });
    await until("the cluster", () => cluster.output.includes("Ctrl-C"), 90_000)
      .catch((error) => { throw new Error(`${error.message}: ${cluster.output}`); });
    [, cluster.url] = /^haproxy +(\S+)/m.exec(cluster.output);
    return cluster;
  }

  /** The process ids of the running nodes, by name. */
  get nodes() {
    const found = new Map();
    for (const [, name, id] of this.output.matchAll(/^(n\d) .*(?:PID (\d+)|ended)/gm)) {
      if (id) found.set(name, Number(id));
      else found.delete(name);
    }
    return found;
  }
}

test("10 kills and drains in a cluster", async (t) => {
  const cluster = await Cluster.start(t);
  const tokens = ["ann", "bob"].map((user) => makeToken(user, ["--secret-file", cluster.secret]));
  const clients = startClients(t, cluster.url, tokens, 50);
  for (let kill = 0; kill < 10; kill++) {
    await until("all nodes run", () => cluster.nodes.size === 3, 60_000);
    await clients.progress();
    const [name, id] = pick([...cluster.nodes]);
    process.kill(id, pick(["SIGKILL", "SIGKILL", "SIGTERM"]));
    await until("the node has ended", () => cluster.nodes.get(name) !== id, 60_000);
  }
  await clients.finish();
});
