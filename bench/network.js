/**
 * Times first visits over a limited connection: node bench/network.js --model DIR --bundle FILE [--only bundle] [--json]
 * [--record]. `cargo xtask bench --network` prepares what it needs.
 *
 * A page with one element is opened in a fresh browser, until its first answer. All it fetches, scripts and engine too, shares
 * a line of 50 Mbit/s. Then two files are fetched one after the other and side by side, where the line is the limit and where
 * the server limits each answer.
 */
import fs from 'node:fs';
import os from 'node:os';
import { basename, extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Server, root, types } from '../tests/browser/server.js';
import { Line, answer } from '../tests/browser/weights/file-server.js';
import { withPage } from './browser.js';
import { slug, writeRecord } from './record.js';

/** @typedef {import('../tests/browser/weights/file-server.js').ServerBehaviour} ServerBehaviour */

const MEGABIT = 1e6 / 8;
const LINE = 50 * MEGABIT;
/** What a server gives each connection that limits them. */
const CONNECTION = 12.5 * MEGABIT;
/** Tenths of the two towers' ONNX files of base in 8 bits. */
const TOWERS = [9_950_000, 11_150_000];

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    bundle: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

const server = await Server.start();
/** @type {{name: string, megabytes: number, seconds: number, megabytesInMemory?: number}[]} */
const results = [];
try {
  const name = basename(values.bundle);
  if ('bundle'.includes(values.only)) {
    const bundle = { [name]: values.bundle };
    results.push(await firstAnswer('a bundle of ten labels', bundle, name));
  }
  if ('original'.includes(values.only)) {
    const files = fs.readdirSync(values.model).map((name) => [name, join(values.model, name)]);
    results.push(await firstAnswer('the original', Object.fromEntries(files), ''));
  }
  if ('files'.includes(values.only)) {
    results.push(...(await twoFiles('the line is the limit', () => ({ line: new Line(LINE) }))));
    const limited = () => ({ line: new Line(LINE), connectionRate: CONNECTION });
    results.push(...(await twoFiles('12.5 Mbit/s a connection', limited)));
  }
} finally {
  await server.close();
}

if (values.json) console.log(JSON.stringify(results, undefined, 2));
else console.table(results);
if (values.record) {
  const cpu = os.cpus()[0].model;
  const date = new Date().toISOString().slice(0, 10);
  const record = { date, cpu, cores: os.cpus().length, results };
  writeRecord(`${slug(cpu)}/${date}-network`, record);
}

/**
 * Seconds from the address to the first answer, and the most memory that the page had.
 * @param {string} name
 * @param {Record<string, string>} files of the model, by their names, as paths
 * @param {string} model its name in the folder
 */
async function firstAnswer(name, files, model) {
  const page = `<!doctype html><html lang="en"><title>${name}</title><link rel="icon" href="data:," />
    <script>
      window.answered = new Promise((resolve, reject) => {
        addEventListener('result', () => resolve(performance.now()), { once: true });
        addEventListener('error', ({ detail }) => reject(new Error(detail?.message)), { once: true });
      });
      window.measure = () => window.answered;
    </script>
    <script type="module" src="/www/siglip-classifier.js"></script>
    <siglip-classifier model="/model/${model}" ${model ? '' : 'labels="a cat, a dog"'} src="/www/samples/cat.jpg"
      loading="eager"></siglip-classifier>`;
  const line = new Line(LINE);
  /** Bytes of each file that was asked for. @type {Map<string, number>} */
  const asked = new Map();
  server.intercept = async (path, response, _, request) => {
    const isWeights = path.startsWith('/model/');
    const file = isWeights ? files[path.slice('/model/'.length)] : join(root, path);
    if (path !== '/host' && !(file && fs.existsSync(file))) return void response.writeHead(404).end();
    const bytes = path === '/host' ? Buffer.from(page) : fs.readFileSync(file);
    response.setHeader(
      'content-type',
      types[path === '/host' ? '.html' : extname(path)] ?? 'application/octet-stream',
    );
    // A static host compresses scripts and engine.
    const gzip = /\.(js|wasm|html)$|^\/host$/.test(path);
    asked.set(path, bytes.length);
    await answer(request, response, { bytes, version: String(bytes.length) }, { line, gzip }, {});
  };
  process.stderr.write(`▸ ${name}\n`);
  return withPage(`${server.origin}/host`, async ({ page, peaks }) => {
    const ms = await page.evaluate(() => /** @type {any} */ (window).measure());
    await page.evaluate(() => /** @type {any} */ (window).onPhase('after'));
    return {
      name,
      megabytes: round([...asked.values()].reduce((a, b) => a + b) / 1e6),
      seconds: round(ms / 1e3),
      megabytesInMemory: peaks.start,
    };
  });
}

/**
 * Seconds for the sizes of two towers, one after the other and side by side.
 * @param {string} name
 * @param {() => ServerBehaviour} behaviour
 */
async function twoFiles(name, behaviour) {
  process.stderr.write(`▸ two files, ${name}\n`);
  const blank =
    '<!doctype html><html lang="en"><title>Files</title><link rel="icon" href="data:," /><script>window.measure = true</script>';
  const bodies = TOWERS.map((size) => Buffer.alloc(size));
  let present = behaviour();
  server.intercept = async (path, response, _, request) => {
    if (path === '/host') {
      response.setHeader('content-type', types['.html']);
      return void response.end(blank);
    }
    response.setHeader('cache-control', 'no-store');
    await answer(request, response, { bytes: bodies[Number(path.at(-1))], version: path }, present, {});
  };
  return withPage(`${server.origin}/host`, async ({ page }) => {
    const list = [];
    for (const together of [false, true]) {
      present = behaviour();
      const [first, both] = await page.evaluate(async (together) => {
        const start = performance.now();
        const arrive = async (/** @type {number} */ n) => {
          await (await fetch(`/file${n}`)).arrayBuffer();
          return performance.now() - start;
        };
        if (together) {
          const times = await Promise.all([arrive(0), arrive(1)]);
          return [times[0], Math.max(...times)];
        }
        return [await arrive(0), await arrive(1)];
      }, together);
      const how = together ? 'side by side' : 'one after the other';
      const megabytes = round((TOWERS[0] + TOWERS[1]) / 1e6);
      list.push(
        {
          name: `image tower's file, ${how}, ${name}`,
          megabytes: round(TOWERS[0] / 1e6),
          seconds: round(first / 1e3),
        },
        { name: `both files, ${how}, ${name}`, megabytes, seconds: round(both / 1e3) },
      );
    }
    return list;
  });
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}
