import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const runner = fileURLToPath(new URL('../run.js', import.meta.url));

/**
 * Runs test files of these contents, each for so many seconds at most. They may write to the folder in which they are run.
 * @param {number} seconds
 * @param {string[]} contents
 */
function runWithin(seconds, ...contents) {
  const folder = mkdtempSync(join(tmpdir(), 'siglip-run-'));
  const files = contents.map((content, i) => {
    const file = join(folder, `${i}.test.mjs`);
    writeFileSync(file, `import { test } from 'node:test'; import fs from 'node:fs'; ${content}`);
    return file;
  });
  // The variable that node --test gives its files would have the runner run none.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [runner, '--timeout', String(seconds), ...files], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 90_000,
  });
  rmSync(folder, { recursive: true });
  return { status, stdout };
}

/** @param {string[]} contents */
const run = (...contents) => runWithin(900, ...contents);

const passes = `test('passes', () => {});`;
const fails = `test('fails', () => { throw new Error('no'); });`;
/** Fails in its first run. */
const failsOnce = `test('fails once', () => { const was = fs.existsSync('ran'); fs.writeFileSync('ran', ''); if (!was) throw new Error('no'); });`;

test('what fails beside others and passes by itself is named', () => {
  const { status, stdout } = run(passes, failsOnce);
  assert.match(stdout, /^# passed when its file ran by itself: fails once /m);
  assert.equal(status, 0);
});

test('what fails twice fails the run', () => {
  const { status, stdout } = run(passes, fails, failsOnce);
  assert.match(stdout, /^# failed: fails /m);
  assert.match(stdout, /^# passed when its file ran by itself: fails once /m);
  assert.equal(status, 1);
});

test('a file that ends before its tests fails the run', () => {
  assert.equal(run(passes, 'process.exit(3);').status, 1);
});

test('a file that does not end fails, even if another program holds its output open', () => {
  const leaves = `import { spawn } from 'node:child_process';
    test('leaves a program', () => { spawn('sleep', ['100'], { stdio: 'inherit' }); });`;
  const { status, stdout } = runWithin(8, passes, leaves);
  assert.match(stdout, /^# failed: .*\.test\.mjs /m);
  assert.equal(status, 1);
});

test('where many files fail none is run again', () => {
  const { status, stdout } = run(failsOnce, fails, fails, fails);
  assert.equal(stdout.match(/^not ok/gm)?.length, 4);
  assert.equal(status, 1);
});

test('a run without a failure says nothing of failures', () => {
  const { status, stdout } = run(passes, passes);
  assert.doesNotMatch(stdout, /failed|ran by itself/);
  assert.equal(status, 0);
});

test('docs/reliability.md names the suites that run in three browsers, and README.md their number', () => {
  const read = (/** @type {string} */ path) =>
    readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const { scripts } = JSON.parse(read('package.json'));
  const [firefox, webkit] = ['firefox', 'webkit'].map((browser) =>
    scripts[`test:${browser}`].match(/[a-z/*-]+(?=\.test\.js)/g),
  );
  assert.deepEqual(firefox, webkit);
  const [sentence] = /and these in Firefox[^]*? Of/.exec(read('docs/reliability.md')) ?? [''];
  assert.deepEqual(
    [...sentence.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    firefox,
  );
  const numbers = { 15: 'fifteen', 16: 'sixteen', 17: 'seventeen', 18: 'eighteen', 19: 'nineteen' };
  const number = numbers[/** @type {keyof typeof numbers} */ (firefox.length)];
  assert.match(read('README.md'), new RegExp(`${number} suites also in Firefox`));
});
