// Shows that the tests can fail: damages the kit in one place at a time and runs one test.
//
//   CONFAB_BINARY=… node test/mutations.mjs [NAME…]
//
// Exits with status 0 only if every damage is detected.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Name, code, damaged code, file and name of the test. */
const mutations = [
  ["connect without a resume point", "if (last !== undefined) query", "if (!query) query",
    "list", "missed messages, edits"],
  ["a new id for each attempt", "content: text, local_id: localId,",
    "content: text, local_id: uniqueId(),", "outbox", "the answer is lost"],
  ["several messages in flight", "if (busy.has(job.action) || job.row?.error) continue;",
    "if (job.sentAt || job.row?.error) continue;", "outbox", "only one message"],
  ["send before saving", "return job.isSaved && ", "return ", "outbox", "a row is persisted"],
  ["a message is not saved", 'await this.#store("set", localId, saved);', "",
    "outbox", "survives the process"],
  ["a frame that closes every connection", "if (code === 1009)", "if (code === 9)",
    "outbox", "above frame-bytes"],
  ["no pause after a refusal by rate", "job.notBefore = this.#now +", "job.notBefore = 0 *",
    "outbox", "rate limited"],
  ["no renewal of tokens", "if (now >= link.renewAt)", "if (now < 0)",
    "token", "30 s before exp"],
  ["no second token", "code === 4003 && !this.#isTokenRejected", "code === 4",
    "token", "comes too late"],
  ["no watchdog", "now > link.dueAt && !link.isProbing", "now < 0", "watchdog", "35 s of silence"],
  ["no probe after a suspend", "link.onlineAt && (wasSuspended || ", "link.onlineAt && (",
    "watchdog", "after a suspend"],
  ["delays without chance", "const jitter = tries && SECOND / 4 + this.random() *",
    "const jitter = tries && SECOND / 4 + 1 *", "backoff", "random=0.5"],
  ["backoff is reset at once", "healthy >= 10 * SECOND", "healthy >= 0",
    "backoff", "less than 10 s"],
  ["Retry-After is ignored", "if (wait) return", "if (wait < 0) return",
    "backoff", "503 with Retry-After"],
  ["1012 is an ordinary loss", "code === 1012", "code === 12", "backoff", "1012 of a draining"],
  ["events of the page are ignored", 'if (this.state !== "refused") this.retryNow();', "",
    "page", "^online ends a waiting"],
  ["events of the page too often", "Math.abs(this.#now - this.#wokenAt) >= SECOND", "true",
    "page", "^online ends a waiting"],
  ["hidden pages are in a hurry", "globalThis.document?.hidden ? 4 : 1", "1",
    "page", "hidden page"],
  ["every tab sends", "if (locks) locks.request", "if (!link) locks.request",
    "tabs", "one tab sends"],
  ["tabs do not share", "this.#channel?.postMessage(saved);", "", "tabs", "tab closes"],
  ["a lost message is ignored", 'this.#abandon("a message is missing");', "",
    "list", "a lost message"],
  ["a lost history is ignored", "this.#timeline.reload(error, oldestId - 1);", "",
    "list", "history truncated"],
  ["the client's clock counts", "return this.clock.now() + this.offset;",
    "return this.clock.now();", "kit", "rule 8"],
  ["signals are ignored", 'signal?.addEventListener("abort", abort);', "", "kit", "rule 9: Abort"],
  ["a listener breaks the delivery", "\t\t\t\tfail(error);", "\t\t\t\tthrow error;",
    "kit", "rule 9: a listener"],
  ["an older state replaces a newer one", "news[index] > known[index]", "news[index]",
    "features", "late event"],
  ["own reactions are forgotten", "own.mine = on;", "", "features", "more than 20"],
  ["the answer to an aborted request is used", "=== job && !isAwaited)", "=== job)",
    "features", "^search"],
  ["excerpts stay as they were", "message.replyExcerpt = quote;", "", "features", "replies and"],
  ["a pin is told before its message", "!known && message.id <= (timeline.last ?? 0)", "!known",
    "features", "still missing"],
  ["the outbox forgets the reply", "const saved = { localId, text, since, error, replyTo, mentions };",
    "const saved = { localId, text, since, error };", "features", "the outbox keeps"],
  ["output", "link.onlineAt = this.#now;", "console.log(link.onlineAt = this.#now);",
    "kit", "rule 10: no output"],
];

const kit = new URL("..", import.meta.url).pathname;
const source = fs.readFileSync(path.join(kit, "confab.js"), "utf8");

/** Whether a copy of the kit with this code passes the test. */
function passes(code, file, name) {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), "confab-js-mutation-"));
  fs.cpSync(kit, copy, { recursive: true });
  fs.writeFileSync(path.join(copy, "confab.js"), code);
  const { status, stdout } = spawnSync(process.execPath, ["--test", "--test-reporter=tap",
    "--test-name-pattern", name, path.join(copy, "test", `${file}.test.mjs`)],
    { encoding: "utf8", env: { ...process.env, CONFAB_TEST_SECONDS: "20" } });
  fs.rmSync(copy, { recursive: true, force: true });
  if (!/^# Subtest/m.test(stdout)) throw new Error(`no test ran: ${file}, ${name}\n${stdout}`);
  return status === 0;
}

const wanted = process.argv.slice(2);
let missed = 0;
for (const [name, code, damaged, file, pattern] of mutations) {
  if (wanted.length && !wanted.includes(name)) continue;
  if (source.split(code).length !== 2) throw new Error(`${name}: this must occur once: ${code}`);
  const isMissed = passes(source.replace(code, () => damaged), file, pattern);
  missed += Number(isMissed);
  console.log(`${isMissed ? "MISSED  " : "detected"} ${name}`);
}
console.log(`${missed} damages are not detected`);
process.exitCode = missed ? 1 : 0;
