/** What a person has taught on the page, made into the classes of the model at hand. */

/** @typedef {import('../../siglip.js').Siglip} Siglip */
/** @typedef {import('../../siglip.js').TaughtClasses} TaughtClasses */
/** @typedef {import('../../worker/protocol.js').TaughtSummary} TaughtSummary */
/** A picture: a file, or the address of a sample. @typedef {Blob | string} Source */
/** The pictures of a class, those that do not show it, and the share of the former in the mixture with its text. @typedef {{images: Source[], not: Source[], mix: number}} Lesson */
/** @typedef {{classes: TaughtClasses, info: TaughtSummary, untold: string[]}} Made */

/** Pictures of each class from which on a linear probe is offered. */
export const ENOUGH = 10;

/** Lessons by label. */
export class Lessons {
  /** @type {Map<string, Lesson>} */
  #lessons = new Map();
  /** Classes of a file, which take the place of all lessons. @type {{name: string, text: string} | undefined} */
  file;
  /** Whether a probe is trained. */
  trained = false;
  #version = 0;
  #key = '';
  /** @type {Promise<Made> | undefined} */
  #made;
  /** @type {WeakMap<Siglip, Map<Source, Float32Array>>} */
  #embedded = new WeakMap();

  /** @param {string} label @returns {Lesson} */
  of(label) {
    return this.#lessons.get(label) ?? { images: [], not: [], mix: 0.5 };
  }

  /** @param {string} label @param {Partial<Lesson>} change */
  change(label, change) {
    this.#lessons.set(label, { ...this.of(label), ...change });
    this.touch();
  }

  /** @param {string} label */
  forget(label) {
    this.#lessons.delete(label);
    this.touch();
  }

  /** Makes the classes anew when they are asked for next. */
  touch() {
    this.#version++;
  }

  /** Those of these labels that have pictures. @param {string[]} labels */
  taught(labels) {
    return labels.filter((label) => this.of(label).images.length || this.of(label).not.length);
  }

  /** Whether a probe can be trained: at least two classes have pictures, and each of them enough. @param {string[]} labels */
  enough(labels) {
    const counts = labels.map((label) => this.of(label).images.length).filter(Boolean);
    return counts.length > 1 && Math.min(...counts) >= ENOUGH;
  }

  /**
   * The embedding of a picture, which each model makes once.
   * @param {Siglip} siglip
   * @param {Source} source
   */
  async embed(siglip, source) {
    const known = this.#embedded.get(siglip) ?? new Map();
    this.#embedded.set(siglip, known);
    const embedding = known.get(source) ?? (await siglip.embedImage(source));
    known.set(source, embedding);
    return embedding;
  }

  /**
   * The classes for these labels, made once for each state.
   * @param {Siglip} siglip
   * @param {string[]} labels
   * @param {string[]} template
   * @returns {Promise<Made>}
   */
  make(siglip, labels, template) {
    const key = JSON.stringify([labels, template, this.#version, this.trained]);
    if (!this.#made || key !== this.#key || siglip !== this.#siglip) {
      const before = this.#made;
      this.#key = key;
      this.#siglip = siglip;
      this.#made = this.#make(siglip, labels, template);
      // Calls that still ask the former ones are in the worker's queue before this.
      before?.then(({ classes }) => classes.close()).catch(() => {});
    }
    return this.#made;
  }

  /** @type {Siglip | undefined} */
  #siglip;

  /** @param {Siglip} siglip @param {string[]} labels @param {string[]} template */
  async #make(siglip, labels, template) {
    if (this.file) {
      const classes = await siglip.classes(this.file.text);
      return { classes, info: await classes.info(), untold: [] };
    }
    const classes = await siglip.classes();
    /** Labels without pictures whose text cannot be read. @type {string[]} */
    const untold = [];
    for (const label of labels) {
      const { images, not, mix } = this.of(label);
      if (this.trained && !images.length) continue;
      const lesson = {
        images: await Promise.all(images.map((source) => this.embed(siglip, source))),
        not: await Promise.all(not.map((source) => this.embed(siglip, source))),
        mix,
      };
      try {
        await classes.add(label, { ...lesson, text: label, template });
      } catch (error) {
        // Words that the model does not know, or a model without texts: the pictures must do.
        if (/** @type {any} */ (error).code !== 'bad-input') throw error;
        if (images.length) await classes.add(label, lesson);
        else untold.push(label);
      }
    }
    return { classes, info: await (this.trained ? classes.train() : classes.info()), untold };
  }
}
