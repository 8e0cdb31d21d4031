/** Labels that a site keeps in a file. */
import { SiglipError } from '../siglip.js';
import { unique } from '../ui/labels.js';

/** What each address has. A failure is not kept, so that a later try can succeed. @type {Map<string, Promise<string[]>>} */
const known = new Map();

/**
 * The labels in a JSON file: an array of texts, or an object that has one as `labels`.
 * @param {string} url
 */
export function labelsFrom(url) {
  const labels = known.get(url) ?? read(url);
  known.set(url, labels);
  labels.catch(() => known.delete(url));
  return labels;
}

/** @param {string} url */
async function read(url) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    const advice = 'check the connection, and that its server allows this page (CORS)';
    throw new SiglipError('network', `The labels at ${url} cannot be fetched: ${advice}`, error);
  }
  if (!response.ok)
    throw new SiglipError(
      'not-found',
      `There are no labels at ${url}: the server answers ${response.status}`,
    );
  const content = await response.json().catch(() => undefined);
  const labels = Array.isArray(content) ? content : content?.labels;
  if (!Array.isArray(labels) || !labels.length || labels.some((label) => typeof label !== 'string'))
    throw new SiglipError('bad-input', `${url} has no labels: it must be JSON like ["a cat", "a dog"]`);
  return unique(labels);
}
