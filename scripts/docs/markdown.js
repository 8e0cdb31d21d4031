/** What the documentation's Markdown has beside text: code blocks with marks, and links out of docs/. */

/**
 * A fenced code block. A mark is a comment in the line before it: `<!-- not run: reason -->` keeps the tests from running it,
 * `<!-- live -->` has the site run it on the page.
 * @typedef {object} Block
 * @property {string} language
 * @property {string} code
 * @property {number} line of the file, from 1
 * @property {string} [notRun] why the tests do not run it
 * @property {boolean} live
 */

const FENCE = /^(?:<!-- *(not run|live)(?:: *([^\n]*?))? *-->\n\n?)?```([\w-]*)\n(.*?)^```$/gms;

/** @param {RegExpMatchArray} match @returns {Block} */
function blockOf({ 1: mark, 2: reason, 3: language, 4: code, index = 0, input = '' }) {
  const line = input.slice(0, index).split('\n').length + (mark ? 1 : 0);
  return {
    language,
    code,
    line,
    notRun: mark === 'not run' ? (reason ?? '') : undefined,
    live: mark === 'live',
  };
}

/** The code blocks of a file. @param {string} markdown @returns {Block[]} */
export const blocksOf = (markdown) => [...markdown.matchAll(FENCE)].map(blockOf);

/**
 * The file as the site shows it: links out of docs/ lead to the repository, and what is live is on the page.
 * @param {string} markdown
 * @param {string} repository its address
 */
export function forSite(markdown, repository) {
  const linked = markdown.replace(/\]\(\.\.\/([^)#]+)/g, (_, path) => {
    const isFile = /\.\w+$/.test(path);
    return `](${repository}/${isFile ? 'blob' : 'tree'}/main/${path}`;
  });
  return linked.replace(FENCE, (text, ...groups) => {
    const { live, language, code } = blockOf(
      /** @type {RegExpMatchArray} */ (Object.assign([text, ...groups], { index: 0, input: '' })),
    );
    // A picture, which diagrams.js draws.
    if (language === 'mermaid')
      return `<pre class="mermaid">${code.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</pre>`;
    const fence = text.slice(text.indexOf('```'));
    if (!live) return fence;
    if (language !== 'html') return `<div class="live">\n\n${fence}\n\n</div>`;
    const body = code.replace(/<script\b.*?<\/script>\s*/gs, '').trim();
    // A blank line would end the HTML and begin a paragraph.
    return `${fence}\n\n<div class="live">\n${body.replace(/\n\s*\n/g, '\n')}\n</div>`;
  });
}
