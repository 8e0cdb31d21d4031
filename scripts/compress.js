/**
 * Writes a .br file beside every file of a static host's folder that gets smaller by it, for servers that send such files as
 * they are.
 *
 *     node scripts/compress.js target/package
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress } from 'node:zlib';

/** As small as Brotli makes it. @type {(contents: Uint8Array) => Promise<Buffer>} */
export const compressed = promisify(brotliCompress);

/** What compresses well. Pictures and 8-bit weights do not. */
const COMPRESSIBLE = /\.(css|html|js|json|svg|wasm|webmanifest)$/;

if (import.meta.filename === process.argv[1]) {
  const folder = resolve(process.argv[2]);
  const names = (await readdir(folder, { recursive: true })).filter((name) => COMPRESSIBLE.test(name));
  await Promise.all(
    names.map(async (name) => {
      const contents = await readFile(join(folder, name));
      const small = await compressed(contents);
      if (small.length < contents.length) await writeFile(join(folder, `${name}.br`), small);
    }),
  );
}
