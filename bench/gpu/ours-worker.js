/** This engine in a worker. It is asked directly, as the library's own worker asks it: messages between page and worker take no time here. */
import { loadParametersOf } from '../../www/lib/parameters.js';
import { calls } from '../../www/worker/calls.js';
import { serve } from './contest.js';

/** @typedef {{model: string, precision: 'f32' | 'q8', device: 'gpu' | 'cpu', towers: 'image' | 'both'}} Options */

serve(async (/** @type {Options} */ { model, ...options }) => {
  const { signal } = new AbortController();
  /** @type {import('../../www/worker/protocol.js').Notice[]} */
  const notices = [];
  const tell = (/** @type {import('../../www/worker/protocol.js').CallEvent} */ event) => {
    if ('notice' in event) notices.push(event.notice);
  };
  // The hub's weights are downloaded once. Those of a server nearby come fast, and loading them is measured.
  const cache = !/^https?:/.test(model);
  const parameters = loadParametersOf(model, { ...options, cache, workers: 1 });
  const { imageSize, device, adapter, backend, bytes } = await calls.load(parameters, signal, tell);
  if (device !== options.device) throw new Error(notices.map(({ message }) => message).join(' '));
  return {
    imageSize,
    async embedImages(pictures) {
      /** @type {import('../../www/worker/protocol.js').WaitingCall[]} */
      const waiting = pictures.map((values) => {
        const parameters = { image: { values, height: imageSize } };
        return { method: 'embedImage', parameters, signal, tell };
      });
      const embeddings = [];
      // As worker.js gives calls their turns.
      for (let call; (call = waiting.shift());) {
        const { answer, parameters } = call;
        embeddings.push(
          await (answer ?? calls.embedImage(/** @type {any} */ (parameters), signal, tell, waiting)),
        );
      }
      if (notices.some(({ code }) => code.startsWith('gpu-'))) throw new Error(notices[0].message);
      return embeddings;
    },
    embedTexts: options.towers === 'both' ? (texts) => calls.embedTexts({ texts }, signal, tell) : undefined,
    info: { device, adapter, backend, bytes },
  };
});
