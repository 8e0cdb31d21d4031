/** What the tests of an index begin with: a blank page, its model and its files. */

/** A page with nothing on it. */
export const BLANK = '/tests/browser/pages/blank.html';

/**
 * Gives the page `filesOf` and `siglip`.
 * @param {import('playwright-core').Page} page
 * @param {string} model
 */
export async function prepare(page, model = 'tiny') {
  await page.evaluate(async (model) => {
    const { Siglip } = await import('/www/siglip.js');
    const globals = /** @type {any} */ (globalThis);
    globals.siglip = await Siglip.load(model, { workers: 1 });
    globals.filesOf = (/** @type {string[]} */ names) =>
      Promise.all(
        names.map(async (name) => {
          const blob = await (await fetch(`/www/samples/${name}.jpg`)).blob();
          return new File([blob], `${name}.jpg`, { lastModified: 1000 });
        }),
      );
  }, model);
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} body of an async function
 * @returns {Promise<any>}
 */
export const run = (page, body) => page.evaluate(`(async () => {${body}})()`);
