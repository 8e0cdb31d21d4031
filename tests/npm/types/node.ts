import { Siglip } from 'siglip-web/node';
const siglip = await Siglip.load('./models/base');
const [best] = await siglip.classify('cat.jpg', ['a cat']);
console.log(best.label, best.score);
siglip.dispose();
