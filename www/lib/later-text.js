/** The text tower of a model whose image tower is in use already. */

/** @typedef {import('./parameters.js').LoadOptions} LoadOptions */
/** @typedef {import('./parameters.js').Progress} Progress */
/** @typedef {import('./worker-client.js').WorkerClient} WorkerClient */

/**
 * Has the worker load it, and reports as the load before did. If that fails, the next call that needs the tower tries again.
 * @param {WorkerClient} worker
 * @param {LoadOptions} options of the load
 * @param {Omit<Progress, 'phase'>} reached by the load so far
 * @param {import('./siglip.js').Info} info of the model, brought up to date
 */
export async function loadText(worker, { signal, onProgress, onNotice }, { loaded, total, file }, info) {
  const before = { loaded, total };
  let reached = { loaded, total, file };
  try {
    const now = await worker.call({ method: 'loadText', parameters: {} }, signal, (event) => {
      if (event.type === 'notice') onNotice?.(event.notice);
      else if (event.type === 'progress') {
        const { file, cached } = event;
        reached = { loaded: before.loaded + event.loaded, total: before.total + event.total, file };
        const phase = event.loaded < event.total && !cached ? 'download' : 'prepare';
        onProgress?.({ phase, ready: 'image', ...reached });
      }
    });
    Object.assign(info, now);
    onProgress?.({ phase: 'ready', ready: 'both', ...reached });
  } catch (error) {
    const { code, message } = /** @type {import('./errors.js').SiglipError} */ (error);
    if (code === 'aborted') return;
    const what = 'The text tower has not arrived; the next call that needs it tries again.';
    onNotice?.({ code: 'text-later', message: `${what} ${message}` });
  }
}
