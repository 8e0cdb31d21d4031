/** The order in which contestants are measured, and the report. */
import { towerOperations } from '../kernel.js';
import { peakRate } from './peak.js';
import { describe, leastCosine, rounded, speedups, summary, tasks } from './statistics.js';

/** @typedef {import('./contest.js').Measured} Measured */
/** @typedef {import('./statistics.js').Timed} Timed */

/**
 * @typedef {object} Options
 * @property {string} model of this engine: an id of the hub, or the address of a folder
 * @property {Peer} [peer]
 * @property {number} rounds each contestant is measured so many times, in turn
 * @property {number} warm runs that are not counted, of each kind of input
 * @property {number} runs that are
 * @property {number} seconds the most that one kind of input may take
 * @property {boolean} text whether labels are embedded, too
 * @property {boolean} batch whether 8 pictures and 8 labels are, too
 * @property {string} only part of the names of those who are measured
 */
/**
 * transformers.js: its script, and the folder of onnxruntime's WebAssembly where it is not the script's own. `host` is a folder
 * of models, in place of the hub. `fused` is the folder, within the model, of graphs that were fused offline.
 * @typedef {{script: string, wasm?: string, host?: string, model: string, fused?: string}} Peer
 */
/** @typedef {{name: string, isOurs: boolean, worker: string, options: Record<string, unknown>}} Contestant */

/** Bump it when what is measured changes. */
const VERSION = 1;

/**
 * @param {Options} options
 * @param {(line: string) => void} say
 */
export async function benchmark(options, say) {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('WebGPU is not available here: there is no adapter.');
  const described = describe(adapter);
  const { vendor, architecture, device, description } = described;
  say([vendor, architecture, device, description].filter(Boolean).join(' ') || 'an adapter without a name');
  if (described.software) say('This adapter computes on the CPU: its times say nothing about a GPU.');
  const peakBefore = await peaksOf(adapter);

  say('the reference: this engine on the CPU, in f32');
  const towers = options.text ? 'both' : 'image';
  const reference = await run(
    { worker: 'ours-worker.js', options: { model: options.model, precision: 'f32', device: 'cpu', towers } },
    { warm: 0, runs: 1, seconds: 60, batch: false },
  );

  const results = contestantsOf(options).map((contestant) => ({
    ...contestant,
    rounds: /** @type {Measured[]} */ ([]),
    error: '',
  }));
  for (let round = 1; round <= options.rounds; round++) {
    for (const result of results) {
      if (result.error) continue;
      say(`round ${round}: ${result.name}`);
      try {
        const measured = await run(result, options);
        result.rounds.push(measured);
        say(`  image ${summary(measured.image).median} ms`);
      } catch (error) {
        result.error = error instanceof Error ? error.message : String(error);
        say(`  ${result.error.split('\n')[0]}`);
      }
    }
  }
  const operations = await operationsOf(options.model);
  const reported = results.map((result) => reportOf(result, reference, operations));
  return {
    benchmark: VERSION,
    date: new Date().toISOString(),
    browser: navigator.userAgent,
    isolated: crossOriginIsolated,
    adapter: described,
    // Floating-point operations per second, in 10⁹.
    peak: { before: peakBefore, after: await peaksOf(adapter) },
    options,
    operations,
    reference: { info: reference.info, image: rounded(reference.image[0]) },
    results: reported,
    speedups: speedups(reported, described.software),
  };
}

/**
 * @param {Options} options
 * @returns {Contestant[]}
 */
export function contestantsOf({ model, peer, text, only }) {
  const towers = text ? 'both' : 'image';
  /** @type {Contestant[]} */
  const contestants = [];
  const graphs = peer
    ? [{ subfolder: 'onnx', how: '' }, ...(peer.fused ? [{ subfolder: peer.fused, how: ', fused' }] : [])]
    : [];
  const others = graphs.flatMap(({ subfolder, how }) =>
    ['fp32', 'fp16'].map((dtype) => ({
      name: `transformers.js ${dtype}${how}`,
      isOurs: false,
      worker: 'peer-worker.js',
      options: { ...peer, dtype, subfolder, towers },
    })),
  );
  const ours = ['q8', 'f32'].map((precision) => ({
    name: `siglip-web ${precision}`,
    isOurs: true,
    worker: 'ours-worker.js',
    options: { model, precision, device: 'gpu', towers },
  }));
  // In turn, as far as both have some.
  for (let i = 0; i < Math.max(ours.length, others.length); i++)
    contestants.push(...ours.slice(i, i + 1), ...others.slice(i, i + 1));
  return contestants.filter(({ name }) => name.includes(only));
}

/**
 * Measures in a fresh worker.
 * @param {Pick<Contestant, 'worker' | 'options'>} contestant
 * @param {import('./contest.js').Runs} runs
 * @returns {Promise<Measured>}
 */
async function run({ worker: script, options }, { warm, runs, seconds, batch }) {
  const worker = new Worker(new URL(script, import.meta.url), { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || `${script} could not be started`));
      worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
      worker.postMessage({ options, runs: { warm, runs, seconds, batch } });
    });
  } finally {
    worker.terminate();
    // The browser frees the memory of an ended worker's device in its own time.
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/**
 * @param {Contestant & {rounds: Measured[], error: string}} result
 * @param {Measured} reference
 * @param {number | undefined} operations
 * @returns {Timed & Record<string, unknown>}
 */
function reportOf({ name, isOurs, rounds, error }, reference, operations) {
  if (!rounds.length) return { name, isOurs, error };
  const times = Object.fromEntries(
    tasks.flatMap((task) => {
      const all = rounds.map((measured) => measured[task] ?? []);
      if (!all[0].length) return [];
      return [[task, { ...summary(all.flat()), rounds: all.map((times) => summary(times).median) }]];
    }),
  );
  const median = times.image.median / 1000;
  return {
    name,
    isOurs,
    ...(error && { error }),
    info: rounds[0].info,
    load: rounds.map(({ load }) => rounded(load)),
    imageFirst: rounds.map(({ imageFirst }) => rounded(imageFirst)),
    ...times,
    // Of the vision tower's operations, in 10⁹ per second.
    ...(operations && { rate: Math.round(operations / median / 1e9) }),
    ...(operations &&
      times.images8 && { rate8: Math.round((8 * operations) / (times.images8.median / 1000) / 1e9) }),
    cosine: Math.min(
      ...rounds.map(({ imageEmbeddings }) => leastCosine(imageEmbeddings, reference.imageEmbeddings)),
    ),
    ...(reference.textEmbeddings.length && {
      textCosine: Math.min(
        ...rounds.map(({ textEmbeddings }) => leastCosine(textEmbeddings, reference.textEmbeddings)),
      ),
    }),
  };
}

/** In 10⁹ operations per second, of a fresh device. @param {GPUAdapter} adapter */
async function peaksOf(adapter) {
  const own = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const hasF16 = adapter.features.has('shader-f16');
  const device = await own?.requestDevice({ requiredFeatures: hasF16 ? ['shader-f16'] : [] });
  if (!device) return {};
  const rate = async (/** @type {'f32' | 'f16'} */ type) => {
    const rate = await peakRate(device, type);
    return rate && Math.round(rate / 1e9);
  };
  const rates = { f32: await rate('f32'), f16: await rate('f16') };
  device.destroy();
  return rates;
}

/** Operations of the vision tower for one picture, where the model's configuration is at hand. @param {string} model */
async function operationsOf(model) {
  if (model === 'tiny') return undefined;
  const base = model.startsWith('http') ? model : `https://huggingface.co/${model}/resolve/main/`;
  try {
    const { vision_config } = await (await fetch(new URL('config.json', base))).json();
    // What transformers leaves out of a config.json.
    const usual = {
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      image_size: 224,
      patch_size: 16,
    };
    return towerOperations({ ...usual, ...vision_config });
  } catch {
    return undefined;
  }
}
