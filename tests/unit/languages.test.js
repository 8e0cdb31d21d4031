/** The other languages of the page have every sentence of it, and no more. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { languages } from '../../www/app/languages.js';
import { checkpoints } from '../../www/lib/checkpoints.js';
import { speak, t } from '../../www/ui/translate.js';

const root = new URL('../../', import.meta.url);
const read = (/** @type {string} */ path) => readFileSync(new URL(path, root), 'utf8');
const folders = ['www/app/', 'www/element/', 'www/ui/'].flatMap((folder) =>
  readdirSync(fileURLToPath(new URL(folder, root)), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js') && name !== 'languages.js')
    .map((name) => folder + name),
);
const scripts = [...folders, 'www/siglip-classifier.js', 'www/siglip-search.js'];

/** The sentences that a script marks with `t`, with `{}` in place of each value. @param {string} code */
function marked(code) {
  const found = [];
  for (const match of code.matchAll(/(?<![\w$.])t`/g)) found.push(templateAt(code, match.index + 2));
  return found;
}

/** The template literal whose text begins at `at`. @param {string} code @param {number} at */
function templateAt(code, at) {
  let text = '';
  while (code[at] !== '`') {
    if (code.startsWith('${', at)) {
      at = endOfValue(code, at + 2);
      text += '{}';
    } else text += code[at++];
  }
  return text;
}

/** Where a value's closing brace has been passed. @param {string} code @param {number} at */
function endOfValue(code, at) {
  for (let depth = 1; depth; at++) {
    if (code[at] === '{') depth++;
    if (code[at] === '}') depth--;
    if (code[at] === '`') {
      at++;
      while (code[at] !== '`') at = code.startsWith('${', at) ? endOfValue(code, at + 2) : at + 1;
    }
  }
  return at;
}

/** The texts and the named attributes of a page. @param {string} html */
function written(html) {
  const body = html.replace(
    /<!--[^]*?-->|<(script|style|noscript)\b[^]*?<\/\1>|<a\b[^>]* lang=[^]*?<\/a>/g,
    '',
  );
  const texts = body.replace(/<[^>]*>/g, '\0').split('\0');
  const attributes = [...body.matchAll(/\b(?:alt|aria-label|placeholder|title)="([^"]*)"/g)].map(
    ([, text]) => text,
  );
  return [...texts, ...attributes]
    .map((text) => text.replaceAll('&amp;', '&').replace(/\s+/g, ' ').trim())
    .filter((text) => /\p{L}/u.test(text));
}

/** The parts of the models' names, but for sizes. */
const names = checkpoints.flatMap(({ label }) => label.split(', ')).filter((part) => !/^\d+ px$/.test(part));

const sentences = new Set([
  ...scripts.flatMap((path) => marked(read(path))),
  ...written(read('index.html')),
  ...names,
]);

for (const [language, translations] of Object.entries(languages)) {
  test(`${language} has every sentence, each with its values`, () => {
    assert.ok(sentences.size > 250, `${sentences.size} sentences`);
    const known = Object.keys(translations);
    assert.deepEqual(
      [...sentences].filter((sentence) => !(sentence in translations)),
      [],
      'not translated',
    );
    assert.deepEqual(
      known.filter((sentence) => !sentences.has(sentence)),
      [],
      'not used any more',
    );
    for (const [sentence, translation] of Object.entries(translations)) {
      const values = sentence.split('{}').length - 1;
      const named = [...translation.matchAll(/\{(\d)\}/g)].map(([, i]) => Number(i)).sort();
      // A text of the page itself shows its braces.
      const wanted = translation.includes('{}') ? [] : Array.from({ length: values }, (_, i) => i);
      assert.deepEqual(named, wanted, sentence);
    }
  });
}

test('a sentence without a translation is English, and values take their places', () => {
  speak({ '{} of {}': '{1}のうち{0}' });
  assert.equal(t`${1} of ${2}`, '2のうち1');
  assert.equal(t`${1} from ${2}`, '1 from 2');
  speak({});
  assert.equal(t`${1} of ${2}`, '1 of 2');
});
