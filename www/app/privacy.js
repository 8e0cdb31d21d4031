/** The button of privacy.html: deletes all that the page has kept on this device. */
import { forgetFolder } from './search/folder.js';

const button = /** @type {HTMLButtonElement} */ (document.getElementById('forget'));
const report = /** @type {HTMLElement} */ (document.getElementById('forgotten'));

/** How the names of what the page and its engine keep begin. */
const OURS = 'siglip-';

button.addEventListener('click', async () => {
  button.disabled = true;
  report.textContent = '';
  // Some browsers, and private windows, lack one storage or the other.
  const results = await Promise.allSettled([forgetCode(), forgetCaches(), forgetFiles(), forgetFolder()]);
  const failed = results.some(({ status }) => status === 'rejected');
  report.textContent = failed
    ? 'Not everything could be deleted. Close the other tabs of this page, and try again.'
    : 'All is deleted. The next visit begins anew.';
  button.disabled = false;
});

const forgetCode = async () => (await navigator.serviceWorker?.getRegistration())?.unregister();

async function forgetCaches() {
  const names = (await globalThis.caches?.keys()) ?? [];
  await Promise.all(names.filter((name) => name.startsWith(OURS)).map((name) => caches.delete(name)));
}

async function forgetFiles() {
  const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
  if (!root) return;
  for await (const name of root.keys()) {
    if (name.startsWith(OURS)) await root.removeEntry(name, { recursive: true });
  }
}
