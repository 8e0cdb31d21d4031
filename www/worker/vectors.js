/** Vectors that are not scored: of an image's patches, of texts as their tower returns them, and maps of what speaks for a label. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').Calls} Calls */
/** @typedef {import('./protocol.js').PixelValues} PixelValues */
/** @typedef {(pixels: PixelValues & import('./protocol.js').Vectors) => Promise<Float32Array>} Embed */

/**
 * A vector of each patch.
 * @param {Engine} engine
 * @param {PixelValues} pixels
 * @param {Calls['embedPatches']['parameters']} parameters
 * @param {Embed} embed
 */
export async function embedPatches(engine, pixels, { normalize = true }, embed) {
  const [rows, columns] = engine.patch_grid(pixels.values, pixels.height);
  const vectors = await embed({ ...pixels, pooling: 'patches', normalize });
  return { rows, columns, size: vectors.length / (rows * columns), vectors };
}

/**
 * The outputs of the text tower, not normalised and not cached.
 * @param {Engine} engine
 * @param {string[]} texts
 * @param {(input: {inputIds: Uint32Array, normalize: boolean}) => Promise<void>} run takes a pass to its end
 */
export async function textVectors(engine, texts, run) {
  const vectors = [];
  for (const text of texts) {
    await run({ inputIds: engine.input_ids([text]), normalize: false });
    vectors.push(engine.finish());
  }
  return vectors;
}

/**
 * A map of what in an image speaks for a label.
 * @param {Engine} engine
 * @param {PixelValues} pixels
 * @param {Calls['explain']['parameters']} parameters
 * @param {Embed} embed
 * @param {(asked: Calls['score']['parameters']) => Promise<Calls['score']['result']>} score
 * @param {(event: import('./protocol.js').PassesEvent) => void} tell
 */
export async function explain(engine, pixels, { label, labelSet, template, method }, embed, score, tell) {
  const { values, height } = pixels;
  const { kind, embeddingSize } = engine.info();
  const isClassifier = kind === 'classifier';
  const asked = { labels: isClassifier ? undefined : [label], labelSet, template };
  const logitOf = async (/** @type {Float32Array} */ embedding) => {
    const found = (await score({ embedding, ...asked })).find((score) => score.label === label);
    if (!found) throw new BadInput(`"${label}" is none of the classifier's classes.`);
    if (found.unknown)
      throw new BadInput(`The model cannot read "${found.unknown.join(' ')}" of "${label}".`);
    return found.logit;
  };

  const [rows, columns] = engine.patch_grid(values, height);
  const done = (/** @type {Float32Array} */ values) => ({ width: columns, height: rows, values });
  if (method === 'fast') {
    const windows = await embed({ ...pixels, pooling: 'windows', normalize: !isClassifier });
    const logits = new Float32Array(windows.length / embeddingSize);
    for (let i = 0; i < logits.length; i++) {
      logits[i] = await logitOf(windows.subarray(i * embeddingSize, (i + 1) * embeddingSize));
    }
    return done(engine.window_map(logits, rows * columns));
  }
  if (method !== 'occlusion') throw new BadInput(`method is "fast" or "occlusion", not "${method}".`);
  const whole = await logitOf(await embed(pixels));
  const hidden = new Float32Array(engine.occluded_squares(rows, columns));
  for (let i = 0; i < hidden.length; i++) {
    tell({ type: 'passes', done: i, total: hidden.length });
    hidden[i] = await logitOf(
      await embed({ values: engine.occlude(values, height, rows, columns, i), height }),
    );
  }
  return done(engine.occlusion_map(rows, columns, whole, hidden));
}

/** A mistake of the caller; the page makes a SiglipError of it. */
class BadInput extends Error {
  code = 'bad-input';
}
