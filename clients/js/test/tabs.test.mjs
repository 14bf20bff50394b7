// Rule 6: two tabs have one outbox. Node has a BroadcastChannel; the locks are simulated here.
import assert from "node:assert/strict";
import path from "node:path";
import {
  FileStorage, open, Proxy, Server, sleep, test, texts, until, WebSocket,
} from "./support.mjs";

/** The part of the Web Locks API that the kit uses: exclusive locks, with a signal. */
class Locks {
  queues = new Map();
  request(name, { signal }, callback) {
    return new Promise((done, fail) => {
      const queue = this.queues.get(name) ?? this.queues.set(name, []).get(name);
      const entry = async () => {
        entry.isHeld = true;
        try {
          done(await callback({ name }));
        } catch (error) {
          fail(error);
        }
        queue.shift();
        queue[0]?.();
      };
      signal.addEventListener("abort", () => {
        if (entry.isHeld) return;
        if (queue.includes(entry)) queue.splice(queue.indexOf(entry), 1);
        fail(signal.reason);
      });
      queue.push(entry);
      if (queue.length === 1) entry();
    });
  }
}

const locks = new Locks();
Object.defineProperty(globalThis, "navigator", { value: { onLine: true, locks } });

/** Tabs of one origin: one storage, and a proxy for each. `sends` are the texts that a tab sent. */
async function tabs(t, count = 2) {
  const server = await Server.start(t);
  const storage = new FileStorage(path.join(server.folder, "outbox")), token = server.token("ann");
  const proxies = [], rooms = [];
  for (let n = 0; n < count; n++) {
    const proxy = await Proxy.start(t, server.port), sends = [];
    class Socket extends WebSocket {
      constructor(url) {
        super(url.replace(new URL(server.url).host, new URL(proxy.url).host));
      }
      send(data) {
        if (data.includes("send_message")) sends.push(JSON.parse(data).content);
        super.send(data);
      }
    }
    proxies.push(proxy);
    rooms.push(open(t, server.url, { token, storage, WebSocket: Socket }));
    rooms[n].sends = sends;
    await rooms[n].online();
  }
  return { server, storage, proxies, rooms };
}

test("one tab sends for both; both resolve and show the same list", async (t) => {
  const { rooms: [first, second], storage } = await tabs(t);
  const sent = [];
  for (let n = 0; n < 20; n++) {
    sent.push(first.send(`a${n}`), second.send(`b${n}`));
    await sleep(5);
  }
  const messages = await Promise.all(sent);
  assert.equal(new Set(messages.map((m) => m.id)).size, 40);
  await until("the same", () => first.messages.length === 40 && second.messages.length === 40);
  assert.deepEqual(texts(first), texts(second));
  assert.equal(first.sends.length, 40, "the first tab has the lock");
  assert.equal(second.sends.length, 0);
  for (const prefix of ["a", "b"]) {
    assert.deepEqual(texts(first).filter((text) => text.startsWith(prefix)),
      Array.from({ length: 20 }, (_, n) => `${prefix}${n}`));
  }
  await until("empty", async () => (await storage.list("")).length === 0);
});

test("the sender loses its connection: the other tab sends its rows too", async (t) => {
  const { rooms: [first, second], proxies } = await tabs(t);
  await first.send("one");
  proxies[0].mode = "refuse";
  proxies[0].cut();
  await until("lost", () => first.state !== "online");
  const sent = first.send("two");
  await until("sent by the second", () => second.sends.includes("two"));
  await second.send("three");
  proxies[0].mode = "pass";
  first.retryNow();
  assert.equal((await sent).id, 2);
  await until("three", () => first.messages.length === 3);
  assert.deepEqual(texts(first), ["one", "two", "three"]);
  assert.deepEqual(first.outbox, []);
});

test("the sender's tab closes: the other one takes over its rows", async (t) => {
  const { rooms: [first, second], proxies } = await tabs(t);
  proxies[0].drop = (frame) => frame.includes("chat_message");
  first.send("one").catch(() => {});
  first.send("two").catch(() => {});
  await until("in flight", () => first.sends.length === 1);
  await until("known", () => second.outbox.length + second.messages.length >= 2);
  first.confab.close();
  await until("sent", () => second.messages.length === 2 && second.outbox.length === 0);
  assert.deepEqual(texts(second), ["one", "two"]);
});

test("a discard and a refusal reach the other tab", async (t) => {
  const { rooms: [first, second], proxies } = await tabs(t);
  await assert.rejects(second.send(" "), { retry: false });
  assert.equal(second.outbox[0].state, "failed");
  await until("shown in both", () => first.outbox[0]?.state === "failed");
  first.discard(first.outbox[0].localId);
  await until("gone in both", () => second.outbox.length === 0);
  for (const proxy of proxies) {
    proxy.mode = "refuse";
    proxy.cut();
  }
  await until("offline", () => first.state !== "online" && second.state !== "online");
  first.send("later").catch(() => {});
  await until("shown in both", () => second.outbox.length === 1);
  second.discard(second.outbox[0].localId);
  await until("gone in both", () => first.outbox.length === 0);
});
