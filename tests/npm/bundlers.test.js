/** The package in the projects of examples/npm/, each built by its own bundler and opened in Chromium. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { launchChromiumAt } from '../browser/browsers.js';
import { Harness, fileAt, problemsOf } from '../browser/harness.js';
import { install, projects, run } from './projects.js';
import { serve } from './site.js';

const harness = new Harness();
before(install);

/**
 * Chooses two pictures on a page of examples/npm/. The second one needs the decoders of rare formats.
 * @param {import('playwright-core').Page} page
 */
async function classifies(page) {
  const output = page.locator('output');
  await output.getByText('Ready.').waitFor();
  for (const [picture, label] of [
    ['www/samples/cat.jpg', 'a cat'],
    ['tests/fixtures/pictures/rare/boat.tif', 'a boat'],
  ]) {
    await page.getByLabel('A picture', { exact: true }).setInputFiles(fileAt(picture));
    await output.getByText(new RegExp(`^\\s*${label}: 0\\.\\d+`)).waitFor();
  }
  assert.deepEqual(await problemsOf(page), []);
}

/** A fresh page. @param {string} url */
async function open(url) {
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  await page.goto(url);
  return page;
}

for (const bundler of ['vite', 'webpack', 'esbuild', 'rollup', 'parcel', 'next']) {
  test(`${bundler} bundles the package without settings`, async () => {
    await run(bundler, 'npm', 'run', 'build');
    const site = await serve(join(projects, bundler, 'dist'));
    try {
      await classifies(await open(`${site.origin}/`));
      // One build of the engine, and the decoders of rare formats for the second picture.
      assert.equal(site.log.filter((path) => path.endsWith('.wasm')).length, 2);
    } finally {
      site.close();
    }
  });
}

for (const framework of ['react', 'vue']) {
  test(`${framework} sets the element's properties and hears its events`, async () => {
    await run(framework, 'npm', 'run', 'build');
    const site = await serve(join(projects, framework, 'dist'));
    try {
      const page = await open(`${site.origin}/`);
      await page.locator('siglip-classifier input[type=file]').setInputFiles(fileAt('www/samples/cat.jpg'));
      await page.locator('output').getByText('a cat').waitFor();
      await page.getByRole('button', { name: 'Other labels' }).click();
      await page.locator('output').getByText('an animal').waitFor();
      assert.deepEqual(await page.locator('siglip-classifier [part=label]').allTextContents(), ['an animal']);
      assert.deepEqual(await problemsOf(page), []);
    } finally {
      site.close();
    }
  });
}

test('a bundle without the embedded model says which line it lacks', async () => {
  await mkdir(join(projects, 'without-tiny'));
  await writeFile(
    join(projects, 'without-tiny/main.js'),
    `import { Siglip } from 'siglip-web';
     Siglip.load().catch((error) => (document.body.textContent = error.code + ': ' + error.message));`,
  );
  await writeFile(
    join(projects, 'without-tiny/index.html'),
    '<body><script type="module" src="bundled.js"></script>',
  );
  await run('without-tiny', 'esbuild', 'main.js', '--bundle', '--format=esm', '--outfile=bundled.js');
  const site = await serve(join(projects, 'without-tiny'));
  try {
    const page = await open(`${site.origin}/`);
    await page
      .getByText(
        "bad-input: The embedded model is not in this bundle. Add the line `import 'siglip-web/tiny';`",
      )
      .waitFor();
  } finally {
    site.close();
  }
});

test("Vite's development server serves the package", async () => {
  const port = 5177;
  const dev = spawn(
    join(projects, 'node_modules/.bin/vite'),
    ['--port', `${port}`, '--strictPort', '--host', '127.0.0.1'],
    {
      cwd: join(projects, 'vite'),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  try {
    await new Promise((resolve, reject) => {
      dev.stdout.on('data', (text) => String(text).includes('ready in') && resolve(undefined));
      dev.on('exit', reject);
    });
    await classifies(await open(`http://127.0.0.1:${port}/`));
  } finally {
    dev.kill();
  }
});

test('an import map needs no bundler', async () => {
  const folder = join(projects, 'import-map');
  await cp(join(projects, 'node_modules/siglip-web'), join(folder, 'siglip-web'), { recursive: true });
  const site = await serve(folder);
  try {
    const page = await open(`${site.origin}/`);
    await classifies(page);
    await page.locator('siglip-classifier').getByText('Ready.').waitFor();
  } finally {
    site.close();
  }
});

test('a page loads the elements from another origin', async () => {
  const cdn = await serve(join(projects, 'node_modules/siglip-web'), { 'access-control-allow-origin': '*' });
  try {
    const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
    await page.evaluate(async (origin) => {
      await import(`${origin}/element.js`);
      document.body.innerHTML =
        '<siglip-classifier labels="a cat, a boat" loading="eager"></siglip-classifier>';
    }, cdn.origin);
    const element = page.locator('siglip-classifier');
    await element.locator('input[type=file]').setInputFiles(fileAt('www/samples/cat.jpg'));
    assert.equal(await element.locator('[part~=label]').first().textContent(), 'a cat');
    const found = await page.evaluate(async (origin) => {
      const { SiglipSearch } = await import(`${origin}/search.js`);
      const search = Object.assign(new SiglipSearch(), { index: '/examples/search/pictures.siglip-index' });
      document.body.append(search);
      return (await search.search('a boat'))[0].name;
    }, cdn.origin);
    assert.equal(found, 'boat.jpg');
    assert.deepEqual(await problemsOf(page), []);
  } finally {
    cdn.close();
  }
});

test('the page of a browser extension (Manifest V3)', async () => {
  const folder = join(projects, 'extension');
  await cp(join(projects, 'node_modules/siglip-web'), join(folder, 'siglip-web'), { recursive: true });
  const profile = join(projects, 'extension-profile');
  const { context, kill } = await launchChromiumAt(profile, [
    `--load-extension=${folder}`,
    '--disable-features=DisableLoadExtensionCommandLineSwitch',
  ]);
  try {
    const page = await context.newPage();
    await page.goto('chrome://extensions');
    const id = await page.locator('extensions-item', { hasText: 'siglip-web' }).getAttribute('id');
    await page.goto(`chrome-extension://${id}/index.html`);
    await classifies(page);
  } finally {
    await kill();
    await rm(profile, { recursive: true, force: true });
  }
});
