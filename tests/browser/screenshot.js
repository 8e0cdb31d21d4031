/**
 * Takes the README's picture: `node tests/browser/screenshot.js`, after `npm install` and a build.
 */
import { launchChromium } from './browsers.js';
import { fileAt, openIn } from './harness.js';
import { Server } from './server.js';
import { labelsOf } from './page-actions.js';

const server = await Server.start();
const browser = await launchChromium();
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    deviceScaleFactor: 0.75,
    colorScheme: 'light',
  });
  const page = await openIn(context, `${server.origin}/`);
  await page
    .getByLabel('Choose pictures')
    .setInputFiles(['boat', 'coffee'].map((name) => fileAt(`www/samples/${name}.jpg`)));
  await labelsOf(page, 'boat.jpg');
  await labelsOf(page, 'coffee.jpg');
  // The bars grow for a moment.
  await page.waitForTimeout(500);
  await page.screenshot({ path: fileAt('docs/screenshot.png'), fullPage: true });
} finally {
  await browser.close();
  await server.close();
}
