/**
 * The WGSL of all published shapes, compiled by Tint as in Chromium: Dawn for Node.js has it. Its compiler of Rust's, naga, is that of
 * crates/siglip-gpu/tests/kernels.rs.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { create } from 'webgpu';
import { plannerOf } from '../../www/gpu-plan.js';
import { checksumsOf } from '../../www/worker/gpu-device.js';

const file = (/** @type {string} */ path) => readFileSync(new URL(`../../${path}`, import.meta.url));

/** The sizes of all published shapes. @type {Record<string, string>} */
const presets = JSON.parse(String(file('tests/fixtures/presets.json')));
/** @type {import('../../www/gpu-plan.js').Planner} */
let planOf;
before(async () => {
  planOf = await plannerOf(file('www/wasm/gpu-plan/siglip_gpu_plan.wasm'));
});

test('Tint accepts all kernels of all published shapes, and has nothing to say of them', async (t) => {
  /** By source. @type {Map<string, string>} */
  const kernels = new Map();
  for (const [shape, sizes] of Object.entries(presets)) {
    const { checksum, image, text } = await planOf(sizes);
    kernels.set(checksum, 'checksum');
    for (const { label, wgsl } of [image, text].flatMap((tower) => tower?.pipelines ?? []))
      kernels.set(wgsl, `${label} of ${shape}`);
  }
  t.diagnostic(`${kernels.size} kernels`);
  assert.ok(kernels.size > 150);
  const device = /** @type {GPUDevice} */ (await deviceOf('null'));
  /** @type {string[]} */
  const complaints = [];
  for (const [code, label] of kernels) complaints.push(...(await complaintsOf(device, label, code)));
  assert.deepEqual(complaints, []);
  // It would have said so.
  const wrong = '@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }';
  assert.match((await complaintsOf(device, 'wrong', wrong)).join(), /wrong:1: error: .*abstract-float/);
  const unreached = '@compute @workgroup_size(1) fn main() { return; let x = 1; }';
  assert.match((await complaintsOf(device, 'unreached', unreached)).join(), /warning: code is unreachable/);
  device.destroy();
});

test("Dawn runs a kernel as the page's executor asks for it", async (t) => {
  const device = await deviceOf('vulkan');
  if (!device) return t.skip('Dawn finds no adapter for Vulkan');
  const words = Uint32Array.from({ length: 5000 }, (_, i) => Math.imul(i + 1, 2654435761));
  // GPUBufferUsage: COPY_DST and STORAGE.
  const buffer = device.createBuffer({ size: words.byteLength, usage: 8 | 128 });
  device.queue.writeBuffer(buffer, 0, words);
  const expected = words.reduce((sum, word, i) => (sum + Math.imul(word, 2 * i + 1)) | 0, 0);
  const { checksum } = await planOf(presets['base-patch16-256 in q8']);
  assert.deepEqual(await checksumsOf(device, checksum, [buffer]), [expected]);
  device.destroy();
});

/** What Chromium runs Vulkan on where there is no GPU. Dawn needs more than old versions of lavapipe have. */
const SWIFTSHADER = `${dirname(process.env.CHROMIUM ?? '/usr/lib/chromium/chromium')}/vk_swiftshader_icd.json`;

/** Dawn ends when the last reference to it does, whatever runs. @type {GPU[]} */
const running = [];
after(() => running.splice(0));

/** @param {'null' | 'vulkan'} backend which compiles nothing further, or the system's @returns {Promise<GPUDevice | undefined>} */
async function deviceOf(backend) {
  const adapter = () => {
    const gpu = create([`backend=${backend}`]);
    running.push(gpu);
    return gpu.requestAdapter();
  };
  let found = await adapter();
  if (!found && existsSync(SWIFTSHADER)) {
    process.env.VK_ICD_FILENAMES = SWIFTSHADER;
    found = await adapter();
  }
  return found?.requestDevice();
}

/**
 * @param {GPUDevice} device
 * @param {string} label
 * @param {string} code
 */
async function complaintsOf(device, label, code) {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label, code });
  const { messages } = await module.getCompilationInfo();
  const compute = { module, entryPoint: 'main' };
  if (!messages.length) device.createComputePipeline({ label, layout: 'auto', compute });
  const error = await device.popErrorScope();
  const complaints = messages.map(({ lineNum, type, message }) => `${label}:${lineNum}: ${type}: ${message}`);
  return error && !messages.length ? [`${label}: ${error.message}`] : complaints;
}
