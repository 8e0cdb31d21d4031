/** worker.js of which the one for digests leaves a note on the server. */
import '/www/worker.js';

if (self.name === 'siglip digest') fetch('/digest-worker').catch(() => {});
