/**
 * Draws the icons of the installed page from www/icon.svg: `node scripts/make-icons.js`, with Chromium.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { launchChromium } from '../tests/browser/browsers.js';

const root = resolve(import.meta.dirname, '..');
const svg = await readFile(`${root}/www/icon.svg`, 'utf8');
const drawing = `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
/** The colour of the icon's ground. */
const [, ground] = /** @type {RegExpMatchArray} */ (svg.match(/<rect[^>]*fill="([^"]+)"/));

await mkdir(`${root}/www/icons`, { recursive: true });
const browser = await launchChromium();
try {
  // A maskable icon has no corners of its own, and what is in it keeps within the middle 80 %.
  for (const { name, size, share, fill } of [
    { name: '192', size: 192, share: 1, fill: 'transparent' },
    { name: '512', size: 512, share: 1, fill: 'transparent' },
    { name: 'maskable-512', size: 512, share: 0.8, fill: ground },
    { name: 'apple-180', size: 180, share: 0.9, fill: ground },
  ]) {
    const page = await browser.newPage({ viewport: { width: size, height: size } });
    await page.setContent(
      `<body style="margin:0;height:100vh;display:grid;place-items:center;background:${fill}"><img src="${drawing}" width="${size * share}">`,
    );
    await page.locator('img').evaluate((image) => /** @type {HTMLImageElement} */ (image).decode());
    await page.screenshot({ path: `${root}/www/icons/${name}.png`, omitBackground: true });
    await page.close();
  }
} finally {
  await browser.close();
}
