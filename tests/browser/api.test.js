/** The API of siglip.js, called as from a page's own script. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { browserOfTests, buildOf } from './browsers.js';
import { Harness, assertClose, fileAt, reference } from './harness.js';

const harness = new Harness();
const open = () => harness.open({ path: '/tests/browser/pages/blank.html' });

for (const { precision, tolerance } of /** @type {const} */ ([
  { precision: 'f32', tolerance: 1e-4 },
  { precision: 'q8', tolerance: 0.05 },
])) {
  test(`scores in ${precision} equal the reference's`, async () => {
    const page = await open();
    const lists = await page.evaluate(
      async ({ precision, images, labels, template }) => {
        const { Siglip } = await import('/www/siglip.js');
        const siglip = await Siglip.load('tiny', { precision });
        return siglip.classify(images, labels, { template });
      },
      {
        precision,
        images: reference.answers.map(({ image }) => `/www/samples/${image}`),
        labels: reference.labels,
        template: reference.template,
      },
    );
    for (const [i, { image, scores }] of reference.answers.entries()) {
      for (const { label, score } of lists[i]) {
        const expected = scores[reference.labels.indexOf(label)];
        assertClose(score, expected, tolerance, `${image}, ${label}`);
      }
      if (precision === 'f32')
        assert.deepEqual(
          lists[i].map(({ label }) => label),
          ranked(scores),
          image,
        );
      assert.equal(lists[i][0].label, ranked(scores)[0], image);
    }
  });
}

test('odd and damaged pictures have the logits that the reference has on Pillow', async () => {
  /** @type {typeof reference} */
  const { labels, template, answers } = JSON.parse(
    await readFile(fileAt('tests/parity/answers-hunt.json'), 'utf8'),
  );
  const page = await open();
  const lists = await page.evaluate(
    async ({ images, labels, template }) => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load('tiny', { precision: 'f32' });
      return siglip.classify(images, labels, { template });
    },
    { images: answers.map(({ image }) => `/tests/fixtures/pictures/hunt/${image}`), labels, template },
  );
  assert.equal(lists.length, 16);
  for (const [i, { image, logits }] of answers.entries()) {
    for (const { label, logit } of lists[i]) {
      assertClose(logit, logits[labels.indexOf(label)], 1e-3, `${image}, ${label}`);
    }
  }
});

test('damaged pictures come with a notice', async () => {
  const page = await open();
  const notices = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const noticesOf = async (/** @type {string} */ name) => {
      /** @type {string[]} */
      const notices = [];
      const onNotice = ({ code = '', message = '' }) => notices.push(`${code}: ${message}`);
      const picture = `/tests/fixtures/pictures/${name}`;
      const [{ label }] = await siglip.classify(picture, ['a cat'], { onNotice });
      await siglip.embedImage([picture], { onNotice });
      return [label, ...new Set(notices)];
    };
    return Promise.all(
      ['made/420.jpg', 'hunt/jpeg-progressive-first-scan-only.jpeg', 'made/no-end.jpg'].map(noticesOf),
    );
  });
  assert.deepEqual(notices[0], ['a cat']);
  assert.deepEqual(notices[1], ['a cat', 'damaged: The file is damaged: its last scans are missing.']);
  // Pillow refuses this file, the browser shows it.
  assert.match(notices[2][1], /^damaged: Shown as far as the browser reads it: this JPEG file is broken/);
});

test('the unknown words of a label come with its score', async () => {
  const page = await open();
  const scores = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    return siglip.classify('/www/samples/cat.jpg', ['a cat', 'a Blorptang', 'zxqj']);
  });
  const unknown = Object.fromEntries(scores.map(({ label, unknown }) => [label, unknown]));
  assert.deepEqual(unknown, { 'a cat': undefined, 'a Blorptang': ['Blorptang'], zxqj: ['zxqj'] });
});

test('labels whose letters the model does not know are marked and rank last', async () => {
  const words = ['кошка', '猫', '😀', '½', 'naïve', 'ñandú', '???'];
  const page = await open();
  const [scores, pipelined] = await page.evaluate(async (words) => {
    const { Siglip, pipeline } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny');
    const scores = await siglip.classify('/www/samples/cat.jpg', [...words, 'a dog']);
    siglip.dispose();
    const classify = await pipeline('zero-shot-image-classification', 'tiny');
    const pipelined = await classify('/www/samples/cat.jpg', [...words, 'a dog']);
    classify.dispose();
    return [scores, pipelined];
  }, words);
  for (const list of [scores, pipelined]) {
    assert.equal(list[0].label, 'a dog');
    assert.equal(list[0].unknown, undefined);
    assert.deepEqual(
      list.slice(1).map((/** @type {{unknown?: string[]}} */ { unknown }) => unknown),
      words.map((word) => [word]),
    );
  }
});

/** The reference's labels, best first. @param {number[]} scores */
const ranked = (scores) =>
  reference.labels
    .map((label, i) => ({ label, score: scores[i] }))
    .sort((a, b) => b.score - a.score)
    .map(({ label }) => label);

test('every kind of picture gives the same embedding', async () => {
  const page = await open();
  const cosines = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { precision: 'f32' });

    // A PNG: every decoder reads the same pixels out of it.
    const photo = new Image();
    photo.src = '/www/samples/boat.jpg';
    await photo.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    context.drawImage(photo, 0, 0);
    /** @type {Blob} */
    const blob = await new Promise((resolve) => canvas.toBlob(/** @type {BlobCallback} */ (resolve)));
    const buffer = await blob.arrayBuffer();
    const url = URL.createObjectURL(blob);
    const img = new Image();
    img.src = url;
    const offscreen = new OffscreenCanvas(canvas.width, canvas.height);
    offscreen.getContext('2d')?.drawImage(canvas, 0, 0);
    const padded = new Uint8Array(buffer.byteLength + 8);
    padded.set(new Uint8Array(buffer), 4);

    const expected = await siglip.embedImage(blob);
    /** @type {Record<string, import('/www/siglip.js').ImageInput>} */
    const kinds = {
      'URL string': url,
      URL: new URL(url),
      File: new File([blob], 'boat.png'),
      ArrayBuffer: buffer,
      Uint8Array: padded.subarray(4, 4 + buffer.byteLength),
      ImageData: context.getImageData(0, 0, canvas.width, canvas.height),
      ImageBitmap: await createImageBitmap(canvas),
      img,
      canvas,
      OffscreenCanvas: offscreen,
    };
    /** @type {Record<string, number>} */
    const cosines = {};
    for (const [kind, image] of Object.entries(kinds)) {
      const embedding = await siglip.embedImage(image);
      cosines[kind] = embedding.reduce((sum, value, i) => sum + value * expected[i], 0);
    }
    return cosines;
  });
  assert.equal(Object.keys(cosines).length, 10);
  for (const [kind, cosine] of Object.entries(cosines)) assertClose(cosine, 1, 1e-5, kind);
});

test('a playing video is classified by the frame that it shows', async () => {
  const page = await harness.open({
    path: '/tests/browser/pages/blank.html',
    options: { showsVideo: true },
  });
  const scores = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const photo = new Image();
    photo.src = '/www/samples/boat.jpg';
    await photo.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight];
    const context = canvas.getContext('2d');
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = canvas.captureStream();
    const timer = setInterval(() => context?.drawImage(photo, 0, 0), 30);
    await video.play();
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    clearInterval(timer);
    return siglip.classify(video, ['a cat', 'a boat', 'an insect']);
  });
  assert.equal(scores[0].label, 'a boat');
});

test('the browser decodes what the engine does not: AVIF and SVG', async () => {
  const page = await open();
  const { engine, browser, svg } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const avif = new Image();
    avif.src = '/tests/fixtures/pictures/formats/linku_fox.avif';
    const drawing =
      '<svg xmlns="http://www.w3.org/2000/svg"><rect width="100%" height="100%" fill="red"/></svg>';
    return {
      engine: [...(await siglip.embedImage(avif.src))],
      browser: [...(await siglip.embedImage(avif))],
      svg: [...(await siglip.embedImage(new Blob([drawing])))],
    };
  });
  assert.deepEqual(engine, browser);
  assertClose(norm(svg), 1, 1e-5, 'norm');
});

test('an animated AVIF is what the browser shows first; where it shows nothing, the error has a way out', async () => {
  const page = await open();
  const answers = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const file = async (/** @type {string} */ name) =>
      (await fetch(`/tests/fixtures/pictures/avif/${name}.avif`)).blob();
    // With a still picture beside its track, without one, and cut short.
    const [both, track] = [await file('animated'), await file('of-tracks-alone')];
    const answers = [];
    for (const blob of [both, track, both.slice(0, 600)]) {
      const shown = new Image();
      shown.src = URL.createObjectURL(blob);
      const browser = shown.decode().then(async () => [...(await siglip.embedImage(shown))]);
      const engine = siglip.embedImage(blob).then((embedding) => [...embedding]);
      answers.push({
        browser: await browser.catch(() => 'nothing'),
        engine: await engine.catch(({ code, message }) => `${code}: ${message}`),
      });
    }
    siglip.dispose();
    return answers;
  });
  const [both, track, cut] = answers;
  assert.deepEqual(both.engine, both.browser);
  assert.notEqual(both.browser, 'nothing');
  const refused = /^bad-image: this is AVIF, which is not decoded here; convert it to PNG, JPEG, /;
  if (browserOfTests.showsTracksAlone) assert.deepEqual(track.engine, both.engine);
  else assert.match(String(track.engine), refused);
  assert.match(String(cut.engine), refused);
});

/** @param {number[]} vector */
const norm = (vector) => Math.hypot(...vector);

test('topK, threshold and template take effect, and $1 in a label stays text', async () => {
  const page = await open();
  const answers = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { precision: 'f32' });
    const boat = '/www/samples/boat.jpg';
    const labels = ['a cat', 'a boat', 'a coffee cup'];
    const embedding = await siglip.embedImage(boat);
    const [text] = await siglip.embedText(['a $1 $& {x} note']);
    const [{ logit }] = await siglip.classify(boat, ['$1 $& {x}'], { template: 'a {} note' });
    const cosine = text.reduce((sum, value, i) => sum + value * embedding[i], 0);
    return {
      all: await siglip.classify(boat, labels),
      two: await siglip.classify(boat, labels, { topK: 2 }),
      likely: await siglip.classify(boat, labels, { threshold: 0.5 }),
      bare: await siglip.classify(boat, labels, { template: '{}' }),
      several: await siglip.classify([boat, '/www/samples/cat.jpg'], labels),
      logit,
      expected: cosine * (siglip.info.logitScale ?? NaN) + (siglip.info.logitBias ?? NaN),
    };
  });
  assert.deepEqual(answers.two, answers.all.slice(0, 2));
  assert.deepEqual(
    answers.likely,
    answers.all.filter(({ score }) => score >= 0.5),
  );
  assert.ok(answers.likely.length > 0 && answers.likely.length < 3);
  assert.notDeepEqual(answers.bare, answers.all);
  assert.deepEqual(answers.several[0], answers.all);
  assert.equal(answers.several[1][0].label, 'a cat');
  assertClose(
    answers.logit,
    answers.expected,
    1e-3,
    'the text is the template with the label in it, literally',
  );
});

test('embeddings have a norm of 1, and info says what is loaded', async () => {
  const page = await open();
  const { image, images, text, texts, info } = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load();
    const one = '/www/samples/cat.jpg';
    return {
      image: [...(await siglip.embedImage(one))],
      images: (await siglip.embedImage([one, '/www/samples/dog.jpg'])).map((embedding) => [...embedding]),
      text: [...(await siglip.embedText('a cat'))],
      texts: (await siglip.embedText(['a cat', 'a dog'])).map((embedding) => [...embedding]),
      info: siglip.info,
    };
  });
  for (const embedding of [image, text, ...images, ...texts]) {
    assert.equal(embedding.length, info.embeddingSize);
    assertClose(norm(embedding), 1, 1e-5, 'norm');
  }
  assert.deepEqual(images[0], image);
  assert.deepEqual(texts[0], text);
  const { logitScale = NaN, logitBias = NaN, bytes, backend, ...rest } = info;
  assert.equal(buildOf(backend), browserOfTests.backend);
  assert.deepEqual(rest, {
    model: 'tiny',
    precision: 'q8',
    towers: 'both',
    ready: 'both',
    workers: 1,
    device: 'cpu',
    imageSize: 70,
    kind: 'zero-shot',
    contextLength: 12,
    embeddingSize: 192,
    notices: [],
  });
  assert.ok(logitScale > 1 && logitBias < 0 && bytes > 1e6, JSON.stringify(info));
});

test('where relaxed SIMD is missing, the other build gives the same scores', async () => {
  const page = await open();
  const ask = () =>
    page.evaluate(async () => {
      const { Siglip } = await import('/www/siglip.js');
      const siglip = await Siglip.load('tiny', { precision: 'f32' });
      const scores = await siglip.classify('/www/samples/dog.jpg', ['a dog', 'a cat', 'a boat']);
      return { backend: siglip.info.backend, scores };
    });
  const usual = await ask();
  harness.server.workerFaults = { without: ['relaxed-simd'] };
  const plain = await ask();
  const build = buildOf(usual.backend);
  assert.deepEqual([build, plain.backend], [browserOfTests.backend, 'simd']);
  for (const [i, { label, score }] of usual.scores.entries()) {
    assert.equal(plain.scores[i].label, label);
    assertClose(plain.scores[i].score, score, 1e-4, label);
  }
  const fetched = (/** @type {string} */ name) =>
    harness.server.requestsOf(`${name}/siglip_web_bg.wasm`).length > 0;
  assert.deepEqual([fetched('relaxed-simd'), fetched('simd128')], [build === 'relaxed-simd', true]);
});

test('labels that were embedded before do not run the text tower again', async () => {
  const page = await open();
  const passes = await page.evaluate(async () => {
    const { Siglip } = await import('/www/siglip.js');
    const siglip = await Siglip.load('tiny', { workerUrl: '/tests/browser/pages/counting-worker.js' });
    const channel = new BroadcastChannel('passes');
    const passesOf = async (/** @type {string} */ image, /** @type {string[]} */ labels) => {
      await siglip.classify(`/www/samples/${image}`, labels);
      channel.postMessage('');
      return new Promise((resolve) => (channel.onmessage = ({ data }) => resolve(data)));
    };
    return [
      await passesOf('cat.jpg', ['a cat', 'a dog']),
      await passesOf('dog.jpg', ['a dog', 'a cat']),
      await passesOf('dog.jpg', ['a dog', 'a boat']),
    ];
  });
  assert.deepEqual(passes, [['image', 'texts'], ['image'], ['image', 'texts']]);
});

test('pipeline() takes and returns what it does in transformers.js', async () => {
  const page = await open();
  const { one, several, refused, events } = await page.evaluate(async () => {
    const { pipeline } = await import('/www/siglip.js');
    const { outcome } = await import('/tests/browser/pages/outcome.js');
    /** @type {any[]} */
    const events = [];
    const classifier = await pipeline('zero-shot-image-classification', 'tiny', {
      dtype: 'fp32',
      progress_callback: (event) => events.push(event),
    });
    const options = { hypothesis_template: 'a photo of {}' };
    return {
      one: await classifier('/www/samples/cat.jpg', ['a cat', 'a boat'], options),
      several: await classifier(['/www/samples/cat.jpg', '/www/samples/boat.jpg'], ['a cat', 'a boat']),
      refused: await outcome(pipeline('translation', 'tiny')),
      events,
    };
  });
  assert.deepEqual(Object.keys(one[0]), ['label', 'score']);
  assert.equal(one[0].label, 'a cat');
  assert.deepEqual(
    several.map((/** @type {{label: string}[]} */ scores) => scores[0].label),
    ['a cat', 'a boat'],
  );
  assert.equal(refused.code, 'bad-input');
  const statuses = events.map(({ status }) => status);
  assert.deepEqual(
    statuses.filter((status, i) => status !== statuses[i - 1]),
    ['initiate', 'download', 'progress', 'done', 'ready'],
  );
  assert.deepEqual(events[0], { status: 'initiate', name: 'tiny', file: 'model.safetensors' });
  assert.deepEqual(events.at(-2), { status: 'done', name: 'tiny', file: 'model.safetensors' });
  const { task, model, progress } = events.at(-1);
  assert.deepEqual([task, model, progress], ['zero-shot-image-classification', 'tiny', 100]);
});
