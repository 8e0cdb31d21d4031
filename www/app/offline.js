/** Visits without a network: the service worker (sw.js), and what it cannot know by itself. */
import { byId } from './page.js';

/**
 * Keeps the page's code and the engine's build in use on this device. Where that is not possible, in private windows, on
 * sites without TLS or with full storage, the page goes on as before.
 * @param {import('../siglip.js').Info} info of the model that answers
 */
export async function keepForOffline(info) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  try {
    const script = new URL('sw.js', document.baseURI);
    await serviceWorker.register(script, { updateViaCache: 'none' });
    if (!serviceWorker.controller) await controlOf(serviceWorker);
    // On the first visit the engine was fetched before there was a service worker, so it has not seen it.
    await Promise.all(filesOf(info).map(async (url) => (await caches.match(url)) ?? fetch(url)));
    byId('offline').hidden = false;
  } catch {
    // Nothing is lost.
  }
}

/** @param {ServiceWorkerContainer} serviceWorker */
const controlOf = (serviceWorker) =>
  new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve, { once: true }));

/** The files of the build that the worker has chosen. @param {import('../siglip.js').Info} info */
function filesOf({ backend, device, workers }) {
  const simd = backend === 'simd' ? 'simd128' : 'relaxed-simd';
  const build = crossOriginIsolated && device === 'cpu' && workers > 1 ? 'threads' : simd;
  return ['siglip_web.js', 'siglip_web_bg.wasm'].map(
    (file) => new URL(`www/wasm/${build}/${file}`, document.baseURI).href,
  );
}
