import { sheetOf } from '../ui/dom.js';

/** What <siglip-search> has besides the styles of every element. */
export const searchSheet = sheetOf(`
:host { display: grid; gap: var(--gap); }
form { display: flex; flex-wrap: wrap; gap: .5rem; }
[part=input] { flex: 1 1 12rem; min-width: 0; font: inherit; color: inherit; background: transparent; padding: .5em .75em;
  border: 1px solid var(--muted); border-radius: calc(var(--radius) * .7); }
[part=input]:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[part=button]:disabled, [part=input]:disabled { opacity: .55; cursor: default; }
[part=list] { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9rem, 45%), 1fr)); gap: var(--gap); margin: 0;
  padding: 0; list-style: none; }
[part=list]:empty { display: none; }
[part=item] { min-width: 0; }
a { display: grid; gap: .3rem; color: inherit; font-size: .875em; text-decoration: none; border-radius: calc(var(--radius) * .7); }
a:hover [part=label] { text-decoration: underline; }
[part=picture] { width: 100%; aspect-ratio: 1; object-fit: cover; }
[part=label] { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
`);
