/**
 * Scores every picture of a folder and writes a table, one line for each picture, best label first:
 *
 *     node batch.js FOLDER "a cat" "a dog" > scores.csv
 *
 * The variable MODEL names a checkpoint's folder or file; without it the embedded model answers.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Siglip, SiglipError } from 'siglip-web/node';

const [folder, ...labels] = process.argv.slice(2);
if (!folder || !labels.length) {
  console.error('Usage: node batch.js FOLDER LABEL...');
  process.exit(1);
}
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

const siglip = await Siglip.load(process.env.MODEL ?? 'tiny');
console.log('picture,label,score');
for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) =>
  a.name < b.name ? -1 : 1,
)) {
  if (!entry.isFile()) continue;
  try {
    const [{ label, score }] = await siglip.classify(join(folder, entry.name), labels);
    console.log(`${quoted(entry.name)},${quoted(label)},${score.toFixed(4)}`);
  } catch (error) {
    // A file that is no picture does not end the work.
    if (!(error instanceof SiglipError && error.code === 'bad-image')) throw error;
    console.error(`${entry.name}: ${error.message}`);
  }
}
siglip.dispose();
