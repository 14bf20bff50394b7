// The module stays small: its code without comments and indentation has a limit.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

const LIMIT = 43_800;
const source = fs.readFileSync(new URL("../confab.js", import.meta.url), "utf8");

test(`the code has at most ${LIMIT} bytes, and no line above 100 columns`, (t) => {
  const lines = source.split("\n"), code = lines.map((line) => line.trim())
    .filter((line) => line && !/^(\/\/|\/\*|\*)/.test(line)).join("\n");
  t.diagnostic(`${source.length} bytes, ${code.length} without comments and indentation`);
  assert.ok(code.length <= LIMIT, `${code.length} bytes`);
  const long = lines.findIndex((line) => line.replaceAll("\t", "  ").length > 100);
  assert.equal(long, -1, `line ${long + 1}`);
});
