/** Labels with their embeddings, from and for other visits and other pages. */

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./protocol.js').Calls} Calls */

/** Texts embedded at a time: the engine caches a few thousand. */
const BATCH = 64;

/**
 * @param {Engine} engine
 * @param {Calls['exportLabels']['parameters']} parameters
 * @param {(texts: string[]) => Promise<void>} embedTexts
 */
export async function exportLabels(engine, { labels, template, name, model }, embedTexts) {
  // Refuses what cannot be exported before anything is embedded.
  engine.check_labels(labels, undefined, template);
  if (!labels) return engine.export_labels(model);
  engine.begin_label_set(name, template);
  try {
    const unique = [...new Set(labels)];
    const size = Math.ceil(BATCH / template.length);
    for (let i = 0; i < unique.length; i += size) {
      const batch = unique.slice(i, i + size);
      await embedTexts(engine.prompts(batch, template));
      engine.add_labels(batch);
    }
  } catch (error) {
    // The set that was begun is not to be exported later.
    engine.export_labels(model);
    throw error;
  }
  return engine.export_labels(model);
}

/**
 * @param {Engine} engine
 * @param {string | object} json
 */
export function importLabels(engine, json) {
  engine.import_labels(typeof json === 'string' ? json : JSON.stringify(json));
  return engine.label_sets();
}
