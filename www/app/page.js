/** Access to the elements of index.html, and to screen readers. */

/**
 * An element of index.html.
 * @template {typeof HTMLElement} Type
 * @param {string} id
 * @param {Type} [type]
 * @returns {InstanceType<Type>}
 */
export function byId(id, type = /** @type {Type} */ (HTMLElement)) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`index.html lacks #${id}`);
  return /** @type {InstanceType<Type>} */ (element);
}

const announcer = byId('announcer');

/**
 * Has screen readers announce a change elsewhere on the page.
 * @param {string} text
 */
export function announce(text) {
  if (text) announcer.textContent = text;
}
