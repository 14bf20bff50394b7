/** A message in a conversation's list. */
export interface Message {
  /** The number in the conversation: 1, 2, 3 … without gaps; NaN until the message is stored. */
  id: number;
  /** Stays the same while the object is in `messages`: render rows by it. */
  key: number | string;
  /** The author's user id. Guests of one id differ by `guestKey`. */
  author: string;
  /** Eight characters that tell guests of one id apart; undefined for other users. */
  guestKey?: string;
  /** Whether the own user is the author. */
  own: boolean;
  /** The author's display name if the server sends one, otherwise the user id. */
  name: string;
  /** Empty if the message is deleted. */
  text: string;
  /** RFC 3339 in UTC, from the server once the message is stored. */
  time: string;
  /** `delivered` and `read` are known for own messages only. */
  state: "sending" | "failed" | "sent" | "delivered" | "read";
  edited: boolean;
  deleted: boolean;
  /** The conversation's revision at the last change of this message; 0 until it is stored. */
  rev: number;
  /** The sender's id of the message, if it has one. */
  localId?: string;
  /** The message to which this one replies, and the first message of that thread. */
  replyTo?: number;
  thread?: number;
  /**
   * The beginning of the text to which this message replies, in present state; null if that
   * message is deleted or no longer retained, undefined until it is known.
   */
  replyExcerpt?: { id: number; author: string; name: string; text: string } | null;
  /** The ids of the mentioned users, or all members. */
  mentions: string[] | "all";
  /** Mentioned users that were no members when the message was sent. */
  notMembers: string[];
  /** In the order of the first reaction with each emoji. */
  reactions: Reaction[];
  pinned?: { by: string; name: string; at: string };
  /** How many messages the thread has below this one, its root, and the newest of them; 0 if none. */
  replies: number;
  lastReplyId: number;
}

export interface Reaction {
  emoji: string;
  count: number;
  /** The ids of the first 20 users. */
  users: string[];
  /** Whether the own user reacted. */
  mine: boolean;
}

/** Messages beside the list, in order and in present state. */
export interface View {
  /** Each use returns a new array. A thread also has the pending messages that reply in it. */
  readonly messages: readonly Message[];
  /** Something in `messages` changed. */
  on(event: "change", listener: () => void): () => void;
  /** Loads earlier messages. @returns whether there are more */
  older(limit?: number, options?: { signal?: AbortSignal }): Promise<boolean>;
  /**
   * Loads later messages of `around`. At the beginning of `room.messages` they become a part of
   * that list. @returns whether there are more before it
   */
  newer(limit?: number, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** The messages are not updated any more. */
  close(): void;
}

/** A message in the outbox. The object stays the same until the message is stored. */
export interface Pending extends Message {
  localId: string;
  state: "sending" | "failed";
  /** When the application sent it: milliseconds since 1970. */
  since: number;
  /** How often it was transmitted since it was loaded. */
  tries: number;
  /** Why the server refused it, if `state` is `failed`. */
  error?: string;
}

/**
 * - `connecting`: a connection is being opened, or missed messages arrive.
 * - `online`: the list is complete and the outbox is sent.
 * - `waiting`: until the next attempt at `retryAt`.
 * - `offline`: like `waiting`, and the browser reports that there is no network.
 * - `refused`: the server does not admit the user; only `retryNow()` tries again.
 * - `closed`: by the application, or not opened yet.
 */
export type State = "connecting" | "online" | "waiting" | "offline" | "refused" | "closed";

export interface StateEvent {
  conversation: string;
  state: State;
  /** When the next attempt starts, in `clock.now()` milliseconds: for a countdown. */
  retryAt?: number;
  /** Why the connection ended, in words. */
  reason?: string;
  /** The WebSocket close code, or the HTTP status if a guest's join or a token failed. */
  code?: number;
}

/** Why a request failed. */
export class ConfabError extends Error {
  constructor(message: string, details?: Partial<ConfabError>);
  /** Whether the same request may succeed later. */
  retry: boolean;
  /** Seconds after which to try again, if the server named them. */
  retryAfter?: number;
  /** The HTTP status, or the WebSocket close code. */
  code?: number;
  /** Whether the storage failed: messages are sent, but do not survive the page. */
  storage: boolean;
}

/** Where the outbox, and a guest's tokens, survive a restart. Keys are strings; values survive structured cloning. */
export interface Storage {
  set(key: string, value: any): Promise<unknown>;
  delete(key: string): Promise<unknown>;
  /** The values of all keys with this prefix. */
  list(prefix: string): Promise<any[]>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): any;
  clearTimeout(timer: any): void;
}

export interface Options {
  /**
   * The user's token, or a function that returns a valid one. `renew` is true when the server
   * rejected the last one or when it expires soon. Without a token, the user is a guest.
   */
  token?: string | ((conversation: string, renew: boolean) => string | Promise<string>);
  /** A guest's id and name. With a token, `id` is only needed to show the outbox before login. */
  user?: { id?: string; name?: string };
  /** Default: IndexedDB in browsers, otherwise memory. */
  storage?: Storage;
  /** Default: the global `WebSocket`. Node 20 has none; pass the class of the package `ws`. */
  WebSocket?: new (url: string) => any;
  /** Default: the global `fetch`. */
  fetch?: typeof fetch;
  clock?: Clock;
  /** A number from 0 to 1, like `Math.random`. */
  random?: () => number;
  /** Closes everything when it aborts. */
  signal?: AbortSignal;
  /** Receives every event of every conversation. Default: nothing is logged. */
  log?: (conversation: string, event: string, data: unknown) => void;
}

export interface RoomOptions {
  /** Deliver all messages after this one; 0 for all. Default: start with the newest page. */
  after?: number;
  /** The `room.rev` that belongs to `after`. */
  rev?: number;
  /** The list keeps this many of the newest messages. Default: 1,000. */
  limit?: number;
  /** Messages that wait longer (milliseconds) fail; `retry` sends them. Default: for ever. */
  maxAge?: number;
}

export interface RoomEvents {
  state: StateEvent;
  /** A message entered the list at its end. It replaces the pending one with its `localId`. */
  message: Message;
  /** A message in the list was edited. */
  change: Message;
  /** A message in the list was deleted. It stays in the list without its text. */
  remove: Message;
  /** The reactions to a message in the list changed. */
  reactions: Message;
  /** A message was pinned or, without `pinned`, unpinned: also one that is not in the list. */
  pin: Message;
  /** The `replies` of a message in the list changed. */
  replies: Message;
  /** The `replyExcerpt` of a message in the list changed. */
  quote: Message;
  /** The list was replaced: render `messages` again. */
  reset: {
    reason: "opened" | "history truncated" | "history reset" | "latest";
    messages: Message[];
  };
  /** The outbox changed; the value is its content. */
  outbox: Pending[];
  typing: User & { typing: boolean };
  /** `online` is the number of other present users. */
  presence: { online: number; changes: (User & { online: boolean })[] };
  /** The user `user` read up to `id`; or, without `user`, the own message `id` has this state. */
  receipt: Partial<User> & { id: number; state: "delivered" | "read" };
  /** The title, who may join or who finds the conversation was changed: the present values. */
  updated: { title: string; access: Access; listed: boolean; by: string; name: string };
  /** The conversation was ended: it can only be read. Comes once. */
  ended: undefined;
  /** An error that belongs to no request, or an exception of a listener. */
  error: unknown;
}

export interface User {
  user: string;
  /** Tells guests of one id apart; undefined for other users. */
  guestKey?: string;
  /** The display name if the server sends one, otherwise the user id. */
  name: string;
}

/** One conversation. */
export interface Room {
  readonly id: string;
  readonly state: State;
  /** The own user id as authors show it, once a token is known. */
  readonly me: string | undefined;
  /** The own `guestKey`, once a token is known; undefined for users that are no guests. */
  readonly guestKey: string | undefined;
  /**
   * Sorted, without a gap, in present state; pending messages at the end. Each use returns a new
   * array of the same objects.
   */
  readonly messages: readonly Message[];
  readonly outbox: Pending[];
  /** Where to resume: pass both as options to receive what comes later, in another process too. */
  readonly after: number | undefined;
  readonly rev: number | undefined;
  /** Whether `ended` has come. */
  readonly ended: boolean;
  /** The other present users. Above 200, only those whose changes the server announced. */
  readonly present: User[];

  /** @returns a function that removes the listener */
  on<E extends keyof RoomEvents>(event: E, listener: (data: RoomEvents[E]) => void): () => void;
  /** Resolves when the message is stored, rejects when it never will be. */
  send(text: string, options?: {
    localId?: string;
    /** The id of the message to which this one replies. */
    replyTo?: number;
    /** Ids of at most 50 users, or all members. */
    mentions?: string[] | "all";
    signal?: AbortSignal;
  }): Promise<Message>;
  /** Sends a failed message again. */
  retry(localId: string): void;
  /** Removes a message from the outbox. One in flight may be stored nevertheless. */
  discard(localId: string): void;
  edit(id: number, text: string, options?: { signal?: AbortSignal }): Promise<void>;
  delete(id: number, options?: { signal?: AbortSignal }): Promise<void>;
  /** Adds the own reaction, or removes it. `emoji` is one emoji, or a name between colons. */
  react(id: number, emoji: string, on?: boolean, options?: { signal?: AbortSignal }): Promise<void>;
  pin(id: number, options?: { signal?: AbortSignal }): Promise<void>;
  unpin(id: number, options?: { signal?: AbortSignal }): Promise<void>;
  /** The pinned messages, newest pin first. They stay current until the next call, or a `reset`. */
  pins(options?: { signal?: AbortSignal }): Promise<Message[]>;
  /**
   * The own read position, the 100 highest ones of members, and how many have one. The states of
   * the own messages follow them, for example after a page was loaded again.
   */
  receipts(options?: { signal?: AbortSignal }): Promise<Receipts>;
  /** A thread from its newest messages on, by its root or by any loaded message of it. */
  thread(id: number, options?: { limit?: number; signal?: AbortSignal }): Promise<View>;
  /** What surrounds an old message: up to `limit` messages up to it, and as many after it. */
  around(id: number, options?: { limit?: number; signal?: AbortSignal }): Promise<View>;
  /**
   * Messages that contain all words, newest first; the last word may be a beginning. Pass `next`
   * as `before` for the next page. The messages are as they were when the server searched.
   */
  search(text: string, options?: { before?: number; limit?: number; signal?: AbortSignal }):
    Promise<{ messages: Message[]; next?: number; incomplete: boolean }>;
  /** Loads up to 100 older messages. @returns whether there are more */
  older(limit?: number, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** Forgets what `older` loaded: the list is the newest `limit` messages again. */
  latest(): void;
  /** Marks all messages up to this one as read. */
  read(id: number): void;
  /** Call it on every key, and with false when the user stops. */
  typing(isTyping?: boolean): void;
  connect(): void;
  retryNow(): void;
  close(): void;
  /** Messages from now on, or after `after`. Ends with `close()`, throws when refused. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

/** How far members have read, and how far messages were delivered to them; "0" if not at all. */
export interface Receipts {
  me: { read: string; delivered: string };
  receipts: {
    user_id: string; username: string; read: string; delivered: string; guest_key?: string;
  }[];
  total: number;
}

/** Who may join: every user with the link, or members and users whose token lists it. */
export type Access = "open" | "closed";

export interface Conversation {
  room_id: string;
  title: string;
  description: string;
  /** Null if a token that lists the conversation made it. */
  created_by: string | null;
  created_at: string;
  updated_at: string;
  is_active: boolean;
  access: Access;
  /** Whether users that are no members find it in the list. */
  listed: boolean;
  /** In lists at most 50. */
  participants: {
    user_id: string; username: string; online: boolean; guest?: boolean; guest_key?: string;
  }[];
  participant_count: number;
  message_count: number;
  last_message?: any;
  guest?: boolean;
  guest_key?: string;
  /** In lists, for the user of a token. */
  unread_count?: number;
  unread_mentions?: number;
  last_read_id?: string;
}

export class Confab {
  constructor(url: string | URL, options?: Options);
  /** The least connected state of all conversations; `closed` if there are none. */
  readonly state: State;
  on(event: "state", listener: (data: StateEvent) => void): () => void;
  /** The `error` events of all conversations. */
  on(event: "error", listener: (data: any) => void): () => void;
  /** The same room for the same id. It connects by itself. */
  conversation(id: string, options?: RoomOptions): Room;
  /** Opens all conversations again after `close()`. */
  connect(): void;
  /** Tries at once instead of waiting, also when refused. */
  retryNow(): void;
  close(): void;
  /** The server's time in milliseconds, as far as its messages showed it. */
  time(): number;
  /**
   * Conversations that everybody may find, and those of the token's user, newest first. With `mine`
   * only the latter, newest activity first; with `ended` also those that have ended.
   */
  list(options?: {
    limit?: number; cursor?: string; mine?: boolean; ended?: boolean; signal?: AbortSignal;
  }): Promise<{ conversations: Conversation[]; next_cursor: string | null }>;
  create(conversation: {
    title: string;
    description?: string;
    access?: Access;
    listed?: boolean;
    members?: { user_id: string; username?: string }[];
    signal?: AbortSignal;
  }): Promise<{ room_id: string; link: string; conversation: Conversation; token?: string }>;
  /** For the creator and admins. Closing removes no member, and takes it out of the list. An admin
   * that may not read the conversation gets no participants, counts and last message. */
  update(id: string, changes: {
    title?: string; description?: string; access?: Access; listed?: boolean; signal?: AbortSignal;
  }): Promise<{ conversation: Partial<Conversation> }>;
  /** Ends the own membership. */
  leave(id: string, options?: { signal?: AbortSignal }): Promise<unknown>;
  /** A page of the members, for members: at most 1,000. */
  members(id: string, options?: { limit?: number; cursor?: string; signal?: AbortSignal }): Promise<{
    members: {
      user_id: string; username: string; online: boolean; guest: boolean; guest_key?: string;
      creator: boolean;
    }[];
    next_cursor: string | null;
  }>;
  /** For the creator and admins. A removed user may not join by the link until added again. */
  addMember(id: string, user: string, options?: { name?: string; signal?: AbortSignal }):
    Promise<unknown>;
  removeMember(id: string, user: string, options?: { signal?: AbortSignal }): Promise<unknown>;
  /** The own read position, the 100 highest ones of members, and how many have one. */
  receipts(id: string, options?: { signal?: AbortSignal }): Promise<Receipts>;
  /** Becomes a participant. Guests need not call it: `conversation` does. */
  join(id: string, name?: string, options?: { signal?: AbortSignal }):
    Promise<{ conversation: Conversation; participant: object; token?: string }>;
}
