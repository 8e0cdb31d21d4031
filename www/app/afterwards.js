/** What the page does once a model answers: nothing of it delays the first answer. */
import { keepForOffline } from './offline.js';

/** @param {import('./model-panel.js').ModelPanel} panel whose model has just become ready */
export function settle({ siglip }) {
  if (siglip) keepForOffline(siglip.info);
}
