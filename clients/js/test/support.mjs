// Shared by the tests: a real server that can be killed, a proxy that breaks connections, a clock
// that only the test advances, and a storage in a file.
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import nodeTest from "node:test";
import { Confab } from "../confab.js";

const require = createRequire(import.meta.url);

/** Debian installs the package ws outside Node's own search path. */
function packageWs() {
  for (const name of ["ws", "/usr/share/nodejs/ws"]) {
    try {
      return require(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return globalThis.WebSocket;
}

export const WebSocket = packageWs();

/** Ends a test that waits forever, so that its processes end too. */
export function test(name, run) {
  const seconds = Number(process.env.CONFAB_TEST_SECONDS ?? 240);
  nodeTest(name, { timeout: seconds * 1_000 }, run);
}

export const binary = process.env.CONFAB_BINARY ?? "confab";
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits for a condition in real time. */
export async function until(what, condition, ms = 30_000) {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`timeout: ${what}`);
}

/** A free port of 127.0.0.1 below the ephemeral ones, so that no other process receives it. */
export async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 10000);
    const isFree = await new Promise((done) => {
      const server = net.createServer().once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

/** A token of `confab token`, signed with the key that two of its options name. */
export function makeToken(user, key, { ttl = "1h", conversations = "*" } = {}) {
  const claims = ["--username", user.toUpperCase(), "--conversations", conversations, "--ttl", ttl];
  return execFileSync(binary, ["token", "--sub", user, ...claims, ...key]).toString().trim();
}

/** One node with an SQLite database. A restart keeps the port and the database. */
export class Server {
  static async start(t, ...options) {
    const server = new Server();
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), "confab-js-"));
    server.database = path.join(server.folder, "chat.db");
    server.options = options;
    for (;;) {
      server.port = await freePort();
      server.url = `http://127.0.0.1:${server.port}`;
      try {
        await server.start();
        break;
      } catch (error) {
        // Another test has taken the port in between.
        if (!server.log.includes("already in use")) throw error;
      }
    }
    t.after(async () => {
      await server.kill();
      fs.rmSync(server.folder, { recursive: true, force: true });
    });
    return server;
  }

  async start() {
    this.log = "";
    this.process = spawn(binary, [
      "serve", "--listen", `127.0.0.1:${this.port}`, "--admin", "off",
      "--store", `sqlite:${this.database}`, ...this.options,
    ], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on("data", (data) => (this.log += data));
    }
    this.exited = new Promise((done) => this.process.once("exit", done));
    await Promise.race([
      until("the server is ready", () => this.log.includes("confab ready")),
      this.exited.then(() => { throw new Error(`the server ended: ${this.log}`); }),
    ]);
  }

  async kill(signal = "SIGKILL") {
    this.process.kill("SIGCONT");
    this.process.kill(signal);
    await this.exited;
  }

  async restart() {
    await this.kill();
    await this.start();
  }

  token(user, options) {
    return makeToken(user, ["--database", this.database], options);
  }

  /** A plain connection without the kit, for what others do. */
  async raw(user, conversation = "lobby", query = "") {
    const url = `ws://127.0.0.1:${this.port}/conversations/${conversation}/`;
    const socket = new WebSocket(`${url}?token=${this.token(user)}${query}`);
    socket.frames = [];
    socket.onmessage = ({ data }) => socket.frames.push(JSON.parse(data));
    socket.onerror = () => {};
    await new Promise((done, fail) => {
      socket.onopen = done;
      socket.onclose = fail;
    });
    socket.request = async (frame, answer) => {
      const start = socket.frames.length;
      socket.send(JSON.stringify(frame));
      return until(`an answer to ${frame.action}`, () => socket.frames.slice(start).find(answer));
    };
    socket.say = (content, localId = randomUUID()) => socket.request(
      { action: "send_message", content, local_id: localId },
      (frame) => frame.message?.local_id === localId);
    return socket;
  }
}

/** A TCP proxy. `mode`: "pass", "freeze" (accepts and forwards nothing), "refuse". */
export class Proxy {
  static async start(t, port) {
    const proxy = new Proxy();
    proxy.mode = "pass";
    proxy.pairs = new Set();
    proxy.connections = 0;
    proxy.dropped = 0;
    proxy.server = net.createServer((client) => proxy.#accept(client, port));
    proxy.server.listen(0, "127.0.0.1");
    await new Promise((done) => proxy.server.once("listening", done));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    t.after(() => {
      proxy.cut();
      proxy.server.close();
    });
    return proxy;
  }

  #accept(client, port) {
    this.connections++;
    client.on("error", () => {});
    if (this.mode === "refuse") return client.destroy();
    const server = net.connect(port, "127.0.0.1");
    const pair = { client, server };
    this.pairs.add(pair);
    server.on("error", () => {});
    client.on("close", () => { server.destroy(); this.pairs.delete(pair); });
    server.on("close", () => client.destroy());
    client.on("data", (data) => { if (this.mode === "pass") server.write(data); });
    server.on("data", (data) => {
      if (this.mode !== "pass") return;
      const out = this.drop ? dropFrames(pair, data, this.drop) : data;
      this.dropped += Number(out.length < data.length);
      if (out.length) client.write(out);
    });
  }

  /** Sends a text frame to the clients as if the server had sent it. */
  inject(text) {
    const bytes = Buffer.from(text), header = Buffer.from([0x81, 126, 0, 0]);
    header.writeUInt16BE(bytes.length, 2);
    for (const { client } of this.pairs) client.write(Buffer.concat([header, bytes]));
  }

  /** Ends all connections without a close frame. */
  cut() {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }
}

/** Removes the server's text frames that `drop` matches; they are unmasked and unfragmented. */
function dropFrames(pair, data, drop) {
  pair.rest = Buffer.concat([pair.rest ?? Buffer.alloc(0), data]);
  const out = [];
  while (pair.rest.length >= 2) {
    let length = pair.rest[1] & 127, start = 2;
    if (length === 126) { length = pair.rest.readUInt16BE(2); start = 4; }
    if (length === 127) { length = Number(pair.rest.readBigUInt64BE(2)); start = 10; }
    if (pair.rest.length < start + length) break;
    const frame = pair.rest.subarray(0, start + length);
    if (!drop(frame.subarray(start).toString())) out.push(frame);
    pair.rest = pair.rest.subarray(start + length);
  }
  return Buffer.concat(out);
}

/** Time stands still until `advance`. */
export class TestClock {
  constructor(time = Date.now()) {
    this.time = time;
    this.timers = new Map();
    this.next = 1;
  }

  now = () => this.time;
  setTimeout = (callback, ms) => {
    this.timers.set(this.next, { callback, at: this.time + ms });
    return this.next++;
  };
  clearTimeout = (timer) => void this.timers.delete(timer);

  /** Runs what is due, in order. */
  advance(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end)
        .sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].callback();
    }
    this.time = end;
  }

  /** The machine sleeps: time passes, and the timers run only afterwards. */
  suspend(ms) {
    this.time += ms;
    this.advance(0);
  }
}

/** A storage that survives the process: one file per key, written before `set` resolves. */
export class FileStorage {
  constructor(folder) {
    this.folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  #file = (key) => path.join(this.folder, encodeURIComponent(key));
  get = async (key) => (fs.existsSync(this.#file(key)) ? this.#read(this.#file(key)) : undefined);
  set = async (key, value) => {
    const temporary = path.join(this.folder, `.${process.pid}.${Math.random()}`);
    fs.writeFileSync(temporary, JSON.stringify(value));
    fs.renameSync(temporary, this.#file(key));
  };
  delete = async (key) => fs.rmSync(this.#file(key), { force: true });
  list = async (prefix) => fs.readdirSync(this.folder)
    .filter((name) => decodeURIComponent(name).startsWith(prefix))
    .map((name) => this.#read(path.join(this.folder, name)));
  #read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
}

/**
 * A kit that closes with the test, with its events in `log`. A test that advances the time waits in
 * `answered` until the server has answered a request that `run` caused, for example a probe.
 */
export function open(t, url, options = {}, room = {}, conversation = "lobby") {
  let answers = 0;
  class Socket extends (options.WebSocket ?? WebSocket) {
    constructor(...all) {
      super(...all);
      this.addEventListener("message",
        ({ data }) => (answers += data.includes('"messages_fetched"')));
    }
  }
  const confab = new Confab(url, { ...options, WebSocket: Socket });
  const it = confab.conversation(conversation, room);
  it.confab = confab;
  it.answered = (run) => {
    const before = answers;
    run();
    return until("an answer", () => answers > before);
  };
  it.log = [["state", { state: it.state }]];  // Set before a listener can exist.
  for (const name of ["state", "message", "change", "remove", "reset", "ended", "error"]) {
    it.on(name, (data) => it.log.push(
      [name, name === "reset" ? { ...data, messages: [...data.messages] } : data]));
  }
  it.events = (name) => it.log.filter((entry) => entry[0] === name).map((entry) => entry[1]);
  it.online = () => until("online", () => it.state === "online");
  t.after(() => confab.close());
  return it;
}

export const texts = (room) => room.messages.map((m) => m.text);
