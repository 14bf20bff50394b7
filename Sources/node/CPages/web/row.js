// The elements of rows: messages with their reactions and buttons. The program joins it with
// scroll.js.

import {
	any, count, formatted, guestWord, h, hue, initial, isEmoji, keyOf, timeElement,
} from "./text.js";

const stateWords = /** @type {Record<string, string>} */ ({
	sending: "Sending", failed: "Not sent", sent: "Sent", delivered: "Delivered", read: "Read",
});
const listed = new Intl.ListFormat("en");

export const avatar = (author = "", label = "") => {
	const element = h("span", {className: "avatar", ariaHidden: "true"}, initial(label));
	element.style.setProperty("--hue", `${hue(author)}`);
	return element;
};

/** A text on one line, as a person reads it. */
export const oneLine = (text = "") => text.replace(/\s+/g, " ").trim();

/**
 * Replaces what differs, so that a text selection and the focus stay elsewhere in the row.
 * @param {HTMLElement} element @param {HTMLElement} fresh
 */
export const renew = (element, fresh) => {
	const focused = /** @type {any} */ (document.activeElement);
	const hasFocus = element !== focused && element.contains(focused);
	const buttons = element.querySelector(".actions");
	buttons?.remove();
	const old = [...element.childNodes], wanted = [...fresh.childNodes];
	let start = 0, end = 0;
	// The buttons of another message do other things.
	if (element.id === fresh.id) {
		while (wanted[start] && old[start]?.isEqualNode(wanted[start])) start++;
		while (wanted.length - end > start && old.length - end > start
			&& old[old.length - 1 - end].isEqualNode(wanted[wanted.length - 1 - end])) end++;
	}
	const next = old[old.length - end] ?? null;
	for (const node of old.slice(start, old.length - end)) node.remove();
	for (const node of wanted.slice(start, wanted.length - end)) element.insertBefore(node, next);
	element.className = fresh.className;
	element.id = fresh.id;
	rowOf.set(element, rowOf.get(fresh));
	addActions.set(element, addActions.get(fresh) ?? (() => {}));
	if (buttons) addActions.get(element)?.(element);
	if (!hasFocus || element.contains(document.activeElement)) return;
	const same = [...element.querySelectorAll("button")].find((each) =>
		each.ariaLabel === focused.ariaLabel || each.value && each.value === focused.value);
	(same ?? element).focus({preventScroll: true});
};

/** @type {WeakMap<Element, any>} The message that an element shows. */
const rowOf = new WeakMap();
/** @type {WeakMap<Element, (row: Element) => void>} What adds the buttons of a row. */
const addActions = new WeakMap();

/** Adds the buttons of a row when the pointer or the focus arrives: most rows never need them. */
export const watchRows = (/** @type {HTMLElement} */ list) => {
	const add = (/** @type {Event} */ {target}) => {
		const row = /** @type {Element} */ (target).closest(".row");
		if (row && !row.querySelector(".actions")) addActions.get(row)?.(row);
	};
	for (const type of ["pointerover", "focusin"]) list.addEventListener(type, add);
};

export const messageOf = (/** @type {Element | null} */ element) => element && rowOf.get(element);

/**
 * @param {{
 *   nameOf: (message: any) => string, userName: (user: string) => string, me: () => string,
 *   members: () => {name: string}[],
 *   actions: Record<"react" | "pick" | "reply" | "thread" | "jump" | "pin" | "edit" | "remove"
 *     | "retry" | "discard", (message: any, ...more: any[]) => void>,
 * }} page
 */
export const rowBuilder = ({nameOf, userName, me, members, actions}) => {
	const reactionBar = (/** @type {any} */ message, reactions = Array(0)) => {
		const bar = h("div", {className: "reactions"});
		for (const {emoji, count: number, users, mine} of reactions) {
			const others = users.filter((/** @type {string} */ user) => user !== me());
			const names = [...mine ? ["you"] : [], ...others.map(userName)];
			if (number > names.length) names.push(count(number - names.length, "other"));
			const who = listed.format(names);
			bar.append(h("button", {className: "reaction", value: emoji, title: who,
				ariaLabel: `${emoji} ${number}: ${who}`, ariaPressed: `${mine}`,
				onclick: () => actions.react(message, emoji, !mine)}, h("span", {}, emoji), `${number}`));
		}
		if (reactions.length) {
			bar.append(h("button", {className: "reaction icon react", ariaLabel: "Add a reaction",
				onclick: (/** @type {any} */ {currentTarget}) => actions.pick(message, currentTarget)}));
		}
		return bar;
	};

	const quote = (/** @type {any} */ message) => {
		const {replyTo, replyExcerpt: original} = message;
		const known = original ? [h("b", {}, h("bdi", {}, nameOf(original))), " ", oneLine(original.text)]
			: [original === null ? "Original message deleted" : "Reply to an earlier message"];
		return h("button", {className: "quote", onclick: () => actions.jump(replyTo),
			ariaLabel: original ? `Reply to ${nameOf(original)}: ${oneLine(original.text)}` : null},
		h("span", {}, ...known));
	};

	/** Builds the element of a row; `mark` begins its id. */
	return (/** @type {import("./text.js").Row} */ row, mark = "m") => {
		if (row.kind !== "message") {
			return h("li", {className: row.kind}, h(row.kind === "day" ? "h2" : "span", {}, row.text));
		}
		const {message, reactions, isMine, text, isFirst, isWaiting, isForMe} = row;
		const {id, state, localId, error, pinned} = message;
		const isDeleted = message.deleted || isWaiting && !text;
		const author = keyOf(message), label = isMine ? userName(me()) : nameOf(message);
		const guest = !isMine && guestWord(message);
		const byline = h("p", {className: "by"}, h("bdi", {className: "name"}, label), " ",
			...guest ? [h("span", {className: "note"}, guest)] : [], timeElement(message.time));
		byline.style.setProperty("--hue", `${hue(author)}`);
		const named = message.mentions === "all"
			? [...members().map(({name}) => name), userName(me())] : message.mentions.map(userName);
		const body = h("div", {className: isEmoji(text) ? "body large" : "body", dir: "auto"},
			...isDeleted ? [h("i", {}, isWaiting ? "Deleting…" : "Message deleted")]
				: formatted(text, named.sort((/** @type {string} */ a, /** @type {string} */ b) =>
					b.length - a.length)));
		if (!isDeleted && (isWaiting || message.edited)) {
			body.append(" ", h("span", {className: "note"}, isWaiting ? "(saving)" : "(edited)"));
		}
		const element = h("li", {id: mark + (id || localId), tabIndex: -1, className: ["row", state,
			isFirst && "first", isMine && "mine", isForMe && "for-me"].filter(Boolean).join(" ")}, byline);
		rowOf.set(element, message);
		if (isFirst) element.prepend(avatar(author, label));
		if (isForMe) byline.append(h("span", {className: "note"}, "mentions you"));
		if (pinned) byline.append(h("span", {className: "note pin-mark"}, "pinned"));
		// Below the first message of a thread, replies to it need no excerpt.
		const hasQuote = message.replyTo && (mark === "m" || message.replyTo !== message.thread);
		if (hasQuote && !isDeleted) element.append(quote(message));
		element.append(body);
		if (reactions.length) element.append(reactionBar(message, reactions));
		if (message.replies && mark === "m") {
			element.append(h("button", {className: "link replies", onclick: () => actions.thread(message)},
				count(message.replies, "reply", "replies")));
		}
		if (message.notMembers.length && isMine) {
			element.append(h("p", {className: "error"}, `${listed.format(message.notMembers.map(userName))}`
				+ " cannot read this: not in this conversation."));
		}
		if (isMine && !isDeleted) {
			if (state === "failed") element.append(h("p", {className: "error"}, `Not sent: ${error}.`));
			element.append(h("span", {className: "status", title: stateWords[state]},
				h("span", {className: "unseen"}, stateWords[state])));
		}
		const buttons = h("p", {className: "actions"});
		const action = (title = "", onclick = (/** @type {any} */ _) => {}, icon = "") => buttons.append(
			h("button", {title, ariaLabel: title, onclick, className: icon && `icon ${icon}`},
				icon ? "" : title));
		if (isMine && state === "failed") {
			action("Send again", () => actions.retry(message));
			action("Edit", () => actions.edit(message));
			action("Discard", () => actions.discard(message));
			element.append(buttons);
		} else if (id > 0 && !isDeleted && !isWaiting) {
			addActions.set(element, (row) => {
				action("React", ({currentTarget}) => actions.pick(message, currentTarget), "react");
				action("Reply", () => actions.reply(message, mark), "reply");
				if (mark === "m" && (message.thread || message.replies)) {
					action("Open thread", () => actions.thread(message), "thread");
				}
				action(message.pinned ? "Unpin" : "Pin", () => actions.pin(message), "pin");
				if (isMine) {
					action("Edit", () => actions.edit(message, mark), "edit");
					action("Delete", () => actions.remove(message), "delete");
				}
				row.append(buttons);
			});
		}
		return element;
	};
};
