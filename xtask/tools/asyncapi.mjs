// Judges an AsyncAPI document: node asyncapi.mjs <folder of node_modules> <document>
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [tools, file] = process.argv.slice(2);
const { Parser } = createRequire(`${tools}/package.json`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
// 0 is an error, 1 a warning; what is less is advice, such as to take the newest version of AsyncAPI.
const found = diagnostics.filter(({ severity }) => severity <= 1);
for (const { code, message, path } of found) console.log(`${code} at ${path.join("/")}: ${message}`);
if (!document || found.length > 0) process.exit(1);
