// One client of the kit for the common fault harness: JSON objects, one per line.
// In: open, send, edit, delete, messages, older, close. The end of the input closes.
import { createInterface } from "node:readline";
import { Confab } from "../confab.js";
import { FileStorage, WebSocket } from "./support.mjs";

let confab, room;

const print = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const id = (m) => (m.id ? `${m.id}` : null);
const row = (m) => ({ id: id(m), author: m.author, text: m.text, state: m.state, rev: m.rev ?? 0 });

const verbs = {
  open({ url, token, conversation, store, after, rev }) {
    confab = new Confab(url, {
      token: token ?? undefined, WebSocket, storage: store ? new FileStorage(store) : undefined,
    });
    room = confab.conversation(conversation,
      { after: after == null ? undefined : Number(after), rev: rev ?? undefined });
    room.on("state", ({ state, reason = null }) => print({ event: "state", state, reason }));
    room.on("message", (m) => print({
      event: "message", id: id(m), author: m.author, text: m.text, local_id: m.localId ?? null,
      rev: m.rev,
    }));
    room.on("change", (m) => print({ event: "change", id: id(m), text: m.text, rev: m.rev }));
    room.on("remove", (m) => print({ event: "remove", id: id(m), rev: m.rev }));
    room.on("reset", ({ reason, messages }) =>
      print({ event: "reset", reason, messages: messages.map(row) }));
  },
  async send({ text, local_id }) {
    try {
      const message = await room.send(text, { localId: local_id });
      print({ event: "stored", local_id, id: id(message) });
    } catch (error) {
      print({ event: "failed", local_id, error: error.message, retry: error.retry });
    }
  },
  edit: ({ id, text }) => room.edit(Number(id), text),
  delete: ({ id }) => room.delete(Number(id)),
  older: async ({ limit }) => print({ event: "older", more: await room.older(limit) }),
  messages: () => print({ event: "messages", messages: room.messages.map(row) }),
  close: () => close(),
};

function close() {
  confab?.close();
  // A half-open socket would keep the process for 30 s.
  setTimeout(() => process.exit(), 500).unref();
}

async function main() {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit());
  process.stdout.on("error", () => process.exit());
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    // Not awaited: a send may last as long as the server is away.
    Promise.resolve().then(() => verbs[command.do](command)).catch(
      (error) => print({ event: "error", do: command.do, error: error.message }));
  }
  close();
}

await main();
