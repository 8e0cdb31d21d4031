/** worker.js of which the one for digests dies when it is first asked for one. */
import '/www/worker.js';

addEventListener('message', ({ data }) => {
  if (data.type === 'digest' && data.request.ask === 'settled') throw new Error('this worker dies');
});
