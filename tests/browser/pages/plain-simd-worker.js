/** worker.js in a browser without relaxed SIMD. */
import './without-relaxed-simd.js';
import '/www/worker.js';
