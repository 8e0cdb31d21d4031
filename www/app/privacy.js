/** The page about privacy: its language, and the button that deletes all that is kept on this device. */
import { forgetFolder } from './search/folder.js';

const languages = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.language')]);
const wanted = new URLSearchParams(location.search).get('lang') ?? navigator.language;
const shown = languages.find(({ lang }) => lang === wanted.split('-')[0].toLowerCase()) ?? languages[0];
for (const language of languages) language.hidden = language !== shown;
document.documentElement.lang = shown.lang;

/** How the names of what the page and its engine keep begin. */
const OURS = 'siglip-';

const button = /** @type {HTMLButtonElement} */ (shown.querySelector('.forget'));
button.addEventListener('click', async () => {
  button.disabled = true;
  const [deleted, failed] = /** @type {NodeListOf<HTMLElement>} */ (
    shown.querySelectorAll('.deleted, .failed')
  );
  deleted.hidden = failed.hidden = true;
  // Some browsers, and private windows, lack one storage or the other.
  const results = await Promise.allSettled([forgetCode(), forgetCaches(), forgetFiles(), forgetFolder()]);
  const isDone = results.every(({ status }) => status === 'fulfilled');
  (isDone ? deleted : failed).hidden = false;
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
