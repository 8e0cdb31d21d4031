import { describe as describeInFull } from '../ui/format.js';
import { headlineOf } from '../ui/headlines.js';
import { t } from '../ui/translate.js';

/**
 * An error as a short headline and in full.
 * @param {unknown} error
 */
export function describe(error) {
  const { code, message } = describeInFull(error);
  return { code, headline: headlineOf(t, code), message };
}
