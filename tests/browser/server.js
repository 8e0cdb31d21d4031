/** A static server of the repository, on a port of its own, that can fail on demand. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** @type {Record<string, string>} */
const types = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/**
 * Answers in the place of a file; `false` leaves it to the file.
 * @typedef {(path: string, response: ServerResponse, method: string, request: IncomingMessage) => boolean | void | Promise<boolean | void>} Intercept
 */

export class Server {
  #http = createServer((request, response) => this.#answer(request, response));
  /** Method and path of every request. @type {string[]} */
  log = [];
  /** Sent with every answer. @type {Record<string, string>} */
  headers = {};
  /** @type {Intercept} */
  intercept = () => false;

  /** @param {Record<string, string>} [headers] */
  static async start(headers = {}) {
    const server = new Server();
    server.headers = headers;
    await new Promise((resolve) => server.#http.listen(0, '127.0.0.1', () => resolve(undefined)));
    return server;
  }

  get origin() {
    const address = this.#http.address();
    if (!address || typeof address === 'string') throw new Error('the server is closed');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Requests whose path contains `part`. @param {string} part */
  requestsOf(part) {
    return this.log.filter((line) => line.includes(part));
  }

  /** From now on nobody answers: connections are refused. */
  close() {
    this.#http.closeAllConnections();
    return new Promise((resolve) => this.#http.close(resolve));
  }

  /**
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   */
  async #answer(request, response) {
    const { method = 'GET', url = '/' } = request;
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    this.log.push(`${method} ${path}`);
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    if ((await this.intercept(path, response, method, request)) !== false) return;
    const file = join(root, normalize(path.endsWith('/') ? `${path}index.html` : path));
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
    response.setHeader('content-length', found.size);
    response.setHeader('last-modified', found.mtime.toUTCString());
    if (method === 'HEAD') response.end();
    else createReadStream(file).pipe(response);
  }
}
