/** Asks, on a metered or slow connection, whether smaller files of the same model will do. */
import { h } from '../ui/dom.js';
import { formatBytes } from '../ui/format.js';
import { t } from '../ui/translate.js';

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
function ask(choice) {
  const [small, original] = [choice.small, choice.original].map(formatBytes);
  const button = (/** @type {string} */ value, /** @type {string} */ text, kind = '') =>
    h('button', { className: `button ${kind}`, type: 'button', onclick: () => dialog.close(value) }, text);
  const question = h(
    'p',
    { id: 'source-question' },
    t`This connection is metered or slow: load the same model in 8 bits, ${small} in place of ${original}, a little less exact?`,
  );
  const dialog = h(
    'dialog',
    { className: 'panel source', 'aria-labelledby': question.id },
    question,
    h(
      'div',
      { className: 'row' },
      button('small', t`Load ${small}`, 'primary'),
      button('original', t`Load ${original}`),
      button('', t`Cancel`, 'quiet'),
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
