/** The page: pictures come in, the labels change, a model answers. */
import { readQuestion, writeQuestion } from './url-state.js';
import { Card } from './card.js';
import { listenForFiles } from './inputs.js';
import { LabelEditor } from './label-editor.js';
import { ModelPanel } from './model-panel.js';
import { announce, byId } from './page.js';
import { scoreSheet } from '../ui/scores.js';
import { DEFAULT_TEMPLATE } from '../siglip.js';

document.adoptedStyleSheets = [scoreSheet];

const defaults = {
  labels: ['a cat', 'a dog', 'a boat', 'an insect', 'a coffee cup'],
  template: DEFAULT_TEMPLATE,
};
const EXAMPLE = 'www/samples/insect.jpg';

const template = byId('template', HTMLInputElement);
const cardList = byId('cards');
const clear = byId('clear');
/** The newest first. @type {Card[]} */
let cards = [];

const labels = new LabelEditor(ask);
const model = new ModelPanel(
  () => {
    ask();
    evaluation?.modelReady();
  },
  (text) => {
    if (!model.siglip) cards.forEach((card) => card.wait(text));
  },
);
/** @type {import('./evaluation-view.js').EvaluationView | undefined} */
let evaluation;

/** Asks the model about every picture anew; those it has seen it does not look at again. */
async function ask() {
  writeQuestion({ labels: labels.values, template: template.value }, defaults);
  const answers = await Promise.all(cards.map(score));
  announce(answers.filter(Boolean).join('. '));
}

/** @param {Card} card */
async function score(card) {
  if (!model.siglip) return '';
  // A stopped engine answers nobody: it takes a new one, which then is asked about every picture.
  const retry = (/** @type {string} */ code) => (code === 'wasm' ? model.reload() : score(card));
  return card.score(model.siglip, labels.values, template.value, retry);
}

/** @param {(File | string)[]} sources */
function addPictures(sources) {
  cards.filter((card) => card.isExample).forEach(removeCard);
  // Each goes on top of the one before: the first, coming last, stands first.
  const added = [...sources].reverse().map((source) => addCard(source));
  if (added.length > 1) announce(`${added.length} pictures added.`);
  for (const card of added.reverse()) score(card).then(announce);
}

/**
 * @param {File | string} source
 * @param {boolean} [isExample]
 */
function addCard(source, isExample = false) {
  const card = new Card(source, { isExample, onRemove: () => removeByHand(card) });
  cards.unshift(card);
  cardList.prepend(card.element);
  if (!model.siglip) card.wait('Waiting for the model …');
  showCount();
  return card;
}

/** @param {Card} card */
function removeCard(card) {
  card.release();
  cards = cards.filter((kept) => kept !== card);
  showCount();
}

/** @param {Card} card */
function removeByHand(card) {
  const i = cards.indexOf(card);
  removeCard(card);
  (cards[i] ?? cards[i - 1])?.removeButton.focus();
  if (!cards.length) byId('files').focus();
  announce(`Removed: ${card.name}`);
}

/** @param {import('./classify-files.js').Dataset} dataset */
async function evaluate(dataset) {
  // Most visitors never do: what it takes is fetched when it is first asked for.
  const { EvaluationView } = await import('./evaluation-view.js');
  evaluation ??= new EvaluationView({
    ask: () => ({ siglip: model.siglip, template: template.value }),
    reload: () => model.reload(),
  });
  cardList.before(evaluation.element);
  evaluation.open(dataset);
}

function showCount() {
  clear.hidden = cards.length < 2;
  byId('empty').hidden = cards.length > 0;
}

clear.addEventListener('click', () => {
  cards.forEach(removeCard);
  byId('files').focus();
  announce('All pictures removed.');
});

template.addEventListener('input', () => {
  const valid = template.value.includes('{}');
  template.setAttribute('aria-invalid', String(!valid));
  if (valid) ask();
});

function readAddress() {
  const question = readQuestion(defaults);
  labels.values = question.labels;
  template.value = question.template;
}

addEventListener('hashchange', () => {
  readAddress();
  ask();
});

listenForFiles({ pictures: addPictures, model: (own) => model.loadOwn(own), dataset: evaluate });
readAddress();
addCard(EXAMPLE, true);
model.load();
