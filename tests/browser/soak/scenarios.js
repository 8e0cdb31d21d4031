/** Every scenario of the soak. */
import { clockJumps } from './clock-jumps.js';
import { closedPages } from './closed-pages.js';
import { concurrentCalls } from './concurrent-calls.js';
import { dyingWorkers } from './dying-workers.js';
import { flippedBits } from './flipped-bits.js';
import { killedBrowsers } from './killed-browsers.js';
import { memoryGrowth } from './memory-growth.js';
import { memoryLimits } from './memory-limits.js';
import { networkFaults } from './network-faults.js';
import { storageFaults } from './storage-faults.js';
import { twoVersions } from './two-versions.js';

/**
 * A scenario. It runs `short` times in every test run, and `long` times per round of a soak.
 * @type {{name: string, run: import('./room.js').Scenario, short: number, long: number}[]}
 */
export const scenarios = [
  { name: 'network faults', run: networkFaults, short: 30, long: 1000 },
  { name: 'pages closed at any moment', run: closedPages, short: 12, long: 200 },
  { name: 'browsers killed at any moment', run: killedBrowsers, short: 5, long: 50 },
  { name: 'rounds of storage that fails at each operation', run: storageFaults, short: 1, long: 20 },
  { name: 'flipped bits in what is kept', run: flippedBits, short: 10, long: 200 },
  { name: 'steps at which a worker ends', run: dyingWorkers, short: 8, long: 200 },
  { name: 'limits of memory', run: memoryLimits, short: 10, long: 200 },
  { name: 'loads with a clock that jumps', run: clockJumps, short: 6, long: 100 },
  { name: 'visits by two versions of the code', run: twoVersions, short: 2, long: 20 },
  { name: 'concurrent calls', run: concurrentCalls, short: 400, long: 10_000 },
  {
    name: 'pictures, and a tenth as many loads, in the same memory',
    run: memoryGrowth,
    short: 100,
    long: 1000,
  },
];
