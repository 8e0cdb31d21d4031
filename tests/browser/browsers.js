/** The browsers of this machine: nothing is downloaded. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

/**
 * @param {string} variable
 * @param {string} usual
 * @param {string} advice
 */
function find(variable, usual, advice) {
  const path = process.env[variable] ?? usual;
  if (!existsSync(path)) throw new Error(`${path} is missing: ${advice}, or name one in ${variable}`);
  return path;
}

/** Every name under .test is this machine. */
const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP *.test 127.0.0.1',
];

const chromiumPath = () =>
  find('CHROMIUM', '/usr/bin/chromium', 'install Chromium (Debian: apt install chromium)');

/** Chromium with a fresh profile. */
export const launchChromium = () => chromium.launch({ executablePath: chromiumPath(), args: flags });

/**
 * Chromium with a profile that is kept, and that can be killed.
 * @param {string} profile a folder
 */
export async function launchChromiumAt(profile) {
  const port = join(profile, 'DevToolsActivePort');
  await rm(port, { force: true });
  const args = [...flags, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'];
  // A group of its own, so that no process of it is left behind.
  const main = spawn(chromiumPath(), args, { stdio: 'ignore', detached: true });
  const ended = new Promise((resolve) => main.on('exit', resolve));
  const kill = async () => {
    if (main.pid && main.exitCode === null && main.signalCode === null) process.kill(-main.pid, 'SIGKILL');
    await ended;
  };
  for (let tries = 0; ; tries++) {
    const [number, path] = (await readFile(port, 'utf8').catch(() => '')).split('\n');
    if (path) {
      const browser = await chromium.connectOverCDP(`ws://127.0.0.1:${number}${path}`);
      return { context: browser.contexts()[0], pid: main.pid, kill };
    }
    if (tries === 200) {
      await kill();
      throw new Error('Chromium has not started within 20 s');
    }
    await sleep(100);
  }
}

/** Firefox with a fresh profile. @param {Record<string, unknown>} [preferences] */
export const launchFirefox = (preferences = {}) =>
  puppeteer.launch({
    browser: 'firefox',
    protocol: 'webDriverBiDi',
    headless: true,
    executablePath: find(
      'FIREFOX',
      '/usr/bin/firefox-esr',
      'install Firefox (Debian: apt install firefox-esr)',
    ),
    extraPrefsFirefox: preferences,
  });
