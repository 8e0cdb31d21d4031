/** An index of many pictures in a page: stored, opened again and searched, as a visitor has it. */
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { launchChromium } from '../tests/browser/browsers.js';
import { openIn } from '../tests/browser/harness.js';
import { Server } from '../tests/browser/server.js';

/** Entries and embeddings that are written at a time. */
const BATCH = 10_000;

/**
 * Loads a model of one layer in Chromium, imports an index of `count` pictures, opens it from storage, and searches it.
 * @param {number} count
 * @param {string} model its folder, below the repository
 * @param {string} file where the index is written
 * @param {number} runs
 */
export async function measureInPage(count, model, file, runs) {
  const server = await Server.start();
  const browser = await launchChromium();
  try {
    const page = await openIn(await browser.newContext(), `${server.origin}/tests/browser/pages/blank.html`);
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
    const memory = () => Math.max(...renderers.map(ownMemory));
    const processor = () => renderers.reduce((sum, id) => sum + processorMilliseconds(id), 0);
    const empty = await page.evaluate(
      async ([library, model]) => {
        const { Siglip } = await import(library);
        const siglip = await Siglip.load(model, { workers: 1, cache: false });
        const index = await siglip.index('bench');
        Object.assign(globalThis, { siglip, index });
        return [...new Uint8Array(await (await index.export()).arrayBuffer())];
      },
      ['/www/siglip.js', `/${model}/`],
    );
    writeIndex(file, Buffer.from(empty), count);
    server.intercept = (path, response) => {
      if (path !== '/index-file') return false;
      fs.createReadStream(file).pipe(response);
    };
    const before = memory();
    const seconds = await page.evaluate(async () => {
      const { siglip, index } = /** @type {any} */ (globalThis);
      const blob = await (await fetch('/index-file')).blob();
      const times = [performance.now()];
      await index.import(blob);
      times.push(performance.now());
      await index.close();
      times.push(performance.now());
      Object.assign(globalThis, { index: await siglip.index('bench') });
      times.push(performance.now());
      return { import: (times[1] - times[0]) / 1e3, open: (times[3] - times[2]) / 1e3 };
    });
    const begun = processor();
    const milliseconds = await page.evaluate(async (runs) => {
      const { index } = /** @type {any} */ (globalThis);
      const times = [];
      for (let i = 0; i < runs; i++) {
        const like = `holidays ${i}/IMG_${String(i * 1000).padStart(7, '0')}.jpg`;
        const start = performance.now();
        const [best] = await index.search({ like }, { topK: 10 });
        times.push(performance.now() - start);
        if (best.name !== like) throw new Error(`${best.name} is nearest to ${like}`);
      }
      return times.sort((a, b) => a - b);
    }, runs);
    return {
      milliseconds,
      processor: (processor() - begun) / runs,
      megabytes: memory() - before,
      seconds,
    };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Memory in megabytes that a process shares with no file. @param {number} pid */
const ownMemory = (pid) =>
  Math.round(
    (Number(/^RssAnon:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024) / 1e6,
  );

/** How long processors have run a process; the system counts in hundredths of a second. @param {number} pid */
function processorMilliseconds(pid) {
  const fields = fs
    .readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/**
 * Writes an index of random embeddings, in the format of crates/siglip/src/index/file.rs.
 * @param {string} file
 * @param {Buffer} empty one without pictures, of the same model
 * @param {number} count
 */
function writeIndex(file, empty, count) {
  const header = empty.subarray(0, -4);
  const size = header.readUInt32LE(12);
  header.writeUInt32LE(count, 16);
  const to = fs.openSync(file, 'w');
  let sum = 0;
  const write = (/** @type {Buffer} */ bytes) => {
    sum = crc32(bytes, sum);
    fs.writeSync(to, bytes);
  };
  write(header);
  for (let first = 0; first < count; first += BATCH) {
    const entries = [];
    for (let at = first; at < Math.min(count, first + BATCH); at++) {
      const name = Buffer.from(`holidays ${(at / 1000) | 0}/IMG_${String(at).padStart(7, '0')}.jpg`);
      const entry = Buffer.alloc(2 + name.length + 48);
      entry.writeUInt16LE(name.length);
      name.copy(entry, 2);
      entry.writeUInt32LE(at + 1, 2 + name.length);
      entry.writeUInt32LE(1234, 2 + name.length + 32);
      entries.push(entry);
    }
    write(Buffer.concat(entries));
  }
  const scales = Buffer.alloc(4 * count);
  // The scale that gives such a vector an L2 norm of 1.
  for (let at = 0; at < count; at++) scales.writeFloatLE(1 / (73 * Math.sqrt(size)), 4 * at);
  write(scales);
  const vectors = Buffer.alloc(BATCH * size);
  for (let left = count; left > 0; left -= BATCH) {
    const some = vectors.subarray(0, Math.min(left, BATCH) * size);
    fillRandomly(some);
    write(some);
  }
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(sum >>> 0);
  fs.writeSync(to, checksum);
  fs.closeSync(to);
}

let state = 1;

/** Bytes from -127 to 127, others each time. @param {Buffer} bytes */
function fillRandomly(bytes) {
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = ((state >>> 24) % 255) - 127;
  }
}
