/**
 * The outcome of a promise, in a form that can leave the page.
 * @param {Promise<unknown>} promise
 */
export async function outcome(promise) {
  const start = performance.now();
  try {
    await promise;
    return { code: 'fulfilled', name: '', message: '', ms: performance.now() - start };
  } catch (error) {
    const { code, name, message } = /** @type {import('/www/siglip.js').SiglipError} */ (error);
    return { code, name, message, ms: performance.now() - start };
  }
}
