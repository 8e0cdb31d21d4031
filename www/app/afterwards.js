/** What the page does once a model answers: nothing of it delays the first answer. */
import { showDetails } from './details.js';
import { offerModel } from './offer.js';
import { keepForOffline } from './offline.js';
import { listenForKeys } from './shortcuts.js';

listenForKeys();

/**
 * @param {import('./model-panel.js').ModelPanel} panel whose model has just become ready
 * @param {() => import('./card.js').Card[]} cards those of the page
 * @param {string} wanted the model that the visitor has come for
 */
export function settle(panel, cards, wanted) {
  if (panel.siglip) keepForOffline(panel.siglip.info);
  offerModel(panel, wanted);
  showDetails(panel, cards);
}
