/**
 * How smoothly the table of 1,000 pictures and 50 labels scrolls in headless Chromium: node bench/table-scroll.js [--step PIXELS].
 * Frames are timed by the clock, which a busy machine disturbs, and by what the page's thread computes for each.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { launchChromium } from '../tests/browser/browsers.js';
import { Server } from '../tests/browser/server.js';
import { openIn } from '../tests/browser/harness.js';

const { values } = parseArgs({ options: { step: { type: 'string', default: '120' } } });
const server = await Server.start();
const browser = await launchChromium();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await openIn(context, server.origin);
  await page.evaluate(async () => {
    const { showLargeTable } = await import('../tests/browser/pages/large-table.js');
    await showLargeTable();
  });
  const session = await context.newCDPSession(page);
  // The thread's own time, which other programs do not lengthen.
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  /** @returns {Promise<Record<string, number>>} */
  const metrics = async () => {
    const list = (await session.send('Performance.getMetrics')).metrics;
    return Object.fromEntries(list.map(({ name, value }) => [name, value]));
  };
  const before = await metrics();
  const frames = await page.evaluate(async (step) => {
    const grid = /** @type {HTMLElement} */ (document.querySelector('.grid[role=grid], [role=grid]'));
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    while (grid.scrollTop < grid.scrollHeight - grid.clientHeight - 1) {
      grid.scrollTop += step;
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    return times.sort((a, b) => a - b);
  }, Number(values.step));
  const after = await metrics();
  const each = (/** @type {string} */ name) =>
    Number(((1000 * (after[name] - before[name])) / frames.length).toFixed(2));
  const at = (/** @type {number} */ share) =>
    Number(frames[Math.min(frames.length - 1, Math.floor(share * frames.length))].toFixed(1));
  console.log({
    cpu: os.cpus()[0].model,
    frames: frames.length,
    milliseconds: { median: at(0.5), p95: at(0.95), p99: at(0.99), longest: at(1) },
    computedPerFrame: {
      all: each('TaskDuration'),
      scripts: each('ScriptDuration'),
      layout: each('LayoutDuration'),
    },
  });
} finally {
  await browser.close();
  await server.close();
}
