// The types in the comments, the declarations, and a page that uses them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("the modules and a page in TypeScript are well typed", (t) => {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  const tsc = folder + "node_modules/typescript/bin/tsc";
  if (!existsSync(tsc)) return t.skip("typescript is not installed: npm ci");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "--project", folder], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
