/**
 * The embedded model, for pages whose bundler has to know of it:
 *
 *     import 'siglip-web/tiny';
 *     const siglip = await Siglip.load();
 */
import { provideTiny } from './addresses.js';

const tiny = new URL('./models/tiny.gguf', import.meta.url).href;
provideTiny(tiny);

/** The model's address, which `Siglip.load` takes as well. */
export default tiny;
