// The page of one conversation: it opens the room and shows its state.

import {Confab} from "./confab.js";
import {composer} from "./composer.js";
import {avatar, messageList, oneLine, rowBuilder, watchRows} from "./scroll.js";
import {
	$, any, clockSentence, connectionSentence, copyLink, count, guestWord, h, identity, isTransient,
	link, mentionsUser, keyOf, refusal, session, storage, typingSentence,
} from "./text.js";

const {token, user} = identity();
const id = location.pathname.split("/")[2] ?? "";
const api = `/api/conversations/${id}`;
/** The user's name is known when the user enters. */
const server = () => new Confab(location.origin, {token, user});

/** The conversation as REST describes it. */
let details = /** @type {any} */ ({title: "", participants: [], messages: [], is_active: true});
/** The connection to the conversation; none if guests cannot join it. */
let room = /** @type {import("./confab.js").Room | undefined} */ (undefined);
/** The messages: those of the description until the room has its own. */
const nothing = /** @type {import("./scroll.js").Source} */ (
	{messages: [], older: () => Promise.resolve(false)});
let source = nothing;
/** What surrounds an old message to which the user jumped; the list is not connected to it yet. */
let view = /** @type {import("./confab.js").View | undefined} */ (undefined);
/** The names of the members, and of all users whose names were seen. */
const names = new Map(), seenNames = new Map();
/** The texts of changes that wait for the server, an empty one for a deletion; and reactions. */
const edits = new Map(), reacting = new Map();
/** Who types, until when. */
const typists = new Map();
/**
 * The last message that was visible. Those after `unreadAfter` were unread at the start; until it is
 * a number, no message counts as read, because the position on other devices is not known.
 */
let seen = Number(storage.get("seen." + id) ?? NaN), unreadAfter = NaN;
/** The room's last state, since when it is not online, and whether it ever was. */
let connection = /** @type {any} */ ({state: "connecting"}), since = Date.now(), wasOnline = false;
/** How far the clock of this device is behind the server's, in ms. */
let behind = 0, isClockTold = false;

const now = () => Date.now() + behind;
const me = () => room?.me ?? "guest:" + user.id;
const userName = (id = "") => (id === me() ? user.name : undefined) ?? names.get(id)
	?? seenNames.get(id) ?? id;
/** The name of a message's author, or of the user of an event. */
const nameOf = ({author = any, user: reader = any, name = any}) => {
	if (name === (reader ?? author)) return names.get(name) ?? name;
	seenNames.set(reader ?? author, name);
	return name;
};
/** The id of a user of REST, as the kit has it. */
const userOf = ({guest = false, user_id: user = ""}) => guest ? "guest:" + user : user;
/** The people that a message can mention. */
const members = () => [...new Map([...names, ...room?.present.map((each) =>
	/** @type {[string, string]} */ ([each.user, nameOf(each)])) ?? []])]
	.filter(([each]) => each !== me()).map(([each, name]) => ({user: each, name}))
	.concat({user: "all", name: "all"});
/** The messages up to the newest, also while the list shows others. */
const newest = () => (source.newer && room || source).messages;
/** The messages of others that were not visible yet, and how many of them mention the user. */
const unseen = () => {
	const all = newest().filter((each) => each.id > seen && !each.own);
	return {number: all.length, mentions: all.filter((each) => mentionsUser(each, me())).length};
};

// The visible state of the page

/** @param {"gone" | "entry" | "room"} view */
const show = (view) => {
	for (const each of ["gone", "entry", "room"]) $("#" + each).hidden = each !== view;
	$("#copy").hidden = view === "gone";
	$("#people").hidden = $("#find").hidden = view !== "room";
};

const showRefusal = ([title = "", text = ""], canRetry = true) => {
	$("#gone h2").textContent = title;
	$("#gone p").textContent = text;
	$("#gone button").hidden = !canRetry;
	$("#title").textContent = "Confab";
	document.title = `${title} – Confab`;
	show("gone");
};

/** Shows a sentence above the messages. A later notice replaces one of the same kind. */
const notice = (kind = "", text = "", label = "", action = () => {}) => {
	$(`#notices [data-kind="${kind}"]`)?.remove();
	const element = h("p", {}, h("span", {}, text));
	element.dataset.kind = kind;
	const close = () => element.remove();
	const act = () => (close(), action());
	if (label) element.append(h("button", {className: "link", onclick: act}, label));
	element.append(h("button", {className: "icon close", ariaLabel: "Close", onclick: close}));
	$("#notices").append(element);
};

/** Asks in a dialog. @returns {Promise<boolean>} whether the answer is `yes` */
const ask = (question = "", yes = "", content = any) => new Promise((done) => {
	const dialog = $("#ask"), [cancel, confirm] = dialog.querySelectorAll("button");
	$("#question").textContent = question;
	$(".answer").replaceChildren(content);
	cancel.textContent = yes ? "Cancel" : "Close";
	confirm.textContent = yes;
	confirm.hidden = !yes;
	dialog.returnValue = "";
	dialog.onclose = () => done(dialog.returnValue === "yes");
	dialog.showModal();
});

const showKeys = () => ask("Keyboard shortcuts", "", h("dl", {}, ...[
	["Enter", "Send"], ["Shift + Enter", "New line"], ["@", "Mention a person"],
	["↑ in an empty field", "Edit your last message"],
	["Esc", "Stop editing or replying, or return to the field"],
	["↑ ↓ Home in the messages", "Move between messages"],
	["R on a message", "Reply"], ["End", "Go to the newest message"], ["/", "Search"],
	["?", "Show these shortcuts"],
].flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])));

const shareLink = async () => {
	if (await copyLink(id)) return tell("Link copied");
	const input = h("input", {value: link(id), readOnly: true, ariaLabel: "Link"});
	ask("Copy this link", "", input);
	input.select();
};

/** What the line above the composer says, and until when. */
let told = "", toldUntil = 0;
/** Shows a sentence for a short time, and reads it out. */
const tell = (sentence = "") => {
	[told, toldUntil] = [sentence, Date.now() + 4000];
	lines.push(sentence);
	showHint();
};
const showHint = () => {
	const time = Date.now();
	const all = [...typists].filter(([, until]) => until > time).map(([name]) => name);
	$("#hint").textContent = typingSentence(all) || (time < toldUntil ? told : "");
};

/** Lines for screen readers, at most one a second. Those of messages count as such. */
let lines = Array(0);
const readOut = () => {
	if (!lines.length) return;
	const log = $("#log");
	log.append(h("p", {}, lines.length > 2 ? `${lines.length} new messages` : lines.join(". ")));
	while (log.children.length > 30) log.firstChild.remove();
	lines = [];
};

const showTitle = () => {
	const title = details.title || id;
	const {number, mentions} = unseen();
	const numbers = number ? `(${number}${mentions ? `, @${mentions}` : ""}) ` : "";
	const text = `${numbers}${title} – Confab`;
	if (document.title === text) return;
	$("#title").textContent = title;
	document.title = text;
	/** @type {any} */ (navigator).setAppBadge?.(number).catch(() => {});
};

/** @param {number} [online] The other present users; the room names at most 200 of them. */
const showPeople = (online) => {
	const own = {user: me(), guestKey: room?.guestKey, name: userName(me())};
	const present = room?.present.map((each) => ({...each, name: nameOf(each)})) ?? [];
	if (room?.me) present.push(own);
	const here = online == null ? present.length : online + 1;
	$("#count").textContent = `${count(here, "person", "people")} here`;
	const away = [...names].map(([user, name]) => ({user, name}))
		.filter(({user}) => !present.some((each) => each.user === user));
	$("#about ul").replaceChildren(...[...present, ...away].slice(0, 200).map((each = any) => {
		const isHere = present.includes(each), isMe = each === own;
		return h("li", {className: isHere ? "online" : ""}, avatar(keyOf(each), each.name),
			h("bdi", {}, each.name), h("span", {className: "dim"}, isMe ? "" : guestWord(each)),
			h("span", {className: "dim"}, isMe ? "you" : isHere ? "here" : "away"));
	}));
	showConnection();
};

const showConnection = () => {
	const sentence = connectionSentence(connection, since, Date.now(), !wasOnline,
		!!details.title);
	const calm = connection.state === "closed" ? "Ended" : wasOnline ? $("#count").textContent : "";
	const state = $("#state"), text = sentence || calm;
	if (state.textContent !== text) state.textContent = text;
	state.parentElement.className = sentence ? "broken" : "";
	$("#retry").hidden = !sentence;
};

// The actions of the user on messages

/** Everything that shows messages. */
const updates = new Set([() => list.update()]);
const update = () => updates.forEach((each) => each());

/** Shows a change at once, and takes it back if the server refuses it. */
const change = async (target = 0, text = "") => {
	edits.set(target, text);
	update();
	try {
		await (text ? room?.edit(target, text) : room?.delete(target));
	} catch (error) {
		const reason = /** @type {Error} */ (error).message;
		notice("change", `Not ${text ? "changed" : "deleted"}: ${reason}.`, text && "Edit again",
			() => composing.edit({id: target, text}));
	}
	edits.delete(target);
	update();
};

const attempt = async (promise = any, words = "") => {
	if (!promise) return tell(`${words}: this conversation has ended.`);
	try {
		return await promise;
	} catch (error) {
		tell(`${words}: ${/** @type {Error} */ (error).message}.`);
	}
};

/** The panel and the picker, which the page loads once it is idle. */
let features = /** @type {Promise<ReturnType<import("./panel.js").panel>> | undefined} */ (undefined);
const loadFeatures = () => features ??= import("./panel.js").then(({panel}) => panel({
	room: () => /** @type {import("./confab.js").Room} */ (room), nameOf, build, jump, attempt, tell,
	updates, context, composer: parts, react: actions.react, pins: () => pins,
})).catch((error) => {
	features = undefined;
	throw error;
});
/** @param {(all: ReturnType<import("./panel.js").panel>) => void} run */
const withFeatures = async (run) => {
	const all = await attempt(loadFeatures(), "Not loaded");
	if (all) run(all);
};

/**
 * Uses the field below the list of a row: that of the page, or that of the thread.
 * @param {string} mark @param {(field: ReturnType<typeof composer>) => void} run
 */
const inField = (mark, run) => {
	if (mark === "m") run(composing);
	else withFeatures((all) => run(all.composing() ?? composing));
};

const actions = {
	async react(/** @type {any} */ message, emoji = "", on = true) {
		const waiting = reacting.get(message.id) ?? new Map();
		reacting.set(message.id, waiting.set(emoji, on));
		update();
		await attempt(room?.react(message.id, emoji, on), "Not saved");
		if (waiting.get(emoji) === on) waiting.delete(emoji);
		update();
	},
	pick: (message = any, button = any) => withFeatures((all) => all.pick(message, button)),
	thread: (message = any) => withFeatures((all) => all.thread(message.thread ?? message.id)),
	reply: (message = any, mark = "m") => inField(mark, (field) => field.reply(message)),
	jump: (target = 0) => jump(target),
	pin: ({id: target = 0, pinned = any}) => attempt(
		pinned ? room?.unpin(target) : room?.pin(target), pinned ? "Not unpinned" : "Not pinned"),
	edit(message = any, mark = "m") {
		if (message.state === "failed") {
			room?.discard(message.localId);
			composing.restore(message.text);
		} else inField(mark, (field) => field.edit(message));
	},
	async remove({id: target = 0}) {
		const words = h("p", {}, "It disappears for everyone in this conversation.");
		if (await ask("Delete this message?", "Delete", words)) change(target);
		$("#field").focus();
	},
	retry: (message = any) => room?.retry(message.localId),
	discard: (message = any) => room?.discard(message.localId),
};

const build = rowBuilder({nameOf, userName, me, members, actions});
const context = () => ({now: now(), me: me(), unreadAfter, edits, reacting});
const list = messageList({
	scroller: $("#scroller"), list: $("#list"), build, room: () => source, context,
	moved() {
		const {number, mentions} = unseen();
		$("#empty").hidden = source.messages.length > 0 || !wasOnline;
		$("#newest").hidden = list.isAtEnd || !(list.isFar || number);
		const words = (number ? count(number, "new message") : "Newest messages")
			+ (mentions ? `, ${count(mentions, "mention")}` : "");
		if ($("#newest").textContent !== words) $("#newest").textContent = words;
		markRead();
	},
});

/** Shows the newest messages again after a jump. */
const attach = () => {
	view?.close();
	view = undefined;
	if (room && source.newer) source = room;
};

/** Makes the list show a message wherever it is. @returns whether it is retained */
const reach = async (target = 0, offset = 0) => {
	const has = () => source.messages.some((m) => m.id === target);
	if (!has() && room?.messages.some((m) => m.id === target)) attach();
	if (!has()) {
		const found = await attempt(room?.around(target), "Not found");
		if (!found) return false;
		if (!found.messages.some((/** @type {any} */ m) => m.id === target)) {
			found.close();
			tell("This message is no longer kept.");
			return false;
		}
		view?.close();
		view = found;
		source = {
			get messages() { return found.messages; },
			older: (limit) => found.older(limit),
			async newer(limit) {
				if (!await found.newer(limit) && view === found) attach();
			},
		};
	}
	list.show(target, offset);
	return true;
};

/** Goes to a message, and marks it for a moment. */
const jump = async (target = 0) => {
	if (!await reach(target, $("#scroller").clientHeight / 3)) return;
	const row = document.getElementById("m" + target);
	row?.focus({preventScroll: true});
	row?.classList.add("flash");
	setTimeout(() => row?.classList.remove("flash"), 2500);
};

const markRead = () => {
	const last = !document.hidden && wasOnline && unreadAfter >= 0 ? list.lastVisible : 0;
	if (!(last > (seen || 0))) return;
	seen = last;
	storage.set("seen." + id, seen);
	room?.read(seen);
};

/** The user has read this on another device. */
const readElsewhere = (last = 0) => {
	if (!(last > (seen || 0))) return;
	seen = last;
	storage.set("seen." + id, seen);
	showTitle();
};
/** The read position of the user on all devices, and the states of its messages. */
const loadReceipts = async () => {
	const receipts = await room?.receipts().catch(() => {});
	if (receipts) readElsewhere(+receipts.me.read);
	update();
};

const leave = async () => {
	const words = details.access === "closed" ? "Only its creator can add you again."
		: "You can join again by the link.";
	if (!await ask("Leave this conversation?", "Leave", h("p", {}, words))) return;
	try {
		await server().leave(id);
		room?.close();
		location.assign("/conversations");
	} catch (error) {
		tell(`Not left: ${/** @type {Error} */ (error).message}.`);
	}
};

/** What each field for messages needs. */
const parts = {
	room: () => room, isOver: () => !details.is_active, members, nameOf, change, edits, ask, tell,
};
const composing = composer({
	...parts, form: $("#composer"), scroller: $("#scroller"), draftKey: id, messages: newest, list,
	sent() {
		unreadAfter = Infinity;
		attach();
	},
});

/** The pinned messages, newest pin first. */
let pins = Array(0), arePinsOld = false;
const showPins = () => {
	const [pin] = pins;
	$("#pinned").hidden = !pin;
	if (pin) $("#pinned").replaceChildren(h("b", {}, h("bdi", {}, nameOf(pin))), " ",
		h("span", {}, oneLine(pin.text)), h("span", {className: "dim"}, count(pins.length, "pin")));
	update();
};
const loadPins = async () => {
	if (arePinsOld) return;
	arePinsOld = true;
	// Several changes need one request.
	await Promise.resolve();
	arePinsOld = false;
	pins = await room?.pins().catch(() => pins) ?? [];
	showPins();
};

/** Keeps the reading position for a reload and for "Back". */
const keepPlace = () => wasOnline && session.set("at." + id, JSON.stringify(list.position ?? {}));

let today = "";
const everySecond = () => {
	readOut();
	showHint();
	showTitle();
	if (connection.state !== "online") showConnection();
	const day = new Date(now()).toDateString();
	// "Today" ends at midnight.
	if (today && day !== today) list.update();
	today = day;
};

const listen = () => {
	$("#copy").onclick = shareLink;
	$("#find").onclick = () => withFeatures((all) => all.search());
	$("#pinned").onclick = () => withFeatures((all) => all.showPins());
	$("#keys").onclick = showKeys;
	$("#leave").onclick = leave;
	addEventListener("keydown", (event) => {
		const {key, target} = event;
		if (key !== "?" && key !== "/" || /** @type {Element} */ (target).closest("textarea, input")) return;
		event.preventDefault();
		if (key === "?") showKeys();
		else if (!$("#find").hidden) $("#find").click();
	});
	watchRows($("#list"));
	$("#newest").onclick = () => {
		attach();
		list.end();
		$("#field").focus();
	};
	$("#retry").onclick = () => room?.retryNow();
	$("#gone button").onclick = () => location.reload();
	document.addEventListener("visibilitychange", markRead);
	addEventListener("pagehide", keepPlace);
	setInterval(everySecond, 1000);
};

// Events of the server

const onState = (event = any) => {
	const {state, code, reason} = event;
	if (connection.state === "online" && state !== "online") {
		since = Date.now();
		lines.push("Connection lost");
	}
	connection = event;
	if (state === "online") {
		if (wasOnline) {
			lines.push("Connected");
			checkVersion();
		}
		// A token may have created the conversation; participants may have joined meanwhile.
		if (wasOnline || token) load().then(showDetails, () => {});
		loadPins();
		loadReceipts();
		setTimeout(() => loadFeatures().catch(() => {}), 1000);
		wasOnline = true;
		showPeople();
		list.update();
	}
	// The description of an ended conversation decides what the page shows.
	if (state === "refused" && code !== 410) {
		const words = refusal(code, reason, !!token);
		if (wasOnline) notice("refused", words.join(". "), "Try again", () => room?.retryNow());
		else showRefusal(words);
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

const onReset = async ({reason = ""}) => {
	attach();
	if (room) source = room;
	// A restored backup has fewer messages, and gives their numbers again.
	const last = room?.messages.filter((message) => message.id).at(-1)?.id ?? 0;
	if (/opened|reset/.test(reason) && seen > last) {
		seen = last;
		storage.set("seen." + id, seen);
	}
	if (reason === "history reset") {
		unreadAfter = Infinity;
		tell("The history was replaced, for example by a backup. Later messages are gone.");
	}
	// A second device starts where the first one stopped.
	if (reason === "opened" && token && !(seen >= 0)) await loadReceipts();
	list.start();
	if (reason !== "opened") return;
	unreadAfter = seen >= 0 ? seen : Infinity;
	const [visit] = /** @type {any[]} */ (performance.getEntriesByType("navigation"));
	const at = JSON.parse(/reload|back/.test(visit?.type) && session.get("at." + id) || "{}");
	if (at.id) reach(at.id, at.offset);
};

const onMessage = (message = any) => {
	const name = nameOf(message);
	typists.delete(name);
	const verb = mentionsUser(message, me()) ? " mentions you" : "";
	if (!message.own) lines.push(`${name}${verb}: ${message.text.slice(0, 200)}`);
	list.update();
	// It was missing when it was pinned.
	if (message.pinned) loadPins();
};

/** Those of a second become one line, which waits until another one has been shown. */
let arrivals = Array(0), arrivalTimer = 0;
const tellArrivals = (wait = toldUntil - Date.now()) => {
	if (wait > 0) return void (arrivalTimer = setTimeout(tellArrivals, wait));
	if (arrivals.length) tell(arrivals.length > 2 ? `${arrivals.length} people joined or left`
		: arrivals.join(", "));
	arrivals = [];
	arrivalTimer = 0;
};
const onPresence = ({online = 0, changes = Array(0)}) => {
	for (const each of changes) {
		const name = nameOf(each);
		// Those who were here when the page connected have not joined just then.
		if (room?.state === "online") arrivals.push(`${name} ${each.online ? "joined" : "left"}`);
		if (!each.online) typists.delete(name);
		names.set(each.user, name);
	}
	arrivalTimer ||= setTimeout(tellArrivals, 1000);
	showPeople(online);
};

const onTyping = (event = any) => {
	// The server ends the state after 6 s; the page ends it if that event is lost.
	typists.set(nameOf(event), event.typing ? Date.now() + 7000 : 0);
	showHint();
};

const onEnded = () => {
	details.is_active = false;
	document.body.classList.add("over");
	notice("ended", "This conversation has ended. You can still read it.", "New conversation", () =>
		location.assign("/conversations"));
};

const tellStorage = () => notice("storage", "This browser stores nothing for this site. Messages"
	+ " that wait for a connection are lost when you close the page.");

const showDetails = () => {
	for (const element of document.querySelectorAll(".description")) {
		element.textContent = details.description ?? "";
	}
	$(".access").textContent = details.access === "closed" ? "Only members can read this." : "";
	$("#leave").hidden = !token || !room;
	if (!details.is_active) onEnded();
	list.update();
	showPeople();
	showTitle();
};

/** Opens the room as the user. */
const enter = () => {
	show("room");
	room = server().conversation(id, {maxAge: 36e5});
	const events = /** @type {Record<string, (event: any) => void>} */ ({
		state: onState, reset: onReset, message: onMessage, presence: onPresence, typing: onTyping,
		ended: onEnded, error: (error) => error.storage && tellStorage(),
	});
	for (const event of ["reactions", "replies", "quote", "outbox"]) events[event] = update;
	events.receipt = (event) => {
		if (event.user === me()) readElsewhere(event.id);
		update();
	};
	events.updated = ({title, access}) => {
		Object.assign(details, {title, access});
		showDetails();
	};
	for (const event of ["change", "remove"]) events[event] = showPins;
	events.pin = () => {
		update();
		loadPins();
	};
	for (const [event, listener] of Object.entries(events)) {
		room.on(/** @type {any} */ (event), listener);
	}
	if (!token) $(".you").replaceChildren(`You are ${user.name}. `,
		h("button", {className: "link", onclick: askName}, "Change name"));
	if (!storage.isLasting) tellStorage();
	composing.start();
};

/** Shows the messages of the description: at once, and for guests of an ended conversation. */
const showArchive = () => {
	const parse = (m = any) => ({mentions: [], reactions: [], replies: 0, ...m, id: +m.id, key: +m.id,
		author: userOf(m), guestKey: m.guest_key, own: userOf(m) === me(), name: m.username,
		text: m.content, time: m.timestamp, state: "sent", edited: m.is_edited,
		deleted: m.is_deleted, notMembers: [], replyTo: +m.reply_to || undefined,
		replyExcerpt: m.reply_excerpt && {author: m.reply_excerpt.sender_id,
			name: m.reply_excerpt.username, text: m.reply_excerpt.content}});
	const messages = details.messages.map(parse);
	source = {
		// A message that the user sends before the room has its list shows at once.
		get messages() { return [...messages, ...room?.outbox ?? []]; },
		async older(limit) {
			const answer = await fetch(`${api}/messages?limit=${limit}&before=${messages[0].id}`);
			const page = (await answer.json()).messages.map(parse);
			messages.unshift(...page);
			return page.length === limit;
		},
	};
	show("room");
	$("#find").hidden = !room;
	list.start();
};

/** Asks a guest for a name. */
const askName = () => {
	const input = $("#name"), here = details.participants.filter((each = any) => each.online).length;
	$("#entry h2").textContent = details.title;
	$("#entry .dim").textContent = here ? `${count(here, "person", "people")} here` : "";
	input.value = user.name ?? "";
	show("entry");
	input.focus();
	input.oninput = () => input.setCustomValidity("");
	$("#entry form").onsubmit = (event = any) => {
		event.preventDefault();
		const name = input.value.trim();
		input.setCustomValidity(name ? "" : "Enter a name.");
		if (!name) return input.reportValidity();
		storage.set("name", user.name = name);
		// A room keeps its name, so another name needs another page.
		if (room) location.reload();
		else enter();
	};
};

/** Reads the description of the conversation. */
const load = async () => {
	const answer = await fetch(api, token ? {headers: {authorization: `Bearer ${token}`}} : {});
	const body = await answer.json();
	if (!answer.ok) throw Object.assign(Error(body.error), {
		code: answer.status, retryAfter: Number(answer.headers.get("retry-after")) || undefined,
	});
	details = {...body.conversation, messages: body.messages};
	names.clear();
	for (const each of details.participants) names.set(userOf(each), each.username);
	behind = Date.parse(answer.headers.get("date") ?? "") + 500 - Date.now() || 0;
	const words = clockSentence(behind);
	if (!words) behind = 0;
	else if (!isClockTold) notice("clock", words);
	isClockTold ||= !!words;
};

/** Reads the description, again and again while the server is overloaded or does not answer. */
const loadPatiently = async () => {
	for (;;) {
		try {
			return await load();
		} catch (error) {
			const {code, message, retryAfter = 2} = /** @type {any} */ (error);
			if (token || !isTransient(code)) throw error;
			if (!room) showRefusal(refusal(code, code ? message : ""), false);
			const delay = retryAfter * (1 + Math.random()) * 1000;
			await new Promise((done) => setTimeout(done, delay));
		}
	}
};

const start = async () => {
	listen();
	if (!/^[\w.:-]{1,128}$/.test(id)) return showRefusal(refusal(404), false);
	const loading = loadPatiently();
	if (token || user.name) enter();
	try {
		await loading;
	} catch (error) {
		const {code, message} = /** @type {any} */ (error);
		// A token may create the conversation; then the room decides.
		if (token) return;
		room?.close();
		return showRefusal(refusal(code, message), code !== 404);
	}
	const isOver = !details.is_active && !token;
	if (isOver) {
		room?.close();
		wasOnline = true;
		connection = {state: "closed"};
	}
	if (isOver || room && source === nothing) showArchive();
	if (!isOver && !room) askName();
	showDetails();
};
start();
