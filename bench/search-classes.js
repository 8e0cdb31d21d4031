/**
 * How often a search finds pictures of the class that it names, and how much 8 bits lose: node bench/search-classes.js
 * --siglip BINARY --folder DIR, a folder of class folders, named as a sentence names the class.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

/** Pictures looked at for each class. */
const BEST = 10;

const { values } = parseArgs({
  options: {
    siglip: { type: 'string', default: 'target/release/siglip' },
    folder: { type: 'string', default: '' },
  },
});
const index = path.join(os.tmpdir(), `search-classes-${process.pid}.siglip-index`);

/** The JSON lines of a command. @param {string[]} parameters @returns {any[]} */
const ask = (...parameters) =>
  execFileSync(values.siglip, [...parameters, '--json'], { encoding: 'utf8', maxBuffer: 2 ** 30 })
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

const start = performance.now();
const [{ pictures }] = ask('index', values.folder, '-o', index);
const seconds = (performance.now() - start) / 1000;
const bytes = fs.statSync(index).size / pictures;

const classes = fs.readdirSync(values.folder);
const files = classes.flatMap((name) =>
  fs.readdirSync(path.join(values.folder, name)).map((file) => `${name}/${file}`),
);
const exact = ask('embed', ...files.flatMap((file) => ['--image', path.join(values.folder, file)]));
const texts = ask('embed', ...classes.flatMap((name) => ['--text', `a photo of a ${name}`]));

let [asked, right, same, possible] = [0, 0, 0, 0];
for (const [place, name] of classes.entries()) {
  const { embedding, unknown } = texts[place];
  // A class that the model has no word for is refused by the command.
  if (unknown) continue;
  const found = ask('search', index, `a photo of a ${name}`, '--top-k', `${BEST}`).map(({ image }) => image);
  const best = exact
    .map(({ embedding: image }, at) => ({ file: files[at], cosine: dot(image, embedding) }))
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, BEST);
  asked++;
  right += found.filter((file) => file.startsWith(`${name}/`)).length;
  same += found.filter((file) => best.some((other) => other.file === file)).length;
  possible += files.filter((file) => file.startsWith(`${name}/`)).length / files.length;
}
fs.rmSync(index);

console.log({
  pictures,
  seconds: Number(seconds.toFixed(1)),
  bytesPerPicture: Math.round(bytes),
  classes: asked,
  unknownClasses: classes.length - asked,
  precisionAt10: share(right, BEST * asked),
  chance: share(possible, asked),
  recallAt10OfF32: share(same, BEST * asked),
});

/** @param {number[]} a @param {number[]} b */
function dot(a, b) {
  return a.reduce((sum, value, at) => sum + value * b[at], 0);
}

/** @param {number} part @param {number} whole */
function share(part, whole) {
  return Number((part / whole).toFixed(4));
}
