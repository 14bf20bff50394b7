// Compiled by a test: what applications write must have the right types.
import { Confab, ConfabError, type Message, type Pending } from "../confab";

async function use(): Promise<void> {
  const confab = new Confab("http://127.0.0.1:8080", { token: async (id, renew) => `${id}${renew}` });
  const room = confab.conversation("lobby", { after: 0, rev: 1, limit: 10, maxAge: 1_000 });
  const off: () => void = room.on("message", (message: Message) => message.text.length);
  room.on("presence", ({ online, changes }) => changes.map(({ name }) => name).length + online);
  room.on("receipt", ({ id, user }) => (user ? id : 0));
  room.on("state", ({ retryAt = 0 }) => new Date(retryAt));
  confab.on("error", (error) => error instanceof ConfabError && error.retryAfter);
  const pending: Pending[] = room.outbox;
  const { id }: Message = await room.send("text", { localId: pending[0].localId });
  const hasMore: boolean = await room.older(50, { signal: new AbortController().signal });
  for await (const message of room) if (hasMore) await room.edit(message.id ?? id, "text");
  const { conversations } = await confab.list({ limit: 1, mine: true });
  const made = await confab.create({ title: "Order", access: "closed", members: [{ user_id: "ann" }] });
  await confab.update(made.room_id, { access: "open", listed: conversations[0].listed });
  const { next_cursor: cursor } = await confab.members(made.room_id);
  if (cursor) await confab.members(made.room_id, { cursor });
  const { me: { read } } = await confab.receipts(made.room_id);
  room.on("updated", ({ access, by }) => access === "closed" && read !== by);
  await confab.leave(made.room_id);
  const { reactions: [first] }: Message = await room.send("text",
    { replyTo: id, mentions: pending.length ? [pending[0].author] : "all" });
  await room.react(id, first.emoji, !first.mine);
  const { messages, next } = await room.search("text", { before: id });
  const view = await room.around(next ?? messages[0].id);
  view.on("change", () => view.messages.length);
  await room.unpin((await room.pins())[0].id);
  // @ts-expect-error: there is no such event
  room.on("reaction", () => {});
  // @ts-expect-error: an id is a number
  await room.delete(conversations[0].room_id);
  off();
}

void use;
