/** The panel of the model: which one answers, its download, and the choice of another. */
import { h } from '../ui/dom.js';
import { describe } from './describe.js';
import { downloadSize, formatBytes, formatProgress, showProgress } from '../ui/format.js';
import { borrow } from '../ui/pool.js';
import { smallOf } from '../lib/checkpoints.js';
import { SiglipError, checkpoints } from '../siglip.js';
import { modelIn, namesOf } from './classify-files.js';
import { filesFrom } from './files.js';
import { CachedModels, costOf } from './cached-models.js';
import { DeviceChoice, deviceText } from './device-choice.js';
import { announce, byId } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../siglip.js').Siglip} Siglip */
/** @typedef {import('../siglip.js').Progress} Progress */
/** @typedef {import('../ui/pool.js').Loan} Loan */
/** @typedef {'q8' | 'f32'} Precision */
/** What has been downloaded after its first bytes, and in which time. @typedef {{bytes: number, ms: number}} Transfer */
/** A model to load; a model of the visitor's own files has a name. @typedef {{model: string | File[], name?: string, precision: Precision}} Choice */

const CUSTOM = 'custom';
/** Larger downloads are left to those who write the address: a tab can hardly hold them. So are gated ones. */
const LARGEST = 5e9;

/** Loads the models of the page. The present model answers until the next one is ready. */
export class ModelPanel {
  /** The model that answers. @type {Siglip | undefined} */
  siglip;
  /** The next model, once it can embed pictures. @type {Siglip | undefined} */
  early;
  /** The download of the last load, if it was none from the device. @type {Transfer | undefined} */
  transfer;
  /** How long the last load took. */
  loadMs = 0;
  /** The beginning of that download. @type {{time: number, loaded: number} | undefined} */
  #arrival;
  #onModel;
  #onProgress;
  #onEarly;
  /** @type {Loan | undefined} */
  #loan;
  /** The model that is loading. @type {Loan | undefined} */
  #next;
  /** What was chosen when the model that answers was loaded. @type {{choice: Choice, device: import('../worker/protocol.js').Device} | undefined} */
  #answering;
  /** @type {Choice} */
  #choice = { model: 'tiny', precision: 'q8' };
  /** Quarters of the download that screen readers have announced. */
  #quarter = 0;

  #select = byId('model', HTMLSelectElement);
  #customUrl = byId('custom-url', HTMLInputElement);
  #form = byId('model-form', HTMLFormElement);
  #loading = byId('loading');
  #error = byId('model-error');
  #notices = byId('notices');
  #noRoom = byId('no-room');
  #cached = new CachedModels(() => this.#describeChoice());
  #device = new DeviceChoice(() => this.load());

  /**
   * @param {(siglip: Siglip) => void} onModel
   * @param {(text: string) => void} onProgress gets the state of the load; empty when nothing is loading
   * @param {(siglip: Siglip) => void} onEarly gets a model that can embed pictures and may still wait for its text tower
   */
  constructor(onModel, onProgress, onEarly) {
    this.#onModel = onModel;
    this.#onProgress = onProgress;
    this.#onEarly = onEarly;
    this.#fillSelect();
    this.#form.addEventListener('input', () => this.#describeChoice());
    this.#form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const chosen = this.#chosen();
      // Few connections are such: the code is fetched where one may be.
      if ('connection' in navigator && smallOf(chosen.model)) {
        const { wantedOf } = await import('./ask-source.js');
        const wanted = await wantedOf(chosen.model);
        if (!wanted) return;
        chosen.model = wanted;
      }
      byId('chooser', HTMLDetailsElement).open = false;
      this.load(chosen);
    });
    for (const id of ['model-files', 'model-folder']) {
      const input = byId(id, HTMLInputElement);
      input.addEventListener('change', () => this.#open(filesFrom(input)));
    }
    byId('cancel').addEventListener('click', () => {
      this.#stop();
      if (this.#answering) ({ choice: this.#choice, device: this.#device.value } = this.#answering);
      this.#cached.refresh();
      announce(t`The download has been cancelled.`);
      this.#reportNoModel();
      byId('chooser').querySelector('summary')?.focus();
    });
    byId('retry').addEventListener('click', () => this.load(this.#choice));
  }

  /**
   * @param {Choice} [choice]
   */
  async load(choice = this.#choice) {
    this.#stop();
    this.#choice = choice;
    const device = this.#device.value;
    const start = performance.now();
    this.#arrival = this.transfer = undefined;
    this.#error.hidden = true;
    this.#loading.hidden = false;
    this.#quarter = 0;
    this.#notices.replaceChildren();
    this.#notices.hidden = true;
    this.#showProgress({ phase: 'download', loaded: 0, total: 0, file: '' });
    const loan = borrow(
      choice.model,
      { precision: choice.precision, device },
      {
        onProgress: (progress) => this.#next === loan && this.#showProgress(progress),
        onNotice: ({ message }) => {
          this.#notify(message);
          // The notice of a model that answers already says that it has moved to the CPU.
          if (this.#loan === loan && this.siglip) this.#showFacts(this.siglip.info);
        },
      },
    );
    this.#next = loan;
    try {
      const siglip = await loan.siglip;
      if (this.#next !== loan) return;
      this.early = siglip;
      this.#onEarly(siglip);
      await siglip.whole;
      if (this.#next !== loan) return;
      const previous = this.#loan;
      [this.#loan, this.#next, this.siglip] = [loan, undefined, siglip];
      this.#answering = { choice, device };
      this.loadMs = performance.now() - start;
      this.#stop();
      this.#describeModel(siglip);
      this.#onModel(siglip);
      previous?.release();
    } catch (error) {
      if (this.#next !== loan) return;
      this.#stop();
      this.#fail(error);
    }
    this.#cached.refresh();
  }

  /**
   * Loads a model from files of the visitor.
   * @param {import('./classify-files.js').OwnModel} own
   */
  loadOwn({ name, files }) {
    const loaded = this.load({ model: files, name, precision: this.#chosen().precision });
    this.#loading.scrollIntoView({ block: 'nearest' });
    announce(t`Loading ${name} …`);
    return loaded;
  }

  /** @param {import('./files.js').Found[]} found the files chosen as a model */
  #open(found) {
    try {
      const own = modelIn(found);
      if (!own)
        throw new SiglipError('bad-input', t`There is no model among these files: ${namesOf(found)}.`);
      byId('chooser', HTMLDetailsElement).open = false;
      this.loadOwn(own);
    } catch (error) {
      this.#fail(error, { canRetry: false });
    }
  }

  /** The name of the model that answers, for a link: files of the visitor have none. */
  get named() {
    const model = this.#answering?.choice.model;
    return typeof model === 'string' ? model : undefined;
  }

  /** Preselects a model for the visitor to load, or not. @param {string} name */
  offer(name) {
    const isListed = [...this.#select.options].some(({ value }) => value === name);
    this.#select.value = isListed ? name : CUSTOM;
    if (!isListed) this.#customUrl.value = name;
    this.#describeChoice();
    byId('chooser', HTMLDetailsElement).open = true;
    this.#notify(
      t`The link to this page names the model ${name}. It is not on this device: load it below if you like.`,
    );
  }

  /** Loads the present model again, after its worker has died. */
  reload() {
    this.#loan?.retire();
    return this.load();
  }

  /** Ends the load. */
  #stop() {
    this.#next?.release();
    this.#next = this.early = undefined;
    this.#loading.hidden = true;
    this.#onProgress('');
  }

  /** @param {Progress} progress */
  #showProgress(progress) {
    const text = formatProgress(progress);
    if (progress.phase === 'download' && progress.loaded) {
      const time = performance.now();
      const first = (this.#arrival ??= { time, loaded: progress.loaded });
      this.transfer = { bytes: progress.loaded - first.loaded, ms: time - first.time };
    }
    showProgress(byId('loading-bar', HTMLProgressElement), progress);
    byId('loading-text').textContent = text;
    const quarter = progress.total ? Math.floor((4 * progress.loaded) / progress.total) : 0;
    if (quarter > this.#quarter) announce(text);
    this.#quarter = quarter;
    this.#onProgress(text);
  }

  /** @param {string} message */
  #notify(message) {
    this.#notices.append(h('p', {}, message));
    this.#notices.hidden = false;
    announce(message);
  }

  /**
   * @param {unknown} error
   * @param {{canRetry: boolean}} [options]
   */
  #fail(error, { canRetry } = { canRetry: true }) {
    const { headline, message } = describe(error);
    const stillLoaded = this.siglip ? t` The previous model still answers.` : '';
    byId('model-error-text').replaceChildren(h('strong', {}, headline), message + stillLoaded);
    byId('retry').hidden = !canRetry;
    this.#error.hidden = false;
    this.#reportNoModel();
  }

  #reportNoModel() {
    if (!this.siglip) this.#onProgress(t`There is no model: load one under “Model”.`);
  }

  /** @param {Siglip} siglip */
  #describeModel({ info }) {
    const published = checkpoints.find(({ id }) => id === info.model);
    byId('model-name').textContent =
      info.model === 'tiny'
        ? t`Tiny, the demonstration model`
        : (this.#choice.name ?? published?.label ?? info.model);
    this.#showFacts(info);
    byId('model-note').hidden = info.model !== 'tiny';
    announce(t`The model is ready.`);
  }

  /** @param {import('../siglip.js').Info} info */
  #showFacts(info) {
    byId('model-facts').textContent = [
      t`Pictures at ${info.imageSize} px`,
      info.precision === 'q8'
        ? t`8-bit weights, ${formatBytes(info.bytes)} in memory`
        : t`32-bit weights, ${formatBytes(info.bytes)} in memory`,
      deviceText(info),
      ...(checkpoints.some(({ id }) => id === info.model) ? [info.model] : []),
    ].join(' · ');
  }

  #fillSelect() {
    const option = (/** @type {string} */ value, /** @type {string} */ text) => h('option', { value }, text);
    const published = (/** @type {boolean} */ inEightBits) =>
      checkpoints
        .filter(({ quantized, gated, bytes }) => quantized === inEightBits && !gated && bytes < LARGEST)
        .map(({ id, label, bytes }) => option(id, `${label} · ${formatBytes(bytes)}`));
    this.#select.append(
      h(
        'optgroup',
        { label: t`Comes with this page` },
        option('tiny', t`Tiny, for demonstration · ${formatBytes(downloadSize('tiny') ?? 0)}`),
      ),
      h('optgroup', { label: t`Published by Google` }, ...published(false)),
      h('optgroup', { label: t`The same in fewer bytes` }, ...published(true)),
      h('optgroup', { label: t`Elsewhere` }, option(CUSTOM, t`An address, or your own files …`)),
    );
    this.#describeChoice();
  }

  /** @returns {{model: string, precision: Precision}} */
  #chosen() {
    const { value } = this.#select;
    const precision = new FormData(this.#form).get('precision') === 'f32' ? 'f32' : 'q8';
    return { model: value === CUSTOM ? this.#customUrl.value.trim() : value, precision };
  }

  #describeChoice() {
    const { value } = this.#select;
    const custom = value === CUSTOM;
    byId('custom').hidden = !custom;
    this.#customUrl.required = custom;
    const { cost, warning } = costOf(this.#chosen(), this.#cached);
    byId('cost').textContent = cost;
    this.#noRoom.hidden = !warning;
    if (this.#noRoom.textContent === warning) return;
    this.#noRoom.textContent = warning;
    announce(warning);
  }
}
