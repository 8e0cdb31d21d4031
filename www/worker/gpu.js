/**
 * A model whose blocks and heads run on the GPU. The engine keeps all the rest. Weights go to the GPU as they arrive, as to a follower
 * of a sharded model, and no copy of them stays: after a fault the model is read again, from the cache where it is.
 */
import { loadPlanner } from '../gpu-plan.js';
import { checkTower, checkWeights, isFinite } from './gpu-check.js';
import { keepAt, keptAt, placeOf } from './gpu-choice.js';
import { GpuFault, openDevice, reasonOf } from './gpu-device.js';
import { embedTogether } from './gpu-images.js';
import { GpuTower } from './gpu-tower.js';
import { WeightWriter } from './gpu-weights.js';
import { yieldToMessages } from './yield.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./gpu-device.js').FaultCode} FaultCode */
/** @typedef {import('./gpu-tower.js').TowerPlan} TowerPlan */
/** @typedef {import('./protocol.js').Calls} Calls */
/** @typedef {import('./protocol.js').CallEvent} CallEvent */
/** @typedef {import('./protocol.js').LoadEvent} LoadEvent */
/** @typedef {import('./protocol.js').PixelValues} PixelValues */
/** @typedef {Calls['load']['parameters']} Parameters */
/** Loads the engine. Passed in, so that bundlers leave it in one script with the worker. @typedef {typeof import('./wasm.js').loadWasm} LoadWasm */
/**
 * A model, and what is told of the place where it runs.
 * @typedef {object} Loaded
 * @property {Engine} engine
 * @property {GpuBlocks} [gpu] what runs the blocks, if not the engine
 * @property {Pick<import('./protocol.js').EngineInfo, 'workers' | 'device' | 'adapter' | 'engine'>} place
 * @property {number} bytesElsewhere weights outside the engine's memory
 */
/** Loads the model without a GPU. @typedef {(signal: AbortSignal, tell: (event: LoadEvent) => void, asThreads?: boolean) => Promise<Loaded>} LoadOnCpu */

/** How much faster than the CPU the GPU has to be for "auto". */
const WORTH_IT = 1.2;

/** @type {Record<FaultCode, string>} */
const HEADLINES = {
  'gpu-missing': 'The GPU cannot be used',
  'gpu-plan': 'The code for the GPU could not be loaded',
  'gpu-wrong': 'The GPU computes wrongly',
  'gpu-slow': 'The GPU is slower than the CPU',
  'gpu-lost': 'The GPU was lost',
  'gpu-memory': "The GPU's memory does not suffice",
};
/** @param {GpuFault} fault */
const noticeOf = ({ code, message }) => ({
  code,
  message: `${HEADLINES[code]}, so the CPU computes: ${message.replace(/\.$/, '')}.`,
});

/**
 * The same report without steps back: a load that starts over has less than it had.
 * @param {(event: LoadEvent) => void} tell
 * @returns {(event: LoadEvent) => void}
 */
function forward(tell) {
  let most = 0;
  return (event) => {
    if (event.type === 'progress' && event.loaded < most) return;
    if (event.type === 'progress') most = event.loaded;
    tell(event);
  };
}

/**
 * Loads a model with its blocks on the GPU, or else on the CPU.
 * @param {Parameters} parameters
 * @param {LoadWasm} loadWasm
 * @param {number} workers that would share it on the CPU
 * @param {LoadOnCpu} loadOnCpu
 * @param {AbortSignal} signal
 * @param {(event: LoadEvent) => void} tell
 * @returns {Promise<Loaded>}
 */
export async function load(parameters, loadWasm, workers, loadOnCpu, signal, tell) {
  // To those who load a model, another engine is another place to run it.
  if (parameters.device === 'candle') {
    return (await import('../candle.js')).loadOnCandle(parameters, signal, tell);
  }
  const isAuto = parameters.device === 'auto';
  if (!isAuto && parameters.device !== 'gpu') {
    const message = `device is "auto", "gpu" or "cpu", not "${parameters.device}".`;
    throw Object.assign(new Error(message), { code: 'bad-input' });
  }
  const report = forward(tell);
  try {
    if (parameters.options.precision === 'q8-exact')
      throw new GpuFault('gpu-missing', 'precision q8-exact runs on the CPU alone');
    const loaded = await GpuModel.load(parameters, loadWasm, isAuto ? workers : undefined, signal, report);
    const { engine, model } = loaded;
    // It was fast enough before: on a second device nothing is to be decided again.
    const loadOnGpu = (/** @type {AbortSignal} */ signal) =>
      GpuModel.load(parameters, loadWasm, undefined, signal, () => {});
    const gpu = new GpuBlocks(model, loadOnGpu, loadOnCpu);
    const place = /** @type {const} */ ({ workers: 1, device: 'gpu', adapter: model.adapterName });
    return { engine, gpu, place, bytesElsewhere: model.bytes };
  } catch (fault) {
    if (!(fault instanceof GpuFault)) throw fault;
    // Most machines that "auto" finds no GPU on have none: that is not worth telling.
    if (!isAuto || fault.code !== 'gpu-missing') report({ type: 'notice', notice: noticeOf(fault) });
    return loadOnCpu(signal, report);
  }
}

/** The blocks of a model, wherever they are by now. */
export class GpuBlocks {
  #model;
  #loadOnGpu;
  #loadOnCpu;
  /** Whether a device was lost before. */
  #isSecond = false;

  /**
   * @param {GpuModel} model
   * @param {(signal: AbortSignal) => Promise<{engine: Engine, model: GpuModel}>} loadOnGpu
   * @param {LoadOnCpu} loadOnCpu
   */
  constructor(model, loadOnGpu, loadOnCpu) {
    this.#model = model;
    this.#loadOnGpu = loadOnGpu;
    this.#loadOnCpu = loadOnCpu;
  }

  /**
   * The embedding of a call's image, or the vectors that its pooling asks for.
   * @param {Engine} engine
   * @param {import('./gpu-images.js').Asked} asked
   * @param {import('./protocol.js').WaitingCall[] | undefined} waiting
   * @param {import('./gpu-images.js').Read} read
   * @param {import('./gpu-images.js').Embed} embed
   */
  async embed(engine, asked, waiting, read, embed) {
    const { pixels, signal, tell } = asked;
    if (pixels.pooling !== undefined || pixels.normalize !== undefined) return embed(pixels, signal, tell);
    // A page sends several calls one after the other.
    await yieldToMessages();
    return embedTogether(engine, this, asked, waiting ?? [], read, embed);
  }

  /**
   * The embeddings of images of one size, of one pass; undefined if the blocks did not run.
   * @param {Engine} engine
   * @param {PixelValues[]} images
   * @param {(event: CallEvent) => void} tell
   */
  async embedImages(engine, images, tell) {
    const [first, ...others] = images;
    engine.begin_image(first.values, first.height);
    for (const { values, height } of others) engine.add_image(values, height);
    // None of the calls gives up the others'.
    const { signal } = new AbortController();
    for (let step; (step = engine.step()) !== 'done';) {
      if (step === 'blocks' && !(await this.runBlocks(engine, true, signal, tell))) return;
    }
    const embeddings = engine.finish();
    const size = embeddings.length / images.length;
    return images.map((_, i) => embeddings.slice(i * size, (i + 1) * size));
  }

  /**
   * Runs the blocks of the pass that the engine has begun.
   *
   * After a fault the engine gets the model anew: on a new device if one was lost for the first time, otherwise with the blocks
   * in itself.
   * @param {Engine} engine
   * @param {boolean} isImage
   * @param {AbortSignal} signal
   * @param {(event: CallEvent) => void} tell
   * @returns {Promise<boolean>} whether they ran; if not, the pass has to begin again
   */
  async runBlocks(engine, isImage, signal, tell) {
    try {
      await this.#model.runBlocks(engine, isImage);
      return true;
    } catch (fault) {
      if (!(fault instanceof GpuFault)) throw fault;
      await this.#replace(engine, fault, signal, tell);
      return false;
    }
  }

  /**
   * @param {Engine} engine
   * @param {GpuFault} fault
   * @param {AbortSignal} signal
   * @param {(event: CallEvent) => void} tell
   */
  async #replace(engine, fault, signal, tell) {
    this.#model.destroy();
    if (fault.code === 'gpu-lost' && !this.#isSecond) {
      this.#isSecond = true;
      try {
        const next = await this.#loadOnGpu(signal);
        this.#model = next.model;
        return exchange(engine, next.engine);
      } catch (error) {
        if (!(error instanceof GpuFault)) throw error;
      }
    }
    // Into the present engine's memory, so it cannot be of the build for threads.
    const loaded = await this.#loadOnCpu(signal, () => {}, false);
    exchange(engine, loaded.engine);
    const bytes = engine.info().bytes + loaded.bytesElsewhere;
    const place = { adapter: undefined, ...loaded.place, bytes };
    tell({ type: 'device', place, notice: noticeOf(fault) });
  }
}

/** The program with the least to compile, for any number of rows. @param {TowerPlan} tower */
export function shortestOf({ programs, pipelines }) {
  const length = (/** @type {typeof programs[0]} */ { dispatches }) =>
    dispatches.reduce((sum, { pipeline }) => sum + pipelines[pipeline].wgsl.length, 0);
  return { ...programs.reduce((a, b) => (length(b) < length(a) ? b : a)), mostRows: undefined };
}

/** Gives `engine` the model of another, which is of no use afterwards. @param {Engine} engine @param {Engine} other */
function exchange(engine, other) {
  engine.take_model(other);
  other.free();
}

/** The blocks of a model on one device. */
class GpuModel {
  /** @type {Partial<Record<'image' | 'text', GpuTower>>} */
  #towers = {};
  #device;
  #parameters;
  #loadWasm;
  #isSoftware;
  #planner = loadPlanner();
  /** Why it is of no use any more. @type {GpuFault | undefined} */
  #fault;

  /**
   * @param {Parameters} parameters
   * @param {LoadWasm} loadWasm
   * @param {{adapter: GPUAdapter, device: GPUDevice, name: string, isSoftware: boolean}} opened
   */
  constructor(parameters, loadWasm, { adapter, device, name, isSoftware }) {
    this.#parameters = parameters;
    this.#loadWasm = loadWasm;
    /** Referenced for as long as the device: Chrome 129 lost devices whose adapter was collected. */
    this.adapter = adapter;
    this.#device = device;
    this.adapterName = name;
    this.#isSoftware = isSoftware;
    // `#begin` awaits it.
    this.#planner.catch(() => {});
    void device.lost.then(({ message }) => {
      this.#fault ??= new GpuFault('gpu-lost', message || 'the device is gone');
    });
  }

  /**
   * @param {Parameters} parameters
   * @param {LoadWasm} loadWasm
   * @param {number | undefined} workers of the CPU that it has to be faster than, if it has to
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell
   */
  static async load(parameters, loadWasm, workers, signal, tell) {
    const model = new GpuModel(parameters, loadWasm, await openDevice(workers !== undefined));
    try {
      const engine = await model.#load(signal, tell);
      try {
        await model.#check(engine, workers);
        return { engine, model };
      } catch (error) {
        engine.free();
        throw error;
      }
    } catch (error) {
      const fault = model.#fault ?? error;
      model.destroy();
      throw fault;
    }
  }

  /** Gives the GPU's memory back. */
  destroy() {
    this.#device.destroy();
  }

  /** @type {WeightWriter | undefined} */
  #writer;
  /** Settles when the pipelines are compiled. @type {Promise<unknown>} */
  #compiled = Promise.resolve();
  #checksum = '';

  /**
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell
   */
  async #load(signal, tell) {
    const { source, options: chosen } = this.#parameters;
    const { Engine } = await this.#loadWasm();
    const options = { ...chosen, workers: 1, gpu: true };
    /** Settles when the buffers are there. @type {Promise<WeightWriter | undefined>} */
    let begun = Promise.resolve(undefined);
    const engine = await Engine.load(source, options, signal, {
      onProgress: (file, loaded, total, cached) => tell({ type: 'progress', file, loaded, total, cached }),
      onNotice: (code, message) => tell({ type: 'notice', notice: { code, message } }),
      onConfig: (_config, _towers, sizes = '') => {
        this.#writer = undefined;
        // A load that starts over may find the first start still under way.
        const started = begun.catch(() => {}).then(() => this.#begin(sizes));
        begun = started;
        // `onWeights` hears of a failure.
        started.then((writer) => (this.#writer = begun === started ? writer : undefined)).catch(() => {});
      },
      // Once this returns, the engine's memory may move: either all is written by then, or a copy is kept.
      onWeights: (weights) =>
        this.#noting(this.#writer?.write(weights) ?? this.#writeLater(begun, weights.slice())),
    });
    await this.#noting(begun.then((writer) => writer?.writeQueries(engine.gpu_input('queries'))));
    await this.#noting(this.#compiled);
    return engine;
  }

  /** @param {Promise<WeightWriter | undefined>} begun @param {Uint8Array} weights */
  async #writeLater(begun, weights) {
    await (await begun)?.write(weights);
  }

  /**
   * Starts a load, or starts it over.
   * @param {string} sizes
   */
  async #begin(sizes) {
    for (const buffer of Object.values(this.#towers).flatMap(({ weights }) => weights)) buffer.destroy();
    this.#towers = {};
    this.#unchosen = {};
    const planOf = await this.#planner;
    let plan;
    try {
      plan = await planOf(sizes);
    } catch (error) {
      throw new GpuFault('gpu-missing', reasonOf(error), error);
    }
    for (const name of /** @type {const} */ (['image', 'text'])) {
      const tower = plan[name];
      if (!tower) continue;
      // Software has no idle cores to fill, and takes seconds to compile a large tile.
      if (this.#isSoftware) tower.programs = [shortestOf(tower)];
      this.#towers[name] = await GpuTower.create(this.#device, tower);
      if (!this.#isSoftware) await this.#chooseAsBefore(name, this.#towers[name]);
    }
    this.#checksum = plan.checksum;
    this.#compiled = Promise.all(Object.values(this.#towers).map((tower) => tower.compile()));
    this.#compiled.catch(() => {});
    return new WeightWriter(this.#device, plan, this.#towers);
  }

  /** Where the choice of a program is to be kept, of towers that have none. @type {Partial<Record<'image' | 'text', {place?: string}>>} */
  #unchosen = {};

  /** @param {'image' | 'text'} name @param {GpuTower} tower */
  async #chooseAsBefore(name, tower) {
    const place = this.#parameters.options.cache ? await placeOf(this.adapterName, tower.plan) : undefined;
    const kept = await keptAt(place, tower.plan.programs.length);
    if (kept === undefined) this.#unchosen[name] = { place };
    else tower.keep(kept);
  }

  /**
   * @param {Engine} engine
   * @param {number} [workers]
   */
  async #check(engine, workers) {
    const { sums } = /** @type {WeightWriter} */ (this.#writer);
    await checkWeights(this.#device, this.#checksum, sums);
    const { precision } = this.#parameters.options;
    for (const name of /** @type {const} */ (['image', 'text'])) {
      const tower = this.#towers[name];
      if (!tower) continue;
      const unchosen = this.#unchosen[name];
      const chosen = unchosen && (await tower.choose());
      const { cpu, gpu } = await checkTower(engine, name, tower, precision === 'f32' ? 'f32' : 'q8');
      if (chosen !== undefined) await keepAt(unchosen?.place, chosen);
      if (workers !== undefined && cpu / workers < WORTH_IT * gpu) {
        const times = `${gpu.toFixed(1)} ms in place of some ${(cpu / workers).toFixed(1)} ms`;
        throw new GpuFault('gpu-slow', `the ${name} tower takes ${times}`);
      }
    }
  }

  /** Bytes of weights in the GPU's memory. */
  get bytes() {
    const plans = Object.values(this.#towers).map(({ plan }) => plan);
    return plans.flatMap(({ weights }) => weights).reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Runs the blocks of the pass that the engine has begun.
   * @param {Engine} engine
   * @param {boolean} isImage
   */
  async runBlocks(engine, isImage) {
    if (this.#fault) throw this.#fault;
    const { image, text } = this.#towers;
    const [tower, other] = isImage ? [image, text] : [text, image];
    other?.release();
    await this.#noting(this.#runTower(engine, /** @type {GpuTower} */ (tower)));
  }

  /** @param {Engine} engine @param {GpuTower} tower */
  async #runTower(engine, tower) {
    const [sequences, endsWithHead, ...patches] = engine.gpu_pass();
    const grid = patches.join('x');
    if (tower.plan.hasPositions && grid !== tower.grid)
      await tower.setPositions(grid, engine.gpu_input('positions'));
    const end = tower.plan.embeddings && endsWithHead ? 'head' : 'lastBlock';
    const values = await tower.runAll({ values: engine.gpu_input('rows'), sequences }, end);
    if (!isFinite(values)) throw new GpuFault('gpu-wrong', 'results are not finite');
    engine.set_results(values, end === 'head');
  }

  /**
   * Waits for work, and notes its fault: what a callback throws may not come back from the engine as it was.
   * @template T
   * @param {Promise<T>} work
   */
  async #noting(work) {
    try {
      return await work;
    } catch (error) {
      throw (this.#fault ??=
        error instanceof GpuFault ? error : new GpuFault('gpu-lost', reasonOf(error), error));
    }
  }
}
