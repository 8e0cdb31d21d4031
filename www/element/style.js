import { sheetOf } from '../ui/dom.js';

/**
 * The colours follow the `color-scheme` of the page, not of the system: on a page that is always light, the element is
 * light too. Browsers without light-dark() show the light colours.
 */
export const elementSheet = sheetOf(`
:host { display: block; container-type: inline-size; font-family: var(--siglip-font, inherit); line-height: 1.45;
  --accent: var(--siglip-accent, #0b6e5f); --accent-ink: var(--siglip-accent-ink, #fff); --track: var(--siglip-track, #e3eae7);
  --line: var(--siglip-line, #b9c5c0); --muted: var(--siglip-muted, #55635f); --error: var(--siglip-error, #a3301c);
  --gap: var(--siglip-gap, 1rem); --radius: var(--siglip-radius, .75rem); }
@supports (color: light-dark(red, red)) {
  :host { --accent: var(--siglip-accent, light-dark(#0b6e5f, #62d2b9)); --accent-ink: var(--siglip-accent-ink, light-dark(#fff, #06231d));
    --track: var(--siglip-track, light-dark(#e3eae7, #2a3532)); --line: var(--siglip-line, light-dark(#b9c5c0, #46544f));
    --muted: var(--siglip-muted, light-dark(#55635f, #9fb0aa)); --error: var(--siglip-error, light-dark(#a3301c, #ff9c86)); }
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
p { margin: 0; overflow-wrap: anywhere; }
[part=dropzone] { display: grid; gap: var(--gap); padding: var(--gap); border: 1.5px dashed var(--line); border-radius: var(--radius); }
[part=dropzone].over { border-color: var(--accent); border-style: solid; background: color-mix(in srgb, var(--accent) 8%, transparent); }
.ask { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: center; color: var(--muted); }
.invitation { flex: 1 1 12rem; }
::slotted(option) { display: none; }
[part=button] { position: relative; font: inherit; font-weight: 600; color: var(--accent-ink); background: var(--accent);
  border: 1px solid transparent; border-radius: calc(var(--radius) * .7); padding: .5em 1em; cursor: pointer; }
[part=button]:is(label) { color: var(--accent); background: none; border-color: currentColor; }
[part=button]:hover { filter: brightness(1.08); }
[part=button] input { position: absolute; inset: 0; width: 100%; opacity: 0; cursor: pointer; }
[part=button] input::file-selector-button { cursor: pointer; }
:is([part=button]:focus-visible, label:has(:focus-visible)) { outline: 3px solid var(--accent); outline-offset: 2px; }
[part=progress] { font-size: .875em; color: var(--muted); min-height: 1.45em; }
progress { width: 100%; accent-color: var(--accent); }
[part=error] { color: var(--error); }
[part=error] strong { display: block; }
figure { display: grid; gap: var(--gap); margin: 0; align-items: start; }
figure + figure { border-top: 1px solid var(--track); padding-top: var(--gap); }
img, canvas { width: 100%; max-height: 16rem; object-fit: contain; border-radius: calc(var(--radius) * .7); background: var(--track); }
@container (min-width: 28rem) { figure { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); } }
`);
