import { Siglip, SiglipError, pipeline, type Score } from 'siglip-web';
import tiny from 'siglip-web/tiny';
import 'siglip-web/element';
import { type FoundPicture } from 'siglip-web/search';

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
const search = document.createElement('siglip-search');
search.topK = 3;
search.addEventListener('result', ({ detail }) => console.log(detail.found[0]?.probability));
const found: FoundPicture[] = await search.search('a boat');
const classify = await pipeline('zero-shot-image-classification', 'tiny');
console.log(found, scores, many, embedding, new SiglipError('network', 'x').code, classify);
// @ts-expect-error: labels are a list of strings
await siglip.classify(new Blob(), [1]);
