/** What a handful of files is: a model, pictures, or pictures sorted into class folders. */
import { SiglipError } from '../siglip.js';

/** @typedef {import('./files.js').Found} Found */
/** A checkpoint's files, named by the folder or the file that it came as. @typedef {{name: string, files: File[]}} OwnModel */
/** Pictures of one class. @typedef {{label: string, pictures: Found[]}} ClassFolder */
/** @typedef {{name: string, classes: ClassFolder[]}} Dataset */

const CONFIG = 'config.json';
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const PICTURE = /\.(jpe?g|jfif|png|apng|gif|webp|bmp|avif|hei[cf]|svg)$/i;

/** The folder of a path, empty for a file that came by itself. @param {Found} found */
const folderOf = ({ path }) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** @param {Found} found */
const isLoose = (found) => !folderOf(found);

/**
 * The model among files: a .gguf, or what lies beside a config.json.
 * @param {Found[]} found
 * @returns {OwnModel | undefined}
 */
export function modelIn(found) {
  const ggufs = found.filter(({ file }) => file.name.endsWith('.gguf'));
  if (ggufs.length) {
    const { file } = theOne(ggufs);
    return { name: file.name, files: [file] };
  }
  const weights = found.filter(({ file }) => file.name.endsWith('.safetensors'));
  const configs = found.filter(({ file }) => file.name === CONFIG);
  if (!configs.length) {
    if (!weights.length) return;
    throw new SiglipError(
      'bad-input',
      `${weights[0].file.name} is read with config.json, preprocessor_config.json and tokenizer.json: take them all together, or the folder they are in.`,
    );
  }
  const depth = (/** @type {Found} */ { path }) => path.split('/').length;
  const top = Math.min(...configs.map(depth));
  const folder = folderOf(theOne(configs.filter((config) => depth(config) === top)));
  const beside = found.filter((other) => folderOf(other) === folder);
  const names = beside.map(({ file }) => file.name);
  const own = weights.filter((weight) => folderOf(weight) === folder);
  const files = beside.map(({ file }) =>
    // Under whatever name they were saved: where there is one file of weights it is the one.
    own.length === 1 && file === own[0].file && !names.includes(INDEX) ? new File([file], WEIGHTS) : file,
  );
  return { name: folder.split('/').pop() || own[0]?.file.name || CONFIG, files };
}

/** @param {Found[]} models */
function theOne(models) {
  if (models.length > 1)
    throw new SiglipError('bad-input', `There are several models in there (${namesOf(models)}): take one.`);
  return models[0];
}

/**
 * The pictures among files. A file that came by itself beside pictures is taken for one, whatever it is called.
 * @param {Found[]} found
 * @returns {File[]}
 */
export const picturesAmong = (found) =>
  found.some((each) => isPicture(each) || isNameless(each))
    ? found.filter((each) => isPicture(each) || isLoose(each)).map(({ file }) => file)
    : [];

/** The pictures that came by themselves, in no folder. @param {Found[]} found */
export const loosePictures = (found) =>
  found.filter((each) => isLoose(each) && isPicture(each)).map(({ file }) => file);

/**
 * The class folders among files: those inside another folder that hold pictures, named by their class. Fewer than two
 * are none.
 * @param {Found[]} found
 * @returns {Dataset | undefined}
 */
export function datasetIn(found) {
  /** @type {Map<string, Found[]>} */
  const classes = new Map();
  for (const picture of found.filter((each) => isPicture(each) && isInSubfolder(each))) {
    const label = labelOf(folderOf(picture));
    const pictures = classes.get(label) ?? [];
    classes.set(label, pictures);
    pictures.push(picture);
  }
  if (classes.size < 2) return;
  const inOrder = [...classes]
    .map(([label, pictures]) => ({ label, pictures }))
    .sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
  return { name: inOrder[0].pictures[0].path.split('/')[0], classes: inOrder };
}

/** @param {Found} found */
const isInSubfolder = (found) => folderOf(found).includes('/');

/** @param {string} folder */
function labelOf(folder) {
  const name = folder.split('/').pop() ?? folder;
  return name.replace(/[_-]+/g, ' ').trim() || name;
}

/** @param {Found} found */
const isPicture = ({ file: { name, type } }) =>
  !name.startsWith('.') && (type.startsWith('image/') || PICTURE.test(name));

/** Whether the name of a file that came by itself does not tell what it is. @param {Found} found */
const isNameless = (found) => isLoose(found) && !found.file.name.includes('.');

/**
 * The first few names.
 * @param {Found[]} found
 */
export function namesOf(found) {
  const shown = found.slice(0, 3).map(({ path }) => path);
  const more = found.length - shown.length;
  return `${shown.join(', ')}${more ? ` and ${more} more` : ''}`;
}
