import { h } from '../ui/dom.js';
import { describe } from '../ui/format.js';
import { picturesIn } from '../ui/scored-image.js';
import { SiglipError } from '../siglip.js';
import { datasetIn, loosePictures, modelIn, namesOf, picturesAmong } from './classify-files.js';
import { filesFrom, filesIn } from './files.js';
import { byId } from './page.js';

/** @typedef {import('./files.js').Found} Found */

/**
 * Who takes what comes in.
 * @typedef {object} Takers
 * @property {(sources: (File | string)[]) => void} pictures
 * @property {(model: import('./classify-files.js').OwnModel) => void} model
 * @property {(dataset: import('./classify-files.js').Dataset) => Promise<void>} dataset
 */

/**
 * Every way pictures or a model come in: dropped anywhere, pasted, chosen, by address, as a sample.
 * @param {Takers} take
 */
export function listenForFiles(take) {
  const sort = (/** @type {Found[] | Promise<Found[]>} */ found) => sortOut(found, take);

  const files = byId('files', HTMLInputElement);
  files.addEventListener('change', () => sort(filesFrom(files)));

  const folder = byId('dataset', HTMLInputElement);
  folder.addEventListener('change', () => attempt(() => take.dataset(datasetFrom(filesFrom(folder)))));

  const address = byId('address-field', HTMLInputElement);
  byId('address').addEventListener('submit', (event) => {
    event.preventDefault();
    take.pictures([address.value.trim()]);
    address.value = '';
  });

  byId('samples').addEventListener('click', ({ target }) => {
    const button = target instanceof Element && target.closest('button');
    if (button && button.dataset.src) take.pictures([button.dataset.src]);
  });

  /** @param {Event} event @param {DataTransfer | null} data */
  const transfer = (event, data) => {
    const addresses = data?.files.length ? [] : picturesIn(data);
    if (!data?.files.length && !addresses.length) return;
    event.preventDefault();
    if (addresses.length) take.pictures(addresses);
    else sort(filesIn(data));
  };

  addEventListener('paste', (event) => {
    const inField = event.target instanceof HTMLInputElement;
    if (inField && !event.clipboardData?.files.length) return;
    transfer(event, event.clipboardData);
  });

  listenForDrops((event) => transfer(event, event.dataTransfer));
}

/** @param {(event: DragEvent) => void} take */
function listenForDrops(take) {
  const overlay = byId('overlay');
  // Entering a child counts before leaving its parent does.
  let depth = 0;
  const enter = (/** @type {number} */ change) => {
    depth = change ? depth + change : 0;
    overlay.classList.toggle('shown', depth > 0);
  };
  const carriesFiles = (/** @type {DragEvent} */ { dataTransfer }) =>
    dataTransfer?.types.some((type) => type === 'Files' || type === 'text/uri-list');

  addEventListener('dragenter', (event) => carriesFiles(event) && enter(1));
  addEventListener('dragleave', (event) => carriesFiles(event) && enter(-1));
  addEventListener('dragover', (event) => carriesFiles(event) && event.preventDefault());
  addEventListener('drop', (event) => {
    enter(0);
    if (carriesFiles(event)) take(event);
  });
}

/**
 * Gives files to whom they are for.
 * @param {Found[] | Promise<Found[]>} incoming
 * @param {Takers} take
 */
const sortOut = (incoming, take) =>
  attempt(async () => {
    const found = await incoming;
    const model = modelIn(found);
    const dataset = model ? undefined : datasetIn(found);
    const pictures = model || dataset ? loosePictures(found) : picturesAmong(found);
    if (model) take.model(model);
    if (dataset) await take.dataset(dataset);
    if (pictures.length) take.pictures(pictures);
    if (!model && !dataset && !pictures.length) throw new SiglipError('bad-input', useless(found));
  });

/** @param {Found[]} found */
function datasetFrom(found) {
  const dataset = datasetIn(found);
  if (dataset) return dataset;
  throw new SiglipError(
    'bad-input',
    'An evaluation takes a folder with two sub-folders of pictures or more, each named by what is in its pictures.',
  );
}

/**
 * Does something with files and tells what is wrong with them.
 * @param {() => void | Promise<void>} work
 */
async function attempt(work) {
  const complaint = byId('intake-error');
  complaint.hidden = true;
  try {
    await work();
  } catch (error) {
    // What is no error of this library comes from a folder that could not be walked through.
    const { headline, message } =
      error instanceof SiglipError
        ? describe(error)
        : { headline: 'That cannot be read', message: String(error) };
    byId('intake-error-text').replaceChildren(h('strong', {}, headline), message);
    complaint.hidden = false;
  }
}

/** @param {Found[]} found */
const useless = (found) =>
  found.length
    ? `There is neither a picture nor a model among these files: ${namesOf(found)}.`
    : 'There is no file in there.';
