// Runs the two towers of LiteRT.js and times them on ready inputs. run.sh makes a classic script of it, since LiteRT.js loads its own
// scripts by importScripts.
import { Tensor, loadAndCompile, loadLiteRt } from '@litertjs/core';
import { answerWith, ids, phase, pixels, stats, time } from './timing.mjs';

const WASM = '/litert/';

answerWith(async ({ dtype, threads, runs, size, length, vocab }) => {
  self.Module = {
    locateFile: (file) => WASM + file,
    mainScriptUrlOrBlob: threads > 1 ? `${WASM}litert_wasm_threaded_internal.js` : undefined,
  };
  await loadLiteRt(WASM, { threads: threads > 1 });
  const out = { isolated: crossOriginIsolated };
  const load = (tower, dtype) =>
    loadAndCompile(`/model/tflite/${tower}_${dtype}.tflite`, {
      accelerator: 'wasm',
      cpuOptions: { numThreads: threads },
    });
  const pass = async (model, values, shape) => {
    const given = new Tensor(values, shape);
    const made = Object.values(await model.run([given]));
    await made[0].data();
    for (const tensor of [given, ...made]) tensor.delete();
  };

  await phase('vision');
  let t = performance.now();
  const vision = await load('vision', dtype);
  out.vision_load_ms = +(performance.now() - t).toFixed(1);
  const values = pixels(size);
  const see = () => pass(vision, values.slice(), [1, 3, size, size]);
  out.image_first_ms = stats(await time(see, 1)).median;
  await time(see, 2);
  out.image_ms = stats(await time(see, runs));
  vision.delete();

  await phase('text');
  t = performance.now();
  // Texts with fixed ranges are not made.
  const text = await load('text', dtype === 'static' ? 'int8' : dtype);
  out.text_load_ms = +(performance.now() - t).toFixed(1);
  const labels = Int32Array.from(ids(8, length, vocab));
  const read = () => pass(text, labels, [8, length]);
  await time(read, 1);
  out.text8_ms = stats(await time(read, Math.max(3, runs >> 1)));
  text.delete();
  await phase('end');
  return out;
});
