import { SiglipError } from '../lib/errors.js';

/**
 * The response to a request for a file that an attribute names.
 * @param {string} url
 * @param {string} what should be there, such as "list of labels"
 */
export async function fetched(url, what) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    const advice = 'check the connection, and that its server allows this page (CORS)';
    throw new SiglipError('network', `The ${what} at ${url} cannot be fetched: ${advice}`, error);
  }
  if (response.ok) return response;
  throw new SiglipError('not-found', `There is no ${what} at ${url}: the server answers ${response.status}`);
}
