/** worker.js on a GPU with the fault that the query names. */
import '/www/worker.js';

/** @type {any} */
const scope = globalThis;
const query = new URL(scope.location.href).searchParams;
const fault = query.get('fault') ?? '';

/**
 * Puts a method in the place of a method, which it is given.
 * @param {any} owner a class
 * @param {string} name
 * @param {(original: (...values: any[]) => any, ...values: any[]) => any} method
 */
function replace(owner, name, method) {
  const original = owner.prototype[name];
  owner.prototype[name] = function (/** @type {any[]} */ ...values) {
    return method((...given) => original.apply(this, given), ...values);
  };
}

/** Runs of a tower are told by what is written of patches, or into the residual stream. */
let runs = 0;
/** @param {(run: number, values: Float32Array) => void} change */
const onRun = (change) =>
  replace(scope.GPUQueue, 'writeBuffer', (write, buffer, at, values) => {
    if (buffer.label !== 'x' && !buffer.label.startsWith('patches')) return write(buffer, at, values);
    const copy = values.slice();
    change(++runs, copy);
    return write(buffer, at, copy);
  });
/** In the check, of each tower: two runs of the first block, three of all, and one of all blocks. */
const CHECK_RUNS = 6 * Number(query.get('towers') ?? 1);

/** For faults before any block runs: SwiftShader would take seconds to compile the kernels. */
const withoutKernels = () =>
  replace(scope.GPUDevice, 'createShaderModule', (create, { label, code }) =>
    create({ label, code: label === 'checksum' ? code : '@compute @workgroup_size(1) fn main() {}' }),
  );

/** @type {any[]} */
const devices = [];
const onDevice = () =>
  replace(scope.GPUAdapter, 'requestDevice', async (request, ...values) => {
    const device = await request(...values);
    devices.push(device);
    return device;
  });

/** @type {Record<string, () => void>} */
const faults = {
  /** Tells a page how many values each run after the check begins with. */
  none: () => {
    const channel = new BroadcastChannel('runs');
    onRun((run, values) => run > CHECK_RUNS && channel.postMessage(values.length));
  },
  /** Tells a page which kernels are compiled, by an adapter that is no software by its name. */
  'a GPU': () => {
    const channel = new BroadcastChannel('kernels');
    const info = { vendor: 'acme', architecture: 'one', description: '', isFallbackAdapter: false };
    Object.defineProperty(scope.GPUAdapter.prototype, 'info', { value: info });
    replace(scope.GPUDevice, 'createShaderModule', (create, descriptor) => {
      channel.postMessage(descriptor.label);
      return create(descriptor);
    });
  },
  'no gpu': () => Object.defineProperty(scope.WorkerNavigator.prototype, 'gpu', { value: undefined }),
  'no adapter': () => replace(scope.GPU, 'requestAdapter', async () => null),
  'no device': () => replace(scope.GPUAdapter, 'requestDevice', () => Promise.reject(new Error('injected'))),
  'plan not fetched': () => {
    const { fetch } = scope;
    scope.fetch = (/** @type {any} */ input, /** @type {any[]} */ ...options) =>
      String(input).endsWith('/siglip_gpu_plan.wasm')
        ? Promise.resolve(new Response('', { status: 503 }))
        : fetch(input, ...options);
  },
  'pipeline refused': () =>
    replace(scope.GPUDevice, 'createComputePipelineAsync', () => Promise.reject(new Error('injected'))),
  'out of memory': () => {
    /** @type {string[]} */
    const open = [];
    replace(scope.GPUDevice, 'pushErrorScope', (push, filter) => (open.push(filter), push(filter)));
    replace(scope.GPUDevice, 'popErrorScope', async (pop) => {
      const filter = open.pop();
      const error = await pop();
      return filter === 'out-of-memory' ? new scope.GPUOutOfMemoryError('injected') : error;
    });
  },
  'buffer refused': () =>
    replace(scope.GPUDevice, 'createBuffer', (create, descriptor) => {
      if (descriptor.label?.startsWith('block')) throw new RangeError('injected');
      return create(descriptor);
    }),
  'weights corrupted': () => {
    withoutKernels();
    let isDone = false;
    replace(scope.GPUQueue, 'writeBuffer', (write, buffer, at, values) => {
      const isHit = !isDone && buffer.label === 'block 0' && values.length > 100;
      if (!isHit) return write(buffer, at, values);
      isDone = true;
      const changed = values.slice();
      changed[77] ^= 1;
      return write(buffer, at, changed);
    });
  },
  'wrong shader': () =>
    replace(scope.GPUDevice, 'createShaderModule', (create, descriptor) =>
      create({ ...descriptor, code: descriptor.code.replace('0.254829592', '0.3') }),
    ),
  'other answer the second time': () =>
    onRun((run, values) => {
      if (run === 5) values[3] += 1e-3;
    }),
  'NaN in a pass': () => onRun((run, values) => run > CHECK_RUNS && values.fill(NaN)),
  'map rejected': () => {
    withoutKernels();
    replace(scope.GPUBuffer, 'mapAsync', () => Promise.reject(new Error('injected')));
  },
  'lost while loading': () => {
    withoutKernels();
    onDevice();
    replace(scope.GPUQueue, 'writeBuffer', (write, ...values) => {
      devices.at(-1).destroy();
      return write(...values);
    });
  },
  'lost in every pass': () => {
    onDevice();
    onRun((run) => run % (CHECK_RUNS + 1) === 0 && devices.at(-1).destroy());
  },
  'lost in one pass': () => {
    onDevice();
    onRun((run) => run === CHECK_RUNS + 1 && devices.at(-1).destroy());
  },
  'lost after a pass': () => {
    onDevice();
    replace(scope.GPUBuffer, 'unmap', (unmap) => {
      unmap();
      if (runs === CHECK_RUNS + 1) setTimeout(() => devices[0].destroy());
    });
    onRun(() => {});
  },
};
faults[fault]();
