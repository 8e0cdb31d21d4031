/** worker.js that holds a lock for as long as it lives: see workersAlive in harness.js. */
import '/www/worker.js';

navigator.locks.request('siglip-worker', { mode: 'shared' }, () => new Promise(() => {}));
