/** worker.js that counts the inputs of both towers; a BroadcastChannel asks for the counts since the last question. */
import { Engine as Plain } from '/www/wasm/simd128/siglip_web.js';
import { Engine as Relaxed } from '/www/wasm/relaxed-simd/siglip_web.js';
import '/www/worker.js';

/** @type {('image' | 'texts')[]} */
const passes = [];
const channel = new BroadcastChannel('passes');
channel.onmessage = () => channel.postMessage(passes.splice(0));

for (const { prototype } of [Plain, Relaxed]) {
  const { begin_image, begin_texts } = prototype;
  prototype.begin_image = function (...pixels) {
    passes.push('image');
    return begin_image.apply(this, pixels);
  };
  prototype.begin_texts = function (...inputIds) {
    passes.push('texts');
    return begin_texts.apply(this, inputIds);
  };
}
