import { sheetOf } from '../../ui/dom.js';

/** The styles of the search, fetched with its code. */
export const searchSheet = sheetOf(`
.search { position: relative; display: grid; gap: .75rem; }
.search[hidden] { display: none; }
.search > * { min-width: 0; }
.search h3 { margin: 0; padding-right: 2.5rem; font-size: 1rem; overflow-wrap: anywhere; }
.search h3:focus { outline: none; }
.search .row { flex-wrap: wrap; }
.search form .field { flex: 1 1 12rem; }
.search :is(.progress-text, .hint):empty { display: none; }
.search details ul { padding: .5rem 0 0; margin: 0; list-style: none; font-size: .9rem; overflow-wrap: anywhere; }
.found { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9rem, 45%), 1fr)); gap: .75rem; margin: 0; padding: 0;
  list-style: none; }
.found:empty { display: none; }
.found li { display: grid; gap: .3rem; align-content: start; justify-items: start; min-width: 0; font-size: .85rem; }
.found li > :first-child { display: grid; width: 100%; padding: 0; border: 0; background: none; color: inherit; font: inherit;
  text-align: left; cursor: pointer; }
.found .group { grid-column: 1 / -1; color: var(--muted); }
.found img { width: 100%; aspect-ratio: 1; border-radius: .6rem; background: var(--track); object-fit: cover; }
.found span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
`);
