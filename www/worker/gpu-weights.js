/** Packed weights on their way to the GPU: as the followers of a sharded model, it takes batches in any order. */
import { guarded } from './gpu-device.js';

/** Rows or columns in groups padded with zeros. @typedef {{size: number, stride: number}} Group */
/**
 * Where a tensor's rows go; see `Place` in place.rs.
 * @typedef {object} Place
 * @property {number} tensor
 * @property {'image' | 'text'} tower
 * @property {number} block
 * @property {number} firstRow those before are left out
 * @property {number} offset
 * @property {number} stride
 * @property {number} columns
 * @property {Group} rowGroup
 * @property {Group} columnGroup
 * @property {number} [scales] none in f32
 */

/** Bytes of a batch's header; crates/siglip/src/model/packed.rs describes it. */
const HEADER = 16;
/** Bytes on their way to the GPU before the next wait. */
const MOST_IN_FLIGHT = 16 << 20;

/** Where element `index` is stored. @param {Group} group @param {number} index */
const stored = ({ size, stride }, index) => Math.floor(index / size) * stride + (index % size);

/** Writes packed weights into the buffers of their blocks. */
export class WeightWriter {
  #device;
  #places;
  #rowLengths;
  #towers;
  #inFlight = 0;
  /** The checksum of what was written, by buffer. @type {Map<GPUBuffer, number>} */
  sums = new Map();

  /**
   * @param {GPUDevice} device
   * @param {{places: Place[], rowLengths: number[]}} plan
   * @param {Partial<Record<'image' | 'text', {weights: GPUBuffer[]}>>} towers
   */
  constructor(device, { places, rowLengths }, towers) {
    this.#device = device;
    this.#rowLengths = rowLengths;
    this.#places = new Map(places.map((place) => [place.tensor, place]));
    this.#towers = towers;
  }

  /** Writes what a pooling head needs and no tensor holds, in f32, as the plan's last tensor. @param {Float32Array} queries */
  async writeQueries(queries) {
    if (!queries.length) return;
    const tensor = this.#rowLengths.length - 1;
    const batch = new Float32Array(HEADER / 4 + queries.length);
    batch.set(queries, HEADER / 4);
    new Uint32Array(batch.buffer).set([tensor, 0, queries.length / this.#rowLengths[tensor], 0]);
    await this.write(new Uint8Array(batch.buffer));
  }

  /**
   * Writes batches. Those for the CPU are left out.
   * @param {Uint8Array} batches a view of the engine's memory, copied before the first await
   */
  async write(batches) {
    await guarded(this.#device, () => {
      const view = new DataView(batches.buffer, batches.byteOffset, batches.length);
      for (let at = 0; at < batches.length;) {
        const [tensor, first, rows, isQuantized] = [0, 4, 8, 12].map((i) => view.getUint32(at + i, true));
        const scaleBytes = isQuantized ? 4 * rows : 0;
        const bytes = rows * this.#rowLengths[tensor] * (isQuantized ? 1 : 4);
        const values = at + HEADER + scaleBytes;
        const place = this.#places.get(tensor);
        if (place && place.scales !== undefined) {
          const scales = { ...place, offset: place.scales, stride: 4, columns: 1 };
          this.#rows(scales, first, rows, batches.subarray(at + HEADER, values));
        }
        if (place) this.#rows(place, first, rows, batches.subarray(values, values + bytes));
        at = values + bytes;
      }
    });
    if (this.#inFlight < MOST_IN_FLIGHT) return;
    this.#inFlight = 0;
    await this.#device.queue.onSubmittedWorkDone();
  }

  /**
   * @param {Place} place
   * @param {number} first
   * @param {number} rows
   * @param {Uint8Array} values
   * @returns {void}
   */
  #rows(place, first, rows, values) {
    const { tower, block, firstRow, offset, stride, columns, rowGroup, columnGroup } = place;
    const rowBytes = values.length / rows;
    const leftOut = Math.min(Math.max(firstRow - first, 0), rows);
    const buffer = this.#towers[tower]?.weights[block];
    if (leftOut) {
      this.#rows(place, first + leftOut, rows - leftOut, values.subarray(leftOut * rowBytes));
      return;
    }
    if (!buffer || !rows) return;
    const start = stored(rowGroup, first - firstRow);
    const bytes = new Uint8Array((stored(rowGroup, first - firstRow + rows - 1) - start + 1) * stride);
    const element = rowBytes / columns;
    for (let row = 0; row < rows; row++) {
      const to = (stored(rowGroup, first - firstRow + row) - start) * stride;
      for (let column = 0; column < columns;) {
        // A run of columns that lie beside each other.
        const run = columnGroup.stride === columnGroup.size ? columns : columnGroup.size;
        const from = row * rowBytes + column * element;
        bytes.set(values.subarray(from, from + run * element), to + stored(columnGroup, column) * element);
        column += run;
      }
    }
    const at = offset + start * stride;
    this.#device.queue.writeBuffer(buffer, at, bytes);
    this.#inFlight += bytes.length;
    const words = new Int32Array(bytes.buffer);
    let sum = this.sums.get(buffer) ?? 0;
    for (let i = 0, factor = at / 2 + 1; i < words.length; i++, factor += 2) {
      sum = (sum + Math.imul(words[i], factor)) | 0;
    }
    this.sums.set(buffer, sum);
  }
}
