#!/usr/bin/env node
/**
 * `siglip-web copy FOLDER` copies the files that a page loads by address: the worker, the engine and the embedded model.
 * It is for bundlers that do not follow `new URL('…', import.meta.url)`; FOLDER is where they write their scripts.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';

const [command, folder] = process.argv.slice(2);
if (command !== 'copy' || !folder) {
  console.error('Usage: siglip-web copy FOLDER');
  process.exit(1);
}
for (const name of ['worker.js', 'wasm', 'models']) {
  cpSync(join(import.meta.dirname, name), join(folder, name), { recursive: true });
}
