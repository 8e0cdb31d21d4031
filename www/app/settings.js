/** Small choices of the visitor, kept on this device. Of the storages, the Cache API is the one that every browser has. */

/** @typedef {{noOffer?: boolean, noKeys?: boolean}} Settings */

const CACHE = 'siglip-page';
const address = new URL('settings.json', document.baseURI).href;

/** What was chosen on earlier visits; nothing where there is no storage. @returns {Promise<Settings>} */
export async function readSettings() {
  try {
    return (await caches.match(address, { cacheName: CACHE }))?.json() ?? {};
  } catch {
    return {};
  }
}

/** Keeps a choice for the next visit, if there is storage for it. @param {Settings} change */
export async function changeSettings(change) {
  const settings = { ...(await readSettings()), ...change };
  try {
    await (await caches.open(CACHE)).put(address, Response.json(settings));
  } catch {
    // It holds for this visit.
  }
}
