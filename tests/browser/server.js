/** A static server of the repository, on a port of its own, that can fail on demand. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { offlineFiles } from '../../scripts/offline-files.js';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** The media type of a file, by its extension. @type {Record<string, string>} */
export const types = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** The first script of every page in WebKit, whose driver does not report errors of a page. */
export const reporter =
  process.env.BROWSER === 'webkit' ? '<script src="/tests/browser/pages/report-problems.js"></script>' : '';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/**
 * Faults of the workers, injected by pages/faults.js.
 * @typedef {object} WorkerFaults
 * @property {{at: number, error: string, once?: boolean}} [storage] the operation at which storage begins to fail, and
 *   how: the name of an exception, or `short` for a file that takes less than it is given
 * @property {{at: number, follower?: boolean}} [dies] the step of a load or a pass at which the worker ends
 * @property {{every: number}} [clock] after so many looks, the clock is an hour off
 * @property {('files' | 'relaxed-simd')[]} [without] what the browser lacks
 */

/**
 * Responds instead of the file; returns `false` to serve the file.
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
  /** What is wrong with every worker that is started. @type {WorkerFaults | undefined} */
  workerFaults;
  /**
   * Whether pages get their service worker. If not, they get an empty one, so that it neither costs every test time nor
   * comes between a page and the faults of this server.
   */
  hasServiceWorker = false;

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

  /** Refuses every connection from now on. */
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
    const { pathname, search } = new URL(url, 'http://localhost');
    const path = decodeURIComponent(pathname);
    this.log.push(`${method} ${path}`);
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    if ((await this.intercept(path, response, method, request)) !== false) return;
    if (this.workerFaults && path === '/www/worker.js' && !search) {
      const faults = encodeURIComponent(JSON.stringify(this.workerFaults));
      response.setHeader('content-type', 'text/javascript');
      response.setHeader('cache-control', 'no-store');
      response.end(`import '/tests/browser/pages/faults.js?${faults}';\nimport '/www/worker.js?itself';`);
      return;
    }
    if (path === '/sw.js' && !this.hasServiceWorker) {
      response.setHeader('content-type', 'text/javascript');
      response.end();
      return;
    }
    if (path === '/offline-files.js') {
      response.setHeader('content-type', 'text/javascript');
      response.end(await offlineFiles(root));
      return;
    }
    const file = join(root, normalize(path.endsWith('/') ? `${path}index.html` : path));
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
    // No caching: the next request may want it with faults in front.
    if (path === '/www/worker.js' && !response.hasHeader('cache-control')) {
      response.setHeader('cache-control', 'no-store');
    }
    if (reporter && extname(file) === '.html') {
      response.end((await readFile(file, 'utf8')).replace('<head>', `<head>${reporter}`));
      return;
    }
    response.setHeader('content-length', found.size);
    response.setHeader('last-modified', found.mtime.toUTCString());
    if (method === 'HEAD') response.end();
    else createReadStream(file).pipe(response);
  }
}
