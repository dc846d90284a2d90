// The Standard Webhooks library of npm over the cases of the test.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

for (const { name, body, headers, secret, standard } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  if (!secret.startsWith("whsec_")) continue; // the library knows no other secrets
  let isGood = true;
  try {
    new Webhook(secret).verify(body, headers);
  } catch {
    isGood = false;
  }
  if (isGood !== standard) {
    console.error(`${name}: ${isGood}`);
    process.exitCode = 1;
  }
}
