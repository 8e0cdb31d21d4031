/** The visitor's own files and folders: models, pictures, and other files. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { browserOfTests, onlyChromium } from './browsers.js';
import { Harness, assertClose, fileAt, problemsOf } from './harness.js';
import { cardOf, drop, dropFromDisk, labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
const TINY = 'www/models/tiny';
const SMALL = 'tests/fixtures/random-small';
const tinyFiles = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];

/** A folder on disk for one test. */
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip-own-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function open() {
  const page = await harness.open();
  await labelsOf(page, 'insect.jpg');
  return page;
}

/** Waits until the model with this name answers. @param {Page} page @param {string} name */
const modelNamed = (page, name) =>
  page
    .locator('#model-name')
    .filter({ hasText: new RegExp(`^${name}$`) })
    .waitFor();

test('a dropped .gguf becomes the model, and a picture dropped with it is classified', async () => {
  const page = await open();
  await drop(page, [`${SMALL}/model.f16.gguf`, 'www/samples/dog.jpg']);
  await modelNamed(page, 'model.f16.gguf');
  assert.equal((await labelsOf(page, 'dog.jpg')).length, 5);
  assert.deepEqual(await problemsOf(page), []);
});

test('weights with their JSON files become the model, whatever the weights are called', async () => {
  const page = await open();
  const small = tinyFiles.slice(0, 3).map((name) => `${SMALL}/${name}`);
  await drop(page, [...small, `${SMALL}/model.f16.safetensors`]);
  await modelNamed(page, 'model.f16.safetensors');
  // The next files are another model, though they are called the same.
  await drop(
    page,
    tinyFiles.map((name) => `${TINY}/${name}`),
  );
  await modelNamed(page, 'model.safetensors');
  await drop(page, ['www/samples/cat.jpg']);
  assert.equal((await labelsOf(page, 'cat.jpg'))[0], 'a cat');
});

test("weights of open_clip's become the model", async () => {
  const page = await open();
  const names = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'open_clip_model.safetensors'];
  await drop(
    page,
    names.map((name) => `tests/fixtures/random-open-clip/${name}`),
  );
  await modelNamed(page, 'open_clip_model.safetensors');
  assert.deepEqual(await problemsOf(page), []);
});

test('open_clip itself answers the same: cleaned texts, exact GELU, pictures, with and without a projection', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  for (const kind of ['open-clip', 'open-clip-i18n']) {
    const { texts, text_embeds, pictures, picture_embeds } = JSON.parse(
      await readFile(fileAt(`tests/parity/model-random-${kind}.json`), 'utf8'),
    );
    const found = await page.evaluate(
      async ({ kind, texts, sides }) => {
        const { Siglip } = await import('/www/siglip.js');
        const { recordedPictures } = await import('/tests/browser/pages/recorded-pictures.js');
        const siglip = await Siglip.load(`/tests/fixtures/random-${kind}/`, { precision: 'f32' });
        const embeddings = [
          ...(await siglip.embedText(texts)),
          ...(await siglip.embedImage(recordedPictures(sides))),
        ];
        siglip.dispose();
        return embeddings.map((embedding) => [...embedding]);
      },
      { kind, texts: /** @type {string[]} */ (texts), sides: /** @type {number[][]} */ (pictures) },
    );
    const expected = [...text_embeds, ...picture_embeds];
    assert.equal(found.length, expected.length);
    for (const [n, embedding] of found.entries()) {
      embedding.forEach((value, i) => assertClose(value, expected[n][i], 1e-5, `${kind}, input ${n}`));
    }
  }
});

test("a folder of open_clip's without config.json is read, and a model that is no SigLIP is refused by its field", async () => {
  const page = await open();
  const failure = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const load = Siglip.load('/tests/fixtures/open-clip-of-another-kind/', { cache: false });
    return load.then(
      () => null,
      (/** @type {any} */ { code, message }) => ({ code, message }),
    );
  });
  assert.equal(failure?.code, 'unsupported-model');
  assert.match(failure?.message ?? '', /vision_cfg\.timm_model_name/);
});

test(
  'weights that PyTorch has pickled are refused with the lines that convert them',
  onlyChromium('chooses folders'),
  async () => {
    const page = await open();
    await writeFile(
      join(folder, 'pytorch_model.bin'),
      Buffer.from('PK\x03\x04' + 'archive/data.pkl'.padStart(60), 'latin1'),
    );
    for (const name of ['config.json', 'preprocessor_config.json', 'tokenizer.json']) {
      await cp(fileAt(`${SMALL}/${name}`), join(folder, name));
    }
    await page.getByText('Use another model').click();
    await page.locator('#model').selectOption('custom');
    await page.locator('#model-folder').setInputFiles(folder);
    const alert = page.locator('#model-error');
    await alert.waitFor();
    assert.match(
      (await alert.textContent()) ?? '',
      /pytorch_model\.bin.*a pickle is a program.*save_file.*The previous model still answers/,
    );
  },
);

test('a repository with nothing but pickled weights is refused with those lines too', async () => {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  for (const pickle of ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'open_clip_pytorch_model.bin']) {
    harness.server.intercept = (path, response) => {
      const [, repository, name] = /^\/(someone\/finetune)\/resolve\/main\/(.*)/.exec(path) ?? [];
      if (!repository) return false;
      if (name === pickle) return void response.end('PK\x03\x04' + 'archive/data.pkl'.padStart(60));
      if (!tinyFiles.slice(0, 3).includes(name)) return void response.writeHead(404).end();
      return void readFile(fileAt(`${SMALL}/${name}`)).then((file) => response.end(file));
    };
    const failure = await page.evaluate(async (baseUrl) => {
      const { Siglip } = await import('/www/siglip.js');
      return Siglip.load('someone/finetune', { baseUrl }).then(
        () => 'loaded',
        (/** @type {any} */ { code, message }) => `${code}: ${message}`,
      );
    }, harness.server.origin);
    assert.match(failure, new RegExp(`^bad-weights: .*/${pickle}: .*a pickle is a program.*save_file`));
  }
});

test(
  'a dropped folder of a model that keeps the aspect becomes the model',
  onlyChromium('drops folders'),
  async () => {
    await cp(fileAt('tests/fixtures/random-naflex'), join(folder, 'naflex'), { recursive: true });
    const page = await open();
    await dropFromDisk(page, [join(folder, 'naflex')]);
    await modelNamed(page, 'naflex');
    await drop(page, ['www/samples/boat.jpg']);
    assert.equal((await labelsOf(page, 'boat.jpg')).length, 5);
    assert.deepEqual(await problemsOf(page), []);
  },
);

test(
  'a dropped folder with a config.json becomes the model, named by the folder',
  onlyChromium('drops folders'),
  async () => {
    await cp(fileAt(TINY), join(folder, 'my model'), { recursive: true });
    await cp(fileAt('www/samples/dog.jpg'), join(folder, 'my model', 'example.jpg'));
    const page = await open();
    await dropFromDisk(page, [join(folder, 'my model')]);
    await modelNamed(page, 'my model');
    assert.equal(await page.locator('#cards > li').count(), 1, 'a picture in its folder belongs to it');
    assert.deepEqual(await problemsOf(page), []);
  },
);

test('files and folders are opened from the chooser, in the precision chosen there', async () => {
  const page = await open();
  await page.getByText('Use another model').click();
  await page.locator('#model').selectOption('custom');
  await page.getByLabel('32-bit').check();
  if (browserOfTests.name === 'chromium') {
    await page.locator('#model-folder').setInputFiles(fileAt(TINY));
    await modelNamed(page, 'tiny');
    await page.getByText('32-bit weights').waitFor();
    await page.getByText('Use another model').click();
  }
  await page.locator('#model-files').setInputFiles(fileAt('www/samples/cat.jpg'));
  const alert = page.locator('#model-error');
  await alert.waitFor();
  assert.match((await alert.textContent()) ?? '', /no model among these files: cat\.jpg/);
  await page.locator('#model-files').setInputFiles(fileAt(`${SMALL}/model.f16.gguf`));
  await modelNamed(page, 'model.f16.gguf');
  assert.ok(await alert.isHidden());
});

test(
  'every picture of a dropped folder is classified, also in nested folders',
  onlyChromium('drops folders'),
  async () => {
    const deep = join(folder, 'holiday', 'boats');
    await mkdir(deep, { recursive: true });
    await cp(fileAt('www/samples/cat.jpg'), join(folder, 'holiday', 'cat.jpg'));
    await cp(fileAt('www/samples/boat.jpg'), join(deep, 'boat.jpg'));
    await writeFile(join(folder, 'holiday', 'notes.txt'), 'nothing to see');
    const page = await open();
    await dropFromDisk(page, [join(folder, 'holiday'), fileAt('www/samples/dog.jpg')]);
    for (const name of ['cat', 'boat', 'dog'])
      assert.equal((await labelsOf(page, `${name}.jpg`))[0], `a ${name}`);
    assert.equal(await page.locator('#cards > li').count(), 3);
  },
);

test('files that are neither pictures nor a model are reported, and so is an incomplete model', async () => {
  const page = await open();
  const alert = page.locator('#intake-error');
  const complaint = async (/** @type {string[]} */ paths) => {
    await drop(page, paths);
    await alert.waitFor();
    return (await alert.textContent()) ?? '';
  };
  const names = ['README.md', 'package.json', 'Cargo.lock', 'Cargo.toml'];
  assert.match(
    await complaint(names),
    /neither a picture nor a model .*: README\.md, package\.json, Cargo\.lock and 1 more\./,
  );
  assert.match(await complaint([`${TINY}/model.safetensors`]), /model\.safetensors needs config\.json/);
  assert.match(
    await complaint([`${SMALL}/model.f16.gguf`, `${SMALL}/model.f16.gguf`]),
    /several models .* take one/,
  );
  await drop(page, ['www/samples/cat.jpg']);
  await cardOf(page, 'cat.jpg').waitFor();
  assert.ok(await alert.isHidden(), 'once something of use has come');

  // The engine itself says what is missing beside a config.json.
  await drop(page, [`${TINY}/config.json`, `${TINY}/model.safetensors`]);
  await page.locator('#model-error').waitFor();
  assert.match(
    (await page.locator('#model-error').textContent()) ?? '',
    /preprocessor_config\.json is missing .* The previous model still answers/,
  );
});
