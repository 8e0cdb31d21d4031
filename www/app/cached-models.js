/** The models that the browser has cached: a list, the buttons to delete them, and the room for more. */
import { checkpoints, folderOf } from '../lib/checkpoints.js';
import { h } from '../ui/dom.js';
import { describe, downloadSize, formatBytes } from '../ui/format.js';
import { cachedModels, deleteAllModels, deleteModel, persistModels } from '../siglip.js';
import { announce, byId } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../lib/model-cache.js').CachedModel} CachedModel */

/** Bytes cached for each byte downloaded, of f32 weights and tokenizer; rounded up. */
const CACHED_SHARE = { q8: 0.27, 'q8-exact': 0.27, f32: 1 };
/** The same, of weights in 8 bits. */
const CACHED_SHARE_OF_QUANTIZED = { q8: 1.03, 'q8-exact': 1.03, f32: 4 };

/** The list of cached models in the model panel. */
export class CachedModels {
  /** @type {CachedModel[]} */
  models = [];
  /** Bytes of room according to the browser; undefined if it does not tell. @type {number | undefined} */
  room;
  hasStorage = true;
  #onChange;
  /** Counts refreshes: only the newest one shows its result. */
  #refreshes = 0;
  /** Whether the browser has refused to keep the models, on this visit. */
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
      await this.#delete(deleteAllModels, t`All models are deleted.`);
      if (this.#deleteAll.hidden) this.#focusSummary();
    });
    this.#persist.addEventListener('click', async () => {
      this.#declined = !(await persistModels().catch(() => false));
      await this.refresh();
      if (this.#persist.hidden) this.#focusSummary();
    });
    this.refresh();
  }

  /** Reads the cache again. */
  async refresh() {
    const refresh = ++this.#refreshes;
    const [models, room, hasStorage, persisted] = await Promise.all([
      cachedModels(),
      roomLeft(),
      canCache(),
      navigator.storage?.persisted?.().catch(() => false),
    ]);
    if (refresh !== this.#refreshes) return;
    this.room = room;
    this.hasStorage = hasStorage;
    // Rows that have not changed stay in place, so the focus stays too.
    if (JSON.stringify(models) !== JSON.stringify(this.models)) {
      this.models = models;
      this.#list.replaceChildren(...models.map((model) => this.#row(model)));
    }
    this.#deleteAll.hidden = models.length < 2;
    this.#none.hidden = models.length > 0;
    this.#none.textContent = hasStorage
      ? t`None yet.`
      : t`The browser gives this page no storage: models are downloaded on every visit.`;
    this.#showPersistence(hasStorage, persisted);
    this.#onChange();
  }

  /**
   * @param {boolean} hasStorage
   * @param {boolean | undefined} persisted undefined if the browser cannot be asked
   */
  #showPersistence(hasStorage, persisted) {
    const canAsk = hasStorage && persisted !== undefined;
    this.#persist.hidden = !canAsk || persisted;
    const state = persisted
      ? t`The browser has agreed to keep models until you delete them.`
      : this.#declined
        ? t`The browser has not agreed: it may still delete models when room gets scarce.`
        : t`The browser may delete models when room gets scarce.`;
    const shown = byId('persistence');
    // Screen readers announce every write, so the same text is not written again.
    const text = canAsk ? state : '';
    if (shown.textContent !== text) shown.textContent = text;
  }

  /** @param {CachedModel} model */
  #row(model) {
    const name = nameOf(model);
    const facts = [
      model.precision === 'q8' ? t`8-bit` : t`32-bit`,
      formatBytes(model.bytes),
      ...(model.towers === 'both' ? [] : [model.towers === 'image' ? t`image half only` : t`text half only`]),
      ...(model.complete ? [] : [t`unfinished`]),
    ].join(' · ');
    const remove = h('button', { className: 'button quiet', type: 'button' }, t`Delete`);
    remove.ariaLabel = t`Delete ${name}, ${facts}`;
    const row = h('li', {}, h('div', {}, h('p', {}, name), h('p', { className: 'hint' }, facts)), remove);
    remove.addEventListener('click', async () => {
      const place = [...this.#list.children].indexOf(row);
      await this.#delete(() => deleteModel(model), t`Deleted: ${name}.`);
      const { children } = this.#list;
      const next = children[place] ?? children[place - 1];
      if (next) next.querySelector('button')?.focus();
      else this.#focusSummary();
    });
    return row;
  }

  /**
   * @param {() => Promise<void>} remove
   * @param {string} text announced on success
   */
  async #delete(remove, text) {
    this.#error.hidden = true;
    try {
      await remove();
      announce(text);
    } catch (error) {
      byId('kept-error-text').replaceChildren(
        h('strong', {}, t`It could not be deleted`),
        describe(error).message,
      );
      this.#error.hidden = false;
    }
    await this.refresh();
  }

  /** Moves the focus from a button that was removed. */
  #focusSummary() {
    this.#panel.querySelector('summary')?.focus();
  }
}

/**
 * The cost of loading a model as text, and a warning if there is no room to cache it.
 * @param {{model: string, precision: import('../worker/protocol.js').Precision}} choice
 * @param {Pick<CachedModels, 'models' | 'room' | 'hasStorage'>} cache
 */
export function costOf({ model, precision }, { models, room, hasStorage }) {
  const checkpoint = checkpoints.find(({ id }) => id === model);
  const bytes = checkpoint && downloadSize(model);
  const roomText = room === undefined ? '' : t` The browser has room for ${formatBytes(room)}.`;
  if (!bytes) return { cost: model === 'tiny' ? '' : roomText.trim(), warning: '' };
  const kind = checkpoint.quantized
    ? t`Weights in 8 bits, made by others of the original: a little less exact. `
    : '';
  const download = `${kind}${t`Downloads ${formatBytes(bytes)} from huggingface.co`}`;
  if (!hasStorage)
    return { cost: t`${download}, on every visit: the browser gives this page no storage.`, warning: '' };
  const folder = folderOf(model);
  const cached = models.find(
    (entry) => entry.model === folder && entry.precision === precision && entry.towers === 'both',
  );
  if (cached?.complete) return { cost: t`Kept on this device: nothing is downloaded.`, warning: '' };
  const share = checkpoint.quantized ? CACHED_SHARE_OF_QUANTIZED : CACHED_SHARE;
  const toCache = bytes * share[precision];
  const size = t`about ${formatBytes(toCache)}`;
  if (room !== undefined && toCache - (cached?.bytes ?? 0) > room) {
    const warning = t`There is no room to keep this model, which takes ${size}. It will work, but it will be downloaded again on the next visit. Delete models below to make room.`;
    return { cost: `${t`${download}.`}${roomText}`, warning };
  }
  const cost = cached
    ? t`Continues the interrupted download: ${formatBytes(cached.bytes)} of ${size} are here.`
    : t`${download}, once: ${size} are kept for the next visit.`;
  return { cost: `${cost}${roomText}`, warning: '' };
}

/** @param {CachedModel} model */
function nameOf({ model }) {
  if (!model) return t`A download that has just begun`;
  if (model === folderOf('tiny')) return t`Tiny, the demonstration model`;
  return checkpoints.find(({ id }) => folderOf(id) === model)?.label ?? model;
}

async function roomLeft() {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    if (quota !== undefined && usage !== undefined) return Math.max(0, quota - usage);
  } catch {
    // There is no storage, or the browser does not tell.
  }
}

/** Whether the page has either storage that the engine caches models in. */
const canCache = () =>
  Promise.any([(async () => navigator.storage.getDirectory())(), (async () => caches.keys())()]).then(
    () => true,
    () => false,
  );
