/** In place of www/candle.js: the package leaves the build of candle's engine out, which has as many bytes as our own. */

/** @returns {Promise<never>} */
export async function loadOnCandle() {
  const reason =
    "The npm package has no build of candle's engine. Leave out the option engine, or serve the folder www of the repository.";
  throw Object.assign(new Error(reason), { code: 'wasm' });
}
