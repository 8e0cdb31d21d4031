/** The rate of fused multiply-adds that the adapter reaches when nothing else is in the way. */

const THREADS = 256;
const GROUPS = 4096;
/** Independent chains of vectors of four: enough to hide the latency of an addition. */
const CHAINS = 8;
/** Multiply-adds of each chain in one pass through the loop. */
const UNROLLED = 8;

/**
 * @param {'f32' | 'f16'} type
 * @param {number} loops
 */
function wgsl(type, loops) {
  const lines = [];
  for (let step = 0; step < UNROLLED; step++) {
    for (let chain = 0; chain < CHAINS; chain++) lines.push(`    v${chain} = fma(v${chain}, a, b);`);
  }
  const chains = Array.from({ length: CHAINS }, (_, i) => `v${i}`);
  return `${type === 'f16' ? 'enable f16;' : ''}
@group(0) @binding(0) var<storage, read_write> result: array<vec4<f32>>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // Read from memory, so that nothing is known before it runs. The factors are near 1 and 0: no value leaves the range.
  let a = vec4<${type}>(result[0] + 0.5);
  let b = vec4<${type}>(result[1] * 1e-3);
  let start = vec4<${type}>(f32(id.x % 64u) / 64.0);
${chains.map((name, i) => `  var ${name} = start + vec4<${type}>(${i}.0);`).join('\n')}
  for (var i = 0u; i < ${loops}u; i++) {
${lines.join('\n')}
  }
  // No thread gets here with such a sum, but the compiler does not know.
  let sum = vec4<f32>(${chains.join(' + ')});
  if (sum.x > 1e30) { result[id.x % 64u] = sum; }
}`;
}

/**
 * Operations per second, a multiply-add being two; undefined if the device does not compute in `type`.
 * @param {GPUDevice} device
 * @param {'f32' | 'f16'} type
 */
export async function peakRate(device, type) {
  if (type === 'f16' && !device.features.has('shader-f16')) return undefined;
  const buffer = device.createBuffer({ size: 1024, usage: 128 | 8 });
  device.queue.writeBuffer(buffer, 0, new Float32Array(8).fill(0.4999));
  let [loops, groups] = [16, 64];
  let best = 0;
  for (;;) {
    const module = device.createShaderModule({ code: wgsl(type, loops) });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer } }],
    });
    let shortest = Infinity;
    for (let run = 0; run < 5; run++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(groups);
      pass.end();
      const start = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      shortest = Math.min(shortest, performance.now() - start);
    }
    best = Math.max(best, (2 * 4 * CHAINS * UNROLLED * loops * groups * THREADS) / (shortest / 1000));
    // Long enough for the clock, and for what each submit takes by itself.
    if (shortest > 20) break;
    if (groups < GROUPS) groups *= 4;
    else loops *= 4;
  }
  buffer.destroy();
  return best;
}
