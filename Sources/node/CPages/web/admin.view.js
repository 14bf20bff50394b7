// The views of the operators' page: formats, tables, sparklines, the map of shards, commands.

import {any, h} from "./dom.js";

/** @typedef {{title: string, key: string, format: string, is_summed?: boolean}} Column */

const decimal = (number = 0) => `${Math.round(number * 10) / 10}`;

const bytes = (number = 0) => {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	while (number >= 1024 && units.length > 1) {
		number /= 1024;
		units.shift();
	}
	return `${number < 10 ? decimal(number) : Math.round(number)} ${units[0]}`;
};

/** The two highest units: `14s`, `3m 20s`, `2d 4h`. */
const duration = (seconds = 0) => {
	const parts = [[864e5, 1e9, "d"], [36e5, 864e5, "h"], [6e4, 36e5, "m"], [1e3, 6e4, "s"]].map(
		([size, next, unit]) => `${Math.floor(seconds * 1e3 % Number(next) / Number(size))}${unit}`);
	const first = parts.findIndex((part) => part[0] !== "0");
	return parts.slice(first, first + 2).filter((part) => part[0] !== "0").join(" ") || "0s";
};

/** Shows signs that could change the writing direction or are invisible, as the command line. */
export const escaped = (text = "") =>
	text.replace(/(?!\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) => sign === "\n" ? "\\n"
		: sign === "\t" ? "\\t" : `\\u{${sign.codePointAt(0)?.toString(16)}}`);

/** @param {any} value @returns {string} */
const plain = (value) => Array.isArray(value) ? value.map(plain).join(", ")
	: value && typeof value === "object" ? JSON.stringify(value) : `${value ?? "–"}`;

/** A value as the command line shows it. */
export const shown = (value = any, format = "text", row = any) => {
	if (value == null) return "–";
	switch (format) {
	case "bytes": return bytes(value);
	case "seconds": return duration(value);
	case "milliseconds": return `${decimal(value)} ms`;
	case "percent": return `${decimal(value)} %`;
	case "deviation": return `${value > 0 ? "+" : ""}${Math.trunc(value)} %`;
	case "flag": return value ? "yes" : "no";
	case "state": return value === "gone" && row?.unreachable_for != null
		? `gone ${duration(row.unreachable_for)}` : escaped(plain(value));
	default: return escaped(plain(value));
	}
};

const isNumber = (format = "") => !/^(text|state|flag|list)$/.test(format);
const tone = (state = "") => /^(active|stable)$/.test(state) ? "good"
	: /^(drain|moving)/.test(state) ? "warning" : "bad";

const titleOf = (key = "") => key.toUpperCase().replaceAll("_", " ");

/**
 * The columns of rows that have none in the table of verbs: their keys.
 * @param {any[]} rows
 */
export const columnsOf = (rows) => {
	const keys = new Map(rows.flatMap((row) => Object.entries(row)));
	return [...keys].map(([key, value]) => ({key, title: titleOf(key),
		format: typeof value === "number" ? "number" : typeof value === "boolean" ? "flag" : "text"}));
};

const compare = (one = any, other = any) => typeof one === "number" ? one - other
	: plain(one).localeCompare(plain(other), undefined, {numeric: true});

/**
 * Rows without a value come last in either order.
 * @param {any[]} rows
 */
const sorted = (rows, order = "") => {
	const key = order.replace(/^-/, ""), sign = order.startsWith("-") ? -1 : 1;
	return order ? [...rows].sort(({[key]: one}, {[key]: other}) => one == null || other == null
		? Number(one == null) - Number(other == null) : sign * compare(one, other)) : rows;
};

/**
 * Shows rows in a table. Elements of rows that stay are kept, with their focus and selection.
 * @param {any} table @param {Column[]} columns @param {any[]} rows
 * @param {{totals?: boolean, key?: string, action?: (row: any) => string, sorts?: boolean,
 *   act?: (row: any) => void, onsort?: () => void, swatch?: (row: any) => string}} options `action`
 *   names the button of a row
 */
export const fill = (table, columns, rows, options = {}) => {
	const {key = columns[0]?.key ?? "", action, swatch} = options;
	const again = () => fill(table, columns, rows, options);
	const sort = (by = "") => {
		table.order = table.order === `-${by}` ? "" : table.order === by ? `-${by}` : by;
		again();
		options.onsort?.();
	};
	const titles = columns.map(({title}) => title).join() + Boolean(action);
	if (table.titles !== titles) {
		table.titles = titles;
		const heads = columns.map(({title, key: by, format}) => {
			const className = isNumber(format) ? "number" : "";
			return h("th", {scope: "col", className}, options.sorts
				? h("button", {className: "link", onclick: () => sort(by)}, title) : title);
		});
		if (action) heads.splice(1, 0, h("th", {scope: "col"}, "ACTION"));
		table.replaceChildren(h("thead", {}, h("tr", {}, ...heads)), h("tbody"), h("tfoot"));
	}
	/** The button is next to the name. */
	const place = (index = 0) => action && index ? index + 1 : index;
	columns.forEach(({key: by}, index) => {
		const order = table.order ?? "", head = table.tHead.rows[0].cells[place(index)];
		if (order.replace(/^-/, "") !== by) head.removeAttribute("aria-sort");
		else head.setAttribute("aria-sort", order[0] === "-" ? "descending" : "ascending");
	});
	const body = table.tBodies[0], seen = new Map();
	const old = new Map([...body.rows].map((line) => [line.dataset.key, line]));
	const next = sorted(rows, table.order).map((row) => {
		const name = `${row[key]}`, count = seen.get(name) ?? 0;
		seen.set(name, count + 1);
		const id = `${count} ${name}`, line = old.get(id) ?? h("tr");
		old.delete(id);
		line.dataset.key = id;
		return {row, line};
	});
	for (const line of old.values()) line.remove();
	next.forEach(({row, line}, position) => {
		if (body.rows[position] !== line) body.insertBefore(line, body.rows[position] ?? null);
		line.className = /^(gone|suspect)$/.test(row.state) ? "silent" : "";
		columns.forEach(({key: by, format}, index) => {
			const cell = line.cells[place(index)]
				?? line.appendChild(index ? h("td") : h("th", {scope: "row"}));
			if (action && !line.cells[1]) line.append(h("td", {}, h("button")));
			const text = shown(row[by], format, row);
			cell.className = isNumber(format) ? "number"
				: format === "state" && row[by] ? tone(row[by]) : "";
			if (cell.textContent === text) return;
			cell.textContent = text;
			if (!index && swatch) {
				const mark = h("span", {className: "swatch"});
				mark.style.background = swatch(row);
				cell.prepend(mark);
			}
		});
		if (!action) return;
		const button = line.cells[1].firstChild;
		const label = action(row);
		button.hidden = !label;
		button.onclick = () => options.act?.(row);
		if (button.textContent !== label) button.textContent = label;
		button.setAttribute("aria-label", `${label} ${row[key]}`);
	});
	if (options.totals) {
		const cells = columns.map(({key: by, format, is_summed}, index) => {
			if (!index) return h("th", {scope: "row"}, "total");
			const sum = rows.reduce((all, row) => all + (Number(row[by]) || 0), 0);
			return h("td", {className: "number"},
				is_summed ? shown(Math.round(sum * 10) / 10, format) : "");
		});
		if (action) cells.splice(1, 0, h("td"));
		table.tFoot.replaceChildren(h("tr", {}, ...cells));
	}
};

/** A sentence; one of a failure is red. */
export const note = (text = "", className = "dim") => h("p", {className}, escaped(text));

/** A table that scrolls in its own frame, also with the keyboard. */
export const framed = (ariaLabel = "", table = h("table")) =>
	h("div", {className: "scroller", role: "region", tabIndex: 0, ariaLabel: `${ariaLabel} table`},
		table);

/** Text with code in backticks. */
export const sentence = (text = "") => escaped(text).split(/`([^`]+)`/)
	.map((part, index) => index % 2 ? h("code", {}, part) : part);

/**
 * Shows one row as titles and values.
 * @param {Element} list @param {Column[]} columns
 */
export const record = (list, columns, row = any) =>
	list.replaceChildren(...columns.map(({title, key, format}) => h("div", {},
		h("dt", {}, title), h("dd", {}, shown(row[key], format, row)))));

/** Tables of more rows would take the browser long. */
const mostRows = 500;

/**
 * The elements that show the document of any verb: its rows or its record, sentences and tables.
 * @param {any} document @param {any} verb
 */
export const answer = (document, verb) => {
	/** @type {HTMLElement[]} */
	const all = [];
	const {schema_version: _, nodes_asked: asked, nodes_answered: answered, ...rest} = document;
	if (rest.summary) all.push(h("p", {}, ...sentence(rest.summary)));
	const single = columnsOf([rest]).filter(({key}) => key !== "summary"
		&& !verb.columns.some((column = any) => column.key === key)
		&& typeof rest[key] !== "object");
	const columns = verb.rows ? single : [...verb.columns, ...single];
	const scalars = columns.filter(({key}) => !Array.isArray(rest[key]));
	if (scalars.length) {
		const list = h("dl");
		record(list, scalars, rest);
		all.push(list);
	}
	for (const [key, value] of Object.entries(rest)) {
		if (!value || typeof value !== "object") continue;
		const rows = Array.isArray(value) ? value : [value];
		const part = verb.sections.find((each = any) => each.key === key);
		const title = escaped(part?.title ?? titleOf(key));
		if (key !== verb.rows) all.push(h("h3", {}, title));
		if (!rows.length) all.push(note("None."));
		else if (rows.every((row) => typeof row !== "object")) {
			all.push(h("ul", {}, ...rows.map((text) => h("li", {}, ...sentence(plain(text))))));
		} else {
			const table = h("table");
			fill(table, key === verb.rows ? verb.columns : part?.columns ?? columnsOf(rows),
				rows.slice(0, mostRows), {sorts: true, totals: key === verb.rows && verb.has_totals
					&& rows.length <= mostRows, key: ""});
			all.push(framed(title, table));
			if (rows.length > mostRows) {
				all.push(note(`The first ${mostRows} of ${rows.length} rows. The command shows all.`));
			}
		}
	}
	if (answered < asked) all.push(note(`${answered} of ${asked} nodes answered.`, "failure"));
	return all;
};

// Commands

const quoted = (word = "") =>
	/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/**
 * The command that does the same as a request.
 * @param {any} verb @param {Record<string, any>} values by the names of the API
 * @param {string} origin of this page
 */
export const command = (verb, values, origin) => {
	const words = ["confab", verb.name], last = [];
	for (const {name, option, is_argument: isArgument, type} of verb.parameters) {
		const value = values[name];
		if (value == null || value === "" || value === false) continue;
		if (isArgument) {
			last.push(quoted(`${value}`));
			continue;
		}
		// The command line has these as options of every table.
		const word = `--${option || (verb.rows && /^(sort|limit)$/.test(name) ? name : "")}`;
		if (word === "--") continue;
		if (type === "flag") words.push(word);
		else for (const each of [value].flat()) {
			if (`${each}`.startsWith("-")) words.push(`${word}=${quoted(`${each}`)}`);
			else words.push(word, quoted(`${each}`));
		}
	}
	if (values.order) words.push("--sort", values.order);
	if (verb.is_change) words.push("--yes");
	if (/^http:/.test(origin) && origin !== "http://127.0.0.1:8090") words.push("--admin", origin);
	// Arguments come first, as in the manual, except for those that look like options.
	const isSafe = last.every((word) => !word.startsWith("-"));
	words.splice(isSafe ? 2 : words.length, 0, ...isSafe ? [] : ["--"], ...last);
	return words.join(" ");
};

/** Shows a command with a button that copies it. */
export const showCommand = (place = any, text = "") => {
	if (place.text === text) return;
	place.text = text;
	const code = h("code", {dir: "ltr"}, escaped(text));
	const label = `Copy ${escaped(text)}`;
	const button = h("button", {className: "link", ariaLabel: label, onclick: async () => {
		try {
			await navigator.clipboard.writeText(text);
			button.textContent = "Copied";
		} catch {
			// Browsers forbid it without TLS, except on this machine.
			getSelection()?.selectAllChildren(code);
			button.textContent = "Press Ctrl+C";
		}
		button.ariaLabel = button.textContent;
		setTimeout(() => Object.assign(button, {textContent: "Copy", ariaLabel: label}), 2000);
	}}, "Copy");
	place.className = "command";
	place.replaceChildren(code, button);
};

// Figures and the map

/** @param {Record<string, string>} attributes */
const svg = (tag = "", attributes = {}) => {
	const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	return element;
};

/** How many samples a sparkline has: four minutes. */
const sampleCount = 120;

/** A title, the newest sample and the last minutes as a line, which missing samples interrupt. */
export const figure = (title = "", format = "") => {
	const line = svg("path"), value = h("p", {className: "value"}), peak = note();
	const picture = svg("svg", {viewBox: "0 0 119 32", preserveAspectRatio: "none",
		"aria-hidden": "true"});
	picture.append(line);
	const element = h("div", {className: "figure"}, h("h3", {}, title), value, picture, peak);
	const samples = /** @type {(number | null)[]} */ ([]);
	/** @param {number | undefined} sample */
	const add = (sample) => {
		samples.push(sample ?? null);
		if (samples.length > sampleCount) samples.shift();
		const most = Math.max(0, ...samples.map((each) => each ?? 0));
		value.textContent = shown(sample, format);
		peak.textContent = `at most ${shown(most, format)} in the last 4 min`;
		line.setAttribute("d", samples.map((each, index) => each === null ? ""
			: `${(samples[index - 1] ?? null) === null ? "M" : "L"}${
				index + sampleCount - samples.length} ${decimal(31 - each / (most || 1) * 30)}`).join(""));
	};
	return {element, add};
};

/** The colour of a node, by the order in which the page has seen the nodes. */
export const colour = (index = 0) =>
	`oklch(${index % 2 ? 60 : 70}% .14 ${(index * 137.5 + 265) % 360})`;

/**
 * Draws 64 × 64 shards; those that move are hatched.
 * @param {HTMLCanvasElement} canvas @param {(number | null)[]} owners @param {number[]} moving
 * @param {(index: number) => string} colourOf
 */
export const drawShards = (canvas, owners, moving, colourOf) => {
	const context = canvas.getContext("2d");
	if (!context) return;
	const size = canvas.width / 64;
	context.clearRect(0, 0, canvas.width, canvas.height);
	owners.forEach((owner, shard) => {
		context.fillStyle = owner === null ? "#888" : colourOf(owner);
		context.fillRect(shard % 64 * size, Math.floor(shard / 64) * size, size - 1, size - 1);
	});
	context.strokeStyle = "#000";
	context.lineWidth = 2;
	context.beginPath();
	for (const shard of moving) {
		const x = shard % 64 * size, y = Math.floor(shard / 64) * size;
		context.moveTo(x, y + size - 1);
		context.lineTo(x + size - 1, y);
	}
	context.stroke();
};
