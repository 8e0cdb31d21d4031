/** Labels, template and model in the URL of the page, so that they can be bookmarked and shared. */
import { isTemplate, unique } from '../ui/labels.js';

/** @typedef {{labels: string[], template: string, model: string}} Prompts */

/** @param {Prompts} defaults for what the URL lacks @returns {Prompts} */
export function readPrompts(defaults) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const labels = unique(parameters.getAll('label'));
  const template = parameters.get('template') ?? '';
  return {
    labels: labels.length ? labels : defaults.labels,
    template: isTemplate(template) ? template : defaults.template,
    model: parameters.get('model')?.trim() || defaults.model,
  };
}

/**
 * @param {Prompts} prompts
 * @param {Prompts} defaults left out of the URL
 */
export function writePrompts({ labels, template, model }, defaults) {
  const parameters = new URLSearchParams();
  if (labels.join('\n') !== defaults.labels.join('\n'))
    labels.forEach((label) => parameters.append('label', label));
  if (template !== defaults.template) parameters.set('template', template);
  if (model !== defaults.model) parameters.set('model', model);
  const hash = parameters.toString();
  history.replaceState(null, '', `${location.pathname}${location.search}${hash && `#${hash}`}`);
}
