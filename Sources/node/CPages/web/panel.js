// The parts that the page loads once it is idle: the panel beside the messages, which shows a
// thread, search results or pinned messages; and the picker of reactions.

import {composer, folded} from "./composer.js";
import {avatar, messageList, oneLine, watchRows} from "./scroll.js";
import {$, any, count, h, keyOf, timeElement} from "./text.js";

// Without the signs that select a variant, which the server removes.
const quick = [..."👍❤😂🎉😮😢"];
const more = [..."👎🙏👏🙌💪👀✅❌❓❗💯🔥🚀⭐💡📌🎂☕🍕🌈☀🌙😀😄😅😉😍😘😎🤔😴😬😭😡🤯🤷🫡🥳💔💙💚🐛"];

/** Up to 200 characters of a text, around the first of the words, which are marked. */
export const highlighted = (text = "", query = "") => {
	const words = [...folded(query).match(/[\p{L}\p{N}]+/gu) ?? []].sort((a, b) => b.length - a.length);
	const line = oneLine(text), ranges = /** @type {number[][]} */ ([]);
	for (const {0: found, index = 0} of line.matchAll(/[\p{L}\p{M}\p{N}]+/gu)) {
		const word = words.find((each) => folded(found).startsWith(each));
		if (!word) continue;
		// Letters with accents may have several signs.
		let length = 0;
		while (length < found.length && folded(found.slice(0, length + 1)).length <= word.length) length++;
		ranges.push([index, index + length]);
	}
	const first = ranges[0]?.[0] ?? 0, begin = first > 120 ? line.lastIndexOf(" ", first - 40) + 1 : 0;
	const all = /** @type {(Node | string)[]} */ ([begin ? "…" : ""]), limit = begin + 200;
	let end = begin;
	for (const [from, to] of ranges.filter(([from]) => from < limit)) {
		all.push(line.slice(end, from), h("mark", {}, line.slice(from, to)));
		end = to;
	}
	return [...all, line.slice(end, Math.max(end, limit)), line.length > limit ? "…" : ""];
};

/**
 * @param {{
 *   room: () => import("./confab.js").Room, nameOf: (message: any) => string,
 *   build: Parameters<typeof messageList>[0]["build"], context: () => any,
 *   jump: (id: number) => Promise<void>, tell: (sentence: string) => void,
 *   attempt: (promise: Promise<any> | undefined, words: string) => Promise<any>,
 *   updates: Set<() => void>, pins: () => any[],
 *   react: (message: any, emoji: string, on: boolean) => void, composer: any,
 * }} page `composer` has what each field for messages needs
 */
export const panel = ({
	room, nameOf, build, context, jump, tell, attempt, updates, pins, react, composer: parts,
}) => {
	const element = $("#panel"), isNarrow = matchMedia("(max-width: 63.99rem)");
	/** What ends with the present content, and what had the focus before it. */
	let leave = () => {}, opener = any, openedIn = any;
	/** The field of the thread that the panel shows. */
	let composing = /** @type {ReturnType<typeof composer> | undefined} */ (undefined);

	const close = () => {
		leave();
		element.hidden = true;
		// A row may have other buttons by now.
		([opener, openedIn].find((each) => each?.isConnected) ?? $("#field")).focus();
	};
	/**
	 * Shows other content in the panel.
	 * @param {string} title @param {() => void} left @param {Node[]} content
	 */
	const open = (title, left, ...content) => {
		if (element.hidden) {
			opener = document.activeElement;
			openedIn = opener?.closest(".row");
		}
		leave();
		leave = () => {
			left();
			leave = () => {};
		};
		element.hidden = false;
		$("#panel-title").textContent = title;
		element.replaceChildren(element.firstElementChild, ...content);
	};
	$(".close", element).onclick = close;
	element.addEventListener("keydown", (/** @type {any} */ event) => {
		if (event.key === "Escape" && !event.defaultPrevented) close();
	});

	/** Goes to a message; on a narrow screen the panel would hide it. */
	const go = async (id = 0) => {
		if (isNarrow.matches) {
			opener = openedIn = undefined;
			close();
		}
		await jump(id);
	};

	/** One message as a button that leads to it. */
	const result = (message = any, /** @type {(Node | string)[]} */ text = [oneLine(message.text)]) => {
		const date = new Date(message.time), time = timeElement(message.time);
		if (date.toDateString() !== new Date().toDateString()) time.prepend(
			date.toLocaleDateString(undefined, {day: "numeric", month: "short"}), ", ");
		return h("button", {className: "result", onclick: () => go(message.id)},
			avatar(keyOf(message), nameOf(message)),
			h("span", {className: "by"}, h("bdi", {className: "name"}, nameOf(message)), time),
			h("span", {className: "body", dir: "auto"}, ...text));
	};
	/** The arrows move between the buttons of a list. */
	const arrows = (/** @type {HTMLElement} */ list, first = any) => (event = any) => {
		const all = [first, ...list.querySelectorAll(".result")].filter(Boolean);
		const at = all.indexOf(document.activeElement);
		const next = event.key === "ArrowDown" ? all[at + 1] : event.key === "ArrowUp" && all[at - 1];
		if (!next) return;
		event.preventDefault();
		next.focus();
	};

	const thread = async (root = 0) => {
		const view = await attempt(room()?.thread(root), "Thread not loaded");
		if (!view) return;
		const scroller = h("div", {className: "scroller", tabIndex: 0, role: "region",
			ariaLabel: "Messages of the thread"});
		const gone = h("p", {className: "dim", hidden: true}, "The first message is no longer kept.");
		const source = {
			get messages() { return view.messages; },
			async older(/** @type {number} */ limit) {
				const hasMore = await view.older(limit);
				gone.hidden = hasMore || view.messages[0]?.id === root;
				return hasMore;
			},
		};
		const ol = h("ol", {className: "list"}), form = $("#composer").cloneNode(true);
		scroller.append(gone, ol);
		form.id = "reply";
		$("ul", form).id = "reply-options";
		const field = $("textarea", form);
		Object.assign(field, {id: "reply-field", placeholder: "Reply", ariaLabel: "Reply", value: ""});
		field.setAttribute("aria-controls", "reply-options");
		delete field.parentElement.dataset.text;
		open("Thread", () => {
			view.close();
			off();
			updates.delete(list.update);
			composing = undefined;
		}, scroller, h("div", {className: "foot"}, form));
		const list = messageList({scroller, list: ol, build, mark: "t", room: () => source,
			context: () => ({...context(), unreadAfter: Infinity})});
		const off = view.on("change", list.update);
		updates.add(list.update);
		watchRows(ol);
		composing = composer({...parts, form, scroller, thread: view.messages[0]?.thread ?? root,
			messages: () => view.messages, list, sent() {}});
		list.start();
		list.end();
		field.focus();
	};

	const search = () => {
		const input = h("input", {type: "search", ariaLabel: "Search messages", placeholder: "Search",
			maxLength: 128, enterKeyHint: "search", autocomplete: "off"});
		const status = h("p", {className: "dim", role: "status"}), list = h("ol", {className: "results"});
		const button = h("button", {className: "link", hidden: true}, "Show older results");
		let running = new AbortController(), timer = 0;
		const find = async (before = /** @type {number | undefined} */ (undefined)) => {
			running.abort();
			const {signal} = running = new AbortController(), text = input.value;
			if (!before) list.replaceChildren();
			button.hidden = true;
			status.textContent = "";
			if (!/[\p{L}\p{N}]/u.test(text)) return;
			status.textContent = "Searching…";
			try {
				const {messages, next, incomplete} = await room().search(text, {before, signal});
				list.append(...messages.map((each) => h("li", {},
					result(each, highlighted(each.text, text)))));
				const all = list.children.length;
				status.textContent = (all ? `${count(all, "message")}, newest first` : "Nothing found")
					+ (incomplete ? ". A part of the history could not be searched." : "");
				button.onclick = () => {
					const last = /** @type {any} */ (list.lastElementChild?.firstElementChild);
					find(next).then(() => (last?.parentElement.nextElementSibling?.firstElementChild)?.focus());
				};
				button.hidden = !next;
			} catch (error) {
				if (!signal.aborted) {
					status.textContent = `Not searched: ${/** @type {Error} */ (error).message}.`;
				}
			}
		};
		input.oninput = () => {
			clearTimeout(timer);
			timer = setTimeout(find, 250);
		};
		const form = h("form", {role: "search", onsubmit: () => {
			clearTimeout(timer);
			find();
			return false;
		}}, input, status);
		const content = h("div", {className: "scroller"}, list, button);
		form.onkeydown = content.onkeydown = arrows(list, input);
		open("Search", () => running.abort(), form, content);
		input.focus();
	};

	const showPins = () => {
		const list = h("ol", {className: "results"});
		const show = () => {
			if (element.contains(list) && !pins().length) return close();
			const at = [...list.querySelectorAll("button")].indexOf(/** @type {any} */ (
				document.activeElement));
			list.replaceChildren(...pins().map((message) => h("li", {}, result(message),
				h("button", {className: "icon close", ariaLabel: "Unpin", title: "Unpin", onclick: () =>
					attempt(room().unpin(message.id), "Not unpinned")}),
				h("p", {className: "dim"}, "Pinned by ", h("bdi", {}, nameOf({
					author: message.pinned?.by, name: message.pinned?.name}))))));
			if (at >= 0) (list.querySelectorAll("button")[at] ?? list.querySelector("button"))?.focus();
		};
		updates.add(show);
		const content = h("div", {className: "scroller"}, list);
		content.onkeydown = arrows(list);
		open("Pinned messages", () => updates.delete(show), content);
		show();
		/** @type {any} */ (list.querySelector("button"))?.focus();
	};

	// The picker of reactions

	const picker = $("#picker");
	let picked = any;
	const isMine = (emoji = "") => picked.reactions.some((/** @type {any} */ each) =>
		each.mine && each.emoji === emoji);
	const finish = (text = "") => {
		const emoji = text.replace(/[\ufe00-\ufe0f]/g, "");
		picker.hidePopover();
		react(picked, emoji, !isMine(emoji));
	};
	addEventListener("resize", () => picker.hidePopover());
	const input = h("input", {ariaLabel: "Another emoji, or a name between colons",
		placeholder: "Emoji or :name:", maxLength: 32, autocomplete: "off"});
	const grid = (/** @type {string[]} */ all) => h("div", {className: "grid"}, ...all.map((emoji) =>
		h("button", {type: "button", value: emoji, ariaLabel: emoji, onclick: () => finish(emoji)},
			emoji)));
	picker.append(h("form", {onsubmit: () => {
		const emoji = input.value.trim();
		if (emoji) finish(emoji);
		return false;
	}}, grid(quick), grid(more), h("p", {className: "buttons"}, input, h("button", {className: "primary"},
		"React"))));
	picker.onkeydown = (event = any) => {
		const all = [...picker.querySelectorAll(".grid button")];
		const at = all.indexOf(document.activeElement), {key} = event;
		// Rows are as long as the screen allows.
		const above = all.filter((each) => each.offsetTop === all[at]?.offsetTop).length;
		const way = /** @type {Record<string, number>} */ ({ArrowRight: 1, ArrowLeft: -1,
			ArrowDown: above, ArrowUp: -above});
		const next = at >= 0 && all[at + way[key]];
		if (!next) return;
		event.preventDefault();
		next.focus();
	};

	const pick = (message = any, button = any) => {
		picked = message;
		input.value = "";
		for (const each of picker.querySelectorAll(".grid button")) {
			each.ariaPressed = `${isMine(each.value)}`;
		}
		picker.showPopover();
		const {left, top, bottom} = button.getBoundingClientRect(), {offsetWidth, offsetHeight} = picker;
		const under = bottom + offsetHeight + 8 < innerHeight;
		picker.style.left = `${Math.max(8, Math.min(left, innerWidth - offsetWidth - 8))}px`;
		picker.style.top = `${under ? bottom + 4 : Math.max(8, top - offsetHeight - 4)}px`;
		picker.querySelector("button").focus();
	};

	return {thread, search, showPins, pick, composing: () => composing};
};
