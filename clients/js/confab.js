// Confab's client kit for JavaScript. README.md shows its use, confab.d.ts describes its interface.

/**
 * @typedef {import("./confab").Message} Message
 * @typedef {import("./confab").Pending} Pending
 * @typedef {import("./confab").State} State
 * @typedef {import("./confab").Room} PublicRoom
 * @typedef {import("./confab").View} PublicView
 * @typedef {import("./confab").Confab} PublicConfab
 * @typedef {import("./confab").Reaction} Reaction
 * @typedef {import("./confab").User} User
 * @typedef {{signal?: AbortSignal}} Abortable
 * @typedef {{replyTo?: number, mentions?: string[] | "all"}} References
 * @typedef {{localId: string, text: string, since: number, error?: string} & References} SavedRow
 * @typedef {{token: string, me?: string, guestKey?: string, renewAt: number}} Login
 */

const SECOND = 1_000;
const PAGE_SIZE = 50;
const QUEUE_LIMIT = 1_000;

const ignore = () => {};

/** Node 18 and pages without https have no `randomUUID`. */
const uniqueId = () => globalThis.crypto?.randomUUID?.()
	?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

/**
 * The server cannot read half of a surrogate pair.
 * @param {string} text
 */
const wellFormed = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd");

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
		this.storage = false;
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
		const fail = (/** @type {unknown} */ error) => event !== "error" && this.emit("error", error);
		for (const listener of this.#listeners.get(event) ?? []) {
			try {
				listener(data)?.catch?.(fail);
			} catch (error) {
				fail(error);
			}
		}
	}
}

/**
 * The delay before each connection: none after a healthy one, then a random part of a growing
 * time, because the clients of a restarted server must not return all at once.
 */
class Backoff {
	#tries = 1;

	/** @param {() => number} random */
	constructor(random) {
		this.random = random;
	}

	/** @param {number} healthy for how many milliseconds the lost connection was online */
	delay(healthy, code = 0, retryAfter = code === 1013 ? 1 : 0) {
		if (healthy >= 10 * SECOND) this.#tries = 0;
		const tries = this.#tries++, wait = retryAfter * SECOND;
		const longest = Math.min(15, 2 ** tries / 2) * SECOND * (globalThis.document?.hidden ? 4 : 1);
		if (wait) return wait + this.random() * Math.max(wait, longest);
		const jitter = tries && SECOND / 4 + this.random() * (longest - SECOND / 4);
		return code === 1012 ? Math.max(jitter, this.random() * 2 * SECOND) : jitter;
	}
}

/**
 * The parts of a message that change, each with its event and its fields. A page shows all parts,
 * an event only some; so each part has a revision of its own, 0 while it is unknown.
 * @type {[event: "change" | "reactions" | "pin", fields: (keyof Message)[]][]}
 */
const parts = [
	["change", ["text", "edited", "deleted"]], ["reactions", ["reactions"]], ["pin", ["pinned"]],
];
/** @type {WeakMap<Message, number[]>} The revisions of the parts, in the same order. */
const revisions = new WeakMap();

/** @param {Message} message */
const revisionsOf = (message) => revisions.get(message) ?? [0, 0, 0];

/**
 * Emoji that differ in the variant alone are one to the server.
 * @param {string} emoji
 */
const plain = (emoji) => emoji.replace(/[\ufe00-\ufe0f]/g, "");

/**
 * The user of a frame.
 * @param {any} frame @returns {User}
 */
const userOf = ({ user_id: user, guest_key: guestKey, username: name = user }) =>
	({ user, guestKey, name });

/**
 * Differs for guests of one id.
 * @param {any} frame @returns {string}
 */
const keyOf = ({ user_id: user, guest_key: guestKey = "" }) => `${user} ${guestKey}`;

/** @param {Message | undefined} message @returns {Message["replyExcerpt"]} */
const excerpt = (message) => message && (message.deleted ? null : { id: message.id,
	author: message.author, name: message.name, text: [...message.text].slice(0, 120).join("") });

/**
 * The stored messages of a conversation: each id once, in order, each in its newest state.
 *
 * `last` and `rev` are the point from which the next connection resumes. A page does not raise
 * `rev`: it may be newer than changes that are still under way.
 */
class Timeline {
	/** @type {Message[]} */
	messages = [];
	/** @type {number | undefined} The newest id of the server when the connection was opened. */
	head;
	/** @type {Map<number, Message>} The newest states of messages that are not in the list. */
	#unplaced = new Map();
	/** The first message that arrived live before the first page. */
	#liveFrom = Infinity;
	/** @type {Set<Message[]>} Other lists whose messages stay current: threads, pins and views. */
	shelves = new Set();

	/**
	 * @param {(event: string, data: any) => void} emit @param {number} limit
	 * @param {number} [last] @param {number} [rev]
	 */
	constructor(emit, limit, last, rev) {
		this.emit = emit;
		this.limit = limit;
		this.last = last;
		this.rev = rev;
		/** The reason of the `reset` that announces the list when it is complete. */
		this.loading = last === undefined ? "opened" : "";
	}

	get isComplete() {
		return this.last !== undefined && this.head !== undefined && this.last >= this.head;
	}

	get hasGap() {
		const { last = Infinity } = this;
		return !this.loading && [...this.#unplaced.keys()].some((id) => id > last);
	}

	get first() {
		return this.messages[0]?.id ?? (this.last ?? 0) + 1;
	}

	/** @param {number} id @returns {Message | undefined} */
	find(id) {
		const listed = this.messages[id - this.first];
		if (listed) return listed;
		for (const shelf of this.shelves) {
			const found = shelf.find((message) => message.id === id);
			if (found) return found;
		}
	}

	/** The next connection repeats everything after `last` and `rev`. */
	disconnect() {
		this.head = undefined;
		this.#unplaced.clear();
		this.#liveFrom = Infinity;
	}

	/**
	 * The server's history does not continue the list.
	 * @param {string} reason @param {number} [last]
	 */
	reload(reason, last) {
		this.messages = [];
		for (const shelf of this.shelves) shelf.length = 0;
		this.loading = reason;
		this.last = last;
		this.rev = undefined;
		this.#unplaced.clear();
		this.#liveFrom = Infinity;
	}

	/** @param {Message[]} page the newest one @param {number} rev */
	start(page, rev) {
		const live = this.#liveFrom, old = page.filter((message) => message.id < live);
		this.prepend(old);
		this.last = this.head = old.at(-1)?.id ?? (page.length && live - 1);
		this.rev = rev;
		// A bot must see these as new messages: users write as soon as they see the bot.
		for (const message of page) {
			if (message.id >= live) this.#unplaced.set(message.id, this.#newest(message));
		}
	}

	/** @param {Message[]} page */
	prepend(page) {
		this.messages.unshift(...this.adopt(page));
		for (const { id } of page) this.#unplaced.delete(id);
		this.limit = Math.max(this.limit, this.messages.length);
	}

	/**
	 * One message is one object in all lists.
	 * @param {Message[]} page
	 */
	adopt(page) {
		return page.map((message) => this.#newest(message));
	}

	finishLoading() {
		const { loading: reason, messages } = this;
		this.loading = "";
		if (reason) this.emit("reset", { reason, messages });
		this.#deliver();
	}

	/** @param {Message} message @param {boolean} isChange */
	receive(message, isChange) {
		const { id, rev } = message, known = this.find(id);
		if (isChange && this.rev !== undefined) this.rev = Math.max(this.rev, rev);
		if (!isChange && this.last === undefined) this.#liveFrom = Math.min(this.#liveFrom, id);
		if (known) this.#merge(known, message);
		if (!this.messages[id - this.first] && (isChange || id > (this.last ?? 0))) {
			const newest = this.#newest(message);
			this.#unplaced.delete(id);
			this.#unplaced.set(id, newest);
			const [oldest] = this.#unplaced.keys();
			if (this.#unplaced.size > QUEUE_LIMIT) this.#unplaced.delete(oldest);
			this.#deliver();
		}
	}

	/**
	 * The server does not tell each user whether a reaction is the user's own, and names only some
	 * users of a frequent one. The answer to a request and pages complete this.
	 * @param {number} id @param {string} emoji @param {boolean} on
	 */
	reacted(id, emoji, on) {
		const message = this.find(id);
		const own = message?.reactions.find((each) => plain(each.emoji) === plain(emoji));
		if (!message || !own || own.mine === on) return;
		own.mine = on;
		this.emit("reactions", message);
	}

	#deliver() {
		if (this.last === undefined) return;
		for (let next; (next = this.#unplaced.get(this.last + 1)) && revisionsOf(next)[0]; ) {
			this.#unplaced.delete(next.id);
			next = this.#newest(next);
			this.last = next.id;
			// The revision of a changed message is higher than those of its successors.
			const [, ...others] = revisionsOf(next);
			if (!next.edited && !next.deleted && !others.some(Boolean)) {
				this.rev = Math.max(this.rev ?? 0, next.rev);
			}
			this.messages.push(next);
			if (this.messages.length > this.limit) this.messages.shift();
			if (!this.loading) this.emit("message", next);
			const root = next.thread && this.find(next.thread);
			// A page may have counted it already.
			if (!root || root.lastReplyId >= next.id) continue;
			Object.assign(root, { replies: root.replies + 1, lastReplyId: next.id });
			if (!this.loading) this.emit("replies", root);
		}
	}

	/**
	 * The object of this message, with everything that is known of it.
	 * @param {Message} message
	 */
	#newest(message) {
		const known = [this.find(message.id), this.#unplaced.get(message.id), message];
		const all = known.flatMap((each) => each ?? []);
		const newest = all.find((each) => revisionsOf(each)[0]) ?? message;
		for (const each of all) if (each !== newest) this.#merge(newest, each);
		return newest;
	}

	/** @param {Message} into @param {Message} from which may be older, or equal to `into` */
	#merge(into, from) {
		const known = revisionsOf(into), news = revisionsOf(from);
		const isKnown = this.find(into.id) === into;
		const changed = parts.filter(([, fields], index) => news[index] > known[index]
			&& fields.some((field) => JSON.stringify(into[field]) !== JSON.stringify(from[field])));
		revisions.set(into, known.map((rev, index) => Math.max(rev, news[index])));
		into.rev = Math.max(into.rev, from.rev);
		if (from.lastReplyId > into.lastReplyId) {
			Object.assign(into, { replies: from.replies, lastReplyId: from.lastReplyId });
			if (isKnown) this.emit("replies", into);
		}
		for (const [event, fields] of changed) {
			const before = into.reactions;
			for (const field of fields) Object.assign(into, { [field]: from[field] });
			if (event === "reactions") {
				into.reactions = from.reactions.map((group) => ({ ...group, mine: group.mine
					?? before.find(({ emoji }) => emoji === group.emoji)?.mine ?? false }));
			}
			const isDeletion = into.deleted && event === "change";
			if (isDeletion) Object.assign(into, { mentions: [], notMembers: [] });
			if (isKnown && (!into.deleted || isDeletion)) this.emit(isDeletion ? "remove" : event, into);
		}
	}
}

/** A request that is sent on each connection until it is answered. */
class Job {
	/** @type {Promise<any>} */
	promise;
	/** @type {(value?: any) => void} */
	resolve = ignore;
	/** @type {(error: unknown) => void} */
	reject = ignore;
	sentAt = 0;
	notBefore = 0;
	/** @type {Pending | undefined} The message of a send, which is sent when it is saved. */
	row;
	isSaved = false;

	/** @param {string} action @param {() => any} members @param {(frame: any) => any} accept */
	constructor(action, members, accept = ignore) {
		this.action = action;
		this.members = members;
		this.accept = accept;
		this.promise = this.renew();
	}

	/** @returns {Promise<any>} */
	renew() {
		this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
		this.promise.catch(ignore); // The application may leave it alone.
		return this.promise;
	}
}

/** What ends with a connection. */
class Link {
	/** @type {any} */
	socket;
	/** When the server must have sent a frame. */
	dueAt = 0;
	isProbing = false;
	/** When all missed messages had arrived. */
	onlineAt = 0;
	renewAt = Infinity;
	/** Why the server is about to close the connection. */
	error = "";
	/** @type {Map<string, Job>} The unanswered job of each action. */
	jobs = new Map();
	lock = new AbortController();
	/** Whether this tab sends for all tabs. */
	isLeader = false;
	readId = 0;
	readAt = 0;
}

/**
 * Messages beside the list: a thread, or what surrounds an old message.
 * @implements {PublicView}
 */
class View extends Emitter {
	/** @type {Message[]} */
	stored = [];

	/**
	 * @param {(range: object, limit: number, options?: Abortable) => Promise<Message[]>} fetch
	 * @param {Timeline} timeline @param {() => Message[]} pending messages of the outbox
	 * @param {number | undefined} root of a thread @param {() => void} close
	 */
	constructor(fetch, timeline, pending, root, close) {
		super();
		this.fetch = fetch;
		this.timeline = timeline;
		this.pending = pending;
		this.root = root;
		this.close = close;
	}

	get messages() {
		return [...this.stored, ...this.pending()];
	}

	/** Loads the newest messages of a thread, or those around a message. */
	async load(around = 0, limit = PAGE_SIZE, options = {}) {
		const before = around ? { before_id: `${around + 1}` } : {};
		const pages = [await this.fetch(before, limit, options)];
		if (around) pages.push(await this.fetch({ after_id: `${around}` }, limit, options));
		this.stored.splice(0, Infinity, ...this.timeline.adopt(pages.flat()));
		// Those that came while the page was under way.
		for (const message of this.timeline.messages) this.add(message);
	}

	/** @param {Message} message which may belong to another thread, or be known */
	add(message) {
		const isNext = this.root && message.thread === this.root
			&& message.id > (this.stored.at(-1)?.id ?? 0);
		if (isNext) this.stored.push(message);
		if (this.stored.length > this.timeline.limit) this.stored.shift();
	}

	/** @param {number} [limit] @param {Abortable} [options] */
	async older(limit = PAGE_SIZE, options) {
		const [first] = this.stored;
		if (!first) return false;
		const page = await this.fetch({ before_id: `${first.id}` }, limit, options);
		if (first === this.stored[0]) this.stored.unshift(...this.timeline.adopt(page));
		return page.length === limit && this.stored[0].id > (this.root ?? 1);
	}

	/** @param {number} [limit] @param {Abortable} [options] */
	async newer(limit = PAGE_SIZE, options) {
		const last = this.stored.at(-1), { timeline } = this;
		if (this.root || !last) return false;
		const page = last.id + 1 < timeline.first
			? await this.fetch({ after_id: `${last.id}` }, limit, options) : [];
		if (last === this.stored.at(-1)) this.stored.push(...timeline.adopt(page));
		if ((this.stored.at(-1)?.id ?? 0) + 1 < timeline.first) return true;
		// The list begins where this one does.
		timeline.prepend(this.stored.filter((message) => message.id < timeline.first));
		return false;
	}
}

/**
 * One conversation and its connection.
 * @implements {PublicRoom}
 */
class Room extends Emitter {
	/** @type {State} */
	state = "closed";
	ended = false;
	/** @type {ConfabError | undefined} Why requests end without an answer. */
	#stopped;
	#link = new Link();
	#timeline;
	#backoff;
	/** @type {Job[]} Requests, and the messages of the outbox in the order in which they are sent. */
	#jobs = [];
	/** The prefix of the outbox in the storage, once the user is known. */
	#key = "";
	#isLoaded = false;
	/** @type {BroadcastChannel | undefined} */
	#channel;
	#page = new AbortController();
	/** @type {Map<string, User>} The other present users; those before a loss. */
	#present = new Map();
	#presentBefore = this.#present;
	#isTokenRejected = false;
	/** @type {any} */
	#timer;
	#steppedAt = 0;
	#wokenAt = 0;
	#retryAt = 0;
	#gapAt = 0;
	#readId = 0;
	#typedAt = 0;
	/** @type {number | undefined} The last message that an asynchronous iteration returned. */
	#iterated;
	/** @type {(() => void)[]} */
	#sleepers = [];
	/** @type {Set<View>} */
	#views = new Set();
	/** @type {Message[]} The result of `pins`, which stays current. */
	#pins = [];
	/** @type {Set<number>} The messages whose excerpts are being fetched. */
	#quoted = new Set();

	/** @type {Record<string, (frame: any) => void>} */
	#handlers = {
		"chat_message": (frame) => this.#onMessage(frame),
		"message.edited": (frame) => this.#onChange("edit_message", frame),
		"message.deleted": (frame) => this.#onChange("delete_message", frame),
		"messages_fetched": (frame) => this.#finish(this.#link.jobs.get("fetch_messages"), frame),
		"message.failed": (frame) => this.#onRefused("send_message", frame),
		"reactions": ({ message_id: id, ...frame }) => this.#timeline.receive(
			this.#parse({ id, ...frame }, 1), true),
		"reacted": (frame) => this.#finish(this.#link.jobs.get("react"), frame),
		"pinned": (frame) => this.#onChange("pin", frame),
		"unpinned": (frame) => this.#onChange("unpin", frame),
		"pins": (frame) => this.#finish(this.#link.jobs.get("pins"), frame),
		"receipts": (frame) => this.#finish(this.#link.jobs.get("receipts"), frame),
		"search_results": (frame) => this.#finish(this.#link.jobs.get("search"), frame),
		"message.status": (frame) => this.#onStatus(frame),
		"read": (frame) => this.#onRead(frame),
		"typing": (frame) => this.#onTyping(frame),
		"user_status": (frame) => this.#onPresence([frame]),
		"presence": (frame) => this.#onPresence(frame.changes, frame.online - 1),
		"conversation_ended": () => this.#onEnded(),
		"conversation.updated": ({ conversation, by, username: name = by }) =>
			this.emit("updated", { ...conversation, by, name }),
		"error": (frame) => this.#onError(frame),
	};

	/** @param {Confab} confab @param {string} id @param {import("./confab").RoomOptions} options */
	constructor(confab, id, { after, rev, limit = 1_000, maxAge = Infinity }) {
		super();
		if (!/^[\w.:-]{1,128}$/.test(id)) {
			throw new RangeError(`conversation: "${id}" is not 1 to 128 of A-Z a-z 0-9 . _ : -`);
		}
		this.id = id;
		this.limit = limit;
		this.maxAge = maxAge;
		this.confab = confab;
		this.me = confab.expectedUser;
		/** @type {string | undefined} */
		this.guestKey = undefined;
		this.#backoff = new Backoff(confab.random);
		this.#iterated = after;
		const announce = this.#onTimeline.bind(this);
		this.#timeline = new Timeline(announce, limit, after, rev);
	}

	get messages() {
		return [...this.#timeline.messages, ...this.outbox];
	}

	get outbox() {
		return this.#jobs.flatMap(({ row }) => row ?? []);
	}

	get after() {
		return this.#timeline.last;
	}

	get rev() {
		return this.#timeline.rev;
	}

	get present() {
		return [...this.#present.values()];
	}

	get #now() {
		return this.confab.clock.now();
	}

	/** @param {string} event @param {any} [data] */
	emit(event, data) {
		this.confab.log(this.id, event, data);
		super.emit(event, data);
		if (event === "state" || event === "error") this.confab.emit(event, data);
		for (const wake of this.#sleepers.splice(0)) wake();
	}

	/** @param {string} text @param {{localId?: string} & References & Abortable} options */
	send(text, { localId = uniqueId(), replyTo, mentions, signal } = {}) {
		this.typing(false);
		let job = this.#row(localId);
		if (job) {
			this.retry(localId);
		} else {
			const since = this.#now;
			job = this.#addRow({ localId, text: wellFormed(text), since, replyTo, mentions });
			if (!signal?.aborted) this.#save(job);
		}
		return this.#start(job, signal);
	}

	/** @param {number} id @param {string} text @param {Abortable} [options] */
	edit(id, text, options) {
		const members = { message_id: `${id}`, content: wellFormed(text) };
		return this.#request("edit_message", () => members, options);
	}

	/** @param {number} id @param {Abortable} [options] */
	delete(id, options) {
		return this.#request("delete_message", () => ({ message_id: `${id}` }), options);
	}

	/** @param {number} id @param {string} emoji @param {boolean} [on] @param {Abortable} [options] */
	react(id, emoji, on = true, options) {
		const members = { message_id: `${id}`, emoji, on };
		return this.#request("react", () => members, options,
			() => this.#timeline.reacted(id, emoji, on));
	}

	/** @param {number} id @param {Abortable} [options] */
	pin(id, options) {
		return this.#request("pin", () => ({ message_id: `${id}` }), options);
	}

	/** @param {number} id @param {Abortable} [options] */
	unpin(id, options) {
		return this.#request("unpin", () => ({ message_id: `${id}` }), options);
	}

	/** @param {Abortable} [options] */
	receipts(options) {
		return this.#request("receipts", () => ({}), options, ({ me, receipts, total }) => {
			const others = receipts.filter((/** @type {any} */ each) => !this.#isMe(each, each.user_id));
			/** @param {string} position */
			const highest = (position) => Math.max(0,
				...others.map((/** @type {any} */ each) => +each[position]));
			const read = highest("read"), delivered = highest("delivered");
			for (const message of this.#timeline.messages) {
				const { id, own, state } = message;
				if (!own) continue;
				if (id <= read) message.state = "read";
				else if (id <= delivered && state === "sent") message.state = "delivered";
			}
			return { me, receipts, total };
		});
	}

	/** @param {Abortable} [options] @returns {Promise<Message[]>} */
	async pins(options) {
		const { shelves } = this.#timeline;
		shelves.delete(this.#pins);
		/** @type {Message[]} Stays current while further parts of a long list come. */
		const pins = (this.#pins = []);
		shelves.add(pins);
		let cursor = /** @type {any} */ (undefined);
		do {
			const members = { cursor };
			cursor = await this.#request("pins", () => members, options, (frame) => {
				pins.push(...this.#timeline.adopt(this.#parseAll(frame)));
				return frame.next_cursor;
			});
		} while (cursor);
		return [...pins];
	}

	/**
	 * @param {string} text @param {{before?: number, limit?: number} & Abortable} options
	 * @returns {Promise<{messages: Message[], next?: number, incomplete: boolean}>}
	 */
	search(text, { before, limit = 20, signal } = {}) {
		const members = { text: wellFormed(text), before_id: before && `${before}`, limit };
		return this.#request("search", () => members, { signal }, (frame) => ({
			messages: this.#parseAll(frame),
			next: Number(frame.next_before_id) || undefined, incomplete: !!frame.incomplete,
		}));
	}

	/** @param {number} id @param {{limit?: number} & Abortable} [options] */
	thread(id, options) {
		return this.#view(this.#timeline.find(id)?.thread ?? id, 0, options);
	}

	/** @param {number} id @param {{limit?: number} & Abortable} [options] */
	around(id, options) {
		return this.#view(undefined, id, options);
	}

	/** @param {number | undefined} root @param {number} around */
	async #view(root, around, { limit = PAGE_SIZE, signal } = /** @type {any} */ ({})) {
		const timeline = this.#timeline, thread = root && `${root}`;
		const view = new View((range, ...rest) => this.#pages(() => ({ thread, ...range }), ...rest),
			timeline, () => this.outbox.filter((row) => root && row.thread === root), root, () => {
			this.#views.delete(view);
			timeline.shelves.delete(view.stored);
		});
		timeline.shelves.add(view.stored);
		try {
			await view.load(around, limit, { signal });
		} catch (error) {
			view.close();
			throw error;
		}
		this.#views.add(view);
		return view;
	}

	/**
	 * A page of messages, oldest first. The server sends a long one in parts.
	 * @param {() => object} range @param {number} limit @param {Abortable} [options]
	 */
	async #pages(range, limit, options) {
		/** @type {Message[]} */
		const page = [];
		for (let next = /** @type {any} */ (range); next && page.length < limit;) {
			const members = () => ({ ...next(), limit: limit - page.length });
			next = await this.#request("fetch_messages", members, options, (frame) => {
				const { thread, next_before_id: before_id, next_after_id: after_id } = frame;
				page.push(...this.#parseAll(frame));
				return (before_id || after_id) && (() => ({ thread, before_id, after_id }));
			});
		}
		return page.sort((a, b) => a.id - b.id);
	}

	/** @param {string} localId */
	retry(localId) {
		const job = this.#row(localId);
		if (!job?.row?.error) return;
		Object.assign(job.row, { state: "sending", error: undefined, since: this.#now });
		job.renew();
		this.#save(job);
		this.#outboxChanged();
	}

	/** @param {string} localId */
	discard(localId) {
		this.#channel?.postMessage(localId);
		this.#end(this.#row(localId), new ConfabError("the message was discarded"));
	}

	/** @param {number} [limit] @param {Abortable} [options] @returns {Promise<boolean>} */
	async older(limit = PAGE_SIZE, options) {
		const timeline = this.#timeline;
		let before = 0;
		// While the page is under way, no message may leave the list at its beginning.
		timeline.limit = Math.max(timeline.limit, timeline.messages.length + limit);
		const page = await this.#pages(
			() => ({ before_id: `${(before = timeline.first)}` }), limit, options);
		if (before === timeline.first) timeline.prepend(page);
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

	typing(isTyping = true) {
		// Repeated every 3 s, because the server ends it after 6 s.
		const isKnown = isTyping ? this.#now < this.#typedAt + 3 * SECOND : !this.#typedAt;
		if (isKnown || !this.#link.onlineAt) return;
		this.#typedAt = isTyping ? this.#now : 0;
		this.#write({ action: "typing", is_typing: isTyping });
	}

	connect() {
		if (this.state !== "closed") return;
		this.#page = new AbortController();
		for (const type of ["online", "offline", "pageshow", "pagehide", "visibilitychange"]) {
			globalThis.addEventListener?.(type, () => this.#onPageEvent(type), this.#page);
		}
		this.#steppedAt = this.#now;
		if (this.me) this.#openOutbox();
		this.#dial();
	}

	retryNow() {
		if (/waiting|offline|refused/.test(this.state)) this.#dial();
		else if (this.#link.onlineAt) this.#probe();
	}

	close() {
		if (this.state === "closed") return;
		this.#page.abort();
		this.#channel?.close();
		this.#key = "";
		this.#isLoaded = false;
		this.#hangUp();
		this.#stop("closed", "the conversation is closed");
	}

	/** Nothing waits in a queue: a slow loop fetches what has left the list meanwhile. */
	async *[Symbol.asyncIterator]() {
		for (;;) {
			const { last = 0, loading } = this.#timeline;
			// A restored backup has fewer messages.
			if (!loading) this.#iterated = Math.min(this.#iterated ?? last, last);
			if (this.#iterated !== undefined && this.#iterated < last) {
				const next = this.#timeline.find(this.#iterated + 1);
				const members = { after_id: `${this.#iterated}`, limit: 100 };
				for (const message of next ? [next] : await this.#request(
					"fetch_messages", () => members, {}, (frame) => this.#parsePage(frame))) {
					this.#iterated = message.id;
					yield message;
				}
			} else if (this.state === "closed") {
				return;
			} else if (this.#stopped) {
				throw this.#stopped;
			} else {
				await new Promise((wake) => this.#sleepers.push(() => wake(undefined)));
			}
		}
	}

	// The connection.

	/** @param {State} state @param {object} [details] */
	#setState(state, details) {
		this.state = state;
		this.emit("state", { conversation: this.id, state, ...details });
	}

	/**
	 * Ends waiting. Messages stay in the outbox.
	 * @param {State} state @param {string} reason @param {number} [code]
	 */
	#stop(state, reason, code) {
		this.confab.clock.clearTimeout(this.#timer);
		this.#stopped = new ConfabError(reason, { code, retry: true });
		this.#setState(state, { reason, code });
		for (const job of this.#jobs) job.reject(this.#stopped);
		this.#jobs = this.#jobs.filter((job) => job.row);
	}

	async #dial() {
		this.#hangUp();
		this.#stopped = undefined;
		const { confab } = this, link = (this.#link = new Link());
		link.dueAt = this.#now + 15 * SECOND;
		this.#setState("connecting");
		this.#step();
		try {
			const { token, me, guestKey, renewAt } = await confab.login(this.id, this.#isTokenRejected);
			if (link !== this.#link) return;
			this.me ??= me;
			this.guestKey = guestKey;
			if (me && this.me !== me) {
				throw new ConfabError(`token: it belongs to ${me} instead of ${this.me}`);
			}
			if (!this.#key) this.#openOutbox();
			link.renewAt = renewAt;
			this.#open(link, token);
		} catch (error) {
			const { message, code, retry, retryAfter } = /** @type {ConfabError} */ (error);
			if (link === this.#link) this.#lost(message, code, retryAfter, retry === false);
		}
	}

	/** @param {Link} link @param {string} token */
	#open(link, token) {
		const { last, rev } = this.#timeline, query = new URLSearchParams({ token });
		if (last !== undefined) query.set("after", `${last}`);
		if (rev !== undefined) query.set("rev", `${rev}`);
		const url = `${this.confab.url}/conversations/${this.id}/?${query}`;
		const socket = (link.socket = new this.confab.WebSocket(url.replace("http", "ws")));
		socket.onopen = () => link === this.#link && this.#loadHead();
		socket.onmessage = (/** @type {any} */ { data }) => link === this.#link && this.#receive(data);
		socket.onclose = (/** @type {any} */ { code, reason }) =>
			link === this.#link && this.#lost(link.error || reason || "the connection broke", code);
		socket.onerror = ignore; // `onclose` follows.
	}

	/** Ends the connection without waiting for the other end. */
	#hangUp() {
		const link = this.#link;
		this.#link = new Link();
		link.lock.abort();
		link.socket?.close();
		this.#timeline.disconnect();
		this.#gapAt = this.#typedAt = 0;
		if (link.onlineAt) this.#presentBefore = this.#present;
		this.#present = new Map();
		return link;
	}

	/** @param {string} reason @param {number} [code] @param {number} [retryAfter] */
	#lost(reason, code, retryAfter, isFinal = code === 4003 || code === 4004) {
		const link = this.#hangUp(), details = { code, reason };
		// The server would close each connection on which it receives this frame.
		const [sent, edited] = ["send_message", "edit_message"].map((action) => link.jobs.get(action));
		if (code === 1009) this.#refuse(sent ?? edited, reason);
		if (code === 4003 && !this.#isTokenRejected) {
			this.#isTokenRejected = true;
			return this.#dial();
		}
		if (isFinal) return this.#stop("refused", reason, code);
		const delay = this.#backoff.delay(link.onlineAt && this.#now - link.onlineAt, code, retryAfter);
		if (delay) this.#wait(delay, details);
		else this.#dial();
	}

	/** @param {number} delay @param {object} [details] */
	#wait(delay, details) {
		this.#retryAt = this.#now + delay;
		const state = globalThis.navigator?.onLine === false ? "offline" : "waiting";
		this.#setState(state, { ...details, retryAt: this.#retryAt });
		this.#step();
	}

	/** @param {string} type */
	#onPageEvent(type) {
		if (type === "offline") {
			if (this.#link.onlineAt) this.#probe();
		} else if (type === "pagehide") {
			// Browsers retain only pages without connections. A page that stays connects again.
			if (this.#hangUp().socket) this.#wait(SECOND);
		} else if (!globalThis.document?.hidden && Math.abs(this.#now - this.#wokenAt) >= SECOND) {
			this.#wokenAt = this.#now;
			if (this.state !== "refused") this.retryNow();
		}
	}

	/** Does what is due: after each event, and at least once a second. */
	#step() {
		const { clock } = this.confab;
		if (this.#stopped || this.state === "closed") return;
		this.#watch();
		if (this.#link.onlineAt) this.#sendJobs();
		const now = this.#now, times = this.#jobs.map((job) => job.notBefore);
		times.push(now + SECOND, this.#retryAt, this.#gapAt, this.#link.readAt);
		const next = Math.min(...times.filter((time) => time > now));
		clock.clearTimeout(this.#timer);
		this.#timer = clock.setTimeout(() => this.#step(), next - now);
	}

	/** Compares times instead of counting ticks, because browsers slow timers down. */
	#watch() {
		const now = this.#now, link = this.#link;
		const wasSuspended = Math.abs(now - this.#steppedAt) > 10 * SECOND;
		this.#steppedAt = now;
		if (wasSuspended) this.confab.isOffsetOld = true;
		if (this.state === "waiting" || this.state === "offline") {
			if (now >= this.#retryAt || wasSuspended) this.#dial();
		} else if (link.onlineAt && (wasSuspended || (now > link.dueAt && !link.isProbing))) {
			this.#probe();
		} else if (now > link.dueAt
			|| [...link.jobs.values()].some((job) => link.onlineAt && now > job.sentAt + 15 * SECOND)) {
			this.#abandon("the server does not answer");
		} else if (this.#gapAt && now >= this.#gapAt) {
			// A new connection also brings the changes that were lost with the message.
			this.#abandon("a message is missing");
		}
	}

	/** @param {string} reason */
	#abandon(reason) {
		this.#link.socket?.terminate?.(); // Node's ws would wait 30 s for the other end.
		this.#lost(reason);
	}

	/** Requests a page, because heartbeats have no answer. */
	#probe() {
		const link = this.#link;
		if (link.isProbing && this.#now <= link.dueAt) return;
		Object.assign(link, { isProbing: true, dueAt: this.#now + 5 * SECOND });
		if (!link.jobs.has("fetch_messages")) this.#fetch(1, ignore);
	}

	/** The answer contains the newest id. The list is complete when it has that message. */
	#loadHead() {
		const timeline = this.#timeline;
		this.#fetch(timeline.last === undefined ? Math.min(this.limit, PAGE_SIZE) : 1, (frame) => {
			const page = this.#parsePage(frame);
			if (timeline.last === undefined) timeline.start(page, frame.rev);
			else timeline.head = page.at(-1)?.id ?? 0;
		});
	}

	/** @param {number} limit @param {(frame: any) => void} accept */
	#fetch(limit, accept) {
		const job = new Job("fetch_messages", () => ({ limit }), accept), link = this.#link;
		job.promise.catch(({ message }) => link === this.#link && this.#lost(message));
		this.#transmit(job);
	}

	/** @param {Job} job */
	#transmit(job) {
		job.sentAt = this.#now;
		if (job.row) job.row.tries++;
		this.#link.jobs.set(job.action, job);
		this.#write({ action: job.action, ...job.members() });
	}

	/** @param {object} frame */
	#write(frame) {
		this.#link.socket.send(JSON.stringify(frame));
	}

	#online() {
		const link = this.#link, { locks } = globalThis.navigator ?? {};
		link.onlineAt = this.#now;
		this.#isTokenRejected = false;
		this.#timeline.finishLoading();
		this.#emitPresence([...this.#presentBefore.keys(), ...this.#present.keys()]);
		if (link !== this.#link) return; // A listener has closed the room.
		this.#setState("online");
		const lead = () => new Promise((release) => {
			link.isLeader = true;
			link.lock.signal.addEventListener("abort", release);
			this.#step();
		});
		if (locks) locks.request(this.#key, link.lock, lead).catch(ignore);
		else lead();
	}

	#sendJobs() {
		const now = this.#now, link = this.#link;
		if (now >= link.renewAt) this.#renewToken();
		const busy = new Set(link.jobs.keys());
		for (const job of this.#jobs) {
			if (busy.has(job.action) || job.row?.error) continue;
			busy.add(job.action);
			if (now >= job.notBefore && this.#isReady(job)) this.#transmit(job);
		}
		if (this.#readId > link.readId && now >= link.readAt) {
			link.readId = this.#readId;
			link.readAt = now + SECOND / 2;
			this.#write({ action: "read", message_ids: [`${link.readId}`] });
		}
	}

	async #renewToken() {
		const link = this.#link;
		link.renewAt = this.#now + 5 * SECOND; // The next try, if this one fails.
		try {
			const { token, renewAt } = await this.confab.login(this.id, true);
			if (link !== this.#link) return;
			link.renewAt = renewAt;
			this.#write({ action: "authenticate", token });
		} catch (error) {
			this.emit("error", error);
		}
	}

	// Requests and the outbox.

	/**
	 * An edit is a state, so that a repetition is harmless.
	 * @param {string} action @param {() => any} members @param {Abortable} options
	 * @param {(frame: any) => any} [accept] @returns {Promise<any>}
	 */
	#request(action, members, { signal } = {}, accept) {
		const job = new Job(action, members, accept);
		this.#jobs.push(job);
		return this.#start(job, signal);
	}

	/** @param {Job} job @param {AbortSignal} [signal] */
	#start(job, signal) {
		const abort = () => {
			job.accept = ignore;
			this.#end(job, signal?.reason, true);
		};
		if (signal?.aborted) abort();
		else if (this.#stopped) job.reject(this.#stopped);
		else if (this.#jobs.length > QUEUE_LIMIT) {
			this.#end(job, new ConfabError(`${QUEUE_LIMIT} requests wait already`, { retry: true }));
		}
		signal?.addEventListener("abort", abort);
		job.promise.catch(ignore).then(() => signal?.removeEventListener("abort", abort));
		this.#step();
		return job.promise;
	}

	/** @param {Job | undefined} job @param {any} frame */
	#finish(job, frame) {
		job?.resolve(job.accept(frame));
		this.#end(job);
	}

	/** @param {Job | undefined} job @param {unknown} [error] */
	#end(job, error, isAborted = false) {
		if (!job) return;
		const { action } = job;
		// The answer to an aborted request must not become that of the next one.
		const isAwaited = isAborted && /^(fetch_messages|search|pins|react|receipts)$/.test(action);
		if (this.#link.jobs.get(action) === job && !isAwaited) this.#link.jobs.delete(action);
		this.#jobs = this.#jobs.filter((other) => other !== job);
		if (error) job.reject(error);
		if (!job.row) return;
		this.#store("delete", job.row.localId);
		this.#outboxChanged();
	}

	/**
	 * The server refused the job for good.
	 * @param {Job | undefined} job @param {string} error
	 */
	#refuse(job, error) {
		const failure = new ConfabError(error);
		if (!job?.row) return this.#end(job, failure);
		this.#link.jobs.delete(job.action);
		Object.assign(job.row, { state: "failed", error });
		job.reject(failure);
		this.#save(job);
		this.#outboxChanged();
	}

	/** @param {string} localId */
	#row(localId) {
		return this.#jobs.find((job) => job.row?.localId === localId);
	}

	/** @param {SavedRow} saved */
	#addRow({ localId, text, since, error, replyTo, mentions }) {
		const { confab, me = "" } = this, ahead = confab.time() - this.#now;
		const job = new Job("send_message", () => ({ content: text, local_id: localId,
			reply_to: replyTo && `${replyTo}`, mentions }));
		const target = this.#timeline.find(replyTo ?? 0);
		job.row = {
			id: NaN, key: localId, localId, author: me, own: true, name: confab.user.name ?? me, text,
			time: new Date(since + ahead).toISOString(), state: error ? "failed" : "sending",
			edited: false, deleted: false, rev: 0, since, tries: 0, error, replyTo,
			thread: target?.thread ?? replyTo, replyExcerpt: excerpt(target), mentions: mentions ?? [],
			notMembers: [], reactions: [], replies: 0, lastReplyId: 0,
		};
		this.#jobs.push(job);
		this.#outboxChanged();
		return job;
	}

	/** @param {Job} job */
	#isReady(job) {
		if (!job.row) return true;
		const isTooOld = this.#now - job.row.since > this.maxAge;
		if (isTooOld) this.#refuse(job, "the message waited for too long");
		return job.isSaved && this.#link.isLeader && !isTooOld;
	}

	#outboxChanged() {
		this.emit("outbox", this.outbox);
		for (const view of this.#views) if (view.root) view.emit("change");
	}

	/** Loads the rows of earlier runs, and connects with the user's other tabs. */
	async #openOutbox() {
		const key = (this.#key = `confab ${JSON.stringify([this.confab.url, this.me, this.id])} `);
		if (globalThis.navigator?.locks) {
			this.#channel = new BroadcastChannel(key);
			this.#channel.onmessage = ({ data }) => this.#onTab(data);
		}
		const saved = await this.#store("list", "");
		if (key !== this.#key) return;
		for (const row of saved ?? []) this.#accept(row);
		this.#isLoaded = true;
		this.#jobs.sort((a, b) => (a.row?.since ?? 0) - (b.row?.since ?? 0));
		for (const job of this.#jobs) {
			if (job.row) job.row.author = this.me ?? "";
			if (!job.isSaved) this.#save(job);
		}
		this.#step();
	}

	/** @param {SavedRow | string} data a row of another tab, or the local id of a discarded one */
	#onTab(data) {
		if (typeof data === "string") this.#end(this.#row(data), new ConfabError("discarded"));
		else this.#accept(data);
		this.#step();
	}

	/** @param {SavedRow} saved */
	#accept(saved) {
		const { localId, error } = saved;
		if (this.#timeline.messages.some(({ key }) => key === localId)) return;
		const job = this.#row(localId) ?? this.#addRow(saved);
		job.isSaved = true;
		Object.assign(job.row ?? {}, saved, { error, state: error ? "failed" : "sending" });
		if (error) job.reject(new ConfabError(error));
	}

	/**
	 * Saves a row; only then it is sent.
	 * @param {Job} job
	 */
	async #save(job) {
		if (!job.row || !this.#isLoaded) return;
		const { localId, text, since, error, replyTo, mentions } = job.row;
		const saved = { localId, text, since, error, replyTo, mentions };
		await this.#store("set", localId, saved);
		job.isSaved = true;
		this.#channel?.postMessage(saved);
		this.#step();
	}

	/**
	 * @param {"set" | "delete" | "list"} operation @param {string} localId
	 * @param {any} [row] @returns {Promise<any>}
	 */
	async #store(operation, localId, row) {
		try {
			return await this.confab.storage?.[operation](this.#key + localId, row);
		} catch (error) {
			const { message } = /** @type {Error} */ (error);
			this.emit("error", new ConfabError(`storage: ${message}`, { storage: true }));
		}
	}

	// Frames of the server.

	/** @param {string} data */
	#receive(data) {
		const link = this.#link;
		Object.assign(link, { isProbing: false, dueAt: this.#now + 35 * SECOND });
		try {
			const frame = JSON.parse(data);
			this.#handlers[frame.type]?.(frame);
		} catch (error) {
			this.emit("error", error);
		}
		if (link !== this.#link) return;
		if (!link.onlineAt && this.#timeline.isComplete) this.#online();
		this.#gapAt = this.#timeline.hasGap ? this.#gapAt || this.#now + 300 : 0;
		this.#step();
	}

	/**
	 * Events and pages have different names for the same fields.
	 * @param {any} raw @param {number} part the only part that it shows; all of them without one
	 * @returns {Message}
	 */
	#parse(raw, part = -1) {
		const { sender_id: author, local_id: localId, guest_key: guestKey } = raw;
		const own = this.#isMe(raw, author);
		const time = raw.timestamp ?? raw.sent_at;
		if (time) this.confab.measure(time, false);
		const name = raw.username ?? (own ? this.confab.user.name : undefined) ?? author;
		const { reply_excerpt: quote, pinned: pin } = raw, isPage = "sent_at" in raw;
		/** @type {Message} */
		const message = {
			id: +raw.id, key: (own && localId) || +raw.id, author, guestKey, own, name, text: raw.content,
			time, state: "sent", edited: !!raw.is_edited,
			deleted: !!raw.is_deleted, rev: raw.rev, localId,
			replyTo: Number(raw.reply_to) || undefined, thread: Number(raw.thread) || undefined,
			replyExcerpt: quote && { id: +quote.id, author: quote.sender_id,
				name: quote.username ?? quote.sender_id, text: quote.content },
			mentions: raw.mentions ?? [], notMembers: raw.not_members ?? [],
			reactions: (raw.reactions ?? []).map((/** @type {any} */ group) => {
				const { users, count, mine = isPage || users.length >= count ? false : undefined } = group;
				return { ...group, mine: users.includes(this.me) || mine };
			}),
			pinned: pin && { by: pin.by, name: pin.username ?? pin.by, at: pin.at },
			replies: raw.replies ?? 0, lastReplyId: Number(raw.last_reply_id) || 0,
		};
		revisions.set(message, parts.map((_, index) => part < 0 || part === index ? raw.rev : 0));
		return message;
	}

	/** @param {any} raw @param {string} user */
	#isMe({ guest_key: guestKey }, user) {
		return user === this.me && guestKey === this.guestKey;
	}

	/** @param {{messages: any[]}} frame @returns {Message[]} */
	#parseAll({ messages }) {
		return messages.map((raw) => this.#parse(raw));
	}

	/** @param {{messages: any[]}} frame @returns {Message[]} oldest first */
	#parsePage(frame) {
		return this.#parseAll(frame).sort((a, b) => a.id - b.id);
	}

	/** @param {string} event @param {any} data */
	#onTimeline(event, data) {
		// The row of the outbox is gone when a listener looks at the list.
		if (event === "message") this.#stored(data);
		for (const message of event === "message" ? [data] : data.messages ?? []) this.#quote(message);
		if (event === "reset") this.#iterated ??= this.#timeline.last;
		this.emit(event, data);
		for (const view of this.#views) this.#refresh(view, event, data);
	}

	/** @param {View} view @param {string} event @param {any} data */
	async #refresh(view, event, data) {
		if (event === "message") view.add(data);
		else if (/^history/.test(data.reason) && view.root) await view.load().catch(ignore);
		if (event === "reset" || view.stored.includes(data)) view.emit("change");
	}

	/**
	 * Events have no excerpt of the message that they reply to.
	 * @param {Message} message
	 */
	async #quote(message) {
		const { replyTo, replyExcerpt } = message;
		if (!replyTo || replyExcerpt !== undefined) return;
		message.replyExcerpt = excerpt(this.#timeline.find(replyTo));
		const isFetched = message.replyExcerpt !== undefined || this.#quoted.has(replyTo);
		// A flood of replies must not delay the requests of the application.
		if (isFetched || this.#quoted.size > 9) return;
		this.#quoted.add(replyTo);
		const members = { before_id: `${replyTo + 1}`, limit: 1 };
		const find = (/** @type {any} */ frame) => {
			const [found] = this.#parsePage(frame);
			this.#requote(replyTo, found?.id === replyTo ? excerpt(found) : null);
		};
		await this.#request("fetch_messages", () => members, {}, find).catch(ignore);
		this.#quoted.delete(replyTo);
	}

	/** @param {number} id @param {Message["replyExcerpt"]} quote */
	#requote(id, quote) {
		const { messages, shelves } = this.#timeline;
		for (const message of new Set([messages, ...shelves].flat())) {
			if (message.replyTo !== id) continue;
			message.replyExcerpt = quote;
			this.#onTimeline("quote", message);
		}
	}

	/** @param {Message} message */
	#stored(message) {
		const job = message.localId && message.own && this.#row(message.localId);
		if (!job) return;
		const listed = this.#timeline.find(message.id) ?? message;
		listed.localId = message.localId; // Pages of the server have no local ids.
		job.resolve(listed);
		this.#end(job);
	}

	/** @param {any} frame */
	#onMessage(frame) {
		const message = this.#parse(frame.message), timeline = this.#timeline;
		const { last = Infinity } = timeline;
		// A message of a replay may have been changed since it was sent.
		revisions.set(message, ["id", "reactions", "pinned"].map((part) =>
			part in frame.message ? message.rev : 0));
		if (this.#link.onlineAt && message.id > last) this.confab.measure(message.time, true);
		timeline.receive(message, false);
		// The answer to a repeated send, or a message of a list that is being loaded.
		if (message.id <= (timeline.last ?? 0)) this.#stored(message);
	}

	/** @param {string} action @param {any} frame */
	#onChange(action, frame) {
		const isPin = /pin/.test(action), timeline = this.#timeline;
		const message = this.#parse(frame.message, action === "edit_message" ? 0 : -1);
		const sent = this.#link.jobs.get(action);
		timeline.receive(message, true);
		const known = timeline.find(message.id);
		if (!isPin) this.#requote(message.id, excerpt(known ?? message));
		// A pin concerns applications that have not loaded the message, too. A message that is still
		// missing comes with its pin.
		else if (!known && message.id <= (timeline.last ?? 0)) this.emit("pin", message);
		// Also of a job that was sent on the previous connection.
		this.#finish(this.#jobs.find((job) => {
			if (job.action !== action) return false;
			const { message_id, content = message.text } = job.members();
			return +message_id === message.id && (job === sent || content === message.text);
		}), frame);
	}

	/** @param {string} action @param {any} frame */
	#onRefused(action, { error, outcome, retry_after: seconds }) {
		const job = this.#link.jobs.get(action);
		if (!job) return this.emit("error", new ConfabError(error));
		if (error === "conversation ended") this.#onEnded();
		const isFinal = !seconds && outcome !== "unknown" && !/try again/.test(error);
		if (isFinal) return this.#refuse(job, error);
		job.notBefore = this.#now + (seconds ?? 1) * SECOND;
		this.#link.jobs.delete(action);
	}

	#onEnded() {
		if (!this.ended) this.emit("ended");
		this.ended = true;
	}

	/** @param {any} frame */
	#onStatus({ message_id, status: state }) {
		const id = +message_id, message = this.#timeline.find(id);
		if (message?.state === "read") return;
		if (message) message.state = state;
		this.emit("receipt", { id, state });
	}

	/** @param {any} frame */
	#onRead({ message_ids, ...frame }) {
		this.emit("receipt", { ...userOf(frame), id: Math.max(...message_ids), state: "read" });
	}

	/** @param {any} frame */
	#onTyping({ is_typing: typing, ...frame }) {
		this.emit("typing", { ...userOf(frame), typing });
	}

	/** @param {any[]} changes @param {number} [online] */
	#onPresence(changes, online) {
		this.#presentBefore = this.#link.onlineAt ? new Map(this.#present) : this.#presentBefore;
		for (const change of changes) {
			if (change.status === "online") this.#present.set(keyOf(change), userOf(change));
			else this.#present.delete(keyOf(change));
		}
		if (this.#link.onlineAt) this.#emitPresence(changes.map(keyOf), online);
	}

	/**
	 * Nothing changes for users that were present before an interruption.
	 * @param {string[]} keys
	 */
	#emitPresence(keys, online = this.#present.size) {
		const before = this.#presentBefore, changes = [...new Set(keys)]
			.filter((key) => before.has(key) !== this.#present.has(key))
			.map((key) => ({ .../** @type {User} */ (before.get(key) ?? this.#present.get(key)),
				online: this.#present.has(key) }));
		if (changes.length) this.emit("presence", { online, changes });
	}

	/** @param {any} frame */
	#onError(frame) {
		const { action, error, oldest_id: oldestId, head } = frame;
		if (oldestId) {
			this.#timeline.reload(error, oldestId - 1);
		} else if (head) {
			this.#timeline.reload(error);
			// Later messages get these numbers again.
			this.#readId = Math.min(this.#readId, +head);
			this.#lost(error);
		} else if (this.#link.jobs.has(action)) {
			this.#onRefused(action, frame);
		} else {
			if (!action || action === "connect") this.#link.error = error;
			this.emit("error", new ConfabError(error));
		}
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

	/** @param {string} key @param {any} row */
	set(key, row) {
		return this.#run((table) => table.put(row, key));
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

/** @param {Record<string, any>} given options of a request; those without a value are left out */
const queryOf = (given) => `?${new URLSearchParams(
	Object.entries(given).filter(([, value]) => value !== undefined && value !== ""))}`;

/**
 * Browsers call these functions only without another `this`.
 * @type {import("./confab").Clock}
 */
const systemClock = {
	now: () => Date.now(),
	setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
	clearTimeout: (timer) => clearTimeout(timer),
};

/**
 * One user at one server: rooms, REST, tokens, the server's time.
 * @implements {PublicConfab}
 */
export class Confab extends Emitter {
	/** @type {Map<string, Room>} */
	#rooms = new Map();
	/** @type {Map<string, Login>} */
	#logins = new Map();
	/** Server time minus client time, in milliseconds. */
	offset = 0;
	isOffsetOld = true;

	/** @param {string | URL} url @param {import("./confab").Options} options */
	constructor(url, {
		token, user, storage = globalThis.indexedDB && new BrowserStorage(), clock = systemClock,
		WebSocket = globalThis.WebSocket, fetch = (...request) => globalThis.fetch(...request),
		random = Math.random, signal, log = ignore,
	} = {}) {
		super();
		if (!WebSocket) throw new TypeError("WebSocket: pass the class of the package ws");
		this.url = `${new URL(url, globalThis.location?.href)}`.replace(/\/+$/, "");
		this.token = token;
		this.user = { ...user, id: user?.id ?? (token ? undefined : uniqueId()) };
		this.storage = storage;
		this.clock = clock;
		this.WebSocket = WebSocket;
		this.fetch = fetch;
		this.random = random;
		this.log = log;
		this.signal = signal;
		signal?.addEventListener("abort", () => this.close());
	}

	/** @returns {State} */
	get state() {
		const states = [...this.#rooms.values()].map((room) => room.state);
		/** @type {State[]} */
		const byHealth = ["refused", "offline", "waiting", "connecting", "online"];
		return byHealth.find((state) => states.includes(state)) ?? "closed";
	}

	/** The user id as messages will show it, as far as it is known without a token. */
	get expectedUser() {
		return this.token ? this.user.id : `guest:${this.user.id}`;
	}

	/** @param {string} id @param {import("./confab").RoomOptions} [options] */
	conversation(id, options = {}) {
		const room = this.#rooms.get(id) ?? new Room(this, id, options);
		if (!this.#rooms.has(id) && !this.signal?.aborted) room.connect();
		this.#rooms.set(id, room);
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
		return this.clock.now() + this.offset;
	}

	/** @param {string} time of a message @param {boolean} isLive whether it was stored just before */
	measure(time, isLive) {
		const offset = Date.parse(time) - this.clock.now();
		// The message with the shortest way reveals the most.
		this.offset = isLive && this.isOffsetOld ? offset : Math.max(this.offset, offset);
		this.isOffsetOld &&= !isLive;
	}

	/** @param {any} options */
	list({ limit = PAGE_SIZE, signal, ...given } = {}) {
		return this.#rest(queryOf({ limit, ...given }), signal);
	}

	/** @param {any} conversation */
	async create({ signal, ...conversation }) {
		const user_id = this.token ? undefined : this.user.id;
		const answer = await this.#rest("/create", signal, { ...conversation, user_id });
		if (!this.token) await this.#keep(answer.room_id, answer.token);
		return answer;
	}

	/** @param {string} id @param {any} changes */
	update(id, { signal, ...changes }) {
		return this.#of(id, "", signal, changes, "PATCH");
	}

	/** @param {string} id @param {Abortable} options */
	leave(id, { signal } = {}) {
		return this.#of(id, "/leave", signal, {});
	}

	/** @param {string} id @param {any} options */
	members(id, { signal, ...given } = {}) {
		return this.#of(id, `/members${queryOf(given)}`, signal);
	}

	/** @param {string} id @param {string} user_id @param {{name?: string} & Abortable} options */
	addMember(id, user_id, { name: username, signal } = {}) {
		return this.#of(id, "/members", signal, { user_id, username });
	}

	/** @param {string} id @param {string} user @param {Abortable} options */
	removeMember(id, user, { signal } = {}) {
		return this.#of(id, `/members/${encodeURIComponent(user)}`, signal, undefined, "DELETE");
	}

	/** @param {string} id @param {Abortable} options */
	receipts(id, { signal } = {}) {
		return this.#of(id, "/receipts", signal);
	}

	/**
	 * A request about one conversation. A guest has a token for each.
	 * @param {string} id @param {string} path @param {AbortSignal} [signal] @param {object} [body]
	 * @param {string} [method]
	 */
	async #of(id, path, signal, body, method) {
		const login = this.token ? undefined : await this.login(id, false);
		return this.#rest(`/${encodeURIComponent(id)}${path}`, signal, body, method, login);
	}

	/** @param {string} id @param {string} [name] @param {Abortable} options */
	async join(id, name, { signal } = {}) {
		this.user.name = name || this.user.name;
		const { id: user_id, name: username = user_id } = this.user;
		const path = `/${encodeURIComponent(id)}/join`;
		if (this.token) return this.#rest(path, signal, {});
		const join = (/** @type {Login | undefined} */ login = undefined) =>
			this.#rest(path, signal, { user_id, username }, "POST", login);
		const joinAgain = async () => {
			// The last token makes the user the same guest as before.
			const [kept] = await this.storage?.list(this.#tokenKey(id)).catch(() => []) ?? [];
			const answer = await join(this.#logins.get(id) ?? (kept && this.#read(kept)))
				.catch((error) => error.code === 401 ? join() : Promise.reject(error));
			await this.#keep(id, answer.token);
			return answer;
		};
		// Tabs that open together are one guest, too.
		const { locks } = globalThis.navigator ?? {};
		return locks ? locks.request(this.#tokenKey(id), joinAgain) : joinAgain();
	}

	/** @param {string} id */
	#tokenKey(id) {
		return `guest ${JSON.stringify([this.url, this.user.id, id])} `;
	}

	/**
	 * Keeps a guest's token, also for later runs.
	 * @param {string} id @param {string} token
	 */
	async #keep(id, token) {
		this.#logins.set(id, this.#read(token));
		await this.storage?.set(this.#tokenKey(id), token).catch(ignore);
	}

	/**
	 * A token for a conversation, or for REST.
	 * @param {string} id @param {boolean} isRenewed
	 */
	async login(id, isRenewed) {
		const known = this.#logins.get(id), { token } = this;
		if (known && !isRenewed && this.clock.now() < known.renewAt) return known;
		const login = this.#read(typeof token === "function" ? await token(id, isRenewed)
			: token ?? (await this.join(id)).token);
		this.#logins.set(id, login);
		return login;
	}

	/**
	 * Reads the claims of a token. The server judges it.
	 * @param {string} token @returns {Login}
	 */
	#read(token) {
		if (!token) throw new ConfabError("token: there is none");
		try {
			const body = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
			const { sub, guest, guest_key: key, exp } =
				JSON.parse(decodeURIComponent(escape(atob(body))));
			const rest = exp * SECOND - this.time(), early = 30 * SECOND;
			// A token that seems to have expired shows that this clock is wrong.
			const delay = rest > 0 ? Math.max(SECOND, rest - Math.min(early, rest / 2)) : early;
			const canRenew = exp && typeof this.token !== "string";
			const renewAt = canRenew ? this.clock.now() + delay : Infinity;
			return { token, me: guest ? `guest:${sub}` : sub, guestKey: guest && key, renewAt };
		} catch {
			return { token, renewAt: Infinity };
		}
	}

	/**
	 * @param {string} path @param {AbortSignal} [signal] @param {object} [body]
	 * @param {string} [method] @param {Login} [login]
	 * @returns {Promise<any>}
	 */
	async #rest(path, signal, body, method = body ? "POST" : "GET", login) {
		/** @type {Record<string, string>} */
		const headers = { "content-type": "application/json" };
		if (this.token) login = await this.login("", false);
		if (login) headers.authorization = `Bearer ${login.token}`;
		const { fetch, url } = this;
		const request = { method, headers, body: JSON.stringify(body), signal };
		const response = await fetch(`${url}/api/conversations${path}`, request).catch((error) => {
			signal?.throwIfAborted();
			throw new ConfabError(`cannot reach ${url}: ${error.message}`, { retry: true });
		});
		const { ok, status: code } = response, answer = await response.json().catch(() => ({}));
		if (ok) return answer;
		if (code === 401) this.#logins.delete("");
		throw new ConfabError(answer.error ?? `the server answers with status ${code}`, {
			code, retry: code === 429 || code >= 500,
			retryAfter: Number(response.headers.get("retry-after")) || undefined,
		});
	}
}
