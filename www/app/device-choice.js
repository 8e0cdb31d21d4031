/** The choice of what runs the model. A browser without WebGPU has none. */
import { byId } from './page.js';
import { t } from '../ui/translate.js';

/** @typedef {import('../worker/protocol.js').Device} Device */

export class DeviceChoice {
  #inputs;

  /** @param {() => void} onChange */
  constructor(onChange) {
    const group = byId('device');
    group.hidden = !('gpu' in navigator);
    this.#inputs = [...group.querySelectorAll('input')];
    // A browser may restore what was chosen before the page was loaded again.
    this.value = 'cpu';
    for (const input of this.#inputs) input.addEventListener('change', onChange);
  }

  get value() {
    return /** @type {Device} */ (this.#inputs.find(({ checked }) => checked)?.value ?? 'cpu');
  }

  /** @param {Device} device */
  set value(device) {
    for (const input of this.#inputs) input.checked = input.value === device;
  }
}

/**
 * What runs a model, in words.
 * @param {Pick<import('../siglip.js').Info, 'device' | 'adapter' | 'workers' | 'backend'>} info
 */
export function deviceText({ device, adapter, workers, backend }) {
  if (device === 'gpu') return adapter && adapter !== 'unknown' ? `GPU: ${adapter}` : 'GPU';
  const simd = backend === 'simd' ? 'SIMD' : 'relaxed SIMD';
  return workers === 1 ? t`CPU: 1 worker, ${simd}` : t`CPU: ${workers} workers, ${simd}`;
}
