// The field in which people write: drafts, changes of own messages, and the keys of the page.

import {$, any, h, storage} from "./text.js";

/** @typedef {(question: string, yes: string, content: Node) => Promise<boolean>} Ask */

const showKeys = (/** @type {Ask} */ ask) => ask("Keyboard shortcuts", "", h("dl", {}, ...[
	["Enter", "Send"], ["Shift + Enter", "New line"],
	["↑ in an empty field", "Edit your last message"],
	["Esc", "Stop editing, or return to the field"],
	["↑ ↓ Home in the messages", "Move between messages"],
	["End", "Go to the newest message"], ["?", "Show these shortcuts"],
].flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])));

/**
 * @param {{
 *   id: string, room: () => import("./confab.js").Room | undefined, isOver: () => boolean,
 *   messages: () => readonly any[], list: {update(): void, end(): void}, sent: () => void,
 *   ask: Ask, tell: (sentence: string) => void,
 *   notice: (kind: string, text: string, label?: string, action?: () => void) => void,
 * }} page `sent` is called for each message that the user sends
 */
export const composer = ({id, room, isOver, messages, list, sent, ask, tell, notice}) => {
	const field = $("#field"), scroller = $("#scroller");
	/** Texts of changes that the server has not confirmed; an empty text is a deletion. */
	const edits = new Map();
	/** The message that the user changes, and the draft that waits meanwhile. */
	let editing = 0, draft = "";

	/** Gives the field the height of its text. */
	const resize = () => field.parentElement.dataset.text = field.value;

	/** Puts text into the field. */
	const write = (text = "") => {
		field.value = text;
		resize();
		field.focus();
		field.setSelectionRange(text.length, text.length);
		if (!editing) storage.set("draft." + id, text);
	};

	/** Starts to change a message in the field; without a message it stops. */
	const edit = (message = any) => {
		if (!editing) draft = field.value;
		editing = message?.id ?? 0;
		$("#editing").hidden = !editing;
		$(".send").ariaLabel = editing ? "Save" : "Send";
		write(editing ? edits.get(editing) || message.text : draft);
	};

	/** Shows a change at once, and takes it back if the server refuses it. */
	const change = async (target = 0, text = "") => {
		edits.set(target, text);
		list.update();
		try {
			await (text ? room()?.edit(target, text) : room()?.delete(target));
		} catch (error) {
			const reason = /** @type {Error} */ (error).message;
			const again = () => edit({id: target, text});
			if (text) notice("change", `Not changed: ${reason}.`, "Edit again", again);
			else notice("change", `Not deleted: ${reason}.`);
		}
		edits.delete(target);
		list.update();
	};

	const submit = () => {
		const text = field.value.trim(), target = editing;
		if (!text) return;
		if (isOver()) return tell("This conversation has ended. Your text stays in the field.");
		if (target) {
			edit();
			return change(target, text);
		}
		room()?.send(text).catch(() => {
			// Its row shows the reason.
		});
		sent();
		write();
		list.end();
	};

	const onFieldKey = (event = any) => {
		const {key, shiftKey} = event;
		// The Enter of an input method ends a composition.
		if (event.isComposing || event.keyCode === 229) return;
		if (key === "Enter" && !shiftKey && !matchMedia("(pointer: coarse)").matches) {
			event.preventDefault();
			submit();
		} else if (key === "Escape" && editing) edit();
		else if (key === "End" && !field.value) list.end();
		else if (key === "ArrowUp" && !field.value) {
			const own = [...messages()].reverse().find((m) =>
				m.id > 0 && m.author === room()?.me && !m.deleted);
			if (!own) return;
			event.preventDefault();
			edit(own);
		}
	};

	const onListKey = (event = any) => {
		const {key, target} = event, all = [...scroller.querySelectorAll(".row")];
		if (key === "Escape") return field.focus();
		if (key === "End") {
			event.preventDefault();
			return list.end();
		}
		const at = all.indexOf(target.closest(".row"));
		const next = key === "ArrowUp" ? all.at(at < 0 ? -1 : at - 1)
			: key === "ArrowDown" && at >= 0 ? all[at + 1] : key === "Home" && all[0];
		if (!next || key === "ArrowUp" && !at) return;
		event.preventDefault();
		next.focus({preventScroll: true});
		next.scrollIntoView({block: "nearest"});
	};

	$("#composer").onsubmit = (event = any) => {
		event.preventDefault();
		submit();
		field.focus();
	};
	field.oninput = () => {
		resize();
		if (editing) return;
		storage.set("draft." + id, field.value);
		room()?.typing(field.value !== "");
	};
	field.onblur = () => room()?.typing(false);
	field.onkeydown = onFieldKey;
	scroller.onkeydown = onListKey;
	addEventListener("keydown", (event) => {
		const target = /** @type {Element} */ (event.target);
		if (event.key === "?" && !target.closest("textarea, input")) showKeys(ask);
	});
	$("#editing button").onclick = () => edit();
	$("#keys").onclick = () => showKeys(ask);

	return {
		edits, edit,
		/** Puts the text of a message back, before what the field has already. */
		restore: (text = "") => write([text, field.value].filter(Boolean).join("\n")),
		/** Continues with the draft of the last visit. */
		start: () => write(storage.get("draft." + id)),
		async remove(target = 0) {
			const words = h("p", {}, "It disappears for everyone in this conversation.");
			if (await ask("Delete this message?", "Delete", words)) change(target);
			field.focus();
		},
	};
};
