/** Tells what files are: a model, images, or a dataset of images in class folders. */
import { SiglipError } from '../siglip.js';
import { t } from '../ui/translate.js';

/** @typedef {import('./files.js').Found} Found */
/** A checkpoint of the visitor, with the name of its folder or file. @typedef {{name: string, files: File[]}} OwnModel */
/** Images of one class. @typedef {{label: string, images: Found[]}} ClassFolder */
/** @typedef {{name: string, classes: ClassFolder[]}} Dataset */

/** What describes a model: the first is the hub's, the second open_clip's. */
const CONFIGS = ['config.json', 'open_clip_config.json'];
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const IMAGE = /\.(jpe?g|jfif|png|apng|gif|webp|bmp|avif|hei[cf]|svg|jxl|tiff?|ico|p[bgpn]m|pfm|qoi|tga)$/i;

/** The folder of a file; empty if the file came without one. @param {Found} found */
const folderOf = ({ path }) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** @param {Found} found */
const isLoose = (found) => !folderOf(found);

/**
 * The model among files: a .gguf, or the files beside a config.json or one of open_clip's, with those in a folder onnx.
 * @param {Found[]} found
 * @returns {OwnModel | undefined}
 */
export function modelIn(found) {
  const ggufs = found.filter(({ file }) => file.name.endsWith('.gguf'));
  if (ggufs.length) {
    const { file } = theOne(ggufs);
    return { name: file.name, files: [file] };
  }
  const weights = found.filter(({ file }) => /\.(safetensors|onnx)$/.test(file.name));
  const ofName = (/** @type {string} */ name) => found.filter(({ file }) => file.name === name);
  const configs = CONFIGS.map(ofName).find((list) => list.length) ?? [];
  if (!configs.length) {
    if (!weights.length) return;
    throw new SiglipError(
      'bad-input',
      t`${weights[0].file.name} needs config.json, preprocessor_config.json and, unless it is a fine-tuned classifier, tokenizer.json. Take all of them together, or their folder.`,
    );
  }
  const depth = (/** @type {Found} */ { path }) => path.split('/').length;
  const top = Math.min(...configs.map(depth));
  const folder = folderOf(theOne(configs.filter((config) => depth(config) === top)));
  const onnx = folder ? `${folder}/onnx` : 'onnx';
  const beside = found.filter(
    (other) =>
      folderOf(other) === folder || (folderOf(other) === onnx && /\.onnx(_data)?$/.test(other.file.name)),
  );
  const names = beside.map(({ file }) => file.name);
  const own = weights.filter((weight) => folderOf(weight) === folder && !weight.file.name.endsWith('.onnx'));
  const files = beside.map(({ file }) =>
    // A single file of weights may have any name.
    own.length === 1 && file === own[0].file && !names.includes(INDEX) ? new File([file], WEIGHTS) : file,
  );
  return { name: folder.split('/').pop() || own[0]?.file.name || CONFIGS[0], files };
}

/** @param {Found[]} models */
function theOne(models) {
  if (models.length > 1)
    throw new SiglipError(
      'bad-input',
      t`There are several models among these files (${namesOf(models)}): take one.`,
    );
  return models[0];
}

/**
 * The images among files. If there are any, other files without a folder are taken for images too, whatever their name.
 * @param {Found[]} found
 * @returns {File[]}
 */
export const imagesAmong = (found) =>
  found.some((each) => isImage(each) || isNameless(each))
    ? found.filter((each) => isImage(each) || isLoose(each)).map(({ file }) => file)
    : [];

/** The images without a folder. @param {Found[]} found */
export const looseImages = (found) =>
  found.filter((each) => isLoose(each) && isImage(each)).map(({ file }) => file);

/**
 * The dataset among files: at least two folders of images, inside another folder and named by their class.
 * @param {Found[]} found
 * @returns {Dataset | undefined}
 */
export function datasetIn(found) {
  /** @type {Map<string, Found[]>} */
  const classes = new Map();
  for (const image of found.filter((each) => isImage(each) && isInSubfolder(each))) {
    const label = labelOf(folderOf(image));
    const images = classes.get(label) ?? [];
    classes.set(label, images);
    images.push(image);
  }
  if (classes.size < 2) return;
  const inOrder = [...classes]
    .map(([label, images]) => ({ label, images }))
    .sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
  return { name: inOrder[0].images[0].path.split('/')[0], classes: inOrder };
}

/** @param {Found} found */
const isInSubfolder = (found) => folderOf(found).includes('/');

/** @param {string} folder */
function labelOf(folder) {
  const name = folder.split('/').pop() ?? folder;
  return name.replace(/[_-]+/g, ' ').trim() || name;
}

/** @param {Found} found */
const isImage = ({ file: { name, type } }) =>
  !name.startsWith('.') && (type.startsWith('image/') || IMAGE.test(name));

/** Whether the file has neither a folder nor an extension. @param {Found} found */
const isNameless = (found) => isLoose(found) && !found.file.name.includes('.');

/**
 * The first few paths, for an error message.
 * @param {Found[]} found
 */
export function namesOf(found) {
  const shown = found.slice(0, 3).map(({ path }) => path);
  const more = found.length - shown.length;
  return more ? t`${shown.join(', ')} and ${more} more` : shown.join(', ');
}
