/**
 * Injects seeded, repeatable faults for a given time:
 *
 *     cargo xtask soak --seed N --minutes M
 *
 * Every scenario in turn, in the browser that BROWSER names, until the time is over; the first round is done in any case.
 * A failure names its seed.
 */
import { parseArgs } from 'node:util';
import { browserOfTests } from '../browsers.js';
import { scenarios } from './scenarios.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    scale: { type: 'string', default: '1' },
  },
});
const end = Date.now() + 60_000 * Number(values.minutes);
let failures = 0;
/** Later rounds have other seeds. */
const ROUND = 1_000_000;

for (let seed = Number(values.seed), first = true; first || Date.now() < end; seed += ROUND, first = false) {
  for (const { name, run, long } of scenarios) {
    if (!name.includes(values.only)) continue;
    if (!first && Date.now() >= end) break;
    const runs = Math.ceil(long * Number(values.scale));
    const browser = /** @type {any} */ (await browserOfTests.launch());
    const start = Date.now();
    const line = `${browserOfTests.name}, seed ${seed}: ${runs} ${name}`;
    try {
      const tally = await run(browser, seed, runs);
      const outcomes = Object.entries(tally).map(([outcome, times]) => `${outcome} ${times}`);
      console.log(`${line}: ${outcomes.join(', ')} (${Math.round((Date.now() - start) / 1000)} s)`);
    } catch (error) {
      failures++;
      console.log(`${line}: FAILED: ${error instanceof Error ? error.message : error}`);
    } finally {
      await browser.close();
    }
  }
}
process.exitCode = failures ? 1 : 0;
