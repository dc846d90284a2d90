// Runs the functions above, taken from docs/webhooks.md, over the cases of the test.
import { readFileSync } from "node:fs";

for (const { name, body, headers, secret, hex, standard } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const raw = Buffer.from(body);
  const isHex = ["x-webhook-signature", "x-webhook-signature-new"].some((h) => isGenuine(raw, headers[h], secret));
  const isStandard = isGenuineStandard(raw, headers, secret);
  if (isHex !== hex || isStandard !== standard) {
    console.error(`${name}: hex ${isHex}, standard ${isStandard}`);
    process.exitCode = 1;
  }
}
