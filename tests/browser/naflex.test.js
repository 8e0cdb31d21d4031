/** A model that keeps its pictures' aspect (SigLIP 2 NaFlex), in the browser. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Harness, assertClose, fileAt } from './harness.js';

const harness = new Harness();

test('pictures of any aspect are embedded as by the reference, with one worker and with two', async () => {
  const recording = JSON.parse(await readFile(fileAt('tests/parity/naflex.json'), 'utf8'));
  const page = await harness.open({ path: '/tests/browser/pages/blank.html' });
  const found = await page.evaluate(async (sides) => {
    const { Siglip } = await import('/www/siglip.js');
    const { recordedPictures } = await import('/tests/browser/pages/recorded-pictures.js');
    const pictures = recordedPictures(sides);
    const answers = [];
    for (const workers of [1, 2]) {
      const siglip = await Siglip.load('/tests/fixtures/random-naflex/', { precision: 'f32', workers });
      answers.push((await siglip.embedImage(pictures)).map((embedding) => [...embedding]));
      siglip.dispose();
    }
    return answers;
  }, /** @type {number[][]} */ (recording.pictures));
  for (const embeddings of found) {
    assert.equal(embeddings.length, recording.image_embeds.length);
    for (const [n, embedding] of embeddings.entries()) {
      for (const [i, x] of embedding.entries()) {
        assertClose(x, recording.image_embeds[n][i], 1e-5, `picture ${n}`);
      }
    }
  }
});
