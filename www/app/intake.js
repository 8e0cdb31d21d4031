import { picturesIn } from '../element/picture.js';
import { byId } from './page.js';

/**
 * Every way a picture comes in: dropped anywhere, pasted, chosen, by address, as a sample.
 * @param {(sources: (File | string)[]) => void} take
 */
export function listenForPictures(take) {
  const files = byId('files', HTMLInputElement);
  files.addEventListener('change', () => {
    take([...(files.files ?? [])]);
    files.value = '';
  });

  const address = byId('address-field', HTMLInputElement);
  byId('address').addEventListener('submit', (event) => {
    event.preventDefault();
    take([address.value.trim()]);
    address.value = '';
  });

  byId('samples').addEventListener('click', ({ target }) => {
    const button = target instanceof Element && target.closest('button');
    if (button && button.dataset.src) take([button.dataset.src]);
  });

  addEventListener('paste', (event) => {
    const inField = event.target instanceof HTMLInputElement;
    if (inField && !event.clipboardData?.files.length) return;
    const sources = picturesIn(event.clipboardData);
    if (!sources.length) return;
    event.preventDefault();
    take(sources);
  });

  listenForDrops(take);
}

/** @param {(sources: (File | string)[]) => void} take */
function listenForDrops(take) {
  const overlay = byId('overlay');
  // Entering a child counts before leaving its parent does.
  let depth = 0;
  const enter = (/** @type {number} */ change) => {
    depth = change ? depth + change : 0;
    overlay.classList.toggle('shown', depth > 0);
  };
  const carriesPicture = (/** @type {DragEvent} */ { dataTransfer }) =>
    dataTransfer?.types.some((type) => type === 'Files' || type === 'text/uri-list');

  addEventListener('dragenter', (event) => carriesPicture(event) && enter(1));
  addEventListener('dragleave', (event) => carriesPicture(event) && enter(-1));
  addEventListener('dragover', (event) => carriesPicture(event) && event.preventDefault());
  addEventListener('drop', (event) => {
    enter(0);
    const sources = carriesPicture(event) ? picturesIn(event.dataTransfer) : [];
    if (!sources.length) return;
    event.preventDefault();
    take(sources);
  });
}
