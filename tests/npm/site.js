/** A static server for a built project. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { types } from '../browser/server.js';

/**
 * @param {string} folder
 * @param {Record<string, string>} [headers] sent with every answer
 * @returns {Promise<{origin: string, log: string[], close(): void}>} `log` has the path of every request
 */
export async function serve(folder, headers = {}) {
  /** @type {string[]} */
  const log = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    log.push(path);
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path);
    try {
      const contents = await readFile(file);
      const type = types[extname(file)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, ...headers }).end(contents);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { origin: `http://127.0.0.1:${port}`, log, close: () => server.close() };
}
