import { Siglip, SiglipError, pipeline, type Score } from 'siglip-web';
import tiny from 'siglip-web/tiny';
import 'siglip-web/element';

const siglip = await Siglip.load(tiny, {
  precision: 'f32',
  onProgress: ({ loaded, total }) => console.log(loaded / total),
});
const scores: Score[] = await siglip.classify(new Blob(), ['a cat'], { topK: 1 });
const many: Score[][] = await siglip.classify([new Blob()], ['a cat']);
const embedding: Float32Array = await siglip.embedImage('cat.jpg');
const element = document.createElement('siglip-classifier');
element.labels = ['a cat'];
element.addEventListener('result', ({ detail }) => console.log(detail.scores[0]?.label.length));
element.addEventListener('click', (event) => event.preventDefault());
const classify = await pipeline('zero-shot-image-classification', 'tiny');
console.log(scores, many, embedding, new SiglipError('network', 'x').code, classify);
// @ts-expect-error: labels are a list of strings
await siglip.classify(new Blob(), [1]);
