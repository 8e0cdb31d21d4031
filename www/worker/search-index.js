/** Indexes of pictures that are open, by name: what lib/search-index.js asks of them. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('../wasm/simd128/siglip_web.js').SearchIndex} SearchIndex */
/** @typedef {import('./protocol.js').IndexRequest} IndexRequest */

/** @type {Map<string, SearchIndex>} */
const open = new Map();

/**
 * @param {Engine} engine
 * @param {IndexRequest} request
 * @returns {unknown}
 */
export function answerIndex(engine, request) {
  if (request.ask === 'open') {
    const index = engine.search_index(request.model, request.file);
    open.get(request.name)?.free();
    open.set(request.name, index);
    return;
  }
  const index = open.get(request.name);
  if (!index) throw new TypeError(`no index ${request.name} is open`);
  switch (request.ask) {
    case 'entries':
      return index.entries();
    case 'has':
      return index.has(request.file.name, request.file.bytes, request.file.modified);
    case 'add': {
      const { name, hash, bytes, modified } = request.file;
      if (!request.embedding) return index.add_known(name, hash, bytes, modified);
      return index.add(name, hash, bytes, modified, request.embedding);
    }
    case 'remove':
      return request.names.filter((name) => index.remove(name)).length;
    case 'search': {
      // All of them first: parts before one that fails would be left for the next query.
      const parts = request.parts.map(({ embedding, like, weight }) => ({
        embedding: embedding ?? index.embedding(/** @type {string} */ (like)),
        weight,
      }));
      for (const { embedding, weight } of parts) index.add_part(embedding, weight);
      return index.search(request.count);
    }
    case 'duplicates':
      // A step of some ten milliseconds, so that other calls have their turn.
      if (request.threshold !== undefined) index.begin_duplicates(request.threshold);
      return index.step_duplicates();
    case 'file':
      return index.file();
    case 'addFile':
      return index.add_file(request.bytes);
    case 'npy':
      return index.npy();
    case 'addNpy':
      return index.add_npy(request.bytes, request.names);
    case 'close':
      index.free();
      open.delete(request.name);
  }
}
