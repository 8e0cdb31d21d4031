/** How workers that share a model add up what each has made of a step. */
import { breathe } from './breathe.js';

/** @typedef {import('./wasm/simd128/siglip_web.js').Engine} Engine */
/** @typedef {{pass: number, step: number, part: Uint32Array}} Part */
/** A port to every other worker. @typedef {{ports: (MessagePort | undefined)[]}} Ports */
/**
 * What a worker shows the others: its latest turn, and its parts of the last two.
 * @typedef {{turn: Int32Array<SharedArrayBuffer>, slots: SharedArrayBuffer[]}} Board
 */
/** Every worker's board. @typedef {{boards: Board[]}} Boards */

/** Whether memory can be shared, and grow: the page has to be cross-origin isolated. */
export const canShareMemory = self.crossOriginIsolated && 'grow' in SharedArrayBuffer.prototype;

/** Through messages, which every page has. */
export class PortExchange {
  #index;
  /** By worker; nothing at this one's own place. @type {(MessagePort | undefined)[]} */
  #ports;
  /** What came before it was asked for, by worker, pass and step. @type {Map<string, Uint32Array>} */
  #early = new Map();
  /** Who waits for what has not come yet. @type {Map<string, {resolve: (part: Uint32Array) => void, reject: (error: unknown) => void}>} */
  #waiting = new Map();
  #pass = 0;
  #step = 0;
  /** Arrays that came from others in this pass, for what is sent next: new ones would pile up. @type {Uint32Array[]} */
  #spare = [];

  /**
   * What each of so many workers is given.
   * @param {number} count
   * @returns {Ports[]}
   */
  static links(count) {
    /** @type {Ports[]} */
    const links = Array.from({ length: count }, () => ({ ports: Array(count).fill(undefined) }));
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) {
        const { port1, port2 } = new MessageChannel();
        [links[a].ports[b], links[b].ports[a]] = [port1, port2];
      }
    }
    return links;
  }

  /**
   * @param {number} index this worker's
   * @param {Ports} link
   */
  constructor(index, { ports }) {
    this.#index = index;
    this.#ports = ports;
    ports.forEach((port, from) => {
      if (port) port.onmessage = ({ data }) => this.#receive(from, data);
    });
  }

  /**
   * Begins a pass; what came for earlier ones, given up half-way, is dropped.
   * @param {number} pass
   */
  begin(pass) {
    [this.#pass, this.#step, this.#spare] = [pass, 0, []];
    for (const key of this.#early.keys()) if (+key.split(' ')[1] < pass) this.#early.delete(key);
  }

  /**
   * Adds up one step's parts.
   * @param {Engine} engine
   */
  async sum(engine) {
    const [pass, step] = [this.#pass, this.#step++];
    const others = this.#ports.filter((port) => port !== undefined);
    for (const port of others) {
      const part = this.#array(engine.part_length());
      engine.copy_part(part);
      port.postMessage({ pass, step, part }, [part.buffer]);
    }
    for (let from = 0; from < this.#ports.length; from++) {
      if (from === this.#index) engine.add_own_part();
      else {
        const part = await this.#take(`${from} ${pass} ${step}`);
        engine.add_part(part);
        this.#spare.push(part);
      }
    }
  }

  /**
   * An array of so many words.
   * @param {number} length
   */
  #array(length) {
    const at = this.#spare.findIndex((array) => array.length === length);
    return at < 0 ? new Uint32Array(length) : this.#spare.splice(at, 1)[0];
  }

  /**
   * Gives up the pass under way.
   * @param {unknown} reason
   */
  stop(reason) {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  /**
   * @param {string} key
   * @returns {Promise<Uint32Array>}
   */
  #take(key) {
    const early = this.#early.get(key);
    if (early) {
      this.#early.delete(key);
      return Promise.resolve(early);
    }
    return new Promise((resolve, reject) => this.#waiting.set(key, { resolve, reject }));
  }

  /**
   * @param {number} from
   * @param {Part} message
   */
  #receive(from, { pass, step, part }) {
    const key = `${from} ${pass} ${step}`;
    const waiting = this.#waiting.get(key);
    if (waiting) {
      this.#waiting.delete(key);
      waiting.resolve(part);
    } else if (pass >= this.#pass) this.#early.set(key, part);
  }
}

/** Turns of one pass at most; odd, as the turns of a pass are, so that the slots alternate from pass to pass too. */
const TURNS = 1023;
/** Bytes that a slot can grow to: 4096 rows of 4096. */
const SLOT_LIMIT = 64 << 20;
/** Looks at another worker's turn before going to sleep over it, a fraction of a millisecond: waking up takes as long. */
const LOOKS = 50_000;
/** Longest time without a look at the messages while another worker is waited for, in milliseconds. */
const PATIENCE = 5;

/**
 * Through shared memory. A worker writes to its own board and reads the others'. Two slots are enough: it writes turn
 * n + 2 over turn n when everybody has shown turn n + 1, and so has read turn n.
 */
export class SharedExchange {
  #index;
  #boards;
  #turn = 0;
  /** @type {unknown} */
  #stopped;

  /**
   * What each of so many workers is given.
   * @param {number} count
   * @returns {Boards[]}
   */
  static links(count) {
    const slot = () => new SharedArrayBuffer(0, { maxByteLength: SLOT_LIMIT });
    const boards = Array.from({ length: count }, () => ({
      turn: new Int32Array(new SharedArrayBuffer(4)),
      slots: [slot(), slot()],
    }));
    return boards.map(() => ({ boards }));
  }

  /**
   * @param {number} index this worker's
   * @param {Boards} link
   */
  constructor(index, { boards }) {
    this.#index = index;
    this.#boards = boards;
  }

  /**
   * Begins a pass.
   * @param {number} pass
   */
  begin(pass) {
    this.#turn = Math.imul(pass, TURNS);
    this.#stopped = undefined;
  }

  /**
   * Adds up one step's parts.
   * @param {Engine} engine
   */
  async sum(engine) {
    const turn = this.#turn++;
    const length = this.#show(turn, engine);
    for (let from = 0; from < this.#boards.length; from++) {
      if (from === this.#index) {
        engine.add_own_part();
        continue;
      }
      await this.#shown(from, turn);
      engine.add_part(new Uint32Array(this.#boards[from].slots[turn & 1], 0, length));
    }
  }

  /**
   * Gives up the pass under way.
   * @param {unknown} reason
   */
  stop(reason) {
    this.#stopped = reason;
  }

  /**
   * Shows this worker's part.
   * @param {number} turn
   * @param {Engine} engine
   * @returns {number} its length, which all have
   */
  #show(turn, engine) {
    const own = this.#boards[this.#index];
    const slot = own.slots[turn & 1];
    const length = engine.part_length();
    const bytes = length * Uint32Array.BYTES_PER_ELEMENT;
    if (slot.byteLength < bytes) slot.grow(bytes);
    engine.copy_part(new Uint32Array(slot, 0, length));
    Atomics.store(own.turn, 0, turn);
    Atomics.notify(own.turn, 0);
    return length;
  }

  /**
   * Waits until a worker has come to a turn.
   * @param {number} from
   * @param {number} turn
   */
  async #shown(from, turn) {
    const board = this.#boards[from].turn;
    // As a difference, which the numbers' running over leaves right.
    const isShown = () => ((Atomics.load(board, 0) - turn) | 0) >= 0;
    for (let look = 0; look < LOOKS; look++) if (isShown()) return;
    for (;;) {
      const seen = Atomics.load(board, 0);
      if (isShown()) return;
      if (Atomics.wait(board, 0, seen, PATIENCE) === 'timed-out') await breathe();
      if (this.#stopped) throw this.#stopped;
    }
  }
}
