/**
 * Runs test files: node tests/run.js [--concurrency 2] [--timeout 900] FILE...
 *
 * A file that failed is run once more by itself. Beside others, and beside compilers, a browser can be kept from working for many
 * seconds. What passes then is named at the end: it deserves a look, but does not fail the run. Where more than three files fail,
 * something is wrong. A file that has not ended after so many seconds has failed: the slowest takes a third of them beside compilers.
 */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { run } from 'node:test';
import { tap } from 'node:test/reporters';
import { parseArgs } from 'node:util';

/** The most files that are run once more. */
const MOST = 3;

const { values, positionals } = parseArgs({
  options: {
    concurrency: { type: 'string', default: '2' },
    timeout: { type: 'string', default: '900' },
  },
  allowPositionals: true,
});
const timeout = 1000 * Number(values.timeout);

/**
 * @param {string[]} files
 * @param {number} concurrency
 * @returns {Promise<Map<string, string[]>>} the names of the tests that failed, by file
 */
async function failuresOf(files, concurrency) {
  /** @type {Map<string, string[]>} */
  const failures = new Map();
  const tests = run({ files, concurrency, timeout });
  tests.on('test:fail', ({ file, name, todo }) => {
    if (todo !== undefined && todo !== false) return;
    // A file that ends before its tests do is a failed test of that name.
    const path = resolve(file ?? name);
    failures.set(path, [...(failures.get(path) ?? []), name]);
  });
  const output = tests.compose(tap);
  output.pipe(process.stdout, { end: false });
  await once(output, 'end');
  return failures;
}

const first = await failuresOf(
  positionals.map((file) => resolve(file)),
  Number(values.concurrency),
);
const isWorthIt = first.size > 0 && first.size <= MOST;
const again = isWorthIt ? await failuresOf([...first.keys()], 1) : first;
for (const [file, names] of first) {
  const result = again.has(file) ? 'failed' : 'passed when its file ran by itself';
  for (const name of names) console.log(`# ${result}: ${name} (${file})`);
}
// Without this, Node.js waits for every process that a file has left behind, as these hold its output open.
process.exit(again.size ? 1 : 0);
