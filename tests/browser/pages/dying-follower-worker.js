/** worker.js whose followers die in their first pass. */
import '/www/worker.js';

addEventListener('message', ({ data }) => {
  if (data.type === 'begin') throw new Error('this worker dies');
});
