/** worker.js that tells, over a BroadcastChannel, how many texts and pictures go through the towers. */
import { Engine as Plain } from '/www/wasm/simd128/siglip_web.js';
import { Engine as Relaxed } from '/www/wasm/relaxed-simd/siglip_web.js';
import '/www/worker.js';

const channel = new BroadcastChannel('passes');

for (const { prototype } of [Plain, Relaxed]) {
  const { begin_image, begin_texts } = prototype;
  prototype.begin_image = function (pixelValues) {
    channel.postMessage('image');
    return begin_image.call(this, pixelValues);
  };
  prototype.begin_texts = function (inputIds) {
    channel.postMessage('texts');
    return begin_texts.call(this, inputIds);
  };
}
