/**
 * An element that index.html is known to hold.
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
 * Tells screen readers what has changed elsewhere on the page.
 * @param {string} text
 */
export function announce(text) {
  if (text) announcer.textContent = text;
}
