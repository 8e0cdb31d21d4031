/** Indexes of pictures that are open, by name: what lib/search-index.js asks of them. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('../wasm/simd128/siglip_web.js').IndexReader} IndexReader */
/** @typedef {import('../wasm/simd128/siglip_web.js').SearchIndex} SearchIndex */
/** @typedef {import('./protocol.js').IndexRequest} IndexRequest */

/** Bytes of a file that are in the script's memory at a time, and in the engine's beside what it keeps of them. */
const SLICE = 2 ** 26;
const PIECE = 2 ** 20;

/** @type {Map<string, SearchIndex>} */
const open = new Map();

/**
 * @param {Engine} engine
 * @param {IndexRequest} request
 * @returns {Promise<unknown>}
 */
export async function answerIndex(engine, request) {
  if (request.ask === 'open') {
    const { model, file, name } = request;
    // The former one first: two large ones have no room.
    open.get(name)?.free();
    open.delete(name);
    open.set(
      name,
      file ? await read(file, engine.index_reader(model, file.size)) : engine.search_index(model),
    );
    return;
  }
  if (request.ask === 'add-file') {
    const { file, names, model } = request;
    const reader = names ? engine.npy_reader(model, file.size, names) : engine.index_reader(model, file.size);
    const added = await read(file, reader);
    return named(request.name).merge(added);
  }
  const index = named(request.name);
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
      return written((take) => index.write_file(take));
    case 'npy':
      return written((take) => index.write_npy(take));
    case 'close':
      index.free();
      open.delete(request.name);
  }
}

/** @param {string} name */
function named(name) {
  const index = open.get(name);
  if (!index) throw new TypeError(`no index ${name} is open`);
  return index;
}

/**
 * @param {Blob} file
 * @param {IndexReader} reader
 */
async function read(file, reader) {
  try {
    for (let at = 0; at < file.size; at += SLICE) {
      const slice = new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer());
      for (let from = 0; from < slice.length; from += PIECE) reader.push(slice.subarray(from, from + PIECE));
    }
  } catch (error) {
    reader.free();
    throw error;
  }
  return reader.finish();
}

/**
 * A file of pieces, of which the browser keeps large ones on the disk.
 * @param {(take: (piece: Uint8Array<ArrayBuffer>) => void) => void} write
 */
function written(write) {
  /** @type {Blob[]} */
  const pieces = [];
  write((piece) => pieces.push(new Blob([piece])));
  return new Blob(pieces);
}
