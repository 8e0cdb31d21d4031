/** The browsers of this machine: nothing is downloaded. */
import { existsSync } from 'node:fs';
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

/** Chromium with a fresh profile. Every name under .test is this machine. */
export const launchChromium = () =>
  chromium.launch({
    executablePath: find('CHROMIUM', '/usr/bin/chromium', 'install Chromium (Debian: apt install chromium)'),
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP *.test 127.0.0.1',
    ],
  });

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
