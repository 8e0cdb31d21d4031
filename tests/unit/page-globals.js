/** Defines the globals of a page in Node, for the scripts under test. */

/** @typedef {{baseURI?: string, hash?: string, pathname?: string, search?: string}} Page */

/**
 * Defines `document`, `location` and `history` for one test.
 * @param {import('node:test').TestContext} context
 * @param {Page} [page]
 * @returns {{url: string}} the newest URL given to history.replaceState
 */
export function definePage(context, { baseURI = 'https://example.org/app/', ...url } = {}) {
  const shown = { url: '' };
  const globals = {
    document: { baseURI },
    location: { origin: new URL(baseURI).origin, hash: '', pathname: '/app/', search: '', ...url },
    history: {
      replaceState: (/** @type {unknown} */ _state, /** @type {string} */ _title, /** @type {string} */ to) =>
        void (shown.url = to),
    },
  };
  define(context, globals);
  return shown;
}

/**
 * Defines globals until the test ends.
 * @param {import('node:test').TestContext} context
 * @param {Record<string, unknown>} globals
 */
export function define(context, globals) {
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else Reflect.deleteProperty(globalThis, name);
    });
  }
}
