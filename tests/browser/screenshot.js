/**
 * Takes the pictures of the documents: `node tests/browser/screenshot.js`, after `npm install` and a build. Arguments name some
 * of them, such as `calibration`; `--look` takes what the tests of looks want to see: a phone, and the dark colours.
 */
import { launchChromium } from './browsers.js';
import { fileAt, openIn } from './harness.js';
import { Server } from './server.js';
import { labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

/** @param {Page} page @param {string[]} names */
async function show(page, names) {
  // By then the page takes files.
  await labelsOf(page, 'insect.jpg');
  await page
    .getByLabel('Choose pictures')
    .setInputFiles(names.map((name) => fileAt(`www/samples/${name}.jpg`)));
  for (const name of names) await labelsOf(page, `${name}.jpg`);
  // The bars grow for a moment.
  await page.waitForTimeout(500);
}

const results = (/** @type {Page} */ page) => page.locator('section', { has: page.locator('#tune') }).last();

/** What each picture shows, by its name. @type {Record<string, (page: Page, path: string) => Promise<unknown>>} */
const pictures = {
  async screenshot(page, path) {
    await show(page, ['boat', 'coffee']);
    await page.screenshot({ path, fullPage: true });
  },

  async bias(page, path) {
    await show(page, ['cat']);
    await page.getByText('Adjust the scores').click();
    await page.locator('#bias').fill('4');
    await page.getByText('With your own bias of +4').waitFor();
    await page.waitForTimeout(500);
    await results(page).screenshot({ path });
  },

  async calibration(page, path) {
    const names = ['boat', 'cat', 'coffee'];
    await show(page, names);
    await page.getByText('Adjust the scores').click();
    await page.getByRole('button', { name: 'Judge a few answers' }).click();
    const panel = page.locator('.calibration');
    await panel.waitFor();
    for (const answer of await panel.getByRole('group').all()) {
      const about = (await answer.locator('legend').getAttribute('aria-label')) ?? '';
      const [picture, label] = about.split(': ');
      await answer.getByLabel(label.includes(picture.slice(0, -'.jpg'.length)) ? 'Yes' : 'No').check();
    }
    await panel.getByRole('button', { name: 'Fit the scores' }).click();
    await panel.getByRole('img', { name: 'Reliability' }).waitFor();
    await page.waitForTimeout(500);
    await panel.screenshot({ path });
  },
};

const wanted = process.argv.slice(2).filter((name) => pictures[name]);
const looks = process.argv.includes('--look')
  ? [
      { folder: '/tmp/', viewport: { width: 390, height: 844 }, colorScheme: /** @type {const} */ ('dark') },
      {
        folder: '/tmp/wide-',
        viewport: { width: 1280, height: 900 },
        colorScheme: /** @type {const} */ ('dark'),
      },
    ]
  : [
      {
        folder: fileAt('docs/'),
        viewport: { width: 1280, height: 900 },
        colorScheme: /** @type {const} */ ('light'),
      },
    ];
const server = await Server.start();
const browser = await launchChromium();
try {
  for (const { folder, viewport, colorScheme } of looks) {
    for (const name of wanted.length ? wanted : Object.keys(pictures)) {
      const context = await browser.newContext({ viewport, deviceScaleFactor: 0.75, colorScheme });
      await pictures[name](await openIn(context, `${server.origin}/`), `${folder}${name}.png`);
      await context.close();
    }
  }
} finally {
  await browser.close();
  await server.close();
}
