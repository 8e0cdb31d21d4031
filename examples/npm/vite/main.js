import { Siglip } from 'siglip-web';
import 'siglip-web/tiny';

const siglip = await Siglip.load();
const labels = ['a cat', 'a dog', 'a boat'];

document.querySelector('input').addEventListener('change', async ({ target }) => {
  const scores = await siglip.classify(target.files[0], labels);
  document.querySelector('output').textContent = scores
    .map(({ label, score }) => `${label}: ${score.toFixed(3)}`)
    .join('\n');
});
document.querySelector('output').textContent = 'Ready.';
