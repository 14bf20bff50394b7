// The list of messages: a window of rows over the room's messages, and the reading position.
//
// The position is either the end of the list, or a row with its distance from the top of the
// viewport. Every change of the list or of its size restores the position in the same frame.

import {rows} from "./text.js";

const mostRows = 400;
/** A reader at the end needs fewer rows. They are removed in steps, not in each frame. */
const rowsAtEnd = 200;
const step = 50;

/** Whether a button is down. The lists wait: it is not clicked if it is replaced in between. */
let isDown = false;
for (const type of ["down", "move", "up", "cancel"]) {
	addEventListener("pointer" + type, (/** @type {any} */ {buttons, target}) => isDown =
		buttons === 1 && (isDown || type === "down" && !!target.closest("a, button")));
}

/**
 * `newer` is there if messages follow that the source does not have.
 * @typedef {{messages: readonly any[], older(limit: number): Promise<boolean>,
 *   newer?(limit: number): Promise<unknown>}} Source
 */

/**
 * @param {{
 *   scroller: HTMLElement, list: HTMLElement,
 *   room: () => Source,
 *   context: () => Parameters<typeof rows>[1],
 *   build: (row: import("./text.js").Row, mark: string) => HTMLElement,
 *   moved?: () => void, mark?: string,
 * }} parts `moved` is called after each change of the position or of the list; `mark` begins the
 * ids of the rows
 */
export const messageList = ({
	scroller, list, room, context, build, moved = () => {}, mark = "m",
}) => {
	/** @type {Map<string, {element: HTMLElement, signature: string}>} */
	let shown = new Map();
	/** The ids of the first and the last message of the window. */
	let low = 0, high = 0;
	/** The row that holds the position; none at the end of the list. */
	let held = /** @type {{element: Element, offset: number} | undefined} */ (undefined);
	/** Whether messages below the window were known when it was rendered. */
	let isCut = false;
	let lastTop = 0, lastHeight = 0, lastClient = 0, frame = 0, isLoading = false, hasOlder = true;

	const top = (/** @type {Element} */ element) => element.getBoundingClientRect().top;
	/** The stored messages that the room has. */
	const known = () => {
		const {messages} = room();
		let end = messages.length;
		while (end && !(messages[end - 1].id > 0)) end--;
		return {messages, end, first: end ? messages[0].id : 1, last: end ? messages[end - 1].id : 0};
	};
	/**
	 * The index of the first item for which a test holds, which then holds for all later ones.
	 * @template T @param {ArrayLike<T>} items @param {(item: T) => boolean} test
	 */
	const find = (items, test, to = items.length) => {
		let from = 0;
		while (from < to) {
			const middle = (from + to) >> 1;
			if (test(items[middle])) to = middle;
			else from = middle + 1;
		}
		return from;
	};

	/** Reads the position after the user scrolled. */
	const measure = () => {
		const {scrollTop, scrollHeight, clientHeight} = scroller;
		// A change of the size also changes the distances; the position is from before it.
		if (scrollHeight !== lastHeight || clientHeight !== lastClient) return restore();
		const distance = scrollHeight - scrollTop - clientHeight;
		// Within a line of the end counts as the end, unless the user is just leaving it.
		const isLeaving = scrollTop < lastTop;
		lastTop = scrollTop;
		if (!isCut && distance <= (isLeaving ? 4 : 24)) return held = undefined;
		const edge = top(scroller);
		let element = /** @type {Element | null} */ (
			list.children[find(list.children, (each) => top(each) >= edge)] ?? list.lastElementChild);
		// A heading of a day moves up when older messages of the day load.
		while (element && !element.id) element = element.nextElementSibling;
		held = element ? {element, offset: top(element) - edge} : undefined;
	};
	const restore = () => {
		if (!held?.element.isConnected) held = undefined;
		const {clientHeight, scrollHeight} = scroller;
		const change = held ? top(held.element) - top(scroller) - held.offset
			: scrollHeight - clientHeight - scroller.scrollTop;
		// Setting the position ends a smooth scroll of the user.
		if (Math.abs(change) > 0.5) scroller.scrollTop += change;
		lastTop = scroller.scrollTop;
		[lastHeight, lastClient] = [scrollHeight, clientHeight];
	};

	/** Makes the elements equal to the window. */
	const render = () => {
		const {messages, end, last} = known();
		const from = find(messages, ({id}) => id >= low, end);
		const to = find(messages, ({id}) => id > high, end);
		isCut = high < last || !!room().newer;
		const pending = isCut ? [] : messages.slice(end);
		const wanted = rows([...messages.slice(from, to), ...pending], context());
		const keys = new Set(wanted.map(({key}) => key));
		for (const [key, {element}] of shown) if (!keys.has(key)) element.remove();
		let next = list.firstElementChild;
		shown = new Map(wanted.map((row) => {
			let each = shown.get(row.key);
			if (!each) each = {element: build(row, mark), signature: row.signature};
			else if (each.signature !== row.signature) {
				renew(each.element, build(row, mark));
				each.signature = row.signature;
			}
			if (each.element === next) next = next.nextElementSibling;
			else list.insertBefore(each.element, next);
			return [row.key, each];
		}));
	};

	const update = () => {
		frame = 0;
		if (isDown) return schedule();
		const {first, last} = known();
		low = Math.max(low, first);
		// Rows below a held position do not move it.
		if (!room().newer && (!held || last - low < mostRows)) high = last;
		if (!held && high - low >= rowsAtEnd + step) low = high - rowsAtEnd + 1;
		render();
		restore();
		moved();
		extend();
	};
	/** Updates the list before the next frame, once for all changes until then. */
	const schedule = () => frame ||= requestAnimationFrame(update);

	/** Momentum of a finger continues, unless the list changes meanwhile. */
	const rest = async () => {
		if (!matchMedia("(pointer: coarse)").matches) return;
		for (let at = -1; at !== scroller.scrollTop;) {
			at = scroller.scrollTop;
			await new Promise((done) => setTimeout(done, 100));
		}
	};
	/** Loads messages before those of the source, or after them. */
	const load = async (/** @type {"older" | "newer"} */ side) => {
		if (isLoading) return;
		isLoading = true;
		scroller.classList.add("loading");
		try {
			const hasMore = await room()[side]?.(2 * step);
			if (side === "older") hasOlder = !!hasMore;
		} catch {
			// The next movement tries again.
		}
		isLoading = false;
		scroller.classList.remove("loading");
		const {first, last} = known();
		if (first < low || high < last) extend();
	};
	const extend = async () => {
		const near = 1.5 * scroller.clientHeight, {first, last} = known();
		if (scroller.scrollTop < near && last) {
			if (low > first) {
				await rest();
				low = Math.max(first, low - step);
				if (high - low >= mostRows) high = low + mostRows - 1;
				schedule();
			} else if (hasOlder) load("older");
		} else if (isCut && scroller.scrollHeight - scroller.scrollTop < near * 2) {
			if (high === last && room().newer) return load("newer");
			high = Math.min(last, high + step);
			if (high - low >= mostRows) low = high - mostRows + 1;
			schedule();
		}
	};

	scroller.addEventListener("scroll", () => {
		measure();
		moved();
		extend();
	}, {passive: true});
	const observer = new ResizeObserver(() => restore());
	observer.observe(list);
	observer.observe(scroller);

	/** Shows the messages around one, `offset` pixels below the top. */
	const show = (id = 0, offset = 0) => {
		const {first, last} = known();
		hasOlder = first > 1;
		low = Math.max(first, id - step);
		high = Math.min(last, id + step);
		render();
		const element = document.getElementById(mark + id);
		held = element ? {element, offset} : undefined;
		restore();
		measure();
		moved();
		extend();
	};

	return {
		update: schedule,
		show,
		/** Shows the newest messages, also after the window left them. */
		end() {
			held = undefined;
			high = known().last;
			low = Math.max(low, high - rowsAtEnd + 1);
			update();
		},
		/** Starts with the newest page, or with a line above the first unread message. */
		start() {
			const {first, last} = known();
			hasOlder = first > 1;
			[low, high, held] = [Math.max(first, last - 2 * step), last, undefined];
			update();
			const line = list.querySelector(".unread"), element = line?.nextElementSibling;
			if (line && element && top(line) < top(scroller)) {
				held = {element, offset: top(element) - top(line) + 16};
				restore();
				moved();
			}
		},
		get isAtEnd() { return !held; },
		/** Whether the end is more than a screen away. */
		get isFar() {
			const {scrollTop, scrollHeight, clientHeight} = scroller;
			return isCut || scrollHeight - scrollTop > 2 * clientHeight;
		},
		/** The position for a later visit; undefined at the end. */
		get position() {
			const id = Number(held?.element.id.slice(1));
			return held && id ? {id, offset: held.offset} : undefined;
		},
		/** The id of the last message of which the viewport shows a part; 0 if there is none. */
		get lastVisible() {
			const edge = scroller.getBoundingClientRect().bottom;
			for (let i = find(list.children, (each) => top(each) >= edge) - 1; i >= 0; i--) {
				const id = Number(list.children[i].id.slice(1));
				if (id) return id;
			}
			return 0;
		},
	};
};
