/** A page in a fresh headless Chromium, and the peak memory of its renderer. */
import fs from 'node:fs';
import { launchChromium } from '../tests/browser/browsers.js';

/** @typedef {{page: import('playwright-core').Page, peaks: Record<string, number>}} Measured */

/**
 * @template T
 * @param {string} url
 * @param {(measured: Measured) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withPage(url, use) {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const memory = new Memory(await browser.newBrowserCDPSession());
    await page.exposeFunction('onPhase', (/** @type {string} */ name) => memory.begin(name));
    await page.goto(url);
    await page.waitForFunction('window.measure');
    return await use({ page, peaks: memory.peaks });
  } finally {
    await browser.close();
  }
}

/** The peak resident set of the browser's largest renderer in megabytes, by phase. Linux only. */
class Memory {
  /** @type {Record<string, number>} */
  peaks = {};
  #phase = 'start';
  #session;

  /** @param {import('playwright-core').CDPSession} session */
  constructor(session) {
    this.#session = session;
  }

  /**
   * Ends the previous phase, begins a new one, and resets the peak.
   * @param {string} phase
   */
  async begin(phase) {
    const { processInfo } = await this.#session.send('SystemInfo.getProcessInfo');
    const renderers = processInfo.filter(({ type }) => type === 'renderer');
    this.peaks[this.#phase] = Math.max(0, ...renderers.map(({ id }) => takePeak(id)));
    this.#phase = phase;
  }
}

/**
 * The peak memory of a process since the last call.
 * @param {number} pid
 */
function takePeak(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024);
}
