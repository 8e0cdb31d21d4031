/** The choice of what runs the model. A browser without WebGPU has none. */
import { byId } from './page.js';

/** @typedef {import('../worker/protocol.js').Device} Device */

export class DeviceChoice {
  /** @type {Device} */
  value = 'cpu';

  /** @param {() => void} onChange */
  constructor(onChange) {
    const group = byId('device');
    group.hidden = !('gpu' in navigator);
    for (const input of group.querySelectorAll('input')) {
      input.checked = input.value === this.value;
      input.addEventListener('change', () => {
        this.value = /** @type {Device} */ (input.value);
        onChange();
      });
    }
  }
}

/**
 * What runs a model, in words.
 * @param {Pick<import('../siglip.js').Info, 'device' | 'adapter' | 'workers' | 'backend'>} info
 */
export function deviceText({ device, adapter, workers, backend }) {
  if (device === 'gpu') return adapter && adapter !== 'unknown' ? `GPU: ${adapter}` : 'GPU';
  const simd = backend === 'simd' ? 'SIMD' : 'relaxed SIMD';
  return `CPU: ${workers === 1 ? '1 worker' : `${workers} workers`}, ${simd}`;
}
