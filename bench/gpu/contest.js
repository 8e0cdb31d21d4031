/** What every contestant does in a worker of its own: the same inputs, the same order, the same clock. */

/**
 * @typedef {object} Contestant
 * @property {number} imageSize
 * @property {(pixels: Float32Array[]) => Promise<Float32Array[]>} embedImages from pixel_values to embeddings in the CPU's memory
 * @property {((texts: string[]) => Promise<Float32Array[]>) | undefined} embedTexts
 * @property {Record<string, unknown>} info
 */
/** @typedef {{warm: number, runs: number, seconds: number, batch: boolean}} Runs `seconds`: the most that one kind of input may take */
/** Times in milliseconds. @typedef {{load: number, imageFirst: number, image: number[], images8?: number[], text1?: number[], text8?: number[], imageEmbeddings: Float32Array[], textEmbeddings: Float32Array[], info: Record<string, unknown>}} Measured */

/** Texts whose embeddings are compared. */
const sentences = [
  'a photo of a cat',
  'two boats on the water',
  'an insect',
  'red',
  'a street at night',
  'bread and cheese on a table',
  'a map',
  'nothing at all',
];

/**
 * The pixel_values of the picture number `index`.
 * @param {number} size
 * @param {number} index
 */
const picture = (size, index) =>
  Float32Array.from({ length: 3 * size * size }, (_, i) => 0.9 * Math.sin(0.37 * i + index * (1 + i / 1e5)));

let labels = 0;
/** Labels that were never seen before, by no cache either. @param {number} count */
const newLabels = (count) =>
  Array.from({ length: count }, () => `thing number ${++labels} of ${Math.random()}`);

/**
 * @param {Contestant} contestant
 * @param {Runs} runs
 * @returns {Promise<Omit<Measured, 'load'>>}
 */
export async function measure({ imageSize, embedImages, embedTexts, info }, runs) {
  const pictures = Array.from({ length: 8 }, (_, index) => picture(imageSize, index));
  // A contestant may keep what it is given.
  const some = (/** @type {number} */ count) => pictures.slice(0, count).map((values) => values.slice());
  const start = performance.now();
  await embedImages(some(1));
  const imageFirst = performance.now() - start;
  const image = await times(runs, () => some(1), embedImages);
  const images8 = runs.batch ? await times(runs, () => some(8), embedImages) : undefined;
  const imageEmbeddings = await embedImages(some(8));
  if (!embedTexts) return { imageFirst, image, images8, imageEmbeddings, textEmbeddings: [], info };
  const textEmbeddings = await embedTexts(sentences);
  const text1 = await times(runs, () => newLabels(1), embedTexts);
  const text8 = runs.batch ? await times(runs, () => newLabels(8), embedTexts) : undefined;
  return { imageFirst, image, images8, text1, text8, imageEmbeddings, textEmbeddings, info };
}

/**
 * @template T
 * @param {Runs} runs
 * @param {() => T} makeInput
 * @param {(input: T) => Promise<unknown>} call
 */
async function times({ warm, runs, seconds }, makeInput, call) {
  const end = performance.now() + 1000 * seconds;
  /** @type {number[]} */
  const times = [];
  for (let run = -warm; run < runs && (times.length === 0 || performance.now() < end); run++) {
    const input = makeInput();
    const start = performance.now();
    await call(input);
    if (run >= 0 || performance.now() >= end) times.push(performance.now() - start);
  }
  return times;
}

/**
 * Answers the page's one message with what was measured.
 * @template Options
 * @param {(options: Options) => Promise<Contestant>} load
 */
export function serve(load) {
  self.onmessage = async (/** @type {MessageEvent<{options: Options, runs: Runs}>} */ { data }) => {
    try {
      const start = performance.now();
      const contestant = await load(data.options);
      const ms = performance.now() - start;
      self.postMessage({ load: ms, ...(await measure(contestant, data.runs)) });
    } catch (error) {
      self.postMessage({
        error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error),
      });
    }
  };
}
