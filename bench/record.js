/** Where the results of a benchmark are kept. */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The name of a processor as part of a path. @param {string} name */
export const slug = (name) =>
  name
    .toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join('-') ?? 'unknown';

/**
 * Writes bench/records/<path>.json. The second record of a day replaces the first.
 * @param {string} path
 * @param {unknown} report
 */
export function writeRecord(path, report) {
  const file = new URL(`records/${path}.json`, import.meta.url);
  fs.mkdirSync(new URL('.', file), { recursive: true });
  fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  process.stderr.write(`written to ${fileURLToPath(file)}\n`);
}
