/** All inputs of the page: files and URLs that are dropped, pasted, chosen or typed, and the samples. */
import { h } from '../ui/dom.js';
import { describe } from './describe.js';
import { imagesIn } from '../ui/scored-image.js';
import { SiglipError } from '../siglip.js';
import { datasetIn, imagesAmong, looseImages, modelIn, namesOf } from './classify-files.js';
import { filesFrom, filesIn } from './files.js';
import { byId } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('./files.js').Found} Found */

/**
 * What handles each kind of input.
 * @typedef {object} Handlers
 * @property {(sources: (File | string)[]) => void} images
 * @property {(model: import('./classify-files.js').OwnModel) => void} model
 * @property {(dataset: import('./classify-files.js').Dataset) => Promise<void>} dataset
 * @property {(label: string, files: File[]) => Promise<void>} lesson takes pictures that were dropped on a label
 * @property {(file: File) => Promise<void>} classes takes a file of taught classes
 */

/** @param {Handlers} handlers */
export function listenForInputs(handlers) {
  const takeFiles = (/** @type {Found[] | Promise<Found[]>} */ found) => handleFiles(found, handlers);

  const files = byId('files', HTMLInputElement);
  files.addEventListener('change', () => takeFiles(filesFrom(files)));

  const folder = byId('dataset', HTMLInputElement);
  folder.addEventListener('change', () => tryOrShow(() => handlers.dataset(datasetFrom(filesFrom(folder)))));

  const address = byId('address-field', HTMLInputElement);
  byId('address').addEventListener('submit', (event) => {
    event.preventDefault();
    handlers.images([address.value.trim()]);
    address.value = '';
  });

  byId('samples').addEventListener('click', ({ target }) => {
    const button = target instanceof Element && target.closest('button');
    if (button && button.dataset.src) handlers.images([button.dataset.src]);
  });

  /** @param {Event} event @param {DataTransfer | null} data */
  const transfer = (event, data) => {
    const urls = data?.files.length ? [] : imagesIn(data);
    if (!data?.files.length && !urls.length) return;
    event.preventDefault();
    const label = event.target instanceof Element && event.target.closest('.chip')?.querySelector('input');
    if (label && data?.files.length) handlers.lesson(label.value, [...data.files]);
    else if (urls.length) handlers.images(urls);
    else takeFiles(filesIn(data));
  };

  addEventListener('paste', (event) => {
    const inField = event.target instanceof HTMLInputElement;
    if (inField && !event.clipboardData?.files.length) return;
    transfer(event, event.clipboardData);
  });

  listenForDrops((event) => transfer(event, event.dataTransfer));
}

/** @param {(event: DragEvent) => void} onDrop */
function listenForDrops(onDrop) {
  const overlay = byId('overlay');
  // `dragenter` on a child comes before `dragleave` on its parent.
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
    if (carriesFiles(event)) onDrop(event);
  });
}

/**
 * Gives files to their handlers.
 * @param {Found[] | Promise<Found[]>} incoming
 * @param {Handlers} handlers
 */
const handleFiles = (incoming, handlers) =>
  tryOrShow(async () => {
    const found = await incoming;
    const [{ file }] = found.length === 1 ? found : [{ file: undefined }];
    if (file && /(?<!config)\.json$/.test(file.name)) return handlers.classes(file);
    const model = modelIn(found);
    const dataset = model ? undefined : datasetIn(found);
    const images = model || dataset ? looseImages(found) : imagesAmong(found);
    if (model) handlers.model(model);
    if (dataset) await handlers.dataset(dataset);
    if (images.length) handlers.images(images);
    if (!model && !dataset && !images.length) throw new SiglipError('bad-input', uselessMessage(found));
  });

/** @param {Found[]} found */
function datasetFrom(found) {
  const dataset = datasetIn(found);
  if (dataset) return dataset;
  throw new SiglipError(
    'bad-input',
    t`An evaluation takes a folder with two sub-folders of pictures or more, each named by what is in its pictures.`,
  );
}

/**
 * Does something with files, and shows the error if it fails.
 * @param {() => void | Promise<void>} work
 */
async function tryOrShow(work) {
  const complaint = byId('intake-error');
  complaint.hidden = true;
  try {
    await work();
  } catch (error) {
    // Any other error means that a folder could not be read.
    const { headline, message } =
      error instanceof SiglipError
        ? describe(error)
        : { headline: t`The files cannot be read`, message: String(error) };
    byId('intake-error-text').replaceChildren(h('strong', {}, headline), message);
    complaint.hidden = false;
  }
}

/** @param {Found[]} found */
const uselessMessage = (found) =>
  found.length
    ? t`There is neither a picture nor a model among these files: ${namesOf(found)}.`
    : t`The folder is empty.`;
