/** A server of checkpoints and what a page makes of them. */
import { answer } from './file-server.js';
import { WEIGHTS, otherWeights, readCheckpoint, sha256 } from './checkpoint.js';

/** @typedef {import('../harness.js').Page} Page */
/** @typedef {import('./checkpoint.js').Files} Files */
/** @typedef {import('./file-server.js').Fault} Fault */
/** @typedef {import('./file-server.js').ServerBehaviour} ServerBehaviour */
/** @typedef {import('../server.js').Intercept} Intercept */

export const small = readCheckpoint('tests/fixtures/random-small');

/** A folder of files that a server has, for a while, in its own way. */
export class FakeHub {
  /** @type {Files} */
  files;
  /** @type {ServerBehaviour} */
  behaviour;
  /** What goes wrong with requests for this file: the first is for the first. @type {Record<string, Fault[]>} */
  faults = {};
  /** What was asked for: method, name and Range. @type {string[]} */
  log = [];
  /** The headers of every request. @type {import('node:http').IncomingHttpHeaders[]} */
  headers = [];
  isOpen = true;
  /** After so many requests for the weights, they are others. @type {number | undefined} */
  change;

  /**
   * @param {Files} [files]
   * @param {ServerBehaviour} [behaviour]
   */
  constructor(files = small, behaviour = {}) {
    this.files = files;
    this.behaviour = behaviour;
  }

  /** Answers for the files of a folder. @param {string} folder @returns {Intercept} */
  at(folder) {
    return async (path, response, method, request) => {
      if (!path.startsWith(folder)) return false;
      if (!this.isOpen) {
        response.destroy();
        return;
      }
      const name = path.slice(folder.length);
      this.log.push(`${method} ${name} ${request.headers.range ?? ''}`.trim());
      this.headers.push(request.headers);
      response.setHeader('cache-control', 'no-store');
      if (name === WEIGHTS && this.change !== undefined && this.change-- === 0) {
        this.files = otherWeights(this.files);
      }
      const bytes = this.files[name];
      const fault = this.faults[name]?.shift() ?? {};
      if (!bytes) response.writeHead(404).end();
      else
        await answer(
          request,
          response,
          { bytes, version: sha256(bytes).slice(0, 16) },
          this.behaviour,
          fault,
        );
    };
  }
}

/**
 * What a load comes to: the embeddings of a picture and a text, or an error.
 * @typedef {{embeddings?: string, code?: string, message?: string, notices: string[]}} Outcome
 */

/** Options of a load that waits for nobody. */
export const quick = { stallTimeout: 1000, retryDelay: 1 };

/** Options of a load from a server that is as it should be, on a machine that may be busy. */
export const patient = { stallTimeout: 30_000 };

/** The longest time that a load and two calls may take, in milliseconds. Generous, because the machine may be busy. */
const LONGEST = 300_000;

/**
 * Settles as the promise does. One that never does fails here: a test would wait for it without end.
 * @template T
 * @param {Promise<T>} promise
 * @param {string} what
 */
export function ended(promise, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} has not ended within ${LONGEST / 1000} s`)), LONGEST);
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (late)]).finally(() => clearTimeout(timer));
}

/**
 * Loads a model in a page and asks it.
 * @param {Page} page
 * @param {string} model
 * @param {import('/www/siglip.js').LoadOptions} [options]
 * @returns {Promise<Outcome>}
 */
export const load = (page, model, options = {}) =>
  ended(answersOf(page, model, options), `a load of ${model}`);

/** @param {Page} page @param {string} model @param {import('/www/siglip.js').LoadOptions} options @returns {Promise<Outcome>} */
const answersOf = (page, model, options) =>
  page.evaluate(
    async ({ model, options }) => {
      const { Siglip } = await import('/www/siglip.js');
      /** @type {string[]} */
      const notices = [];
      try {
        const onNotice = (/** @type {{code: string}} */ { code }) => notices.push(code);
        const siglip = await Siglip.load(model, { workers: 1, ...options, onNotice });
        const picture = new ImageData(8, 8);
        picture.data.forEach((_, i) => (picture.data[i] = (i * 37) % 256));
        const { towers } = siglip.info;
        const image = towers === 'text' ? [] : await siglip.embedImage(picture);
        const text = towers === 'image' ? [] : await siglip.embedText('a cat');
        siglip.dispose();
        return { embeddings: [...image, ...text].join(), notices };
      } catch (error) {
        const { code, message } = /** @type {import('/www/siglip.js').SiglipError} */ (error);
        return { code, message, notices };
      }
    },
    { model, options: { ...quick, ...options } },
  );
