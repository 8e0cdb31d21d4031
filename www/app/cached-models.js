/** What the browser keeps of models, the way to delete it, and the room for more. */
import { checkpoints, folderOf } from '../lib/checkpoints.js';
import { h } from '../ui/dom.js';
import { describe, downloadSize, formatBytes } from '../ui/format.js';
import { cachedModels, deleteAllModels, deleteModel, persistModels } from '../siglip.js';
import { announce, byId } from './page.js';

/** @typedef {import('../lib/model-cache.js').CachedModel} CachedModel */

/** Bytes kept for each byte of f32 weights and tokenizer that is downloaded, with a little to spare. */
const KEPT_SHARE = { q8: 0.27, f32: 1 };

/** The list of kept models in the model panel. */
export class KeptModels {
  /** @type {CachedModel[]} */
  models = [];
  /** Bytes that the browser says there is room for; nothing where it does not say. @type {number | undefined} */
  room;
  hasStorage = true;
  #onChange;
  /** The newest refresh: those before it show nothing any more. */
  #turn = 0;
  /** Whether the browser, asked on this visit, has declined. */
  #declined = false;

  #panel = byId('kept', HTMLDetailsElement);
  #list = byId('kept-list', HTMLUListElement);
  #none = byId('kept-none');
  #deleteAll = byId('delete-all');
  #persist = byId('persist');
  #error = byId('kept-error');

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#panel.addEventListener('toggle', () => this.#panel.open && this.refresh());
    this.#deleteAll.addEventListener('click', async () => {
      await this.#delete(deleteAllModels, 'All models are deleted.');
      if (this.#deleteAll.hidden) this.#focusSummary();
    });
    this.#persist.addEventListener('click', async () => {
      this.#declined = !(await persistModels().catch(() => false));
      await this.refresh();
      if (this.#persist.hidden) this.#focusSummary();
    });
    this.refresh();
  }

  /** Looks anew at what is there. */
  async refresh() {
    const turn = ++this.#turn;
    const [models, room, hasStorage, persisted] = await Promise.all([
      cachedModels(),
      roomLeft(),
      canKeep(),
      navigator.storage?.persisted?.().catch(() => false),
    ]);
    if (turn !== this.#turn) return;
    this.room = room;
    this.hasStorage = hasStorage;
    // Rows that are as they were stay, and with them the focus.
    if (JSON.stringify(models) !== JSON.stringify(this.models)) {
      this.models = models;
      this.#list.replaceChildren(...models.map((model) => this.#row(model)));
    }
    this.#deleteAll.hidden = models.length < 2;
    this.#none.hidden = models.length > 0;
    this.#none.textContent = hasStorage
      ? 'None yet.'
      : 'The browser gives this page no storage: models are downloaded on every visit.';
    this.#showPersistence(hasStorage, persisted);
    this.#onChange();
  }

  /**
   * @param {boolean} hasStorage
   * @param {boolean | undefined} persisted nothing where the browser cannot be asked
   */
  #showPersistence(hasStorage, persisted) {
    const canAsk = hasStorage && persisted !== undefined;
    this.#persist.hidden = !canAsk || persisted;
    const state = persisted
      ? 'The browser has agreed to keep models until you delete them.'
      : this.#declined
        ? 'The browser has not agreed: it may still delete models when room gets scarce.'
        : 'The browser may delete models when room gets scarce.';
    const shown = byId('persistence');
    // What is said again is not read out again.
    const text = canAsk ? state : '';
    if (shown.textContent !== text) shown.textContent = text;
  }

  /** @param {CachedModel} model */
  #row(model) {
    const name = nameOf(model);
    const facts = [
      model.precision === 'q8' ? '8-bit' : '32-bit',
      formatBytes(model.bytes),
      ...(model.towers === 'both' ? [] : [`${model.towers} half only`]),
      ...(model.complete ? [] : ['unfinished']),
    ].join(' · ');
    const remove = h('button', { className: 'button quiet', type: 'button' }, 'Delete');
    remove.ariaLabel = `Delete ${name}, ${facts}`;
    const row = h('li', {}, h('div', {}, h('p', {}, name), h('p', { className: 'hint' }, facts)), remove);
    remove.addEventListener('click', async () => {
      const place = [...this.#list.children].indexOf(row);
      await this.#delete(() => deleteModel(model), `Deleted: ${name}.`);
      const { children } = this.#list;
      const next = children[place] ?? children[place - 1];
      if (next) next.querySelector('button')?.focus();
      else this.#focusSummary();
    });
    return row;
  }

  /**
   * @param {() => Promise<void>} remove
   * @param {string} text for when it is done
   */
  async #delete(remove, text) {
    this.#error.hidden = true;
    try {
      await remove();
      announce(text);
    } catch (error) {
      byId('kept-error-text').replaceChildren(
        h('strong', {}, 'It could not be deleted'),
        describe(error).message,
      );
      this.#error.hidden = false;
    }
    await this.refresh();
  }

  /** Takes the focus from a button that is gone. */
  #focusSummary() {
    this.#panel.querySelector('summary')?.focus();
  }
}

/**
 * What a choice costs to download, and a warning where there is no room to keep it.
 * @param {{model: string, precision: 'q8' | 'f32'}} choice
 * @param {Pick<KeptModels, 'models' | 'room' | 'hasStorage'>} kept
 */
export function costOf({ model, precision }, { models, room, hasStorage }) {
  const bytes = checkpoints.some(({ id }) => id === model) && downloadSize(model);
  const roomText = room === undefined ? '' : ` The browser has room for ${formatBytes(room)}.`;
  if (!bytes) return { cost: model === 'tiny' ? '' : roomText.trim(), warning: '' };
  const download = `Downloads ${formatBytes(bytes)} from huggingface.co`;
  if (!hasStorage)
    return { cost: `${download}, on every visit: the browser gives this page no storage.`, warning: '' };
  const folder = folderOf(model);
  const here = models.find(
    (kept) => kept.model === folder && kept.precision === precision && kept.towers === 'both',
  );
  if (here?.complete) return { cost: 'Kept on this device: nothing is downloaded.', warning: '' };
  const toKeep = bytes * KEPT_SHARE[precision];
  const size = `about ${formatBytes(toKeep)}`;
  if (room !== undefined && toKeep - (here?.bytes ?? 0) > room) {
    const warning = `This model does not fit in there: it takes ${size}. It will answer, but it will be downloaded again on the next visit. Deleting models below makes room.`;
    return { cost: `${download}.${roomText}`, warning };
  }
  const cost = here
    ? `Goes on with the download that was broken off: ${formatBytes(here.bytes)} of ${size} are here.`
    : `${download}, once: ${size} are kept for the next visit.`;
  return { cost: `${cost}${roomText}`, warning: '' };
}

/** @param {CachedModel} model */
function nameOf({ model }) {
  if (!model) return 'A download that had hardly begun';
  if (model === folderOf('tiny')) return 'Tiny, the demonstration model';
  return checkpoints.find(({ id }) => folderOf(id) === model)?.label ?? model;
}

async function roomLeft() {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    if (quota !== undefined && usage !== undefined) return Math.max(0, quota - usage);
  } catch {
    // Where there is no storage, or the browser does not tell, there is nothing to state.
  }
}

/** Whether there is any of the two places that the engine keeps models in. */
const canKeep = () =>
  Promise.any([(async () => navigator.storage.getDirectory())(), (async () => caches.keys())()]).then(
    () => true,
    () => false,
  );
