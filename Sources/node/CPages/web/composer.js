// A field in which people write: drafts, replies, mentions, changes of own messages, and the keys
// of the list above it.

import {$, any, h, isMention, storage} from "./text.js";
import {avatar, messageOf, oneLine} from "./scroll.js";

/** @typedef {{user: string, name: string}} Member */

/** The text in a form in which case, accents, and the strokes of letters do not count. */
export const folded = (text = "") => text.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase()
	.replace(/[ĐŁØ]/g, (letter) => "DLO"["ĐŁØ".indexOf(letter)]);

/**
 * The members of which a name, or a word of it, begins like the text after an `@` before the caret.
 * @param {string} before the text up to the caret @param {Member[]} members
 * @returns {{at: number, found: Member[]}} `at` is the position of the `@`
 */
const completions = (before, members) => {
	// A name may contain spaces, so the last @ counts as long as a name begins with the rest.
	const [, word = undefined] = /(?:^|[\s(])@([^@\n]{0,32})$/.exec(before) ?? [];
	if (word === undefined) return {at: 0, found: []};
	const wanted = folded(word);
	const found = members.filter(({user, name}) => folded(user).startsWith(wanted)
		|| ` ${folded(name)}`.includes(` ${wanted}`));
	return {at: before.length - word.length - 1, found: found.slice(0, 8)};
};

/**
 * @param {{
 *   form: HTMLElement, scroller: HTMLElement, draftKey?: string, thread?: number,
 *   room: () => import("./confab.js").Room | undefined, isOver: () => boolean,
 *   messages: () => readonly any[], list: {update(): void, end(): void}, sent: () => void,
 *   members: () => Member[], nameOf: (message: any) => string,
 *   change: (id: number, text: string) => void, edits: Map<number, string>,
 *   ask: (question: string, yes: string, content: Node) => Promise<boolean>,
 *   tell: (sentence: string) => void,
 * }} page `sent` is called for each message that the user sends; with `thread`, messages without
 * another target reply to it
 */
export const composer = ({
	form, scroller, draftKey = "", thread, room, isOver, messages, list, sent, members, nameOf,
	change, edits, ask, tell,
}) => {
	const field = $("textarea", form), target = $(".target", form), options = $("ul", form);
	/** The message that the user changes, and the draft that waits meanwhile. */
	let editing = 0, draft = "";
	/** The message to which the user replies. */
	let replying = any;
	/** The members that the user chose, by their names in lower case. */
	const chosen = new Map();

	const save = (key = "", value = "") => draftKey && storage.set(key + draftKey, value);

	/** Gives the field the height of its text, and keeps the draft. */
	const written = () => {
		field.parentElement.dataset.text = field.value;
		if (!editing) save("draft.", field.value);
		complete();
	};
	/** Puts text into the field. */
	const write = (text = "", caret = text.length) => {
		field.value = text;
		field.focus();
		field.setSelectionRange(caret, caret);
		written();
	};

	const showTarget = () => {
		target.hidden = !editing && !replying;
		const words = replying && [h("b", {}, "Reply to ", h("bdi", {}, nameOf(replying))), " ",
			oneLine(replying.text).slice(0, 200)];
		$("span", target).replaceChildren(...editing ? ["Editing your message"] : words ?? []);
		$(".send", form).ariaLabel = editing ? "Save" : "Send";
	};

	/** Starts to change a message in the field; without a message it stops. */
	const edit = (message = any) => {
		if (!editing) draft = field.value;
		editing = message?.id ?? 0;
		showTarget();
		write(editing ? edits.get(editing) || message.text : draft);
	};

	/** Starts a reply; without a message it stops. */
	const reply = (message = any) => {
		if (editing) edit();
		replying = message;
		const {id, author, name, text} = message ?? {};
		save("reply.", message && JSON.stringify({id, author, name, text: text.slice(0, 200)}));
		showTarget();
		field.focus();
	};

	const stop = () => editing ? edit() : reply();

	// Mentions

	/** The members in the list box, and the one that Enter chooses. */
	let offered = /** @type {Member[]} */ ([]), active = 0, start = 0;

	const showOptions = () => {
		options.hidden = !offered.length;
		options.replaceChildren(...offered.map(({user, name}, index) => {
			const option = h("li", {id: `${options.id}-${index}`, role: "option",
				ariaSelected: `${index === active}`, onclick: () => choose(offered[index])},
				avatar(user, name), h("bdi", {}, name), h("span", {className: "dim"},
					user === "all" ? "everyone in this conversation"
						: offered.filter((each) => each.name === name).length > 1 ? user : ""));
			// The focus stays in the field.
			option.onpointerdown = (event) => event.preventDefault();
			return option;
		}));
		// HTML allows no role "combobox" on a field of several lines.
		if (offered.length) field.setAttribute("aria-activedescendant", `${options.id}-${active}`);
		else field.removeAttribute("aria-activedescendant");
		options.children[active]?.scrollIntoView({block: "nearest"});
	};
	const complete = () => {
		const caret = field.selectionStart;
		const {at, found} = completions(field.value.slice(0, caret), members());
		// Behind a chosen name, Enter sends, although a longer name may begin with it.
		const isDone = chosen.has(field.value.slice(at + 1, caret).trimEnd().toLowerCase());
		[offered, active, start] = [isDone || field.selectionEnd !== caret ? [] : found, 0, at];
		showOptions();
	};
	const choose = (/** @type {Member} */ {user, name}) => {
		chosen.set(name.toLowerCase(), user);
		const rest = field.value.slice(field.selectionStart).replace(/^ /, "");
		offered = [];
		write(`${field.value.slice(0, start)}@${name} ${rest}`, start + name.length + 2);
	};
	/** The ids of the members whose names the text has after an `@`: the chosen ones, and others. */
	const mentionsOf = (text = "") => {
		const users = new Set(), all = [...members()].sort((a, b) => b.name.length - a.name.length);
		for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
			if (/[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) continue;
			const found = all.find(({name}) => isMention(text, at, name));
			if (found) users.add(chosen.get(found.name.toLowerCase()) ?? found.user);
		}
		return users.has("all") ? "all" : users.size ? [...users].slice(0, 50) : undefined;
	};

	const submit = async () => {
		const text = field.value.trim(), changed = editing;
		if (!text) return;
		if (isOver()) return tell("This conversation has ended. Your text stays in the field.");
		if (changed) {
			edit();
			return change(changed, text);
		}
		const mentions = mentionsOf(text), number = members().length;
		const isLoud = mentions === "all" && number > 20;
		const words = h("p", {}, "Each of them is notified. Only the creator of a conversation and"
			+ " administrators may do this.");
		if (isLoud && !await ask(`Mention all ${number} people?`, "Send", words)) return field.focus();
		room()?.send(text, {mentions, replyTo: replying?.id ?? thread}).catch(() => {
			// Its row shows the reason.
		});
		sent();
		chosen.clear();
		if (replying) reply();
		write("");
		list.end();
	};

	/** Keys of the list box. @returns whether it used the key */
	const onOptionKey = (key = "") => {
		if (!offered.length) return false;
		if (key === "Escape") offered = [];
		else if (key === "Enter" || key === "Tab") choose(offered[active]);
		else if (key === "ArrowDown") active = (active + 1) % offered.length;
		else if (key === "ArrowUp") active = (active || offered.length) - 1;
		else return false;
		showOptions();
		return true;
	};

	const onFieldKey = (event = any) => {
		const {key, shiftKey} = event;
		// The Enter of an input method ends a composition.
		if (event.isComposing || event.keyCode === 229) return;
		if (onOptionKey(key)) {
			event.preventDefault();
			event.stopPropagation();
		} else if (key === "Enter" && !shiftKey && !matchMedia("(pointer: coarse)").matches) {
			event.preventDefault();
			submit();
		} else if (key === "Escape" && (editing || replying)) {
			event.stopPropagation();
			stop();
		} else if (key === "End" && !field.value) list.end();
		else if (key === "ArrowUp" && !field.value) {
			const own = [...messages()].reverse().find((m) =>
				m.id > 0 && m.own && !m.deleted);
			if (!own) return;
			event.preventDefault();
			edit(own);
		}
	};

	const onListKey = (event = any) => {
		const {key} = event, all = /** @type {HTMLElement[]} */ (
			[...scroller.querySelectorAll(".row")]);
		const {ctrlKey, metaKey, target: row} = event;
		if (key === "Escape") return field.focus();
		if (key === "r" && !ctrlKey && !metaKey && messageOf(row)?.id) {
			event.preventDefault();
			return reply(messageOf(row));
		}
		if (key === "End") {
			event.preventDefault();
			return list.end();
		}
		const at = all.indexOf(row.closest(".row"));
		const next = key === "ArrowUp" ? all.at(at < 0 ? -1 : at - 1)
			: key === "ArrowDown" && at >= 0 ? all[at + 1] : key === "Home" && all[0];
		if (!next || key === "ArrowUp" && !at) return;
		event.preventDefault();
		next.focus({preventScroll: true});
		next.scrollIntoView({block: "nearest"});
	};

	form.onsubmit = (event) => {
		event.preventDefault();
		submit();
		field.focus();
	};
	field.oninput = () => {
		written();
		if (!editing) room()?.typing(field.value !== "");
	};
	// The caret may have moved to another word.
	field.onclick = complete;
	field.onblur = () => {
		room()?.typing(false);
		offered = [];
		showOptions();
	};
	field.onkeydown = onFieldKey;
	scroller.addEventListener("keydown", onListKey);
	$("button", target).onclick = stop;

	return {
		edit, reply,
		/** Puts the text of a message back, before what the field has already. */
		restore: (text = "") => write([text, field.value].filter(Boolean).join("\n")),
		/** Continues with the draft of the last visit. */
		start() {
			const saved = storage.get("reply." + draftKey);
			if (saved) replying = JSON.parse(saved);
			showTarget();
			write(storage.get("draft." + draftKey) ?? "");
		},
	};
};
