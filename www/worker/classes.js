/** Classes taught by example that are in use, by number: what lib/classes.js asks of them. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/**
 * What the engine makes of them.
 * @typedef {object} TaughtClasses
 * @property {(name: string, text: Float32Array | undefined, images: Float32Array, not: Float32Array, mix: number) => void} add
 * @property {(c?: number) => any} make
 * @property {(embedding: Float32Array, ranking: object) => any} scores
 * @property {() => string} file
 * @property {(json: string) => any} read
 * @property {() => void} free
 */
/** @typedef {Engine & {taught_classes(model: string): TaughtClasses}} Teacher */
/** @typedef {import('./protocol.js').ClassesRequest} ClassesRequest */

/** @type {Map<number, TaughtClasses>} */
const open = new Map();

/**
 * @param {Engine} engine
 * @param {ClassesRequest} request
 * @returns {unknown}
 */
export function answerClasses(engine, request) {
  if (request.ask === 'open') {
    open.set(request.id, /** @type {Teacher} */ (engine).taught_classes(request.model));
    return;
  }
  const taught = open.get(request.id);
  if (!taught) throw new TypeError(`no classes ${request.id} are open`);
  switch (request.ask) {
    case 'make':
      for (const { name, text, images, not, mix } of request.classes) {
        taught.add(name, text, images, not, mix);
      }
      return taught.make(request.c);
    case 'scores':
      return taught.scores(request.embedding, request.ranking);
    case 'file':
      return taught.file();
    case 'read':
      return taught.read(request.json);
    case 'close':
      taught.free();
      open.delete(request.id);
  }
}
