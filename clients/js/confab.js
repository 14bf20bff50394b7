// Confab's client kit for JavaScript. README.md shows its use, confab.d.ts describes its interface.
//
// `Backoff` and `Timeline` decide; they know no clock and no socket. A `Room` is one conversation
// with its connection. An `Account` is what the rooms of one user share. `Confab` is the entrance.

/**
 * @typedef {import("./confab").Clock} Clock
 * @typedef {import("./confab").Message} Message
 * @typedef {import("./confab").Options} Options
 * @typedef {import("./confab").Pending} Pending
 * @typedef {import("./confab").RoomOptions} RoomOptions
 * @typedef {import("./confab").State} State
 * @typedef {import("./confab").Storage} Storage
 * @typedef {{localId: string, text: string, since: number, error?: string}} SavedRow
 * @typedef {{token: string, me?: string, renewAt: number}} Login
 * @typedef {{signal?: AbortSignal}} Abortable
 * @typedef {{accept(frame: any): void, reject(error: ConfabError): void,
 *   postpone(milliseconds: number): void}} Exchange A request of which the answer is awaited.
 * @typedef {Exchange & {action: string, notBefore: number, members(): any}} Request
 */

const SECOND = 1_000;
const ANSWER_TIME = 15 * SECOND; // a working server answers within 5 s
const PROBE_TIME = 5 * SECOND;
const SILENCE_TIME = 35 * SECOND; // the server sends a heartbeat every 25 s
const SUSPEND_TIME = 10 * SECOND;
const GAP_TIME = 300;
const PAGE_SIZE = 50;
const UNPLACED_LIMIT = 1_000;
const OUTBOX_LIMIT = 1_000;
const STATES_BY_HEALTH = ["refused", "offline", "waiting", "connecting", "online"];

const ignore = () => {};

/** Node 18 and pages without https have no `randomUUID`. */
const uniqueId = () => globalThis.crypto?.randomUUID?.()
	?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

/** The server cannot read half of a surrogate pair. */
const wellFormed = (/** @type {string} */ text) => text.replace(/\p{Surrogate}/gu, "\ufffd");

export class ConfabError extends Error {
	/** @param {string} message @param {Partial<ConfabError>} [details] */
	constructor(message, details) {
		super(message);
		this.name = "ConfabError";
		this.retry = false;
		/** @type {number | undefined} */
		this.retryAfter = undefined;
		/** @type {number | undefined} */
		this.code = undefined;
		Object.assign(this, details);
	}
}

/** Delivers events. A listener that fails causes an `error` event and does not stop the others. */
class Emitter {
	/** @type {Map<string, Set<(data: any) => any>>} */
	#listeners = new Map();

	/** @param {string} event @param {(data: any) => any} listener */
	on(event, listener) {
		const listeners = this.#listeners.get(event) ?? new Set();
		this.#listeners.set(event, listeners.add(listener));
		return () => void listeners.delete(listener);
	}

	/** @param {string} event @param {any} [data] */
	emit(event, data) {
		const fail = (/** @type {unknown} */ error) => {
			if (event !== "error") this.emit("error", error);
		};
		for (const listener of this.#listeners.get(event) ?? []) {
			try {
				listener(data)?.catch?.(fail);
			} catch (error) {
				fail(error);
			}
		}
	}
}

/** A promise that its owner settles, or that rejects when a signal aborts. */
class Waiter {
	/** @type {(value?: any) => void} */
	resolve = ignore;
	/** @type {(error: unknown) => void} */
	reject = ignore;

	/** @param {AbortSignal | undefined} signal @param {() => void} cancel */
	constructor(signal, cancel) {
		const abort = () => {
			this.reject(signal?.reason);
			cancel();
		};
		this.promise = new Promise((resolve, reject) => {
			this.resolve = resolve;
			this.reject = reject;
		});
		signal?.addEventListener("abort", abort);
		// The application may leave the promise alone.
		this.promise.catch(ignore).then(() => signal?.removeEventListener("abort", abort));
	}
}

/**
 * The delay before each connection.
 *
 * The first attempt after a healthy connection comes at once, later ones after a random part of a
 * growing time, because the clients of a restarted server must not return all at once.
 */
class Backoff {
	#tries = 1;

	/** @param {() => number} random */
	constructor(random) {
		this.random = random;
	}

	/**
	 * @param {{healthy: number, code?: number, retryAfter?: number, isHidden?: boolean}} loss
	 *   `healthy`: for how many milliseconds the connection was online
	 * @returns {number} milliseconds
	 */
	delay({ healthy, code, retryAfter = code === 1013 ? 1 : 0, isHidden }) {
		if (healthy >= 10 * SECOND) this.#tries = 0;
		const tries = this.#tries++;
		const longest = Math.min(15 * SECOND, SECOND / 2 * 2 ** tries) * (isHidden ? 4 : 1);
		const jitter = tries && SECOND / 4 + this.random() * (longest - SECOND / 4);
		const wait = retryAfter * SECOND;
		if (wait) return wait + this.random() * Math.max(wait, longest);
		return code === 1012 ? Math.max(jitter, this.random() * 2 * SECOND) : jitter;
	}
}

/**
 * The stored messages of a conversation: each id once, in order, each in its newest state.
 *
 * `last` and `rev` are the point from which the next connection resumes. Only what the server
 * sends in order raises `rev`. A page does not: it may be newer than changes that are still under
 * way, and a resumed connection would not repeat these.
 */
class Timeline {
	/** @type {Message[]} */
	messages = [];
	/** The newest id of the server when the connection was opened. @type {number | undefined} */
	head;
	/** Why the list is being loaded; empty when it is complete. */
	loading = "";
	/** The newest states of messages that are not in the list. @type {Map<number, Message>} */
	#unplaced = new Map();

	/**
	 * @param {(event: string, data: any) => void} emit
	 * @param {number} limit the number of messages in the list
	 * @param {number} [last] @param {number} [rev]
	 */
	constructor(emit, limit, last, rev) {
		this.emit = emit;
		this.limit = limit;
		this.last = last;
		this.rev = rev;
		if (last === undefined) this.loading = "start";
	}

	get isComplete() {
		return this.last !== undefined && this.head !== undefined && this.last >= this.head;
	}

	/** Whether a message arrived before an earlier one. */
	get hasGap() {
		const { last } = this;
		return last !== undefined && [...this.#unplaced.keys()].some((id) => id > last);
	}

	/** The first id of the list. */
	get first() {
		return this.messages[0]?.id ?? (this.last ?? 0) + 1;
	}

	/** @param {number} id @returns {Message | undefined} */
	find(id) {
		return this.messages[id - this.first];
	}

	/** The next connection repeats everything after `last` and `rev`. */
	disconnect() {
		this.head = undefined;
		this.#unplaced.clear();
	}

	/** The server's history does not continue the list. @param {string} reason @param {number} [last] */
	reload(reason, last) {
		this.messages = [];
		this.loading = reason;
		this.last = last;
		this.rev = undefined;
		this.#unplaced.clear();
	}

	/** Accepts the newest page, oldest message first. @param {Message[]} page @param {number} rev */
	start(page, rev) {
		this.messages = page.map((message) => this.#newest(message));
		this.last = this.head = page.at(-1)?.id ?? 0;
		this.rev = rev;
	}

	/** Accepts the page before the list. @param {Message[]} page oldest message first */
	prepend(page) {
		this.messages.unshift(...page.map((message) => this.#newest(message)));
		this.limit = Math.max(this.limit, this.messages.length);
	}

	/** Announces the list if it was loaded and is complete. */
	finishLoading() {
		const reason = this.loading;
		if (!reason) return;
		this.loading = "";
		this.emit("reset", { reason, messages: this.messages });
		this.#deliver();
	}

	/** Accepts a message, or the new state of one. @param {Message} message @param {boolean} isChange */
	receive(message, isChange) {
		const { id, rev } = message, old = this.find(id);
		if (isChange && this.rev !== undefined) this.rev = Math.max(this.rev, rev);
		if (old) return this.#update(old, message);
		if (!isChange && this.last !== undefined && id <= this.last) return;
		this.#unplaced.set(id, this.#newest(message));
		if (this.#unplaced.size > UNPLACED_LIMIT) {
			this.#unplaced.delete(this.#unplaced.keys().next().value);
		}
		this.#deliver();
	}

	/** @param {Message} old @param {Message} message */
	#update(old, { text, edited, deleted, rev }) {
		if (rev <= old.rev) return;
		Object.assign(old, { text, edited, deleted, rev });
		this.emit(deleted ? "remove" : "change", old);
	}

	/** Appends the messages of which it is the turn. */
	#deliver() {
		if (this.last === undefined) return;
		for (let next; (next = this.#unplaced.get(this.last + 1)); ) {
			this.#unplaced.delete(next.id);
			this.last = next.id;
			// The revision of a changed message is higher than those of its successors.
			if (!next.edited && !next.deleted) this.rev = Math.max(this.rev ?? 0, next.rev);
			this.messages.push(next);
			if (this.messages.length > this.limit) this.messages.shift();
			if (!this.loading) this.emit("message", next);
		}
	}

	/** @param {Message} message */
	#newest(message) {
		const known = this.#unplaced.get(message.id);
		this.#unplaced.delete(message.id);
		return known && known.rev > message.rev ? known : message;
	}
}

/** The outbox of browsers: a table of IndexedDB. */
class BrowserStorage {
	/** @type {Promise<IDBDatabase> | undefined} */
	#database;

	#open() {
		return (this.#database ??= new Promise((resolve, reject) => {
			const request = indexedDB.open("confab");
			request.onupgradeneeded = () => request.result.createObjectStore("outbox");
			request.onsuccess = () => resolve(request.result);
			request.onerror = () => reject(request.error);
		}));
	}

	/** @param {(table: IDBObjectStore) => IDBRequest} operation @returns {Promise<any>} */
	async #run(operation) {
		const transaction = (await this.#open()).transaction("outbox", "readwrite");
		const request = operation(transaction.objectStore("outbox"));
		return new Promise((resolve, reject) => {
			transaction.oncomplete = () => resolve(request.result);
			transaction.onabort = () => reject(transaction.error);
		});
	}

	/** @param {string} key @param {any} value */
	set(key, value) {
		return this.#run((table) => table.put(value, key));
	}

	/** @param {string} key */
	delete(key) {
		return this.#run((table) => table.delete(key));
	}

	/** @param {string} prefix */
	list(prefix) {
		return this.#run((table) => table.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
	}
}

/** Browsers call these functions only without another `this`. @type {Clock} */
const systemClock = {
	now: () => Date.now(),
	setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
	clearTimeout: (timer) => clearTimeout(timer),
};

/** One user at one server: REST, tokens, the server's time, and the storage. */
class Account {
	/** @type {Map<string, Login>} */
	#logins = new Map();
	/** Server time minus client time, in milliseconds, once it is known. @type {number | undefined} */
	#offset;

	/** @param {string | URL} address @param {Options} options */
	constructor(address, options) {
		const url = new URL(address, globalThis.location?.href);
		if (!/^https?:$/.test(url.protocol)) {
			throw new TypeError(`url: ${url} does not start with http:// or https://`);
		}
		this.url = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
		this.token = options.token;
		this.user = { ...options.user };
		if (!this.token) this.user.id ??= uniqueId();
		/** @type {Storage | undefined} */
		this.storage = options.storage ?? (globalThis.indexedDB && new BrowserStorage());
		this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
		if (!this.WebSocket) {
			throw new TypeError("WebSocket: this platform has none; pass the class of the package ws");
		}
		this.fetch = options.fetch ?? ((/** @type {[any, any]} */ ...request) => fetch(...request));
		this.clock = options.clock ?? systemClock;
		this.random = options.random ?? Math.random;
		this.log = options.log ?? ignore;
	}

	/** The user id as messages will show it, as far as it is known without a token. */
	get expectedUser() {
		return this.token ? this.user.id : `guest:${this.user.id}`;
	}

	get canRenew() {
		return typeof this.token !== "string";
	}

	/** The server's time in milliseconds. */
	time() {
		return this.clock.now() + (this.#offset ?? 0);
	}

	/** A message arrived that the server has just stored. @param {string} time */
	measure(time) {
		// The message with the shortest way reveals the most.
		const offset = Date.parse(time) - this.clock.now();
		this.#offset = Math.max(this.#offset ?? offset, offset);
	}

	/** The client's clock was set, or the machine was suspended. */
	forgetTime() {
		this.#offset = undefined;
	}

	/** A token for a conversation, or for REST. @param {string} conversation @param {boolean} renew */
	async login(conversation, renew) {
		const known = this.#logins.get(conversation);
		if (known && !renew && this.clock.now() < known.renewAt) return known;
		if (!this.token) {
			await this.join(conversation, undefined, {});
		} else {
			const token = typeof this.token === "string" ? this.token
				: await this.token(conversation, renew);
			this.#remember(conversation, token);
		}
		return /** @type {Login} */ (this.#logins.get(conversation));
	}

	/** The server has rejected the token. @param {string} conversation */
	forget(conversation) {
		this.#logins.delete(conversation);
	}

	/** @param {string} conversation @param {string} token */
	#remember(conversation, token) {
		if (!token) throw new ConfabError("token: the function must return a token");
		/** @type {Login} */
		const login = { token, renewAt: Infinity };
		try {
			const body = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
			const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
			const { sub, guest, exp } = JSON.parse(new TextDecoder().decode(bytes));
			login.me = guest ? `guest:${sub}` : sub;
			if (exp && this.canRenew) login.renewAt = this.#renewalTime(exp * SECOND);
		} catch {
			// The server judges tokens; the kit only reads their claims.
		}
		this.#logins.set(conversation, login);
	}

	/** 30 s before the expiry, but a short-lived token after half of its life. @param {number} expiry */
	#renewalTime(expiry) {
		const rest = expiry - this.time(), early = 30 * SECOND;
		// A token that seems to have expired shows that this clock is wrong.
		const delay = rest > 0 ? Math.max(SECOND, rest - Math.min(early, rest / 2)) : early;
		return this.clock.now() + delay;
	}

	/** @param {string} path @param {Abortable & {body?: object}} request @returns {Promise<any>} */
	async rest(path, { body, signal }) {
		const { fetch, url } = this;
		/** @type {Record<string, string>} */
		const headers = { "content-type": "application/json" };
		if (this.token) headers.authorization = `Bearer ${(await this.login("", false)).token}`;
		const response = await fetch(`${url}/api/conversations${path}`, {
			method: body ? "POST" : "GET", headers, body: JSON.stringify(body), signal,
		}).catch((/** @type {Error} */ error) => {
			signal?.throwIfAborted();
			throw new ConfabError(`cannot reach ${url}: ${error.message}`, { retry: true });
		});
		const answer = await response.json().catch(() => ({}));
		if (response.ok) return answer;
		const { status: code, headers: fields } = response;
		throw new ConfabError(answer.error ?? `the server answers with status ${code}`, {
			code, retry: code === 429 || code >= 500,
			retryAfter: Number(fields.get("retry-after")) || undefined,
		});
	}

	/** @param {string} id @param {string | undefined} name @param {Abortable} options */
	async join(id, name, { signal }) {
		if (name) this.user.name = name;
		const { id: user_id, name: username = user_id } = this.user;
		const body = this.token ? {} : { user_id, username };
		const answer = await this.rest(`/${encodeURIComponent(id)}/join`, { body, signal });
		if (!this.token) this.#remember(id, answer.token);
		return answer;
	}

	/**
	 * One operation of the storage. A message that cannot be saved is sent nevertheless.
	 * @param {Room} room @param {"set" | "delete" | "list"} operation
	 * @param {string} key @param {any} [value] @returns {Promise<any>}
	 */
	async store(room, operation, key, value) {
		try {
			return await this.storage?.[operation](key, value);
		} catch (error) {
			room.emit("error", error);
		}
	}
}

/** One attempt to connect, and the connection. Everything here ends with it. */
class Link {
	/** @type {any} */
	socket;
	/** When the server must have sent a frame. */
	dueAt = 0;
	isProbing = false;
	/** When all missed messages had arrived. @type {number | undefined} */
	onlineAt;
	renewAt = Infinity;
	/** Why the server is about to close the connection. */
	error = "";
	/** The unanswered request of each action. @type {Map<string, {item: Exchange, sentAt: number, size: number}>} */
	exchanges = new Map();
	/** The lock of the tab that sends for all tabs. */
	lock = new AbortController();
	isLeader = false;
	readId = 0;

	/** @param {boolean} isRenewed whether the token is the second one, after a rejected one */
	constructor(isRenewed) {
		this.isRenewed = isRenewed;
	}
}

/** @implements {import("./confab").Room} */
class Room extends Emitter {
	/** @type {State} */
	state = "closed";
	/** @type {ConfabError | undefined} */
	#refusal;
	#link = new Link(false);
	/** @type {Map<string, Pending>} */
	#outbox = new Map();
	/** The prefix of the outbox in the storage, once the user is known. */
	#key = "";
	#isLoaded = false;
	/** The local ids of the rows that are in the storage. */
	#saved = new Set();
	/** @type {Map<string, Set<Waiter>>} */
	#waiters = new Map();
	/** @type {Request[]} */
	#requests = [];
	/** @type {BroadcastChannel | undefined} */
	#channel;
	#page = new AbortController();
	/** @type {Map<string, string>} The names of the present users, and of those who type. */
	#present = new Map();
	#typists = new Map();
	/** The users that were present before an interruption. */
	#presentBefore = new Map();
	/** @type {any} */
	#timer;
	#steppedAt = 0;
	#wokenAt = 0;
	#retryAt = 0;
	#sendAt = 0;
	/** @type {number | undefined} */
	#gapAt;
	#readId = 0;
	#readAt = 0;
	#typedAt = 0;
	/** The last message that an asynchronous iteration returned. @type {number | undefined} */
	#iterated;
	/** @type {(() => void)[]} */
	#sleepers = [];

	/** What a frame of the server does. @type {Record<string, (frame: any) => void>} */
	#handlers = {
		"chat_message": (frame) => this.#onMessage(frame),
		"message.edited": (frame) => this.#onChange("edit_message", frame),
		"message.deleted": (frame) => this.#onChange("delete_message", frame),
		"messages_fetched": (frame) => this.#answer("fetch_messages", frame),
		"message.failed": (frame) => this.#onRefused("send_message", frame),
		"message.status": (frame) => this.#onStatus(frame),
		"read": (frame) => this.#onRead(frame),
		"typing": (frame) => this.#onTyping(frame),
		"user_status": (frame) => this.#onPresence(undefined, [frame]),
		"presence": (frame) => this.#onPresence(frame.online - 1, frame.changes),
		"error": (frame) => this.#onError(frame),
	};

	/**
	 * @param {Confab} confab @param {Account} account
	 * @param {string} id @param {RoomOptions} options
	 */
	constructor(confab, account, id, { after, rev, limit = 1_000, maxAge = Infinity }) {
		super();
		if (!/^[\w.:-]{1,128}$/.test(id)) {
			throw new RangeError(`conversation: "${id}" is not 1 to 128 of A-Z a-z 0-9 . _ : -`);
		}
		if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) {
			throw new RangeError(`after: ${after} is no message id`);
		}
		this.id = id;
		this.limit = limit;
		this.maxAge = maxAge;
		this.confab = confab;
		this.account = account;
		this.me = account.expectedUser;
		this.#iterated = after;
		this.#backoff = new Backoff(account.random);
		this.#timeline = new Timeline((event, data) => {
			// The row in the outbox must be gone when a listener looks at the list.
			if (event === "message") this.#stored(data);
			if (event === "reset") this.#iterated ??= this.#timeline.last;
			this.emit(event, data);
		}, limit, after, rev);
	}

	#backoff;
	#timeline;

	get messages() {
		return [...this.#timeline.messages, ...this.#outbox.values()];
	}

	get outbox() {
		return [...this.#outbox.values()];
	}

	get after() {
		return this.#timeline.last;
	}

	get rev() {
		return this.#timeline.rev;
	}

	get present() {
		return [...this.#present].map(([user, name]) => ({ user, name }));
	}

	/** @param {string} event @param {any} [data] */
	emit(event, data) {
		this.account.log(this.id, event, data);
		super.emit(event, data);
		for (const wake of this.#sleepers.splice(0)) wake();
	}

	// For the application.

	/** @param {string} text @param {Abortable & {localId?: string}} [options] */
	send(text, { localId = uniqueId(), signal } = {}) {
		if (signal?.aborted) return Promise.reject(signal.reason);
		if (this.#outbox.size >= OUTBOX_LIMIT) {
			return Promise.reject(new ConfabError(`outbox: ${OUTBOX_LIMIT} messages wait already`));
		}
		this.typing(false);
		const waiter = new Waiter(signal, () => this.discard(localId));
		this.#waiters.set(localId, (this.#waiters.get(localId) ?? new Set()).add(waiter));
		if (this.#outbox.has(localId)) {
			this.retry(localId);
		} else {
			const row = this.#row({ localId, text: wellFormed(text), since: this.account.clock.now() });
			this.#outbox.set(localId, row);
			this.#outboxChanged();
			this.#save(row);
		}
		this.#rejectIfStopped();
		return waiter.promise;
	}

	/** @param {number} id @param {string} text @param {Abortable} [options] */
	edit(id, text, options) {
		const members = { message_id: `${id}`, content: wellFormed(text) };
		return this.#request("edit_message", () => members, ignore, options);
	}

	/** @param {number} id @param {Abortable} [options] */
	delete(id, options) {
		const members = { message_id: `${id}` };
		return this.#request("delete_message", () => members, ignore, options);
	}

	/** @param {string} localId */
	retry(localId) {
		const row = this.#outbox.get(localId);
		if (!row?.error) return;
		Object.assign(row, { state: "sending", error: undefined, since: this.account.clock.now() });
		this.#outboxChanged();
		this.#save(row);
	}

	/** @param {string} localId */
	discard(localId) {
		this.#remove(localId);
		this.#channel?.postMessage({ discarded: localId });
		this.#settle(localId, (waiter) => waiter.reject(new ConfabError("the message was discarded")));
		this.#outboxChanged();
	}

	/** @param {number} [limit] @param {Abortable} [options] @returns {Promise<boolean>} */
	async older(limit = PAGE_SIZE, options) {
		const timeline = this.#timeline;
		// While the page is under way, no message may leave the list at its beginning.
		timeline.limit = Math.max(timeline.limit, timeline.messages.length + limit);
		let before = 0;
		const page = await this.#request("fetch_messages", () => {
			before = timeline.first;
			return { before_id: `${before}`, limit };
		}, ({ messages }) => {
			const page = this.#parsePage(messages);
			if (before === timeline.first) timeline.prepend(page);
			return page;
		}, options);
		if (before !== (page.at(-1)?.id ?? before - 1) + 1) return this.older(limit, options);
		return page.length === limit && timeline.first > 1;
	}

	latest() {
		const { messages } = this.#timeline;
		this.#timeline.limit = this.limit;
		messages.splice(0, messages.length - this.limit);
		this.emit("reset", { reason: "latest", messages });
	}

	/** @param {number} id */
	read(id) {
		this.#readId = Math.max(this.#readId, id);
		this.#step();
	}

	/** @param {boolean} [isTyping] */
	typing(isTyping = true) {
		const now = this.account.clock.now();
		// Repeated every 3 s, because the server ends it after 6 s; ended only if it was begun.
		if (!this.#link.onlineAt || (isTyping ? now < this.#typedAt + 3 * SECOND : !this.#typedAt)) {
			return;
		}
		this.#typedAt = isTyping ? now : 0;
		this.#write({ action: "typing", is_typing: isTyping });
	}

	connect() {
		if (this.state !== "closed") return;
		this.#page = new AbortController();
		for (const type of ["online", "offline", "pageshow", "pagehide", "visibilitychange"]) {
			globalThis.addEventListener?.(type, (event) => this.#onPageEvent(event.type), this.#page);
		}
		this.#steppedAt = this.account.clock.now();
		if (this.me) this.#openOutbox();
		this.#dial();
	}

	retryNow() {
		if (["waiting", "offline", "refused"].includes(this.state)) this.#dial();
		else if (this.#link.onlineAt) this.#probe();
	}

	close() {
		if (this.state === "closed") return;
		this.#page.abort();
		this.#channel?.close();
		this.#channel = undefined;
		this.#key = "";
		this.#isLoaded = false;
		this.#hangUp();
		this.account.clock.clearTimeout(this.#timer);
		this.#setState("closed");
		this.#rejectIfStopped();
	}

	/** Nothing waits in a queue: a slow loop fetches what has left the list meanwhile. */
	async *[Symbol.asyncIterator]() {
		for (;;) {
			const { last } = this.#timeline;
			if (last !== undefined && !this.#timeline.loading) this.#iterated = Math.min(this.#iterated ?? last, last); // A restored backup has fewer.
			if (last !== undefined && this.#iterated !== undefined && this.#iterated < last) {
				const message = this.#timeline.find(this.#iterated + 1);
				for (const next of message ? [message] : await this.#pageAfter(this.#iterated)) {
					this.#iterated = next.id;
					yield next;
				}
			} else if (this.state === "closed") {
				return;
			} else if (this.#refusal) {
				throw this.#refusal;
			} else {
				await new Promise((wake) => this.#sleepers.push(() => wake(undefined)));
			}
		}
	}

	// The connection.

	/** @param {State} state @param {{reason?: string, code?: number, retryAt?: number}} [details] */
	#setState(state, details = {}) {
		this.state = state;
		this.#refusal = state === "refused" ? new ConfabError(details.reason ?? "", details) : undefined;
		const event = { conversation: this.id, state, ...details };
		this.emit("state", event);
		this.confab.emit("state", event);
	}

	/** @param {boolean} [isRenewed] */
	async #dial(isRenewed = false) {
		const { account } = this, link = new Link(isRenewed);
		this.#hangUp();
		this.#link = link;
		link.dueAt = account.clock.now() + ANSWER_TIME;
		this.#setState("connecting");
		this.#step();
		try {
			const login = await account.login(this.id, isRenewed);
			if (link !== this.#link) return;
			this.#identify(login);
			link.renewAt = login.renewAt;
			link.socket = new account.WebSocket(this.#socketUrl(login.token));
			link.socket.onopen = () => link === this.#link && this.#loadHead();
			link.socket.onmessage = (/** @type {any} */ { data }) =>
				link === this.#link && this.#receive(data);
			link.socket.onclose = (/** @type {any} */ { code, reason }) =>
				link === this.#link && this.#lost({ code, reason });
			link.socket.onerror = ignore; // `onclose` follows.
		} catch (error) {
			const { message: reason, retry, ...details } = /** @type {ConfabError} */ (error);
			if (link === this.#link) this.#lost({ reason, isFinal: retry === false, ...details });
		}
	}

	/** @param {string} token */
	#socketUrl(token) {
		const { last, rev } = this.#timeline, query = new URLSearchParams({ token });
		if (last !== undefined) query.set("after", `${last}`);
		if (rev !== undefined) query.set("rev", `${rev}`);
		return `${this.account.url.replace("http", "ws")}/conversations/${this.id}/?${query}`;
	}

	/** @param {Login} login */
	#identify({ me }) {
		if (this.me && me && this.me !== me) {
			throw new ConfabError(`token: it belongs to ${me} instead of ${this.me}`);
		}
		this.me ??= me;
		if (!this.#key) this.#openOutbox();
	}

	/** Ends the connection without waiting for it. */
	#hangUp() {
		const link = this.#link;
		this.#link = new Link(false);
		link.lock.abort();
		link.socket?.close();
		this.#timeline.disconnect();
		this.#gapAt = undefined;
		this.#typedAt = 0;
		for (const [user, name] of this.#typists) this.emit("typing", { user, name, typing: false });
		this.#typists.clear();
		for (const [user, name] of this.#present) this.#presentBefore.set(user, name);
		this.#present.clear();
		return link;
	}

	/**
	 * The connection is lost, or was not opened.
	 * @param {{code?: number, reason?: string, retryAfter?: number, isFinal?: boolean}} loss
	 */
	#lost({ code, reason, retryAfter, isFinal = code === 4003 || code === 4004 }) {
		const link = this.#hangUp(), { account } = this, now = account.clock.now();
		const details = { code, reason: link.error || reason || "the connection broke" };
		if (code === 1009) this.#rejectLongest(link);
		if (code === 4003) account.forget(this.id);
		if (code === 4003 && account.canRenew && !link.isRenewed) return this.#dial(true);
		if (isFinal) {
			this.#setState("refused", details);
			return this.#rejectIfStopped();
		}
		const healthy = link.onlineAt === undefined ? 0 : now - link.onlineAt;
		const { document, navigator } = globalThis;
		const delay = this.#backoff.delay({ healthy, code, retryAfter, isHidden: document?.hidden });
		if (!delay) return this.#dial();
		this.#retryAt = now + delay;
		const state = navigator?.onLine === false ? "offline" : "waiting";
		this.#setState(state, { ...details, retryAt: this.#retryAt });
		this.#step();
	}

	/** The server closes every connection on which it receives this frame. @param {Link} link */
	#rejectLongest({ exchanges }) {
		const [longest] = [...exchanges.values()].sort((a, b) => b.size - a.size);
		longest?.item.reject(new ConfabError("the message is longer than the server accepts"));
	}

	/** @param {string} type */
	#onPageEvent(type) {
		const now = this.account.clock.now();
		if (type === "pagehide" && this.#link.socket) {
			// Browsers retain only pages without a connection. A page that stays connects again.
			this.#hangUp();
			this.#retryAt = now + SECOND;
			this.#setState("waiting", { retryAt: this.#retryAt });
			this.#step();
		} else if (type === "offline") {
			if (this.#link.onlineAt) this.#probe();
		} else if (!globalThis.document?.hidden && Math.abs(now - this.#wokenAt) >= SECOND) {
			this.#wokenAt = now;
			if (this.state !== "refused") this.retryNow();
		}
	}

	/** Runs what is due: after every frame and request, and at least once a second. */
	#step() {
		const { clock } = this.account, now = clock.now();
		clock.clearTimeout(this.#timer);
		if (this.state === "closed" || this.state === "refused") return;
		this.#watch(now);
		if (this.#link.onlineAt !== undefined) this.#sendDue(now);
		const times = [this.#sendAt, this.#readAt, this.#retryAt, this.#gapAt ?? 0,
			...this.#requests.map((request) => request.notBefore)];
		const next = Math.min(now + SECOND, ...times.filter((time) => time > now));
		clock.clearTimeout(this.#timer);
		this.#timer = clock.setTimeout(() => this.#step(), next - now);
	}

	/** Compares times instead of counting ticks, because browsers slow down timers. @param {number} now */
	#watch(now) {
		const link = this.#link, wasSuspended = Math.abs(now - this.#steppedAt) > SUSPEND_TIME;
		this.#steppedAt = now;
		if (wasSuspended) this.account.forgetTime();
		if (this.state === "waiting" || this.state === "offline") {
			if (now >= this.#retryAt || this.#retryAt - now > 90 * SECOND) this.#dial();
		} else if (link.onlineAt === undefined) {
			if (now > link.dueAt || wasSuspended) this.#abandon("the server does not answer");
		} else if (wasSuspended || (now > link.dueAt && !link.isProbing)) {
			this.#probe();
		} else if (now > link.dueAt) {
			this.#abandon("the connection is dead: no answer for 5 s");
		} else if ([...link.exchanges.values()].some(({ sentAt }) => now - sentAt >= ANSWER_TIME)) {
			this.#abandon("the server does not answer");
		} else if (this.#gapAt !== undefined && now >= this.#gapAt) {
			// A new connection brings the missing message, and changes that were lost with it.
			this.#abandon("a message is missing");
		}
	}

	/** @param {string} reason */
	#abandon(reason) {
		// Node's ws would wait 30 s for the other end.
		this.#link.socket?.terminate?.();
		this.#lost({ reason });
	}

	/** Requests a page, because heartbeats have no answer. */
	#probe() {
		const link = this.#link, now = this.account.clock.now();
		link.isProbing = true;
		link.dueAt = now + PROBE_TIME;
		if (!link.exchanges.has("fetch_messages")) this.#fetch({ limit: 1 }, ignore);
	}

	/** The answer contains the newest id: the list is complete when it has that message. */
	#loadHead() {
		const timeline = this.#timeline;
		const limit = timeline.last === undefined ? Math.min(this.limit, PAGE_SIZE) : 1;
		this.#fetch({ limit }, ({ messages, rev }) => {
			const page = this.#parsePage(messages);
			if (timeline.last === undefined) timeline.start(page, rev);
			timeline.head = page.at(-1)?.id ?? 0;
		});
	}

	/** @param {object} members @param {(frame: any) => void} accept */
	#fetch(members, accept) {
		const reject = (/** @type {ConfabError} */ { message }) => this.#lost({ reason: message });
		this.#transmit("fetch_messages", members, { accept, reject, postpone: ignore });
	}

	/** @param {string} action @param {object} members @param {Exchange} item */
	#transmit(action, members, item) {
		const size = this.#write({ action, ...members });
		this.#link.exchanges.set(action, { item, sentAt: this.account.clock.now(), size });
	}

	/** @param {object} frame @returns {number} its size */
	#write(frame) {
		const text = JSON.stringify(frame);
		this.#link.socket.send(text);
		return text.length;
	}

	/** The missed messages have arrived. */
	#online() {
		const link = this.#link, { locks } = globalThis.navigator ?? {};
		link.onlineAt = this.account.clock.now();
		link.isRenewed = false;
		this.#timeline.finishLoading();
		const gone = [...this.#presentBefore];
		this.#presentBefore.clear();
		if (gone.length) {
			this.emit("presence", { online: this.#present.size,
				changes: gone.map(([user, name]) => ({ user, name, online: false })) });
		}
		this.#setState("online");
		// One tab sends for all.
		const lead = () => new Promise((release) => {
			link.isLeader = true;
			link.lock.signal.addEventListener("abort", release);
			this.#step();
		});
		if (locks) locks.request(this.#key, link.lock, lead).catch(ignore);
		else lead();
	}

	/** @param {number} now */
	#sendDue(now) {
		const link = this.#link;
		if (now >= link.renewAt) this.#renew(link, now);
		for (const request of this.#requests) {
			if (now < request.notBefore || link.exchanges.has(request.action)) continue;
			this.#transmit(request.action, request.members(), request);
		}
		if (link.isLeader && now >= this.#sendAt && !link.exchanges.has("send_message")) {
			const row = this.#nextRow(now);
			if (row) this.#sendRow(row);
		}
		if (this.#readId > link.readId && now >= this.#readAt) {
			link.readId = this.#readId;
			this.#readAt = now + SECOND / 2;
			this.#write({ action: "read", message_ids: [`${this.#readId}`] });
		}
	}

	/** @param {Link} link @param {number} now */
	async #renew(link, now) {
		link.renewAt = now + 5 * SECOND; // The next try, if this one fails.
		try {
			const { token, renewAt } = await this.account.login(this.id, true);
			if (link !== this.#link) return;
			link.renewAt = renewAt;
			this.#write({ action: "authenticate", token });
		} catch (error) {
			this.emit("error", error);
		}
	}

	// Requests.

	/**
	 * Sends a request until it is answered. An edit is a state, so that a repetition is harmless.
	 * @param {string} action @param {() => object} members @param {(frame: any) => any} accept
	 * @param {Abortable} [options] @returns {Promise<any>}
	 */
	#request(action, members, accept, { signal } = {}) {
		if (signal?.aborted) return Promise.reject(signal.reason);
		const remove = () => {
			this.#requests = this.#requests.filter((other) => other !== request);
		};
		const waiter = new Waiter(signal, remove);
		/** @type {Request} */
		const request = {
			action, members, notBefore: 0,
			accept: (frame) => {
				remove();
				waiter.resolve(accept(frame));
			},
			reject: (error) => {
				remove();
				waiter.reject(error);
			},
			postpone: (milliseconds) => {
				request.notBefore = this.account.clock.now() + milliseconds;
			},
		};
		this.#requests.push(request);
		this.#rejectIfStopped();
		this.#step();
		return waiter.promise;
	}

	/** @param {number} id @returns {Promise<Message[]>} the oldest messages after this one */
	#pageAfter(id) {
		return this.#request("fetch_messages", () => ({ after_id: `${id}`, limit: 100 }),
			({ messages }) => this.#parsePage(messages));
	}

	/** Ends waiting while nothing can be sent. The messages stay in the outbox. */
	#rejectIfStopped() {
		const error = this.state === "closed" ? new ConfabError("the conversation is closed")
			: this.#refusal;
		if (!error) return;
		error.retry = true;
		for (const request of this.#requests) request.reject(error);
		for (const localId of [...this.#waiters.keys()]) {
			this.#settle(localId, (waiter) => waiter.reject(error));
		}
	}

	/** @param {string} localId @param {(waiter: Waiter) => void} end */
	#settle(localId, end) {
		this.#waiters.get(localId)?.forEach(end);
		this.#waiters.delete(localId);
	}

	/** @param {string} action @param {any} frame */
	#answer(action, frame) {
		const exchange = this.#link.exchanges.get(action);
		this.#link.exchanges.delete(action);
		exchange?.item.accept(frame);
	}

	/** @param {string} action @param {any} frame */
	#onRefused(action, { error, outcome, local_id: localId, retry_after: retryAfter }) {
		const exchange = this.#link.exchanges.get(action);
		if (!exchange) return this.emit("error", new ConfabError(error));
		this.#link.exchanges.delete(action);
		if (error === "conversation ended") this.emit("ended");
		if (retryAfter !== undefined || outcome === "unknown" || /try again/.test(error)) {
			exchange.item.postpone((retryAfter ?? 1) * SECOND);
		} else {
			exchange.item.reject(new ConfabError(error));
		}
	}

	// The outbox.

	/** @param {SavedRow} saved @returns {Pending} */
	#row({ localId, text, since, error }) {
		const { account, me = "" } = this, offset = account.time() - account.clock.now();
		return {
			id: NaN, key: localId, localId, author: me, name: account.user.name ?? me, text,
			time: new Date(since + offset).toISOString(), state: error ? "failed" : "sending",
			edited: false, deleted: false, rev: 0, since, tries: 0, error,
		};
	}

	#outboxChanged() {
		this.emit("outbox", this.outbox);
		this.#step();
	}

	/** Loads the rows of earlier runs, and connects with the user's other tabs. */
	async #openOutbox() {
		const key = (this.#key = `confab ${JSON.stringify([this.account.url, this.me, this.id])} `);
		if (globalThis.navigator?.locks) {
			this.#channel = new BroadcastChannel(key);
			this.#channel.onmessage = ({ data }) => this.#onTab(data);
		}
		const saved = await this.account.store(this, "list", key);
		if (key !== this.#key) return;
		for (const row of saved ?? []) this.#accept(row);
		const rows = this.outbox.sort((a, b) => a.since - b.since);
		this.#outbox = new Map(rows.map((row) => [row.localId, row]));
		this.#isLoaded = true;
		for (const row of rows) if (!this.#saved.has(row.localId)) this.#save(row);
		this.#outboxChanged();
	}

	/** Takes over a row of the storage or of another tab. @param {SavedRow} saved */
	#accept(saved) {
		const { localId, error } = saved;
		const isStored = this.#timeline.messages.some((message) => message.key === localId);
		if (isStored) return;
		const row = this.#row(saved), known = this.#outbox.get(localId);
		this.#outbox.set(localId, known ? Object.assign(known, row, { tries: known.tries }) : row);
		this.#saved.add(localId);
		if (error) this.#settle(localId, (waiter) => waiter.reject(new ConfabError(error)));
	}

	/** @param {{saved?: SavedRow, discarded?: string}} notice */
	#onTab({ saved, discarded }) {
		if (saved) this.#accept(saved);
		if (discarded) this.#remove(discarded);
		this.#outboxChanged();
	}

	/** Saves a row; only then it is sent. @param {Pending} row */
	async #save({ localId, text, since, error }) {
		if (!this.#isLoaded) return;
		const saved = { localId, text, since, error };
		await this.account.store(this, "set", this.#key + localId, saved);
		this.#saved.add(localId);
		this.#channel?.postMessage({ saved });
		this.#step();
	}

	/** @param {string} localId */
	#remove(localId) {
		if (!this.#outbox.delete(localId)) return;
		this.#saved.delete(localId);
		this.account.store(this, "delete", this.#key + localId);
	}

	/** The row that is sent next, unless it waited for too long. @param {number} now */
	#nextRow(now) {
		for (const row of this.#outbox.values()) {
			if (row.error) continue;
			if (!this.#saved.has(row.localId)) return;
			if (now - row.since <= this.maxAge) return row;
			this.#fail(row, `the message waited for more than ${this.maxAge / SECOND} s`);
		}
	}

	/** @param {Pending} row */
	#sendRow(row) {
		row.tries++;
		this.#transmit("send_message", { content: row.text, local_id: row.localId }, {
			accept: ignore,
			reject: ({ message }) => this.#fail(row, message),
			postpone: (milliseconds) => {
				this.#sendAt = this.account.clock.now() + milliseconds;
			},
		});
	}

	/** The server refused the message for good. @param {Pending} row @param {string} error */
	#fail(row, error) {
		Object.assign(row, { state: "failed", error });
		this.#save(row);
		this.#settle(row.localId, (waiter) => waiter.reject(new ConfabError(error)));
		this.#outboxChanged();
	}

	/** Ends the row of a stored message. Other users may choose the same local id. @param {Message} message */
	#stored(message) {
		const { localId } = message;
		if (!localId || message.author !== this.me || !this.#outbox.has(localId)) return;
		this.#remove(localId);
		this.#settle(localId, (waiter) => waiter.resolve(message));
		this.emit("outbox", this.outbox);
	}

	// Frames of the server.

	/** @param {string} data */
	#receive(data) {
		const link = this.#link;
		link.dueAt = this.account.clock.now() + SILENCE_TIME;
		link.isProbing = false;
		try {
			const frame = JSON.parse(data);
			this.#handlers[frame.type]?.(frame);
		} catch (error) {
			this.emit("error", error);
		}
		if (link !== this.#link) return;
		if (link.onlineAt === undefined && this.#timeline.isComplete) this.#online();
		if (!this.#timeline.hasGap || this.#timeline.loading) this.#gapAt = undefined;
		else this.#gapAt ??= this.account.clock.now() + GAP_TIME;
		this.#step();
	}

	/** Events and pages have different names for the same fields. @param {any} raw @returns {Message} */
	#parse(raw) {
		const { sender_id: author, username: name = author, local_id: localId } = raw;
		const id = Number(raw.id);
		return {
			id, key: author === this.me && localId ? localId : id, author, name, text: raw.content,
			time: raw.timestamp ?? raw.sent_at, state: "sent", edited: !!raw.is_edited,
			deleted: !!raw.is_deleted, rev: raw.rev, localId,
		};
	}

	/** @param {any[]} messages @returns {Message[]} oldest first */
	#parsePage(messages) {
		return messages.map((raw) => this.#parse(raw)).sort((a, b) => a.id - b.id);
	}

	/** @param {any} frame */
	#onMessage(frame) {
		const message = this.#parse(frame.message), timeline = this.#timeline;
		const { last = Infinity } = timeline;
		if (this.#link.onlineAt && message.id > last) this.account.measure(message.time);
		timeline.receive(message, false);
		if (message.author === this.me && message.localId) {
			if (this.#link.exchanges.get("send_message")) this.#link.exchanges.delete("send_message");
		}
		// A repeated send, or a message of a list that is being loaded.
		const listed = timeline.last === undefined || message.id > timeline.last ? undefined
			: timeline.find(message.id) ?? message;
		if (listed) this.#stored(Object.assign(listed, { localId: message.localId }));
	}

	/** @param {string} action @param {any} frame */
	#onChange(action, frame) {
		const message = this.#parse(frame.message);
		this.#timeline.receive(message, true);
		const item = this.#link.exchanges.get(action)?.item;
		for (const request of this.#requests) {
			const { message_id, content = message.text } = request.members();
			if (request.action !== action || Number(message_id) !== message.id) continue;
			if (request !== item && content !== message.text) continue;
			if (request === item) this.#link.exchanges.delete(action);
			return request.accept(frame);
		}
	}

	/** @param {any} frame */
	#onStatus({ message_id, status }) {
		const id = Number(message_id), message = this.#timeline.find(id);
		if (message) {
			if (message.state === status || message.state === "read") return;
			message.state = status;
		}
		this.emit("receipt", { id, state: status });
	}

	/** @param {any} frame */
	#onRead({ user_id: user, username: name = user, message_ids }) {
		this.emit("receipt", { user, name, id: Math.max(...message_ids), state: "read" });
	}

	/** @param {any} frame */
	#onTyping({ user_id: user, username: name = user, is_typing: typing }) {
		if (typing) this.#typists.set(user, name);
		else this.#typists.delete(user);
		this.emit("typing", { user, name, typing });
	}

	/** @param {number | undefined} count of present users, if the server counts @param {any[]} raw */
	#onPresence(count, raw) {
		const changes = raw.map(({ user_id: user, username: name = user, status }) =>
			({ user, name, online: status === "online" }));
		for (const { user, name, online } of changes) {
			if (online) this.#present.set(user, name);
			else this.#present.delete(user);
		}
		// Nothing changes for users that were present before an interruption.
		const visible = changes.filter(({ user, online }) =>
			!(this.#presentBefore.delete(user) && online));
		const online = count ?? this.#present.size;
		if (visible.length) this.emit("presence", { online, changes: visible });
	}

	/** @param {any} frame */
	#onError(frame) {
		const { action, error, oldest_id: oldestId, head } = frame;
		if (oldestId !== undefined) {
			this.#timeline.reload(error, oldestId - 1);
		} else if (head !== undefined) {
			this.#timeline.reload(error);
			this.#lost({ reason: error });
		} else if (this.#link.exchanges.has(action)) {
			this.#onRefused(action, frame);
		} else {
			if (!action || action === "connect") this.#link.error = error;
			this.emit("error", new ConfabError(error));
		}
	}
}

/** @implements {import("./confab").Confab} */
export class Confab extends Emitter {
	#account;
	#signal;
	/** @type {Map<string, Room>} */
	#rooms = new Map();

	/** @param {string | URL} url @param {Options} [options] */
	constructor(url, options = {}) {
		super();
		this.#account = new Account(url, options);
		this.#signal = options.signal;
		this.#signal?.addEventListener("abort", () => this.close());
	}

	/** @returns {State} */
	get state() {
		const states = [...this.#rooms.values()].map((room) => room.state);
		return /** @type {State} */ (STATES_BY_HEALTH.find((state) => states.includes(/** @type {State} */ (state))) ?? "closed");
	}

	/** @param {string} id @param {RoomOptions} [options] */
	conversation(id, options = {}) {
		const known = this.#rooms.get(id);
		if (known) return known;
		const room = new Room(this, this.#account, id, options);
		this.#rooms.set(id, room);
		if (!this.#signal?.aborted) room.connect();
		return room;
	}

	connect() {
		for (const room of this.#rooms.values()) room.connect();
	}

	retryNow() {
		for (const room of this.#rooms.values()) room.retryNow();
	}

	close() {
		for (const room of this.#rooms.values()) room.close();
	}

	time() {
		return this.#account.time();
	}

	/** @param {{limit?: number, cursor?: string} & Abortable} [options] */
	list({ limit = PAGE_SIZE, cursor, signal } = {}) {
		const query = new URLSearchParams({ limit: `${limit}` });
		if (cursor) query.set("cursor", cursor);
		return this.#account.rest(`?${query}`, { signal });
	}

	/** @param {{title: string, description?: string} & Abortable} conversation */
	create({ title, description, signal }) {
		const body = { title, description, user_id: this.#account.token ? undefined : this.#account.user.id };
		return this.#account.rest("/create", { body, signal });
	}

	/** @param {string} id @param {string} [name] @param {Abortable} [options] */
	join(id, name, options = {}) {
		return this.#account.join(id, name, options);
	}
}
