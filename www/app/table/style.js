import { sheetOf } from '../../ui/dom.js';

/** The styles of the table, fetched with its code. */
export const tableSheet = sheetOf(`
.table { display: grid; gap: .9rem; min-width: 0; }
.table > * { min-width: 0; }
.table .tools { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(8.75rem, 100%), 1fr)); gap: .75rem 1rem;
  align-items: end; }
.table .tools > label { display: grid; gap: .2rem; font-size: .875rem; font-weight: 600; }
.table .tools .field { width: 100%; min-width: 0; font-weight: 400; }
.table .tools input[type=range] { width: 100%; min-height: 2.5rem; margin: 0; accent-color: var(--accent); }
.table .tools label:has(.wide) { grid-column: span 2; }
.table .tools .wide { font-weight: 400; font-variant-numeric: tabular-nums; }
.table .actions { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.grid { --pick: 2.5rem; --name: clamp(8rem, 30vw, 16rem); --cell: 5.5rem; position: relative; overflow: auto;
  max-height: min(75vh, 46rem); border: 1px solid var(--line); border-radius: .6rem; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
.grid [role=row] { display: grid;
  width: max(100%, calc(var(--pick) + var(--name) + var(--labels) * var(--cell)));
  grid-template-columns: var(--pick) var(--name) repeat(var(--labels), minmax(var(--cell), 1fr)); }
.grid [role=row] > * { display: flex; align-items: center; padding: .25rem .5rem; min-width: 0; overflow: hidden;
  background: var(--panel); border: solid var(--line); border-width: 0 1px 1px 0; }
.grid .head { position: sticky; top: 0; z-index: 2; }
.grid .head [role=row] > * { align-items: end; }
.grid .body { position: relative; }
.grid .body [role=row] { position: absolute; left: 0; height: 3rem; }
.grid [role=row] > :nth-child(1) { position: sticky; left: 0; z-index: 1; justify-content: center; }
.grid [role=row] > :nth-child(2) { position: sticky; left: var(--pick); z-index: 1; gap: .5rem; }
.grid [role=rowheader] img { flex: none; width: 2.25rem; height: 2.25rem; border-radius: .35rem; object-fit: cover;
  background: var(--track); }
.grid [role=rowheader] span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.grid input[type=checkbox] { width: 1.15rem; height: 1.15rem; margin: 0; accent-color: var(--accent); }
.grid .value { justify-content: end;
  background: color-mix(in srgb, var(--accent) calc(40% * var(--share, 0)), var(--panel)); }
.grid .chosen { font-weight: 700; box-shadow: inset 0 0 0 2px var(--accent); }
.grid .failure { grid-column: 3 / -1; color: var(--error); font-size: .8rem; line-height: 1.25; }
.grid [aria-selected=true] > :is([role=rowheader], :first-child) { background: var(--accent-soft); }
.grid .head button { display: grid; gap: .15rem; width: 100%; min-height: 1.75rem; padding: 0; border: 0; background: none;
  color: inherit; font: inherit; text-align: left; cursor: pointer; align-content: end; }
.grid .head b { max-height: 4.2em; overflow: hidden; overflow-wrap: anywhere; line-height: 1.4; }
.grid .head small { color: var(--muted); font-size: .78rem; }
.grid [aria-sort=ascending] b::after { content: " ▲"; }
.grid [aria-sort=descending] b::after { content: " ▼"; }
.grid :focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; }
@media (max-width: 40rem) { .grid { --name: 8.5rem; --cell: 5.4rem; } .grid [role=rowheader] img { display: none; } }
@media (forced-colors: active) { .grid .chosen { outline: 2px solid Highlight; outline-offset: -2px; } }
`);
