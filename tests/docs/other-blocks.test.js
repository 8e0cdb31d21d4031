/** Runs the documentation's scripts for Node.js and its command lines, beside small models in the place of published ones. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { fileAt } from '../browser/harness.js';
import { executable, printed } from './pages.js';

const execute = promisify(execFile);
const folder = fileAt('target/docs-test/home');
const pictures = ['cat', 'dog', 'boat', 'coffee', 'insect'];

/** Folders that the command lines name, and what stands for them. @type {Record<string, string>} */
const models = {
  'siglip-base-patch16-224': 'www/models/tiny',
  'google/siglip-base-patch16-256': 'tests/fixtures/random-small',
  'models/siglip-base-patch16-224': 'www/models/tiny',
  'Fire-Detection-Siglip2': 'tests/fixtures/random-classifier',
  www: 'www',
};

before(async () => {
  await rm(folder, { recursive: true, force: true });
  for (const name of [
    'Pictures',
    'pictures',
    'my-site',
    'models',
    'google',
    'node_modules',
    'DIR_OF_CLASS_FOLDERS',
  ])
    await mkdir(join(folder, name), { recursive: true });
  for (const name of pictures) {
    const picture = fileAt(`www/samples/${name}.jpg`);
    for (const to of [
      `${name}.jpg`,
      `Pictures/${name}.jpg`,
      `pictures/${name}.jpg`,
      `DIR_OF_CLASS_FOLDERS/a ${name}/1.jpg`,
      `DIR_OF_CLASS_FOLDERS/a ${name}/2.jpg`,
    ])
      await cp(picture, join(folder, to));
  }
  for (const name of ['photo.jpg', 'other.jpg']) await cp(fileAt('www/samples/cat.jpg'), join(folder, name));
  for (const [name, path] of Object.entries(models)) await symlink(fileAt(path), join(folder, name));
  await symlink('DIR_OF_CLASS_FOLDERS', join(folder, 'DIR'));
  await symlink(fileAt('target/npm/siglip-web'), join(folder, 'node_modules/siglip-web'));
  await writeFile(
    join(folder, 'judged.tsv'),
    'cat.jpg\ta cat\tyes\ndog.jpg\ta cat\tno\nboat.jpg\ta cat\tno\ndog.jpg\ta dog\tyes\n',
  );
  await run('siglip', 'index', 'Pictures', '-o', 'INDEX');
});

/**
 * @param {string} program
 * @param {...string} parameters
 * @returns {Promise<string>} what it writes
 */
async function run(program, ...parameters) {
  const PATH = [fileAt('target/debug'), process.env.PATH].join(delimiter);
  try {
    const { stdout } = await execute(program, parameters, {
      cwd: folder,
      env: { ...process.env, PATH, HOME: folder },
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout: string, stderr: string}} */ (error);
    throw new Error(`${program} ${parameters.join(' ')}:\n${stdout}\n${stderr}`, { cause: error });
  }
}

test('README.md names every command of siglip', async () => {
  const commands = (await run('siglip', '--help')).matchAll(/^ {2}([a-z]+) {2,}/gm);
  const written = /^`siglip classify`, .*$/m.exec(await readFile(fileAt('README.md'), 'utf8'))?.[0] ?? '';
  const named = [...written.split(';')[0].matchAll(/`(?:siglip )?([a-z]+)`/g)].map(([, name]) => name);
  const own = [...commands].map(([, name]) => name).filter((name) => name !== 'help');
  assert.deepEqual(named.sort(), own.sort());
});

for (const { at, code } of executable('js')) {
  if (!code.includes('siglip-web/node')) continue;
  test(`${at}, a script for Node.js`, async () => {
    await writeFile(join(folder, 'block.mjs'), code);
    const output = await run(process.execPath, 'block.mjs');
    if (printed(code).length) assert.deepEqual(output.trim().split('\n'), printed(code));
    else assert.match(output, /a cat/);
  });
}

for (const { at, code } of executable('sh')) {
  test(`${at}, a command line`, async () => {
    // What is in brackets may be left out.
    await writeFile(join(folder, 'block.sh'), code.replace(/ \[--[^\]]*\]/g, ''));
    await run('bash', '-e', 'block.sh');
  });
}
