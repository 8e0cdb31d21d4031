/**
 * Drives bench/gpu.html in headless Chromium: node bench/run-gpu.js --address URL --model DIR [--peer HOME] [--runs N] [--only NAME]
 * [--json] [--record]. `cargo xtask bench --gpu` prepares what it needs. DIR and the peer's files are below the server's root.
 */
import { parseArgs } from 'node:util';
import { launchChromiumWithGpu } from '../tests/browser/browsers.js';
import { printGpuTable } from './gpu/table.js';
import { slug, writeRecord } from './record.js';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    peer: { type: 'string' },
    runs: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

const query = new URLSearchParams({
  start: '1',
  model: `/${values.model}/`,
  runs: values.runs,
  rounds: values.rounds,
  only: values.only,
});
if (values.peer) {
  const [host, name] = [values.model.slice(0, values.model.lastIndexOf('/')), values.model.split('/').at(-1)];
  for (const [key, value] of Object.entries({
    peer: '1',
    script: `/${values.peer}/transformers.min.js`,
    wasm: `/${values.peer}/`,
    host: `/${host}/`,
    'peer-model': `${name}`,
    fused: 'fused',
  })) {
    query.set(key, value);
  }
}
const browser = await launchChromiumWithGpu(`${values.address}bench/gpu.html`);
try {
  const page = await browser.newPage();
  await page.exposeFunction('onLine', (/** @type {string} */ line) => process.stderr.write(`▸ ${line}\n`));
  await page.goto(`${values.address}bench/gpu.html?${query}`);
  await page.waitForFunction('window.report', undefined, { timeout: 0 });
  const report = await page.evaluate('window.report');
  if (report.error) throw new Error(report.error);
  if (values.json) console.log(JSON.stringify(report, null, 1));
  else printGpuTable(report);
  if (values.record) keep(report);
} finally {
  await browser.close();
}

/**
 * Writes bench/records/gpu/<adapter>/<date>.json. The second record of a day replaces the first.
 * @param {Awaited<ReturnType<typeof import('./gpu/benchmark.js').benchmark>>} report
 */
function keep(report) {
  const { vendor, architecture, description, software } = report.adapter;
  if (software) throw new Error('a software adapter: nothing is recorded');
  const adapter = slug([vendor, architecture, description].join(' '));
  writeRecord(`gpu/${adapter}/${report.date.slice(0, 10)}`, report);
}
