/** `source`: the smaller files of a published checkpoint, and the question about them on a metered or slow connection. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { onlyChromium } from '../browsers.js';
import { Harness, fileAt, openIn, problemsOf } from '../harness.js';
import { small } from './fake-hub.js';

/** @typedef {import('../harness.js').Page} Page */
/** @typedef {import('/www/lib/source.js').Connection} Connection */
/** @typedef {import('/www/siglip.js').LoadOptions} LoadOptions */

const harness = new Harness();
const google = 'google/siglip-base-patch16-224';
const xenova = 'Xenova/siglip-base-patch16-224';
const { 'model.safetensors': original, ...smallFiles } = small;
const towers = ['onnx/vision_model_quantized.onnx', 'onnx/text_model_quantized.onnx'];
const quantized = Object.fromEntries(
  towers.map((name) => [name, readFileSync(fileAt(`tests/fixtures/random-small/${name}`))]),
);
const files = /** @type {Record<string, Buffer>} */ ({
  ...Object.fromEntries(
    Object.entries(smallFiles).flatMap(([name, body]) => [
      [`${google}/${name}`, body],
      [`${xenova}/${name}`, body],
    ]),
  ),
  [`${google}/model.safetensors`]: original,
  ...Object.fromEntries(Object.entries(quantized).map(([name, body]) => [`${xenova}/${name}`, body])),
});

/**
 * A page on such a connection, with a hub that has both repositories.
 * @param {Connection} connection
 * @param {{path?: string, options?: import('playwright-core').BrowserContextOptions}} [options]
 */
async function open(connection, { path = '/tests/browser/pages/blank.html', options } = {}) {
  const blank = await harness.open({ path: '/tests/browser/pages/blank.html', options });
  const context = blank.context();
  /** @type {string[]} */
  const log = [];
  await context.addInitScript((connection) => {
    Object.defineProperty(navigator, 'connection', { value: connection });
  }, connection);
  await context.route('https://huggingface.co/**', (route) => {
    const { pathname } = new URL(route.request().url());
    const [, id, name] = /^\/(.*?\/.*?)\/resolve\/\w+\/(.*)$/.exec(pathname) ?? [];
    log.push(id);
    const body = files[`${id}/${name}`];
    const headers = { 'access-control-allow-origin': '*' };
    return route.fulfill(body ? { body, headers } : { status: 404, headers });
  });
  const page = await openIn(context, `${harness.server.origin}${path}`);
  return { page, log };
}

/**
 * Loads google's checkpoint, with this answer to a question about it.
 * @param {Page} page
 * @param {LoadOptions} options
 * @param {'small' | 'original' | ''} [answer]
 */
const load = (page, options, answer) =>
  page.evaluate(
    async ({ google, options, answer }) => {
      const { Siglip } = await import('/www/siglip.js');
      /** @type {unknown[]} */
      const asked = [];
      try {
        const siglip = await Siglip.load(google, {
          workers: 1,
          ...options,
          ...(answer !== undefined && {
            chooseSource: (choice) => {
              asked.push(choice);
              return answer || undefined;
            },
          }),
        });
        siglip.dispose();
        return { model: siglip.info.model, asked };
      } catch (error) {
        return { model: /** @type {import('/www/siglip.js').SiglipError} */ (error).code, asked };
      }
    },
    { google, options, answer },
  );

test(
  'source "auto" asks on a metered or slow connection, and takes what was chosen',
  onlyChromium('answers for huggingface.co'),
  async () => {
    const costly = [
      { saveData: true, effectiveType: '4g', downlink: 10 },
      { effectiveType: '3g', downlink: 1.4 },
      { effectiveType: 'slow-2g' },
      { effectiveType: '4g', downlink: 0.7 },
      { type: 'cellular', effectiveType: '4g', downlink: 10 },
    ];
    const choice = { model: google, original: 815e6, small: 213e6 };
    const { page, log } = await open({});
    const set = (/** @type {Connection} */ connection) =>
      page.evaluate((connection) => {
        const shown = /** @type {any} */ (navigator).connection;
        for (const name of Object.keys(shown)) delete shown[name];
        Object.assign(shown, connection);
      }, connection);
    for (const connection of costly) {
      await set(connection);
      const { model, asked } = await load(page, { source: 'auto' }, '');
      assert.deepEqual([model, asked], ['aborted', [choice]], JSON.stringify(connection));
    }
    assert.equal(log.join(), '', 'nothing is fetched before the answer');

    for (const connection of [{}, { saveData: false, effectiveType: '4g', downlink: 1.45 }]) {
      await set(connection);
      const { model, asked } = await load(page, { source: 'auto', cache: false }, 'small');
      assert.deepEqual([model, asked], [google, []], JSON.stringify(connection));
    }
    await set({ saveData: true });
    for (const source of /** @type {const} */ ([undefined, 'original'])) {
      assert.deepEqual(await load(page, { source, cache: false }, 'small'), { model: google, asked: [] });
    }
    assert.ok(!log.includes(xenova));
    assert.deepEqual(await load(page, { source: 'auto', cache: false }, 'original'), {
      model: google,
      asked: [choice],
    });
    // Without a function that asks, the browser's own dialog does.
    /** @type {string[]} */
    const dialogs = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.message());
      void (dialogs.length > 1 ? dialog.accept() : dialog.dismiss());
    });
    assert.equal((await load(page, { source: 'auto', cache: false })).model, google);
    assert.equal((await load(page, { source: 'auto' })).model, xenova);
    assert.match(dialogs.join(), /in 8 bits, 213 MB in place of 815 MB/);
    assert.equal(dialogs.length, 2);
    // Now the small files are on the device.
    assert.deepEqual(await load(page, { source: 'auto' }, 'original'), { model: xenova, asked: [] });
    assert.deepEqual(await load(page, { source: 'small' }), { model: xenova, asked: [] });
    assert.equal((await load(page, { source: /** @type {any} */ ('tiny') })).model, 'bad-input');
  },
);

test(
  'the page asks in one sentence with both sizes before it loads',
  onlyChromium('answers for huggingface.co'),
  async () => {
    const { page, log } = await open({ saveData: true, effectiveType: '4g' }, { path: '/' });
    const press = async () => {
      const chooser = page.locator('#chooser');
      if (!(await chooser.evaluate((details) => /** @type {HTMLDetailsElement} */ (details).open)))
        await page.getByText('Use another model').click();
      await page.locator('#model').selectOption(google);
      await page.getByRole('button', { name: 'Load this model' }).click();
    };
    await page.locator('#model-name', { hasText: 'Tiny' }).waitFor();
    await press();
    const dialog = page.getByRole('dialog', { name: /213 MB in place of 815 MB/ });
    await dialog.waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    await press();
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(log.join(), '');
    await press();
    await dialog.getByRole('button', { name: 'Load 213 MB' }).click();
    await page.locator('#model-name', { hasText: 'Base, 224 px, in 8 bits' }).waitFor();
    assert.ok(log.includes(xenova));
    assert.deepEqual(await problemsOf(page), []);
  },
);
