/** worker.js whose followers start, but get no engine. */
import '/www/worker.js';

if (self.name !== 'siglip') {
  /** @type {any} */ (WebAssembly).instantiate = () =>
    Promise.reject(new Error('this worker gets no engine'));
}
