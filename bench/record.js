/** Where the results of a benchmark are kept. */
import fs from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

/** The name of a processor as part of a path. @param {string} name */
export const slug = (name) =>
  name
    .toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join('-') ?? 'unknown';

/**
 * The name of the processor. Virtual machines give several generations one name; on Linux the family tells them apart.
 * @returns {string}
 */
function processor() {
  const { model } = os.cpus()[0];
  const info = os.platform() === 'linux' ? fs.readFileSync('/proc/cpuinfo', 'utf8') : '';
  const family = /^cpu family\s*:\s*(\d+)/m.exec(info)?.[1];
  return family ? `${model}, family ${family}` : model;
}

/** A report of today and of this machine. @param {any[]} results */
export const reportOf = (results) => ({
  date: new Date().toISOString().slice(0, 10),
  cpu: processor(),
  cores: os.cpus().length,
  results,
});

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
