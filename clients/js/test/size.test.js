// What a page has to load.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const LIMIT = 8 * 1024;

test("client and worker are less than 8 KiB together, minified and compressed", async (t) => {
  const esbuild = await import("esbuild").catch(() => undefined);
  if (!esbuild) return t.skip("esbuild is not installed: npm ci");
  const { outputFiles } = await esbuild.build({
    entryPoints: ["index.js", "shared-worker.js"].map((name) => new URL("../src/" + name, import.meta.url).pathname),
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    outdir: "/out",
  });
  const sizes = outputFiles.map(({ path, contents }) => [path, gzipSync(contents, { level: 9 }).length]);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  t.diagnostic(`${total} bytes: ${sizes.map(([path, size]) => path + " " + size).join(", ")}`);
  assert.ok(total < LIMIT, String(total));
});
