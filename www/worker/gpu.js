/**
 * A model whose blocks run on the GPU. The engine keeps all the rest. Weights go to the GPU as they arrive, as to a follower
 * of a sharded model, and no copy of them stays: after a fault the model is read again, from the cache where it is.
 */
import { checkTower, checkWeights, isFinite } from './gpu-check.js';
import { GpuFault, GpuTower, openDevice, reasonOf } from './gpu-device.js';
import { WeightWriter } from './gpu-weights.js';

/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./gpu-device.js').FaultCode} FaultCode */
/** @typedef {import('./gpu-device.js').TowerPlan} TowerPlan */
/** @typedef {import('./protocol.js').Calls} Calls */
/** @typedef {import('./protocol.js').CallEvent} CallEvent */
/** @typedef {import('./protocol.js').LoadEvent} LoadEvent */
/** @typedef {import('./protocol.js').PassInput} PassInput */
/** @typedef {{image?: TowerPlan, text?: TowerPlan, checksum: string, places: import('./gpu-weights.js').Place[], rowLengths: number[]}} Plan */
/** @typedef {Calls['load']['parameters']} Parameters */
/** Loads the engine. Passed in, so that bundlers leave it in one script with the worker. @typedef {typeof import('./wasm.js').loadWasm} LoadWasm */
/** Loads the model without a GPU. @typedef {(signal: AbortSignal, tell: (event: LoadEvent) => void) => Promise<Engine>} LoadOnCpu */

/** How much faster than the CPU the GPU has to be for "auto". */
const WORTH_IT = 1.2;

/** @type {Record<FaultCode, string>} */
const HEADLINES = {
  'gpu-missing': 'The GPU cannot be used',
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
export function forward(tell) {
  let most = 0;
  return (event) => {
    if (event.type === 'progress' && event.loaded < most) return;
    if (event.type === 'progress') most = event.loaded;
    tell(event);
  };
}

/**
 * Loads a model with its blocks on the GPU.
 * @param {Parameters} parameters
 * @param {LoadWasm} loadWasm
 * @param {number} workers that would share it on the CPU
 * @param {AbortSignal} signal
 * @param {(event: LoadEvent) => void} tell
 * @returns {Promise<{engine: Engine, gpu: GpuModel} | undefined>} undefined if the CPU has to do; then the reason was told
 */
export async function loadOnGpu(parameters, loadWasm, workers, signal, tell) {
  if (parameters.device !== 'auto' && parameters.device !== 'gpu') {
    const message = `device is "auto", "gpu" or "cpu", not "${parameters.device}".`;
    throw Object.assign(new Error(message), { code: 'bad-input' });
  }
  try {
    return await GpuModel.load(parameters, loadWasm, workers, signal, tell);
  } catch (fault) {
    if (!(fault instanceof GpuFault)) throw fault;
    // Most machines that "auto" finds no GPU on have none: that is not worth telling.
    if (parameters.device === 'gpu' || fault.code !== 'gpu-missing') {
      tell({ type: 'notice', notice: noticeOf(fault) });
    }
    return undefined;
  }
}

/** Gives `engine` the model of another, which is of no use afterwards. @param {Engine} engine @param {Engine} other */
function exchange(engine, other) {
  engine.take_model(other);
  other.free();
}

/** The blocks of a model. */
export class GpuModel {
  /** @type {Partial<Record<'image' | 'text', GpuTower>>} */
  #towers = {};
  #device;
  #parameters;
  #loadWasm;
  #contextLength = 0;
  /** Why it is of no use any more. @type {GpuFault | undefined} */
  #fault;
  /** Whether it took the place of a device that was lost. */
  #isSecond = false;

  /**
   * @param {Parameters} parameters
   * @param {LoadWasm} loadWasm
   * @param {{adapter: GPUAdapter, device: GPUDevice, name: string}} opened
   */
  constructor(parameters, loadWasm, { adapter, device, name }) {
    this.#parameters = parameters;
    this.#loadWasm = loadWasm;
    /** Referenced for as long as the device: Chrome 129 lost devices whose adapter was collected. */
    this.adapter = adapter;
    this.#device = device;
    this.adapterName = name;
    void device.lost.then(({ message }) => {
      this.#fault ??= new GpuFault('gpu-lost', message || 'the device is gone');
    });
  }

  /**
   * @param {Parameters} parameters
   * @param {LoadWasm} loadWasm
   * @param {number} workers
   * @param {AbortSignal} signal
   * @param {(event: LoadEvent) => void} tell
   */
  static async load(parameters, loadWasm, workers, signal, tell) {
    const gpu = new GpuModel(parameters, loadWasm, await openDevice(parameters.device === 'auto'));
    try {
      const engine = await gpu.#load(signal, tell);
      try {
        await gpu.#check(engine, workers);
        return { engine, gpu };
      } catch (error) {
        engine.free();
        throw error;
      }
    } catch (error) {
      const fault = gpu.#fault ?? error;
      gpu.#device.destroy();
      throw fault;
    }
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
    /** Settles when the buffers are there. @type {Promise<unknown>} */
    let begun = Promise.resolve();
    const engine = await Engine.load(source, options, signal, {
      onProgress: (file, loaded, total, cached) => tell({ type: 'progress', file, loaded, total, cached }),
      onNotice: (code, message) => tell({ type: 'notice', notice: { code, message } }),
      onConfig: (config, towers) => {
        begun = this.#begin(() => Engine.gpu_plan(config, towers, chosen.precision));
        // `onWeights` awaits it.
        begun.catch(() => {});
      },
      // Once this returns, the engine's memory may move: either all is written by then, or a copy is kept.
      onWeights: (weights) =>
        this.#noting(this.#writer?.write(weights) ?? this.#writeLater(begun, weights.slice())),
    });
    await this.#noting(this.#compiled);
    return engine;
  }

  /** @param {Promise<unknown>} begun @param {Uint8Array} weights */
  async #writeLater(begun, weights) {
    await begun;
    await this.#writer?.write(weights);
  }

  /**
   * Starts a load, or starts it over.
   * @param {() => string} planOf
   */
  async #begin(planOf) {
    this.#writer = undefined;
    for (const buffer of Object.values(this.#towers).flatMap(({ weights }) => weights)) buffer.destroy();
    this.#towers = {};
    /** @type {Plan} */
    let plan;
    try {
      plan = JSON.parse(planOf());
    } catch (error) {
      throw new GpuFault('gpu-missing', reasonOf(error), error);
    }
    for (const name of /** @type {const} */ (['image', 'text'])) {
      const tower = plan[name];
      if (tower) this.#towers[name] = await GpuTower.create(this.#device, tower);
    }
    this.#checksum = plan.checksum;
    this.#compiled = Promise.all(Object.values(this.#towers).map((tower) => tower.compile()));
    this.#compiled.catch(() => {});
    this.#writer = new WeightWriter(this.#device, plan, this.#towers);
  }

  /**
   * @param {Engine} engine
   * @param {number} workers
   */
  async #check(engine, workers) {
    this.#contextLength = engine.info().contextLength;
    const { sums } = /** @type {WeightWriter} */ (this.#writer);
    await checkWeights(this.#device, this.#checksum, sums);
    const { precision } = this.#parameters.options;
    for (const name of /** @type {const} */ (['image', 'text'])) {
      const tower = this.#towers[name];
      if (!tower) continue;
      const { cpu, gpu } = await checkTower(engine, name, tower, precision === 'f32' ? 'f32' : 'q8');
      if (this.#parameters.device === 'auto' && cpu / workers < WORTH_IT * gpu) {
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
   *
   * After a fault the model is loaded again: on a new device if one was lost for the first time, otherwise on the CPU.
   * @param {Engine} engine
   * @param {PassInput} input
   * @param {LoadOnCpu} loadOnCpu
   * @param {AbortSignal} signal
   * @param {(event: CallEvent) => void} tell
   * @returns {Promise<GpuModel | undefined>} what has the blocks from now on, undefined for the CPU; unless it is this one, the
   *   pass has to begin again
   */
  async runBlocks(engine, input, loadOnCpu, signal, tell) {
    try {
      if (this.#fault) throw this.#fault;
      const isImage = 'pixels' in input;
      const tower = /** @type {GpuTower} */ (this.#towers[isImage ? 'image' : 'text']);
      const sequences = isImage ? 1 : input.inputIds.length / this.#contextLength;
      const values = await this.#noting(tower.run(engine.hidden_states(), sequences));
      if (!isFinite(values)) throw new GpuFault('gpu-wrong', 'results are not finite');
      engine.set_hidden_states(values);
      return this;
    } catch (fault) {
      if (!(fault instanceof GpuFault)) throw fault;
      return this.#replace(engine, fault, loadOnCpu, signal, tell);
    }
  }

  /**
   * @param {Engine} engine
   * @param {GpuFault} fault
   * @param {LoadOnCpu} loadOnCpu
   * @param {AbortSignal} signal
   * @param {(event: CallEvent) => void} tell
   * @returns {Promise<GpuModel | undefined>}
   */
  async #replace(engine, fault, loadOnCpu, signal, tell) {
    this.#device.destroy();
    const quietly = () => {};
    if (fault.code === 'gpu-lost' && !this.#isSecond) {
      try {
        // It was fast enough before: nothing is to be decided again.
        const next = await GpuModel.load(
          { ...this.#parameters, device: 'gpu' },
          this.#loadWasm,
          1,
          signal,
          quietly,
        );
        exchange(engine, next.engine);
        next.gpu.#isSecond = true;
        return next.gpu;
      } catch (error) {
        if (!(error instanceof GpuFault)) throw error;
      }
    }
    exchange(engine, await loadOnCpu(signal, quietly));
    tell({ type: 'device', device: 'cpu', notice: noticeOf(fault) });
    return undefined;
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
