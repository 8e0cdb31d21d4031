/** Labels and template in the page's address, so that they outlast a visit and can be shared. */
import { unique } from '../ui/labels.js';

/** @typedef {{labels: string[], template: string}} Question */

/** @param {Question} defaults @returns {Question} */
export function readQuestion(defaults) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const labels = unique(parameters.getAll('label'));
  const template = parameters.get('template') ?? '';
  return {
    labels: labels.length ? labels : defaults.labels,
    template: template.includes('{}') ? template : defaults.template,
  };
}

/**
 * @param {Question} question
 * @param {Question} defaults are left out
 */
export function writeQuestion({ labels, template }, defaults) {
  const parameters = new URLSearchParams();
  if (labels.join('\n') !== defaults.labels.join('\n'))
    labels.forEach((label) => parameters.append('label', label));
  if (template !== defaults.template) parameters.set('template', template);
  const hash = parameters.toString();
  history.replaceState(null, '', `${location.pathname}${location.search}${hash && `#${hash}`}`);
}
