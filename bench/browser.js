/** A page in a fresh headless Chromium, and the peak memory of its renderer. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @typedef {{page: import('playwright-core').Page, peaks: () => Record<string, number>}} Measured */

/**
 * @template T
 * @param {string} url
 * @param {(measured: Measured) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withPage(url, use) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'siglip-bench-'));
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: false, args: flags });
  try {
    const page = context.pages()[0];
    const memory = new Memory(profile);
    await page.exposeFunction('onPhase', (/** @type {string} */ name) => memory.begin(name));
    await page.goto(url);
    await page.waitForFunction('window.measure');
    return await use({ page, peaks: () => memory.peaks });
  } finally {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}

/** Peaks of the resident set of this browser's renderers, in megabytes, by phase (Linux). */
class Memory {
  /** @type {Record<string, number>} */
  peaks = {};
  #phase = 'start';
  #profile;

  /** @param {string} profile */
  constructor(profile) {
    this.#profile = profile;
  }

  /**
   * Ends the phase before and begins one; the peak starts anew.
   * @param {string} phase
   */
  begin(phase) {
    const peaks = this.#renderers().map((pid) => {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
      fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
      return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
    });
    this.peaks[this.#phase] = Math.round(Math.max(0, ...peaks));
    this.#phase = phase;
  }

  /** Renderers of tabs; the browser's own pages have others. */
  #renderers() {
    return fs.readdirSync('/proc').filter((pid) => {
      try {
        const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const isRenderer = command.includes('--type=renderer') && command.includes(this.#profile);
        return isRenderer && !/--extension-process|top-chrome-webui/.test(command);
      } catch {
        return false;
      }
    });
  }
}
