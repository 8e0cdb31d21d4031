/** A WebGPU device: how it is opened, what can go wrong on it, and the programs and checksums that every use of it needs. */
/** Why the GPU is not used. @typedef {'gpu-missing' | 'gpu-plan' | 'gpu-wrong' | 'gpu-slow' | 'gpu-lost' | 'gpu-memory'} FaultCode */

/** A reason to compute on the CPU. */
export class GpuFault extends Error {
  /**
   * @param {FaultCode} code
   * @param {string} reason
   * @param {unknown} [cause]
   */
  constructor(code, reason, cause) {
    super(reason, { cause });
    this.code = code;
  }
}

/** GPUBufferUsage and GPUMapMode, which TypeScript does not declare. */
export const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 };
const READ = 1;
/** Adapters that compute on the CPU, more slowly than the engine does. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render|software/i;

/**
 * Opens the GPU.
 * @param {boolean} isAuto whether a software adapter is refused
 */
export async function openDevice(isAuto) {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw new Error(navigator.gpu ? 'there is no adapter' : 'there is no WebGPU here');
    // Safari 26.0 has no `info`; Firefox leaves it empty.
    const { vendor, architecture, description, isFallbackAdapter } = adapter.info ?? {};
    const name = [vendor, architecture, description].filter(Boolean).join(' ') || 'unknown';
    const isSoftware = isFallbackAdapter || SOFTWARE.test(name);
    if (isAuto && isSoftware) throw new Error(`${name} is software`);
    return { adapter, name, isSoftware, device: await adapter.requestDevice({ label: 'siglip' }) };
  } catch (error) {
    throw new GpuFault('gpu-missing', reasonOf(error), error);
  }
}

/** @param {unknown} error */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * Runs `work`. What it does wrong, or has no memory for, is thrown.
 * @template T
 * @param {GPUDevice} device
 * @param {() => T} work
 * @returns {Promise<T>}
 */
export async function guarded(device, work) {
  device.pushErrorScope('out-of-memory');
  device.pushErrorScope('validation');
  device.pushErrorScope('internal');
  let result;
  /** @type {{error: unknown} | undefined} */
  let thrown;
  try {
    result = work();
  } catch (error) {
    thrown = { error };
  }
  try {
    const scopes = [device.popErrorScope(), device.popErrorScope(), device.popErrorScope()];
    const [internal, validation, memory] = await Promise.all(scopes);
    if (memory) throw new GpuFault('gpu-memory', memory.message);
    if (thrown) throw thrown.error;
    const error = internal ?? validation;
    if (error) throw new GpuFault((await isLost(device)) ? 'gpu-lost' : 'gpu-wrong', error.message);
    return /** @type {T} */ (result);
  } catch (error) {
    if (error instanceof GpuFault) throw error;
    throw new GpuFault(error instanceof RangeError ? 'gpu-memory' : 'gpu-lost', reasonOf(error), error);
  }
}

/** @param {GPUDevice} device @returns {Promise<boolean>} */
const isLost = (device) =>
  Promise.race([device.lost.then(() => true), new Promise((resolve) => setTimeout(resolve, 0, false))]);

/**
 * @param {GPUDevice} device
 * @param {string} label
 * @param {string} wgsl
 */
export async function compile(device, label, wgsl) {
  const module = await guarded(device, () => device.createShaderModule({ label, code: wgsl }));
  try {
    const compute = { module, entryPoint: 'main' };
    return await device.createComputePipelineAsync({ label, layout: 'auto', compute });
  } catch (error) {
    const code = (await isLost(device)) ? 'gpu-lost' : 'gpu-wrong';
    throw new GpuFault(code, `${label}: ${reasonOf(error)}`, error);
  }
}

/**
 * Checksums of buffers: their words, each times twice its index plus one, summed modulo 2^32.
 * @param {GPUDevice} device
 * @param {string} wgsl of the plan
 * @param {GPUBuffer[]} buffers
 * @returns {Promise<number[]>} signed
 */
export async function checksumsOf(device, wgsl, buffers) {
  const pipeline = await compile(device, 'checksum', wgsl);
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = USAGE;
  const bytes = 256 * buffers.length;
  const staging = await guarded(device, () => {
    const results = device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC });
    const staging = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (const [i, buffer] of buffers.entries()) {
      const entries = [
        { binding: 0, resource: { buffer } },
        { binding: 1, resource: { buffer: results, offset: 256 * i, size: 256 } },
      ];
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(64);
    }
    pass.end();
    encoder.copyBufferToBuffer(results, 0, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    return staging;
  });
  const sums = new Int32Array(await read(staging, bytes));
  staging.destroy();
  return buffers.map((_, i) => sums.subarray(64 * i, 64 * (i + 1)).reduce((sum, one) => (sum + one) | 0, 0));
}

/**
 * Waits for what was submitted, and returns the start of a buffer.
 * @param {GPUBuffer} staging
 * @param {number} bytes
 */
export async function read(staging, bytes) {
  try {
    await staging.mapAsync(READ, 0, bytes);
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    return copy;
  } catch (error) {
    throw new GpuFault('gpu-lost', reasonOf(error), error);
  }
}
