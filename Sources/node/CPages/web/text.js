// Shared by both chat pages: formatted text, times, sentences and storage. The program joins it
// with dom.js, whose helpers it uses.

/**
 * Values that survive a reload if the browser allows it. If not, the page keeps them.
 * @param {() => Storage} area which may throw
 */
const stored = (area) => ({
	memory: new Map(),
	/** @param {string} key @returns {string | undefined} */
	get(key) {
		try {
			return area().getItem("confab." + key) ?? undefined;
		} catch {
			return this.memory.get(key);
		}
	},
	/** @param {string} key @param {string | number} value An empty value removes the key. */
	set(key, value) {
		this.memory.set(key, `${value}`);
		try {
			if (value === "") area().removeItem("confab." + key);
			else area().setItem("confab." + key, `${value}`);
		} catch {
			// The value stays in memory.
		}
	},
	/** Whether values survive a reload. */
	get isLasting() {
		this.set("check", 1);
		this.memory.delete("check");
		return this.get("check") === "1";
	},
});
/** Of all tabs, and of this one. */
export const storage = stored(() => localStorage), session = stored(() => sessionStorage);

/**
 * The user that a token names, and a key that differs for each user.
 * @param {string} token
 */
const owner = (token) => {
	try {
		const body = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
		const {sub, tenant_id: tenant = "default", guest} =
			JSON.parse(decodeURIComponent(escape(atob(body))));
		return {name: `${sub}`.slice(0, 128), key: JSON.stringify([sub, tenant, guest])};
	} catch {
		return {name: "another user", key: token};
	}
};

/**
 * Whether a token of a link may replace that of the tab. A link of another user could otherwise
 * make a person write, and show drafts, under that user's name.
 * @param {string} linked
 * @param {string | undefined} present
 */
const isAccepted = (linked, present) => {
	if (!present) return true;
	const [next, last] = [owner(linked), owner(present)];
	return next.key === last.key || confirm(
		`This link signs you in as ${next.name}. In this tab you are ${last.name}.`
		+ `\n\nContinue as ${next.name}?`);
};

/**
 * The user of this tab. A token arrives in the fragment, which browsers do not send to servers, and
 * leaves the address at once. A guest without a token has a random id, the same for all tabs.
 * @returns {{token?: string, user: {id?: string, name?: string}}}
 */
export const identity = () => {
	const present = session.get("token");
	const linked = new URLSearchParams(location.hash.slice(1)).get("token");
	const token = linked && isAccepted(linked, present) ? linked : present;
	if (token) session.set("token", token);
	if (location.hash.includes("token=")) history.replaceState(history.state, "", location.pathname);
	if (token) return {token, user: {}};
	const id = storage.get("user")
		?? [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join("");
	storage.set("user", id);
	return {user: {id, name: storage.get("name")}};
};

/**
 * Puts the link of a conversation on the clipboard.
 * @param {string} id @returns {Promise<boolean>} false where the browser forbids it, as without TLS
 */
export const copyLink = async (id) => {
	try {
		await navigator.clipboard.writeText(link(id));
		return true;
	} catch {
		return false;
	}
};
/** @param {string} id */
export const link = (id) => `${location.origin}/conversation/${id}`;

// The brackets, quotes and stops of other scripts often follow a link without a space. An address
// has them percent-encoded.
const stops = "。｡，､、；：！？．（）［］｛｝〈-】〔〕“”„‟«»‹›\u061f\u060c\u061b\u06d4।॥։።፣។။";
// Links end before bidirectional controls, too, which could disguise the address.
const links = new RegExp(
	`\\b(?:https?://|mailto:)[^\\s<>"\`\\u202a-\\u202e\\u2066-\\u2069${stops}]+`, "giu");

/** Removes the punctuation of the sentence around a link, and parentheses that it does not open. */
const trimmed = (/** @type {string} */ url) => {
	let extra = url.split(")").length - url.split("(").length;
	let end = url.length;
	for (; end; end--) {
		const last = url[end - 1];
		if (last === ")" && extra > 0) extra--;
		else if (!/[.,;:!?'"*_~…\]‘’]/.test(last)) break;
	}
	return url.slice(0, end);
};

/**
 * Splits text into what the page shows: code in backticks, links, and the rest.
 * @param {string} text @returns {{kind: "text" | "link" | "code" | "block", text: string}[]}
 */
export const parts = (text) => {
	/** @type {ReturnType<typeof parts>} */
	const all = [];
	const add = (/** @type {"text" | "link" | "code" | "block"} */ kind, /** @type {string} */ part) =>
		part && all.push({kind, text: part});
	text.split(/```(?:[\w+-]*\n)?([^]*?)\n?```\n?/).forEach((outer, i) => {
		if (i % 2) return add("block", outer);
		outer.split(/`([^`\n]+)`/).forEach((inner, j) => {
			if (j % 2) return add("code", inner);
			let end = 0;
			for (const {0: found, index = 0} of inner.matchAll(links)) {
				const url = trimmed(found);
				if (!/** @type {any} */ (URL).canParse(url)) continue;
				add("text", inner.slice(end, index));
				add("link", url);
				end = index + url.length;
			}
			add("text", inner.slice(end));
		});
	});
	return all;
};

/** Whether a text has this name after an `@` there, in any case. */
export const isMention = (/** @type {string} */ text, at = 0, name = "") =>
	text.slice(at + 1, at + 1 + name.length).toLowerCase() === name.toLowerCase()
	&& !/[\p{L}\p{N}]/u.test(text[at + 1 + name.length] ?? "");

/**
 * Makes elements of the names after an `@`.
 * @param {string} text @param {string[]} names the longest first @returns {(HTMLElement | string)[]}
 */
const withMentions = (text, names) => {
	const all = [];
	let end = 0;
	for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
		const name = at >= end && names.find((each) => isMention(text, at, each));
		if (!name) continue;
		all.push(text.slice(end, at), h("b", {className: "mention"},
			text.slice(at, at + 1 + name.length)));
		end = at + 1 + name.length;
	}
	return [...all, text.slice(end)];
};

/** @param {string} text @param {string[]} [names] of mentioned users @returns {(Node | string)[]} */
export const formatted = (text, names = []) => parts(text).flatMap((part) => {
	if (part.kind === "text") return withMentions(part.text, names);
	if (part.kind === "code") return h("code", {}, part.text);
	if (part.kind === "block") return h("pre", {tabIndex: 0}, h("code", {}, part.text));
	const rel = "noopener noreferrer nofollow ugc";
	return h("a", {href: part.text, rel, target: "_blank"}, part.text);
});

/** Whether the text is one to six emoji, which the page shows large. */
export const isEmoji = (/** @type {string} */ text) => {
	if (text.length > 100) return false;
	const signs = [...new Intl.Segmenter().segment(text.replace(/\s/g, ""))];
	return signs.length > 0 && signs.length < 7
		&& signs.every(({segment}) => /\p{Emoji_Presentation}|\ufe0f/u.test(segment));
};

/** A hue in degrees, the same for a user everywhere: one of twelve. */
export const hue = (/** @type {string} */ user) => {
	let sum = 7;
	for (const sign of user) sum = (sum * 31 + (sign.codePointAt(0) ?? 0)) % 65521;
	return (sum % 12) * 30;
};
/** The first character of a name, as a person counts characters. */
export const initial = (/** @type {string} */ name) =>
	[...new Intl.Segmenter().segment(name.trim())][0]?.segment.toUpperCase() ?? "?";

export const clock = new Intl.DateTimeFormat(undefined, {timeStyle: "short"});
const exact = new Intl.DateTimeFormat(undefined, {dateStyle: "full", timeStyle: "medium"});
/** @param {string} time RFC 3339 */
export const timeElement = (time) => {
	const date = new Date(time);
	return h("time", {dateTime: time, title: exact.format(date)}, clock.format(date));
};

/**
 * A day as a heading.
 * @param {string | number} time @param {number} now server time in ms
 */
export const dayLabel = (time, now) => {
	const date = new Date(time), day = date.toDateString();
	if (day === new Date(now).toDateString()) return "Today";
	if (day === new Date(now - 864e5).toDateString()) return "Yesterday";
	const year = date.getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
	return date.toLocaleDateString(undefined, {weekday: "long", day: "numeric", month: "long", year});
};

/** Who is typing, in one sentence. */
export const typingSentence = (/** @type {string[]} */ names) => {
	if (names.length > 2) return `${names.length} people are typing…`;
	return names.length ? `${names.join(" and ")} ${names[1] ? "are" : "is"} typing…` : "";
};

/**
 * The connection in words, once an interruption lasts two seconds.
 * @param {{state: string, retryAt?: number}} event @param {number} since when it began
 * @param {number} now @param {boolean} isNew whether the page was never connected
 * @param {boolean} isReachable whether the server has answered a request without WebSocket
 */
export const connectionSentence = ({state, retryAt = 0}, since, now, isNew, isReachable) => {
	if (/online|refused|closed/.test(state) || now - since < 2000) return "";
	if (isNew && isReachable && now - since > 1e4) {
		return "No connection. Your network may block WebSocket.";
	}
	if (state === "offline") return "This device is offline.";
	const seconds = Math.ceil((retryAt - now) / 1000);
	if (state === "waiting" && seconds > 0) return `Reconnecting in ${seconds} s`;
	return isNew ? "Connecting…" : "Reconnecting…";
};

/** What is wrong with this device's clock, if it is `behind` by two minutes or more (in ms). */
export const clockSentence = (behind = 0) => {
	const minutes = Math.round(Math.abs(behind) / 6e4);
	if (minutes < 2) return "";
	const words = minutes < 120 ? count(minutes, "minute") : count(Math.round(minutes / 60), "hour");
	return `The clock of this device is ${words} ${behind > 0 ? "slow" : "fast"}. Confab uses the`
		+ " server's clock. Check the date and time of this device.";
};

/** Whether the same request may succeed later: no answer, an overload, or a failure of the server. */
export const isTransient = (code = 0) => !code || code === 429 || code >= 500 && code < 600;

/**
 * Why the page cannot open a conversation, and what to do.
 * @param {number} code of HTTP or of the WebSocket @returns {[string, string]}
 */
export const refusal = (code, reason = "", hasToken = false) => {
	if (code === 4003 || code === 401 || hasToken && /token/.test(reason)) {
		return hasToken ? ["Your access has expired", "Open this conversation again from the place where"
			+ " you found its link. Text that was not sent stays on this device."]
			: ["You need an invitation", "This server admits only people with a token. Open the"
				+ " conversation from the application that invited you."];
	}
	if (code === 404) return ["There is no conversation here", "The link may be incomplete, the"
		+ " conversation private, or deleted. Ask a member to add you or to send the link again."];
	if (code === 403 || code === 4004) return ["You may not enter this conversation", "Ask a member"
		+ " to add you, then try again."];
	if (code === 410) return ["This conversation has ended", "Choose another one or create one."];
	const words = reason.replace(/\.$/, "") || "The server does not answer";
	return isTransient(code) ? ["The conversation does not open yet", `${words}. This page tries`
		+ " again by itself."] : ["The conversation does not open", `${words}. Try again.`];
};

/** Differs for users, and for guests of one id. */
export const keyOf = ({author, user = author, guestKey} = any) =>
	guestKey ? `${user} ${guestKey}` : user;

/** The word after the name of a guest, which differs for guests of one name. */
export const guestWord = ({guestKey} = any) => guestKey ? `guest ${guestKey}` : "";

/** Whether a message of another user mentions the user. */
export const mentionsUser = (message = any, me = "") => !message.own && !message.deleted
	&& (message.mentions === "all" || message.mentions.includes(me));

/**
 * The reactions to a message, with those of the user that wait for the server.
 * @param {any[]} reactions @param {Map<string, boolean>} waiting
 */
const withWaiting = (reactions, waiting = new Map()) => {
	const all = reactions.map((each) => {
		const mine = waiting.get(each.emoji) ?? each.mine;
		return {...each, mine, count: each.count + Number(mine) - Number(each.mine)};
	});
	for (const [emoji, mine] of waiting) {
		if (mine && !all.some((each) => each.emoji === emoji)) {
			all.push({emoji, mine, count: 1, users: []});
		}
	}
	return all.filter((each) => each.count);
};

/**
 * Arranges messages as rows: one heading per day, one line before the first unread message, and the
 * author only on the first message of a group (same author and day, within five minutes).
 * @param {readonly any[]} messages Messages of the kit
 * @param {{now: number, me?: string, unreadAfter: number, edits: Map<number, string>,
 *   reacting: Map<number, Map<string, boolean>>}} context
 * `edits` has the texts of changes that wait for the server, an empty text for a deletion;
 * `reacting` has the reactions that wait
 */
export const rows = (messages, {now, me, unreadAfter, edits, reacting}) => {
	/** @type {Row[]} */
	const all = [];
	let last = any, day = "";
	for (const message of messages) {
		const {id, own: isMine, time} = message, author = keyOf(message);
		const date = new Date(time).toDateString();
		if (date !== day) {
			const text = dayLabel(time, now);
			all.push({kind: "day", key: "day " + date, text, signature: text});
			last = undefined;
		}
		day = date;
		if (id > unreadAfter) {
			all.push({kind: "unread", key: "unread", text: "New messages", signature: ""});
			unreadAfter = Infinity;
			last = undefined;
		}
		const isFirst = !last || keyOf(last) !== author
			|| Date.parse(time) - Date.parse(last.time) > 3e5;
		const edit = edits.get(id), text = edit ?? message.text;
		const reactions = withWaiting(message.reactions, reacting.get(id));
		const signature = JSON.stringify([isFirst, edit, message.rev, message.state, message.error, id,
			reactions, message.replies, message.replyExcerpt]);
		const key = `${message.key}`, isWaiting = edit != null;
		all.push({kind: "message", key, text, signature, message, reactions, isFirst, isMine, isWaiting,
			isForMe: mentionsUser(message, me)});
		last = message;
	}
	return all;
};

/**
 * @typedef {{kind: "day" | "unread", key: string, text: string, signature: string}
 *   | {kind: "message", key: string, text: string, signature: string, isFirst: boolean,
 *     isMine: boolean, isWaiting: boolean, isForMe: boolean, message: any, reactions: any[]}} Row
 */
