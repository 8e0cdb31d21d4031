import { sheetOf } from '../ui/dom.js';

/** The styles of an evaluation, fetched with its code. */
export const evaluationSheet = sheetOf(`
.evaluation { position: relative; justify-items: start; }
.evaluation > *, .evaluation .details > * { max-width: 100%; min-width: 0; }
.evaluation h3 { margin: 0; padding-right: 2.5rem; font-size: 1rem; overflow-wrap: anywhere; }
.evaluation h3:focus { outline: none; }
.evaluation .row { width: 100%; }
.evaluation .progress-text { font-variant-numeric: tabular-nums; }
.evaluation :is(.progress-text, dl, .details):empty { display: none; }
.evaluation dl { display: flex; flex-wrap: wrap; gap: .75rem clamp(1rem, 4vw, 2.5rem); margin: 0; }
.evaluation dt { color: var(--muted); font-size: .875rem; }
.evaluation dd { margin: 0; font-size: 1.5rem; font-weight: 700; letter-spacing: -.02em; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.evaluation .details { display: grid; gap: .75rem; width: 100%; }
.evaluation details :is(ul, ol) { padding: .5rem 0 0; margin: 0; list-style: none; font-size: .9rem;
  overflow-wrap: anywhere; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); gap: .75rem; }
.mistakes li { display: flex; gap: .75rem; align-items: center; min-width: 0; }
.mistakes img { flex: none; width: 4rem; height: 4rem; border-radius: .5rem; background: var(--track); object-fit: cover; }
.mistakes div { min-width: 0; }
.matrix { justify-self: start; overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: .6rem; }
.matrix table { border-collapse: separate; border-spacing: 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
.matrix :is(th, td) { padding: .35rem .6rem; border: solid var(--line); border-width: 0 1px 1px 0; }
.matrix tr > :last-child { border-right: 0; }
.matrix tbody tr:last-child > * { border-bottom: 0; }
.matrix td { min-width: 2.75rem; text-align: right;
  background: color-mix(in srgb, var(--error) calc(40% * var(--share, 0)), var(--panel)); }
.matrix td.none { color: var(--muted); }
.matrix td.right { font-weight: 700;
  background: color-mix(in srgb, var(--accent) calc(40% * var(--share)), var(--panel)); }
.matrix th { position: sticky; background: var(--panel); font-weight: 600; text-align: left; }
.matrix tbody th { left: 0; min-width: 6rem; max-width: 10rem; overflow-wrap: break-word; }
.matrix thead th { top: 0; vertical-align: bottom; }
.matrix thead th span { display: inline-block; max-height: 10rem; writing-mode: vertical-rl; transform: rotate(180deg);
  overflow-wrap: anywhere; }
.matrix thead td { position: sticky; top: 0; left: 0; z-index: 1; }
`);
