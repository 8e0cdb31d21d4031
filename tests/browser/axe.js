import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** @typedef {import('./harness.js').Page} Page */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Violations of WCAG and good practice. @param {Page} page */
export async function complaintsOfAxe(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run();
    return violations.map((/** @type {any} */ { id, nodes }) => [
      id,
      nodes.map((/** @type {any} */ node) => node.html),
    ]);
  });
}
