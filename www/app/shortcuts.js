/** Single keys for what is done often, and the list of them. They can be switched off (WCAG 2.1.4). */
import { h, sheetOf } from '../ui/dom.js';
import { t } from '../ui/translate.js';
import { byId } from './page.js';
import { changeSettings, readSettings } from './settings.js';

document.adoptedStyleSheets.push(
  sheetOf(`
.shortcuts { max-width: 26rem; padding: 1.5rem; border: 1px solid var(--line-strong); border-radius: var(--radius); background: var(--panel); color: var(--ink); }
.shortcuts::backdrop { background: rgb(0 0 0 / 45%); }
.shortcuts dl { display: grid; grid-template-columns: auto 1fr; gap: .6rem 1rem; margin: 1rem 0; }
.shortcuts dd { margin: 0; }
.shortcuts label { display: flex; gap: .5rem; align-items: baseline; padding-bottom: 1rem; }
kbd { display: inline-block; min-width: 1.75rem; padding: 0 .4rem; border: 1px solid var(--line-strong); border-radius: .35rem; font: inherit; text-align: center; }
footer .quiet { margin: .6rem 0; }
`),
);

const press = (/** @type {string} */ id) => () => byId(id).click();

/** @type {Record<string, [meaning: string, action: () => void]>} */
const shortcuts = {
  o: [t`Choose pictures`, press('files')],
  '/': [t`Write a label`, () => byId('new-label').focus()],
  t: [t`Table or cards`, changeView],
  s: [t`Search a folder`, press('search')],
  m: [t`Choose a model`, openModels],
  '?': [t`Show this list`, showList],
};

/** Where letters mean something else. */
const FIELDS =
  'input:not([type=radio], [type=checkbox], [type=file]), textarea, select, dialog, [contenteditable]';

let isOn = true;
/** @type {HTMLDialogElement | undefined} */
let dialog;

/** Listens for the keys, and puts a button for the list at the end of the page. */
export async function listenForKeys() {
  byId('offline').before(
    h('button', { className: 'button quiet', type: 'button', onclick: showList }, t`Keyboard shortcuts`),
  );
  isOn = !(await readSettings()).noKeys;
  document.addEventListener('keydown', (event) => {
    if (!isOn || event.defaultPrevented || event.repeat || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(FIELDS)) return;
    // Some layouts have these two signs on a key with Shift.
    if (event.shiftKey && !'/?'.includes(event.key)) return;
    const [, action] = Object.hasOwn(shortcuts, event.key) ? shortcuts[event.key] : [];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function changeView() {
  const table = byId('as-table', HTMLInputElement);
  const other = byId('views').querySelectorAll('input')[table.checked ? 0 : 1];
  other.click();
  other.focus();
}

function openModels() {
  byId('chooser', HTMLDetailsElement).open = true;
  byId('model').focus();
}

function showList() {
  dialog ??= makeDialog();
  dialog.showModal();
}

function makeDialog() {
  const title = h('h2', { id: 'shortcuts-title' }, t`Keyboard shortcuts`);
  const list = Object.entries(shortcuts).flatMap(([key, [meaning]]) => [
    h('dt', {}, h('kbd', {}, key)),
    h('dd', {}, meaning),
  ]);
  const choice = h('input', { type: 'checkbox', checked: isOn });
  choice.addEventListener('change', () => {
    isOn = choice.checked;
    changeSettings({ noKeys: !isOn });
  });
  const close = h('button', { className: 'button primary', type: 'button', autofocus: true }, t`Close`);
  const made = h(
    'dialog',
    { className: 'shortcuts', 'aria-labelledby': title.id },
    title,
    h('dl', {}, ...list),
    h('label', {}, choice, t`Use these keys where no field has the focus`),
    close,
  );
  close.addEventListener('click', () => made.close());
  document.body.append(made);
  return made;
}
