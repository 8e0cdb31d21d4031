/** Numbers with a shape, in the form that transformers.js returns them. */
export class Tensor {
  type = 'float32';

  /**
   * @param {Float32Array} data
   * @param {number[]} dims
   */
  constructor(data, dims) {
    this.data = data;
    this.dims = dims;
  }

  /**
   * One tensor of equally long rows: [rows, ...rest].
   * @param {Float32Array[]} rows
   * @param {number[]} [rest] the shape of a row
   */
  static ofRows(rows, rest = [rows[0]?.length ?? 0]) {
    const size = rest.reduce((product, dim) => product * dim, 1);
    const data = new Float32Array(rows.length * size);
    rows.forEach((row, i) => data.set(row, i * size));
    return new Tensor(data, [rows.length, ...rest]);
  }

  /** How many numbers it has. */
  get size() {
    return this.data.length;
  }

  /** Its parts along the first dimension. @returns {IterableIterator<Tensor>} */
  *[Symbol.iterator]() {
    const [count, ...rest] = this.dims;
    const size = this.size / count;
    for (let i = 0; i < count; i++) yield new Tensor(this.data.subarray(i * size, (i + 1) * size), rest);
  }

  /** The numbers in nested arrays. @returns {any[]} */
  tolist() {
    return this.dims.length < 2 ? [...this.data] : [...this].map((part) => part.tolist());
  }

  /** The same with every row of L2 norm 1. */
  normalize() {
    const size = this.dims.at(-1) ?? 1;
    const data = this.data.slice();
    for (let i = 0; i < data.length; i += size) {
      const row = data.subarray(i, i + size);
      const norm = Math.hypot(...row);
      row.forEach((value, j) => (row[j] = value / norm));
    }
    return new Tensor(data, this.dims);
  }
}
