// The README's samples, as printed except for the address: the bot in Node, and the page in a real
// browser, whose tabs share one outbox in IndexedDB.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { freePort, open, Server, test, texts, until, WebSocket } from "./support.mjs";

const folder = new URL("..", import.meta.url).pathname;
const readme = fs.readFileSync(`${folder}README.md`, "utf8");
const samples = [...readme.matchAll(/```(js|html)\n(.*?)```/gs)].map((match) => match[2]);
const address = "http://127.0.0.1:8080";

/** A folder in which programs find the packages confab and ws. */
function project(t) {
  const project = fs.mkdtempSync(path.join(os.tmpdir(), "confab-js-program-"));
  fs.mkdirSync(path.join(project, "node_modules"));
  fs.symlinkSync(folder, path.join(project, "node_modules/confab"));
  fs.symlinkSync("/usr/share/nodejs/ws", path.join(project, "node_modules/ws"));
  t.after(() => fs.rmSync(project, { recursive: true, force: true }));
  return project;
}

/** A program of the README whose errors are collected in `errors`. */
function start(t, source, environment) {
  const file = path.join(project(t), "program.mjs");
  fs.writeFileSync(file, source);
  const child = spawn(process.execPath, ["--preserve-symlinks", file],
    { env: { ...process.env, ...environment } });
  for (const name of ["stdout", "stderr"]) {
    child[name + "Text"] = "";
    child[name].on("data", (data) => (child[name + "Text"] += data));
  }
  child.exited = new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code)));
  t.after(() => child.kill("SIGKILL"));
  return child;
}

test("the README's bot answers, survives kill -9 of the server and ends with Ctrl-C", async (t) => {
  const server = await Server.start(t), source = samples[2].replace(address, server.url);
  const bot = start(t, source, { CONFAB_TOKEN: server.token("bot") });
  const ann = open(t, server.url, { token: server.token("ann") });
  await until("the bot", () => ann.present.some(({ user }) => user === "bot"));
  await ann.send("one");
  await until("an answer", () => texts(ann).includes("You said: one"));
  await server.restart();
  await ann.send("two");
  await until("an answer", () => texts(ann).includes("You said: two"), 60_000);
  assert.equal(ann.messages.length, 4);
  await server.kill();
  bot.kill("SIGINT");
  assert.equal(await bot.exited, "SIGINT");
  assert.equal(bot.stdoutText + bot.stderrText, "");
});

test("the README's two lines print messages", async (t) => {
  const server = await Server.start(t), bob = await server.raw("bob");
  const source = `import { Confab } from "confab";
    import WebSocket from "ws";
    globalThis.WebSocket ??= WebSocket;
    const token = process.env.CONFAB_TOKEN;
    ${samples[0].replace("https://chat.example", server.url)}`;
  const program = start(t, source, { CONFAB_TOKEN: server.token("ann") });
  await until("ann", () => bob.frames.some((frame) => frame.user_id === "ann"));
  await bob.say("hello");
  await until("the line", () => program.stdoutText.includes(": hello\n"));
  program.kill("SIGINT");
  await program.exited;
  assert.equal(program.stderrText, "");
});

test("the README's thread is printed whenever it changes", async (t) => {
  const server = await Server.start(t), bob = await server.raw("bob");
  await bob.say("root");
  const source = `import { Confab } from "confab";
    import WebSocket from "ws";
    const token = process.env.CONFAB_TOKEN;
    const room = new Confab("${server.url}", { token, WebSocket }).conversation("lobby");
    const message = { id: 1 };
    ${samples[3]}`;
  const program = start(t, source, { CONFAB_TOKEN: server.token("ann") });
  await until("the root", () => program.stdoutText.includes("root\n"));
  await bob.request({ action: "send_message", content: "reply", reply_to: "1" },
    (f) => f.type === "chat_message");
  await bob.request({ action: "react", message_id: "2", emoji: "👍", on: true },
    (f) => f.type === "reacted");
  await until("all", () => program.stdoutText.endsWith("root\nreply  👍 1\n"));
  program.kill("SIGINT");
  await program.exited;
  assert.equal(program.stderrText, "");
});

/** Chromium without a screen. `run` evaluates an expression in a tab. */
class Browser {
  static async start(t) {
    const browser = new Browser();
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), "confab-js-web-"));
    const program = ["chromium-headless-shell", "chromium", "google-chrome"].find((name) => {
      try {
        return execFileSync("which", [name]);
      } catch {
        return false;
      }
    });
    assert.ok(program, "script/bootstrap tests installs chromium-headless-shell");
    const child = spawn(program, ["--headless", "--no-sandbox", "--disable-gpu",
      "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
    { detached: true });
    let output = "";
    child.stderr.on("data", (data) => (output += data));
    t.after(async () => {
      process.kill(-child.pid, "SIGKILL");
      await new Promise((done) => child.once("exit", done));
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    const found = () => /DevTools listening on (ws:\/\/\S+)/.exec(output);
    [, browser.url] = await until("the browser", found, 60_000);
    return browser;
  }

  async open(url) {
    const { host } = new URL(this.url);
    const target = await (await fetch(`http://${host}/json/new?${encodeURIComponent(url)}`,
      { method: "PUT" })).json();
    const socket = new WebSocket(target.webSocketDebuggerUrl), answers = new Map();
    await new Promise((done) => (socket.onopen = done));
    socket.onmessage = ({ data }) => {
      const { id, result } = JSON.parse(data);
      answers.get(id)?.(result);
    };
    let last = 0;
    const call = (method, params) => new Promise((done) => {
      answers.set(++last, done);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
    const run = async (expression) => {
      const { result, exceptionDetails } = await call("Runtime.evaluate",
        { expression, awaitPromise: true, returnByValue: true });
      assert.equal(exceptionDetails, undefined);
      return result.value;
    };
    // While the browser changes to the page, there may be no context that could answer.
    await until("the page", () => run("typeof room === 'object'").catch(() => false));
    return { run, close: () => call("Page.close") };
  }
}

/** Serves the kit, and the page that a function returns, from an origin of its own. */
async function site(t, page) {
  const server = http.createServer((request, response) => {
    const isKit = request.url === "/confab.js";
    response.setHeader("content-type", isKit ? "text/javascript" : "text/html");
    response.end(isKit ? fs.readFileSync(`${folder}confab.js`) : page());
  });
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  t.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return `http://127.0.0.1:${port}`;
}

test("the README's page in a browser: two tabs, one outbox, kill -9, closed tabs", async (t) => {
  const origin = await site(t, () => samples[1].replace(`${address}/confab.js`, "/confab.js")
    .replace(address, server.url).replace("const show", "window.room = room; const show"));
  const server = await Server.start(t, "--origins", `own,${origin}`);
  const host = open(t, server.url, { user: { id: "host", name: "Host" } }, {}, "none");
  const { room_id: id } = await host.confab.create({ title: "Tea" });
  const browser = await Browser.start(t);
  const tabs = [await browser.open(`${origin}/#${id}`), await browser.open(`${origin}/#${id}`)];
  const rows = (tab) => tab.run("[...list.children].map((item) => item.textContent).join()");
  const shows = (tab, expected) => until(expected, async () => await rows(tab) === expected);
  for (const tab of tabs) await until("online", () => tab.run("room.state === 'online'"));
  for (const [index, tab] of tabs.entries()) {
    await tab.run(`text.value = "from ${index}"; form.requestSubmit()`);
    await until("stored", () => tab.run(`room.messages.length === ${index + 1}
      && room.outbox.length === 0`));
  }
  for (const tab of tabs) {
    await until("both", () => tab.run(`room.messages.length === 2
      && room.messages.every((m) => m.state !== 'sending')`));
    assert.match(await rows(tab), /^Ann: from 0 \(\w+\),Ann: from 1 \(\w+\)$/);
  }
  await server.kill();
  await until("offline", () => tabs[0].run("room.state !== 'online'"));
  await tabs[0].run("void room.send('later')");
  await shows(tabs[1], `${await rows(tabs[0])}`);
  await tabs[1].run("void room.send('last')");
  await until("shared", () => tabs[0].run("room.outbox.length === 2"));
  for (const tab of tabs) await tab.close();
  // Unsent messages of closed tabs are in IndexedDB.
  const reopened = await browser.open(`${origin}/#${id}`);
  await until("loaded", () => reopened.run("room.outbox.length === 2"));
  await server.start();
  await reopened.run("room.retryNow()");
  await until("sent", () => reopened.run("room.messages.length === 4 && !room.outbox.length"));
  assert.deepEqual(await reopened.run("room.messages.map((m) => m.text)"),
    ["from 0", "from 1", "later", "last"]);
  assert.deepEqual(await reopened.run("new Set(room.messages.map((m) => m.author)).size"), 1);
});
