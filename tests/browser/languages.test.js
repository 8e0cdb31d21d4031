/** The page in another language than English. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browserOfTests } from './browsers.js';
import { Harness, fileAt, openIn, problemsOf } from './harness.js';
import { labelsOf } from './page-actions.js';

/** @typedef {import('./harness.js').Page} Page */

const harness = new Harness();
/** Only Chromium's driver sets the browser's language; in the others the address asks for it. */
const setsLanguage = browserOfTests.name === 'chromium';
/** @param {string} [fragment] */
const japanese = (fragment = '') =>
  setsLanguage ? { path: `/${fragment}`, options: { locale: 'ja-JP' } } : { path: `/?lang=ja${fragment}` };

/** Texts, and the attributes that are read out or shown, in which four English words or more follow each other. @param {Page} page */
const englishOn = (page) =>
  page.evaluate(() => {
    const names = ['alt', 'aria-label', 'placeholder', 'title'];
    const said = [document.body.innerText, document.title];
    for (const element of document.querySelectorAll('*'))
      for (const name of names) said.push(element.getAttribute(name) ?? '');
    return said.flatMap((text) => text.match(/[A-Za-z]{2,}([ ,]+[A-Za-z]{2,}){3,}/g) ?? []);
  });

test('a Japanese browser gets the page in Japanese, from its start to search, table and evaluation', async () => {
  const page = await harness.open(japanese());
  await labelsOf(page, 'insect.jpg');
  assert.equal(await page.locator('html').getAttribute('lang'), 'ja');
  await page.getByRole('heading', { name: '何が写っている？' }).waitFor();
  await page.locator('#model-facts', { hasText: '8 ビットの重み' }).waitFor();
  await page.getByText('別のモデルを使う').click();
  await page.locator('#model').selectOption({ index: 1 });
  await page.locator('#model', { hasText: 'SigLIP 2 base, 224 px, 8 ビット' }).waitFor();
  await page.getByText('この端末にあるモデル').click();
  await page.getByText('スコアを調整').click();
  await page.getByText('なぜ？').click();
  await page.locator('#cards').getByText('の最も強い根拠です').waitFor();
  await page.getByRole('button', { name: 'フォルダーを検索…' }).click();
  await page.getByRole('heading', { name: 'フォルダーを検索' }).waitFor();
  await page.locator('#dataset').setInputFiles(fileAt('tests/fixtures/pictures'));
  await page.getByRole('button', { name: '停止' }).click();
  await page.getByRole('button', { name: 'もう一度実行' }).waitFor();
  assert.deepEqual(await englishOn(page), []);
  await page.getByText('表', { exact: true }).click();
  await page.getByRole('grid', { name: '画像とラベル' }).waitFor();
  assert.deepEqual(await englishOn(page), []);
  assert.deepEqual(await problemsOf(page), []);
});

test('a visitor can change the language, and keeps the labels', async () => {
  const page = await harness.open(japanese('#label=a+snail&label=a+cat'));
  assert.deepEqual((await labelsOf(page, 'insect.jpg')).sort(), ['a cat', 'a snail']);
  await page.getByRole('link', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'What is in the picture?' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.deepEqual((await labelsOf(page, 'insect.jpg')).sort(), ['a cat', 'a snail']);
});

test('a browser whose language is not there gets English, and fetches no other', async () => {
  const page = await harness.open({ options: { locale: 'de-DE' } });
  await labelsOf(page, 'insect.jpg');
  await page.getByRole('heading', { name: 'What is in the picture?' }).waitFor();
  assert.deepEqual(harness.server.requestsOf('languages'), []);
  // The address has the last word.
  const other = await openIn(page.context(), `${harness.server.origin}/?lang=ja`);
  await other.getByRole('heading', { name: '何が写っている？' }).waitFor();
});
