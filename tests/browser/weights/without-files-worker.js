/** worker.js in a browser whose files cannot be written piece by piece. */
import './without-files.js';
import '/www/worker.js';
