/** Pictures that the browser shows and keeps back from scripts. */
import { SiglipError } from './errors.js';

/**
 * @param {string | undefined} address where the picture is from, if that is known
 * @param {unknown} cause
 */
export function unreadable(address, cause) {
  const reason =
    address && new URL(address).origin === location.origin
      ? 'The browser does not let pages read an <img> with HTML in its SVG (foreignObject). Pass the file or its address.'
      : 'The page may not read this picture, because it is from another site. Load it with crossorigin="anonymous".';
  return new SiglipError('bad-image', reason, cause);
}
