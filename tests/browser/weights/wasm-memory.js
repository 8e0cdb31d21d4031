/** The memory section of a WebAssembly module: https://webassembly.github.io/spec/core/binary/modules.html. */

const MEMORY_SECTION = 5;

/** An unsigned LEB128. @param {Buffer} bytes @param {number} at @returns {[value: number, end: number]} */
function readNumber(bytes, at) {
  let [value, shift] = [0, 1];
  for (;;) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * shift;
    if (byte < 0x80) return [value, at];
    shift *= 128;
  }
}

/** @param {number} value */
function numberBytes(value) {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Buffer.from([...bytes, value]);
}

/** @param {Buffer} module */
function memorySection(module) {
  for (let at = 8; at < module.length;) {
    const id = module[at];
    const [length, start] = readNumber(module, at + 1);
    if (id === MEMORY_SECTION) return { at, start, end: start + length };
    at = start + length;
  }
  throw new Error('the module has no memory of its own');
}

/** Pages of 64 KiB that a module's memory begins with. @param {Buffer} module */
export function initialPages(module) {
  const { start } = memorySection(module);
  // One memory: its flags, then its minimum.
  return readNumber(module, start + 2)[0];
}

/**
 * The module with a memory that never grows past `pages`: `memory.grow` fails, as where a device has no more.
 * @param {Buffer} module
 * @param {number} pages
 */
export function limitMemory(module, pages) {
  const { at, end } = memorySection(module);
  const limits = Buffer.concat([Buffer.from([1, 1]), numberBytes(initialPages(module)), numberBytes(pages)]);
  const section = Buffer.concat([Buffer.from([MEMORY_SECTION]), numberBytes(limits.length), limits]);
  return Buffer.concat([module.subarray(0, at), section, module.subarray(end)]);
}
