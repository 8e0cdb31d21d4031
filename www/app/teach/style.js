import { sheetOf } from '../../ui/dom.js';

/** The styles of taught classes, fetched with their code. */
export const teachSheet = sheetOf(`
.teach { display: grid; gap: .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
.teach h3 { margin: 0; font-size: 1rem; }
.teach h3:focus { outline: none; }
.teach .lessons { display: grid; gap: .75rem; }
.teach .lessons > li { display: grid; gap: .4rem; min-width: 0; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: .6rem; }
.teach .lessons > li.over { border-color: var(--accent); background: var(--accent-soft); }
.teach .name { font-weight: 600; overflow-wrap: anywhere; }
.teach .row { flex-wrap: wrap; }
.teach .mix { display: grid; grid-template-columns: auto minmax(4rem, 1fr) auto; gap: .5rem; align-items: center; font-size: .875rem; }
.teach .mix input { width: 100%; min-width: 0; accent-color: var(--accent); }
.teach .mix span { font-weight: 400; }
.teach :is(.hint, .error):empty { display: none; }
.judge { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.judge select { flex: 1 1 8rem; width: auto; }
`);
