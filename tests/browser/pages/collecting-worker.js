/** A worker that collects its garbage when a page asks for it: the driver reaches the page's own alone. */
import '/www/worker.js';

new BroadcastChannel('collect').onmessage = () => /** @type {any} */ (globalThis).gc?.();
