// One client of the kit for the common fault harness: commands on stdin, events on stdout, one JSON
// object per line.
//
// Commands  {"do":"open","url":…,"token":…,"conversation":…,"store":PATH or null}
//           {"do":"send","text":…,"local_id":…,"reply_to":ID or null,"mentions":[…]}
//           {"do":"edit","id":…,"text":…}   {"do":"delete","id":…}
//           {"do":"react","id":…,"emoji":…,"on":true}   {"do":"pin","id":…}   {"do":"unpin","id":…}
//           {"do":"messages"}   {"do":"older","limit":50}   {"do":"close"}
// Events    state, message, change, remove, reset, stored, failed, messages;
//           {"event":"reactions","id":…,"reactions":{EMOJI:COUNT}};
//           {"event":"pinned" or "unpinned","id":…}; done, with the command, for a reaction or a pin
//           that is acknowledged; and error, with the command in "do", for a request that the server
//           refused. Ids are strings. Messages have "reply_to" and "thread" (ids or null), "excerpt"
//           (text or null), "mentions", "reactions" ({EMOJI:COUNT}), "mine" (own reactions) and
//           "pinned" (boolean).
//
// The end of the input closes the client. `older` is complete before the next command is executed.
import { createInterface } from "node:readline";
import { Confab } from "../confab.js";
import { FileStorage, WebSocket } from "./support.mjs";

let confab, room;

const write = (event, members) =>
  process.stdout.write(JSON.stringify({ event, ...members }) + "\n");
const counts = ({ reactions }) =>
  Object.fromEntries(reactions.map(({ emoji, count }) => [emoji, count]));
const shown = ({ id, author, text, localId, state, deleted, rev, ...message }) => ({
  id: id ? `${id}` : null, author, text, local_id: localId ?? null,
  state: deleted ? "deleted" : state, rev, reply_to: message.replyTo ? `${message.replyTo}` : null,
  thread: message.thread ? `${message.thread}` : null,
  excerpt: message.replyExcerpt?.text ?? null, mentions: message.mentions,
  reactions: counts(message), pinned: Boolean(message.pinned),
  mine: message.reactions.filter(({ mine }) => mine).map(({ emoji }) => emoji),
});

/** Reports what became of messages: also of those that an earlier process wrote. */
function reportOutbox() {
  const states = new Map();
  return (rows) => {
    const present = new Map(rows.map((row) => [row.localId, row]));
    for (const localId of [...states.keys()].filter((localId) => !present.has(localId))) {
      const message = room.messages.find((message) => message.localId === localId);
      if (message) write("stored", { local_id: localId, id: `${message.id}` });
      states.delete(localId);
    }
    for (const { localId, state, error } of rows) {
      if (state === "failed" && states.get(localId) !== "failed") {
        write("failed", { local_id: localId, error, retry: false });
      }
      states.set(localId, state);
    }
  };
}

function open({ url, token, conversation, store }) {
  const storage = store ? new FileStorage(store) : undefined;
  confab = new Confab(url, { token: token ?? undefined, WebSocket, storage });
  room = confab.conversation(conversation);
  write("state", { state: room.state, reason: null });
  room.on("state", ({ state, reason = null }) => write("state", { state, reason }));
  room.on("message", (message) => {
    const { state, ...members } = shown(message);
    write("message", members);
  });
  room.on("change", ({ id, text, rev }) => write("change", { id: `${id}`, text, rev }));
  room.on("remove", ({ id, rev }) => write("remove", { id: `${id}`, rev }));
  room.on("reactions", (message) =>
    write("reactions", { id: `${message.id}`, reactions: counts(message) }));
  room.on("pin", ({ id, pinned }) => write(pinned ? "pinned" : "unpinned", { id: `${id}` }));
  room.on("reset", ({ reason, messages }) =>
    write("reset", { reason, messages: messages.map(shown) }));
  room.on("outbox", reportOutbox());
  room.on("error", ({ message }) => write("error", { do: null, error: message }));
}

const commands = {
  open,
  // Not awaited: a send lasts as long as the server is unavailable.
  send: ({ text, local_id: localId, reply_to: replyTo, mentions }) => void room.send(text, {
    localId, replyTo: Number(replyTo ?? 0) || undefined, mentions: mentions ?? undefined,
  }),
  edit: ({ id, text }) => void attempt("edit", room.edit(Number(id), text)),
  delete: ({ id }) => void attempt("delete", room.delete(Number(id))),
  react: (command) => void attempt(
    "react", room.react(Number(command.id), command.emoji, command.on), command),
  pin: (command) => void attempt("pin", room.pin(Number(command.id)), command),
  unpin: (command) => void attempt("unpin", room.unpin(Number(command.id)), command),
  older: ({ limit }) => attempt("older", room.older(limit)),
  messages: () => write("messages", { messages: room.messages.map(shown) }),
};

async function attempt(command, result, acknowledged) {
  try {
    await result;
    if (acknowledged) write("done", acknowledged);
  } catch (error) {
    if (room.state !== "closed") write("error", { do: command, error: error.message });
  }
}

async function execute(line) {
  const command = JSON.parse(line);
  if (command.do === "close") return false;
  if (!commands[command.do]) write("error", { do: command.do, error: "unknown command" });
  else if (!room && command.do !== "open") write("error", { do: command.do, error: "no open" });
  else await commands[command.do](command);
  return true;
}

for await (const line of createInterface({ input: process.stdin })) {
  if (!(await execute(line))) break;
}
confab?.close();
// A frozen server does not answer the close frame; Node's ws would wait 30 s for it.
setTimeout(() => process.exit(), 500);
