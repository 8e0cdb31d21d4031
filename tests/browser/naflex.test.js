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
    // The recording's formula: the level at place i of [height, width, 3] of picture n.
    const pictures = sides.map(([height, width], n) => {
      const picture = new ImageData(width, height);
      for (let i = 0; i < 3 * width * height; i++) {
        picture.data[4 * Math.floor(i / 3) + (i % 3)] = (7 * i * i + 13 * i + 31 * n) % 256;
      }
      for (let pixel = 0; pixel < width * height; pixel++) picture.data[4 * pixel + 3] = 255;
      return picture;
    });
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
