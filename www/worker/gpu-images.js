/** Images of several calls in one pass: a GPU does little more for eight than for one. */
/** @typedef {import('../wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {import('./gpu.js').GpuBlocks} GpuBlocks */
/** @typedef {import('./protocol.js').CallEvent} CallEvent */
/** @typedef {import('./protocol.js').ImageMessage} ImageMessage */
/** @typedef {import('./protocol.js').PixelValues} PixelValues */
/** @typedef {import('./protocol.js').WaitingCall} WaitingCall */
/** A call with its image. @typedef {{pixels: PixelValues & import('./protocol.js').Vectors, signal: AbortSignal, tell: (event: CallEvent) => void}} Asked */
/** With what answers it. @typedef {Asked & {resolve: (embedding: Float32Array) => void, reject: (error: unknown) => void}} Pending */
/** @typedef {(image: ImageMessage, tell: (event: CallEvent) => void) => Promise<PixelValues>} Read */
/** @typedef {(pixels: Asked['pixels'], signal: AbortSignal, tell: (event: CallEvent) => void) => Promise<Float32Array>} Embed */

/** Images of a pass. */
const MOST = 8;

/**
 * Embeds an image, and with it those of calls that wait for their turn: they have their answers when it comes.
 * @param {Engine} engine
 * @param {GpuBlocks} gpu
 * @param {Asked} first
 * @param {WaitingCall[]} waiting
 * @param {Read} read
 * @param {Embed} embed one image, wherever the blocks run
 * @returns {Promise<Float32Array>}
 */
export async function embedTogether(engine, gpu, first, waiting, read, embed) {
  /** @type {Pending[]} */
  const images = [];
  const own = new Promise((resolve, reject) => images.push({ ...first, resolve, reject }));
  // It may fail before the others are done.
  own.catch(() => {});
  for (const call of waiting.filter(isAlike).slice(0, MOST - 1)) await take(call, images, read);
  for (const alike of ofEqualSize(images)) await embedAlike(engine, gpu, alike, embed);
  return own;
}

/** Whether it asks for an embedding and has none. @param {WaitingCall} call */
function isAlike({ method, parameters, signal, answer }) {
  if (method !== 'embedImage' || answer || signal.aborted) return false;
  return parameters.pooling === undefined && parameters.normalize === undefined;
}

/**
 * Reads the image of a call. From then on the call gets its answer from here.
 * @param {WaitingCall} call
 * @param {Pending[]} images
 * @param {Read} read
 */
async function take(call, images, read) {
  const { signal, tell, parameters } = call;
  const pixels = read(/** @type {{image: ImageMessage}} */ (parameters).image, tell);
  call.answer = new Promise((resolve, reject) => {
    pixels.then((pixels) => images.push({ pixels, signal, tell, resolve, reject }), reject);
  });
  // An aborted call does not wait for it.
  call.answer.catch(() => {});
  await pixels.catch(() => {});
}

/** @param {Pending[]} images */
function ofEqualSize(images) {
  /** @type {Map<string, Pending[]>} */
  const groups = new Map();
  for (const image of images) {
    const { values, height } = image.pixels;
    const size = `${values.length} ${height}`;
    groups.set(size, [...(groups.get(size) ?? []), image]);
  }
  return groups.values();
}

/**
 * @param {Engine} engine
 * @param {GpuBlocks} gpu
 * @param {Pending[]} images
 * @param {Embed} embed
 */
async function embedAlike(engine, gpu, images, embed) {
  try {
    const pixels = images.map(({ pixels }) => pixels);
    const embeddings = images.length > 1 && (await gpu.embedImages(engine, pixels, images[0].tell));
    // After a fault the blocks are elsewhere, and take the images one by one.
    for (const [i, { pixels, signal, tell, resolve, reject }] of images.entries()) {
      if (embeddings) resolve(embeddings[i]);
      else await embed(pixels, signal, tell).then(resolve, reject);
    }
  } catch (error) {
    for (const { reject } of images) reject(error);
  }
}
