/** worker.js of which the one for digests does not start. */
import '/www/worker.js';

if (self.name === 'siglip digest') throw new Error('this worker does not start');
