/** worker.js that counts the bytes it reads of files; a BroadcastChannel asks for their number since the last question. */
import './counting-worker.js';

let bytes = 0;
const channel = new BroadcastChannel('reads');
channel.onmessage = () => {
  channel.postMessage(bytes);
  bytes = 0;
};

/** @param {'stream' | 'arrayBuffer' | 'text'} method */
function count(method) {
  const read = /** @type {(this: Blob) => unknown} */ (Blob.prototype[method]);
  Object.defineProperty(Blob.prototype, method, {
    /** @this {Blob} */
    value() {
      bytes += this.size;
      return read.call(this);
    },
  });
}
count('stream');
count('arrayBuffer');
count('text');
