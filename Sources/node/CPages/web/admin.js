// The operators' page: it repeats one request for all views, looks things up and changes them.

import {
	answer, colour, command, drawShards, escaped, figure, fill, framed, note, record,
	sentence, showCommand, shown,
} from "./admin.view.js";
import {$, any, count, h} from "./dom.js";

const pollMs = 2000, timeoutMs = 8000, lookUpMs = 60e3;
const stored = "confab.admin.token";

let token = "";
try {
	token = sessionStorage.getItem(stored) ?? "";
} catch {
	// Without storage, the token lasts as long as the page.
}
/** The verbs with their parameters and columns, and the roles of this page's token. */
let table = any;
/** The newest overview, and when it arrived. */
let data = any, receivedAt = 0;
/** The newest document of each part that did not fail, and when it arrived. */
const parts = /** @type {Record<string, {document: any, at: number}>} */ ({});
let isPaused = false, isBusy = false, needsToken = false, needsVerbs = true, timer = 0;

const verbNamed = (name = "") => table.verbs.find((verb = any) => verb.name === name);
const mayOperate = () => table.roles.includes("operate");
const time = (at = 0) => new Date(at).toLocaleTimeString();

// The sections

/**
 * @param {string} id also the verb whose command the section shows
 * @param {string} title @param {Node[]} content
 */
const section = (id, title, ...content) => {
	$("#views").append(h("section", {id, ariaLabel: title}, h("div", {className: "top"},
		h("h2", {}, title), h("p", {id: `${id}-command`})),
		h("p", {className: "failure", hidden: true}), ...content));
	$("nav").append(h("a", {href: `#${id}`}, title));
};
/** @param {string} id of the section */
const formOf = (id, button = "") => h("form", {}, h("div", {className: "fields"}, h("p", {},
	h("label", {htmlFor: `${id}-verb`}, "Verb"), h("select", {id: `${id}-verb`}))),
	h("p", {className: "buttons"}, h("button", {className: "primary"}, button)));
section("status", "Status", h("ul", {id: "problems"}), h("div", {id: "figures"}), h("dl"));
section("nodes", "Nodes", framed("Nodes"));
section("shards", "Shards", h("div", {className: "map"}, h("div", {},
	h("canvas", {tabIndex: 0, role: "img", width: 512, height: 512}),
	h("p", {id: "shard", className: "dim", role: "status"})), framed("Shards")));
section("redis", "Redis", framed("Redis"));
section("events", "Events", framed("Events"));
section("read", "Look up", formOf("read", "Look up"),
	h("div", {className: "answer", ariaLive: "polite"}));
section("operate", "Change",
	note("Preview shows what a change would do. A second button then does it."),
	formOf("operate", "Preview"));
$("#views").append(h("p", {id: "reader", className: "dim"}));

// Requests

/** @param {string} path @param {Record<string, any>} values @param {boolean} isChange */
const call = async (path, values = {}, isChange = false, timeout = timeoutMs) => {
	/** @type {Record<string, string>} */
	const headers = token ? {authorization: `Bearer ${token}`} : {};
	if (isChange) headers["content-type"] = "application/json";
	const query = isChange ? "" : `${new URLSearchParams(values)}`;
	const response = await fetch(`/api/cluster/${path}${query && "?"}${query}`, {
		method: isChange ? "POST" : "GET", headers, body: isChange ? JSON.stringify(values) : null,
		signal: /** @type {any} */ (AbortSignal).timeout(timeout),
	});
	const document = await response.json().catch(() => ({}));
	if (response.ok) return document;
	throw Object.assign(new Error(document.error ?? `The answer is HTTP ${response.status}.`),
		{code: response.status});
};

/** Why a request failed, in a sentence. */
const reason = ({name, code, message} = any) => code ? message
	: name === "TimeoutError" ? `${location.host} has not answered in time.`
	: `${location.host} does not answer.`;

const poll = async () => {
	clearTimeout(timer);
	if (isBusy || needsToken || isPaused || document.hidden) return;
	isBusy = true;
	try {
		if (needsVerbs) prepare(await call("verbs"));
		const next = await call("overview");
		if (!needsToken) show(next);
		$("#stale").replaceChildren();
		$("#stale").reason = "";
	} catch (error) {
		fail(error);
	}
	isBusy = false;
	timer = setTimeout(poll, pollMs);
};

const fail = (error = any) => {
	if (error.code === 401) return askForToken(token ? "This token is not valid." : "");
	for (const {add} of figures) add(undefined);
	// Another version may run after a restart.
	needsVerbs = true;
	const text = [reason(error), receivedAt ? `The data is from ${time(receivedAt)}.` : "",
		"This page tries again every 2 seconds."].filter(Boolean).join(" ");
	$("#state").textContent = receivedAt ? `Data from ${time(receivedAt)}` : "No data";
	$("#views").classList.add("old");
	if ($("#stale").reason === text) return;
	$("#stale").reason = text;
	const other = data?.nodes.nodes?.find((node = any) => node.admin_address
		&& node.state === "active" && node.admin_address !== location.host);
	const hint = h("p");
	if (other) showCommand(hint, `confab status --admin http://${other.admin_address}`);
	$("#stale").replaceChildren(note(text, "failure"), hint);
};

// The token

const askForToken = (sentence = "") => {
	needsToken = true;
	table = undefined;
	for (const each of ["#views", "nav", "#forget", "#pause"]) $(each).hidden = true;
	$("#stale").replaceChildren();
	$("#state").textContent = "Not signed in";
	$("#refused").textContent = sentence;
	if (!$("#login").hidden) return;
	$("#login").hidden = false;
	$("#token").focus();
};
$("#login").onsubmit = (event = any) => {
	event.preventDefault();
	token = $("#token").value.trim();
	if (!/^[\x21-\x7e]+$/.test(token)) return askForToken("A token consists of ASCII characters.");
	keep();
	needsToken = false;
	poll();
};
const keep = () => {
	try {
		sessionStorage.setItem(stored, token);
	} catch {
		// The token stays in memory.
	}
};
$("#forget").onclick = () => {
	token = $("#token").value = "";
	keep();
	clearTimeout(timer);
	askForToken();
};

// Views

/** The samples of the figures; none while there are no data. */
const figures = [
	{title: "Connections", value: () => data.status.connections},
	{title: "Messages in per second", value: () => data.status.in_s},
	{title: "Messages out per second", value: () => data.status.out_s},
	{title: "Longest loop turn, p99", format: "milliseconds", value: () => data.nodes.nodes
		&& Math.max(...data.nodes.nodes.map((node = any) => node.loop_lag_p99 ?? 0))},
].map(({title, format, value}) => {
	const {element, add} = figure(title, format);
	$("#figures").append(element);
	return {add, value};
});

/** @param {string} name of a view @param {Record<string, any>} values */
const setCommand = (name, values = {}) => {
	showCommand($(`#${name}-command`), command(verbNamed(name), values, location.origin));
};

/** Prepares what depends on the verbs, if they differ: forms in use keep their focus. */
const prepare = (next = any) => {
	needsVerbs = false;
	if (JSON.stringify(next) === JSON.stringify(table)) return;
	table = next;
	$("#login").hidden = true;
	$("#forget").hidden = !token;
	$("#pause").hidden = false;
	for (const name of ["status", "nodes", "shards", "redis", "events"]) setCommand(name);
	$("#operate").hidden = $("nav [href='#operate']").hidden = !mayOperate();
	$("#reader").textContent = mayOperate() ? ""
		: table.roles.includes("read")
			? `The token ${table.operator} may only read, so this page shows no changes.`
			: `The token ${table.operator} shows no messages, and this page no changes.`;
	for (const form of forms) form.prepare();
};

/**
 * The document of a part. If the part failed, its last document, and a sentence in its view.
 * @param {string} name
 */
const part = (name) => {
	const document = data[name], failure = $(`#${name} .failure`);
	if (!document.error) parts[name] = {document, at: receivedAt};
	const old = parts[name];
	const missing = name === "nodes" && document.nodes_asked > document.nodes_answered
		? `${document.nodes_answered} of ${count(document.nodes_asked, "node")} answered.` : "";
	const text = document.error && old
		? `${document.error} What follows is from ${time(old.at)}.` : document.error ?? missing;
	failure.hidden = !text;
	// Not a fault: there is no Redis.
	failure.classList.toggle("calm", document.status === 409);
	if (failure.textContent !== escaped(text)) failure.textContent = escaped(text);
	$(`#${name}`).classList.toggle("old", Boolean(document.error && old));
	return old?.document;
};

const show = (next = any) => {
	data = next;
	receivedAt = Date.now();
	const status = part("status"), nodes = part("nodes"), shards = part("shards");
	const redis = part("redis"), events = part("events");
	$("#views").hidden = $("nav").hidden = false;
	$("#views").classList.remove("old");
	const answered = nodes
		? `${nodes.nodes_answered} of ${count(nodes.nodes_asked, "node")} answered · ` : "";
	$("#state").textContent = `${isPaused ? "Paused · " : ""}${answered}asked ${
		escaped(data.answered_by)} · ${time(receivedAt)}`;
	if (status) showStatus(status);
	for (const {add, value} of figures) add(value());
	if (nodes) showNodes(nodes.nodes);
	if (shards) showShards(shards);
	$("#shards .map").hidden = !shards;
	for (const [name, document] of Object.entries({redis, events})) {
		const rows = document?.[name] ?? [];
		// Columns without any value only make the table wide.
		const columns = verbNamed(name).columns.filter(
			({key = ""}) => rows.some((row = any) => row[key] != null));
		const all = name === "events" ? [...rows].reverse() : rows;
		const scroller = $(`#${name} .scroller`);
		scroller.hidden = !rows.length;
		fill($("table", scroller), columns.filter(({key = ""}) => key !== "id"), all,
			{key: name === "events" ? "id" : "node"});
	}
};

let told = "";
const showStatus = (status = any) => {
	document.title = `${escaped(status.cluster)}: ${status.problems.length
		? count(status.problems.length, "problem") : "no problems"} – Confab`;
	$("#cluster").textContent = escaped(status.cluster);
	const list = $("#problems"), {problems} = status;
	list.className = problems.length ? "" : "good";
	const lines = problems.length ? problems : ["No problems."], text = lines.join(" ");
	if (list.text !== text) {
		list.text = text;
		list.replaceChildren(...lines.map((line = "") => h("li", {}, ...sentence(line))));
	}
	// Ages in the sentences change all the time and are not announced.
	const news = text.replace(/\d+ s\b/g, "");
	if (news !== told) $("#news").textContent = escaped(text);
	told = news;
	const columns = verbNamed("status").columns;
	record($("#status dl"), columns.filter(({key = ""}) => !/problems|cluster/.test(key)),
		status);
};

/** @param {any[]} nodes */
const showNodes = (nodes) => {
	const element = $("#nodes table");
	const action = (row = any) => /^drain/.test(row.state) ? "Resume"
		: row.state === "gone" ? "" : "Drain";
	const act = (row = any) => change(verbNamed(action(row).toLowerCase()), {node: row.node});
	fill(element, verbNamed("nodes").columns, nodes, {
		totals: true, sorts: true, key: "node",
		onsort: () => setCommand("nodes", {order: element.order}),
		...mayOperate() && {action, act},
	});
	$("#node-names").replaceChildren(...nodes.map(({node}) => h("option", {value: node})));
};

/** The nodes whose shards the map has shown; the position decides the colour. */
const owners = /** @type {string[]} */ ([]);
const colourOf = (node = "") => {
	if (!owners.includes(node)) owners.push(node);
	return colour(owners.indexOf(node));
};
let drawn = "", pointed = -1;
const showShards = (shards = any) => {
	const canvas = $("canvas");
	const rows = shards.nodes.map((node = "", index = 0) => {
		const own = shards.owners.filter((owner = any) => owner === index).length;
		return {node, shards: own, share: 100 * own / shards.owners.length, moving:
			shards.moving.filter((shard = 0) => shards.owners[shard] === index).length};
	}).sort((one = any, other = any) => one.node < other.node ? -1 : 1);
	for (const {node} of rows) colourOf(node);
	fill($("#shards table"), [
		{title: "NODE", key: "node", format: "text"},
		{title: "SHARDS", key: "shards", format: "number", is_summed: true},
		{title: "SHARE", key: "share", format: "percent"},
		{title: "MOVING", key: "moving", format: "number", is_summed: true},
	], rows, {totals: true, swatch: ({node}) => colourOf(node)});
	canvas.ariaLabel = `Map of ${shards.owners.length} shards of ${count(rows.length, "node")}, `
		+ `${shards.moving.length} moving`;
	const state = JSON.stringify(shards);
	if (state === drawn) return;
	drawn = state;
	drawShards(canvas, shards.owners, shards.moving, (index) => colourOf(shards.nodes[index]));
	point(pointed);
};
/** Says who owns the shard under the pointer. */
const point = (shard = -1) => {
	pointed = shard;
	const shards = parts.shards?.document, owner = shards?.owners[shard];
	$("#shard").textContent = !shards || shard < 0 ? "Point at a shard, or use the arrow keys. Hatched"
		+ " shards are moving." : `Shard ${shard}: ${escaped(shards.nodes[owner] ?? "no owner")}${
		shards.moving.includes(shard) ? ", moving" : ""}`;
};
$("canvas").onpointermove = ({offsetX = 0, offsetY = 0, target = any}) =>
	point(Math.min(63, Math.max(0, Math.floor(offsetY / target.clientHeight * 64))) * 64
		+ Math.min(63, Math.max(0, Math.floor(offsetX / target.clientWidth * 64))));
$("canvas").onkeydown = (event = any) => {
	const step = new Map([["Right", 1], ["Left", -1], ["Down", 64], ["Up", -64]])
		.get(event.key.replace("Arrow", ""));
	if (!step) return;
	event.preventDefault();
	point((Math.max(0, pointed) + step + 4096) % 4096);
};

// Look-ups and changes

/** @param {"read" | "operate"} section */
const verbForm = (section) => {
	const form = $(`#${section} form`), choice = $("select", form);
	const verb = () => verbNamed(choice.value);
	const fields = () => [...form.querySelectorAll("[name]")];
	const values = () => Object.fromEntries(fields().flatMap(({name, type, value, checked}) => {
		if (type === "checkbox") return checked ? [[name, true]] : [];
		const text = value.trim();
		if (!text) return [];
		const kind = verb().parameters.find((each = any) => each.name === name)?.type;
		if (kind === "users") return [[name, text.split(",").map((each = "") => each.trim())]];
		// As on the command line: 1h, 200/s.
		const [, digits = text, unit = "s"] = text.match(/^([\d.]+)\/?([smhd])$/) ?? [];
		const number = Number(digits) * [1, 60, 3600, 86400]["smhd".indexOf(unit)];
		return [[name, /integer|seconds/.test(kind) && Number.isFinite(number) ? number : text]];
	}));
	const update = () => showCommand($(`#${section}-command`),
		command(verb(), values(), location.origin));
	const build = () => {
		const given = values();
		for (const old of form.querySelectorAll(".parameter")) old.remove();
		for (const parameter of verb().parameters) {
			const {name, help, type, choices, is_required: required} = parameter;
			const id = `${section}-${name}`, placeholder = `${parameter.default ?? ""}`;
			const input = type === "choice" ? h("select", {id, name}, h("option"),
				...choices.map((each = "") => h("option", {}, each)))
				: h("input", {id, name, required, placeholder, autocomplete: "off", spellcheck: false,
					type: type === "flag" ? "checkbox" : "text"});
			input.setAttribute("aria-describedby", `${id}-help`);
			if (name === "node") input.setAttribute("list", "node-names");
			if (type === "integer") input.inputMode = "numeric";
			if (type !== "flag" && given[name] != null) input.value = given[name];
			$(".fields", form).append(h("p", {className: "parameter"},
				h("label", {htmlFor: id}, `${name}${required ? "" : " (optional)"}`), input,
				h("span", {id: `${id}-help`, className: "dim"}, help)));
		}
		update();
	};
	choice.onchange = () => {
		build();
		if (section === "read") $(".answer").replaceChildren();
	};
	form.oninput = update;
	form.onsubmit = async (event = any) => {
		event.preventDefault();
		if (section === "operate") change(verb(), values());
		else lookUp(verb(), values());
	};
	const prepare = () => {
		const chosen = choice.value;
		choice.replaceChildren(...table.verbs.filter(
			(each = any) => each.is_change === (section === "operate")
				&& table.roles.includes(each.role))
			.map(({name = "", summary = ""}) =>
				h("option", {value: name, selected: name === (chosen || "history")},
					`${name}: ${summary}`)));
		build();
	};
	return {prepare};
};
const forms = [verbForm("read"), verbForm("operate")];

/**
 * The answer of a request as elements; its failure as a sentence.
 * @param {any} verb @param {Promise<any>} request
 */
const outcome = async (verb, request) => {
	try {
		return {elements: answer(await request, verb), isDone: true};
	} catch (error) {
		const {code} = /** @type {any} */ (error);
		if (code === 401) fail(error);
		const unknown = code || !verb.is_change ? ""
			: " The change may have happened; look at the events.";
		return {elements: [note(reason(error) + unknown, "failure")], isDone: false};
	}
};

let lookUps = 0;
const lookUp = async (verb = any, values = any) => {
	const place = $(".answer"), number = ++lookUps;
	place.replaceChildren(note("Looking up…"));
	const {elements} = await outcome(verb, call(verb.path, values, false, lookUpMs));
	if (number === lookUps) place.replaceChildren(...elements);
};

/** Shows the dry run of a change, and does it after a second click. */
const change = async (verb = any, values = any) => {
	const dialog = $("dialog"), confirm = $("#confirm"), place = $("#answer");
	const [cancel] = dialog.querySelectorAll("form button");
	const object = values.node ?? values.conversation ?? values.user ?? "";
	const name = `${verb.name[0].toUpperCase()}${verb.name.slice(1)} ${escaped(object)}`.trim();
	$("#question").textContent = `${name}?`;
	showCommand($("#dialog-command"), command(verb, values, location.origin));
	place.replaceChildren(note("Asking what this would do…"));
	confirm.hidden = true;
	cancel.textContent = "Cancel";
	dialog.showModal();
	const request = call(verb.path, {...values, dry_run: true}, true);
	const dry = await outcome(verb, request);
	place.replaceChildren(h("h3", {}, "Dry run"), ...dry.elements);
	confirm.textContent = name;
	confirm.hidden = !dry.isDone;
	confirm.onclick = async () => {
		confirm.hidden = true;
		cancel.textContent = "Close";
		cancel.focus();
		place.replaceChildren(note("Working…"));
		const {elements, isDone} = await outcome(
			verb, call(verb.path, values, true, lookUpMs));
		$("#question").textContent = name;
		place.replaceChildren(h("h3", {}, isDone ? "Done" : "Not done"), ...elements);
		poll();
	};
};

$("#pause").onclick = () => {
	isPaused = !isPaused;
	$("#pause").textContent = isPaused ? "Continue" : "Pause";
	if (isPaused) $("#state").prepend("Paused · ");
	poll();
};
document.onvisibilitychange = poll;
point();
poll();
