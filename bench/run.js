/**
 * Drives the benchmark in headless Chromium: node bench/run.js --plain URL --isolated URL --picture FILE --model DIR
 * [--peer] [--runs N] [--only NAME] [--json] [--record]. `cargo xtask bench` prepares what it needs.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { withPage } from './browser.js';
import { towerOperations } from './kernel.js';
import { reportOf, slug, writeRecord } from './record.js';
import { printTable } from './table.js';

/** Another engine, with the options of bench/peer/run.sh. @typedef {{engine: 'transformers' | 'litert', dtype: string, threads: number}} Peer */
/** @typedef {{name: string, precision: 'f32' | 'q8', workers: number, isolated: boolean, engine?: 'candle', peers?: Peer[]}} Configuration */

/** The others' fastest settings in single precision. @type {(threads: number) => Peer[]} */
const inFloats = (threads) => [
  { engine: 'transformers', dtype: 'fp32', threads },
  { engine: 'litert', dtype: 'f32', threads },
];
/** The same in 8 bits. @type {(threads: number) => Peer[]} */
const inBytes = (threads) => [
  { engine: 'transformers', dtype: 'q8', threads },
  { engine: 'litert', dtype: 'int8', threads },
  { engine: 'litert', dtype: 'static', threads },
];

/** Every configuration, with the others on the same page: they have one thread where it is not isolated. @type {Configuration[]} */
const configurations = [
  { name: 'f32, 1 worker', precision: 'f32', workers: 1, isolated: false, peers: inFloats(1) },
  { name: 'q8, 1 worker', precision: 'q8', workers: 1, isolated: false, peers: inBytes(1) },
  { name: 'f32, 2 workers', precision: 'f32', workers: 2, isolated: false, peers: inFloats(1) },
  { name: 'q8, 2 workers', precision: 'q8', workers: 2, isolated: false, peers: inBytes(1) },
  { name: 'q8, 2 workers, isolated', precision: 'q8', workers: 2, isolated: true, peers: inBytes(2) },
  // Another implementation in the same browser. It has no other precision and no other number of workers.
  { name: 'candle, f32, 1 worker', precision: 'f32', workers: 1, isolated: false, engine: 'candle' },
];

const { values } = parseArgs({
  options: {
    plain: { type: 'string', default: '' },
    isolated: { type: 'string', default: '' },
    picture: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    runs: { type: 'string', default: '7' },
    only: { type: 'string', default: '' },
    peer: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

await makePicture();
const results = [];
for (const configuration of configurations.filter(({ name }) => name.includes(values.only))) {
  process.stderr.write(`▸ ${configuration.name}\n`);
  const figures = await measure(configuration);
  const peers = (values.peer && configuration.peers) || [];
  results.push({
    ...configuration,
    ...figures,
    peers: peers.map((peer) => ({ ...peer, ...measurePeer(peer, configuration.isolated) })),
  });
}
const report = reportOf(results);
if (values.json) console.log(JSON.stringify(report, null, 1));
else printTable(report);
if (values.record) writeRecord(`${slug(report.cpu)}/${report.date}`, report);

/** Makes the picture, a JPEG of 12 megapixels, on the first run. */
async function makePicture() {
  if (fs.existsSync(values.picture)) return;
  await withPage(`${values.plain}bench/index.html`, async ({ page }) => {
    const source = `${values.plain}www/samples/insect.jpg`;
    const bytes = await page.evaluate((source) => /** @type {any} */ (window).makePicture(source), source);
    fs.writeFileSync(values.picture, bytes, 'latin1');
  });
}

/** @param {Configuration} configuration */
function measure({ precision, workers, isolated, engine }) {
  const base = isolated ? values.isolated : values.plain;
  return withPage(`${base}bench/index.html`, async ({ page, peaks }) => {
    const folder = (/** @type {string} */ name) => `${base}target/bench/${name}/`;
    const options = {
      folder: folder('base-patch16-256'),
      preprocessor: folder('one-layer'),
      picture: `${base}target/bench/picture.jpg`,
      kernels: `${base}target/bench/kernels/`,
      precision,
      workers,
      engine,
      runs: Number(values.runs),
    };
    const times = await page.evaluate((options) => /** @type {any} */ (window).measure(options), options);
    const { vision_config } = JSON.parse(fs.readFileSync(`${values.model}/config.json`, 'utf8'));
    const tower = towerOperations(vision_config) / times.image / 1e6;
    return { ...times, tower, peaks };
  });
}

/**
 * @param {Peer} peer
 * @param {boolean} isolated
 */
function measurePeer(peer, isolated) {
  const script = new URL('./peer/run.sh', import.meta.url).pathname;
  const options = { ...peer, isolated: Number(isolated), runs: values.runs };
  const list = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const out = execFileSync(
    script,
    [values.model, ...list, ...(peer.engine === 'transformers' ? ['--image', values.picture] : [])],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 24,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const {
    vision_load_ms,
    text_load_ms,
    image_first_ms,
    image_ms,
    text1_ms,
    text8_ms,
    preprocess_ms,
    peak_mb,
  } = JSON.parse(out);
  return {
    load: vision_load_ms + text_load_ms,
    imageFirst: image_first_ms,
    image: image_ms.median,
    text1: text1_ms?.median,
    text8: text8_ms.median,
    preprocess: preprocess_ms?.median,
    peaks: peak_mb,
  };
}
