/** worker.js whose followers do not start. */
import '/www/worker.js';

if (self.name !== 'siglip') throw new Error('this worker does not start');
