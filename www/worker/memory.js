/** Why the engine has trapped: set by the build that is loaded (wasm.js), asked where errors are described (errors.js). */
export const memory = {
  /** Whether the engine's last request for memory was refused. @type {() => boolean} */
  wasRefused: () => false,
};
