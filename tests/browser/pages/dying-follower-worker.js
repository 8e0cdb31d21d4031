/** worker.js whose followers die in their first pass. */
import '/www/worker.js';

addEventListener('message', ({ data }) => {
  if (data.begin) throw new Error('this worker dies');
});
