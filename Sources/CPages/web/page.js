// The page of one conversation: it opens the room and shows its state.

import {Confab} from "./confab.js";
import {messageList} from "./scroll.js";
import {
	$, clockSentence, connectionSentence, copyLink, count, formatted, h, hue, identity, initial, isEmoji, link,
	refusal, storage, timeElement, typingSentence,
} from "./text.js";

/** @typedef {{name: string, isOnline: boolean, typingUntil: number}} Person */

const {token, user} = identity();
const id = location.pathname.split("/")[2] ?? "";
const server = new Confab(location.origin, {token, user});
const field = $("#field"), composer = $("#composer"), scroller = $("#scroller"), hint = $("#hint");
const api = `/api/conversations/${id}`;

/** @type {any} The conversation as REST describes it. */
let details = {title: "Conversation", description: "", participants: [], is_active: true};
/** @type {import("./confab.js").Room | any} */
let room;
/** @type {Map<string, Person>} by user id as authors show it */
const people = new Map();
/** Texts of changed messages that the server has not confirmed; an empty text is a deletion. */
const edits = new Map();
/** The message that the composer edits, and the draft that waits meanwhile. */
let editing = 0, draft = "";
/** Messages above this one were unread when the page opened. */
let unreadAfter = Infinity;
let seen = Number(storage.get("seen." + id) ?? NaN);
/** The last state event of the room, and since when the room is not online. */
let connection = /** @type {any} */ ({state: "connecting"}), since = Date.now(), wasOnline = false;
/** How far the clock of this device is behind the server's, in ms. */
let behind = 0, isClockTold = false;

const now = () => Date.now() + behind;
/** A server without user names sends the user id as the name. */
const nameOf = (/** @type {any} */ {author, name}) =>
	name === author ? people.get(author)?.name ?? author : name;
const person = (/** @type {string} */ author) => {
	let each = people.get(author);
	if (!each) people.set(author, each = {name: author, isOnline: false, typingUntil: 0});
	return each;
};

// What the page shows

/** @param {"gone" | "entry" | "room"} view */
const show = (view) => {
	for (const each of ["gone", "entry", "room"]) $("#" + each).hidden = each !== view;
	$("#copy").hidden = view === "gone";
	$("#people").hidden = view !== "room";
};

/** @param {[string, string]} sentences @param {boolean} canRetry */
const showRefusal = ([title, text], canRetry) => {
	$("#gone h2").textContent = title;
	$("#gone p").textContent = text;
	$("#gone button").hidden = !canRetry;
	$("#title").textContent = "Confab";
	document.title = `${title} – Confab`;
	show("gone");
};

/**
 * Shows a sentence above the messages until the user closes it.
 * @param {string} kind A later notice replaces one of the same kind. @param {string} text
 * @param {string} [label] @param {() => void} [action]
 */
const notice = (kind, text, label, action) => {
	$(`#notices [data-kind="${kind}"]`)?.remove();
	if (!text) return;
	const element = h("p", {}, h("span", {}, text));
	element.dataset.kind = kind;
	const close = () => element.remove();
	if (label) element.append(h("button", {className: "link", onclick: () => (close(), action?.())}, label));
	element.append(h("button", {className: "icon close", ariaLabel: "Close", onclick: close}));
	$("#notices").append(element);
};

/** @param {string} question @param {string} yes @param {Node[]} content @returns {Promise<boolean>} */
const ask = (question, yes, ...content) => new Promise((done) => {
	const dialog = $("#ask");
	$("#question").textContent = question;
	$(".answer", dialog).replaceChildren(...content);
	const [cancel, confirm] = dialog.querySelectorAll("button");
	confirm.className = "danger";
	cancel.textContent = yes ? "Cancel" : "Close";
	confirm.textContent = yes;
	confirm.hidden = !yes;
	dialog.returnValue = "";
	dialog.onclose = () => done(dialog.returnValue === "yes");
	dialog.showModal();
});

const shareLink = async () => {
	if (await copyLink(id)) return tell("Link copied");
	const input = h("input", {value: link(id), readOnly: true, ariaLabel: "Link"});
	ask("Copy this link", "", input);
	input.select();
};

let day = new Date().toDateString();
let toldUntil = 0, told = "";
/** Shows a short sentence in the line above the composer, and reads it out. */
const tell = (/** @type {string} */ sentence) => {
	[told, toldUntil] = [sentence, Date.now() + 4000];
	announce(sentence);
	showHint();
};
const showHint = () => {
	const time = Date.now();
	const typists = [...people.values()].filter((each) => each.typingUntil > time);
	hint.textContent = typingSentence(typists.map((each) => each.name)) || (time < toldUntil ? told : "");
	hint.classList.toggle("busy", typists.length > 0);
};

/** Lines for screen readers: at most one a second. */
let lines = Array(0);
const announce = (/** @type {string} */ line) => void lines.push(line);
const readOut = () => {
	if (!lines.length) return;
	const log = $("#log");
	log.append(h("p", {}, lines.length > 2 ? `${lines.length} new messages` : lines.join(". ")));
	while (log.children.length > 30) log.firstChild.remove();
	lines = [];
};

const showTitle = () => {
	const title = details.title || id;
	$("#title").textContent = title;
	const {messages} = room ?? {messages: []};
	const unread = messages.filter((/** @type {any} */ m) => m.id > seen && m.author !== room.me).length;
	document.title = `${unread ? `(${unread}) ` : ""}${title} – Confab`;
	/** @type {any} */ (navigator).setAppBadge?.(unread).catch(() => {});
};

const showPeople = () => {
	const me = room?.me;
	if (me && user.name) person(me).name = user.name;
	const all = [...people].map(([user, each]) => ({...each, user, isOnline: each.isOnline || user === me}));
	all.sort((a, b) => Number(b.isOnline) - Number(a.isOnline) || a.name.localeCompare(b.name));
	const online = Math.max(all.filter((each) => each.isOnline).length, crowd);
	$("#count").textContent = `${count(online, "person", "people")} here`;
	$("#about ul").replaceChildren(...all.slice(0, 200).map((each) => h("li",
		{className: each.isOnline ? "online" : ""}, avatar(each.user, each.name),
		h("bdi", {}, each.name), h("span", {className: "dim"},
			each.user === me ? "you" : each.isOnline ? "here" : "away"))));
	showConnection();
};
/** The number of present users in a large conversation. */
let crowd = 0;

const showConnection = () => {
	const sentence = connectionSentence(connection, since, Date.now(), !wasOnline);
	const state = $("#state");
	const text = sentence || (connection.state === "online" || wasOnline ? $("#count").textContent : "");
	if (state.textContent !== text) state.textContent = text;
	state.parentElement.className = sentence ? "broken" : "";
	$("#retry").hidden = !sentence;
};

const avatar = (/** @type {string} */ author, /** @type {string} */ label) => {
	const element = h("span", {className: "avatar", ariaHidden: "true"}, initial(label));
	element.style.setProperty("--hue", `${hue(author)}`);
	return element;
};

const statusWords = /** @type {Record<string, string>} */ ({
	sending: "Sending", failed: "Not sent", sent: "Sent", delivered: "Delivered", read: "Read",
});

/** Builds the element of a row. */
const build = (/** @type {import("./text.js").Row} */ row) => {
	if (row.kind !== "message") {
		return h("li", {className: row.kind}, h(row.kind === "day" ? "h2" : "span", {}, row.text));
	}
	const {message, isMine, text} = row, {author, state, localId} = message;
	const label = isMine && user.name || nameOf(message), isDeleted = message.deleted || row.isWaiting && !text;
	const byline = h("p", {className: "by"}, h("bdi", {className: "name"}, label), " ",
		timeElement(message.time));
	byline.style.setProperty("--hue", `${hue(author ?? user.id)}`);
	const body = h("div", {className: "body", dir: "auto"}, ...isDeleted
		? [h("i", {}, row.isWaiting ? "Deleting…" : "Message deleted")] : formatted(text));
	if (!isDeleted && isEmoji(text)) body.classList.add("large");
	const element = h("li", {className: `row ${row.isFirst ? "first" : ""} ${isMine ? "mine" : ""} ${state}`,
		tabIndex: -1, id: message.id > 0 ? `m${message.id}` : `p${localId}`});
	if (row.isFirst) element.append(avatar(author ?? user.id, label));
	if (message.edited && !isDeleted || row.isWaiting && text) {
		body.append(" ", h("span", {className: "note"}, row.isWaiting ? "(saving)" : "(edited)"));
	}
	element.append(byline, body);
	if (!isMine || isDeleted) return element;
	element.append(h("span", {className: "status", title: statusWords[state]},
		h("span", {className: "unseen"}, statusWords[state])));
	const actions = h("p", {className: "actions"});
	const action = (/** @type {string} */ title, /** @type {() => void} */ onclick, className = "") =>
		actions.append(h("button", {title, ariaLabel: title, onclick, className}, className ? "" : title));
	if (state === "failed") {
		element.append(h("p", {className: "error"}, `Not sent: ${/** @type {any} */ (message).error}.`));
		action("Send again", () => room.retry(localId));
		action("Edit", () => {
			room.discard(localId);
			write([text, field.value].filter(Boolean).join("\n"));
		});
		action("Discard", () => room.discard(localId));
	} else if (message.id > 0 && !row.isWaiting) {
		action("Edit", () => edit(message), "icon edit");
		action("Delete", () => remove(message.id), "icon delete");
	}
	element.append(actions);
	return element;
};

const list = messageList({
	scroller, list: $("#list"), build,
	room: () => room,
	context: () => ({now: now(), me: room.me, unreadAfter, edits}),
	moved: () => {
		const unseen = room.messages.filter((/** @type {any} */ m) => m.id > seen).length;
		$("#empty").hidden = room.messages.length > 0 || !wasOnline;
		const button = $("#newest"), isHidden = list.isAtEnd || !(list.isFar || unseen);
		if (button.hidden !== isHidden) button.hidden = isHidden;
		const words = unseen ? count(unseen, "new message") : "Newest messages";
		if (button.textContent !== words) button.textContent = words;
		markRead();
	},
});

const markRead = () => {
	if (document.hidden || !wasOnline) return;
	const last = list.lastVisible;
	if (!(last > (seen || 0))) return;
	seen = last;
	storage.set("seen." + id, seen);
	room.read?.(seen);
	showTitle();
};

// What the user does

/** Puts text into the composer. */
const write = (text = "") => {
	field.value = text;
	field.parentElement.dataset.text = text;
	field.focus();
	field.setSelectionRange(text.length, text.length);
	if (!editing) storage.set("draft." + id, text);
};

/** Starts to edit a message in the composer; 0 stops. */
const edit = (/** @type {any} */ message) => {
	if (!editing) draft = field.value;
	editing = message?.id ?? 0;
	$("#editing").hidden = !editing;
	$(".send").ariaLabel = editing ? "Save" : "Send";
	write(editing ? edits.get(editing) || message.text : draft);
};

/** Shows a change at once and undoes it if the server refuses. */
const change = async (target = 0, text = "") => {
	edits.set(target, text);
	list.update();
	try {
		await (text ? room.edit(target, text) : room.delete(target));
	} catch (error) {
		const reason = `Not ${text ? "changed" : "deleted"}: ${/** @type {Error} */ (error).message}.`;
		if (!text) notice("change", reason);
		else notice("change", reason, "Edit again", () => edit({id: target, text}));
	}
	edits.delete(target);
	list.update();
};
const remove = async (/** @type {number} */ target) => {
	if (await ask("Delete this message?", "Delete",
		h("p", {}, "It disappears for everyone in this conversation."))) change(target, "");
	field.focus();
};

const submit = () => {
	const text = field.value.trim();
	if (!text) return;
	if (!details.is_active) return tell("This conversation has ended. Your text stays in the field.");
	if (editing) {
		const target = editing;
		edit(undefined);
		return change(target, text);
	}
	room.send(text);
	unreadAfter = Infinity;
	write("");
	list.end();
};

const showKeys = () => ask("Keyboard shortcuts", "", h("dl", {}, ...[
	["Enter", "Send"], ["Shift + Enter", "New line"], ["↑ in an empty field", "Edit your last message"],
	["Esc", "Stop editing, or return to the field"], ["↑ ↓ Home in the messages", "Move between messages"],
	["End", "Go to the newest message"], ["?", "Show these shortcuts"],
].flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])));

const listen = () => {
	composer.onsubmit = (/** @type {Event} */ event) => {
		event.preventDefault();
		submit();
		field.focus();
	};
	field.oninput = () => {
		field.parentElement.dataset.text = field.value;
		if (editing) return;
		storage.set("draft." + id, field.value);
		room.typing?.(field.value !== "");
	};
	field.onblur = () => room.typing?.(false);
	field.onkeydown = (/** @type {KeyboardEvent} */ event) => {
		// The Enter of an input method ends a composition.
		if (event.isComposing || event.keyCode === 229) return;
		if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
			event.preventDefault();
			submit();
		} else if (event.key === "ArrowUp" && !field.value) {
			const own = room.messages.findLast((/** @type {any} */ m) =>
				m.id > 0 && m.author === room.me && !m.deleted);
			if (!own) return;
			event.preventDefault();
			edit(own);
		} else if (event.key === "Escape" && editing) edit(undefined);
		else if (event.key === "End" && !field.value) list.end();
	};
	scroller.onkeydown = (/** @type {KeyboardEvent} */ event) => {
		const {key, target} = event;
		if (key === "Escape") return field.focus();
		if (key === "End") {
			event.preventDefault();
			list.end();
		}
		const all = [...scroller.querySelectorAll(".row")];
		const at = all.indexOf(/** @type {Element} */ (target).closest(".row"));
		const to = {ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1}[key];
		if (to === undefined || !all[to] || at < 0 && key === "ArrowDown") return;
		event.preventDefault();
		all[to].focus({preventScroll: true});
		all[to].scrollIntoView({block: "nearest"});
	};
	addEventListener("keydown", (event) => {
		if (event.key === "?" && !/** @type {Element} */ (event.target).closest("textarea, input")) showKeys();
	});
	$("#copy").onclick = shareLink;
	$("#newest").onclick = () => {
		list.end();
		field.focus();
	};
	$("#editing button").onclick = () => edit(undefined);
	$("#keys").onclick = showKeys;
	$("#retry").onclick = () => room.retryNow();
	document.addEventListener("visibilitychange", markRead);
	addEventListener("pagehide", () => {
		if (!room || !wasOnline) return;
		try {
			sessionStorage.setItem("confab.at." + id, JSON.stringify(list.position ?? {}));
		} catch {
			// The next visit starts at the end.
		}
	});
	setInterval(() => {
		readOut();
		showHint();
		if (connection.state !== "online") showConnection();
		// "Today" ends at midnight.
		const today = new Date(now()).toDateString();
		if (room && day !== today) list.update();
		day = today;
	}, 1000);
	write(storage.get("draft." + id) ?? "");
};

// What the server reports

const onState = (/** @type {any} */ event) => {
	const before = connection.state;
	if (before === "online" && event.state !== "online") {
		since = Date.now();
		announce("Connection lost");
	}
	connection = event;
	if (event.state === "connecting") for (const each of people.values()) each.isOnline = false;
	if (event.state === "online") {
		if (wasOnline) {
			announce("Connected");
			checkVersion();
		}
		if (wasOnline || token) load().then(showDetails, () => {});
		wasOnline = true;
		setTimeout(showPeople, 300);
		list.update();
	}
	// The description of an ended conversation decides what the page shows.
	if (event.state === "refused" && event.code !== 410) {
		const reasons = refusal(event.code, event.reason, !!token);
		if (wasOnline) notice("refused", `${reasons[0]}. ${reasons[1]}`, "Try again", () => room.retryNow());
		else showRefusal(reasons, true);
	}
	showConnection();
};

/** Another version of the pages may arrive with the node that answers after an interruption. */
const checkVersion = async () => {
	const page = await fetch(location.pathname).then((answer) => answer.text(), () => "");
	const version = /name="confab-version" content="([^"]*)"/.exec(page)?.[1];
	if (!version || version === $("meta[name=confab-version]").content) return;
	notice("version", "Confab was updated.", "Reload", () => location.reload());
};

const onReset = async (/** @type {any} */ {reason}) => {
	if (reason !== "start") return list.start();
	unreadAfter = seen >= 0 ? seen : Infinity;
	const [entry] = /** @type {any[]} */ (performance.getEntriesByType("navigation"));
	let at = /** @type {any} */ ({});
	try {
		at = JSON.parse(sessionStorage.getItem("confab.at." + id) ?? "{}");
	} catch {
		// Without storage, the visit starts at the end.
	}
	list.start();
	if (!at.id || !/reload|back/.test(entry?.type)) return;
	await list.reach(at.id);
	list.show(at.id, at.offset);
};

const onMessage = (/** @type {any} */ message) => {
	list.update();
	const author = person(message.author);
	author.name = nameOf(message);
	author.typingUntil = 0;
	if (message.author !== room.me) {
		announce(`${nameOf(message)}: ${message.text.slice(0, 200)}`);
	}
	showTitle();
};

/** Several arrivals within a second become one line. */
let arrivals = Array(0), arrivalTimer = 0;
const onPresence = (/** @type {any} */ event) => {
	crowd = event.online ?? 0;
	for (const change of event.changes ?? [event]) {
		const author = change.user ?? change.user_id, each = person(author);
		each.name = change.name ?? change.username ?? each.name;
		const isOnline = change.online ?? change.status === "online";
		if (isOnline !== each.isOnline && Date.now() - since > 3000 && connection.state === "online") {
			arrivals.push(`${each.name} ${isOnline ? "joined" : "left"}`);
		}
		each.isOnline = isOnline;
		if (!isOnline) each.typingUntil = 0;
	}
	arrivalTimer ||= setTimeout(() => {
		if (arrivals.length) tell(arrivals.length > 2 ? `${arrivals.length} people came or left`
			: arrivals.join(", "));
		arrivals = [];
		arrivalTimer = 0;
		showPeople();
	}, 1000);
};

const onTyping = (/** @type {any} */ event) => {
	const each = person(event.user ?? event.user_id);
	each.name = event.name ?? event.username ?? each.name;
	// The server ends the state after 6 s; the page ends it if that event is lost.
	each.typingUntil = (event.typing ?? event.is_typing) ? Date.now() + 7000 : 0;
	showHint();
};

const onEnded = () => {
	details.is_active = false;
	notice("ended", "This conversation has ended. You can still read it.", "New conversation", () =>
		location.assign("/conversations"));
};

const showDetails = () => {
	for (const {user_id: each, username, guest} of details.participants) {
		person(guest ? `guest:${each}` : each).name = username ?? each;
	}
	for (const element of document.querySelectorAll(".description")) {
		element.textContent = details.description ?? "";
	}
	if (!details.is_active) onEnded();
	if (!$("#room").hidden) {
		list.update();
		showPeople();
	}
	showTitle();
};

/** Opens the room as the user. */
const enter = () => {
	show("room");
	room = server.conversation(id, {maxAge: 36e5});
	const events = {state: onState, reset: onReset, message: onMessage, presence: onPresence,
		typing: onTyping, ended: onEnded};
	for (const [event, listener] of Object.entries(events)) room.on(event, listener);
	for (const event of ["change", "remove", "receipt", "outbox"]) room.on(event, list.update);
	if (!token) $(".you").replaceChildren(`You are ${user.name}. `, h("button", {className: "link",
		onclick: showEntry}, "Change name"));
	if (!storage.isLasting) notice("storage", "This browser stores nothing for this site. Messages that wait"
		+ " for a connection are lost when you close the page.");
};

/** Shows an ended conversation, which guests cannot join, without a connection. */
const openArchive = () => {
	const parse = (/** @type {any} */ m) => ({id: +m.id, author: m.guest ? `guest:${m.user_id}` : m.user_id,
		name: m.username, text: m.content, time: m.timestamp, state: "sent", edited: m.is_edited,
		deleted: m.is_deleted, rev: 0});
	const messages = details.messages.map(parse);
	room = {
		messages, me: `guest:${user.id}`,
		async older(limit = 100) {
			const answer = await fetch(`${api}/messages?limit=${limit}&before=${messages[0].id}`);
			const page = (await answer.json()).messages.map(parse);
			messages.unshift(...page);
			return page.length === limit;
		},
	};
	wasOnline = true;
	connection = {state: "closed"};
	show("room");
	list.start();
};

/** Asks a guest for a name. */
const showEntry = () => {
	$("#entry h2").textContent = details.title;
	const here = details.participants.filter((/** @type {any} */ each) => each.online).length;
	$("#entry .dim").textContent = here ? `${count(here, "person", "people")} here` : "";
	const input = $("#name");
	input.value = user.name ?? "";
	show("entry");
	input.focus();
	$("#entry form").onsubmit = (/** @type {Event} */ event) => {
		event.preventDefault();
		const chosen = input.value.trim();
		input.setCustomValidity(chosen ? "" : "Enter a name.");
		if (!chosen) return input.reportValidity();
		storage.set("name", user.name = chosen);
		// A room keeps its name, so another name needs another page.
		if (room) return location.reload();
		enter();
	};
	input.oninput = () => input.setCustomValidity("");
};

/** Reads what the conversation is, while a known user is already connecting. */
const load = async () => {
	const headers = token ? {authorization: `Bearer ${token}`} : undefined;
	const answer = await fetch(api, {headers}), body = await answer.json();
	if (!answer.ok) throw Object.assign(Error(body.error), {code: answer.status});
	details = {...body.conversation, messages: body.messages};
	behind = Date.parse(answer.headers.get("date") ?? "") + 500 - Date.now() || 0;
	const words = clockSentence(behind);
	if (!words) behind = 0;
	else if (!isClockTold) notice("clock", words);
	isClockTold ||= !!words;
};

const start = async () => {
	listen();
	$("#gone button").onclick = () => location.reload();
	if (!/^[\w.:-]{1,128}$/.test(id)) return showRefusal(refusal(404), false);
	const loading = load();
	if (token || user.name) enter();
	try {
		await loading;
	} catch (error) {
		const {code, message} = /** @type {any} */ (error);
		// A token may create the conversation; then the room decides.
		if (token) return;
		room?.close();
		return showRefusal(refusal(code, message, !!token), code !== 404);
	}
	if (!details.is_active && !token) {
		room?.close();
		openArchive();
	} else if (!room) showEntry();
	showDetails();
};
start();
