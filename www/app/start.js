/** Starts the page in the visitor's language, or in the one that its address names (`?lang=ja`). */
import { speak } from '../ui/translate.js';

/** The languages of languages.js. English visitors do not fetch it. */
const OTHERS = ['ja'];

const wanted = new URLSearchParams(location.search).get('lang') ?? navigator.language;
const language = wanted.split('-')[0].toLowerCase();
if (OTHERS.includes(language)) {
  const [{ languages }, { translateNames, translatePage }] = await Promise.all([
    import('./languages.js'),
    import('./translate-page.js'),
  ]);
  speak(languages[language]);
  translatePage(document, languages[language]);
  translateNames(languages[language]);
  document.documentElement.lang = language;
}
for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('a[hreflang]'))) {
  link.addEventListener('click', (event) => {
    event.preventDefault();
    // Unlike the link by itself, this keeps the fragment: the labels.
    location.search = link.search;
  });
}
// After that: the page's modules make their sentences when they are read.
await import('./app.js');
// From here on the page takes files; the event `load` may come before.
document.documentElement.dataset.started = '';
