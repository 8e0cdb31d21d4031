/** Elements and stylesheets, made in script. */

/**
 * An element with properties and children. A name that is no property of the element becomes an attribute.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * A stylesheet. A page's content security policy cannot forbid it, as it can an inline style. A server has none.
 * @param {string} css
 */
export function sheetOf(css) {
  /** @type {CSSStyleSheet | undefined} */
  const sheet = globalThis.CSSStyleSheet && new CSSStyleSheet();
  sheet?.replaceSync(css);
  return /** @type {CSSStyleSheet} */ (sheet);
}
