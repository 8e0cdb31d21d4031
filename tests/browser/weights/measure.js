/**
 * Measures a first and later visits with a checkpoint of full size and the same labels: memory of the renderer, time to the
 * model, and time from there to the scores of a picture.
 *
 *     cargo run --release -p siglip-cli -- random --config base-patch16-256 --seed 1 DIR
 *     node tests/browser/weights/measure.js DIR
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { launchChromiumAt } from '../browsers.js';
import { openIn } from '../harness.js';
import { Server } from '../server.js';

const VISITS = 5;
const folder = resolve(process.argv[2] ?? '.');

/** Most memory that the renderers of a browser ever had resident, the largest, in MB. @param {number} main */
async function rendererPeak(main) {
  const peaks = [];
  for (const pid of await readdir('/proc')) {
    // A process may end while it is read.
    const read = (/** @type {string} */ name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const [, , , , group] = (await read('stat')).replace(/\(.*\)/, '()').split(' ');
    if (Number(group) !== main || !(await read('cmdline')).includes('--type=renderer')) continue;
    peaks.push(Number(/VmHWM:\s+(\d+) kB/.exec(await read('status'))?.[1] ?? 0) * 1.024e-3);
  }
  return Math.max(...peaks);
}

/** @param {import('../harness.js').Page} page */
const load = (page) =>
  page.evaluate(async () => {
    const start = performance.now();
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('/model/');
    const ms = performance.now() - start;
    const { bytes, workers, notices } = siglip.info;
    const labels = [
      'a cat',
      'a dog',
      'a horse',
      'a boat',
      'a cup',
      'a tree',
      'a house',
      'a bird',
      'a car',
      'a hat',
    ];
    const scores = JSON.stringify(await siglip.classify('/www/samples/cat.jpg', labels));
    return { ms, scoresMs: performance.now() - start - ms, bytes, workers, notices, scores };
  });

const profile = await mkdtemp(join(tmpdir(), 'siglip-web-'));
const server = await Server.start();
server.intercept = async (path, response) => {
  if (!path.startsWith('/model/')) return false;
  const file = join(folder, path.slice('/model/'.length));
  const { size } = await stat(file);
  response.setHeader('etag', `"${size}"`);
  response.setHeader('content-length', size);
  createReadStream(file).pipe(response);
};
const browser = await launchChromiumAt(profile);
try {
  const blank = `${server.origin}/tests/browser/pages/blank.html`;
  /** @type {string | undefined} */
  let scores;
  const times = [];
  for (let visit = 0; visit <= VISITS; visit++) {
    const page = await openIn(browser.context, blank);
    const answer = await load(page);
    const peak = await rendererPeak(browser.pid ?? 0);
    scores ??= answer.scores;
    const same = answer.scores === scores ? 'the same answer' : 'ANOTHER ANSWER';
    const duration = `${answer.ms.toFixed(0)} ms, scores after ${answer.scoresMs.toFixed(0)} ms`;
    const figures = `${duration}, peak ${peak.toFixed(0)} MB, ${answer.workers} workers`;
    console.log(`visit ${visit + 1}: ${figures}, ${(answer.bytes / 1e6).toFixed(0)} MB of weights, ${same}`);
    for (const { message } of answer.notices) console.log(message);
    if (visit > 0) times.push(answer.ms);
    await page.close();
  }
  times.sort((a, b) => a - b);
  console.log(
    `later visits: median ${times[VISITS >> 1].toFixed(0)} ms, slowest ${times[VISITS - 1].toFixed(0)} ms`,
  );
} finally {
  await browser.kill();
  await server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
