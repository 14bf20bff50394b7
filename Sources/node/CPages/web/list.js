// The page of all conversations: it lists, creates and opens them.

import {Confab} from "./confab.js";
import {
	$, clock, copyLink, count, dayLabel, h, hue, identity, initial, link, storage,
} from "./text.js";

const {token, user} = identity();
const server = new Confab(location.origin, {token, user});
const create = $("#create"), list = $("#list"), state = $("#state"), more = $("#more");
const opener = $("#new");

/** @type {any[]} What the list shows, newest created first. */
let shown = [];
let cursor = "", isCurrent = false;

/** When it was. A time in the future is "just now". */
const ago = (time = "", now = 0) => {
	const minutes = (now - Date.parse(time)) / 6e4;
	if (minutes < 1) return "just now";
	if (minutes < 60) return `${Math.floor(minutes)} min ago`;
	const label = dayLabel(time, now);
	return label === "Today" ? clock.format(new Date(time)) : label;
};

let reportTimer = 0;
/** Shows a sentence, for a short time if it is about an action. */
const report = (sentence = "") => {
	state.textContent = sentence;
	clearTimeout(reportTimer);
	if (isCurrent && shown.length) reportTimer = setTimeout(() => state.textContent = "", 6000);
};

const build = (/** @type {any} */ each) => {
	const {room_id: id, title, description, last_message: last, participants} = each;
	// The server knows what the user of a token has read on all devices.
	const unread = each.unread_count
		?? (Math.max(0, each.message_count - Number(storage.get("seen." + id) ?? NaN)) || 0);
	const text = last?.content ? `${last.username ?? last.user_id}: ${last.content}` : description;
	const here = participants.filter((/** @type {any} */ p) => p.online).length;
	const badge = h("span", {className: "avatar", ariaHidden: "true"}, initial(title));
	badge.style.setProperty("--hue", `${hue(id)}`);
	const onclick = async () => {
		const isCopied = await copyLink(id);
		report(isCopied ? `Link of “${title}” copied` : `The link is ${link(id)}`);
	};
	const copy = h("button", {className: "icon copy", ariaLabel: `Copy link of ${title}`, onclick});
	const time = last?.timestamp ?? each.created_at;
	return h("li", {className: unread ? "new" : ""}, badge,
		h("div", {className: "about"},
			h("h2", {}, h("a", {href: `/conversation/${id}`, dir: "auto"}, title)),
			h("time", {className: "dim", dateTime: time}, ago(time, server.time())),
			h("p", {className: "last", dir: "auto"}, text || "No messages yet"),
			unread ? h("span", {className: "count"}, `${unread}`,
				h("span", {className: "unseen"}, " unread")) : "",
			h("p", {className: "dim"}, count(each.participant_count ?? participants.length, "person", "people"),
				each.access === "closed" ? " · private" : "",
				here ? h("span", {className: "here"}, ` · ${here} here`) : "")),
		copy);
};

const show = () => {
	list.replaceChildren(...shown.map(build));
	more.hidden = !cursor;
};

/** Reads the newest page; conversations of later pages stay below it. */
const refresh = async () => {
	if (document.hidden) return;
	try {
		const page = await server.list({limit: 50});
		if (!shown.length) cursor = page.next_cursor ?? "";
		const next = [...page.conversations, ...shown.slice(50)];
		// A list under the pointer or with the focus of the keyboard keeps its elements.
		if (!shown.length || !list.matches(":hover, :has(:focus-visible)")) {
			shown = next;
			show();
		}
		if (!shown.length) report("No conversations yet. Create the first one and send its link.");
		else if (!isCurrent) report();
		isCurrent = true;
		opener.hidden = false;
	} catch (error) {
		const {code, message} = /** @type {any} */ (error);
		isCurrent = false;
		opener.hidden = code === 401;
		report(code === 401 ? "This server admits only people with a token. Open Confab"
			+ " from the application that invited you." : code ? `The list does not load: ${message}.`
			: "The server does not answer. This page tries again every 15 seconds.");
	}
};

opener.onclick = () => create.showModal();
$(".buttons [type=button]").onclick = () => create.close();
$("form").onsubmit = async (/** @type {Event} */ event) => {
	event.preventDefault();
	const refused = $("#refused");
	refused.textContent = "";
	try {
		const {room_id: id} = await server.create({title: $("#title").value.trim(),
			description: $("#description").value.trim()});
		location.assign(`/conversation/${id}`);
	} catch (error) {
		const {code, message} = /** @type {any} */ (error);
		refused.textContent = code ? `Not created: ${message}.`
			: "Not created: the server does not answer. Try again.";
	}
};
more.onclick = async () => {
	const page = await server.list({limit: 50, cursor});
	shown.push(...page.conversations);
	cursor = page.next_cursor ?? "";
	show();
};
setInterval(refresh, 15e3);
for (const event of ["online", "visibilitychange", "pageshow"]) addEventListener(event, refresh);
refresh();
