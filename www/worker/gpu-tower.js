/** Executes a plan of crates/siglip-gpu with WebGPU. It knows buffers and dispatches, and nothing of models. */
import { fastestOf } from './gpu-choice.js';
import { USAGE, compile, guarded, read } from './gpu-device.js';

/** A number of workgroups; see `Count` in plan.rs. @typedef {{fixed: number} | {rows: number} | {length: number} | 'sequences'} Count */
/** @typedef {{binding: number, buffer: {weights: number} | {activation: number} | 'positions', offset: number, size?: number}} Binding */
/** @typedef {{pipeline: number, bindings: Binding[], workgroups: Count[]}} Dispatch */
/** Rows of floats in an activation. @typedef {{size: number, stride: number, activation: number}} Rows */
/**
 * One tower; see `TowerPlan` in plan.rs.
 * @typedef {object} TowerPlan
 * @property {number} hiddenSize
 * @property {number} hiddenStride
 * @property {number} length rows of a usual sequence
 * @property {number} mostRows that run at once, unless one sequence has more
 * @property {Rows} input
 * @property {boolean} hasPositions
 * @property {Rows} [embeddings]
 * @property {number} blocks
 * @property {number[]} weights
 * @property {{label: string, floatsPerRow: number}[]} activations
 * @property {{label: string, wgsl: string}[]} pipelines
 * @property {Program[]} programs
 */
/** What runs for up to so many rows. @typedef {{mostRows?: number, firstBlock: number, lastBlock: number, dispatches: Dispatch[]}} Program */
/** Where a pass ends. @typedef {'firstBlock' | 'lastBlock' | 'head'} End */
/**
 * What a pass takes, of sequences of equal length: images' patches [rows, values of a patch], or texts' residual stream [rows, hidden
 * size].
 * @typedef {{values: Float32Array, sequences: number}} TowerInput
 */

/** Rows of the activations are allocated in multiples of this: the tallest tile of a product. */
const ROWS = 64;
/** Where the first block takes longer, in milliseconds, it stands for all when programs are timed. */
const LONG_BLOCK = 20;
/** Milliseconds that a time is measured over: some browsers' clocks have steps of one. */
const LEAST_MS = 10;

/** Whether a program is made for so many rows. @param {Program} program @param {number} rows */
const fits = ({ mostRows }, rows) => rows <= (mostRows ?? rows);

/** A tower's buffers and pipelines. */
export class GpuTower {
  #device;
  /** @type {GPUComputePipeline[]} */
  #pipelines = [];
  /** @type {{grid?: string, length: number, buffer: GPUBuffer} | undefined} */
  #positions;
  /** Of the newest pass and all smaller ones. @type {{rows: number, pass: GPUBuffer, activations: GPUBuffer[], staging: GPUBuffer, groups: Map<Program, GPUBindGroup[]>} | undefined} */
  #workspace;
  /** Most dispatches of a submit: on a slow GPU a long one would freeze the screen, or end the device. */
  #perSubmit = Infinity;

  /**
   * @param {GPUDevice} device
   * @param {TowerPlan} plan
   * @param {GPUBuffer[]} weights
   */
  constructor(device, plan, weights) {
    this.#device = device;
    this.plan = plan;
    this.weights = weights;
  }

  /**
   * Creates the weight buffers, which start as zeros.
   * @param {GPUDevice} device
   * @param {TowerPlan} plan
   */
  static create(device, plan) {
    const usage = USAGE.STORAGE | USAGE.COPY_DST;
    return guarded(
      device,
      () =>
        new GpuTower(
          device,
          plan,
          plan.weights.map((size, block) => device.createBuffer({ label: `block ${block}`, size, usage })),
        ),
    );
  }

  /** Compiles the pipelines that run. */
  async compile() {
    const { pipelines, programs } = this.plan;
    const used = new Set(programs.flatMap(({ dispatches }) => dispatches.map(({ pipeline }) => pipeline)));
    const compiled = [...used].map(async (index) => {
      const { label, wgsl } = pipelines[index];
      this.#pipelines[index] = await compile(this.#device, label, wgsl);
    });
    await Promise.all(compiled);
  }

  /**
   * Runs any number of sequences, in groups of nearly equal size if their rows are too many for the memory.
   * @param {TowerInput} input
   * @param {End} [end]
   */
  async runAll({ values, sequences }, end) {
    const { input, mostRows } = this.plan;
    const length = values.length / input.size / sequences;
    const groups = Math.ceil(sequences / Math.max(1, Math.floor(mostRows / length)));
    const atOnce = Math.ceil(sequences / groups);
    /** @type {Float32Array[]} */
    const results = [];
    for (let first = 0; first < sequences; first += atOnce) {
      const count = Math.min(atOnce, sequences - first);
      const at = first * length * input.size;
      const part = values.subarray(at, at + count * length * input.size);
      results.push(await this.run({ values: part, sequences: count }, end));
    }
    if (groups === 1) return results[0];
    const all = new Float32Array(results.reduce((sum, { length }) => sum + length, 0));
    results.reduce((at, result) => (all.set(result, at), at + result.length), 0);
    return all;
  }

  /** What `setPositions` was called with last. */
  get grid() {
    return this.#positions?.grid;
  }

  /**
   * Sets the position embeddings for the passes that follow.
   * @param {string | undefined} grid names them
   * @param {Float32Array} values of an image, [patches, hidden size]
   */
  setPositions(grid, values) {
    const { hiddenSize, hiddenStride } = this.plan;
    const rows = spread(values, hiddenSize, hiddenStride);
    return guarded(this.#device, () => {
      if (this.#positions?.length !== values.length) {
        // The bind groups have the one before.
        this.release();
        this.#positions?.buffer.destroy();
        this.#positions = undefined;
        const usage = USAGE.STORAGE | USAGE.COPY_DST;
        const buffer = this.#device.createBuffer({ label: 'positions', size: rows.byteLength, usage });
        this.#positions = { length: values.length, buffer };
      }
      this.#positions.grid = grid;
      this.#device.queue.writeBuffer(this.#positions.buffer, 0, rows);
    });
  }

  /** Frees what a pass needs beside the weights, until the next one. */
  release() {
    const { pass, staging, activations = [] } = this.#workspace ?? {};
    for (const buffer of [pass, staging, ...activations]) buffer?.destroy();
    this.#workspace = undefined;
  }

  /**
   * Runs the blocks, and the head if there is one.
   * @param {TowerInput} input
   * @param {End | number} [last] where it ends, or after how many dispatches
   * @param {Program} [program] that for so many rows, if it is left out
   * @returns {Promise<Float32Array>} the embeddings, not yet normalized; if it ends before, the residual stream
   */
  async run(
    { values, sequences },
    last = this.plan.embeddings ? 'head' : 'lastBlock',
    program = this.#programFor(values.length / this.plan.input.size),
  ) {
    const { hiddenSize, hiddenStride, input, embeddings } = this.plan;
    const rows = values.length / input.size;
    const end = typeof last === 'number' ? last : last === 'head' ? program.dispatches.length : program[last];
    const stream = { size: hiddenSize, stride: hiddenStride, activation: 0 };
    const result = last === 'head' && embeddings ? embeddings : stream;
    const workspace = (this.#workspace = await this.#workspaceFor(rows));
    const { pass, activations, staging } = workspace;
    const { queue } = this.#device;
    const bytes = (result === stream ? rows : sequences) * result.stride * 4;
    await guarded(this.#device, () => {
      const groups = this.#groupsOf(workspace, program);
      const padded = Math.ceil(rows / ROWS) * ROWS;
      queue.writeBuffer(pass, 0, new Uint32Array([rows, padded, rows / sequences, 0]));
      queue.writeBuffer(activations[input.activation], 0, spread(values, input.size, input.stride));
      for (let first = 0; first < end; first += this.#perSubmit) {
        const encoder = this.#device.createCommandEncoder();
        const last = Math.min(first + this.#perSubmit, end);
        this.#encode(encoder, program, groups, first, last, { rows, length: rows / sequences, sequences });
        if (last === end) encoder.copyBufferToBuffer(activations[result.activation], 0, staging, 0, bytes);
        queue.submit([encoder.finish()]);
      }
    });
    return gather(new Float32Array(await read(staging, bytes)), result.size, result.stride);
  }

  /** @param {number} rows */
  #programFor(rows) {
    return /** @type {Program} */ (this.plan.programs.find((program) => fits(program, rows)));
  }

  /**
   * Times all programs for one usual sequence, and keeps to the fastest.
   * @returns {Promise<number | undefined>} its index; undefined if there was no time to find out, and the first is kept
   */
  async choose() {
    const { hiddenSize, length, input: rows, hasPositions, programs, blocks } = this.plan;
    const input = { values: new Float32Array(length * rows.size), sequences: 1 };
    if (hasPositions) await this.setPositions(undefined, new Float32Array(length * hiddenSize));
    const fitting = programs.filter((program) => fits(program, length));
    const time = async (/** @type {Program} */ program, /** @type {End | undefined} */ end) => {
      const start = performance.now();
      for (let runs = 1; ; runs++) {
        await this.run(input, end, program);
        const ms = performance.now() - start;
        if (ms >= LEAST_MS) return ms / runs;
      }
    };
    let block = 0;
    for (let run = 0; run < 2; run++) {
      block = await time(fitting[0], 'firstBlock');
      this.limitSubmits(block * blocks);
    }
    const end = block > LONG_BLOCK ? 'firstBlock' : undefined;
    const fastest = await fastestOf(fitting.length, (i) => time(fitting[i], end));
    const index = fastest === undefined ? undefined : programs.indexOf(fitting[fastest]);
    this.keep(index ?? programs.indexOf(fitting[0]));
    return index;
  }

  /** Keeps to a program where it fits, and to the last one for more rows. @param {number} index */
  keep(index) {
    const { programs } = this.plan;
    this.plan.programs = [...new Set([programs[index], programs[programs.length - 1]])];
  }

  /**
   * Keeps submits below 50 ms.
   * @param {number} ms that all dispatches take
   */
  limitSubmits(ms) {
    const { length } = this.plan.programs[0].dispatches;
    this.#perSubmit = ms > 50 ? Math.max(1, Math.floor((50 / ms) * length)) : Infinity;
  }

  /**
   * @param {GPUCommandEncoder} encoder
   * @param {Program} program
   * @param {GPUBindGroup[]} groups
   * @param {number} first
   * @param {number} end
   * @param {{rows: number, length: number, sequences: number}} sizes
   */
  #encode(encoder, program, groups, first, end, { rows, length, sequences }) {
    const count = (/** @type {Count} */ count) => {
      if (count === 'sequences') return sequences;
      if ('fixed' in count) return count.fixed;
      return 'rows' in count ? Math.ceil(rows / count.rows) : Math.ceil(length / count.length);
    };
    const pass = encoder.beginComputePass();
    for (let i = first; i < end; i++) {
      const { pipeline, workgroups } = program.dispatches[i];
      pass.setPipeline(this.#pipelines[pipeline]);
      pass.setBindGroup(0, groups[i]);
      pass.dispatchWorkgroups(count(workgroups[0]), count(workgroups[1]), count(workgroups[2]));
    }
    pass.end();
  }

  /** Buffers and bind groups for so many rows; those at hand if they are large enough. @param {number} rows */
  async #workspaceFor(rows) {
    if (this.#workspace && rows <= this.#workspace.rows) return this.#workspace;
    this.release();
    const capacity = Math.ceil(rows / ROWS) * ROWS;
    const device = this.#device;
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ, UNIFORM } = USAGE;
    return guarded(device, () => {
      const buffer = (/** @type {string} */ label, /** @type {number} */ size, /** @type {number} */ usage) =>
        device.createBuffer({ label, size, usage });
      const pass = buffer('pass', 16, UNIFORM | COPY_DST);
      const activations = this.plan.activations.map(({ label, floatsPerRow }) =>
        buffer(label, capacity * floatsPerRow * 4, STORAGE | COPY_SRC | COPY_DST),
      );
      const { hiddenStride, embeddings } = this.plan;
      const width = Math.max(hiddenStride, embeddings?.stride ?? 0);
      const staging = buffer('staging', capacity * width * 4, MAP_READ | COPY_DST);
      return { rows: capacity, pass, activations, staging, groups: new Map() };
    });
  }

  /**
   * @param {{pass: GPUBuffer, activations: GPUBuffer[], groups: Map<Program, GPUBindGroup[]>}} workspace
   * @param {Program} program
   */
  #groupsOf({ pass, activations, groups }, program) {
    const made =
      groups.get(program) ?? program.dispatches.map((dispatch) => this.#group(dispatch, pass, activations));
    groups.set(program, made);
    return made;
  }

  /**
   * @param {Binding['buffer']} buffer
   * @param {GPUBuffer[]} activations
   */
  #bufferOf(buffer, activations) {
    if (buffer === 'positions') return /** @type {{buffer: GPUBuffer}} */ (this.#positions).buffer;
    return 'weights' in buffer ? this.weights[buffer.weights] : activations[buffer.activation];
  }

  /**
   * @param {Dispatch} dispatch
   * @param {GPUBuffer} pass
   * @param {GPUBuffer[]} activations
   */
  #group({ pipeline, bindings }, pass, activations) {
    return this.#device.createBindGroup({
      layout: this.#pipelines[pipeline].getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: pass } },
        ...bindings.map(({ binding, buffer, offset, size }) => ({
          binding,
          resource: {
            buffer: this.#bufferOf(buffer, activations),
            offset,
            size,
          },
        })),
      ],
    });
  }
}

/**
 * Rows of `width` values as rows of `stride` values.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} stride
 */
function spread(values, width, stride) {
  if (width === stride) return values;
  const rows = new Float32Array((values.length / width) * stride);
  for (let from = 0, to = 0; from < values.length; from += width, to += stride)
    rows.set(values.subarray(from, from + width), to);
  return rows;
}

/**
 * The other way.
 * @param {Float32Array} rows
 * @param {number} width
 * @param {number} stride
 */
function gather(rows, width, stride) {
  if (width === stride) return rows;
  const values = new Float32Array((rows.length / stride) * width);
  for (let from = 0, to = 0; from < rows.length; from += stride, to += width)
    values.set(rows.subarray(from, from + width), to);
  return values;
}
