/**
 * The service worker of the page. It answers for the page's own files where the network does not: for index.html,
 * privacy.html, the scripts, styles and samples in www/, and the builds of the engine that were used. Everything else,
 * models among it, passes by. It is a classic script, because not every browser has service workers that are modules.
 *
 * The network comes first, so a visitor who is online, or who edits the files, always gets the newest. The last
 * navigation decides where a page's files come from: a page from the cache gets its scripts from there too, as scripts
 * of two versions do not fit together.
 */
// Written by scripts/offline-files.js.
importScripts('offline-files.js');

{
  const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

  /**
   * By path, relative to this script, the hash of each file; of an HTML file it is empty, because hosts may add to it.
   * `code` is kept for every visitor, `wasm` when it is used.
   * @type {{version: string, code: Record<string, string>, wasm: Record<string, string>}}
   */
  const { version, code, wasm } = /** @type {any} */ (self).offlineFiles;
  const scope = worker.registration.scope;
  /** Pages in other folders of the same site have caches of their own. */
  const PREFIX = `siglip-code ${new URL(scope).pathname} `;
  const NAME = PREFIX + version;
  /** How long a navigation waits for the network, in milliseconds. */
  const PATIENCE = 3000;

  const absolute = (/** @type {Record<string, string>} */ files) =>
    new Map(Object.entries(files).map(([path, integrity]) => [new URL(path, scope).href, integrity]));
  const codeFiles = absolute(code);
  const wasmFiles = absolute(wasm);
  /** Whether the last navigation was answered from the cache. */
  let isOffline = false;

  worker.addEventListener('install', (event) => event.waitUntil(install()));
  worker.addEventListener('activate', (event) => event.waitUntil(activate()));
  worker.addEventListener('fetch', (event) => {
    const { request } = event;
    if (request.method !== 'GET') return;
    if (request.mode === 'navigate') {
      const address = pageAt(request.url);
      if (codeFiles.has(address)) event.respondWith(answerPage(request, address));
    } else if (codeFiles.has(request.url) || wasmFiles.has(request.url)) {
      event.respondWith(answerFile(request));
    }
  });

  /**
   * Fetches this version: all of its code, and the builds of the engine that earlier versions have kept. The browser
   * checks each file against its hash. If one is missing or is of another version, nothing is installed, and the next
   * visit tries again. The version before stays in charge until its last page is closed.
   */
  async function install() {
    const used = (await Promise.all((await versions()).map(filesIn))).flat();
    const builds = [...wasmFiles].filter(([url]) => used.includes(url));
    const requests = [...codeFiles, ...builds].map(
      ([url, integrity]) => new Request(url, { cache: 'no-cache', ...(integrity && { integrity }) }),
    );
    try {
      await (await caches.open(NAME)).addAll(requests);
    } catch (error) {
      await caches.delete(NAME);
      throw error;
    }
  }

  async function activate() {
    const old = (await versions()).filter((name) => name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    // The page that has just been opened for the first time fetches its engine through here.
    await worker.clients.claim();
  }

  /** The names of the caches of all versions of this page. */
  const versions = async () => (await caches.keys()).filter((name) => name.startsWith(PREFIX));

  /** @param {string} name */
  const filesIn = async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url);

  /** The copy of a file, if there is one, and if the storage can be read. @param {string} url */
  const copyOf = (url) => caches.match(url, { cacheName: NAME }).catch(() => undefined);

  /** The address of a page without what follows `?` or `#`; index.html is the folder's. @param {string} url */
  const pageAt = (url) => new URL(new URL(url).pathname.replace(/\/index\.html$/, '/'), scope).href;

  /** @param {Request} request @param {string} address */
  async function answerPage(request, address) {
    const copy = await copyOf(address);
    if (!copy) return fetch(request);
    const silence = new Promise((resolve) => setTimeout(resolve, PATIENCE));
    const answer = await Promise.race([useful(fetch(request)), silence]);
    isOffline = !answer;
    // Hosts may redirect to another address of the page. A browser takes no redirected answer for a navigation.
    return answer ?? new Response(copy.body, copy);
  }

  /** @param {Request} request */
  async function answerFile(request) {
    const copy = await copyOf(request.url);
    if (!copy) {
      const answer = await fetch(request);
      // Not in the background: the page says that it is kept when it has the answer.
      if (wasmFiles.has(request.url)) await keep(request.url, answer.clone()).catch(() => {});
      return answer;
    }
    // A file that a newer version no longer has is still there for a page of this version.
    return (!isOffline && (await useful(fetch(request)))) || copy;
  }

  /** An answer, unless it is an error. @param {Promise<Response>} answer */
  const useful = (answer) =>
    answer.then(
      (answer) => (answer.status < 400 ? answer : undefined),
      () => undefined,
    );

  /** Keeps a build of the engine if it belongs to this version and storage has room. @param {string} url @param {Response} answer */
  async function keep(url, answer) {
    const bytes = await answer.clone().arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    if (wasmFiles.get(url) !== `sha256-${btoa(String.fromCharCode(...digest))}`) return;
    await (await caches.open(NAME)).put(url, answer);
  }
}
