/** Failures in a few words. Most visitors meet none: an element fetches this with the first. */

/**
 * @param {typeof import('./translate.js').t} t of the caller: see `Interface` in camera.js
 * @param {string} code of an error
 */
export function headlineOf(t, code) {
  /** @type {Record<string, string>} */
  const headlines = {
    network: t`It could not be fetched`,
    'not-found': t`Nothing was found there`,
    integrity: t`The file arrived damaged`,
    'unsupported-model': t`This model does not run here`,
    'bad-weights': t`The weights cannot be used`,
    'bad-image': t`This picture cannot be read`,
    'bad-input': t`This input cannot be used`,
    quota: t`The browser’s storage is full`,
    'out-of-memory': t`There is not enough memory`,
    wasm: t`The engine has stopped`,
  };
  return headlines[code] ?? t`Something went wrong`;
}
