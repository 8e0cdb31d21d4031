/** The page: it takes images, labels and a template, and shows what the model answers. */
import { DEFAULT_TEMPLATE } from '../siglip.js';
import { scoreSheet } from '../ui/scores.js';
import { isTemplate, splitTemplates } from '../ui/labels.js';
import { Card } from './card.js';
import { listenForInputs } from './inputs.js';
import { LabelEditor } from './label-editor.js';
import { ModelPanel } from './model-panel.js';
import { announce, byId } from './page.js';
import { Tuning } from './tuning.js';
import { readPrompts, writePrompts } from './url-state.js';
import { t } from '../ui/translate.js';

document.adoptedStyleSheets = [scoreSheet];

const defaults = {
  labels: ['a cat', 'a dog', 'a boat', 'an insect', 'a coffee cup'],
  template: DEFAULT_TEMPLATE,
  model: 'tiny',
};
/** Most labels of a bundle that become chips. */
const MOST_CHIPS = 100;
/** More pictures than these are worked on with progress, pause and cancel. */
const MANY = 12;
const EXAMPLE = 'www/samples/insect.jpg';

const template = byId('template', HTMLInputElement);
const cardList = byId('cards');
const clear = byId('clear');
const undo = byId('undo');
const views = byId('views', HTMLFieldSetElement);
/** One for each image, the newest first. @type {Card[]} */
let cards = [];
/** What was removed last, by its place, until something else is removed. @type {{card: Card, at: number}[]} */
let removed = [];
/** Fetched when it is first looked at. @type {import('./table/view.js').TableView | undefined} */
let table;
/** Fetched with the first many pictures. @type {import('./work.js').Work | undefined} */
let work;

const labels = new LabelEditor(scoreAll);
const model = new ModelPanel(
  () => {
    showOwnLabels();
    if (cards.length > MANY) scoreMany(cards);
    else scoreAll();
    evaluation?.modelReady();
    search?.modelReady();
    import('./afterwards.js').then(
      ({ settle }) => settle(model, () => cards, wanted),
      () => {}, // The page is whole without it.
    );
    calibration?.modelReady();
  },
  (text) => {
    if (!model.siglip) cards.forEach((card) => card.wait(text));
  },
  (early) => cards.forEach((card) => card.prepare(early)),
);
/** @type {import('./evaluation-view.js').EvaluationView | undefined} */
let evaluation;
/** @type {import('./search/view.js').SearchView | undefined} */
let search;
/** @type {import('./calibration-view.js').CalibrationView | undefined} */
let calibration;
/** @type {import('./teach/view.js').TeachView | undefined} */
let teach;
/** @type {import('./camera/view.js').CameraView | undefined} */
let camera;

const tuning = new Tuning(scoreAll);

/**
 * A bundle's labels take the place of those on show: it can answer for no others. A classifier's are no labels that one
 * could change, so those on show wait for the next model.
 */
function showOwnLabels() {
  if (!model.siglip) return;
  const { kind, labels: classes = [], labelSets } = model.siglip.info;
  const isClassifier = kind === 'classifier';
  byId('label-fields').hidden = isClassifier;
  byId('classes').hidden = !isClassifier;
  byId('classes').textContent =
    t`This model is fine-tuned for ${classes.length} classes of its own and reads no labels: ${classes.slice(0, MOST_CHIPS).join(', ')}${classes.length > MOST_CHIPS ? ' …' : '.'}`;
  tuning.explain(model.siglip);
  const [own] = labelSets ?? [];
  // Without a chip, all of its labels are scored.
  if (own) labels.values = own.labels.length <= MOST_CHIPS ? own.labels : [];
}

/** Scores all images. Those that the model has embedded already are not embedded again. */
async function scoreAll() {
  writePrompts(prompts(), defaults);
  // The others' turn comes, with these labels.
  const answers = await Promise.all(cards.filter((card) => !work?.has(card)).map(score));
  announce(answers.filter(Boolean).join('. '));
}

/** Scores many images one by one, with progress, pause and cancel. @param {Card[]} many */
async function scoreMany(many) {
  // The model that is loading scores all of them when it is ready.
  if (!model.siglip) return;
  const { Work } = await import('./work.js');
  work ??= new Work({ score, isThere: (card) => card.element.isConnected, remove });
  cardList.before(work.element);
  work.add(many);
}

/** Scores an image and shows it in the table too. @param {Card} card */
async function score(card) {
  const answer = await scoreCard(card);
  table?.refresh();
  return answer;
}

/** @param {Card} card */
async function scoreCard(card) {
  if (!model.siglip) return '';
  // An engine that has stopped cannot be used again. The new model scores all images when it is ready.
  const retry = (/** @type {string} */ code) => (code === 'wasm' ? model.reload() : score(card));
  const asked = await question();
  if (!asked) return '';
  const answer = await card.score(asked.siglip, asked.labels, asked.options, retry);
  teach?.decorate(card);
  return answer;
}

/** What a picture is asked: taught classes take the place of the labels. @returns {Promise<import('./camera/view.js').Question | undefined>} */
async function question() {
  const { siglip } = model;
  if (!siglip) return;
  const chosen = siglip.info.kind === 'classifier' ? [] : labels.values;
  const templates = splitTemplates(template.value);
  const options = { template: templates, ...tuning.options(siglip) };
  const asked = { siglip, labels: chosen.length ? chosen : undefined, options };
  return (await teach?.ask(asked, templates)) ?? asked;
}

/** Most visitors never teach: the code is fetched when it is first needed. */
async function openTeaching() {
  const { TeachView } = await import('./teach/view.js');
  teach ??= new TeachView({
    model: () => model.siglip,
    labels: () => labels.values,
    setLabels: (values) => (labels.values = values),
    changed: scoreAll,
  });
  byId('label-fields').append(teach.element);
  return teach;
}

byId('teach').addEventListener('click', async () => {
  (await openTeaching()).show();
  scoreAll();
});

byId('camera').addEventListener('click', async () => {
  const { CameraView } = await import('./camera/view.js');
  camera ??= new CameraView({ question, keep: (file) => addImages([file]) });
  cardList.before(camera.element);
  camera.show();
});

/** @param {(File | string)[]} sources */
async function addImages(sources) {
  cards.filter((card) => card.isExample).forEach(removeCard);
  // Each card goes on top. In reverse order, the first image ends up first.
  const added = [];
  for (const [i, source] of [...sources].reverse().entries()) {
    // Thousands take a while; the page answers meanwhile.
    if (i && i % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
    added.unshift(addCard(source));
  }
  if (added.length > 1) announce(t`${added.length} pictures added.`);
  if (added.length > MANY) scoreMany(added);
  else for (const card of added) score(card).then(announce);
}

/**
 * @param {File | string} source
 * @param {boolean} [isExample]
 */
function addCard(source, isExample = false) {
  const card = createCard(source, isExample);
  cards.unshift(card);
  cardList.prepend(card.element);
  showCount();
  return card;
}

/** @param {File | Blob | string} source @param {boolean} isExample */
function createCard(source, isExample) {
  const card = new Card(source, { isExample, onRemove: () => removeByHand(card) });
  if (!model.siglip) card.wait(t`Waiting for the model …`);
  if (model.early) card.prepare(model.early);
  return card;
}

/** @param {Card} card */
function removeCard(card) {
  card.release();
  cards = cards.filter((other) => other !== card);
  showCount();
}

/** @param {Card} card */
function removeByHand(card) {
  const i = cards.indexOf(card);
  remove([card]);
  (cards[i] ?? cards[i - 1])?.removeButton.focus();
  if (!cards.length) byId('files').focus();
  announce(t`Removed: ${card.name}`);
}

/** Removes images so that they can be brought back. @param {Card[]} chosen */
function remove(chosen) {
  for (const { card } of removed) card.release();
  const gone = new Set(chosen);
  removed = cards.map((card, at) => ({ card, at })).filter(({ card }) => gone.has(card));
  cards = cards.filter((card) => !gone.has(card));
  for (const { card } of removed) {
    card.element.remove();
    // The model shall not go on with it.
    if (!card.scores) card.release();
  }
  undo.textContent =
    removed.length === 1
      ? t`Undo removal of ${removed[0].card.name}`
      : t`Undo removal of ${removed.length} pictures`;
  showCount();
}

function undoRemoval() {
  const back = removed.map(({ card, at }) => {
    const again = card.scores ? card : createCard(card.source, card.isExample);
    cards.splice(at, 0, again);
    cardList.insertBefore(again.element, cardList.children[at] ?? null);
    return again;
  });
  removed = [];
  showCount();
  announce(back.length === 1 ? t`Back: ${back[0].name}` : t`${back.length} pictures are back.`);
  // The labels may have changed meanwhile.
  if (back.length > MANY) scoreMany(back);
  else back.forEach(score);
  /** @type {HTMLElement | null} */ (views.querySelector('input:checked'))?.focus();
}

/** @param {import('./classify-files.js').Dataset} dataset */
async function evaluate(dataset) {
  // Most visitors never evaluate: the code is fetched when it is first needed.
  const { EvaluationView } = await import('./evaluation-view.js');
  evaluation ??= new EvaluationView({
    current: () => ({ siglip: model.siglip, template: template.value }),
    reload: () => model.reload(),
  });
  cardList.before(evaluation.element);
  evaluation.open(dataset);
}

byId('search').addEventListener('click', async () => {
  // Most visitors never search: the code is fetched when it is first needed.
  const { SearchView } = await import('./search/view.js');
  search ??= new SearchView({ model: () => model.siglip, classify: (file) => addImages([file]) });
  cardList.before(search.element);
  search.show();
});

byId('judge').addEventListener('click', async () => {
  // Most visitors never judge: the code is fetched when it is first needed.
  const { CalibrationView } = await import('./calibration-view.js');
  calibration ??= new CalibrationView({
    model: () => model.siglip,
    cards: () => cards,
    template: () => splitTemplates(template.value),
    adopt: (own) => tuning.adopt(own),
  });
  cardList.before(calibration.element);
  calibration.show();
});

function showCount() {
  clear.hidden = cards.length < 2;
  undo.hidden = !removed.length;
  byId('empty').hidden = cards.length > 0;
  table?.refresh();
}

/** Shows the cards or the table. */
async function showView() {
  const isTable = byId('as-table', HTMLInputElement).checked;
  if (isTable && !table) {
    const { TableView } = await import('./table/view.js');
    table ??= new TableView({
      pictures: () => cards,
      labels: () => labels.values,
      remove: (pictures) => {
        remove(/** @type {Card[]} */ (pictures));
        undo.focus();
      },
      question: () => ({ model: byId('model-name').textContent ?? '', template: template.value }),
    });
    cardList.after(table.element);
  }
  if (table) table.element.hidden = !byId('as-table', HTMLInputElement).checked;
  cardList.hidden = byId('as-table', HTMLInputElement).checked;
  table?.refresh();
}

views.addEventListener('change', showView);
undo.addEventListener('click', undoRemoval);

clear.addEventListener('click', () => {
  remove(cards);
  byId('files').focus();
  announce(t`All pictures removed.`);
});

template.addEventListener('input', () => {
  const valid = isTemplate(template.value);
  template.setAttribute('aria-invalid', String(!valid));
  if (valid) scoreAll();
});

/** What a link says of the page. */
const prompts = () => ({
  labels: labels.values,
  template: template.value,
  model: model.named ?? defaults.model,
});

byId('sharing').addEventListener('click', async ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  const { copy, embedCode } = await import('./share.js');
  copy(target, target.id === 'copy-link' ? location.href : embedCode(prompts(), defaults));
});

/** @returns the model that the URL names */
function readUrl() {
  const read = readPrompts(defaults);
  labels.values = read.labels;
  template.value = read.template;
  return read.model;
}

addEventListener('hashchange', () => {
  readUrl();
  scoreAll();
});

listenForInputs({
  images: addImages,
  model: (own) => model.loadOwn(own),
  dataset: evaluate,
  lesson: async (label, files) => (await openTeaching()).add(label, files),
  classes: async (file) => (await openTeaching()).load(file),
});
const wanted = readUrl();
addCard(EXAMPLE, true);
model.load();
if (wanted !== defaults.model) import('./share.js').then(({ takeUp }) => takeUp(model, wanted));
