/** Asks, on a metered or slow connection, whether smaller files of the same model will do. */
import { h } from '../ui/dom.js';
import { formatBytes } from '../ui/format.js';

/** @typedef {import('../lib/source.js').SourceChoice} SourceChoice */

/**
 * The model that the visitor wants to load: the one that was chosen, or smaller files of it; nothing after a cancel.
 * @param {string} model
 * @returns {Promise<string | undefined>}
 */
export async function wantedOf(model) {
  const { sourced } = await import('../lib/source.js');
  try {
    return /** @type {string} */ (await sourced(model, { source: 'auto', chooseSource: ask }));
  } catch {
    // Neither was chosen.
  }
}

/** @param {SourceChoice} choice @returns {Promise<'small' | 'original' | undefined>} */
async function ask(choice) {
  const { questionAbout } = await import('../lib/source.js');
  const button = (/** @type {string} */ value, /** @type {string} */ text, kind = '') =>
    h('button', { className: `button ${kind}`, type: 'button', onclick: () => dialog.close(value) }, text);
  const question = h('p', { id: 'source-question' }, questionAbout(choice));
  const dialog = h(
    'dialog',
    { className: 'panel source', 'aria-labelledby': question.id },
    question,
    h(
      'div',
      { className: 'row' },
      button('small', `Load ${formatBytes(choice.small)}`, 'primary'),
      button('original', `Load ${formatBytes(choice.original)}`),
      button('', 'Cancel', 'quiet'),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      const { returnValue } = dialog;
      resolve(returnValue === 'small' || returnValue === 'original' ? returnValue : undefined);
    });
  });
}
