const { validate } = WebAssembly;
/** f32x4.relaxed_madd, as bytes. */
const opcode = [253, 133, 2].join();
WebAssembly.validate = (bytes) =>
  validate(bytes) && !String(new Uint8Array(/** @type {any} */ (bytes))).includes(opcode);
