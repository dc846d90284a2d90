// Headless Chromium, where it is installed.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.CHROMIUM || ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const playwright = await import("playwright-core").catch(() => undefined);

/** Why there is none, where there is none. */
export const missing = !PROGRAM ? "chromium is not installed" : playwright ? false : "playwright-core is not installed: npm ci";

/** A browser with a profile of its own. */
export async function browser(t, options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "hookswitch-chromium-"));
  const context = await playwright.chromium.launchPersistentContext(profile, { executablePath: PROGRAM, args: FLAGS, headless: true, ...options });
  t.after(async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  return context;
}
