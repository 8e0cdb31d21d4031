/** A short run of every scenario of the soak, always of the same seed. */
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness } from './harness.js';
import { scenarios } from './soak/scenarios.js';

const SEED = 1;
/** The other browsers run a smaller share of what Chromium runs. */
const share = browserOfTests.name === 'chromium' ? 1 : 0.2;
const harness = new Harness();

for (const { name, run, short } of scenarios) {
  const runs = Math.ceil(share * short);
  test(`${runs} ${name}`, async () => void (await run(/** @type {any} */ (harness.browser), SEED, runs)));
}
