import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPrompts, writePrompts } from '../../www/app/url-state.js';
import { definePage } from './page-globals.js';

const defaults = { labels: ['a cat', 'a dog'], template: 'This is a photo of {}.', model: 'tiny' };

test('a URL without a fragment means the defaults', (context) => {
  definePage(context);
  assert.deepEqual(readPrompts(defaults), defaults);
});

test('labels and template come from the fragment', (context) => {
  definePage(context, { hash: '#label=a+boat&label=%20rock%20%26%20roll&label=a+boat&template=%7B%7D%21' });
  assert.deepEqual(readPrompts(defaults), {
    labels: ['a boat', 'rock & roll'],
    template: '{}!',
    model: 'tiny',
  });
});

test('a template without {} and empty labels are ignored', (context) => {
  definePage(context, { hash: '#label=&label=+&template=a+photo' });
  assert.deepEqual(readPrompts(defaults), defaults);
});

test('the defaults leave the URL without a fragment, and keep its query', (context) => {
  const page = definePage(context, { hash: '#label=x', search: '?from=mail' });
  writePrompts(defaults, defaults);
  assert.equal(page.url, '/app/?from=mail');
});

test('a written URL is read back', (context) => {
  for (const prompts of [
    {
      labels: ['a cat', 'naïve café', '100 % & more', '#1'],
      template: 'a “{}” + {}',
      model: 'google/siglip-base-patch16-224',
    },
    { labels: ['a dog', 'a cat'], template: defaults.template, model: 'https://example.org/a model/?b&c' },
    { labels: defaults.labels, template: '{}', model: 'tiny' },
  ]) {
    const { url } = writtenUrl(context, prompts);
    definePage(context, { hash: new URL(url, 'https://example.org').hash });
    assert.deepEqual(readPrompts(defaults), prompts);
  }
});

/**
 * @param {import('node:test').TestContext} context
 * @param {import('../../www/app/url-state.js').Prompts} prompts
 */
function writtenUrl(context, prompts) {
  const page = definePage(context);
  writePrompts(prompts, defaults);
  return page;
}
