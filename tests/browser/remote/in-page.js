/** Finds elements in a page as Playwright's locators do. Bundled, and run in pages that Playwright does not drive. */
import { computeAccessibleName, getRole } from 'dom-accessibility-api';

/** A text, or a pattern in a form that JSON carries. @typedef {string | {source: string, flags: string}} Text */
/**
 * One step of a locator.
 * @typedef {{css: string} | {text: Text} | {label: Text} | {role: string, name?: Text} | {hasText: Text} | {has: Step[]} | {nth: number}} Step
 */

/** Every element below a root, also in open shadow roots. @param {Element | Document | ShadowRoot} root @returns {Generator<Element>} */
function* elementsBelow(root) {
  if (root instanceof Element && root.shadowRoot) yield* elementsBelow(root.shadowRoot);
  for (const element of root.querySelectorAll('*')) {
    yield element;
    if (element.shadowRoot) yield* elementsBelow(element.shadowRoot);
  }
}

/** The parent, or the host of the shadow root. @param {Element} element @returns {Element | null} */
function parentOf(element) {
  const root = element.getRootNode();
  return element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}

/** Whether a selector of compounds, with spaces or `>` in between, matches across shadow roots. @param {Element} element @param {string[]} parts */
function matches(element, parts) {
  const before = parts.slice(0, -1);
  if (!element.matches(parts[parts.length - 1])) return false;
  if (!before.length) return true;
  const isChild = before[before.length - 1] === '>';
  const rest = isChild ? before.slice(0, -1) : before;
  for (let ancestor = parentOf(element); ancestor; ancestor = parentOf(ancestor)) {
    if (matches(ancestor, rest)) return true;
    if (isChild) return false;
  }
  return false;
}

/** A selector's compounds and `>`. @param {string} css @returns {string[]} */
const partsOf = (css) => css.match(/>|(?:\[[^\]]*\]|\([^)]*\)|[^\s>[(])+/g) ?? [];

/** @param {string} text */
const normalised = (text) => text.replace(/\s+/g, ' ').trim();

/** The text of an element, also in its shadow root. @param {Node} node @returns {string} */
function textOf(node) {
  if (node instanceof Text) return node.data;
  if (node instanceof Element && ['SCRIPT', 'STYLE'].includes(node.tagName)) return '';
  const roots = node instanceof Element && node.shadowRoot ? [node.shadowRoot, node] : [node];
  return roots.flatMap((root) => [...root.childNodes].map(textOf)).join('');
}

/** @param {string} text @param {Text} wanted */
function includes(text, wanted) {
  const said = normalised(text);
  return typeof wanted === 'string'
    ? said.toLowerCase().includes(normalised(wanted).toLowerCase())
    : new RegExp(wanted.source, wanted.flags).test(said);
}

/** @param {Element} element */
export const isVisible = (element) => {
  if (getComputedStyle(element).display === 'contents') {
    // It has no box of its own: what is in it counts.
    const content = document.createRange();
    content.selectNodeContents(element);
    return content.getBoundingClientRect().height > 0;
  }
  const { width, height } = element.getBoundingClientRect();
  return element.checkVisibility({ visibilityProperty: true }) && width > 0 && height > 0;
};

/** @param {Element} element @param {Text} wanted */
function saysItself(element, wanted) {
  const children = [...element.children, ...(element.shadowRoot?.children ?? [])];
  return includes(textOf(element), wanted) && !children.some((child) => includes(textOf(child), wanted));
}

/** @param {Element} element @param {Text} wanted */
const isLabelled = (element, wanted) =>
  (element.matches('input, select, textarea, button') || element.hasAttribute('aria-label')) &&
  includes(computeAccessibleName(element), wanted);

/**
 * The elements that a locator means.
 * @param {Step[]} steps
 * @param {(Element | Document)[]} [roots]
 * @returns {Element[]}
 */
export function find(steps, roots = [document]) {
  /** @type {(Element | Document)[]} */
  let found = roots;
  for (const step of steps) {
    const below = (/** @type {(element: Element) => boolean} */ wanted) => [
      ...new Set(found.flatMap((root) => [...elementsBelow(root)].filter(wanted))),
    ];
    const own = /** @type {Element[]} */ (found);
    if ('css' in step) {
      const parts = partsOf(step.css);
      found = below((element) => matches(element, parts));
    } else if ('text' in step) found = below((element) => saysItself(element, step.text));
    else if ('label' in step) found = below((element) => isLabelled(element, step.label));
    else if ('role' in step) {
      const { role, name } = step;
      found = below(
        (element) =>
          getRole(element) === role &&
          isVisible(element) &&
          (name === undefined || includes(computeAccessibleName(element), name)),
      );
    } else if ('hasText' in step) found = own.filter((element) => includes(textOf(element), step.hasText));
    else if ('has' in step) found = own.filter((element) => find(step.has, [element]).length > 0);
    else found = own.slice(step.nth).slice(0, 1);
  }
  return /** @type {Element[]} */ (found);
}
