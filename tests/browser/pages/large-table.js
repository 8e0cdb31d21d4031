/** A table of 1,000 pictures and 50 labels, for the test and the benchmark of its scrolling. */
import { TableView } from '../../../www/app/table/view.js';

/** Puts the table into the page, and returns it once it shows values. */
export async function showLargeTable() {
  const labels = Array.from({ length: 50 }, (_, i) => `label ${i}`);
  const samples = ['boat', 'cat', 'coffee', 'dog', 'insect'];
  const pictures = Array.from({ length: 1000 }, (_, i) => ({
    name: `${i}.jpg`,
    source: `/www/samples/${samples[i % samples.length]}.jpg`,
    failure: undefined,
    scores: labels.map((label, j) => ({ label, logit: ((i * j) % 17) - 8, score: ((i * j) % 17) / 17 })),
  }));
  const view = new TableView({
    pictures: () => pictures,
    labels: () => labels,
    remove: () => {},
    question: () => ({ model: '', template: '' }),
  });
  document.body.prepend(view.element);
  view.refresh();
  while (!view.element.querySelector('.value')) await new Promise(requestAnimationFrame);
  return view;
}
